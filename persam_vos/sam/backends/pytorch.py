"""The image encoder by PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from persam_vos.sam.backends.base import EncoderBackend, Outputs, Precision
from persam_vos.sam.networks.sam import Sam
from persam_vos.sam.networks.sizes import GRID_SIDE_CELLS


class TorchEncoderBackend(EncoderBackend):
    """PyTorch, on the device where the network lies."""

    name = "torch"
    side_by_side = False

    def __init__(self, sam: Sam, precision: Precision = "float32", batch_size: int = 1) -> None:
        """Take a network; ``auto`` is float32, since bfloat16 is slower on a CPU without instructions for it."""
        self.batch_size = batch_size
        self.precision = "bfloat16" if precision == "bfloat16" else "float32"
        self._network = sam.image_encoder
        # TinyViT is mostly convolutions, which run a quarter faster channels-last; ViT has none that matter.
        self._layout = torch.channels_last if sam.name == "mobile_sam" else torch.contiguous_format
        self._network.to(memory_format=self._layout)

    def run(self, pictures: Tensor) -> Sequence[Outputs]:
        """Embed a batch."""
        placed = pictures.contiguous(memory_format=self._layout)
        with torch.autocast(pictures.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            neck, *stages = self._network(placed)
        below, right = (GRID_SIDE_CELLS - length for length in neck.shape[2:])
        outputs = [functional.pad(neck, (0, right, 0, below)), *stages]
        placed_last = (each.float().contiguous(memory_format=torch.channels_last) for each in outputs)
        return list(zip(*placed_last, strict=True))
