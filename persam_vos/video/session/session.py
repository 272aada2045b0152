"""A video with its prompts and results, in any order: mark objects, propagate, look, correct, save."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy.typing as npt

from persam_vos.exports.report.doubts import Doubt, doubtful
from persam_vos.files import PathLike
from persam_vos.masks import Rgb
from persam_vos.media.ranges import frame_range
from persam_vos.media.stream import StreamInfo
from persam_vos.pipeline.progress import OnProgress
from persam_vos.pipeline.writing import Outcome
from persam_vos.prompts import named_object
from persam_vos.results import FrameResult
from persam_vos.settings.video import Settings
from persam_vos.video.prompting.said import settings_of
from persam_vos.video.propagation.embedding_cache import DEFAULT_LIMIT_BYTES
from persam_vos.video.propagation.propagated import PropagatedVideo
from persam_vos.video.propagation.propagation import OnWalked, walk_to_end
from persam_vos.video.propagation.sweeps import Way, part_of
from persam_vos.video.session.edition import Edition, History
from persam_vos.video.session.marks import Marks
from persam_vos.video.session.observed import observe
from persam_vos.video.session.session_export import export_session
from persam_vos.video.session.session_file import load_masks, read_saved, save_session
from persam_vos.video.session.session_object import SessionObject
from persam_vos.video.session.session_parts import SessionParts


class Session(AbstractContextManager["Session"]):
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
            VideoError, FrameIndexError: If the video is no such thing or cannot be read, or the range is not in it.
        """
        self.settings = settings_of(settings, changes)
        self._history = History(Edition())
        part = frame_range(start, end, stride)
        self._parts = SessionParts(
            video, self.settings, part, frame_rate=frame_rate, cache_folder=cache, cache_limit=cache_limit, masks=masks
        )
        self.frames = self._parts.frames
        self.marks = Marks(self._parts.video, self.frames, self._parts.engine)

    @property
    def edition(self) -> Edition:
        """What a person has said so far."""
        return self._history.now

    @property
    def info(self) -> StreamInfo:
        """Facts about the video."""
        return self._parts.video.info

    @property
    def objects(self) -> tuple[SessionObject, ...]:
        """The objects, in rising order of id."""
        return tuple(SessionObject(self, each.id) for each in self.edition.objects)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes results doubtful, one line each."""
        return (*self._parts.warnings, *self.edition.warnings)

    @property
    def cache_bytes(self) -> int:
        """What the cache of embeddings takes up on the disk so far, those of other videos included."""
        return self._parts.cache.size_bytes if self._parts.cache else 0

    def __len__(self) -> int:
        """Number of frames of the session."""
        return len(self.frames)

    def image(self, frame: int) -> Rgb:
        """Return the picture of a frame: uint8, H x W x 3, RGB."""
        return self._parts.video.frame(self.marks.check(frame)).rgb

    def __getitem__(self, frame: int) -> FrameResult:
        """Return the objects in a frame, as they are by the last ``propagate``; keyframes are as they were given."""
        return self._ready().result(self.marks.check(frame))

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
            id: Its value in label maps, 1..255; None for the next one that no object of this session has had.
            name: What to call it.
            color: A CSS name, or a code such as ``#e6194b``; "" for that of the palette.

        Raises:
            PromptError, MaskError: If the id is taken, the prompt or mask is no such thing, lies outside the frame,
                finds nothing or covers all of another object.
            FrameIndexError: If the frame is not one of the session's.
        """
        self._parts.check_open()
        number = self.edition.free_id(id, self._history.used)
        edition = self.edition.with_object(named_object(number, name, color))
        edition = self.marks.given(edition, frame, number, mask=mask, box=box, points=points)
        self._parts.anew |= {number} & self._history.used
        self.change(edition)
        return SessionObject(self, number)

    def remove(self, object_id: int) -> None:
        """Forget an object, and all that was said of it.

        Raises:
            PromptError: If there is no such object.
        """
        self.change(self.edition.without_object(object_id))

    def change(self, edition: Edition) -> None:
        """Go on with another edition of what was said."""
        self._parts.check_open()
        self._history.change(edition)

    def undo(self) -> bool:
        """Take back the last change of prompts; return False if there is none. ``propagate`` then makes its masks."""
        return self._history.undo()

    def redo(self) -> bool:
        """Make the last change again that was taken back; return False if there is none."""
        return self._history.redo()

    def propagate(
        self,
        on_progress: OnWalked | None = None,
        *,
        frames: range | None = None,
        direction: Way = "both",
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[int]:
        """Make the masks of frames, as far as they are not there yet or a change can have altered them.

        Args:
            on_progress: Called after each frame that was walked through.
            frames: Indices of those that are needed now, and with them those on the way; None for all.
            direction: Which way objects are propagated now.
            cancelled: Asked after each frame; True stops. The next call goes on.

        Returns:
            Indices of the frames whose masks may have changed, rising; while some are left, those walked through.

        Raises:
            PromptError: If there is no object.
            FrameIndexError, SettingsError: If a frame is not one of the session's, or there is no such direction.
            VideoError, OutputError: If a frame cannot be decoded, or masks cannot be kept.
        """
        self.edition.check_objects()
        walk = self._ready().propagate(part_of(frames, direction, self.frames))
        # Its first step forgets what earlier objects of these ids have left.
        self._parts.anew.clear()
        return walk_to_end(walk, on_progress, cancelled)

    @property
    def is_propagated(self) -> bool:
        """Whether the masks of all frames are those of the prompts."""
        return bool(self.edition.objects) and self._ready().is_complete()

    def doubtful(self, count: int = 5) -> list[Doubt]:
        """Return the frames that most need a look, the most doubtful first; see ``Doubt``."""
        return doubtful(observe(self._ready()), count)

    def save(self, path: PathLike) -> None:
        """Write what was said into a prompts.json, and masks and settings into a folder beside it, ``dog.masks/``.

        ``persam-vos run --prompts`` takes the file as well.

        Args:
            path: Of the file.

        Raises:
            PromptError, OutputError, SettingsError: If there is no object, no way to write, or no path of the video.
        """
        self._parts.check_open()
        save_session(Path(path), self.edition, self._parts)

    def export(
        self,
        folder: PathLike,
        exports: Sequence[str] | str = ("masks", "overlay", "report"),
        on_progress: OnProgress = lambda _done, _expected: None,
        *,
        overwrite: bool = False,
    ) -> Outcome:
        """Propagate what is not there yet, and write the folder that ``persam-vos run`` writes.

        Args:
            folder: Where the files go; made if it is not there.
            exports: Such as ``masks``, ``overlay`` and ``coco``, see docs/exports.md; as text, with commas.
            on_progress: Called after each frame that is written, with the number of those and of all.
            overwrite: Replace what an earlier run has written.

        Raises:
            PromptError, SettingsError: If there is no object, or an export is unknown.
            OutputError: If the folder is not empty, without ``overwrite``, or cannot be written to.
        """
        self.propagate()
        given = self._parts, self.edition, Path(folder), exports
        return export_session(*given, on_progress=on_progress, warnings=self.warnings, overwrite=overwrite)

    @classmethod
    def open(cls, path: PathLike, **options: Any) -> Session:
        """Go on with a session that was saved, or begin with a prompts.json.

        Args:
            path: Of the file.
            **options: As for ``Session``, but the video and its range, which the file names; settings and frame rate
                are those that were saved where no others are given.

        Raises:
            PersamVosError: If the file is no such thing, or names no video; and as for ``Session`` and ``add``.
        """
        asked, how = read_saved(Path(path), options)
        session = cls(asked.video or "", **how)
        try:
            used = load_masks(Path(path), session._parts.store)
            session._history = History(session.marks.all_of(asked), used)
        except BaseException:
            session.close()
            raise
        return session

    def close(self) -> None:
        """Let go of the video, and remove what is temporary; a second call does nothing."""
        self._parts.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ready(self) -> PropagatedVideo:
        """Return what propagates, with the model loaded."""
        self._parts.check_open()
        return self._parts.propagated(self.edition.placed.values())
