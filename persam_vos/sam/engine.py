"""A model on a device: its encoder, its decoder, and what is known of both."""

from __future__ import annotations

import contextlib
import functools
import importlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import torch

from persam_vos.files import file_sha256
from persam_vos.sam.backends.base import EncoderBackend
from persam_vos.sam.backends.openvino_decoder import OpenVinoMaskDecoderBackend
from persam_vos.sam.backends.select import open_backend
from persam_vos.sam.checkpoints.loading import choose_device, load_sam
from persam_vos.sam.checkpoints.registry import resolve_checkpoint
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import Encoder, SamEncoder
from persam_vos.settings.common import EngineSettings

AnyEngineSettings = TypeVar("AnyEngineSettings", bound=EngineSettings)
# Frames that a GPU encodes at once, at first; halved whenever its memory is too small.
_GPU_BATCH = {"mobile_sam": 16, "vit_b": 8, "vit_l": 4, "vit_h": 4}
_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineParts:
    """Everything that an engine is made of.

    Attributes:
        encoder: Encodes one frame at a time, with all threads.
        batch_encoder: Encodes ``batch_size`` frames at once; on some backends the same object as ``encoder``.
        decoder: Answers prompts.
        another_encoder: Makes one more encoder like ``encoder``, for the whole square (True) or the picture (False).
        batch_size: Frames that ``batch_encoder`` takes at once.
        side_by_side: Whether ``batch_encoder`` is called with one frame at a time, from ``batch_size`` threads.
        device: Where the networks compute.
        backend: Name of what runs the encoder.
        precision: ``float32`` or ``bfloat16``, of the encoder.
        checkpoint: File of the weights.
    """

    encoder: Encoder
    batch_encoder: Encoder
    decoder: Decoder
    another_encoder: Callable[[bool], Encoder]
    batch_size: int = 1
    side_by_side: bool = False
    device: torch.device = _CPU
    backend: str = "torch"
    precision: str = "float32"
    checkpoint: Path = Path()


class Engine(Generic[AnyEngineSettings]):
    """A model on a device.

    Attributes:
        settings: What it was made of.
        batch_size: Frames encoded at once; smaller than ``settings.batch_size`` once the GPU's memory was too small.

    The other attributes are those of ``EngineParts``.
    """

    def __init__(
        self,
        settings: AnyEngineSettings,
        *,
        square: bool | None = None,
        progress: bool = True,
        parts: EngineParts | None = None,
    ) -> None:
        """Load the model that the settings name.

        Args:
            settings: Which model, and what runs it.
            square: Whether the padding of SAM's square input is encoded as well; None leaves that to the settings.
            progress: Show a bar if the model must be downloaded.
            parts: Take these instead of loading any.

        Raises:
            SettingsError: If the device or the backend cannot run the model.
            CheckpointError: If the weights cannot be had.
        """
        if parts is None:
            parts = load_parts(settings, square=square, progress=progress)
        self.settings = settings
        self.encoder, self.batch_encoder, self.decoder = parts.encoder, parts.batch_encoder, parts.decoder
        self.batch_size, self.side_by_side = parts.batch_size, parts.side_by_side
        self.device, self.backend, self.precision = parts.device, parts.backend, parts.precision
        self.checkpoint = parts.checkpoint
        self._another_encoder = parts.another_encoder
        self._is_warm = False

    def another_encoder(self, *, square: bool) -> Encoder:
        """Return an encoder for one frame at a time that shares nothing but the weights with ``encoder``.

        Args:
            square: Whether it encodes the padding of SAM's square input as well.
        """
        return self._another_encoder(square)

    @functools.cached_property
    def checkpoint_sha256(self) -> str:
        """SHA-256 of the checkpoint, 64 hexadecimal digits; the file is read once."""
        return file_sha256(self.checkpoint)

    @property
    def gpu_name(self) -> str | None:
        """Name of the GPU; None on a CPU."""
        return gpu_name(self.device)

    @contextlib.contextmanager
    def warming_up(self, modules: Sequence[str] = ()) -> Iterator[None]:
        """Load the decoder's network in a thread beside the block; only the first block of an engine does so.

        Args:
            modules: Names of modules to import in that thread as well.
        """
        left = threading.Event()
        imports = [partial(importlib.import_module, name) for name in modules]
        loads: list[Callable[[], object]] = [self.decoder.warm_up, *imports]

        def load() -> None:
            for each in loads:
                if left.is_set():
                    return
                # Load it in the background. If that fails, the first caller loads it again and sees the error.
                with contextlib.suppress(Exception):
                    each()

        if self._is_warm:
            yield
            return
        self._is_warm = True
        thread = threading.Thread(target=load, name="persam-vos warm-up")
        thread.start()
        try:
            yield
        finally:
            left.set()
            thread.join()


def load_parts(settings: EngineSettings, *, square: bool | None = None, progress: bool = True) -> EngineParts:
    """Load the model that settings name, which several engines may share; see ``Engine``."""
    square = settings.encodes_square if square is None else square
    device = choose_device(settings.device)
    checkpoint = resolve_checkpoint(settings.model, settings.checkpoint, progress=progress)
    sam = load_sam(settings.model, checkpoint, device)
    max_batch_size = None if settings.batch_size == "auto" else settings.batch_size
    if max_batch_size is None and device.type == "cuda":
        max_batch_size = _GPU_BATCH[settings.model]
    backend = open_backend(settings.backend, sam, device, settings.precision, max_batch_size)

    def another_encoder(square: bool) -> Encoder:
        alone = open_backend(settings.backend, sam, device, settings.precision, max_batch_size=1)
        return SamEncoder(sam, alone, square=square)

    batch_encoder = SamEncoder(sam, backend, square=square)
    decoding = OpenVinoMaskDecoderBackend(sam, backend.precision) if backend.name == "openvino" else None
    return EngineParts(
        # A backend that encodes frames side by side gives each of them a part of the threads only.
        encoder=another_encoder(square) if backend.side_by_side else batch_encoder,
        batch_encoder=batch_encoder,
        decoder=Decoder(sam, _torch_dtype(backend, device), decoding),
        another_encoder=another_encoder,
        batch_size=backend.batch_size,
        side_by_side=backend.side_by_side,
        device=device,
        backend=backend.name,
        precision=backend.precision,
        checkpoint=checkpoint,
    )


def _torch_dtype(backend: EncoderBackend, device: torch.device) -> torch.dtype:
    """Return what PyTorch computes in: the encoder's precision, where PyTorch is fast at it.

    OpenVINO has bfloat16 on CPUs where PyTorch only imitates it, 20 times as slowly.
    """
    fast = device.type != "cpu" or backend.name == "torch" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if backend.precision == "bfloat16" and fast else torch.float32


def gpu_name(device: torch.device) -> str | None:
    """Return the name of a GPU; None of a CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else None
