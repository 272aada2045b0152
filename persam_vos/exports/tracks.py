"""Writes what is known of each object in each frame: ``tracks.jsonl``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from persam_vos.exports.base import ExportSettings
from persam_vos.exports.frame_lines import FrameLines
from persam_vos.files import PartialFile, check_file, output_errors
from persam_vos.media import Frame, FramesDone
from persam_vos.results import FrameResult, ObjectResult, object_record

TRACKS = "tracks.jsonl"
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
        self._file = PartialFile(settings.folder / TRACKS)
        check_file(self._file.path)
        self._lines = FrameLines(self._file.partial, self._file.path)

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Write the lines of a frame; see ``ResultWriter``."""
        source = self._images[frame.index].name if self._images else None
        self._lines.append(*(_track(frame, source, entry, self._styles.name(entry.id)) for entry in result.objects))

    def close(self) -> tuple[Path, ...]:
        """Give the file its final name; see ``ResultWriter``."""
        if not self._lines.begun:
            return ()
        self._lines.close()
        with output_errors(self._file.path):
            return (self._file.finish(),)

    def abort(self) -> None:
        """Remove the unfinished file; see ``ResultWriter``."""
        self._lines.discard()

    def checkpoint(self) -> None:
        """Bring the lines so far to the disk; see ``ResumableWriter``."""
        self._lines.save()

    def resume(self, done: FramesDone) -> None:
        """Go on after the lines of the frames done; see ``ResumableWriter``."""
        with output_errors(self._file.path):
            self._file.take_back()
        self._lines.resume(done)

    def suspend(self) -> None:
        """Leave the unfinished file; see ``ResumableWriter``."""
        self._lines.suspend()


def _track(frame: Frame, source: str | None, entry: ObjectResult, name: str) -> dict[str, Any]:
    found = object_record(entry)
    return {
        "frame": frame.index,
        "time": round(float(frame.time), _DECIMALS),
        "pts": frame.pts,
        "source": source,
        "object": found.pop("object"),
        "name": name or None,
        **found,
        "keyframe": entry.keyframe,
    }
