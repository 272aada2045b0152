"""Writes ``label-studio.json``: predictions for Label Studio, as brush masks of images or as boxes of a video.

Source: https://labelstud.io/guide/predictions, https://labelstud.io/tags/brushlabels and
https://labelstud.io/tags/videorectangle. Run lengths of brushes are those of rle-pack in
https://github.com/thi-ng/umbrella.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import chain, pairwise
from typing import Any, TextIO
from urllib.parse import quote

from persam_vos import __version__
from persam_vos.exports.annotations.classes import ObjectClasses
from persam_vos.exports.annotations.image_names import ImageNames
from persam_vos.exports.annotations.journal import JournalWriter, joined
from persam_vos.exports.annotations.rle import masks_of
from persam_vos.exports.base import ExportSettings
from persam_vos.files import real_path
from persam_vos.masks import Mask, box_xyxy
from persam_vos.media import Frame
from persam_vos.media.masks.run_lengths import runs_of_mask
from persam_vos.results import FrameResult, object_record

_LOCAL_FILES = "/data/local-files/?d="
_RUN_BITS = (3, 4, 8, 16)  # sizes in which the length of a run is written
_CHANNELS = 4
_DECIMALS = 6


class LabelStudioWriter(JournalWriter):
    """Writes a task for each image of an image sequence, with brush masks; of a video one task, with a box per object.

    Label Studio has no masks in videos. Addresses are those of local files, below the folder that holds the source's.
    """

    name = "label-studio.json"

    def __init__(self, settings: ExportSettings) -> None:
        super().__init__(settings)
        self._images = ImageNames(settings.info) if settings.info.images else None

    def note(self, frame: Frame, result: FrameResult) -> dict[str, Any]:
        """Return the boxes of a frame's objects, and of images the masks; see ``JournalWriter``."""
        found = []
        for entry, mask in masks_of(result):
            record = {"object": entry.id, "score": object_record(entry)["score"], "box": box_xyxy(mask)}
            found.append({**record, "rle": brush_rle(mask)} if self._images else record)
        return {"time": round(float(frame.time), _DECIMALS), "objects": found}

    def compose(self, file: TextIO) -> None:
        """Write the list of tasks; see ``JournalWriter``."""
        classes = self.classes()
        file.write("[")
        if self._images is None:
            self._write_video(file, classes)
        else:
            images = self._images
            joined(file, (json.dumps(self._image(note, images, classes), ensure_ascii=False) for note in self.notes))
        file.write("\n]\n")

    def _image(self, note: Mapping[str, Any], images: ImageNames, classes: ObjectClasses) -> dict[str, Any]:
        info = self.settings.info
        found = []
        for each in note["objects"]:
            label = classes.name(each["object"])
            found.append(
                {
                    "id": f"{note['frame']}_{each['object']}",
                    "from_name": "tag",
                    "to_name": "image",
                    "type": "brushlabels",
                    "original_width": info.width,
                    "original_height": info.height,
                    "image_rotation": 0,
                    "score": each["score"],
                    "value": {"format": "rle", "rle": each["rle"], "brushlabels": [label]},
                    "meta": {"text": [str(each["object"])]},
                }
            )
        address = _address(images.folder.name, images.name(note["frame"]))
        return {"data": {"image": address, "frame": note["frame"]}, "predictions": [{**_model(), "result": found}]}

    def _write_video(self, file: TextIO, classes: ObjectClasses) -> None:
        """Write the one task of a video."""
        source = self.settings.info.source
        data = {"video": _address(real_path(source).parent.name, source.name)}
        head = json.dumps({"data": data, "predictions": [{**_model(), "result": []}]}, ensure_ascii=False)
        file.write("\n" + head.removesuffix("]}]}"))
        present = sorted({each["object"] for note in self.notes for each in note["objects"]})
        last = max(note["frame"] for note in self.notes)
        joined(file, (self._track(object_id, last + 1, classes) for object_id in present))
        file.write("]}]}")

    def _track(self, object_id: int, frames: int, classes: ObjectClasses) -> str:
        """Return the boxes of an object; memory grows by some 200 bytes a frame meanwhile."""
        info = self.settings.info
        frames = frames if info.clip or info.frame_count is None else max(frames, info.frame_count)
        value = {
            "framesCount": frames,
            "duration": None if info.frame_rate is None else round(float(frames / info.frame_rate), _DECIMALS),
            "sequence": list(self._sequence(object_id)),
            "labels": [classes.name(object_id)],
        }
        head = {"id": str(object_id), "from_name": "box", "to_name": "video", "type": "videorectangle"}
        meta = {"original_width": info.width, "original_height": info.height, "meta": {"text": [str(object_id)]}}
        return json.dumps({**head, **meta, "value": value}, ensure_ascii=False)

    def _sequence(self, object_id: int) -> Iterator[dict[str, Any]]:
        """Yield the boxes of an object, in percent of the frame; a box before an absence is not carried on."""
        info = self.settings.info
        found: Iterator[tuple[dict[str, Any], list[int] | None]]
        found = ((note, _box_in(note, object_id)) for note in self.notes)
        for (note, box), (_, following) in pairwise(chain(found, [({}, None)])):
            if box is not None:
                left, top, right, bottom = box
                yield {
                    "frame": note["frame"] + 1,
                    "enabled": following is not None,
                    "rotation": 0,
                    "x": round(100 * left / info.width, _DECIMALS),
                    "y": round(100 * top / info.height, _DECIMALS),
                    "width": round(100 * (right + 1 - left) / info.width, _DECIMALS),
                    "height": round(100 * (bottom + 1 - top) / info.height, _DECIMALS),
                    "time": note["time"],
                }


def brush_rle(mask: Mask) -> list[int]:
    """Return a mask, bool, H x W, as the bytes that Label Studio's brushes hold.

    They are a stream of bits: the number of values in 32 bits, bits per value less 1 in 5, four sizes of run lengths
    less 1 in 4 each. Then follow runs: a 1, the number of a size in 2 bits, the length less 1 in that size, the value.
    Values are those of red, green, blue and alpha of each pixel, row by row: all 255 in the mask, else 0.
    """
    value, counts = runs_of_mask(mask)
    bits = [f"{_CHANNELS * mask.size:032b}", f"{8 - 1:05b}", *(f"{size - 1:04b}" for size in _RUN_BITS)]
    for pixel_count in counts:
        bits += _runs(_CHANNELS * pixel_count, f"{255 * value:08b}")
        value = not value
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def _runs(count: int, value: str) -> Iterator[str]:
    """Yield runs of a value, as bits."""
    longest = 1 << _RUN_BITS[-1]
    while count > 0:
        part = min(count, longest)
        number, size = next((n, size) for n, size in enumerate(_RUN_BITS) if part <= 1 << size)
        yield f"1{number:02b}{part - 1:0{size}b}{value}"
        count -= part


def _model() -> dict[str, Any]:
    return {"model_version": f"persam-vos {__version__}"}


def _address(folder: str, name: str) -> str:
    """Return the address of a local file, as Label Studio serves it."""
    return _LOCAL_FILES + quote(f"{folder}/{name}" if folder else name, errors="replace")


def _box_in(note: Mapping[str, Any], object_id: int) -> list[int] | None:
    return next((each["box"] for each in note["objects"] if each["object"] == object_id), None)
