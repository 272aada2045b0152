"""Writes the masks of a video: one label map per frame, as palette PNG."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from persam_vos.errors import OutputError
from persam_vos.exports.draw import palette_image
from persam_vos.exports.styles import PLAIN, ObjectStyles
from persam_vos.files import PartialFolder, content_of_folder, output_errors, save_to_disk
from persam_vos.masks import check_size
from persam_vos.media import Frame, FramesDone
from persam_vos.results import FrameResult

_MASK_NAME = re.compile(r"[0-9]{5,}\.png")


class MaskWriter:
    """Writes ``00000.png``, ``00001.png``, ...: the label map of each frame as palette PNG (mode P, DAVIS palette).

    An earlier folder of the same name is replaced as a whole. It must hold masks only.

    Args:
        path: The folder; its parent exists.
        styles: Colours of objects.

    Raises:
        OutputError: If there is something else of that name, or a folder that cannot be read.
    """

    def __init__(self, path: Path, styles: ObjectStyles = PLAIN) -> None:
        self.warnings: list[str] = []
        self._styles = styles
        self._folder = PartialFolder(path)
        self._begun = False
        # Frames whose masks may not be on the disk yet.
        self._unsaved = range(0)
        _check_replaceable(path)

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Write the label map of a frame; see ``ResultWriter``."""
        check_size(result.label_map, frame.rgb, f"frame {frame.index}")
        with output_errors(self._folder.path):
            if not self._begun:
                self._folder.begin()
                self._begun = True
            palette_image(result.label_map, self._styles).save(self._path(frame.index))
        self._unsaved = range(self._unsaved.start if self._unsaved else frame.index, frame.index + 1)

    def close(self) -> tuple[Path, ...]:
        """Give the folder its final name; see ``ResultWriter``."""
        if not self._begun:
            return ()
        _check_replaceable(self._folder.path)
        with output_errors(self._folder.path):
            path = self._folder.finish()
        self._begun = False
        return (path,)

    def abort(self) -> None:
        """Remove the unfinished folder; see ``ResultWriter``."""
        self._folder.discard()
        self._begun = False

    def checkpoint(self) -> None:
        """Bring the masks so far to the disk; see ``ResumableWriter``."""
        with output_errors(self._folder.path):
            for path in map(self._path, self._unsaved):
                if path.exists():
                    save_to_disk(path)
        self._unsaved = range(0)

    def resume(self, done: FramesDone) -> None:
        """Go on after the masks of the frames done; see ``ResumableWriter``."""
        with output_errors(self._folder.path):
            self._folder.take_back()
            masks = {int(path.stem): path for path in self._folder.partial.glob("*.png") if path.stem.isdecimal()}
            for index, path in masks.items():
                if index > done.last_index:
                    path.unlink()
        left = sum(index <= done.last_index for index in masks)
        if left != done.count:
            raise OutputError(
                f"{self._folder.path}: {left} of the {done.count} frames done are left; the run cannot be resumed;"
                " pass --overwrite to start anew"
            )
        self._begun = True

    def suspend(self) -> None:
        """Leave the unfinished folder; see ``ResumableWriter``."""
        self._begun = False

    def _path(self, index: int) -> Path:
        """Return the unfinished mask of a frame."""
        return self._folder.partial / f"{index:05d}.png"


def remove_masks(path: Path) -> None:
    """Remove a folder of masks; keep it if it holds anything else, or is a link.

    Raises:
        OSError: If it cannot be removed.
    """
    if path.is_dir() and not path.is_symlink() and not _other_content(path):
        shutil.rmtree(path)


def _check_replaceable(path: Path) -> None:
    """Raise ``OutputError`` unless masks may take the place of ``path``."""
    with output_errors(path):
        if not path.exists():
            return
        if not path.is_dir() or path.is_symlink():
            raise OutputError(f"{path}: is not a folder, where masks are to be written; move it away")
        if other := _other_content(path):
            raise OutputError(f"{path}: holds {other[0]}, which is not a mask; move it away or give another --output")


def _other_content(folder: Path) -> list[str]:
    """List what a folder of masks holds besides masks."""
    return [name for name in content_of_folder(folder) if not _MASK_NAME.fullmatch(name)]
