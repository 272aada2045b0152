"""The protocol of what runs an image encoder, and the part that all inference engines share."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol

import torch
from torch import Tensor

from persam_vos.sam.backends.buffers import Array
from persam_vos.sam.backends.onnx_export import ChannelsLast, onnx_export_of
from persam_vos.sam.networks.sam import Sam

BackendName = Literal["auto", "torch", "onnxruntime", "openvino"]
Precision = Literal["auto", "float32", "bfloat16"]
Outputs = tuple[Tensor, ...]
# Picture sizes whose compiled networks are kept; each takes some 200 MB.
MAX_LOADED_SIZES: Final = 4


class EncoderBackend(Protocol):
    """Anything that runs an image encoder.

    Attributes:
        name: As in the settings.
        precision: ``float32`` or ``bfloat16``, of the arithmetic; inputs and outputs are float32.
        side_by_side: Whether it runs each picture in threads of its own; otherwise all threads share one batch.
        batch_size: Pictures that it runs at once.
    """

    name: str
    precision: str
    side_by_side: bool
    batch_size: int

    @abstractmethod
    def run(self, pictures: Tensor) -> Sequence[Outputs]:
        """Embed pictures; several threads may call this at a time.

        Args:
            pictures: float32, N x 3 x H x W, normalised RGB.

        Returns:
            For each picture the neck's output, C x 64 x 64 over the padded square, 0 where nothing was encoded, and the
            stages before it, C x h x w. All are float32 and channels-last in memory.
        """


# From pictures, 1 x 3 x H x W each, to the outputs of each; the first output covers the square.
RunPictures = Callable[[Sequence[Array]], Sequence[Sequence[Array]]]


class ExportedEncoderBackend(EncoderBackend):
    """An inference engine that runs the encoder's ONNX export; each picture size is exported when it first comes."""

    side_by_side = True

    def __init__(self, sam: Sam, precision: Precision = "float32", max_batch_size: int | None = None) -> None:
        """Take a network, and how many pictures to run at once at most; None for as many as are fastest."""
        self.precision = self._resolved_precision(precision)
        # In evaluation mode like the network inside; the export would otherwise leave that in training mode.
        self._network = ChannelsLast(sam.image_encoder).eval()
        self._loaded: dict[tuple[int, int], RunPictures] = {}
        self._loading = threading.Lock()
        # Read now: the number may be lowered later, for the tracker alone.
        self._threads = torch.get_num_threads()
        fastest = self._fastest_batch_size()
        self.batch_size = fastest if max_batch_size is None else min(max_batch_size, fastest)

    def run(self, pictures: Tensor) -> Sequence[Outputs]:
        """Embed pictures of one size."""
        size = int(pictures.shape[2]), int(pictures.shape[3])
        with self._loading:
            if size not in self._loaded:
                self._loaded[size] = self._load(onnx_export_of(self._network, {"pictures": torch.zeros(1, 3, *size)}))
            if len(self._loaded) > MAX_LOADED_SIZES:
                del self._loaded[next(iter(self._loaded))]
            run = self._loaded[size]
        outputs = run([picture[None].numpy() for picture in pictures])
        return [tuple(torch.from_numpy(each)[0].permute(2, 0, 1) for each in picture) for picture in outputs]

    @abstractmethod
    def _resolved_precision(self, precision: Precision) -> str:
        """Choose what ``auto`` stands for; raise ``SettingsError`` for a precision that the engine lacks."""

    @abstractmethod
    def _fastest_batch_size(self) -> int:
        """Return how many pictures at once run fastest."""

    @abstractmethod
    def _load(self, export: bytes) -> RunPictures:
        """Compile an export that is to run ``batch_size`` pictures at once."""
