"""Networks for OpenVINO: how an export is made ready."""

from __future__ import annotations

from typing import Any


def compiled(export: bytes, precision: str, threads: int, streams: int = 1, kept: int | None = None) -> Any:
    """Compile an export for the CPU.

    Args:
        export: ONNX.
        precision: ``bfloat16`` or ``float32``.
        threads: That it may use.
        streams: How many requests they run at once.
        kept: Operations whose code for a shape of the inputs is kept; None for as many as OpenVINO likes.
    """
    import openvino

    core = openvino.Core()
    settings: dict[str, Any] = {
        # Asked for explicitly: left alone, it takes bfloat16 or not as it likes.
        "INFERENCE_PRECISION_HINT": {"bfloat16": "bf16", "float32": "f32"}[precision],
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": streams,
        "ENABLE_CPU_PINNING": False,
    }
    if kept is not None:
        settings["CPU_RUNTIME_CACHE_CAPACITY"] = kept
    return core.compile_model(core.read_model(export), "CPU", settings)
