"""Networks for OpenVINO: how an export is made ready."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any, Final

_BEGINNING: Final = threading.Lock()


def compiled(export: bytes, precision: str, threads: int, streams: int = 1, kept: int | None = None) -> Any:
    """Compile an export for the CPU.

    Args:
        export: ONNX.
        precision: ``bfloat16`` or ``float32``.
        threads: That it may use.
        streams: How many requests they run at once.
        kept: Operations whose code for a shape of the inputs is kept; None for as many as OpenVINO likes.
    """
    settings: dict[str, Any] = {
        # Asked for explicitly: left alone, it takes bfloat16 or not as it likes.
        "INFERENCE_PRECISION_HINT": {"bfloat16": "bf16", "float32": "f32"}[precision],
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": streams,
        "ENABLE_CPU_PINNING": False,
    }
    if kept is not None:
        settings["CPU_RUNTIME_CACHE_CAPACITY"] = kept
    core = _core()
    return core.compile_model(core.read_model(export), "CPU", settings)


def computes_in_bfloat16() -> bool:
    """Tell whether this CPU has instructions for it."""
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _core() -> Any:
    """Return the one core of this process, which lives until its end.

    Each core gives the thread that makes it a stack for signals, and takes it away with itself, in whichever thread
    that is. Of two, the one that goes last may leave a stack behind that is gone: the next Ctrl-C would be a crash.
    """
    with _BEGINNING:
        return _begun()


@cache
def _begun() -> Any:
    import openvino

    return openvino.Core()
