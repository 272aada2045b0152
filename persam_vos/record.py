"""What happened in a run: seconds per stage, versions, device, warnings, so that it can be understood and repeated."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from persam_vos.errors import OutputError, reason

T = TypeVar("T")

_PACKAGES = (
    "persam-vos", "torch", "segment-anything", "openvino", "onnxruntime", "numpy", "scipy",
    "opencv-python-headless", "av",
)  # fmt: skip


class Timings:
    """Seconds spent in each stage. Stages run side by side, so their sum may exceed the time of the run.

    On a GPU a stage counts until its work is handed over: what ``encode`` has begun, ``track`` may wait for.

    Attributes:
        seconds: Per stage; each stage is written by one thread only.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of the block."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - start)

    def add(self, name: str, seconds: float) -> None:
        """Count time that was taken elsewhere."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def timed(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """Count the time that an iterable takes to give its items."""
        iterator = iter(items)
        done = object()
        while True:
            with self.stage(name):
                item: Any = next(iterator, done)
            if item is done:
                return
            yield item

    def rounded(self) -> dict[str, float]:
        """Return the seconds per stage to the millisecond."""
        return {name: round(seconds, 3) for name, seconds in self.seconds.items()}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide the result."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def machine(device: str) -> dict[str, Any]:
    """Describe the machine and the device."""
    described: dict[str, Any] = {"system": platform.platform(), "cpus": os.cpu_count(), "device": device}
    if device == "cuda":
        import torch

        described["gpu"] = torch.cuda.get_device_name()
    return described


def peak_memory_mib() -> float | None:
    """Return the largest resident size of this process so far, in MiB; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def write_run_json(folder: Path, contents: Mapping[str, Any]) -> Path:
    """Write ``run.json`` under a temporary name and move it into place.

    Raises:
        OutputError: If that fails.
    """
    path, partial = folder / "run.json", folder / ".run.json.partial"
    try:
        partial.write_text(json.dumps(contents, indent=2, default=str) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise OutputError(f"{path}: cannot be written ({reason(error)})") from error
    return path


def recorded_exports(folder: Path) -> tuple[str, ...]:
    """Return what an earlier run into a folder exported, by its record; nothing if there is none that can be read."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        exports = json.loads((folder / "run.json").read_text(encoding="utf-8"))["settings"]["export"]
        return tuple(name for name in exports if isinstance(name, str))
    return ()


def remove_run_json(folder: Path) -> None:
    """Remove the record of an earlier run.

    Raises:
        OutputError: If that fails.
    """
    try:
        (folder / "run.json").unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{folder / 'run.json'}: cannot be replaced ({reason(error)})") from error
