"""MobileSAM's image encoder: TinyViT-5M at 64 x 64 cells and SAM's neck (Zhang et al., arXiv 2306.14289)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from segment_anything.modeling.common import LayerNorm2d
from timm.models.tiny_vit import ConvNorm, TinyVit
from torch import Tensor, nn
from torch.nn import functional

_CELL = 16
# Pixels of the padding that are encoded as well. Nine cells cost 0.1 of J&F against the whole square, six cost 0.2: a
# swan at the lower border.
_MARGIN = 9 * _CELL

_DROPPED = re.compile(r"^image_encoder\.(norm_head|head)\.|attention_bias_idxs$|num_batches_tracked$")


class TinyVitImageEncoder(nn.Module):
    """TinyViT-5M whose last stage keeps the stride of 16, then SAM's neck.

    Every convolution carries its batch normalisation folded in, so the module is for inference only.
    """

    def __init__(self) -> None:
        super().__init__()
        trunk: Any = TinyVit(
            embed_dims=(64, 128, 160, 320),
            depths=(2, 2, 6, 2),
            num_heads=(2, 4, 5, 10),
            window_sizes=(7, 7, 14, 7),
            num_classes=0,
        )
        # MobileSAM keeps 64 x 64 cells: its last merging does not halve the grid.
        trunk.stages[3].downsample.conv2.conv.stride = (1, 1)
        trunk.head = nn.Identity()
        _fold_batch_norms(trunk)
        for stage in trunk.stages[1:]:
            stage.blocks = nn.Sequential(*map(_WindowBlock, stage.blocks))
        self.trunk = trunk
        self.neck = nn.Sequential(
            nn.Conv2d(320, 256, kernel_size=1, bias=False),
            LayerNorm2d(256),
            nn.Conv2d(256, 256, kernel_size=3, padding=1, bias=False),
            LayerNorm2d(256),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Embed frames.

        Args:
            x: float, N x 3 x H x W, normalised; H and W multiples of 16.

        Returns:
            The neck's output, float N x 256 x H/16 x W/16, then those of the last three stages of the trunk: N x 128 x
            H/8 x W/8, N x 160 x H/16 x W/16, N x 320 x H/16 x W/16.
        """
        outputs = [self.trunk.patch_embed(x)]
        for stage in self.trunk.stages:
            outputs.append(stage(outputs[-1]))
        return self.neck(outputs[-1]), *outputs[2:]


class _WindowBlock(nn.Module):
    """A block of TinyViT, attention within windows and a convolution across them, arranged for speed.

    The numbers are those of timm's block up to rounding, and so are the names of its parameters.
    """

    weight: Tensor
    bias: Tensor
    offsets: Tensor

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.attn, self.local_conv, self.mlp, self.window = block.attn, block.local_conv, block.mlp, block.window_size
        for name in ("weight", "bias", "offsets"):
            self.register_buffer(name, torch.empty(0), persistent=False)
        self._arrange()
        arranging: Any = self.register_load_state_dict_post_hook
        arranging(lambda block, _: block._arrange())

    @torch.no_grad()
    def _arrange(self) -> None:
        """Order the rows of the projection by query, key and value, then by head; look the attention's biases up."""
        attention = self.attn
        shape = attention.num_heads, 3, attention.key_dim
        scale = torch.tensor([attention.scale, 1.0, 1.0]).view(3, 1, 1)
        self.weight = (attention.qkv.weight.unflatten(0, shape).transpose(0, 1) * scale[..., None]).flatten(0, 2)
        self.bias = (attention.qkv.bias.unflatten(0, shape).transpose(0, 1) * scale).flatten()
        self.offsets = attention.attention_biases[:, attention.attention_bias_idxs]

    def forward(self, x: Tensor) -> Tensor:
        """Take and return float, N x h x w x C."""
        count, rows, columns, width = x.shape
        below, right = -rows % self.window, -columns % self.window
        padded = functional.pad(x, (0, 0, 0, right, 0, below)) if below or right else x
        lines = padded.unflatten(2, (-1, self.window)).unflatten(1, (-1, self.window)).transpose(2, 3)
        attended = self._attend(lines.reshape(-1, self.window**2, width))
        parts = attended.view(lines.shape).transpose(2, 3).reshape(padded.shape)[:, :rows, :columns]
        # Added as a list of cells: an inference engine then keeps its layout.
        cells = x.reshape(count, rows * columns, width) + parts.reshape(count, rows * columns, width)
        grid = self.local_conv(cells.view(x.shape).permute(0, 3, 1, 2))
        mixed = grid.reshape(count, width, rows * columns).transpose(1, 2)
        result: Tensor = (mixed + self.mlp(mixed)).view(x.shape)
        return result

    def _attend(self, cells: Tensor) -> Tensor:
        """Attention within windows, M x cells x C."""
        attention = self.attn
        projected = functional.linear(attention.norm(cells), self.weight, self.bias)
        by_kind = projected.unflatten(2, (3, attention.num_heads, attention.key_dim)).permute(2, 0, 3, 1, 4)
        q, k, v = by_kind.unbind(0)
        weights = (q @ k.transpose(-2, -1) + self.offsets).softmax(dim=-1)
        attended: Tensor = attention.proj((weights @ v).transpose(1, 2).reshape(cells.shape))
        return attended


