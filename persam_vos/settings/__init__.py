"""Defaults, presets, a YAML file and flags go in; one frozen, validated record of all settings of a run comes out."""

from persam_vos.settings.common import EngineSettings, MemorySettings, PersamSettings
from persam_vos.settings.output import ExportOptions, OutputSettings
from persam_vos.settings.photos import METHODS, PhotoSettings, load_photo_settings
from persam_vos.settings.video import PRESETS, Settings, TrackerSettings, load_settings

__all__ = [
    "METHODS",
    "PRESETS",
    "EngineSettings",
    "ExportOptions",
    "MemorySettings",
    "OutputSettings",
    "PersamSettings",
    "PhotoSettings",
    "Settings",
    "TrackerSettings",
    "load_photo_settings",
    "load_settings",
]
