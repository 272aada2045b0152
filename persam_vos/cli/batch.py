"""The command on many videos: options become a manifest and workers; the outcome becomes lines and a status."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from persam_vos.cli.early import check_weights
from persam_vos.cli.groups import OptionGroup, takes_groups
from persam_vos.cli.options import (
    Config,
    EngineOptions,
    LogJson,
    MaskOptions,
    MethodOptions,
    Output,
    Overwrite,
    PersamOptions,
    Quiet,
    only,
)
from persam_vos.cli.status import EXIT_ERROR, EXIT_INCOMPLETE, EXIT_INTERRUPTED, interrupts_pass, say, show
from persam_vos.cli.video import ReadingAndWritingOptions
from persam_vos.errors import ManifestError, OutputError

if TYPE_CHECKING:
    from persam_vos.batch.manifest import Manifest
    from persam_vos.batch.run import BatchOutcome, Workers
    from persam_vos.batch.shards import Shard

BATCH_EPILOG = """
Example:
  persam-vos batch clips.jsonl -o out
  persam-vos batch CLIPS --masks-from MASKS -o out --jobs 2
  persam-vos batch clips.jsonl -o out --resume

A line for each clip, relative to the file:
  {"id": "dog", "video": "dog.mp4", "mask": "dog.png"}
  {"video": "cat.mp4", "box": [120, 80, 300, 260], "start": 10, "preset": "best"}
CSV has the same names in its first row.
"""
_MOST_JOBS = 1024
# A path has lost one of its two slashes.
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


@dataclass(frozen=True)
class SharingOptions(OptionGroup):
    """Who works on which clips."""

    title: ClassVar = "Sharing the work"

    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            metavar=f"1..{_MOST_JOBS}",
            callback=only(range(1, _MOST_JOBS + 1)),
            help="Processes on this machine, which share its cores; or in the Ray cluster.  [default: 1; with --ray, as"
            " many as it has room for]",
        ),
    ] = None
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            metavar=f"1..{_MOST_JOBS}",
            callback=only(range(1, _MOST_JOBS + 1)),
            help="Threads of each process.  [default: the cores, shared out; with --ray, up to 4]",
        ),
    ] = None
    ray: Annotated[
        bool, typer.Option("--ray", help="Work in a Ray cluster: RAY_ADDRESS, or one that is started on this machine.")
    ] = False
    ray_address: Annotated[
        str | None, typer.Option("--ray-address", metavar="ADDRESS", help="Work in the Ray cluster of this address.")
    ] = None
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            help="Only the I-th of N parts, such as 3/16.  [default: in a task of a Slurm array, its part; else all]",
        ),
    ] = None
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Keep clips that are whole and asked for as before, and go on with the others."),
    ] = False
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Leave out clips that fail.")] = False

    def part(self, environment: Mapping[str, str]) -> Shard:
        """Return which clips are worked on.

        Raises:
            SettingsError: If there is no such part.
        """
        from persam_vos.batch.shards import ALL, parse_shard, shard_of_slurm

        if self.shard is not None:
            return parse_shard(self.shard)
        return shard_of_slurm(environment) or ALL


@takes_groups
def batch(
    manifest: Annotated[
        Path,
        typer.Argument(
            metavar="MANIFEST", help="JSONL or CSV with a line for each clip, or with --masks-from a folder."
        ),
    ],
    sharing: SharingOptions,
    masks: MaskOptions,
    method: MethodOptions,
    persam: PersamOptions,
    files: ReadingAndWritingOptions,
    engine: EngineOptions,
    masks_from: Annotated[
        Path | None,
        typer.Option("--masks-from", metavar="FOLDER", help="Masks of first frames, called like the clips."),
    ] = None,
    output: Output = Path("out/batch"),
    config: Config = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Track objects through the clips of MANIFEST; each clip gets a folder in OUTPUT, as of run."""
    flags = method.given() | persam.given() | files.given() | engine.given()
    _refuse_address(output)
    with interrupts_pass(goes_on=output.exists):
        part, reading = sharing.part(os.environ), masks.reading()
        try:
            clips = _read(manifest, masks_from, config, flags)
            _announce(clips, part, given=sharing.shard is not None, quiet=quiet)
            from persam_vos.batch.run import run_batch
            from persam_vos.cli.batch_progress import shown_clips

            shown = shown_clips(quiet, log_json)
            workers = _workers(sharing, shown.warn)
            with shown.checking(sum(part.holds(clip.id) for clip in clips.clips)):
                outcome = run_batch(
                    clips,
                    output,
                    workers,
                    shown,
                    reading=reading,
                    shard=part,
                    overwrite=overwrite,
                    resume=sharing.resume,
                    keep_going=sharing.keep_going,
                )
        except ManifestError as error:
            for fault in error.faults:
                say(fault)
            say(str(error))
            raise typer.Exit(EXIT_ERROR) from error
    _tell(outcome, quiet=quiet, keep_going=sharing.keep_going)


