"""Work on clips on a Ray cluster: actors hold the networks, and write into a folder that all machines see."""

from __future__ import annotations

import io
import logging
import os
import platform
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from persam_vos import __version__
from persam_vos.batch.child import one_network
from persam_vos.batch.run import BatchProgress, Results
from persam_vos.batch.shares import Share
from persam_vos.batch.work import ClipJob, ClipResult, work
from persam_vos.errors import MissingDependencyError, OutputError, SettingsError
from persam_vos.pipeline.interrupt import GracefulInterrupt

if TYPE_CHECKING:
    from persam_vos.batch.child import MakeLoad

# OpenVINO encodes at most so many frames at once, and gains little by more threads.
_THREADS = 4
# Ray tries a clip once more on an actor that has died, and starts such actors again as often as it takes.
_RETRIES = 1
_SECONDS_TO_LISTEN = 0.5
# The least that Ray takes; clips and results are small, and pixels never go through it.
_OBJECT_STORE_BYTES = 80 << 20
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class _Ready:
    """What an actor says once it is there."""

    host: str
    version: str
    sees_output: bool


class ClipActor:
    """Works on clips; its network stays loaded.

    Args:
        threads: That it computes with.
        make_load: Returns what loads the network.
    """

    def __init__(self, threads: int, make_load: MakeLoad) -> None:
        Share(threads).take()
        self._load = make_load()

    def ready(self, output: Path) -> _Ready:
        """Say where it is, and whether it sees the folder of the batch."""
        return _Ready(platform.node(), __version__, output.is_dir())

    def work(self, job: ClipJob) -> ClipResult:
        """Work on a clip."""
        return work(job, self._load)


