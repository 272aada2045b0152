"""On a CUDA device: embeddings and masks are a CPU's, and a memory too small for a batch takes smaller ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from fakes import FakeReader, FakeWriter, first_mask
from pictures import frame_of, iou, scene

from persam_vos import track
from persam_vos.sam import Engine
from persam_vos.settings.video import PRESETS, Settings
from persam_vos.video.pipeline import track_video

pytestmark = pytest.mark.cuda

PLACES = [[(60 + 8 * i, 80), (300 - 8 * i, 100)] for i in range(6)]


def test_embeddings_are_those_of_a_cpu(gpu: torch.device) -> None:
    frame = frame_of(scene(PLACES[0])[0])
    engines = [Engine(Settings(device=device, backend="torch", precision="float32")) for device in ("cpu", "cuda")]

    cpu, card = (engine.encoder.encode([frame])[0] for engine in engines)

    assert card.features.device.type == "cuda"
    for one, other in zip((cpu.features, *cpu.stages), (card.features, *card.stages), strict=True):
        cells = [each.float().cpu().flatten(1) for each in (one, other)]
        similarity = torch.cosine_similarity(*cells, dim=0)[cells[0].abs().sum(0) > 0]
        assert float(similarity.min()) > 0.999


@pytest.mark.parametrize("preset", PRESETS)
def test_masks_are_those_of_a_cpu(gpu: torch.device, preset: str) -> None:
    clip = [scene(places)[0] for places in PLACES]
    labels = scene(PLACES[0])[1]

    cpu, card = (
        [frame.label_map for frame in track(clip, mask=labels, preset=preset, device=device, precision="float32")]
        for device in ("cpu", "cuda")
    )

    for one, other in zip(cpu, card, strict=True):
        assert min(iou(one == n, other == n) for n in (1, 2)) > 0.99


@pytest.fixture
def all_memory_again(gpu: torch.device) -> Iterator[None]:
    yield
    torch.cuda.set_per_process_memory_fraction(1.0, gpu)


@pytest.mark.usefixtures("all_memory_again", "no_thread_is_left")
def test_a_batch_that_does_not_fit_is_halved_and_no_frame_is_lost(gpu: torch.device) -> None:
    engine = Engine(Settings(device="cuda"))
    full = engine.batch_size
    frames = list(FakeReader(4))
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(gpu)
    engine.batch_encoder.encode(frames)
    room = 1.25 * torch.cuda.max_memory_reserved(gpu)
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(room / torch.cuda.get_device_properties(gpu).total_memory, gpu)
    writer = FakeWriter()

    track_video(engine, FakeReader(2 * full + 1), first_mask(), [writer])

    assert writer.indices == list(range(2 * full + 1))
    assert 1 <= engine.batch_size < full


def test_bfloat16_gives_nearly_the_same_masks(gpu: torch.device) -> None:
    clip, labels = [scene(places)[0] for places in PLACES], scene(PLACES[0])[1]

    found = [
        [frame.label_map for frame in track(clip, mask=labels, device="cuda", precision=precision)]
        for precision in ("float32", "bfloat16")
    ]

    for one, other in zip(*found, strict=True):
        assert np.mean(one != other) < 0.01
