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

# At least one object is decoded at once. The cells of a whole picture fill a CPU's caches and more run slower, while
# small windows run up to twice as fast together.
MAX_CELLS_AT_ONCE = {"cpu": 2304, "cuda": 16 * 4096}


class Decoder:
    """SAM's prompt encoder and mask decoder.

    Attributes:
        dtype: In which PyTorch computes cells; inputs and outputs are float32.
        precision: ``float32`` or ``bfloat16``, without guidance.
        guided_precision: The same with guidance, which always runs in PyTorch.
    """

    def __init__(self, sam: Sam, dtype: torch.dtype = torch.float32, backend: MaskDecoderBackend | None = None) -> None:
        """Take the networks, and what runs the mask decoder without guidance; None for PyTorch."""
        self.dtype = dtype
        self._prompt_encoder = sam.prompt_encoder
        self._guided = TorchMaskDecoderBackend(MaskDecoderNetwork(sam, dtype))
        self._backend = backend or self._guided
        self.precision, self.guided_precision = self._backend.precision, self._guided.precision
        with torch.inference_mode():
            # Channels-last in memory, like embeddings.
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
        """Predict mask candidates from prompts.

        Args:
            embedding: Embedding of the frame.
            prompts: Prompts of N objects, at least 1.
            guidance: PerSAM's guidance for the same N objects; None for none.
            windows: N regions of cells to which each object's candidates are confined, see ``windows_around``; None for
                the whole square with its padding, as SAM was trained, which needs an embedding of the whole square.
            extra_tokens: float, N x K x ``token_size``: mask tokens beside SAM's four; None for K = 0.
            blocked: bool, 256 x 256 over the padded square: where no candidate may lie, as outside a window.
        """
        cells = embedding.cells
        tokens = self._embed_points(embedding, prompts)
        windows = windows or [Region.whole(cells, cells)] * len(tokens)
        extra_tokens = tokens.new_zeros(len(tokens), 0, self.token_size) if extra_tokens is None else extra_tokens
        logits = tokens.new_full((len(tokens), 4 + extra_tokens.shape[1], 4 * cells, 4 * cells), OUTSIDE_LOGIT)
        predicted_iou = tokens.new_zeros(len(tokens), 4)
        for batch in batches_of_one_size(windows, MAX_CELLS_AT_ONCE[tokens.device.type]):
            placed = [windows[i] for i in batch]
            given = embedding, tokens[batch], extra_tokens[batch], prompts, guidance
            maps, predicted_iou[batch] = self._decode_batch(*given, batch, placed)
            for i, window, of_one in zip(batch, placed, maps, strict=True):
                logits[i][(..., *window.scaled(SAMPLES_PER_CELL_SIDE))] = of_one
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
        """Decode the objects whose indices are ``batch``, each in its window; all windows have one size."""

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
        inputs = DecoderInput(cells(embedding.features), cells(position), tokens, extra_tokens, mask_logits)
        if guidance is None:
            products, predicted_iou = self._backend.decode(inputs)
        else:
            bias = None if guidance.attention is None else cut(guidance.attention).flatten(1)[:, None]
            target = None if guidance.target is None else guidance.target[batch, None]
            products, predicted_iou = self._guided.decode(inputs, bias=bias, target=target)
        return cells_to_maps(products, windows[0].width).float(), predicted_iou

    def _embed_points(self, embedding: ImageEmbedding, prompts: Prompts) -> Tensor:
        """Return SAM's sparse embeddings, N x P x C, with a padding point more if no prompt has a box."""
        encoder = self._prompt_encoder
        points, labels = prompts.points, prompts.labels
        if not bool((labels == TOP_LEFT).any()):
            points = torch.cat([points, points.new_zeros(len(points), 1, 2)], dim=1)
            labels = torch.cat([labels, labels.new_full((len(labels), 1), PADDING)], dim=1)
        # SAM addresses pixel centres.
        located = encoder.pe_layer.forward_with_coords(
            embedding.geometry.points_to_input(points) + 0.5, encoder.input_image_size
        )
        kinds = torch.cat([encoder.not_a_point_embed.weight, *(e.weight for e in encoder.point_embeddings)])
        embedded: Tensor = torch.where(labels[..., None] == PADDING, 0.0, located) + kinds[labels + 1]
        return embedded
