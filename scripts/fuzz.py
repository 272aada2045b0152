"""Hostile files: damaged and made-up ones, read under limits by the program's own readers and commands.

    python scripts/fuzz.py [--inputs 10000] [--seed 1] [--jobs 2] [--kinds "films; photos"]
    python scripts/fuzz.py --replay FOLDER

Each file is made by chance from a seed, so that the same seed gives the same files, and read in a process that may take
30 seconds and 1.5 GiB for it. A finding is a file at which the process crashes, an error is raised that is none of the
program's own, time or memory run out, code of the file runs, or a file outside of its folder is touched. Each is
written into a folder of its own, which ``--replay`` reads again. The status is 1 if there is one. Ctrl-C ends it early.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads of a process that forks would be missing in its children

import argparse
import json
import signal
import sys
import tempfile
import time
from collections import deque
from pathlib import Path

from fuzzing.bombs import BOMBS
from fuzzing.campaign import Campaign, Limits, Tally, shared_out
from fuzzing.commands import COMMANDS
from fuzzing.kinds import Kind
from fuzzing.readers import READERS
from fuzzing.records import RECORDS
from fuzzing.verdicts import FINDINGS, READ, REFUSED, Verdict

KINDS = (*READERS, *RECORDS, *BOMBS, *COMMANDS)


def _kinds(text: str) -> list[Kind]:
    names = {each.name: each for each in KINDS}
    wanted = [each.strip() for each in text.split(";")]
    if unknown := [each for each in wanted if each not in names]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r}; known are {'; '.join(names)}")
    return [names[each] for each in wanted]


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000, help="damaged files, shared out among the kinds")
    parser.add_argument("--seed", type=int, default=1, help="of chance")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes that read at a time")
    parser.add_argument("--kinds", type=_kinds, default=list(KINDS), help="names of kinds, separated by semicolons")
    parser.add_argument("--seconds", type=float, default=Limits.seconds, help="that a file may take")
    parser.add_argument("--memory", type=int, default=Limits.memory >> 20, help="MiB that a file may take")
    parser.add_argument("--findings", type=Path, default=Path("findings"), help="folder for what was found")
    parser.add_argument("--replay", type=Path, help="folder of a finding, to be read once more")
    return parser.parse_args()


def table(tallies: dict[str, Tally], seconds: float) -> str:
    """Return what was found as a table."""
    rows = [
        "| kind | files | read | refused | findings | slowest, s | most memory, MiB |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    whole = Tally()
    for name, each in tallies.items():
        rows.append(_row(name, each))
        whole.outcomes.update(each.outcomes)
        whole.slowest, whole.largest = max(whole.slowest, each.slowest), max(whole.largest, each.largest)
    rows.append(_row("all", whole))
    return "\n".join([*rows, "", f"{seconds:.0f} s"])


def _row(name: str, tally: Tally) -> str:
    found = ", ".join(f"{tally.outcomes[each]} {each}" for each in FINDINGS if tally.outcomes[each]) or "0"
    counts = tally.outcomes.total(), tally.outcomes[READ], tally.outcomes[REFUSED]
    return f"| {name} | {' | '.join(map(str, counts))} | {found} | {tally.slowest:.1f} | {tally.largest >> 20} |"


def keep(folder: Path, kind: Kind, seed: int, index: int, verdict: Verdict) -> Path:
    """Write a finding into a folder of its own."""
    kept = folder / f"{''.join(each if each.isalnum() else '-' for each in kind.name)}-{seed}-{index}"
    kept.mkdir(parents=True, exist_ok=True)
    (kept / Path(kind.file).name).write_bytes(kind.data(seed, index))
    told = {"kind": kind.name, "seed": seed, "index": index, "outcome": verdict.outcome, "detail": verdict.detail}
    (kept / "finding.json").write_text(json.dumps(told, indent=1) + "\n")
    return kept


def replay(arguments: argparse.Namespace, room: Path) -> int:
    """Read a finding once more; return the exit status."""
    told = json.loads((arguments.replay / "finding.json").read_text())
    kind = next(each for each in KINDS if each.name == told["kind"])
    data = (arguments.replay / Path(kind.file).name).read_bytes()
    found: list[Verdict] = []
    limits = Limits(arguments.seconds, arguments.memory << 20)
    Campaign(room, limits, 1, lambda _kind, _index, verdict: found.append(verdict)).run(
        [(kind, lambda _: data, deque([0]))]
    )
    print(json.dumps(found[0].__dict__, indent=1))
    return int(found[0].outcome in FINDINGS)


def run(arguments: argparse.Namespace, room: Path) -> int:
    """Read damaged files, print a table, and return the exit status."""
    tallies = {each.name: Tally() for each in arguments.kinds}

    def told(kind: Kind, index: int, verdict: Verdict) -> None:
        tallies[kind.name].add(index, verdict)
        if verdict.outcome in FINDINGS:
            kept = keep(arguments.findings, kind, arguments.seed, index, verdict)
            print(f"{kept}: {verdict.outcome}: {verdict.detail}", flush=True)

    start = time.monotonic()
    works = shared_out(arguments.kinds, arguments.inputs, arguments.seed)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        Campaign(room, Limits(arguments.seconds, arguments.memory << 20), arguments.jobs, told).run(works)
    except KeyboardInterrupt:
        print("ended early")
    print(table(tallies, time.monotonic() - start))
    return int(any(each.findings for each in tallies.values()))


def main() -> int:
    """Read the command line, and do what it says."""
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        return (run if arguments.replay is None else replay)(arguments, Path(folder) / "work")


if __name__ == "__main__":
    sys.exit(main())
