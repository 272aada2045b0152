"""Files: listed in natural order, named in messages, written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from platformdirs import user_cache_path

from persam_vos.errors import DatasetError, OutputError, reason

PathLike = str | os.PathLike[str]
PLAIN_NAME = re.compile(r"\w[\w.+-]*")
"""A name without folders, spaces or commas: safe in paths, lists and CSV."""
PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
"""Suffixes of photos that are read, in lower case; here, because the command line knows them without reading any."""

_LEFTOVER = re.compile(r"\..+\.partial")
_FILE_MANAGER_FILES = re.compile(r"\.DS_Store|\._.*|\.directory|(eh)?thumbs\.db|desktop\.ini", re.IGNORECASE)


def list_files(folder: Path, *suffixes: str) -> list[Path]:
    """List the files of a type in natural order, without hidden ones.

    Raises:
        DatasetError: If the folder cannot be read.
    """
    names = _scan(folder, lambda entry: entry.name.endswith(suffixes) and entry.is_file())
    return sorted((folder / name for name in names), key=natural_order)


def list_folders(folder: Path) -> list[str]:
    """List the names of the folders in a folder in alphabetical order, without hidden ones.

    Raises:
        DatasetError: If the folder cannot be read.
    """
    return sorted(_scan(folder, lambda entry: entry.is_dir()))


def natural_order(path: Path) -> tuple[list[str | int], str]:
    """Return a sort key by which ``2.png`` comes before ``10.png``, and case matters only between equal names.

    >>> sorted([Path("10.png"), Path("2.png")], key=natural_order)[0].name
    '2.png'
    """
    parts = re.split(r"([0-9]+)", str(path))
    return [int(part) if position % 2 else part.casefold() for position, part in enumerate(parts)], str(path)


def real_path(path: Path) -> Path:
    """Return where a path leads to by all links; of links that lead in a circle, some path that is not there."""
    return Path(os.path.realpath(path))


def brief_list(names: list[str]) -> str:
    """Name the first of several, and count the others.

    >>> brief_list(["a.png", "b.png", "c.png"])
    'a.png (and 2 more)'
    """
    return names[0] if len(names) == 1 else f"{names[0]} (and {len(names) - 1} more)"


def is_clutter(name: str) -> bool:
    """Tell whether a name in a folder is no content: a leftover of a killed run, or a file of a file manager.

    >>> is_clutter(".overlay.mp4.partial"), is_clutter(".DS_Store"), is_clutter("overlay.mp4")
    (True, True, False)
    """
    return bool(_LEFTOVER.fullmatch(name) or _FILE_MANAGER_FILES.fullmatch(name))


def content_of_folder(folder: Path) -> list[str]:
    """List the names in a folder in alphabetical order, without clutter; see ``is_clutter``."""
    return sorted(path.name for path in folder.iterdir() if not is_clutter(path.name))


class PartialFile:
    """A file that is written under a temporary name beside its own, and renamed when it is whole.

    The temporary name is ``.NAME.partial``. The next run writes to the same one, so killed runs do not pile up.

    Args:
        path: The final name; its folder exists when writing begins.
        shared: Several processes may write this file at once, as in a cache. The temporary name then holds a random
            part, because process ids repeat between machines that share a folder.

    Attributes:
        path: The final name.
        partial: The temporary name, to write to.
    """

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        token = f".{secrets.token_hex(4)}" if shared else ""
        self.path = path
        self.partial = path.with_name(f".{path.name}{token}.partial")

    def finish(self) -> Path:
        """Give the file its final name, in the place of an earlier file.

        Raises:
            OSError: If that fails.
        """
        self.partial.replace(self.path)
        return self.path

    def take_back(self) -> None:
        """Give what is finished its temporary name again, to go on with it, unless something has that name.

        Raises:
            OSError: If that fails, or nothing is there.
        """
        _take_back(self.path, self.partial)

    def discard(self) -> None:
        """Remove what has the temporary name; never raises."""
        with suppress(OSError):
            self.partial.unlink(missing_ok=True)


class PartialFolder:
    """A folder that is filled under a temporary name beside its own, and renamed when it is whole; see ``PartialFile``.

    Attributes:
        path: The final name.
        partial: The temporary name, to write to once it has begun.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(f".{path.name}.partial")
        self._replaced = path.with_name(f".{path.name}.old.partial")

    def begin(self) -> None:
        """Make the folder, empty.

        Raises:
            OSError: If that fails.
        """
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir()

    def finish(self) -> Path:
        """Give the folder its final name; an earlier folder is removed, or kept if this fails.

        Raises:
            OSError: If that fails.
        """
        if self.path.exists():
            shutil.rmtree(self._replaced, ignore_errors=True)
            self.path.replace(self._replaced)
        try:
            self.partial.replace(self.path)
        except OSError:
            if self._replaced.exists():
                self._replaced.replace(self.path)
            raise
        shutil.rmtree(self._replaced, ignore_errors=True)
        return self.path

    def take_back(self) -> None:
        """Give what is finished its temporary name again; see ``PartialFile``."""
        _take_back(self.path, self.partial)

    def discard(self) -> None:
        """Remove what has the temporary name; never raises."""
        shutil.rmtree(self.partial, ignore_errors=True)


