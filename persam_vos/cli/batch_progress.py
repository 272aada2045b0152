"""What a person, or a program, sees while a batch runs: clips, and where they are worked on here, their frames."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from persam_vos.cli.progress import JsonLines, ProgressBar
from persam_vos.cli.status import say
from persam_vos.pipeline.progress import NoProgress, Progress

if TYPE_CHECKING:
    from persam_vos.batch.work import ClipResult
    from persam_vos.results import FrameResult

_INTERRUPT = "finishing the frames in work; a second interrupt stops at once"
_SECONDS_OF_SILENCE = 2.0


class _Check:
    """The time before the first clip, while the files of all are looked at."""

    def __init__(self) -> None:
        self._timer: threading.Timer | None = None

    @contextmanager
    def lasting(self, tell: Callable[[], None]) -> Iterator[None]:
        """Call ``tell`` in another thread, if the ``with`` block is not left, nor the check ended, in two seconds."""
        self._timer = threading.Timer(_SECONDS_OF_SILENCE, tell)
        # An interrupt does not wait for it.
        self._timer.daemon = True
        self._timer.start()
        try:
            yield
        finally:
            self.end()

    def end(self) -> None:
        """End the check."""
        if self._timer is not None:
            self._timer.cancel()


class _Frames(NoProgress):
    """Shows beside the clips which frame of the clip in work is done."""

    def __init__(self, bar: ClipsBar) -> None:
        self._bar = bar
        self._name, self._frames, self._done = "", "?", 0

    def start(self, name: str, frames: int | None, done: int = 0) -> None:
        """Begin a clip."""
        self._name, self._frames, self._done = name, str(frames or "?"), done

    def advance(self, result: FrameResult) -> None:  # noqa: ARG002
        """Count a frame."""
        self._done += 1
        self._bar.show_frames(f"{self._name} {self._done}/{self._frames}")

    def interrupt(self) -> None:
        """Say that the interrupt was heard."""
        self._bar.interrupt()


class ClipsBar(ProgressBar):
    """A bar of clips on standard error; see ``BatchProgress``."""

    def __init__(self, quiet: bool) -> None:
        super().__init__(quiet, "clip")
        self._failed = 0
        self._check = _Check()

    @property
    def of_frames(self) -> Progress:
        """Shows frames beside the clips."""
        return _Frames(self)

    def checking(self, clips: int) -> AbstractContextManager[None]:
        """Say that the files of clips are checked, if ``begin`` is long in coming in the ``with`` block."""
        return self._check.lasting(lambda: None if self._quiet else say(f"checking {clips} clips"))

    def warn(self, message: str) -> None:
        """Say what is doubtful, above the bar."""
        self._say(f"warning: {message}")

    def begin(self, clips: int, done: int) -> None:
        """Begin."""
        self._check.end()
        options = {"total": clips, "initial": done, "desc": "clips", "unit": "clip", "disable": self._quiet}
        self._show(lambda: self._open(**options))

    def clip(self, result: ClipResult) -> None:
        """Count a clip."""
        with self._lock:
            self.has_advanced = True
            self._failed += result.status == "failed"
            if result.status != "interrupted":
                self._show(lambda: self._bar.set_postfix(failed=self._failed, refresh=False))
                self._show(lambda: self._bar.update())

    def show_frames(self, text: str) -> None:
        """Show how far the clip in work is."""
        with self._lock:
            self._show(lambda: self._bar.set_postfix_str(text))

    def interrupt(self) -> None:
        """Say that the interrupt was heard."""
        self._say(_INTERRUPT)

    def end(self) -> None:
        """End."""
        self.stop()


class ClipLines(JsonLines):
    """Writes a line of JSON for each clip; see ``JsonLines`` and ``BatchProgress``.

    ``check`` has clips, and comes where their check takes more than two seconds; ``start`` has clips and done; ``clip``
    has what index.jsonl says, and the clips done; ``interrupt`` and ``warning`` have a message; ``end`` has the clips
    done.
    """

    def __init__(self) -> None:
        super().__init__("clip")
        self._check = _Check()

    @property
    def of_frames(self) -> Progress:
        """Passes on interrupts; frames are not told."""
        return _Interrupts(self)

    def checking(self, clips: int) -> AbstractContextManager[None]:
        """Write that the files of clips are checked, if ``begin`` is long in coming in the ``with`` block."""
        return self._check.lasting(lambda: self._write("check", clips=clips))

    def begin(self, clips: int, done: int) -> None:
        """Begin."""
        self._check.end()
        self._done = done
        self._write("start", clips=clips, done=done)

    def clip(self, result: ClipResult) -> None:
        """Count a clip."""
        self._done += result.status == "done"
        self.has_advanced = True
        told: dict[str, Any] = {"id": result.id, "status": result.status, "took": result.seconds}
        told |= {"frames": result.frames, "error": result.error or None, "warnings": list(result.warnings)}
        self._write("clip", **told, done=self._done)

    def interrupt(self) -> None:
        """Say that the interrupt was heard."""
        self._write("interrupt", message=_INTERRUPT)

    def end(self) -> None:
        """End."""
        self._write("end", done=self._done)


class _Interrupts(NoProgress):
    def __init__(self, lines: ClipLines) -> None:
        self._lines = lines

    def interrupt(self) -> None:
        """Say that the interrupt was heard."""
        self._lines.interrupt()


def shown_clips(quiet: bool, log_json: bool) -> ClipsBar | ClipLines:
    """Return what shows the progress of a batch.

    Args:
        quiet: Nothing is shown, except as JSON.
        log_json: Lines of JSON are written instead of a bar.
    """
    return ClipLines() if log_json else ClipsBar(quiet)
