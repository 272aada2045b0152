"""The job on many videos: whole folders, the index, and what a later batch keeps."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from batches import WatchedBatch, fake_engine, index_of, names_in, run, write_batch
from fakes import FakeEngine, Watch

from persam_vos.batch.folders import ClipFolder
from persam_vos.batch.here import Here
from persam_vos.batch.shards import Shard
from persam_vos.errors import ManifestError, OutputError, SettingsError
from persam_vos.results import FrameResult
from persam_vos.settings.video import Settings

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return write_batch(tmp_path / "in")


def test_each_clip_gets_the_folder_of_a_run(manifest: Path, tmp_path: Path) -> None:
    watch, output = WatchedBatch(), tmp_path / "out"
    outcome = run(manifest, output, watch)

    assert names_in(output) == ["a", "b", "batch.json", "c", "index.jsonl"]
    assert names_in(output / "a") == ["clip.json", "masks", "prompts", "prompts.json", "run.json", "tracks.jsonl"]
    assert len(names_in(output / "a" / "masks")) == 4
    assert index_of(output / "index.jsonl") == [("a", "done"), ("b", "done"), ("c", "done")]
    assert (watch.begun, watch.statuses, watch.ended) == ((3, 0), {"a": "done", "b": "done", "c": "done"}, True)
    assert (outcome.done, outcome.failed, outcome.interrupted) == (3, [], False)
    line = json.loads((output / "index.jsonl").read_text().splitlines()[0])
    assert set(line) == {"id", "status", "seconds", "frames", "error", "warnings", "peak_memory_mib"}
    assert (line["frames"], line["error"]) == (4, None)
    told = json.loads((output / "batch.json").read_text())
    assert (told["complete"], told["clips"], told["done"], told["shard"]) == (True, 3, 3, "1/1")
    asked = json.loads((output / "a" / "prompts.json").read_text())
    assert (output / "a" / asked["video"]).resolve() == manifest.with_name("a.mp4")


def test_the_report_names_the_folder_as_it_is_called_in_the_end(manifest: Path, tmp_path: Path) -> None:
    run(manifest, tmp_path / "out", flags={"export": "report"})

    text = (tmp_path / "out" / "a" / "report.html").read_text()
    assert ".partial" not in text
    assert str(tmp_path / "out" / "a" / "prompts.json") in text


class CountingLoad:
    """Makes fake engines; counts them."""

    def __init__(self) -> None:
        self.made: list[Settings] = []

    def __call__(self, settings: Settings) -> FakeEngine:
        self.made.append(settings)
        return fake_engine(settings)


def worked(manifest: Path, output: Path, **options: object) -> dict[str, str]:
    watch = WatchedBatch()
    run(manifest, output, watch, **options)
    return watch.statuses


def test_resume_keeps_what_is_whole_and_asked_for_as_before(manifest: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    run(manifest, output)
    kept = {name: (output / name).stat().st_ino for name in "abc"}

    assert worked(manifest, output, resume=True) == {}
    # Where and how fast it is computed does not matter.
    assert worked(manifest, output, resume=True, flags={"batch_size": 2, "precision": "float32"}) == {}
    lines = manifest.read_text().splitlines()
    lines[0] = lines[0].replace('"id"', '"grow": 1, "id"')
    manifest.write_text("\n".join(lines))
    (manifest.with_name("b.png")).write_bytes((manifest.with_name("c.png")).read_bytes() + b"\0")
    assert worked(manifest, output, resume=True) == {"a": "done", "b": "done"}

    assert (output / "c").stat().st_ino == kept["c"]
    assert {name: (output / name).stat().st_ino != kept[name] for name in "ab"} == {"a": True, "b": True}
    assert json.loads((output / "a" / "run.json").read_text())["settings"]["grow"] == 1
    assert names_in(output) == ["a", "b", "batch.json", "c", "index.jsonl"]


def test_without_resume_nothing_is_replaced_unasked(manifest: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    run(manifest, output)
    (output / "a" / "mine.txt").touch()

    with pytest.raises(OutputError, match="from an earlier batch; pass --resume"):
        run(manifest, output)
    with pytest.raises(SettingsError, match="both --overwrite and --resume"):
        run(manifest, output, overwrite=True, resume=True)
    assert worked(manifest, output, overwrite=True) == {"a": "done", "b": "done", "c": "done"}
    assert not (output / "a" / "mine.txt").exists()


@pytest.mark.parametrize("way", ["overwrite", "resume"])
def test_what_is_no_result_is_never_replaced(manifest: Path, tmp_path: Path, way: str) -> None:
    (tmp_path / "out" / "b").mkdir(parents=True)
    (tmp_path / "out" / "b" / "photo.jpg").touch()

    with pytest.raises(OutputError, match="b: is there, and holds no results"):
        run(manifest, tmp_path / "out", **{way: True})
    assert names_in(tmp_path / "out") == ["b"]


def test_files_that_cannot_be_used_are_told_together(manifest: Path, tmp_path: Path) -> None:
    manifest.with_name("a.png").write_bytes(b"no picture")
    manifest.with_name("c.mp4").unlink()

    with pytest.raises(ManifestError) as raised:
        run(manifest, tmp_path / "out")
    first, second = raised.value.faults
    assert first.startswith(f"{manifest}, line 1: ")
    assert second.startswith(f"{manifest}, line 3: {manifest.with_name('c.mp4')}: no such file")
    assert not (tmp_path / "out").exists()

    outcome = run(manifest, tmp_path / "out", keep_going=True)
    assert [each.id for each in outcome.failed] == ["a", "c"]
    assert index_of(outcome.index) == [("a", "failed"), ("c", "failed"), ("b", "done")]


@pytest.mark.parametrize("key", ["mask", "prompts", "video", "checkpoint", "background"])
def test_devices_without_an_end_are_no_files(manifest: Path, tmp_path: Path, key: str) -> None:
    line = {"id": "a", "video": "a.mp4", "mask": "a.png", key: "/dev/zero"}
    if key == "prompts":
        del line["mask"]
    manifest.write_text(json.dumps(line) + "\n")

    with pytest.raises(ManifestError) as raised:
        run(manifest, tmp_path / "out")
    assert "/dev/zero" in raised.value.faults[0]
    assert not (tmp_path / "out").exists()


def failing_at(name: str, error: Exception) -> Callable[[Settings], FakeEngine]:
    """Return what makes engines for each clip in turn, and fails for one."""
    turn = iter("abcdefgh")

    def load(settings: Settings) -> FakeEngine:
        if next(turn) == name:
            raise error
        return fake_engine(settings)

    return load


def test_a_clip_that_fails_stops_the_batch_or_is_left_out(manifest: Path, tmp_path: Path) -> None:
    broken = RuntimeError("odd\nthings")
    outcome = run(manifest, tmp_path / "one", workers=Here(failing_at("b", broken)))
    assert index_of(outcome.index) == [("a", "done"), ("b", "failed")]
    assert (outcome.failed[0].error, outcome.interrupted) == ("RuntimeError: odd things", True)
    assert json.loads((tmp_path / "one" / "batch.json").read_text())["complete"] is False

    outcome = run(manifest, tmp_path / "two", workers=Here(failing_at("b", broken)), keep_going=True)
    assert index_of(outcome.index) == [("a", "done"), ("b", "failed"), ("c", "done")]
    assert (len(outcome.failed), outcome.interrupted) == (1, False)
    assert worked(manifest, tmp_path / "two", resume=True) == {"b": "done"}


def test_an_interrupt_keeps_whole_clips_and_what_is_done_of_the_one_in_work(tmp_path: Path) -> None:
    manifest = write_batch(tmp_path / "in", frames=8)
    output = tmp_path / "out"

    def interrupt(result: FrameResult) -> None:
        if (output / "a").exists() and result.index == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    watch = WatchedBatch(Watch(interrupt))
    outcome = run(manifest, output, watch)
    assert watch.statuses == {"a": "done", "b": "interrupted"}
    assert (outcome.interrupted, outcome.unfinished) == (True, 1)
    assert names_in(output) == ["a", "b.partial", "batch.json", "index.jsonl"]

    seen: list[int] = []
    again = WatchedBatch(Watch(lambda result: seen.append(result.index)))
    run(manifest, output, again, resume=True)
    assert again.statuses == {"b": "done", "c": "done"}
    # The frames that were done are not done again.
    assert seen[: seen.index(7) + 1] == list(range(seen[0], 8))
    assert seen[0] > 0
    assert json.loads((output / "b" / "run.json").read_text())["frames"] == 8
    assert len(names_in(output / "b" / "masks")) == 8


def test_a_process_that_died_leaves_what_the_next_one_takes_up_or_replaces(manifest: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    run(manifest, output)
    # Died before the rename, and before the line of the index.
    (output / "a").rename(output / "a.partial")
    (output / "b").rename(output / "b.partial")
    (output / "b.partial" / "clip.json").write_text("{}")
    (output / "c").rename(output / "c.partial")
    (output / "c.partial" / "run.json").unlink()
    (output / "c.partial" / ".run.partial").write_bytes(b"damaged")
    (output / "index.jsonl").write_text('{"id": "a", "status": "fai')
    loads = CountingLoad()

    run(manifest, output, workers=Here(loads), resume=True)

    assert names_in(output) == ["a", "b", "batch.json", "c", "index.jsonl"]
    assert index_of(output / "index.jsonl") == [("a", "done"), ("b", "done"), ("c", "done")]
    (output / "index.jsonl").write_text("no index\n")
    run(manifest, output, resume=True)
    assert (output / "index.jsonl").read_text().startswith('no index\n{"id": "a", "status": "done"')


def test_between_two_renames_nothing_is_lost(manifest: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    run(manifest, output)
    folder = ClipFolder(output, "a")
    # An earlier result was moved away, and the new one has not got its name yet.
    (output / "a").rename(folder.partial)

    assert worked(manifest, output, resume=True) == {"a": "done"}
    assert names_in(output) == ["a", "b", "batch.json", "c", "index.jsonl"]


def test_a_folder_gets_its_name_once_all_of_it_is_on_the_disk(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: set[Path] = set()

    def save(path: Path) -> None:
        assert path.exists()
        saved.add(path.relative_to(tmp_path / "out"))

    monkeypatch.setattr("persam_vos.batch.folders.save_to_disk", save)
    run(manifest, tmp_path / "out")

    for name in "abc":
        files = [path.relative_to(tmp_path / "out" / name) for path in (tmp_path / "out" / name).rglob("*.*")]
        assert len(files) > 6
        assert {Path(f"{name}.partial") / path for path in files} <= saved


def test_too_little_memory_is_one_line(manifest: Path, tmp_path: Path) -> None:
    short = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
    outcome = run(manifest, tmp_path / "out", workers=Here(failing_at("a", short)))

    assert outcome.failed[0].error.startswith("there is too little memory; pass fewer --jobs")


def test_links_lead_nowhere(manifest: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine.txt").touch()
    output = tmp_path / "out"
    output.mkdir()
    (output / "a.partial").symlink_to(outside)
    (output / ".b.partial").symlink_to(outside)

    run(manifest, output, resume=True)

    assert names_in(outside) == ["mine.txt"]
    assert (output / "a").is_dir()
    assert not (output / "a").is_symlink()


def test_parts_have_an_index_each(manifest: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    for number in (1, 2, 3):
        run(manifest, output, shard=Shard(number, 3))

    found = [entry for number in (1, 2, 3) for entry in index_of(output / f"index.{number}-of-3.jsonl")]
    assert sorted(found) == [("a", "done"), ("b", "done"), ("c", "done")]
    assert all(json.loads((output / f"batch.{n}-of-3.json").read_text())["complete"] for n in (1, 2, 3))


def test_two_batches_do_not_share_an_index_or_a_clip(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("persam_vos.batch.folders._SECONDS_TO_WAIT", 0.0)
    output = tmp_path / "out"
    met: list[str] = []

    def other_batch(result: FrameResult) -> None:
        if result.index == 1 and not met:
            with pytest.raises(OutputError, match="another batch writes into this folder"):
                run(manifest, output, resume=True)
            outcome = run(manifest, output, resume=True, shard=Shard(1, 1_000_000 // 2), keep_going=True)
            assert outcome.clips == 0
            met.append("index")
            with (
                pytest.raises(OutputError, match="another process works on this clip"),
                ClipFolder(output, "a").held(),
            ):
                pass
            met.append("clip")

    run(manifest, output, WatchedBatch(Watch(other_batch)))
    assert met == ["index", "clip"]