def _take_back(path: Path, partial: Path) -> None:
    if not partial.exists():
        path.replace(partial)


@contextmanager
def whole_file(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Give a temporary name beside a file's own to write to; it gets its own at the end of the ``with`` block.

    Args:
        path: The file; missing folders are made, and a file of this name is replaced.
        shared: Several processes may write this file at once; see ``PartialFile``.

    Raises:
        OutputError: If the file cannot be written; then nothing is left under the temporary name.
    """
    file = PartialFile(path, shared=shared)
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield file.partial
            file.finish()
        finally:
            file.discard()


def write_lines(path: Path, *lines: str) -> None:
    """Write a text file as a whole: UTF-8, a newline after each line.

    Raises:
        OutputError: If it cannot be written.
    """
    with whole_file(path) as partial:
        # Names of files need not be text: what is none of it becomes a question mark.
        partial.write_text("".join(f"{line}\n" for line in lines), "utf-8", errors="replace", newline="\n")


def check_writable(folder: Path) -> None:
    """Make a folder if it is missing, and try whether files can be made in it.

    Links under temporary names are removed: what is written would go to where they lead.

    Raises:
        OutputError: If it is a file or cannot be written to.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file; the output must be a folder")
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        for path in folder.iterdir():
            if path.is_symlink() and _LEFTOVER.fullmatch(path.name):
                path.unlink()


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
    """Return the folder for downloads and compiled models: ``PERSAM_VOS_CACHE``, or the platform's folder for caches.

    Such as ``~/.cache/persam-vos`` on Linux.
    """
    if chosen := os.environ.get("PERSAM_VOS_CACHE"):
        return Path(os.path.expanduser(chosen))  # noqa: PTH111 - pathlib's raises where there is no such user
    return user_cache_path("persam-vos", appauthor=False, opinion=False)


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn the system's errors while writing into an ``OutputError`` that names ``path``."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({reason(error)})") from error


def check_file(path: Path) -> None:
    """Raise ``OutputError`` if a folder has the name of a file that is to be written."""
    if path.is_dir():
        raise OutputError(f"{path}: is a folder, where a file is to be written; move it away")


@contextmanager
def remove_if_left_empty(output: Path) -> Iterator[None]:
    """Remove the folder at an error if it is empty."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            output.rmdir()
        raise


def save_to_disk(path: Path) -> None:
    """Wait until the contents of a file are on the disk, where a loss of power does not reach them.

    Raises:
        OSError: If that fails.
    """
    with path.open("r+b") as file:
        os.fsync(file.fileno())
