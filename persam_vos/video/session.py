"""A video with its prompts and results, in any order: mark objects, propagate, look, correct, save."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from persam_vos.errors import FrameIndexError, MaskError, PromptError, SettingsError
from persam_vos.files import PathLike
from persam_vos.masks import Mask, Rgb, as_label_map
from persam_vos.media.object_mask import read_object_mask
from persam_vos.media.ranges import frame_range
from persam_vos.media.readers import open_random_access
from persam_vos.media.stream import StreamInfo
from persam_vos.prompts import MAX_ID, NamedObject, ObjectPrompt, hex_colour
from persam_vos.prompts.points import as_box, as_point
from persam_vos.results import FrameResult
from persam_vos.sam.engine import Engine
from persam_vos.settings.video import Settings
from persam_vos.video.doubt import Doubt, Observed, doubtful
from persam_vos.video.embedding_cache import DEFAULT_LIMIT_BYTES, EmbeddingCache, cache_identity
from persam_vos.video.found_store import FoundStore
from persam_vos.video.keyframes import Keyframe, Place
from persam_vos.video.prompt_mask import mask_of_prompt
from persam_vos.video.propagated import PropagatedVideo
from persam_vos.video.propagation import Walked

OnWalked = Callable[[Walked], None]


@dataclass(frozen=True, slots=True)
class Edition:
    """What a person has said so far; each change makes a new one.

    Attributes:
        objects: In rising order of id.
        keyframes: By frame and object.
        said: What a keyframe was made of, where that is no mask.
    """

    objects: tuple[NamedObject, ...] = ()
    keyframes: Mapping[Place, Keyframe] = field(default_factory=lambda: MappingProxyType({}))
    said: Mapping[Place, ObjectPrompt] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, object_id: int) -> dict[int, Keyframe]:
        """Return the keyframes of an object, by frame."""
        return {frame: each for (frame, number), each in sorted(self.keyframes.items()) if number == object_id}


class SessionObject:
    """One object of a session.

    Attributes:
        id: Its value in label maps, 1..255.
    """

    def __init__(self, session: Session, object_id: int) -> None:
        self._session, self.id = session, object_id

    def __repr__(self) -> str:
        return f"SessionObject(id={self.id}, name={self.name!r}, keyframes={list(self.keyframes)})"

    @property
    def name(self) -> str:
        """What people call it."""
        return self._session.named(self.id).name

    @property
    def keyframes(self) -> dict[int, Mask]:
        """The masks that a person has given, bool, H x W, by frame; an empty one says that the object is absent."""
        return {frame: each.mask for frame, each in self._session.edition.of(self.id).items()}

    def correct(
        self,
        frame: int,
        *,
        mask: PathLike | npt.ArrayLike | None = None,
        box: Sequence[float] | None = None,
        points: Sequence[Sequence[float]] = (),
    ) -> Mask:
        """Say where the object is on a frame; points alone mend the mask that is there.

        Args:
            frame: Index of the frame.
            mask: A path, or bool, H x W.
            box: (x0, y0, x1, y1) in pixels, with inclusive maxima.
            points: (x, y) on the object, or (x, y, 0) beside it.

        Returns:
            bool, H x W: the mask on that frame, which propagation keeps to the pixel.

        Raises:
            PromptError: If the prompt is no such thing, or lies outside the frame.
            MaskError: If the mask is no such thing, or nothing is found.
            FrameIndexError: If the frame is not one of the session's.
        """
        return self._session.set_keyframe(self.id, frame, mask=mask, box=box, points=points)

    def absent(self, frame: int) -> None:
        """Say that the object is not in a frame."""
        self._session.set_absent(self.id, frame)

    def forget(self, frame: int) -> None:
        """Take back what was said of a frame.

        Raises:
            PromptError: If nothing was, or it is the only keyframe that shows the object.
        """
        self._session.forget_keyframe(self.id, frame)


class Session:
    """Random access to a video, its prompts and its masks; a context manager.

    Frames keep the indices that they have in the video. Nothing is computed before ``propagate``, but the masks of
    points and boxes. Embeddings are kept on disk, so that a correction costs no encoding.

    >>> from persam_vos import Session, demo_clip
    >>> video, mask = demo_clip()
    >>> with Session(video, end=3) as session:
    ...     bunny = session.add(frame=0, mask=mask, name="bunny")
    ...     changed = session.propagate()
    ...     print(changed, session[2][1].present, session.doubtful(1)[0].frame in (1, 2))
    [0, 1, 2] True True
    """

    def __init__(
        self,
        video: PathLike | Rgb | Sequence[Rgb],
        *,
        settings: Settings | None = None,
        start: str | int | None = None,
        end: str | int | None = None,
        stride: int = 1,
        frame_rate: Fraction | float = 24,
        cache: PathLike | None = None,
        cache_limit: int = DEFAULT_LIMIT_BYTES,
        masks: PathLike | None = None,
        **changes: Any,
    ) -> None:
        """Open a video.

        Args:
            video: A path of a video, an image or a folder of images; a glob of images; or arrays H x W x 3, uint8, RGB.
            settings: Of the run; see ``Settings``.
            start: The first frame: its index, or seconds such as ``"12.5s"``.
            end: The first frame that is left out.
            stride: Every so many-th frame, from ``start`` on.
            frame_rate: Frames per second of images and arrays; a video file has its own.
            cache: Folder for embeddings, kept from one session to the next; None for a temporary one.
            cache_limit: Bytes that it may take up.
            masks: File for the masks, kept from one session to the next; None for a temporary one.
            **changes: Settings by name, instead of ``settings``.

        Raises:
            SettingsError: If a setting is not allowed.
            VideoError: If the video is no such thing, or cannot be read.
            FrameIndexError: If the range is not in the video.
        """
        self.settings = _settings_of(settings, changes)
        self._undone: list[Edition] = []
        self._done: list[Edition] = []
        self.edition = Edition()
        self._source = video
        self._open = ExitStack()
        with ExitStack() as opened:
            self._video = opened.enter_context(open_random_access(video, frame_rate=frame_rate))
            clip = frame_range(start, end, stride).clip_of(self._video)
            self.frames = range(clip.start, len(self._video) if clip.stop is None else clip.stop, clip.stride)
            self._cache_limit, self._cache_folder = cache_limit, cache
            height, width = self.info.height, self.info.width
            self._store = FoundStore(None if masks is None else Path(masks), height, width)
            opened.callback(self._store.close)
            self._open = opened.pop_all()
        self._propagated: PropagatedVideo | None = None
        self._engine: Engine[Settings] | None = None

    @property
    def info(self) -> StreamInfo:
        """Facts about the video."""
        return self._video.info

    @property
    def objects(self) -> tuple[SessionObject, ...]:
        """The objects, in rising order of id."""
        return tuple(SessionObject(self, each.id) for each in self.edition.objects)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes results doubtful, one line each."""
        cache = self._cache.warnings if self._propagated is not None else ()
        return (*self._video.warnings, *(self._propagated.warnings if self._propagated else ()), *cache)

    def __len__(self) -> int:
        """Number of frames of the session."""
        return len(self.frames)

    def image(self, frame: int) -> Rgb:
        """Return the picture of a frame: uint8, H x W x 3, RGB."""
        return self._video.frame(self._checked(frame)).rgb

    def __getitem__(self, frame: int) -> FrameResult:
        """Return the objects in a frame, as they are by the last ``propagate``; keyframes are as they were given."""
        return self._ready().result(self._checked(frame))

    def __iter__(self) -> Iterator[FrameResult]:
        """Yield the objects of every frame, in order."""
        return (self[frame] for frame in self.frames)

    def add(
        self,
        frame: int,
        *,
        mask: PathLike | npt.ArrayLike | None = None,
        box: Sequence[float] | None = None,
        points: Sequence[Sequence[float]] = (),
        id: int | None = None,
        name: str = "",
        color: str = "",
    ) -> SessionObject:
        """Say where a new object is on a frame; it may be any frame.

        Args:
            frame: Index of the frame.
            mask: A path, or bool, H x W.
            box: (x0, y0, x1, y1) in pixels, with inclusive maxima.
            points: (x, y) on the object, or (x, y, 0) beside it.
            id: Its value in label maps, 1..255; None for the lowest that is free.
            name: What to call it.
            color: A CSS name, or a code such as ``#e6194b``; "" for that of the palette.

        Raises:
            PromptError: If the id is taken, or the prompt is no such thing or lies outside the frame.
            MaskError: If the mask is no such thing, or nothing is found.
            FrameIndexError: If the frame is not one of the session's.
        """
        taken = {each.id for each in self.edition.objects}
        number = next((n for n in range(1, MAX_ID + 1) if n not in taken), 0) if id is None else id
        if number in taken or not number:
            raise PromptError(f"object {number} is there already; correct it, or give another id from 1 to {MAX_ID}")
        colour = hex_colour(color) if color else ""
        if colour is None:
            raise PromptError(f"color is {color!r}; allowed: a CSS name such as red, or a code such as #e6194b")
        objects = sorted((*self.edition.objects, NamedObject(number, name, colour)), key=lambda each: each.id)
        self._set(frame, number, replace(self.edition, objects=tuple(objects)), mask=mask, box=box, points=points)
        return SessionObject(self, number)

    def remove(self, object_id: int) -> None:
        """Forget an object, and all that was said of it.

        Raises:
            PromptError: If there is no such object.
        """
        self.named(object_id)
        objects = tuple(each for each in self.edition.objects if each.id != object_id)
        keyframes = {place: each for place, each in self.edition.keyframes.items() if place[1] != object_id}
        said = {place: each for place, each in self.edition.said.items() if place[1] != object_id}
        self._edit(Edition(objects, keyframes, said))

    def named(self, object_id: int) -> NamedObject:
        """Return name and colour of an object.

        Raises:
            PromptError: If there is no such object.
        """
        for each in self.edition.objects:
            if each.id == object_id:
                return each
        ids = ", ".join(str(each.id) for each in self.edition.objects) or "none"
        raise PromptError(f"there is no object {object_id}; the ids are {ids}")

    def set_keyframe(
        self,
        object_id: int,
        frame: int,
        *,
        mask: PathLike | npt.ArrayLike | None,
        box: Sequence[float] | None,
        points: Sequence[Sequence[float]],
    ) -> Mask:
        """See ``SessionObject.correct``."""
        self.named(object_id)
        return self._set(frame, object_id, self.edition, mask=mask, box=box, points=points)

    def set_absent(self, object_id: int, frame: int) -> None:
        """See ``SessionObject.absent``."""
        self.named(object_id)
        nothing = np.zeros((self.info.height, self.info.width), np.bool_)
        self._keep(Keyframe(self._checked(frame), object_id, nothing), None, self.edition)

    def forget_keyframe(self, object_id: int, frame: int) -> None:
        """See ``SessionObject.forget``."""
        own = self.edition.of(object_id)
        if frame not in own:
            raise PromptError(
                f"object {object_id} has no keyframe on frame {frame}; it has: {', '.join(map(str, own))}"
            )
        if all(each.absent for index, each in own.items() if index != frame):
            raise PromptError(f"frame {frame} is the only one that shows object {object_id}; remove the object instead")
        place = frame, object_id
        keyframes = {key: each for key, each in self.edition.keyframes.items() if key != place}
        said = {key: each for key, each in self.edition.said.items() if key != place}
        self._edit(replace(self.edition, keyframes=keyframes, said=said))

    def undo(self) -> bool:
        """Take back the last change of prompts; return False if there is none. ``propagate`` then makes its masks."""
        return self._move(self._done, self._undone)

    def redo(self) -> bool:
        """Make the last change again that was taken back; return False if there is none."""
        return self._move(self._undone, self._done)

    def propagate(
        self, on_progress: OnWalked | None = None, *, cancelled: Callable[[], bool] = lambda: False
    ) -> list[int]:
        """Make the masks of all frames, as far as they are not there yet or a change can have altered them.

        Args:
            on_progress: Called after each frame that was walked through.
            cancelled: Asked after each; True stops. What is complete stays, and the next call goes on.

        Returns:
            Indices of the frames whose masks may have changed, rising.

        Raises:
            PromptError: If there is no object.
            VideoError: If a frame cannot be decoded.
        """
        if not self.edition.objects:
            raise PromptError("there is no object yet; add one, with a mask, a box or points on a frame")
        walk = self._ready().propagate()
        while True:
            try:
                walked = next(walk)
            except StopIteration as end:
                return sorted(end.value)
            if on_progress is not None:
                on_progress(walked)
            if cancelled():
                walk.close()
                return []

    @property
    def is_propagated(self) -> bool:
        """Whether the masks of all frames are those of the prompts."""
        return bool(self.edition.objects) and self._ready().is_complete()

    def doubtful(self, count: int = 5) -> list[Doubt]:
        """Return the frames that most need a look, the most doubtful first; see ``Doubt``."""
        propagated = self._ready()
        observed = {
            frame: {number: Observed.of(each) for number, each in propagated.found(frame).items()}
            for frame in self.frames
        }
        return doubtful(observed, count)

    def close(self) -> None:
        """Let go of the video, and remove what is temporary; a second call does nothing."""
        self._open.close()

    def __enter__(self) -> Session:
        """Return the session itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session."""
        self.close()

    def _set(
        self,
        frame: int,
        object_id: int,
        edition: Edition,
        *,
        mask: PathLike | npt.ArrayLike | None,
        box: Sequence[float] | None,
        points: Sequence[Sequence[float]],
    ) -> Mask:
        """Take a prompt as the keyframe of an object; return its mask."""
        index = self._checked(frame)
        if mask is not None and (box is not None or len(points)):
            raise PromptError("give a mask, or a box and points; points alone mend the mask that is there")
        if mask is not None:
            keyframe = Keyframe(index, object_id, self._given(mask, object_id))
            if keyframe.absent:
                raise MaskError(f"the mask of object {object_id} is empty; say that it is absent instead")
            self._keep(keyframe, None, edition)
            return keyframe.mask
        known = self._known(object_id, index) if box is None else None
        found, says = mask_of_prompt(
            self._model(),
            self._video.frame(index),
            None if box is None else as_box(box),
            [as_point(each) for each in points],
            known,
        )
        self._keep(Keyframe(index, object_id, found), says if known is None else None, edition)
        return found

    def _given(self, mask: PathLike | npt.ArrayLike, object_id: int) -> Mask:
        height, width = self.info.height, self.info.width
        if isinstance(mask, (str, os.PathLike)):
            return read_object_mask(Path(mask), object_id, height=height, width=width)
        return as_label_map(mask, height, width, of="video") > 0

    def _known(self, object_id: int, frame: int) -> Mask | None:
        """Return the mask of an object on a frame, if there is one."""
        if object_id not in {each.id for each in self.edition.objects}:
            return None
        mask = self._ready().found(frame)[object_id].fused.mask
        return mask if mask.any() else None

    def _keep(self, keyframe: Keyframe, says: ObjectPrompt | None, edition: Edition) -> None:
        """Take a keyframe; pixels that others on that frame had go to it."""
        keyframes = {
            place: Keyframe(*place, each.mask & ~keyframe.mask)
            if place[0] == keyframe.frame and (each.mask & keyframe.mask).any()
            else each
            for place, each in edition.keyframes.items()
        }
        keyframes[keyframe.place] = keyframe
        said = {place: each for place, each in edition.said.items() if keyframes[place] is edition.keyframes[place]}
        if says is not None:
            said[keyframe.place] = says
        self._edit(Edition(edition.objects, keyframes, said))

    def _edit(self, edition: Edition) -> None:
        self._done.append(self.edition)
        self._undone.clear()
        self._use(edition)

    def _move(self, source: list[Edition], target: list[Edition]) -> bool:
        if not source:
            return False
        target.append(self.edition)
        self._use(source.pop())
        return True

    def _use(self, edition: Edition) -> None:
        self.edition = edition
        if self._propagated is not None:
            self._propagated.place(edition.keyframes.values())

    def _checked(self, frame: int) -> int:
        if frame not in self.frames:
            first, last, step = self.frames[0], self.frames[-1], self.frames.step
            every = "" if step == 1 else f", every {step} frames"
            raise FrameIndexError(f"frame {frame} is not one of the session's, which are {first} to {last}{every}")
        return frame

    def _model(self) -> Engine[Settings]:
        if self._engine is None:
            self._engine = Engine(self.settings)
        return self._engine

    def _ready(self) -> PropagatedVideo:
        """Return what propagates, with the model loaded."""
        if self._propagated is None:
            engine = self._model()
            folder = Path(self._cache_folder or self._open.enter_context(tempfile.TemporaryDirectory("persam-vos")))
            height, width = self.info.height, self.info.width
            facts = engine.checkpoint_sha256, engine.backend, engine.precision, height, width
            identity = cache_identity(self._video.files, *facts)
            self._cache = EmbeddingCache(folder, identity, max_bytes=self._cache_limit, device=engine.device)
            self._propagated = PropagatedVideo(engine, self._video, self._cache, self._store, self.frames)
            self._propagated.place(self.edition.keyframes.values())
        return self._propagated


def _settings_of(settings: Settings | None, changes: dict[str, Any]) -> Settings:
    if settings is None:
        return Settings(**changes)
    if changes:
        raise SettingsError(f"{next(iter(changes))} is given beside settings; give it to Settings(...) instead")
    return settings
