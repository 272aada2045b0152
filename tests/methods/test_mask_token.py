"""A mask token learnt on the annotated frame: it adds what the answer lacks, and nothing where nothing is lacking."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cells import Following
from hypothesis import given
from hypothesis import strategies as st
from pictures import frame_of
from torch.nn import functional

from persam_vos.methods.memory.mask_token import learn_mask_token
from persam_vos.methods.memory.video import MemoryVideo
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import ImageEmbedding, SamEncoder
from persam_vos.sam.geometry import Geometry
from persam_vos.settings.video import TrackerSettings


def loss(logits: torch.Tensor, mask: torch.Tensor) -> float:
    return float(functional.binary_cross_entropy_with_logits(logits, mask))


def test_what_the_answer_lacks_is_learnt() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(8, 4000, generator=generator)
    mask = (features[3] > 0.5).float()
    answer = torch.where(features[5] > 0, 2.0, -2.0)  # wrong for half of the samples

    token = learn_mask_token(features, answer, mask, regularisation=0.05)

    mended = answer + token[:-1] @ features + token[-1]
    right = [float(((logits > 0) == (mask > 0)).float().mean()) for logits in (answer, mended)]
    assert right[0] < 0.55
    assert right[1] > 0.8
    assert int(token[:-1].argmax()) == 3


def test_a_right_answer_is_left_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(8, 4000, generator=generator)
    mask = (features[3] > 0).float()

    token = learn_mask_token(features, torch.where(mask > 0, 12.0, -12.0), mask, regularisation=0.05)

    assert float(token.abs().max()) < 1e-3


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 300), st.sampled_from([0.0, 1e-6, 1.0, 1e6]))
def test_it_never_makes_the_annotated_frame_worse(seed: int, numbers: int, samples: int, size: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = size * torch.randn(numbers, samples, generator=generator)
    answer = 10 * torch.randn(samples, generator=generator)
    mask = torch.rand(samples, generator=generator).round()

    token = learn_mask_token(features, answer, mask, regularisation=0.05)

    assert bool(token.isfinite().all())
    assert loss(answer + token[:-1] @ features + token[-1], mask) <= loss(answer, mask) + 1e-5


def test_what_is_silent_on_the_annotated_frame_does_not_shout_later() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(4, 1000, generator=generator)
    mask = (features[0] > 0).float()
    features[1] = 1e-6 * (2 * mask - 1)

    token = learn_mask_token(features, torch.zeros(1000), mask, regularisation=0.05)

    assert abs(float(token[1])) < 10 * float(token[0])


@pytest.mark.parametrize("passes", [1, 4])
@pytest.mark.parametrize("count", [1, 2])
def test_an_object_is_cut_out_as_it_was_annotated(
    encoder: SamEncoder, decoder: Decoder, count: int, passes: int
) -> None:
    """SAM takes a coin whole; who annotates a part of one wants that part."""
    from skimage import data

    grey = data.coins()
    frame = frame_of(np.repeat(grey[..., None], 3, axis=2))
    label_map = np.zeros(grey.shape, np.uint8)
    label_map[40:100, 305:335] = 1
    if count == 2:
        label_map[190:240, 20:60] = 2
    (embedding,) = encoder.encode([frame])
    scores = []
    for mask_token in (False, True):
        method = MemoryVideo(
            encoder, decoder, TrackerSettings(mask_token=mask_token, passes=passes, colours=0, keep_first_mask=True)
        )
        following = Following.start(method, frame, embedding, label_map, range(1, count + 1))
        found = following.step(frame, embedding).label_map
        pairs = [(found == i, label_map == i) for i in range(1, count + 1)]
        scores.append([(a & b).sum() / (a | b).sum() for a, b in pairs])

    if passes == 1:
        assert all(after > before for before, after in zip(*scores, strict=True))
    # Learnt from one pass, the token serves all of them.
    assert scores[0] != scores[1]
    assert min(scores[1]) > 0.78


def test_an_object_that_the_prior_does_not_show_has_no_token(decoder: Decoder) -> None:
    """Where every cell is alike, no cell is more likely the object than not."""
    embedding = ImageEmbedding(torch.ones(256, 64, 64), Geometry(64, 64))
    label_map = np.zeros((64, 64), np.uint8)
    label_map[30, 30] = 1
    frame = frame_of(np.zeros((64, 64, 3), np.uint8))
    method = MemoryVideo(None, decoder, TrackerSettings(nearer_view=0, keep_first_mask=True))  # type: ignore[arg-type]

    tracking = Following.start(method, frame, embedding, label_map, [1]).tracking

    assert tracking.tokens is not None
    assert not tracking.tokens.any()
