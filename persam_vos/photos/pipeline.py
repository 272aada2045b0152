"""Photos read, encoded, searched and written side by side, however many there are."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from persam_vos.errors import PhotoError
from persam_vos.exports.base import ResultWriter
from persam_vos.media.frame import Frame
from persam_vos.media.photo_files import photo_size, read_photo, refuse_larger
from persam_vos.photos.finder import PhotoFinder, photo_frame
from persam_vos.pipeline.encoding import EncodeStage
from persam_vos.pipeline.gpu_memory import GpuMemory, memory_errors
from persam_vos.pipeline.interrupt import GracefulInterrupt
from persam_vos.pipeline.stages import EMBEDDED_DEPTH, QUEUE_DEPTH, Allowance, Sink, prefetch, write_all
from persam_vos.pipeline.timings import Timings
from persam_vos.results import FrameResult
from persam_vos.sam.engine import Engine
from persam_vos.settings.photos import PhotoSettings

# Pixels of the photos that are somewhere between reading and writing, and of those encoded at once; the first may be
# exceeded by one photo. Photos have any size: of the largest that are read by default, twenty would take 6 GB.
_MOST_PIXELS = 128_000_000
_BATCH_PIXELS = 48_000_000


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
    engine: Engine[PhotoSettings],
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
        on_failure: Called for each photo that cannot be read, which is then left out, by the thread that reads; None to
            raise its error.
        on_interrupt: Called at the first Ctrl-C or SIGTERM, which takes effect after the photo in work.

    Raises:
        PersamVosError: If a photo cannot be read, without ``on_failure``, or a result cannot be written, for example.
        KeyboardInterrupt: If the user interrupts for a second time.
    """
    timings, room = Timings(), Allowance(_MOST_PIXELS, _BATCH_PIXELS)
    sink = Sink([_GivesBack(writer, room)], timings, QUEUE_DEPTH)
    with GracefulInterrupt(on_interrupt) as interrupt:
        failures = _Failures(on_failure, interrupt)
        try:
            frames = _read(photos, max_pixels, room, failures)
            with memory_errors(engine), closing(_results(engine, finder, frames, room, timings)) as results:
                found = write_all(results, sink, on_photo, interrupt)
            sink.close()
        except BaseException:
            sink.abort()
            raise
    return PhotoOutcome(found, failures.count, interrupt.asked, timings)


def _results(
    engine: Engine[PhotoSettings], finder: PhotoFinder, frames: Iterator[Frame], room: Allowance, timings: Timings
) -> Generator[tuple[FrameResult, Frame], None, None]:
    """Run all stages but writing; closing this ends their threads, the last stage's first."""
    memory = GpuMemory(engine)
    stage = EncodeStage(engine, timings, memory, max_pixels=_BATCH_PIXELS)
    with (
        closing(prefetch("read", timings.timed("read", frames), QUEUE_DEPTH)) as read,
        closing(prefetch("encode", stage.run(read), EMBEDDED_DEPTH)) as embedded,
        # Or the first of these threads might wait for room for good.
        closing(room),
    ):
        for frame, embedding in embedded:
            with timings.stage("find"):
                result = memory.retry(partial(finder.find, frame, embedding))
            yield result, frame


def _read(photos: Sequence[Path], max_pixels: int, room: Allowance, failures: _Failures) -> Iterator[Frame]:
    """Read photos, where there is room."""
    for index, photo in enumerate(photos):
        try:
            width, height = photo_size(photo)
            refuse_larger(photo, (width, height), max_pixels)
            if not room.take(width * height):
                return
            try:
                rgb = read_photo(photo, max_pixels=max_pixels)
            except BaseException:
                room.give(width * height)
                raise
        except PhotoError as error:
            if not failures.tell_of(photo, error):
                return
            continue
        yield photo_frame(rgb, index)


class _Failures:
    """Tells of photos that cannot be read, and counts them."""

    def __init__(self, tell: Callable[[PhotoFailure], None] | None, interrupt: GracefulInterrupt) -> None:
        self.count = 0
        self._tell, self._interrupt = tell, interrupt

    def tell_of(self, photo: Path, error: PhotoError) -> bool:
        """Tell of one, or raise its error if nobody listens; return whether to go on."""
        if self._tell is None:
            raise PhotoError(f"{error}; pass --keep-going to leave out what cannot be read") from error
        self.count += 1
        self._tell(PhotoFailure(photo, str(error)))
        # While nothing can be read, nothing else hears an interrupt.
        return not self._interrupt.asked


class _GivesBack:
    """Writes, and says that there is room again; see ``ResultWriter``."""

    def __init__(self, writer: ResultWriter, room: Allowance) -> None:
        self.warnings = writer.warnings
        self._writer, self._room = writer, room

    def write(self, frame: Frame, result: FrameResult) -> None:
        try:
            self._writer.write(frame, result)
        except BaseException:
            # Nothing is written any more, so that nothing would be given back for which reading waits.
            self._room.close()
            raise
        self._room.give(frame.height * frame.width)

    def close(self) -> tuple[Path, ...]:
        return self._writer.close()

    def abort(self) -> None:
        self._writer.abort()
