"""The commands on photos as people meet them: exit statuses, one-line errors, files, and going on after a stop."""

from __future__ import annotations

import functools
import io
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import spoil_png
from pictures import scene
from PIL import Image

from persam_vos.cli import app as cli
from persam_vos.media.frame import Frame
from persam_vos.photos.finder import photo_frame
from persam_vos.sam.checkpoints.loading import load_sam
from persam_vos.sam.encoder import ImageEmbedding, SamEncoder
from persam_vos.sam.networks.sam import Sam

# What makes a run short without another way through the program.
FAST = "backend: torch\nprecision: float32\nbatch_size: 1\nmask_token: false\npasses: 1\ncolours: 0.0\n"
CAT, CUP = (60, 80), (300, 100)
SIZE = (270, 480)
SUFFIXES = {"masks": ".png", "overlays": ".jpg", "cutouts": ".png"}


class Answer(NamedTuple):
    status: int
    out: str
    err: str


Command = Callable[..., Answer]


@functools.cache
def network(*given: object) -> Sam:
    return load_sam(*given)  # type: ignore[arg-type]


@functools.cache
def embedded(encoder: SamEncoder, shape: tuple[int, ...], pixels: bytes) -> ImageEmbedding:
    (embedding,) = ENCODE(encoder, [photo_frame(np.frombuffer(pixels, np.uint8).reshape(shape))])
    return embedding


