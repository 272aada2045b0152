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
# Default of ``presence`` for the instances of a method that takes every mask otherwise: a search needs an end.
PRESENCE_OF_INSTANCES = 0.85


class PhotoSettings(MemorySettings, PersamSettings, EngineSettings):
    """All settings of a run on photos. In a file, null leaves a setting to the method.

    Attributes:
        method: ``memory``, ``persam`` or ``persam-f``.
        presence: The object is absent if its mask's similarity is below this share of the references' own; 0 takes
            every mask for its object, as published. The default is 0.77 for ``memory``, and for ``persam`` and
            ``persam-f`` 0, or 0.85 with ``all_instances``.
        all_instances: Find everything similar to the object, not one thing. Needs a reference of one object.
        max_objects: Instances of a photo, at most.
        iou_threshold: Refuse an instance of which earlier ones cover more than this share. With ``erase: similarity``
            none overlaps.
        erase: How a found instance is excluded: ``similarity`` blocks its cells and the pixels of candidate masks;
            ``pixels`` paints it black and encodes the photo again, as published.
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
        min_reference_cells: Cells that an object needs in a reference for their mean similarity to be its usual one.
        assumed_similarity: Cosine similarity that is the usual one if no reference has so many; low, because cells at
            a border are half something else.
        look_alike_quantile: Quantile of the similarities of the object's own cells to each other, of
            ``look_alike_margin``.
        look_alike_margin: A background cell of the references whose cosine similarity to the object exceeds that
            quantile less this may be an instance that nobody marked; it is not learnt as background.
        appearance_cells: Most cells of the object in the appearance model; it stores four times as many of background.
        appearance_margin: Cosine similarity by which a cell must be more similar to the references' background in
            shallow features to count as background.
        sure_evidence: Evidence of the appearance model, 0 as background and 1 as the object, below which the prior is
            reduced in proportion.
        min_component_cells: Cells below which a likely component of the prior is a detail, and no place to search.
        max_separation_points: Most points of a component at which the decoder is asked for a single instance.
        cells_per_point: Cells of the component per such point.
        candidate_coverage: Coverage above which a cell belongs to a candidate of the separation.
        max_left_out_share: A candidate that leaves out more than this share of a component is one of several
            instances in it.
        held_share_exponent: Exponent of the share of a component that a candidate holds, in its rating: half of the
            component costs 5%, a twentieth 19%.
        candidate_share: Share of the candidate in the prior of the instance.
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
    min_reference_cells: Annotated[int, Field(ge=1, le=4096)] = 8
    assumed_similarity: Annotated[float, Field(ge=-1, le=1)] = 0.6
    look_alike_quantile: Annotated[float, Field(ge=0, le=1)] = 0.1
    look_alike_margin: Annotated[float, Field(ge=0, le=2)] = 0.05
    appearance_cells: Annotated[int, Field(ge=1, le=4096)] = 256
    appearance_margin: Annotated[float, Field(ge=0, le=2)] = 0.05
    sure_evidence: Annotated[float, Field(gt=0, le=1)] = 0.5
    min_component_cells: Annotated[int, Field(ge=1, le=4096)] = 6
    max_separation_points: Annotated[int, Field(ge=1, le=64)] = 4
    cells_per_point: Annotated[int, Field(ge=1, le=4096)] = 6
    candidate_coverage: Annotated[float, Field(ge=0, lt=1)] = 0.3
    max_left_out_share: Annotated[float, Field(ge=0, le=1)] = 0.2
    held_share_exponent: Annotated[float, Field(ge=0, le=1)] = 0.07
    candidate_share: Annotated[float, Field(ge=0, le=1)] = 0.5

    @model_validator(mode="before")
    @classmethod
    def _leave_to_method(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(method := values.get("method", "memory"), str):
            return values
        given = {key: value for key, value in values.items() if value is not None or key == "checkpoint"}
        defaults = dict(METHODS.get(method, {}))
        if given.get("all_instances") and not defaults.get("presence"):
            defaults["presence"] = PRESENCE_OF_INSTANCES
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
