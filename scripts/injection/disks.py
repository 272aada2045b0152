"""Disks that are full, over quota, broken, read-only or gone: one line, whole files, and nothing lost afterwards."""

from __future__ import annotations

import errno
import shutil
import subprocess
from functools import partial
from pathlib import Path
from random import Random

from injection import processes
from injection.commands import COMMANDS, Bench, Command
from injection.finding import Finding
from injection.points import Aim, Calls, Strike, struck
from injection.whole import broken_files

_REFUSED = 2
_STRUCK = tuple(COMMANDS.values())


def failing(bench: Bench, random: Random, *, error: int, strike: Strike) -> Finding:
    """Let a call that changes a file fail, or all from then on; then call the command again on a good disk."""
    command = random.choice(_STRUCK)
    bench.expected(command)
    output = bench.fresh()
    at = random.randint(1, bench.changes[command.name])
    ended = bench.call(command.words(bench.given, output), aim=Aim(Calls.CHANGES, output, at, strike, error))
    found = Finding(command.name, f"{errno.errorcode[error]} at call {at}", wrong=ended.faults(0, 2))
    return _mended(bench, command, output, found, is_done=ended.status == 0)


def vanishing(bench: Bench, random: Random) -> Finding:
    """Remove the folder of results while a command writes to it."""
    command = random.choice(_STRUCK)
    bench.expected(command)
    output = bench.fresh()
    aim = Aim(Calls.CHANGES, output, random.randint(2, bench.changes[command.name]), Strike.STOP)
    process = processes.start(command.words(bench.given, output), bench.printed, aim)
    if process.is_stopped():
        shutil.rmtree(output, ignore_errors=True)
        process.go_on()
    ended = process.ended()
    found = Finding(command.name, f"the folder vanishes at {struck()}", wrong=ended.faults(0, 2))
    # Masks of photos without the list that vanished are not gone on with.
    return _mended(bench, command, output, found, is_done=False, may_be_refused=command.name == "image")


def small_disk(bench: Bench, random: Random) -> Finding:
    """Write to a file system that is too small."""
    command = random.choice(_STRUCK)
    size = sum(path.stat().st_size for path in bench.expected(command).rglob("*") if path.is_file())
    output = bench.fresh()
    output.mkdir()
    kib = max(int(size * random.uniform(0.05, 1.6)) // 1024, 4)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(output)], check=True)
    try:
        ended = bench.call(command.words(bench.given, output))
        found = Finding(command.name, f"a disk of {kib} KiB for {size // 1024} KiB", wrong=ended.faults(0, 2))
        found.broken += broken_files(output)
        kept = output.with_name("kept")
        shutil.copytree(output, kept)
    finally:
        subprocess.run(["umount", str(output)], check=True)
    output.rmdir()
    kept.rename(output)
    return _mended(bench, command, output, found, is_done=ended.status == 0)


def _mended(
    bench: Bench, command: Command, output: Path, found: Finding, *, is_done: bool, may_be_refused: bool = False
) -> Finding:
    """Look at what is there, and call the command again if it has failed."""
    found.broken += broken_files(output) if output.exists() else []
    if not is_done:
        ended = bench.call(command.again(bench.given, output))
        if ended.status == _REFUSED and may_be_refused:
            ended = bench.call([*command.words(bench.given, output), "--overwrite"])
        found.wrong += ended.faults(0)
        found.broken += broken_files(output)
    found.lost = bench.lost(command, output)
    return found


KINDS = {
    "disk-full": partial(failing, error=errno.ENOSPC, strike=Strike.FAIL_FROM),
    "disk-full-once": partial(failing, error=errno.ENOSPC, strike=Strike.FAIL_ONCE),
    "quota": partial(failing, error=errno.EDQUOT, strike=Strike.FAIL_FROM),
    "disk-error": partial(failing, error=errno.EIO, strike=Strike.FAIL_ONCE),
    "read-only": partial(failing, error=errno.EROFS, strike=Strike.FAIL_FROM),
    "vanishing": vanishing,
    "small-disk": small_disk,
}
