"""First masks in JSON, as LabelMe and COCO write them."""

from __future__ import annotations

import base64
import io
import json
import struct
import subprocess
import sys
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as masks

from persam_vos import render
from persam_vos.errors import MaskError, MaskSizeError
from persam_vos.media.array_reader import ArrayReader
from persam_vos.media.masks import json_files as mask_json
from persam_vos.media.masks.files import read_mask
from persam_vos.video.prompting.label_maps import AnnotationFile

HEIGHT, WIDTH = 48, 64
SQUARE = [[10, 8], [30, 8], [30, 28], [10, 28]]
OTHER = [[40, 30], [60, 30], [60, 44], [40, 44]]


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def labelme(*shapes: dict[str, Any], **more: Any) -> dict[str, Any]:
    listed = [{"label": "dog", "shape_type": "polygon", "group_id": None, "flags": {}, **each} for each in shapes]
    size = {"imageHeight": HEIGHT, "imageWidth": WIDTH}
    return {"version": "5.0.1", "shapes": listed, "imagePath": "a.jpg", "imageData": None, **size, **more}


def coco(*segmentations: Any, **more: Any) -> dict[str, Any]:
    listed = [
        {"id": 900 + place, "image_id": 7, "category_id": 1, "segmentation": each, "iscrowd": 0}
        for place, each in enumerate(segmentations)
    ]
    return {
        "images": [{"id": 7, "height": HEIGHT, "width": WIDTH, "file_name": "a.jpg"}],
        "annotations": listed,
        **more,
    }


def row(points: list[list[int]]) -> list[float]:
    return [float(value) for point in points for value in point]


def square(value: int = 1) -> np.ndarray:
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[8:28, 10:30] = value
    return labels


def read(path: Path, **options: Any) -> np.ndarray:
    return read_mask(path, height=HEIGHT, width=WIDTH, **options)


def test_polygons_of_labelme_are_filled_to_the_pixel(tmp_path: Path) -> None:
    found = read(write(tmp_path / "a.json", labelme({"points": SQUARE}, {"points": OTHER, "label": "cat"})))

    expected = square()
    expected[30:44, 40:60] = 2
    assert np.array_equal(found, expected)


def test_parts_of_one_group_are_one_object(tmp_path: Path) -> None:
    shapes = ({"points": SQUARE, "group_id": 4}, {"points": OTHER, "group_id": 4}, {"points": [[0, 0], [6, 0], [0, 6]]})

    found = read(write(tmp_path / "a.json", labelme(*shapes)))

    assert (found[10, 12], found[40, 50], found[1, 1]) == (1, 1, 2)


def test_other_shapes_of_labelme(tmp_path: Path) -> None:
    picture = io.BytesIO()
    Image.fromarray(np.full((5, 6), 255, np.uint8)).save(picture, "PNG")
    shapes = (
        {"points": [[10, 8], [30, 28]], "shape_type": "rectangle"},
        {"points": [[50, 20], [56, 20]], "shape_type": "circle"},
        {"points": [[2, 40], [8, 45]], "shape_type": "mask", "mask": base64.b64encode(picture.getvalue()).decode()},
        {"points": [[0, 0], [9, 9]], "shape_type": "line", "label": "edge"},
    )
    doubts: list[str] = []

    found = read(write(tmp_path / "a.json", labelme(*shapes)), doubts=doubts)

    assert np.array_equal(found == 1, square() == 1)
    assert abs(int((found == 2).sum()) - np.pi * 36) < 6
    assert ((found == 3).sum(), found[40, 2], found[44, 7]) == (30, 3, 3)
    assert doubts == ["a line of 'edge' has no area, and is left out"]


def test_polygons_and_run_lengths_of_coco(tmp_path: Path) -> None:
    flat = (square() > 0).T.ravel().astype(np.int8)
    ends = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *ends, flat.size]).tolist()
    run_lengths = {"size": [HEIGHT, WIDTH], "counts": counts}
    polygons = [row(SQUARE)]

    for content in (coco(polygons), coco(run_lengths), run_lengths, coco(run_lengths)["annotations"]):
        assert np.array_equal(read(write(tmp_path / "a.json", content)), square())


