"""What runs an image encoder: PyTorch, or an inference engine that runs an export of the same weights on the CPU."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import io
import os
import threading
import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from persam_vos import __version__
from persam_vos.errors import SettingsError
from persam_vos.models.checkpoints import cache_dir
from persam_vos.models.sam import Sam

BackendName = Literal["auto", "torch", "onnxruntime", "openvino"]
Precision = Literal["auto", "float32", "bfloat16"]
Arrays = Sequence[npt.NDArray[np.float32]]
Outputs = tuple[Tensor, ...]

_OPSET: Final = 17
# Pictures that an engine runs at once at most: each takes some 100 MB.
_MOST_AT_ONCE: Final = 4
# Goes up when exports change: those in the cache, of an earlier version, are then of no use.
_EXPORT: Final = 3


class Backend(Protocol):
    """Anything that runs an image encoder.

    Attributes:
        name: As in the settings.
        precision: Of the arithmetic; what goes in and comes out is float32.
        at_once: Pictures that are best run at once on a CPU.
    """

    name: str
    precision: str
    at_once: int = 1

    @abstractmethod
    def run(self, pictures: Tensor) -> Sequence[Outputs]:
        """Embed float N x 3 x H x W, normalised; more than one thread may ask at a time.

        Returns:
            Of each picture the neck's output and the stages before it, each float32, C x h x w, the numbers of a cell
            side by side in memory.
        """


class TorchBackend(Backend):
    """PyTorch, on the device where the model lies."""

    name = "torch"

    def __init__(self, sam: Sam, precision: Precision = "float32") -> None:
        """Take a network; ``auto`` is float32: on a CPU without instructions for it, bfloat16 is slower."""
        self.precision = "bfloat16" if precision == "bfloat16" else "float32"
        self._network = sam.image_encoder
        # TinyViT is mostly convolutions, which run a quarter faster on channels-last memory; ViT has none that matter.
        self._layout = torch.channels_last if sam.name == "mobile_sam" else torch.contiguous_format
        self._network.to(memory_format=self._layout)

    def run(self, pictures: Tensor) -> Sequence[Outputs]:
        """Embed a batch."""
        placed = pictures.contiguous(memory_format=self._layout)
        with torch.autocast(pictures.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            outputs = self._network(placed)
        placed_last = (each.float().contiguous(memory_format=torch.channels_last) for each in outputs)
        return list(zip(*placed_last, strict=True))


# One picture or more -> the outputs of each.
_Run = Callable[[Sequence[npt.NDArray[np.float32]]], Sequence[Arrays]]


class _ExportBackend(Backend):
    """An inference engine that runs the network's export to ONNX, made for each size of picture when it first comes.

    As many pictures as came at once so far, up to ``at_once``, run at once. Exports are kept in the user's cache, named
    by what they depend on.
    """

    def __init__(self, sam: Sam, precision: Precision = "float32") -> None:
        self.precision = self._precise(precision)
        # For inference like what it wraps, or its export would leave that in training mode.
        self._network = _ChannelsLast(sam.image_encoder).eval()
        self._loaded: dict[tuple[int, int], tuple[int, _Run]] = {}
        self._loading = threading.Lock()
        # Now, since it may be lowered for the tracker alone.
        self._threads = torch.get_num_threads()

    def run(self, pictures: Tensor) -> Sequence[Outputs]:
        """Embed pictures of one size."""
        size = int(pictures.shape[2]), int(pictures.shape[3])
        with self._loading:
            streams, wanted = self._loaded[size][0] if size in self._loaded else 0, min(len(pictures), self.at_once)
            if streams < wanted:
                self._loaded[size] = wanted, self._load(_exported(self._network, size), wanted)
            run = self._loaded[size][1]
        outputs = run([picture[None].numpy() for picture in pictures])
        return [tuple(torch.from_numpy(each)[0].permute(2, 0, 1) for each in picture) for picture in outputs]

    @abstractmethod
    def _precise(self, precision: Precision) -> str:
        """Settle what ``auto`` is; refuse what cannot be had."""

    @abstractmethod
    def _load(self, export: bytes, streams: int) -> _Run:
        """Make a function of the export, which is to run so many pictures at once."""


class OnnxRuntimeBackend(_ExportBackend):
    """ONNX Runtime on the CPU."""

    name = "onnxruntime"

    def _precise(self, precision: Precision) -> str:
        if precision == "bfloat16":
            raise SettingsError(
                "--precision is 'bfloat16', which onnxruntime does not compute in; use float32 or openvino"
            )
        return "float32"

    def _load(self, export: bytes, _: int) -> _Run:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        session = onnxruntime.InferenceSession(export, options, providers=["CPUExecutionProvider"])
        (given,) = session.get_inputs()
        return lambda pictures: [session.run(None, {given.name: picture}) for picture in pictures]


class OpenVinoBackend(_ExportBackend):
    """OpenVINO on the CPU; in bfloat16, at nearly twice the speed, where the CPU has instructions for it."""

    name = "openvino"

    def __init__(self, sam: Sam, precision: Precision = "float32") -> None:
        super().__init__(sam, precision)
        # Threads that work on pictures of their own do not wait for each other.
        self.at_once = min(self._threads, _MOST_AT_ONCE)

    def _precise(self, precision: Precision) -> str:
        import openvino

        able = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bfloat16" and not able:
            raise SettingsError(
                "--precision is 'bfloat16', which OpenVINO cannot compute in on this CPU; use float32, auto or"
                " --backend torch"
            )
        return "bfloat16" if able and precision != "float32" else "float32"

    def _load(self, export: bytes, streams: int) -> _Run:
        import openvino

        core = openvino.Core()
        # Asked for explicitly: left alone, it takes bfloat16 or not as it likes.
        hint = {"bfloat16": "bf16", "float32": "f32"}[self.precision]
        settings = {
            "INFERENCE_PRECISION_HINT": hint,
            "INFERENCE_NUM_THREADS": self._threads,
            "NUM_STREAMS": streams,
            "ENABLE_CPU_PINNING": False,
        }
        compiled = core.compile_model(core.read_model(export), "CPU", settings)
        return functools.partial(_run_requests, compiled, streams, _Requests())


class _Requests(threading.local):
    """Requests of a compiled network, each thread's own: one serves one picture at a time."""

    def __init__(self) -> None:
        self.own: list[Any] = []


