"""Edges follow colours: a Gaussian of each side, a mask that is off, and what has no edge to follow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from pictures import everywhere_on_frame, frame_of, iou, on_frame
from torch.nn import functional

from persam_vos.masks import Rgb
from persam_vos.methods.colour_model import LogLikelihoodRatio, _log_likelihood, _sampled, _terms, follow_colours
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.regions import Region
from persam_vos.settings.common import MemorySettings
from persam_vos.settings.video import TrackerSettings
from persam_vos.video.tracker import Tracker


def on_the_grid(mask: np.ndarray, geometry: Geometry, certainty: float = 4.0) -> torch.Tensor:
    """Logits of a mask on the grid of samples, softened over five of them."""
    grid = geometry.to_grid(torch.from_numpy(mask)[None], 256)
    soft = functional.avg_pool2d(grid[None], 5, stride=1, padding=2, count_include_pad=False)[0]
    return certainty * (2 * soft - 1)


def corrected(logits: torch.Tensor, rgb: Rgb, geometry: Geometry, share: float) -> torch.Tensor:
    """Return the logits of corrected masks on the whole frame, and -20 where they are left out."""
    return on_frame(follow_colours(logits, rgb, geometry, MemorySettings(colours=share), -4.6), geometry)


def disc(height: int, width: int, x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.ogrid[:height, :width]
    return np.asarray((rows - y) ** 2 + (columns - x) ** 2 < radius**2)


def painted(mask: np.ndarray, noise: float = 12.0) -> Rgb:
    """A disc of one colour before another one, both noisy."""
    generator = np.random.default_rng(0)
    rgb = np.where(mask[..., None], [180.0, 90.0, 60.0], [80.0, 110.0, 140.0])
    return np.clip(rgb + generator.normal(0, noise, rgb.shape), 0, 255).astype(np.uint8)


@given(st.integers(0, 2**32 - 1))
def test_the_form_is_the_log_likelihood_of_a_gaussian(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    colours = (torch.rand(3, 1, 50, generator=generator) - 0.5) * torch.rand(3, 1, 1, generator=generator)
    weights = torch.rand(50, generator=generator) + 0.01
    moments = (_terms(colours)[:, 0] * weights).sum(dim=1)[:, None, None]

    form = _log_likelihood(moments, 0.02)

    samples = colours[:, 0].double()
    share = (weights / weights.sum()).double()
    mean = samples @ share
    covariance = ((samples - mean[:, None]) * share) @ (samples - mean[:, None]).T + 0.02**2 * torch.eye(3)
    expected = torch.distributions.MultivariateNormal(mean, covariance).log_prob(samples.T)
    found = (form * _terms(colours)).sum(dim=0)[0]
    # Without the constant that is the same for both sides of a ratio.
    torch.testing.assert_close(found.double(), expected + 1.5 * np.log(2 * np.pi), rtol=5e-3, atol=5e-2)


@pytest.mark.parametrize(("height", "width"), [(480, 854), (854, 480), (200, 200), (804, 1920), (1998, 1080)])
def test_a_mask_that_is_off_moves_to_the_edge(height: int, width: int) -> None:
    radius = 0.2 * min(height, width)
    truth = disc(height, width, width / 2, height / 2, radius)
    geometry = Geometry(height, width)
    off = on_the_grid(disc(height, width, width / 2 + 0.06 * radius, height / 2, radius), geometry, 2.0)

    found = corrected(off, painted(truth), geometry, 0.4)[0].numpy() > 0

    before = everywhere_on_frame(off, geometry)[0].numpy() > 0
    assert found.shape == truth.shape
    assert iou(before, truth) < 0.94
    assert iou(found, truth) > 0.97


def test_the_mask_of_memory_follows_colours(decoder: Decoder) -> None:
    """The decoder and the features know of a square; the picture shows a disc in it."""
    geometry = Geometry(256, 256)
    kinds = torch.zeros(64, 64, dtype=torch.long)
    kinds[20:44, 20:44] = 1
    embedding = ImageEmbedding(torch.eye(256)[kinds].permute(2, 0, 1).contiguous(), geometry)
    label_map = kinds.to(torch.uint8).repeat_interleave(4, 0).repeat_interleave(4, 1).numpy()
    truth = disc(256, 256, 128, 128, 44)
    found = []
    for colours in (0.0, 0.4):
        settings = TrackerSettings(colours=colours, mask_token=False, memory_presence=0, nearer_view=0)
        tracker = Tracker.from_parts(None, decoder, settings)  # type: ignore[arg-type]
        frame = frame_of(painted(truth))
        tracker.start(frame, label_map, embedding)
        found.append(iou(tracker.step(frame, embedding).label_map == 1, truth))

    assert found[1] > found[0] + 0.02


def test_where_both_sides_have_one_colour_the_mask_stays() -> None:
    geometry = Geometry(480, 854)
    mask = on_the_grid(disc(480, 854, 400, 240, 90), geometry)
    plain = np.full((480, 854, 3), 127, np.uint8)

    torch.testing.assert_close(
        corrected(mask, plain, geometry, 0.4), everywhere_on_frame(mask, geometry), rtol=0, atol=0.02
    )


@given(st.integers(20, 300), st.integers(20, 300))
@example(1080, 1920)
@example(804, 1920)
def test_samples_show_the_places_that_the_mask_has_there(height: int, width: int) -> None:
    y, x = np.mgrid[:height, :width]
    grey = 127.5 + 60 * np.sin(2 * np.pi * y / height) + 60 * np.cos(2 * np.pi * x / width)
    rgb = np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)
    geometry = Geometry(height, width)

    sampled = _sampled(rgb, geometry, 256)

    assert sampled.shape[:2] == geometry.valid(256)
    expected = geometry.to_cells(torch.from_numpy(rgb[None, ..., 0].astype(np.float32)), 256)[0]
    torch.testing.assert_close(torch.from_numpy(sampled[..., 0].astype(np.float32)), expected, rtol=0, atol=6)


def test_a_large_frame_is_corrected_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    geometry = Geometry(480, 854)
    truth = disc(480, 854, 427, 240, 90)
    mask = on_the_grid(truth, geometry)
    whole = corrected(mask, painted(truth), geometry, 0.4)

    monkeypatch.setattr("persam_vos.methods.colour_model._CORRECTED_STRIP_PIXELS", 2000)

    torch.testing.assert_close(corrected(mask, painted(truth), geometry, 0.4), whole)


def test_what_is_sure_stays_whatever_its_colour() -> None:
    """A hole of the background's colour, deep inside, where the mask is certain."""
    geometry = Geometry(480, 854)
    truth = disc(480, 854, 400, 240, 90)
    rgb = painted(truth & ~disc(480, 854, 400, 240, 15))

    found = corrected(on_the_grid(truth, geometry), rgb, geometry, 0.4)[0].numpy() > 0

    assert found[disc(480, 854, 400, 240, 15)].all()


