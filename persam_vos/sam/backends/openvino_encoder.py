"""What runs an image encoder: PyTorch, or an inference engine that runs an export of the same weights on the CPU."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Final

from persam_vos.errors import SettingsError
from persam_vos.sam.backends.base import ExportedEncoderBackend, Precision, _Run
from persam_vos.sam.backends.buffers import Array, Buffers
from persam_vos.sam.backends.openvino_core import compiled, computes_in_bfloat16
from persam_vos.sam.networks.sizes import GRID_SIDE_CELLS

# Pictures that an engine runs at once at most: each takes some 100 MB.
_MOST_AT_ONCE: Final = 4


class OpenVinoEncoderBackend(ExportedEncoderBackend):
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
        self._buffers = [Buffers(shape) for shape in ((1, GRID_SIDE_CELLS, GRID_SIDE_CELLS, neck[3]), *stages)]
        # Whole rows of the square are one stretch of its memory.
        self._neck = None if neck[2] == GRID_SIDE_CELLS else Buffers(neck)

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
