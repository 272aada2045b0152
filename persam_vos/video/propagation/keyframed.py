"""A video with keyframes on any frames, through all stages: encode, propagate both ways, fuse, and write."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path

from persam_vos.exports.base import ResultWriter
from persam_vos.media.frame import Frame
from persam_vos.media.random_access import RandomAccessVideo
from persam_vos.media.stream import StreamInfo
from persam_vos.pipeline.interrupt import GracefulInterrupt
from persam_vos.pipeline.progress import NoProgress, Progress
from persam_vos.pipeline.timings import Timings
from persam_vos.pipeline.writing import Outcome, Results, run_stages
from persam_vos.results import FrameResult
from persam_vos.sam.engine import Engine
from persam_vos.settings.video import Settings
from persam_vos.video.prompting.keyframes import Keyframes
from persam_vos.video.propagation.embedding_cache import (
    DEFAULT_LIMIT_BYTES,
    EmbeddingCache,
    cache_identity,
    encoder_facts,
)
from persam_vos.video.propagation.found_store import FoundStore
from persam_vos.video.propagation.kept import MASKS, finish_kept, open_kept
from persam_vos.video.propagation.propagated import PropagatedVideo
from persam_vos.video.propagation.walked import Walked, walk_to_end


@contextmanager
def propagated_video(
    engine: Engine[Settings],
    video: RandomAccessVideo,
    frames: range,
    keyframes: Keyframes,
    folder: Path | None = None,
    *,
    backward: bool = True,
    timings: Timings | None = None,
) -> Iterator[PropagatedVideo]:
    """Give a video with its keyframes, ready to be propagated.

    Args:
        engine: The model.
        video: The video.
        frames: Indices of the frames that are tracked, rising.
        keyframes: On these frames.
        folder: Where embeddings and masks are kept; what is there already is gone on with. None for a temporary one.
        backward: Whether objects are looked for before their first keyframes.
        timings: Told how long each stage takes.
    """
    height, width = video.info.height, video.info.width
    identity = cache_identity(video.files, *encoder_facts(engine), height, width)
    with ExitStack() as opened:
        place = folder or Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="persam-vos-")))
        cache = EmbeddingCache(place, identity, max_bytes=DEFAULT_LIMIT_BYTES, device=engine.device)
        store = opened.enter_context(closing(FoundStore(place / MASKS, height, width)))
        propagated = PropagatedVideo(engine, video, cache, store, frames, backward=backward, timings=timings)
        propagated.place(keyframes.keyframes)
        yield propagated


def propagated_frames(
    propagated: PropagatedVideo,
    progress: Progress | None = None,
    interrupt: GracefulInterrupt | None = None,
    on_changed: Callable[[frozenset[int]], object] = lambda _: None,
) -> Generator[tuple[Frame, FrameResult], None, None]:
    """Propagate, then yield each frame with its result, in order.

    Args:
        propagated: Its keyframes are placed.
        progress: Told of each frame that was walked through.
        interrupt: Ends the propagation, and so the results before the first one, if it is asked for.
        on_changed: Told which frames may have other masks than before.

    Raises:
        KeyboardInterrupt: If it was interrupted before the propagation was complete.
    """

    def watch(walked: Walked) -> None:
        if progress is not None:
            progress.prepare(walked.done, walked.expected)
        if interrupt is not None and interrupt.asked:
            raise KeyboardInterrupt

    on_changed(frozenset(walk_to_end(propagated.propagate(), watch)))
    yield from propagated.results()


def propagate_video(
    engine: Engine[Settings],
    video: RandomAccessVideo,
    info: StreamInfo,
    keyframes: Keyframes,
    writers: Sequence[ResultWriter],
    progress: Progress,
    folder: Path,
    *,
    backward: bool = True,
    tell_changed: bool = False,
) -> Outcome:
    """Propagate the objects of keyframes through a video, and write every result.

    Args:
        engine: The model.
        video: The video; closed at the end.
        info: Of the part that is tracked.
        keyframes: On its frames.
        writers: Where the results go; closed, or after an error aborted, at the end.
        progress: Told of each frame.
        folder: Of the results, where embeddings and masks are kept meanwhile; what is there already is gone on with,
            and the masks stay.
        backward: Whether objects are looked for before their first keyframes.
        tell_changed: Whether a warning says which frames are done again.

    Raises:
        OutputError: If a result cannot be written.
        KeyboardInterrupt: If the user interrupts before the propagation is complete, or for a second time.
        PersamVosError: See ``PropagatedVideo``.
    """
    timings, interrupt = Timings(), GracefulInterrupt(NoProgress().interrupt)
    changed: list[int] = []
    frames, kept = frames_of(info, len(video)), open_kept(folder)
    with (
        closing(video),
        propagated_video(engine, video, frames, keyframes, kept, backward=backward, timings=timings) as propagated,
    ):
        results: Results = propagated_frames(propagated, progress, interrupt, changed.extend)
        outcome = run_stages(results, writers, timings, progress, interrupt, name=info.source.name, frames=len(frames))
        told = (_told(changed, frames),) if tell_changed else ()
        warnings = (*told, *propagated.warnings, *video.warnings, *outcome.warnings)
    if not outcome.interrupted:
        finish_kept(folder)
    return replace(outcome, encoded=propagated.encoded, warnings=warnings)


def frames_of(info: StreamInfo, count: int) -> range:
    """Return the indices of the frames that are tracked, of a video of so many frames."""
    clip = info.clip
    return range(count) if clip is None else range(clip.start, count if clip.stop is None else clip.stop, clip.stride)


def _told(changed: Iterable[int], frames: range) -> str:
    """Say which frames of a run are done again."""
    known, runs = set(changed), list[list[int]]()
    for place, index in enumerate(frames):
        if index in known:
            if runs and place and runs[-1][-1] == frames[place - 1]:
                runs[-1].append(index)
            else:
                runs.append([index])
    words = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    return f"the prompts are other ones than in the earlier run; frames done again: {', '.join(words) or 'none'}"