def test_objects_are_corrected_each_on_its_own_and_nothing_stays_nothing() -> None:
    geometry = Geometry(480, 854)
    one, two = (disc(480, 854, x, 240, 60) for x in (200, 600))
    rgb = painted(one | two)
    masks = [on_the_grid(mask, geometry) for mask in (one, two)]
    nothing = torch.full((1, 256, 256), -9.0)

    together = corrected(torch.cat([masks[0], nothing, masks[1]]), rgb, geometry, 0.4)

    assert torch.equal(together[[0]], corrected(masks[0], rgb, geometry, 0.4))
    assert torch.equal(together[[2]], corrected(masks[1], rgb, geometry, 0.4))
    assert float(together[1].max()) == -20
    assert corrected(nothing, rgb, geometry, 0.4).shape == (1, 480, 854)


def test_the_ratio_at_a_place_is_the_form_there() -> None:
    generator = torch.Generator().manual_seed(0)
    form = 0.3 * torch.randn(10, 4, 5, generator=generator)
    ratio = LogLikelihoodRatio(Region.at(10, 20, 6, 8), 2.0, form, 3.0)
    colours = torch.rand(3, 4, 5, generator=generator) - 0.5
    y, x = (first - 0.5 + 2 * torch.arange(count) for first, count in ((10, 4), (20, 5)))

    torch.testing.assert_close(ratio.at(y, x, colours), (form * _terms(colours)).sum(dim=0))
    between = ratio.at(y[:-1] + 1, x, colours[:, :-1])
    halfway = (form[:, 1:] + form[:, :-1]) / 2
    torch.testing.assert_close(between, (halfway * _terms(colours[:, :-1])).sum(dim=0))
    assert float(LogLikelihoodRatio(ratio.window, 2.0, 100 * form, 3.0).at(y, x, colours).abs().max()) == 3


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.tuples(*[st.integers(0, 255)] * 2),
    st.integers(1, 30),
    st.sampled_from([0.1, 0.4, 10.0]),
)
def test_any_size_and_any_mask_give_finite_logits(
    height: int, width: int, corner: tuple[int, int], size: int, share: float
) -> None:
    logits = torch.full((1, 256, 256), -9.0)
    logits[0, corner[0] : corner[0] + size, corner[1] : corner[1] + size] = 9.0
    rgb = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)[:, ::-1]

    found = corrected(logits, rgb, Geometry(height, width), share)

    assert found.shape == (1, height, width)
    assert bool(found.isfinite().all())


def test_what_is_within_reach_may_fall_out_of_it() -> None:
    """Surroundings that the mask doubts and the colours rule out."""
    geometry = Geometry(480, 854)
    truth = np.zeros((480, 854), bool)
    truth[187:293, 347:453] = True
    logits = torch.full((1, 256, 256), -9.0)
    logits[0, 52:92, 100:140] = -5.0
    logits[0, 56:88, 104:136] = 9.0

    found = corrected(logits, painted(truth), geometry, 2.0)

    assert found.shape == (1, 480, 854)
    assert bool((found[0] > 0)[220:260, 380:420].all())
    assert not (found[0] > 0)[:180].any()
