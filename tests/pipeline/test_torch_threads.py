"""PyTorch's threads, lent to the encoder and given back. Networks are faked."""

from __future__ import annotations

import threading

import pytest
import torch
from fakes import (
    FakeEngine,
    FakeReader,
    Watch,
    first_mask,
)

from persam_vos.pipeline.torch_threads import half_of_torch_threads
from persam_vos.video.pipeline import track_video, tracked_frames

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


@pytest.mark.parametrize(("apart", "expected"), [(True, 2), (False, 4)])
def test_the_tracker_leaves_threads_to_an_encoder_that_has_its_own(apart: bool, expected: int) -> None:
    before, during = torch.get_num_threads(), []
    engine = FakeEngine(side_by_side=apart)
    torch.set_num_threads(4)
    try:
        track_video(engine, FakeReader(3), first_mask(), [], Watch(lambda _: during.append(torch.get_num_threads())))
        after = torch.get_num_threads()
    finally:
        torch.set_num_threads(before)

    assert set(during) == {expected}
    assert after == 4


def test_overlapping_runs_leave_pytorch_its_threads() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        runs = [tracked_frames(FakeEngine(side_by_side=True), FakeReader(3), first_mask()) for _ in range(3)]
        for run in runs:
            next(run)
        halved = torch.get_num_threads()
        for run in runs:
            run.close()
        after = torch.get_num_threads()
    finally:
        torch.set_num_threads(before)

    assert (halved, after) == (2, 4)


@pytest.mark.parametrize(
    ("halved", "left", "expected"),
    [
        ([True, False], [1, 0], [2, 4, 2, 4]),
        ([True, False], [0, 1], [2, 4, 4, 4]),
        ([False, True], [0, 1], [4, 2, 2, 4]),
        ([True, False, True], [0, 2, 1], [2, 4, 2, 2, 4, 4]),
        ([True, True, False], [1, 2, 0], [2, 2, 4, 4, 2, 4]),
    ],
)
def test_the_last_open_block_decides(halved: list[bool], left: list[int], expected: list[int]) -> None:
    before, seen = torch.get_num_threads(), []
    torch.set_num_threads(4)
    try:
        blocks = [half_of_torch_threads(each) for each in halved]
        for block in blocks:
            block.__enter__()
            seen.append(torch.get_num_threads())
        for index in left:
            blocks[index].__exit__(None, None, None)
            seen.append(torch.get_num_threads())
    finally:
        torch.set_num_threads(before)

    assert seen == expected


def test_runs_of_several_threads_leave_pytorch_its_threads() -> None:
    before, seen = torch.get_num_threads(), []
    both = threading.Barrier(2)

    def work() -> None:
        with half_of_torch_threads(True):
            both.wait()
            seen.append(torch.get_num_threads())
            both.wait()

    torch.set_num_threads(4)
    try:
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found: list[int] = []
        new = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
        new.start()
        new.join()
    finally:
        torch.set_num_threads(before)

    assert (seen, found) == ([2, 2], [4])
