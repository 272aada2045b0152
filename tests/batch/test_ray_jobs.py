"""A Ray cluster on this machine: two actors, of which one is killed in the middle."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from batches import DIES_ONCE, WatchedBatch, deadly, fake_engine, index_of, names_in, run, with_grow, write_batch

from persam_vos.batch.manifest import read_manifest
from persam_vos.batch.ray_jobs import ClipActor, RayActors, _absolute, _Ready
from persam_vos.batch.run import BatchOutcome
from persam_vos.batch.work import ClipJob, ClipResult
from persam_vos.errors import OutputError, SettingsError
from persam_vos.media.masks.reading import AS_IT_IS

ray = pytest.importorskip("ray")


@pytest.fixture(autouse=True)
def _actors_find_the_fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*map(str, Path(__file__).parents[1:3])]))


def test_an_actor_that_is_killed_loses_its_clip_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    manifest = write_batch(tmp_path / "in", "abcd")
    with_grow(manifest, {"b": DIES_ONCE})
    workers = RayActors(None, 2, 1, make_load=partial(deadly, tmp_path))
    outcome = run(manifest, tmp_path / "out", workers=workers)

    assert dict(index_of(outcome.index)) == dict.fromkeys("abcd", "done")
    assert (tmp_path / "died").exists()
    assert set("abcd") <= set(names_in(tmp_path / "out"))
    assert capfd.readouterr() == ("", "")


class FakeRay:
    """A cluster of actors in this process, whose results are there at once."""

    def __init__(self, errors: Sequence[Exception] = (), *, is_new: bool = False, gpus: Sequence[float] = (0,)) -> None:
        self.exceptions = ray.exceptions
        self.errors = list(errors)
        self.is_new, self.gpus = is_new, gpus
        self.killed = 0
        self.warnings: list[str] = []

    def is_initialized(self) -> bool:
        return not self.is_new

    def init(self, **options: Any) -> None:
        self.is_new = False

    def shutdown(self) -> None:
        pass

    def nodes(self) -> list[dict[str, Any]]:
        alive = [{"Alive": True, "Resources": {"CPU": 3.0, **({"GPU": each} if each else {})}} for each in self.gpus]
        return [*alive, {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}}]

    def remote(self, **options: Any) -> Any:
        self.options = options
        return lambda kind: SimpleNamespace(remote=lambda *given: self.actor(kind(*given)))

    def actor(self, made: ClipActor) -> Any:
        calls = {name: partial(self.call, getattr(made, name)) for name in ("ready", "work")}
        return SimpleNamespace(**{name: SimpleNamespace(remote=call) for name, call in calls.items()})

    def call(self, function: Callable[..., object], *given: object) -> Callable[[], object]:
        return lambda: function(*given)

    def wait(
        self, references: Sequence[Any], num_returns: int = 1, timeout: float | None = None
    ) -> tuple[list[Any], list[Any]]:
        return list(references), []

    def get(self, reference: Callable[[], object]) -> object:
        if self.errors:
            raise self.errors.pop(0)
        return reference()

    def kill(self, actor: Any) -> None:
        self.killed += 1


def in_fake_cluster(
    cluster: FakeRay, monkeypatch: pytest.MonkeyPatch, manifest: Path, **options: Any
) -> tuple[WatchedBatch, BatchOutcome]:
    monkeypatch.setattr("persam_vos.batch.ray_jobs.import_ray", lambda: cluster)
    monkeypatch.setattr("persam_vos.batch.ray_jobs.Share.take", lambda _: None)
    watch = WatchedBatch()
    given = [options.pop(name, None) for name in ("count", "threads")]
    workers = RayActors(None, *given, make_load=lambda: fake_engine, warn=cluster.warnings.append)
    return watch, run(manifest, manifest.parent / "out", watch, workers, **options)


def test_actors_are_as_many_as_there_is_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeRay()
    watch, outcome = in_fake_cluster(cluster, monkeypatch, write_batch(tmp_path, "abc"))

    assert watch.statuses == dict.fromkeys("abc", "done")
    assert cluster.options == {"num_cpus": 3, "num_gpus": 0, "max_restarts": -1, "max_task_retries": 1}
    assert cluster.killed == 1
    told = json.loads(outcome.index.with_name("batch.json").read_text())
    assert (told["workers"], told["jobs"], told["threads"]) == ("ray", 1, 3)


def test_what_ray_says_of_a_clip_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = write_batch(tmp_path, "abc")
    there = FakeRay().get
    errors = [ray.exceptions.ActorDiedError(), ray.exceptions.RaySystemError("\x1b[36mtrace\nValueError: odd\x1b[0m\n")]

    class Failing(FakeRay):
        def get(self, reference: Callable[[], object]) -> object:
            found = there(reference)
            if getattr(found, "id", "a") != "a":
                raise errors.pop(0)
            return found

    watch, outcome = in_fake_cluster(Failing(), monkeypatch, manifest, keep_going=True)
    assert watch.statuses == {"a": "done", "b": "failed", "c": "failed"}
    first, second = (each.error for each in outcome.failed)
    assert first == "the process that worked on it died, 2 times in a row"
    assert "ValueError: odd" in second
    assert "\x1b" not in second


def test_a_machine_that_would_not_write_these_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = write_batch(tmp_path, "a")
    with pytest.raises(SettingsError, match="a worker in the Ray cluster cannot begin: No module named 'persam_vos'"):
        in_fake_cluster(FakeRay([ray.exceptions.RayError("No module named 'persam_vos'")]), monkeypatch, manifest)
    monkeypatch.setattr(ClipActor, "ready", lambda *_: _Ready("far", "0.0.1", sees_output=True))
    with pytest.raises(SettingsError, match=r"far has persam-vos 0\.0\.1"):
        in_fake_cluster(FakeRay(), monkeypatch, manifest, resume=True)
    monkeypatch.setattr(ClipActor, "ready", lambda *_: _Ready("far", "0.0.1", sees_output=False))
    with pytest.raises(OutputError, match="out: is not seen on far; all machines of the cluster must see this folder"):
        in_fake_cluster(FakeRay(), monkeypatch, manifest, resume=True)


def test_a_machine_that_is_left_out_costs_no_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeRay([ray.exceptions.RayError("the machine has gone")])
    watch, _ = in_fake_cluster(cluster, monkeypatch, write_batch(tmp_path, "ab"), count=2)

    assert watch.statuses == dict.fromkeys("ab", "done")
    (warning,) = cluster.warnings
    assert warning == "a worker is left out: a worker in the Ray cluster cannot begin: the machine has gone"


def test_what_has_ended_before_an_interrupt_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class OneByOne(FakeRay):
        def wait(
            self, references: Sequence[Any], num_returns: int = 1, timeout: float | None = None
        ) -> tuple[list[Any], list[Any]]:
            return list(references[:num_returns]), list(references[num_returns:])

    manifest = write_batch(tmp_path, "abc")
    usual = FakeRay.call

    def call(self: FakeRay, function: Callable[..., object], *given: Any) -> Callable[[], object]:
        if isinstance(given[0], ClipJob) and given[0].clip.id == "a":
            return lambda: ClipResult("a", "failed", 0.0, error="odd")
        return usual(self, function, *given)

    monkeypatch.setattr(FakeRay, "call", call)
    watch, outcome = in_fake_cluster(OneByOne(), monkeypatch, manifest, count=2)
    assert watch.statuses == {"a": "failed", "b": "done"}
    assert outcome.interrupted


@pytest.mark.parametrize(
    ("gpus", "device", "count", "asked"),
    [((0, 2, 1), "auto", 2, 1), ((0, 2, 1), "cpu", 3, 0), ((0,), "auto", 1, 0), ((1,), "cuda", 1, 1)],
)
def test_actors_ask_for_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: tuple[int, ...], device: str, count: int, asked: int
) -> None:
    cluster = FakeRay(gpus=gpus)
    _, outcome = in_fake_cluster(cluster, monkeypatch, write_batch(tmp_path, "a"), flags={"device": device})
    assert cluster.options["num_gpus"] == asked
    assert json.loads(outcome.index.with_name("batch.json").read_text())["jobs"] == count


def test_a_new_cluster_that_has_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = write_batch(tmp_path, "a")
    with pytest.raises(SettingsError, match="--threads is 64, and Ray finds 3 CPUs on this machine; pass 3 at most"):
        in_fake_cluster(FakeRay(is_new=True), monkeypatch, manifest, threads=64)
    with pytest.raises(SettingsError, match="the device is cuda, and Ray finds no GPU on this machine"):
        in_fake_cluster(FakeRay(is_new=True), monkeypatch, manifest, flags={"device": "cuda"}, resume=True)


def test_a_cluster_that_cannot_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(FakeRay):
        def init(self, **options: Any) -> None:
            raise Exception("The current node timed out during startup.")

    with pytest.raises(SettingsError, match="Ray cannot start here: The current node timed out"):
        in_fake_cluster(Slow(is_new=True), monkeypatch, write_batch(tmp_path, "a"))


def test_waiting_for_a_busy_cluster_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Busy(FakeRay):
        calls = 0

        def wait(
            self, references: Sequence[Any], num_returns: int = 1, timeout: float | None = None
        ) -> tuple[list[Any], list[Any]]:
            self.calls += 1
            return ([], list(references)) if self.calls < 4 else (list(references), [])

    monkeypatch.setattr("persam_vos.batch.ray_jobs._SECONDS_OF_SILENCE", 0.0)
    cluster = Busy()
    watch, _ = in_fake_cluster(cluster, monkeypatch, write_batch(tmp_path, "a"), threads=64)
    assert watch.statuses == {"a": "done"}
    assert cluster.warnings == ["no worker of the Ray cluster has begun yet; each waits for 64 CPUs that are free"]


def test_jobs_do_not_depend_on_the_folder_of_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_batch(tmp_path, "a")
    monkeypatch.chdir(tmp_path)
    Path("w.pth").touch()
    flags = {"checkpoint": "w.pth", "background": "a.png"}
    (clip,) = read_manifest(Path("clips.jsonl"), config=None, flags=flags).clips
    absolute = _absolute(ClipJob(clip, Path("out"), AS_IT_IS, {}, resume=False))

    assert (absolute.clip.video, absolute.clip.said.mask) == (str(tmp_path / "a.mp4"), tmp_path / "a.png")
    assert absolute.output == tmp_path / "out"
    settings = absolute.clip.settings
    assert (settings.checkpoint, settings.background) == (tmp_path / "w.pth", str(tmp_path / "a.png"))


def test_a_cluster_that_starts_on_a_busy_machine_gets_another_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Busy(FakeRay):
        tries = 0

        def init(self, **options: Any) -> None:
            self.tries += 1
            if self.tries < 3:
                raise Exception("The current node timed out during startup.")
            super().init(**options)

    cluster = Busy(is_new=True)
    _, outcome = in_fake_cluster(cluster, monkeypatch, write_batch(tmp_path, "a"))
    assert (cluster.tries, outcome.done) == (3, 1)
