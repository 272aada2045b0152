"""Runs that are told to end, by a signal or a closed pipe: what is done is kept, and nothing of it is lost."""

from __future__ import annotations

import os
import signal
from functools import partial
from random import Random

from injection import processes
from injection.commands import COMMANDS, Bench, Command
from injection.finding import Finding
from injection.points import Aim, Calls, Strike, struck
from injection.whole import broken_files

_INTERRUPTED = 130


def told_to_end(bench: Bench, random: Random, *, number: signal.Signals, times: int = 1) -> Finding:
    """Send a signal at a point of a command, and call it again."""
    command = random.choice(tuple(COMMANDS.values()))
    bench.expected(command)
    output = bench.fresh()
    aim = Aim(Calls.CHANGES, output, random.randint(1, bench.changes[command.name]), Strike.STOP)
    process = processes.start(command.words(bench.given, output), bench.printed, aim, before=_hear)
    if process.is_stopped():
        for _ in range(times):
            process.kill(number)
        process.go_on()
    ended = process.ended()
    found = Finding(command.name, f"{number.name} at {struck()}", wrong=ended.faults(0, _INTERRUPTED))
    found.struck = ended.status == _INTERRUPTED
    found.broken += broken_files(output) if output.exists() else []
    if ended.status:
        found.wrong += bench.call(command.again(bench.given, output)).faults(0)
        found.broken += broken_files(output)
    found.lost = bench.lost(command, output, same_parts=False)
    return found


def closed_pipe(bench: Bench, random: Random) -> Finding:
    """Close the other end of standard output, as ``head`` does."""
    command = random.choice(tuple(COMMANDS.values()))
    bench.expected(command)
    output = bench.fresh()
    read, write = os.pipe()
    os.close(read)
    words = [word for word in command.words(bench.given, output) if word != "-q"]
    process = processes.start(words, bench.printed, before=_hear, out=write)
    os.close(write)
    found = Finding(command.name, "standard output is closed", wrong=process.ended().faults(0))
    found.broken, found.lost = broken_files(output), bench.lost(command, output)
    return found


def clock_jumps(bench: Bench, random: Random, command: Command) -> Finding:
    """Let the clock jump, and files be of the future, in a run that is killed and goes on."""
    bench.expected(command)
    output = bench.fresh()
    at = random.randint(1, bench.changes[command.name])
    jumps = Random(random.random())
    bench.call(
        command.words(bench.given, output),
        aim=Aim(Calls.CHANGES, output, at, Strike.KILL),
        before=partial(_jump, jumps),
    )
    found = Finding(command.name, f"the clock jumps; killed at {struck()}", broken=broken_files(output))
    ahead = 4_000_000_000 if random.random() < 1 / 2 else 0
    for path in output.rglob("*"):
        os.utime(path, (ahead, ahead))
    found.wrong += bench.call(command.again(bench.given, output), before=partial(_jump, jumps)).faults(0)
    found.broken += broken_files(output)
    found.lost = bench.lost(command, output)
    return found


def _hear() -> None:
    """Hear the signals that a shell lets programs in the background ignore."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _jump(random: Random) -> None:
    """Let the time of day go back and forth by up to a year at each look."""
    import time

    usual = time.time
    time.time = lambda: usual() + random.uniform(-3e7, 3e7)  # type: ignore[method-assign]


KINDS = {
    **{each.name.lower(): partial(told_to_end, number=each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)},
    "sigint-twice": partial(told_to_end, number=signal.SIGINT, times=2),
    "sigpipe": closed_pipe,
    "clock": lambda bench, random: clock_jumps(bench, random, COMMANDS[random.choice(("run", "keyframes", "image"))]),
}
