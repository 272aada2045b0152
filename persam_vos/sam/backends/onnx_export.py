"""Networks as ONNX, for the inference engines: made once for each shape of what they are given, and kept."""

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

_OPSET: Final = 17
# Goes up when exports change: those in the cache, of an earlier version, are then of no use.
_EXPORT: Final = 4
_EXPORTING: Final = threading.Lock()


class ChannelsLast(torch.nn.Module):
    """A network whose outputs are N x h x w x C: most of them lie so in memory anyway, and are used so."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self._network = network

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Take float, N x 3 x H x W."""
        return tuple(each.permute(0, 2, 3, 1) for each in self._network(x))


def exported(
    network: torch.nn.Module, inputs: Mapping[str, Tensor], free: Mapping[str, Mapping[int, str]] | None = None
) -> bytes:
    """Return the ONNX export of a network, from the cache if it is there.

    Args:
        network: In evaluation mode.
        inputs: What it is given, in order, by name: of the shapes that it is exported for.
        free: Of each input, names of those sides that may be of any length.
    """
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    shapes = "-".join("x".join(map(str, each.shape)) for each in inputs.values())
    versions = f"{__version__}-export{_EXPORT}-torch{torch.__version__}-opset{_OPSET}"
    path = cache_dir() / "exports" / f"{digest.hexdigest()[:32]}-{shapes}-{versions}.onnx"
    # PyTorch exports one network at a time, and stumbles over a second one.
    with _EXPORTING:
        with contextlib.suppress(OSError):
            return _unsealed(path.read_bytes())
        export = _export(network, inputs, free or {})
        # A cache that cannot be written costs seconds in the next run, not this one.
        with contextlib.suppress(OutputError), whole_file(path) as partial:
            partial.write_bytes(hashlib.sha256(export).digest() + export)
        return export


def _unsealed(content: bytes) -> bytes:
    """Return what follows the digest that the file begins with; a file that is not whole is as good as none."""
    seal, export = content[:32], content[32:]
    if hashlib.sha256(export).digest() != seal:
        raise OSError("damaged")
    return export


def _export(network: torch.nn.Module, inputs: Mapping[str, Tensor], free: Mapping[str, Mapping[int, str]]) -> bytes:
    file = io.BytesIO()
    # Tracing warns of every Python number that becomes a constant, which is the point of an export.
    with quiet_warnings():
        # Its type hints know of no file objects, which its documentation allows.
        target: Any = file
        given = tuple(inputs.values())
        torch.onnx.export(
            network, given, target, dynamo=False, opset_version=_OPSET, input_names=[*inputs], dynamic_axes=dict(free)
        )
    return file.getvalue()
