"""Work on clips on a Ray cluster: actors hold the networks, and write into a folder that all machines see."""

from __future__ import annotations

import math
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persam_vos import __version__
from persam_vos.batch.child import one_network
from persam_vos.batch.ray_cluster import MainThread, begins_anew, import_ray, last_line, start
from persam_vos.batch.run import BatchProgress, Results
from persam_vos.batch.shares import Share
from persam_vos.batch.work import ClipJob, ClipResult, work
from persam_vos.errors import OutputError, PersamVosError, SettingsError
from persam_vos.pipeline.interrupt import GracefulInterrupt

if TYPE_CHECKING:
    from persam_vos.batch.child import MakeLoad

# OpenVINO encodes at most so many frames at once, and gains little by more threads.
_THREADS = 4
# Ray tries a clip once more on an actor that has died, and starts such actors again as often as it takes.
_RETRIES = 1
_SECONDS_TO_LISTEN = 0.5
# Without an actor, until the user is told what they wait for.
_SECONDS_OF_SILENCE = 10.0


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
        warn: Told what is doubtful of the cluster, one line each.
    """

    def __init__(
        self,
        address: str | None = None,
        count: int | None = None,
        threads: int | None = None,
        make_load: MakeLoad = one_network,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._address, self._count, self._threads, self._make_load = address, count, threads, make_load
        self._warn, self._needs = warn, ""
        self._ray = import_ray()
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
        with redirect_stdout(MainThread(sys.stdout)):
            is_new = begins_anew(self._ray, self._address)
            ours = start(self._ray, self._address)
            try:
                # Ray has handlers of its own, which come back in the end.
                with GracefulInterrupt(asked):
                    actors += self._actors(jobs, is_new=is_new)
                    yield from self._shared_out([_absolute(job) for job in jobs], actors)
            finally:
                for actor in actors:
                    self._ray.kill(actor)
                if ours:
                    self._ray.shutdown()

    def _actors(self, jobs: Sequence[ClipJob], *, is_new: bool) -> list[Any]:
        """Ask the cluster for actors; Ray makes each once there is room for it.

        Raises:
            SettingsError: If there never is: ``is_new`` tells that no machine comes.
        """
        machines = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        gpus = _gpus_of_each(jobs, machines)
        fitting = [each for each in machines if each.get("GPU", 0) >= gpus]
        largest = int(max((each.get("CPU", 0) for each in fitting), default=1)) or 1
        self._threads = self._threads or min(_THREADS, largest)
        if is_new and not fitting:
            raise SettingsError("the device is cuda, and Ray finds no GPU on this machine; pass --device auto or cpu")
        if is_new and self._threads > largest:
            raise SettingsError(
                f"--threads is {self._threads}, and Ray finds {largest} CPUs on this machine; pass {largest} at most"
            )
        rooms = (each.get("CPU", 0) // self._threads for each in fitting)
        room = sum(int(min(cpus, each["GPU"]) if gpus else cpus) for each, cpus in zip(fitting, rooms, strict=True))
        self._count = self._count or max(room, 1)
        options = {
            "num_cpus": self._threads,
            "num_gpus": gpus,
            "max_restarts": -1,
            "max_task_retries": _RETRIES,
        }
        self._needs = f"{self._threads} CPUs" + (" and a GPU" if gpus else "")
        actor = self._ray.remote(**options)(ClipActor)
        return [actor.remote(self._threads, self._make_load) for _ in range(min(self._count, len(jobs)))]

    def _shared_out(self, jobs: Sequence[ClipJob], actors: Sequence[Any]) -> Iterator[ClipResult]:
        """Hand a clip to each actor that is there and idle; those that are still to come get none."""
        ray, left = self._ray, iter(jobs)
        coming = {actor.ready.remote(jobs[0].output): actor for actor in actors}
        at_work: dict[Any, tuple[Any, ClipJob]] = {}
        begun, silent_until = 0, time.monotonic() + _SECONDS_OF_SILENCE
        while not self._stopped and (at_work or begun < len(jobs)):
            found, _ = ray.wait([*coming, *at_work], timeout=_SECONDS_TO_LISTEN)
            for each in found:
                if each in coming:
                    actor = coming.pop(each)
                    if (fault := self._fault(each, jobs[0].output)) is not None:
                        # The actor stays, and keeps its room: another one there would be no better.
                        if not (coming or at_work):
                            raise fault
                        self._warn(f"a worker is left out: {fault}")
                        continue
                else:
                    actor, job = at_work.pop(each)
                    yield self._result(each, job)
                if not self._stopped and (following := next(left, None)) is not None:
                    begun += 1
                    at_work[actor.work.remote(following)] = actor, following
            if not (found or begun) and time.monotonic() >= silent_until:
                self._warn(f"no worker of the Ray cluster has begun yet; each waits for {self._needs} that are free")
                silent_until = math.inf
        if at_work:
            for each in ray.wait([*at_work], num_returns=len(at_work), timeout=0)[0]:
                yield self._result(each, at_work.pop(each)[1])
        for _, job in at_work.values():
            yield ClipResult(job.clip.id, "interrupted", 0.0)

    def _fault(self, reference: Any, output: Path) -> PersamVosError | None:
        """Return why an actor would not write the results of this batch; None if it would."""
        try:
            ready: _Ready = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            return SettingsError(f"a worker in the Ray cluster cannot begin: {last_line(error)}")
        if not ready.sees_output:
            return OutputError(
                f"{output}: is not seen on {ready.host}; all machines of the cluster must see this folder, and the"
                " files of the manifest, under the same paths"
            )
        if ready.version != __version__:
            return SettingsError(
                f"{ready.host} has persam-vos {ready.version}, and this machine {__version__}; install the same on both"
            )
        return None

    def _result(self, reference: Any, job: ClipJob) -> ClipResult:
        try:
            result: ClipResult = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            died = isinstance(error, self._ray.exceptions.RayActorError)
            why = f"the process that worked on it died, {_RETRIES + 1} times in a row" if died else last_line(error)
            return ClipResult(job.clip.id, "failed", 0.0, error=why)
        return result


def _gpus_of_each(jobs: Sequence[ClipJob], machines: Sequence[Mapping[str, float]]) -> int:
    """Return how many GPUs an actor asks for: Ray hides them from those that ask for none."""
    devices = {job.clip.settings.device for job in jobs}
    return int("cuda" in devices or ("auto" in devices and any(each.get("GPU", 0) >= 1 for each in machines)))


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
