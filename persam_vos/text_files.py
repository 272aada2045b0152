"""Text files that somebody gives: read whole, unless they have no end, or are pipes; and JSON that gives keys once."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MAX_BYTES = 1 << 28
"""Of a text file; more than any list of annotations, and little enough to be taken apart in memory."""
_SECONDS_FOR_A_WRITER, _SECONDS_TO_LOOK = 10.0, 0.05


def read_text(path: Path, *, encoding: str = "utf-8", most_bytes: int = MAX_BYTES) -> str:
    """Read a text file, or what a process writes into a pipe.

    Args:
        path: The file; a pipe is waited for up to 10 seconds, until some process has opened it to write.
        encoding: Of the text.
        most_bytes: A larger file is refused; a device may have no end.

    Raises:
        OSError: If it cannot be read, is larger, or is a pipe that nobody writes into.
        UnicodeDecodeError: If it is no such text.
    """
    if path.is_fifo():
        begun, descriptor = _first_bytes(path)
    else:
        begun, descriptor = b"", os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        data = begun + file.read(most_bytes + 1)
    if len(data) > most_bytes:
        most = f"{most_bytes >> 20} MiB" if most_bytes >= 1 << 20 else f"{most_bytes >> 10} KiB"
        raise OSError(errno.EFBIG, f"it has more than {most}")
    return data.decode(encoding)


def each_key_once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return what an object of JSON says; ``object_pairs_hook`` of ``json.loads``.

    Raises:
        ValueError: If it gives a key twice.
    """
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key!r} is given twice")
        found[key] = value
    return found


def _first_bytes(path: Path) -> tuple[bytes, int]:
    """Wait until somebody writes into a pipe; return the bytes that were there, and the open pipe."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        for _ in range(round(_SECONDS_FOR_A_WRITER / _SECONDS_TO_LOOK)):
            try:
                begun = os.read(descriptor, 1 << 16)
            except BlockingIOError:  # a process has it open, and has written nothing yet
                begun = None
            if begun != b"":
                os.set_blocking(descriptor, True)
                return begun or b"", descriptor
            time.sleep(_SECONDS_TO_LOOK)
        raise OSError(errno.ETIMEDOUT, f"it is a pipe that nobody has written into for {_SECONDS_FOR_A_WRITER:.0f} s")
    except BaseException:
        os.close(descriptor)
        raise
