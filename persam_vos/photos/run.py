"""The job on photos: the objects of annotated ones found in others, and everything written into one folder."""

from __future__ import annotations

import queue
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from persam_vos.errors import PhotoError
from persam_vos.exports.photo_exports import PHOTO_EXPORTS
from persam_vos.exports.photos import PhotoWriter, open_output
from persam_vos.exports.results_jsonl import PhotoResult
from persam_vos.files import real_path, remove_if_left_empty
from persam_vos.locks import written_alone
from persam_vos.media.frame import Frame
from persam_vos.media.photo_files import find_photos
from persam_vos.media.reference_files import ReferenceFile
from persam_vos.photos.finder import PhotoFinder, ids_of
from persam_vos.photos.pipeline import PhotoFailure, find_in_photos
from persam_vos.photos.resume import check_resumable
from persam_vos.pipeline.gpu_memory import explained_gpu_memory_errors
from persam_vos.pipeline.progress import Progress
from persam_vos.pipeline.record import run_record
from persam_vos.pipeline.writing import Outcome
from persam_vos.results import FrameResult
from persam_vos.sam.engine import Engine
from persam_vos.settings.photos import PhotoSettings


def run_photos(
    references: Sequence[ReferenceFile],
    sources: Sequence[str],
    output: Path,
    settings: PhotoSettings,
    progress: Progress,
    *,
    overwrite: bool = False,
    resume: bool = False,
    keep_going: bool = False,
) -> Outcome:
    """Find the objects of annotated photos in others, and write their folder: the exports, results.jsonl and run.json.

    Everything that can be wrong with the references is found before the model is loaded.

    Args:
        references: The annotated photos.
        sources: Files, folders and globs of photos.
        output: The folder to write.
        settings: Of the run.
        progress: Told of each photo.
        overwrite: Replace earlier results.
        resume: Go on with an earlier run of the same references and settings.
        keep_going: Leave out photos that cannot be read, instead of stopping at the first of them.

    Raises:
        PersamVosError: Of the kind that fits what is wrong.
    """
    started = time.perf_counter()
    learnt_from = [reference.read(settings.max_pixels) for reference in references]
    ids_of([label_map for _, label_map in learnt_from], settings)
    photos = _without_results(find_photos(sources), output)
    given: dict[str, Any] = {
        "references": [each.record() for each in references],
        "sources": [str(each) for each in sources],
    }
    with remove_if_left_empty(output), written_alone(output):
        open_output(output, overwrite=overwrite, resume=resume)
        # Before anything is written or removed: failing must cost nobody their earlier results.
        engine = Engine(settings)
        if resume:
            check_resumable(output, run_record(engine, given, {}).contents())
        finder = PhotoFinder.from_parts(engine.encoder, engine.decoder, settings)
        with explained_gpu_memory_errors(engine):
            finder.learn(learnt_from)
        given = {**given, "usual_likeness": finder.reference_similarity}
        keep = [path for each in references for path in (each.photo, each.mask)]
        with PhotoWriter(output, exports=settings.export, keep=keep, overwrite=overwrite, resume=resume) as writer:
            named = zip(photos, writer.names_of(photos), strict=True)
            left = [(photo, name) for photo, name in named if name not in writer.done]
            run_record(engine, given, {"complete": False}).write(output)
            outcome = _find_in_the_rest(engine, finder, left, writer, progress, keep_going=keep_going)
        ended = {
            "photos": outcome.frames,
            "photos_of_earlier_runs": len(photos) - len(left),
            "failed": outcome.failed,
            "complete": not outcome.interrupted,
            "seconds_per_stage": outcome.timings.rounded(),
        }
        run_record(engine, given, ended, time.perf_counter() - started).write(output)
        return outcome


def _without_results(photos: Sequence[Path], output: Path) -> list[Path]:
    """Leave out what lies where the results go: with an output among the photos, that is what an earlier run wrote.

    Raises:
        PhotoError: If nothing else is there.
    """
    folders = {real_path(output / export.folder) for export in PHOTO_EXPORTS.values()}
    kept = [photo for photo in photos if folders.isdisjoint(real_path(photo).parents)]
    if photos and not kept:
        raise PhotoError(f"{photos[0]}: lies among the results in {output}; give photos that are none of them")
    return kept


def _find_in_the_rest(
    engine: Engine[PhotoSettings],
    finder: PhotoFinder,
    photos: Sequence[tuple[Path, str]],
    writer: PhotoWriter,
    progress: Progress,
    *,
    keep_going: bool,
) -> Outcome:
    """Find in the photos that no earlier run has finished, given with the names of their results."""
    album = _Album(writer, photos)
    return find_in_photos(
        engine,
        finder,
        [photo for photo, _ in photos],
        album,
        progress,
        on_failure=album.failures.put if keep_going else None,
    )


class _Album:
    """Hands results to a ``PhotoWriter``, with the failures before them; see ``ResultWriter``."""

    def __init__(self, writer: PhotoWriter, photos: Sequence[tuple[Path, str]]) -> None:
        self.warnings: list[str] = []
        self.failures: queue.SimpleQueue[PhotoFailure] = queue.SimpleQueue()
        self._writer = writer
        self._photos = photos

    def write(self, frame: Frame, result: FrameResult) -> None:
        self._write_failures()
        photo, name = self._photos[frame.index]
        self._writer.write(PhotoResult(photo, name, result.label_map, result.objects), frame.rgb)

    def close(self) -> tuple[Path, ...]:
        self._write_failures()
        self._writer.close()
        return ()

    def abort(self) -> None:
        self._writer.close()

    def _write_failures(self) -> None:
        while not self.failures.empty():
            failure = self.failures.get()
            self._writer.skip(failure.photo, failure.reason)
