"""What runs an image encoder: PyTorch, or an inference engine that runs an export of the same weights on the CPU."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol

import torch
from torch import Tensor

from persam_vos.sam.backends.buffers import Array
from persam_vos.sam.backends.onnx_export import ChannelsLast, exported
from persam_vos.sam.networks.sam import Sam

BackendName = Literal["auto", "torch", "onnxruntime", "openvino"]
Precision = Literal["auto", "float32", "bfloat16"]
Outputs = tuple[Tensor, ...]
# Sizes of pictures for which an engine is kept ready: each takes some 200 MB.
_MOST_LOADED: Final = 4


class EncoderBackend(Protocol):
    """Anything that runs an image encoder.

    Attributes:
        name: As in the settings.
        precision: Of the arithmetic; what goes in and comes out is float32.
        apart: Whether it has threads of its own, and runs every picture by itself; otherwise, a batch shares the work.
        at_once: Pictures that it runs at once.
    """

    name: str
    precision: str
    apart: bool
    at_once: int

    @abstractmethod
    def run(self, pictures: Tensor) -> Sequence[Outputs]:
        """Embed float N x 3 x H x W, normalised; more than one thread may ask at a time.

        Returns:
            Of each picture the neck's output, C x 64 x 64 over the padded square, 0 where nothing was encoded, and the
            stages before it, C x h x w. All are float32, the numbers of a cell side by side in memory.
        """


# One picture or more -> the outputs of each, of which the first is laid onto the square.
_Run = Callable[[Sequence[Array]], Sequence[Sequence[Array]]]


class ExportedEncoderBackend(EncoderBackend):
    """An inference engine that runs the network's export to ONNX, made for each size of picture when it first comes.

    Exports are kept in the user's cache, named by what they depend on.
    """

    apart = True

    def __init__(self, sam: Sam, precision: Precision = "float32", at_once: int | None = None) -> None:
        """Take a network, and how many pictures to run at once, at most; None for as many as are best."""
        self.precision = self._precise(precision)
        # For inference like what it wraps, or its export would leave that in training mode.
        self._network = ChannelsLast(sam.image_encoder).eval()
        self._loaded: dict[tuple[int, int], _Run] = {}
        self._loading = threading.Lock()
        # Now, since it may be lowered for the tracker alone.
        self._threads = torch.get_num_threads()
        best = self._best_at_once()
        self.at_once = best if at_once is None else min(at_once, best)

    def run(self, pictures: Tensor) -> Sequence[Outputs]:
        """Embed pictures of one size."""
        size = int(pictures.shape[2]), int(pictures.shape[3])
        with self._loading:
            if size not in self._loaded:
                self._loaded[size] = self._load(exported(self._network, {"pictures": torch.zeros(1, 3, *size)}))
            if len(self._loaded) > _MOST_LOADED:
                del self._loaded[next(iter(self._loaded))]
            run = self._loaded[size]
        outputs = run([picture[None].numpy() for picture in pictures])
        return [tuple(torch.from_numpy(each)[0].permute(2, 0, 1) for each in picture) for picture in outputs]

    @abstractmethod
    def _precise(self, precision: Precision) -> str:
        """Settle what ``auto`` is; refuse what cannot be had."""

    @abstractmethod
    def _best_at_once(self) -> int:
        """Say how many pictures are best run at once."""

    @abstractmethod
    def _load(self, export: bytes) -> _Run:
        """Make a function of the export, which is to run ``at_once`` pictures at once."""
