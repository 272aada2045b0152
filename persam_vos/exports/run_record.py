"""What happened in a run: seconds per stage, versions, device, warnings, so that it can be understood and repeated."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from persam_vos.errors import OutputError, reason

_PACKAGES = (
    "persam-vos", "torch", "segment-anything", "openvino", "onnxruntime", "numpy", "scipy",
    "opencv-python-headless", "av",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide the result."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def machine(device: str, gpu: str | None = None) -> dict[str, Any]:
    """Describe the machine: its system, its CPUs, the device that computes, and the name of the GPU if it is one."""
    described: dict[str, Any] = {"system": platform.platform(), "cpus": os.cpu_count(), "device": device}
    return described if gpu is None else {**described, "gpu": gpu}


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
