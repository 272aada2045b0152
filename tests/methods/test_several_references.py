"""Several references, with the shipped weights: what their order, number and sizes do, and which objects each shows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
import pytest
from fakes import FEWER_STEPS
from pictures import iou, scene

from persam_vos.masks import LabelMap, Rgb
from persam_vos.media.frame import untimed_frame
from persam_vos.photos.finder import PhotoFinder
from persam_vos.results import FrameResult
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import SamEncoder
from persam_vos.settings.photos import PhotoSettings

FASTER = {"memory": {}, "persam": {}, "persam-f": FEWER_STEPS}
# A mask that rounding has moved differs in some pixels of its edge.
ROUNDING = 0.99

Photo = tuple[Rgb, LabelMap]


@cache
def photo(*places: tuple[int, int] | None) -> Photo:
    """The cat and the cup over a meadow; see ``scene``."""
    return scene(places)


def cat_of(shown: Photo) -> Photo:
    """The same photo with the cat alone marked."""
    return shown[0], np.where(shown[1] == 1, np.uint8(1), np.uint8(0))


ONE, OTHER, TEST = photo((60, 80), (300, 100)), photo((250, 20), (60, 130)), photo((330, 120), (90, 60))


@pytest.fixture(params=FASTER)
def finder(request: pytest.FixtureRequest, encoder: SamEncoder, decoder: Decoder) -> PhotoFinder:
    return PhotoFinder.from_parts(encoder, decoder, PhotoSettings(method=request.param, **FASTER[request.param]))


def find(finder: PhotoFinder, references: Sequence[Photo], rgb: Rgb = TEST[0]) -> FrameResult:
    finder.learn(references)
    return finder.find(untimed_frame(rgb))


def assert_the_same(one: FrameResult, other: FrameResult) -> None:
    assert iou(one.label_map == 1, other.label_map == 1) > ROUNDING
    assert one.objects[0].similarity == pytest.approx(other.objects[0].similarity, abs=1e-3)


@pytest.mark.cuda
def test_their_order_does_not_matter(finder: PhotoFinder) -> None:
    references = [cat_of(ONE), cat_of(OTHER)]

    assert_the_same(find(finder, references), find(finder, references[::-1]))


def test_the_same_twice_says_nothing_new(finder: PhotoFinder) -> None:
    """Not even of what is usual, although every cell has its like in the other one."""
    assert_the_same(find(finder, [cat_of(ONE)]), find(finder, [cat_of(ONE), cat_of(ONE)]))


@pytest.mark.cuda
def test_an_object_that_only_one_of_them_shows_is_found(finder: PhotoFinder) -> None:
    references = [photo((60, 80), None), photo(None, (60, 130))]

    found = find(finder, references).label_map

    assert iou(found == 1, TEST[1] == 1) > 0.8
    assert iou(found == 2, TEST[1] == 2) > 0.8


def test_they_may_differ_in_size_and_orientation(finder: PhotoFinder) -> None:
    rgb, labels = cat_of(OTHER)
    upright = np.ascontiguousarray(rgb[:, 150:400]), np.ascontiguousarray(labels[:, 150:400])
    larger = cv2.resize(upright[0], (500, 540)), cv2.resize(upright[1], (500, 540), interpolation=cv2.INTER_NEAREST)

    found = find(finder, [cat_of(ONE), larger]).label_map

    assert iou(found == 1, TEST[1] == 1) > 0.8


def test_one_more_does_no_harm(finder: PhotoFinder) -> None:
    truth = TEST[1] == 1

    alone = find(finder, [cat_of(ONE)]).label_map == 1
    both = find(finder, [cat_of(ONE), cat_of(OTHER)]).label_map == 1

    assert iou(both, truth) > iou(alone, truth) - 0.01
