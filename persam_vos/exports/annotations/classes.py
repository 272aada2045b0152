"""Classes of objects: what annotation tools call categories or labels."""

from __future__ import annotations

from collections.abc import Iterable

from persam_vos.exports.styles import ObjectStyles

UNNAMED = "object"


class ObjectClasses:
    """Classes by name: objects of one name are of one class, and those without a name are of the class ``object``.

    Args:
        styles: Names of objects.
        ids: All objects.

    Attributes:
        names: Of the classes, in the order of their first objects.
        first_objects: The lowest id of each class, by its name.
    """

    def __init__(self, styles: ObjectStyles, ids: Iterable[int]) -> None:
        self._class_of = {each: styles.name(each) or UNNAMED for each in sorted(ids)}
        self.names = tuple(dict.fromkeys(self._class_of.values()))
        self.first_objects = {name: object_id for object_id, name in reversed(self._class_of.items())}
        self.first_objects = {name: self.first_objects[name] for name in self.names}

    def name(self, object_id: int) -> str:
        """Return the name of an object's class."""
        return self._class_of[object_id]

    def index(self, object_id: int) -> int:
        """Return the position of an object's class among ``names``, from 0."""
        return self.names.index(self._class_of[object_id])
