"""Damaged states and scarce means: caches and checkpoints, two runs in one folder, and too little memory."""

from __future__ import annotations

import os
import resource
from functools import partial
from pathlib import Path
from random import Random

from injection import processes
from injection.commands import COMMANDS, Bench
from injection.finding import Finding
from injection.points import Aim, Calls, Strike, struck
from injection.whole import broken_files

# What runs keep for later ones, and records of what they are.
_KEPT = (
    ".run.partial",
    "masks.sqlite",
    "masks.sqlite-wal",
    "run.json",
    ".npz",
    ".tracks.jsonl.partial",
    "results.jsonl",
)
# What is no list of ours is neither continued nor replaced.
_OVERWRITTEN = {False: (0,), True: (0, 2)}
_PAGE = os.sysconf("SC_PAGE_SIZE")


def damaged_state(bench: Bench, random: Random) -> Finding:
    """Kill a run, damage something that it has kept, and go on: with the same results, or with one line."""
    command = COMMANDS[random.choice(("run", "keyframes", "image"))]
    bench.expected(command)
    output = bench.fresh()
    at = random.randint(bench.changes[command.name] // 3, bench.changes[command.name])
    bench.call(command.words(bench.given, output), aim=Aim(Calls.CHANGES, output, at, Strike.KILL))
    kept = [path for path in sorted(output.rglob("*")) if path.is_file() and path.name.endswith(_KEPT)]
    if not kept:
        return Finding(command.name, "nothing is kept", struck=False)
    path = random.choice(kept)
    found = Finding(command.name, f"{path.relative_to(output)} is {_damage(path, random)}")
    ended = bench.call(command.again(bench.given, output))
    found.wrong += ended.faults(0, 2)
    if ended.status:
        found.wrong += bench.call([*command.words(bench.given, output), "--overwrite"]).faults(
            *_OVERWRITTEN[path.name == "results.jsonl"]
        )
        if path.name == "results.jsonl":
            return found
    found.broken = broken_files(output)
    found.lost = bench.lost(command, output)
    return found


def _damage(path: Path, random: Random) -> str:
    """Damage a file; return how."""
    how = random.choice(("empty", "cut", "text", "JSON of another type", "zeros"))
    size = path.stat().st_size
    if how == "empty":
        path.write_bytes(b"")
    elif how == "cut":
        os.truncate(path, random.randrange(max(size, 1)))
    elif how == "text":
        path.write_text("this is something else\n")
    elif how == "JSON of another type":
        path.write_text('[{"complete": {}, "settings": 3, "done": "x"}]')
    else:
        path.write_bytes(bytes(size))
    return how


def two_runs(bench: Bench, random: Random) -> Finding:
    """Stop a run anywhere, let another one into its folder, and let the first go on: one of both has its results."""
    command = random.choice(tuple(COMMANDS.values()))
    bench.expected(command)
    output, extra = bench.fresh(), random.choice(([], ["--overwrite"], list(command.options)))
    aim = Aim(Calls.CHANGES, output, random.randint(1, bench.changes[command.name]), Strike.STOP)
    first = processes.start(command.words(bench.given, output), bench.printed, aim)
    first.is_stopped()
    (bench.folder / "second").mkdir(exist_ok=True)
    second = processes.call([*command.words(bench.given, output), *extra], bench.folder / "second")
    first.go_on()
    ended = first.ended()
    found = Finding(command.name, f"{' '.join(extra) or 'a second run'} at {struck()}")
    found.wrong = [*ended.faults(0, 2), *second.faults(0, 2)]
    if ended.status and second.status:
        found.wrong.append(f"neither ends well: {ended.err!r} {second.err!r}")
    found.broken, found.lost = broken_files(output), bench.lost(command, output)
    return found


def too_little_memory(bench: Bench, random: Random) -> Finding:
    """Let a command have little more memory than a process that has loaded everything."""
    command = random.choice(tuple(COMMANDS.values()))
    bench.expected(command)
    output, mib = bench.fresh(), int(2 ** random.uniform(2, 11))
    ended = bench.call(command.words(bench.given, output), before=partial(_limit, mib))
    found = Finding(command.name, f"{mib} MiB more", wrong=ended.faults(0, 2), struck=ended.status != 0)
    found.broken += broken_files(output) if output.exists() else []
    if ended.status:
        found.wrong += bench.call(command.again(bench.given, output)).faults(0)
    found.broken += broken_files(output)
    found.lost = bench.lost(command, output)
    return found


def _limit(mib: int) -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * _PAGE + mib * 2**20,) * 2)


KINDS = {"state": damaged_state, "two-runs": two_runs, "memory": too_little_memory}
