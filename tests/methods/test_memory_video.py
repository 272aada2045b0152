"""Whole clips with the method memory and the shipped weights."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import cv2
import numpy as np
import pytest
import torch
from pictures import cut_outs, frame_of, iou, scene

from persam_vos.masks import LabelMap, Rgb
from persam_vos.media.frame import Frame
from persam_vos.results import FrameResult
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import ImageEmbedding, SamEncoder
from persam_vos.sam.geometry import Geometry
from persam_vos.settings.video import TrackerSettings
from persam_vos.video.tracker import Tracker


class Remembering:
    """An encoder that encodes the same picture once only."""

    def __init__(self, encoder: SamEncoder) -> None:
        self._encoder = encoder
        self._known: dict[str, ImageEmbedding] = {}

    def encode(self, frames: Sequence[Frame]) -> list[ImageEmbedding]:
        embeddings = []
        for frame in frames:
            key = hashlib.sha1(frame.rgb.tobytes()).hexdigest()
            if key not in self._known:
                self._known[key] = self._encoder.encode([frame])[0]
            embeddings.append(self._known[key])
        return embeddings


def hidden_cat() -> list[tuple[Rgb, np.ndarray]]:
    """A cat goes behind a wall, is gone for 20 frames and comes out elsewhere; a paler cat sits there all the while."""
    from skimage import data

    picture, mask = cut_outs()[0]
    twin = cv2.convertScaleAbs(picture[:, ::-1], alpha=0.55, beta=110)
    meadow = cv2.resize(cv2.cvtColor(data.grass(), cv2.COLOR_GRAY2RGB), (480, 270))
    meadow[..., 0] //= 2
    wall = cv2.applyColorMap(cv2.resize(data.brick(), (150, 270)), cv2.COLORMAP_BONE)
    places = [*((8 + 44 * i, 20) for i in range(5)), *[None] * 20, (350, 20), (358, 20)]
    clip = []
    for place in places:
        rgb, truth = meadow.copy(), np.zeros((270, 480), bool)
        rgb[140 : 140 + len(mask), 355:465][mask[:, ::-1]] = twin[mask[:, ::-1]]
        if place is not None:
            x, y = place
            rgb[y : y + len(mask), x : x + 110][mask] = picture[mask]
            truth[y : y + len(mask), x : x + 110] = mask
        rgb[:, 170:320], truth[:, 170:320] = wall, False
        clip.append((rgb, truth))
    return clip


def follow(tracker: Tracker, clip: Sequence[Rgb], label_map: LabelMap) -> list[FrameResult]:
    frames = [frame_of(rgb, i) for i, rgb in enumerate(clip)]
    return [tracker.start(frames[0], label_map), *map(tracker.step, frames[1:])]


@pytest.mark.cuda
def test_an_object_behind_a_wall_is_absent_and_found_again_elsewhere(encoder: SamEncoder, decoder: Decoder) -> None:
    clip = hidden_cat()
    tracker = Tracker.from_parts(Remembering(encoder), decoder, TrackerSettings())

    results = follow(tracker, [rgb for rgb, _ in clip], 7 * clip[0][1].astype(np.uint8))

    hidden = [not truth.any() for _, truth in clip]
    assert sum(hidden) >= 20
    for result, (_, truth), gone in zip(results, clip, hidden, strict=True):
        (found,) = result.objects
        assert found.id == 7
        if gone:
            assert (found.present, found.area, found.box, found.score) == (False, 0, None, 0.0)
            assert not result.label_map.any()
        elif truth.sum() > 4000:
            assert iou(result.label_map == 7, truth) > 0.7, result.index


@pytest.mark.cuda
@pytest.mark.parametrize("first", [1, 3])
@pytest.mark.parametrize("presence", [TrackerSettings().memory_presence, 0.0])
def test_what_hides_an_object_is_not_taken_for_it(
    presence: float, first: int, encoder: SamEncoder, decoder: Decoder
) -> None:
    """Something never seen before is most like the object where the object was; only its absolute similarity tells."""
    generator = np.random.default_rng(0)
    patch = cv2.resize(generator.integers(0, 256, (16, 16, 3), np.uint8), (130, 140), interpolation=cv2.INTER_CUBIC)
    clip = [scene([(100 + 2 * i, 60), None]) for i in range(first + 3)]
    for rgb, _ in clip[first : first + 2]:
        rgb[50:190, 95:225] = patch
    tracker = Tracker.from_parts(encoder, decoder, TrackerSettings(memory_presence=presence))

    results = follow(tracker, [rgb for rgb, _ in clip], clip[0][1])

    found = [result.objects[0].present for result in results]
    assert found == [True] * first + [not presence] * 2 + [True]


def test_32_objects_keep_their_ids(decoder: Decoder) -> None:
    """Plumbing: many objects with gaps in their ids, on features that tell them apart."""
    kinds = torch.zeros(64, 64, dtype=torch.long)
    ids = [3 * i + 2 for i in range(32)]
    label_map = np.zeros((1024, 1024), np.uint8)
    for i, object_id in enumerate(ids):
        row, column = 2 + 15 * (i // 8), 1 + 8 * (i % 8)
        kinds[row : row + 6, column : column + 6] = i + 1
        label_map[16 * row : 16 * (row + 6), 16 * column : 16 * (column + 6)] = object_id
    embedding = ImageEmbedding(torch.eye(256)[kinds].permute(2, 0, 1).contiguous(), Geometry(1024, 1024))
    tracker = Tracker.from_parts(None, decoder, TrackerSettings(nearer_view=0))  # type: ignore[arg-type]
    frame = frame_of(np.zeros((1024, 1024, 3), np.uint8))

    tracker.start(frame, label_map, embedding)
    result = tracker.step(frame, embedding)

    assert [each.id for each in result.objects] == ids
    for each in result.objects:
        mask = result.label_map == each.id
        assert each.present
        # Whatever a decoder says of such features, the prior keeps each object on its own cells.
        own = label_map == each.id
        assert (mask & own).sum() / (mask | own).sum() > 0.5
