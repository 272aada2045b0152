"""All that a person says of a video: from masks, boxes, points and photos, to the keyframes of its objects."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from persam_vos.errors import EmptyMaskError, PromptError
from persam_vos.masks import VOID
from persam_vos.media.frame import Frame
from persam_vos.media.random_access import RandomAccessVideo
from persam_vos.media.stream import Clip, FrameReader
from persam_vos.prompts import NamedObject
from persam_vos.video.prompting.keyframes import FrameOf, Keyframes, Place, joined, two_masks
from persam_vos.video.source import VideoSource

if TYPE_CHECKING:
    from persam_vos.sam.engine import Engine


def void_doubts(ids: Collection[int]) -> tuple[str, ...]:
    """Return a warning if one of the objects of these ids has the value of void."""
    if VOID not in ids:
        return ()
    return ("object 255: many programs, and --first-mask here, take 255 in a label map for void; another id is safer",)


class PromptSource(Protocol):
    """Says where objects are: ``check`` before a model is loaded, then ``find`` with it."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that it reads, which no run may remove."""
        ...

    def check(self, video: FrameReader) -> tuple[Place, ...]:
        """Read every file, and keep what ``find`` needs.

        Args:
            video: Its next frame is the first one that is tracked; no frame of it is lost.

        Returns:
            The frames and objects that are spoken of, as far as they are known without a model.

        Raises:
            PersamVosError: If a file cannot be read, or does not fit the video.
        """
        ...

    def find(self, engine: Engine[Any], frame_of: FrameOf) -> Keyframes:
        """Return the keyframes in the video that was checked.

        Args:
            engine: The model.
            frame_of: Returns any frame of the video by its index.

        Raises:
            EmptyMaskError: If no object is found.
        """
        ...


@dataclass(slots=True)
class Prompting:
    """Everything that is said of one video.

    Attributes:
        sources: What says where the objects are.
        objects: Names and colours of some of them.
    """

    sources: tuple[PromptSource, ...]
    objects: tuple[NamedObject, ...] = ()
    _places: frozenset[Place] = field(default=frozenset(), init=False, repr=False, compare=False)
    _first: int = field(default=0, init=False, repr=False, compare=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are read, which no run may remove."""
        return tuple(path for source in self.sources for path in source.files)

    @property
    def later(self) -> tuple[int, ...]:
        """After ``check``: frames besides the first one of which something is said, in rising order."""
        return tuple(sorted({frame for frame, _ in self._places} - {self._first}))

    def check(self, video: FrameReader) -> None:
        """Check all that needs neither a model nor other frames.

        Args:
            video: Its next frame is the first one that is tracked; no frame of it is lost.

        Raises:
            PromptError: If an object is spoken of twice on a frame, or has a name and no prompt.
            PersamVosError: If a file cannot be read, or does not fit the video.
        """
        self._first = video.peek().index
        seen: set[Place] = set()
        for place in (place for source in self.sources for place in source.check(video)):
            if place in seen:
                raise two_masks(place)
            seen.add(place)
        self._places = frozenset(seen)
        known = {object_id for _, object_id in seen}
        for each in self.objects:
            if known and each.id not in known:
                listed = ", ".join(map(str, sorted(known)))
                raise PromptError(f"object {each.id} has a name or a color, and no prompt; the objects are {listed}")

    def check_frames(self, clip: Clip | None, count: int) -> None:
        """Check that everything is said of frames that are tracked.

        Args:
            clip: The frames that are tracked; None for all.
            count: Frames of the whole video.

        Raises:
            PromptError: If a frame is not among them.
        """
        clip = clip or Clip(0, None)
        end = count if clip.stop is None else min(count, clip.stop)
        for frame in self.later:
            if frame >= count:
                raise PromptError(f"frame {frame} lies outside the video, which has {count} frames, 0 to {count - 1}")
            if not clip.start <= frame < end:
                raise PromptError(
                    f"frame {frame} lies outside the range, {clip.start} to {end - 1}; give another --start or --end"
                )
            if beyond := (frame - clip.start) % clip.stride:
                raise PromptError(
                    f"frame {frame} is left out by --stride {clip.stride}; give frame {frame - beyond}, or another"
                    " --start or --stride"
                )

    def find(self, engine: Engine[Any], frame_of: FrameOf) -> Keyframes:
        """Return all keyframes of the video that was checked.

        Args:
            engine: The model.
            frame_of: Returns a frame of the video by its index.

        Raises:
            EmptyMaskError: If an object is not found.
            PromptError: If others cover all of an object on a frame, or it has two masks there.
        """
        found = joined(source.find(engine, frame_of) for source in self.sources)
        ids = {each.object_id for each in found.keyframes if not each.absent}
        for each in found.keyframes:
            if each.object_id not in ids:
                raise EmptyMaskError(
                    f"object {each.object_id} has no pixel on any frame; say where it is, or leave it out"
                )
        doubts = tuple(doubt for each in found.keyframes for doubt in each.doubts)
        return replace(found, warnings=(*found.warnings, *doubts, *void_doubts(ids)))

    def named(self, ids: Iterable[int]) -> tuple[NamedObject, ...]:
        """Return the objects of some ids, with the names and colours that are known."""
        known = {each.id: each for each in self.objects}
        return tuple(known.get(object_id, NamedObject(object_id)) for object_id in sorted(ids))


@contextmanager
def other_frames(video: VideoSource, reader: FrameReader, prompting: Prompting) -> Iterator[RandomAccessVideo | None]:
    """Open a video for reading in any order, if something is said of another frame than the first one.

    Args:
        video: The video.
        reader: Of its frames that are tracked.
        prompting: What is said; checked with this reader.

    Raises:
        PromptError: If something is said of a frame that is not tracked.
        VideoError: If the frames can be read once only.
    """
    if not prompting.later:
        yield None
        return
    with video.random_access() as frames:
        prompting.check_frames(reader.info.clip, len(frames))
        yield frames


def frame_function(reader: FrameReader, frames: RandomAccessVideo | None) -> FrameOf:
    """Return what gives a frame by its index.

    Args:
        reader: Gives the first frame that is tracked, which it has not yet delivered.
        frames: Gives the others; None where nothing is said of them.
    """

    def frame_of(index: int) -> Frame:
        first = reader.peek()
        return first if frames is None or index == first.index else frames.frame(index)

    return frame_of
