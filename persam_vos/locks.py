"""Locks on files and folders, which a process loses in whatever way it ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from persam_vos.errors import OutputError, reason
from persam_vos.files import check_writable

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

# Beyond what is read and written.
_LOCKED_BYTE = 1 << 30
_RESULTS_LOCK = ".lock.partial"


def try_hold(file: IO[Any]) -> bool:
    """Lock an open file for this process; return False if another one holds it.

    Some network file systems have no locks: there, nobody is kept out.
    """
    try:
        _hold(file)
    except OSError as error:
        return not isinstance(error, (BlockingIOError, PermissionError))
    return True


def let_go(file: IO[Any]) -> None:
    """Unlock and close a file; a second call does nothing."""
    with suppress(OSError, ValueError):
        # A program that is just being started has a copy of the file: closing ours would not let go of it.
        _unlock(file)
    with suppress(OSError):
        file.close()


def _hold(file: IO[Any]) -> None:
    if sys.platform == "win32":
        file.seek(_LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _unlock(file: IO[Any]) -> None:
    if sys.platform == "win32":
        file.seek(_LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_UN)


class FolderLock:
    """Holds a folder until it is closed, or until the process dies in whatever way.

    Where the file system has no locks, it keeps nobody out.

    Args:
        folder: The folder.
        name: Of a file in it that holds the number of the process.
        refusal: What is said where another process holds it, with ``{by}`` for its number.

    Raises:
        OutputError: If another process holds it, or the file cannot be written.
    """

    def __init__(self, folder: Path, name: str, refusal: str) -> None:
        self._path = folder / name
        while True:
            self._file = self._held(folder, refusal)
            if self._has_its_name():
                break
            self._file.close()  # another process has removed it in between
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def close(self) -> None:
        """Let go of the folder; a second call does nothing. The file stays."""
        let_go(self._file)

    def remove(self) -> None:
        """Remove the file, and let go of the folder."""
        if sys.platform == "win32":
            self.close()  # no open file is removed there
        with suppress(OSError):
            self._path.unlink()
        self.close()

    def _held(self, folder: Path, refusal: str) -> IO[str]:
        """Open the file, and lock it."""
        try:
            file: IO[str] = self._path.open("a+", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written ({reason(error)})") from error
        if try_hold(file):
            return file
        file.seek(0)
        owner = file.read(32).strip()
        file.close()
        by = f" (process {owner})" if owner.isdecimal() else ""
        raise OutputError(f"{folder}: {refusal.format(by=by)}")

    def _has_its_name(self) -> bool:
        """Tell whether the file that is held is the one that others find: holding another one keeps nobody out."""
        if sys.platform == "win32":
            return True
        with suppress(OSError):
            return os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
        return False


@contextmanager
def written_alone(output: Path) -> Iterator[None]:
    """Let no other process write results into a folder, which is made if it is missing, during the ``with`` block.

    Raises:
        OutputError: If another one does, or the folder cannot be written to.
    """
    check_writable(output)
    refusal = "is being written by another run{by}; wait for its end, or give another --output"
    lock = FolderLock(output, _RESULTS_LOCK, refusal)
    try:
        yield
    finally:
        lock.remove()
