"""What a process of a batch does: take a clip, work on it, tell how it ended; until there is none, or no parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from persam_vos.batch.shares import Share
from persam_vos.pipeline.interrupt import PROCESS_INTERRUPTS, ending_signals
from persam_vos.pipeline.malloc import share_one_arena

if TYPE_CHECKING:
    from persam_vos.sam.engine import Engine
    from persam_vos.settings.video import Settings

    Load = Callable[[Settings], Engine[Settings]]
    MakeLoad = Callable[[], Load]

_NO_PARENT = 1


def one_network() -> Load:
    """Return what loads the network of this process once."""
    from persam_vos.batch.work import Models

    return Models().engine


class _Interrupts:
    """Remembers an interrupt that comes between clips, and lets one within a clip end it."""

    def __init__(self) -> None:
        self.asked = self.working = False

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        self.asked = True
        if self.working:
            PROCESS_INTERRUPTS.raise_if_new(number, frame)


def block_interrupts() -> None:
    """Let a process that this thread starts hear interrupts only once it is ready for them."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, ending_signals())


def serve(connection: Connection, share: Share, make_load: MakeLoad) -> NoReturn:
    """Work on the clips that come, until None comes or the parent is gone.

    Args:
        connection: Brings each ``ClipJob``, and takes its ``ClipResult``.
        share: Of the machine's cores.
        make_load: Returns what loads the network.
    """
    interrupts = _Interrupts()
    for each in ending_signals():
        signal.signal(each, interrupts.hear)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ending_signals())
    threading.Thread(target=_end_with_parent, name="persam-vos parent", daemon=True).start()
    share_one_arena()
    share.take()
    from persam_vos.batch.work import ClipJob, ClipResult, work

    load = make_load()
    while True:
        job: ClipJob | None = None
        with suppress(EOFError, OSError):
            job = connection.recv()
        if job is None:
            # Results are told by then. An ordinary exit takes PyTorch and OpenVINO apart, which takes a second.
            os._exit(0)
        result = ClipResult(job.clip.id, "interrupted", 0.0)
        # An interrupt may come just before a clip as well as just after it.
        with suppress(KeyboardInterrupt):
            try:
                interrupts.working = True
                if not interrupts.asked:
                    result = work(job, load)
            finally:
                interrupts.working = False
        connection.send(result)


def _end_with_parent() -> None:
    """End this process at once when its parent is gone: another batch may go on with the clip."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(_NO_PARENT)
