"""How objects are shown: their names, and colours in place of the palettes'."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cached_property

from persam_vos.exports.palettes import Palette, davis_palette, overlay_palette
from persam_vos.prompts import NamedObject

_MAX_NAME = 120  # bytes of an object's name in a path: file systems allow 255, with the words around it


class ObjectStyles:
    """Names and colours of objects; an object without either has its number, and the palette's colour.

    Args:
        objects: Those that have a name or a colour; each id once.

    >>> styles = ObjectStyles([NamedObject(2, "Löffel", "#e6194b")])
    >>> styles.name(2), styles.label(1), styles.label(2), styles.overlay[2].tolist()
    ('Löffel', '1', '2 Löffel', [230, 25, 75])
    """

    def __init__(self, objects: Iterable[NamedObject] = ()) -> None:
        self._objects = {each.id: each for each in objects}

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of the objects that have a name or a colour."""
        return tuple(self._objects)

    def name(self, object_id: int) -> str:
        """Return the name of an object; "" for none."""
        found = self._objects.get(object_id)
        return found.name if found else ""

    def label(self, object_id: int) -> str:
        """Return the number of an object, and its name."""
        return f"{object_id} {self.name(object_id)}".strip()

    def file_name(self, object_id: int) -> str:
        """Return what files and folders of an object are called: its number and its name, without what paths forbid.

        >>> ObjectStyles([NamedObject(2, "Löffel/rechts", "")]).file_name(2)
        '2_Löffel_rechts'
        """
        name = re.sub(r"[^\w.+-]+", "_", unicodedata.normalize("NFC", self.name(object_id))).strip("_.")
        short = name.encode()[:_MAX_NAME].decode(errors="ignore")
        return f"{object_id}_{short}".rstrip("_.")

    @cached_property
    def overlay(self) -> Palette:
        """Colours of objects in pictures: uint8, 256 x 3, RGB."""
        return self._with_colours(overlay_palette())

    @cached_property
    def masks(self) -> Palette:
        """Colours of objects in mask files: uint8, 256 x 3, RGB."""
        return self._with_colours(davis_palette())

    def _with_colours(self, palette: Palette) -> Palette:
        for object_id, each in self._objects.items():
            if each.rgb is not None:
                palette[object_id] = each.rgb
        return palette


PLAIN = ObjectStyles()
