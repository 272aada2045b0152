"""Writes the masks of a video: one label map per frame, or one picture per frame and object."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from persam_vos.exports.base import ExportSettings
from persam_vos.exports.draw import palette_image
from persam_vos.exports.frame_folder import FrameFolderWriter
from persam_vos.exports.frame_names import BY_INDEX, FrameNames
from persam_vos.exports.styles import PLAIN, ObjectStyles
from persam_vos.media import Frame
from persam_vos.results import FrameResult


class MaskWriter(FrameFolderWriter):
    """Writes ``00000.png``, ``00001.png``, ...: the label map of each frame as palette PNG (mode P, DAVIS palette).

    Args:
        path: The folder; its parent exists.
        names: Of the files.
        styles: Colours of objects.
    """

    def __init__(self, path: Path, names: FrameNames = BY_INDEX, styles: ObjectStyles = PLAIN) -> None:
        super().__init__(path, names)
        self._styles = styles

    def save(self, folder: Path, name: str, frame: Frame, result: FrameResult) -> tuple[Path]:  # noqa: ARG002
        """Write a label map; see ``FrameFolderWriter``."""
        path = folder / f"{name}.png"
        palette_image(result.label_map, self._styles).save(path)
        return (path,)


class BinaryMaskWriter(FrameFolderWriter):
    """Writes ``1_dog/00000.png``, ``2/00000.png``, ...: each object of each frame in white on black, as greyscale PNG.

    Where an object is absent, the picture is black, so that no sequence has gaps.

    Args:
        path: The folder; its parent exists.
        names: Of the files.
        styles: Names of objects.
    """

    def __init__(self, path: Path, names: FrameNames = BY_INDEX, styles: ObjectStyles = PLAIN) -> None:
        super().__init__(path, names)
        self._styles = styles

    def save(self, folder: Path, name: str, frame: Frame, result: FrameResult) -> list[Path]:  # noqa: ARG002
        """Write a picture for each object; see ``FrameFolderWriter``."""
        return save_binary_masks(folder, name, result, {each: self._styles.file_name(each) for each in result.ids})


def save_binary_masks(folder: Path, name: str, result: FrameResult, folders: dict[int, str]) -> list[Path]:
    """Write each object of a frame in white on black, into a folder of its own.

    Args:
        folder: That of the folders.
        name: Of the files, without a suffix.
        result: Of the frame.
        folders: Names by the object's id.

    Returns:
        The files.

    Raises:
        OSError: If one cannot be written.
    """
    made = []
    for object_id, name_of_folder in folders.items():
        path = folder / name_of_folder / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray((result.label_map == object_id).view(np.uint8) * 255).save(path)
        made.append(path)
    return made


def mask_writer(settings: ExportSettings) -> FrameFolderWriter:
    """Return the writer of the format that was chosen."""
    options = settings.options
    names = FrameNames(settings.info.images, start_number=options.start_number, keep=options.keep_names)
    kind = BinaryMaskWriter if options.masks_format == "binary" else MaskWriter
    return kind(settings.folder / "masks", names, settings.styles)
