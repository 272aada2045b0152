"""What the page believes of the server: the latest state, however answers and events overtake each other."""

from __future__ import annotations

from typing import Any

from browsing import SITE, run
from playwright.sync_api import Page

STORE = """
    const store = new it.Store();
    Object.assign(store, {video: {run: "one"}, clip: {start: 0, step: 1}});
    const said = (more) => store.take({revision: 1, objects: [], job: null, prepared: [], ...more});
    const object = (id) => ({id, name: "", color: "#ff0000", keyframes: []});
"""


def found(page: Page, body: str) -> Any:
    return run(page, "data/store.js", STORE + body)


def test_an_answer_counts_though_frames_were_propagated_meanwhile(page: Page) -> None:
    body = """
        said({serial: 1, revision: 4});
        store.progress({kind: "propagate", frame: 3, revision: 6});
        said({serial: 2, revision: 5, objects: [object(7)], job: {kind: "propagate"}});
        return [store.state.objects.length, store.revisionOf(3), store.state.revision];
    """
    assert found(page, body) == [1, 6, 6]


def test_an_older_state_that_comes_late_is_left_out(page: Page) -> None:
    body = """
        said({serial: 5, objects: [object(1), object(2)]});
        said({serial: 4, objects: [object(1)], revision: 9});
        const late = store.state.objects.length;
        said({serial: 6, objects: []});
        return [late, store.state.objects.length];
    """
    assert found(page, body) == [2, 0]


def test_all_frames_of_a_range_have_new_masks(page: Page) -> None:
    body = """
        said({serial: 1, revision: 4, objects: [object(1)], job: {kind: "propagate"}});
        store.progress({kind: "propagate", frame: 9, frames: [6, 9], revision: 12});
        return [5, 6, 8, 9, 10].map((frame) => store.revisionOf(frame));
    """
    assert found(page, body) == [4, 12, 12, 12, 4]


def test_another_run_of_the_program_is_looked_at_anew(page: Page) -> None:
    body = """
        said({serial: 90, run: "one", objects: [object(1)]});
        setTimeout(() => said({serial: 1, run: "two"}));
        return store.state.objects.length;
    """
    with page.expect_navigation():
        assert found(page, body) == 1
    assert page.url == SITE
