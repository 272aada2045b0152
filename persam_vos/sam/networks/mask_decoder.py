"""SAM's mask prompt encoder and mask decoder on chosen cells, rearranged for speed; in float32 equal up to rounding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from persam_vos.sam.networks.sam import Sam


@dataclass(frozen=True, slots=True)
class DecoderInput:
    """Inputs of the mask decoder for N objects, each with hw cells of its own.

    All are float32, except that ``position`` may have the dtype that cells are computed in.

    Attributes:
        cells: N x hw x C, the embedding.
        position: N x hw x C, the positional encoding of the cells.
        prompts: N x P x C, embedded points and boxes.
        extra_tokens: N x K x C / 8, mask tokens beside SAM's four.
        mask_logits: N x hw x 4 x 4, the mask prompt cell by cell; None for none.
    """

    cells: Tensor
    position: Tensor
    prompts: Tensor
    extra_tokens: Tensor
    mask_logits: Tensor | None = None


class MaskDecoderBackend(Protocol):
    """Anything that runs the mask decoder without PerSAM's guidance.

    Attributes:
        precision: ``float32`` or ``bfloat16``, in which the cells are computed and perhaps the tokens.
    """

    precision: str

    def decode(self, inputs: DecoderInput, /) -> tuple[Tensor, Tensor]:
        """Decode N objects.

        Returns:
            float, N x 16 hw x (4 + K): SAM's logits, then the products with ``extra_tokens``; the 16 samples of a cell
            are consecutive, see ``cells_to_maps``. float, N x 4: predicted IoUs.
        """
        ...

    def warm_up(self) -> None:
        """Load what the next call needs, unless it is loaded already."""
        ...


class MaskDecoderNetwork(nn.Module):
    """The network, with the weights of a SAM.

    Cells are most of the work and may be computed in bfloat16. The few tokens stay float32, because PyTorch is slow at
    such small bfloat16 products.
    """

    def __init__(self, sam: Sam, dtype: torch.dtype = torch.float32) -> None:
        """Take the networks, and the dtype that cells are computed in."""
        super().__init__()
        self.dtype = dtype
        self.downscaling = sam.prompt_encoder.mask_downscaling
        self.no_mask = sam.prompt_encoder.no_mask_embed
        self.network = sam.mask_decoder

    def forward(
        self,
        cells: Tensor,
        position: Tensor,
        prompts: Tensor,
        extra_tokens: Tensor,
        mask_logits: Tensor | None = None,
        bias: Tensor | None = None,
        target: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Decode N objects; for the result see ``MaskDecoderBackend.decode``.

        Args:
            cells: As in ``DecoderInput``.
            position: As in ``DecoderInput``.
            prompts: As in ``DecoderInput``.
            extra_tokens: As in ``DecoderInput``.
            mask_logits: As in ``DecoderInput``.
            bias: float, N x 1 x hw, PerSAM's target-guided attention; None for none.
            target: float, N x 1 x C, PerSAM's target-semantic prompt; None for none.
        """
        network = self.network
        dense = self.no_mask.weight if mask_logits is None else _embedded(self.downscaling, mask_logits)
        bias = None if bias is None else bias.to(self.dtype)
        output_tokens = torch.cat([network.iou_token.weight, network.mask_tokens.weight])
        # From ``shape``: an export would keep ``len`` as a constant.
        tokens = torch.cat([output_tokens.expand(prompts.shape[0], -1, -1), prompts], dim=1)
        placed = (cells + dense).to(self.dtype), position.to(self.dtype)
        queries, keys = _two_way(network.transformer, tokens, *placed, bias, target)
        masks = torch.stack([mlp(queries[:, 1 + i]) for i, mlp in enumerate(network.output_hypernetworks_mlps)], dim=1)
        products = _upscaled_products(network.output_upscaling, keys, torch.cat([masks, extra_tokens], dim=1))
        return products, network.iou_prediction_head(queries[:, 0])


