"""The interface of the writers, and what each is told when it is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from persam_vos.errors import OutputError
from persam_vos.exports.styles import PLAIN, ObjectStyles
from persam_vos.files import check_writable, content_of_folder, output_errors
from persam_vos.media import Frame, FramesDone, StreamInfo
from persam_vos.results import FrameResult
from persam_vos.settings.output import DEFAULTS, ExportOptions


class ResultWriter(Protocol):
    """Writes results in the order of the frames to a temporary name, and renames it to the final one in ``close``.

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
        """Complete the file or folder and return its path, or nothing if there was no frame.

        Raises:
            OutputError: If it cannot be completed; ``abort`` then removes it.
        """
        ...

    def abort(self) -> None:
        """Remove what is unfinished; never raises, and leaves alone what ``close`` has finished."""
        ...


class ResumableWriter(ResultWriter, Protocol):
    """A writer of which a later run can go on, if this one is killed."""

    def checkpoint(self) -> None:
        """Bring everything written so far to the disk, so that ``resume`` finds it after any end of this process.

        Raises:
            OutputError: If that fails.
        """
        ...

    def resume(self, done: FramesDone) -> None:
        """Go on after what an earlier run has written, instead of beginning anew; drop what it wrote of later frames.

        Args:
            done: The frames up to a ``checkpoint`` of that run, which may have gone on, or ended by ``close``.

        Raises:
            OutputError: If something of them is missing or damaged.
        """
        ...

    def suspend(self) -> None:
        """Leave what the last ``checkpoint`` has saved to a later run, instead of ``abort``; never raises."""
        ...


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """What a writer is told when it is made.

    Attributes:
        folder: The folder that its file goes to; it exists.
        info: What the source of the frames says of itself.
        options: How exports are written.
        styles: Names and colours of objects.
        ending: Of the name of its file, before the suffix: that of one object.
    """

    folder: Path
    info: StreamInfo
    options: ExportOptions = DEFAULTS
    styles: ObjectStyles = PLAIN
    ending: str = ""


def refuse_gone(written: Iterable[Path]) -> None:
    """Raise ``OutputError`` if something that a run has written is gone, since another program has removed it."""
    for path in written:
        if not path.exists():
            raise OutputError(
                f"{path}: was written, and is gone: another program has removed it, or its disk is away; run this again"
            )


def open_folder(output: Path, *, overwrite: bool = False) -> None:
    """Make the folder of the results, or take an empty one, and try whether it can be written to.

    Leftovers of killed runs and files of file managers do not count as content.

    Raises:
        OutputError: If it is a file, holds something (without ``overwrite``), or cannot be written to.
    """
    check_writable(output)
    if overwrite:
        return
    with output_errors(output):
        if content := content_of_folder(output):
            raise OutputError(
                f"{output}: is not empty (holds {content[0]}); pass --overwrite, in Python overwrite=True, to replace "
                "what is there"
            )
