"""The job on photos, as the command line offers it: what annotated ones show, found in others, in one folder."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from persam_vos.errors import OutputError, PhotoError
from persam_vos.exports.photos import PHOTO_EXPORTS, PhotoWriter, open_output
from persam_vos.exports.results_jsonl import PhotoResult
from persam_vos.exports.run_record import write_run_json
from persam_vos.files import no_empty_folder
from persam_vos.masks import LabelMap, Rgb
from persam_vos.media.frame import Frame
from persam_vos.media.photo_files import find_photos
from persam_vos.media.reference_files import ReferenceFile
from persam_vos.photos.finder import PhotoFinder, ids_of
from persam_vos.photos.pipeline import PhotoFailure, PhotoOutcome, find_in_photos
from persam_vos.pipeline.gpu_memory import memory_errors
from persam_vos.pipeline.progress import PhotoProgress
from persam_vos.pipeline.record import engine_record
from persam_vos.results import FrameResult
from persam_vos.sam.engine import Engine
from persam_vos.settings.photos import PhotoSettings

# What another run may have been told otherwise without other results being meant: the machine's; which photos are
# refused, since none of those is among the results; what is written of each; and the weights' path, whose hash counts.
_NOT_OF_RESULTS = ("device", "backend", "precision", "batch_size", "max_megapixels", "export", "checkpoint")


def run_photos(
    references: Sequence[ReferenceFile],
    sources: Sequence[str],
    output: Path,
    settings: PhotoSettings,
    progress: PhotoProgress,
    *,
    overwrite: bool = False,
    resume: bool = False,
    keep_going: bool = False,
) -> PhotoOutcome:
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
    learnt = [reference.read(settings.max_pixels) for reference in references]
    ids_of([label_map for _, label_map in learnt], settings)
    photos = _without_results(find_photos(sources), output)
    given = _given(references, sources)
    open_output(output, overwrite=overwrite, resume=resume)
    engine, finder = _learnt(learnt, settings, output, given, resume=resume)
    keep = [path for each in references for path in (each.photo, each.mask)]
    with PhotoWriter(output, exports=settings.export, keep=keep, overwrite=overwrite, resume=resume) as writer:
        named = zip(photos, writer.names_of(photos), strict=True)
        left = [(photo, name) for photo, name in named if name not in writer.done]
        write_run_json(output, engine_record(engine, 0.0) | given | {"complete": False})
        outcome = _find_in_the_rest(engine, finder, left, writer, progress, keep_going=keep_going)
    seconds = time.perf_counter() - started
    write_run_json(output, engine_record(engine, seconds) | given | _outcome_record(outcome, len(photos) - len(left)))
    return outcome


def _learnt(
    references: Sequence[tuple[Rgb, LabelMap]],
    settings: PhotoSettings,
    output: Path,
    given: dict[str, Any],
    *,
    resume: bool,
) -> tuple[Engine[PhotoSettings], PhotoFinder]:
    """Load the model and learn, before anything is written or removed: failing must cost nobody their earlier results.

    What is usual of the objects is added to ``given``.
    """
    with no_empty_folder(output):
        engine = Engine(settings)
        if resume:
            _check_resumable(output, engine_record(engine, 0.0) | given)
        finder = PhotoFinder.from_parts(engine.encoder, engine.decoder, settings)
        with memory_errors(engine):
            finder.learn(references)
    given["usual_likeness"] = finder.reference_similarity
    return engine, finder


def _given(references: Sequence[ReferenceFile], sources: Sequence[str]) -> dict[str, Any]:
    return {"references": [each.record() for each in references], "sources": [str(each) for each in sources]}


def _without_results(photos: Sequence[Path], output: Path) -> list[Path]:
    """Leave out what lies where the results go: with an output among the photos, that is what an earlier run wrote.

    Raises:
        PhotoError: If nothing else is there.
    """
    folders = {(output / export.folder).resolve() for export in PHOTO_EXPORTS.values()}
    kept = [photo for photo in photos if folders.isdisjoint(photo.resolve().parents)]
    if photos and not kept:
        raise PhotoError(f"{photos[0]}: lies among the results in {output}; give photos that are none of them")
    return kept


def _find_in_the_rest(
    engine: Engine[PhotoSettings],
    finder: PhotoFinder,
    photos: Sequence[tuple[Path, str]],
    writer: PhotoWriter,
    progress: PhotoProgress,
    *,
    keep_going: bool,
) -> PhotoOutcome:
    """Find in the photos that no earlier run has finished, given with the names of their results."""
    album = _Album(writer, photos)

    def tell(failure: PhotoFailure) -> None:
        album.failures.put(failure)
        progress.fail(failure.reason)

    progress.start("photos", len(photos))
    try:
        return find_in_photos(
            engine,
            finder,
            [photo for photo, _ in photos],
            album,
            max_pixels=finder.settings.max_pixels,
            on_photo=progress.advance,
            on_failure=tell if keep_going else None,
            on_interrupt=progress.interrupt,
        )
    finally:
        progress.stop()


def _outcome_record(outcome: PhotoOutcome, earlier: int) -> dict[str, Any]:
    return {
        "photos": outcome.photos,
        "photos_of_earlier_runs": earlier,
        "failed": outcome.failed,
        "complete": not outcome.interrupted,
        "seconds_per_stage": outcome.timings.rounded(),
    }


def _check_resumable(output: Path, record: dict[str, Any]) -> None:
    """Refuse to go on with results of other references, weights or settings: nobody could tell which is which.

    Raises:
        OutputError: If an earlier run's record says so.
    """
    path = output / "run.json"
    if not path.exists():
        return
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
        before, now = dict(earlier["settings"]), record["settings"]
        changed = [key for key in now if key not in _NOT_OF_RESULTS and before.get(key) != now[key]]
        changed += ["weights"] if earlier["checkpoint"]["sha256"] != record["checkpoint"]["sha256"] else []
        changed += ["references"] if _meaning(earlier) != _meaning(record) else []
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise OutputError(
            f"{path}: is no record of an earlier run of ours, so that nothing can be resumed; pass --overwrite or"
            " another --output"
        ) from error
    if changed:
        raise OutputError(
            f"{output}: its results were made with other {', '.join(changed)}; resume with the same, or pass"
            " --overwrite or another --output"
        )


def _meaning(record: dict[str, Any]) -> list[list[Any]]:
    """Return what the references say, wherever their files lie."""
    keys = ("photo_sha256", "mask_sha256", "resize_mask", "mask_threshold")
    return [[each[key] for key in keys] for each in record["references"]]


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
