"""From the annotated frame to points on the next one; embeddings are made by hand so that the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from persam_vos.methods.persam.concept import Concept, learn_concept, mask_cells, update_concept
from persam_vos.methods.persam.similarity import attention_bias, location_prior, similarity_maps
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.geometry import Geometry


def embedding_of(features: Tensor, height: int = 480, width: int = 854) -> ImageEmbedding:
    return ImageEmbedding(features, Geometry(height, width))


def random_embedding(seed: int = 0, **size: int) -> ImageEmbedding:
    return embedding_of(torch.randn(256, 64, 64, generator=torch.Generator().manual_seed(seed)), **size)


@given(st.integers(0, 479), st.integers(0, 853))
def test_a_single_pixel_has_a_feature(y: int, x: int) -> None:
    """The authors' scripts average no cell at all here, and track NaN from then on."""
    mask = torch.zeros(480, 854, dtype=torch.bool)
    mask[y, x] = True

    concept = learn_concept([(random_embedding(), mask)], "mean")

    assert torch.isfinite(concept.target).all()
    assert float(concept.target.norm()) == pytest.approx(1)
    assert concept.similarity > 0.5


def test_cells_are_those_whose_middle_is_covered() -> None:
    mask = torch.zeros(1024, 1024, dtype=torch.bool)
    mask[16:48, 16:44] = True  # cells 1..2 down; across: one whole, and three quarters of the next
    mask[100:104, :] = True  # a thin line beside the middle of row 6

    cells = mask_cells(mask, random_embedding(height=1024, width=1024))

    assert cells.nonzero().tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]


def test_pooling() -> None:
    features = torch.zeros(256, 64, 64)
    features[:2, 0, 0] = torch.tensor([4.0, 0.0])
    features[:2, 0, 1] = torch.tensor([0.0, 2.0])
    mask = torch.zeros(1024, 1024, dtype=torch.bool)
    mask[:16, :32] = True
    embedding = embedding_of(features, 1024, 1024)

    mean, both = (learn_concept([(embedding, mask)], pooling) for pooling in ("mean", "max_mean"))

    assert mean.embedding[:2].tolist() == [2, 1]
    assert both.embedding[:2].tolist() == [3, 1.5]
    assert mean.target[:2].tolist() == pytest.approx([2 / 5**0.5, 1 / 5**0.5])
    assert mean.similarity == pytest.approx((2 / 5**0.5 + 1 / 5**0.5) / 2)


def test_the_target_moves_by_the_rate_and_keeps_its_length() -> None:
    old, new = (Concept(t, 2 * t, 0.9) for t in torch.eye(2))

    assert update_concept(old, new, 0.0).target.tolist() == [1, 0]
    assert update_concept(old, new, 1.0).target.tolist() == [0, 1]
    half = update_concept(old, new, 0.5)
    assert half.target.tolist() == pytest.approx([0.5**0.5, 0.5**0.5])
    assert half.embedding.tolist() == [1, 1]
    assert half.similarity == 0.9


def test_similarity_is_cosine_and_the_prior_finds_its_peak() -> None:
    embedding = random_embedding(1)
    cells = [(5, 40), (20, 3)]
    concepts = []
    for y, x in cells:
        feature = embedding.features[:, y, x]
        concepts.append(Concept(feature / feature.norm(), feature, 1.0))

    similarity = similarity_maps(concepts, embedding)
    points, labels = location_prior(similarity, embedding.geometry, positive=1, negative=2)

    assert similarity.shape == (2, 64, 64)
    assert float(similarity.abs().max()) <= 1 + 1e-5
    assert labels.tolist() == [[1, 0, 0], [1, 0, 0]]
    for i, (y, x) in enumerate(cells):
        assert float(similarity[i, y, x]) == pytest.approx(1, abs=1e-5)
        # The middle of a cell of 16 pixels of the square, in pixels of the frame.
        expected = np.array([x * 16 + 8, y * 16 + 8]) * 854 / 1024
        assert np.abs(points[i, 0].numpy() - expected).max() < 8


def test_the_padding_is_never_picked() -> None:
    similarity = torch.zeros(1, 64, 64)
    similarity[:, 40:] = 1.0  # 854 x 480 ends at row 36
    similarity[0, 10, 10] = 0.5

    points, _ = location_prior(similarity, Geometry(480, 854), positive=1, negative=0)

    assert np.abs(points[0, 0].numpy() - 168 * 854 / 1024).max() < 8


def test_each_object_is_looked_for_where_no_other_is_more_alike() -> None:
    similarity = torch.zeros(2, 64, 64)
    similarity[:, 10, 10] = torch.tensor([0.6, 0.5])
    similarity[1, 20, 20] = 0.3

    points, _ = location_prior(similarity, Geometry(1024, 1024), positive=1, negative=0)

    assert (points[:, 0] // 16).tolist() == [[10, 10], [20, 20]]


def test_an_object_that_is_outdone_everywhere_is_still_looked_for_at_its_peak() -> None:
    similarity = torch.zeros(2, 64, 64)
    similarity[0, 12, 30] = 0.5
    similarity[1] = similarity[0] - 0.01

    points, _ = location_prior(similarity, Geometry(480, 854), positive=1, negative=0)

    assert torch.equal(points[0], points[1])
    assert (points[0, 0] * 1024 / 854 // 16).tolist() == [30, 12]


def test_a_thin_ring_is_not_taken_for_its_middle() -> None:
    mask = torch.zeros(1024, 1024, dtype=torch.bool)
    mask[100, 100:900] = mask[899, 100:900] = True
    mask[100:900, 100] = mask[100:900, 899] = True

    cells = mask_cells(mask, random_embedding(height=1024, width=1024)).nonzero().tolist()

    assert all(6 in cell or 56 in cell for cell in cells), cells


def test_more_points_than_pixels() -> None:
    points, labels = location_prior(torch.rand(1, 64, 64), Geometry(1, 2), positive=8, negative=8)

    assert points.shape == (1, 4, 2)
    assert labels.tolist() == [[1, 1, 0, 0]]


def test_attention_is_drawn_to_the_target_and_never_to_the_padding() -> None:
    similarity = torch.rand(2, 64, 64, generator=torch.Generator().manual_seed(2))
    similarity[:, 36:] = 5.0
    similarity[:, 7, 9] = 3.0

    bias = attention_bias(similarity, Geometry(480, 854))

    assert bias.shape == (2, 64, 64)
    assert float(bias.min()) >= 0
    assert float(bias.max()) <= 1
    assert bias.flatten(1).argmax(dim=1).tolist() == [7 * 64 + 9] * 2
    assert bool((bias[:, 36:] == bias.amin(dim=(1, 2), keepdim=True)).all())


def test_a_flat_similarity_gives_no_nan() -> None:
    assert torch.isfinite(attention_bias(torch.ones(1, 64, 64), Geometry(64, 64))).all()
