"""The mask of one object, from a picture of it alone or from a label map."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from persam_vos.errors import MaskError
from persam_vos.files import PathLike
from persam_vos.masks import LabelMap, Mask
from persam_vos.media.masks.reading import AS_IT_IS, MaskReading


def read_object_mask(
    path: PathLike,
    object_id: int,
    *,
    height: int,
    width: int,
    reading: MaskReading = AS_IT_IS,
    frame: str | None = None,
    doubts: list[str] | None = None,
) -> Mask:
    """Read the mask of one object.

    Args:
        path: A picture of one object, whatever value it has; or a label map that holds the object; see ``read_mask``.
        object_id: Of the object.
        height: Of the frame, in pixels.
        width: Of the frame, in pixels.
        reading: How it is read.
        frame: Its name; see ``read_mask``.
        doubts: Gets a line about what was perhaps meant otherwise.

    Returns:
        bool, H x W, with at least one pixel.

    Raises:
        MaskError: If the file is no mask, does not fit, or shows other objects only.
    """
    label_map = reading.read(Path(path), height=height, width=width, frame=frame, doubts=doubts)
    return object_of(label_map, object_id, name=str(path))


def object_of(label_map: LabelMap, object_id: int, *, name: str = "mask") -> Mask:
    """Return the mask of one object.

    Args:
        label_map: uint8, H x W: of one object, whatever value it has; or of several, one of which is the object.
        object_id: Of the object.
        name: What messages call the label map.

    Returns:
        bool, H x W, with at least one pixel.

    Raises:
        MaskError: If it shows several objects, none of which is this one.
    """
    ids = np.unique(label_map[label_map > 0]).tolist()
    if object_id not in ids and len(ids) > 1:
        raise MaskError(
            f"{name}: shows the objects {', '.join(map(str, ids))}, and not {object_id}; give a mask of one object"
        )
    mask: Mask = label_map == (object_id if object_id in ids else ids[0])
    return mask
