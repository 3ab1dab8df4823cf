"""A server that ends leaves the program that ran it as it was."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from threading import Event, Thread

import httpx

from regengine.review import server


def test_a_program_that_serves_has_its_own_signals_back(review_store: Path) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    own, begun = signal.getsignal(signal.SIGTERM), Event()

    def end_when_it_answers(address: str) -> None:
        try:
            if httpx.get(address, timeout=60.0).status_code == 303:
                begun.set()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    def started(address: str) -> None:
        Thread(target=end_when_it_answers, args=(address,), daemon=True).start()

    try:
        with server.open_review(review_store, reviewer="Ada") as context:
            server.serve(context, server.ServerOptions(browser=False), started)
        assert begun.is_set()
        assert heard == []
        assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, before)
