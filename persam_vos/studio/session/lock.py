"""A session folder belongs to one studio at a time."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import IO

from persam_vos.errors import OutputError, reason
from persam_vos.locks import hold, let_go


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
            hold(self._file)
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
            let_go(self._file)
        with suppress(OSError):
            self._file.close()
