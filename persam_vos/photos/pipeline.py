"""Photos through all stages: read, encode, find, write, however many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from persam_vos.errors import PhotoError
from persam_vos.exports.base import ResultWriter
from persam_vos.media.frame import Frame, untimed_frame
from persam_vos.media.photo_files import photo_size, read_photo, refuse_larger
from persam_vos.photos.finder import PhotoFinder
from persam_vos.pipeline.interrupt import GracefulInterrupt
from persam_vos.pipeline.pixel_budget import PixelBudget
from persam_vos.pipeline.progress import NoProgress, Progress
from persam_vos.pipeline.stages import EachAlone, Source, stage_results
from persam_vos.pipeline.timings import Timings
from persam_vos.pipeline.writing import Outcome, run_stages
from persam_vos.sam.engine import Engine

# Pixels of all photos between reading and writing, and of those encoded at once; one photo may exceed the first. Photos
# have any size: twenty of the largest that are read by default would take 6 GB.
_MOST_PIXELS = 128_000_000
_BATCH_PIXELS = 48_000_000


@dataclass(frozen=True, slots=True)
class PhotoFailure:
    """A photo that could not be read, and why."""

    photo: Path
    reason: str


def find_in_photos(
    engine: Engine[Any],
    finder: PhotoFinder,
    photos: Sequence[Path],
    writer: ResultWriter,
    progress: Progress | None = None,
    *,
    name: str = "photos",
    on_failure: Callable[[PhotoFailure], None] | None = None,
    keep_interrupted: bool = True,
) -> Outcome:
    """Find in photos what a finder has learnt, and write every result.

    Args:
        engine: The model, which encodes the whole square.
        finder: Which has learnt.
        photos: The files; the index of a frame that the writer gets is its place among them.
        writer: Where the results go; closed, or after an error aborted, at the end.
        progress: Told of each photo.
        name: Of the photos, for ``progress``.
        on_failure: Called by the thread that reads for each photo that cannot be read, which is then left out; None to
            raise its error.
        keep_interrupted: Whether an interrupted run ends as if these were all photos; else KeyboardInterrupt is raised,
            and ``progress`` is told nothing of the interrupt.

    Raises:
        PhotoError: If a photo cannot be read, without ``on_failure``.
        OutputError: If a result cannot be written.
        SettingsError: If the GPU's memory is too small for one photo, or for the batch size of the settings.
        KeyboardInterrupt: If the user interrupts for a second time, or ``keep_interrupted`` is False.
    """
    progress, timings, budget = progress or NoProgress(), Timings(), PixelBudget(_MOST_PIXELS, _BATCH_PIXELS)
    interrupt = GracefulInterrupt((progress if keep_interrupted else NoProgress()).interrupt)
    reading = _Photos(photos, finder.settings.max_pixels, budget, progress, on_failure, interrupt)
    source = Source(frames=reading, search=EachAlone(finder.find), read_name="read", search_name="find", budget=budget)
    outcome = run_stages(
        stage_results(engine, source, timings),
        [writer],
        timings,
        progress,
        interrupt,
        name=name,
        frames=len(photos),
        keep_interrupted=keep_interrupted,
        budget=budget,
    )
    return replace(outcome, failed=reading.failed)


class _Photos:
    """Reads photos while the budget has room for them, and counts those that cannot be read."""

    def __init__(
        self,
        photos: Sequence[Path],
        max_pixels: int,
        budget: PixelBudget,
        progress: Progress,
        on_failure: Callable[[PhotoFailure], None] | None,
        interrupt: GracefulInterrupt,
    ) -> None:
        self.failed = 0
        self._photos, self._max_pixels, self._budget = photos, max_pixels, budget
        self._progress, self._on_failure, self._interrupt = progress, on_failure, interrupt

    def __iter__(self) -> Iterator[Frame]:
        for index, photo in enumerate(self._photos):
            try:
                frame = self._read(photo, index)
            except PhotoError as error:
                self._fail(photo, error)
                # While nothing can be read, no other stage notices an interrupt.
                if self._interrupt.asked:
                    return
                continue
            if frame is None:
                return
            yield frame

    def _read(self, photo: Path, index: int) -> Frame | None:
        """Read a photo once there is room for it; return None if nobody wants it any more."""
        width, height = photo_size(photo)
        refuse_larger(photo, (width, height), self._max_pixels)
        if not self._budget.take(width * height):
            return None
        try:
            return untimed_frame(read_photo(photo, max_pixels=self._max_pixels), index)
        except BaseException:
            self._budget.give(width * height)
            raise

    def _fail(self, photo: Path, error: PhotoError) -> None:
        if self._on_failure is None:
            raise PhotoError(f"{error}; pass --keep-going to leave out what cannot be read") from error
        self.failed += 1
        self._on_failure(PhotoFailure(photo, str(error)))
        self._progress.fail(str(error))
