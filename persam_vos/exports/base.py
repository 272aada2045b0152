"""A stream of results becomes the files of an output folder, which get their names once they are complete."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from persam_vos.errors import OutputError
from persam_vos.files import output_errors
from persam_vos.media.frame import Frame
from persam_vos.media.stream import StreamInfo
from persam_vos.results import FrameResult


class ResultWriter(Protocol):
    """Writes results, in the order of the frames, to a temporary name, and gives it its own when it is closed.

    A writer belongs to one thread at a time, and its memory does not grow with the number of frames.

    Attributes:
        warnings: What went wrong without stopping the writer, one line each; complete after ``close``.
    """

    warnings: list[str]

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Add a frame.

        Raises:
            MaskSizeError: If the label map has another size than the frame.
            OutputError: If it cannot be written.
        """
        ...

    def close(self) -> tuple[Path, ...]:
        """Complete what was written so far, give it its name and return that; nothing if there was no frame.

        Raises:
            OutputError: If it cannot be completed; ``abort`` then removes it.
        """
        ...

    def abort(self) -> None:
        """Remove what is not complete; never raises, and leaves alone what ``close`` has finished."""
        ...


def open_folder(output: Path, *, overwrite: bool = False) -> None:
    """Make the folder of the results, or take an empty one, and try at once whether it can be written to.

    Raises:
        OutputError: If it is a file, holds something (without ``overwrite``), or cannot be written to.
    """
    if output.exists() and not output.is_dir():
        raise OutputError(f"{output}: is a file; the output must be a folder")
    with output_errors(output):
        output.mkdir(parents=True, exist_ok=True)
        # What a killed run of ours left behind counts for nothing.
        held = sorted(path.name for path in output.iterdir() if not re.fullmatch(r"\..+\.partial", path.name))
        if held and not overwrite:
            raise OutputError(f"{output}: is not empty (holds {held[0]}); pass --overwrite to replace what is there")
        with tempfile.TemporaryFile(dir=output):
            pass


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """What a writer is told when it is made.

    Attributes:
        folder: Where its file goes; exists.
        info: The source of the frames.
        background: RGB, 0..255, behind objects that are cut out.
    """

    folder: Path
    info: StreamInfo
    background: tuple[int, int, int] = (0, 0, 0)
