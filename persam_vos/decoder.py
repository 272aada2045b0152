"""Prompts and an embedding become mask candidates: SAM's prompt encoder and mask decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from persam_vos.encoder import ImageEmbedding
from persam_vos.models.sam import Sam

PADDING, POSITIVE, TOP_LEFT, BOTTOM_RIGHT = -1, 1, 2, 3

# Objects that are decoded at once: one object's keys and attention take about 30 MB, more than a CPU's caches hold, so
# that sixteen in one batch take nearly twice as long there as one by one.
_AT_ONCE = {"cpu": 1, "cuda": 16}
# Logit of the cells that were left out because they hold no picture.
NO_PICTURE = -20.0


@dataclass(frozen=True, slots=True)
class Prompts:
    """What the decoder is told of N objects in one frame.

    Attributes:
        points: float, N x P x 2, (x, y) in pixels of the frame.
        labels: int, N x P: 1 positive, 0 negative, -1 no point at all, 2 and 3 the corners of a box.
        mask_logits: float, N x 256 x 256 over the padded square: what an earlier pass gave; None for the first pass.
    """

    points: Tensor
    labels: Tensor
    mask_logits: Tensor | None = None

    def with_boxes(self, boxes: Tensor, known: Tensor) -> Prompts:
        """Add a box to each object.

        Args:
            boxes: float, N x 4, XYXY in pixels of the frame.
            known: bool, N; where False the box is left out.
        """
        if not bool(known.any()):
            return self
        corners = torch.tensor([TOP_LEFT, BOTTOM_RIGHT], device=self.labels.device).expand(len(boxes), -1)
        labels = torch.where(known[:, None], corners, PADDING)
        points = torch.cat([self.points, boxes.unflatten(1, (2, 2))], dim=1)
        return Prompts(points, torch.cat([self.labels, labels], dim=1), self.mask_logits)

    def with_mask(self, mask_logits: Tensor) -> Prompts:
        """Add the logits of an earlier pass, float N x 256 x 256."""
        return Prompts(self.points, self.labels, mask_logits)


@dataclass(frozen=True, slots=True)
class Guidance:
    """PerSAM's two ways to guide the decoder (arXiv 2305.03048, section 3.2).

    Attributes:
        attention: float, N x h x w in 0..1, added to the token-to-image attention, which is then normalised again
            (target-guided attention); None for none.
        target: float, N x C, added to every token before each layer (target-semantic prompting); None for none.
    """

    attention: Tensor | None = None
    target: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Candidates:
    """The decoder's four answers for each of N objects.

    Attributes:
        logits: float, N x 4 x 256 x 256 over the padded square; 0 is the answer for an unambiguous prompt, 1 to 3 are
            the nested ones (whole, part, subpart in no fixed order).
        predicted_iou: float, N x 4.
    """

    logits: Tensor
    predicted_iou: Tensor


class Decoder:
    """SAM's prompt encoder and mask decoder."""

    def __init__(self, sam: Sam) -> None:
        self._prompt_encoder = sam.prompt_encoder
        self._mask_decoder = sam.mask_decoder
        with torch.inference_mode():
            self._position = self._prompt_encoder.get_dense_pe().flatten(2).transpose(1, 2)

    @torch.inference_mode()
    def decode(
        self,
        embedding: ImageEmbedding,
        prompts: Prompts,
        guidance: Guidance | None = None,
        *,
        picture_only: bool = False,
    ) -> Candidates:
        """Answer the prompts of all objects.

        Args:
            embedding: Of the frame.
            prompts: Of N objects, at least 1.
            guidance: Of the same N objects, or None.
            picture_only: Leave out the cells that hold no picture, which is nearly half of the work for a frame of
                16:9. SAM was trained with them; leaving them out moved J&F by less than 0.1.
        """
        cells = embedding.cells
        rows, columns = embedding.geometry.valid(cells) if picture_only else (cells, cells)
        features = embedding.features[:, :rows, :columns]
        position = self._position.unflatten(1, (cells, cells))[:, :rows, :columns].flatten(1, 2)
        picture = slice(None), slice(None), slice(4 * rows), slice(4 * columns)
        masks = None if prompts.mask_logits is None else prompts.mask_logits[picture[1:]]
        tokens = self._embed_points(embedding, prompts)
        parts = []
        at_once = _AT_ONCE[features.device.type]
        for start in range(0, len(tokens), at_once):
            part = slice(start, start + at_once)
            dense, sliced = self._embed_masks(masks, part), _sliced(guidance, part, rows, columns)
            parts.append(self._decode_batch(features, tokens[part], dense, position, sliced))
        logits = features.new_full((len(tokens), 4, 4 * cells, 4 * cells), NO_PICTURE)
        logits[picture] = torch.cat([p.logits for p in parts])
        return Candidates(logits, torch.cat([p.predicted_iou for p in parts]))

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

    def _embed_masks(self, mask_logits: Tensor | None, part: slice) -> Tensor:
        """Dense embeddings, N or 1 x C x h x w."""
        if mask_logits is None:
            none: Tensor = self._prompt_encoder.no_mask_embed.weight[..., None, None]
            return none
        dense: Tensor = self._prompt_encoder.mask_downscaling(mask_logits[part, None])
        return dense

    def _decode_batch(
        self, features: Tensor, sparse: Tensor, dense: Tensor, position: Tensor, guidance: Guidance | None
    ) -> Candidates:
        network = self._mask_decoder
        output_tokens = torch.cat([network.iou_token.weight, network.mask_tokens.weight])
        tokens = torch.cat([output_tokens.expand(len(sparse), -1, -1), sparse], dim=1)
        source = features[None] + dense
        keys = source.flatten(2).transpose(1, 2).expand(len(sparse), -1, -1).contiguous()
        queries, keys = _two_way(network.transformer, tokens, keys, position, guidance)
        masks = torch.stack([mlp(queries[:, 1 + i]) for i, mlp in enumerate(network.output_hypernetworks_mlps)], dim=1)
        logits = _upscaled_products(network.output_upscaling, keys, masks, source.shape[-1])
        return Candidates(logits, network.iou_prediction_head(queries[:, 0]))


