"""Every setting of a run on photos: defaults by method, a file and flags become one frozen record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from persam_vos.errors import SettingsError
from persam_vos.settings.common import EngineSettings, MemorySettings, PersamSettings, split_names
from persam_vos.settings.loading import load_settings_of, refuse_flags_of_others

# What a method sets, unless it is set beside it: PerSAM's as published on photos (arXiv 2305.03048).
METHODS: Mapping[str, Mapping[str, Any]] = {
    "memory": {"passes": 4, "presence": 0.77},
    "persam": {
        "target": "mean",
        "positive_points": 1,
        "negative_points": 1,
        "first_pass": "single",
        "refinement_box": "last",
        "guidance": "both",
        "presence": 0.0,
    },
    "persam-f": {
        "target": "max_mean",
        "positive_points": 1,
        "negative_points": 0,
        "guidance": "none",
        "finetune_steps": 1000,
        "finetune_learning_rate": 1e-3,
        "presence": 0.0,
    },
}
# Flags that are heard only where instances are looked for.
_FLAGS_OF_INSTANCES = ("max_objects", "iou_threshold", "erase")
# Where instances are looked for, there is always one more that is none: what takes every mask must not here.
_PRESENCE_OF_INSTANCES = 0.85


class PhotoSettings(MemorySettings, PersamSettings, EngineSettings):
    """All settings of a run on photos. In a file, null leaves a setting to the method.

    Attributes:
        method: ``memory``, ``persam`` or ``persam-f``.
        presence: An object counts as absent where its mask is less than this share as like it as the reference is like
            itself; 0 takes every mask for its object, as published. PerSAM's default is higher for instances.
        all_instances: Look for everything that is like the object, not for one thing. Needs a reference of one object.
        max_objects: Instances of a photo, at most.
        iou_threshold: An instance that overlaps with those found so far by more than this share of itself is none. With
            ``erase: similarity`` none can: what was found is out of the running.
        erase: How an instance found is taken out of the running: in the ``similarity`` and the candidate masks, or in
            the ``pixels``: painted black, and the photo encoded again, as in the published way.
        export: What is written besides results.jsonl and run.json.
        max_megapixels: Photos that claim to be larger are refused before they are decoded.
        target_cell_share: Share of a cell's middle that the mask must cover for the cell to join the target feature of
            ``persam``; as published on photos, nearly all.
        min_instance_share: A proposal smaller than this share of the largest instance is a remnant.
        max_enclosed_share: A proposal with more than this share of its surroundings in instances is a remnant.
        other_piece_share: A piece of a mask with at least this share of the largest piece's area is another instance.
        max_refusals: Proposals refused in a row that end the search for instances.
        min_zoom: Enlargement below which an instance is not looked at again.
        max_zoom: Largest enlargement.
        zoom_surroundings: Height and width of the enlarged part, in those of the instance.
    """

    method: Literal["memory", "persam", "persam-f"] = "memory"
    presence: Annotated[float, Field(ge=0, le=1)] = 0.77
    all_instances: bool = False
    max_objects: Annotated[int, Field(ge=1, le=254)] = 20
    iou_threshold: Annotated[float, Field(ge=0, le=1)] = 0.3
    erase: Literal["similarity", "pixels"] = "similarity"
    export: tuple[Literal["masks", "overlay", "cutout"], ...] = ("masks", "overlay", "cutout")
    max_megapixels: Annotated[float, Field(gt=0, le=10_000)] = 100.0
    target_cell_share: Annotated[float, Field(ge=0, lt=1)] = 0.966
    min_instance_share: Annotated[float, Field(ge=0, le=1)] = 0.02
    max_enclosed_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    other_piece_share: Annotated[float, Field(gt=0, le=1)] = 0.3
    max_refusals: Annotated[int, Field(ge=1, le=254)] = 4
    min_zoom: Annotated[float, Field(ge=1, le=100)] = 1.5
    max_zoom: Annotated[float, Field(ge=1, le=100)] = 4.0
    zoom_surroundings: Annotated[float, Field(ge=1, le=100)] = 2.0

    @model_validator(mode="before")
    @classmethod
    def _leave_to_method(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(method := values.get("method", "memory"), str):
            return values
        given = {key: value for key, value in values.items() if value is not None or key == "checkpoint"}
        defaults = dict(METHODS.get(method, {}))
        if given.get("all_instances") and not defaults.get("presence"):
            defaults["presence"] = _PRESENCE_OF_INSTANCES
        return {**defaults, **given}

    @field_validator("export", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_names(value)

    @property
    def max_pixels(self) -> int:
        """The most pixels that a photo may have."""
        return int(self.max_megapixels * 1_000_000)


def load_photo_settings(config: Path | None, flags: Mapping[str, Any]) -> PhotoSettings:
    """Combine defaults, a configuration file and flags, in rising order; see ``load_settings``.

    Raises:
        SettingsError: If the file cannot be read, a key or value is not allowed, or a flag would not be heard.
    """
    settings = load_settings_of(PhotoSettings, config, flags, {})
    refuse_flags_of_others(settings.method, flags)
    unheard = [key for key in _FLAGS_OF_INSTANCES if flags.get(key) is not None and not settings.all_instances]
    if unheard:
        raise SettingsError(f"--{unheard[0].replace('_', '-')} is a setting of --all-instances, which is not given")
    return settings
