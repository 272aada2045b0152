"""Fingers on a tablet: a tap marks, two fingers zoom and move."""

from __future__ import annotations

from browsing import Hand
from playwright.sync_api import Browser, CDPSession, expect
from studios import Served

TABLET = {"width": 1024, "height": 768}


def test_a_tap_marks_and_two_fingers_zoom_without_marking(browser: Browser, studio: Served) -> None:
    with browser.new_context(viewport=TABLET, has_touch=True, is_mobile=True) as context:
        hand = Hand(context.new_page(), studio.door.address)
        expect(hand.hint).to_contain_text("Tap the object")
        hand.page.touchscreen.tap(*hand.at(30, 20))
        expect(hand.said).to_contain_text("1 click.")
        expect(hand.hint).to_contain_text("Take away")

        fingers = context.new_cdp_session(hand.page)
        middle = hand.at(128, 72)
        assert is_red(hand.colour(40, 30)), "the square"
        touch(fingers, "touchStart", middle, 40)
        for apart in range(50, 161, 10):
            touch(fingers, "touchMove", middle, apart)
        fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

        hand.until(lambda: not is_red(hand.colour(40, 30)))
        expect(hand.said).to_contain_text("1 click.")
        assert hand.complaints == []


def is_red(colour: tuple[int, int, int]) -> bool:
    return colour[0] > 150 > colour[2]


def touch(fingers: CDPSession, kind: str, middle: tuple[float, float], apart: float) -> None:
    """Put two fingers left and right of a place."""
    points = [{"x": middle[0] + side * apart, "y": middle[1], "id": i} for i, side in enumerate((-1, 1))]
    if kind == "touchStart":
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points[:1]})
    fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
