"""First masks as people draw them, moved to the edges of their objects."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from pictures import frame_of, iou, scene

from persam_vos.masks import LabelMap, Mask, Rgb
from persam_vos.media.demo import demo_clip
from persam_vos.media.masks.files import read_mask
from persam_vos.media.readers import open_video
from persam_vos.methods.memory import video as memory_video
from persam_vos.methods.memory.first_mask import edge_strength, snap_to_edges
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import SamEncoder
from persam_vos.settings.video import TrackerSettings
from persam_vos.video.tracker import Tracker


def disc(x: int, y: int = 60, radius: int = 30) -> Mask:
    return cv2.circle(np.zeros((120, 160), np.uint8), (x, y), radius, 1, -1) > 0


def picture_of(mask: Mask) -> Rgb:
    """Paint an orange thing on noisy ground."""
    rgb = np.random.default_rng(0).integers(60, 90, (*mask.shape, 3), np.uint8)
    rgb[mask] += np.array([120, 60, 0], np.uint8)
    return rgb


def demo_frame() -> tuple[Rgb, LabelMap]:
    clip, mask = demo_clip()
    with open_video(clip) as reader:
        return next(iter(reader)).rgb, read_mask(mask)


def polygon(mask: Mask, points: int) -> LabelMap:
    """Draw around a mask with a few points."""
    (contour, *_), _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    tolerance = 1.0
    while len(corners := cv2.approxPolyDP(contour, tolerance, closed=True)) > points:
        tolerance *= 1.1
    drawn: LabelMap = cv2.fillPoly(np.zeros(mask.shape, np.uint8), [corners], 1)
    return drawn


def shifted(mask: Mask, x: int, y: int) -> LabelMap:
    moved: LabelMap = cv2.warpAffine(mask.astype(np.uint8), np.float32([[1, 0, x], [0, 1, y]]), mask.shape[::-1])
    return moved


def learnt_from(
    rgb: Rgb, drawn: LabelMap, encoder: SamEncoder, decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> tuple[LabelMap, tuple[str, ...]]:
    """Start a tracker; return the label map that the memory learns from, and the warnings."""
    seen = []
    snap = memory_video.snap_first_masks

    def spy(*args: object) -> tuple[LabelMap, tuple[str, ...]]:
        seen.append(snap(*args))  # type: ignore[arg-type]
        return seen[-1]

    monkeypatch.setattr(memory_video, "snap_first_masks", spy)
    tracker = Tracker.from_parts(encoder, decoder, TrackerSettings())
    result = tracker.start(frame_of(rgb), drawn)
    assert (result.label_map == drawn).all()
    assert tracker.warnings == seen[0][1]
    return seen[0]


def test_a_mask_on_the_edges_is_kept_and_one_beside_them_is_replaced() -> None:
    strength = edge_strength(picture_of(disc(60)))

    assert (snap_to_edges(disc(60), disc(66), strength) == disc(60)).all()
    assert (snap_to_edges(disc(66), disc(60), strength) == disc(60)).all()
    assert (snap_to_edges(disc(60), disc(60), strength) == disc(60)).all()


def test_a_missing_piece_comes_back_and_ground_does_not_come_along() -> None:
    drawn, found = disc(60), disc(60) | disc(88, radius=8)
    drawn[:, :40] = False

    snapped = snap_to_edges(drawn, found, edge_strength(picture_of(disc(60))))

    assert (snapped == disc(60)).all()


def test_outlines_outside_the_frame_decide_nothing() -> None:
    everything = np.ones((120, 160), bool)
    strength = edge_strength(picture_of(disc(60)))

    assert (snap_to_edges(everything, disc(60), strength) == everything).all()
    assert (snap_to_edges(disc(60), everything, strength) == disc(60)).all()


def test_edges_of_a_large_frame_lie_where_they_are() -> None:
    large = cv2.resize(picture_of(disc(60)), (1600, 1200), interpolation=cv2.INTER_CUBIC)

    strength = edge_strength(large)

    assert strength.shape == large.shape[:2]
    outline = np.abs(np.hypot(*np.indices(strength.shape) - np.array([600, 600])[:, None, None]) - 300)
    assert strength[outline < 10].mean() > strength[outline > 60].mean() + 0.5


def test_an_exact_mask_hardly_changes(encoder: SamEncoder, decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    rgb, exact = demo_frame()

    label_map, warnings = learnt_from(rgb, exact, encoder, decoder, monkeypatch)

    assert iou(label_map == 1, exact == 1) > 0.97
    assert warnings == ()


@pytest.mark.parametrize(("kind", "least_gain"), [("shifted", 0.1), ("grown", 0.03), ("polygon", -0.02)])
def test_a_rough_mask_comes_nearer_to_its_object_or_hardly_changes(
    kind: str, least_gain: float, encoder: SamEncoder, decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    rgb, exact = demo_frame()
    drawn = {
        "polygon": lambda: polygon(exact == 1, 8),
        "shifted": lambda: shifted(exact == 1, 12, 8),
        "grown": lambda: cv2.dilate(exact, np.ones((21, 21), np.uint8)),
    }[kind]()

    label_map, _ = learnt_from(rgb, drawn, encoder, decoder, monkeypatch)

    before, after = iou(drawn == 1, exact == 1), iou(label_map == 1, exact == 1)
    assert after > before + least_gain, (before, after)


def test_objects_keep_what_was_drawn_as_theirs(
    encoder: SamEncoder, decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    rgb, labels = scene([(150, 60), (215, 70)])
    drawn = np.zeros_like(labels)
    for object_id in (1, 2):
        drawn[(polygon(labels == object_id, 7) > 0) & (drawn == 0)] = object_id

    label_map, _ = learnt_from(rgb, drawn, encoder, decoder, monkeypatch)

    assert set(np.unique(label_map)) == {0, 1, 2}
    # Nothing goes straight from one object to the other, unless it is found to be the other's.
    assert iou(label_map == 1, labels == 1) >= iou(drawn == 1, labels == 1) - 0.01
    assert iou(label_map == 2, labels == 2) >= iou(drawn == 2, labels == 2) - 0.01


def test_a_mask_can_be_kept_as_it_is(encoder: SamEncoder, decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    rgb, exact = demo_frame()
    monkeypatch.setattr(memory_video, "snap_first_masks", None)
    tracker = Tracker.from_parts(encoder, decoder, TrackerSettings(keep_first_mask=True))

    result = tracker.start(frame_of(rgb), exact)

    assert (result.label_map == exact).all()
    assert tracker.warnings == ()


def test_a_mask_that_belongs_elsewhere_is_doubted(
    encoder: SamEncoder, decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    rgb, labels = scene([(60, 60), None])
    drawn = shifted(labels == 1, 60, 30)

    _, warnings = learnt_from(rgb, drawn, encoder, decoder, monkeypatch)

    (warning,) = warnings
    assert warning.startswith("object 1: its mask on frame 0 and what is found there share only ")


def test_one_odd_pixel_is_no_reason_to_fail(
    encoder: SamEncoder, decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    rgb, labels = scene([(60, 60), None])
    labels[200, 400] = 9

    label_map, _ = learnt_from(rgb, labels, encoder, decoder, monkeypatch)

    assert set(np.unique(label_map)) == {0, 1, 9}
