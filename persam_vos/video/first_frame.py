"""Where the objects of a video's first frame come from: its mask, or something else that finds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from persam_vos.masks import LabelMap
from persam_vos.media.mask_files import doubts, read_mask
from persam_vos.media.stream import FrameReader


@dataclass(frozen=True, slots=True)
class Annotation:
    """What is known of the first frame.

    Attributes:
        label_map: uint8, H x W, 0 = background, n = object n.
        warnings: What makes it doubtful that its objects can be followed.
        record: How it came about, for run.json.
    """

    label_map: LabelMap
    warnings: tuple[str, ...]
    record: dict[str, Any]


class FirstFrame(Protocol):
    """Something that says where the objects of a first frame are."""

    @property
    def files(self) -> tuple[Path, ...]:
        """What it reads: no run may remove it."""
        ...

    def read(self, open_again: Callable[[], FrameReader], height: int, width: int) -> Callable[[Any], Annotation]:
        """Read all that can be wrong; return what asks a model, an ``Engine``, for the rest.

        Args:
            open_again: Opens the video anew.
            height: Of the video's frames.
            width: Of the video's frames.

        Raises:
            PersamVosError: Of the kind that fits what is wrong.
        """
        ...


@dataclass(frozen=True, slots=True)
class AnnotationFile:
    """The mask of the first frame, and how to take it; see ``read_mask`` and ``FirstFrame``."""

    path: Path
    resize: bool = False
    threshold: int | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The mask."""
        return (self.path,)

    def read(self, open_again: Callable[[], FrameReader], height: int, width: int) -> Callable[[Any], Annotation]:
        """Read the mask, which needs no model.

        Raises:
            MaskError: If it cannot be read, does not fit, or is empty.
        """
        del open_again
        label_map = read_mask(self.path, height=height, width=width, resize=self.resize, threshold=self.threshold)
        record = {"first_mask": str(self.path), "resize_mask": self.resize, "mask_threshold": self.threshold}
        annotation = Annotation(label_map, tuple(doubts(label_map)), record)
        return lambda _: annotation
