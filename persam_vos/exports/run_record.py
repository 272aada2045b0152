"""run.json: what was run, on what, and how long it took, so that a run can be understood and repeated."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from persam_vos import __version__
from persam_vos.errors import OutputError, reason
from persam_vos.files import write_lines

RUN_JSON = "run.json"
_PACKAGES = (
    "torch", "segment-anything", "openvino", "onnxruntime", "numpy", "scipy",
    "opencv-python-headless", "av",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What run.json says.

    Attributes:
        settings: Of the run, by name.
        backend: What ran the encoder.
        precision: Of the encoder.
        decoder_precision: Of the decoder, where PerSAM does not guide it.
        guided_decoder_precision: Of the decoder, where PerSAM guides it.
        batch_size: Frames encoded at once, at the end of the run.
        checkpoint: File of the weights.
        checkpoint_sha256: Of that file, 64 hexadecimal digits.
        device: ``cpu`` or ``cuda``.
        gpu: Name of the GPU; None on a CPU.
        given: What the command was given, by key.
        outcome: How the run ended, by key.
        seconds: From the start of the command until now, with loading the model.
    """

    settings: Mapping[str, Any]
    backend: str
    precision: str
    decoder_precision: str
    guided_decoder_precision: str
    batch_size: int
    checkpoint: Path
    checkpoint_sha256: str
    device: str
    gpu: str | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    outcome: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def contents(self) -> dict[str, Any]:
        """Return the keys and values of run.json."""
        return {
            "settings": dict(self.settings),
            "backend": self.backend,
            "precision": self.precision,
            "decoder_precision": self.decoder_precision,
            "guided_decoder_precision": self.guided_decoder_precision,
            "batch_size": self.batch_size,
            "checkpoint": {"path": str(self.checkpoint), "sha256": self.checkpoint_sha256},
            "versions": versions(),
            "machine": machine(self.device, self.gpu),
            "seconds": round(self.seconds, 3),
            "peak_memory_mib": peak_memory_mib(),
            **self.given,
            **self.outcome,
        }

    def to_json(self) -> str:
        """Return the text of run.json."""
        return json.dumps(self.contents(), indent=2)

    def write(self, folder: Path) -> Path:
        """Write run.json into a folder, and return its path.

        Raises:
            OutputError: If that fails.
        """
        write_lines(folder / RUN_JSON, self.to_json())
        return folder / RUN_JSON


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide the result."""
    found = {"python": platform.python_version(), "persam-vos": __version__}
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


def recorded_exports(folder: Path) -> tuple[str, ...]:
    """Return the exports that the run.json of a folder lists; none if it is missing or cannot be read.

    For an unfinished run, return its planned exports and those of the runs before.
    """
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        record = json.loads((folder / RUN_JSON).read_text(encoding="utf-8"))
        exports = [*record["settings"]["export"], *record.get("earlier_exports", ())]
        return tuple(dict.fromkeys(name for name in exports if isinstance(name, str)))
    return ()


def remove_run_json(folder: Path) -> None:
    """Remove the record of an earlier run.

    Raises:
        OutputError: If that fails.
    """
    try:
        (folder / RUN_JSON).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{folder / RUN_JSON}: cannot be replaced ({reason(error)})") from error
