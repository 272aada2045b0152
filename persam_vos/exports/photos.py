"""Results of photos become files, each under its name only when it is whole, and a line in a list of what is done."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import cv2
from PIL import Image

from persam_vos.errors import OutputError, SettingsError
from persam_vos.exports.draw import draw_overlay, draw_transparent, palette_image
from persam_vos.exports.photo_names import EarlierNames, content_of, is_name, output_names
from persam_vos.exports.results_jsonl import PhotoResult, read_results
from persam_vos.files import check_file, output_errors
from persam_vos.masks import LabelMap, Rgb, check_size
from persam_vos.results import object_record

_RESULTS = "results.jsonl"
_TRACKS = "tracks.jsonl"  # of a video, whose run.json would be lost
_PARTIAL = ".writing.partial"  # no file of ours ends like this
_JPEG_QUALITY = 92
_JPEG_SIDE = 65_500  # in pixels; JPEG has no longer ones


def _encode_mask(_: Rgb, label_map: LabelMap) -> bytes:
    memory = io.BytesIO()
    palette_image(label_map).save(memory, "PNG")
    return memory.getvalue()


def _encode_overlay(rgb: Rgb, label_map: LabelMap) -> bytes:
    memory = io.BytesIO()
    image = Image.fromarray(draw_overlay(rgb, label_map))
    image.thumbnail((_JPEG_SIDE, _JPEG_SIDE))
    image.save(memory, "JPEG", quality=_JPEG_QUALITY)
    return memory.getvalue()


def _encode_cutout(rgb: Rgb, label_map: LabelMap) -> bytes:
    # Pillow takes several times as long.
    bgra = cv2.cvtColor(draw_transparent(rgb, label_map), cv2.COLOR_RGBA2BGRA)
    return bytes(cv2.imencode(".png", bgra)[1])


class _Export(NamedTuple):
    """Where a kind of file goes, and what makes it of a photo and its label map."""

    folder: str
    suffix: str
    encode: Callable[[Rgb, LabelMap], bytes]


PHOTO_EXPORTS = {
    "masks": _Export("masks", ".png", _encode_mask),
    "overlay": _Export("overlays", ".jpg", _encode_overlay),
    "cutout": _Export("cutouts", ".png", _encode_cutout),
}


def open_output(output: Path, *, overwrite: bool = False, resume: bool = False) -> None:
    """Make the folder of the results, or take one, and find out whether a ``PhotoWriter`` can go on from there.

    What it holds is not changed.

    Raises:
        SettingsError: If both ``overwrite`` and ``resume`` are asked for.
        OutputError: If the folder cannot be written to, holds a ``results.jsonl`` that is not ours, results while
            neither ``overwrite`` nor ``resume`` is asked for, or, without ``overwrite``, masks that nothing lists.
    """
    if overwrite and resume:
        raise SettingsError("both --overwrite and --resume are given; one replaces what the other keeps")
    if output.exists() and not output.is_dir():
        raise OutputError(f"{output}: is a file; the output must be a folder")
    results = output / _RESULTS
    check_file(results)
    with output_errors(output):
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output):
            pass
        if results.exists():
            if not overwrite and not resume:
                raise OutputError(
                    f"{output}: holds results already ({_RESULTS}); pass --resume to go on with them, or --overwrite "
                    "to replace them"
                )
            for _ in read_results(results):
                pass  # nothing is removed or continued before all of it is known to be ours
            return
        for name in () if overwrite else (export.folder for export in PHOTO_EXPORTS.values()):
            path = output / name
            if path.is_file() or (path.is_dir() and any(path.iterdir())):
                raise OutputError(
                    f"{output}: holds {name}, which no {_RESULTS} lists; give another --output, or pass --overwrite to "
                    "replace what has the same names there"
                )
        if overwrite:
            return
        if (output / _TRACKS).exists():
            raise OutputError(f"{output}: holds what was found in a video; give another --output, or pass --overwrite")


class PhotoWriter:
    """Writes the results of any number of photos into a folder, so that a run that is killed can be resumed.

    Of each photo: ``masks/NAME.png`` (palette PNG), ``overlays/NAME.jpg`` and ``cutouts/NAME.png`` (RGBA), then a line
    in ``results.jsonl``, which so lists only what is whole. Its keys: photo, sha256 (of that file), name, width,
    height, objects, and of each object those of ``object_record``; or, of a photo that failed, photo and error. Of a
    photo that was tried again the last line counts.

    A writer belongs to one thread at a time. Its memory does not grow with the photos, save for the names in ``done``.

    Args:
        output: The folder.
        exports: Names from ``PHOTO_EXPORTS``; a name given twice counts once.
        overwrite: Remove the results of an earlier run: ``results.jsonl`` and the files that it lists.
        keep: Files that are not removed, whatever lists them.
        resume: Keep them, and go on after them; a line that was being written when the run was killed is removed.

    Attributes:
        done: Names of the photos that an earlier run finished with all of ``exports``; empty without ``resume``.

    Raises:
        SettingsError: If an export is unknown, or both ``overwrite`` and ``resume`` are asked for.
        OutputError: If the folder cannot be written to, holds a ``results.jsonl`` that is not ours, or results while
            neither ``overwrite`` nor ``resume`` is asked for.
    """

    def __init__(
        self,
        output: Path,
        *,
        exports: Sequence[str] = ("masks", "overlay", "cutout"),
        overwrite: bool = False,
        resume: bool = False,
        keep: Collection[Path] = (),
    ) -> None:
        unknown = [name for name in exports if name not in PHOTO_EXPORTS]
        if unknown:
            raise SettingsError(f"export is {unknown[0]!r}; allowed: {', '.join(PHOTO_EXPORTS)}")
        open_output(output, overwrite=overwrite, resume=resume)
        self._kept = frozenset(path.resolve() for path in keep)
        self._output, self._exports = output, tuple(dict.fromkeys(exports))
        self._path = output / _RESULTS
        self._earlier = EarlierNames()
        self._taken: set[str] = set()
        self._failed: dict[str, str] = {}
        self._end = 0
        self._saved = False
        done: set[str] = set()
        with output_errors(output):
            if overwrite:
                self._remove_earlier()
            elif resume:
                done = self._read_earlier()
            # Unbuffered: what has failed to be written must not be written later.
            self._file = self._path.open("ab", buffering=0)
        self.done = frozenset(done)

    def __enter__(self) -> PhotoWriter:
        """Return the writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the writer."""
        self.close()

    def names_of(self, photos: Sequence[Path]) -> list[str]:
        """Name the outputs of photos as ``output_names`` does, where an earlier run has not named them already."""
        return output_names(photos, self._earlier.names_of(photos), self._taken)

    def write(self, result: PhotoResult, rgb: Rgb) -> None:
        """Write the files of a photo, then its line; files of the same names are replaced.

        Args:
            result: What was found.
            rgb: The photo, uint8, H x W x 3.

        Raises:
            MaskSizeError: If the label map has another size than the photo.
            OutputError: If something cannot be written, or the name leads out of the folder.
        """
        check_size(result.label_map, rgb, f"photo {result.photo}")
        if not is_name(result.name):
            raise OutputError(f"{result.name!r} is no name for files in {self._output}; it must come from output_names")
        for export in self._exports:
            self._save(self._file_of(export, result.name), PHOTO_EXPORTS[export].encode(rgb, result.label_map))
        height, width = result.label_map.shape
        objects = [object_record(entry) for entry in result.objects]
        of_photo = {"photo": str(result.photo), "sha256": content_of(result.photo), "name": result.name}
        self._append({**of_photo, "width": width, "height": height, "objects": objects})

    def skip(self, photo: Path, reason: str) -> None:
        """Write down that a photo failed, and why, unless an earlier run has.

        Raises:
            OutputError: If it cannot be written.
        """
        if self._failed.get(str(photo)) != reason:
            self._append({"photo": str(photo), "error": reason})

    def close(self) -> None:
        """Close the list, which is removed if there is nothing to list; more than once does no harm."""
        if not self._file.closed:
            self._file.close()
            if not self._end and not self._saved:
                with output_errors(self._path):
                    self._path.unlink(missing_ok=True)

    def _save(self, path: Path, data: bytes) -> None:
        partial = path.with_name(_PARTIAL)
        with output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                partial.write_bytes(data)
                partial.replace(path)
                self._saved = True
            except BaseException:
                with suppress(OSError):
                    partial.unlink()
                raise

    def _append(self, record: dict[str, Any]) -> None:
        line = memoryview(json.dumps(record, allow_nan=False).encode() + b"\n")
        length = len(line)
        with output_errors(self._path):
            try:
                while line:
                    line = line[self._file.write(line) :]
            except BaseException:
                with suppress(OSError):
                    self._file.truncate(self._end)
                raise
        self._end += length

    def _file_of(self, export: str, name: str) -> Path:
        return self._output / PHOTO_EXPORTS[export].folder / f"{name}{PHOTO_EXPORTS[export].suffix}"

    def _read_earlier(self) -> set[str]:
        """Read what an earlier run has listed, and return the names of what it finished."""
        if not self._path.exists():
            return set()
        for record, end in read_results(self._path):
            self._end = end
            if "name" in record:
                self._earlier.add(record)
                self._taken.add(record["name"])
                self._failed.pop(record["photo"], None)
            else:
                self._failed[record["photo"]] = record["error"]
        os.truncate(self._path, self._end)
        return {name for name in self._taken if all(self._file_of(each, name).is_file() for each in self._exports)}

    def _remove_earlier(self) -> None:
        if not self._path.exists():
            return
        for record, _ in read_results(self._path):
            if "name" in record:
                for export in PHOTO_EXPORTS:
                    file = self._file_of(export, record["name"])
                    if file.resolve() not in self._kept:
                        self._remove(file)
        self._path.unlink()

    def _remove(self, path: Path) -> None:
        """Remove a file, and the folders that are empty then, unless a link has led out of the output."""
        folder = path.parent
        inside = Path(os.path.realpath(self._output)) / folder.relative_to(self._output)
        if Path(os.path.realpath(folder)) != inside:
            return
        if path.is_file():
            path.unlink()
        while folder != self._output:
            try:
                folder.rmdir()
            except OSError:
                return
            folder = folder.parent
