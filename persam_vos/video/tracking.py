"""A video tracked from Python: one frame after the other, with the masks of its objects."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy.typing as npt

from persam_vos.files import PathLike
from persam_vos.masks import Rgb
from persam_vos.media.random_access import RandomAccessVideo
from persam_vos.media.stream import FrameReader
from persam_vos.pipeline.progress import OnProgress, Progress, ProgressFunction
from persam_vos.pipeline.writing import Outcome
from persam_vos.prompts import VideoPrompts, prompts_of, span_of
from persam_vos.results import FrameResult
from persam_vos.sam.engine import Engine
from persam_vos.settings.video import Settings
from persam_vos.video.pipeline import new_tracker, tracked_frames
from persam_vos.video.prompting.keyframes import Keyframes
from persam_vos.video.prompting.prompting import Prompting, frame_function, other_frames
from persam_vos.video.prompting.said import prompting_of_call, settings_of
from persam_vos.video.propagation.keyframed import frames_of, propagated_frames, propagated_video
from persam_vos.video.run import write_tracks
from persam_vos.video.source import VideoLike, VideoSource

Exports = Sequence[str] | str | None


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class TrackedFrame(FrameResult):
    """A frame with its objects: ``frame[n]`` is object n, and iterating gives all objects.

    Attributes:
        image: uint8, H x W x 3, full-range RGB, upright.

    The other attributes are those of ``FrameResult``: ``index``, ``pts``, ``time_base``, ``label_map``, ``objects``,
    ``alpha``, ``time`` and ``ids``.
    """

    image: Rgb


def track(
    video: VideoLike,
    mask: PathLike | npt.ArrayLike | None = None,
    *,
    box: Sequence[float] | Sequence[Sequence[float]] = (),
    points: Sequence[Sequence[float]] = (),
    prompts: PathLike | VideoPrompts | None = None,
    references: Sequence[tuple[PathLike, PathLike]] = (),
    start: int | str | None = None,
    end: int | str | None = None,
    stride: int | None = None,
    backward: bool = True,
    settings: Settings | None = None,
    frame_rate: Fraction | float = 24,
    on_progress: OnProgress | None = None,
    **changes: Any,
) -> Tracking:
    """Track the objects of a video's first frame through all of it.

    Nothing is computed before the result is iterated or saved. Frames are decoded and encoded a few ahead, in threads;
    memory does not grow with the length of the video. Leaving the loop ends the threads, and waits for the frame in
    work: an iterable that blocks holds the loop's exit until it gives its next frame or ends.

    Args:
        video: A path of a video, an image or a folder of images; a glob of images; a reader of ``open_video``, which is
            closed at the end; an array N x H x W x 3; or any iterable of arrays H x W x 3. Arrays are uint8, RGB. An
            iterable is read in another thread, and each array is copied.
        mask: The objects of the first frame: a path, see ``read_mask``; a bool array H x W; or a label map H x W of any
            integer dtype with n for object n, see ``as_label_map``.
        box: Instead of a mask: (x0, y0, x1, y1) around the object in the first frame, in pixels with inclusive maxima;
            or several of them, each around an object.
        points: Instead of a mask, or beside one box: (x, y) on the object, or (x, y, 0) beside it; all of one object.
        prompts: Instead of a mask: a prompts.json, or what ``VideoPrompts`` holds; its range counts where no other is
            given.
        references: Instead of a mask: pairs of a photo of the objects and its mask, both paths.
        start: The first frame that is tracked: its index, or seconds as text such as ``"12.5s"``. What is said of the
            first frame is said of this one. Frames keep their index.
        end: The first frame that is left out, in the same way.
        stride: Track every so many-th frame.
        backward: Whether objects are looked for before the first frame of which something is said of them.
        settings: Of the run; see ``Settings``.
        frame_rate: Frames per second of images and arrays; a video file has its own.
        on_progress: Called after each frame with the number of frames done, and with the number to expect or None.
        **changes: Settings by name, such as ``method="persam"`` or ``preset="best"``, instead of ``settings``.

    Returns:
        An iterable of ``TrackedFrame``, which can also ``save`` what the command line writes.

    Raises:
        SettingsError: If a setting is not allowed, or unless there is one of mask, box or points, and references.
        VideoError: If the video is no such thing, or cannot be read.
        MaskError: If the mask is no such thing, or does not fit the video.
        PromptError: If the box or a point is no such thing, or lies outside the video.

    >>> from persam_vos import demo_clip, track
    >>> video, mask = demo_clip()
    >>> for frame in track(video, mask=mask):
    ...     bunny = frame[1]
    ...     print(frame.index, frame.time, frame.image.shape, bunny.present, bunny.mask.shape)
    ...     if frame.index == 1:
    ...         break
    0 0 (360, 640, 3) True (360, 640)
    1 1/25 (360, 640, 3) True (360, 640)
    """
    settings = settings_of(settings, changes)
    said, span = prompting_of_call(mask, prompts_of(box, points), prompts, references, settings)
    return Tracking(
        VideoSource(video, settings, frame_rate, span_of(start, end, stride, span), said.files),
        said,
        settings,
        backward=backward,
        on_progress=on_progress,
    )


class Tracking:
    """A video and the objects to track in it: iterate over its frames, or ``save`` its results; see ``track``.

    Each iteration tracks the video anew. Frames of an iterator or a reader can be tracked once.

    Attributes:
        settings: Of the run.
        warnings: What makes results doubtful, one line each; complete after the last frame.
    """

    def __init__(
        self,
        source: VideoSource,
        prompting: Prompting,
        settings: Settings,
        *,
        backward: bool = True,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.settings = settings
        self._backward = backward
        self.warnings: tuple[str, ...] = ()
        self._source, self._prompting = source, prompting
        self._engine: Engine[Settings] | None = None
        self._on_progress = on_progress or (lambda _done, _expected: None)
        self._reader: FrameReader | None = None
        # Open the video now to report errors early; not an iterator, which would lose its first frame.
        if not source.is_read_once:
            self._reader = self._open()

    def __iter__(self) -> Generator[TrackedFrame, None, None]:
        """Yield the frames with their objects, in order.

        Raises:
            VideoError: If a frame cannot be read, or has another size than the first.
            SettingsError: If the GPU's memory is too small.
        """
        with (
            closing(self._open()) as reader,
            other_frames(self._source, reader, self._prompting) as frames,
            self._engine_in_use(self.settings) as load,
        ):
            engine, progress = load(), ProgressFunction(self._on_progress, reader.info.clip)
            keyframes = self._prompting.find(engine, frame_function(reader, frames))
            progress.start(reader.info.source.name, reader.info.frame_count)
            if frames is not None:
                yield from self._propagated(engine, reader, frames, keyframes, progress)
                return
            tracker, label_map = new_tracker(engine), keyframes.label_map(keyframes.frames[0])
            with closing(tracked_frames(engine, reader, label_map, tracker=tracker)) as results:
                for frame, result in results:
                    progress.advance(result)
                    yield _tracked(result, frame.rgb)
            self.warnings = (*keyframes.warnings, *tracker.warnings, *reader.warnings)

    def _propagated(
        self,
        engine: Engine[Settings],
        reader: FrameReader,
        frames: RandomAccessVideo,
        keyframes: Keyframes,
        progress: Progress,
    ) -> Generator[TrackedFrame, None, None]:
        """Propagate the objects from prompts on any frames, then yield the frames."""
        tracked = frames_of(reader.info, len(frames))
        with propagated_video(engine, frames, tracked, keyframes, backward=self._backward) as propagated:
            for frame, result in propagated_frames(propagated):
                progress.advance(result)
                yield _tracked(result, frame.rgb)
            self.warnings = (*keyframes.warnings, *propagated.warnings, *frames.warnings)

    def save(
        self, folder: PathLike, export: Exports = None, *, overwrite: bool = False, resume: bool = False
    ) -> Outcome:
        """Track the video and write the folder that ``persam-vos run`` writes: exports, tracks.jsonl and run.json.

        In the main thread, the first Ctrl-C ends the run after the frame in work and keeps the files of the frames done
        so far; the second one raises KeyboardInterrupt.

        Args:
            folder: Where the files go; made if it is not there.
            export: Such as ``masks``, ``overlay`` and ``coco``, see docs/exports.md; None for those of the settings.
            overwrite: Replace what an earlier run has written.
            resume: Go on with an earlier run.

        Returns:
            How the run ended: the number of frames, the paths written, seconds per stage, and warnings.

        Raises:
            SettingsError: If an export is unknown.
            OutputError: If the folder is not empty, without ``overwrite``, or cannot be written to.

        >>> import tempfile
        >>> from persam_vos import demo_clip, open_video, track
        >>> video, mask = demo_clip()
        >>> with open_video(video) as reader:
        ...     frames = [frame.rgb for frame, _ in zip(reader, range(2))]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     outcome = track(frames, mask=mask, frame_rate=25).save(folder, export=["masks"])
        ...     sorted(path.name for path in outcome.written)
        ['masks', 'prompts.json', 'run.json', 'tracks.jsonl']
        """
        settings = self.settings
        if export is not None:
            settings = Settings(**{**settings.model_dump(), "export": export})
        with (
            closing(self._open()) as reader,
            other_frames(self._source, reader, self._prompting) as frames,
            self._engine_in_use(settings) as load,
        ):
            outcome = write_tracks(
                reader,
                frames,
                self._prompting,
                Path(folder),
                settings,
                ProgressFunction(self._on_progress, reader.info.clip),
                overwrite=overwrite,
                resume=resume,
                backward=self._backward,
                load=load,
            )
        self.warnings = outcome.warnings
        return outcome

    def close(self) -> None:
        """Let go of the video, if it was opened and never tracked."""
        if self._reader is not None:
            self._reader.close()

    def __enter__(self) -> Tracking:
        """Return the tracking itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the video."""
        self.close()

    def _open(self) -> FrameReader:
        """Open the video, and check the annotation of its first frame."""
        if self._reader is not None:
            reader, self._reader = self._reader, None
            return reader
        reader = self._source.open()
        try:
            self._prompting.check(reader)
        except BaseException:
            reader.close()
            raise
        return reader

    @contextmanager
    def _engine_in_use(self, settings: Settings) -> Iterator[Callable[[], Engine[Settings]]]:
        """Give a function that returns the model: that of the last run, or another one while that is in use.

        Args:
            settings: Of this run, which may export something else than the last one.
        """
        engine, self._engine = self._engine, None

        def load() -> Engine[Settings]:
            nonlocal engine
            engine = engine or Engine(settings)
            engine.settings = settings
            return engine

        try:
            yield load
        finally:
            self._engine = engine


def _tracked(result: FrameResult, image: Rgb) -> TrackedFrame:
    return TrackedFrame(**{field.name: getattr(result, field.name) for field in fields(result)}, image=image)
