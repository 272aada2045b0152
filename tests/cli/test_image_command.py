"""``persam-vos image``: its files, going on after a stop, and odd photos."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import Command, call, one_line, save
from photo_commands import CAT, CUP, SIZE, SUFFIXES, image, mask_of, records, spoilt
from pictures import iou, scene
from PIL import Image
from shared import shared_networks

from persam_vos.cli.app import main


@pytest.fixture(scope="module")
def finished(given: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run into a folder among its photos."""
    photos = tmp_path_factory.mktemp("finished") / "photos"
    shutil.copytree(given / "photos", photos)
    output = photos / "out"
    with shared_networks():
        answer = call(*image(given, photos), "-o", output)
    assert (answer.status, answer.out) == (0, f"{output / 'results.jsonl'}\n")
    assert "3/3" in answer.err
    assert all(line.startswith("photos: ") for line in answer.err.splitlines() if line), "nothing but the bar"
    return output


def test_the_output_is_as_described(finished: Path) -> None:
    names = ["mit Löffel 1", "turned", "without"]
    files = {str(path.relative_to(finished)) for path in finished.rglob("*") if path.is_file()}
    of_photos = {f"{folder}/{name}{suffix}" for folder, suffix in SUFFIXES.items() for name in names}

    assert files == of_photos | {"results.jsonl", "run.json"}
    assert [record["name"] for record in records(finished)] == names
    for record in records(finished):
        assert list(record) == ["photo", "sha256", "name", "width", "height", "objects"]
        assert Path(record["photo"]).parent == finished.parent
        assert (record["height"], record["width"]) == SIZE  # of the one that is turned, too
        keys = ["object", "present", "score", "similarity", "area", "box_xyxy"]
        assert [list(entry) for entry in record["objects"]] == [keys]
        for folder, suffix in SUFFIXES.items():
            with Image.open(finished / folder / f"{record['name']}{suffix}") as picture:
                assert picture.size == (record["width"], record["height"])
                assert picture.mode == {"masks": "P", "overlays": "RGB", "cutouts": "RGBA"}[folder]
        area = int((mask_of(finished, record["name"]) == 1).sum())
        assert area == record["objects"][0]["area"]
        assert (area > 0) is record["objects"][0]["present"] is (record["objects"][0]["box_xyxy"] is not None)


def test_the_object_is_found_upright_and_only_where_it_is(finished: Path) -> None:
    for name, place in (("mit Löffel 1", (330, 120)), ("turned", (200, 60))):
        assert iou(mask_of(finished, name) == 1, scene([place, None])[1] == 1) > 0.8
    assert not mask_of(finished, "without").any()


def test_run_json_says_all(finished: Path, given: Path) -> None:
    record = json.loads((finished / "run.json").read_text())

    assert record["complete"] is True
    assert (record["photos"], record["photos_of_earlier_runs"], record["failed"]) == (3, 0, 0)
    assert record["settings"]["method"] == "memory"
    assert record["sources"] == [str(finished.parent)]
    (reference,) = record["references"]
    assert (reference["photo"], reference["mask"]) == (str(given / "reference.png"), str(given / "mask.png"))
    assert set(record["seconds_per_stage"]) == {"read", "encode", "find", "write"}


def test_results_are_no_photos(finished: Path, given: Path, command: Command) -> None:
    before = (finished / "results.jsonl").read_bytes()

    again = command(*image(given, finished.parent / "**" / "*.*g"), "-o", finished, "--resume", "-q")

    assert again == (0, "", "")
    assert (finished / "results.jsonl").read_bytes() == before
    assert json.loads((finished / "run.json").read_text())["photos_of_earlier_runs"] == 3
    only = command(*image(given, finished / "overlays"), "-o", finished, "--resume")
    one_line(only, "lies among the results in", "give photos that are none of them")


def test_a_model_that_cannot_be_loaded_costs_nothing(
    finished: Path, given: Path, command: Command, tmp_path: Path
) -> None:
    before = sorted(path for path in finished.rglob("*"))
    (tmp_path / "weights.pth").write_bytes(b"junk")

    for output, more in ((finished, ["--overwrite"]), (finished, ["--resume"]), (tmp_path / "new", [])):
        one_line(command(*image(given, finished.parent), "-o", output, *more, "--checkpoint", tmp_path / "weights.pth"))

    assert sorted(path for path in finished.rglob("*")) == before
    assert len(records(finished)) == 3
    assert not (tmp_path / "new").exists()


