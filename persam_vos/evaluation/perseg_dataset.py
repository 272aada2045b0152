"""A PerSeg folder -> its classes, each with photos of the same object and their masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from persam_vos.errors import DatasetError
from persam_vos.evaluation.label_png import read_png_mask
from persam_vos.files import PLAIN_NAME, brief_list, list_files, list_folders
from persam_vos.masks import Mask

REFERENCE = "00"
"""Number of the reference: the photo whose mask is given."""
_PHOTOS = (".jpg", ".jpeg", ".png")


class PerSegDataset:
    """PerSeg (arXiv 2305.03048, section 4.1), or photos of one's own in its layout.

    Under ``root`` lie ``Images/<class>/<number>.jpg`` (or ``.jpeg``, ``.png``) and, for each photo,
    ``Annotations/<class>/<number>.png``. Hidden files are ignored.

    Args:
        root: The folder of the dataset.
        classes: Use these classes only; None for all.

    Attributes:
        classes: Names of the classes, sorted or in the order of the argument.

    Raises:
        DatasetError: If a folder is missing, a class is unknown, empty or has no plain name, a photo has no annotation,
            two photos have one number, or an annotation has no photo.
    """

    def __init__(self, root: Path, *, classes: Sequence[str] | None = None) -> None:
        self.root = Path(root)
        self.classes = self._select(classes)
        self._photos = {name: self._pair(name) for name in self.classes}

    def photos(self, class_name: str) -> list[Path]:
        """Return the photos of a class in the order of their numbers; ``DatasetError`` if it is not in use."""
        if class_name not in self._photos:
            raise DatasetError(f"no class {class_name!r} in use; allowed: {', '.join(self.classes)}")
        return list(self._photos[class_name])

    def reference(self, class_name: str) -> Path:
        """Return photo 00 of a class, whose mask is given; ``DatasetError`` if there is none."""
        for photo in self.photos(class_name):
            if photo.stem == REFERENCE:
                return photo
        missing = self.root / "Images" / class_name / f"{REFERENCE}{_PHOTOS[0]}"
        raise DatasetError(f"{missing} is missing; photo {REFERENCE} of a class is its reference")

    def annotation(self, photo: Path) -> Path:
        """Return the PNG with the mask of a photo; ``DatasetError`` if it is no photo of a class in use."""
        if photo not in self._photos.get(photo.parent.name, ()):
            raise DatasetError(f"{photo} is no photo of {self.root}; give one that photos() lists")
        return self._annotations(photo.parent.name) / f"{photo.stem}.png"

    def mask(self, path: Path) -> Mask:
        """Read an annotation or result, see ``read_png_mask``.

        Returns:
            bool, H x W; may be empty.

        Raises:
            DatasetError: If the file cannot be read as a PNG of a mask.
        """
        return read_png_mask(path)

    def _annotations(self, class_name: str) -> Path:
        return self.root / "Annotations" / class_name

    def _select(self, wanted: Sequence[str] | None) -> tuple[str, ...]:
        images, annotations = self.root / "Images", self.root / "Annotations"
        names, annotated = list_folders(images), list_folders(annotations)
        if not names or (wanted is not None and not wanted):
            raise DatasetError(f"{images}: no class is {'asked for' if names else 'there'}; give at least one")
        if unknown := [name for name in wanted or () if name not in names]:
            raise DatasetError(f"no class {brief_list(unknown)} in {images}; allowed: {', '.join(names)}")
        chosen = tuple(names if wanted is None else dict.fromkeys(wanted))
        if odd := [name for name in chosen if not PLAIN_NAME.fullmatch(name)]:
            raise DatasetError(
                f"{images} has a class {odd[0]!r}; a class must be a plain name without spaces or commas"
            )
        if wanted is None and (extra := [name for name in annotated if name not in names]):
            raise DatasetError(
                f"{annotations}: class {brief_list(extra)} has no folder in {images}; remove it or add its photos"
            )
        return chosen

    def _pair(self, class_name: str) -> list[Path]:
        """Return the photos of a class; ``DatasetError`` unless photos and annotations pair up."""
        folder, annotations = self.root / "Images" / class_name, self._annotations(class_name)
        photos, masks = list_files(folder, *_PHOTOS), list_files(annotations, ".png")
        if not photos:
            raise DatasetError(f"{folder} is an empty class: it holds no photo; allowed: {', '.join(_PHOTOS)}")
        numbers = [photo.stem for photo in photos]
        if odd := [photo.name for photo in photos if not PLAIN_NAME.fullmatch(photo.stem)]:
            raise DatasetError(f"{folder}: {odd[0]!r} is no plain name without spaces or commas, such as 01.jpg")
        if twice := [photo.name for photo in photos if numbers.count(photo.stem) > 1]:
            raise DatasetError(f"{folder}: {' and '.join(twice[:2])} have one number; keep one of them")
        annotated = [path.stem for path in masks]
        if lacking := [photo.name for photo in photos if photo.stem not in annotated]:
            raise DatasetError(
                f"{folder}: {brief_list(lacking)} has no annotation in {annotations}; add it or remove the photo"
            )
        if extra := [path.name for path in masks if path.stem not in numbers]:
            raise DatasetError(f"{annotations}: {brief_list(extra)} has no photo in {folder}; remove it or add one")
        return photos
