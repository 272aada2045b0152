"""Make pictures of the studio's page, step by step, on the clip that the package ships.

    python scripts/make/studio_pictures.py                    # all sizes, light and dark, into out/studio/
    python scripts/make/studio_pictures.py --docs             # those of docs/studio.md alone, into docs/images/
    python scripts/make/studio_pictures.py --video clip.mp4 --click 640,400 --end 40

Needs Chromium or Chrome. The pictures are called after size, scheme and step: out/studio/1440x900-dark-3-masked.png.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from persam_vos import demo_clip

ROOT = Path(__file__).parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SIZES = ((1440, 900), (1024, 768), (390, 844))
SCHEMES = ("light", "dark")
# Steps that docs/studio.md shows, by the name of their picture there.
SHOWN = {"2-masked": "studio-mark.jpg", "5-doubtful": "studio-look.jpg", "6-export": "studio-export.jpg"}
PATIENCE_MS = 600_000


@contextmanager
def studio(video: str, end: int | None) -> Iterator[str]:
    """Serve a new studio; yield its address."""
    with tempfile.TemporaryDirectory() as folder:
        session = Path(folder) / f"{Path(video).stem}.persam"
        command = [
            sys.executable,
            "-m",
            "persam_vos",
            "studio",
            video,
            "-o",
            str(session),
            "--no-browser",
            "--port",
            "0",
        ]
        command += [] if end is None else ["--end", str(end)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                yield process.stdout.readline().strip()
            finally:
                process.terminate()


def walk(page: Page, click: tuple[int, int], take: Callable[[str], None]) -> None:
    """Go through the studio as a person does, from nothing to an export."""
    expect(page.locator("#hint")).to_contain_text("Click the object", timeout=PATIENCE_MS)
    expect(page.locator("#preparing")).to_be_hidden(timeout=PATIENCE_MS)
    take("0-empty")
    place = place_of(page, click)
    page.mouse.move(place[0] - 4, place[1])
    page.mouse.move(*place)
    page.wait_for_timeout(1500)
    take("1-preview")
    page.mouse.click(*place)
    expect(page.locator("#here-words")).to_contain_text("click", timeout=PATIENCE_MS)
    page.mouse.move(0, 0)
    take("2-masked")
    page.click("#propagate-all")
    expect(page.locator("#propagate-words")).to_contain_text("of", timeout=PATIENCE_MS)
    take("3-propagating")
    expect(page.locator("#propagate-news")).to_contain_text("masks", timeout=PATIENCE_MS)
    expect(page.locator(".doubt").first).to_be_visible(timeout=PATIENCE_MS)
    take("4-propagated")
    page.keyboard.press("d")
    expect(page.locator("#preparing")).to_be_hidden(timeout=PATIENCE_MS)
    take("5-doubtful")
    page.keyboard.press("s")
    page.check("input[name=prores]")
    take("6-export")
    page.click("#export-start")
    expect(page.locator("#export-news code")).to_be_visible(timeout=PATIENCE_MS)
    take("7-exported")
    page.keyboard.press("?")
    take("8-keys")


def place_of(page: Page, pixel: tuple[int, int]) -> tuple[float, float]:
    """Return where a pixel of the frame is in the window, while all of the frame is shown."""
    width, height = map(int, re.findall(r"\d+", page.locator("#video-facts").inner_text())[:2])
    room = page.locator("#stage").bounding_box()
    assert room is not None
    scale = min(room["width"] / width, room["height"] / height)
    left, top = room["x"] + (room["width"] - width * scale) / 2, room["y"] + (room["height"] - height * scale) / 2
    return left + pixel[0] * scale, top + pixel[1] * scale


def photographer(page: Page, folder: Path, docs: bool) -> Callable[[str], None]:
    """Return what takes the pictures of a step."""

    def take(step: str) -> None:
        sizes, schemes = (SIZES[:1], ("dark",)) if docs else (SIZES, SCHEMES)
        for width, height in sizes if not docs or step in SHOWN else ():
            page.set_viewport_size({"width": width, "height": height})
            for scheme in schemes:
                page.emulate_media(color_scheme=scheme)
                page.wait_for_timeout(500)
                if docs:
                    Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(folder / SHOWN[step], quality=82)
                else:
                    page.screenshot(path=folder / f"{width}x{height}-{scheme}-{step}.png")
        page.set_viewport_size({"width": SIZES[0][0], "height": SIZES[0][1]})
        page.wait_for_timeout(300)

    return take


def main() -> None:
    """Take the pictures."""
    video, _ = demo_clip()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", default=str(video), help="the clip; the shipped one by default")
    parser.add_argument("--click", default="165,215", help="x,y of the object in the first frame")
    parser.add_argument("--end", type=int, help="first frame that is left out")
    parser.add_argument("--docs", action="store_true", help="only the pictures of docs/studio.md")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "out" / "studio")
    given = parser.parse_args()
    folder = ROOT / "docs" / "images" if given.docs else given.output
    folder.mkdir(parents=True, exist_ok=True)
    x, y = map(int, given.click.split(","))
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        parser.error(f"none of {', '.join(BROWSERS)} is installed")
    with studio(given.video, given.end) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": SIZES[0][0], "height": SIZES[0][1]}, color_scheme="dark")
        page.goto(address)
        walk(page, (x, y), photographer(page, folder, given.docs))
        browser.close()
    print(folder)


if __name__ == "__main__":
    main()
