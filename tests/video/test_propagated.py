"""Objects with keyframes on any frames, propagated both ways."""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from moving import HEIGHT, WIDTH, film, keyframe, mask_at, propagated
from pictures import iou
from PIL import Image

from persam_vos.errors import OutputError
from persam_vos.masks import LabelMap
from persam_vos.video.prompting.keyframes import Keyframe
from persam_vos.video.propagation.propagated import PropagatedVideo
from persam_vos.video.propagation.sweeps import WHOLE, Part

COUNT = 12


def walked(
    video: PropagatedVideo, keyframes: Sequence[Keyframe], part: Part = WHOLE
) -> tuple[list[tuple[int, int]], list[int]]:
    """Propagate; return the direction and index of each frame that was walked through, and the frames that changed."""
    video.place(keyframes)
    walk, seen = video.propagate(part), []
    while True:
        try:
            step = next(walk)
        except StopIteration as end:
            return seen, sorted(end.value)
        seen.append((step.direction, step.frame))


def masks(video: PropagatedVideo) -> list[LabelMap]:
    return [video.result(index).label_map for index in video.frames]


def moving() -> tuple[list[np.ndarray], list[LabelMap]]:
    return film({1: lambda i: 8 + 8 * i, 2: lambda i: 150 - 8 * i}, COUNT)


def test_an_object_is_found_before_and_after_its_keyframe(tmp_path: Path) -> None:
    frames, truths = moving()
    video = propagated(frames, tmp_path)

    seen, changed = walked(video, [keyframe(truths, 5, 1)])

    assert seen == [*((1, i) for i in range(6, 12)), *((-1, i) for i in range(4, -1, -1))]
    assert changed == list(range(12))
    assert all(iou(found == 1, truth == 1) > 0.8 for found, truth in zip(masks(video), truths, strict=True))
    assert video.encoded == COUNT


def test_an_object_that_enters_later_is_absent_before(tmp_path: Path) -> None:
    frames, truths = film({1: lambda i: None if i < 5 else 8 + 8 * i}, COUNT)
    video = propagated(frames, tmp_path)

    walked(video, [keyframe(truths, 7, 1)])

    assert [bool(found.any()) for found in masks(video)] == [False] * 5 + [True] * 7
    assert not any(entry.present for entry in video.result(2).objects)


def test_without_backward_an_object_begins_at_its_first_keyframe(tmp_path: Path) -> None:
    frames, truths = moving()
    video = propagated(frames, tmp_path, backward=False)

    seen, _ = walked(video, [keyframe(truths, 5, 1), keyframe(truths, 8, 1)])

    assert [bool(found.any()) for found in masks(video)] == [False] * 5 + [True] * 7
    # Between two keyframes it is propagated from both all the same.
    assert [frame for direction, frame in seen if direction == -1] == [7, 6]


def test_keyframes_are_kept_to_the_pixel_and_others_give_way(tmp_path: Path) -> None:
    frames, truths = moving()
    drawn = np.zeros((HEIGHT, WIDTH), np.bool_)
    drawn[70:130, 3:200:7] = True  # over object 2 as well
    video = propagated(frames, tmp_path)

    walked(video, [keyframe(truths, 0, 1), Keyframe(6, 1, drawn), keyframe(truths, 0, 2)])

    assert ((video.result(6).label_map == 1) == drawn).all()
    assert (video.result(6).label_map == 2).any()
    assert video.result(6)[1].score == 1


def test_an_object_far_from_all_others_is_found_as_if_it_were_alone(tmp_path: Path) -> None:
    frames, truths = moving()
    alone, both = propagated(frames, tmp_path), propagated(frames, tmp_path)

    walked(alone, [keyframe(truths, 0, 1)])
    walked(both, [keyframe(truths, 0, 1), keyframe(truths, 3, 2)])

    for one, other in zip(masks(alone), masks(both), strict=True):
        assert ((one == 1) == (other == 1)).all()


