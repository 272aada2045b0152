"""Writes ``cvat.xml``: masks of images, which CVAT imports into tasks of videos and of images.

Source: CVAT for images 1.1, https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/ and
https://docs.cvat.ai/docs/dataset_management/formats/xml_format/. CVAT has no tracks of masks: see docs/decisions.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TextIO
from xml.sax.saxutils import escape, quoteattr

from persam_vos.exports.annotations.classes import ObjectClasses
from persam_vos.exports.annotations.image_names import ImageNames
from persam_vos.exports.annotations.journal import JournalWriter
from persam_vos.exports.annotations.rle import masks_of
from persam_vos.exports.base import ExportSettings
from persam_vos.masks import Mask, box_xyxy
from persam_vos.media import Frame
from persam_vos.media.masks.run_lengths import runs_of_mask
from persam_vos.results import FrameResult

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class CvatWriter(JournalWriter):
    """Writes each mask with the attribute ``track_id``, the object's number, which holds its masks together."""

    name = "cvat.xml"

    def __init__(self, settings: ExportSettings) -> None:
        super().__init__(settings)
        # CVAT's own names of the frames of a video.
        self._images = ImageNames(settings.info, of_video="frame_{:06d}")

    def note(self, frame: Frame, result: FrameResult) -> dict[str, Any]:  # noqa: ARG002
        """Return the masks of a frame; see ``JournalWriter``."""
        return {"objects": [{"object": entry.id, **_run_lengths(mask)} for entry, mask in masks_of(result)]}

    def compose(self, file: TextIO) -> None:
        """Write the document; see ``JournalWriter``."""
        classes = self.classes()
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n')
        file.writelines(self._meta(classes))
        info = self.settings.info
        for note in self.notes:
            name = quoteattr(_clean(self._images.name(note["frame"])))
            file.write(f'<image id="{note["frame"]}" name={name} width="{info.width}" height="{info.height}">\n')
            for each in note["objects"]:
                file.write(_mask_element(each, classes.name(each["object"])))
            file.write("</image>\n")
        file.write("</annotations>\n")

    def _meta(self, classes: ObjectClasses) -> Iterator[str]:
        """Yield what CVAT's own exports say of the task: its size, and its labels with their attributes."""
        indices = [note["frame"] for note in self.notes]
        yield f"<meta><task>\n<name>{escape(_clean(self.settings.info.source.name))}</name>\n"
        yield f"<size>{len(indices)}</size>\n<mode>annotation</mode>\n"
        yield f"<start_frame>{indices[0]}</start_frame>\n<stop_frame>{indices[-1]}</stop_frame>\n<labels>\n"
        for name, object_id in classes.first_objects.items():
            colour = bytes(self.settings.styles.overlay[object_id].tolist()).hex()
            yield f"<label><name>{escape(_clean(name))}</name><color>#{colour}</color><type>mask</type><attributes>"
            yield "<attribute><name>track_id</name><mutable>False</mutable><input_type>number</input_type>"
            yield "<default_value>0</default_value><values>0\n255\n1</values></attribute></attributes></label>\n"
        yield "</labels>\n</task></meta>\n"


def _mask_element(noted: Mapping[str, Any], label: str) -> str:
    """Return an object in a frame as XML."""
    box = " ".join(f'{key}="{noted[key]}"' for key in ("left", "top", "width", "height"))
    head = f'<mask label={quoteattr(_clean(label))} source="auto" occluded="0" rle="{noted["rle"]}" {box} z_order="0">'
    return f'{head}<attribute name="track_id">{noted["object"]}</attribute></mask>\n'


def _run_lengths(mask: Mask) -> dict[str, Any]:
    """Return the run lengths of a mask in its box, row by row, background first."""
    box = box_xyxy(mask)
    assert box is not None, "absent objects are left out"
    left, top, right, bottom = box
    begins, counts = runs_of_mask(mask[top : bottom + 1, left : right + 1])
    text = ", ".join(map(str, [0, *counts] if begins else counts))
    return {"rle": text, "left": left, "top": top, "width": right - left + 1, "height": bottom - top + 1}


def _clean(text: str) -> str:
    """Replace characters that XML does not have."""
    return _NOT_XML.sub("_", text)