class TorchMaskDecoderBackend:
    """PyTorch, on the device where the network lies."""

    def __init__(self, network: MaskDecoderNetwork) -> None:
        self.precision = str(network.dtype).removeprefix("torch.")
        self._network = network

    def decode(
        self, inputs: DecoderInput, /, *, bias: Tensor | None = None, target: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Decode with PerSAM's guidance or without; see ``MaskDecoderNetwork.forward``."""
        given = inputs.cells, inputs.position, inputs.prompts, inputs.extra_tokens, inputs.mask_logits
        products, predicted_iou = self._network(*given, bias=bias, target=target)
        return products, predicted_iou

    def warm_up(self) -> None:
        """Do nothing: the network is loaded."""


def cells_to_maps(products: Tensor, columns: int) -> Tensor:
    """Reorder decoded samples, N x 16 hw x M, to maps, N x M x 4h x 4w, for ``columns`` = w columns of cells."""
    # row, column; row and column of the half; row and column of the quarter; mask
    parts = products.unflatten(1, (-1, columns, 2, 2, 2, 2))
    logits: Tensor = parts.permute(0, 7, 1, 3, 5, 2, 4, 6).flatten(5, 7).flatten(2, 4)
    return logits


def maps_to_cells(logits: Tensor) -> Tensor:
    """Reorder mask prompts, N x 4h x 4w, to cells, N x hw x 4 x 4, as the network takes them."""
    # row, half, quarter; column, half, quarter -> cell; row and column of the half; the quarters of it
    parts = logits.unflatten(2, (-1, 2, 2)).unflatten(1, (-1, 2, 2))
    cells: Tensor = parts.permute(0, 1, 4, 2, 5, 3, 6).flatten(5, 6).flatten(3, 4).flatten(1, 2)
    return cells


def _embedded(downscaling: Any, mask_logits: Tensor) -> Tensor:
    """Embed the mask prompts of N objects.

    The prompt encoder's convolutions have kernels as large as their stride, so they are matrix products, as in
    ``_upscaled_products``.

    Args:
        downscaling: The layers: convolution, normalisation, activation, the same again, convolution.
        mask_logits: float, N x hw x 4 x 4.

    Returns:
        float, N x hw x C.
    """
    first, norm, _, second, second_norm, _, last = downscaling
    halves = functional.linear(mask_logits, first.weight.flatten(1), first.bias)
    halves = functional.gelu(_normalized(halves, norm))
    whole = functional.linear(halves.flatten(2), second.weight.permute(0, 2, 3, 1).flatten(1), second.bias)
    whole = functional.gelu(_normalized(whole, second_norm))
    embedded: Tensor = functional.linear(whole, last.weight.flatten(1), last.bias)
    return embedded


def _two_way(
    transformer: Any,
    tokens: Tensor,
    keys: Tensor,
    position: Tensor,
    bias: Tensor | None,
    target: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Run SAM's two-way transformer, with PerSAM's guidance; ``tokens`` N x T x C, ``keys`` N x hw x C."""
    if target is not None:
        tokens = tokens + target
    queries = tokens
    for index, layer in enumerate(transformer.layers):
        if index and target is not None:
            queries = queries + target
        if layer.skip_first_layer_pe:
            queries = layer.norm1(layer.self_attn(q=queries, k=queries, v=queries))
        else:
            q = queries + tokens
            queries = layer.norm1(queries + layer.self_attn(q=q, k=q, v=queries))
        located = keys + position
        attended = _attend(layer.cross_attn_token_to_image, queries + tokens, located, keys, bias)
        queries = layer.norm2(queries + attended)
        queries = layer.norm3(queries + layer.mlp(queries))
        _attend_back(layer.cross_attn_image_to_token, keys, located, queries + tokens, queries)
        keys = _normalized(keys, layer.norm4)
    q = queries + tokens if target is None else queries + tokens + target
    attended = _attend(transformer.final_attn_token_to_image, q, keys + position, keys, None)
    return transformer.norm_final_attn(queries + attended), keys


def _attend(attention: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """Attention of few tokens to many cells; with ``bias``, PerSAM's: softmax(softmax(A) + bias).

    The cells are never projected: q (W k) equals (q W) k, and the mean of W v equals W times the mean of v. That is
    half the work and saves a copy by heads. The bias of k's projection only adds a constant to each softmax, so it is
    left out.
    """
    queries = _by_head(attention, attention.q_proj(q)) / _head_width(attention) ** 0.5
    projected = (queries @ attention.k_proj.weight.unflatten(0, (attention.num_heads, -1))).flatten(1, 2).to(k.dtype)
    # This order leaves the cells as they lie; the other one transposes and copies them in bfloat16.
    weights = (k @ projected.transpose(1, 2)).transpose(1, 2).softmax(dim=-1)
    if bias is not None:
        weights = (weights + bias).softmax(dim=-1)
    means = (weights @ v).to(q.dtype).unflatten(1, (attention.num_heads, -1))
    heads = means @ attention.v_proj.weight.unflatten(0, (attention.num_heads, -1)).transpose(1, 2)
    attended: Tensor = attention.out_proj(heads.transpose(1, 2).flatten(2) + attention.v_proj.bias)
    return attended


def _attend_back(attention: Any, cells: Tensor, q: Tensor, k: Tensor, v: Tensor) -> None:
    """Add to ``cells``, in place, their attention to the few tokens; as in ``_attend`` no cell is projected.

    The tokens are not the last dimension, because a softmax over few numbers is slow there.
    """
    keys = _by_head(attention, attention.k_proj(k)) / _head_width(attention) ** 0.5
    projected = (keys @ attention.q_proj.weight.unflatten(0, (attention.num_heads, -1))).flatten(1, 2)
    offset = (keys @ attention.q_proj.bias.unflatten(0, (attention.num_heads, -1, 1))).flatten(1, 2)
    scores = torch.baddbmm(offset.to(q.dtype), projected.to(q.dtype), q.transpose(1, 2))
    weights = scores.unflatten(1, (attention.num_heads, -1)).softmax(dim=2).flatten(1, 2)
    values = _by_head(attention, attention.v_proj(v))
    projection = attention.out_proj.weight.unflatten(1, (attention.num_heads, -1)).permute(1, 2, 0)
    # The weights of a head add up to 1, so each token's value can carry its share of the bias.
    updates = (values @ projection + attention.out_proj.bias / attention.num_heads).flatten(1, 2)
    cells.baddbmm_(weights.transpose(1, 2), updates.to(cells.dtype))


def _by_head(attention: Any, projected: Tensor) -> Tensor:
    """Split N x T x C into N x heads x T x C / heads."""
    heads: Tensor = projected.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)
    return heads


def _head_width(attention: Any) -> int:
    return int(attention.internal_dim // attention.num_heads)


def _upscaled_products(upscaling: Any, keys: Tensor, masks: Tensor) -> Tensor:
    """Upscale the cells four times and multiply them with the mask tokens.

    SAM's transposed convolutions have kernels as large as their stride, so each cell is upscaled on its own, by matrix
    products whose layout suits the normalisation as well.

    Args:
        upscaling: The layers: convolution, normalisation, activation, convolution, activation.
        keys: float, N x hw x C.
        masks: float, N x M x C / 8, the mask tokens.

    Returns:
        float, N x 16 hw x M.
    """
    first, norm, _, second, _ = upscaling
    halves = _normalized(_transposed(first, keys), norm)
    quarters = functional.gelu(_transposed(second, functional.gelu(halves)))
    products: Tensor = quarters.flatten(1, 3) @ masks.transpose(1, 2).to(quarters.dtype)
    return products


def _normalized(numbers: Tensor, norm: Any) -> Tensor:
    """Normalise the last dimension, with weights of the input's dtype, the only one that a GPU accepts."""
    weight, bias = (each.to(numbers.dtype) for each in (norm.weight, norm.bias))
    return functional.layer_norm(numbers, weight.shape, weight, bias, norm.eps)


def _transposed(convolution: Any, cells: Tensor) -> Tensor:
    """Apply a transposed convolution of kernel and stride 2 to ... x C; returns ... x 4 x C', the four row by row."""
    weight, bias = (each.to(cells.dtype) for each in (convolution.weight, convolution.bias))
    kernels = weight.permute(2, 3, 1, 0).flatten(0, 2)
    upscaled: Tensor = functional.linear(cells, kernels, bias.repeat(4)).unflatten(-1, (4, -1))
    return upscaled
