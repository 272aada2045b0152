"""From a setting to the backend that runs the image encoder."""

from __future__ import annotations

import importlib.util
from typing import Final

import torch

from persam_vos.errors import SettingsError
from persam_vos.sam.backends.base import BackendName, EncoderBackend, ExportedEncoderBackend, Precision
from persam_vos.sam.backends.onnxruntime import OnnxRuntimeEncoderBackend
from persam_vos.sam.backends.openvino_encoder import OpenVinoEncoderBackend
from persam_vos.sam.backends.pytorch import TorchEncoderBackend
from persam_vos.sam.networks.sam import Sam

# Fastest first, each with the packages it needs: its own, and ``onnx``, which writes the export.
_ENGINES: Final[dict[str, tuple[type[ExportedEncoderBackend], tuple[str, ...]]]] = {
    "openvino": (OpenVinoEncoderBackend, ("openvino", "onnx")),
    "onnxruntime": (OnnxRuntimeEncoderBackend, ("onnxruntime", "onnx")),
}


def open_backend(
    name: BackendName, sam: Sam, device: torch.device, precision: Precision = "auto", max_batch_size: int | None = None
) -> EncoderBackend:
    """Open the backend that a setting names; ``auto`` is the fastest one that is installed.

    Args:
        name: The setting.
        sam: The network.
        device: Where the network lies.
        precision: Precision of the arithmetic.
        max_batch_size: Pictures to run at once at most; None for as many as are fastest on a CPU.

    Raises:
        SettingsError: If the backend is not installed, or cannot run this model on this device or in this precision.
    """
    # Exports of the larger models would be dozens of times as large as MobileSAM's.
    fits = device.type == "cpu" and sam.name == "mobile_sam"
    installed = [engine for engine, (_, needed) in _ENGINES.items() if all(map(importlib.util.find_spec, needed))]
    chosen: str = name
    if name == "auto":
        chosen = installed[0] if fits and installed else "torch"
    if chosen == "torch":
        return TorchEncoderBackend(sam, precision, max_batch_size or 1)
    if not fits:
        raise SettingsError(
            f"--backend is '{name}', which runs mobile_sam on a CPU only; for {sam.name} on {device.type} use torch"
        )
    if chosen not in installed:
        raise SettingsError(
            f"--backend is '{name}', which is not installed: pip install 'persam-vos[{name}]', or use auto"
        )
    return _ENGINES[chosen][0](sam, precision, max_batch_size)
