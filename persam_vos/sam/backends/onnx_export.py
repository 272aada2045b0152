"""Networks become ONNX exports for the inference engines; each is made once per input shape and cached on disk."""

from __future__ import annotations

import contextlib
import hashlib
import io
import threading
from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor

from persam_vos import __version__
from persam_vos.errors import OutputError
from persam_vos.files import cache_dir, whole_file
from persam_vos.quiet import quiet_warnings

ONNX_OPSET: Final = 17
# Raise this when exports change, so that older ones in the cache are no longer found.
EXPORT_VERSION: Final = 4
_EXPORTING: Final = threading.Lock()


class ChannelsLast(torch.nn.Module):
    """A network with outputs N x h x w x C, which is how most lie in memory already and how they are used."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self._network = network

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Take float, N x 3 x H x W, and return each output with its channels last."""
        return tuple(each.permute(0, 2, 3, 1) for each in self._network(x))


def onnx_export_of(
    network: torch.nn.Module, inputs: Mapping[str, Tensor], free: Mapping[str, Mapping[int, str]] | None = None
) -> bytes:
    """Return the ONNX export of a network, from the cache if it is there.

    Args:
        network: In evaluation mode.
        inputs: Example inputs in order, by name; the export is for their shapes.
        free: Dimensions of each input, with names, that may have any length.

    Returns:
        The ONNX file's bytes.
    """
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    shapes = "-".join("x".join(map(str, each.shape)) for each in inputs.values())
    versions = f"{__version__}-export{EXPORT_VERSION}-torch{torch.__version__}-opset{ONNX_OPSET}"
    path = cache_dir() / "exports" / f"{digest.hexdigest()[:32]}-{shapes}-{versions}.onnx"
    # PyTorch cannot export two networks at the same time.
    with _EXPORTING:
        with contextlib.suppress(OSError):
            return _verified(path.read_bytes())
        export = _export(network, inputs, free or {})
        # Without a cache, the next run exports again; this one is not affected.
        with contextlib.suppress(OutputError), whole_file(path, shared=True) as partial:
            partial.write_bytes(hashlib.sha256(export).digest() + export)
        return export


def _verified(content: bytes) -> bytes:
    """Return the export after the SHA-256 that its file begins with; raise ``OSError`` if they do not match."""
    digest, export = content[:32], content[32:]
    if hashlib.sha256(export).digest() != digest:
        raise OSError("damaged")
    return export


def _export(network: torch.nn.Module, inputs: Mapping[str, Tensor], free: Mapping[str, Mapping[int, str]]) -> bytes:
    file = io.BytesIO()
    # Tracing warns about every Python number that becomes a constant, which is what an export is for.
    with quiet_warnings():
        # The type hints lack file objects, which the documentation allows.
        target: Any = file
        given = tuple(inputs.values())
        torch.onnx.export(
            network,
            given,
            target,
            dynamo=False,
            opset_version=ONNX_OPSET,
            input_names=[*inputs],
            dynamic_axes=dict(free),
        )
    return file.getvalue()
