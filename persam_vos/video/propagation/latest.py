"""What was made last, kept by name, so that it need not be made again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


class Latest(Generic[KeyT, ValueT]):
    """The values that were asked for last; threads may share them.

    >>> kept = Latest[int, str](2)
    >>> [kept.get(number, lambda: f"made for {number}") for number in (1, 2, 1)]
    ['made for 1', 'made for 2', 'made for 1']
    """

    def __init__(self, limit: int) -> None:
        """Keep so many values."""
        self._limit = limit
        self._lock = threading.Lock()
        self._kept: OrderedDict[KeyT, Future[ValueT]] = OrderedDict()

    def get(self, key: KeyT, make: Callable[[], ValueT]) -> ValueT:
        """Return the value of a key; the one that was asked for longest ago makes room.

        Args:
            key: Its name.
            make: Makes it, if it is not kept. Other threads that ask for it wait for that.
        """
        with self._lock:
            is_new = key not in self._kept
            value = self._kept.setdefault(key, Future())
            self._kept.move_to_end(key)
            if len(self._kept) > self._limit:
                self._kept.popitem(last=False)
        if is_new:
            try:
                value.set_result(make())
            except BaseException as error:
                with self._lock:
                    self._kept.pop(key, None)
                value.set_exception(error)
        return value.result()

    def __contains__(self, key: KeyT) -> bool:
        """Tell whether a value was made, and is kept."""
        with self._lock:
            return key in self._kept and self._kept[key].done()

    def clear(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._kept.clear()
