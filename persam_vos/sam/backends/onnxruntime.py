"""What runs an image encoder: PyTorch, or an inference engine that runs an export of the same weights on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from persam_vos.errors import SettingsError
from persam_vos.sam.backends.base import ExportedEncoderBackend, Precision, _Run
from persam_vos.sam.backends.buffers import Array
from persam_vos.sam.networks.sizes import GRID_SIDE_CELLS


class OnnxRuntimeEncoderBackend(ExportedEncoderBackend):
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
                below, right = (GRID_SIDE_CELLS - length for length in neck.shape[1:3])
                outputs.append([np.pad(neck, ((0, 0), (0, below), (0, right), (0, 0))), *stages])
            return outputs

        return run