def _refuse_address(output: Path) -> None:
    """Refuse a store of objects: a folder there has no name that it gets once it is whole.

    Raises:
        OutputError: If the output is one.
    """
    if _ADDRESS.match(str(output)):
        raise OutputError(
            f"{output}: is an address, and results are written by path; mount it, or write to a disk and copy the"
            " folders that are whole"
        )


def _read(path: Path, masks_from: Path | None, config: Path | None, flags: dict[str, Any]) -> Manifest:
    from persam_vos.batch.manifest import clips_with_masks, read_manifest
    from persam_vos.settings.video import load_settings

    check_weights(load_settings(config, flags))
    if masks_from is not None:
        return clips_with_masks(path, masks_from, config=config, flags=flags)
    return read_manifest(path, config=config, flags=flags)


def _announce(clips: Manifest, part: Shard, *, given: bool, quiet: bool) -> None:
    for warning in clips.warnings:
        say(f"warning: {warning}")
    if not (given or part.is_all or quiet):
        say(f"this task of a Slurm array takes part {part}; --shard 1/1 takes all")


def _workers(sharing: SharingOptions, warn: Callable[[str], None]) -> Workers:
    if sharing.ray or sharing.ray_address:
        from persam_vos.batch.ray_jobs import RayActors

        return RayActors(sharing.ray_address, sharing.jobs, sharing.threads, warn=warn)
    if (sharing.jobs or 1) > 1 or sharing.threads is not None:
        from persam_vos.batch.jobs import Processes

        return Processes(sharing.jobs or 1, sharing.threads)
    from persam_vos.batch.here import Here

    return Here()


def _tell(outcome: BatchOutcome, *, quiet: bool, keep_going: bool) -> None:
    """Say how a batch ended, and exit with the status for it."""
    whole = outcome.whole + outcome.done
    kept = f"{whole} of {_clips(outcome.clips)} {'is' if 1 in (whole, outcome.clips) else 'are'} whole"
    for failed in outcome.failed:
        say(f"{failed.id}: {failed.error}")
    if outcome.doubtful:
        say(f"{_clips(outcome.doubtful)} with warnings, which {outcome.index} has")
    if outcome.failed and not keep_going:
        say(f"stopped, since a clip failed; {kept}; --resume goes on, and --keep-going leaves out what fails")
        raise typer.Exit(EXIT_ERROR)
    if outcome.interrupted:
        lost = f"{_clips(len(outcome.failed))} failed; " if outcome.failed else ""
        say(f"interrupted; {lost}{kept}, and --resume goes on")
        raise typer.Exit(EXIT_INTERRUPTED)
    if not quiet:
        show(outcome.index)
    if outcome.failed:
        say(f"{_clips(len(outcome.failed))} failed; {kept}, and --resume tries the others again")
        raise typer.Exit(EXIT_INCOMPLETE)


def _clips(count: int) -> str:
    return f"{count} clip" if count == 1 else f"{count} clips"