def test_results_are_neither_replaced_nor_continued_by_mistake(finished: Path, given: Path, command: Command) -> None:
    run = [*image(given, finished.parent), "-o", finished]
    for more, parts in (
        ([], ["holds results already", "--resume", "--overwrite"]),
        (["--resume", "--overwrite"], ["both --overwrite and --resume"]),
        (["--resume", "--presence", "0.5"], ["made with presence", "this run has 0.5"]),
        (["--resume", "--method", "persam"], ["made with method memory, this run has persam"]),
        (["--resume", "--ref", f"{given / 'reference.png'}:{given / 'mask.png'}"], ["made with other references"]),
        (["--resume", "--mask-threshold", "99"], ["made with other references"]),
    ):
        one_line(command(*run, *more), *parts)
    # The same references, however many files they were, are told by what they hold.
    other = ["image", given / "reference.png", given / "both.png", finished.parent, "-o", finished, "--resume"]
    one_line(command(*other, "--config", given / "fast.yaml"), "made with other references")


def test_an_interrupted_run_goes_on_to_the_same_masks(given: Path, command: Command, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for index in range(5):
        save(photos / f"{index}.png", scene([(30 + 80 * index, 50 + 20 * index), None])[0])
    run = image(given, photos)
    output = tmp_path / "stopped"
    arguments = [sys.executable, "-m", "persam_vos", *map(str, run), "-o", str(output)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        results = output / "results.jsonl"
        while not (results.exists() and results.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)

    assert (process.returncode, out) == (130, "")
    done = len(records(output))
    assert 0 < done < 5
    assert err.splitlines()[-1].endswith(f"interrupted after {done} photo{'s' * (done > 1)}; --resume goes on")
    assert json.loads((output / "run.json").read_text())["complete"] is False

    # A limit that was too low is what one may want to change.
    resumed = command(*run, "-o", output, "--resume", "--max-megapixels", "200")
    assert (resumed.status, resumed.out) == (0, f"{output / 'results.jsonl'}\n")
    assert f"{5 - done}/{5 - done}" in resumed.err
    assert command(*run, "-o", tmp_path / "whole", "-q") == (0, "", "")
    assert records(output) == records(tmp_path / "whole")
    for folder, suffix in SUFFIXES.items():
        for index in range(5):
            file = Path(folder) / f"{index}{suffix}"
            assert (output / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    record = json.loads((output / "run.json").read_text())
    assert (record["complete"], record["photos"], record["photos_of_earlier_runs"]) == (True, 5 - done, done)


def test_an_interrupt_before_the_first_photo(monkeypatch: pytest.MonkeyPatch, given: Path, command: Command) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("persam_vos.photos.run.Engine", interrupted)

    answer = command(*image(given, given / "photos"), "-o", given / "never")

    assert answer == (130, "", "persam-vos: interrupted; unfinished results are dropped\n")
    assert not (given / "never").exists()


def test_references_with_colons_and_instances(given: Path, command: Command, tmp_path: Path) -> None:
    rgb, labels = scene([(330, 120), None])
    more = save(tmp_path / "12:30.png", rgb), save(tmp_path / "m:1.png", (labels > 0) * np.uint8(255))
    soft = save(tmp_path / "soft.png", cv2.GaussianBlur((labels > 0) * np.uint8(255), (15, 15), 0)[::2, ::2])
    photo = save(tmp_path / "one.png", np.hstack([rgb[:, 240:], rgb[:, 240:]]))
    run = [*image(given, photo), "-o", tmp_path / "out", "--method", "persam", "-q", "--ref", ":".join(map(str, more))]
    run += ["--ref", f"{more[0]}:{soft}", "--resize-mask", "--mask-threshold", 127]

    found = command(*run, "--all-instances", "--max-objects", 1, "--iou-threshold", 0.2, "--erase", "pixels",
                    "--presence", 0.5, "--guidance", "none", "--export", "masks")  # fmt: skip

    assert found == (0, "", "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["masks", "results.jsonl", "run.json"]
    assert np.unique(mask_of(tmp_path / "out", "one")).tolist() == [0, 1]
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert [Path(each["photo"]).name for each in record["references"]] == ["reference.png", "12:30.png", "12:30.png"]
    settings = record["settings"]
    told = [settings[key] for key in ("all_instances", "max_objects", "iou_threshold", "erase", "guidance", "export")]
    assert told == [True, 1, 0.2, "pixels", "none", ["masks"]]

    # In place of these, with everything taken for the object, and other files.
    replaced = command(*run, "--overwrite", "--presence", 0, "--export", "overlay,cutout")
    assert replaced == (0, "", "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "cutouts",
        "overlays",
        "results.jsonl",
        "run.json",
    ]
    assert records(tmp_path / "out")[0]["objects"][0]["present"] is True


def test_odd_photos_get_masks_and_spoilt_ones_are_named(given: Path, command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    faults = spoilt(folder)
    small = Image.fromarray(scene([CAT, CUP])[0]).resize((96, 12))  # of a wide picture, little is encoded
    save(folder / "dot.png", np.full((1, 1, 3), 7, np.uint8))
    save(folder / "row.png", np.full((1, 3000, 3), 7, np.uint8))
    save(folder / "pole.png", np.full((5000, 3, 3), 7, np.uint8))
    small.convert("CMYK").save(folder / "same.jpg")
    save(folder / "same.tif", np.asarray(small.convert("L")).astype(np.uint16) * 257)
    small.convert("LA").save(folder / "same.png")
    other = Image.new("RGB", small.size)
    small.save(folder / "moving.gif", save_all=True, append_images=[other], transparency=3)
    small.save(folder / "moving.apng.png", save_all=True, append_images=[other])
    (folder / "deeper").mkdir()
    small.save(folder / "deeper" / "same.png")
    sizes = {"dot": (1, 1), "row": (3000, 1), "pole": (3, 5000)}
    sizes |= dict.fromkeys(("same_jpg", "same_tif", "same_png", "moving", "moving.apng", "deeper/same"), (96, 12))
    run = [*image(given, folder, folder / "dot.png", folder / "deeper"), "-o", tmp_path / "out"]

    answer = command(*run, "--keep-going")

    assert (answer.status, answer.out) == (1, f"{tmp_path / 'out' / 'results.jsonl'}\n")
    assert answer.err.splitlines()[-1] == "persam-vos: 4 photos could not be read; results.jsonl names them"
    lines = records(tmp_path / "out")
    assert {line["name"]: (line["width"], line["height"]) for line in lines if "name" in line} == sizes
    for name, size in sizes.items():
        assert mask_of(tmp_path / "out", name).shape == size[::-1]
    failed = {Path(line["photo"]).name: line["error"] for line in lines if "error" in line}
    assert set(failed) == set(faults)
    for name, fault in faults.items():
        assert fault in failed[name]
        assert f"persam-vos: {folder / name}: " in answer.err

    # What failed is tried again, and what is there stays.
    for name in ("cut.jpg", "empty.jpg", "text.jpg"):
        (folder / name).unlink()
    again = command(*run, "--resume", "--keep-going", "-q")
    assert (again.status, again.out) == (1, "")
    assert again.err.splitlines()[-1] == "persam-vos: 1 photo could not be read; results.jsonl names them"
    assert records(tmp_path / "out") == lines


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
@pytest.mark.usefixtures("command")
def test_names_that_are_no_text(given: Path, tmp_path: Path) -> None:
    photo = save(tmp_path / "one.png", np.full((1, 1, 3), 7, np.uint8))
    odd = tmp_path / os.fsdecode(b"no text \xff")
    odd.mkdir()
    shutil.copy(photo, odd / os.fsdecode(b"1\xfe.png"))
    run = [*image(given, odd, photo), "--method", "persam"]

    printed = io.BytesIO()
    output = io.TextIOWrapper(printed, encoding="utf-8", write_through=True)
    with redirect_stdout(output):
        assert main([*map(str, run), "-o", str(odd / "out")]) == 0

    assert printed.getvalue() == os.fsencode(odd) + b"/out/results.jsonl\n"
    assert [record["name"] for record in records(odd / "out")] == ["no text _/1_", "one"]