def encoded_length(length: int) -> int:
    """Say how much of the square to encode, along one side, for so many pixels of picture, 1..1024.

    Windows of attention may be cut: what counts is how far convolutions and the other windows see beyond the picture.
    """
    return min(-(-(length + _MARGIN) // _CELL) * _CELL, 1024)


def _fold_batch_norms(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, ConvNorm):
            setattr(module, name, child.fuse())
        else:
            _fold_batch_norms(child)


def fold_official_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn the tensors of MobileSAM's own checkpoint into those of this package.

    Args:
        state: Tensors named as in ``mobile_sam.pt``: ``image_encoder.layers.0.blocks.0.conv1.c.weight`` and
            ``...bn.weight``. A convolution without ``bn`` is taken as folded already.

    Returns:
        The same network with each batch normalisation folded into its convolution, under this package's names; the
        classifier head, which SAM does not use, is left out. Names that follow no rule are kept as they are.
    """
    kept = {name: tensor for name, tensor in state.items() if not _DROPPED.search(name)}
    folded: dict[str, Tensor] = {}
    for name, tensor in kept.items():
        if re.search(r"\.bn\.\w+$", name):
            continue
        stem = name.removesuffix(".c.weight")
        norm = [kept.get(f"{stem}.bn.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
        if stem != name and all(part is not None and part.shape == tensor.shape[:1] for part in norm):
            weight, bias = _fold(tensor, *(part for part in norm if part is not None))
            folded[_rename(name)], folded[_rename(f"{stem}.c.bias")] = weight, bias
        else:
            folded[_rename(name)] = tensor
    return folded


def _fold(conv: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
    scale = gamma / torch.sqrt(var + 1e-5)
    return conv * scale[:, None, None, None], beta - mean * scale


def _rename(name: str) -> str:
    name = name.replace("image_encoder.patch_embed.seq.0.", "image_encoder.trunk.patch_embed.conv1.")
    name = name.replace("image_encoder.patch_embed.seq.2.", "image_encoder.trunk.patch_embed.conv2.")
    name = re.sub(
        r"^image_encoder\.layers\.(\d)\.downsample\.",
        lambda found: f"image_encoder.trunk.stages.{int(found[1]) + 1}.downsample.",
        name,
    )
    name = re.sub(r"^image_encoder\.layers\.(\d)\.", r"image_encoder.trunk.stages.\1.", name)
    return re.sub(r"\.c\.(weight|bias)$", r".\1", name)
