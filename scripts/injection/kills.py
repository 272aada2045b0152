"""Processes that die at any point: no file is left half-written, and the next call gives the same results."""

from __future__ import annotations

import signal
import time
from functools import partial
from random import Random

from injection import processes
from injection.commands import COMMANDS, Bench, Command, Words
from injection.finding import Finding
from injection.points import Aim, Calls, Strike, counted, struck
from injection.processes import Ended
from injection.whole import broken_files

_KILLED = -signal.SIGKILL
# Of the faults: those between two calls at a time, and those in the middle of a write.
_BY_TIME, _TORN = 0.15, 0.2


def killed(bench: Bench, random: Random, command: Command, *, times: int = 1) -> Finding:
    """Kill a command, and some of the calls that go on with it; then let one of them end.

    Args:
        bench: Where.
        random: Chooses the points.
        command: What is killed.
        times: How often.
    """
    bench.expected(command)
    output, found = bench.fresh(), Finding(command.name, "")
    words, points = command.words(bench.given, output), []
    for turn in range(times):
        most = max(bench.changes[command.name] // (1 if turn == 0 else 2), 1)
        ended, where = _killed_once(bench, random, words, most)
        points.append(where)
        found.wrong += ended.faults(_KILLED, 0)
        found.broken += broken_files(output) if output.exists() else []
        found.struck = found.struck and ended.status == _KILLED
        words = command.again(bench.given, output)
    found.fault = f"killed at {', then at '.join(points)}"
    if not found.struck and not output.exists():
        return found
    found.wrong += bench.call(words).faults(0)
    found.broken += broken_files(output)
    found.lost = bench.lost(command, output)
    return found


def _killed_once(bench: Bench, random: Random, words: Words, most: int) -> tuple[Ended, str]:
    if random.random() < _BY_TIME:
        process, seconds = processes.start(words, bench.printed), random.uniform(0.0, 1.5)
        deadline = time.monotonic() + seconds
        while process.runs() and time.monotonic() < deadline:
            time.sleep(0.002)
        process.kill()
        return process.ended(), f"{seconds:.3f} s"
    at, strike = random.randint(1, most), Strike.TEAR if random.random() < _TORN else Strike.KILL
    ended = bench.call(words, aim=Aim(Calls.CHANGES, bench.now, at, strike))
    where = struck() if ended.status == _KILLED else f"none of {counted()} calls"
    return ended, f"call {at} ({where})"


KINDS = {
    **{f"kill-{name}": partial(killed, command=command) for name, command in COMMANDS.items()},
    "kill-resume": partial(killed, command=COMMANDS["run"], times=3),
    "kill-resume-keyframes": partial(killed, command=COMMANDS["keyframes"], times=3),
    "kill-resume-batch": partial(killed, command=COMMANDS["batch"], times=3),
    "kill-resume-image": partial(killed, command=COMMANDS["image"], times=3),
}
