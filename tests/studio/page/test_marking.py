"""Objects are marked on the page: clicks, boxes, strokes, names, and what takes them back."""

from __future__ import annotations

import numpy as np
import pytest
from browsing import Hand
from playwright.sync_api import expect
from studios import Served


def test_an_empty_page_says_in_one_sentence_what_to_do(hand: Hand) -> None:
    expect(hand.hint).to_have_text("Click the object that you want to mask, or drag a box around it.")
    expect(hand.page.locator("#propagate-all")).to_be_disabled()
    expect(hand.page.locator("#export-open")).to_be_disabled()


def test_a_click_shows_a_mask_at_once(hand: Hand, studio: Served) -> None:
    before = hand.colour(60, 72)

    hand.click(30, 20)

    expect(hand.said).to_have_text("Object 1 on this frame: 1 click.")
    expect(hand.rows).to_have_count(1)
    # What stands for the network answers with the left half.
    hand.until(lambda: hand.colour(60, 72) != before)
    assert hand.colour(200, 72) == before
    assert studio.mask(0)[:, :128].all()


def test_right_button_alt_and_the_tool_take_away(hand: Hand, studio: Served) -> None:
    hand.click(30, 20)
    expect(hand.said).to_contain_text("1 click")

    hand.click(90, 100, button="right")
    expect(hand.said).to_contain_text("2 clicks")
    hand.page.keyboard.down("Alt")
    hand.click(90, 110)
    hand.page.keyboard.up("Alt")
    expect(hand.said).to_contain_text("3 clicks")
    hand.page.click("[data-tool=away]")
    hand.click(90, 120)
    expect(hand.said).to_contain_text("4 clicks")

    (said,) = studio.get("/api/state")["objects"][0]["keyframes"]
    assert [point[2] for point in said["points"]] == [1, 0, 0, 0]
    assert said["points"][1][:2] == pytest.approx([90, 100], abs=1)


def test_dragging_gives_a_box(hand: Hand, studio: Served) -> None:
    hand.drag((20, 10), (80, 60))

    expect(hand.said).to_contain_text("a box")
    (said,) = studio.get("/api/state")["objects"][0]["keyframes"]
    assert said["box"] == pytest.approx([20, 10, 80, 60], abs=1)


def test_brush_and_eraser_change_the_mask_to_the_pixel(hand: Hand, studio: Served) -> None:
    hand.page.click("[data-tool=brush]")
    hand.page.locator("#brush-size").fill("20")
    hand.drag((150, 60), (190, 60))
    expect(hand.said).to_contain_text("a mask")

    painted = studio.mask(0)
    assert painted[60, 150:190].all()
    assert painted[52:68, 170].all()
    assert not painted[:45].any()
    assert not painted[75:].any()

    hand.press("e")
    hand.drag((170, 40), (170, 80))
    expect(hand.page.locator("#busy")).to_be_hidden()
    hand.until(lambda: not studio.mask(0)[60, 165:175].any())
    assert np.array_equal(studio.mask(0)[:, :155], painted[:, :155])


def test_a_stroke_at_once_after_another_one_keeps_both(hand: Hand, studio: Served) -> None:
    hand.press("b")
    hand.drag((30, 30), (60, 30))
    hand.drag((30, 100), (60, 100))

    expect(hand.said).to_contain_text("a mask")
    expect(hand.page.locator("#busy")).to_be_hidden()
    hand.until(lambda: studio.mask(0)[30, 45] == studio.mask(0)[100, 45] == 1)
    assert len(studio.get("/api/state")["objects"]) == 1


def test_what_follows_the_key_for_a_new_object_is_said_of_that_one(hand: Hand, studio: Served) -> None:
    hand.press("b")
    hand.drag((30, 30), (60, 30))
    hand.press("n")
    hand.drag((150, 30), (180, 30))

    expect(hand.rows).to_have_count(2)
    expect(hand.said).to_contain_text("Object 2 on this frame: a mask")
    labels = studio.mask(0)
    assert (labels[30, 45], labels[30, 165]) == (1, 2)


def test_undo_and_redo(hand: Hand, studio: Served) -> None:
    hand.click(30, 20)
    expect(hand.said).to_contain_text("1 click")
    hand.click(90, 100, button="right")
    expect(hand.said).to_contain_text("2 clicks")

    hand.press("Control+z")
    expect(hand.said).to_contain_text("1 click.")
    hand.page.click("#redo")
    expect(hand.said).to_contain_text("2 clicks")
    expect(hand.page.locator("#redo")).to_be_disabled()


