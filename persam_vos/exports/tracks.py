"""A stream of results becomes the files of an output folder, which get their names once they are complete."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from persam_vos.exports.base import ExportSettings
from persam_vos.files import check_file, output_errors
from persam_vos.media.frame import Frame
from persam_vos.results import FrameResult, ObjectResult, object_record


class TracksWriter:
    """Writes ``tracks.jsonl``: a line per frame and object.

    Keys: frame, pts, object, present, score, similarity, area, box_xyxy. ``similarity`` and ``box_xyxy`` are null where
    the object is absent; a number that is not finite becomes null, since JSON has none such.
    """

    def __init__(self, settings: ExportSettings) -> None:
        self.warnings: list[str] = []
        self._path = settings.folder / "tracks.jsonl"
        check_file(self._path)
        self._partial = settings.folder / ".tracks.jsonl.partial"
        self._file: TextIO | None = None

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Write the lines of a frame; see ``ResultWriter``."""
        with output_errors(self._path):
            if self._file is None:
                self._file = self._partial.open("w", encoding="utf-8", newline="\n")
            for entry in result.objects:
                self._file.write(_track_line(frame, entry))

    def close(self) -> tuple[Path, ...]:
        """Give the file its name; see ``ResultWriter``."""
        if self._file is None:
            return ()
        with output_errors(self._path):
            self._file.close()
            self._partial.replace(self._path)
            self._file = None
        return (self._path,)

    def abort(self) -> None:
        """Remove the unfinished file; see ``ResultWriter``."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            with suppress(OSError):
                self._partial.unlink(missing_ok=True)
            self._file = None


def _track_line(frame: Frame, entry: ObjectResult) -> str:
    record = {"frame": frame.index, "pts": frame.pts, **object_record(entry)}
    return json.dumps(record, allow_nan=False) + "\n"
