"""Whole jobs on photos, as the command line offers them: one folder of results, one benchmark scored."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from persam_vos.contact_sheet import ContactSheet
from persam_vos.draw import palette_image
from persam_vos.engine import EmbeddingEngine, engine_record
from persam_vos.errors import OutputError
from persam_vos.files import whole_file
from persam_vos.frame import Frame
from persam_vos.jobs import Progress
from persam_vos.objects import FrameResult
from persam_vos.overlap import compare_masks
from persam_vos.perseg import PerSegScores, score_perseg
from persam_vos.perseg_dataset import PerSegDataset
from persam_vos.photo_config import PhotoSettings
from persam_vos.photo_finder import PhotoFinder
from persam_vos.photo_pipeline import PhotoFailure, PhotoOutcome, find_in_photos
from persam_vos.photo_writer import PhotoResult, PhotoWriter, output_names
from persam_vos.photos import find_photos, read_photo
from persam_vos.record import write_run_json
from persam_vos.reference_file import ReferenceFile
from persam_vos.writer import open_folder

# What another machine may have been told otherwise, without other results being meant.
_OF_THE_MACHINE = ("device", "backend", "precision", "batch_size")


class PhotoProgress(Progress, Protocol):
    """What a job on photos tells whoever is waiting."""

    def fail(self, message: str) -> None:
        """A photo could not be read."""
        ...


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
    photos = find_photos(sources)
    names = output_names(photos)
    given = {"references": [reference.record() for reference in references], "sources": [str(each) for each in sources]}
    if resume:
        _check_resumable(output, settings, given)
    with PhotoWriter(output, exports=settings.export, overwrite=overwrite, resume=resume) as writer:
        left = [(photo, name) for photo, name in zip(photos, names, strict=True) if not writer.is_done(photo, name)]
        engine = EmbeddingEngine(settings, square=True)
        finder = PhotoFinder(engine.encoder, engine.decoder, settings)
        finder.learn(learnt)
        write_run_json(output, engine_record(engine, 0.0) | given | {"complete": False})
        outcome = _find_in_the_rest(engine, finder, left, writer, progress, keep_going=keep_going)
    seconds = time.perf_counter() - started
    write_run_json(output, engine_record(engine, seconds) | given | _outcome_record(outcome, len(photos) - len(left)))
    return outcome


def _find_in_the_rest(
    engine: EmbeddingEngine,
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


def _check_resumable(output: Path, settings: PhotoSettings, given: dict[str, Any]) -> None:
    """Refuse to go on with results of other references or settings: nobody could tell which is which.

    Raises:
        OutputError: If an earlier run's record says so.
    """
    changed: list[str] = []
    with suppress(OSError, ValueError, KeyError, TypeError):
        earlier = json.loads((output / "run.json").read_text(encoding="utf-8"))
        before, now = earlier["settings"], settings.model_dump(mode="json")
        changed += [key for key in now if key not in _OF_THE_MACHINE and before.get(key) != now[key]]
        changed += ["references"] if _hashes(earlier) != _hashes(given) else []
    # Raised out here: an OutputError is an OSError as well.
    if changed:
        raise OutputError(
            f"{output}: its results were made with other {', '.join(changed)}; resume with the same, or pass"
            " --overwrite or another --output"
        )


def _hashes(record: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["photo_sha256"], each["mask_sha256"]) for each in record["references"]]


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


def run_perseg(
    root: Path,
    output: Path,
    settings: PhotoSettings,
    progress: PhotoProgress,
    *,
    classes: Sequence[str] | None = None,
    overwrite: bool = False,
) -> PerSegScores:
    """Segment every photo of PerSeg by its class's reference, into ``output/CLASS/NN.png``, then score them.

    Beside the tables lies ``contact_sheet.jpg``, with every prediction.

    Raises:
        PersamVosError: Of the kind that fits what is wrong.
        KeyboardInterrupt: If the user stops it.
    """
    started = time.perf_counter()
    dataset = PerSegDataset(root, classes=classes)
    references = {name: dataset.reference(name) for name in dataset.classes}
    open_folder(output, overwrite=overwrite)
    engine = EmbeddingEngine(settings, square=True)
    finder = PhotoFinder(engine.encoder, engine.decoder, settings)
    sheet, records = ContactSheet(), {}
    for name, reference in references.items():
        mask = dataset.mask(dataset.annotation(reference)).view(np.uint8)
        finder.learn([(read_photo(reference, max_pixels=settings.max_pixels), mask)])
        folder = _ClassFolder(output / name, dataset, dataset.photos(name), sheet)
        outcome = _segment_class(engine, finder, folder, progress)
        records[name] = {"photos": outcome.photos, "seconds_per_stage": outcome.timings.rounded()}
    sheet.write(output / "contact_sheet.jpg")
    seconds = time.perf_counter() - started
    write_run_json(output, engine_record(engine, seconds) | {"perseg": str(root), "classes": records})
    scores = score_perseg(output, root, classes=dataset.classes)
    scores.write(output)
    return scores


def _segment_class(
    engine: EmbeddingEngine, finder: PhotoFinder, folder: _ClassFolder, progress: PhotoProgress
) -> PhotoOutcome:
    """Segment the photos of a class; KeyboardInterrupt if the user stops it, since half of one cannot be scored."""
    progress.start(folder.path.name, len(folder.photos))
    try:
        outcome = find_in_photos(
            engine,
            finder,
            folder.photos,
            folder,
            max_pixels=finder.settings.max_pixels,
            on_photo=progress.advance,
            on_interrupt=progress.interrupt,
        )
    finally:
        progress.stop()
    if outcome.interrupted:
        raise KeyboardInterrupt
    return outcome


class _ClassFolder:
    """Writes the masks of a class, and adds them to the contact sheet; see ``ResultWriter``."""

    def __init__(self, path: Path, dataset: PerSegDataset, photos: Sequence[Path], sheet: ContactSheet) -> None:
        self.warnings: list[str] = []
        self.path, self.photos = path, photos
        self._dataset, self._sheet = dataset, sheet

    def write(self, frame: Frame, result: FrameResult) -> None:
        photo = self.photos[frame.index]
        with whole_file(self.path / f"{photo.stem}.png") as partial:
            palette_image(result.label_map).save(partial, "PNG")
        truth = self._dataset.mask(self._dataset.annotation(photo))
        iou = compare_masks(result.label_map > 0, truth).iou
        self._sheet.add(frame.rgb, result.label_map, f"{self.path.name}/{photo.stem}  {iou:.1f}")

    def close(self) -> tuple[Path, ...]:
        return (self.path,)

    def abort(self) -> None:
        pass