def _upscaled_products(upscaling: Any, keys: Tensor, masks: Tensor, columns: int) -> Tensor:
    """Upscale the cells four times and multiply them with the mask tokens: the logits, N x 4 x 4h x 4w.

    SAM's transposed convolutions have kernels as large as their stride, so that every cell grows on its own: products
    of matrices, whose layout suits the normalisation as well.

    Args:
        upscaling: Convolution, normalisation, activation, convolution, activation.
        keys: float, N x hw x C.
        masks: float, N x 4 x C / 8.
        columns: w.
    """
    first, norm, _, second, _ = upscaling
    halves = functional.layer_norm(_grown(first, keys), norm.weight.shape, norm.weight, norm.bias, norm.eps)
    quarters = functional.gelu(_grown(second, functional.gelu(halves)))
    products = quarters.flatten(1, 3) @ masks.transpose(1, 2)
    # row, column; row and column of the half; row and column of the quarter; mask
    parts = products.unflatten(1, (-1, columns, 2, 2, 2, 2))
    logits: Tensor = parts.permute(0, 7, 1, 3, 5, 2, 4, 6).flatten(5, 7).flatten(2, 4)
    return logits


def _grown(convolution: Any, cells: Tensor) -> Tensor:
    """Apply a transposed convolution of kernel and stride 2 to ... x C: ... x 4 x C', the four row by row."""
    weight = convolution.weight.permute(2, 3, 1, 0).flatten(0, 2)
    grown: Tensor = functional.linear(cells, weight, convolution.bias.repeat(4)).unflatten(-1, (4, -1))
    return grown


def _sliced(guidance: Guidance | None, part: slice, rows: int, columns: int) -> Guidance | None:
    if guidance is None:
        return None
    attention, target = guidance.attention, guidance.target
    return Guidance(
        None if attention is None else attention[part, :rows, :columns].flatten(1)[:, None],
        None if target is None else target[part, None],
    )


def _two_way(
    transformer: Any, tokens: Tensor, keys: Tensor, position: Tensor, guidance: Guidance | None
) -> tuple[Tensor, Tensor]:
    """SAM's two-way transformer, with room for guidance; ``tokens`` N x T x C, ``keys`` N x hw x C."""
    attention = guidance.attention if guidance else None
    target = guidance.target if guidance and guidance.target is not None else None
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
        attended = _attend(layer.cross_attn_token_to_image, queries + tokens, located, keys, attention)
        queries = layer.norm2(queries + attended)
        queries = layer.norm3(queries + layer.mlp(queries))
        keys = layer.norm4(_attend_back(layer.cross_attn_image_to_token, keys, located, queries + tokens, queries))
    q = queries + tokens if target is None else queries + tokens + target
    attended = _attend(transformer.final_attn_token_to_image, q, keys + position, keys, None)
    return transformer.norm_final_attn(queries + attended), keys


def _attend(attention: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """Attention of few tokens to many cells; with ``bias``, PerSAM's: softmax(softmax(A) + bias).

    The cells are never projected: q (W k) is (q W) k, and a mean of W v is W times the mean of v, for half the work and
    without a copy by heads. The bias of the projection of k adds the same to all that a softmax compares: nothing.
    """
    queries = _by_head(attention, attention.q_proj(q)) / _head_width(attention) ** 0.5
    asked = (queries @ attention.k_proj.weight.unflatten(0, (attention.num_heads, -1))).flatten(1, 2)
    weights = (asked @ k.transpose(1, 2)).softmax(dim=-1)
    if bias is not None:
        weights = (weights + bias).softmax(dim=-1)
    means = (weights @ v).unflatten(1, (attention.num_heads, -1))
    heads = means @ attention.v_proj.weight.unflatten(0, (attention.num_heads, -1)).transpose(1, 2)
    attended: Tensor = attention.out_proj(heads.transpose(1, 2).flatten(2) + attention.v_proj.bias)
    return attended


def _attend_back(attention: Any, cells: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Add to ``cells``, in place, their attention to the few tokens; like in ``_attend`` no cell is projected.

    The tokens are kept off the last dimension, where softmax over a few numbers is slow.
    """
    keys = _by_head(attention, attention.k_proj(k)) / _head_width(attention) ** 0.5
    asked = (keys @ attention.q_proj.weight.unflatten(0, (attention.num_heads, -1))).flatten(1, 2)
    offset = (keys @ attention.q_proj.bias.unflatten(0, (attention.num_heads, -1, 1))).flatten(1, 2)
    scores = torch.baddbmm(offset, asked, q.transpose(1, 2))
    weights = scores.unflatten(1, (attention.num_heads, -1)).softmax(dim=2).flatten(1, 2)
    values = _by_head(attention, attention.v_proj(v))
    projection = attention.out_proj.weight.unflatten(1, (attention.num_heads, -1)).permute(1, 2, 0)
    # The weights of a head add up to 1, so that every answer may carry its part of the bias.
    answers = (values @ projection + attention.out_proj.bias / attention.num_heads).flatten(1, 2)
    return cells.baddbmm_(weights.transpose(1, 2), answers)


def _by_head(attention: Any, projected: Tensor) -> Tensor:
    """Split N x T x C into N x heads x T x C / heads."""
    heads: Tensor = projected.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)
    return heads


def _head_width(attention: Any) -> int:
    return int(attention.internal_dim // attention.num_heads)
