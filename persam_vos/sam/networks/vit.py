"""SAM's ViT encoder (Kirillov et al., arXiv 2304.02643), with fused attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from persam_vos.sam.networks.segment_anything import ImageEncoderViT


class VitImageEncoder(ImageEncoderViT):  # type: ignore[misc]
    """segment-anything's encoder with fused attention, which also returns the input of its neck.

    Takes the same arguments, with ``use_rel_pos``, and has the same parameters.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        for block in self.blocks:
            block.attn = FusedAttention(block.attn)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Embed float N x 3 x 1024 x 1024; returns the neck's output and the last block's, each N x C x 64 x 64."""
        tokens = self.patch_embed(x) + self.pos_embed
        for block in self.blocks:
            tokens = block(tokens)
        last = tokens.permute(0, 3, 1, 2)
        return self.neck(last), last


class FusedAttention(nn.Module):
    """Attention with decomposed relative positions as one fused product.

    A query's bias is one number per row of keys and one per column. They are appended to the query, and one-hot codes
    of row and column to each key, so that the product contains the bias. The matrix of all pairs of cells, a gigabyte
    for a frame of ViT-H, is never made.
    """

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.num_heads, self.scale = attention.num_heads, attention.scale
        self.qkv, self.proj = attention.qkv, attention.proj
        self.rel_pos_h, self.rel_pos_w = attention.rel_pos_h, attention.rel_pos_w

    def forward(self, x: Tensor) -> Tensor:
        """Take and return float, N x h x w x C."""
        count, height, width, _ = x.shape
        q, k, v = self.qkv(x).view(count, height * width, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        grid = q.unflatten(2, (height, width))
        rows = torch.einsum("nahwc,hkc->nahwk", grid, _by_distance(self.rel_pos_h, height)).flatten(2, 3)
        columns = torch.einsum("nahwc,wkc->nahwk", grid, _by_distance(self.rel_pos_w, width)).flatten(2, 3)
        row, column = torch.meshgrid(*(torch.arange(side, device=x.device) for side in (height, width)), indexing="ij")
        own = torch.cat([functional.one_hot(each.flatten()) for each in (row, column)], dim=1).to(k)
        queries = torch.cat([q * self.scale, rows, columns], dim=-1)
        keys = torch.cat([k, own.expand(count, self.num_heads, -1, -1)], dim=-1)
        # The fastest kernels need values as wide as the keys.
        values = functional.pad(v, (0, keys.shape[-1] - v.shape[-1]))
        attended = functional.scaled_dot_product_attention(queries, keys, values, scale=1.0)[..., : v.shape[-1]]
        projected: Tensor = self.proj(attended.transpose(1, 2).reshape(x.shape))
        return projected


def _by_distance(table: Tensor, length: int) -> Tensor:
    """Look up embeddings of offsets, (2 length - 1) x C, for all pairs along a side: length x length x C."""
    places = torch.arange(length, device=table.device)
    return table[places[:, None] - places + length - 1]