def test_only_what_a_correction_can_change_is_walked_through_again(tmp_path: Path) -> None:
    frames, truths = moving()
    first = [keyframe(truths, 0, 1), keyframe(truths, 0, 2)]
    video = propagated(frames, tmp_path)
    walked(video, first)
    before = masks(video)

    seen, changed = walked(video, [*first, keyframe(truths, 8, 2)])

    # Object 2 alone: forwards from both keyframes, backwards between them. Both ways are walked at once.
    assert [step for step in seen if step[0] == -1] == [(-1, i) for i in range(7, 0, -1)]
    assert sorted(step for step in seen if step[0] == 1) == [(1, i) for i in range(1, 12) if i != 8]
    assert changed == list(range(1, 12))
    assert all(((one == 1) == (other == 1)).all() for one, other in zip(before, masks(video), strict=True))
    assert walked(video, [*first, keyframe(truths, 8, 2)]) == ([], [])
    assert video.is_complete()


def test_a_stretch_far_from_a_correction_stays(tmp_path: Path) -> None:
    frames, truths = film({1: lambda i: 8 + 4 * i}, 30)
    own = [keyframe(truths, i, 1) for i in (0, 6, 12, 18)]
    video = propagated(frames, tmp_path)
    walked(video, own)

    seen, _ = walked(video, [*own, keyframe(truths, 24, 1)])

    assert min(frame for _, frame in seen) > 12


def test_what_competes_with_a_change_is_found_anew_as_if_all_had_been_said_at_once(tmp_path: Path) -> None:
    """Two squares that touch: order of work must not show."""
    frames, truths = film({1: lambda i: 8 + 10 * i, 2: lambda i: 140 - 6 * i}, COUNT, tops={1: 20, 2: 40})
    said = [keyframe(truths, 0, 1), keyframe(truths, 0, 2), keyframe(truths, 9, 1)]
    step_by_step, at_once = propagated(frames, tmp_path), propagated(frames, tmp_path)
    for count in (1, 2, 3):
        seen, _ = walked(step_by_step, said[:count])
        assert seen

    walked(at_once, said)

    for one, other in zip(masks(step_by_step), masks(at_once), strict=True):
        assert (one == other).all()
    assert (masks(at_once)[6] == 2).any()


def test_what_was_said_can_be_taken_back(tmp_path: Path) -> None:
    frames, truths = moving()
    video = propagated(frames, tmp_path)
    first = [keyframe(truths, 0, 1)]
    walked(video, first)
    before = masks(video)
    wrong = Keyframe(6, 1, mask_at(2, 200))
    walked(video, [*first, wrong, keyframe(truths, 4, 2)])
    assert not (masks(video)[6] == before[6]).all()

    walked(video, first)

    assert all((one == other).all() for one, other in zip(before, masks(video), strict=True))
    assert video.object_ids == (1,)


def test_an_object_that_is_said_to_be_absent_is_found_again_where_it_is_seen(tmp_path: Path) -> None:
    frames, truths = film({1: lambda i: None if i in (5, 6) else 8 + 8 * i}, COUNT)
    video = propagated(frames, tmp_path)
    nowhere = np.zeros((HEIGHT, WIDTH), np.bool_)

    walked(video, [keyframe(truths, 0, 1), Keyframe(5, 1, nowhere)])

    assert [bool((found == 1).any()) for found in masks(video)][:7] == [True] * 5 + [False] * 2
    assert iou(masks(video)[9] == 1, truths[9] == 1) > 0.8


def test_a_propagation_that_is_stopped_goes_on_and_gives_the_same(tmp_path: Path) -> None:
    frames, truths = moving()
    stopped, whole = propagated(frames, tmp_path), propagated(frames, tmp_path)
    said = [keyframe(truths, 4, 1), keyframe(truths, 8, 1)]
    walked(whole, said)
    stopped.place(said)
    walk = stopped.propagate()
    next(walk)
    next(walk)
    walk.close()
    assert not stopped.is_complete()

    walked(stopped, said)

    assert all((one == other).all() for one, other in zip(masks(stopped), masks(whole), strict=True))


def test_every_frame_between_two_keyframes_has_a_fused_mask(tmp_path: Path) -> None:
    frames, truths = moving()
    video = propagated(frames, tmp_path)

    walked(video, [keyframe(truths, 2, 1), keyframe(truths, 9, 1)])

    agreement = {index: video.found(index)[1].fused.agreement for index in video.frames}
    assert [index for index, value in agreement.items() if value is not None] == list(range(3, 9))
    assert min(value for value in agreement.values() if value is not None) > 0.7
    assert [video.found(index)[1].nearest_keyframe for index in (0, 2, 5, 11)] == [2, 0, 3, 2]


