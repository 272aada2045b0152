"""Misuse of ``persam-vos run``, ``davis``, ``score`` and ``models``: one line that says what is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from clips import moving_square
from command_line import call, one_line, save
from video_commands import HEIGHT, WIDTH, square, write_square_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_square_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")


@pytest.fixture(scope="module")
def mask(clip: Path) -> Path:
    return save(clip.with_name("mask.png"), square())


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ([], ["--first-mask MASK, --box", "to say what to track"]),
        (["--first-mask", "m.png", "--box", "0,0,9,9"], ["only one of these"]),
        (["--box", "0,0,9"], ["box is '0,0,9'", "X0,Y0,X1,Y1"]),
        (["--box", "9,9,0,0"], ["box 9,9,0,0 is empty"]),
        (["--box", "100,0,120,9"], ["lies outside the video, which has 64 x 48 pixels"]),
        (["--point", "64,0"], ["point 64,0 lies outside the video"]),
        (["--point", "5,5,-"], ["every point lies beside the object"]),
        (["--point", "5,5,x"], ["ends in 'x'"]),
        (["--box", "0,0,9,9", "--box", "9,9,20,20", "--point", "5,5"], ["2 boxes are as many objects"]),
        (["--box", "0,0,9,9", "--resize-mask"], ["--invert-mask and --mask-ids go with a mask"]),
        (["--point", "5,5", "--mask-threshold", "9"], ["--invert-mask and --mask-ids go with a mask"]),
        (["--box", "0,0,9,9", "--max-objects", "3"], ["--max-objects goes with --first-ref"]),
        (["--prompt", "m.png"], ["--prompt is 'm.png': it must be FRAME:MASK, such as 57:mask.png"]),
        (["--prompt", "-1:m.png"], ["--prompt is '-1:m.png'"]),
        (["--prompt", "3:nowhere.png"], ["nowhere.png: no such file"]),
        (["--object", "m.png"], ["--object is 'm.png': it must be ID=MASK"]),
        (["--object", "256=m.png"], ["object 256: allowed are 1 to 255"]),
        (["--object", "3=nowhere.png"], ["nowhere.png: no such file"]),
        (["--object", "1=m.png", "--box", "0,0,9,9"], ["object 1 has two prompts on the first frame"]),
        (["--prompts", "nowhere.json"], ["nowhere.json: cannot be read", "prompts.json"]),
        (["--box", "0,0,9,9", "--name", "dog"], ["--name is 'dog': it must be ID=NAME"]),
        (["--box", "0,0,9,9", "--name", "2=dog"], ["object 2 has a name or a color, and no prompt"]),
        (["--box", "0,0,9,9", "--color", "1=redd"], ["--color is 'redd': it must be a CSS name"]),
        (["--box", "0,0,9,9", "--start", "5"], ["has 5 frame(s), 0 to 4", "starts at frame 5, after the last frame"]),
        (["--box", "0,0,9,9", "--end", "9"], ["has 5 frame(s)", "goes to frame 9, which is after its end"]),
        (["--box", "0,0,9,9", "--start", "3", "--end", "2"], ["the range from frame 3 to frame 2 is empty"]),
        (["--box", "0,0,9,9", "--start", "soon"], ["position in the video is 'soon'", "seconds such as 12.5s"]),
        (["--box", "0,0,9,9", "--stride", "0"], ["--stride is '0': it must be a whole number, at least 1"]),
    ],
)
def test_boxes_and_points_that_cannot_be_used(clip: Path, tmp_path: Path, options: list[str], parts: list[str]) -> None:
    one_line(call("run", clip, *options, "-o", tmp_path / "o"), *parts)
    assert not (tmp_path / "o").exists()


LINES = """{"version": 1,
 "objects": [{"id": 1, "name": "dog"}],
 "prompts": [
  {"frame": 0, "object": 1, "box": [0, 16, 15, 31]},
  {"frame": 2, "object": 1, "mask": "m.png"}]}
