"""What the page does when the server refuses, fails, or lets nobody listen."""

from __future__ import annotations

import threading

from browsing import Hand
from playwright.sync_api import expect
from studios import Served

from persam_vos.masks import LabelMap


def come_back(hand: Hand) -> None:
    """Leave the page and come back to it, as with the browser's buttons."""
    hand.page.evaluate("""() => {
        dispatchEvent(new PageTransitionEvent("pagehide", {persisted: true}));
        dispatchEvent(new PageTransitionEvent("pageshow", {persisted: true}));
    }""")


def forgive(hand: Hand) -> None:
    """Browsers write each refusal into their console; it is no error of the page."""
    hand.complaints[:] = [each for each in hand.complaints if "Failed to load resource" not in each]


def test_a_page_that_comes_back_listens_again(hand: Hand, studio: Served) -> None:
    come_back(hand)

    studio.post("/api/objects")
    expect(hand.rows).to_have_count(1)


def test_why_nobody_may_listen_is_told_and_it_is_tried_again(hand: Hand, studio: Served) -> None:
    hand.page.route("**/api/events", lambda route: route.fulfill(status=503, json={"error": "too many pages listen"}))
    come_back(hand)

    gone = hand.page.locator("#gone")
    expect(gone).to_have_text("too many pages listen")
    hand.page.unroute("**/api/events")
    expect(gone).to_be_hidden()
    studio.post("/api/objects")
    expect(hand.rows).to_have_count(1)
    forgive(hand)


def test_a_frame_that_cannot_be_made_ready_is_told_and_not_waited_for(hand: Hand) -> None:
    refusal = {"error": "the model cannot be loaded"}
    hand.page.route("**/api/prepare/*", lambda route: route.fulfill(status=422, json=refusal))

    hand.press("End")

    expect(hand.page.locator("#callout")).to_contain_text("the model cannot be loaded")
    expect(hand.page.locator("#preparing")).to_be_hidden()
    hand.page.wait_for_timeout(300)
    expect(hand.page.locator("#preparing")).to_be_hidden()
    forgive(hand)


def test_a_job_goes_on_though_a_frame_could_not_be_made_ready(
    hand: Hand, studio: Served, truths: list[LabelMap], gate: threading.Event
) -> None:
    studio.post("/api/objects")
    studio.draw(1, 0, truths[0] == 1)
    hand.page.click("#propagate-all")
    expect(hand.page.locator("#propagating")).to_be_visible()

    hand.hold("/api/state")
    studio.studio.events.tell("failed", {"kind": "prepare", "error": "no memory"})
    expect(hand.page.locator("#callout")).to_contain_text("no memory")
    expect(hand.page.locator("#propagating")).to_be_visible()
    hand.release()
    gate.set()
    expect(hand.page.locator("#propagate-news")).to_contain_text("New masks")


def test_a_propagation_is_stopped_and_keeps_what_is_done(
    hand: Hand, studio: Served, truths: list[LabelMap], gate: threading.Event
) -> None:
    studio.post("/api/objects")
    studio.draw(1, 0, truths[0] == 1)
    hand.page.click("#propagate-all")
    hand.page.click("#propagate-stop")
    expect(hand.page.locator("#propagate-words")).to_contain_text("Stopping")
    gate.set()

    expect(hand.page.locator("#propagate-news")).to_contain_text("New masks on")
    expect(hand.page.locator("#propagate-all")).to_be_enabled()
    lane = studio.get("/api/lanes")["scores"]["1"]
    assert lane[0] == 1
    assert None in lane


def test_the_key_for_propagation_does_nothing_while_it_runs(
    hand: Hand, studio: Served, truths: list[LabelMap], gate: threading.Event
) -> None:
    studio.post("/api/objects")
    studio.draw(1, 0, truths[0] == 1)
    expect(hand.page.locator("#propagate-all")).to_be_enabled()
    hand.hold("/api/propagate")
    hand.press("p", "p")
    expect(hand.page.locator("#propagate-words")).to_have_text("Getting ready")
    hand.release()

    expect(hand.page.locator("#propagate-stop")).to_be_enabled()
    hand.press("p")
    hand.page.wait_for_timeout(300)
    expect(hand.page.locator("#propagate-error")).to_be_empty()
    gate.set()
    expect(hand.page.locator("#propagate-news")).to_contain_text("New masks")


def test_what_an_export_does_first_is_told_while_its_dialog_is_open(
    hand: Hand, studio: Served, truths: list[LabelMap]
) -> None:
    studio.post("/api/objects")
    studio.draw(1, 0, truths[0] == 1)
    expect(hand.page.locator("#propagate-all")).to_be_enabled()
    hand.press("p")
    expect(hand.page.locator("#propagate-news")).to_contain_text("New masks")
    expect(hand.hint).to_contain_text("Every frame has its mask")
    hand.press("s")
    note = hand.page.locator("#export-note")
    expect(note).to_contain_text("Into a new folder")

    studio.draw(1, 6, truths[6] == 1)
    expect(note).to_contain_text("propagated first")


def test_a_studio_that_was_started_anew_on_the_port_is_told(hand: Hand, studio: Served) -> None:
    hand.page.context.clear_cookies()
    come_back(hand)

    expect(hand.page.locator("#gone")).to_contain_text("open the new address")
    forgive(hand)


def test_an_export_is_cancelled_and_nothing_is_left_of_it(
    hand: Hand, studio: Served, truths: list[LabelMap], gate: threading.Event
) -> None:
    studio.post("/api/objects")
    studio.draw(1, 0, truths[0] == 1)
    hand.press("s")
    hand.page.click("#export-start")
    hand.page.click("#export-stop")
    gate.set()

    expect(hand.page.locator("#export-news")).to_contain_text("Cancelled")
    expect(hand.page.locator("#export-open")).to_be_enabled()
    assert list(studio.studio.project.folder.glob("export*")) == []