@pytest.mark.parametrize("stride", [2, 3])
def test_only_every_so_many_th_frame_is_walked_through(tmp_path: Path, stride: int) -> None:
    frames, truths = moving()
    video = propagated(frames, tmp_path)
    video.frames = range(0, 12, stride)

    seen, _ = walked(video, [keyframe(truths, 6, 1)])

    assert {frame for _, frame in seen} == set(range(0, 12, stride)) - {6}
    assert iou(video.result(0).label_map == 1, truths[0] == 1) > 0.8


def test_a_propagation_that_was_killed_goes_on_where_its_state_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("persam_vos.video.propagation.saved_walk.EVERY", 3)
    frames, truths = film({1: lambda i: 8 + 8 * i, 2: lambda i: 150 - 8 * i}, COUNT)
    said = [keyframe(truths, 2, 1), keyframe(truths, 9, 1), keyframe(truths, 5, 2)]
    whole = propagated(frames, tmp_path)
    steps, _ = walked(whole, said)
    for stop in (2, 4, len(steps) // 2, len(steps) - 1):
        path = tmp_path / f"{stop}.sqlite"
        killed = propagated(frames, tmp_path, store=path)
        killed.place(said)
        walk = killed.propagate()
        for _ in range(stop):
            next(walk)
        walk.close()
        killed._store.close()

        again = propagated(frames, tmp_path, store=path)
        left, _ = walked(again, said)

        # From the last states that were kept: each of two ways that were under way lost three frames at most.
        assert len(left) <= len(steps) - stop + 6
        assert set(left) <= set(steps)
        assert all((one == other).all() for one, other in zip(masks(again), masks(whole), strict=True))
        again._store.close()


@pytest.mark.parametrize("harmed", ["state", "frame"])
def test_a_state_that_is_damaged_or_hostile_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harmed: str
) -> None:
    monkeypatch.setattr("persam_vos.video.propagation.saved_walk.EVERY", 2)
    frames, truths = film({1: lambda i: 8 + 8 * i}, COUNT)
    said, path = [keyframe(truths, 0, 1)], tmp_path / "masks.sqlite"
    killed = propagated(frames, tmp_path, store=path)
    killed.place(said)
    walk = killed.propagate()
    for _ in range(6):
        next(walk)
    walk.close()
    harm = tmp_path / "harm"
    hostile = pickle.dumps(Hostile(str(harm)))
    value = hostile if harmed == "state" else 999
    killed._store._file._data.execute(f"update walk set {harmed} = ?", (value,))
    killed._store.close()

    again = propagated(frames, tmp_path, store=path)
    left, _ = walked(again, said)

    assert len(left) == COUNT - 1
    assert not harm.exists()
    again._store.close()


def stopped(video: PropagatedVideo, keyframes: Sequence[Keyframe], after: int) -> None:
    """Propagate, but so many frames only."""
    video.place(keyframes)
    with closing(video.propagate()) as walk:
        for _ in range(after):
            next(walk)


def test_masks_of_a_walk_that_was_stopped_are_no_results_of_other_prompts(tmp_path: Path) -> None:
    frames, truths = film({1: lambda i: 8 + 8 * i}, COUNT)
    video, anew = propagated(frames, tmp_path), propagated(frames, tmp_path)
    stopped(video, [Keyframe(0, 1, mask_at(1, 150, 60))], after=6)

    walked(video, [keyframe(truths, 8, 1)])

    walked(anew, [keyframe(truths, 8, 1)])
    assert all((one == other).all() for one, other in zip(masks(video), masks(anew), strict=True))


def test_a_state_goes_with_the_masks_that_it_stands_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("persam_vos.video.propagation.saved_walk.EVERY", 3)
    frames, truths = film({1: lambda i: 8 + 4 * i, 2: lambda i: 150 - 4 * i}, 20)
    both = [keyframe(truths, 0, 1), keyframe(truths, 0, 2)]
    video, anew = propagated(frames, tmp_path), propagated(frames, tmp_path)
    stopped(video, both, after=15)
    stopped(video, both[:1], after=2)

    walked(video, both)

    walked(anew, both)
    assert all((one == other).all() for one, other in zip(masks(video), masks(anew), strict=True))


