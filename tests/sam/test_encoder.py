"""Frames of any size are encoded with a margin, and share nothing but the batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pictures import frame_of

from persam_vos.media.frame import Frame
from persam_vos.sam.backends import TorchEncoderBackend
from persam_vos.sam.encoder import ImageEmbedding, SamEncoder
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.networks.sam import Sam
from persam_vos.sam.networks.tiny_vit import encoded_length


def blocks(embedding: ImageEmbedding) -> Sequence[torch.Tensor]:
    return embedding.features, *embedding.stages


@pytest.mark.parametrize("turned", [False, True])
def test_a_picture_leaves_nothing_to_the_next_one_in_its_place(sam: Sam, wide: Frame, turned: bool) -> None:
    """Of a little less height, but encoded in as much of the square."""
    high, less_high = (
        frame_of(rgb.swapaxes(0, 1) if turned else rgb) for rgb in (wide.rgb, np.ascontiguousarray(wide.rgb[:-2]))
    )
    (expected,) = SamEncoder(sam, TorchEncoderBackend(sam)).encode([less_high])
    encoder = SamEncoder(sam, TorchEncoderBackend(sam))

    encoder.encode([high])
    (found,) = encoder.encode([less_high])

    for one, other in zip(blocks(found), blocks(expected), strict=True):
        assert torch.equal(one, other)


@given(st.integers(1, 1024))
def test_whole_cells_and_a_margin_are_encoded(length: int) -> None:
    found = encoded_length(length)

    assert found % 16 == 0
    assert found == 1024 or 144 <= found - length < 160
    assert found >= length


@pytest.mark.parametrize("shape", [(270, 480), (480, 270), (300, 300)])
def test_the_padding_that_is_left_out_changes_little(shape: tuple[int, int], sam: Sam) -> None:
    from skimage import data

    frame = frame_of(data.astronaut()[: shape[0], : shape[1]])
    rows, columns = Geometry(*shape).valid(64)
    backend = TorchEncoderBackend(sam)

    (square,) = SamEncoder(sam, backend, square=True).encode([frame])
    (picture,) = SamEncoder(sam, backend).encode([frame])

    for whole, part in zip(blocks(square), blocks(picture), strict=True):
        assert part.shape == whole.shape
        fine = whole.shape[2] // columns
        inside = np.s_[:, : rows * fine, : columns * fine]
        assert float(torch.cosine_similarity(whole[inside], part[inside], dim=0).mean()) > 0.98
    if rows < 42:
        assert not picture.features[:, 49:].any()
    assert torch.equal(square.features, picture.features) == (shape[0] == shape[1])


def test_frames_of_any_sizes_share_a_batch(sam: Sam, wide: Frame) -> None:
    encoder = SamEncoder(sam, TorchEncoderBackend(sam), square=True)
    square = frame_of(np.full((64, 64, 3), 90, np.uint8))
    (alone,) = encoder.encode([square])

    first, second = encoder.encode([square, wide])

    torch.testing.assert_close(first.features, alone.features, atol=1e-3, rtol=0)
    assert (second.geometry.height, second.geometry.width) == wide.rgb.shape[:2]
