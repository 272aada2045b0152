"""Every setting of a run on video: defaults, a preset, a file and flags become one frozen record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from persam_vos.settings.common import EngineSettings, MemorySettings, PersamSettings
from persam_vos.settings.loading import load_settings_of, refuse_flags_of_others
from persam_vos.settings.output import SOFT_EXPORTS, OutputSettings

# What a preset sets, unless it is set beside it.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "quick": {"passes": 1, "closer_look": 0.0, "encode_every": 4},
    "fast": {"passes": 1, "closer_look": 0.0, "encode_every": 1},
    "best": {"passes": 1, "closer_look": 0.5, "encode_every": 1},
}


class TrackerSettings(MemorySettings, PersamSettings):
    """How objects are followed; the defaults are chosen by measurement (docs/accuracy.md).

    The settings down to ``update_target`` are worth a try on new material; the others are numbers of the algorithm.

    Attributes:
        method: ``memory``, ``persam`` or ``persam-f``; settings of ``memory`` come first, then those of the others.
        keep_first_mask: Whether the memory learns from the first mask as it is, instead of moving its edges to
            those of the object first. The result of the first frame is the given mask in either case.
        closer_look: Share, in prior and masks, of a second memory and decoder pass that see a crop around the objects,
            enlarged up to four times; 0 is off, any other costs a second encoding of each frame that an object does not
            nearly fill. In a file, null leaves it to the preset.
        encode_every: Encode every n-th frame, and those where the masks of both neighbours, carried along optical flow,
            disagree; elsewhere they are joined. 1 encodes all. In a file, null leaves it to the preset. ``Tracker``,
            which sees one frame at a time, encodes all.
        flow_agreement: Agreement of the two masks carried to a frame, below which it is encoded: their soft IoU, times
            the shares of their area that are left and that look like the frame. On six sequences, J&F is within 0.2
            from 0.6 to 0.9.
        local_matching: Share of the last frame in the matching; the rest is the annotated frame's. 0 is off.
        background_matching: Share of its prior that a cell loses if it is more similar to nearby background of the
            last frame than to the object; 0 is off.
        memory_rate: Share of each frame in the running moments of the memory; 0 is off. Every ``learn_every``-th frame
            counts for all frames since the last one.
        first_share: Share of the annotated frame in the ridge regression.
        nearer_view: Share, in what the ridge regression learns from the annotated frame, of a second view of it: half
            of its height and width around the objects, which the encoder sees at twice the scale. 0 is off; any other
            costs one encoding a video. With it, objects that come nearer are cut up less.
        gate: Distance, in square roots of the object's area but at least ``gate_cells`` cells of 16 pixels, beyond
            which finds are dropped as something else, if ``gate_found_share`` of the object is found within it; 0 is
            off.
        memory_presence: The object is absent if its mask's similarity to the memory is below this share of its usual
            value; 0 is off.
        anchor: One more positive point where the object was: the middle of its box if that lies on it, else (or
            always, with ``interior``) the point deepest inside it; ``none`` for no such point.
        box_margin: Pixels by which the last box is grown for the first pass.
        presence: The object is absent if its mask's similarity to the target is below this share of the annotation's,
            or another object's is higher by ``rival_margin``; 0 takes every mask for its object, as published.
        update_target: Share by which a well segmented frame moves the target feature; 0 is off.
        learn_every: The memory learns from every n-th frame, since neighbouring frames look alike. On nine sequences
            and three composites J&F is within 0.1 of that of every frame, and within 0.2 with n = 5.
        matching_radius: Cells, by row and column, that anything may move in a frame in local matching.
        background_margin: Cosine similarity by which a cell must be more similar to the last frame's background nearby
            than to the object to count as background.
        background_softness: Width of that threshold's sigmoid, in cosine similarity.
        background_coverage: Coverage below which a cell and its neighbours count as background.
        global_matching_probability: Global matching skips a cell to which ridge regression and last frame both give
            less. On nine sequences and three composites J&F is the same, with two thirds of the queries.
        outdone_share: Share of its probability that an object keeps in a cell where another one is more probable.
        gate_found_share: Share of the object's area that must be found where it was for the gate to close.
        gate_cells: Cells that any object may move in a frame, however small.
        gate_coverage: Coverage above which an object was in a cell, for the gate; at most half of its highest one.
        closer_min_score: Score below which a mask is not looked at closer, since it probably shows something else.
        closer_margin: Score by which the mask of a closer look may be lower and still win: its prior is a mix of two,
            and less decided.
        crop_coverage: Coverage above which an object was in a cell, where the crop of ``closer_look`` is placed; at
            most half of its highest one.
        crop_min_share: Share of an object that must lie in the crop: a memory that saw less takes the rest of the
            object for background.
        crop_margin: Context on each side of the objects in the crop, in square roots of their box's area.
        crop_min_scale: The crop is at least this much smaller than the frame, by its long side; a larger one shows
            little more than the frame does.
        crop_max_scale: And at most this much: what is enlarged more holds no more detail.
        min_area_share: A mask smaller than this share of the object as last seen is no object.
        min_return_share: A mask smaller than this share of the object's size is not taken for its return.
        trusted_score: A mask with a lower predicted IoU is not learnt from, and the object counts as not seen.
        size_decay: Share of that size that is left a frame later, however little of the object is seen.
        initial_similarity: Assumed similarity of an object to its memory until it is seen again; nearly all objects
            have more.
        similarity_rate: Share of each frame in the running mean of that similarity.
        soft_edges: Whether results have ``alpha``, soft at the edges. Exports that show it have it in either case.
        rival_margin: Cosine similarity by which another object must be more similar for a mask of ``persam`` to be
            withdrawn. On annotated objects of two-object clips no other object came closer.
        area_tie_break: Cosine similarity by which a wrong mask of ``persam`` counts as less similar if it fills the
            frame, and in proportion if not: among equally wrong masks, the largest is withdrawn first.
        update_min_iou: Predicted IoU that ``update_target`` needs.
        update_min_similarity: Share of the annotation's similarity that ``update_target`` needs.
    """

    method: Literal["memory", "persam", "persam-f"] = "memory"
    keep_first_mask: bool = False
    closer_look: Annotated[float, Field(ge=0, le=1)] = 0.0
    encode_every: Annotated[int, Field(ge=1, le=16)] = 1
    flow_agreement: Annotated[float, Field(ge=0, le=1)] = 0.7
    local_matching: Annotated[float, Field(ge=0, le=1)] = 0.3
    background_matching: Annotated[float, Field(ge=0, le=1)] = 0.7
    memory_rate: Annotated[float, Field(ge=0, le=1)] = 0.05
    first_share: Annotated[float, Field(ge=0, le=1)] = 0.85
    nearer_view: Annotated[float, Field(ge=0, le=1)] = 0.5
    gate: Annotated[float, Field(ge=0, le=100)] = 0.2
    memory_presence: Annotated[float, Field(ge=0, le=1)] = 0.85
    anchor: Literal["box_centre", "interior", "none"] = "box_centre"
    box_margin: Annotated[int, Field(ge=0, le=1000)] = 10
    presence: Annotated[float, Field(ge=0, le=1)] = 0.65
    update_target: Annotated[float, Field(ge=0, le=1)] = 0.0
    learn_every: Annotated[int, Field(ge=1, le=1000)] = 3
    matching_radius: Annotated[int, Field(ge=1, le=64)] = 8
    background_margin: Annotated[float, Field(ge=0, le=2)] = 0.1
    background_softness: Annotated[float, Field(gt=0, le=2)] = 0.03
    background_coverage: Annotated[float, Field(gt=0, le=1)] = 0.1
    global_matching_probability: Annotated[float, Field(ge=0, le=1)] = 0.05
    outdone_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    gate_found_share: Annotated[float, Field(ge=0, le=1)] = 0.6
    gate_cells: Annotated[int, Field(ge=1, le=64)] = 2
    gate_coverage: Annotated[float, Field(ge=0, le=1)] = 0.3
    closer_min_score: Annotated[float, Field(ge=0, le=1)] = 0.3
    closer_margin: Annotated[float, Field(ge=0, le=1)] = 0.05
    crop_coverage: Annotated[float, Field(ge=0, le=1)] = 0.1
    crop_min_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    crop_margin: Annotated[float, Field(ge=0, le=10)] = 0.3
    crop_min_scale: Annotated[float, Field(ge=1, le=16)] = 1.3
    crop_max_scale: Annotated[float, Field(ge=1, le=16)] = 4.0
    min_area_share: Annotated[float, Field(ge=0, le=1)] = 0.01
    min_return_share: Annotated[float, Field(ge=0, le=1)] = 0.2
    trusted_score: Annotated[float, Field(ge=0, le=1)] = 0.2
    size_decay: Annotated[float, Field(ge=0, le=1)] = 0.95
    initial_similarity: Annotated[float, Field(ge=-1, le=1)] = 0.85
    similarity_rate: Annotated[float, Field(ge=0, le=1)] = 0.1
    soft_edges: bool = False
    rival_margin: Annotated[float, Field(ge=0, le=2)] = 0.02
    area_tie_break: Annotated[float, Field(ge=0, le=1)] = 1e-4
    update_min_iou: Annotated[float, Field(ge=0, le=1)] = 0.8
    update_min_similarity: Annotated[float, Field(ge=0, le=1)] = 0.8

    @property
    def makes_alpha(self) -> bool:
        """Whether results have ``alpha``."""
        return self.soft_edges


class Settings(TrackerSettings, EngineSettings, OutputSettings):
    """All settings of a tracking run: the tracker's, and those of the machine and the output.

    Attributes:
        preset: For ``memory``: ``fast`` encodes each frame once; ``quick`` leaves out frames that need not be encoded;
            ``best`` also takes a closer look at the objects. Settings given beside it win over it; other methods take
            no notice of it.
        encode: The part of the model's square input that holds picture, with a margin, or all of it; ``auto`` is the
            square for ``persam`` and ``persam-f``, which lose ten points of J&F without the padding.
    """

    preset: Literal["quick", "fast", "best"] = "fast"
    encode: Literal["auto", "picture", "square"] = "auto"

    @model_validator(mode="before")
    @classmethod
    def _expand_preset(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(preset := values.get("preset", "fast"), str):
            return values
        # Other methods have no presets: what is left open is as with none.
        expanded = PRESETS.get(preset, {}) if values.get("method", "memory") == "memory" else PRESETS["fast"]
        return {**values, **{key: value for key, value in expanded.items() if values.get(key) is None}}

    @property
    def makes_alpha(self) -> bool:
        """Whether results have ``alpha``, which some exports show."""
        return self.soft_edges or not SOFT_EXPORTS.isdisjoint(self.export)

    @property
    def encodes_square(self) -> bool:
        """Whether the padding of SAM's square input is encoded as well, on which PerSAM's masks depend."""
        return self.encode == "square" or (self.encode == "auto" and self.method != "memory")


def load_settings(config: Path | None, flags: Mapping[str, Any]) -> Settings:
    """Combine defaults, a configuration file and flags, in rising order.

    Args:
        config: YAML file of settings, or None.
        flags: Settings given on the command line; None stands for a flag that was not given.

    Raises:
        SettingsError: If the file cannot be read, or a key or value is not allowed.
    """
    settings = load_settings_of(Settings, config, flags, PRESETS.get(flags.get("preset") or "", {}))
    refuse_flags_of_others(settings.method, flags)
    return settings
