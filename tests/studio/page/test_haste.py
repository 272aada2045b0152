"""Strokes and clicks that follow each other faster than the server answers: nothing of them is lost."""

from __future__ import annotations

import threading

import numpy as np
from browsing import PATIENCE_MS, Hand
from playwright.sync_api import expect
from studios import Served

from persam_vos.masks import LabelMap


def all_is_said(hand: Hand) -> None:
    hand.release()
    expect(hand.page.locator("#busy")).to_be_hidden(timeout=PATIENCE_MS)


def test_two_quick_strokes_keep_the_object_whose_mask_is_still_on_its_way(hand: Hand, studio: Served) -> None:
    square = np.zeros((144, 256), dtype=bool)
    square[100:140, 200:250] = True
    studio.post("/api/objects")
    hand.hold("/api/masks/")
    studio.draw(1, 0, square)
    expect(hand.said).to_contain_text("a mask")

    hand.press("b")
    hand.drag((30, 30), (60, 30))
    hand.drag((30, 100), (60, 100))
    all_is_said(hand)

    hand.until(lambda: studio.mask(0)[100, 45] == 1)
    labels = studio.mask(0)
    assert labels[30, 45] == 1
    assert (labels[square] == 1).all()


def test_a_stroke_at_once_after_a_click_keeps_the_click(hand: Hand, studio: Served) -> None:
    hand.hold("/clicks/")
    hand.click(30, 20)
    hand.press("b")
    hand.drag((180, 60), (210, 60))
    all_is_said(hand)

    hand.until(lambda: studio.mask(0)[60, 195] == 1)
    # What stands for the network answers the click with the left half.
    assert (studio.mask(0)[:, :128] == 1).all()


def test_a_click_between_two_strokes_stays(hand: Hand, studio: Served) -> None:
    hand.hold("/clicks/")
    hand.press("b")
    hand.drag((180, 60), (210, 60))
    hand.press("c")
    hand.click(30, 20)
    hand.press("b")
    hand.drag((180, 100), (210, 100))
    all_is_said(hand)

    hand.until(lambda: studio.mask(0)[100, 195] == 1)
    assert studio.mask(0)[72, 60] == 1


def test_a_cancelled_stroke_does_not_come_back_with_the_next_one(hand: Hand, studio: Served) -> None:
    hand.hold("/prompts/")
    hand.press("b")
    hand.drag((30, 30), (60, 30))
    hand.page.mouse.move(*hand.at(150, 60))
    hand.page.mouse.down()
    hand.page.mouse.move(*hand.at(190, 60), steps=4)
    hand.press("Escape")
    hand.page.mouse.up()
    hand.drag((30, 100), (60, 100))
    all_is_said(hand)

    hand.until(lambda: studio.mask(0)[100, 45] == 1)
    labels = studio.mask(0)
    assert labels[30, 45] == 1
    assert labels[60, 170] == 0


def test_a_stroke_is_said_of_the_frame_on_which_it_began(hand: Hand, studio: Served) -> None:
    hand.press("b")
    hand.page.mouse.move(*hand.at(150, 60))
    hand.page.mouse.down()
    hand.page.mouse.move(*hand.at(190, 60), steps=4)
    hand.press("ArrowRight")
    hand.page.mouse.up()

    expect(hand.rows).to_have_count(1)
    hand.until(lambda: studio.mask(0)[60, 170] == 1)
    assert [each["frame"] for each in studio.get("/api/state")["objects"][0]["keyframes"]] == [0]


def test_strokes_beside_a_propagation_are_seen_and_stay(
    hand: Hand, studio: Served, truths: list[LabelMap], gate: threading.Event
) -> None:
    studio.post("/api/objects")
    studio.draw(1, 0, truths[0] == 1)
    hand.page.click("#propagate-all")
    expect(hand.page.locator("#propagate-stop")).to_be_enabled()
    hand.press("b")
    for y in (70, 110):
        before = hand.colour(200, y)
        hand.drag((180, y), (220, y))
        hand.until(lambda y=y, before=before: hand.colour(200, y) != before)
        expect(hand.page.locator("#busy")).to_be_hidden(timeout=PATIENCE_MS)
        hand.until(lambda y=y: studio.mask(0)[y, 200] == 1)
    hand.page.wait_for_timeout(300)
    hand.drag((180, 130), (220, 130))
    hand.until(lambda: studio.mask(0)[130, 200] == 1)

    assert (studio.mask(0)[[70, 110], 200] == 1).all()
    assert (studio.mask(0)[truths[0] == 1] == 1).all()
    gate.set()
    expect(hand.page.locator("#propagate-all")).to_be_enabled()


def test_a_stroke_is_seen_though_the_mask_that_it_changes_has_not_come(hand: Hand) -> None:
    hand.click(30, 20)
    expect(hand.said).to_contain_text("1 click")
    hand.hold("/api/")
    hand.click(30, 60)
    hand.press("b")
    before = hand.colour(200, 70)
    hand.drag((180, 70), (220, 70))
    hand.until(lambda: hand.colour(200, 70) != before)
    all_is_said(hand)


def test_a_box_is_seen_until_its_mask_comes(hand: Hand) -> None:
    hand.hold("/prompts/")
    before = hand.colour(160, 50)
    hand.drag((160, 30), (220, 90))

    expect(hand.hint).to_contain_text("Working on your box")
    assert any(hand.colour(160 + x / 4, 50) != before for x in range(-8, 9))
    all_is_said(hand)
    expect(hand.hint).not_to_contain_text("Working")
    expect(hand.said).to_contain_text("a box")


def test_another_object_is_named_by_clicking_its_name_and_typing(hand: Hand, studio: Served) -> None:
    for number in (1, 2):
        studio.post("/api/objects")
        studio.draw(number, 0, np.arange(256)[None, :].repeat(144, 0) // 128 == number - 1)
    expect(hand.rows).to_have_count(2)
    hand.press("2")
    expect(hand.rows.nth(1)).to_have_attribute("aria-current", "true")

    hand.rows.nth(0).locator(".object-name").click()
    hand.page.keyboard.type("panx", delay=30)
    hand.press("Backspace", "Enter")

    expect(hand.said).to_contain_text("pan on this frame: a mask")
    assert [each["name"] for each in studio.get("/api/state")["objects"]] == ["pan", ""]


def test_a_key_names_the_selected_object(hand: Hand, studio: Served) -> None:
    hand.click(30, 20)
    expect(hand.said).to_contain_text("1 click")

    hand.press("F2")
    hand.page.keyboard.type("fox", delay=30)
    hand.press("Enter")

    expect(hand.said).to_contain_text("fox on this frame")
