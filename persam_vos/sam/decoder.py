"""Prompts and an embedding become mask candidates: SAM's prompt encoder and mask decoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.networks.mask_decoder import (
    DecoderInput,
    MaskDecoderBackend,
    MaskDecoderNetwork,
    TorchMaskDecoderBackend,
    cells_to_maps,
    maps_to_cells,
)
from persam_vos.sam.networks.sam import Sam
from persam_vos.sam.networks.sizes import EMBEDDING_CHANNELS, SAMPLES_PER_CELL_SIDE
from persam_vos.sam.prompts import OUTSIDE_LOGIT, PADDING, TOP_LEFT, Candidates, Guidance, Prompts
from persam_vos.sam.regions import Region
from persam_vos.sam.windows import batches_of_one_size

# Cells that are decoded at once, but one object at least: what a whole picture's cells need fills a CPU's caches, and
# more of them run slower there; small windows together are up to twice as fast.
_CELLS_AT_ONCE = {"cpu": 2304, "cuda": 16 * 4096}


class Decoder:
    """SAM's prompt encoder and mask decoder.

    Attributes:
        dtype: In which PyTorch computes cells; what goes in and comes out is float32.
        precision: Of what answers without guidance.
        guided_precision: Of what answers with it.
    """

    def __init__(self, sam: Sam, dtype: torch.dtype = torch.float32, backend: MaskDecoderBackend | None = None) -> None:
        """Take the networks, and what runs the mask decoder where PerSAM does not guide it; None for PyTorch."""
        self.dtype = dtype
        self._prompt_encoder = sam.prompt_encoder
        self._guided = TorchMaskDecoderBackend(MaskDecoderNetwork(sam, dtype))
        self._backend = backend or self._guided
        self.precision, self.guided_precision = self._backend.precision, self._guided.precision
        with torch.inference_mode():
            # In memory the numbers of a cell lie side by side, as those of an embedding.
            position = self._prompt_encoder.get_dense_pe().contiguous(memory_format=torch.channels_last)[0]
            self._guided_position = position.to(dtype)
            self._position = position if backend else self._guided_position

    def warm_up(self) -> None:
        """Load what the next call needs, unless it is loaded already."""
        self._backend.warm_up()

    @property
    def token_size(self) -> int:
        """Length of a mask token."""
        return EMBEDDING_CHANNELS // 8

    @torch.inference_mode()
    def decode(
        self,
        embedding: ImageEmbedding,
        prompts: Prompts,
        guidance: Guidance | None = None,
        *,
        windows: Sequence[Region] | None = None,
        extra_tokens: Tensor | None = None,
        blocked: Tensor | None = None,
    ) -> Candidates:
        """Answer the prompts of all objects.

        Args:
            embedding: Of the frame.
            prompts: Of N objects, at least 1.
            guidance: Of the same N objects, or None.
            windows: N parts of the picture to which each object's answer is confined, see ``windows_around``; None for
                the whole square, with its padding, as SAM was trained. That needs an embedding of the whole square.
            extra_tokens: float, N x K x ``token_size``: mask tokens beside SAM's four; None for K = 0.
            blocked: bool, 256 x 256 over the padded square: where no candidate may lie, as outside a window.
        """
        cells = embedding.cells
        tokens = self._embed_points(embedding, prompts)
        windows = windows or [Region.whole(cells, cells)] * len(tokens)
        extra_tokens = tokens.new_zeros(len(tokens), 0, self.token_size) if extra_tokens is None else extra_tokens
        logits = tokens.new_full((len(tokens), 4 + extra_tokens.shape[1], 4 * cells, 4 * cells), OUTSIDE_LOGIT)
        predicted_iou = tokens.new_zeros(len(tokens), 4)
        for batch in batches_of_one_size(windows, _CELLS_AT_ONCE[tokens.device.type]):
            placed = [windows[i] for i in batch]
            asked = embedding, tokens[batch], extra_tokens[batch], prompts, guidance
            answers, predicted_iou[batch] = self._decode_batch(*asked, batch, placed)
            for i, window, answer in zip(batch, placed, answers, strict=True):
                logits[i][(..., *window.scaled(SAMPLES_PER_CELL_SIDE))] = answer
        if blocked is not None:
            logits[:, :4].masked_fill_(blocked, OUTSIDE_LOGIT)
        return Candidates(logits[:, :4], predicted_iou, logits[:, 4:])

    def _decode_batch(
        self,
        embedding: ImageEmbedding,
        tokens: Tensor,
        extra_tokens: Tensor,
        prompts: Prompts,
        guidance: Guidance | None,
        batch: Sequence[int],
        windows: Sequence[Region],
    ) -> tuple[Tensor, Tensor]:
        """Answer the prompts of the objects in ``batch``, each in its window, all of one size."""

        def cut(grids: Tensor, scale: int = 1) -> Tensor:
            return torch.stack(
                [grids[i][(..., *window.scaled(scale))] for i, window in zip(batch, windows, strict=True)]
            )

        def cells(grid: Tensor) -> Tensor:
            parts = [grid.permute(1, 2, 0)[window] for window in windows]
            return (torch.stack(parts) if parts[1:] else parts[0][None]).flatten(1, 2)

        mask_logits = (
            None if prompts.mask_logits is None else maps_to_cells(cut(prompts.mask_logits, SAMPLES_PER_CELL_SIDE))
        )
        position = self._position if guidance is None else self._guided_position
        question = DecoderInput(cells(embedding.features), cells(position), tokens, extra_tokens, mask_logits)
        if guidance is None:
            products, predicted_iou = self._backend.answer(question)
        else:
            bias = None if guidance.attention is None else cut(guidance.attention).flatten(1)[:, None]
            target = None if guidance.target is None else guidance.target[batch, None]
            products, predicted_iou = self._guided.answer(question, bias=bias, target=target)
        return cells_to_maps(products, windows[0].width).float(), predicted_iou

    def _embed_points(self, embedding: ImageEmbedding, prompts: Prompts) -> Tensor:
        """Sparse embeddings, N x (P + 1 if there is no box) x C, as SAM's prompt encoder makes them."""
        encoder = self._prompt_encoder
        points, labels = prompts.points, prompts.labels
        if not bool((labels == TOP_LEFT).any()):
            points = torch.cat([points, points.new_zeros(len(points), 1, 2)], dim=1)
            labels = torch.cat([labels, labels.new_full((len(labels), 1), PADDING)], dim=1)
        # SAM addresses the middle of a pixel.
        located = encoder.pe_layer.forward_with_coords(
            embedding.geometry.points_to_input(points) + 0.5, encoder.input_image_size
        )
        kinds = torch.cat([encoder.not_a_point_embed.weight, *(e.weight for e in encoder.point_embeddings)])
        embedded: Tensor = torch.where(labels[..., None] == PADDING, 0.0, located) + kinds[labels + 1]
        return embedded
