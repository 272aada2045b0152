"""CVAT's XML, read back by a reader written from its description."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from annotated import FRAMES, HEIGHT, WIDTH, export, info_of, label_map_of

from persam_vos.media import StreamInfo


def decoded(mask: ElementTree.Element) -> np.ndarray:
    """Run lengths alternate between background and mask, row by row in the box."""
    left, top, width, height = (int(mask.attrib[key]) for key in ("left", "top", "width", "height"))
    values: list[bool] = []
    for position, count in enumerate(mask.attrib["rle"].split(", ")):
        values += [position % 2 == 1] * int(count)
    frame = np.zeros((HEIGHT, WIDTH), bool)
    frame[top : top + height, left : left + width] = np.array(values).reshape(height, width)
    return frame


def test_every_mask_comes_back_with_its_label_and_track(tmp_path: Path) -> None:
    path, warnings = export(tmp_path, "cvat")
    root = ElementTree.parse(path).getroot()

    assert warnings == []
    assert (root.tag, root.findtext("version")) == ("annotations", "1.1")
    labels = root.findall("meta/task/labels/label")
    assert [(each.findtext("name"), each.findtext("type")) for each in labels] == [
        ("dog", "mask"),
        ("Käfer & <Co>", "mask"),
        ("object", "mask"),
    ]
    assert labels[0].findtext("color") == "#e6194b"
    assert labels[0].findtext("attributes/attribute/name") == "track_id"
    images = root.findall("image")
    assert [each.get("name") for each in images] == [f"frame_{index:06d}" for index in range(FRAMES)]
    for index, image in enumerate(images):
        assert (image.get("id"), image.get("width"), image.get("height")) == (str(index), str(WIDTH), str(HEIGHT))
        found = np.zeros((HEIGHT, WIDTH), np.uint8)
        for mask in image:
            track = int(mask.findtext("attribute[@name='track_id']") or 0)
            found[decoded(mask)] = track
            assert mask.get("label") == {1: "dog", 3: "Käfer & <Co>", 7: "dog"}[track]
        assert np.array_equal(found, label_map_of(index))


def test_the_example_of_the_description(tmp_path: Path) -> None:
    """A run of background comes first, even if it is empty."""
    path, _ = export(tmp_path, "cvat", indices=(1,))
    masks = {each.findtext("attribute"): each for each in ElementTree.parse(path).getroot().iter("mask")}

    assert (masks["7"].get("rle"), masks["7"].get("left"), masks["7"].get("top")) == ("0, 1", "0", "29")
    assert masks["1"].get("rle", "").startswith("0, 40, 3, 9, 3, 9, 3, ")


def test_images_of_a_sequence_have_their_names(tmp_path: Path) -> None:
    images = tuple(Path(f"shots/Bild {index}.jpg") for index in range(FRAMES))
    path, _ = export(tmp_path, "cvat", indices=(1, 3), info=info_of(source=Path("shots"), images=images))

    found = ElementTree.parse(path).getroot().findall("image")
    assert [(each.get("id"), each.get("name")) for each in found] == [("1", "Bild 1.jpg"), ("3", "Bild 3.jpg")]


@pytest.mark.parametrize("name", ["a\x01b", 'a"b&<c>\n'])
def test_any_name_of_a_video_is_xml(tmp_path: Path, name: str) -> None:
    info: StreamInfo = info_of(source=Path(name))
    path, _ = export(tmp_path, "cvat", info=info)

    assert ElementTree.parse(path).getroot().findtext("meta/task/name") == name.replace("\x01", "_")


@pytest.mark.parametrize("name", ["coco", "youtube-vis", "cvat"])
def test_a_name_that_is_no_text_is_no_obstacle(tmp_path: Path, name: str) -> None:
    path, _ = export(tmp_path, name, info=info_of(source=Path("a\udce4.mp4")))

    assert "a?" in path.read_text(encoding="utf-8") or "a_" in path.read_text(encoding="utf-8")
