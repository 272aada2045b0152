"""A video with keyframes on any frames, through all stages: encode, propagate both ways, fuse, and write."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path

from persam_vos.exports.base import ResultWriter
from persam_vos.files import output_errors
from persam_vos.media.frame import Frame
from persam_vos.media.random_access import RandomAccessVideo
from persam_vos.media.stream import StreamInfo
from persam_vos.pipeline.interrupt import GracefulInterrupt
from persam_vos.pipeline.progress import NoProgress, Progress
from persam_vos.pipeline.stages import Outcome, Results, run_stages
from persam_vos.pipeline.timings import Timings
from persam_vos.results import FrameResult
from persam_vos.sam.engine import Engine
from persam_vos.settings.video import Settings
from persam_vos.video.embedding_cache import DEFAULT_LIMIT_BYTES, EmbeddingCache, cache_identity
from persam_vos.video.found_store import FoundStore
from persam_vos.video.keyframes import Keyframes
from persam_vos.video.propagated import PropagatedVideo

KEPT = ".propagation.partial"
"""What a run keeps in the folder of its results until it is complete: embeddings, and masks of both directions."""


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
    facts = engine.checkpoint_sha256, engine.backend, engine.precision, height, width
    identity = cache_identity(video.files, *facts)
    with ExitStack() as opened:
        place = folder or Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="persam-vos-")))
        cache = EmbeddingCache(place, identity, max_bytes=DEFAULT_LIMIT_BYTES, device=engine.device)
        store = opened.enter_context(closing(FoundStore(place / "masks.sqlite", height, width)))
        propagated = PropagatedVideo(engine, video, cache, store, frames, backward=backward, timings=timings)
        propagated.place(keyframes.keyframes)
        yield propagated


@contextmanager
def kept_folder(output: Path, *, resume: bool) -> Iterator[Path]:
    """Give the folder for what a run keeps meanwhile; it stays if the block fails, so that a run can be resumed.

    Args:
        output: The folder of the results.
        resume: Whether what an earlier run has left there is gone on with.
    """
    folder = output / KEPT
    if not resume:
        shutil.rmtree(folder, ignore_errors=True)
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def propagated_frames(
    propagated: PropagatedVideo, progress: Progress | None = None, interrupt: GracefulInterrupt | None = None
) -> Generator[tuple[Frame, FrameResult], None, None]:
    """Propagate, then yield each frame with its result, in order.

    Args:
        propagated: Its keyframes are placed.
        progress: Told of each frame that was walked through.
        interrupt: Ends the propagation, and so the results before the first one, if it is asked for.

    Raises:
        KeyboardInterrupt: If it was interrupted before the propagation was complete.
    """
    for walked in propagated.propagate():
        if progress is not None:
            progress.prepare(walked.done, walked.expected)
        if interrupt is not None and interrupt.asked:
            raise KeyboardInterrupt
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
    resume: bool = False,
) -> Outcome:
    """Propagate the objects of keyframes through a video, and write every result.

    Args:
        engine: The model.
        video: The video; closed at the end.
        info: Of the part that is tracked.
        keyframes: On its frames.
        writers: Where the results go; closed, or after an error aborted, at the end.
        progress: Told of each frame.
        folder: Of the results, where embeddings and masks are kept meanwhile.
        backward: Whether objects are looked for before their first keyframes.
        resume: Whether to go on where an earlier run was stopped.

    Raises:
        OutputError: If a result cannot be written.
        KeyboardInterrupt: If the user interrupts before the propagation is complete, or for a second time.
        PersamVosError: See ``PropagatedVideo``.
    """
    timings, interrupt = Timings(), GracefulInterrupt(NoProgress().interrupt)
    frames = frames_of(info, len(video))
    with (
        closing(video),
        kept_folder(folder, resume=resume) as kept,
        propagated_video(engine, video, frames, keyframes, kept, backward=backward, timings=timings) as propagated,
    ):
        results: Results = propagated_frames(propagated, progress, interrupt)
        outcome = run_stages(results, writers, timings, progress, interrupt, name=info.source.name, frames=len(frames))
        warnings = (*_encoded_all(engine.settings), *propagated.warnings, *video.warnings, *outcome.warnings)
        return replace(outcome, encoded=propagated.encoded, warnings=warnings)


def _encoded_all(settings: Settings) -> tuple[str, ...]:
    """Return a warning if frames between were to be passed over."""
    if settings.encode_every == 1:
        return ()
    return ("with prompts after the first frame, every frame is encoded, whatever encode_every and --preset quick say",)


def frames_of(info: StreamInfo, count: int) -> range:
    """Return the indices of the frames that are tracked, of a video of so many frames."""
    clip = info.clip
    return range(count) if clip is None else range(clip.start, count if clip.stop is None else clip.stop, clip.stride)
