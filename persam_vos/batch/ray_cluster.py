"""A Ray cluster: joined, or started on this machine; and what is heard of it."""

from __future__ import annotations

import io
import logging
import os
import re
import threading
from typing import Any, TextIO

from persam_vos.errors import MissingDependencyError, SettingsError

# The least that Ray takes; clips and results are small, and pixels never go through it.
_OBJECT_STORE_BYTES = 80 << 20
_QUIET = {"log_to_driver": False, "logging_level": logging.CRITICAL}
# Ray gives itself 30 seconds, in which a busy machine has perhaps only read its files for the first time.
_STARTS = 3
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class MainThread(io.TextIOBase):
    """Standard output for the main thread alone: threads of Ray print what its machines say of themselves."""

    def __init__(self, output: TextIO | None) -> None:
        self._output = output

    def write(self, text: str) -> int:
        """Write what the main thread prints."""
        if self._output is not None and threading.current_thread() is threading.main_thread():
            self._output.write(text)
        return len(text)


def import_ray() -> Any:
    """Import Ray, which tells nobody that it is used.

    Raises:
        MissingDependencyError: If it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.exceptions
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "ray":
            raise
        raise MissingDependencyError(
            "--ray needs Ray, which is not installed: pip install 'persam-vos[ray]'"
        ) from error
    return ray


def begins_anew(ray: Any, address: str | None) -> bool:
    """Tell whether ``start`` starts a cluster on this machine, to which no machine is added."""
    return not (ray.is_initialized() or address or os.environ.get("RAY_ADDRESS"))


def start(ray: Any, address: str | None) -> bool:
    """Connect to a cluster, or start one on this machine; return whether it must be left in the end.

    Raises:
        SettingsError: If there is no such cluster, or Ray cannot start.
    """
    if ray.is_initialized():
        return False
    is_new = begins_anew(ray, address)
    try:
        if is_new:
            _start_here(ray)
        else:
            ray.init(address=address, **_QUIET)
    except Exception as error:  # where a machine is too slow, Ray raises no other class
        what = "Ray cannot start here" if is_new else f"there is no Ray cluster at {address or 'RAY_ADDRESS'}"
        raise SettingsError(f"{what}: {last_line(error)}") from error
    return True


def _start_here(ray: Any) -> None:
    """Start a cluster on this machine."""
    for left in reversed(range(_STARTS)):
        try:
            # Ray refuses these options where it connects to a cluster that runs already.
            ray.init(address="local", include_dashboard=False, object_store_memory=_OBJECT_STORE_BYTES, **_QUIET)
            return
        except Exception:  # see ``start``
            if not left:
                raise
            ray.shutdown()


def last_line(error: Exception) -> str:
    """Return what went wrong, of what Ray says: it comes last, below a trace."""
    lines = [line for line in _COLOURS.sub("", str(error)).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
