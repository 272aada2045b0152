"""Libraries' warnings, kept from the user in any thread."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_FILTERS = threading.RLock()


@contextmanager
def quiet_warnings(category: type[Warning] = Warning) -> Iterator[None]:
    """Ignore warnings of a category inside; outside, the filters are what they were.

    Filters belong to the whole process. Two threads that changed them at once would restore them out of order, and
    warnings would stay ignored for good; so one thread at a time may be inside. Other threads stay quiet meanwhile.
    """
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore", category)
        yield
