"""How many of the CPU's threads PyTorch uses while something else computes beside it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class _ThreadCount:
    """The number of threads before any block lent some away, and how many blocks each thread is in."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.before = 1
        self.blocks: Counter[int] = Counter()


_COUNT = _ThreadCount()


@contextmanager
def half_of_torch_threads(wanted: bool) -> Iterator[None]:
    """Let PyTorch use half of its threads in a block, or all of them.

    Blocks may overlap, in one thread or several: each one counts from the number before the first of them, which is
    back after the last.

    Args:
        wanted: Whether the block has half of the threads, but at least one; otherwise it has all.
    """
    me = threading.get_ident()
    with _COUNT.lock:
        if not _COUNT.blocks:
            _COUNT.before = torch.get_num_threads()
        before = _COUNT.before
        _COUNT.blocks[me] += 1
        torch.set_num_threads(max(before // 2, 1) if wanted else before)
    try:
        yield
    finally:
        with _COUNT.lock:
            _COUNT.blocks[me] -= 1
            if not _COUNT.blocks[me]:
                del _COUNT.blocks[me]
                # PyTorch keeps the number for each thread, and the last one set for threads to come.
                torch.set_num_threads(before)
