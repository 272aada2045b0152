"""One browser for all tests of the page, and a studio of two squares for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browsing import LAPTOP, Hand, modules_alone, started_browser
from playwright.sync_api import Browser, Page
from studios import Served


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with started_browser() as found:
        yield found


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """An empty page that may import the studio's modules."""
    with modules_alone(browser) as found:
        yield found


@pytest.fixture
def hand(browser: Browser, studio: Served) -> Iterator[Hand]:
    """A hand on the page of a new studio; at the end, the browser must have had nothing to complain about."""
    with browser.new_context(viewport=LAPTOP, color_scheme="light") as context:
        found = Hand(context.new_page(), studio.door.address)
        yield found
        assert found.hosts == {"127.0.0.1"}
        assert found.complaints == []