def _run_requests(
    compiled: Any, streams: int, requests: _Requests, pictures: Sequence[npt.NDArray[np.float32]]
) -> Sequence[Arrays]:
    """Run pictures, as many at once as there are streams."""
    outputs: list[Arrays] = []
    for start in range(0, len(pictures), streams):
        at_once = pictures[start : start + streams]
        # Taken, and given back once they are done: what an interrupt leaves running is not used again.
        taken, requests.own = requests.own, []
        taken += [compiled.create_infer_request() for _ in range(len(at_once) - len(taken))]
        for request, picture in zip(taken, at_once, strict=False):
            request.start_async(picture, share_inputs=True)
        for request, _ in zip(taken, at_once, strict=False):
            request.wait()
            # The request's own memory is written to again by the next picture.
            outputs.append([tensor.data.copy() for tensor in request.output_tensors])
        requests.own = taken
    return outputs


# Fastest first, with what each needs besides PyTorch: itself, and ``onnx``, which writes the export.
_ENGINES: Final[dict[str, tuple[type[_ExportBackend], tuple[str, ...]]]] = {
    "openvino": (OpenVinoBackend, ("openvino", "onnx")),
    "onnxruntime": (OnnxRuntimeBackend, ("onnxruntime", "onnx")),
}


def open_backend(name: BackendName, sam: Sam, device: torch.device, precision: Precision = "auto") -> Backend:
    """Open the backend that a setting names, with its arithmetic; ``auto`` is the fastest one that is installed.

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
        return TorchBackend(sam, precision)
    if not fits:
        raise SettingsError(
            f"--backend is '{name}', which runs mobile_sam on a CPU only; for {sam.name} on {device.type} use torch"
        )
    if chosen not in installed:
        raise SettingsError(
            f"--backend is '{name}', which is not installed: pip install 'persam-vos[{name}]', or use auto"
        )
    return _ENGINES[chosen][0](sam, precision)


class _ChannelsLast(torch.nn.Module):
    """A network whose outputs are N x h x w x C: most of them lie so in memory anyway, and are used so."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self._network = network

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(each.permute(0, 2, 3, 1) for each in self._network(x))


def _exported(network: torch.nn.Module, size: tuple[int, int]) -> bytes:
    """Return the ONNX export of a network for pictures of one size, from the cache if it is there."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    versions = f"{__version__}-export{_EXPORT}-torch{torch.__version__}-opset{_OPSET}"
    path = cache_dir() / "exports" / f"{digest.hexdigest()[:32]}-{size[0]}x{size[1]}-{versions}.onnx"
    with contextlib.suppress(OSError):
        return _unsealed(path.read_bytes())
    export = _export(network, size)
    # A cache that cannot be written costs seconds in the next run, not this one.
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(hashlib.sha256(export).digest() + export)
        part.replace(path)
    return export


def _unsealed(content: bytes) -> bytes:
    """Return what follows the digest that the file begins with; a file that is not whole is as good as none."""
    seal, export = content[:32], content[32:]
    if hashlib.sha256(export).digest() != seal:
        raise OSError("damaged")
    return export


def _export(network: torch.nn.Module, size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    example = torch.zeros(1, 3, *size)
    with warnings.catch_warnings():
        # Tracing warns of every Python number that becomes a constant, which is the point of an export for one size.
        warnings.simplefilter("ignore")
        # Its type hints know of no file objects, which its documentation allows.
        target: Any = file
        torch.onnx.export(network, (example,), target, dynamo=False, opset_version=_OPSET)
    return file.getvalue()
