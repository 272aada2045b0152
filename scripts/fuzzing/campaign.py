"""Gives hostile files to processes that are forked from this one, and counts what became of them."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import socket
import sys
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fuzzing.kinds import Kind
from fuzzing.verdicts import CRASH, FINDINGS, HANG, PORT, TRACEBACK, Judge, Verdict

BATCH = 20
"""Files that one process reads, one after the other."""


@dataclass(frozen=True)
class Limits:
    """What one file may take.

    Attributes:
        seconds: By the clock, then its process is killed.
        memory: Bytes by which resident memory may grow.
    """

    seconds: float = 30.0
    memory: int = 3 << 29


@dataclass
class Tally:
    """What became of the files of a kind.

    Attributes:
        outcomes: Their number, by outcome.
        findings: The verdict on each file that did what it must not, by index.
        slowest: Seconds of the file that took longest.
        largest: Bytes by which memory grew at most.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    findings: dict[int, Verdict] = field(default_factory=dict)
    slowest: float = 0.0
    largest: int = 0

    def add(self, index: int, verdict: Verdict) -> None:
        """Count a file."""
        self.outcomes[verdict.outcome] += 1
        self.slowest, self.largest = max(self.slowest, verdict.seconds), max(self.largest, verdict.grown)
        if verdict.outcome in FINDINGS:
            self.findings[index] = verdict


Work = tuple[Kind, Callable[[int], bytes], deque[int]]


@dataclass
class _Reader:
    """A process that reads files.

    Attributes:
        kind: Of the files.
        left: Indices of files that it has not finished; the first one is in work.
        since: When that one began, by the clock.
        line: What it has told of the next verdict.
    """

    pid: int
    pipe: int
    kind: Kind
    data: Callable[[int], bytes]
    left: deque[int]
    since: float
    line: bytes = b""


class Campaign:
    """Reads files in processes of their own.

    Args:
        folder: For rooms and the canary; it is emptied.
        limits: Of one file.
        jobs: Processes at a time.
        told: Gets each verdict, with the kind and the index of its file.
    """

    def __init__(self, folder: Path, limits: Limits, jobs: int, told: Callable[[Kind, int, Verdict], None]) -> None:
        self._folder, self._limits, self._jobs, self._told = folder.resolve(), limits, jobs, told
        shutil.rmtree(folder, ignore_errors=True)
        self._canary = self._folder / "canary"
        self._canary.mkdir(parents=True)
        self._door = _listening()
        self._selector = selectors.DefaultSelector()

    def run(self, works: Iterable[Work]) -> None:
        """Read all files."""
        waiting, readers = deque(works), 0
        while waiting or readers:
            while waiting and readers < self._jobs:
                self._start(*waiting.popleft())
                readers += 1
            for key, _ in self._selector.select(timeout=0.2):
                self._hear(key.data)
            for key in list(self._selector.get_map().values()):
                reader: _Reader = key.data
                is_late = time.monotonic() - reader.since > self._limits.seconds
                if is_late or key.fd in self._ended:
                    self._end(reader, is_late)
                    readers -= 1
                    if reader.left:
                        waiting.append((reader.kind, reader.data, reader.left))

    @property
    def _ended(self) -> set[int]:
        return {key.fd for key in self._selector.get_map().values() if key.data.line is None}

    def _start(self, kind: Kind, data: Callable[[int], bytes], left: deque[int]) -> None:
        pipe, told = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        if (pid := os.fork()) == 0:
            status = 3
            try:
                os.close(pipe)
                self._read(kind, data, list(left), told)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        os.close(told)
        reader = _Reader(pid, pipe, kind, data, left, time.monotonic())
        self._selector.register(pipe, selectors.EVENT_READ, reader)

    def _read(self, kind: Kind, data: Callable[[int], bytes], indices: Sequence[int], told: int) -> None:
        """Read files in a process that was forked for it."""
        room = self._folder / f"room-{os.getpid()}"
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _make_quiet(self._folder / f"said-{os.getpid()}.txt")
        os.environ.update(PERSAM_VOS_CACHE=str(room / "cache"), TMPDIR=str(room / "tmp"), HOME=str(room / "home"))
        judge = Judge(room, self._canary, self._door, self._limits.memory)
        for index in indices:
            shutil.rmtree(room, ignore_errors=True)
            for each in (room, room / "tmp", room / "home"):
                each.mkdir()
            os.chdir(room)
            path = kind.place(data(index))
            os.write(told, b"\n")
            verdict = judge.judge(lambda path=path: kind.read(path))  # type: ignore[misc]
            os.write(told, json.dumps(asdict(verdict)).encode() + b"\n")
        os.chdir("/")
        shutil.rmtree(room, ignore_errors=True)

    def _hear(self, reader: _Reader) -> None:
        """Take what a process has told: an empty line where a file begins, and its verdict."""
        told = os.read(reader.pipe, 1 << 16)
        if not told:
            reader.line = None  # type: ignore[assignment]
            return
        *lines, reader.line = (reader.line + told).split(b"\n")
        for line in lines:
            reader.since = time.monotonic()
            if line:
                self._told(reader.kind, reader.left.popleft(), Verdict(**json.loads(line)))

    def _end(self, reader: _Reader, is_late: bool) -> None:
        """Let go of a process; what it left unfinished is the fault of the file in work."""
        self._selector.unregister(reader.pipe)
        os.close(reader.pipe)
        if is_late:
            os.kill(reader.pid, signal.SIGKILL)
        _, status = os.waitpid(reader.pid, 0)
        said = self._folder / f"said-{reader.pid}.txt"
        if reader.left:
            seconds = time.monotonic() - reader.since
            verdict = Verdict(HANG, "", seconds) if is_late else Verdict(*_death(status, said), seconds)
            self._told(reader.kind, reader.left.popleft(), verdict)
        said.unlink(missing_ok=True)
        shutil.rmtree(self._folder / f"room-{reader.pid}", ignore_errors=True)


def _death(status: int, said: Path) -> tuple[str, str]:
    with suppress(OSError):
        last = " ".join(said.read_text(errors="replace").split())[-300:]
        if os.WIFSIGNALED(status):
            return CRASH, f"{signal.Signals(os.WTERMSIG(status)).name} {last}"
        return TRACEBACK, f"the process ended with {os.waitstatus_to_exitcode(status)}: {last}"
    return CRASH, str(status)


def _listening() -> socket.socket | None:
    """Listen where hostile files point to; None if the port is taken."""
    door = socket.socket()
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind(("127.0.0.1", PORT))
    except OSError:
        door.close()
        return None
    door.listen()
    door.setblocking(False)
    return door


def _make_quiet(said: Path) -> None:
    """Let this process, and libraries in it, print into a file."""
    nowhere, written = os.open(os.devnull, os.O_RDONLY), os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number, target in ((nowhere, 0), (written, 1), (written, 2)):
        os.dup2(number, target)


def shared_out(kinds: Sequence[Kind], count: int, seed: int) -> list[Work]:
    """Share files out among kinds, in batches in turns."""
    whole = sum(each.share for each in kinds if each.is_damaged)
    works: list[tuple[float, Work]] = []
    for kind in kinds:
        wanted = round(count * kind.share / whole) if kind.is_damaged else kind.count
        for start in range(0, wanted, BATCH):
            indices = deque(range(start, min(start + BATCH, wanted)))
            works.append((start / wanted, (kind, lambda index, kind=kind: kind.data(seed, index), indices)))  # type: ignore[misc]
    return [work for _, work in sorted(works, key=lambda each: each[0])]
