"""In a window the decoder answers as segment-anything does for the crop."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.networks.mask_decoder import _upscaled_products, cells_to_maps
from persam_vos.sam.networks.sam import Sam
from persam_vos.sam.prompts import OUTSIDE_LOGIT, Prompts
from persam_vos.sam.regions import Region
from persam_vos.sam.windows import batches_of_one_size, windows_around


def test_the_decoder_without_padding_agrees_where_there_is_none(decoder: Decoder) -> None:
    features = 0.1 * torch.randn(256, 64, 64, generator=torch.Generator().manual_seed(0))
    prompts = Prompts(torch.tensor([[[500.0, 300.0]]]), torch.tensor([[1]]), torch.zeros(1, 256, 256))
    square, wide = (ImageEmbedding(features, Geometry(height, 1000)) for height in (1000, 562))

    plain = decoder.decode(square, prompts)
    same = decoder.decode(square, prompts, windows=[Region.at(0, 0, 64, 64)])
    cut = decoder.decode(wide, prompts, windows=[Region.at(0, 0, 36, 64)])

    torch.testing.assert_close(same.logits, plain.logits)
    assert cut.logits.shape == (1, 4, 256, 256)
    assert float(cut.logits[..., 144:, :].max()) == -20.0
    assert float(cut.logits[..., :144, :].max()) > -20.0


@given(height=st.integers(1, 2000), width=st.integers(1, 2000), box=st.tuples(*[st.floats(0, 1)] * 4))
def test_a_window_holds_its_object_and_stays_in_the_picture(height: int, width: int, box: tuple[float, ...]) -> None:
    geometry = Geometry(height, width)
    rows, columns = geometry.valid(64)
    x, y, u, v = box
    boxes = torch.tensor([[min(x, u) * width, min(y, v) * height, max(x, u) * width, max(y, v) * height]])

    (window,) = windows_around(boxes, geometry, 64)

    ((x0, y0, x1, y1),) = (geometry.boxes_to_input(boxes) / 16).tolist()
    for low, high, start, length, end in (
        (y0, y1, window.top, window.height, rows),
        (x0, x1, window.left, window.width, columns),
    ):
        assert 0 <= start <= start + length <= end
        # Its own size on either side, or 12 cells, to half a cell, or the picture's border.
        room = min(high - low, 12)
        assert start <= max(low - room + 0.51, 0)
        assert start + length >= min(high + room - 0.51, end)
        assert min(24, end) <= length <= high - low + 2 * room + 32
        assert length % 8 == 0 or length == end


@pytest.mark.parametrize("cells_at_once", [1, 65536])
def test_in_a_window_the_answer_is_that_of_segment_anything_for_the_crop(
    cells_at_once: int, sam: Sam, decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("persam_vos.sam.decoder.MAX_CELLS_AT_ONCE", {"cpu": cells_at_once})
    generator = torch.Generator().manual_seed(0)
    features = 0.1 * torch.randn(256, 64, 64, generator=generator)
    masks = torch.randn(3, 256, 256, generator=generator)
    embedding = ImageEmbedding(features, Geometry(562, 1000))
    points, labels = torch.tensor([[[500.0, 300.0]], [[100.0, 80.0]], [[9.0, 9.0]]]), torch.ones(3, 1, dtype=torch.int)
    windows = [Region.at(10, 20, 20, 24), Region.at(3, 0, 20, 24), Region.at(0, 0, 20, 28)]

    own = torch.randn(3, 2, decoder.token_size, generator=generator)
    upscaled: list[torch.Tensor] = []

    found = decoder.decode(embedding, Prompts(points, labels, masks), windows=windows, extra_tokens=own)

    sam.mask_decoder.output_upscaling.register_forward_hook(lambda *given: upscaled.append(given[2][0]))
    with torch.inference_mode():
        position = sam.prompt_encoder.get_dense_pe()
        for i, window in enumerate(windows):
            sparse, dense = sam.prompt_encoder(
                points=(embedding.geometry.points_to_input(points[i : i + 1]), labels[i : i + 1]),
                boxes=None,
                masks=masks[i : i + 1, None],
            )
            crop = (..., *window)
            expected, iou = sam.mask_decoder.predict_masks(features[crop][None], position[crop], sparse, dense[crop])
            torch.testing.assert_close(found.logits[i][(..., *window.scaled(4))], expected[0], rtol=1e-3, atol=1e-3)
            torch.testing.assert_close(found.predicted_iou[i], iou[0], rtol=1e-4, atol=1e-5)
            products = torch.einsum("kc,chw->khw", own[i], upscaled[i])
            torch.testing.assert_close(found.extra_logits[i][(..., *window.scaled(4))], products, rtol=1e-3, atol=1e-3)
            outside = found.logits[i].clone()
            outside[(..., *window.scaled(4))] = OUTSIDE_LOGIT
            assert bool((outside == OUTSIDE_LOGIT).all())


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), max_size=40), st.integers(1, 30))
def test_batches_hold_every_object_once_and_windows_of_one_size(sizes: list[tuple[int, int]], cells: int) -> None:
    windows = [Region.at(0, 0, rows, columns) for rows, columns in sizes]

    batches = list(batches_of_one_size(windows, cells))

    assert sorted(i for batch in batches for i in batch) == list(range(len(windows)))
    for batch in batches:
        rows, columns = sizes[batch[0]]
        assert len(batch) == 1 or len(batch) * rows * columns <= cells
        assert {sizes[i] for i in batch} == {(rows, columns)}


@pytest.mark.parametrize(("rows", "columns"), [(36, 64), (64, 36), (64, 64)])
def test_masks_are_upscaled_as_by_transposed_convolutions(rows: int, columns: int, sam: Sam) -> None:
    generator = torch.Generator().manual_seed(0)
    upscaling = sam.mask_decoder.output_upscaling
    cells = torch.randn(2, rows * columns, 256, generator=generator)
    masks = torch.randn(2, 4, 32, generator=generator)
    with torch.inference_mode():
        pictures = upscaling(cells.transpose(1, 2).unflatten(2, (rows, columns)))

        logits = cells_to_maps(_upscaled_products(upscaling, cells, masks), columns)

    torch.testing.assert_close(logits, torch.einsum("nmc,nchw->nmhw", masks, pictures), atol=1e-3, rtol=1e-4)
