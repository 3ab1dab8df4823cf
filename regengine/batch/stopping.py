"""Ctrl-C and SIGTERM: the first asks a run to end in order, the second ends it at once."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)  # SIGTERM is what schedulers send


class StopRequest:
    """Called, it says whether a run was asked to stop."""

    def __init__(self) -> None:
        self._asked = False

    def __call__(self) -> bool:
        """Whether it was."""
        return self._asked

    def ask(self, number: int = signal.SIGINT, frame: FrameType | None = None) -> None:
        """Note the wish; the second time, raise `KeyboardInterrupt`."""
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        logging.getLogger("regengine").warning(
            "stopping: what is under way is finished and written; Ctrl-C again stops at once"
        )


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn the first Ctrl-C or SIGTERM within the block into a request to stop.

    Yields
    ------
    StopRequest
        Gives True once a signal has come; outside of the main thread, where Python takes no
        signals, it never does.
    """
    request = StopRequest()
    if current_thread() is not main_thread():
        yield request
        return
    before = {number: signal.signal(number, request.ask) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
