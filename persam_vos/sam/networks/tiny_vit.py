"""MobileSAM's image encoder: TinyViT-5M at 64 x 64 cells and SAM's neck (Zhang et al., arXiv 2306.14289)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from persam_vos.sam.networks.segment_anything import LayerNorm2d
from persam_vos.sam.networks.sizes import CELL_SIDE_PIXELS, INPUT_SIDE_PIXELS

# Padding that is encoded beside the picture. Against the whole square, nine cells cost 0.1 J&F, six cells 0.2.
MARGIN_PIXELS = 9 * CELL_SIDE_PIXELS


class TinyVitImageEncoder(nn.Module):
    """TinyViT-5M whose last stage keeps the stride of 16, then SAM's neck.

    Batch normalisations are folded into the convolutions, so the module is for inference only. Parameters are named as
    in timm's TinyViT.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trunk = TinyVit()
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
            The neck's output, float N x 256 x H/16 x W/16, then the outputs of the trunk's last three stages on the
            same grid, with 128, 160 and 320 channels; the first of them is averaged over 2 x 2 finer cells.
        """
        finer, *stages = self.trunk(x)
        return self.neck(stages[-1]), functional.avg_pool2d(finer, 2), *stages


class TinyVit(nn.Module):
    """TinyViT-5M (Wu et al., arXiv 2207.10666): a stage of convolutions, then three of window attention."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = ConvChain((3, 32, 64), kernels=(3, 3), strides=(2, 2))
        self.stages = nn.ModuleList(
            [
                ConvStage(64, depth=2),
                TinyVitStage(64, 128, depth=2, heads=4, window=7, stride=2),
                TinyVitStage(128, 160, depth=6, heads=5, window=14, stride=2),
                # MobileSAM keeps 64 x 64 cells here.
                TinyVitStage(160, 320, depth=2, heads=10, window=7, stride=1),
            ]
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the outputs of the three attention stages, each N x C x h x w."""
        outputs = [self.stages[0](self.patch_embed(x))]
        for stage in self.stages[1:]:
            outputs.append(stage(outputs[-1]))
        return outputs[1:]


class ConvChain(nn.Module):
    """Convolutions ``conv1``, ``conv2`` and on, with GELU between them.

    Args:
        widths: Channels of the input and after each convolution.
        kernels: Kernel side of each convolution.
        strides: Stride of each convolution.
        depthwise: Index of the depthwise convolution, from 0; None for none.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        kernels: Sequence[int],
        strides: Sequence[int],
        depthwise: int | None = None,
    ) -> None:
        super().__init__()
        self._names = []
        for i, (given, made) in enumerate(pairwise(widths)):
            groups = given if i == depthwise else 1
            conv = nn.Conv2d(given, made, kernels[i], strides[i], padding=kernels[i] // 2, groups=groups)
            self._names.append(f"conv{i + 1}")
            self.add_module(self._names[-1], conv)

    def forward(self, x: Tensor) -> Tensor:
        """Take float, N x C x h x w, with C of the first width; return the last width's."""
        first, *others = (self.get_submodule(name) for name in self._names)
        x = first(x)
        for conv in others:
            x = conv(functional.gelu(x))
        return x


class MBConv(ConvChain):
    """Inverted bottleneck: widen four times, convolve depthwise, narrow, add the input."""

    def __init__(self, width: int) -> None:
        super().__init__((width, 4 * width, 4 * width, width), kernels=(1, 3, 1), strides=(1, 1, 1), depthwise=1)

    def forward(self, x: Tensor) -> Tensor:
        """Take and return float, N x C x h x w."""
        return functional.gelu(x + super().forward(x))


class PatchMerging(ConvChain):
    """Convolutions that widen the channels and, with a stride of 2, halve the grid's sides."""

    def __init__(self, given: int, width: int, stride: int) -> None:
        super().__init__((given, width, width, width), kernels=(1, 3, 1), strides=(1, stride, 1), depthwise=1)


class ConvStage(nn.Module):
    """A sequence of MBConv blocks."""

    def __init__(self, width: int, *, depth: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(MBConv(width) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        """Take and return float, N x C x h x w."""
        for block in self.blocks:
            x = block(x)
        return x


class TinyVitStage(nn.Module):
    """Patch merging, then blocks of window attention."""

    def __init__(self, given: int, width: int, *, depth: int, heads: int, window: int, stride: int) -> None:
        super().__init__()
        self.downsample = PatchMerging(given, width, stride)
        self.blocks = nn.ModuleList(TinyVitBlock(width, heads, window) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        """Take float, N x C x h x w; return the stage's width, on a grid reduced by its stride."""
        grid = self.downsample(x).permute(0, 2, 3, 1)
        for block in self.blocks:
            grid = block(grid)
        result: Tensor = grid.permute(0, 3, 1, 2)
        return result


class TinyVitBlock(nn.Module):
    """Attention within windows, a depthwise convolution across them, and an MLP per cell."""

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.attn = WindowAttention(width, heads, window)
        self.local_conv = nn.Conv2d(width, width, kernel_size=3, padding=1, groups=width)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        """Take and return float, N x h x w x C."""
        count, rows, columns, width = x.shape
        below, right = -rows % self.window, -columns % self.window
        padded = functional.pad(x, (0, 0, 0, right, 0, below)) if below or right else x
        lines = padded.unflatten(2, (-1, self.window)).unflatten(1, (-1, self.window)).transpose(2, 3)
        attended = self.attn(lines.reshape(-1, self.window**2, width))
        parts = attended.view(lines.shape).transpose(2, 3).reshape(padded.shape)[:, :rows, :columns]
        # Added as a list of cells, so that inference engines keep the layout.
        cells = x.reshape(count, rows * columns, width) + parts.reshape(count, rows * columns, width)
        grid = self.local_conv(cells.view(x.shape).permute(0, 3, 1, 2))
        mixed = grid.reshape(count, width, rows * columns).transpose(1, 2)
        result: Tensor = (mixed + self.mlp(mixed)).view(x.shape)
        return result


class WindowAttention(nn.Module):
    """Attention among the cells of a window, with a learnt bias for every offset in rows and columns.

    The checkpoint orders the rows of the projection by head, then by query, key and value. ``_arrange`` copies them
    into the opposite order, in which queries, keys and values are contiguous and inference engines need not split them.
    It folds the scale of the queries in, looks the biases up, and runs whenever parameters are loaded.
    """

    weight: Tensor
    bias: Tensor
    offsets: Tensor

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.key_width = heads, width // heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window**2))
        places = torch.cartesian_prod(torch.arange(window), torch.arange(window))
        distances = (places[:, None] - places).abs()
        # Offsets are numbered row by row, in the order in which the first cell meets them.
        self._distances = distances[..., 0] * window + distances[..., 1]
        for name in ("weight", "bias", "offsets"):
            self.register_buffer(name, torch.empty(0), persistent=False)
        self._arrange()
        arranging: Any = self.register_load_state_dict_post_hook
        arranging(lambda attention, _: attention._arrange())

    @torch.no_grad()
    def _arrange(self) -> None:
        shape = self.heads, 3, self.key_width
        scale = self.qkv.weight.new_tensor([self.key_width**-0.5, 1.0, 1.0]).view(3, 1, 1)
        self.weight = (self.qkv.weight.unflatten(0, shape).transpose(0, 1) * scale[..., None]).flatten(0, 2)
        self.bias = (self.qkv.bias.unflatten(0, shape).transpose(0, 1) * scale).flatten()
        self.offsets = self.attention_biases[:, self._distances]

    def forward(self, cells: Tensor) -> Tensor:
        """Take and return float, M x window^2 x C."""
        projected = functional.linear(self.norm(cells), self.weight, self.bias)
        q, k, v = projected.unflatten(2, (3, self.heads, self.key_width)).permute(2, 0, 3, 1, 4).unbind(0)
        weights = (q @ k.transpose(-2, -1) + self.offsets).softmax(dim=-1)
        attended: Tensor = self.proj((weights @ v).transpose(1, 2).reshape(cells.shape))
        return attended


class Mlp(nn.Module):
    """Two linear layers per cell, four times as wide between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Take and return float, ... x C."""
        result: Tensor = self.fc2(functional.gelu(self.fc1(self.norm(x))))
        return result


def encoded_length(length: int) -> int:
    """Return the length of the square to encode along one side.

    It need not be a multiple of the attention windows; what counts is how far the network sees beyond the picture.

    Args:
        length: Pixels of picture along that side, 1..1024.

    Returns:
        Pixels, a multiple of 16, at most 1024.

    >>> encoded_length(576)
    720
    """
    return min(-(-(length + MARGIN_PIXELS) // CELL_SIDE_PIXELS) * CELL_SIDE_PIXELS, INPUT_SIDE_PIXELS)