def test_compressed_run_lengths_of_coco(tmp_path: Path) -> None:
    specks = (np.random.default_rng(3).random((HEIGHT, WIDTH)) < 0.3).astype(np.uint8)
    full = np.ones((HEIGHT, WIDTH), np.uint8)
    for mask in (square(), specks, full):
        encoded = masks.encode(np.asfortranarray(mask))
        run_lengths = {"size": encoded["size"], "counts": encoded["counts"].decode()}

        assert np.array_equal(read(write(tmp_path / "a.json", coco(run_lengths))), mask)


def test_run_lengths_that_overflow_are_refused(tmp_path: Path) -> None:
    content = {"size": [8, 8], "counts": [2**62] * 4 + [64]}
    path = write(tmp_path / "a.json", content)
    code = f"from persam_vos.media.masks.files import read_mask\nread_mask({str(path)!r})"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 1  # not killed by the system
    assert "no list of numbers from 0 to 64" in done.stderr.splitlines()[-1]


def test_a_mask_that_is_too_large_is_refused_before_it_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    for name in ("_filled", "mask_of_runs"):
        monkeypatch.setattr(f"persam_vos.media.masks.json_files.{name}", lambda *given: drawn.append(given))
    large = {"imageHeight": 6000, "imageWidth": 6000}
    images = [{"id": 7, "height": 6000, "width": 6000}]

    for content in (
        labelme({"points": SQUARE}, **large),
        coco([row(SQUARE)], images=images),
        {"size": [6000, 6000], "counts": [0, 36_000_000]},
    ):
        with pytest.raises(MaskSizeError, match="mask is 6000 x 6000, video is 48 x 64"):
            read(write(tmp_path / "a.json", content))
    assert not drawn


def test_a_large_polygon_is_drawn_in_strips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.json", labelme({"points": [[3.3, 1.2], [60.1, 20.7], [20.4, 46.9]]}))
    whole = read(path)
    strips: list[Any] = []
    draw = mask_json._drawn
    monkeypatch.setattr(mask_json, "_drawn", lambda *given: strips.append(given) or draw(*given))
    monkeypatch.setattr(mask_json, "_FINE_BYTES", 58 * 16 * 8)

    found = read(path)

    assert len(strips) == 6
    # OpenCV cuts edges off at the strips, and rounds where it does.
    outline = cv2.morphologyEx(whole, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    assert not (found != whole)[~outline].any()
    assert (found != whole).sum() < outline.sum() / 8


def picture_shape(mask: np.ndarray, left: int, top: int) -> dict[str, Any]:
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    points = [[left, top], [left + mask.shape[1] - 1, top + mask.shape[0] - 1]]
    return {"points": points, "shape_type": "mask", "mask": base64.b64encode(file.getvalue()).decode()}


def test_the_part_of_a_mask_that_lies_outside_the_frame_is_cut_off(tmp_path: Path) -> None:
    part = np.zeros((4, 4), np.uint8)
    part[2:, 2:] = 255
    for (left, top), inside in {
        (-2, -2): np.s_[0:2, 0:2],
        (-3, 5): np.s_[7:9, 0:1],
        (5, -3): np.s_[0:1, 7:9],
        (WIDTH - 3, HEIGHT - 3): np.s_[HEIGHT - 1 :, WIDTH - 1 :],
    }.items():
        expected = np.zeros((HEIGHT, WIDTH), np.uint8)
        expected[inside] = 1

        assert np.array_equal(read(write(tmp_path / "a.json", labelme(picture_shape(part, left, top)))), expected)

    outside = labelme({"points": SQUARE}, picture_shape(part, -9, -9))
    assert np.array_equal(read(write(tmp_path / "a.json", outside)), square())


def bomb(width: int, height: int) -> str:
    """A PNG that claims a size and holds no pixels, in base64."""
    chunks = b""
    for kind, data in ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(b""))):
        chunks += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + chunks).decode()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("text", [bomb(20_000, 20_000), bomb(12_000, 9_000), bomb(129, 4), bomb(4, 4), "iVBORw0KGgo="])
def test_pictures_of_masks_that_cannot_be_read_are_refused_in_one_line(tmp_path: Path, text: str) -> None:
    shape = {"points": [[0, 0], [4, 4]], "shape_type": "mask", "mask": text}

    with pytest.raises(MaskError, match="a shape's mask cannot be read") as refused:
        read(write(tmp_path / "a.json", labelme(shape)))
    assert "\n" not in str(refused.value)


