"""How like an object a mask is: of its cells and of the object's, on cells that are made up."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from persam_vos.methods.memory.bidirectional import BidirectionalSimilarity
from persam_vos.settings.photos import PhotoSettings

SIDE = 6
# Two kinds of cells of the object, and one of everything else.
KINDS = functional.normalize(torch.eye(3, 8) + 0.05, dim=1)


def mask_cells(kinds: Tensor) -> Tensor:
    """Cells, 36 x 8, a little different from each other, of the kinds that a grid names."""
    noise = torch.randn(SIDE * SIDE, 8, generator=torch.Generator().manual_seed(1))
    return KINDS[kinds.flatten()] + 0.02 * noise


def grid(*rows: str) -> Tensor:
    return torch.tensor([[int(each) for each in row] for row in rows])


# The object has a half of kind 0 and a half of kind 1.
OBJECT = grid("222222", "200222", "200222", "211222", "211222", "222222")
# Of two things, one shows all of the object, the other nothing but kind 0.
PHOTO = grid("200200", "200200", "200200", "211200", "211200", "211200")


def learnt(*grids: Tensor) -> BidirectionalSimilarity:
    coverage = [(each.flatten() < 2).float()[None] for each in grids]
    return BidirectionalSimilarity.learn([mask_cells(each) for each in grids], coverage, PhotoSettings())


def like(similarity: BidirectionalSimilarity, *masks: Tensor) -> Tensor:
    cells = mask_cells(PHOTO)
    nearest = similarity.nearest(cells)
    return torch.stack([similarity.of_masks(cells, nearest, mask.float()[None])[0] for mask in masks])


def test_what_has_all_of_the_object_is_more_like_it_than_what_has_some() -> None:
    whole, half = torch.zeros(SIDE, SIDE, dtype=torch.bool), torch.zeros(SIDE, SIDE, dtype=torch.bool)
    whole[:, 1:3], half[:, 4:] = True, PHOTO[:, 4:] == 0
    speck = torch.zeros_like(whole)
    speck[0, 4] = True

    found = like(learnt(OBJECT), whole, half, speck)

    assert found[0] > 0.95
    assert found[0] - found[1] > 0.2
    assert found[0] - found[2] > 0.2


def test_other_things_are_not_like_it() -> None:
    background = PHOTO == 2

    assert like(learnt(OBJECT), background)[0] < 0.4


def test_where_there_is_no_mask_there_is_no_similarity() -> None:
    assert like(learnt(OBJECT), torch.zeros(SIDE, SIDE, dtype=torch.bool)).isnan().all()


def test_of_several_references_the_one_that_is_shown_counts() -> None:
    """A view of one side alone makes no photo of another side less like the object."""
    side = grid("222222", "200222", "200222", "200222", "200222", "222222")
    half = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    half[:, 4:] = PHOTO[:, 4:] == 0

    alone, with_side = like(learnt(OBJECT), half)[0], like(learnt(OBJECT, side), half)[0]

    assert with_side > alone + 0.2


@pytest.mark.parametrize("cells", [1, 3])
def test_of_few_cells_nobody_knows_what_is_usual(cells: int) -> None:
    """One cell has no other to be like, and what was measured of three meant nothing."""
    few = torch.full((SIDE, SIDE), 2)
    few.view(-1)[7 : 7 + cells] = 0

    assert learnt(few).within_reference.tolist() == [pytest.approx(0.6)]
    assert learnt(few, OBJECT).within_reference.tolist() == learnt(OBJECT).within_reference.tolist()
    assert learnt(OBJECT).within_reference[0] > 0.9
