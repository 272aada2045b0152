"""Label maps as prompts: files or arrays that show the objects of one frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from persam_vos.masks import ArrayRecord, LabelMap, as_label_map
from persam_vos.media.masks.doubts import annotation_warnings, void_warnings
from persam_vos.media.masks.reading import AS_IT_IS, MaskReading
from persam_vos.media.stream import FrameReader
from persam_vos.video.prompting.keyframes import FrameOf, Keyframes, Place, of_label_map

if TYPE_CHECKING:
    from persam_vos.sam.engine import Engine


@dataclass(slots=True)
class AnnotationFile:
    """The mask of a frame, and how to read it; see ``read_mask`` and ``PromptSource``.

    Attributes:
        path: The mask.
        frame: Index of the frame; None for the first one that is tracked.
        reading: How it is read.
    """

    path: Path
    frame: int | None = None
    reading: MaskReading = AS_IT_IS
    _at: int = field(default=0, init=False, repr=False, compare=False)
    _label_map: LabelMap | None = field(default=None, init=False, repr=False, compare=False)
    _doubts: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """The mask."""
        return (self.path,)

    def check(self, video: FrameReader) -> tuple[Place, ...]:
        """Read the mask; see ``PromptSource``.

        Raises:
            MaskError: If it cannot be read, does not fit, or is empty.
        """
        self._doubts.clear()
        info = video.info
        self._at = video.peek().index if self.frame is None else self.frame
        self._label_map = self.reading.read(
            self.path, height=info.height, width=info.width, frame=info.name_of(self._at), doubts=self._doubts
        )
        return _places(self._at, self._label_map)

    def find(self, engine: Engine[Any], frame_of: FrameOf) -> Keyframes:  # noqa: ARG002 - a mask needs no model
        """Return the mask's objects; see ``PromptSource``."""
        assert self._label_map is not None, "check comes first"
        reading = self.reading.record()
        record = (
            {"first_mask": str(self.path), **reading}
            if self.frame is None
            else {"masks": [{"frame": self.frame, "mask": str(self.path), **reading}]}
        )
        warnings = (*self._doubts, *annotation_warnings(self._label_map, of=frame_name(self.frame)))
        return Keyframes(of_label_map(self._at, self._label_map), warnings, record)


@dataclass(slots=True, repr=False)
class AnnotationArray(ArrayRecord):
    """The mask of the first frame as an array; see ``as_label_map`` and ``PromptSource``.

    Attributes:
        mask: H x W, of bool or any integer dtype.
    """

    mask: npt.ArrayLike
    _at: int = field(default=0, init=False, repr=False, compare=False)
    _label_map: LabelMap | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """None."""
        return ()

    def check(self, video: FrameReader) -> tuple[Place, ...]:
        """Check the mask's dtype, shape and values.

        Raises:
            MaskError: If one of them is not allowed.
        """
        self._label_map = as_label_map(self.mask, video.info.height, video.info.width, of="video")
        self._at = video.peek().index
        return _places(self._at, self._label_map)

    def find(self, engine: Engine[Any], frame_of: FrameOf) -> Keyframes:  # noqa: ARG002 - a mask needs no model
        """Return the mask's objects; see ``PromptSource``."""
        assert self._label_map is not None, "check comes first"
        warnings = (*void_warnings(np.asarray(self.mask)), *annotation_warnings(self._label_map))
        return Keyframes(of_label_map(self._at, self._label_map), warnings, {"first_mask": "array"})


def frame_name(frame: int | None) -> str:
    """Return what messages call a frame; None is the first one that is tracked."""
    return "the first frame" if frame is None else f"frame {frame}"


def _places(frame: int, label_map: LabelMap) -> tuple[Place, ...]:
    return tuple((frame, object_id) for object_id in np.unique(label_map[label_map > 0]).tolist())
