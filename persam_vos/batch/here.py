"""Work on clips in this process, one after the other, with one network for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from persam_vos.batch.run import BatchProgress, Results
from persam_vos.batch.work import ClipJob, Models, work
from persam_vos.sam.engine import Engine
from persam_vos.settings.video import Settings


class Here:
    """This process; see ``Workers``.

    Args:
        load: Returns the network; None for one that is kept from clip to clip.
    """

    def __init__(self, load: Callable[[Settings], Engine[Settings]] | None = None) -> None:
        self._load = load or Models().engine
        self._stopped = False

    @property
    def described(self) -> dict[str, Any]:
        """What batch.json says of it."""
        return {"workers": "this process", "jobs": 1}

    def stop(self) -> None:
        """Begin no other clip; none is in work when this is called."""
        self._stopped = True

    def results(self, jobs: Sequence[ClipJob], progress: BatchProgress) -> Results:
        """Yield how each clip ended, in order; see ``Workers``."""
        for job in jobs:
            if self._stopped:
                return
            result = work(job, self._load, progress.of_frames)
            yield result
            if result.status == "interrupted":
                return