def test_tracks_of_coco_keep_their_numbers_and_the_first_image_is_taken(tmp_path: Path) -> None:
    content = coco([row(SQUARE)], [row(OTHER)], [row(OTHER)])
    for annotation, image, track in zip(content["annotations"], (7, 7, 8), (5, 3, 5), strict=True):
        annotation.update(image_id=image, track_id=track)
    content["images"].append({"id": 8, "height": HEIGHT, "width": WIDTH, "file_name": "b.jpg"})
    doubts: list[str] = []

    found = read(write(tmp_path / "a.json", content), doubts=doubts)

    assert (found[10, 12], found[40, 50]) == (5, 3)
    assert doubts == ["holds annotations of 2 images, of which those of image 7 are taken"]


def test_size_and_options_count_as_for_pictures(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", labelme({"points": SQUARE}, {"points": OTHER}))

    with pytest.raises(MaskSizeError, match="mask is 48 x 64, video is 96 x 128"):
        read_mask(path, height=96, width=128)
    large = read_mask(path, height=96, width=128, resize=True, ids=(1,))
    assert np.array_equal(large, cv2.resize(square(), (128, 96), interpolation=cv2.INTER_NEAREST))
    one = write(tmp_path / "one.json", labelme({"points": SQUARE}, imageHeight=None))
    assert np.array_equal(read(one, invert=True), 1 - square())


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        3,
        "text",
        {"shapes": []},
        {"shapes": [{"points": [[1, 2], [3, 4]]}], "imageHeight": 48, "imageWidth": 64},
        {"shapes": [{"points": SQUARE}], "imageHeight": 10**9, "imageWidth": 10**9},
        {"shapes": [{"points": [[1, 2], [3, float("nan")], [4, 4]]}], "imageHeight": 48, "imageWidth": 64},
        {"size": [48, 64], "counts": [1, 2, 3]},
        {"size": [48, 64], "counts": [-1, 3073]},
        {"size": [48, 64], "counts": "0"},
        {"size": [48, 64], "counts": ""},
        {"size": [48, 64], "counts": "Q"},
        {"size": [48, 64], "counts": "o" * 100},
        {"size": [48, 64], "counts": "\u00e4"},
        {"size": [48, 64], "counts": [[3072]]},
        {"annotations": [{"segmentation": [[1, 2, 3]]}]},
    ],
)
def test_other_json_is_refused_in_one_line(tmp_path: Path, content: Any) -> None:
    with pytest.raises(MaskError, match=r"a\.json") as refused:
        read(write(tmp_path / "a.json", content))
    assert "\n" not in str(refused.value)


def test_what_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[" * 100_000)
    for path in (tmp_path / "a.json", tmp_path / "none.json"):
        with pytest.raises(MaskError, match=r"\.json"):
            read(path)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """What the export youtube-vis writes: object 2 moves, object 5 is absent in frame 1, frames are 3 to 5."""
    found = np.zeros((6, HEIGHT, WIDTH), np.uint8)
    for index in range(3, 6):
        found[index, 4:9, index : index + 6] = 2
        found[index, 20:30, 10:20] = 0 if index == 4 else 5
    frames = [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 6
    render(frames, found, tmp_path / "out", ["youtube-vis", "masks"], start=3)
    return tmp_path / "out" / "youtube-vis.json"


@pytest.mark.parametrize("frame", [3, 4, 5])
def test_what_youtube_vis_exports_is_read_for_a_frame(exported: Path, frame: int) -> None:
    found = read_mask(exported, height=HEIGHT, width=WIDTH, frame=f"{frame:05d}")

    assert np.array_equal(found, np.asarray(Image.open(exported.parent / "masks" / f"{frame:05d}.png")))
    if frame == 3:
        assert np.array_equal(found, read_mask(exported)), "without a frame, it is the first one"


def test_a_prompt_takes_the_masks_of_its_frame(exported: Path) -> None:
    said = AnnotationFile(exported, 4)

    with ArrayReader([np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 6, frame_rate=Fraction(25)) as reader:
        assert said.check(reader) == ((4, 2),), "object 5 is absent there"
        first = AnnotationFile(exported)
        with pytest.raises(MaskError, match="it holds no frame 00000; its frames are 00003 to 00005"):
            first.check(reader)


def test_a_frame_of_youtube_vis_without_an_object(exported: Path) -> None:
    content = json.loads(exported.read_text(encoding="utf-8"))
    for each in content["annotations"]:
        each["segmentations"][0] = None

    with pytest.raises(MaskError, match="it holds no object in frame 00003"):
        read_mask(write(exported, content))
