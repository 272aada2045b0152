"""What the page computes without a document: geometry, time scales, caches, outlines, words, the next step."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from browsing import SITE, run
from playwright.sync_api import Page


def test_a_view_shows_all_of_the_frame_in_the_middle(page: Page) -> None:
    body = """
        const view = it.View.fit({width: 200, height: 100}, {width: 400, height: 400});
        return [view.scale, view.toCanvas({x: 0, y: 0}), view.toFrame({x: 200, y: 200})];
    """
    assert run(page, "logic/view.js", body) == [2, {"x": 0, "y": 100}, {"x": 100, "y": 50}]


def test_wide_pixels_are_shown_wide(page: Page) -> None:
    body = """
        const view = it.View.fit({width: 100, height: 100}, {width: 400, height: 400}, 2);
        return [view.scale, view.toCanvas({x: 100, y: 100}), view.toFrame({x: 200, y: 200})];
    """
    assert run(page, "logic/view.js", body) == [2, {"x": 400, "y": 300}, {"x": 50, "y": 50}]


def test_zooming_keeps_the_place_under_the_pointer_and_has_an_end(page: Page) -> None:
    body = """
        const [frame, canvas] = [{width: 200, height: 100}, {width: 400, height: 200}];
        const at = {x: 77, y: 33};
        const before = it.View.fit(frame, canvas);
        const after = before.zoomed(3, at).within(frame, canvas);
        const far = before.zoomed(1e6, at).within(frame, canvas);
        const away = after.moved(1e6, 1e6).within(frame, canvas);
        return [before.toFrame(at), after.toFrame(at), far.scale, before.zoomed(0.1, at).within(frame, canvas).scale,
                away.left < canvas.width, away.top < canvas.height];
    """
    before, after, largest, smallest, *in_sight = run(page, "logic/view.js", body)
    assert after == pytest.approx(before)
    assert (largest, smallest) == (32, 2)
    assert in_sight == [True, True]


def test_boxes_hold_whole_pixels_inside_the_frame(page: Page) -> None:
    body = """
        const frame = {width: 200, height: 100};
        return [it.boxBetween({x: 50.9, y: 60.2}, {x: 10.1, y: 20.7}, frame),
                it.boxBetween({x: -5, y: -5}, {x: 999, y: 999}, frame)];
    """
    assert run(page, "logic/view.js", body) == [[10, 20, 50, 60], [0, 0, 199, 99]]


def test_a_time_scale_of_10_000_frames_asks_for_few_pictures(page: Page) -> None:
    body = """
        const whole = new it.TimeScale(10000, 1000);
        const near = whole.zoomed(100, 500);
        return [whole.thumbs(80).length, whole.positionAt(500), near.positionAt(500), near.shown,
                whole.zoomed(1e9, 0).shown, near.zoomed(1e-9, 0).shown, near.showing(0).first,
                near.showing(9999).range(), Math.abs(near.xOf(near.positionAt(300)) - 300) <= near.frameWidth];
    """
    assert run(page, "logic/time_scale.js", body) == [13, 5000, 5000, 100, 12, 10000, 0, [9900, 10000], True]


def test_rulers_have_round_seconds_that_do_not_touch(page: Page) -> None:
    body = """
        const scale = new it.TimeScale(300, 1000);
        return scale.ruler((position) => position / 30, (seconds) => Math.round(seconds * 30));
    """
    marks = run(page, "logic/time_scale.js", body)
    assert [each["seconds"] for each in marks] == list(range(10))
    assert all(b["x"] - a["x"] >= 72 for a, b in itertools.pairwise(marks))


def test_a_clip_counts_frames_of_a_part_with_a_stride_and_uneven_times(page: Page) -> None:
    body = """
        const clip = new it.Clip({start: 10, stop: 31, step: 5}, [1, 1.5, 3, 3.1, 4]);
        return [clip.count, clip.last, clip.stepped(10, 2), clip.stepped(10, -3), clip.stepped(30, 9),
                clip.timeOf(20), clip.frameDue(1.9), clip.frameDue(2), clip.frameDue(99), clip.frameAt(1.4)];
    """
    assert run(page, "logic/clip.js", body) == [5, 30, 20, 10, 30, 2, 15, 20, 30, 15]


def test_a_cache_keeps_what_was_used_last_within_its_bytes(page: Page) -> None:
    body = """
        const gone = [];
        const cache = new it.ByteCache(100, (thing) => gone.push(thing));
        cache.put("a", "A", 40); cache.put("b", "B", 40); cache.get("a"); cache.put("c", "C", 40);
        const first = [gone.slice(), cache.bytes, cache.has("a")];
        cache.put("huge", "H", 500);
        return [...first, gone, cache.bytes, cache.get("huge")];
    """
    assert run(page, "logic/byte_cache.js", body) == [["B"], 80, True, ["B", "A", "C"], 500, "H"]


def test_outlines_follow_the_edges_of_pixels(page: Page) -> None:
    body = """
        const rows = ["0000", "0110", "0120", "0000"];
        const map = {width: 4, height: 4, data: Uint8Array.from(rows.join(""), Number)};
        const found = it.outlines(map);
        const lines = (id) => {
            const numbers = found.get(id);
            return Array.from({length: numbers.length / 4}, (_, i) => numbers.slice(4 * i, 4 * i + 4).join());
        };
        return [lines(1).sort(), lines(2).sort()];
    """
    one, two = run(page, "logic/labels.js", body)
    assert one == sorted(["1,1,3,1", "1,1,1,3", "1,3,2,3", "2,2,3,2", "2,2,2,3", "3,1,3,2"])
    assert two == sorted(["2,2,3,2", "2,3,3,3", "2,2,2,3", "3,2,3,3"])


def test_an_object_that_fills_the_frame_has_an_outline_all_around(page: Page) -> None:
    body = """
        const found = it.outlines({width: 3, height: 2, data: new Uint8Array(6).fill(7)});
        return [...found.keys(), ...found.get(7)];
    """
    assert run(page, "logic/labels.js", body) == [7, 0, 0, 3, 0, 0, 2, 3, 2, 0, 0, 0, 2, 3, 0, 3, 2]


def test_labels_are_tinted_and_hidden_ones_stay_clear(page: Page) -> None:
    body = """
        const colours = it.coloursOf([{id: 2, color: "#0a141e"}], 0.5);
        return [...it.tinted({width: 3, height: 1, data: Uint8Array.of(0, 1, 2)}, colours)];
    """
    assert run(page, "logic/labels.js", body) == [0] * 8 + [10, 20, 30, 128]


def test_lanes_show_the_lowest_score_of_frames_that_share_a_pixel(page: Page) -> None:
    body = f"""
        const {{TimeScale}} = await import("{SITE}logic/time_scale.js");
        const near = it.piecesOf([0.9, 0.9, null, 0, 0.5], 0, new TimeScale(5, 50));
        const far = it.piecesOf([...Array(99).fill(0.9), 0.2, ...Array(100).fill(0)], 0, new TimeScale(200, 20));
        return [near, far.length, far.map((each) => each.kind), far.map((each) => each.low)];
    """
    near, count, kinds, lows = run(page, "logic/lane.js", body)
    assert [(each["x"], each["width"], each["kind"]) for each in near] == [
        (0, 20, "present"),
        (20, 10, "unknown"),
        (30, 10, "absent"),
        (40, 10, "present"),
    ]
    assert count == 3
    assert (kinds, lows) == (["present", "present", "absent"], [0.9, 0.2, 0])


def test_lanes_of_10_000_frames_have_no_more_pieces_than_pixels(page: Page) -> None:
    body = f"""
        const {{TimeScale}} = await import("{SITE}logic/time_scale.js");
        const scores = Array.from({{length: 10000}}, (_, i) => (i * 7919 % 1000) / 1000 + 0.001);
        return it.piecesOf(scores, 0, new TimeScale(10000, 800)).length;
    """
    assert run(page, "logic/lane.js", body) <= 800


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("clock(4.25)", "0:04.25"),
        ("clock(3723)", "1:02:03"),
        ("clock(59.999)", "0:59.99"),
        ("timeLeft(0.2)", "nearly done"),
        ("timeLeft(61)", "61 s left"),
        ("timeLeft(150)", "3 min left"),
        ("size(149600000)", "150 MB"),
        ("counted(1, 'frame')", "1 frame"),
        ("counted(12000, 'frame')", "12,000 frames"),
        ("frameRanges([[3, 3]])", "frame 3"),
        ("frameRanges([[0, 4], [9, 9]])", "frames 0 to 4 and 9"),
    ],
)
def test_words(page: Page, call: str, words: str) -> None:
    assert run(page, "logic/words.js", f"return it.{call};") == words


@pytest.mark.parametrize(
    ("changes", "button", "words"),
    [
        ({"open": False}, None, "Loading"),
        ({"marked": False}, None, "Click the object"),
        ({"marked": False, "touch": True}, None, "Tap the object"),
        ({"selectedMarked": False}, None, "Click fox"),
        ({}, "propagate", "right-click"),
        ({"job": "propagate"}, None, "being made"),
        ({"waits": "box"}, None, "Working on your box"),
        ({"propagated": True, "doubts": 2}, "doubt", "doubtful"),
        ({"propagated": True}, "export", "export"),
    ],
)
def test_the_next_step_is_said_in_one_place(
    page: Page, changes: dict[str, Any], button: str | None, words: str
) -> None:
    asked = {"open": True, "marked": True, "selectedMarked": True, "selectedName": "fox", "propagated": False}
    asked |= {"job": None, "doubts": 0, "waits": None, "touch": False} | changes

    found = page.evaluate(f"async (asked) => (await import('{SITE}logic/next_step.js')).nextStep(asked)", asked)

    assert found["button"] == button
    assert words in found["words"]


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        ("() => null", 6),
        ("(i) => i <= 10 ? 1e5 : null", 16),
        ("(i) => i <= 40 ? 1e5 : null", 32),
        ("(i) => i <= 2 ? 4e6 : null", 7),
        ("(i) => i <= 30 ? 4e6 : null", 7),
        ("(i) => 90e6", 1),
    ],
)
def test_as_many_frames_are_fetched_ahead_as_the_cache_can_keep(page: Page, sizes: str, count: int) -> None:
    assert run(page, "logic/ahead.js", f"return it.framesAhead({sizes}, 30e6);") == count
