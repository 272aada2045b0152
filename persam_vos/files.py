"""Files: listed in natural order, named in messages, written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
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


def partial_path(path: Path) -> Path:
    """Return the temporary name, beside its own, of a file or folder that is being written: ``.NAME.partial``."""
    return path.with_name(f".{path.name}.partial")


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


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file of any size as 64 hexadecimal digits.

    Raises:
        OSError: If the file cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def cache_dir() -> Path:
    """Return the folder for downloads: ``PERSAM_VOS_CACHE``, or the platform's folder for a user's caches."""
    if chosen := os.environ.get("PERSAM_VOS_CACHE"):
        return Path(os.path.expanduser(chosen))  # noqa: PTH111 - pathlib's raises where there is no such user
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or "")
        if not base.is_absolute():  # the XDG specification has relative paths ignored
            base = Path.home() / ".cache"
    return base / "persam-vos"


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Make an ``OutputError`` that names ``path`` of whatever the system says while writing."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({reason(error)})") from error


def check_file(path: Path) -> None:
    """Raise ``OutputError`` if a file cannot take the place of what is there."""
    if path.is_dir():
        raise OutputError(f"{path}: is a folder, where a file is to be written; move it away")


@contextlib.contextmanager
def no_empty_folder(output: Path) -> Iterator[None]:
    """Leave no empty folder behind, if what is done in it fails before there is a result."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            output.rmdir()
        raise