ENCODE = SamEncoder.encode
ENCODERS: dict[int, SamEncoder] = {}


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """Run the program's entry point in this process, where the network is loaded and each picture encoded only once."""

    def encode(self: SamEncoder, frames: Sequence[Frame]) -> list[ImageEmbedding]:
        first = ENCODERS.setdefault(0, self)
        return [embedded(first, frame.rgb.shape, frame.rgb.tobytes()) for frame in frames]

    monkeypatch.setattr("persam_vos.sam.engine.load_sam", network)
    monkeypatch.setattr(SamEncoder, "encode", encode)
    former = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["persam-vos", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return Answer(int(caught.value.code or 0), *capsys.readouterr())

    yield run
    for each, handler in former.items():
        signal.signal(each, handler)


def one_line(answer: Answer, *parts: str) -> None:
    assert answer.status == 2, answer
    assert answer.out == ""
    (line,) = answer.err.splitlines()
    assert line.startswith("persam-vos: ")
    for part in parts:
        assert part in line


def save(path: Path, picture: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, **options)  # type: ignore[arg-type]
    return path


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def records(output: Path) -> list[dict]:  # type: ignore[type-arg]
    return [json.loads(line) for line in (output / "results.jsonl").read_text().splitlines()]


def mask_of(output: Path, name: str) -> np.ndarray:
    with Image.open(output / "masks" / f"{name}.png") as picture:
        assert picture.mode == "P"
        return np.asarray(picture)


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a reference, its mask, settings for short runs, and a folder of photos."""
    folder = tmp_path_factory.mktemp("given")
    rgb, labels = scene([CAT, CUP])
    # A camera held upright: what the file holds lies on its side, and the mask is drawn on what is seen.
    save(folder / "reference.png", np.rot90(rgb), exif=exif(6))
    save(folder / "mask.png", np.where(labels == 1, 255, 0).astype(np.uint8))
    save(folder / "both.png", labels)
    (folder / "fast.yaml").write_text(FAST)
    photos = folder / "photos"
    save(photos / "without.png", scene([None, None])[0])
    save(photos / "mit Löffel 1.jpg", scene([(330, 120), (90, 60)])[0], quality=95)
    save(photos / "turned.jpg", np.rot90(scene([(200, 60), None])[0], -1), exif=exif(8), quality=95)
    return folder


def image(given: Path, *sources: object) -> list[object]:
    return ["image", given / "reference.png", given / "mask.png", *sources, "--config", given / "fast.yaml"]


# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(given: Path) -> Path:
    """A run by a process of its own, into a folder among the photos."""
    output = given / "photos" / "out"
    arguments = [sys.executable, "-m", "persam_vos", *map(str, image(given, given / "photos")), "-o", str(output)]
    result = subprocess.run(arguments, capture_output=True, text=True, timeout=500, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{output / 'results.jsonl'}\n"
    assert "3/3" in result.stderr
    assert all(line.startswith("photos: ") for line in result.stderr.splitlines() if line), "nothing but the bar"
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
    assert record["sources"] == [str(given / "photos")]
    (reference,) = record["references"]
    assert (reference["photo"], reference["mask"]) == (str(given / "reference.png"), str(given / "mask.png"))
    assert set(record["seconds_per_stage"]) == {"read", "encode", "find", "write"}


def test_results_are_no_photos(finished: Path, given: Path, command: Command) -> None:
    before = (finished / "results.jsonl").read_bytes()

    again = command(*image(given, given / "photos" / "**" / "*.*g"), "-o", finished, "--resume", "-q")

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
        one_line(
            command(*image(given, given / "photos"), "-o", output, *more, "--checkpoint", tmp_path / "weights.pth")
        )

    assert sorted(path for path in finished.rglob("*")) == before
    assert len(records(finished)) == 3
    assert not (tmp_path / "new").exists()


def test_results_are_neither_replaced_nor_continued_by_mistake(finished: Path, given: Path, command: Command) -> None:
    run = [*image(given, given / "photos"), "-o", finished]
    for more, parts in (
        ([], ["holds results already", "--resume", "--overwrite"]),
        (["--resume", "--overwrite"], ["both --overwrite and --resume"]),
        (["--resume", "--presence", "0.5"], ["made with other presence"]),
        (["--resume", "--method", "persam"], ["made with other", "method"]),
        (["--resume", "--ref", f"{given / 'reference.png'}:{given / 'mask.png'}"], ["made with other references"]),
        (["--resume", "--mask-threshold", "99"], ["made with other references"]),
    ):
        one_line(command(*run, *more), *parts)
    # The same references, however many files they were, are told by what they hold.
    other = ["image", given / "reference.png", given / "both.png", given / "photos", "-o", finished, "--resume"]
    one_line(command(*other, "--config", given / "fast.yaml"), "made with other references")


# ---------------------------------------------------------------------------------------------------------------------


def test_an_interrupted_run_goes_on_to_the_same_masks(given: Path, command: Command, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for index in range(5):
        save(photos / f"{index}.png", scene([(30 + 80 * index, 50 + 20 * index), None])[0])
    run = [*image(given, photos), "--method", "persam"]
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

    assert answer == (130, "", "persam-vos: interrupted; what was not complete is not kept\n")
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


# ---------------------------------------------------------------------------------------------------------------------


def claim(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    parts = [
        struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def spoilt(folder: Path) -> dict[str, str]:
    """Write files that are no photos; return what is wrong with each."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = save(folder / "cut.jpg", scene([CAT, CUP])[0]).read_bytes()
    for name, content in (
        ("cut.jpg", whole[: len(whole) // 2]),
        ("empty.jpg", b""),
        ("huge.png", claim(20_000, 20_000)),
        ("text.jpg", b"this is no photo"),
    ):
        (folder / name).write_bytes(content)
    return {
        "cut.jpg": "cannot be read",
        "empty.jpg": "the file is empty",
        "huge.png": "20000 x 20000 pixels, more than the limit of 100 megapixels; pass --max-megapixels",
        "text.jpg": "not an image that can be read",
    }


def test_odd_photos_get_masks_and_spoilt_ones_are_named(given: Path, command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    faults = spoilt(folder)
    small = Image.fromarray(scene([CAT, CUP])[0]).resize((96, 54))
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
    sizes |= dict.fromkeys(("same_jpg", "same_tif", "same_png", "moving", "moving.apng", "deeper/same"), (96, 54))
    run = [*image(given, folder, folder / "dot.png", folder / "deeper"), "--method", "persam", "-o", tmp_path / "out"]

    answer = command(*run, "--keep-going")

    assert (answer.status, answer.out) == (1, f"{tmp_path / 'out' / 'results.jsonl'}\n")
    assert answer.err.splitlines()[-1] == "persam-vos: 4 photos could not be read, as results.jsonl says"
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
    assert again.err.splitlines()[-1] == "persam-vos: 1 photo could not be read, as results.jsonl says"
    assert records(tmp_path / "out") == lines


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
        (save(tmp_path / "empty.png", empty), ["empty.png: the mask is empty"]),
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
        (["--export", "masks,gif"], ["--export is 'gif'", "'masks', 'overlay' or 'cutout'"]),
        (["--method", "magic"], ["--method is 'magic'", "'memory', 'persam' or 'persam-f'"]),
        (["--presence", "1.5"], ["--presence is 1.5", "less than or equal to 1"]),
        (["--presence", "nan"], ["--presence is nan"]),
        (["--presence", "much"], ["'--presence'", "valid number"]),
        (["--max-megapixels", "0"], ["--max-megapixels is 0"]),
        (["--max-megapixels", "0.1"], ["reference.png: 270 x 480 pixels, more than the limit of 0.1 megapixels"]),
        (["--all-instances", "--max-objects", "0"], ["--max-objects is 0"]),
        (["--all-instances", "--max-objects", "255"], ["--max-objects is 255"]),
        (["--all-instances", "--iou-threshold", "-1"], ["--iou-threshold is -1"]),
        (["--all-instances", "--erase", "photo"], ["--erase is 'photo'", "'similarity' or 'pixels'"]),
        (["--erase", "pixels"], ["--erase is a setting of --all-instances"]),
        (["--max-objects", "3"], ["--max-objects is a setting of --all-instances"]),
        (["--guidance", "both"], ["--guidance is a setting of persam and persam-f, but the method is memory"]),
        (["--preset", "best"], ["--preset"]),
        (["--batch-size", "0"], ["--batch-size is '0'"]),
        (["--mask-threshold", "300"], ["--mask-threshold"]),
        (["--config", "video.yaml"], ["video.yaml: unknown setting 'anchor'; allowed are all_instances"]),
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


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_names_that_are_no_text(given: Path, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = save(tmp_path / "one.png", np.full((1, 1, 3), 7, np.uint8))
    odd = tmp_path / os.fsdecode(b"no text \xff")
    odd.mkdir()
    shutil.copy(photo, odd / os.fsdecode(b"1\xfe.png"))
    run = [*image(given, odd, photo), "--method", "persam"]

    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="utf-8", write_through=True))

    assert command(*run, "-o", odd / "out").status == 0
    assert printed.getvalue() == os.fsencode(odd) + b"/out/results.jsonl\n"
    assert [record["name"] for record in records(odd / "out")] == ["no text _/1_", "one"]


# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def perseg(tmp_path: Path) -> Path:
    """A class of PerSeg; one mask is a palette's 0 and 1, the other dark red on black."""
    root = tmp_path / "PerSeg"
    for index, place in enumerate((CAT, (330, 120))):
        rgb, labels = scene([place, None])
        save(root / "Images" / "cat" / f"{index:02}.jpg", rgb)
        path = root / "Annotations" / "cat" / f"{index:02}.png"
        if index:
            save(path, labels[..., None] * np.array([128, 0, 0], np.uint8))
        else:
            path.parent.mkdir(parents=True)
            mask = Image.fromarray(labels).convert("P")
            mask.putpalette([0, 0, 0, 128, 0, 0])
            mask.save(path)
    (tmp_path / "fast.yaml").write_text(FAST)
    return root


def test_perseg_prints_the_table_alone(perseg: Path, command: Command, tmp_path: Path) -> None:
    answer = command("perseg", perseg, "-o", tmp_path / "out", "--config", tmp_path / "fast.yaml", "--method", "persam")

    assert answer.status == 0
    lines = answer.out.splitlines()
    assert lines[0].split() == ["photos", "IoU", "Acc", "BIoU"]
    assert lines[1].split()[:2] == ["cat", "1"]
    assert float(lines[-1].removeprefix("mIoU: ")) > 80
    assert "mIoU" not in answer.err
    assert {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")} == {
        "cat/00.png", "cat/01.png", "contact_sheet.jpg", "run.json", "global_results-perseg.csv",
        "per-class_results-perseg.csv", "per-photo_results-perseg.csv",
    }  # fmt: skip
    one_line(command("perseg", perseg, "-o", tmp_path / "out"), "is not empty", "--overwrite")


def annotation(root: Path) -> Path:
    return root / "Annotations" / "cat" / "01.png"


@pytest.mark.parametrize(
    ("spoil", "parts"),
    [
        (lambda root: annotation(root).unlink(), ["01.jpg has no annotation in"]),
        (
            lambda root: save(annotation(root), np.ones((270, 479), np.uint8)),
            ["01.png is 270 x 479, its photo 270 x 480"],
        ),
        (lambda root: save(annotation(root), np.zeros(SIZE, np.uint8)), ["01.png holds no object"]),
        (lambda root: spoil_png.truncate(annotation(root)), ["01.png cannot be read as PNG"]),
        (lambda root: annotation(root).with_name("00.png").write_bytes(claim(9, 9)), ["00.png"]),
        (lambda root: (root / "Images" / "cat" / "01.jpg").write_text("text"), ["01.jpg: not an image"]),
        (lambda root: (root / "Images" / "cat" / "01.jpg").unlink(), ["01.png has no photo in"]),
        (lambda root: [path.unlink() for path in root.rglob("01.*")], ["00.jpg is the only photo of its class"]),
        (lambda root: [path.unlink() for path in root.rglob("00.*")], ["00.jpg is missing; photo 00"]),
        (lambda root: [(root / kind / "dog").mkdir() for kind in ("Images", "Annotations")], ["dog is an empty class"]),
        (lambda root: shutil.rmtree(root), ["Images cannot be read"]),
    ],
)
def test_bad_folders_of_perseg(
    perseg: Path, command: Command, tmp_path: Path, spoil: Callable[[Path], object], parts: list[str]
) -> None:
    spoil(perseg)
    one_line(command("perseg", perseg, "-o", tmp_path / "out"), *parts)
    assert not (tmp_path / "out").exists()


def test_misuse_of_perseg(perseg: Path, command: Command, tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(b"junk")
    for more, parts in (
        (["--classes", "dog"], ["no class dog", "allowed: cat"]),
        (["--classes", ""], ["no class is asked for"]),
        (["--method", "magic"], ["--method is 'magic'"]),
        (["--guidance", "both"], ["--guidance is a setting of persam"]),
        (["--checkpoint", tmp_path / "weights.pth"], ["weights.pth"]),
        (["-o", tmp_path / "weights.pth"], ["weights.pth: is a file"]),
        (["--max-megapixels", "0.01"], ["00.jpg: 480 x 270 pixels", "--max-megapixels"]),
    ):
        one_line(command("perseg", perseg, "-o", tmp_path / "out", *more), *parts)
        assert not (tmp_path / "out").exists()
