"""Inputs that are cut, changed or removed while they are read: one line, or whole results; no frame goes in silence."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from random import Random

from injection import processes
from injection.commands import COMMANDS, Bench, Command
from injection.finding import Finding
from injection.material import FRAMES, write_clip
from injection.points import Aim, Calls, Strike, struck
from injection.whole import broken_files

_READ = {
    "run": ("clip.mp4", "mask.png"),
    "keyframes": ("clip.mp4", "prompts.json"),
    "image": ("photos/3.jpg", "photos/0.jpg", "mask.png"),
    "render": ("clip.mp4", "masks/00004.png"),
    "mask": ("clip.mp4",),
    "batch": ("clips.jsonl", "clip.mp4"),
}
_MOST_READS = 40
_PART = 3


def struck_input(bench: Bench, random: Random, *, change: str) -> Finding:
    """Change what a command reads, at a read of it."""
    command = COMMANDS[random.choice(tuple(_READ))]
    bench.expected(command)
    given = bench.fresh().with_name("given")
    shutil.copytree(bench.given, given)
    read = given / random.choice(_READ[command.name])
    aim = Aim(Calls.READS, read, random.randint(1, _MOST_READS), Strike.STOP)
    output = bench.now
    process = processes.start(command.words(given, output), bench.printed, aim)
    is_struck = process.is_stopped()
    if is_struck:
        _change(read, change, random)
        process.go_on()
    ended = process.ended()
    fault = f"{read.name} is {change} at {struck()}" if is_struck else "read before the fault"
    found = Finding(command.name, fault, wrong=ended.faults(0, 2), struck=is_struck)
    found.broken += broken_files(output) if output.exists() else []
    if ended.status == 0 and command.name not in ("mask", "batch"):
        found.lost += _lost_in_silence(command, output, ended.err)
    return found


def _lost_in_silence(command: Command, output: Path, said: str) -> list[str]:
    """Return the masks that are missing without a word."""
    if "warning:" in said or command.name == "image":
        return []
    missing = [f"{index:05d}.png" for index in range(FRAMES) if not (output / "masks" / f"{index:05d}.png").exists()]
    return [f"masks/{name}: is missing, and nothing says so" for name in missing]


def _change(path: Path, change: str, random: Random) -> None:
    data = path.read_bytes()
    if change == "removed":
        path.unlink()
    elif change == "cut":
        with path.open("r+b") as file:
            file.truncate(random.randrange(len(data)))
    elif change == "replaced":
        _replace(path)
    else:
        changed = bytearray(data)
        start = random.randrange(len(data))
        for place in range(start, min(start + len(data) // _PART, len(data))):
            changed[place] = random.randrange(256)
        with path.open("r+b") as file:
            file.write(changed)


def _replace(path: Path) -> None:
    """Put another file of its kind in its place."""
    other = path.with_name(f"other{path.suffix}")
    if path.suffix == ".mp4":
        write_clip(other, FRAMES - _PART)
    else:
        shutil.copy(path, other)
    other.replace(path)


KINDS = {
    f"input-{change}": partial(struck_input, change=change) for change in ("cut", "changed", "removed", "replaced")
}
