"""A stream of results becomes the files of an output folder, which get their names once they are complete."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from persam_vos.errors import OutputError
from persam_vos.exports.draw import palette_image
from persam_vos.files import output_errors
from persam_vos.masks import check_size
from persam_vos.media.frame import Frame
from persam_vos.results import FrameResult

_MASK_NAME = re.compile(r"[0-9]{5,}\.png")


class MaskWriter:
    """Writes ``00000.png`` and on: palette PNG (mode P, DAVIS palette) of the label map, one per frame.

    A folder that is already there is replaced as a whole, and only if it holds nothing but such files.

    Args:
        path: The folder, which gets its name once it is complete; the one above it exists.
    """

    def __init__(self, path: Path) -> None:
        self.warnings: list[str] = []
        self._path = path
        self._partial = path.with_name(f".{path.name}.partial")
        self._old = path.with_name(f".{path.name}.old.partial")
        self._started = False
        _check_replaceable(self._path)

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Write the label map of a frame; see ``ResultWriter``."""
        check_size(result.label_map, frame.rgb, f"frame {frame.index}")
        with output_errors(self._path):
            if not self._started:
                shutil.rmtree(self._partial, ignore_errors=True)
                self._partial.mkdir()
                self._started = True
            palette_image(result.label_map).save(self._partial / f"{frame.index:05d}.png")

    def close(self) -> tuple[Path, ...]:
        """Give the folder its name; see ``ResultWriter``."""
        if not self._started:
            return ()
        _check_replaceable(self._path)
        with output_errors(self._path):
            if self._path.exists():
                shutil.rmtree(self._old, ignore_errors=True)
                self._path.replace(self._old)
            try:
                self._partial.replace(self._path)
            except OSError:
                if self._old.exists():
                    self._old.replace(self._path)
                raise
            self._started = False
            shutil.rmtree(self._old, ignore_errors=True)
        return (self._path,)

    def abort(self) -> None:
        """Remove the unfinished folder; see ``ResultWriter``."""
        if self._started:
            shutil.rmtree(self._partial, ignore_errors=True)
            self._started = False


def _check_replaceable(path: Path) -> None:
    """Make sure that a folder of masks, if it is there, holds nothing else."""
    if not path.exists():
        return
    if not path.is_dir() or path.is_symlink():
        raise OutputError(f"{path}: is in the way, and not a folder; move it away")
    if (foreign := _foreign(path)) is not None:
        raise OutputError(f"{path}: holds {foreign}, which is no mask of ours, so it is not replaced")


def _foreign(folder: Path) -> str | None:
    """Return the name of something in a folder that is no mask of ours."""
    return next((path.name for path in folder.iterdir() if not _MASK_NAME.fullmatch(path.name)), None)
