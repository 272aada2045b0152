"""Writes what is known of each object in each frame: ``tracks.jsonl``."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from persam_vos.errors import OutputError
from persam_vos.exports.base import ExportSettings
from persam_vos.files import PartialFile, check_file, output_errors
from persam_vos.media import Frame, FramesDone
from persam_vos.results import FrameResult, ObjectResult, object_record

_DECIMALS = 6  # of seconds; ``pts`` and the time base of run.json are exact


class TracksWriter:
    """Writes ``tracks.jsonl``: one line per frame and object.

    Keys: frame, time (seconds), pts, source, object, name, present, score, similarity, area, box_xyxy, keyframe.
    ``source`` is the file name of an image, and null where frames are none. ``similarity`` and ``box_xyxy`` are null if
    the object is absent, ``name`` if it has none. Numbers that are not finite become null, because JSON has none.
    """

    def __init__(self, settings: ExportSettings) -> None:
        self.warnings: list[str] = []
        self._styles, self._images = settings.styles, settings.info.images
        self._file = PartialFile(settings.folder / "tracks.jsonl")
        check_file(self._file.path)
        self._stream: TextIO | None = None

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Write the lines of a frame; see ``ResultWriter``."""
        with output_errors(self._file.path):
            if self._stream is None:
                self._stream = self._file.partial.open("w", encoding="utf-8", newline="\n")
            source = self._images[frame.index].name if self._images else None
            for entry in result.objects:
                self._stream.write(_track_line(frame, source, entry, self._styles.name(entry.id)))

    def close(self) -> tuple[Path, ...]:
        """Give the file its final name; see ``ResultWriter``."""
        if self._stream is None:
            return ()
        with output_errors(self._file.path):
            self._stream.close()
            path = self._file.finish()
        self._stream = None
        return (path,)

    def abort(self) -> None:
        """Remove the unfinished file; see ``ResultWriter``."""
        self.suspend()
        self._file.discard()

    def checkpoint(self) -> None:
        """Bring the lines so far to the disk; see ``ResumableWriter``."""
        if self._stream is not None:
            with output_errors(self._file.path):
                self._stream.flush()
                os.fsync(self._stream.fileno())

    def resume(self, done: FramesDone) -> None:
        """Go on after the lines of the frames done; see ``ResumableWriter``."""
        with output_errors(self._file.path):
            self._file.take_back()
            end, count = _end_of_frame(self._file.partial, done.last_index)
            if count != done.count:
                raise OutputError(
                    f"{self._file.path}: {count} of the {done.count} frames done are left; the run cannot be resumed;"
                    " pass --overwrite to start anew"
                )
            os.truncate(self._file.partial, end)
            self._stream = self._file.partial.open("a", encoding="utf-8", newline="\n")

    def suspend(self) -> None:
        """Leave the unfinished file; see ``ResumableWriter``."""
        if self._stream is not None:
            with suppress(OSError):
                self._stream.close()
            self._stream = None


def _end_of_frame(path: Path, last_index: int) -> tuple[int, int]:
    """Return the bytes up to the last line of a frame, and the number of frames that these lines are of.

    What follows may be cut anywhere.
    """
    end, frames = 0, set()
    with path.open("rb") as file:
        for line in file:
            try:
                index = json.loads(line)["frame"]
            except (ValueError, TypeError, KeyError):
                break
            if not line.endswith(b"\n") or index > last_index:
                break
            frames.add(index)
            end += len(line)
    return end, len(frames)


def _track_line(frame: Frame, source: str | None, entry: ObjectResult, name: str) -> str:
    found = object_record(entry)
    record = {
        "frame": frame.index,
        "time": round(float(frame.time), _DECIMALS),
        "pts": frame.pts,
        "source": source,
        "object": found.pop("object"),
        "name": name or None,
        **found,
        "keyframe": entry.keyframe,
    }
    return json.dumps(record, allow_nan=False, ensure_ascii=False) + "\n"
