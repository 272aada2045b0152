"""The interface through which a run saves now and then how far it has come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from persam_vos.media.frame import Frame


class Saving(Protocol):
    """Saves checkpoints, from which a later run can go on."""

    @property
    def saved(self) -> bool:
        """Whether there is a checkpoint."""
        ...

    @property
    def frames_before(self) -> int:
        """Frames that earlier runs have done."""
        ...

    def take(self, frame: Frame, *, now: bool) -> Callable[[], None] | None:
        """Take the state after a frame; called in the thread that searches.

        Args:
            frame: Of the last result.
            now: Whether it is wanted at once, because the run is to stop.

        Returns:
            What saves the state, to be called once the frame and all before it are written; None where it is not time,
            or where later frames are found already.
        """
        ...

    def take_last(self) -> Callable[[], None] | None:
        """Take the state after all frames, where a run ends early; see ``take``."""
        ...

    def suspend(self) -> None:
        """Let the writers leave what the checkpoint needs, and remove what they wrote beyond it; never raises."""
        ...
