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
from persam_vos.batch.work import ClipJob
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

    def __init__(self, errors: Sequence[Exception] = ()) -> None:
        self.exceptions = ray.exceptions
        self.errors = list(errors)
        self.killed = 0

    def is_initialized(self) -> bool:
        return True

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 3.0}}, {"Alive": False, "Resources": {"CPU": 64.0}}]

    def remote(self, **options: Any) -> Any:
        self.options = options
        return lambda kind: SimpleNamespace(remote=lambda *given: self.actor(kind(*given)))

    def actor(self, made: ClipActor) -> Any:
        calls = {name: partial(self.call, getattr(made, name)) for name in ("ready", "work")}
        return SimpleNamespace(**{name: SimpleNamespace(remote=call) for name, call in calls.items()})

    def call(self, function: Callable[..., object], *given: object) -> Callable[[], object]:
        return lambda: function(*given)

    def wait(self, references: Sequence[Any], timeout: float) -> tuple[list[Any], list[Any]]:
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
    monkeypatch.setattr("persam_vos.batch.ray_jobs._import_ray", lambda: cluster)
    monkeypatch.setattr("persam_vos.batch.ray_jobs.Share.take", lambda _: None)
    watch = WatchedBatch()
    workers = RayActors(None, options.pop("count", None), make_load=lambda: fake_engine)
    return watch, run(manifest, manifest.parent / "out", watch, workers, **options)


def test_actors_are_as_many_as_there_is_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeRay()
    watch, outcome = in_fake_cluster(cluster, monkeypatch, write_batch(tmp_path, "abc"))

    assert watch.statuses == dict.fromkeys("abc", "done")
    assert cluster.options == {"num_cpus": 3, "max_restarts": -1, "max_task_retries": 1}
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
