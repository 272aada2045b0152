"""Where the objects of a video's first frame come from: its mask, or anything else that finds them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from persam_vos.masks import ArrayRecord, LabelMap, as_label_map
from persam_vos.media.mask_files import annotation_warnings, read_mask, void_warnings
from persam_vos.media.stream import FrameReader

if TYPE_CHECKING:
    from persam_vos.sam.engine import Engine


@dataclass(frozen=True, slots=True, repr=False)
class Annotation(ArrayRecord):
    """What is known of the first frame.

    Attributes:
        label_map: uint8, H x W, 0 = background, n = object n.
        warnings: What makes it doubtful that its objects can be tracked.
        record: Where it comes from, for run.json.
        made: Whether the masks were made of boxes and points, so that a person has not seen them yet.
    """

    label_map: LabelMap
    warnings: tuple[str, ...]
    record: dict[str, Any]
    made: bool = False


class FirstFrame(Protocol):
    """Says where the objects of a first frame are: ``check`` before a model is loaded, then ``find`` with it."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that it reads, which no run may remove."""
        ...

    def check(self, video: FrameReader) -> None:
        """Read every file, and keep what ``find`` needs.

        Args:
            video: Whose first frame it is; no frame of it is lost.

        Raises:
            PersamVosError: If a file cannot be read, or does not fit the video.
        """
        ...

    def find(self, engine: Engine[Any]) -> Annotation:
        """Return the annotation of the first frame of the video that was checked.

        Raises:
            EmptyMaskError: If no object is found.
        """
        ...


@dataclass(slots=True)
class AnnotationFile:
    """The mask of the first frame, and how to read it; see ``read_mask`` and ``FirstFrame``.

    Attributes:
        path: The mask.
        resize: Whether a mask of another size is scaled.
        threshold: Brightness (0..254) above which a soft mask is one object; None for a label map.
    """

    path: Path
    resize: bool = False
    threshold: int | None = None
    _label_map: LabelMap | None = field(default=None, init=False, repr=False, compare=False)
    _doubts: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """The mask."""
        return (self.path,)

    def check(self, video: FrameReader) -> None:
        """Read the mask.

        Raises:
            MaskError: If it cannot be read, does not fit, or is empty.
        """
        self._doubts.clear()
        self._label_map = read_mask(
            self.path,
            height=video.info.height,
            width=video.info.width,
            resize=self.resize,
            threshold=self.threshold,
            doubts=self._doubts,
        )

    def find(self, engine: Engine[Any]) -> Annotation:  # noqa: ARG002 - a mask needs no model
        """Return the mask; see ``FirstFrame``."""
        assert self._label_map is not None, "check comes first"
        record = {"first_mask": str(self.path), "resize_mask": self.resize, "mask_threshold": self.threshold}
        return Annotation(self._label_map, (*self._doubts, *annotation_warnings(self._label_map)), record)


@dataclass(slots=True, repr=False)
class AnnotationArray(ArrayRecord):
    """The mask of the first frame as an array; see ``as_label_map`` and ``FirstFrame``.

    Attributes:
        mask: H x W, of bool or any integer dtype.
    """

    mask: npt.ArrayLike
    _label_map: LabelMap | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """None."""
        return ()

    def check(self, video: FrameReader) -> None:
        """Check the mask's dtype, shape and values.

        Raises:
            MaskError: If one of them is not allowed.
        """
        self._label_map = as_label_map(self.mask, video.info.height, video.info.width, of="video")

    def find(self, engine: Engine[Any]) -> Annotation:  # noqa: ARG002 - a mask needs no model
        """Return the mask; see ``FirstFrame``."""
        assert self._label_map is not None, "check comes first"
        warnings = (*void_warnings(np.asarray(self.mask)), *annotation_warnings(self._label_map))
        return Annotation(self._label_map, warnings, {"first_mask": "array"})
