"""Writes what is known of each object in each frame: ``tracks.jsonl``."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from persam_vos.exports.base import ExportSettings
from persam_vos.files import PartialFile, check_file, output_errors
from persam_vos.media import Frame
from persam_vos.results import FrameResult, ObjectResult, object_record


class TracksWriter:
    """Writes ``tracks.jsonl``: one line per frame and object.

    Keys: frame, pts, object, present, score, similarity, area, box_xyxy. ``similarity`` and ``box_xyxy`` are null if
    the object is absent. Numbers that are not finite become null, because JSON has none.
    """

    def __init__(self, settings: ExportSettings) -> None:
        self.warnings: list[str] = []
        self._file = PartialFile(settings.folder / "tracks.jsonl")
        check_file(self._file.path)
        self._stream: TextIO | None = None

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Write the lines of a frame; see ``ResultWriter``."""
        with output_errors(self._file.path):
            if self._stream is None:
                self._stream = self._file.partial.open("w", encoding="utf-8", newline="\n")
            for entry in result.objects:
                self._stream.write(_track_line(frame, entry))

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
        if self._stream is not None:
            with suppress(OSError):
                self._stream.close()
            self._stream = None
        self._file.discard()


def _track_line(frame: Frame, entry: ObjectResult) -> str:
    record = {"frame": frame.index, "pts": frame.pts, **object_record(entry)}
    return json.dumps(record, allow_nan=False) + "\n"
