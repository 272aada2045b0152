"""Files: listed in natural order, named in messages, written whole or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from persam_vos.errors import DatasetError, OutputError, reason

PLAIN_NAME = re.compile(r"\w[\w.+-]*")
"""A name without folders, spaces or commas: safe in paths, lists and CSV."""


def list_files(folder: Path, *suffixes: str) -> list[Path]:
    """Files of a type, in natural order: 2.png before 10.png; hidden files are left out.

    Raises:
        DatasetError: If the folder cannot be read.
    """
    names = _scan(folder, lambda entry: entry.name.endswith(suffixes) and entry.is_file())
    return sorted((folder / name for name in names), key=lambda path: (len(path.stem), path.name))


def list_folders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted; hidden ones are left out.

    Raises:
        DatasetError: If the folder cannot be read.
    """
    return sorted(_scan(folder, lambda entry: entry.is_dir()))


def some(names: list[str]) -> str:
    """Name the first, and say how many more there are."""
    return names[0] if len(names) == 1 else f"{names[0]} (and {len(names) - 1} more)"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to; what is there at the end gets the name ``path``, in one step.

    Args:
        path: The file; its folder is made if it is not there, and a file of this name is replaced.

    Yields:
        The temporary name, beside ``path``.

    Raises:
        OutputError: If the file cannot be written; then nothing is left under the temporary name.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({reason(error)})") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def write_lines(path: Path, *lines: str) -> None:
    """Write a text file that is whole whenever it exists: UTF-8, a newline after each line.

    Raises:
        OutputError: If it cannot be written.
    """
    with whole_file(path) as partial:
        partial.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def _scan(folder: Path, wanted: Callable[[os.DirEntry[str]], bool]) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if not entry.name.startswith(".") and wanted(entry)]
    except OSError as error:
        raise DatasetError(f"folder {folder} cannot be read ({reason(error)})") from error
