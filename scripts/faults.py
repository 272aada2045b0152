"""Faults, injected into real commands: what is lost, which is to be nothing.

    python scripts/faults.py [--seed N] [--only KIND,...] [--count N] [--keep FOLDER] [--json FILE]

For each fault, a command works on a short clip or on six photos, in a process that is forked from this one, with
PyTorch loaded already, and a stand-in for the network unless ``--shipped`` is given. It is struck at a call that
changes a file, chosen among all of them by the seed: killed before it or in its middle, or met by a full disk, a
signal, another run. Then every file under a final name is read to its end, the command is called again, and its
results are compared with those of a command that nothing has struck.

Kinds whose names begin with KIND are chosen by ``--only``; ``--count`` is the number of faults of each kind. The exit
status is 1 if anything was lost. Linux, a C compiler, and for ``small-disk`` the right to mount are needed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from injection.finding import Finding
from injection.points import run_with_points

_WIDTHS = (24, 9, 8, 7, 12, 12, 8)
_HEAD = ("kind", "injected", "struck", "broken", "frames lost", "tracebacks", "seconds")


def main(asked: argparse.Namespace) -> int:
    """Inject faults, print a table, and return 1 if anything was lost."""
    folder = Path(tempfile.mkdtemp(prefix="persam-vos-faults-"))
    os.environ["PERSAM_VOS_CACHE"] = str(folder / "cache")
    try:
        rows = _injected(folder / "bench", asked)
    finally:
        if asked.keep is not None:
            shutil.copytree(folder, asked.keep, dirs_exist_ok=True, symlinks=True)
        shutil.rmtree(folder, ignore_errors=True)
    if asked.json is not None:
        asked.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return int(any(row["bad"] for row in rows))


def _injected(folder: Path, asked: argparse.Namespace) -> list[dict[str, Any]]:
    from injection.commands import Bench
    from injection.network import load_once

    kinds = _kinds()
    wanted = [name for name in kinds if asked.only is None or name.startswith(tuple(asked.only.split(",")))]
    if not wanted:
        raise SystemExit(f"--only {asked.only}: no such kind; there are: {', '.join(kinds)}")
    load_once(shipped=asked.shipped)
    bench, rows = Bench(folder), list[dict[str, Any]]()
    print(_line(_HEAD))
    for name in wanted:
        rows.append(_of_kind(name, kinds[name], bench, asked))
    print(_line(_summed(rows)))
    return rows


def _of_kind(
    name: str, kind: Callable[[Any, Random], Finding], bench: Any, asked: argparse.Namespace
) -> dict[str, Any]:
    """Inject all faults of a kind; print a line of the table, and what is wrong below it."""
    random, started = Random(f"{asked.seed} {name}"), time.perf_counter()
    findings = []
    for _ in range(asked.count):
        if asked.seconds is not None and time.perf_counter() - started > asked.seconds:
            break
        findings.append(kind(bench, random))
        if asked.verbose or findings[-1].is_bad:
            print("\n".join(f"  {line}" for line in findings[-1].lines()), file=sys.stderr, flush=True)
    row = {
        "kind": name,
        "injected": len(findings),
        "struck": sum(each.struck for each in findings),
        "broken": sum(len(each.broken) for each in findings),
        "frames_lost": sum(each.frames_lost for each in findings),
        "tracebacks": sum(line.startswith("traceback") for each in findings for line in each.wrong),
        "seconds": round(time.perf_counter() - started, 1),
        "bad": [each.lines() for each in findings if each.is_bad],
    }
    print(_line([row[key] for key in ("kind", "injected", "struck", "broken", "frames_lost", "tracebacks", "seconds")]))
    return row


def _summed(rows: Sequence[Mapping[str, Any]]) -> list[object]:
    sums = [sum(row[key] for row in rows) for key in ("injected", "struck", "broken", "frames_lost", "tracebacks")]
    return ["all", *sums, round(sum(row["seconds"] for row in rows), 1)]


def _line(cells: Sequence[object]) -> str:
    return "".join(str(cell).ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()


def _kinds() -> dict[str, Callable[[Any, Random], Finding]]:
    from injection import disks, ends, inputs, kills, states, studio

    found: dict[str, Callable[[Any, Random], Finding]] = {}
    for family in (kills, studio, disks, inputs, ends, states):
        found |= family.KINDS
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="Chooses the points.")
    parser.add_argument("--only", metavar="KIND,...", help="Kinds whose names begin so.")
    parser.add_argument("--count", type=int, default=200, help="Faults of each kind.")
    parser.add_argument("--shipped", action="store_true", help="Take the network that ships.")
    parser.add_argument("--seconds", type=float, help="Begin no further fault of a kind after so many seconds.")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="Copy the last folders there.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="Write the table and what is wrong as JSON.")
    parser.add_argument("-v", "--verbose", action="store_true", help="Print each fault.")
    return parser


if __name__ == "__main__":
    sys.exit(run_with_points(partial(main, _parser().parse_args())))
