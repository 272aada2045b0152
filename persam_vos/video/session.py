"""A video with its prompts and results, in any order: mark objects, propagate, look, correct, save."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from persam_vos.errors import FrameIndexError, MaskError, PromptError, SettingsError
from persam_vos.files import PathLike, cache_dir
from persam_vos.masks import Mask, Rgb, as_label_map
from persam_vos.media.object_mask import read_object_mask
from persam_vos.media.ranges import frame_range
from persam_vos.media.readers import open_random_access
from persam_vos.media.stream import StreamInfo
from persam_vos.prompts import NamedObject, hex_colour
from persam_vos.prompts.points import as_box, as_point
from persam_vos.results import FrameResult
from persam_vos.sam.engine import Engine
from persam_vos.settings.video import Settings
from persam_vos.video.doubt import Doubt, Observed, doubtful
from persam_vos.video.edition import Edition, History
from persam_vos.video.embedding_cache import DEFAULT_LIMIT_BYTES, EmbeddingCache, cache_identity
from persam_vos.video.found_store import FoundStore
from persam_vos.video.keyframes import Keyframe
from persam_vos.video.prompt_mask import mask_of_prompt
from persam_vos.video.propagated import PropagatedVideo
from persam_vos.video.propagation import Walked
from persam_vos.video.session_object import SessionObject

OnWalked = Callable[[Walked], None]


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
            cache: Folder for embeddings, kept from one session to the next; None for one in the user's cache folder,
                see ``cache_dir``. Those of other videos make room for those of this one.
            cache_limit: Bytes that it may take up.
            masks: File for the masks, kept from one session to the next; None for a temporary one.
            **changes: Settings by name, instead of ``settings``.

        Raises:
            SettingsError: If a setting is not allowed.
            VideoError: If the video is no such thing, or cannot be read.
            FrameIndexError: If the range is not in the video.
        """
        self.settings = _settings_of(settings, changes)
        self._history = History(Edition())
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
    def edition(self) -> Edition:
        """What a person has said so far."""
        return self._history.now

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
        number = self.edition.free_id(id)
        colour = hex_colour(color) if color else ""
        if colour is None:
            raise PromptError(f"color is {color!r}; allowed: a CSS name such as red, or a code such as #e6194b")
        edition = self.edition.with_object(NamedObject(number, name, colour))
        self._set(frame, number, edition, mask=mask, box=box, points=points)
        return SessionObject(self, number)

    def remove(self, object_id: int) -> None:
        """Forget an object, and all that was said of it.

        Raises:
            PromptError: If there is no such object.
        """
        self._change(self.edition.without_object(object_id))

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
        self.edition.named(object_id)
        return self._set(frame, object_id, self.edition, mask=mask, box=box, points=points)

    def set_absent(self, object_id: int, frame: int) -> None:
        """See ``SessionObject.absent``."""
        self.edition.named(object_id)
        nothing = np.zeros((self.info.height, self.info.width), np.bool_)
        self._change(self.edition.with_keyframe(Keyframe(self._checked(frame), object_id, nothing)))

    def forget_keyframe(self, object_id: int, frame: int) -> None:
        """See ``SessionObject.forget``."""
        self._change(self.edition.without_keyframe(object_id, frame))

    def undo(self) -> bool:
        """Take back the last change of prompts; return False if there is none. ``propagate`` then makes its masks."""
        return self._history.undo() and self._place()

    def redo(self) -> bool:
        """Make the last change again that was taken back; return False if there is none."""
        return self._history.redo() and self._place()

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
            self._change(edition.with_keyframe(keyframe))
            return keyframe.mask
        known = self._known(object_id, index) if box is None else None
        found, says = mask_of_prompt(
            self._model(),
            self._video.frame(index),
            None if box is None else as_box(box),
            [as_point(each) for each in points],
            known,
        )
        # Points that mend a mask stand for nothing without it.
        self._change(edition.with_keyframe(Keyframe(index, object_id, found), says if known is None else None))
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

    def _change(self, edition: Edition) -> None:
        self._history.change(edition)
        self._place()

    def _place(self) -> bool:
        if self._propagated is not None:
            self._propagated.place(self.edition.keyframes.values())
        return True

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
            folder = self._folder_of_cache()
            height, width = self.info.height, self.info.width
            facts = engine.checkpoint_sha256, engine.backend, engine.precision, height, width
            identity = cache_identity(self._video.files, *facts)
            self._cache = EmbeddingCache(folder, identity, max_bytes=self._cache_limit, device=engine.device)
            self._propagated = PropagatedVideo(engine, self._video, self._cache, self._store, self.frames)
            self._propagated.place(self.edition.keyframes.values())
        return self._propagated

    def _folder_of_cache(self) -> Path:
        if not self._video.files:
            # Frames of arrays have no file by which they would be known again.
            return Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix="persam-vos-")))
        return cache_dir() / "embeddings" if self._cache_folder is None else Path(self._cache_folder)


def _settings_of(settings: Settings | None, changes: dict[str, Any]) -> Settings:
    if settings is None:
        return Settings(**changes)
    if changes:
        raise SettingsError(f"{next(iter(changes))} is given beside settings; give it to Settings(...) instead")
    return settings
