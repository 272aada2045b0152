"""What a later batch goes on with, does anew, or leaves alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from batches import WatchedBatch, index_of, names_in, run, write_batch
from fakes import Watch
from PIL import Image

from persam_vos.batch.jobs import Processes
from persam_vos.errors import OutputError
from persam_vos.results import FrameResult

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


def interrupted(manifest: Path, output: Path, after: int = 3) -> Path:
    """Stop a batch in its first clip; return the clip's unfinished folder."""

    def interrupt(result: FrameResult) -> None:
        if result.index == after:
            os.kill(os.getpid(), signal.SIGTERM)

    run(manifest, output, WatchedBatch(Watch(interrupt)))
    return output / "a.partial"


def without_a_mask(folder: Path) -> None:
    (folder / "masks" / "00000.png").unlink()


def without_masks(folder: Path) -> None:
    shutil.rmtree(folder / "masks")


def with_a_cut_list(folder: Path) -> None:
    path = next(path for path in folder.iterdir() if "tracks.jsonl" in path.name)
    path.write_bytes(path.read_bytes()[:40])


@pytest.mark.parametrize("damage", [without_a_mask, without_masks, with_a_cut_list])
def test_a_clip_whose_unfinished_folder_is_damaged_is_begun_anew(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    manifest, output = write_batch(tmp_path / "in", "a", frames=8), tmp_path / "out"
    damage(interrupted(manifest, output))

    outcome = run(manifest, output, resume=True)

    assert (outcome.done, outcome.failed) == (1, [])
    assert len(names_in(output / "a" / "masks")) == 8
    assert names_in(output) == ["a", "batch.json", "index.jsonl"]


def test_a_clip_that_another_batch_does_meanwhile_is_not_done_again(tmp_path: Path) -> None:
    manifest, output = write_batch(tmp_path / "in", "ab"), tmp_path / "out"
    seen: list[str] = []

    def other_batch(result: FrameResult) -> None:
        seen.append(f"{(output / 'a').exists()} {result.index}")
        if len(seen) == 1:
            one = tmp_path / "in" / "b.jsonl"
            one.write_text(manifest.read_text().splitlines()[1] + "\n")
            run(one, tmp_path / "other", resume=True)
            (tmp_path / "other" / "b").rename(output / "b")

    outcome = run(manifest, output, WatchedBatch(Watch(other_batch)), resume=True)

    assert len(seen) == 4
    assert index_of(outcome.index) == [("a", "done"), ("b", "done")]
    assert [json.loads(line)["frames"] for line in outcome.index.read_text().splitlines()] == [4, 4]
    assert names_in(output) == ["a", "b", "batch.json", "index.jsonl"]


def test_lines_of_clips_that_were_whole_say_what_their_runs_say(tmp_path: Path) -> None:
    manifest, output = write_batch(tmp_path / "in", "a"), tmp_path / "out"
    run(manifest, output)
    (output / "index.jsonl").unlink()
    (output / ".a.partial").mkdir()

    run(manifest, output, resume=True)

    (line,) = map(json.loads, (output / "index.jsonl").read_text().splitlines())
    assert (line["status"], line["frames"]) == ("done", 4)
    assert line["seconds"] > 0
    # Old results, left by a process that died when the new ones had got their name.
    assert names_in(output) == ["a", "batch.json", "index.jsonl"]


@pytest.mark.parametrize("option", [{"resume": True}, {"overwrite": True}])
def test_a_folder_of_somebody_else_stays(tmp_path: Path, option: dict[str, bool]) -> None:
    manifest, output = write_batch(tmp_path / "in", "a"), tmp_path / "out"
    (output / "a.partial").mkdir(parents=True)
    (output / "a.partial" / "mine.txt").write_text("mine")

    outcome = run(manifest, output, **option)

    assert "move it away" in outcome.failed[0].error
    assert names_in(output / "a.partial") == ["mine.txt"]


def test_records_that_are_links_are_not_written_through(tmp_path: Path) -> None:
    manifest, output = write_batch(tmp_path / "in", "a"), tmp_path / "out"
    (output / "a.partial").mkdir(parents=True)
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (output / "a.partial" / "clip.json").symlink_to(victim)

    assert run(manifest, output, resume=True).done == 1
    assert victim.read_text() == "untouched"
    (output / "index.jsonl").unlink()
    (output / "index.jsonl").symlink_to(victim)
    with pytest.raises(OutputError, match="is a link"):
        run(manifest, output, resume=True)
    assert victim.read_text() == "untouched"


def test_the_path_of_a_background_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, output = write_batch(tmp_path / "in", "a"), tmp_path / "out"
    Image.new("RGB", (64, 48), "red").save(tmp_path / "in" / "red.png")
    line = json.loads(manifest.read_text()) | {"background": "red.png", "export": "cutout"}
    manifest.write_text(json.dumps(line) + "\n")
    run(manifest, output)

    monkeypatch.chdir(tmp_path / "in")
    assert run(Path("clips.jsonl"), output, resume=True).whole == 1
    Image.new("RGB", (64, 48), "blue").save(tmp_path / "in" / "red.png")
    assert run(Path("clips.jsonl"), output, resume=True).done == 1


def test_a_process_that_cannot_be_started_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("persam_vos.batch.jobs._Process", refuse)
    outcome = run(write_batch(tmp_path / "in", "ab"), tmp_path / "out", workers=Processes(2), keep_going=True)

    assert [each.error for each in outcome.failed] == [
        "no process could be started for it (Resource temporarily unavailable)"
    ] * 2
    assert not outcome.interrupted
