"""The worth of each ingredient of a method: switched off in turn, over sequences and variants of them.

A gain on the plain sequences alone is not general. The variants ``old`` are of the whole sequence: backwards in time,
at every third frame (fast motion), mirrored, at half resolution, and with an occluder over the object for ten frames.
The variants ``new`` have at most 20 frames, each with exact truth: see the package ``variants``. Each variant counts
once in the means.

No setting is chosen on the three sequences that are held out; ``--split development`` leaves them out.

Embeddings are kept as float16 in a cache folder, with the results, so that an interrupted run continues and a changed
setting costs no encoding:

    python scripts/experiments/ablate.py DAVIS --year 2016 --cache ~/.cache/persam-vos/ablate
    python scripts/experiments/ablate.py DAVIS --year 2016 --cache CACHE --rows "memory;persam" --variants plain
    python scripts/experiments/ablate.py DAVIS --year 2016 --cache CACHE --rows memory --set gate=0.3 --variants new

With ``--write docs/accuracy.md:NAME`` the tables replace the lines of that file between ``<!-- NAME -->`` and
``<!-- end of NAME -->``.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from jobs import HELD_OUT, Job, run
from tables import Earlier, around, per_clip, table, write_between
from variants import GROUPS, VARIANTS, names_of

from persam_vos.evaluation import DavisDataset
from persam_vos.settings.video import PRESETS, TrackerSettings

# Name of the row -> the settings that it changes.
ROWS: dict[str, dict[str, Any]] = {
    "memory": {},
    "memory, best": dict(PRESETS["best"]),
    "four passes, no closer look": {"passes": 4},
    "no matching": {"matching": 0.0},
    "no matching with the last frame": {"local_matching": 0.0},
    "no matching with its background": {"background_matching": 0.0},
    "no mask prompt": {"mask_prompt": 0.0},
    "mask prompt doubled": {"mask_prompt": 2.0},
    "no mask token of its own": {"mask_token": False},
    "no prior in the mask": {"prior_share": 0.0},
    "no more of it for a doubtful mask": {"doubt": 0.0},
    "no colours": {"colours": 0.0},
    "choice by agreement alone": {"quality_share": 0.0},
    "the best candidate alone": {"choice_temperature": 1e-4},
    "no update": {"memory_rate": 0.0},
    "half of the ridge from the annotated frame": {"first_share": 0.5},
    "no gate": {"gate": 0.0},
    "no presence": {"memory_presence": 0.0},
    "persam": {"method": "persam"},
    "persam-f": {"method": "persam-f"},
}


def dump(path: Path, jobs: Mapping[str, Sequence[Job]], done: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a line of JSON per row, clip, frame and object: true J and F beside all that the tracker says of it."""
    with path.open("w", encoding="utf-8") as file:
        for name, row in jobs.items():
            for job in row:
                clip = {"row": name, "variant": job.variant, "sequence": job.sequence}
                of_clip = {of: done[job.key].get(of) for of in ("frames", "passes", "milliseconds")}
                for record in done[job.key]["records"]:
                    print(json.dumps(clip | record | of_clip), file=file)


def add_earlier(path: Path, jobs: dict[str, list[Any]], done: dict[str, dict[str, Any]]) -> None:
    """Put the rows of an earlier dump, of the same clips, before the others, in place."""
    earlier: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        clips = earlier.setdefault(f"{record['row']}, before", {})
        clips.setdefault((record["variant"], record["sequence"]), {**record, "records": []})["records"].append(record)
    rows = dict(jobs)
    jobs.clear()
    for name, clips in earlier.items():
        jobs[name] = []
        for job in next(iter(rows.values())):
            jobs[name].append(Earlier(job.variant, job.sequence, f"{name} {job.variant} {job.sequence}"))
            done[jobs[name][-1].key] = clips.get((job.variant, job.sequence), {"records": []})
    jobs.update(rows)


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("root", type=Path, help="a DAVIS folder")
    made.add_argument("--year", type=int, choices=(2016, 2017), default=2017)
    made.add_argument("--cache", type=Path, required=True, help="folder for embeddings (7 MB a frame) and results")
    made.add_argument(
        "--variants", default="all", help=f"with commas; {', '.join(GROUPS)}, or of {', '.join(VARIANTS)}"
    )
    made.add_argument("--rows", help="with semicolons; of " + "; ".join(ROWS))
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one more row with this setting")
    made.add_argument("--sequences", help="only these, with commas")
    made.add_argument("--split", choices=("development", "held-out", "all"), default="all", help="of the sequences")
    made.add_argument("--visible", action="store_true", help="leave frames out in which the object has no pixel")
    made.add_argument("--per-clip", action="store_true", help="also a table of every clip")
    made.add_argument("--dump", type=Path, metavar="FILE", help="also a line of JSON per frame and object")
    made.add_argument("--against", type=Path, metavar="FILE", help="an earlier dump, whose rows are shown as well")
    made.add_argument("--write", metavar="FILE:NAME", help="also put the tables between the marks NAME of a file")
    made.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    return made


def sequences_of(arguments: argparse.Namespace) -> list[str]:
    """Return the sequences of the split that are asked for."""
    chosen = arguments.sequences and arguments.sequences.split(",")
    names = DavisDataset(arguments.root, arguments.year, "val", sequences=chosen).sequences
    if arguments.split == "all":
        return list(names)
    return [name for name in names if (name in HELD_OUT) == (arguments.split == "held-out")]


def settings_of(text: str) -> dict[str, Any]:
    """Read settings as ``--set`` takes them.

    >>> settings_of("flow_agreement=0.6,encode_every=2")
    {'flow_agreement': 0.6, 'encode_every': 2}
    """
    return dict(yaml.safe_load(text.replace("=", ": ").replace(",", "\n")))


def main() -> None:
    """Read the command line, run, print the tables, and write them into a page."""
    arguments = parser().parse_args()
    if arguments.write:
        around(arguments.write)  # a wrong name is refused before the hours of work
    rows = {name: ROWS.get(name) for name in (arguments.rows.split(";") if arguments.rows else ROWS)}
    for wrong in (name for name, row in rows.items() if row is None):
        parser().error(f"there is no row {wrong!r}; rows are {'; '.join(ROWS)}")
    try:
        variants = names_of(arguments.variants)
    except KeyError as error:
        parser().error(f"there is no variant {error}; variants are {', '.join([*GROUPS, *VARIANTS])}")
    for text in arguments.set:
        rows[text] = settings_of(text)
    dataset = DavisDataset(arguments.root, arguments.year, "val")
    arguments.cache.mkdir(parents=True, exist_ok=True)
    jobs = {
        name: [
            Job(dataset, sequence, variant, TrackerSettings(**row or {}), arguments.cache)
            for variant in variants
            for sequence in sequences_of(arguments)
        ]
        for name, row in rows.items()
    }
    done = run([job for row in jobs.values() for job in row], arguments.workers)
    if arguments.dump:
        dump(arguments.dump, jobs, done)
    if arguments.against:
        add_earlier(arguments.against, jobs, done)
    lines = list(table(jobs, done, variants, visible=arguments.visible))
    if shown := variants if arguments.per_clip else [each for each in variants if each == "plain"]:
        lines += ["", *per_clip(jobs, done, shown, visible=arguments.visible)]
    print("\n".join(lines))
    if arguments.write:
        write_between(arguments.write, lines)


if __name__ == "__main__":
    main()
