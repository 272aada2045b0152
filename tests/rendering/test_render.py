"""Masks that exist already become any export, whatever wrote them and whatever they are called."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import run as run_process
from typing import Any

import numpy as np
import pytest
from clips import moving_square, save, write_clip
from fakes import Watch
from PIL import Image

from persam_vos.cli.app import main
from persam_vos.errors import FrameIndexError, MaskError, MaskSizeError, OutputError
from persam_vos.exports.palettes import davis_palette
from persam_vos.exports.select import open_writers
from persam_vos.media import open_video
from persam_vos.media.masks.reading import MaskReading
from persam_vos.pipeline.progress import NoProgress
from persam_vos.pipeline.writing import Outcome
from persam_vos.prompts import NamedObject, Span
from persam_vos.rendering.render import render_video
from persam_vos.results import FrameResult, ObjectResult
from persam_vos.settings.output import ExportOptions, OutputSettings
from persam_vos.soft_edges import alpha_of_labels

FRAMES, HEIGHT, WIDTH = 6, 48, 64


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", moving_square(FRAMES))


def label_map_of(index: int, *ids: int) -> np.ndarray:
    """Bars that move right; the last object is absent in frame 1."""
    label_map = np.zeros((HEIGHT, WIDTH), np.uint8)
    for position, object_id in enumerate(ids or (1, 4)):
        if index != 1 or object_id != (ids or (1, 4))[-1]:
            label_map[8 + 16 * position : 20 + 16 * position, 2 * index : 2 * index + 10] = object_id
    return label_map


def render(clip: Path | str, masks: Path, output: Path, *exports: str, **options: Any) -> Outcome:
    settings = {key: options.pop(key) for key in list(options) if key in ExportOptions.model_fields}
    return render_video(str(clip), masks, output, OutputSettings(export=exports, **settings), NoProgress(), **options)


def tracks_of(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "tracks.jsonl").read_text(encoding="utf-8").splitlines()]


def rendered(output: Path) -> dict[str, np.ndarray]:
    """The label maps that were rendered, by name."""
    found = {}
    for path in sorted((output / "masks").iterdir()):
        with Image.open(path) as picture:
            found[path.stem] = np.asarray(picture)
    return found


def write_label_maps(folder: Path, name: Callable[[int], str] = "{:05d}".format, indices: Any = range(FRAMES)) -> Path:
    for index in indices:
        save(folder / f"{name(index)}.png", label_map_of(index))
    return folder


@pytest.mark.parametrize(
    "name",
    ["{:05d}".format, "mask_{:d}".format, lambda index: f"{index + 1:05d}", lambda index: f"shot.{1001 + index}"],
    ids=["frame", "prefix", "from-1", "from-1001"],
)
def test_label_maps_belong_to_the_frames_of_their_numbers(tmp_path: Path, clip: Path, name: Callable) -> None:
    outcome = render(clip, write_label_maps(tmp_path / "in", name), tmp_path / "out", "masks")

    assert outcome.frames == FRAMES
    assert (outcome.warnings == ()) == (name(0).endswith("0"))
    for index, found in enumerate(rendered(tmp_path / "out").values()):
        assert np.array_equal(found, label_map_of(index))
    tracks = tracks_of(tmp_path / "out")
    assert [(each["frame"], each["object"]) for each in tracks] == [(i, n) for i in range(FRAMES) for n in (1, 4)]
    absent = tracks[3]
    assert (absent["present"], absent["area"], absent["box_xyxy"], absent["score"]) == (False, 0, None, 0.0)
    assert (tracks[2]["area"], tracks[2]["box_xyxy"], tracks[2]["score"]) == (120, [2, 8, 11, 19], 1.0)


def test_only_frames_that_have_masks_are_rendered(tmp_path: Path, clip: Path) -> None:
    masks = write_label_maps(tmp_path / "in", indices=(1, 3, 5))

    render(clip, masks, tmp_path / "out", "masks", "overlay")
    assert list(rendered(tmp_path / "out")) == ["00001", "00003", "00005"]
    with open_video(tmp_path / "out" / "overlay.mp4") as reader:
        assert len(list(reader)) == 3

    outcome = render(clip, masks, tmp_path / "all", "masks", span=Span(0))
    assert len(rendered(tmp_path / "all")) == FRAMES
    assert outcome.warnings == ("3 frames have no mask, and count as empty",)


def test_folders_of_objects(tmp_path: Path, clip: Path) -> None:
    for index in range(FRAMES):
        for folder, object_id in (("1_dog", 1), ("4", 4)):
            save(
                tmp_path / "in" / folder / f"{index:05d}.png", (label_map_of(index) == object_id).astype(np.uint8) * 255
            )

    render(clip, tmp_path / "in", tmp_path / "out", "masks")

    for index, found in enumerate(rendered(tmp_path / "out").values()):
        assert np.array_equal(found, label_map_of(index))
    assert {(each["object"], each["name"]) for each in tracks_of(tmp_path / "out")} == {(1, "dog"), (4, None)}


def test_folders_of_sa_v_count_from_0_and_may_overlap(tmp_path: Path, clip: Path) -> None:
    whole, part = np.zeros((2, HEIGHT, WIDTH), np.uint8)
    whole[8:40, 8:40] = part[20:24, 20:24] = 255
    for index in range(FRAMES):
        save(tmp_path / "in" / "000" / f"{index:05d}.png", part)
        save(tmp_path / "in" / "001" / f"{index:05d}.png", whole)

    outcome = render(clip, tmp_path / "in", tmp_path / "out", "masks", "sa-v")

    for found in rendered(tmp_path / "out").values():
        assert np.array_equal(found, np.where(part > 0, 1, np.where(whole > 0, 2, 0)))
    assert outcome.warnings == ("objects overlap, in frame 0 first: there, the smaller one gets the pixels",)
    assert sorted(each.name for each in (tmp_path / "out" / "sa-v" / "clip").iterdir()) == ["000", "001"]


def test_folders_by_name_alone(tmp_path: Path, clip: Path) -> None:
    for folder in ("links", "Öl rechts"):
        save(tmp_path / "in" / folder / "00000.png", np.full((HEIGHT, WIDTH), 255 * (folder == "links"), np.uint8))

    render(clip, tmp_path / "in", tmp_path / "out", "masks")

    assert [(each["object"], each["name"]) for each in tracks_of(tmp_path / "out")] == [(1, "links"), (2, "Öl rechts")]


def test_white_alone_is_one_object_and_beside_others_it_is_void(tmp_path: Path, clip: Path) -> None:
    for index in range(2):
        save(tmp_path / "white" / f"{index}.png", np.where(label_map_of(index) == 1, np.uint8(255), np.uint8(0)))
        save(tmp_path / "void" / f"{index}.png", np.where(label_map_of(index) == 1, np.uint8(255), label_map_of(0)))

    render(clip, tmp_path / "white", tmp_path / "a", "masks")
    outcome = render(clip, tmp_path / "void", tmp_path / "b", "masks")

    assert np.array_equal(rendered(tmp_path / "a")["00001"], (label_map_of(1) == 1).astype(np.uint8))
    assert set(np.unique(rendered(tmp_path / "b")["00000"])) == {0, 4}
    assert outcome.warnings == ("white, 255, is void beside other values: its pixels belong to no object",)


def test_masks_of_an_image_sequence_are_called_like_its_images(tmp_path: Path) -> None:
    names = ("a7", "b3", "c9")
    for index, name in enumerate(names):
        save(tmp_path / "shots" / f"{name}.jpg", moving_square(3)[index])
        save(tmp_path / "in" / f"{name}.png", label_map_of(index))

    render(tmp_path / "shots", tmp_path / "in", tmp_path / "out", "masks", keep_names=True)

    found = rendered(tmp_path / "out")
    assert list(found) == list(names)
    assert all(np.array_equal(found[name], label_map_of(index)) for index, name in enumerate(names))


def write_run(clip: Path, output: Path, *, start: int = 0, **options: Any) -> Path:
    """Write the folder of a run as far as it matters here."""
    objects = (NamedObject(1, "dog", "#123456"), NamedObject(4, "Käfer"))
    with open_video(clip, start=start) as reader:
        writers = open_writers(output, ["masks"], info=reader.info, objects=objects, options=ExportOptions(**options))
        for frame in reader:
            label_map = label_map_of(frame.index)
            found = tuple(
                ObjectResult(n, bool((label_map == n).any()), 0.25, 0.5, 1, None, keyframe=frame.index == 0)
                for n in (1, 4)
            )
            for writer in writers:
                writer.write(frame, FrameResult(frame.index, frame.pts, frame.time_base, label_map, found))
        for writer in writers:
            writer.close()
    (output / "run.json").write_text(json.dumps({"settings": options, "objects": [1, 4]}))
    named = [{"id": 1, "name": "dog", "color": "#123456"}, {"id": 4, "name": "Käfer"}]
    prompts = [{"frame": start, "object": each, "box": [1, 2, 30, 40]} for each in (1, 4)]
    asked = {"version": 1, "range": [start, None], "objects": named, "prompts": prompts}
    (output / "prompts.json").write_text(json.dumps(asked))
    return output


@pytest.mark.parametrize(
    ("start", "options"),
    [(0, {}), (2, {"start_number": 1001}), (2, {"masks_format": "binary"}), (0, {"masks_format": "binary"})],
)
def test_the_folder_of_a_run_tells_names_colours_scores_and_numbers(
    tmp_path: Path, clip: Path, start: int, options: dict[str, Any]
) -> None:
    masks = write_run(clip, tmp_path / "run", start=start, **options)

    render(clip, masks, tmp_path / "out", "masks")

    found, tracks = rendered(tmp_path / "out"), tracks_of(tmp_path / "out")
    assert list(found) == [f"{index:05d}" for index in range(start, FRAMES)]
    for name, label_map in found.items():
        assert np.array_equal(label_map, label_map_of(int(name)))
    assert {each["name"] for each in tracks} == {"dog", "Käfer"}
    assert {each["score"] for each in tracks if each["present"]} == {0.25}
    assert {each["similarity"] for each in tracks if each["present"]} == {0.5}
    assert {each["frame"] for each in tracks if each["keyframe"]} == {0} - set(range(start))
    with Image.open(tmp_path / "out" / "masks" / f"{start:05d}.png") as picture:
        palette = np.array(picture.getpalette()).reshape(-1, 3)
    assert palette[1].tolist() == [0x12, 0x34, 0x56]
    assert palette[4].tolist() == davis_palette()[4].tolist()


def test_what_was_rendered_can_be_rendered_again(tmp_path: Path, clip: Path) -> None:
    run = write_run(clip, tmp_path / "run", start=2)

    render(clip, run, tmp_path / "a", "masks", start_number=7, objects=[NamedObject(4, "bug", "#ffffff")])
    render(clip, tmp_path / "a" / "masks", tmp_path / "b", "masks")

    assert np.array_equal(rendered(tmp_path / "b")["00003"], label_map_of(3))
    record = json.loads((tmp_path / "b" / "run.json").read_text(encoding="utf-8"))
    assert record["names"] == {"1": "dog", "4": "bug"}
    assert record["colors"] == {"1": "#123456", "4": "#ffffff"}
    assert (record["frames"], record["frames_from"], record["complete"]) == (4, 2, True)
    assert [each.name for each in tmp_path.joinpath("b").iterdir() if each.name.startswith(".")] == []


def test_another_run_replaces_what_is_there_when_told_to(tmp_path: Path, clip: Path) -> None:
    masks = write_label_maps(tmp_path / "in")
    render(clip, masks, tmp_path / "out", "masks", "davis")

    with pytest.raises(OutputError, match=r"is not empty .* pass --overwrite"):
        render(clip, masks, tmp_path / "out", "masks")
    render(clip, masks, tmp_path / "out", "overlay", overwrite=True)

    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == ["overlay.mp4", "run.json", "tracks.jsonl"]


def test_other_files_of_the_same_export_are_replaced(tmp_path: Path, clip: Path) -> None:
    masks, output = write_label_maps(tmp_path / "in"), tmp_path / "out"

    def written(**options: Any) -> list[str]:
        render(clip, masks, output, "matte", "report", overwrite=True, **options)
        return sorted(each.name for each in output.iterdir() if each.suffix in (".mp4", ".mov", ".html"))

    assert written() == ["matte.mp4", "report.html"]
    assert written(matte_codec="prores") == ["matte.mov", "report.html"]
    assert written(per_object=True) == ["matte_1.mp4", "matte_4.mp4", "report.html"]
    assert written(per_object=True, objects=[NamedObject(4, "dog")]) == [
        "matte_1.mp4",
        "matte_4_dog.mp4",
        "report.html",
    ]


def test_the_report_of_masks_names_their_objects(tmp_path: Path, clip: Path) -> None:
    masks = write_label_maps(tmp_path / "in")

    outcome = render(clip, masks, tmp_path / "out", "report", objects=[NamedObject(4, "Käfer")])

    assert tmp_path / "out" / "report.html" in outcome.written
    assert "Käfer" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert [each.name for each in (tmp_path / "out").iterdir() if each.name.startswith(".")] == []


def test_masks_are_not_written_over(tmp_path: Path, clip: Path) -> None:
    run = write_run(clip, tmp_path / "run")

    for output in (run, run / "masks", tmp_path):
        with pytest.raises(OutputError, match=r"is where the masks are read from; give another --output"):
            render(clip, run, output, "overlay", overwrite=True)


@pytest.mark.parametrize(
    ("files", "error", "message"),
    [
        ({}, MaskError, "holds no masks; give a folder of PNG files"),
        ({"a.png": (HEIGHT, WIDTH)}, MaskError, "a has no number; masks need the number of their frame"),
        ({"1.png": (HEIGHT, WIDTH), "01.png": (HEIGHT, WIDTH)}, MaskError, "several masks have the number 1"),
        ({"0.png": (HEIGHT, WIDTH), "6.png": (HEIGHT, WIDTH)}, MaskError, "go from 0 to 6, and .* has 6 frames"),
        ({"0.png": (HEIGHT, 32)}, MaskSizeError, "mask is 48 x 32, video is 48 x 64"),
        ({"0.png": (HEIGHT, WIDTH, 3)}, MaskError, "colours besides black"),
        ({"300/0.png": (HEIGHT, WIDTH)}, MaskError, "call its folders by the numbers of objects, 1 to 255"),
        ({"1/0.png": (HEIGHT, WIDTH), "1_a/0.png": (HEIGHT, WIDTH)}, MaskError, "call its folders by the numbers"),
        ({"run.json": b"{}", "0.png": (HEIGHT, WIDTH)}, MaskError, "run.json: is not of a run on video"),
    ],
)
def test_folders_that_cannot_be_used(
    tmp_path: Path, clip: Path, files: dict[str, Any], error: type[Exception], message: str
) -> None:
    (tmp_path / "in").mkdir()
    for name, content in files.items():
        if isinstance(content, bytes):
            (tmp_path / "in" / name).write_bytes(content)
        else:
            save(tmp_path / "in" / name, np.random.default_rng(0).integers(0, 4, content, dtype=np.uint8))

    with pytest.raises(error, match=message):
        render(clip, tmp_path / "in", tmp_path / "out", "overlay")
    assert not (tmp_path / "out").exists()


def test_a_damaged_mask_in_the_middle_leaves_nothing_half_written(tmp_path: Path, clip: Path) -> None:
    run = write_run(clip, tmp_path / "run")
    (run / "masks" / "00004.png").write_bytes(b"no picture")

    with pytest.raises(MaskError, match=r"00004\.png: not a readable picture"):
        render(clip, run, tmp_path / "out", "masks", "overlay")
    assert not (tmp_path / "out").exists()


def test_soft_masks_are_cut_and_others_scaled_when_told_to(tmp_path: Path, clip: Path) -> None:
    ramp = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))
    save(tmp_path / "soft" / "0.png", ramp)
    save(tmp_path / "small" / "0.png", label_map_of(0)[::2, ::2])

    render(clip, tmp_path / "soft", tmp_path / "a", "masks", how=MaskReading(threshold=127))
    render(clip, tmp_path / "small", tmp_path / "b", "masks", how=MaskReading(resize=True))

    assert np.array_equal(rendered(tmp_path / "a")["00000"], (ramp > 127).astype(np.uint8))
    assert np.array_equal(rendered(tmp_path / "b")["00000"], label_map_of(0))


def test_a_range_beyond_the_video_is_refused(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(FrameIndexError, match="after its end"):
        render(clip, write_label_maps(tmp_path / "in"), tmp_path / "out", "overlay", span=Span(9))


def test_the_command_says_what_it_wrote_and_what_is_wrong(
    tmp_path: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    masks, output = write_label_maps(tmp_path / "in"), tmp_path / "out"

    assert main(["render", str(clip), str(masks), "--name", "1=dog", "-o", str(output)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        str(output / name) for name in ("tracks.jsonl", "overlay.mp4", "run.json")
    ]
    assert tracks_of(output)[0]["name"] == "dog"
    assert main(["render", str(clip), str(tmp_path / "none"), "-o", str(tmp_path / "b")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("none: is no folder; give a folder of masks, or the folder of a run")
    assert main(["render", str(clip), str(masks), "--export", "gif", "-o", str(tmp_path / "b")]) == 2
    assert not (tmp_path / "b").exists()


def test_an_interrupt_keeps_the_frames_done_so_far(tmp_path: Path, clip: Path) -> None:
    def interrupt(result: FrameResult) -> None:
        if result.index == 2:
            signal.raise_signal(signal.SIGINT)

    masks = write_label_maps(tmp_path / "in")
    settings = OutputSettings(export=("masks", "coco", "yolo"))
    outcome = render_video(str(clip), masks, tmp_path / "out", settings, Watch(interrupt))

    assert outcome.interrupted
    assert list(rendered(tmp_path / "out")) == ["00000", "00001", "00002"]
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert (record["frames"], record["complete"]) == (3, False)
    assert len(json.loads((tmp_path / "out" / "coco.json").read_text(encoding="utf-8"))["images"]) == 3


def test_no_network_is_imported() -> None:
    program = "import sys, persam_vos.rendering.render, persam_vos.settings.video; sys.exit('torch' in sys.modules)"

    assert run_process([sys.executable, "-c", program], check=False).returncode == 0


def test_masks_that_have_no_logits_get_edges_within_a_pixel(tmp_path: Path, clip: Path) -> None:
    masks = write_label_maps(tmp_path / "masks")

    render(clip, masks, tmp_path / "out", "masks", "rgba", "exr")

    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert record["alpha"] == {"rgba": "straight", "exr": "premultiplied"}
    for name, labels in rendered(tmp_path / "out").items():
        with Image.open(tmp_path / "out" / "rgba" / f"{name}.png") as picture:
            alpha = np.asarray(picture)[..., 3]
        assert (alpha == alpha_of_labels(labels)).all()
