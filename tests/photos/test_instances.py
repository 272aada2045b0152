"""All instances of an object: the search with a method that says what it is told to, then with the shipped weights."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np
import pytest
import torch
from pictures import cut_outs, frame_of, scene

from persam_vos.masks import LabelMap
from persam_vos.media.frame import Frame, untimed_frame
from persam_vos.methods.base import Proposal
from persam_vos.methods.competition import mean_similarity
from persam_vos.methods.memory.pieces import keep_most_similar_pieces
from persam_vos.methods.memory.separation import largest_component
from persam_vos.methods.score import Calibration, Evidence
from persam_vos.photos import instances
from persam_vos.photos.finder import PhotoFinder, find_objects
from persam_vos.photos.instances import find_instances
from persam_vos.results import FrameResult
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.patches import Patch
from persam_vos.sam.regions import Region
from persam_vos.settings.photos import PhotoSettings

SIDE = 64
EVERYWHERE = Region.whole(SIDE, SIDE)
FAST = {"backend": "torch", "precision": "float32", "mask_token": False, "passes": 1}


def evidence_of(similarity: torch.Tensor) -> Evidence:
    return Evidence({"similarity": similarity}, Calibration(0.0, {"similarity": 1.0}))


class Script:
    """A method that sees boxes, each as (rows, columns, similarity), one after the other, where nothing hides them."""

    reference_similarity, instance_size = torch.ones(1), None

    def __init__(self, *boxes: tuple[slice, slice, float]) -> None:
        self.boxes = boxes
        self.looks: list[tuple[torch.Tensor | None, torch.Tensor | None]] = []

    def learn(self, references: Sequence[object], object_ids: Sequence[int], /) -> None:
        pass

    def look(self, frame: Frame, embedding: ImageEmbedding, *, occupied=None, ignored=None) -> Proposal:
        self.looks.append((occupied, ignored))
        nothing = torch.zeros(SIDE, SIDE, dtype=torch.bool)
        hidden = (nothing if occupied is None else occupied) | (nothing if ignored is None else ignored)
        hidden |= torch.from_numpy((frame.rgb == 0).all(axis=2))
        for y, x, similarity in self.boxes:
            if hidden[y, x].float().mean() < 0.9:
                mask, place = nothing.clone(), nothing.clone()
                mask[y, x], place[y, x] = True, True
                logits = torch.where(mask, 8.0, -8.0)
                similarity_of = partial(mean_similarity, torch.full((1, SIDE, SIDE), similarity))
                return Proposal([Patch(EVERYWHERE, logits)], similarity_of, evidence_of, place)
        logits = torch.full((SIDE, SIDE), -8.0)
        similarity_of = partial(mean_similarity, torch.zeros(1, SIDE, SIDE))
        return Proposal([Patch(EVERYWHERE, logits)], similarity_of, evidence_of, nothing)

    def settle(self, label_map, object_ids, similarity, proposal, embedding, /) -> torch.Tensor:
        return similarity

    def single_instance(self, mask: torch.Tensor, /) -> torch.Tensor:
        return mask


class Nobody:
    """An encoder of photos for which no embedding is needed."""

    def encode(self, frames: Sequence[Frame]) -> list[ImageEmbedding]:
        return [ImageEmbedding(torch.zeros(1, SIDE, SIDE), Geometry(f.height, f.width, 1024)) for f in frames]


def search(method: Script, **settings: object) -> tuple[LabelMap, int]:
    frame = untimed_frame(np.full((SIDE, SIDE, 3), 99, np.uint8))
    found = find_instances(
        method,
        Nobody(),
        frame,
        Nobody().encode([frame])[0],
        PhotoSettings(all_instances=True, presence=0.5, **settings),
    )
    assert len(found.similarity) == len(found.score) == found.label_map.max()
    return found.label_map, len(found.similarity)


A, B, C = np.s_[4:20, 4:20], np.s_[4:20, 40:60], np.s_[40:60, 4:20]


@pytest.mark.parametrize("erase", ["similarity", "pixels"])
def test_instances_have_their_ids_in_the_order_found(erase: str) -> None:
    labels, count = search(Script((*B, 0.9), (*A, 0.8), (*C, 0.7)), erase=erase)

    assert count == 3
    assert [int(labels[each].min()) for each in (B, A, C)] == [1, 2, 3]
    assert (labels > 0).sum() == sum(labels[each].size for each in (A, B, C))


def test_what_is_refused_does_not_end_the_search() -> None:
    method = Script((*A, 0.9), (*B, 0.1), (*C, 0.8))

    labels, count = search(method)

    assert count == 2
    assert not labels[B].any()
    assert (labels[C] == 2).all()
    assert method.looks[-1][1][B].all()  # put ignored


def test_after_many_refusals_in_a_row_it_ends() -> None:
    strips = [(slice(8 * i, 8 * i + 6), slice(0, 30), 0.1) for i in range(7)]
    method = Script(*strips, (*B, 0.9))

    labels, count = search(method)

    assert (count, len(method.looks)) == (0, 4)
    assert not labels.any()


@pytest.mark.parametrize("most", [1, 2])
def test_no_more_than_asked_for(most: int) -> None:
    method = Script((*A, 0.9), (*B, 0.9), (*C, 0.9))

    assert search(method, max_objects=most)[1] == most
    assert len(method.looks) == most


@pytest.mark.parametrize(("threshold", "count"), [(0.3, 1), (0.6, 2)])
@pytest.mark.parametrize("erase", ["similarity", "pixels"])
def test_what_overlaps_too_much_was_found_before(threshold: float, count: int, erase: str) -> None:
    over = (slice(4, 20), slice(12, 28))  # half of it is A
    labels, found = search(Script((*A, 0.9), (*over, 0.9)), iou_threshold=threshold, erase=erase)

    assert found == count
    assert (labels[A] == 1).all()  # whoever was first keeps it


def test_nothing_likely_is_nothing_found() -> None:
    method = Script()

    assert search(method)[1] == 0
    assert len(method.looks) == 1


# With the shipped weights.


@pytest.fixture(scope="module")
def finder(encoder, decoder) -> PhotoFinder:
    """Knows the cat, from a photo that shows the cup as well."""
    found = PhotoFinder.from_parts(encoder, decoder, PhotoSettings(all_instances=True, **FAST))
    rgb, labels = scene([(60, 80), (300, 100)])
    found.learn([(rgb, (labels == 1).astype(np.uint8))])
    return found


def herd(*places: tuple[int, int]) -> tuple[np.ndarray, LabelMap]:
    """Cats over a meadow, with the cup beside them; label map of the cats, later ones in front."""
    rgb, labels = scene([None, (350, 140)])
    labels[:] = 0
    picture, mask = cut_outs()[0]
    for number, (x, y) in enumerate(places, start=1):
        part = np.s_[y : y + mask.shape[0], x : x + mask.shape[1]]
        rgb[part][mask], labels[part][mask] = picture[mask], number
    return rgb, labels


def best_ious(result: FrameResult, truth: LabelMap) -> list[float]:
    """Return, of each true instance, the IoU of the best one found."""
    found = result.label_map
    ious = [
        [
            float(((found == k) & (truth == n)).sum() / ((found == k) | (truth == n)).sum())
            for k in np.unique(found)
            if k
        ]
        for n in np.unique(truth)
        if n
    ]
    return [max(each, default=0.0) for each in ious]


def test_all_are_found_and_the_cup_is_not(finder: PhotoFinder) -> None:
    rgb, truth = herd((10, 20), (150, 130), (280, 10))

    result = finder.find(untimed_frame(rgb))

    assert min(best_ious(result, truth)) > 0.8
    assert [entry.id for entry in result.objects] == [1, 2, 3]
    assert all(entry.present for entry in result.objects)


def test_neighbours_less_than_a_cell_apart_are_two(finder: PhotoFinder) -> None:
    rgb, truth = herd((60, 60), (174, 60))

    assert min(best_ious(finder.find(untimed_frame(rgb)), truth)) > 0.7


def test_none_there_none_found(finder: PhotoFinder) -> None:
    result = finder.find(frame_of(herd()[0]))

    assert result.objects == ()
    assert not result.label_map.any()


def test_twice_the_same_result(finder: PhotoFinder) -> None:
    rgb, _ = herd((10, 20), (150, 130))

    first, second = (finder.find(untimed_frame(rgb)) for _ in range(2))

    assert np.array_equal(first.label_map, second.label_map)
    assert first.objects == second.objects


class TestSeparation:
    def test_the_part_that_is_most_of_the_object(self) -> None:
        prior = torch.zeros(8, 8)
        prior[1:4, 1:3], prior[5:8, 4:8] = 0.9, 0.8

        assert largest_component(prior, min_cells=6).nonzero().amin(dim=0).tolist() == [5, 4]
        assert not largest_component(torch.full((8, 8), 0.5), min_cells=6).any()

    def test_specks_are_nothing(self) -> None:
        prior = torch.zeros(8, 8)
        prior[1:3, 1:3], prior[6, 6] = 0.9, 0.9

        assert not largest_component(prior, min_cells=6).any()


class Halves(Script):
    """A method that has seen one mask in two pieces, and knows how like the object either is, and both."""

    def settle(self, label_map, object_ids, similarity, proposal, embedding, /) -> torch.Tensor:
        return keep_most_similar_pieces(label_map, object_ids, similarity, proposal, embedding, 0.3)

    def __init__(self, pieces: tuple[float, float], both: float) -> None:
        super().__init__()
        self.pieces, self.both = pieces, both

    def look(self, frame: Frame, embedding: ImageEmbedding, *, occupied=None, ignored=None) -> Proposal:
        logits = torch.full((SIDE, SIDE), -8.0)
        logits[A], logits[C] = 8.0, 8.0

        def similarity_of(coverage: torch.Tensor) -> torch.Tensor:
            top, bottom = (bool(coverage[0][rows].any()) for rows in (slice(0, 30), slice(35, 64)))
            return torch.tensor([self.both if top and bottom else self.pieces[0 if top else 1]])

        return Proposal([Patch(EVERYWHERE, logits)], similarity_of, evidence_of)


@pytest.mark.parametrize(
    ("pieces", "both", "left"),
    [((0.9, 0.8), 0.85, [A]), ((0.7, 0.9), 0.85, [C]), ((0.7, 0.6), 0.8, [A, C])],
)
def test_one_thing_is_found_where_one_is_looked_for(
    pieces: tuple[float, float], both: float, left: list[tuple[slice, slice]]
) -> None:
    """Two things alike are not one; two halves of a thing that something hides are."""
    frame = untimed_frame(np.full((SIDE, SIDE, 3), 99, np.uint8))

    found = find_objects(Halves(pieces, both), frame, Nobody().encode([frame])[0], [1], 0.5)

    assert (found.label_map > 0).sum() == sum(found.label_map[each].size for each in left)
    assert all(found.label_map[each].all() for each in left)
    assert float(found.similarity[0]) == pytest.approx(max(*pieces) if len(left) == 1 else both)


def test_what_is_mostly_within_others_is_left_over_from_them() -> None:
    inner = np.s_[24:40, 24:40]
    ring = [(slice(4, 24), slice(4, 60), 0.9), (slice(24, 60), slice(4, 24), 0.9), (slice(24, 60), slice(40, 60), 0.9)]

    labels, count = search(Script(*ring, (*inner, 0.9)))

    assert count == 3
    assert not labels[inner].any()


def small_cats(scale: float) -> tuple[np.ndarray, list[np.ndarray]]:
    """Two cats so much smaller than the reference shows one, on its meadow."""
    rgb, _ = scene([None, None])
    picture, mask = cut_outs()[0]
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool)
    truths = []
    for x, y in ((60, 50), (330, 150)):
        truth = np.zeros(rgb.shape[:2], bool)
        truth[y : y + size[1], x : x + size[0]] = mask
        rgb[truth] = picture[mask]
        truths.append(truth)
    return rgb, truths


def test_small_instances_are_looked_at_more_closely(encoder, decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    rgb, truths = small_cats(0.3)
    finder = PhotoFinder.from_parts(encoder, decoder, PhotoSettings(all_instances=True, **FAST))
    reference, labels = scene([(60, 80), None])
    finder.learn([(reference, labels)])

    def best() -> list[float]:
        found = finder.find(untimed_frame(rgb)).label_map
        ious = [[float((t & (found == n)).sum() / (t | (found == n)).sum()) for n in range(1, 255)] for t in truths]
        return [max(each) for each in ious]

    closely = best()
    monkeypatch.setattr(instances, "_part_to_enlarge", lambda *_: None)
    as_it_is = best()

    assert min(closely) > 0.8
    assert min(as_it_is) < min(closely) - 0.1
