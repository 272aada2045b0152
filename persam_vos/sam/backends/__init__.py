"""Normalised pictures, or embedded prompts, in; image embeddings, or mask logits, out, from SAM's networks.

Each backend runs one of the two networks, by PyTorch or by an inference engine on its ONNX export.
"""

from persam_vos.sam.backends.base import BackendName, EncoderBackend, Precision
from persam_vos.sam.backends.openvino_decoder import OpenVinoMaskDecoderBackend
from persam_vos.sam.backends.pytorch import TorchEncoderBackend
from persam_vos.sam.backends.select import open_backend

__all__ = [
    "BackendName",
    "EncoderBackend",
    "OpenVinoMaskDecoderBackend",
    "Precision",
    "TorchEncoderBackend",
    "open_backend",
]
