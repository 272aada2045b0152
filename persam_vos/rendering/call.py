"""Masks rendered from Python: paths, arrays and options by name become a job."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from persam_vos.errors import SettingsError
from persam_vos.files import PathLike
from persam_vos.masks import Rgb
from persam_vos.media.masks.reading import MaskReading
from persam_vos.media.sources import exact_rate
from persam_vos.pipeline.progress import NoProgress, OnProgress
from persam_vos.pipeline.writing import Outcome
from persam_vos.prompts import MAX_ID, NamedObject, span_of
from persam_vos.rendering.mask_arrays import MaskArrayLike
from persam_vos.rendering.render import render_video
from persam_vos.results import FrameResult
from persam_vos.settings.output import OutputSettings


def render(
    video: PathLike | Rgb | Sequence[Rgb],
    masks: PathLike | MaskArrayLike,
    folder: PathLike,
    export: Sequence[str] | str = "overlay",
    *,
    objects: Sequence[NamedObject] = (),
    start: int | str | None = None,
    end: int | str | None = None,
    stride: int | None = None,
    resize_mask: bool = False,
    mask_threshold: int | None = None,
    invert_mask: bool = False,
    mask_ids: Sequence[int] | None = None,
    frame_rate: Fraction | float = 24,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
    **options: Any,
) -> Outcome:
    """Write exports of masks that exist already, as ``persam-vos render`` does; no network is loaded.

    Frames are read a few ahead, in a thread; memory does not grow with the length of the video. In the main thread, the
    first Ctrl-C ends it after the frame in work and keeps the files of the frames done so far; the second one raises
    KeyboardInterrupt.

    Args:
        video: A path of a video, an image or a folder of images; a glob of images; an array N x H x W x 3 or a list of
            arrays H x W x 3: uint8, RGB.
        masks: A folder: of a run; of label maps; or of folders, each with the masks of one object. Or a list of arrays
            H x W, or an array N x H x W, for frames 0 to N - 1: bool, or integers with n for object n.
        folder: Where the files go; made if it is not there.
        export: Such as ``overlay``, ``masks`` and ``coco``, as a list or with commas; see docs/exports.md.
        objects: Their names and colours, which win over those of the masks.
        start: The first frame: its index, or seconds as text such as ``"12.5s"``. Frames keep their index.
        end: The first frame that is left out, in the same way.
        stride: Every so many-th frame. Without these three, the frames that have masks are rendered.
        resize_mask: Scale mask files of another size than the video's.
        mask_threshold: Alpha or brightness, 0..254, above which soft mask files show one object.
        invert_mask: Whether what mask files leave unpainted is the object.
        mask_ids: The objects of mask files that are read; None for all.
        frame_rate: Frames per second of images and arrays; a video file has its own.
        overwrite: Replace what an earlier run has written.
        on_progress: Called after each frame with the number of frames done, and with the number to expect or None.
        **options: Of exports, by the names of ``Settings``, such as ``alpha="premultiplied"`` or ``grow=2``.

    Returns:
        The number of frames, the paths written, seconds per stage, and warnings.

    Raises:
        SettingsError: If an export is unknown, or an option is unknown or not allowed.
        VideoError: If the video is no such thing, or cannot be read.
        MaskError: If the masks are no such thing, or do not belong to the video.
        MaskSizeError: If a mask has another size than the video.
        OutputError: If the folder is not empty, without ``overwrite``, or cannot be written to.

    >>> import tempfile
    >>> import numpy as np
    >>> from persam_vos import NamedObject, render
    >>> frames = np.full((3, 48, 64, 3), 200, np.uint8)
    >>> masks = np.zeros((3, 48, 64), np.uint8)
    >>> masks[:, 10:20, 10:30] = 1
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     outcome = render(frames, masks, folder, ["coco", "prores"], objects=[NamedObject(1, "dog")], grow=2)
    ...     sorted(path.name for path in outcome.written)
    ['coco.json', 'prores.mov', 'run.json', 'tracks.jsonl']
    """
    if unknown := next((name for name in options if name not in OutputSettings.model_fields), None):
        raise SettingsError(f"{unknown} is no option; allowed: {', '.join(OutputSettings.model_fields)}")
    ids = None if mask_ids is None else tuple(sorted({int(each) for each in mask_ids}))
    if ids is not None and not (ids and all(1 <= each <= MAX_ID for each in ids)):
        raise SettingsError(f"mask_ids is {mask_ids!r}: it must be ids from 1 to {MAX_ID}, such as [1, 5]")
    how = MaskReading(resize_mask, mask_threshold, invert_mask, ids)
    given = Path(masks) if isinstance(masks, (str, os.PathLike)) else masks
    if not isinstance(given, Path) and how != MaskReading():
        raise SettingsError("resize_mask, mask_threshold, invert_mask and mask_ids are of mask files, not of arrays")
    return render_video(
        os.fspath(video) if isinstance(video, (str, os.PathLike)) else video,
        given,
        Path(folder),
        OutputSettings(**{**options, "export": export}),
        NoProgress() if on_progress is None else _Calls(on_progress),
        objects=objects,
        span=span_of(start, end, stride),
        how=how,
        frame_rate=exact_rate(frame_rate),
        overwrite=overwrite,
    )


class _Calls(NoProgress):
    """Calls a function after each frame; see ``Progress``."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress, self._done = on_progress, 0
        self._expected: int | None = None

    def start(self, name: str, frames: int | None, done: int = 0) -> None:  # noqa: ARG002 - a video has one name
        """Remember how many frames to expect."""
        self._expected = frames

    def advance(self, result: FrameResult) -> None:  # noqa: ARG002 - all frames count
        """Call the function."""
        self._done += 1
        self._on_progress(self._done, self._expected)
