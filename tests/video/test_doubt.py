"""Which frames most need a look."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moving import film, keyframe, propagated

from persam_vos.exports.report.doubts import Observed, doubtful
from persam_vos.video.propagation.propagated import FoundObject, PropagatedVideo
from persam_vos.video.session.observed import observe

CALM = Observed(False, 0.1, 0.0, 400, (50.0, 50.0))


def watched(count: int, **odd: Observed) -> dict[int, dict[int, Observed]]:
    """Return frames of one object, of which some are odd: ``f7=...``."""
    return {index: {1: odd.get(f"f{index}", CALM)} for index in range(count)}


def test_the_reason_is_what_weighs_most() -> None:
    cases = {
        "its mask is probably wrong": replace(CALM, lacking=0.8),
        "both directions disagree": replace(CALM, disagreement=0.7),
        "it is lost": replace(CALM, area=0, middle=None, lacking=0.0),
        "its area jumps": replace(CALM, area=2400),
        "it jumps": replace(CALM, middle=(120.0, 50.0)),
    }
    for reason, odd in cases.items():
        (named,) = doubtful(watched(20, f9=odd), 1)
        assert abs(named.frame - 9) <= 1, reason
        assert next(each for each in doubtful(watched(20, f9=odd), 20) if each.frame == 9).reason == reason


def test_an_object_that_comes_back_needs_a_look() -> None:
    gone = replace(CALM, area=0, middle=None, lacking=0.0)
    frames = watched(30, **{f"f{i}": gone for i in range(10, 15)})

    named = doubtful(frames, 2)

    assert {each.frame // 5 for each in named} <= {1, 2, 3}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.integers(1, 8))
def test_named_frames_are_apart_and_in_order(lacking: list[float], count: int) -> None:
    frames = {3 * i: {1: replace(CALM, lacking=each), 4: CALM} for i, each in enumerate(lacking)}

    named = doubtful(frames, count)

    assert 1 <= len(named) <= count
    assert [each.doubt for each in named] == sorted((each.doubt for each in named), reverse=True)
    places = sorted(each.frame // 3 for each in named)
    assert all(b - a >= 0.5 * len(lacking) / count for a, b in itertools.pairwise(places))


def test_a_keyframe_is_never_named() -> None:
    said = Observed(True, 0.0, 0.0, 400, (50.0, 50.0))
    frames = watched(6, f3=said)

    assert all(each.frame != 3 for each in doubtful(frames, 6))
    assert doubtful({0: {1: said}}, 3) == []


def test_the_masks_of_a_frame_are_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames, truths = film({1: lambda i: 8 + 8 * i, 2: lambda i: 150 - 8 * i, 3: lambda i: 8 + 8 * i}, 6)
    video = propagated(frames, tmp_path)
    video.place(keyframe(truths, frame, number) for number in (1, 2, 3) for frame in (0, 5))
    list(video.propagate())
    asked, found = [], PropagatedVideo.found

    def counted(self: PropagatedVideo, index: int) -> dict[int, FoundObject]:
        asked.append(index)
        return found(self, index)

    monkeypatch.setattr(PropagatedVideo, "found", counted)

    observed = observe(video)

    assert asked == list(range(6))
    assert all(observed[0][number].is_keyframe and observed[3][number].area > 0 for number in (1, 2, 3))
