"""The benchmark on photos: every photo of PerSeg segmented, then scored."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from persam_vos.errors import DatasetError, OutputError
from persam_vos.evaluation import PerSegDataset, PerSegScores, compare_masks, score_perseg
from persam_vos.exports.base import open_folder
from persam_vos.exports.contact_sheet import ContactSheet
from persam_vos.exports.draw import palette_image
from persam_vos.exports.run_record import remove_run_json
from persam_vos.files import output_errors, remove_if_left_empty, whole_file
from persam_vos.media.frame import Frame
from persam_vos.media.photo_files import photo_size, read_photo, refuse_larger
from persam_vos.photos.finder import PhotoFinder
from persam_vos.photos.pipeline import find_in_photos
from persam_vos.pipeline.gpu_memory import explained_gpu_memory_errors
from persam_vos.pipeline.progress import Progress
from persam_vos.pipeline.record import run_record
from persam_vos.results import FrameResult
from persam_vos.sam.engine import Engine
from persam_vos.settings.photos import PhotoSettings

# What an earlier run may have called the mask of a photo that the class has no more.
_NUMBERED = re.compile(r"[0-9]{2,}\.png")


def run_perseg(
    root: Path,
    output: Path,
    settings: PhotoSettings,
    progress: Progress,
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
    sheet = ContactSheet()
    # All of them now: each refuses a folder that it must not replace.
    folders = {name: _ClassFolder(output / name, dataset, sheet) for name in dataset.classes}
    with remove_if_left_empty(output):
        engine = Engine(settings)
    # No earlier record may stand beside half of this run.
    remove_run_json(output)
    finder, records = PhotoFinder.from_parts(engine.encoder, engine.decoder, settings), {}
    for name, reference in references.items():
        mask = dataset.mask(dataset.annotation(reference)).view(np.uint8)
        with explained_gpu_memory_errors(engine):
            finder.learn([(read_photo(reference, max_pixels=settings.max_pixels), mask)])
        outcome = find_in_photos(
            engine, finder, dataset.photos(name), folders[name], progress, name=name, keep_interrupted=False
        )
        records[name] = {"photos": outcome.frames, "seconds_per_stage": outcome.timings.rounded()}
    sheet.write(output / "contact_sheet.jpg")
    given, seconds = {"perseg": str(root), "classes": records}, time.perf_counter() - started
    run_record(engine, given, {}, seconds).write(output)
    scores = score_perseg(output, root, classes=dataset.classes)
    scores.write(output)
    return scores


def _checked_reference(dataset: PerSegDataset, class_name: str, max_pixels: int) -> Path:
    """Return a class's reference, after checking that the results can be scored.

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


class _ClassFolder:
    """Writes the masks of a class, and adds them to the contact sheet; see ``ResultWriter``.

    Args:
        path: The folder; masks of an earlier run in it are replaced or removed.
        dataset: The photos and the truth.
        sheet: Gets each prediction.

    Raises:
        OutputError: If the folder holds anything but masks of an earlier run.
    """

    def __init__(self, path: Path, dataset: PerSegDataset, sheet: ContactSheet) -> None:
        self.warnings: list[str] = []
        self._path, self._dataset, self._sheet = path, dataset, sheet
        self._photos = dataset.photos(path.name)
        self._names = {f"{photo.stem}.png" for photo in self._photos}
        self._earlier()

    def write(self, frame: Frame, result: FrameResult) -> None:
        photo = self._photos[frame.index]
        with whole_file(self._path / f"{photo.stem}.png") as partial:
            palette_image(result.label_map).save(partial, "PNG")
        truth = self._dataset.mask(self._dataset.annotation(photo))
        iou = compare_masks(result.label_map > 0, truth).iou
        self._sheet.add(frame.rgb, result.label_map, f"{self._path.name}/{photo.stem}  {iou:.1f}")

    def close(self) -> tuple[Path, ...]:
        """Remove the masks of photos that the class had in an earlier run: they cannot be scored."""
        with output_errors(self._path):
            for mask in self._earlier():
                if mask.name not in self._names:
                    mask.unlink()
        return (self._path,)

    def abort(self) -> None:
        pass

    def _earlier(self) -> list[Path]:
        """Return the masks in the folder."""
        if not self._path.exists():
            return []
        if not self._path.is_dir():
            raise OutputError(f"{self._path}: is in the way, and not a folder; move it away")
        with output_errors(self._path):
            masks = [path for path in self._path.iterdir() if not path.name.startswith(".")]
        for path in masks:
            if path.name not in self._names and not _NUMBERED.fullmatch(path.name):
                raise OutputError(f"{self._path}: holds {path.name}, which is no mask of ours; move it away")
        return masks