def test_absence_and_clearing(hand: Hand, studio: Served) -> None:
    hand.click(30, 20)
    expect(hand.said).to_contain_text("1 click")
    hand.press("ArrowRight", "a")
    expect(hand.said).to_contain_text("not there")

    hand.press("Delete")
    expect(hand.said).to_contain_text("nothing said yet")
    assert [each["frame"] for each in studio.get("/api/state")["objects"][0]["keyframes"]] == [0]


def test_names_colours_and_removal(hand: Hand, studio: Served) -> None:
    hand.click(30, 20)
    expect(hand.rows).to_have_count(1)
    hand.page.locator(".object-name").fill("fox")
    hand.page.locator(".object-name").press("Enter")
    expect(hand.said).to_contain_text("fox on this frame")
    hand.page.locator(".object .swatch").fill("#ff0000")
    expect(hand.page.locator(".object .swatch")).to_have_value("#ff0000")
    hand.until(lambda: studio.get("/api/state")["objects"][0]["color"] == "#ff0000")
    assert studio.get("/api/state")["objects"][0]["name"] == "fox"

    hand.page.click("[aria-label='Remove fox']")
    expect(hand.rows).to_have_count(0)
    hand.press("Control+z")
    expect(hand.rows).to_have_count(1)


def test_a_hidden_object_is_not_drawn(hand: Hand) -> None:
    before = hand.colour(60, 72)
    hand.click(30, 20)
    expect(hand.said).to_contain_text("1 click")
    hand.until(lambda: hand.colour(60, 72) != before)

    hand.page.click("[aria-label='Hide Object 1']")
    hand.until(lambda: hand.colour(60, 72) == before)


def test_the_keyboard_alone_is_enough(hand: Hand, studio: Served) -> None:
    hand.page.locator("#stage").focus()
    hand.press("Enter", "ArrowLeft", "ArrowUp", "Enter")
    expect(hand.said).to_contain_text("1 click")
    hand.press("ArrowDown", "Shift+Enter")
    expect(hand.said).to_contain_text("2 clicks")
    hand.press("Escape", "p")
    expect(hand.page.locator("#propagate-news")).to_contain_text("New masks")
    hand.press("ArrowRight")
    expect(hand.number).to_have_value("1")

    (said,) = studio.get("/api/state")["objects"][0]["keyframes"]
    assert [point[2] for point in said["points"]] == [1, 0]
    assert said["points"][0][0] < 128
    assert said["points"][1][1] > said["points"][0][1]


def test_a_refusal_is_told_in_words_beside_the_click(hand: Hand) -> None:
    hand.click(100, 100, button="right")

    callout = hand.page.locator("#callout")
    expect(callout).to_be_visible()
    assert len(callout.inner_text()) > 20
    box, place = callout.bounding_box(), hand.at(100, 100)
    assert box is not None
    assert box["x"] <= place[0] <= box["x"] + box["width"]
    assert abs(place[1] - box["y"]) < 150
    hand.press("Escape")
    expect(callout).to_be_hidden()
    # Browsers write each refusal into their console; it is no error of the page.
    hand.complaints[:] = [each for each in hand.complaints if "Failed to load resource" not in each]


def test_zoom_and_pan_keep_clicks_where_they_point(hand: Hand, studio: Served) -> None:
    place = hand.at(100, 100)
    hand.page.mouse.move(*place)
    for _ in range(4):
        hand.page.mouse.wheel(0, -200)
    hand.page.keyboard.down("Space")
    hand.page.mouse.down()
    hand.page.mouse.move(place[0] + 60, place[1] - 40, steps=4)
    hand.page.mouse.up()
    hand.page.keyboard.up("Space")
    hand.page.mouse.click(place[0] + 60, place[1] - 40)

    expect(hand.said).to_contain_text("1 click")
    (said,) = studio.get("/api/state")["objects"][0]["keyframes"]
    assert said["points"][0][:2] == pytest.approx([100, 100], abs=1)
    expect(hand.page.locator("#play")).to_have_attribute("aria-label", "Play")


def test_the_mouse_shows_what_a_click_would_give(hand: Hand, studio: Served) -> None:
    studio.post("/api/prepare/0")
    before = hand.colour(60, 72)
    hand.page.mouse.move(*hand.at(30, 20))
    hand.page.mouse.move(*hand.at(34, 24))

    hand.until(lambda: hand.colour(60, 72) != before)
    assert studio.get("/api/state")["objects"] == []


