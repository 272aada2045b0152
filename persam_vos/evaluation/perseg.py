"""A folder of results and a PerSeg folder -> counts of pixels per class -> mIoU, mAcc and mBIoU.

Follows the authors' script (``eval_miou.py``): pixels are summed over the photos of a class, every class weighs the
same, and the reference photo, whose mask is given, is not scored. The tables also give the figures with the reference,
and Boundary IoU, which separates good edges from fair ones where IoU is high.

References:
    Zhang et al., "Personalize Segment Anything Model with One Shot", arXiv:2305.03048.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from persam_vos.errors import DatasetError
from persam_vos.evaluation.overlap import Overlap, compare_masks
from persam_vos.evaluation.perseg_dataset import REFERENCE, PerSegDataset
from persam_vos.files import brief_list, list_files, write_lines


@dataclass(frozen=True, slots=True)
class PhotoScore:
    """One photo of one class.

    Attributes:
        name: Number of the photo, such as ``01``.
        overlap: Overlap of its mask with the annotation.
    """

    name: str
    overlap: Overlap

    @property
    def is_reference(self) -> bool:
        """Whether the mask of this photo was given."""
        return self.name == REFERENCE

    @property
    def iou(self) -> float:
        """Intersection over union, in percent."""
        return self.overlap.iou


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class.

    Attributes:
        name: Name of the class.
        photos: The photos in the order of their numbers: the reference and at least one more.
    """

    name: str
    photos: tuple[PhotoScore, ...]

    @property
    def without_reference(self) -> Overlap:
        """Sum over all photos but the reference: the overlap that the benchmark scores."""
        return _sum(photo.overlap for photo in self.photos if not photo.is_reference)

    @property
    def with_reference(self) -> Overlap:
        """Sum over all photos."""
        return _sum(photo.overlap for photo in self.photos)

    @property
    def iou(self) -> float:
        """IoU without the reference, in percent."""
        return self.without_reference.iou


@dataclass(frozen=True, slots=True)
class PerSegMeans:
    """Means over the classes, in percent.

    Attributes:
        miou: Mean of ``Overlap.iou``.
        macc: Mean of ``Overlap.accuracy``.
        mbiou: Mean of ``Overlap.boundary_iou``.
    """

    miou: float
    macc: float
    mbiou: float


@dataclass(frozen=True, slots=True)
class PerSegScores:
    """Scores of a set of results.

    Attributes:
        classes: One entry per class, in the order of the dataset, at least one. Every class weighs the same.
    """

    classes: tuple[ClassScore, ...]

    @property
    def without_reference(self) -> PerSegMeans:
        """The benchmark's figures: means over the classes, without the reference photos."""
        return _means([each.without_reference for each in self.classes])

    @property
    def with_reference(self) -> PerSegMeans:
        """Means over the classes, with the reference photos."""
        return _means([each.with_reference for each in self.classes])

    @property
    def miou(self) -> float:
        """Mean IoU over the classes without the references, in percent: the figure that the benchmark ranks by."""
        return self.without_reference.miou

    def table(self) -> str:
        """Return IoU, accuracy and Boundary IoU in percent, a line per class, the means, and last the mIoU alone."""
        rows = [(each.name, len(each.photos) - 1, *_percents(each.without_reference)) for each in self.classes]
        photos = sum(row[1] for row in rows)
        for label, count, means in (
            ("mean", photos, self.without_reference),
            ("mean with reference", photos + len(rows), self.with_reference),
        ):
            rows.append((label, count, means.miou, means.macc, means.mbiou))
        width = max(len(row[0]) for row in rows)
        head = f"{'':<{width}}  {'photos':>6}  {'IoU':>6}  {'Acc':>6}  {'BIoU':>6}"
        lines = [f"{row[0]:<{width}}  {row[1]:6d}  {row[2]:6.2f}  {row[3]:6.2f}  {row[4]:6.2f}" for row in rows]
        return "\n".join([head, *lines, f"mIoU: {self.miou:.2f}"])

    def write(self, folder: Path) -> tuple[Path, Path, Path]:
        """Write ``global_results-perseg.csv``, ``per-class_results-perseg.csv`` and ``per-photo_results-perseg.csv``.

        Args:
            folder: Made if it does not exist. Files of these names are replaced, each in one step.

        Returns:
            The three paths, in this order.

        Raises:
            OutputError: If a file cannot be written; no half-written file is left.
        """
        without, with_ = self.without_reference, self.with_reference
        means = _csv(without.miou, without.macc, without.mbiou, with_.miou, with_.macc, with_.mbiou)
        per_class = (
            f"{each.name},{_csv(*_percents(each.without_reference), *_percents(each.with_reference))}"
            for each in self.classes
        )
        per_photo = (
            f"{each.name},{photo.name},{photo.is_reference:d},{_csv(*_percents(photo.overlap))}"
            for each in self.classes
            for photo in each.photos
        )
        kinds = ("global", "per-class", "per-photo")
        first, second, third = (Path(folder) / f"{kind}_results-perseg.csv" for kind in kinds)
        write_lines(first, _columns("mIoU", "mAcc", "mBIoU"), means)
        write_lines(second, f"Class,{_columns('IoU', 'Acc', 'BIoU')}", *per_class)
        write_lines(third, "Class,Photo,Is-Reference,IoU,Acc,BIoU", *per_photo)
        return first, second, third


