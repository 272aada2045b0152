"""How the process takes memory from the system."""

from __future__ import annotations

import ctypes
import sys

_M_ARENA_MAX = -8  # of glibc's malloc.h


def share_one_arena() -> None:
    """Let all threads share what any of them has freed; before they start, and for the whole process.

    Embeddings are made in one thread and dropped in another. glibc gives every thread memory of its own, where such
    blocks leave holes: 100 MB of them, more or less from one minute to the next. Elsewhere this does nothing.
    """
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_M_ARENA_MAX, 1)
