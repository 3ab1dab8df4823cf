"""Work ahead on idle cores, and take the results in the order of one core.

What is worked ahead depends on nothing that an earlier result changes, so the results are the same
with any number of cores. Threads share the work: compiled code releases the lock of Python. By
default work takes one core; `share_cores` lets a thread use all that its process may use.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Generic, TypeVar

import cv2

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Own(threading.local):
    """Of each thread: cores that it may use; CPU time of others for it, less its own for others."""

    cores, owed_s = 1, 0.0


_own = _Own()


def cpu_seconds() -> float:
    """CPU time of this thread, as if it had worked alone on what it took."""
    return time.thread_time() + _own.owed_s


@contextmanager
def share_cores() -> Iterator[None]:
    """Let this thread work ahead on all cores of the process, in place of OpenCV's threads.

    These are as many as OpenCV would use: those that the process may run on, one in a worker.
    """
    _own.cores = cores = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        _own.cores = 1
        if cores > 1:  # else they may be shared by another thread, which will give them back
            cv2.setNumThreads(cores)


@cache
def _start_helpers(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="ahead")


class Ahead(Generic[Item, Result]):
    """Results of a function of some items, which idle cores work out before they are taken."""

    def __init__(self, function: Callable[[Item], Result], items: Sequence[Item]) -> None:
        self._function, self._items = function, items
        self._begun: dict[int, Future[tuple[Result, float]]] = {}
        self._helpers = _own.cores - 1

    def take(self, number: int, ahead: int | None = None) -> Result:
        """Return the result of an item, or raise its error.

        So many of the next items are worked ahead on each idle core, all of them by default.
        """
        if self._helpers < 1:
            return self._function(self._items[number])
        end = len(self._items)
        if ahead is not None:
            end = min(number + 1 + ahead * self._helpers, end)
        for later in range(number + 1, end):
            if later not in self._begun:
                helpers = _start_helpers(self._helpers)
                self._begun[later] = helpers.submit(self._work, self._items[later])
        wanted = self._begun.get(number)
        if wanted is None or wanted.cancel():
            return self._function(self._items[number])
        for later in range(number + 1, end):  # rather than to wait
            if wanted.done():
                break
            if self._begun[later].cancel():
                done: Future[tuple[Result, float]] = Future()
                self._begun[later] = done
                try:
                    done.set_result(self._work(self._items[later]))
                    _own.owed_s -= done.result()[1]
                except Exception as error:  # raised when it is taken
                    done.set_exception(error)
        result, seconds = wanted.result()
        _own.owed_s += seconds
        return result

    def stop(self) -> None:
        """Give up what has not begun."""
        for one in self._begun.values():
            one.cancel()

    def _work(self, item: Item) -> tuple[Result, float]:
        start_s = cpu_seconds()
        result = self._function(item)
        return result, cpu_seconds() - start_s


def map_ahead(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """List the results of a function of each item, worked out on all cores that may be used."""
    results = Ahead(function, items)
    return [results.take(number) for number in range(len(items))]
