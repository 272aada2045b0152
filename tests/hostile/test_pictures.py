"""Pictures of masks and photos that are made to do harm."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

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
