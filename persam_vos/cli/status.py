"""Exit statuses, lines on standard error, and interrupts on their way to a status."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
EXIT_DONE, EXIT_INCOMPLETE, EXIT_ERROR, EXIT_INTERRUPTED = 0, 1, 2, 130


class Interrupted(Exception):  # noqa: N818
    """KeyboardInterrupt under a name that Typer does not swallow; its message says what became of the results."""

    def __init__(self, message: str = "interrupted; unfinished results are dropped") -> None:
        super().__init__(message)


def printable(text: str) -> str:
    """Return a text in which control characters are escapes: a terminal would do what they say."""
    return text.translate(_ESCAPES)


def say(message: str) -> None:
    """Print one line on standard error; do nothing where that is closed or full."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(f"persam-vos: {printable(' '.join(message.split()))}", file=sys.stderr)


def show(*lines: object) -> None:
    """Print lines on standard output; do nothing where nobody reads it any more, as after ``head``."""
    with suppress(BrokenPipeError):
        print(*lines, sep="\n")


@contextmanager
def interrupts_pass(
    began: Callable[[], bool] = lambda: True, goes_on: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """Let an interrupt pass Typer.

    Args:
        began: Tells whether a frame was done.
        goes_on: Tells whether another run can go on.
    """
    try:
        yield
    except KeyboardInterrupt:
        if goes_on():
            raise Interrupted("interrupted; --resume goes on") from None
        if began():
            raise Interrupted from None
        raise Interrupted("interrupted before the first frame was done; nothing is kept") from None
