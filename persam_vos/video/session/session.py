"""A video with its prompts and results, in any order: mark objects, propagate, look, correct, save."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from typing import Any

from persam_vos.exports.report.doubts import Doubt, doubtful
from persam_vos.files import PathLike
from persam_vos.masks import Mask, Rgb
from persam_vos.media.ranges import frame_range
from persam_vos.pipeline.progress import OnProgress
from persam_vos.pipeline.writing import Outcome
from persam_vos.results import FrameResult
from persam_vos.settings.video import Settings
from persam_vos.video.prompting.said import settings_of
from persam_vos.video.propagation.embedding_cache import DEFAULT_LIMIT_BYTES
from persam_vos.video.propagation.propagated import PropagatedVideo
from persam_vos.video.propagation.sweeps import Part, Way, part_of
from persam_vos.video.propagation.walked import OnWalked, after_first_step, walk_to_end
from persam_vos.video.session.edition import Edition
from persam_vos.video.session.lanes import lanes_of
from persam_vos.video.session.marked import MarkedVideo
from persam_vos.video.session.observed import observe
from persam_vos.video.session.session_export import export_session, nothing_written
from persam_vos.video.session.session_file import load_masks, read_saved, save_session, with_said
from persam_vos.video.session.session_parts import SessionParts


class Session(MarkedVideo, AbstractContextManager["Session"]):
    """Random access to a video, its prompts and its masks; a context manager.

    Frames keep the indices that they have in the video. Nothing is computed before ``propagate``, but the masks of
    points and boxes. Embeddings are kept on disk, so that a correction costs no encoding. Threads may share a session:
    one propagates, others look and correct meanwhile.

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
        self._walking = threading.RLock()
        part = frame_range(start, end, stride)
        kept: dict[str, Any] = {"cache_folder": cache, "cache_limit": cache_limit, "masks": masks}
        super().__init__(SessionParts(video, self.settings, part, frame_rate=frame_rate, **kept))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes results doubtful, one line each."""
        return (*self._parts.warnings, *self.edition.warnings)

    @property
    def cache_bytes(self) -> int:
        """What the cache of embeddings takes up on the disk so far, those of other videos included."""
        return self._parts.cache.size_bytes if self._parts.cache else 0

    @property
    def cache_limit(self) -> int:
        """Bytes that the cache of embeddings may take up."""
        return self._parts.cache_limit

    def __len__(self) -> int:
        """Number of frames of the session."""
        return len(self.frames)

    def __getitem__(self, frame: int) -> FrameResult:
        """Return the objects in a frame, as they are by the last ``propagate``; keyframes are as they were given."""
        return self._ready().result(self.marks.check(frame))

    def __iter__(self) -> Iterator[FrameResult]:
        """Yield the objects of every frame, in order."""
        return (self[frame] for frame in self.frames)

    def propagate(
        self,
        on_progress: OnWalked | None = None,
        *,
        frames: range | None = None,
        direction: Way = "both",
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[int]:
        """Make the masks of frames, as far as they are not there yet or a change can have altered them.

        If something else is said meanwhile, in another thread, it goes on with that after the frame in work. A second
        thread that propagates waits for the first one.

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
        part = part_of(frames, direction, self.frames)
        with self._walking:
            while True:
                edition = self.edition
                changed = self._walk(edition, part, on_progress, cancelled)
                if changed is not None or not self.edition.objects:
                    return changed or []

    def _walk(
        self, edition: Edition, part: Part, on_progress: OnWalked | None, cancelled: Callable[[], bool]
    ) -> list[int] | None:
        """Propagate an edition; return None as soon as there is another one. See ``propagate``."""
        was_cancelled = False

        def stops() -> bool:
            nonlocal was_cancelled
            was_cancelled = cancelled()
            return was_cancelled or self.edition is not edition

        propagated = self._parts.propagated(edition.placed.values())
        walk = after_first_step(propagated.propagate(part), lambda: self._parts.forget_anew(propagated.anew))
        changed = walk_to_end(walk, on_progress, stops)
        return changed if was_cancelled or self.edition is edition else None

    @property
    def is_propagated(self) -> bool:
        """Whether the masks of all frames are those of the prompts."""
        return bool(self.edition.objects) and self._ready().is_complete()

    def doubtful(self, count: int = 5) -> list[Doubt]:
        """Return the frames that most need a look, the most doubtful first; see ``Doubt``."""
        return doubtful(observe(self._ready()), count)

    def shown(self, frame: int, object_id: int) -> Mask | None:
        """Return the mask of an object on a frame, bool H x W; None where it is absent or not known yet."""
        mask = self[frame][object_id].mask
        return mask if mask.any() else None

    def lanes(self, frames: range | None = None) -> dict[int, list[float | None]]:
        """Return the score of each object in each frame, as far as masks are there; pixels are not looked at.

        Args:
            frames: Some of ``self.frames``, rising; None for all.

        Returns:
            By object, a number for each frame: 0 where the object is absent, 1 where a person has shown it, None where
            nothing is known yet.
        """
        return lanes_of(self.edition, self._parts.store, self.frames if frames is None else frames, self._parts.anew)

    def save(self, path: PathLike, *, propagated: bool = True) -> None:
        """Write what was said into a prompts.json, and masks and settings into a folder beside it, ``dog.masks/``.

        ``persam-vos run --prompts`` takes the file as well.

        Args:
            path: Of the file.
            propagated: Whether the masks of all frames are saved as well, which takes longer; those of a session with
                ``masks`` lie in that file anyway.

        Raises:
            PromptError, OutputError, SettingsError: If there is no object, no way to write, or no path of the video.
        """
        self._parts.check_open()
        save_session(Path(path), self.edition, self._parts, propagated=propagated)

    def export(
        self,
        folder: PathLike,
        exports: Sequence[str] | str = ("masks", "overlay", "report"),
        on_progress: OnProgress = lambda _done, _expected: None,
        *,
        overwrite: bool = False,
        cancelled: Callable[[], bool] = lambda: False,
        **changes: Any,
    ) -> Outcome:
        """Propagate what is not there yet, and write the folder that ``persam-vos run`` writes.

        Args:
            folder: Where the files go; made if it is not there.
            exports: Such as ``masks``, ``overlay`` and ``coco``, see docs/exports.md; as text, with commas.
            on_progress: Called after each frame that is written, with the number of those and of all.
            overwrite: Replace what an earlier run has written.
            cancelled: Asked after each frame; True stops, and the files of this export are removed.
            **changes: Settings of what is written, such as ``alpha="premultiplied"``.

        Raises:
            PromptError, SettingsError: If there is no object, an export is unknown, or a setting is not allowed.
            OutputError: If the folder is not empty, without ``overwrite``, or cannot be written to.
        """
        with self._walking:
            edition = None
            while edition is not self.edition:
                edition = self.edition
                self.propagate(cancelled=cancelled)
            if cancelled():
                return nothing_written()
            how: dict[str, Any] = {
                "on_progress": on_progress,
                "overwrite": overwrite,
                "cancelled": cancelled,
                "warnings": self.warnings,
            }
            return export_session(self._parts, edition, Path(folder), {**changes, "export": exports}, **how)

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
            edition = with_said(session.marks.all_of(asked), Path(path), asked)
            session._history = session._history.begin(edition, used)
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
        return self._parts.propagated(self.edition.placed.values())
