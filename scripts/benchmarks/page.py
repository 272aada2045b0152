"""How fast the studio's page answers in Chromium: from a click to its mask, from the timeline to a frame."""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.clips import SIZES, label_map_of, make_clip
from benchmarks.measure import described, seconds
from benchmarks.studio import started
from persam_vos.masks import interior_point

_SIZE = "720p"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_WINDOW = {"width": 1440, "height": 900}
_CLICKS, _MOVES = 12, 24
# Frames between which it goes back and forth: the page keeps so many decoded.
_LATELY = 6
_PATIENCE_MS = 120_000
# Pixels of the timeline to the left and right of all frames.
_INSET = 8

# Milliseconds from an event to the first picture of the screen in which a part of the canvas looks another way.
_MEASURE = """([kind, element, box]) => {
    const canvas = document.querySelector("#stage");
    const ratio = canvas.width / canvas.clientWidth;
    const look = () => {
        const { data } = canvas.getContext("2d").getImageData(...box.map((each) => Math.round(each * ratio)));
        return data.reduce((sum, each) => (31 * sum + each) | 0, 0);
    };
    window.measured = new Promise((done) => {
        const before = look();
        document.querySelector(element).addEventListener(kind, () => {
            const began = performance.now();
            const wait = () => (look() === before ? requestAnimationFrame(wait) : done(performance.now() - began));
            requestAnimationFrame(wait);
        }, { once: true });
    });
}"""


def bench_page(arguments: argparse.Namespace) -> dict[str, Any]:
    """Open the page of a clip, and do on it what a person does."""
    from playwright.sync_api import sync_playwright

    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        raise SystemExit(f"page needs a browser: none of {', '.join(_BROWSERS)} is installed")
    width, height = SIZES[_SIZE]
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        clip = Path(name) / "clip.mp4"
        make_clip(str(arguments.video), clip, (width, height), arguments.frames)
        y, x = interior_point(label_map_of(arguments.mask, width, height) == 1)
        with started(clip, Path(name) / "session", arguments.device) as (studio, _):
            duration = studio.ask("GET", "/api/video")["duration"]
            chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            page = chromium.new_page(viewport=_WINDOW)
            page.set_default_timeout(_PATIENCE_MS)
            page.goto(studio.address)
            studio.wait(lambda state: 0 in state["prepared"])
            hand = _Hand(page, (width, height), arguments.frames)
            memory = {"at first": _memory_mb()}
            clicks = hand.clicks(x, y)
            fetched, lately = hand.moves()
            memory["after scrubbing"] = _memory_mb()
            playing = {"playing for the first time": hand.play(), "playing again": hand.play()}
            memory["after playing"] = _memory_mb()
            chromium.close()
    return {
        "machine": described(torch.device(arguments.device)),
        "size": _SIZE,
        "frames": arguments.frames,
        "seconds_of_clip": round(duration, 2),
        "ms": {
            "click to mask on the canvas": _summary(clicks),
            "timeline to a frame that was shown lately": _summary(lately),
            "timeline to a frame that was fetched before": _summary(fetched),
        },
        "seconds": playing,
        "memory_mb": {name: value for name, value in memory.items() if value is not None},
    }


class _Hand:
    """A hand on the page.

    Args:
        page: With the studio's address.
        size: Width and height of the film, in pixels.
        frames: How many it has.
    """

    def __init__(self, page: Any, size: tuple[int, int], frames: int) -> None:
        from playwright.sync_api import expect

        self.page, self.frames, self._expect = page, frames, expect
        expect(page.locator("#hint")).not_to_contain_text("Loading", timeout=_PATIENCE_MS)
        expect(page.locator("#stage:not(.waiting)")).to_be_visible(timeout=_PATIENCE_MS)
        # What the mouse shows before a click would count as its answer.
        page.evaluate("() => document.querySelector('#previews').click()")
        room = page.locator("#stage").bounding_box()
        scale = min(room["width"] / size[0], room["height"] / size[1])
        self._room, self._scale = room, scale
        self._left = (room["width"] - size[0] * scale) / 2
        self._top = (room["height"] - size[1] * scale) / 2

    def clicks(self, x: int, y: int) -> list[float]:
        """Return the milliseconds of clicks on a pixel of the first frame, but the first click, which loads things."""
        at = self._left + x * self._scale, self._top + y * self._scale
        found = []
        for _ in range(_CLICKS + 1):
            # Beside the mark of the click itself.
            self._measure("pointerup", "#stage", (at[0] + 14, at[1] + 10, 1, 1))
            self.page.mouse.click(self._room["x"] + at[0], self._room["y"] + at[1])
            found.append(self._measured())
            self._expect(self.page.locator("#here-words")).to_contain_text("1 click")
            self.page.keyboard.press("Control+z")
            self._expect(self.page.locator("#here-words")).to_contain_text("nothing said yet")
            self.page.wait_for_timeout(300)
        return found[1:]

    def moves(self) -> tuple[list[float], list[float]]:
        """Return the milliseconds of moves on the timeline: to frames fetched before, and to those shown just now."""
        mouse, strip = self.page.mouse, self.page.locator("#strip").bounding_box()
        places = np.linspace(0, self.frames - 1, _MOVES + 1).round()
        at = [strip["x"] + _INSET + (strip["width"] - 2 * _INSET) * (each + 0.5) / self.frames for each in places]
        y = strip["y"] + strip["height"] / 2
        mouse.move(at[0], y)
        mouse.down()
        for x in at:
            mouse.move(x, y)
            self._expect(self.page.locator("#loading")).to_be_hidden()
            self.page.wait_for_timeout(250)
        fetched = [self._moved(x, y) for x in reversed(at[:-1])]
        lately = [self._moved(x, y) for x in [*at[1:_LATELY], *reversed(at[: _LATELY - 1])] * 2]
        mouse.up()
        return fetched, lately

    def _moved(self, x: float, y: float) -> float:
        self._measure("pointermove", "#strip", (self._room["width"] / 3, self._room["height"] / 3, 200, 100))
        self.page.mouse.move(x, y)
        found = self._measured()
        self.page.wait_for_timeout(100)
        return found

    def play(self) -> float:
        """Return the seconds in which the film is played."""

        def played() -> None:
            self.page.keyboard.press("Space")
            self._expect(self.page.locator("#frame-number")).to_have_value(str(self.frames - 1), timeout=_PATIENCE_MS)

        self.page.keyboard.press("Home")
        self._expect(self.page.locator("#frame-number")).to_have_value("0")
        return round(seconds(played), 2)

    def _measure(self, kind: str, element: str, box: Sequence[float]) -> None:
        self.page.evaluate(_MEASURE, [kind, element, list(box)])

    def _measured(self) -> float:
        return float(self.page.evaluate("() => window.measured"))


def _memory_mb() -> int | None:
    """Return the largest proportional set size of a browser's page, in MB; None where the system does not tell."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"--type=renderer" in (process / "cmdline").read_bytes():
                pss = re.search(r"^Pss:\s+(\d+)", (process / "smaps_rollup").read_text(), re.MULTILINE)
                found.append(int(pss[1]) * 1024 // 1_000_000 if pss else 0)
        except OSError:
            continue  # it has ended, or belongs to somebody else
    return max(found, default=None)


def _summary(ms: Sequence[float]) -> dict[str, int]:
    return {"median": round(statistics.median(ms)), "p95": round(float(np.quantile(ms, 0.95))), "count": len(ms)}
