"""Wait for what may never end, such as the answer of a server, only so long."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

Result = TypeVar("Result")


def call_within(limit_s: float, call: Callable[[], Result]) -> Result:
    """Return what a call returns, or raise what it raises; TimeoutError if it takes longer.

    A call that is given up goes on in its thread, which does not keep the program from ending.
    """
    future: Future[Result] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=work, daemon=True).start()
    return future.result(timeout=limit_s)
