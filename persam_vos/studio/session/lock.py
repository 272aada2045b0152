"""A session folder belongs to one studio at a time."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

from persam_vos.errors import OutputError, reason

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class FolderLock:
    """Holds a folder until it is closed, or until the process dies in whatever way.

    Args:
        folder: The folder; a file ``studio.lock`` in it holds the number of the process.

    Raises:
        OutputError: If another process holds it, or the file cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / "studio.lock"
        try:
            self._file: IO[str] = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({reason(error)})") from error
        try:
            _hold(self._file)
        except OSError as error:
            self._file.seek(0)
            owner = self._file.read(32).strip()
            self._file.close()
            by = f" (process {owner})" if owner.isdecimal() else ""
            raise OutputError(
                f"{folder}: is open in another studio{by}; end that one, or give another folder with -o"
            ) from error
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def close(self) -> None:
        """Let go of the folder; a second call does nothing. The file stays: removing it would let two hold it."""
        with suppress(OSError, ValueError):
            # A program that is just being started has a copy of the file: closing ours would not let go of it.
            _let_go(self._file)
        with suppress(OSError):
            self._file.close()


def _hold(file: IO[str]) -> None:
    """Lock a file for this process; raise OSError if another one has."""
    if sys.platform == "win32":
        file.seek(1 << 30)  # beyond what is read and written
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _let_go(file: IO[str]) -> None:
    """Unlock a file, also for those that have a copy of it."""
    if sys.platform == "win32":
        file.seek(1 << 30)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_UN)
