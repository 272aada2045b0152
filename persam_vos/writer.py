"""A stream of results becomes the files of an output folder, which get their names once they are complete."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TextIO

from persam_vos.draw import palette_image
from persam_vos.errors import OutputError, SettingsError
from persam_vos.frame import Frame
from persam_vos.objects import FrameResult, ObjectResult
from persam_vos.result_files import check_file, check_size, object_record, output_errors
from persam_vos.stream import StreamInfo
from persam_vos.video_writer import CutoutWriter, ExportSettings, OverlayWriter

__all__ = ["EXPORTS", "ExportSettings", "MaskWriter", "ResultWriter", "TracksWriter", "open_folder", "open_writers"]

_MASK_NAME = re.compile(r"[0-9]{5,}\.png")


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


class TracksWriter:
    """Writes ``tracks.jsonl``: a line per frame and object.

    Keys: frame, pts, object, present, score, similarity, area, box_xyxy. ``similarity`` and ``box_xyxy`` are null where
    the object is absent; a number that is not finite becomes null, since JSON has none such.
    """

    def __init__(self, settings: ExportSettings) -> None:
        self.warnings: list[str] = []
        self._path = settings.folder / "tracks.jsonl"
        check_file(self._path)
        self._partial = settings.folder / ".tracks.jsonl.partial"
        self._file: TextIO | None = None

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Write the lines of a frame; see ``ResultWriter``."""
        with output_errors(self._path):
            if self._file is None:
                self._file = self._partial.open("w", encoding="utf-8", newline="\n")
            for entry in result.objects:
                self._file.write(_track_line(frame, entry))

    def close(self) -> tuple[Path, ...]:
        """Give the file its name; see ``ResultWriter``."""
        if self._file is None:
            return ()
        with output_errors(self._path):
            self._file.close()
            self._partial.replace(self._path)
            self._file = None
        return (self._path,)

    def abort(self) -> None:
        """Remove the unfinished file; see ``ResultWriter``."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            with suppress(OSError):
                self._partial.unlink(missing_ok=True)
            self._file = None


EXPORTS: dict[str, Callable[[ExportSettings], ResultWriter]] = {
    "masks": lambda settings: MaskWriter(settings.folder / "masks"),
    "overlay": OverlayWriter,
    "cutout": CutoutWriter,
}


def open_writers(
    output: Path,
    exports: Sequence[str],
    *,
    info: StreamInfo,
    overwrite: bool = False,
    background: tuple[int, int, int] = (0, 0, 0),
) -> list[ResultWriter]:
    """Make the writers of a run: the tracks, always, and the exports asked for.

    The folder is made and tried at once, so that a run does not end in an error that could have begun it.

    Args:
        output: The folder of the results.
        exports: Names from ``EXPORTS``; a name given twice counts once.
        info: The source of the frames.
        overwrite: Whether ``output`` may hold anything; files of the same names are replaced, others stay here; see
            ``remove_exports``.
        background: RGB, 0..255, behind objects that are cut out.

    Raises:
        SettingsError: If an export is unknown or the background is no colour.
        OutputError: If ``output`` is a file, holds something (without ``overwrite``), or cannot be written to.
    """
    unknown = [name for name in exports if name not in EXPORTS]
    if unknown:
        raise SettingsError(f"export is {unknown[0]!r}; allowed: {', '.join(EXPORTS)}")
    if len(background) != 3 or not all(0 <= value <= 255 for value in background):
        raise SettingsError(f"background is {background}; it must be three values of 0..255")
    open_folder(output, overwrite=overwrite)
    settings = ExportSettings(folder=output, info=info, background=background)
    return [TracksWriter(settings), *(EXPORTS[name](settings) for name in dict.fromkeys(exports))]


def remove_exports(output: Path, exports: Iterable[str], keep: Sequence[Path]) -> None:
    """Remove what an earlier run exported and this one did not: it shows other results than what lies beside it.

    Args:
        output: The folder of both runs.
        exports: Names of what the earlier one wrote.
        keep: Files that this run has read; what holds one of them stays, and so does a folder with anything but masks.

    Raises:
        OutputError: If it cannot be removed.
    """
    kept = [path.resolve() for path in keep]
    for name in exports:
        path = output / ("masks" if name == "masks" else f"{name}.mp4")
        if name not in EXPORTS or any(each.is_relative_to(path.resolve()) for each in kept):
            continue
        with output_errors(path):
            if path.is_file():
                path.unlink()
            elif name == "masks" and path.is_dir() and not path.is_symlink() and not _foreign(path):
                shutil.rmtree(path)


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


def _track_line(frame: Frame, entry: ObjectResult) -> str:
    record = {"frame": frame.index, "pts": frame.pts, **object_record(entry)}
    return json.dumps(record, allow_nan=False) + "\n"
