"""A soak: many frames through ``run`` and many photos through ``image``; memory and handles are to stay flat.

    python scripts/soak.py [--frames 50000] [--photos 1000] [--hours H] [--preset quick] [--only run|image]

A short clip is looped into one of so many frames of 96 x 64 pixels, and photos are made of its frames. The commands run
as processes of their own. Each second, their resident memory, open files, threads and children are read, with how far
they are. The exit status is 1 if one of them grows: if, after the first fifth, memory rises by more than 2% and 12 MiB,
or the number of handles rises at all. With ``--hours``, the run is stopped as by Ctrl-C when these are over. Linux.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from injection.material import make_material, write_clip

_MOST_FRAMES_A_SECOND = 25
_SETTLED = 0.2
_SHARE, _MIB = 0.02, 12.0
_INTERRUPTED = 130


@dataclass(frozen=True)
class Sample:
    """What a process holds at a moment.

    Attributes:
        seconds: Since its start.
        done: Frames or photos.
        mib: Resident memory, in MiB.
        files: Open files.
        threads: Threads.
        children: Processes that it has started.
    """

    seconds: float
    done: int
    mib: float
    files: int
    threads: int
    children: int


def main(asked: argparse.Namespace) -> int:
    """Soak the commands, print what they hold over time, and return 1 if something grows."""
    count = asked.frames if asked.hours is None else math.ceil(asked.hours * 3600 * _MOST_FRAMES_A_SECOND)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="persam-vos-soak-") as name:
        folder = Path(name)
        make_material(folder)
        if asked.only in (None, "run"):
            write_clip(folder / "long.mp4", count)
            words = ["run", "long.mp4", "--first-mask", "mask.png", "-o", "run-out", "--preset", asked.preset]
            found["run"] = _soaked(words, folder, asked)
        if asked.only in (None, "image"):
            for index in range(asked.photos):
                shutil.copy(folder / f"photos/{index % 6}.jpg", folder / f"photos/more-{index:05d}.jpg")
            found["image"] = _soaked(["image", "photos/0.jpg", "mask.png", "photos", "-o", "image-out"], folder, asked)
    if asked.json is not None:
        asked.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return int(any(each["grows"] for each in found.values()))


def _soaked(words: list[str], folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Run a command, and read what it holds until it ends."""
    samples, done = list[Sample](), [0]
    command = [sys.executable, "-m", "persam_vos", *words, "--log-json"]
    started = time.monotonic()
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stderr is not None
        reading = threading.Thread(target=_follow, args=(process.stderr, done))
        reading.start()
        while process.poll() is None:
            time.sleep(asked.every)
            seconds = time.monotonic() - started
            if asked.hours is not None and seconds > asked.hours * 3600:
                process.send_signal(signal.SIGINT)
                process.wait()
            elif done[0]:
                samples += _sample(process.pid, seconds, done[0])
        reading.join()
    if process.returncode not in (0, _INTERRUPTED):
        raise SystemExit(f"{words[0]}: status {process.returncode}")
    return _judged(words[0], samples)


def _follow(lines: IO[str], done: list[int]) -> None:
    """Note how far the process is, by the lines of JSON that it writes."""
    for line in lines:
        if line.startswith("{"):
            done[0] = json.loads(line).get("done", done[0])


def _sample(number: int, seconds: float, done: int) -> list[Sample]:
    """Read what a process holds; nothing if it has ended."""
    process = Path(f"/proc/{number}")
    try:
        status = dict(line.split(":", 1) for line in (process / "status").read_text(encoding="utf-8").splitlines())
        tasks = list((process / "task").iterdir())
        children = sum(len((task / "children").read_text(encoding="utf-8").split()) for task in tasks)
        mib = int(status["VmRSS"].split()[0]) / 1024
        return [Sample(seconds, done, mib, len(list((process / "fd").iterdir())), len(tasks), children)]
    except (OSError, KeyError):
        return []


def _judged(name: str, samples: Sequence[Sample]) -> dict[str, Any]:
    """Say whether something grows after the first part, and print what is held over time."""
    settled = [each for each in samples if each.done >= _SETTLED * samples[-1].done]
    half = len(settled) // 2
    early, late = settled[:half], settled[half:]
    slope = float(np.polyfit([each.done for each in settled], [each.mib for each in settled], 1)[0]) * 1000
    at_first, at_last = (float(np.median([each.mib for each in part])) for part in (early, late))
    grown = {
        kind: max(getattr(each, kind) for each in late) - max(getattr(each, kind) for each in early)
        for kind in ("files", "threads", "children")
    }
    grows = at_last - at_first > max(_SHARE * at_first, _MIB) or any(more > 0 for more in grown.values())
    print(f"{name}: {samples[-1].done} done in {samples[-1].seconds:.0f} s; {slope:+.2f} MiB per 1000")
    print(f"  memory {at_first:.0f} MiB, then {at_last:.0f} MiB; {grown}: {'GROWS' if grows else 'flat'}")
    for each in samples[:: max(len(samples) // 10, 1)]:
        held = f"{each.mib:7.1f} MiB, {each.files} files, {each.threads} threads, {each.children} children"
        print(f"  {each.seconds:7.0f} s {each.done:7} done {held}")
    return {
        "done": samples[-1].done,
        "seconds": round(samples[-1].seconds),
        "mib_per_1000": round(slope, 3),
        "mib_at_first": round(at_first, 1),
        "mib_at_last": round(at_last, 1),
        "handles_grown": grown,
        "grows": grows,
        "samples": [asdict(each) for each in samples],
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=50_000, help="Frames of the clip.")
    parser.add_argument("--photos", type=int, default=1000, help="Photos.")
    parser.add_argument("--hours", type=float, help="Run for so long, instead of a number of frames.")
    parser.add_argument("--preset", default="quick", help="Of the run.")
    parser.add_argument("--only", choices=("run", "image"), help="One of both.")
    parser.add_argument("--every", type=float, default=1.0, help="Seconds between two looks.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="Write all samples as JSON.")
    return parser


if __name__ == "__main__":
    sys.exit(main(_parser().parse_args()))
