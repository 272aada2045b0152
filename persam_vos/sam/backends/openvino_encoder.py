"""The image encoder by OpenVINO, several pictures side by side."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Final

from persam_vos.errors import SettingsError
from persam_vos.sam.backends.base import ExportedEncoderBackend, Precision, RunPictures
from persam_vos.sam.backends.buffers import Array, Buffers
from persam_vos.sam.backends.openvino_core import compiled, computes_in_bfloat16
from persam_vos.sam.networks.sizes import GRID_SIDE_CELLS

# Each picture takes some 100 MB.
MAX_BATCH_SIZE: Final = 4


class OpenVinoEncoderBackend(ExportedEncoderBackend):
    """OpenVINO on the CPU; in bfloat16, at nearly twice the speed, where the CPU has instructions for it."""

    name = "openvino"

    def _resolved_precision(self, precision: Precision) -> str:
        available = computes_in_bfloat16()
        if precision == "bfloat16" and not available:
            raise SettingsError(
                "--precision is 'bfloat16', which OpenVINO cannot compute in on this CPU; use float32, auto or"
                " --backend torch"
            )
        return "bfloat16" if available and precision != "float32" else "float32"

    def _fastest_batch_size(self) -> int:
        # With a picture each, threads do not wait for each other.
        return min(self._threads, MAX_BATCH_SIZE)

    def _load(self, export: bytes) -> RunPictures:
        return _OpenVinoRun(compiled(export, self.precision, self._threads, self.batch_size), self.batch_size)


class _OpenVinoRun:
    """Runs a compiled network on pictures, one per stream at a time.

    The outputs are the arrays that OpenVINO wrote to; nothing is copied.
    """

    def __init__(self, network: Any, streams: int) -> None:
        self._network = network
        self._streams = streams
        # A request serves one picture at a time, so each thread has its own.
        self._requests = threading.local()
        neck, *stages = (tuple(output.shape) for output in network.outputs)
        self._encoded = neck[1:3]
        self._buffers = [Buffers(shape) for shape in ((1, GRID_SIDE_CELLS, GRID_SIDE_CELLS, neck[3]), *stages)]
        # An output that spans whole rows of the square is written into the square directly.
        self._neck = None if neck[2] == GRID_SIDE_CELLS else Buffers(neck)

    def __call__(self, pictures: Sequence[Array]) -> Sequence[Sequence[Array]]:
        outputs: list[Sequence[Array]] = []
        for start in range(0, len(pictures), self._streams):
            outputs += self._run_batch(pictures[start : start + self._streams])
        return outputs

    def _run_batch(self, pictures: Sequence[Array]) -> Sequence[Sequence[Array]]:
        # Given back only after success, so that no request is reused after an error.
        requests: list[Any] = getattr(self._requests, "own", [])
        self._requests.own = []
        requests += [self._network.create_infer_request() for _ in range(len(pictures) - len(requests))]
        outputs = []
        # Wait for all, even after an error: their buffers must outlive the writing.
        with ExitStack() as running:
            for request, picture in zip(requests, pictures, strict=False):
                outputs.append(self._lend(request))
                running.callback(request.wait)
                request.start_async(picture, share_inputs=True)
        self._requests.own = requests
        return [self._placed(*each) for each in outputs]

    def _lend(self, request: Any) -> tuple[Array, list[Array]]:
        """Set the arrays that a request will write; return the neck's output and the arrays to hand out."""
        import openvino

        lent = [buffers.lend() for buffers in self._buffers]
        neck = self._neck.lend() if self._neck else lent[0][:, : self._encoded[0]]
        for i, array in enumerate([neck, *lent[1:]]):
            request.set_output_tensor(i, openvino.Tensor(array, shared_memory=True))
        return neck, lent

    def _placed(self, neck: Array, lent: list[Array]) -> list[Array]:
        """Copy the neck's output onto the square, unless OpenVINO wrote it there."""
        if self._neck:
            rows, columns = self._encoded
            lent[0][:, :rows, :columns] = neck
        return lent
