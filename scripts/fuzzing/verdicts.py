"""What became of a hostile file: read or refused, as it should be, or one of the things that must not happen."""

from __future__ import annotations

import ctypes
import os
import resource
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from persam_vos.errors import PersamVosError

READ, REFUSED = "read", "refused"
CRASH, TRACEBACK, HANG, MEMORY, CODE, TOUCHED = "crash", "traceback", "hang", "memory", "code run", "touched"
FINDINGS = (CRASH, TRACEBACK, HANG, MEMORY, CODE, TOUCHED)
PORT = 47831
"""Of this machine, which hostile files name: nothing may ask there."""
_ROOT = Path(__file__).resolve().parents[2]
# What Python and its packages open for themselves.
_OWN = (
    sys.prefix,
    sys.base_prefix,
    str(_ROOT),
    "/usr/",
    "/lib",
    "/etc/",
    "/proc/",
    "/sys/",
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/urandom",
)
_RUNS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "pty.spawn")
_PATHS = (
    "open",
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "shutil.rmtree",
)
_OF_TWO = ("os.rename", "os.link", "os.symlink")
# Python asks it for the name of the processor.
_HARMLESS = ("uname",)
_IN_ACCESS_MODIFY_OPEN_MOVE_MAKE_REMOVE = 0x1 | 0x2 | 0x20 | 0xC0 | 0x100 | 0x200


@dataclass(frozen=True)
class Verdict:
    """What became of one file.

    Attributes:
        outcome: ``READ``, ``REFUSED`` or one of ``FINDINGS``.
        detail: What was said, or where it went wrong.
        seconds: By the clock.
        grown: Bytes by which resident memory grew at most.
    """

    outcome: str
    detail: str = ""
    seconds: float = 0.0
    grown: int = 0


class Judge:
    """Reads hostile files in this process, which it puts under limits, and watches what happens.

    Args:
        room: The folder of the file and of all that may be written.
        canary: A folder that nothing may touch.
        door: Listens at ``PORT``.
        memory: Bytes by which one file may let resident memory grow.
    """

    def __init__(self, room: Path, canary: Path, door: socket.socket | None, memory: int) -> None:
        self._room, self._door, self._memory = str(room.resolve()), door, memory
        self._seen: list[tuple[str, str]] = []
        self._watched = _watch(canary)
        self._is_on = False
        sys.addaudithook(self._heard)
        threading.excepthook = lambda told: self._seen.append((TRACEBACK, _place_of(told.exc_value)))
        sys.unraisablehook = lambda told: self._seen.append((TRACEBACK, f"unraisable: {_place_of(told.exc_value)}"))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**31, 2**31))
        most = _status("VmSize") + 2 * memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))

    def judge(self, read: Callable[[], object]) -> Verdict:
        """Call what reads a file, and say what became of it."""
        self._seen.clear()
        Path("/proc/self/clear_refs").write_text("5")
        before, start = _status("VmRSS"), time.perf_counter()
        self._is_on = True
        outcome, detail = _outcome(read)
        self._is_on = False
        seconds, grown = time.perf_counter() - start, max(_status("VmHWM") - before, 0)
        if outcome not in FINDINGS and (seen := self._found()):
            outcome, detail = seen
        if outcome not in FINDINGS and grown > self._memory:
            outcome, detail = MEMORY, f"{grown >> 20} MiB; {detail}"
        return Verdict(outcome, detail, seconds, grown)

    def _found(self) -> tuple[str, str] | None:
        if self._door is not None:
            with suppress(OSError):
                self._door.accept()[0].close()
                self._seen.append((TOUCHED, f"127.0.0.1:{PORT}"))
        with suppress(OSError):
            os.read(self._watched, 1 << 16)
            self._seen.append((TOUCHED, "the canary's folder"))
        return self._seen[0] if self._seen else None

    def _heard(self, event: str, values: tuple[Any, ...]) -> None:
        if not self._is_on:
            return
        if event in _RUNS and values[0] not in _HARMLESS:
            self._seen.append((CODE, f"{event} {values!r:.200}"))
        elif event in _PATHS:
            for each in values[1 if event == "os.symlink" else 0 : 2 if event in _OF_TWO else 1]:
                if isinstance(each, (str, bytes)) and not self._may_open(os.path.abspath(os.fsdecode(each))):  # noqa: PTH100
                    self._seen.append((TOUCHED, f"{event} {each!r:.200}"))
        elif event == "socket.connect":
            self._seen.append((TOUCHED, f"{event} {values[1]!r:.200}"))

    def _may_open(self, path: str) -> bool:
        return path.startswith((self._room, *_OWN))


def _outcome(read: Callable[[], object]) -> tuple[str, str]:
    try:
        read()
    except PersamVosError as error:
        return REFUSED, str(error)[:300]
    except MemoryError as error:
        return MEMORY, _place_of(error)
    except BaseException as error:
        return TRACEBACK, _place_of(error)
    return READ, ""


def _place_of(error: BaseException | None) -> str:
    """Return where in the program an error came from, and what it says."""
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    own = [each for each in frames if "persam_vos/" in each.filename] or frames
    where = f"{own[-1].filename.rpartition('persam_vos/')[2]}:{own[-1].lineno}" if own else "?"
    return f"{where} {type(error).__name__}: {' '.join(str(error).split()):.200}"


def _status(name: str) -> int:
    """Return a size of this process in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    raise LookupError(name)


def _watch(folder: Path) -> int:
    """Return a file that tells, without waiting, whether anything in a folder is touched."""
    libc = ctypes.CDLL(None, use_errno=True)
    watching: int = libc.inotify_init1(os.O_NONBLOCK)
    if libc.inotify_add_watch(watching, bytes(folder), _IN_ACCESS_MODIFY_OPEN_MOVE_MAKE_REMOVE) < 0:
        raise OSError(ctypes.get_errno(), f"{folder} cannot be watched")
    return watching
