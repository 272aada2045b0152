"""A real browser without a window, and a hand on the studio's page."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Route, expect, sync_playwright

import persam_vos

FILES = Path(persam_vos.__file__).parent / "studio" / "page"
SITE = "http://page.test/"
NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS = 20_000
LAPTOP = {"width": 1440, "height": 900}

_HOLD = """(path) => {
    const real = window.realFetch ?? window.fetch;
    const gate = new Promise((resolve) => Object.assign(window, {realFetch: real, release: resolve}));
    window.fetch = async (url, options) => {
        if (String(url).includes(path)) await gate;
        return real(url, options);
    };
}"""


@contextmanager
def started_browser() -> Iterator[Browser]:
    """Start a browser; without one, tests are skipped, and fail where CI is set."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        words = f"NO BROWSER: none of {', '.join(NAMES)} is installed, so that nothing of the studio's page is tested"
        if os.environ.get("CI"):
            pytest.fail(words)
        pytest.skip(words)
    with sync_playwright() as playwright:
        # Nothing but this machine can be reached.
        offline = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        yield playwright.chromium.launch(executable_path=path, args=["--no-sandbox", offline])


@contextmanager
def modules_alone(browser: Browser) -> Iterator[Page]:
    """Give an empty page that may import the studio's modules, without a studio."""

    def answer(route: Route) -> None:
        name = route.request.url.removeprefix(SITE)
        if name:
            route.fulfill(body=(FILES / name).read_text(encoding="utf-8"), content_type="text/javascript")
        else:
            route.fulfill(body="<!doctype html>", content_type="text/html")

    with browser.new_context() as context:
        found = context.new_page()
        found.route("**/*", answer)
        found.goto(SITE)
        yield found


def run(page: Page, module: str, body: str) -> Any:
    """Return what a function body gives, with a module of the studio's page as ``it``."""
    return page.evaluate(f"async () => {{ const it = await import('{SITE}{module}'); {body} }}")


class Hand:
    """What a person sees of the page and does on it.

    Args:
        page: An empty page.
        address: Of the studio, with its token.

    Attributes:
        complaints: What the browser has written into its console as errors, what scripts throw included.
        hosts: With whom the page has spoken.
    """

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).hostname or ""))
        page.goto(address)
        self.is_open()

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def is_open(self) -> None:
        """Wait until the page is there, and the session open."""
        expect(self.page.locator("#app[aria-busy=false]")).to_be_visible(timeout=PATIENCE_MS)
        expect(self.hint).not_to_contain_text("Loading", timeout=PATIENCE_MS)
        expect(self.page.locator("#loading")).to_be_hidden(timeout=PATIENCE_MS)

    @property
    def hint(self) -> Locator:
        return self.page.locator("#hint")

    @property
    def rows(self) -> Locator:
        return self.page.locator(".object")

    @property
    def said(self) -> Locator:
        """What is said of the selected object on this frame."""
        return self.page.locator("#here-words")

    @property
    def number(self) -> Locator:
        """The number of the frame that is shown."""
        return self.page.locator("#frame-number")

    def hold(self, path: str) -> None:
        """Let requests whose address has this in it wait, until they are released."""
        self.page.evaluate(_HOLD, path)

    def release(self) -> None:
        self.page.evaluate("() => window.release()")

    def until(self, holds: Callable[[], object]) -> None:
        """Wait until something holds that no element tells."""
        end = time.monotonic() + PATIENCE_MS / 1000
        while not holds():
            assert time.monotonic() < end, "it does not come true"
            self.page.wait_for_timeout(50)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def at(self, x: float, y: float, *, width: int = 256, height: int = 144) -> tuple[float, float]:
        """Return where a pixel of the frame is in the window, while all of the frame is shown."""
        room = self.page.locator("#stage").bounding_box()
        assert room is not None
        scale = min(room["width"] / width, room["height"] / height)
        left = room["x"] + (room["width"] - width * scale) / 2
        top = room["y"] + (room["height"] - height * scale) / 2
        return left + (x + 0.5) * scale, top + (y + 0.5) * scale

    def click(self, x: float, y: float, **options: Any) -> None:
        """Click a pixel of the frame once its picture is there."""
        self.page.evaluate("() => new Promise(requestAnimationFrame)")
        expect(self.page.locator("#stage:not(.waiting)")).to_be_visible()
        self.page.mouse.click(*self.at(x, y), **options)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.page.mouse.move(*self.at(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.at(*end), steps=8)
        self.page.mouse.up()

    def show(self, frame: int) -> None:
        """Type the number of a frame."""
        self.number.fill(str(frame))
        self.number.press("Enter")

    def colour(self, x: float, y: float) -> tuple[int, int, int]:
        """Return the colour that the canvas has over a pixel of the frame."""
        read = """([x, y]) => {
            const canvas = document.querySelector("#stage");
            const room = canvas.getBoundingClientRect();
            const ratio = canvas.width / room.width;
            const place = [(x - room.left) * ratio, (y - room.top) * ratio];
            return [...canvas.getContext("2d").getImageData(...place, 1, 1).data.slice(0, 3)];
        }"""
        red, green, blue = self.page.evaluate(read, list(self.at(x, y)))
        return red, green, blue

    def lane_colours(self, row: int = 0) -> int:
        """Return on how many columns of a lane its band is drawn."""
        read = """(row) => {
            const canvas = document.querySelector("#lanes");
            const ratio = canvas.width / canvas.getBoundingClientRect().width;
            const y = Math.round((row * 28 + 23) * ratio);
            const { data } = canvas.getContext("2d").getImageData(0, y, canvas.width, 1);
            let found = 0;
            for (let i = 0; i < data.length; i += 4) {
                const rgb = data.slice(i, i + 3);
                if (Math.max(...rgb) - Math.min(...rgb) > 30) found += 1;
            }
            return Math.round(found / ratio);
        }"""
        return int(self.page.evaluate(read, row))
