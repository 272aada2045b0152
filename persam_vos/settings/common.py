"""Settings that video and photos share: frozen, validated, complete records of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from persam_vos.errors import SettingsError
from persam_vos.settings.faults import first_fault

AnySettings = TypeVar("AnySettings", bound=BaseModel)


class Validated(BaseModel):
    """Base of all settings: frozen, and each fault a ``SettingsError``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    if not TYPE_CHECKING:  # type checkers see the fields as arguments

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise SettingsError(first_fault(type(self), error)) from error

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_booleans(cls, value: Any, info: ValidationInfo) -> Any:
        # Pydantic would take true for the number 1, and 1 or "on" for true.
        switch = cls.model_fields[info.field_name or ""].annotation is bool
        if isinstance(value, bool) != switch:
            should = "should be true or false" if switch else "should not be true or false"
            raise PydanticCustomError("boolean", "Input " + should)
        return value


class MemorySettings(Validated):
    """What ``memory`` does alike on video and on photos; the defaults are chosen by measurement (docs/accuracy.md).

    The first ten are worth a try on new material; the others are numbers of the algorithm.

    Attributes:
        passes: Decoder passes per frame: the second without the mask prompt, the others with larger boxes. In a file,
            null leaves it to the preset.
        mask_prompt: Factor of the prior's logits in the decoder's mask prompt.
        mask_token: Whether a mask token of each object's own, learnt on the annotated frame, is added to the decoder's.
        prior_share: Share of the prior in the final mask; the rest is the decoder's.
        doubt: Extra share of the prior per unit of soft IoU below ``agreed_iou``.
        colours: Share of the colour log-likelihood ratio that is added to the logits; 0 is off.
        quality_share: Weight of the predicted IoU in the choice among the decoder's candidates, beside their
            agreement with the prior.
        choice_temperature: Temperature of the softmax that mixes the candidates; near 0, only the best one counts.
        matching: Share of matched cells in the prior; the rest is the ridge regression's.
        regularisation: Ridge penalty, on features of unit length (Bertinetto et al., arXiv 1805.08136).
        ridge_dimensions: Principal directions, of 864, that the ridge regression sees. On nine sequences and three
            composites J&F is the same with 384, and 0.1 lower with 192.
        key_dimensions: Principal directions in a key; 64 match as well as all, at a tenth of the cost.
        ridge_slope: Steepness of the sigmoid that makes a probability of the ridge regression's answer (+1 on the
            object, -1 elsewhere).
        top_k: Most similar memory cells that a query reads out (STCN, arXiv 2106.05210).
        matching_temperature: Temperature of the softmax over their cosine similarities.
        agreed_iou: Soft IoU of mask and prior, 0..1, below which the mask is doubted.
        max_prior_share: Upper limit of the prior's share by ``prior_share`` and ``doubt`` together.
        token_regularisation: Weight of the squared mask token beside the mean loss of a sample. Twice as much gains
            about as much on nine sequences; with a fifth, one of them falls by twelve points of J&F.
        colour_reach: Standard deviation of the Gaussian window in which colours are modelled, in square roots of the
            object's area. 0.07 to 0.12 are as good; with 0.3, J&F falls by two points.
        colour_noise: Standard deviation of any colour channel, in 0..1, however even the surroundings.
        colour_limit: Log-likelihood ratios are clipped to this: a Gaussian is wrong about its tails.
        colour_trusted_share: Share of the window's weight that object and background each need for the full ratio;
            with less, it shrinks in proportion.
        box_growth: Share of its size by which each side of the box moves out in the third pass; half as much in the
            fourth.
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
    ridge_dimensions: Annotated[int, Field(ge=1, le=4096)] = 256
    key_dimensions: Annotated[int, Field(ge=1, le=4096)] = 64
    ridge_slope: Annotated[float, Field(gt=0, le=100)] = 4.0
    top_k: Annotated[int, Field(ge=1, le=1000)] = 15
    matching_temperature: Annotated[float, Field(gt=0, le=10)] = 0.05
    agreed_iou: Annotated[float, Field(ge=0, le=1)] = 0.8
    max_prior_share: Annotated[float, Field(ge=0, le=1)] = 0.9
    token_regularisation: Annotated[float, Field(gt=0, le=10)] = 0.05
    colour_reach: Annotated[float, Field(gt=0, le=10)] = 0.1
    colour_noise: Annotated[float, Field(gt=0, le=1)] = 0.02
    colour_limit: Annotated[float, Field(gt=0, le=100)] = 3.0
    colour_trusted_share: Annotated[float, Field(gt=0, le=1)] = 0.02
    box_growth: Annotated[float, Field(ge=0, le=1)] = 0.1


class PersamSettings(Validated):
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
        finetune_learning_rate: PerSAM-F's learning rate at its first step.
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


class EngineSettings(Validated):
    """Which network, and what runs it.

    Attributes:
        model: The network.
        checkpoint: File with its weights; None for the shipped or downloaded ones.
        device: ``auto`` takes a CUDA device if there is one, which is untested; ``cpu`` is tested.
        backend: What runs the encoder; ``auto`` takes the fastest one that is installed.
        precision: Number format of the networks; ``auto`` is bfloat16 where OpenVINO runs on a CPU that has it.
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

    @property
    def encodes_square(self) -> bool:
        """Whether the padding of SAM's square input is encoded as well, as SAM was trained."""
        return True


def split_names(value: Any) -> Any:
    """Split text at commas, and drop repeated names; leave other types unchanged, so that validation refuses them."""
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        return value
    return tuple(dict.fromkeys(name.strip() for name in names))
