"""What runs an image encoder: PyTorch, or an inference engine that runs an export of the same weights on the CPU."""

from __future__ import annotations

import importlib.util
import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, Final, Literal, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from persam_vos.errors import SettingsError
from persam_vos.models.buffers import Array, Buffers
from persam_vos.models.exports import ChannelsLast, exported
from persam_vos.models.openvino_model import compiled, computes_in_bfloat16
from persam_vos.models.sam import GRID, Sam

BackendName = Literal["auto", "torch", "onnxruntime", "openvino"]
Precision = Literal["auto", "float32", "bfloat16"]
Outputs = tuple[Tensor, ...]

# Pictures that an engine runs at once at most: each takes some 100 MB.
_MOST_AT_ONCE: Final = 4
# Sizes of pictures for which an engine is kept ready: each takes some 200 MB.
_MOST_LOADED: Final = 4


class Backend(Protocol):
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


class TorchBackend(Backend):
    """PyTorch, on the device where the model lies."""

    name = "torch"
    apart = False

    def __init__(self, sam: Sam, precision: Precision = "float32", at_once: int = 1) -> None:
        """Take a network; ``auto`` is float32: on a CPU without instructions for it, bfloat16 is slower."""
        self.at_once = at_once
        self.precision = "bfloat16" if precision == "bfloat16" else "float32"
        self._network = sam.image_encoder
        # TinyViT is mostly convolutions, which run a quarter faster on channels-last memory; ViT has none that matter.
        self._layout = torch.channels_last if sam.name == "mobile_sam" else torch.contiguous_format
        self._network.to(memory_format=self._layout)

    def run(self, pictures: Tensor) -> Sequence[Outputs]:
        """Embed a batch."""
        placed = pictures.contiguous(memory_format=self._layout)
        with torch.autocast(pictures.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            neck, *stages = self._network(placed)
        below, right = (GRID - length for length in neck.shape[2:])
        outputs = [functional.pad(neck, (0, right, 0, below)), *stages]
        placed_last = (each.float().contiguous(memory_format=torch.channels_last) for each in outputs)
        return list(zip(*placed_last, strict=True))


# One picture or more -> the outputs of each, of which the first is laid onto the square.
_Run = Callable[[Sequence[Array]], Sequence[Sequence[Array]]]


class _ExportBackend(Backend):
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


class OnnxRuntimeBackend(_ExportBackend):
    """ONNX Runtime on the CPU."""

    name = "onnxruntime"

    def _precise(self, precision: Precision) -> str:
        if precision == "bfloat16":
            raise SettingsError(
                "--precision is 'bfloat16', which onnxruntime does not compute in; use float32 or openvino"
            )
        return "float32"

    def _best_at_once(self) -> int:
        return 1

    def _load(self, export: bytes) -> _Run:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        session = onnxruntime.InferenceSession(export, options, providers=["CPUExecutionProvider"])
        (given,) = session.get_inputs()

        def run(pictures: Sequence[Array]) -> Sequence[Sequence[Array]]:
            outputs = []
            for picture in pictures:
                neck, *stages = session.run(None, {given.name: picture})
                below, right = (GRID - length for length in neck.shape[1:3])
                outputs.append([np.pad(neck, ((0, 0), (0, below), (0, right), (0, 0))), *stages])
            return outputs

        return run


class OpenVinoBackend(_ExportBackend):
    """OpenVINO on the CPU; in bfloat16, at nearly twice the speed, where the CPU has instructions for it."""

    name = "openvino"

    def _precise(self, precision: Precision) -> str:
        able = computes_in_bfloat16()
        if precision == "bfloat16" and not able:
            raise SettingsError(
                "--precision is 'bfloat16', which OpenVINO cannot compute in on this CPU; use float32, auto or"
                " --backend torch"
            )
        return "bfloat16" if able and precision != "float32" else "float32"

    def _best_at_once(self) -> int:
        # Threads that work on pictures of their own do not wait for each other.
        return min(self._threads, _MOST_AT_ONCE)

    def _load(self, export: bytes) -> _Run:
        return _OpenVinoRun(compiled(export, self.precision, self._threads, self.at_once), self.at_once)


class _OpenVinoRun:
    """Runs a compiled network on pictures, as many at once as there are streams.

    What it hands out is what OpenVINO wrote: nothing is copied.
    """

    def __init__(self, network: Any, streams: int) -> None:
        self._network = network
        self._streams = streams
        # A request serves one picture at a time: each thread has its own.
        self._requests = threading.local()
        neck, *stages = (tuple(output.shape) for output in network.outputs)
        self._encoded = neck[1:3]
        self._buffers = [Buffers(shape) for shape in ((1, GRID, GRID, neck[3]), *stages)]
        # Whole rows of the square are one stretch of its memory.
        self._neck = None if neck[2] == GRID else Buffers(neck)

    def __call__(self, pictures: Sequence[Array]) -> Sequence[Sequence[Array]]:
        outputs: list[Sequence[Array]] = []
        for start in range(0, len(pictures), self._streams):
            outputs += self._at_once(pictures[start : start + self._streams])
        return outputs

    def _at_once(self, pictures: Sequence[Array]) -> Sequence[Sequence[Array]]:
        # Taken, and given back once they are done: what an error leaves behind is not used again.
        requests: list[Any] = getattr(self._requests, "own", [])
        self._requests.own = []
        requests += [self._network.create_infer_request() for _ in range(len(pictures) - len(requests))]
        outputs = []
        # All are waited for, whatever happens: what is being written to must not be let go of before.
        with ExitStack() as running:
            for request, picture in zip(requests, pictures, strict=False):
                outputs.append(self._lend(request))
                running.callback(request.wait)
                request.start_async(picture, share_inputs=True)
        self._requests.own = requests
        return [self._placed(*each) for each in outputs]

    def _lend(self, request: Any) -> tuple[Array, list[Array]]:
        """Return what a request will write: the neck's output, and all that is handed out."""
        import openvino

        lent = [buffers.lend() for buffers in self._buffers]
        neck = self._neck.lend() if self._neck else lent[0][:, : self._encoded[0]]
        for i, array in enumerate([neck, *lent[1:]]):
            request.set_output_tensor(i, openvino.Tensor(array, shared_memory=True))
        return neck, lent

    def _placed(self, neck: Array, lent: list[Array]) -> list[Array]:
        """Lay the neck's output onto the square, unless it has been written there."""
        if self._neck:
            rows, columns = self._encoded
            lent[0][:, :rows, :columns] = neck
        return lent


# Fastest first, with what each needs besides PyTorch: itself, and ``onnx``, which writes the export.
_ENGINES: Final[dict[str, tuple[type[_ExportBackend], tuple[str, ...]]]] = {
    "openvino": (OpenVinoBackend, ("openvino", "onnx")),
    "onnxruntime": (OnnxRuntimeBackend, ("onnxruntime", "onnx")),
}


def open_backend(
    name: BackendName, sam: Sam, device: torch.device, precision: Precision = "auto", at_once: int | None = None
) -> Backend:
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
        return TorchBackend(sam, precision, at_once or 1)
    if not fits:
        raise SettingsError(
            f"--backend is '{name}', which runs mobile_sam on a CPU only; for {sam.name} on {device.type} use torch"
        )
    if chosen not in installed:
        raise SettingsError(
            f"--backend is '{name}', which is not installed: pip install 'persam-vos[{name}]', or use auto"
        )
    return _ENGINES[chosen][0](sam, precision, at_once)
