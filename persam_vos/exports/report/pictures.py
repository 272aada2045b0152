"""Collects small pictures while a run goes on: evenly spaced ones, and of the frames that are least sure."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from persam_vos.exports.base import ExportSettings
from persam_vos.exports.draw import draw_overlay
from persam_vos.files import PartialFile, check_file, save_to_disk, whole_file
from persam_vos.masks import Rgb, check_size
from persam_vos.media import Frame, FramesDone
from persam_vos.results import FrameResult

REPORT = "report.html"
# A run is divided into at most this many stretches of equal length, each with two pictures at most.
_MOST_STRETCHES = 48
_SIDE = 320  # pixels of a picture's longer side, at most
_JPEG_QUALITY = 80
# How much an object that comes or goes adds to the doubt about a frame.
_CHANGE = 0.2


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame with its objects tinted, small.

    Attributes:
        frame: Its index.
        time: In seconds.
        doubt: How unsure its masks are, from 0.
        jpeg: The file.
    """

    frame: int
    time: float
    doubt: float
    jpeg: bytes


class Pictures:
    """Pictures of a run of any length: of the first and the least sure frame of up to 48 stretches.

    Once there are more stretches, two neighbours become one. So memory stays below 3 MB.

    Attributes:
        count: Frames so far.
        present: The objects in the last one; None before the first one.
    """

    def __init__(self) -> None:
        self.count = 0
        self.present: frozenset[int] | None = None
        self._step = 1
        self._stretches: list[list[Picture]] = []

    def wants(self, doubt: float) -> bool:
        """Tell whether the next frame has a picture; if it has not, ``skip`` it."""
        return self._begins or doubt > max(each.doubt for each in self._stretches[-1])

    def add(self, picture: Picture) -> None:
        """Take the next frame's picture."""
        if self._begins:
            self._stretches.append([picture])
        else:
            self._stretches[-1] = [self._stretches[-1][0], picture]
        self.count += 1
        if len(self._stretches) > _MOST_STRETCHES:
            self._join()

    def skip(self) -> None:
        """Count a frame without a picture."""
        self.count += 1

    def drop_after(self, last: int, count: int) -> None:
        """Forget the pictures of frames after ``last``, before which there are ``count`` frames with it."""
        kept = [[each for each in stretch if each.frame <= last] for stretch in self._stretches]
        self._stretches, self.count = [stretch for stretch in kept if stretch], count

    @property
    def spaced(self) -> list[Picture]:
        """Pictures of evenly spaced frames."""
        return [stretch[0] for stretch in self._stretches]

    @property
    def all(self) -> list[Picture]:
        """All pictures, in the order of the frames."""
        return [each for stretch in self._stretches for each in stretch]

    def to_json(self) -> str:
        """Return all of it as text."""
        stretches = [[_record(each) for each in stretch] for stretch in self._stretches]
        present = None if self.present is None else sorted(self.present)
        return json.dumps({"count": self.count, "step": self._step, "present": present, "stretches": stretches})

    @classmethod
    def from_json(cls, text: str) -> Pictures:
        """Return what ``to_json`` has written.

        Raises:
            ValueError: If it is no such text.
        """
        pictures = cls()
        try:
            found = json.loads(text)
            pictures.count, pictures._step = int(found["count"]), int(found["step"])
            pictures.present = None if found["present"] is None else frozenset(map(int, found["present"]))
            pictures._stretches = [[_picture(each) for each in stretch] for stretch in found["stretches"]]
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError(str(error)) from error
        if pictures._step < 1 or not all(pictures._stretches):
            raise ValueError("not the pictures of a run")
        return pictures

    @property
    def _begins(self) -> bool:
        return not self._stretches or self.count % self._step == 0

    def _join(self) -> None:
        self._step *= 2
        pairs = [self._stretches[i : i + 2] for i in range(0, len(self._stretches), 2)]
        self._stretches = [_joined(pair) for pair in pairs]


