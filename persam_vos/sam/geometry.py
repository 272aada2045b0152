"""The geometry between a frame's pixels and the model's square input."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from persam_vos.masks import Rgb
from persam_vos.sam.regions import Region


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where the pixels of a frame lie in the model's square input: scaled to its long side, padded right and bottom.

    Coordinates are (x, y) with the origin at the top left. A pixel of the frame at x lies at x * scale_x of the input,
    as in SAM's own ResizeLongestSide, which the prompt encoder was trained with.

    Attributes:
        height: Height of the frame in pixels.
        width: Width of the frame in pixels.
        input_size: Side of the model's square input in pixels.
    """

    height: int
    width: int
    input_size: int = 1024

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.input_size) < 1:
            raise ValueError(f"frame is {self.height} x {self.width}; both must be at least 1")

    @property
    def resized(self) -> tuple[int, int]:
        """Height and width, in pixels of the input, of the scaled frame without its padding."""
        scale = self.input_size / max(self.height, self.width)
        return max(1, int(self.height * scale + 0.5)), max(1, int(self.width * scale + 0.5))

    def valid(self, cells: int) -> tuple[int, int]:
        """Return how many rows and columns of a ``cells`` x ``cells`` grid over the square hold any picture."""
        height, width = self.resized
        return -(-height * cells // self.input_size), -(-width * cells // self.input_size)

    def resize(self, rgb: Rgb) -> Tensor:
        """Scale a frame to the model's input, unpadded.

        Args:
            rgb: uint8, H x W x 3.

        Returns:
            uint8, 3 x h x w on the CPU; bilinear, anti-aliased when shrinking.
        """
        # PyTorch accepts neither negative strides nor read-only arrays, and both are common.
        tensor = torch.from_numpy(np.require(rgb, requirements=["C", "W"])).permute(2, 0, 1)[None]
        if tuple(rgb.shape[:2]) != self.resized:
            tensor = functional.interpolate(tensor, size=self.resized, mode="bilinear", antialias=True)
        return tensor[0]

    def sample_size(self, samples: int) -> tuple[float, float]:
        """Return the width and height, in pixels of the frame, of one of ``samples`` x ``samples`` over the square."""
        height, width = self.resized
        side = self.input_size / samples
        return side * self.width / width, side * self.height / height

    def points_to_input(self, points: Tensor) -> Tensor:
        """Map points, float ... x 2 as (x, y), from pixels of the frame to pixels of the input."""
        height, width = self.resized
        scale = torch.tensor([width / self.width, height / self.height], dtype=torch.float32, device=points.device)
        return points * scale

    def boxes_to_input(self, boxes: Tensor) -> Tensor:
        """Map boxes, float ... x 4 as XYXY, from pixels of the frame to pixels of the input."""
        return self.points_to_input(boxes.unflatten(-1, (2, 2))).flatten(-2)

    def to_frame(self, grid: Tensor) -> Tensor:
        """Resample maps over the padded square, such as logits, to the frame, without the padding.

        Args:
            grid: float, N x h x w over the whole square; any h and w.

        Returns:
            float, N x H x W, bilinear; values between the outermost samples and the border repeat those samples.
        """
        rows, columns = (
            _samples_to_frame(length, resized, samples, self.input_size, False, grid.device)
            for length, resized, samples in zip(
                (self.height, self.width), self.resized, (grid.shape[-2], grid.shape[-1]), strict=True
            )
        )
        return rows @ (grid[..., : rows.shape[1], : columns.shape[1]] @ columns.T)

    def region_to_frame(self, samples: Region, size: int) -> Region:
        """Return the frame's pixels whose centres lie in a region of ``size`` x ``size`` samples over the square."""
        y, x = (
            slice(*(min(math.ceil(end * length * self.input_size / (resized * size) - 0.5), length) for end in ends))
            for ends, length, resized in zip(
                ((side.start, side.stop) for side in samples), (self.height, self.width), self.resized, strict=True
            )
        )
        return Region(y, x)

    def crop_to_frame(self, grid: Tensor, samples: Region) -> tuple[Region, Tensor]:
        """Resample a region of a map over the padded square to the frame.

        Unlike in ``to_frame``, samples in the padding do not contribute to the frame's last row and column.

        Args:
            grid: float, n x n over the whole square.
            samples: The region, in samples.

        Returns:
            The pixels of the frame that lie in the region; float, h x w: their values.
        """
        size = len(grid)
        pixels = self.region_to_frame(samples, size)
        # A pixel interpolates its neighbouring samples, one of which may lie outside the region.
        y, x = around = samples.expanded(1, self.valid(size))
        rows, columns = (
            _samples_to_frame(length, resized, size, self.input_size, True, grid.device)[to, of]
            for length, resized, to, of in zip((self.height, self.width), self.resized, pixels, around, strict=True)
        )
        return pixels, rows @ (grid[y, x][: rows.shape[1], : columns.shape[1]] @ columns.T)

    def to_cells(self, masks: Tensor, cells: int, part: Region | None = None) -> Tensor:
        """Return the coverage of each cell: the share of its picture that a mask fills.

        Args:
            masks: float or bool, N x H x W in pixels of the frame.
            cells: Side of the grid over the padded square.
            part: The region of the frame that ``masks`` hold, if they are not H x W; masks are 0 elsewhere.

        Returns:
            float, N x rows x columns in 0..1, of the cells that hold picture, the last ones perhaps only in part.
        """
        rows, columns = (
            _frame_to_cells(length, resized, self.input_size // cells, masks.device)
            for length, resized in zip((self.height, self.width), self.resized, strict=True)
        )
        if part is not None:
            rows, columns = rows[:, part[0]], columns[:, part[1]]
        # One by one, because the floats of many objects in a large frame take gigabytes.
        return torch.stack([(rows @ mask.float()) @ columns.T for mask in masks])

    def to_grid(self, masks: Tensor, cells: int) -> Tensor:
        """Resample masks of the frame to a grid over the padded square, at its cells' centres.

        Args:
            masks: float or bool, N x H x W in pixels of the frame.
            cells: Side of the grid.

        Returns:
            float, N x cells x cells, 0..1; 0 in the padding.
        """
        height, width = self.resized
        # One by one, as in ``to_cells``.
        resized = torch.cat(
            [
                functional.interpolate(mask[None, None].float(), size=(height, width), mode="bilinear", antialias=True)
                for mask in masks
            ],
            dim=1,
        )
        padded = functional.pad(resized, (0, self.input_size - width, 0, self.input_size - height))
        return functional.interpolate(padded, size=(cells, cells), mode="bilinear")[0]


# Resampling is linear and separable: a product with one small matrix on either side. A video needs some ten matrices;
# photos differ in size, and the matrix for a side of 6,000 pixels takes 6 MB.
MAX_CACHED_MATRICES = 16


@functools.lru_cache(maxsize=MAX_CACHED_MATRICES)
@torch.inference_mode(False)
def _samples_to_frame(
    length: int, resized: int, samples: int, input_size: int, picture_only: bool, device: torch.device
) -> Tensor:
    """Return float, length x n, from the first n samples over the square to pixels along one side; the rest weigh 0."""
    every = torch.eye(samples, device=device)[None]
    if picture_only:
        held = -(-resized * samples // input_size)
        every[..., held:] = every[..., held - 1 : held]
    square = functional.interpolate(every, size=input_size, mode="linear")
    shares = functional.interpolate(square[..., :resized], size=length, mode="linear")[0]
    return shares[: int(shares.any(dim=1).nonzero().max()) + 1].T.contiguous()


@functools.lru_cache(maxsize=MAX_CACHED_MATRICES)
@torch.inference_mode(False)
def _frame_to_cells(length: int, resized: int, size: int, device: torch.device) -> Tensor:
    """Return float, cells x length, from a frame's pixels along one side to means over cells of ``size`` pixels."""
    cells = []
    # In blocks, because the whole identity for 16,000 pixels takes a gigabyte.
    for block in torch.arange(length, device=device).split(512):
        every = functional.one_hot(block, length).float()[None, :, None]
        scaled = functional.interpolate(every, size=(1, resized), mode="bilinear", antialias=True)[0, :, 0]
        cells.append(torch.stack([part.mean(dim=1) for part in scaled.split(size, dim=1)]))
    return torch.cat(cells, dim=1)
