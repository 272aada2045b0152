"""The mask decoder by OpenVINO, from an ONNX export; on a CPU nearly twice as fast as PyTorch."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor

from persam_vos.sam.backends.onnx_export import onnx_export_of
from persam_vos.sam.backends.openvino_core import compiled
from persam_vos.sam.networks.mask_decoder import DecoderInput, MaskDecoderNetwork
from persam_vos.sam.networks.sam import Sam
from persam_vos.sam.networks.sizes import EMBEDDING_CHANNELS

# OpenVINO's own limit is 5,000 operations: 2 GB with windows of many sizes.
MAX_CACHED_OPERATIONS: Final = 200
# The inputs, with the dimensions that differ from call to call. The mask prompt may be left out.
_INPUTS: Final = {
    "cells": {0: "objects", 1: "cells"},
    "position": {0: "objects", 1: "cells"},
    "prompts": {0: "objects", 1: "points"},
    "extra_tokens": {0: "objects", 1: "tokens"},
    "mask_logits": {0: "objects", 1: "cells"},
}


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A compiled network, and its idle requests; each request serves one call at a time."""

    network: Any
    requests: list[Any] = field(default_factory=list)

    def run(self, inputs: list[Any]) -> list[Any]:
        try:
            request = self.requests.pop()
        except IndexError:
            request = self.network.create_infer_request()
        outputs = list(request.infer(inputs, share_inputs=True).values())
        self.requests.append(request)
        return outputs


class OpenVinoMaskDecoderBackend:
    """Decodes without guidance, with as many threads as PyTorch has at the time; see ``MaskDecoderBackend``."""

    def __init__(self, sam: Sam, precision: str) -> None:
        """Take the networks, and ``bfloat16`` or ``float32``."""
        self.precision = precision
        self._network = MaskDecoderNetwork(sam).eval()
        self._loading = threading.Lock()
        self._loaded: dict[tuple[bool, int], _Compiled] = {}

    def decode(self, inputs: DecoderInput, /) -> tuple[Tensor, Tensor]:
        """Decode one object after the other, so that one compiled shape serves any number of objects."""
        run = self._load(inputs.mask_logits is not None, torch.get_num_threads()).run
        given = inputs.cells, inputs.position, inputs.prompts, inputs.extra_tokens, inputs.mask_logits
        # Views, which a request refers to until its next call.
        parts = [[each[i : i + 1].numpy() for each in given if each is not None] for i in range(len(inputs.cells))]
        products, predicted_iou = zip(*map(run, parts), strict=True)
        return torch.cat([*map(torch.from_numpy, products)]), torch.cat([*map(torch.from_numpy, predicted_iou)])

    def warm_up(self) -> None:
        """Compile the network for calls with a mask prompt, unless it is compiled already."""
        self._load(True, torch.get_num_threads())

    def _load(self, with_mask: bool, threads: int) -> _Compiled:
        with self._loading:
            found = self._loaded.get((with_mask, threads))
            if found is None:
                found = _Compiled(
                    compiled(
                        self._export(with_mask), self.precision, threads, max_cached_operations=MAX_CACHED_OPERATIONS
                    )
                )
                self._loaded[with_mask, threads] = found
            return found

    def _export(self, with_mask: bool) -> bytes:
        grid, tokens = torch.zeros(1, 64, EMBEDDING_CHANNELS), torch.zeros(1, 3, EMBEDDING_CHANNELS)
        examples = [grid, grid, tokens, torch.zeros(1, 1, EMBEDDING_CHANNELS // 8), torch.zeros(1, 64, 4, 4)]
        inputs = dict(zip(_INPUTS, examples if with_mask else examples[:-1], strict=False))
        return onnx_export_of(self._network, inputs, {name: _INPUTS[name] for name in inputs})
