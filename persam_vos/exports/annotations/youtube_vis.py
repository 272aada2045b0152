"""Writes ``youtube-vis.json``: an annotation for each object, with a mask for each frame, null where it is absent.

Source: the data format of YouTube-VIS, https://youtube-vos.org/dataset/vis/.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TextIO

from persam_vos.exports.annotations.classes import ObjectClasses
from persam_vos.exports.annotations.coco import RunLengthsWriter
from persam_vos.exports.benchmark_folders import sequence_name


class YoutubeVisWriter(RunLengthsWriter):
    """Writes one video, whose length is the number of frames written. Objects without any pixel are left out.

    Beside YouTube-VIS's keys, annotations have ``track_id``, the object's number, and ``score``, the mean where it is
    present. While the file is composed, memory grows by some 100 bytes a frame.
    """

    name = "youtube-vis.json"

    def compose(self, file: TextIO) -> None:
        """Write the list; see ``JournalWriter``."""
        classes, present = self.classes(), sorted({each["object"] for note in self.notes for each in note["objects"]})
        self.begin(file)
        file.write(f', "videos": [\n{json.dumps(self._video(), ensure_ascii=False)}\n], "annotations": [')
        separator = "\n"
        for number, object_id in enumerate(present, 1):
            file.write(separator)
            self._write_annotation(file, number, object_id, classes)
            separator = ",\n"
        self.end(file, classes)

    def _video(self) -> dict[str, Any]:
        info, folder = self.settings.info, sequence_name(self.settings.info)
        names = [f"{folder}/{self.images.name(note['frame'])}" for note in self.notes]
        return {"id": 1, "width": info.width, "height": info.height, "length": len(names), "file_names": names}

    def _write_annotation(self, file: TextIO, number: int, object_id: int, classes: ObjectClasses) -> None:
        info, scores = self.settings.info, []
        areas: list[int | None] = []
        boxes: list[list[int] | None] = []
        head = {
            "id": number,
            "video_id": 1,
            "category_id": classes.index(object_id) + 1,
            "iscrowd": 0,
            "track_id": object_id,
            "width": info.width,
            "height": info.height,
        }
        file.write(json.dumps(head)[:-1] + ', "segmentations": [')
        for position, found in enumerate(self._found(object_id)):
            areas.append(found["area"] if found else None)
            boxes.append(found["bbox"] if found else None)
            if found and found["score"] is not None:
                scores.append(found["score"])
            segmentation = {"size": [info.height, info.width], "counts": found["counts"]} if found else None
            file.write((", " if position else "") + json.dumps(segmentation))
        score = round(sum(scores) / len(scores), 6) if scores else None
        rest = {"areas": areas, "bboxes": boxes, "score": score}
        file.write("], " + json.dumps(rest)[1:])

    def _found(self, object_id: int) -> Iterator[dict[str, Any] | None]:
        """Yield what is noted of an object in each frame; None where it is absent."""
        for note in self.notes:
            yield next((each for each in note["objects"] if each["object"] == object_id), None)
