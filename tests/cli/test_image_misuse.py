"""Misuse of ``persam-vos image``: one line that says what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import Command, one_line, save
from photo_commands import (
    SIZE,
    claim,
    image,
    spoilt,
)


@pytest.mark.parametrize("name", ["cut.jpg", "empty.jpg", "huge.png", "text.jpg"])
def test_a_spoilt_reference(given: Path, command: Command, tmp_path: Path, name: str) -> None:
    fault = spoilt(tmp_path)[name]
    run = ["image", tmp_path / name, given / "mask.png", given / "photos", "-o", tmp_path / "out"]
    one_line(command(*run), name, fault)
    assert not (tmp_path / "out").exists()


def test_a_spoilt_photo_ends_it(given: Path, command: Command, tmp_path: Path) -> None:
    spoilt(tmp_path / "in")
    run = [*image(given, tmp_path / "in" / "huge.png"), "--method", "persam", "-o", tmp_path / "out", "-q"]
    one_line(command(*run), "huge.png: 20000 x 20000 pixels, more than the limit of 100 megapixels")
    assert not (tmp_path / "out" / "results.jsonl").exists()


def test_bad_masks(given: Path, command: Command, tmp_path: Path) -> None:
    empty, everything = np.zeros(SIZE, np.uint8), np.ones(SIZE, np.uint8)
    soft = np.tile(np.clip(255 - 12 * np.abs(np.arange(SIZE[1]) - 30), 0, 255).astype(np.uint8), (SIZE[0], 1))
    (tmp_path / "claims.png").write_bytes(claim(12_000, 10_000))
    (tmp_path / "text.png").write_text("this is no mask")
    run = ["image", given / "reference.png"]
    rest = [given / "photos", "-o", tmp_path / "out"]
    for mask, parts in (
        (save(tmp_path / "empty.png", empty), ["empty.png: mask is empty"]),
        (save(tmp_path / "everything.png", everything), ["everything.png: covers all of", "reference.png"]),
        (save(tmp_path / "lying.png", empty.T), ["mask is 480 x 270, photo is 270 x 480", "--resize-mask"]),
        (save(tmp_path / "soft.png", soft), ["soft.png", "anti-aliased", "--mask-threshold"]),
        (tmp_path / "claims.png", ["claims.png: mask is 10000 x 12000, photo is 270 x 480"]),
        (tmp_path / "text.png", ["text.png: not a readable picture", "the photo's size"]),
        (tmp_path / "none.png", ["none.png: no such file", "the photo's size"]),
    ):
        one_line(command(*run, mask, *rest), *parts)
    dot = save(tmp_path / "dot.png", np.full((1, 1, 3), 7, np.uint8))
    one_line(command("image", dot, save(tmp_path / "m.png", everything[:1, :1]), *rest), "covers all of", "dot.png")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        (["--ref", "nothing"], ["'nothing': must be PHOTO:MASK, two files that exist"]),
        (["--ref", "a.png:b.png"], ["'a.png:b.png': must be PHOTO:MASK"]),
        (["--ref", "photos:mask.png"], ["must be PHOTO:MASK"]),
        (["--ref", ""], ["must be PHOTO:MASK"]),
        (["--ref", "mask.png:mask.png:"], ["must be PHOTO:MASK"]),
        (["--ref", "reference.png:nested/mask.png", "--all-instances"], ["must be PHOTO:MASK"]),
        (["--export", "masks,gif"], ["--export is 'gif'", "it must be masks, overlay or cutout"]),
        (["--method", "magic"], ["--method is 'magic'", "it must be memory, persam or persam-f"]),
        (["--presence", "1.5"], ["--presence is '1.5'", "a number from 0 to 1"]),
        (["--presence", "nan"], ["--presence is 'nan'", "a number from 0 to 1"]),
        (["--presence", "much"], ["--presence is 'much'", "a number from 0 to 1"]),
        (["--max-megapixels", "0"], ["--max-megapixels is '0'", "a number above 0 and at most 10000"]),
        (["--max-megapixels", "0.1"], ["reference.png: 270 x 480 pixels, more than the limit of 0.1 megapixels"]),
        (["--all-instances", "--max-objects", "0"], ["--max-objects is '0'", "a whole number from 1 to 254"]),
        (["--all-instances", "--max-objects", "255"], ["--max-objects is '255'"]),
        (["--all-instances", "--iou-threshold", "-1"], ["--iou-threshold is '-1'"]),
        (["--all-instances", "--erase", "photo"], ["--erase is 'photo'", "it must be similarity or pixels"]),
        (["--erase", "pixels"], ["--erase is a setting of --all-instances"]),
        (["--max-objects", "3"], ["--max-objects is a setting of --all-instances"]),
        (["--guidance", "both"], ["--guidance is a setting of persam and persam-f, but the method is memory"]),
        (["--preset", "best"], ["has no option --preset, which belongs to run, studio, batch, demo and davis"]),
        (["--batch-size", "0"], ["--batch-size is '0'"]),
        (["--mask-threshold", "300"], ["--mask-threshold is 300: it must be a whole number from 0 to 254"]),
        (["--config", "video.yaml"], ["video.yaml: unknown setting 'anchor': "]),
        (["--config", "none.yaml"], ["none.yaml: cannot be read"]),
        (["-o", "mask.png"], ["mask.png: is a file; the output must be a folder"]),
        (["-o", "mask.png/out"], ["mask.png/out"]),
        (["nothing.jpg"], ["nothing.jpg: no such file or folder; give a photo, a folder of photos or a glob"]),
        (["*.tiff"], ["*.tiff: matches nothing"]),
        (["fast.yaml*"], ["fast.yaml*: matches 1 path(s), none of them a photo"]),
        (["empty"], ["empty: holds no photo (*.bmp"]),
        ([""], ["'' is no path"]),
    ],
    ids=lambda value: " ".join(value) if value and value[0].startswith("-") else None,
)
def test_misuse(
    given: Path, command: Command, monkeypatch: pytest.MonkeyPatch, more: list[str], parts: list[str]
) -> None:
    monkeypatch.chdir(given)
    (given / "empty").mkdir(exist_ok=True)
    (given / "video.yaml").write_text("anchor: none\n")
    one_line(command("image", "reference.png", "mask.png", "photos", *more), *parts)
    assert not (given / "out").exists()


@pytest.mark.parametrize("arguments", [["image"], ["image", "a.jpg"], ["image", "a.jpg", "m.png"], ["perseg"]])
def test_missing_arguments(command: Command, arguments: list[str]) -> None:
    one_line(command(*arguments), f"{arguments[0]} --help")


def test_instances_are_of_one_object(given: Path, command: Command, tmp_path: Path) -> None:
    run = ["image", given / "reference.png", given / "both.png", given / "photos", "-o", tmp_path / "out"]
    one_line(command(*run, "--all-instances"), "the masks show 2 objects; all instances can be found of one only")
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written(given: Path, command: Command) -> None:
    one_line(
        command(*image(given, given / "photos"), "--method", "persam", "-o", "/proc/nowhere", "-q"), "/proc/nowhere"
    )
