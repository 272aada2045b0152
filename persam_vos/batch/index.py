"""index.jsonl and batch.json: which clips are done, and how each of them ended."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from persam_vos.batch.shards import Shard
from persam_vos.batch.work import ClipResult
from persam_vos.errors import OutputError
from persam_vos.files import check_writable, output_errors, write_lines
from persam_vos.locks import let_go, try_hold


def _ending(shard: Shard) -> str:
    return "" if shard.is_all else f".{shard.number}-of-{shard.count}"


class Index:
    """The index of one batch, or of one shard of it, which one process at a time may write.

    Each shard has a file of its own, because whole lines of several machines in one file are not certain on a network
    file system. A clip that is worked on again gets another line; the last one counts.

    Args:
        output: Folder of the batch; made if it is missing.
        shard: The part of it.

    Raises:
        OutputError: If another process has the index, or it cannot be written.
    """

    def __init__(self, output: Path, shard: Shard) -> None:
        check_writable(output)
        self.path = output / f"index{_ending(shard)}.jsonl"
        self._summary = output / f"batch{_ending(shard)}.json"
        if self.path.is_symlink():
            raise OutputError(f"{self.path}: is a link, which no index may be; remove it")
        with output_errors(self.path):
            self._file: IO[bytes] = self.path.open("a+b", buffering=0)
        try:
            self._lock()
            with output_errors(self.path):
                self._drop_half_a_line()
        except BaseException:
            self._file.close()
            raise

    def statuses(self) -> dict[str, str]:
        """Return the last status of each clip, by id; lines that are none are passed over."""
        found: dict[str, str] = {}
        with output_errors(self.path), self.path.open("rb") as file:
            for line in file:
                with suppress(ValueError, KeyError, TypeError, RecursionError):
                    told = json.loads(line)
                    found[str(told["id"])] = str(told["status"])
        return found

    def add(self, result: ClipResult) -> None:
        """Write a line, and wait until it is on the disk.

        Raises:
            OutputError: If that fails; then no part of it is left.
        """
        line = {
            "id": result.id,
            "status": result.status,
            "seconds": result.seconds,
            "frames": result.frames,
            "error": result.error or None,
            "warnings": list(result.warnings),
            "peak_memory_mib": result.peak_mib,
        }
        data = (json.dumps(line) + "\n").encode()
        with output_errors(self.path):
            before = os.fstat(self._file.fileno()).st_size
            try:
                if self._file.write(data) != len(data):
                    raise OSError(0, "the disk took only a part of a line")
                os.fsync(self._file.fileno())
            except OSError:
                with suppress(OSError):
                    self._file.truncate(before)
                raise

    def write_summary(self, values: Mapping[str, Any]) -> Path:
        """Write batch.json.

        Raises:
            OutputError: If that fails.
        """
        write_lines(self._summary, json.dumps({**values, "host": platform.node()}, indent=2))
        return self._summary

    def close(self) -> None:
        """Let go of the index; a second call does nothing."""
        let_go(self._file)

    def __enter__(self) -> Index:
        """Return the index itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the index."""
        self.close()

    def _lock(self) -> None:
        if not try_hold(self._file):
            raise OutputError(
                f"{self.path}: another batch writes into this folder; end it, or give each its own --shard"
            )

    def _drop_half_a_line(self) -> None:
        """Cut what a machine that lost its power has left after the last whole line."""
        data = self.path.read_bytes()
        if whole := len(data) - data.rfind(b"\n") - 1:
            self._file.truncate(len(data) - whole)
