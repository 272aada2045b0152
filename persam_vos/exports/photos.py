"""Writes the results of photos: files per photo, and ``results.jsonl``, which lists the photos that are done."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from persam_vos.errors import OutputError, SettingsError
from persam_vos.exports.photo_exports import PHOTO_EXPORTS
from persam_vos.exports.photo_names import EarlierNames, content_of, is_name, output_names
from persam_vos.exports.results_jsonl import RESULTS_JSONL, PhotoResult, read_results
from persam_vos.exports.run_record import RUN_JSON
from persam_vos.exports.tracks import TRACKS
from persam_vos.files import check_file, check_writable, content_of_folder, output_errors, real_path, whole_file
from persam_vos.masks import Rgb, check_size
from persam_vos.results import object_record


def open_output(output: Path, *, overwrite: bool = False, resume: bool = False) -> None:
    """Make the folder of the results, or take one, and check whether a ``PhotoWriter`` can write there.

    Content of the folder is not changed.

    Raises:
        SettingsError: If both ``overwrite`` and ``resume`` are asked for.
        OutputError: If the folder cannot be written to; holds a ``results.jsonl`` of another program; holds results
            while neither ``overwrite`` nor ``resume`` is asked for; or, without ``overwrite``, holds results of another
            command, or masks that no ``results.jsonl`` lists.
    """
    if overwrite and resume:
        raise SettingsError("both --overwrite and --resume are given; one replaces what the other keeps")
    check_writable(output)
    results = output / RESULTS_JSONL
    check_file(results)
    with output_errors(output):
        if results.exists():
            if not overwrite and not resume:
                raise OutputError(
                    f"{output}: holds results already ({RESULTS_JSONL}); pass --resume to go on with them, or "
                    "--overwrite to replace them"
                )
            for _ in read_results(results):
                pass  # the whole list is checked before anything is removed or continued
        elif not overwrite:
            _refuse_other_results(output)


def _refuse_other_results(output: Path) -> None:
    """Raise ``OutputError`` if a folder without ``results.jsonl`` holds other results."""
    for export in PHOTO_EXPORTS.values():
        path = output / export.folder
        if path.is_file() or (path.is_dir() and content_of_folder(path)):
            raise OutputError(
                f"{output}: holds {export.folder}, which no {RESULTS_JSONL} lists; give another --output, or pass "
                "--overwrite to replace what has the same names there"
            )
    if (output / TRACKS).exists():
        raise OutputError(f"{output}: holds the results of a video; give another --output, or pass --overwrite")
    if (output / RUN_JSON).exists() and not _is_record_of_photos(output / RUN_JSON):
        raise OutputError(
            f"{output}: holds the results of another command ({RUN_JSON}); give another --output, or pass "
            "--overwrite to replace its record"
        )


def _is_record_of_photos(path: Path) -> bool:
    """Tell whether a ``run.json`` is of a run on photos, which may have ended before its first result."""
    try:
        return "references" in json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, RecursionError):
        return False


class PhotoWriter:
    """Writes the results of any number of photos into a folder, so that a killed run can be resumed.

    For each photo it writes ``masks/NAME.png`` (palette PNG), ``overlays/NAME.jpg`` and ``cutouts/NAME.png`` (RGBA),
    and then a line in ``results.jsonl``: listed photos are whole. Keys of a line: photo, sha256 (of the photo's file),
    name, width, height, objects, with the keys of ``object_record`` for each object. The line of a photo that failed
    has photo and error. If a photo was tried again, its last line counts.

    A writer belongs to one thread at a time. Its memory grows with the photos only by the names in ``done``.

    Args:
        output: The folder.
        exports: Names from ``PHOTO_EXPORTS``; a name given twice counts once.
        overwrite: Remove the results of an earlier run: ``results.jsonl`` and the files that it lists.
        keep: Files that are not removed, even if ``results.jsonl`` lists them.
        resume: Keep the results of an earlier run and go on after them; a line without its end is removed.

    Attributes:
        done: Names of the photos that an earlier run finished with all of ``exports``; empty without ``resume``.

    Raises:
        SettingsError: If an export is unknown, or both ``overwrite`` and ``resume`` are asked for.
        OutputError: See ``open_output``.
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
        self._kept = frozenset(real_path(path) for path in keep)
        self._output, self._exports = output, tuple(dict.fromkeys(exports))
        self._path = output / RESULTS_JSONL
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
            # Unbuffered: bytes that could not be written must not be written later.
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
        """Name the outputs of photos as ``output_names`` does; names of an earlier run are kept."""
        return output_names(photos, self._earlier.names_of(photos), self._taken)

    def write(self, result: PhotoResult, rgb: Rgb) -> None:
        """Write the files of a photo, then its line; files of the same names are replaced.

        Args:
            result: The objects of the photo.
            rgb: The photo, uint8, H x W x 3.

        Raises:
            MaskSizeError: If the label map has another size than the photo.
            OutputError: If something cannot be written, or the name leads out of the folder.
        """
        check_size(result.label_map, rgb, f"photo {result.photo}")
        if not is_name(result.name):
            raise OutputError(f"{result.name!r} is no name for files in {self._output}; take it from output_names")
        for export in self._exports:
            self._save(self._file_of(export, result.name), PHOTO_EXPORTS[export].encode(rgb, result))
        height, width = result.label_map.shape
        objects = [object_record(entry) for entry in result.objects]
        of_photo = {"photo": str(result.photo), "sha256": content_of(result.photo), "name": result.name}
        self._append({**of_photo, "width": width, "height": height, "objects": objects})

    def skip(self, photo: Path, reason: str) -> None:
        """Write a line that says why a photo failed, unless an earlier run has written it.

        Raises:
            OutputError: If it cannot be written.
        """
        if self._failed.get(str(photo)) != reason:
            self._append({"photo": str(photo), "error": reason})

    def close(self) -> None:
        """Close the list, and remove it if it is empty; a second call does nothing."""
        if not self._file.closed:
            self._file.close()
            if not self._end and not self._saved:
                with output_errors(self._path):
                    self._path.unlink(missing_ok=True)

    def _save(self, path: Path, data: bytes) -> None:
        with whole_file(path) as partial:
            partial.write_bytes(data)
        self._saved = True

    def _append(self, record: dict[str, Any]) -> None:
        line = memoryview(json.dumps(record, allow_nan=False).encode() + b"\n")
        length = len(line)
        with output_errors(self._path):
            try:
                while line:
                    line = line[self._file.write(line) :]
                if not os.fstat(self._file.fileno()).st_nlink:
                    raise OutputError(f"{self._path}: is gone: another program has removed it, or its folder")
            except BaseException:
                with suppress(OSError):
                    self._file.truncate(self._end)
                raise
        self._end += length

    def _file_of(self, export: str, name: str) -> Path:
        return self._output / PHOTO_EXPORTS[export].folder / f"{name}{PHOTO_EXPORTS[export].suffix}"

    def _read_earlier(self) -> set[str]:
        """Read the list of an earlier run and return the names of the photos that it finished."""
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
                    if real_path(file) not in self._kept:
                        self._remove(file)
        self._path.unlink()

    def _remove(self, path: Path) -> None:
        """Remove a file and then its empty folders; leave both if a link leads out of the output."""
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
