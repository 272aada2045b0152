"""ONNX exports compiled by OpenVINO."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any, Final

_CREATING: Final = threading.Lock()


def compiled(
    export: bytes, precision: str, threads: int, streams: int = 1, max_cached_operations: int | None = None
) -> Any:
    """Compile an export for the CPU.

    Args:
        export: The ONNX file's bytes.
        precision: ``bfloat16`` or ``float32``.
        threads: Number of threads, shared by all streams.
        streams: Number of requests that run at once.
        max_cached_operations: Operations whose code for one input shape is cached; None for OpenVINO's own limit.

    Returns:
        An ``openvino.CompiledModel``.
    """
    settings: dict[str, Any] = {
        # Without this, OpenVINO chooses between bfloat16 and float32 itself.
        "INFERENCE_PRECISION_HINT": {"bfloat16": "bf16", "float32": "f32"}[precision],
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": streams,
        "ENABLE_CPU_PINNING": False,
    }
    if max_cached_operations is not None:
        settings["CPU_RUNTIME_CACHE_CAPACITY"] = max_cached_operations
    core = _core()
    return core.compile_model(core.read_model(export), "CPU", settings)


def computes_in_bfloat16() -> bool:
    """Tell whether this CPU has bfloat16 instructions."""
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _core() -> Any:
    """Return the only ``openvino.Core`` of this process, which lives until the process ends.

    A core installs a signal stack in the thread that makes it and frees the stack in the thread that drops it. With two
    cores, a thread can be left with a freed stack, and the next Ctrl-C crashes.
    """
    with _CREATING:
        return _new_core()


@cache
def _new_core() -> Any:
    import openvino

    return openvino.Core()
