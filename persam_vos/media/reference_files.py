"""An annotated photo on disk becomes a photo and its label map, or a refusal that says why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from persam_vos.errors import MaskError
from persam_vos.files import file_sha256
from persam_vos.masks import LabelMap, Rgb
from persam_vos.media.mask_files import read_mask
from persam_vos.media.photo_files import read_photo

# Share of a photo from which on an object leaves nothing to tell it from.
_ALMOST_ALL = 0.999


@dataclass(frozen=True, slots=True)
class ReferenceFile:
    """An annotated photo, and how its mask is read; see ``read_mask``."""

    photo: Path
    mask: Path
    resize: bool = False
    threshold: int | None = None

    def read(self, max_pixels: int) -> tuple[Rgb, LabelMap]:
        """Read both.

        Raises:
            PhotoError: If the photo cannot be read.
            MaskError: If the mask cannot, does not fit, is empty, or leaves nothing to tell the object from.
        """
        rgb = read_photo(self.photo, max_pixels=max_pixels)
        label_map = read_mask(
            self.mask,
            height=rgb.shape[0],
            width=rgb.shape[1],
            resize=self.resize,
            threshold=self.threshold,
            of="photo",
        )
        if (label_map > 0).mean() > _ALMOST_ALL:
            raise MaskError(f"{self.mask}: covers all of {self.photo}; leave something that is not the object")
        return rgb, label_map

    def record(self) -> dict[str, Any]:
        """Name both files, what they hold, and how the mask is read."""
        return {
            "photo": str(self.photo),
            "photo_sha256": file_sha256(self.photo),
            "mask": str(self.mask),
            "mask_sha256": file_sha256(self.mask),
            "resize_mask": self.resize,
            "mask_threshold": self.threshold,
        }
