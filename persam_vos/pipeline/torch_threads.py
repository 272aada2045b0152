"""How many of the CPU's threads PyTorch uses while something else computes beside it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """An open block: its thread, and the number of PyTorch's threads that it wants."""

    thread: int
    number: int


@dataclass(slots=True)
class _OpenBlocks:
    """The blocks that are open, in the order they were entered, and the number before the first of them."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    blocks: list[_Block] = field(default_factory=list)
    before: int = 1


_OPEN = _OpenBlocks()


@contextmanager
def half_of_torch_threads(wanted: bool) -> Iterator[None]:
    """Let PyTorch use half of its threads in a block, or all of them.

    Blocks may overlap in any order, in one thread or several. Each counts from the number before the first of them. At
    the end of one, its thread gets the number of the last block still open there, or all threads if there is none.

    Args:
        wanted: Whether the block has half of the threads, but at least one; otherwise it has all.
    """
    with _OPEN.lock:
        if not _OPEN.blocks:
            _OPEN.before = torch.get_num_threads()
        before = _OPEN.before
        block = _Block(threading.get_ident(), max(before // 2, 1) if wanted else before)
        _OPEN.blocks.append(block)
    try:
        torch.set_num_threads(block.number)
        yield
    finally:
        with _OPEN.lock:
            _OPEN.blocks.remove(block)
            # PyTorch keeps the number for each thread, and the last one set for threads to come.
            here = [each.number for each in _OPEN.blocks if each.thread == threading.get_ident()]
            torch.set_num_threads(here[-1] if here else before)
