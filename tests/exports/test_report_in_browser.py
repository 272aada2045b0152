"""The report in a real browser: it opens without a network, in light and dark, and fits a phone."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from exports.test_report import written
from PIL import Image

from persam_vos.exports.report import Look

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"no browser: none of {', '.join(NAMES)} is installed")


def browse(*arguments: str) -> str:
    """Call the browser without a window and without a network, and return what it prints."""
    assert BROWSER is not None
    command = [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *arguments]
    offline = "--host-resolver-rules=MAP * ~NOTFOUND"
    return subprocess.run([*command, offline], capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.fixture
def page(tmp_path: Path) -> Path:
    source = tmp_path / "a clip of which the name is rather long.mp4"
    source.touch()
    (tmp_path / "prompts.json").touch()
    written(tmp_path, name="dog", looks=(Look(42, 1, "it jumps"),), source=str(source))
    return tmp_path / "report.html"


@pytest.mark.parametrize(("scheme", "ground"), [(1, (255, 255, 255)), (0, (21, 23, 26))])
def test_light_and_dark(page: Path, tmp_path: Path, scheme: int, ground: tuple[int, int, int]) -> None:
    shot = tmp_path / "shot.png"

    browse(
        f"--blink-settings=preferredColorScheme={scheme}", "--window-size=1100,1600", f"--screenshot={shot}", str(page)
    )

    seen = np.asarray(Image.open(shot).convert("RGB"))
    assert tuple(seen[5, 5].tolist()) == ground
    assert len(np.unique(seen.reshape(-1, 3), axis=0)) > 100, "text, pictures and charts are drawn"
    orange = np.abs(seen.astype(int) - (230, 159, 0)).max(axis=2) < 8
    assert orange.sum() > 500, "the score of object 1, as a line in its colour"


@pytest.mark.parametrize("width", [500, 820, 1400])
def test_nothing_is_wider_than_the_window(page: Path, width: int) -> None:
    script = "<script>document.title = document.documentElement.scrollWidth + ' of ' + window.innerWidth</script>"
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", f"{script}</body>"), encoding="utf-8")

    shown = browse(f"--window-size={width},900", "--dump-dom", str(page))

    found = re.search(r"<title>(\d+) of (\d+)</title>", shown)
    assert found is not None
    assert int(found[1]) <= int(found[2])


def test_a_click_on_the_picture_fills_in_the_command(page: Path) -> None:
    script = """
<script>
const aim = document.querySelector(".aim"), edges = aim.getBoundingClientRect();
const at = (kind, x, y, more) => aim.dispatchEvent(new PointerEvent(kind, {
  clientX: edges.left + (x + 0.5) / 64 * edges.width, clientY: edges.top + (y + 0.5) / 48 * edges.height, ...more }));
const said = [document.querySelector(".where").textContent];
const click = (x, y, more) => { at("pointerdown", x, y, more); at("pointerup", x, y, more); };
click(20, 10);
click(40, 30, { shiftKey: true });
said.push(document.querySelector(".where").textContent);
at("pointerdown", 30, 40); at("pointerup", 8, 4);
said.push(document.querySelector(".where").textContent);
said.push(document.querySelectorAll(".said *").length);
document.querySelector(".clear").click();
said.push(document.querySelector(".where").textContent);
document.title = said.join(" | ");
</script>"""
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", f"{script}</body>"), encoding="utf-8")

    shown = browse("--window-size=900,900", "--dump-dom", str(page))

    found = re.search(r"<title>(.*?)</title>", shown)
    assert found is not None
    assert found[1].split(" | ") == [
        "--point X,Y",
        "--point 20,10 --point 40,30,-",
        "--box 8,4,30,40 --point 20,10 --point 40,30,-",
        "3",
        "--point X,Y",
    ]
