"""What runs an image encoder: PyTorch, or an inference engine that runs an export of the same weights on the CPU."""

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

# Fastest first, with what each needs besides PyTorch: itself, and ``onnx``, which writes the export.
_ENGINES: Final[dict[str, tuple[type[ExportedEncoderBackend], tuple[str, ...]]]] = {
    "openvino": (OpenVinoEncoderBackend, ("openvino", "onnx")),
    "onnxruntime": (OnnxRuntimeEncoderBackend, ("onnxruntime", "onnx")),
}


def open_backend(
    name: BackendName, sam: Sam, device: torch.device, precision: Precision = "auto", at_once: int | None = None
) -> EncoderBackend:
    """Open the backend that a setting names, with its arithmetic; ``auto`` is the fastest one that is installed.

    Args:
        name: Of the backend.
        sam: The network.
        device: Where it lies.
        precision: Of the arithmetic.
        at_once: Pictures that it is to run at once, at most; None for as many as are best on a CPU.

    Raises:
        SettingsError: If it is not installed, or cannot run this model on this device, or in this precision.
    """
    # The larger models are dozens of times MobileSAM, and so would their exports be.
    fits = device.type == "cpu" and sam.name == "mobile_sam"
    installed = [engine for engine, (_, needed) in _ENGINES.items() if all(map(importlib.util.find_spec, needed))]
    chosen: str = name
    if name == "auto":
        chosen = installed[0] if fits and installed else "torch"
    if chosen == "torch":
        return TorchEncoderBackend(sam, precision, at_once or 1)
    if not fits:
        raise SettingsError(
            f"--backend is '{name}', which runs mobile_sam on a CPU only; for {sam.name} on {device.type} use torch"
        )
    if chosen not in installed:
        raise SettingsError(
            f"--backend is '{name}', which is not installed: pip install 'persam-vos[{name}]', or use auto"
        )
    return _ENGINES[chosen][0](sam, precision, at_once)
