"""Masks go through the film on the page: propagate, look, mend, export, come back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from browsing import LAPTOP, Hand
from playwright.sync_api import Browser, expect
from studios import Served, served

from persam_vos.masks import LabelMap

LAST = 11


def mark_both(studio: Served, truths: list[LabelMap]) -> None:
    """Draw both squares on the first frame, as another page would."""
    for number in (1, 2):
        assert studio.post("/api/objects")["id"] == number
        studio.draw(number, 0, truths[0] == number)


def propagate(hand: Hand) -> None:
    hand.page.click("#propagate-all")
    expect(hand.page.locator("#propagate-news")).to_contain_text("New masks")
    expect(hand.hint).to_contain_text("Every frame has its mask")


def test_lanes_fill_when_masks_are_propagated(hand: Hand, studio: Served, truths: list[LabelMap]) -> None:
    mark_both(studio, truths)
    expect(hand.rows).to_have_count(2)
    assert hand.lane_colours() < 150, "the keyframe alone"

    propagate(hand)

    hand.until(lambda: hand.lane_colours(0) > 800)
    hand.until(lambda: hand.lane_colours(1) > 800)
    expect(hand.page.locator("#propagate-news")).to_have_text("New masks on all 12 frames.")


def test_a_correction_changes_its_stretch_alone(hand: Hand, studio: Served, truths: list[LabelMap]) -> None:
    mark_both(studio, truths)
    studio.draw(1, 8, truths[8] == 1)
    expect(hand.rows).to_have_count(2)
    propagate(hand)
    before = [studio.mask(frame) for frame in range(LAST + 1)]

    hand.show(LAST)
    hand.press("1", "e")
    hand.drag((200, 100), (210, 100))
    hand.press("1", "a")
    expect(hand.said).to_contain_text("not there")
    hand.press("p")
    expect(hand.page.locator("#propagate-news")).to_contain_text("New masks on")

    after = [studio.mask(frame) for frame in range(LAST + 1)]
    assert all(np.array_equal(was, now) for was, now in zip(before[:9], after[:9], strict=True))
    assert not (after[LAST] == 1).any()
    expect(hand.page.locator("#propagate-news")).to_contain_text("to 11.")


def test_doubtful_frames_are_listed_and_one_key_goes_to_the_next(
    hand: Hand, studio: Served, truths: list[LabelMap]
) -> None:
    mark_both(studio, truths)
    propagate(hand)
    rows = hand.page.locator(".doubt")
    expect(rows.first).to_be_visible()
    frames = [each["frame"] for each in studio.get("/api/doubtful", params={"count": 8})]

    hand.press("d")
    expect(hand.number).to_have_value(str(frames[0]))
    expect(rows.first).to_contain_text("looked at")
    hand.press("d")
    expect(hand.number).to_have_value(str(frames[1]))
    hand.press("Shift+D")
    expect(hand.number).to_have_value(str(frames[0]))


def test_an_export_is_written_and_its_folder_named(hand: Hand, studio: Served, truths: list[LabelMap]) -> None:
    mark_both(studio, truths)
    expect(hand.rows).to_have_count(2)

    hand.press("s")
    hand.page.uncheck("input[name=overlay]")
    hand.page.check("input[name=matte]")
    grow = hand.page.locator(".option", has_text="grow").locator("input")
    grow.fill("2")
    hand.page.click("#export-start")

    folder = hand.page.locator("#export-news code")
    expect(folder).to_be_visible()
    written = Path(folder.inner_text())
    assert written.parent == studio.studio.project.folder
    assert (written / "matte.mp4").is_file()
    assert len(list((written / "masks").glob("*.png"))) == LAST + 1
    assert not (written / "overlay.mp4").exists()


def test_an_option_that_is_not_allowed_is_told_in_the_dialog(
    hand: Hand, studio: Served, truths: list[LabelMap]
) -> None:
    mark_both(studio, truths)
    expect(hand.rows).to_have_count(2)
    hand.page.click("#export-open")
    hand.page.locator("#export-form").evaluate("form => form.noValidate = true")
    hand.page.locator(".option", has_text="grow").locator("input").fill("900")
    hand.page.click("#export-start")

    expect(hand.page.locator("#export-error")).to_contain_text("grow")
    expect(hand.page.locator("#export")).to_be_visible()
    hand.complaints.clear()


def test_all_is_there_after_a_reload_and_after_a_restart(
    browser: Browser, film: str, tmp_path: Path, truths: list[LabelMap]
) -> None:
    with browser.new_context(viewport=LAPTOP) as context:
        with served(film, tmp_path / "session") as studio:
            mark_both(studio, truths)
            hand = Hand(context.new_page(), studio.door.address)
            propagate(hand)
            masks = [studio.mask(frame) for frame in range(LAST + 1)]
            hand.page.reload()
            hand.is_open()
            expect(hand.rows).to_have_count(2)
            expect(hand.hint).to_contain_text("Every frame has its mask")
        with served(film, tmp_path / "session") as studio:
            hand = Hand(context.new_page(), studio.door.address)
            expect(hand.rows).to_have_count(2)
            expect(hand.hint).to_contain_text("Every frame has its mask")
            assert all(np.array_equal(mask, studio.mask(frame)) for frame, mask in enumerate(masks))


def test_keys_go_through_the_film(hand: Hand, studio: Served, truths: list[LabelMap]) -> None:
    studio.post("/api/objects")
    studio.draw(1, 0, truths[0] == 1)
    studio.draw(1, 8, truths[8] == 1)
    expect(hand.page.locator(".marks")).to_contain_text("2")

    for key, frame in [
        ("ArrowRight", 1),
        ("ArrowRight", 2),
        ("ArrowLeft", 1),
        ("Shift+ArrowRight", LAST),
        ("ArrowRight", LAST),
        ("Shift+ArrowLeft", 1),
        ("k", 8),
        ("End", LAST),
        ("Shift+K", 8),
        ("Home", 0),
    ]:
        hand.press(key)
        expect(hand.number).to_have_value(str(frame))


def test_the_film_plays_with_its_masks_and_ends(hand: Hand, studio: Served, truths: list[LabelMap]) -> None:
    mark_both(studio, truths)
    propagate(hand)

    hand.press("Home", "Space")

    expect(hand.page.locator("#play")).to_have_attribute("aria-label", "Pause")
    expect(hand.number).to_have_value(str(LAST))
    expect(hand.page.locator("#play")).to_have_attribute("aria-label", "Play")


def test_scrubbing_shows_the_frame_under_the_pointer(hand: Hand) -> None:
    strip = hand.page.locator("#strip").bounding_box()
    assert strip is not None
    hand.page.mouse.move(strip["x"] + 20, strip["y"] + 40)
    hand.page.mouse.down()
    hand.page.mouse.move(strip["x"] + strip["width"] - 20, strip["y"] + 40, steps=6)
    hand.page.mouse.up()

    expect(hand.number).to_have_value(str(LAST))
    hand.until(lambda: is_red(hand.colour(8 + 8 * LAST + 20, 20)))
    assert not is_red(hand.colour(10, 20)), "where the red square is in the first frame"


def is_red(colour: tuple[int, int, int]) -> bool:
    return colour[0] > 200 > colour[1]


def test_a_server_that_has_gone_is_told(browser: Browser, film: str, tmp_path: Path) -> None:
    with browser.new_context(viewport=LAPTOP) as context:
        with served(film, tmp_path / "session") as studio:
            hand = Hand(context.new_page(), studio.door.address)
        expect(hand.page.locator("#gone")).to_contain_text("cannot be reached")
