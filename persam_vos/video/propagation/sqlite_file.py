"""An SQLite file with tables of ours: opened and checked, and its errors in our words."""

from __future__ import annotations

import os
import sqlite3
import threading
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from persam_vos.errors import OutputError
from persam_vos.files import whole_file

_OF_OTHERS = "select count(*) from sqlite_master where type not in ('table', 'index') or sql like 'create virtual%'"


class SqliteFile:
    """An SQLite file; threads may share it.

    What a transaction changes is there as a whole or not at all, even where the process dies.
    """

    def __init__(self, path: Path | None, *, application: int, version: int, tables: str) -> None:
        """Open or make a file.

        Args:
            path: Where it is; None for one in memory that SQLite moves to the disk where it grows large.
            application: The number that tells it from files of other programs.
            version: Of the tables.
            tables: Statements that make them.

        Raises:
            OutputError: If the file is no such file, or cannot be written.
        """
        self.name = str(path or "temporary masks")
        self._lock = threading.RLock()
        with self.errors():
            # An empty name is a temporary database, which spills to disk and is gone when it is closed.
            self._data = sqlite3.connect("" if path is None else path, check_same_thread=False, isolation_level=None)
        try:
            with self.errors():
                is_ours = self._check(application, version)
                if path is None or os.access(path, os.W_OK):
                    self._data.execute("pragma journal_mode=wal")
                self._data.execute("pragma synchronous=normal")
                if not is_ours:
                    known = f"pragma user_version={version}; pragma application_id={application};"
                    self._data.executescript(f"begin; {tables} {known} commit;")
        except BaseException:
            self._data.close()
            raise

    def rows(self, query: str, values: Sequence[Any] = (), *, may_lack: Collection[int] = ()) -> list[Any]:
        """Return the rows that a query finds.

        Args:
            query: What is asked.
            values: Of its question marks.
            may_lack: Places of columns that may have no value.

        Raises:
            OutputError: If the file is damaged, or another column lacks its value.
        """
        with self.errors():
            rows = self._data.execute(query, values).fetchall()
            if any(each is None and place not in may_lack for row in rows for place, each in enumerate(row)):
                raise ValueError("a value is missing")
            return rows

    def change(self, statement: str, values: Sequence[Any] = ()) -> None:
        """Change rows; in a transaction."""
        self._data.execute(statement, values)

    def change_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Change rows, once for each of these values; in a transaction."""
        self._data.executemany(statement, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the changes of the ``with`` block as a whole."""
        with self.errors():
            self._data.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._data.execute("rollback")
                raise
            self._data.execute("commit")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Let no other thread use the file; raise ``OutputError`` for what goes wrong with it."""
        try:
            with self._lock:
                yield
        except sqlite3.Error as error:
            raise OutputError(f"{self.name}: masks cannot be kept there ({error})") from error
        except MemoryError as error:
            raise OutputError(f"{self.name}: there is too little memory for its masks") from error
        except (ValueError, TypeError, AttributeError, zlib.error) as error:
            raise OutputError(f"{self.name}: is damaged; remove it") from error

    def save(self, path: Path) -> None:
        """Write a copy into a file, which is complete once it has its name.

        Raises:
            OutputError: If it cannot be written.
        """
        with whole_file(path) as partial, self.errors():
            copied = sqlite3.connect(partial)
            try:
                self._data.backup(copied)
            finally:
                copied.close()

    def load(self, other: SqliteFile) -> None:
        """Take everything from another file, instead of what is here."""
        with self.errors():
            other._data.backup(self._data)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        with self._lock:
            self._data.close()

    def _check(self, application: int, version: int) -> bool:
        """Tell whether the file has our tables; it has none yet if not."""
        (found_version,), (found_application,) = (
            self._data.execute(f"pragma {name}").fetchone() for name in ("user_version", "application_id")
        )
        is_empty = not self._data.execute("select count(*) from sqlite_master").fetchone()[0]
        # In the place of a table, a view may never come to its end.
        if self._data.execute(_OF_OTHERS).fetchone()[0]:
            raise ValueError("it has views, triggers or tables of modules")
        if not is_empty and found_application != application:
            raise OutputError(f"{self.name}: is a database of another program; give another file")
        if not is_empty and found_version != version:
            raise OutputError(f"{self.name}: holds masks of another version of persam-vos; remove it")
        return not is_empty