def test_objects_of_one_film_are_not_taken_for_those_of_another(tmp_path: Path) -> None:
    folders = []
    for name, step in (("first", 8), ("second", 2)):
        folders.append(tmp_path / name)
        folders[-1].mkdir()
        frames, truths = film({1: lambda i, step=step: 8 + step * i}, COUNT)  # type: ignore[misc]
        for index, rgb in enumerate(frames):
            Image.fromarray(rgb).save(folders[-1] / f"{index:05d}.png")
    store = tmp_path / "masks.sqlite"
    first = propagated(folders[0], tmp_path / "cache", store=store)
    walked(first, [keyframe(truths, 0, 1)])
    first._store.close()

    second = propagated(folders[1], tmp_path / "other", store=store)
    second.place([keyframe(truths, 0, 1)])

    assert not second.is_complete()
    second._store.close()


def test_a_keyframe_from_which_nothing_is_propagated_counts_as_a_change(tmp_path: Path) -> None:
    """It lies between others, and what lies beside it gives way to it."""
    frames, truths = film({1: lambda i: 8 + 10 * i}, 3)
    said = [keyframe(truths, index, 1) for index in range(3)]
    video = propagated(frames, tmp_path)
    walked(video, said)
    assert video.is_complete()

    video.place([said[0], Keyframe(1, 1, mask_at(1, 100)), said[2]])

    assert not video.is_complete()
    assert walked(video, [said[0], Keyframe(1, 1, mask_at(1, 100)), said[2]]) == ([], [1])


def test_frames_of_a_walk_that_was_stopped_are_named_when_it_has_ended(tmp_path: Path) -> None:
    frames, truths = film({1: lambda i: 8 + 8 * i}, COUNT)
    said = [keyframe(truths, 0, 1)]
    video = propagated(frames, tmp_path)
    walked(video, said)
    corrected = [*said, keyframe(truths, 6, 1)]
    stopped(video, corrected, after=2)

    _, changed = walked(video, corrected)

    assert changed == list(range(1, COUNT))


def test_an_error_at_the_end_of_a_round_leaves_the_rest_to_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, truths = film({1: lambda i: 8 + 10 * i, 2: lambda i: 140 - 6 * i}, COUNT, tops={1: 20, 2: 40})
    said = [keyframe(truths, 0, 1), keyframe(truths, 0, 2)]
    video, at_once = propagated(frames, tmp_path), propagated(frames, tmp_path)
    walked(video, said[:1])
    with monkeypatch.context() as patched:
        patched.setattr(video._store, "complete", fails)
        with pytest.raises(OutputError, match="the disk is full"):
            walked(video, said)
    assert not video.is_complete()

    walked(video, said)

    walked(at_once, said)
    assert all((one == other).all() for one, other in zip(masks(video), masks(at_once), strict=True))


def fails(*_: object) -> None:
    raise OutputError("the disk is full")


def test_a_part_of_the_frames_is_propagated_and_later_the_rest(tmp_path: Path) -> None:
    frames, truths = film({1: lambda i: 8 + 8 * i}, COUNT)
    said = [keyframe(truths, 5, 1)]
    video, whole = propagated(frames, tmp_path), propagated(frames, tmp_path / "whole")
    walked(whole, said)

    near = walked(video, said, Part(frames=range(4, 8)))
    assert near == ([(1, 6), (1, 7), (-1, 4)], [4, 5, 6, 7])
    assert not video.is_complete()
    assert (video.result(7).label_map == whole.result(7).label_map).all()
    back, _ = walked(video, said, Part(direction=-1))
    rest, changed = walked(video, said)

    assert back == [(-1, index) for index in range(3, -1, -1)]
    assert rest == [(1, index) for index in range(8, 12)]
    assert changed == list(range(COUNT))
    assert all((one == other).all() for one, other in zip(masks(video), masks(whole), strict=True))


def test_warnings_are_those_of_the_objects_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames, truths = moving()
    said = [keyframe(truths, 0, 1), keyframe(truths, 0, 2)]
    video = propagated(frames, tmp_path)
    start = video._propagation._method.start

    def doubted(study: Any, others: Any) -> Any:
        tracking = start(study, others)
        tracking.warnings = (f"object {study.object_ids[0]} is doubtful",)
        return tracking

    monkeypatch.setattr(video._propagation._method, "start", doubted)
    walked(video, said)
    assert video.warnings == ("object 1 is doubtful", "object 2 is doubtful")

    walked(video, said[:1])

    assert video.warnings == ("object 1 is doubtful",)


class Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.path,)
