"""The folders of a batch: ``ID.partial`` while its run goes on, ``ID`` once it is whole."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from persam_vos.batch.clips import PARTIAL
from persam_vos.batch.fingerprint import Fingerprint
from persam_vos.errors import OutputError
from persam_vos.exports.run_record import RUN_JSON
from persam_vos.files import output_errors, save_to_disk
from persam_vos.locks import let_go, try_hold

CLIP_JSON = "clip.json"
"""In the folder of a clip: what its results are of. While its run goes on, the process holds a lock on it."""

# A process that is being killed lets go a moment later.
_SECONDS_TO_WAIT = 10.0
_SECONDS_BETWEEN = 0.05


class ClipFolder:
    """Where the results of a clip go.

    Args:
        output: The folder of the batch.
        name: The clip's id.

    Attributes:
        path: Its name once it is whole.
        partial: Its name while the run goes on.
    """

    def __init__(self, output: Path, name: str) -> None:
        self.path = output / name
        self.partial = output / f"{name}{PARTIAL}"
        # No id begins with a dot.
        self._replaced = output / f".{name}{PARTIAL}"

    @property
    def exists(self) -> bool:
        """Whether something has the final name."""
        return self.path.exists() or self.path.is_symlink()

    @property
    def is_ours(self) -> bool:
        """Whether what has the final name is a folder of results, which may be replaced."""
        return self.path.is_dir() and ((self.path / CLIP_JSON).is_file() or (self.path / RUN_JSON).is_file())

    def is_whole(self, fingerprint: Fingerprint) -> bool:
        """Tell whether the results are there, and of this fingerprint."""
        return (self.path / RUN_JSON).is_file() and _recorded(self.path / CLIP_JSON) == fingerprint

    def record(self) -> dict[str, Any]:
        """Return the run.json of the results; nothing if it cannot be read."""
        try:
            found = json.loads((self.path / RUN_JSON).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def drop(self) -> None:
        """Remove the unfinished folder of a clip that is whole; ``held`` comes first.

        Raises:
            OutputError: If that fails.
        """
        with output_errors(self.partial):
            _remove(self.partial)
        self.drop_replaced()

    def drop_replaced(self) -> None:
        """Remove the old results that a process has left which died after it had put new ones in their place.

        Raises:
            OutputError: If that fails.
        """
        with output_errors(self._replaced):
            _remove(self._replaced)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the unfinished folder, if it is missing, and keep other processes from it in the ``with`` block.

        Raises:
            OutputError: If another process works on it, it is none of a batch, or it cannot be written.
        """
        with output_errors(self.partial):
            for link in (self.partial, self.partial / CLIP_JSON):
                if link.is_symlink():
                    link.unlink()
            self._check_partial()
            file = self._locked()
        try:
            yield
        finally:
            let_go(file)

    def begin(self, fingerprint: Fingerprint) -> None:
        """Empty the unfinished folder, and note what its results will be of; ``held`` comes first.

        Raises:
            OutputError: If that fails.
        """
        with output_errors(self.partial):
            for each in self.partial.iterdir():
                if each.name != CLIP_JSON:
                    _remove(each)
            # In place: it is locked.
            with (self.partial / CLIP_JSON).open("r+", encoding="utf-8") as file:
                file.truncate(0)
                file.write(json.dumps({"version": 1, "fingerprint": fingerprint}) + "\n")
                file.flush()
                os.fsync(file.fileno())

    def has_begun(self, fingerprint: Fingerprint) -> bool:
        """Tell whether the unfinished folder is of this fingerprint."""
        return _recorded(self.partial / CLIP_JSON) == fingerprint

    def finish(self) -> None:
        """Give the folder its final name, in the place of what had it, once all of it is on the disk.

        Raises:
            OutputError: If that fails.
        """
        with output_errors(self.path):
            # Otherwise a name may outlive a loss of power, and what it names not.
            for each in self.partial.rglob("*"):
                if each.is_file() and not each.is_symlink():
                    save_to_disk(each)
            _remove(self._replaced)
            if had := self.exists:
                self.path.rename(self._replaced)
            try:
                self.partial.rename(self.path)
            except OSError:
                if had:
                    self._replaced.rename(self.path)
                raise
            _save_names(self.path.parent)
            _remove(self._replaced)

    def _check_partial(self) -> None:
        if self.partial.is_dir():
            is_ours = (self.partial / CLIP_JSON).is_file() or not any(self.partial.iterdir())
        else:
            is_ours = not self.partial.exists()
        if not is_ours:
            raise OutputError(f"{self.partial}: is there, and of no batch; move it away, or give the clip another id")

    def _locked(self) -> IO[str]:
        """Open the unfinished folder's record with a lock on it."""
        deadline = time.monotonic() + _SECONDS_TO_WAIT
        path = self.partial / CLIP_JSON
        while True:
            self.partial.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                file = path.open("a+", encoding="utf-8")
                if try_hold(file) and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    return file
                # Another process has it, or had it and has finished.
                file.close()
            if time.monotonic() > deadline:
                raise OutputError(f"{self.partial}: another process works on this clip; end it, or wait for it")
            time.sleep(_SECONDS_BETWEEN)


def _recorded(path: Path) -> Fingerprint | None:
    """Return the fingerprint that a record says; None if there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _save_names(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, as far as the system can."""
    if sys.platform == "win32":
        return
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
