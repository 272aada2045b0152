"""``persam-vos batch``: its lines, its statuses, and the masks of ``run``."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from batches import names_in, write_batch
from command_line import Command, call, one_line
from typer import Exit

from persam_vos.batch.run import BatchOutcome
from persam_vos.batch.work import ClipResult
from persam_vos.cli.batch import _tell
from persam_vos.cli.batch_progress import shown_clips

FAILED = ClipResult("a", "failed", 0.0, error="odd")


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return write_batch(tmp_path / "in", frames=2)


def test_masks_are_those_of_run(command: Command, manifest: Path, tmp_path: Path) -> None:
    output, clip = tmp_path / "out", manifest.with_name("b.mp4")
    rest = ["--export", "masks", "--backend", "torch"]
    manifest.write_text("".join(manifest.read_text().splitlines(keepends=True)[:2]))
    answer = command("batch", manifest, "-o", output, *rest)
    assert (answer.status, answer.out) == (0, f"{output / 'index.jsonl'}\n")
    assert "2/2" in answer.err
    alone = tmp_path / "alone"
    assert command("run", clip, "--first-mask", clip.with_suffix(".png"), "-o", alone, *rest).status == 0

    for name in ("masks", "prompts"):
        assert names_in(alone / name) == names_in(output / "b" / name)
        for each in (alone / name).iterdir():
            assert each.read_bytes() == (output / "b" / name / each.name).read_bytes()
    assert (alone / "tracks.jsonl").read_bytes() == (output / "b" / "tracks.jsonl").read_bytes()
    assert names_in(output / "b") == sorted([*names_in(alone), "clip.json"])

    answer = command("batch", manifest, "-o", output, "--export", "masks", "--resume", "--log-json")
    assert [json.loads(line)["event"] for line in answer.err.splitlines()] == ["start", "end"]
    one_line(command("batch", manifest, "-o", output), "from an earlier batch; pass --resume to go on with it")


def test_wrong_lines_are_told_one_by_one(manifest: Path, tmp_path: Path) -> None:
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join([lines[0], '{"video": "b.mp4"}', "no", lines[2]]))
    answer = call("batch", manifest, "-o", tmp_path / "out")

    assert (answer.status, answer.out) == (2, "")
    first, second, last = answer.err.splitlines()
    assert first.startswith(f"persam-vos: {manifest}, line 2: nothing says where its objects are")
    assert second.startswith(f"persam-vos: {manifest}, line 3: is not JSON")
    assert last == f"persam-vos: {manifest}: 2 clip(s) cannot be used, and nothing was begun"
    assert not (tmp_path / "out").exists()


def test_clips_that_fail_are_listed(command: Command, manifest: Path, tmp_path: Path) -> None:
    manifest.with_name("b.png").write_bytes(b"no picture")
    rest = ["-o", tmp_path / "out", "--export", "masks", "--quiet", "--keep-going", "--backend", "torch"]
    answer = command("batch", manifest.parent, "--masks-from", manifest.parent, *rest)

    assert (answer.status, answer.out) == (2, "")
    answer = command("batch", manifest, *rest)
    assert (answer.status, answer.out) == (1, "")
    first, last = answer.err.splitlines()
    assert first.startswith("persam-vos: b: ")
    assert last == "persam-vos: 1 clip failed; 2 of 3 clips are whole, and --resume tries the others again"


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        (BatchOutcome(1, failed=[FAILED]), "1 clip failed; 0 of 1 clip is whole, and --resume tries the others again"),
        (
            BatchOutcome(9, whole=2, done=1, failed=[FAILED], interrupted=True),
            "interrupted; 1 clip failed; 3 of 9 clips are whole, and --resume goes on",
        ),
        (BatchOutcome(9, interrupted=True), "interrupted; 0 of 9 clips are whole, and --resume goes on"),
    ],
)
def test_last_lines(capsys: pytest.CaptureFixture[str], outcome: BatchOutcome, line: str) -> None:
    with pytest.raises(Exit):
        _tell(outcome, quiet=True, keep_going=True)
    assert capsys.readouterr().err.splitlines()[-1] == f"persam-vos: {line}"


@pytest.mark.parametrize(
    ("quiet", "log_json", "told"),
    [(False, False, "persam-vos: checking 3 clips\n"), (True, False, ""), (False, True, '"event": "check"')],
)
def test_a_long_check_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, quiet: bool, log_json: bool, told: str
) -> None:
    monkeypatch.setattr("persam_vos.cli.batch_progress._SECONDS_OF_SILENCE", 0.0)
    shown = shown_clips(quiet, log_json)
    with shown.checking(3):
        for each in threading.enumerate():
            if isinstance(each, threading.Timer):
                each.join()
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("quiet", [False, True])
def test_warnings_of_workers(capsys: pytest.CaptureFixture[str], quiet: bool) -> None:
    shown = shown_clips(quiet, log_json=False)
    shown.begin(3, 0)
    shown.warn("odd")
    shown.end()
    assert "persam-vos: warning: odd\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["none.jsonl"], ["none.jsonl: cannot be read", "give a manifest, JSONL or CSV"]),
        (["."], ["is a folder; pass --masks-from MASKS"]),
        (["in/clips.jsonl", "--masks-from", "in"], ["in/clips.jsonl: cannot be listed"]),
        (["in/clips.jsonl", "--shard", "4/3"], ["--shard is '4/3': it must be I/N, such as 3/16"]),
        (["in/clips.jsonl", "--jobs", "0"], ["--jobs is 0: it must be a whole number from 1 to 1024"]),
        (["in/clips.jsonl", "--preset", "bets"], ["--preset is 'bets': did you mean best?"]),
        (["in/clips.jsonl", "--overwrite", "--resume"], ["both --overwrite and --resume are given"]),
        (["in/clips.jsonl", "--checkpoint", "none.pth"], ["none.pth"]),
        (["in/clips.jsonl", "-o", "s3://bucket/out"], ["is an address, and results are written by path; mount it"]),
        (["in/clips.jsonl", "-o", "in/clips.jsonl"], ["clips.jsonl"]),
    ],
)
def test_misuse(manifest: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], parts: list[str]) -> None:
    monkeypatch.chdir(manifest.parents[1])
    one_line(call("batch", *arguments), *parts)


def test_a_task_of_slurm_takes_its_part(
    command: Command, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("ID", "1"), ("COUNT", "3"), ("MIN", "1")):
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
    manifest.write_text(manifest.read_text().splitlines()[0] + "\n")
    answer = command("batch", manifest, "-o", tmp_path / "out")

    assert answer.status == 0
    assert "this task of a Slurm array takes part 1/3; --shard 1/1 takes all" in answer.err
    assert names_in(tmp_path / "out") == ["batch.1-of-3.json", "index.1-of-3.jsonl"]
