"""Checkpoints of a run on a video: one file in its folder, which says what the run is and how far it has come."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch

from persam_vos.errors import OutputError, PersamVosError, VideoError, is_short_of_memory
from persam_vos.exports.base import ResumableWriter
from persam_vos.files import output_errors, save_to_disk, whole_file
from persam_vos.media.frame import Frame, FramesDone
from persam_vos.video.resuming.packing import pack, unpack

CHECKPOINT = ".run.partial"
"""Its name in the folder of the results."""
EVERY = 45
"""Frames from one checkpoint to the next; with those on their way to the files, a killed run loses at most 50."""

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint says.

    Attributes:
        run: What the run is, as in run.json.
        done: The frames that are written.
        state: What the search knows after the last of them, as ``pack`` made it.
    """

    run: dict[str, Any]
    done: FramesDone
    state: Any


def read_checkpoint(output: Path) -> Checkpoint | None:
    """Read the checkpoint in a folder; return None if there is none.

    Raises:
        OutputError: If it is damaged, or none of ours.
    """
    path = output / CHECKPOINT
    if not path.exists():
        return None
    try:
        # The state stays packed, and is checked when it is unpacked: no code of the file is run.
        found = torch.load(path, weights_only=True)
        if found["format"] != _FORMAT:
            raise ValueError("another format")
        return Checkpoint(json.loads(found["run"]), FramesDone(**found["done"]), found["state"])
    except Exception as error:  # damaged pickles raise nearly anything
        if is_short_of_memory(error):
            raise
        raise OutputError(
            f"{path}: is damaged or no checkpoint of this version, so that nothing can be resumed; pass --overwrite or"
            " another --output"
        ) from error


def remove_checkpoint(output: Path) -> None:
    """Remove the checkpoint in a folder, if there is one.

    Raises:
        OutputError: If that fails.
    """
    with output_errors(output / CHECKPOINT):
        (output / CHECKPOINT).unlink(missing_ok=True)


class Resumable(Protocol):
    """A search that can be saved; see ``Search``."""

    @property
    def longest(self) -> int:
        """The most frames that are found together."""
        ...

    @property
    def settled(self) -> int | None:
        """Index of the last frame that is found; None before the first one."""
        ...

    @property
    def knowledge(self) -> Any:
        """All that passes from that frame to the next one, as frozen records, which never change."""
        ...

    @property
    def records(self) -> tuple[type, ...]:
        """The classes of these records."""
        ...

    def resume(self, knowledge: Any) -> None:
        """Go on from what another one of the same model and settings knew."""
        ...


class Checkpoints:
    """Saves the checkpoints of a run, and goes on from one; see ``Saving``.

    Args:
        output: The folder of the results.
        run: What the run is, as in run.json.
        writers: Of the run.
        earlier: Where to go on; None to begin.
        device: Where the model computes.

    Attributes:
        done: The frames of the last checkpoint; None before the first one.
    """

    def __init__(
        self,
        output: Path,
        run: dict[str, Any],
        writers: Sequence[ResumableWriter],
        earlier: Checkpoint | None = None,
        *,
        device: torch.device,
    ) -> None:
        self.done = None if earlier is None else earlier.done
        self._output, self._run, self._writers, self._earlier = output, run, writers, earlier
        self._device = device
        self._search: Resumable | None = None
        # After the last frame that was handed over, and frames up to the last checkpoint that was taken.
        self._now = self.done
        self._taken = self.frames_before

    @property
    def saved(self) -> bool:
        """Whether there is a checkpoint."""
        return self.done is not None

    @property
    def frames_before(self) -> int:
        """Frames that earlier runs have done."""
        return 0 if self._earlier is None else self._earlier.done.count

    def begin(self, search: Resumable) -> None:
        """Save this search; bring it and the writers to where an earlier run has come.

        Raises:
            OutputError: If what is left of the earlier run is damaged.
        """
        self._search = search
        if self._earlier is None:
            return
        try:
            search.resume(unpack(self._earlier.state, search.records, self._device))
        except (ValueError, AttributeError, TypeError) as error:
            raise OutputError(
                f"{self._output / CHECKPOINT}: is damaged, so that nothing can be resumed; pass --overwrite or another"
                " --output"
            ) from error
        try:
            for writer in self._writers:
                writer.resume(self._earlier.done)
        except BaseException:
            self.suspend()
            raise

    def left(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Yield the frames that are not done.

        Raises:
            VideoError: If the video is not the earlier run's.
        """
        done = None if self._earlier is None else self._earlier.done
        for frame in frames:
            if done is None or frame.index > done.last_index:
                yield frame
            elif frame.index == done.last_index and frame.pts != done.last_pts:
                raise VideoError(
                    f"frame {frame.index} has another time than in the run to be resumed; pass --overwrite"
                )

    def take(self, frame: Frame, *, now: bool) -> Callable[[], None] | None:
        """Take the state after a frame; see ``Saving``."""
        assert self._search is not None, "begin comes first"
        here = FramesDone(
            count=1, first_index=frame.index, first_pts=frame.pts, last_index=frame.index, last_pts=frame.pts
        )
        if (before := self._now) is not None:
            here = replace(before, count=before.count + 1, last_index=frame.index, last_pts=frame.pts)
        self._now = here
        if not now and here.count - self._taken + self._search.longest <= EVERY:
            return None
        return self.take_last()

    def take_last(self) -> Callable[[], None] | None:
        """Take the state after the last frame that was handed over; see ``Saving``."""
        assert self._search is not None, "begin comes first"
        here = self._now
        if here is None or self._search.settled != here.last_index:
            return None
        self._taken = here.count
        return partial(self._save, here, self._search.knowledge)

    def suspend(self) -> None:
        """Leave what the last checkpoint needs; see ``Saving``."""
        for writer in self._writers:
            writer.suspend()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Let the message of an error in the ``with`` block say how far the last checkpoint goes."""
        try:
            yield
        except PersamVosError as error:
            if self.done is None:
                raise
            kept = f"frames up to {self.done.last_index} are kept, and --resume goes on after them"
            raise type(error)(f"{error}; {kept}") from error

    def _save(self, done: FramesDone, state: Any) -> None:
        for writer in self._writers:
            writer.checkpoint()
        file = io.BytesIO()
        values = {"format": _FORMAT, "run": json.dumps(self._run), "done": asdict(done), "state": pack(state)}
        torch.save(values, file)
        with whole_file(self._output / CHECKPOINT) as path:
            path.write_bytes(file.getbuffer())
            save_to_disk(path)
        self.done = done
