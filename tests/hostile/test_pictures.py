"""Pictures of masks and photos that are made to do harm."""

from __future__ import annotations

import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from persam_vos.errors import MaskError, PhotoError, VideoError
from persam_vos.media.masks.files import read_mask
from persam_vos.media.photo_files import read_photo
from persam_vos.media.readers import open_video


def test_postscript_is_handed_to_no_other_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = tmp_path / "mask.png"
    mask.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 48\n%%EndComments\nshowpage\n")
    monkeypatch.setattr("PIL.EpsImagePlugin.EpsImageFile.load", lambda self: pytest.fail("Ghostscript is started"))

    with pytest.raises(MaskError, match="EPS, which only another program could draw"):
        read_mask(mask)


def test_a_mask_that_claims_too_many_pixels_is_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    mask = tmp_path / "mask.png"
    Image.new("L", (1, 1)).save(mask)
    data = mask.read_bytes()
    header = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 6_000, 8, 0, 0, 0, 0)
    mask.write_bytes(data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:])

    with pytest.raises(MaskError, match="6000 x 20000 pixels, and 100,000,000 are allowed"):
        read_mask(mask)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_is_neither_waited_for_as_a_photo_nor_as_a_video(tmp_path: Path) -> None:
    pipe = tmp_path / "photo.png"
    os.mkfifo(pipe)

    with pytest.raises(PhotoError, match="is a pipe or a device"):
        read_photo(pipe)
    with pytest.raises(VideoError, match="is a pipe and no file"):
        open_video(pipe)


def test_a_jpeg_of_very_many_scans_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("persam_vos.media.photo_files._MAX_SCANNED", 64 * 48 * 20)
    path = tmp_path / "photo.jpg"
    Image.new("L", (64, 48)).save(path, progressive=True)
    assert read_photo(path).shape == (48, 64, 3)
    data = path.read_bytes()
    last = data.rindex(b"\xff\xda")
    path.write_bytes(data[:last] + data[last:-2] * 30 + data[-2:])

    with pytest.raises(PhotoError, match=r"goes over its 64 x 48 pixels in 3. scans"):
        read_photo(path)
    with pytest.raises(MaskError, match=r"goes over its 64 x 48 pixels in 3. scans"):
        read_mask(path)


def test_sixteen_bits_of_grey_are_not_taken_for_thousands_of_objects(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    Image.fromarray(np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)).save(path)

    with pytest.raises(MaskError, match="mask holds 256; allowed"):
        read_mask(path)


def test_rims_are_not_looked_for_where_many_objects_lie_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("persam_vos.media.masks.rims._MOST_PIXELS", 48 * 64 * 5)
    monkeypatch.setattr("cv2.morphologyEx", None)
    path = tmp_path / "mask.png"
    ids = (np.arange(16 * 20).reshape(16, 20) % 6 + 1).astype(np.uint8)
    Image.fromarray(ids.repeat(3, axis=0).repeat(3, axis=1)).save(path)

    assert read_mask(path).max() == 6


@pytest.mark.parametrize("shapes", [1, 250])
def test_shapes_that_would_take_minutes_to_draw_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shapes: int
) -> None:
    monkeypatch.setattr("persam_vos.media.masks.json_files._MOST_DRAWN", 48 * 64 * 100)
    square = [0, 0, 64, 0, 64, 48, 0, 48]
    polygons = {"segmentation": [square] * (250 // shapes), "image_id": 1}
    path = tmp_path / "mask.json"
    path.write_text(json.dumps({"annotations": [polygons] * shapes}))

    with pytest.raises(MaskError, match="too many for their size"):
        read_mask(path, height=48, width=64)
    polygons["segmentation"] = [square]
    path.write_text(json.dumps({"annotations": [polygons]}))
    assert read_mask(path, height=48, width=64).all()
