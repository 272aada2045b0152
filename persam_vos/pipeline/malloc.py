"""How the process takes memory from the system, and gives it back."""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Any

_M_ARENA_MAX = -8  # of glibc's malloc.h


def share_one_arena() -> None:
    """Let all threads share what any of them has freed; before they start, and for the whole process.

    Embeddings are made in one thread and dropped in another. glibc gives every thread memory of its own, where such
    blocks leave holes: 100 MB of them, more or less from one minute to the next. Elsewhere this does nothing.
    """
    if hasattr(_library(), "mallopt"):
        _library().mallopt(_M_ARENA_MAX, 1)


def give_back_freed() -> None:
    """Give back to the system what lies free between blocks in use; with a C library other than glibc, do nothing.

    PyTorch asks for aligned blocks, and glibc finds no room for one in the hole that another one of its size has left:
    over thousands of frames the holes would add up to 80 MB. It takes some 20 milliseconds.
    """
    if hasattr(_library(), "malloc_trim"):
        _library().malloc_trim(0)


@functools.cache
def _library() -> Any:
    """Return the C library on Linux; None elsewhere."""
    return ctypes.CDLL(None) if sys.platform == "linux" else None
