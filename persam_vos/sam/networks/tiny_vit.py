"""MobileSAM's image encoder: TinyViT-5M at 64 x 64 cells and SAM's neck (Zhang et al., arXiv 2306.14289)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from persam_vos.sam.networks.segment_anything import LayerNorm2d
from persam_vos.sam.networks.sizes import CELL_SIDE_PIXELS, INPUT_SIDE_PIXELS

# Pixels of the padding that are encoded as well. Nine cells cost 0.1 of J&F against the whole square, six cost 0.2: a
# swan at the lower border.
MARGIN_PIXELS = 9 * CELL_SIDE_PIXELS
_DROPPED = re.compile(r"^image_encoder\.(norm_head|head)\.|attention_bias_idxs$|num_batches_tracked$")


class TinyVitImageEncoder(nn.Module):
    """TinyViT-5M whose last stage keeps the stride of 16, then SAM's neck.

    Every convolution carries its batch normalisation folded in, so the module is for inference only. The names of the
    parameters are those of timm's TinyViT.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trunk = _Trunk()
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
            The neck's output, float N x 256 x H/16 x W/16, then those of the last three stages of the trunk, of 128,
            160 and 320 channels; the first of them has cells of half the side, of which means of four are returned.
        """
        finer, *stages = self.trunk(x)
        return self.neck(stages[-1]), functional.avg_pool2d(finer, 2), *stages


class _Trunk(nn.Module):
    """TinyViT (Wu et al., arXiv 2207.10666): a stage of convolutions, then three of attention in windows."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = _Convolutions((3, 32, 64), kernels=(3, 3), strides=(2, 2))
        self.stages = nn.ModuleList(
            [
                _ConvolutionStage(64, depth=2),
                _WindowStage(64, 128, depth=2, heads=4, window=7, stride=2),
                _WindowStage(128, 160, depth=6, heads=5, window=14, stride=2),
                # MobileSAM keeps 64 x 64 cells here.
                _WindowStage(160, 320, depth=2, heads=10, window=7, stride=1),
            ]
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the outputs of the stages of attention, each N x C x h x w."""
        outputs = [self.stages[0](self.patch_embed(x))]
        for stage in self.stages[1:]:
            outputs.append(stage(outputs[-1]))
        return outputs[1:]


class _Convolutions(nn.Module):
    """Convolutions ``conv1``, ``conv2`` and on, with GELU between them.

    Args:
        widths: Channels of the input and after each convolution.
        kernels: Side of each kernel.
        strides: Of each.
        depthwise: The one, counted from 0, that treats every channel by itself.
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
        first, *others = (self.get_submodule(name) for name in self._names)
        x = first(x)
        for conv in others:
            x = conv(functional.gelu(x))
        return x


class _ConvolutionStage(nn.Module):
    """Blocks that widen, look around in every channel by itself, and narrow again."""

    def __init__(self, width: int, *, depth: int) -> None:
        super().__init__()
        widths = (width, 4 * width, 4 * width, width)
        self.blocks = nn.ModuleList(
            _Convolutions(widths, kernels=(1, 3, 1), strides=(1, 1, 1), depthwise=1) for _ in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = functional.gelu(x + block(x))
        return x


class _WindowStage(nn.Module):
    """Convolutions that widen and perhaps halve the grid, then blocks of attention."""

    def __init__(self, given: int, width: int, *, depth: int, heads: int, window: int, stride: int) -> None:
        super().__init__()
        self.downsample = _Convolutions(
            (given, width, width, width), kernels=(1, 3, 1), strides=(1, stride, 1), depthwise=1
        )
        self.blocks = nn.ModuleList(_WindowBlock(width, heads, window) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        grid = self.downsample(x).permute(0, 2, 3, 1)
        for block in self.blocks:
            grid = block(grid)
        result: Tensor = grid.permute(0, 3, 1, 2)
        return result


class _WindowBlock(nn.Module):
    """Attention within windows, a convolution across them, and a perceptron per cell."""

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.attn = _WindowAttention(width, heads, window)
        self.local_conv = nn.Conv2d(width, width, kernel_size=3, padding=1, groups=width)
        self.mlp = _Perceptron(width)

    def forward(self, x: Tensor) -> Tensor:
        """Take and return float, N x h x w x C."""
        count, rows, columns, width = x.shape
        below, right = -rows % self.window, -columns % self.window
        padded = functional.pad(x, (0, 0, 0, right, 0, below)) if below or right else x
        lines = padded.unflatten(2, (-1, self.window)).unflatten(1, (-1, self.window)).transpose(2, 3)
        attended = self.attn(lines.reshape(-1, self.window**2, width))
        parts = attended.view(lines.shape).transpose(2, 3).reshape(padded.shape)[:, :rows, :columns]
        # Added as a list of cells: an inference engine then keeps its layout.
        cells = x.reshape(count, rows * columns, width) + parts.reshape(count, rows * columns, width)
        grid = self.local_conv(cells.view(x.shape).permute(0, 3, 1, 2))
        mixed = grid.reshape(count, width, rows * columns).transpose(1, 2)
        result: Tensor = (mixed + self.mlp(mixed)).view(x.shape)
        return result


class _WindowAttention(nn.Module):
    """Attention among the cells of a window, with a bias for every distance in rows and columns.

    The projection's rows are stored by head, then by query, key and value. Used in the opposite order, a third is one
    stretch of memory, and an inference engine need not split it; ``_arrange`` makes that copy, with the scale of the
    queries in it, and looks the biases up, whenever parameters are loaded.
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
        # Distances are numbered as they first come up, seen from the first cell: row by row.
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


class _Perceptron(nn.Module):
    """Two layers per cell, four times as wide between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.fc2(functional.gelu(self.fc1(self.norm(x))))
        return result


def encoded_length(length: int) -> int:
    """Say how much of the square to encode, along one side, for so many pixels of picture, 1..1024.

    Windows of attention may be cut: what counts is how far convolutions and the other windows see beyond the picture.
    """
    return min(-(-(length + MARGIN_PIXELS) // CELL_SIDE_PIXELS) * CELL_SIDE_PIXELS, INPUT_SIDE_PIXELS)


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