def score_perseg(
    results: Path,
    root: Path,
    *,
    classes: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PerSegScores:
    """Score a folder of results against PerSeg.

    Args:
        results: Holds a folder per class with a PNG per photo, the reference included, of the annotation's name and
            size; see ``read_png_mask`` for what a mask may look like. Files that are not ``.png`` are ignored.
        root: The dataset, see ``PerSegDataset``; of its photos only the names are needed.
        classes: Score these classes only; None for all.
        progress: Called with the number of photos done and of all photos.

    Returns:
        The scores in full precision.

    Raises:
        DatasetError: If a file of the dataset or of the results is missing, damaged or too many; it names the file.
    """
    dataset = PerSegDataset(root, classes=classes)
    plan = {name: _plan(dataset, name, Path(results) / name) for name in dataset.classes}
    done, total = 0, sum(len(group) for group in plan.values())
    scores = []
    for name, group in plan.items():
        photos = []
        for prediction, truth in group:
            photos.append(PhotoScore(truth.stem, _score(dataset, prediction, truth)))
            done += 1
            if progress:
                progress(done, total)
        scores.append(ClassScore(name, tuple(photos)))
    return PerSegScores(tuple(scores))


def _plan(dataset: PerSegDataset, class_name: str, folder: Path) -> list[tuple[Path, Path]]:
    """Pair prediction and annotation of each photo of a class; ``DatasetError`` if a file is missing or too many."""
    reference = dataset.reference(class_name)
    truths = [dataset.annotation(photo) for photo in dataset.photos(class_name)]
    if len(truths) < 2:
        raise DatasetError(f"{reference} is the only photo of its class; at least one more is needed to be scored")
    given, known = [path.name for path in list_files(folder, ".png")], [path.name for path in truths]
    if extra := [name for name in given if name not in known]:
        raise DatasetError(f"{folder}: {brief_list(extra)} is not in {reference.parent}; allowed: {', '.join(known)}")
    if missing := [name for name in known if name not in given]:
        raise DatasetError(f"{folder}: {brief_list(missing)} is missing; there must be a mask of every photo")
    return [(folder / path.name, path) for path in truths]


def _score(dataset: PerSegDataset, prediction_path: Path, truth_path: Path) -> Overlap:
    truth = dataset.mask(truth_path)
    if not truth.any():
        raise DatasetError(f"{truth_path} holds no object; an annotation must")
    prediction = dataset.mask(prediction_path)
    if prediction.shape != truth.shape:
        (height, width), (true_height, true_width) = prediction.shape, truth.shape
        raise DatasetError(f"{prediction_path} is {height} x {width}; its annotation is {true_height} x {true_width}")
    return compare_masks(prediction, truth)


def _sum(overlaps: Iterable[Overlap]) -> Overlap:
    return sum(overlaps, start=Overlap(0, 0, 0, 0, 0))


def _means(overlaps: Sequence[Overlap]) -> PerSegMeans:
    return PerSegMeans(*map(statistics.fmean, zip(*map(_percents, overlaps), strict=True)))


def _percents(overlap: Overlap) -> tuple[float, float, float]:
    return overlap.iou, overlap.accuracy, overlap.boundary_iou


def _columns(*names: str) -> str:
    return ",".join([*names, *(f"{name}-with-Reference" for name in names)])


def _csv(*values: float) -> str:
    return ",".join(f"{value:.6f}" for value in values)
