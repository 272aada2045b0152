"""The benchmark of photos, as the command line offers it: PerSeg segmented, then scored."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from persam_vos.errors import DatasetError
from persam_vos.evaluation import PerSegDataset, PerSegScores, compare_masks, score_perseg
from persam_vos.exports.base import open_folder
from persam_vos.exports.contact_sheet import ContactSheet
from persam_vos.exports.draw import palette_image
from persam_vos.exports.run_record import remove_run_json, write_run_json
from persam_vos.files import no_empty_folder, whole_file
from persam_vos.media.frame import Frame
from persam_vos.media.photo_files import photo_size, read_photo, refuse_larger
from persam_vos.photos.finder import PhotoFinder
from persam_vos.photos.pipeline import PhotoOutcome, find_in_photos
from persam_vos.pipeline.gpu_memory import memory_errors
from persam_vos.pipeline.progress import PhotoProgress
from persam_vos.pipeline.record import engine_record
from persam_vos.results import FrameResult
from persam_vos.sam.engine import Engine
from persam_vos.settings.photos import PhotoSettings


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
    references = {name: _checked_reference(dataset, name, settings.max_pixels) for name in dataset.classes}
    open_folder(output, overwrite=overwrite)
    with no_empty_folder(output):
        engine = Engine(settings)
    # The record of an earlier run must not stand beside half of this one.
    remove_run_json(output)
    finder = PhotoFinder.from_parts(engine.encoder, engine.decoder, settings)
    sheet, records = ContactSheet(), {}
    for name, reference in references.items():
        mask = dataset.mask(dataset.annotation(reference)).view(np.uint8)
        with memory_errors(engine):
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


def _checked_reference(dataset: PerSegDataset, class_name: str, max_pixels: int) -> Path:
    """Return a class's reference, once it is sure that what will be segmented can be scored: that is known at the end.

    Raises:
        DatasetError: If there is nothing to score, or an annotation is empty or not of its photo's size.
        PhotoError: If a photo is none, or too large.
    """
    reference, photos = dataset.reference(class_name), dataset.photos(class_name)
    if len(photos) < 2:
        raise DatasetError(f"{reference} is the only photo of its class; at least one more is needed to be scored")
    for photo in photos:
        annotation, (width, height) = dataset.annotation(photo), photo_size(photo)
        refuse_larger(photo, (width, height), max_pixels)
        mask = dataset.mask(annotation)
        if mask.shape != (height, width):
            raise DatasetError(f"{annotation} is {mask.shape[0]} x {mask.shape[1]}, its photo {height} x {width}")
        if not mask.any():
            raise DatasetError(f"{annotation} holds no object; an annotation must")
    return reference


def _segment_class(
    engine: Engine[PhotoSettings], finder: PhotoFinder, folder: _ClassFolder, progress: PhotoProgress
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
