"""How the masks that a person gives are read: what the options about masks say, in one record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from persam_vos.masks import LabelMap
from persam_vos.media.masks.files import read_mask


@dataclass(frozen=True, slots=True)
class MaskReading:
    """How mask files are read; see ``read_mask``.

    Attributes:
        resize: Whether masks of another size are scaled.
        threshold: Alpha or brightness, 0..254, above which a soft mask is one object; None for masks that are not soft.
        invert: Whether what is not painted is the object.
        ids: The objects of label maps that are read; None for all.
    """

    resize: bool = False
    threshold: int | None = None
    invert: bool = False
    ids: tuple[int, ...] | None = None

    def read(
        self,
        path: Path,
        *,
        height: int,
        width: int,
        of: str = "video",
        frame: str | None = None,
        doubts: list[str] | None = None,
    ) -> LabelMap:
        """Read a mask of a frame or photo of this size; see ``read_mask``.

        Raises:
            MaskError: If it is no such mask.
        """
        return read_mask(
            path,
            height=height,
            width=width,
            resize=self.resize,
            threshold=self.threshold,
            invert=self.invert,
            ids=self.ids,
            of=of,
            frame=frame,
            doubts=doubts,
        )

    def record(self) -> dict[str, Any]:
        """Return what run.json says of it."""
        return {
            "resize_mask": self.resize,
            "mask_threshold": self.threshold,
            "invert_mask": self.invert,
            "mask_ids": None if self.ids is None else list(self.ids),
        }


AS_IT_IS = MaskReading()
