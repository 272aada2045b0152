"""What is wrong with the names that a user typed, told before PyTorch is imported, which takes seconds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from persam_vos.prompts import Span
    from persam_vos.settings.photos import PhotoSettings
    from persam_vos.settings.video import Settings


def check_masks(paths: Iterable[Path]) -> None:
    """Refuse masks that are missing.

    Raises:
        MaskError: If one is no file.
    """
    for path in paths:
        from persam_vos.media.masks.files import check_is_file

        check_is_file(path)


def check_video(video: str, settings: Settings, span: Span) -> None:
    """Refuse a video or a file of weights that is missing, and a range that is none.

    Raises:
        VideoError: If there is no such video.
        SettingsError: If the range is none.
        CheckpointError: If there is no such file of weights.
    """
    from persam_vos.media.decoding.live_sources import live_source
    from persam_vos.media.ranges import frame_range
    from persam_vos.media.sources import find_source

    frame_range(*span)
    if live_source(video, playlists=settings.allow_playlists) is None:
        find_source(video)
    check_weights(settings)


def check_weights(settings: Settings | PhotoSettings) -> None:
    """Refuse a file of weights that is missing.

    Raises:
        CheckpointError: If there is no such file.
    """
    if settings.checkpoint is not None:
        from persam_vos.sam.checkpoints import resolve_checkpoint

        resolve_checkpoint(settings.model, settings.checkpoint)
