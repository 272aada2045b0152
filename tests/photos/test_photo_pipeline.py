"""The plumbing of photos: room for large ones, errors, failures and interrupts. Networks are faked here."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import FakeEngine, FakeWriter
from PIL import Image

from persam_vos.errors import OutputError, PhotoError
from persam_vos.media.frame import Frame
from persam_vos.photos import pipeline as photo_pipeline
from persam_vos.photos.pipeline import PhotoFailure, find_in_photos
from persam_vos.pipeline.pixel_budget import PixelBudget
from persam_vos.pipeline.writing import Outcome
from persam_vos.results import FrameResult
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.settings.photos import PhotoSettings

pytestmark = pytest.mark.usefixtures("no_thread_is_left")
SIDE = 10


class FakeFinder:
    """Finds nothing, slowly enough for others to run ahead."""

    settings = PhotoSettings(max_megapixels=1)

    def find(self, frame: Frame, _: ImageEmbedding) -> FrameResult:
        time.sleep(0.002)
        return FrameResult(frame.index, frame.index, frame.time_base, np.zeros(frame.rgb.shape[:2], np.uint8), ())


def photos_of(folder: Path, count: int, broken: set[int] | None = None) -> list[Path]:
    photos = [folder / f"{index:03d}.png" for index in range(count)]
    for index, photo in enumerate(photos):
        if index in (broken or set()):
            photo.write_text("no photo")
        else:
            Image.new("RGB", (SIDE, SIDE)).save(photo)
    return photos


def search(photos: list[Path], writer: FakeWriter, batch_size: int = 3, **options: Any) -> Outcome:
    engine = FakeEngine(batch_size)
    return find_in_photos(engine, FakeFinder(), photos, writer, **options)  # type: ignore[arg-type]


class Meter(PixelBudget):
    """Remembers the most that was in use."""

    highest = 0

    def take(self, amount: int) -> bool:
        taken = super().take(amount)
        Meter.highest = max(Meter.highest, self._used)
        return taken


@pytest.mark.parametrize(
    ("most", "batch", "expected"),
    [(500, 200, 500), (300, 10, 300), (120, 50, 200), (0, 0, 100), (10**6, 10**6, None)],
)
def test_no_more_is_in_memory_than_there_is_room_for_and_nothing_waits_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, batch: int, expected: int | None
) -> None:
    monkeypatch.setattr(photo_pipeline, "_MOST_PIXELS", most)
    monkeypatch.setattr(photo_pipeline, "_BATCH_PIXELS", batch)
    monkeypatch.setattr(photo_pipeline, "PixelBudget", Meter)
    monkeypatch.setattr(Meter, "highest", 0)
    writer = FakeWriter()

    outcome = search(photos_of(tmp_path, 30), writer, batch_size=8)

    assert outcome.frames == 30
    assert writer.indices == list(range(30))
    if expected is not None:
        assert SIDE * SIDE <= Meter.highest <= expected


def test_large_photos_are_not_encoded_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_pipeline, "_BATCH_PIXELS", 2 * SIDE * SIDE)
    engine, writer = FakeEngine(batch_size=8), FakeWriter()

    find_in_photos(engine, FakeFinder(), photos_of(tmp_path, 9), writer)  # type: ignore[arg-type]

    assert [len(batch) for batch in engine.fake_encoder.batches] == [2, 2, 2, 2, 1]
    assert writer.indices == list(range(9))


def test_an_error_of_the_writer_ends_reading_that_waits_for_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_pipeline, "_MOST_PIXELS", 3 * SIDE * SIDE)
    monkeypatch.setattr(photo_pipeline, "_BATCH_PIXELS", SIDE * SIDE)
    writer = FakeWriter(fail_at=4)

    with pytest.raises(OutputError, match="disk full"):
        search(photos_of(tmp_path, 40), writer)

    assert writer.state == "aborted"


def test_what_cannot_be_read_is_told_and_left_out(tmp_path: Path) -> None:
    photos = photos_of(tmp_path, 9, broken={0, 4, 8})
    told: list[PhotoFailure] = []

    outcome = search(photos, writer := FakeWriter(), on_failure=told.append)

    assert (outcome.frames, outcome.failed) == (6, 3)
    assert [failure.photo for failure in told] == [photos[0], photos[4], photos[8]]
    assert writer.indices == [1, 2, 3, 5, 6, 7]
    with pytest.raises(PhotoError, match=r"000\.png"):
        search(photos, FakeWriter())


def test_an_interrupt_is_heard_while_nothing_can_be_read(tmp_path: Path) -> None:
    photos = photos_of(tmp_path, 200, broken=set(range(200)))
    told: list[PhotoFailure] = []

    def tell(failure: PhotoFailure) -> None:
        told.append(failure)
        if len(told) == 5:
            os.kill(os.getpid(), signal.SIGINT)
        # The main thread has to come to it.
        time.sleep(0.02)

    outcome = search(photos, FakeWriter(), on_failure=tell)

    assert outcome.interrupted
    assert 5 <= outcome.failed < 100


def test_a_budget() -> None:
    room = PixelBudget(most=10, batch=4)
    assert room.take(4)
    assert room.take(50), "while no more than a batch is in use, anything may be taken"
    taken: list[bool] = []
    waiting = threading.Thread(target=lambda: taken.append(room.take(1)))
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    room.give(50)
    waiting.join(5)
    assert taken == [True]
    room.close()
    assert not room.take(10**9)