def _joined(pair: Sequence[Sequence[Picture]]) -> list[Picture]:
    first, *others = [each for stretch in pair for each in stretch]
    worst = max(others, key=lambda each: each.doubt, default=first)
    return [first, worst] if worst.doubt > first.doubt else [first]


def _record(picture: Picture) -> dict[str, Any]:
    jpeg = base64.b64encode(picture.jpeg).decode()
    return {"frame": picture.frame, "time": picture.time, "doubt": picture.doubt, "jpeg": jpeg}


def _picture(record: dict[str, Any]) -> Picture:
    jpeg = base64.b64decode(record["jpeg"], validate=True)
    return Picture(int(record["frame"]), float(record["time"]), float(record["doubt"]), jpeg)


class ReportWriter:
    """Collects the pictures of ``report.html``, which ``write_report`` makes of them once the run has ended.

    Until then they lie in a hidden file beside it, from which a run that was stopped goes on.
    """

    def __init__(self, settings: ExportSettings) -> None:
        self.warnings: list[str] = []
        self._styles, self._path = settings.styles, settings.folder / REPORT
        self._file, self._unfinished = pictures_file(settings.folder), False
        check_file(self._path)
        self._pictures = Pictures()

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Take a picture of the frame, if one is needed; see ``ResultWriter``."""
        check_size(result.label_map, frame.rgb, f"frame {frame.index}")
        doubt = self._doubt(result)
        if not self._pictures.wants(doubt):
            self._pictures.skip()
            return
        size = _small(*result.label_map.shape)
        rgb = np.asarray(cv2.resize(frame.rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
        labels = np.asarray(cv2.resize(result.label_map, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        jpeg = small_jpeg(draw_overlay(rgb, labels, self._styles))
        self._pictures.add(Picture(frame.index, float(frame.time), doubt, jpeg))

    def close(self) -> tuple[Path, ...]:
        """Leave the pictures to ``write_report``; see ``ResultWriter``."""
        if self._pictures.count:
            self.checkpoint()
        self._unfinished = False
        return ()

    def abort(self) -> None:
        """Remove the pictures; see ``ResultWriter``."""
        if self._unfinished:
            self._file.discard()

    def checkpoint(self) -> None:
        """Bring the pictures so far to the disk; see ``ResumableWriter``."""
        self._unfinished = True
        with whole_file(self._file.partial) as beside:
            beside.write_text(self._pictures.to_json(), encoding="utf-8")
            save_to_disk(beside)

    def resume(self, done: FramesDone) -> None:
        """Go on with the pictures of the frames done; see ``ResumableWriter``."""
        self._unfinished = True
        try:
            self._pictures = Pictures.from_json(self._file.partial.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self.warnings.append(
                f"{REPORT}: pictures of the frames up to {done.last_index} are lost; it has none of them"
            )
        self._pictures.drop_after(done.last_index, done.count)

    def suspend(self) -> None:
        """Leave the pictures of the last checkpoint; see ``ResumableWriter``."""

    def _doubt(self, result: FrameResult) -> float:
        lacking = [1 - each.score for each in result.objects if each.present and not each.keyframe]
        before, now = self._pictures.present, frozenset(each.id for each in result.objects if each.present)
        self._pictures.present = now
        return max(lacking, default=0.0) + (_CHANGE if before is not None and before != now else 0.0)


def small_jpeg(rgb: Rgb) -> bytes:
    """Return a picture, uint8, H x W x 3, as a JPEG file of at most 320 pixels a side."""
    small = cv2.resize(rgb, _small(*rgb.shape[:2]), interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return jpeg.tobytes()


def _small(height: int, width: int) -> tuple[int, int]:
    """Return the width and height of a small picture."""
    scale = min(1.0, _SIDE / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def pictures_file(folder: Path) -> PartialFile:
    """Return where the pictures of a run lie until its report is made, as the temporary name."""
    return PartialFile(folder / "report.pictures")
