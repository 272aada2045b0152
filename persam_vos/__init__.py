"""Track masked objects through videos with a frozen Segment Anything model, without training; see ``track``.

Names are imported when they are first used, so that ``import persam_vos`` loads neither NumPy nor PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from persam_vos.errors import (
        CheckpointError,
        DatasetError,
        EmptyMaskError,
        FrameIndexError,
        ManifestError,
        MaskError,
        MaskSizeError,
        MissingDependencyError,
        NotStartedError,
        OutputError,
        PersamVosError,
        PhotoError,
        PromptError,
        SettingsError,
        VideoError,
    )
    from persam_vos.evaluation import (
        boundary_map,
        boundary_similarity,
        compare_masks,
        region_similarity,
        score_davis,
        score_label_maps,
        score_masks,
        score_perseg,
    )
    from persam_vos.exports.report.doubts import Doubt
    from persam_vos.masks import as_label_map
    from persam_vos.media.demo import demo_clip
    from persam_vos.media.frame import Frame
    from persam_vos.media.masks.files import read_mask
    from persam_vos.media.photo_files import find_photos, read_photo
    from persam_vos.media.readers import open_video
    from persam_vos.photos.finder import PhotoFinder
    from persam_vos.prompts import Box, NamedObject, ObjectPrompt, Point, Prompt, Span, VideoPrompts
    from persam_vos.rendering.call import render
    from persam_vos.results import FrameResult, ObjectResult, SegmentedObject
    from persam_vos.settings.photos import PhotoSettings, load_photo_settings
    from persam_vos.settings.video import Settings, load_settings
    from persam_vos.video.propagation.walked import Walked
    from persam_vos.video.session.session import Session
    from persam_vos.video.session.session_object import SessionObject
    from persam_vos.video.tracker import Tracker
    from persam_vos.video.tracking import TrackedFrame, Tracking, track

__version__ = "0.2.0"

# Modules are imported when a name is first used: PyTorch alone takes a second.
_MODULES = {
    "persam_vos.errors": (
        "CheckpointError", "DatasetError", "EmptyMaskError", "FrameIndexError", "ManifestError", "MaskError",
        "MaskSizeError", "MissingDependencyError", "NotStartedError", "OutputError", "PersamVosError", "PhotoError",
        "PromptError", "SettingsError", "VideoError",
    ),
    "persam_vos.evaluation": (
        "boundary_map", "boundary_similarity", "compare_masks", "region_similarity", "score_davis", "score_label_maps",
        "score_masks", "score_perseg",
    ),
    "persam_vos.masks": ("as_label_map",),
    "persam_vos.media.demo": ("demo_clip",),
    "persam_vos.media.frame": ("Frame",),
    "persam_vos.media.masks.files": ("read_mask",),
    "persam_vos.media.photo_files": ("find_photos", "read_photo"),
    "persam_vos.media.readers": ("open_video",),
    "persam_vos.photos.finder": ("PhotoFinder",),
    "persam_vos.prompts": ("Box", "NamedObject", "ObjectPrompt", "Point", "Prompt", "Span", "VideoPrompts"),
    "persam_vos.rendering.call": ("render",),
    "persam_vos.results": ("FrameResult", "ObjectResult", "SegmentedObject"),
    "persam_vos.settings.photos": ("PhotoSettings", "load_photo_settings"),
    "persam_vos.settings.video": ("Settings", "load_settings"),
    "persam_vos.exports.report.doubts": ("Doubt",),
    "persam_vos.video.propagation.walked": ("Walked",),
    "persam_vos.video.session.session": ("Session",),
    "persam_vos.video.session.session_object": ("SessionObject",),
    "persam_vos.video.tracker": ("Tracker",),
    "persam_vos.video.tracking": ("TrackedFrame", "Tracking", "track"),
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "Box",
    "CheckpointError",
    "DatasetError",
    "Doubt",
    "EmptyMaskError",
    "Frame",
    "FrameIndexError",
    "FrameResult",
    "ManifestError",
    "MaskError",
    "MaskSizeError",
    "MissingDependencyError",
    "NamedObject",
    "NotStartedError",
    "ObjectPrompt",
    "ObjectResult",
    "OutputError",
    "PersamVosError",
    "PhotoError",
    "PhotoFinder",
    "PhotoSettings",
    "Point",
    "Prompt",
    "PromptError",
    "SegmentedObject",
    "Session",
    "SessionObject",
    "Settings",
    "SettingsError",
    "Span",
    "TrackedFrame",
    "Tracker",
    "Tracking",
    "VideoError",
    "VideoPrompts",
    "Walked",
    "__version__",
    "as_label_map",
    "boundary_map",
    "boundary_similarity",
    "compare_masks",
    "demo_clip",
    "find_photos",
    "load_photo_settings",
    "load_settings",
    "open_video",
    "read_mask",
    "read_photo",
    "region_similarity",
    "render",
    "score_davis",
    "score_label_maps",
    "score_masks",
    "score_perseg",
    "track",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
