"""An annotated photo on disk becomes pixels and a label map, or is refused with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from persam_vos.errors import MaskError
from persam_vos.files import file_sha256
from persam_vos.masks import LabelMap, Rgb
from persam_vos.media.masks.reading import AS_IT_IS, MaskReading
from persam_vos.media.photo_files import read_photo

# Objects of a larger share of the photo leave no background to tell them from.
_MAX_AREA_SHARE = 0.999


@dataclass(frozen=True, slots=True)
class ReferenceFile:
    """An annotated photo, and how its mask is read; see ``read_mask``."""

    photo: Path
    mask: Path
    reading: MaskReading = AS_IT_IS

    def read(self, max_pixels: int) -> tuple[Rgb, LabelMap]:
        """Read the photo and its mask.

        Raises:
            PhotoError: If the photo cannot be read.
            MaskError: If the mask cannot be read, does not fit, is empty, or covers the whole photo.
        """
        rgb = read_photo(self.photo, max_pixels=max_pixels)
        height, width = rgb.shape[:2]
        label_map = self.reading.read(self.mask, height=height, width=width, of="photo")
        if (label_map > 0).mean() > _MAX_AREA_SHARE:
            raise MaskError(f"{self.mask}: covers all of {self.photo}; leave something that is not the object")
        return rgb, label_map

    def record(self) -> dict[str, Any]:
        """Return what identifies the reference: both files with their hashes, and how the mask is read."""
        return {
            "photo": str(self.photo),
            "photo_sha256": file_sha256(self.photo),
            "mask": str(self.mask),
            "mask_sha256": file_sha256(self.mask),
            **self.reading.record(),
        }
