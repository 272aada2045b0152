"""COCO and YouTube-VIS, read back by pycocotools, which is the reader of both formats' authors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from annotated import FRAMES, HEIGHT, WIDTH, export, info_of, label_map_of
from pycocotools import coco
from pycocotools import mask as masks

from persam_vos.exports.annotations.journal import forget_journals

# pycocotools 2.0.11 decodes by an interface that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_every_mask_comes_back_with_its_box_class_and_track(tmp_path: Path) -> None:
    path, warnings = export(tmp_path, "coco")
    read = coco.COCO(str(path))

    assert warnings == []
    assert sorted(read.imgs) == [1, 2, 3, 4]
    assert {each["id"]: each["name"] for each in read.loadCats(read.getCatIds())} == {
        1: "dog",
        2: "Käfer & <Co>",
        3: "object",
    }
    for index in range(FRAMES):
        label_map, found = label_map_of(index), np.zeros((HEIGHT, WIDTH), np.uint8)
        image = read.imgs[index + 1]
        assert (image["file_name"], image["width"], image["height"]) == (f"{index:05d}.jpg", WIDTH, HEIGHT)
        for each in read.loadAnns(read.getAnnIds(imgIds=[index + 1])):
            mask = read.annToMask(each) > 0
            found[mask] = each["track_id"]
            rows, columns = np.nonzero(mask)
            assert each["bbox"] == [
                columns.min(),
                rows.min(),
                columns.max() - columns.min() + 1,
                rows.max() - rows.min() + 1,
            ]
            assert each["area"] == mask.sum()
            assert (each["iscrowd"], each["score"]) == (0, 0.25 * (index + 1))
            assert each["category_id"] == {1: 1, 3: 2, 7: 1}[each["track_id"]]
        assert np.array_equal(found, label_map)
    assert sorted(read.anns) == [*range(1, len(read.anns) + 1)]


def test_images_of_a_sequence_have_their_names(tmp_path: Path) -> None:
    one = tuple(Path(f"shots/Bild {9 + index}.PNG") for index in range(FRAMES))
    several = (Path("a/x/1.jpg"), Path("a/x/2.jpg"), Path("a/y/1.jpg"), Path("a/y/2.jpg"))

    for images, names in (
        (one, [path.name for path in one]),
        (several, ["x/1.jpg", "x/2.jpg", "y/1.jpg", "y/2.jpg"]),
    ):
        path, _ = export(tmp_path, "coco", info=info_of(source=Path("shots"), images=images))
        assert [image["file_name"] for image in json.loads(path.read_text(encoding="utf-8"))["images"]] == names


def test_frames_of_a_part_keep_their_numbers(tmp_path: Path) -> None:
    path, _ = export(tmp_path, "coco", indices=(1, 3))

    images = json.loads(path.read_text(encoding="utf-8"))["images"]
    assert [(each["id"], each["file_name"], each["frame"]) for each in images] == [
        (2, "00001.jpg", 1),
        (4, "00003.jpg", 3),
    ]


def test_a_track_of_youtube_vis_has_a_mask_or_null_for_each_frame(tmp_path: Path) -> None:
    path, _ = export(tmp_path, "youtube-vis")
    read = json.loads(path.read_text(encoding="utf-8"))

    (video,) = read["videos"]
    assert video == {
        "id": 1,
        "width": WIDTH,
        "height": HEIGHT,
        "length": FRAMES,
        "file_names": [f"Häuser 1/{index:05d}.jpg" for index in range(FRAMES)],
    }
    assert [each["track_id"] for each in read["annotations"]] == [1, 3, 7]  # object 9 is never there
    assert [each["id"] for each in read["annotations"]] == [1, 2, 3]
    for each in read["annotations"]:
        assert (each["video_id"], each["iscrowd"]) == (1, 0)
        for key in ("segmentations", "bboxes", "areas"):
            assert len(each[key]) == FRAMES
        for index in range(FRAMES):
            truth = label_map_of(index) == each["track_id"]
            segmentation = each["segmentations"][index]
            if not truth.any():
                assert (segmentation, each["bboxes"][index], each["areas"][index]) == (None, None, None)
            else:
                assert np.array_equal(masks.decode(segmentation) > 0, truth)
                assert each["areas"][index] == truth.sum()
                assert each["bboxes"][index] == masks.toBbox(segmentation).tolist()
    assert read["annotations"][0]["score"] == pytest.approx((0.25 + 0.5 + 1) / 3)


@pytest.mark.parametrize("name", ["coco", "youtube-vis"])
def test_nothing_hidden_is_left_of_a_complete_run(tmp_path: Path, name: str) -> None:
    path, _ = export(tmp_path, name)
    assert [each.name for each in tmp_path.iterdir()] != [path.name]

    forget_journals(tmp_path)

    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["coco", "youtube-vis"])
def test_frames_without_any_object_are_written(tmp_path: Path, name: str) -> None:
    path, _ = export(tmp_path, name, indices=(2,))

    read = json.loads(path.read_text(encoding="utf-8"))
    assert read["annotations"] == []
    assert len(read["images"] if name == "coco" else read["videos"][0]["file_names"]) == 1
