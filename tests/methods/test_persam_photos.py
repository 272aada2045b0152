"""PerSAM on photos: what each choice of the paper's does, with the shipped weights."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from pictures import frame_of, on_frame, scene

from persam_vos.media.frame import Frame
from persam_vos.methods.base import Proposal, Reference
from persam_vos.methods.persam.photos import PersamPhotos
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import ImageEmbedding, SamEncoder
from persam_vos.sam.prompts import Prompts
from persam_vos.settings.photos import PhotoSettings


@cache
def embedded(encoder: SamEncoder, *places: tuple[int, int]) -> tuple[Frame, ImageEmbedding]:
    frame = frame_of(scene(places)[0])
    return frame, encoder.encode([frame])[0]


@torch.inference_mode()
def look(encoder: SamEncoder, decoder: Decoder, **settings: Any) -> Proposal:
    method = PersamPhotos(decoder, PhotoSettings(**settings))
    frame, embedding = embedded(encoder, (60, 80), (300, 100))
    labels = scene([(60, 80), (300, 100)])[1]
    method.learn([Reference(frame, embedding, (labels == 1).astype(np.uint8))], [1])
    return method.look(*embedded(encoder, (330, 120), (90, 60)))


def answer(encoder: SamEncoder, decoder: Decoder, **settings: Any) -> torch.Tensor:
    _, embedding = embedded(encoder, (330, 120), (90, 60))
    return on_frame(look(encoder, decoder, **settings).patches, embedding.geometry)


class Listener(Decoder):
    """Remembers what it was asked."""

    def __init__(self, decoder: Decoder) -> None:
        vars(self).update(vars(decoder))
        self.asked: list[tuple[Prompts, bool]] = []

    def decode(self, embedding: ImageEmbedding, prompts: Prompts, guidance: Any = None, **options: Any) -> Any:
        self.asked.append((prompts, guidance is not None))
        return super().decode(embedding, prompts, guidance, **options)


@pytest.mark.parametrize(
    "other",
    [
        {"target": "max_mean"},
        {"positive_points": 2},
        {"negative_points": 0},
        {"first_pass": "predicted_iou"},
        {"refinement_box": "both"},
        {"guidance": "none"},
        {"guidance": "attention"},
        {"guidance": "prompting"},
        {"guidance_alignment": "squashed"},
    ],
    ids=lambda other: "-".join(map(str, *other.items())),
)
def test_every_choice_changes_the_answer(encoder: SamEncoder, decoder: Decoder, other: dict[str, Any]) -> None:
    published = answer(encoder, decoder, method="persam")

    assert not torch.allclose(answer(encoder, decoder, method="persam", **other), published, atol=1e-3)
    assert torch.equal(answer(encoder, decoder, method="persam"), published)


@pytest.mark.cuda
def test_persam_asks_as_published(encoder: SamEncoder, decoder: Decoder) -> None:
    """One positive and one negative point; guided once; then the mask, and then its box as well."""
    listener = Listener(decoder)

    look(encoder, listener, method="persam")

    assert [guided for _, guided in listener.asked] == [True, False, False]
    asked = [prompts for prompts, _ in listener.asked]
    assert [tuple(prompts.labels[0].tolist()) for prompts in asked] == [(1, 0), (1, 0), (1, 0, 2, 3)]
    assert [prompts.mask_logits is not None for prompts in asked] == [False, True, True]


@pytest.mark.cuda
def test_persam_f_asks_as_published(encoder: SamEncoder, decoder: Decoder) -> None:
    """One positive point, once on the reference and once on the photo; then the mask and its box, twice."""
    listener = Listener(decoder)

    look(encoder, listener, method="persam-f", finetune_steps=10)

    assert not any(guided for _, guided in listener.asked)
    asked = [prompts for prompts, _ in listener.asked]
    assert [tuple(prompts.labels[0].tolist()) for prompts in asked] == [(1,), (1,), (1, 2, 3), (1, 2, 3)]
    assert [prompts.mask_logits is not None for prompts in asked] == [False, False, True, True]
