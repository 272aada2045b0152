"""Every setting of a run: frozen, validated, complete."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from persam_vos.errors import SettingsError

AnySettings = TypeVar("AnySettings", bound=BaseModel)

# What a preset sets, unless it is set beside it.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "fast": {"passes": 1, "closer_look": 0.0},
    "best": {"passes": 4, "closer_look": 0.5},
}

# Flags that only some methods hear.
_FLAGS_OF_MEMORY = ("preset",)
_FLAGS_OF_PERSAM = ("guidance", "first_pass", "update_target")


class _Validated(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_booleans(cls, value: Any, info: ValidationInfo) -> Any:
        # Pydantic would take true for the number 1, and 1 or "on" for true.
        switch = cls.model_fields[info.field_name or ""].annotation is bool
        if isinstance(value, bool) != switch:
            should = "should be true or false" if switch else "should not be true or false"
            raise PydanticCustomError("boolean", "Input " + should)
        return value


class MemorySettings(_Validated):
    """What ``memory`` does alike on video and on photos; the defaults are chosen by measurement (docs/design.md).

    Attributes:
        passes: Decoder passes per frame: the second without the mask prompt, the others with larger boxes. In a file,
            null leaves it to the preset.
        mask_prompt: The prior's log-odds, times this, go to the decoder as a mask prompt.
        mask_token: Whether a mask token of each object's own, learnt on the annotated frame, is added to the decoder's.
        prior_share: Share of the prior in the final mask; the rest is the decoder's.
        doubt: Further share of the prior, times what the mask's agreement (soft IoU) with it lacks to 0.8; both
            together stay under 0.9.
        colours: Of the log-likelihood ratio of the colours around a mask, the share that corrects it; 0 is off.
        quality_share: Weight of the predicted IoU in the choice among the decoder's candidates, beside their
            agreement with the prior.
        choice_temperature: Of the softmax by which the candidates are mixed; near 0, the best alone is taken.
        matching: Share of matched cells in the prior; the rest is the ridge regression's.
        regularisation: Of the ridge regression.
    """

    passes: Annotated[int, Field(ge=1, le=4)] = 1
    mask_prompt: Annotated[float, Field(ge=0, le=100)] = 1.0
    mask_token: bool = True
    prior_share: Annotated[float, Field(ge=0, le=0.9)] = 0.3
    doubt: Annotated[float, Field(ge=0, le=10)] = 1.5
    colours: Annotated[float, Field(ge=0, le=10)] = 0.4
    quality_share: Annotated[float, Field(ge=0, le=10)] = 0.8
    choice_temperature: Annotated[float, Field(gt=0, le=10)] = 0.02
    matching: Annotated[float, Field(ge=0, le=1)] = 0.4
    regularisation: Annotated[float, Field(gt=0, le=1)] = 5e-3


class PersamSettings(_Validated):
    """What ``persam`` and ``persam-f`` do alike on video and on photos.

    Attributes:
        target: Pooling of the target feature: ``mean``, or ``max_mean`` for (max + mean) / 2.
        positive_points: Points of the location prior on the most similar pixels.
        negative_points: Points of the location prior on the least similar pixels.
        first_pass: Which candidate of PerSAM's first pass goes on: the ``largest`` of the three nested ones, the one of
            best ``predicted_iou``, or of best ``agreement`` (IoU) with the last mask; or the ``single`` one, SAM's
            answer to a prompt that is not ambiguous.
        refinement_box: Whether the tight box of the mask so far joins ``both`` refinement passes, or only the ``last``
            as published for PerSAM; PerSAM-F and an object that was out of sight get it in both.
        guidance: Target-guided attention and target-semantic prompting in the first pass.
        guidance_alignment: Whether the similarity that guides attention lies where the picture does, in the ``padded``
            square, or is ``squashed`` to all of it, as in the published script: right for square pictures only.
        finetune_steps: Optimiser steps of PerSAM-F.
        finetune_learning_rate: Of PerSAM-F, at its first step.
    """

    target: Literal["mean", "max_mean"] = "max_mean"
    positive_points: Annotated[int, Field(ge=1, le=32)] = 2
    negative_points: Annotated[int, Field(ge=0, le=32)] = 0
    first_pass: Literal["largest", "predicted_iou", "agreement", "single"] = "agreement"
    refinement_box: Literal["both", "last"] = "both"
    guidance: Literal["none", "attention", "prompting", "both"] = "none"
    guidance_alignment: Literal["padded", "squashed"] = "padded"
    finetune_steps: Annotated[int, Field(ge=1, le=100_000)] = 800
    finetune_learning_rate: Annotated[float, Field(gt=0, le=1)] = 4e-4


class EngineSettings(_Validated):
    """Which network, and what runs it.

    Attributes:
        model: The network.
        checkpoint: File with its weights; None for the shipped or downloaded ones.
        device: ``auto`` takes a CUDA device if there is one.
        backend: What runs the encoder; ``auto`` takes the fastest one that is installed.
        precision: Of the networks' arithmetic; ``auto`` is bfloat16 where OpenVINO runs on a CPU that has it.
        batch_size: Frames or photos encoded at once; ``auto`` is one per core and at most 4 where OpenVINO runs, else
            1; on a GPU up to 16, by model, and half as many whenever they do not fit. OpenVINO and ONNX Runtime never
            take more than with ``auto``.
    """

    model: Literal["mobile_sam", "vit_b", "vit_l", "vit_h"] = "mobile_sam"
    checkpoint: Path | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    backend: Literal["auto", "torch", "onnxruntime", "openvino"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    batch_size: Annotated[int, Field(ge=1, le=256)] | Literal["auto"] = "auto"


class TrackerSettings(MemorySettings, PersamSettings):
    """How an object is followed; the defaults are chosen by measurement (docs/design.md).

    Attributes:
        method: ``memory``, ``persam`` or ``persam-f``; what is of ``memory`` comes first, then what is of the others.
        closer_look: Share, in the prior, of a second memory that sees the part of the frame around the objects at twice
            the scale; 0 is off, any other costs a second encoding a frame. In a file, null leaves it to the preset.
        local_matching: Share of the last frame in the matching; the rest is the annotated frame's. 0 is off.
        background_matching: How much of its prior a cell loses that is more like the last frame's background nearby
            than like the object; 0 is off.
        memory_rate: Share of each frame in the running part of the memory; every third is learnt from, with the share
            of three. 0 is off.
        first_share: Share of the annotated frame in the ridge regression.
        gate: How far, in square roots of its area but at least 2 cells (32 pixels of the network's input), an object
            may move in a frame before what is found there counts as something else, as long as enough of it is found
            where it was; 0 is off.
        memory_presence: An object counts as gone where its mask is less than this share as like its memory as it
            usually is; 0 is off.
        anchor: One more positive point where the object was: the middle of its box if that lies on it, else (or
            always, with ``interior``) the point deepest inside it; ``none`` for no such point.
        box_margin: Pixels by which the last box is grown for the first pass.
        presence: An object counts as gone where its mask is less than this share as like it as its annotation was, or
            clearly more like another object; 0 takes every mask for its object, as published.
        update_target: Share by which a well segmented frame moves the target feature; 0 is off.
    """

    method: Literal["memory", "persam", "persam-f"] = "memory"
    closer_look: Annotated[float, Field(ge=0, le=1)] = 0.0
    local_matching: Annotated[float, Field(ge=0, le=1)] = 0.3
    background_matching: Annotated[float, Field(ge=0, le=1)] = 0.7
    memory_rate: Annotated[float, Field(ge=0, le=1)] = 0.05
    first_share: Annotated[float, Field(ge=0, le=1)] = 0.85
    gate: Annotated[float, Field(ge=0, le=100)] = 0.2
    memory_presence: Annotated[float, Field(ge=0, le=1)] = 0.85
    anchor: Literal["box_centre", "interior", "none"] = "box_centre"
    box_margin: Annotated[int, Field(ge=0, le=1000)] = 10
    presence: Annotated[float, Field(ge=0, le=1)] = 0.65
    update_target: Annotated[float, Field(ge=0, le=1)] = 0.0


class Settings(TrackerSettings, EngineSettings):
    """All settings of a tracking run: the tracker's, and those of the machine and the output.

    Attributes:
        preset: Of ``memory``: ``fast`` is one decoder pass a frame, ``best`` is four, and a closer look at the
            objects. What is set beside it wins over it.
        encode: The part of the model's square input that holds picture, with a margin, or all of it; ``auto`` is the
            square for ``persam`` and ``persam-f``, which lose ten points of J&F without the padding.
        reader: What decodes a video file.
        export: What is written besides tracks.jsonl and run.json.
        background: Colour behind a cut-out object, #RRGGBB.
    """

    preset: Literal["fast", "best"] = "fast"
    encode: Literal["auto", "picture", "square"] = "auto"
    reader: Literal["pyav", "decord"] = "pyav"
    export: tuple[Literal["masks", "overlay", "cutout"], ...] = ("masks", "overlay")
    background: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] = "#000000"

    @model_validator(mode="before")
    @classmethod
    def _expand_preset(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(preset := values.get("preset", "fast"), str):
            return values
        expanded = PRESETS.get(preset, {})
        return {**values, **{key: value for key, value in expanded.items() if values.get(key) is None}}

    @field_validator("export", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_names(value)

    @property
    def background_rgb(self) -> tuple[int, int, int]:
        """The background as red, green, blue in 0..255."""
        red, green, blue = bytes.fromhex(self.background[1:])
        return red, green, blue


def split_names(value: Any) -> Any:
    """Take names from a text with commas or a list, each once; anything else is left for others to refuse."""
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        return value
    return tuple(dict.fromkeys(name.strip() for name in names))


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


def load_settings_of(
    kind: type[AnySettings], config: Path | None, flags: Mapping[str, Any], preset: Mapping[str, Any]
) -> AnySettings:
    """Combine the same for any kind of settings; ``preset`` is what a flag stands for, and wins over the file."""
    values = dict(_read_yaml(config)) if config else {}
    values |= preset
    values |= {key: value for key, value in flags.items() if value is not None}
    try:
        return kind(**values)
    except ValidationError as error:
        raise SettingsError(_first_fault(kind, error, config, flags)) from error


def refuse_flags_of_others(method: str, flags: Mapping[str, Any]) -> None:
    """Refuse a flag that another method hears; one in a file may stand there for later.

    Raises:
        SettingsError: If there is one.
    """
    of_others = _FLAGS_OF_PERSAM if method == "memory" else _FLAGS_OF_MEMORY
    for key in of_others:
        if flags.get(key) is not None:
            owner = "persam and persam-f" if key in _FLAGS_OF_PERSAM else "memory"
            flag = "--" + key.replace("_", "-")
            raise SettingsError(f"{flag} is a setting of {owner}, but the method is {method}; see --method")


class _EachKeyOnce(yaml.SafeLoader):
    """Refuses a key that is given twice, of which YAML's loader takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        # Whatever else is tagged as a mapping is for the loader to refuse.
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        once: set[str] = set()
        for key in (key.value for key, _ in pairs if isinstance(key, yaml.ScalarNode)):
            if key in once:
                raise yaml.YAMLError(f"{key!r} is given twice")
            once.add(key)
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> Mapping[str, Any]:
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _EachKeyOnce)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read ({error}); give a YAML file of settings") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise SettingsError(f"{path}: holds {type(values).__name__}; a mapping of settings to values is needed")
    return values


def _first_fault(kind: type[BaseModel], error: ValidationError, config: Path | None, flags: Mapping[str, Any]) -> str:
    fault = error.errors()[0]
    name = str(fault["loc"][0])
    by_flag = config is None or flags.get(name) is not None
    if fault["type"] == "extra_forbidden":
        where = f"{config}: " if config else ""
        return f"{where}unknown setting '{name}'; allowed are {', '.join(sorted(kind.model_fields))}"
    where = "--" + name.replace("_", "-") if by_flag else f"{config}: {name}"
    if fault["type"] == "string_pattern_mismatch":
        return f"{where} is {fault['input']!r}: must be a colour such as '#00ff00'"
    # Of a setting of several kinds, one fault for each: what it may be, shortest first.
    faults = sorted({each["msg"] for each in error.errors() if each["loc"][0] == name}, key=len)
    allowed = " or ".join([faults[0], *(each.removeprefix("Input should be ") for each in faults[1:])])
    return f"{where} is {fault['input']!r}: {allowed[0].lower()}{allowed[1:]}"
