"""Features of cells, and grids of cells over the padded square."""

from __future__ import annotations

import numpy as np
import torch
from pictures import frame_of

from persam_vos.sam.cells import cell_features, upsample_to_square
from persam_vos.sam.encoder import ImageEmbedding, SamEncoder
from persam_vos.sam.geometry import Geometry


def test_every_stage_has_the_same_weight_in_a_cell() -> None:
    generator = torch.Generator().manual_seed(0)
    neck, stage = (torch.randn(c, 64, 64, generator=generator) for c in (8, 4))
    embedding = ImageEmbedding(neck, Geometry(480, 854), (100 * stage[:, :36],))

    features = cell_features(embedding)

    assert features.shape == (36 * 64, 12)
    for block in (features[:, :8], features[:, 8:]):
        torch.testing.assert_close(block.norm(dim=1), torch.ones(36 * 64))
    row, column = 5, 7
    expected = stage[:, row, column]
    torch.testing.assert_close(features[row * 64 + column, 8:], expected / expected.norm())


def test_the_real_encoder_hands_out_its_stages(encoder: SamEncoder) -> None:
    embedding = encoder.encode([frame_of(np.zeros((90, 160, 3), np.uint8))])[0]

    assert [tuple(stage.shape) for stage in embedding.stages] == [(size, 36, 64) for size in (128, 160, 320)]
    assert cell_features(embedding).shape == (36 * 64, 864)


def test_a_grid_is_laid_onto_the_square_with_its_padding_apart() -> None:
    square = upsample_to_square(torch.ones(2, 36, 64), 256, 64, -20.0)

    assert square.shape == (2, 256, 256)
    assert torch.equal(square[:, :144], torch.ones(2, 144, 256))
    assert torch.equal(square[:, 144:], torch.full((2, 112, 256), -20.0))
