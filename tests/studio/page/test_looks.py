"""The page fits windows, can be read and heard, and stays small however long the film is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from browsing import Hand
from playwright.sync_api import APIResponse, Browser, Route, expect
from studios import Served

import persam_vos
from persam_vos.masks import LabelMap

FILES = Path(persam_vos.__file__).parent / "studio" / "page"
SIZES = [(1440, 900), (1024, 768), (390, 844)]
LEAST_CONTRAST = 4.5

UNNAMED = """() => {
    const named = (each) => [each.getAttribute("aria-label"), each.textContent.trim(), each.title,
        ...[...(each.labels ?? [])].map((label) => label.textContent.trim())].some(Boolean);
    return [...document.querySelectorAll("button, input, select, canvas:not([aria-hidden])")]
        .filter((each) => !each.closest("[hidden]") && !named(each)).map((each) => each.outerHTML);
}"""


def fetched(route: Route) -> APIResponse:
    """Return the server's answer to a page; Playwright's own requests lack what browsers tell of theirs."""
    return route.fetch(headers={**route.request.headers, "sec-fetch-site": "same-origin"})


def test_it_fits_windows_and_each_button_has_a_name(browser: Browser, studio: Served) -> None:
    for width, height in SIZES:
        with browser.new_context(viewport={"width": width, "height": height}) as context:
            hand = Hand(context.new_page(), studio.door.address)
            hand.click(30, 20)
            expect(hand.rows).to_have_count(1)
            hand.page.click("#export-open")
            assert hand.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), width
            assert hand.page.evaluate(UNNAMED) == []
            hand.page.keyboard.press("Escape")
            for name in ("#propagate-all", "#play", "[data-tool=eraser]", "#undo"):
                box = hand.page.locator(name).bounding_box()
                assert box is not None
                assert 0 <= box["x"] <= box["x"] + box["width"] <= width, name
            assert hand.complaints == []


def test_wide_pixels_are_wide_in_small_pictures_as_well(
    browser: Browser, studio: Served, truths: list[LabelMap]
) -> None:
    def wide(route: Route) -> None:
        answer = fetched(route)
        route.fulfill(response=answer, json=answer.json() | {"pixel_aspect": 2})

    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        context.route("**/api/video", wide)
        hand = Hand(context.new_page(), studio.door.address)
        studio.post("/api/objects")
        studio.draw(1, 0, truths[0] == 1)
        expect(hand.page.locator("#propagate-all")).to_be_enabled()
        hand.press("End", "p")
        expect(hand.page.locator("#propagate-news")).to_contain_text("New masks")

        picture = hand.page.locator(".doubt img").first.bounding_box()
        assert picture is not None
        assert picture["width"] / picture["height"] == pytest.approx(2 * 256 / 144, rel=0.1)
        height = hand.page.locator("#strip").evaluate("strip => strip.clientHeight - 20")
        hand.until(lambda: reds(hand) == pytest.approx(2 * 48 / 144 * height, abs=3))


def reds(hand: Hand) -> int:
    """Return how many pixels wide the red square is in the first picture of the film."""
    read = """() => {
        const { data } = document.querySelector("#strip").getContext("2d").getImageData(0, 25, 150, 1);
        let found = 0;
        for (let i = 0; i < data.length; i += 4) if (data[i] > 180 && data[i + 2] < 90) found += 1;
        return found;
    }"""
    return int(hand.page.evaluate(read))


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(
    ("text", "grounds"),
    [
        ("text", ["ground", "panel", "raised", "accent-soft"]),
        ("faint", ["ground", "panel", "raised", "accent-soft"]),
        ("warn", ["ground", "panel"]),
        ("bad", ["ground", "panel"]),
        ("accent", ["accent-soft"]),
        ("on-accent", ["accent"]),
        ("ground", ["warn", "bad", "text"]),
    ],
)
def test_words_have_contrast(text: str, grounds: list[str], dark: bool) -> None:
    light, _, rest = (FILES / "style.css").read_text(encoding="utf-8").partition("@media (prefers-color-scheme: dark)")
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", rest if dark else light))

    for ground in grounds:
        assert contrast(colours[text], colours[ground]) >= LEAST_CONTRAST, (text, ground)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours by WCAG 2: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def luminance(colour: str) -> float:
    parts = [value / 255 for value in bytes.fromhex(colour[1:])]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_10_000_frames_are_no_more_elements_than_ten(browser: Browser, studio: Served) -> None:
    def long(route: Route) -> None:
        answer = fetched(route)
        changed: dict[str, Any] = answer.json()
        route.fulfill(response=answer, json=changed | {"stop": 10_000})

    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        page = context.new_page()
        page.route("**/api/video", long)
        page.route("**/api/times", lambda route: route.fulfill(json=[n / 25 for n in range(10_000)]))
        page.route(
            re.compile(r"/api/frames/"),
            lambda route: route.continue_(url=re.sub(r"frames/\d+", "frames/0", route.request.url)),
        )
        hand = Hand(page, studio.door.address)
        hand.press("End")
        expect(hand.number).to_have_value("9999")
        for _ in range(10):
            hand.press("Shift+ArrowLeft")
        expect(page.locator("#loading")).to_be_hidden()

        assert page.evaluate("() => document.querySelectorAll('*').length") < 600
        assert page.evaluate("() => performance.memory.usedJSHeapSize") < 50e6
        expect(page.locator("#caches")).to_contain_text("of 150 MB")


def test_nothing_is_inline_and_modules_stay_short() -> None:
    page = (FILES / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|https?://", page) == []

    modules = sorted(FILES.rglob("*.js"))
    assert len(modules) > 30
    for module in modules:
        lines = module.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 300, module
        assert lines[0].startswith("// "), module
        assert max(map(len, lines)) <= 160, module
