"""Times measured in turns, and the rates that they are compared with."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from persam_vos.exports.run_record import machine
from persam_vos.sam.engine import gpu_name

DATA = Path(__file__).resolve().parents[2] / "persam_vos" / "data"
CLIP, MASK = DATA / "bunny.mp4", DATA / "bunny_mask.png"


def seconds(function: Callable[[], object]) -> float:
    """Seconds by the clock until the function, and the device, have finished."""
    start = time.perf_counter()
    function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def in_turns(ways: Mapping[str, Callable[[], object]], repeats: int, *, warm_up: bool = True) -> dict[str, list[float]]:
    """Time ways in turns, so that other load on the machine slows all alike.

    Args:
        ways: What is timed, by name.
        repeats: Times that each way is timed.
        warm_up: Whether each way runs once before; if not, the caller has warmed them up.

    Returns:
        Seconds of every repeat, by way.
    """
    for way in ways.values() if warm_up else ():
        way()
    rounds = [{name: seconds(way) for name, way in ways.items()} for _ in range(repeats)]
    return {name: [each[name] for each in rounds] for name in ways}


def median_ratio(above: list[float], below: list[float]) -> float:
    """Median of the ratios of two ways, timed in turns."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def matrix_rate(precision: str, device: torch.device) -> float:
    """Measure the operations per second of a product of two matrices as large as an encoder's."""
    dtype = getattr(torch, precision)
    a, b = (torch.randn(*shape, device=device).to(dtype) for shape in ((4096, 1024), (1024, 1024)))
    return 2 * 4096 * 1024 * 1024 / min(seconds(lambda: a @ b) for _ in range(20))


@torch.inference_mode()
def counted_flop(function: Callable[[], object]) -> int:
    """Count the operations of matrix products and convolutions in PyTorch."""
    with FlopCounterMode(display=False) as counter:
        function()
    return int(counter.get_total_flops())


def described(device: torch.device) -> dict[str, Any]:
    """Describe the machine, without the release of its kernel: figures are published."""
    system = f"{platform.system()} {platform.machine()}"
    described = machine(device.type, gpu_name(device)) | {"system": system}
    return described | {"processor": _processor(), "torch": torch.__version__}


def _processor() -> str:
    """Name the processor and those of its instruction sets that decide the speed of matrix products."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    found = {name.strip(): value.strip() for name, value in fields.items()}
    able = [each for each in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if each in found.get("flags", "").split()]
    return f"{found.get('model name', platform.processor())} ({', '.join(able)})"
