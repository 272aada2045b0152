"""Writes the masks of a video as the servers of benchmarks take them.

Sources: the layouts of DAVIS 2017 (https://davischallenge.org), MOSE (https://henghuiding.github.io/MOSE), YouTube-VOS
(https://youtube-vos.org) and SA-V (https://ai.meta.com/datasets/segment-anything-video), which name files after frames.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from persam_vos.exports.base import ExportSettings
from persam_vos.exports.draw import palette_image
from persam_vos.exports.frame_folder import FrameFolderWriter
from persam_vos.exports.frame_names import FrameNames
from persam_vos.exports.masks import save_binary_masks
from persam_vos.files import real_path
from persam_vos.media import Frame, StreamInfo
from persam_vos.media.photo_files import is_glob
from persam_vos.results import FrameResult

_SAV_NAME = re.compile(r"[0-9]{3}")


class DavisWriter(FrameFolderWriter):
    """Writes ``davis/SEQUENCE/00000.png``: palette PNG with the DAVIS palette, whatever colours are chosen.

    The sequence is called like the video. Files are called like the images of an image sequence, else by the frame's
    index.
    """

    name = "davis"
    parents: tuple[str, ...] = ()
    """Folders between that of the export and those of the sequences."""

    def __init__(self, settings: ExportSettings) -> None:
        super().__init__(settings.folder / self.name, sequence_names(settings.info))
        self._sequence = sequence_name(settings.info)

    def save(self, folder: Path, name: str, frame: Frame, result: FrameResult) -> tuple[Path]:  # noqa: ARG002
        """Write a label map; see ``FrameFolderWriter``."""
        path = folder.joinpath(*self.parents, self._sequence, f"{name}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        palette_image(result.label_map).save(path)
        return (path,)


class MoseWriter(DavisWriter):
    """Writes ``mose/VIDEO/00000.png``; see ``DavisWriter``."""

    name = "mose"


class YoutubeVosWriter(DavisWriter):
    """Writes ``youtube-vos/Annotations/VIDEO/00000.png``; see ``DavisWriter``."""

    name = "youtube-vos"
    parents = ("Annotations",)


class SavWriter(FrameFolderWriter):
    """Writes ``sa-v/VIDEO/000/00000.png``: a folder for each object, in white on black, black where it is absent.

    Where all objects have names of three digits, and all differ, these are their folders; else object 1 is ``000``,
    object 2 is ``001``.
    """

    name = "sa-v"

    def __init__(self, settings: ExportSettings) -> None:
        super().__init__(settings.folder / self.name, sequence_names(settings.info))
        self._sequence, self._styles = sequence_name(settings.info), settings.styles

    def save(self, folder: Path, name: str, frame: Frame, result: FrameResult) -> list[Path]:  # noqa: ARG002
        """Write a picture for each object; see ``FrameFolderWriter``."""
        path = folder / self._sequence
        path.mkdir(exist_ok=True)
        return save_binary_masks(path, name, result, self._folders(result.ids))

    def _folders(self, ids: Sequence[int]) -> dict[int, str]:
        """Return the folder of each object, by its id."""
        names = {each: self._styles.name(each) for each in ids}
        digits = [name for name in names.values() if _SAV_NAME.fullmatch(name)]
        if len(set(digits)) == len(ids):
            return names
        if digits and not self.warnings:
            self.warnings.append(
                f"sa-v: name {digits[0]!r} is no folder, because not all objects have different names of three digits;"
                " folders count objects from 000"
            )
        return {each: f"{each - 1:03d}" for each in ids}


def sequence_name(info: StreamInfo) -> str:
    """Return the name of a video among others: that of its folder of images, or of its file without the suffix."""
    source = real_path(info.source)
    if is_glob(info.source):
        source = real_path((info.images or (source,))[0]).parent
    return source.name if info.images and len(info.images) > 1 else source.stem


def sequence_names(info: StreamInfo) -> FrameNames:
    """Return names of files as benchmarks have them: those of the images, or numbers where these are not unique."""
    stems = {path.stem for path in info.images}
    return FrameNames(info.images, keep=bool(stems) and len(stems) == len(info.images))
