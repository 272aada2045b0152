"""Writes ``yolo/``: images and polygons in the layout that Ultralytics trains segmentation on.

Source: https://docs.ultralytics.com/datasets/segment/. Ultralytics takes each line as one object and one polygon, and
finds labels by putting ``labels`` in the place of ``images`` in the path of an image.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from persam_vos.exports.annotations.classes import ObjectClasses
from persam_vos.exports.annotations.journal import journal_of
from persam_vos.exports.annotations.polygons import MOST_PARTS, iou_of, polygon_of
from persam_vos.exports.annotations.rle import masks_of
from persam_vos.exports.base import ExportSettings
from persam_vos.exports.benchmark_folders import sequence_names
from persam_vos.exports.frame_folder import FrameFolderWriter
from persam_vos.files import list_files
from persam_vos.masks import Mask
from persam_vos.media import Frame, FramesDone
from persam_vos.results import FrameResult

_IMAGES, _LABELS = Path("images", "train"), Path("labels", "train")
_SUFFIXES = (".jpg", ".jpeg", ".png")
_JPEG_QUALITY = 95
_DECIMALS = 6
_LOW_IOU = 0.95


class YoloWriter(FrameFolderWriter):
    """Writes an image and a text file for each frame, ``data.yaml`` and ``train.txt``.

    Images of an image sequence are copied; frames of a video become JPEG. A frame without objects has an empty text
    file, which Ultralytics learns as background. What polygons lose is measured.
    """

    extra_files = ("data.yaml", "train.txt")
    name = "yolo"

    def __init__(self, settings: ExportSettings) -> None:
        super().__init__(settings.folder / self.name, sequence_names(settings.info))
        self._styles, self._images = settings.styles, settings.info.images
        self._notes = journal_of(settings.folder / self.name)
        self._ids: set[int] = set()

    def save(self, folder: Path, name: str, frame: Frame, result: FrameResult) -> list[Path]:
        """Write the image and the polygons of a frame; see ``FrameFolderWriter``."""
        for kind in (_IMAGES, _LABELS):
            (folder / kind).mkdir(parents=True, exist_ok=True)
        self._ids.update(result.ids)
        classes, lines, ious = ObjectClasses(self._styles, self._ids), [], []
        for entry, mask in masks_of(result):
            line, iou = _line(classes.index(entry.id), mask)
            lines.append(line)
            ious.append((entry.id, round(iou, _DECIMALS)))
        self._notes.append({"frame": frame.index, "ids": result.ids, "ious": ious})
        labels = folder / _LABELS / f"{name}.txt"
        labels.write_text("".join(lines), encoding="utf-8", newline="\n")
        return [self._write_image(folder / _IMAGES, name, frame), labels]

    def finish(self, folder: Path) -> None:
        """Write the lists of images and classes, and say what polygons lose; see ``FrameFolderWriter``."""
        images = [f"./{_IMAGES.as_posix()}/{path.name}\n" for path in list_files(folder / _IMAGES, *_SUFFIXES)]
        (folder / "train.txt").write_text("".join(images), encoding="utf-8", newline="\n")
        classes = ObjectClasses(self._styles, self._ids)
        # Without "path", Ultralytics takes the folder of this file.
        data = {"train": "train.txt", "val": "train.txt", "names": dict(enumerate(classes.names))}
        text = yaml.safe_dump(data, allow_unicode=True, sort_keys=False)
        (folder / "data.yaml").write_text(f"# {self._loss()}\n{text}", encoding="utf-8", newline="\n")

    def close(self) -> tuple[Path, ...]:
        """Give the folder its final name; see ``ResultWriter``."""
        written = super().close()
        self._notes.close()
        return written

    def abort(self) -> None:
        """Remove what is unfinished; see ``ResultWriter``."""
        super().abort()
        self._notes.discard()

    def checkpoint(self) -> None:
        """Bring the files so far to the disk; see ``ResumableWriter``."""
        super().checkpoint()
        self._notes.save()

    def resume(self, done: FramesDone) -> None:
        """Go on after the files of the frames done; see ``ResumableWriter``."""
        super().resume(done)
        self._notes.resume(done)
        self._ids = {each for note in self._notes for each in note["ids"]}

    def suspend(self) -> None:
        """Leave the unfinished folder; see ``ResumableWriter``."""
        super().suspend()
        self._notes.suspend()

    def _write_image(self, folder: Path, name: str, frame: Frame) -> Path:
        source = self._images[frame.index] if self._images else None
        if source is not None and source.suffix.lower() in _SUFFIXES:
            path = folder / f"{name}{source.suffix.lower()}"
            shutil.copyfile(source, path)
        else:
            path = folder / f"{name}.jpg"
            Image.fromarray(frame.rgb).save(path, quality=_JPEG_QUALITY)
        return path

    def _loss(self) -> str:
        """Say what polygons lose of the masks; warn where it is much."""
        total, count = 0.0, 0
        lowest: tuple[float, int, int] = (1.0, 0, 0)
        for note in self._notes:
            for object_id, iou in note["ious"]:
                total, count = total + iou, count + 1
                lowest = min(lowest, (iou, note["frame"], object_id))
        if not count or lowest[0] == 1:
            return "polygons hold every pixel of the masks"
        text = f"polygons have a mean IoU of {total / count:.4f} with the masks; the lowest is {lowest[0]:.4f},"
        text = f"{text} of object {lowest[2]} in frame {lowest[1]}"
        if lowest[0] < _LOW_IOU:
            self.warnings.append(f"yolo: {text}: one polygon joins separate parts by lines, at most {MOST_PARTS}")
        return text


def _line(number: int, mask: Mask) -> tuple[str, float]:
    """Return an object as Ultralytics has it, and the IoU of its polygon with the mask.

    Coordinates are shares of width and height, at the middles of pixels: programs cut off what is behind the point.
    """
    polygon = polygon_of(mask)
    shares: Sequence[Any] = ((polygon + 0.5) / np.array(mask.shape[::-1])).ravel().tolist()
    return " ".join([str(number), *(f"{share:.{_DECIMALS}f}" for share in shares)]) + "\n", iou_of(polygon, mask)