"""


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ('"version": 1', '"version": 9', ["p.json, line 1: version is 9"]),
        ('"mask"', '"masks"', ["p.json, line 5: unknown key 'masks'"]),
        ('"frame": 2', '"frame": 0', ["p.json, line 5: object 1 has two prompts on frame 0"]),
        ('"id": 1', '"id": 4', ["p.json, line 2: object 4 has no prompt"]),
        ("[0, 16, 15, 31]", "[16, 16, 15, 31]", ["p.json, line 4: object 1: box 16,16,15,31 is empty"]),
        ("[0, 16, 15, 31]", "[90, 16, 99, 31]", ["object 1 on frame 0: box 90,16,99,31 lies outside the video"]),
        ('"box": [0, 16, 15, 31]', '"points": [[99, 9, 1]]', ["object 1 on frame 0: point 99,9 lies outside"]),
        ('"box": [0, 16, 15, 31]', '"points": [[9, 9, 0]]', ["p.json, line 4: object 1: every point lies beside"]),
        ('"m.png"', '"small.png"', ["small.png: mask is 4 x 5, video is 48 x 64", "--resize-mask"]),
    ],
)
def test_prompts_json_that_cannot_be_used(clip: Path, tmp_path: Path, old: str, new: str, parts: list[str]) -> None:
    save(tmp_path / "m.png", square())
    save(tmp_path / "small.png", np.ones((4, 5), np.uint8))
    assert old in LINES
    (tmp_path / "p.json").write_text(LINES.replace(old, new, 1))

    one_line(call("run", clip, "--prompts", tmp_path / "p.json", "-o", tmp_path / "o"), *parts)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--prompt", "5:MASK"], ["frame 5 lies outside the video, which has 5 frames, 0 to 4"]),
        (["--prompt", "4:MASK", "--end", "4"], ["frame 4 lies outside the range, 0 to 3; give another --start"]),
        (["--prompt", "0:MASK", "--start", "2"], ["frame 0 lies outside the range, 2 to 4"]),
        (["--prompt", "3:MASK", "--stride", "2"], ["frame 3 is left out by --stride 2; give frame 2"]),
        (["--prompt", "3:MASK", "--prompt", "3:MASK"], ["object 1 has two masks on frame 3"]),
        (["--prompt", "0:MASK", "--first-mask", "MASK"], ["object 1 has two masks on frame 0"]),
        (["--prompt", "2:MASK", "--object", "1=MASK", "--stride", "4"], ["frame 2 is left out by --stride 4"]),
    ],
)
def test_frames_that_are_not_tracked(
    clip: Path, mask: Path, tmp_path: Path, options: list[str], parts: list[str]
) -> None:
    given = [option.replace("MASK", str(mask)) for option in options]
    one_line(call("run", clip, *given, "-o", tmp_path / "o"), *parts)
    assert not (tmp_path / "o").exists()


def test_results_among_the_images_that_are_read(tmp_path: Path) -> None:
    mask = save(tmp_path / "mask.png", square())
    for index, rgb in enumerate(moving_square(2)):
        save(tmp_path / "shots" / f"{index}.png", rgb)
    shots = tmp_path / "shots"
    rest = ["--first-mask", mask, "--overwrite", "-o"]

    one_line(call("run", shots, *rest, shots), "is the folder of images that is read; give another --output")
    one_line(call("run", shots / "**" / "*.png", *rest, shots / "out"), "would read its prompts as frames")
    assert sorted(path.name for path in shots.iterdir()) == ["0.png", "1.png"]


SOFT = np.tile(np.clip(255 - 12 * np.abs(np.arange(WIDTH) - 30), 0, 255).astype(np.uint8), (HEIGHT, 1))
MANY = (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 301).astype(np.uint16)


@pytest.mark.parametrize(
    ("labels", "parts"),
    [
        (np.ones((10, 20), np.uint8), ["mask is 10 x 20, video is 48 x 64", "--resize-mask"]),
        (np.zeros((HEIGHT, WIDTH), np.uint8), ["m.png: mask is empty"]),
        (SOFT, ["anti-aliased", "--mask-threshold"]),
        (MANY, ["mask holds 256", "1..254 objects"]),
    ],
    ids=["size", "empty", "soft", "many"],
)
def test_masks_that_cannot_be_used(clip: Path, tmp_path: Path, labels: np.ndarray, parts: list[str]) -> None:
    mask = save(tmp_path / "m.png", labels)
    one_line(call("run", clip, "--first-mask", mask, "-o", tmp_path / "o"), *parts)
    assert not (tmp_path / "o").exists()


def test_videos_that_cannot_be_read(mask: Path, tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_text("this is no video")
    rest = ["--first-mask", mask, "-o", tmp_path / "o"]
    one_line(call("run", "nothing.mp4", *rest), "nothing.mp4: no such file")
    one_line(call("run", tmp_path / "v.mp4", *rest), "v.mp4: not a video")
    one_line(call("run", "", *rest), "the path of the video is empty; give a video")
    one_line(call("run", os.devnull, *rest), "is a device and no file; give a video")
    one_line(call("run", "http://127.0.0.1:9/x.mp4", *rest), "cannot be opened as a video")
    one_line(call("run", "x" * 300, *rest), "x" * 300)
    assert not (tmp_path / "o").exists()


def test_outputs_that_cannot_be_written(clip: Path, mask: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    run = ["run", clip, "--first-mask", mask, "-o"]
    one_line(call(*run, tmp_path / "file"), "is a file")
    one_line(call(*run, tmp_path / "file" / "o"), str(tmp_path / "file"))
    one_line(call(*run, "/proc/nowhere"), "/proc/nowhere")
    one_line(call(*run, tmp_path / ("x" * 300)), "x" * 300)
    (tmp_path / "o" / "run.json").mkdir(parents=True)
    one_line(call(*run, tmp_path / "o", "--overwrite"), "run.json")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["pass --first-mask MASK, --box X0,Y0,X1,Y1 or --point X,Y, or --first-ref PHOTO:MASK"]),
        (["--first-mask", "m.png", "--first-ref", "m.png:m.png"], ["only one of these"]),
        (["--first-mask", "m.png", "--all-instances"], ["--all-instances goes with --first-ref"]),
        (["--first-mask", "m.png", "--max-objects", "2"], ["--max-objects goes with --first-ref"]),
        (["--first-ref", "none.jpg:m.png"], ["must be PHOTO:MASK"]),
        (["--first-ref", "m.png:m.png", "--max-objects", "0"], ["--max-objects is '0'"]),
        (["--first-ref", "p.png:full.png"], ["full.png: covers all of", "p.png"]),
    ],
)
def test_a_first_frame_known_in_one_way(
    clip: Path, mask: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], parts: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "m.png", square())
    save(tmp_path / "p.png", np.full((HEIGHT, WIDTH), 90, np.uint8))
    save(tmp_path / "full.png", np.ones((HEIGHT, WIDTH), np.uint8))
    one_line(call("run", clip, "-o", "o", *arguments), *parts)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--method", "magic"], ["--method is 'magic': it must be memory, persam or persam-f"]),
        (["--method", "PerSAM"], ["--method is 'PerSAM': did you mean persam?"]),
        (["--device", "gpu"], ["--device is 'gpu': did you mean cuda? it must be auto, cpu or cuda"]),
        (["--export", "mask"], ["--export is 'mask': did you mean masks? it must be masks, overlay, cutout,"]),
        (["--background", "gren"], ["--background is 'gren': did you mean green?"]),
        (["--batch-size", "many"], ["--batch-size is 'many': it must be auto or a whole number from 1 to 256"]),
        (["--mask-threshold", "much"], ["--mask-threshold: it must be a whole number from 0 to 254"]),
        (["--mask-threshold", "255"], ["--mask-threshold is 255: it must be a whole number from 0 to 254"]),
        (
            ["--config", "c.yaml"],
            ["c.yaml: unknown setting 'colour': did you mean colours? the files in configs"],
        ),
        (["--checkpoint", "weights.pth"], ["weights.pth"]),
        (["--frames", "10"], ["'persam-vos run' has no option --frames; 'persam-vos run --help' lists its options"]),
        (["--frist-mask", "10"], ["has no option --frist-mask: did you mean --first-mask"]),
        (["--mask", "m.png"], ["has no option --mask: did you mean --first-mask, "]),
        (["--erase", "pixels"], ["has no option --erase, which belongs to image"]),
        (["--method"], ["--method needs a value: memory, persam or persam-f"]),
        (["--quiet=yes"], ["'--quiet' does not take a value"]),
        (["more"], ["'persam-vos run' takes 1 argument; 'more' is too many"]),
    ],
)
def test_a_bad_option(
    clip: Path, mask: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], parts: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text("colour: red\n")
    (tmp_path / "weights.pth").write_bytes(b"junk")
    one_line(call("run", clip, "--first-mask", mask, "-o", "o", *arguments), *parts)
    assert not (tmp_path / "o" / "masks").exists()


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (
            ["fly"],
            [
                "'fly' is no command: there are run, studio, batch, render, mask,",
                " davis, image, perseg, score and models",
            ],
        ),
        (["rnu"], ["'rnu' is no command: did you mean run?"]),
        (["clip.mp4"], ["'persam-vos run clip.mp4 --first-mask MASK' tracks"]),
        (["shots"], ["'persam-vos run shots --first-mask MASK' tracks"]),
        (["shots/0.png"], ["'persam-vos image shots/0.png MASK PHOTOS' finds"]),
        (["--first-mask", "m.png", "run", "clip.mp4"], ["--first-mask belongs to run: write it after the command"]),
        (["--verion"], ["did you mean --version?"]),
        (["run"], ["'persam-vos run' needs VIDEO", "see 'persam-vos run --help'"]),
        (["run", "shots/0.png", "shots/1.png", "shots/2.png", "--first-mask", "m.png"], ["quote", "'shots/*.png'"]),
        (["demo", "--export", "masks"], ["has no option --export, which belongs to run, batch, render and image"]),
        (["davis"], ["'persam-vos davis' needs ROOT"]),
        (["davis", "nowhere"], ["nowhere"]),
        (["davis", "nowhere", "--year", "2018"], ["--year is 2018: it must be 2016 or 2017"]),
        (["score", "here", "nowhere"], ["nowhere"]),
        (["mask", "clip.mp4"], ["pass --box X0,Y0,X1,Y1 or --point X,Y, to say where"]),
        (["mask", "nowhere.mp4", "--point", "3,4"], ["nowhere.mp4"]),
        (["mask", "shots", "--point", "1,1", "--frame", "3"], ["shots: has 3 frame(s), 0 to 2"]),
        (["mask", "shots", "--point", "1,1", "--frame", "x"], ["position in the video is 'x'"]),
        (["models", "burn"], ["'models burn': allowed are list, verify and path"]),
        (["models", "verfy"], ["did you mean verify?"]),
        (["models", "path"], ["'models path' needs a name: mobile_sam"]),
        (["models", "path", "vit_x"], ["vit_x", "mobile_sam"]),
    ],
)
def test_misuse(arguments: list[str], parts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for index in range(3):
        save(tmp_path / "shots" / f"{index}.png", np.zeros((4, 4, 3), np.uint8))
    one_line(call(*arguments), *parts)


@pytest.mark.parametrize("number", ["0", "256"])
def test_an_id_that_no_mask_can_hold(tmp_path: Path, number: str) -> None:
    answer = call("mask", "clip.mp4", "--box", "10,10,50,50", "--id", number, "-o", tmp_path / "m.png")
    assert answer.status == 2
    assert f" {number}" in answer.err
    assert "1 to 255" in answer.err
    assert not list(tmp_path.iterdir())
