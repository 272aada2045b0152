from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pictures import frame_of

from persam_vos.masks import anchor_point, box_xyxy, grown_box, interior_point
from persam_vos.methods.base import Segmentation, frame_result
from persam_vos.methods.competition import cell_coverage, hard_argmax, resolve_overlaps, soft_aggregation
from persam_vos.methods.persam.concept import Concept
from persam_vos.methods.persam.presence import ConceptPresence
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.patches import Patch
from persam_vos.sam.regions import Region

masks = hnp.arrays(np.bool_, st.tuples(st.integers(1, 20), st.integers(1, 20)))


def argmax(logits: torch.Tensor, ids: list[int]) -> np.ndarray:
    whole = Region.whole(*logits.shape[1:])
    return hard_argmax([Patch(whole, each) for each in logits], ids, whole).numpy()


def test_the_highest_logit_wins_and_background_is_zero() -> None:
    logits = torch.tensor([[[3.0, -1.0, 2.0, 0.0]], [[1.0, -2.0, 5.0, 0.0]]])

    found = argmax(logits, [7, 200])

    assert found.dtype == np.uint8
    assert found.tolist() == [[7, 0, 200, 0]]


@given(hnp.arrays(np.float32, (3, 5, 6), elements=st.floats(-4, 4, width=16)))
def test_each_pixel_has_one_owner_whose_logit_is_positive(logits: np.ndarray) -> None:
    ids = [3, 9, 254]

    found = argmax(torch.from_numpy(logits), ids)

    assert set(np.unique(found)) <= {0, *ids}
    for i, object_id in enumerate(ids):
        owned = found == object_id
        assert (logits[i][owned] > 0).all()
        assert (logits[:, owned].max(axis=0) == logits[i][owned]).all()
    assert (logits[:, found == 0] <= 0).all()


def patch_at(top: int, left: int, probability: torch.Tensor) -> Patch:
    height, width = probability.shape
    return Patch(Region.at(top, left, height, width), probability.logit())


@st.composite
def patches(draw: st.DrawFn) -> tuple[list[Patch], torch.Tensor]:
    """Windows of any kind in a frame of 7 x 9: over each other, at the border, the whole of it, of size 0."""
    found, whole = [], torch.zeros(draw(st.integers(1, 5)), 7, 9)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    for probability in whole:
        (top, bottom), (left, right) = (
            sorted(draw(st.tuples(st.integers(0, end), st.integers(0, end)))) for end in (7, 9)
        )
        here = torch.rand(bottom - top, right - left, generator=generator)
        found.append(patch_at(top, left, here))
        probability[top:bottom, left:right] = here
    return found, whole


