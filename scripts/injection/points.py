"""Points of a process: calls that change files in one folder, or read one file, counted and struck by ``points.c``."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path

_SOURCE = Path(__file__).with_name("points.c")
_ADDED = "PERSAM_VOS_POINTS"


class Calls(IntEnum):
    """Which calls are counted."""

    CHANGES = 0
    READS = 1


class Strike(IntEnum):
    """What happens at the call that is aimed at."""

    NOTHING = 0
    KILL = 1
    """The process dies before the call."""
    TEAR = 2
    """The process dies after half of what the call writes."""
    STOP = 3
    """The process is stopped before the call, until it is told to go on."""
    FAIL_ONCE = 4
    FAIL_FROM = 5
    """This call and all later ones fail that need room; with EROFS, all that change something."""


@dataclass(frozen=True)
class Aim:
    """One point of a process.

    Attributes:
        calls: Which calls count.
        below: The folder or file.
        at: Number of the call, from 1.
        strike: What happens there.
        error: Number of the error, if it fails.
    """

    calls: Calls
    below: Path
    at: int
    strike: Strike
    error: int = errno.ENOSPC

    def take(self) -> None:
        """Count from now on in this process and those that it forks."""
        below = os.fsencode(self.below.resolve())
        _library().points_aim(int(self.calls), below, self.at, int(self.strike), self.error)


def count(below: Path, calls: Calls = Calls.CHANGES) -> Aim:
    """Return an aim that counts and lets everything happen."""
    return Aim(calls, below, 0, Strike.NOTHING)


def counted(calls: Calls = Calls.CHANGES) -> int:
    """Return how many calls there were since the aim was taken, here and in what was forked."""
    return int(_library().points_count(int(calls)))


def struck() -> str:
    """Return the call that was struck last, and its file."""
    return os.fsdecode(_library().points_last()) or "no call"


def run_with_points(main: Callable[[], int]) -> int:
    """Run a program that has ``points.c`` in itself; the program begins anew with it if it has not.

    Raises:
        SystemExit: If there is no C compiler, or this is not Linux.
    """
    if _ADDED in os.environ:
        return main()
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not sys.platform.startswith("linux") or compiler is None:
        raise SystemExit("faults are injected on Linux alone, with a C compiler (cc)")
    with tempfile.TemporaryDirectory(prefix="persam-vos-points-") as folder:
        library = Path(folder) / "points.so"
        words = [compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(_SOURCE), "-ldl"]
        subprocess.run(words, check=True)
        # One thread: processes are forked, and threads do not survive that.
        alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        added = {**os.environ, **alone, "LD_PRELOAD": str(library), _ADDED: str(library)}
        return subprocess.run([sys.executable, *sys.orig_argv[1:]], env=added, check=False).returncode


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(os.environ[_ADDED])
    library.points_aim.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_long, ctypes.c_int, ctypes.c_int]
    library.points_count.restype = ctypes.c_long
    library.points_last.restype = ctypes.c_char_p
    return library
