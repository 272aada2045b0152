"""Whether a run on a video may go on where an earlier one was stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from persam_vos.errors import OutputError, SettingsError
from persam_vos.exports.run_record import RUN_JSON
from persam_vos.files import brief_list
from persam_vos.media.identity import source_identity
from persam_vos.media.stream import FrameReader
from persam_vos.pipeline.record import differences
from persam_vos.pipeline.timings import Timings
from persam_vos.pipeline.writing import Outcome
from persam_vos.prompts import NamedObject
from persam_vos.settings.output import OutputSettings
from persam_vos.video.prompting.keyframes import Keyframes
from persam_vos.video.propagation.kept import unfinished_record
from persam_vos.video.resuming.checkpoint import CHECKPOINT, Checkpoint, read_checkpoint

# Settings that a run may change on its way: where and how fast it computes, and the path of the weights, whose hash is
# compared instead.
MAY_DIFFER = ("device", "backend", "precision", "batch_size", "checkpoint")
# Keys of a fingerprint that prompts decide.
_PROMPTS = ("keyframes_sha256", "objects")


@dataclass(frozen=True, slots=True)
class Earlier:
    """What an earlier run has left.

    Attributes:
        run: What it was, as in run.json; None if there is nothing to go on with.
        checkpoint: Where a run that streams goes on; None if it is complete, or there is nothing.
        complete: Whether nothing was left to do.
    """

    run: dict[str, Any] | None = None
    checkpoint: Checkpoint | None = None
    complete: bool = False

    def same_prompts(self, run: dict[str, Any]) -> bool:
        """Tell, after ``check``, whether this run is given the same masks and names as the earlier one."""
        return self.run is None or all(self.run["fingerprint"][key] == run["fingerprint"][key] for key in _PROMPTS)

    def check(self, output: Path, run: dict[str, Any], *, redoes: bool) -> tuple[str, ...]:
        """Refuse to mix results of other videos, objects, weights, settings or versions.

        Args:
            output: The folder of both runs.
            run: What this run is, as in run.json.
            redoes: Whether this run does again what other prompts change.

        Returns:
            What makes it doubtful that the masks are those of one run.

        Raises:
            OutputError: If the earlier run was another one.
        """
        if self.run is None:
            return ()
        try:
            found = differences(self.run, run, MAY_DIFFER)
            # Another version may have recorded something else of the input.
            if self.run["versions"].get("persam-vos") == run["versions"].get("persam-vos"):
                found = [*_other_input(self.run, run, () if redoes else _PROMPTS), *found]
            before, now = (f"{each['backend']} {each['precision']}" for each in (self.run, run))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise OutputError(
                f"{output}: holds no record of an earlier run of ours, so that nothing can be resumed; pass --overwrite"
                " or another --output"
            ) from error
        if found:
            raise OutputError(
                f"{output}: was made with {brief_list(found)}; resume with the same, or pass --overwrite or another"
                " --output"
            )
        if before == now:
            return ()
        return (f"the frames of the earlier run were encoded by {before}, the others by {now}",)


def find_earlier(output: Path, *, overwrite: bool, resume: bool) -> Earlier:
    """Look for what an earlier run has left, if it is to be resumed.

    Raises:
        SettingsError: If both ``overwrite`` and ``resume`` are asked for.
        OutputError: If there is an unfinished run, and neither is asked for; or what there is cannot be read.
    """
    if overwrite and resume:
        raise SettingsError("both --overwrite and --resume are given; one replaces what the other keeps")
    if overwrite:
        return Earlier()
    if not resume:
        if is_unfinished(output):
            raise OutputError(
                f"{output}: holds an unfinished run; pass --resume to go on with it, or --overwrite to begin anew"
            )
        return Earlier()
    if (record := _complete_record(output)) is not None:
        return Earlier(record, complete=True)
    if (checkpoint := read_checkpoint(output)) is not None:
        return Earlier(checkpoint.run, checkpoint)
    return Earlier(unfinished_record(output))


def is_unfinished(output: Path) -> bool:
    """Tell whether a folder holds a run that another one can go on with."""
    return (output / CHECKPOINT).exists() or unfinished_record(output) is not None


def is_complete(output: Path) -> bool:
    """Tell whether a folder holds a run of which nothing is left to do."""
    return _complete_record(output) is not None


def nothing_left(run: dict[str, Any]) -> Outcome:
    """Return the outcome of a run that finds a complete one.

    Args:
        run: The run.json of the complete one.
    """
    return Outcome(frames=int(run.get("frames", 0)), interrupted=False, written=(), timings=Timings(), seconds=0.0)


def fingerprint(
    reader: FrameReader,
    keyframes: Keyframes,
    objects: Sequence[NamedObject],
    settings: OutputSettings,
    *,
    backward: bool = True,
) -> dict[str, Any]:
    """Return what tells a video, its keyframes and their looks from others, wherever their files lie.

    Args:
        reader: The video, before its first frame.
        keyframes: The masks that are given.
        objects: Those that have names and colours.
        settings: Tell of a file behind the objects.
        backward: Whether objects are looked for before their first keyframes.
    """
    source, clip, masks = reader.info.source, reader.info.clip, hashlib.sha256()
    for each in keyframes.keyframes:
        masks.update(f"{each.frame} {each.object_id} ".encode() + each.mask.tobytes())
    if not backward:
        masks.update(b"no backward")
    behind = settings.background_file if "cutout" in settings.export else None
    return {
        "video": {
            "frames": reader.info.frame_count,
            "time_base": str(reader.info.time_base),
            "first_frame_sha256": hashlib.sha256(reader.peek().rgb.tobytes()).hexdigest(),
            **source_identity(source),
        },
        "range": None if clip is None else [clip.start, clip.stop, clip.stride],
        "keyframes_sha256": masks.hexdigest(),
        "objects": [[each.id, each.name, each.color] for each in objects],
        "background": None if behind is None else source_identity(behind),
    }


def _complete_record(output: Path) -> dict[str, Any] | None:
    """Return what the run.json of a complete run says, if there is one."""
    try:
        record = json.loads((output / RUN_JSON).read_text(encoding="utf-8"))
        return record if record["complete"] is True else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _other_input(before: dict[str, Any], now: dict[str, Any], prompts: Collection[str]) -> list[str]:
    told = {
        "range": "another range of the video",
        "video": f"another video, {before['source']}",
        "keyframes_sha256": "other prompts",
        "objects": "other names or colours of objects",
        "background": "another picture or video as the background",
    }
    # Another range has another first frame as well.
    keys = [key for key in told if key in prompts or key not in _PROMPTS]
    return [told[key] for key in keys if before["fingerprint"].get(key) != now["fingerprint"][key]][:1]
