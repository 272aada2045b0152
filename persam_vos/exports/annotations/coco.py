"""Writes ``coco.json``: each frame is an image, each mask an annotation with the number of its object.

Source: the data format of https://cocodataset.org/#format-data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from persam_vos import __version__
from persam_vos.exports.annotations.classes import ObjectClasses
from persam_vos.exports.annotations.image_names import ImageNames
from persam_vos.exports.annotations.journal import JournalWriter, joined
from persam_vos.exports.annotations.rle import coco_mask, masks_of
from persam_vos.exports.base import ExportSettings
from persam_vos.media import Frame
from persam_vos.results import FrameResult, object_record


class RunLengthsWriter(JournalWriter):
    """What writers of masks as compressed run lengths share; these keep holes and parts."""

    def __init__(self, settings: ExportSettings) -> None:
        super().__init__(settings)
        self.images = ImageNames(settings.info)

    def note(self, frame: Frame, result: FrameResult) -> dict[str, Any]:  # noqa: ARG002
        """Return the masks of a frame; see ``JournalWriter``."""
        return {"objects": coco_objects(result)}

    def begin(self, file: TextIO) -> None:
        """Write what the file says of itself; a list of its own follows."""
        head = {"info": coco_info(self.settings), "licenses": []}
        file.write(json.dumps(head, ensure_ascii=False)[:-1])

    def end(self, file: TextIO, classes: ObjectClasses) -> None:
        """Write the classes after the last annotation."""
        file.write('\n], "categories": [')
        joined(file, (json.dumps(each, ensure_ascii=False) for each in coco_categories(classes)))
        file.write("\n]}\n")


class CocoWriter(RunLengthsWriter):
    """Writes a list of images, those without objects as well, and one of masks.

    Beside COCO's keys, images have ``frame``, and annotations have ``track_id``, the object's number, and ``score``.
    """

    name = "coco.json"

    def compose(self, file: TextIO) -> None:
        """Write the list; see ``JournalWriter``."""
        classes = self.classes()
        self.begin(file)
        file.write(', "images": [')
        joined(file, (json.dumps(self._image(note), ensure_ascii=False) for note in self.notes))
        file.write('\n], "annotations": [')
        joined(file, map(json.dumps, self._annotations(classes)))
        self.end(file, classes)

    def _image(self, note: Mapping[str, Any]) -> dict[str, Any]:
        info = self.settings.info
        return {
            "id": note["frame"] + 1,
            "file_name": self.images.name(note["frame"]),
            "width": info.width,
            "height": info.height,
            "frame": note["frame"],
        }

    def _annotations(self, classes: ObjectClasses) -> Iterator[dict[str, Any]]:
        info, number = self.settings.info, 0
        for note in self.notes:
            for each in note["objects"]:
                number += 1
                yield {
                    "id": number,
                    "image_id": note["frame"] + 1,
                    "category_id": classes.index(each["object"]) + 1,
                    "segmentation": {"size": [info.height, info.width], "counts": each["counts"]},
                    "area": each["area"],
                    "bbox": each["bbox"],
                    "iscrowd": 0,
                    "track_id": each["object"],
                    "score": each["score"],
                }


def coco_objects(result: FrameResult) -> list[dict[str, Any]]:
    """Return the objects of a frame that have pixels, as they are noted: object, counts, area, bbox and score."""
    found = []
    for entry, mask in masks_of(result):
        encoded = coco_mask(mask)
        record = {"object": entry.id, "counts": encoded.counts, "area": encoded.area, "bbox": encoded.bbox}
        found.append({**record, "score": object_record(entry)["score"]})
    return found


def coco_info(settings: ExportSettings) -> dict[str, Any]:
    """Return what a file of COCO says of itself."""
    return {"description": settings.info.source.name, "version": "1.0", "contributor": f"persam-vos {__version__}"}


def coco_categories(classes: ObjectClasses) -> list[dict[str, Any]]:
    """Return the classes, with ids from 1."""
    return [{"id": number, "name": name, "supercategory": ""} for number, name in enumerate(classes.names, 1)]
