"""The second view of the annotated frame."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from cells import Seeing
from hypothesis import given
from hypothesis import strategies as st
from pictures import cut_outs, frame_of

from persam_vos.masks import Mask, Rgb
from persam_vos.media.frame import Frame
from persam_vos.methods.memory.crop import around_middle
from persam_vos.methods.memory.memory import Memory
from persam_vos.methods.memory.nearer_view import nearer_view
from persam_vos.sam.cells import cell_features
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import ImageEmbedding, SamEncoder
from persam_vos.sam.regions import Region
from persam_vos.settings.video import TrackerSettings
from persam_vos.video.tracker import Tracker


@given(st.data())
def test_a_region_around_a_box_lies_in_the_frame_and_holds_a_box_that_fits(data: st.DataObject) -> None:
    size = data.draw(st.tuples(st.integers(1, 60), st.integers(1, 60)))
    top, left = (data.draw(st.integers(0, end - 1)) for end in size)
    height, width = (data.draw(st.integers(1, end - start)) for end, start in zip(size, (top, left), strict=True))
    box = Region.at(top, left, height, width)
    shape = data.draw(st.tuples(*(st.integers(1, end) for end in size)))
    half = around_middle(box, shape, size)
    assert (half.height, half.width) == shape
    assert Region.whole(*size).intersection(half) == half
    for side, around in zip(box, half, strict=True):
        if side.stop - side.start <= around.stop - around.start:
            assert around.start <= side.start
            assert side.stop <= around.stop
        else:
            assert side.start <= around.start
            assert around.stop <= side.stop


def nearing(scale: float) -> tuple[Rgb, Mask]:
    """A cat on a lawn of noise, so many times as large as its picture."""
    picture, mask = cut_outs()[0]
    noise = np.random.default_rng(0).integers(60, 120, (68, 120, 3)).astype(np.uint8)
    rgb = cv2.resize(noise, (480, 270), interpolation=cv2.INTER_CUBIC)
    size = round(scale * mask.shape[1]), round(scale * mask.shape[0])
    cat = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    here = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_LINEAR) > 0
    top, left = (270 - size[1]) // 2, (480 - size[0]) // 2
    truth = np.zeros((270, 480), np.bool_)
    truth[top : top + size[1], left : left + size[0]] = here
    rgb[truth] = cat[here]
    return rgb, truth


def test_what_is_learnt_tells_a_nearer_object_from_its_surroundings_better(encoder: SamEncoder) -> None:
    (first, mask), (later, truth) = nearing(0.6), nearing(2.2)
    embedding, nearer = encoder.encode([frame_of(first), frame_of(later)])
    masks = torch.from_numpy(mask)[None]
    coverage = embedding.geometry.to_cells(masks, embedding.cells).flatten(1)
    inside = nearer.geometry.to_cells(torch.from_numpy(truth)[None], nearer.cells).flatten() > 0.5
    gaps = []
    for view in (None, nearer_view(encoder, frame_of(first), masks, torch.float32, 0.5)):
        memory = Memory.learn(cell_features(embedding), coverage, TrackerSettings(), view=view)
        answer = memory.view(cell_features(nearer)).ridge[0]
        gaps.append(float(answer[inside].mean() - answer[~inside].mean()))
    without, with_view = gaps
    assert with_view > without + 0.1


def view_of(masks: Sequence[Mask]) -> list[bool] | None:
    """Tell which of the objects the second view shows; None if there is none."""
    stacked = torch.from_numpy(np.stack(masks))
    view = nearer_view(Seeing(), frame_of(np.zeros((*masks[0].shape, 3), np.uint8)), stacked, torch.float32, 0.5)
    return None if view is None else view.coverage.any(dim=1).tolist()


def test_there_is_no_view_that_shows_no_object() -> None:
    large, small, third, ring = (np.zeros((270, 480), np.bool_) for _ in range(4))
    large[60:140, :60], small[200:230, 440:], third[150:190, 430:470] = True, True, True
    ring[:10], ring[-10:], ring[:, :10], ring[:, -10:] = True, True, True, True

    assert view_of([large, small]) is None
    assert view_of([small, third]) == [True, True]
    assert view_of([ring]) is None


def test_a_setting_of_0_encodes_the_annotated_frame_once(encoder: SamEncoder, decoder: Decoder) -> None:
    rgb, truth = nearing(0.6)
    for share, expected in ((0.0, 1), (0.5, 2)):
        counting = CountingEncoder(encoder)
        tracker = Tracker.from_parts(counting, decoder, TrackerSettings(nearer_view=share))
        tracker.start(frame_of(rgb), truth.astype(np.uint8))
        assert counting.encoded == expected


class CountingEncoder:
    """Counts the pictures that it is given."""

    def __init__(self, encoder: SamEncoder) -> None:
        self._encoder = encoder
        self.encoded = 0

    def encode(self, frames: Sequence[Frame]) -> list[ImageEmbedding]:
        self.encoded += len(frames)
        return self._encoder.encode(frames)
