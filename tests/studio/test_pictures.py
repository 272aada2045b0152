"""Frames as JPEG and masks as PNG."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from clips import moving_square, write_clip
from PIL import Image

from persam_vos.prompts import Span
from persam_vos.studio import pictures
from persam_vos.studio.footage import Footage
from persam_vos.studio.pictures import mask_of_png, png_of, png_of_mask

HEIGHT, WIDTH, COUNT = 48, 64, 20


@pytest.fixture
def footage(tmp_path: Path) -> Footage:
    return Footage(str(write_clip(tmp_path / "clip.mp4", moving_square(COUNT))))


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_a_jpeg_shows_its_frame(footage: Footage) -> None:
    for index in (3, 17, 0):
        shown = np.asarray(opened(footage.pictures.jpeg(index)), np.int16)
        assert np.abs(shown - footage.video.frame(index).rgb).mean() < 4
    footage.close()


@pytest.mark.parametrize(("width", "size"), [(32, (32, 24)), (9, (9, 7)), (1, (1, 1)), (64, (64, 48)), (999, (64, 48))])
def test_a_picture_has_at_most_the_width_that_is_asked_for(footage: Footage, width: int, size: tuple[int, int]) -> None:
    assert opened(footage.pictures.jpeg(5, width)).size == size
    footage.close()


def test_thumbnails_do_not_move_the_reader_that_plays(footage: Footage, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    frame = footage.video.frame
    monkeypatch.setattr(footage.video, "frame", lambda index: asked.append(index) or frame(index))

    footage.pictures.jpeg(5)
    footage.pictures.jpeg(19, 16)
    footage.pictures.jpeg(6)

    assert asked == [5, 6]
    footage.close()


def test_the_latest_pictures_are_kept_up_to_a_limit(footage: Footage, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    frame = footage.video.frame
    monkeypatch.setattr(footage.video, "frame", lambda index: asked.append(index) or frame(index))
    monkeypatch.setattr(pictures, "_KEPT_BYTES", 3 * len(footage.pictures.jpeg(0)) + 100)

    for index in (1, 2, 1, 2, 3, 4, 1):
        footage.pictures.jpeg(index)

    assert asked == [0, 1, 2, 3, 4, 1]
    footage.close()


def test_frames_of_a_part_have_the_times_of_the_video(footage: Footage) -> None:
    frames = footage.frames(Span(5, "0.6s", 5))

    assert list(frames) == [5, 10]
    assert footage.times(frames) == pytest.approx([0.2, 0.4])
    assert footage.duration(frames) == pytest.approx(0.4)
    assert footage.duration(footage.frames(Span())) == pytest.approx(COUNT / 25)
    footage.close()


def test_label_maps_and_masks_survive_png() -> None:
    labels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert (np.asarray(opened(png_of(labels))) == labels).all()
    mask = labels > 100
    assert (mask_of_png(png_of_mask(mask), 16, 16) == mask).all()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1"])
def test_a_brush_may_paint_white_on_black_or_on_nothing(mode: str) -> None:
    mask = np.zeros((16, 20), np.bool_)
    mask[3:9, 4:15] = True
    grey = Image.fromarray(mask.astype(np.uint8) * 255)
    image = grey.convert(mode)
    if mode in ("RGBA", "LA"):
        image = Image.new(mode, grey.size, "white")
        image.putalpha(grey)
    written = io.BytesIO()
    image.save(written, format="PNG")

    assert (mask_of_png(written.getvalue(), 16, 20) == mask).all()


def test_soft_edges_of_a_brush_are_cut_in_the_middle() -> None:
    image = Image.new("RGBA", (3, 1))
    image.putdata([(255, 255, 255, 100), (255, 255, 255, 150), (0, 0, 0, 255)])
    written = io.BytesIO()
    image.save(written, format="PNG")

    assert mask_of_png(written.getvalue(), 1, 3).tolist() == [[False, True, False]]
