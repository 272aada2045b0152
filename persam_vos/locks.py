"""Locks on files, which a process loses in whatever way it ends."""

from __future__ import annotations

import sys
from typing import IO, Any

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

# Beyond what is read and written.
_LOCKED_BYTE = 1 << 30


def hold(file: IO[Any]) -> None:
    """Lock an open file for this process.

    Raises:
        OSError: If another process holds it, or the file system has no locks; ``is_held`` tells which.
    """
    if sys.platform == "win32":
        file.seek(_LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_held(error: OSError) -> bool:
    """Tell whether ``hold`` failed because another process holds the file."""
    return isinstance(error, (BlockingIOError, PermissionError))


def let_go(file: IO[Any]) -> None:
    """Unlock a file, also for programs that have inherited it.

    Raises:
        OSError: If that fails.
    """
    if sys.platform == "win32":
        file.seek(_LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_UN)
