"""Lines of JSON about frames, appended to a file that a later run can go on with."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TextIO

from persam_vos.errors import OutputError
from persam_vos.files import output_errors
from persam_vos.media import FramesDone


class FrameLines:
    """A file of JSON lines, each an object with the key ``frame``; any number of lines for a frame.

    Args:
        path: The file.
        of: What messages call it: the file that it becomes, or is needed for.
    """

    def __init__(self, path: Path, of: Path) -> None:
        self.path, self._of = path, of
        self._stream: TextIO | None = None

    @property
    def begun(self) -> bool:
        """Whether the file is open."""
        return self._stream is not None

    def append(self, *records: Mapping[str, Any]) -> None:
        """Write lines; the first call begins the file anew, unless ``resume`` was called.

        Raises:
            OutputError: If that fails.
        """
        with output_errors(self._of):
            if self._stream is None:
                self._stream = self._open("w")
            for record in records:
                self._stream.write(json_line(record))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield all records from the first one on; raises ``OutputError`` if they cannot be read."""
        with output_errors(self._of):
            if self._stream is not None:
                self._stream.flush()
            with self.path.open(encoding="utf-8") as file:
                for line in file:
                    yield _record(line, self.path)

    def save(self) -> None:
        """Bring the lines so far to the disk.

        Raises:
            OutputError: If that fails.
        """
        if self._stream is not None:
            with output_errors(self._of):
                self._stream.flush()
                os.fsync(self._stream.fileno())

    def resume(self, done: FramesDone) -> None:
        """Go on after the lines of the frames done, and drop those after.

        Raises:
            OutputError: If some of them are missing.
        """
        with output_errors(self._of):
            end, count = _end_of_frame(self.path, done.last_index)
            if count != done.count:
                raise OutputError(
                    f"{self._of}: {count} of the {done.count} frames done are left; the run cannot be resumed;"
                    " pass --overwrite to start anew"
                )
            os.truncate(self.path, end)
            self._stream = self._open("a")

    def close(self) -> None:
        """Write what waits and close the file.

        Raises:
            OutputError: If that fails.
        """
        if self._stream is not None:
            with output_errors(self._of):
                self._stream.close()
            self._stream = None

    def _open(self, mode: Literal["w", "a"]) -> TextIO:
        # Names of files need not be text: what is none of it becomes a question mark.
        return self.path.open(mode, encoding="utf-8", errors="replace", newline="\n")

    def suspend(self) -> None:
        """Close the file; never raises."""
        with suppress(OSError):
            self.close()
        self._stream = None

    def discard(self) -> None:
        """Remove the file; never raises."""
        self.suspend()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def json_line(record: Mapping[str, Any]) -> str:
    """Return a record as a line of JSON, with the letters of all languages as they are."""
    return json.dumps(record, allow_nan=False, ensure_ascii=False) + "\n"


def _record(line: str | bytes, path: Path) -> dict[str, Any]:
    """Return the record of a line; raises ``OSError``, as where a file cannot be read, if it is none."""
    try:
        record = json.loads(line)
        if isinstance(record, dict) and type(record["frame"]) is int:
            return record
    except (ValueError, KeyError, RecursionError):
        pass
    raise OSError(errno.EINVAL, "it has been changed since", str(path))


def _end_of_frame(path: Path, last_index: int) -> tuple[int, int]:
    """Return the bytes up to the last line of a frame, and the number of frames that these lines are of.

    What follows may be cut anywhere.
    """
    end, count, last = 0, 0, None
    with path.open("rb") as file:
        for line in file:
            try:
                index = _record(line, path)["frame"]
            except OSError:
                break
            if not line.endswith(b"\n") or index > last_index:
                break
            count += index != last
            last = index
            end += len(line)
    return end, count
