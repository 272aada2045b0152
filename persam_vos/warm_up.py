"""Work that is begun before its result is needed, beside something else."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable


def begin(name: str, work: Callable[[], object]) -> None:
    """Do in a thread what will be found done, or is done again, by who needs it: what goes wrong is said there."""

    def attempt() -> None:
        with contextlib.suppress(Exception):
            work()

    threading.Thread(target=attempt, name=f"persam-vos {name}").start()
