"""The image encoder by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from persam_vos.errors import SettingsError
from persam_vos.sam.backends.base import ExportedEncoderBackend, Precision, RunPictures
from persam_vos.sam.backends.buffers import Array
from persam_vos.sam.networks.sizes import GRID_SIDE_CELLS


class OnnxRuntimeEncoderBackend(ExportedEncoderBackend):
    """ONNX Runtime on the CPU."""

    name = "onnxruntime"

    def _resolved_precision(self, precision: Precision) -> str:
        if precision == "bfloat16":
            raise SettingsError(
                "--precision is 'bfloat16', which onnxruntime does not compute in; use float32 or openvino"
            )
        return "float32"

    def _fastest_batch_size(self) -> int:
        return 1

    def _load(self, export: bytes) -> RunPictures:
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