@given(patches(), st.sampled_from([1, 20, 1000]))
def test_soft_aggregation_is_that_of_whole_frames(drawn: tuple[list[Patch], torch.Tensor], at_once: int) -> None:
    found, probability = drawn
    ids = [3 * i + 1 for i in range(len(found))]
    best, winner = probability.max(dim=0)
    expected = torch.where(best > (1 - probability).prod(dim=0), torch.tensor(ids)[winner], 0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("persam_vos.methods.competition._CONTESTED_STRIP_PIXELS", at_once)
        label_map = soft_aggregation(found, ids, Region.whole(7, 9))
        part = soft_aggregation(found, ids, Region.at(2, 3, 4, 6))

    assert label_map.dtype == torch.uint8
    assert label_map.tolist() == expected.tolist()
    assert torch.equal(part, label_map[2:6, 3:9])


def test_two_halves_of_a_doubt_are_more_than_none() -> None:
    one, two = (patch_at(0, 0, torch.tensor([[probability]])) for probability in (0.45, 0.4))
    pixel = Region.whole(1, 1)

    assert soft_aggregation([one, two], [2, 7], pixel).tolist() == [[2]]
    assert soft_aggregation([one], [2], pixel).tolist() == [[0]]


@given(patches(), st.sampled_from([64, 128]))
def test_shares_in_windows_are_those_of_whole_masks(drawn: tuple[list[Patch], torch.Tensor], cells: int) -> None:
    found, _ = drawn
    ids = [3 * i + 1 for i in range(len(found))]
    label_map = soft_aggregation(found, ids, Region.whole(7, 9))
    geometry = Geometry(7, 9)

    coverage = cell_coverage(label_map, ids, [patch.window for patch in found], geometry, cells)

    masks = torch.stack([label_map == object_id for object_id in ids])
    torch.testing.assert_close(coverage, geometry.to_cells(masks, cells))


@given(patches())
def test_what_is_written_down_does_not_depend_on_the_windows(drawn: tuple[list[Patch], torch.Tensor]) -> None:
    found, _ = drawn
    ids = [3 * i + 1 for i in range(len(found))]
    label_map = soft_aggregation(found, ids, Region.whole(7, 9)).numpy()
    frame, one = frame_of(np.zeros((7, 9, 3), np.uint8)), torch.ones(len(found))

    in_windows = frame_result(frame, Segmentation(label_map, one, one, [patch.window for patch in found]), ids)

    assert in_windows.objects == frame_result(frame, Segmentation(label_map, one, one), ids).objects
    assert [each.area for each in in_windows.objects] == [int((label_map == object_id).sum()) for object_id in ids]


@given(masks)
def test_the_box_is_tight(mask: np.ndarray) -> None:
    box = box_xyxy(mask)

    if box is None:
        assert not mask.any()
        return
    x0, y0, x1, y1 = box
    inside = mask[y0 : y1 + 1, x0 : x1 + 1]
    assert inside.sum() == mask.sum()
    assert inside[0].any()
    assert inside[-1].any()
    assert inside[:, 0].any()
    assert inside[:, -1].any()


@given(masks)
def test_the_interior_point_lies_on_the_mask(mask: np.ndarray) -> None:
    if not mask.any():
        return
    x, y = interior_point(mask)

    assert mask[y, x]


def test_the_interior_point_lies_deepest() -> None:
    mask = np.zeros((40, 40), bool)
    mask[2:5, 2:38] = True
    mask[20:31, 5:16] = True

    assert interior_point(mask) == (10, 25)


def test_the_anchor_is_the_middle_of_the_box_if_that_is_on_the_mask() -> None:
    mask = np.ones((11, 21), bool)
    assert anchor_point(mask, middle=True) == (10, 5)
    mask[5, 10] = False
    for middle in (True, False):
        x, y = anchor_point(mask, middle=middle)
        assert mask[y, x]


@given(masks, st.integers(0, 30))
def test_a_grown_box_stays_in_the_frame_and_holds_the_box(mask: np.ndarray, margin: int) -> None:
    box = box_xyxy(mask)
    if box is None:
        return
    x0, y0, x1, y1 = grown_box(mask, margin)

    assert 0 <= x0 <= box[0]
    assert box[2] <= x1 <= mask.shape[1]
    assert 0 <= y0 <= box[1]
    assert box[3] <= y1 <= mask.shape[0]
    assert x0 in (0, box[0] - margin)


def halves(*similarities: tuple[float, float]) -> torch.Tensor:
    """Similarity maps with one value in the left half of the picture and one in the right."""
    maps = torch.zeros(len(similarities), 64, 64)
    for i, (left, right) in enumerate(similarities):
        maps[i, :, :32], maps[i, :, 32:] = left, right
    return maps


def surplus(similarity: torch.Tensor, *sides: str) -> list[float]:
    label_map = torch.zeros(1024, 1024, dtype=torch.uint8)
    for i, side in enumerate(sides, start=1):
        if side != "nowhere":
            label_map[:, {"left": slice(0, 512), "right": slice(512, 1024)}[side]] = i
    embedding = ImageEmbedding(torch.zeros(256, 64, 64), Geometry(1024, 1024))
    concepts = [Concept(torch.zeros(256), torch.zeros(256), 0.5)] * len(sides)
    ids = list(range(1, len(sides) + 1))
    presence = ConceptPresence(
        concepts, ids, similarity, embedding, presence=0.6, rival_margin=0.02, area_tie_break=1e-4
    )
    return [round(x, 3) for x in presence.surplus(label_map, range(len(ids))).tolist()]


def test_a_mask_must_be_like_its_object() -> None:
    assert surplus(halves((0.5, 0.2)), "left") == [0.02]  # its best rival is itself, less the margin
    assert surplus(halves((0.5, 0.2)), "right") == [-0.1]
    assert surplus(halves((0.5, 0.2)), "nowhere") == [0.0]


def test_a_mask_whose_surplus_is_slightly_negative_is_withdrawn() -> None:
    """The tie break lowers wrong masks only further; it must not lift one over 0."""
    label_map = torch.zeros(1024, 1024, dtype=torch.uint8)
    label_map[:, :512] = 1
    patches = [Patch(Region.whole(1024, 1024), torch.where(label_map == 1, 5.0, -5.0))]
    embedding = ImageEmbedding(torch.zeros(256, 64, 64), Geometry(1024, 1024))
    for lacking, kept in ((2e-5, False), (-2e-5, True)):
        similarity = halves((0.3 - lacking, 0.0))
        presence = ConceptPresence(
            [Concept(torch.zeros(256), torch.zeros(256), 0.5)],
            [1],
            similarity,
            embedding,
            presence=0.6,
            rival_margin=0.02,
            area_tie_break=1e-4,
        )

        found = resolve_overlaps(patches, [1], embedding.geometry, hard_argmax, presence)

        assert bool((found == 1).any()) == kept


def test_a_mask_must_not_be_more_like_another_object() -> None:
    similarity = halves((0.5, 0.4), (0.35, 0.5))

    assert min(surplus(similarity, "left", "right")) > 0
    assert surplus(similarity, "right", "left") == [-0.08, -0.13]
