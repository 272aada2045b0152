"""Photos read, encoded, searched and written side by side, however many there are."""

from __future__ import annotations

import queue
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from persam_vos.engine import EMBEDDED_DEPTH, QUEUE_DEPTH, EmbeddingEngine
from persam_vos.errors import PhotoError
from persam_vos.frame import Frame
from persam_vos.objects import FrameResult
from persam_vos.photo_finder import PhotoFinder, photo_frame
from persam_vos.photos import read_photo
from persam_vos.record import Timings
from persam_vos.workers import PoliteInterrupt, Sink, prefetch
from persam_vos.writer import ResultWriter


@dataclass(frozen=True, slots=True)
class PhotoFailure:
    """A photo that could not be read, and why."""

    photo: Path
    reason: str


@dataclass(frozen=True, slots=True)
class PhotoOutcome:
    """How a run over photos ended.

    Attributes:
        photos: How many were searched and written.
        failed: How many could not be read.
        interrupted: Whether the user stopped it before the end.
        timings: Seconds per stage.
    """

    photos: int
    failed: int
    interrupted: bool
    timings: Timings


def find_in_photos(
    engine: EmbeddingEngine,
    finder: PhotoFinder,
    photos: Sequence[Path],
    writer: ResultWriter,
    *,
    max_pixels: int,
    on_photo: Callable[[FrameResult], None] = lambda _: None,
    on_failure: Callable[[PhotoFailure], None] | None = None,
    on_interrupt: Callable[[], None] = lambda: None,
) -> PhotoOutcome:
    """Find in photos what a finder has learnt.

    Reading, encoding and writing run in threads of their own. The first error of any stage stops all of them and is
    raised; what was written stays.

    Args:
        engine: The model, encoding the whole square.
        finder: Which has learnt.
        photos: The files; the index of a frame that the writer gets is its place among them.
        writer: Where the results go; it is closed, or after an error aborted, at the end.
        max_pixels: See ``read_photo``.
        on_photo: Called after each photo, in order.
        on_failure: Called for each photo that cannot be read, which is then left out; None to raise its error.
        on_interrupt: Called at the first Ctrl-C or SIGTERM, which takes effect after the photo in work.

    Raises:
        PersamVosError: If a photo cannot be read, without ``on_failure``, or a result cannot be written, for example.
        KeyboardInterrupt: If the user interrupts for a second time.
    """
    timings, found, failed = Timings(), 0, 0
    failures: queue.SimpleQueue[PhotoFailure] = queue.SimpleQueue()
    sink = Sink([writer], timings, QUEUE_DEPTH)
    with PoliteInterrupt(on_interrupt) as interrupt:
        try:
            frames = _read(photos, max_pixels, None if on_failure is None else failures)
            with engine.memory_errors(), closing(_results(engine, finder, frames, timings)) as results:
                for result, frame in results:
                    sink.put(frame, result)
                    found += 1
                    failed += _tell(failures, on_failure)
                    on_photo(result)
                    if interrupt.asked:
                        break
            failed += _tell(failures, on_failure)
            sink.close()
        except BaseException:
            sink.abort()
            raise
    return PhotoOutcome(found, failed, interrupt.asked, timings)


def _results(
    engine: EmbeddingEngine, finder: PhotoFinder, frames: Iterator[Frame], timings: Timings
) -> Generator[tuple[FrameResult, Frame], None, None]:
    """Run all stages but writing; closing this ends their threads, the last stage's first."""
    with (
        closing(prefetch("read", timings.timed("read", frames), QUEUE_DEPTH)) as read,
        closing(prefetch("encode", engine.embedded(read, timings), EMBEDDED_DEPTH)) as embedded,
    ):
        for frame, embedding in embedded:
            with timings.stage("find"):
                result = engine.with_room(partial(finder.find, frame, embedding))
            yield result, frame


def _read(photos: Sequence[Path], max_pixels: int, failures: queue.SimpleQueue[PhotoFailure] | None) -> Iterator[Frame]:
    for index, photo in enumerate(photos):
        try:
            rgb = read_photo(photo, max_pixels=max_pixels)
        except PhotoError as error:
            if failures is None:
                raise
            failures.put(PhotoFailure(photo, str(error)))
            continue
        yield photo_frame(rgb, index)


def _tell(failures: queue.SimpleQueue[PhotoFailure], on_failure: Callable[[PhotoFailure], None] | None) -> int:
    """Tell of the failures since the last time, and return their number."""
    count = 0
    while on_failure is not None and not failures.empty():
        on_failure(failures.get())
        count += 1
    return count