def test_a_refusal_stays_until_something_else_is_said(hand: Hand, studio: Served) -> None:
    hand.click(30, 20)
    expect(hand.said).to_contain_text("1 click")
    hand.press("ArrowRight", "Delete")
    callout = hand.page.locator("#callout")
    expect(callout).to_contain_text("no keyframe")

    studio.script.patch("/api/objects/1", json={"name": ""})
    hand.page.locator("#stage").hover()
    expect(callout).to_be_visible()
    hand.press("ArrowLeft")
    expect(callout).to_be_hidden()


def test_escape_closes_what_is_open_first(hand: Hand) -> None:
    hand.press("Delete")
    expect(hand.page.locator("#callout")).to_be_visible()
    hand.page.click("#view-open")
    expect(hand.page.locator("#view")).to_be_visible()

    hand.press("Escape")
    expect(hand.page.locator("#view")).to_be_hidden()
    expect(hand.page.locator("#callout")).to_be_visible()
    hand.press("Escape")
    expect(hand.page.locator("#callout")).to_be_hidden()


def test_clicks_that_mend_a_mask_stay_in_sight(hand: Hand, studio: Served) -> None:
    hand.click(30, 20)
    hand.press("p")
    expect(hand.page.locator("#propagate-news")).to_contain_text("New masks")
    hand.press("ArrowRight")
    hand.click(150, 20)
    expect(hand.said).to_have_text("Object 1 on this frame: a mask, mended by 1 click.")
    hand.click(20, 100, button="right")
    expect(hand.said).to_have_text("Object 1 on this frame: a mask, mended by 2 clicks.")

    (_, mended) = studio.get("/api/state")["objects"][0]["keyframes"]
    assert mended["kind"] == "mask"
    assert [point[2] for point in mended["points"]] == [1, 0]
    hand.press("Control+z")
    expect(hand.said).to_contain_text("mended by 1 click.")


def test_brush_and_eraser_say_what_they_are_for(hand: Hand) -> None:
    hand.press("b")
    expect(hand.hint).to_have_text("Paint all of the object that you want to mask.")
    hand.drag((150, 60), (190, 60))
    expect(hand.said).to_contain_text("a mask")
    expect(hand.hint).to_contain_text("Paint what is missing; the eraser")
    hand.press("e")
    expect(hand.hint).to_contain_text("Rub out what is too much")


def test_the_place_and_the_tool_are_there_after_a_reload(hand: Hand) -> None:
    hand.click(30, 20)
    hand.press("ArrowRight", "ArrowRight", "b", "]")
    size = hand.page.locator("#brush-size").input_value()
    expect(hand.number).to_have_value("2")

    hand.page.reload()

    expect(hand.number).to_have_value("2")
    expect(hand.page.locator("button[data-tool=brush]")).to_have_attribute("aria-pressed", "true")
    expect(hand.page.locator("#brush-size")).to_have_value(size)
    expect(hand.rows).to_have_count(1)


def test_what_is_doubtful_is_told_beside_the_click(hand: Hand, studio: Served) -> None:
    hand.click(30, 20)
    expect(hand.rows).to_have_count(1)
    hand.press("n")
    expect(hand.rows).to_have_count(2)
    # What stands for the network answers with the left half again, which was the first object's.
    hand.press("b")
    hand.drag((20, 60), (110, 60))

    callout = hand.page.locator("#callout")
    expect(callout).to_contain_text("Done, but: ")
    expect(callout).to_contain_text("share")


def test_doubts_go_with_their_object_and_the_list_follows_what_is_chosen(hand: Hand) -> None:
    hand.click(30, 20)
    expect(hand.rows).to_have_count(1)
    hand.press("p")
    expect(hand.page.locator("#propagate-news")).to_contain_text("New masks")
    rows = hand.page.locator(".doubt")
    expect(rows.first).to_be_visible()
    for _ in range(rows.count()):
        hand.press("d")
        expect(hand.page.locator(".doubt[aria-current=true]")).to_be_in_viewport()

    hand.page.click("[aria-label='Remove Object 1']")
    expect(rows).to_have_count(0)


def test_exports_are_listed_by_what_they_are_for(hand: Hand) -> None:
    hand.click(30, 20)
    expect(hand.rows).to_have_count(1)
    hand.press("s")

    editing = hand.page.locator(".export-group", has_text="For editing")
    expect(editing.locator("input[name=prores]")).to_be_visible()
    assert hand.page.locator(".export-group").count() == 4
