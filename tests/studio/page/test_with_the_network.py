"""From a click to a film, on the page, with the real network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from browsing import LAPTOP, Hand
from clips import moving_square, write_clip
from playwright.sync_api import Browser, expect
from studios import Served, served

from persam_vos.studio.session.project import Project
from persam_vos.video.session.session import Session

COUNT, WIDTH, HEIGHT = 4, 192, 144
SLOW_MS = 120_000


def opened(clip: Path, folder: Path) -> Any:
    """Return what opens a session with the network."""

    def open_session(project: Project) -> Session:
        kept: dict[str, Any] = {"masks": project.masks, "cache": folder / "cache"}
        return Session.open(project.prompts, **kept) if project.check_prompts() else Session(str(clip), **kept)

    return open_session


def test_a_click_a_propagation_a_correction_and_an_export(browser: Browser, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", moving_square(COUNT, width=WIDTH, height=HEIGHT))
    with (
        served(clip, tmp_path / "clip.persam", opened=opened(clip, tmp_path)) as studio,
        browser.new_context(viewport=LAPTOP) as context,
    ):
        hand = Hand(context.new_page(), studio.door.address)
        expect(hand.page.locator("#preparing")).to_be_hidden(timeout=SLOW_MS)
        hand.page.mouse.click(*hand.at(8, 56, width=WIDTH, height=HEIGHT))
        expect(hand.said).to_contain_text("1 click", timeout=SLOW_MS)
        square = np.s_[HEIGHT // 3 : HEIGHT // 3 + 16, 0:16]
        assert overlap(studio, 0, square) > 0.8, "the square, not the picture"

        hand.press("p")
        expect(hand.page.locator("#propagate-news")).to_have_text("New masks on all 4 frames.", timeout=SLOW_MS)
        moved = np.s_[HEIGHT // 3 : HEIGHT // 3 + 16, 12:28]
        assert overlap(studio, 3, moved) > 0.6

        hand.press("End", "a", "p")
        expect(hand.page.locator("#propagate-news")).to_contain_text(" 3.", timeout=SLOW_MS)
        assert not studio.mask(3).any()
        hand.press("s")
        hand.page.click("#export-start")
        expect(hand.page.locator("#export-news code")).to_be_visible(timeout=SLOW_MS)
        assert (tmp_path / "clip.persam" / "export-1" / "overlay.mp4").is_file()
        assert hand.complaints == []


def overlap(studio: Served, frame: int, place: Any) -> float:
    """Return the IoU of an object with a place."""
    found = studio.mask(frame) > 0
    truth = np.zeros_like(found)
    truth[place] = True
    return float((found & truth).sum() / (found | truth).sum())