class RayActors:
    """Actors of a Ray cluster; see ``Workers``.

    Args:
        address: Of the cluster, as Ray takes it; None for that of ``RAY_ADDRESS``, or else for a new one on this
            machine, which ends with the batch.
        count: How many actors; None for as many as the cluster now has room for. Ray's autoscaler brings machines for
            more.
        threads: Of each actor, and the CPUs that it asks Ray for; None for up to four.
        make_load: Returns, in each actor, what loads the network.
    """

    def __init__(
        self,
        address: str | None = None,
        count: int | None = None,
        threads: int | None = None,
        make_load: MakeLoad = one_network,
    ) -> None:
        self._address, self._count, self._threads, self._make_load = address, count, threads, make_load
        self._ray = _import_ray()
        self._stopped = False

    @property
    def described(self) -> dict[str, Any]:
        """What batch.json says of it."""
        return {"workers": "ray", "jobs": self._count, "threads": self._threads}

    def stop(self) -> None:
        """Begin no other clip, and stop those in work."""
        self._stopped = True

    def results(self, jobs: Sequence[ClipJob], progress: BatchProgress) -> Results:
        """Yield how each clip ended, as they end; see ``Workers``.

        Clips in work are ended at once, and lose what came after their last checkpoint: at most 50 frames.
        """
        if not jobs:
            return

        def asked() -> None:
            progress.interrupt()
            self.stop()

        actors: list[Any] = []
        with redirect_stdout(_MainThread(sys.stdout)):
            ours = _start(self._ray, self._address)
            try:
                # Ray has handlers of its own, which come back in the end.
                with GracefulInterrupt(asked):
                    actors += self._actors(len(jobs))
                    yield from self._shared_out([_absolute(job) for job in jobs], actors)
            finally:
                for actor in actors:
                    self._ray.kill(actor)
                if ours:
                    self._ray.shutdown()

    def _actors(self, most: int) -> list[Any]:
        nodes = [node["Resources"].get("CPU", 0) for node in self._ray.nodes() if node["Alive"]]
        largest = int(max(nodes, default=1)) or 1
        self._threads = self._threads or min(_THREADS, largest)
        self._count = self._count or max(int(sum(each // self._threads for each in nodes)), 1)
        options = {"num_cpus": self._threads, "max_restarts": -1, "max_task_retries": _RETRIES}
        actor = self._ray.remote(**options)(ClipActor)
        return [actor.remote(self._threads, self._make_load) for _ in range(min(self._count, most))]

    def _shared_out(self, jobs: Sequence[ClipJob], actors: Sequence[Any]) -> Iterator[ClipResult]:
        """Hand a clip to each actor that is there and idle; those that are still to come get none."""
        ray, left = self._ray, iter(jobs)
        coming = {actor.ready.remote(jobs[0].output): actor for actor in actors}
        at_work: dict[Any, tuple[Any, ClipJob]] = {}
        begun = 0
        while at_work or (begun < len(jobs) and not self._stopped):
            found, _ = ray.wait([*coming, *at_work], timeout=_SECONDS_TO_LISTEN)
            if self._stopped:
                break
            for each in found:
                if each in coming:
                    actor = coming.pop(each)
                    self._check(each, jobs[0].output)
                else:
                    actor, job = at_work.pop(each)
                    yield self._result(each, job)
                if not self._stopped and (following := next(left, None)) is not None:
                    begun += 1
                    at_work[actor.work.remote(following)] = actor, following
        for _, job in at_work.values():
            yield ClipResult(job.clip.id, "interrupted", 0.0)

    def _check(self, reference: Any, output: Path) -> None:
        """Refuse an actor that would not write the results of this batch."""
        try:
            ready: _Ready = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            raise SettingsError(f"a worker in the Ray cluster cannot begin: {_last_line(error)}") from error
        if not ready.sees_output:
            raise OutputError(
                f"{output}: is not seen on {ready.host}; all machines of the cluster must see this folder, and the"
                " files of the manifest, under the same paths"
            )
        if ready.version != __version__:
            raise SettingsError(
                f"{ready.host} has persam-vos {ready.version}, and this machine {__version__}; install the same on both"
            )

    def _result(self, reference: Any, job: ClipJob) -> ClipResult:
        try:
            result: ClipResult = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            died = isinstance(error, self._ray.exceptions.RayActorError)
            why = f"the process that worked on it died, {_RETRIES + 1} times in a row" if died else _last_line(error)
            return ClipResult(job.clip.id, "failed", 0.0, error=why)
        return result


class _MainThread(io.TextIOBase):
    """Standard output for the main thread alone: threads of Ray print what its machines say of themselves."""

    def __init__(self, output: TextIO | None) -> None:
        self._output = output

    def write(self, text: str) -> int:
        """Write what the main thread prints."""
        if self._output is not None and threading.current_thread() is threading.main_thread():
            self._output.write(text)
        return len(text)


def _import_ray() -> Any:
    """Import Ray, which tells nobody that it is used.

    Raises:
        MissingDependencyError: If it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.exceptions
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "ray":
            raise
        raise MissingDependencyError(
            "--ray needs Ray, which is not installed: pip install 'persam-vos[ray]'"
        ) from error
    return ray


def _start(ray: Any, address: str | None) -> bool:
    """Connect to a cluster, or start one on this machine; return whether it must be left in the end.

    Raises:
        SettingsError: If there is no such cluster.
    """
    if ray.is_initialized():
        return False
    quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    # Ray refuses these where it connects to a cluster that runs already.
    of_new = {} if address or os.environ.get("RAY_ADDRESS") else {"object_store_memory": _OBJECT_STORE_BYTES}
    try:
        if of_new:
            ray.init(address="local", include_dashboard=False, **of_new, **quiet)
        else:
            ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise SettingsError(f"there is no Ray cluster at {address or 'RAY_ADDRESS'}: {_last_line(error)}") from error
    return True


def _absolute(job: ClipJob) -> ClipJob:
    """Return a job whose paths do not depend on the folder in which a process was started."""
    clip, said = job.clip, job.clip.said
    settings = clip.settings
    changed: dict[str, Any] = {}
    if settings.checkpoint is not None:
        changed["checkpoint"] = settings.checkpoint.absolute()
    if settings.background_file is not None:
        changed["background"] = str(settings.background_file.absolute())
    said = replace(
        said,
        mask=None if said.mask is None else said.mask.absolute(),
        prompts=None if said.prompts is None else said.prompts.absolute(),
    )
    video = os.path.join(os.getcwd(), clip.video)  # noqa: PTH109, PTH118 - a pattern is no path
    return replace(
        job,
        output=job.output.absolute(),
        clip=replace(clip, video=video, said=said, settings=settings.model_copy(update=changed)),
    )


def _last_line(error: Exception) -> str:
    """Return what went wrong, of what Ray says: it comes last, below a trace."""
    lines = [line for line in _COLOURS.sub("", str(error)).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
