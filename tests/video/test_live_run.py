"""A run on frames that may never end: Ctrl-C ends it while it waits, and what is done is kept."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Generator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import moving_square
from fakes import FakeEngine

from persam_vos.media import Frame, StreamInfo
from persam_vos.media.stream import GeneratorReader
from persam_vos.pipeline.progress import NoProgress
from persam_vos.pipeline.writing import Outcome
from persam_vos.prompts import Span
from persam_vos.rendering import frames as rendered_frames
from persam_vos.rendering import render
from persam_vos.rendering.frames import WHOLE, RenderedVideo
from persam_vos.rendering.mask_arrays import MaskArrays
from persam_vos.settings.output import OutputSettings
from persam_vos.settings.video import Settings
from persam_vos.video.prompting.label_maps import AnnotationArray
from persam_vos.video.prompting.prompting import Prompting
from persam_vos.video.run import write_tracks

HEIGHT, WIDTH, FRAMES = 48, 64, 5


class Stream(GeneratorReader):
    """Delivers frames, then waits for others that never come, if it is silent and has not ended."""

    def __init__(self, *, is_silent: bool = True) -> None:
        self.warnings = []
        self.info = StreamInfo(Path("stream"), WIDTH, HEIGHT, Fraction(25), Fraction(1, 25), None, False, address="a")
        self._stopped = threading.Event()
        self._is_silent = is_silent
        self._frames = self._deliver()

    def stop(self) -> bool:
        self._stopped.set()
        return True

    def close(self) -> None:
        self.stop()
        super().close()

    def _deliver(self) -> Generator[Frame, None, None]:
        for index, array in enumerate(moving_square(FRAMES)):
            yield Frame(index, index, Fraction(1, 25), array)
        if self._is_silent:
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
            assert self._stopped.wait(60), "nobody stops"


def tracked(output: Path, *, is_silent: bool = True, **options: Any) -> Outcome:
    said = Prompting((AnnotationArray(np.indices((HEIGHT, WIDTH))[1] < 16),))
    reader = Stream(is_silent=is_silent)
    said.check(reader)
    settings = Settings(export=("masks",))
    load = lambda: FakeEngine(settings=settings)  # noqa: E731
    return write_tracks(reader, None, said, output, settings, NoProgress(), load=load, **options)


@pytest.mark.usefixtures("no_thread_is_left")
def test_a_silent_source_that_is_interrupted_is_not_complete(tmp_path: Path) -> None:
    outcome = tracked(tmp_path / "out")

    assert outcome.interrupted
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert (record["frames"], record["complete"]) == (outcome.frames, False)
    assert len(list((tmp_path / "out" / "masks").iterdir())) == outcome.frames

    outcome = tracked(tmp_path / "out", is_silent=False, resume=True)

    assert (outcome.frames, outcome.interrupted) == (FRAMES, False), "it goes on where it was"
    assert len(list((tmp_path / "out" / "masks").iterdir())) == FRAMES


@pytest.mark.usefixtures("no_thread_is_left")
def test_rendering_a_silent_source_ends_when_it_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendered_frames, "open_video", lambda source, **_: Stream())
    masks = np.ones((FRAMES, HEIGHT, WIDTH), bool)

    outcome = render("stream", masks, tmp_path / "out", "masks")

    assert (outcome.frames, outcome.interrupted) == (FRAMES, True)
    assert json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["complete"] is False


def test_of_a_source_without_an_end_the_frames_that_have_masks_are_rendered() -> None:
    masks = MaskArrays(np.ones((3, HEIGHT, WIDTH), bool), Stream().info)
    asked: list[Span] = []

    class Video(RenderedVideo):
        def open(self, span: Span = WHOLE) -> Stream:
            asked.append(span)
            return Stream()

    video = Video("http://a", OutputSettings())
    video.open_part(Stream().info, masks, WHOLE)
    video.open_part(replace(Stream().info, address=""), masks, WHOLE)

    assert asked == [Span(0, 3, 1), WHOLE]
