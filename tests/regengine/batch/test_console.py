"""What is said of a batch under way."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import sys
from functools import partial

import cv2
import pytest

from regengine.batch import console as progress_module
from regengine.batch.console import Tally, configure_logging, progress
from regengine.batch.pool import _begin


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_rate_and_rest_come_of_what_was_done_now() -> None:
    clock = Clock()
    tally = Tally(100, clock)
    for _ in range(40):
        tally.count("accepted", True, None)
    assert tally.rest_s is None
    clock.now_s = 10.0
    for _ in range(20):
        tally.count("review", False, None)
    assert tally.rate == pytest.approx(2.0)
    assert tally.rest_s == pytest.approx(20.0)
    assert tally.text() == "2.0 photos/s, 0:00:20 to go; 40 accepted, 20 review"
    tally.count("accepted", False, "review")
    assert tally.done == 60
    assert tally.text().endswith("41 accepted, 19 review")


def test_slow_work_is_told_by_the_minute() -> None:
    clock = Clock()
    tally = Tally(11, clock)
    clock.now_s = 60.0
    tally.count("", False, None)
    assert tally.text() == "1.0 photos/min, 0:10:00 to go"


def test_a_bar_on_a_terminal_and_nothing_when_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {}
    for quiet in (False, True):
        stream = Terminal()
        monkeypatch.setattr(sys, "stderr", stream)
        with progress(2, quiet=quiet) as advance:
            advance("accepted")
        shown[quiet] = stream.getvalue()
    assert "registering" in shown[False]
    assert "1 accepted" in shown[False]
    assert shown[True] == ""


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


def test_lines_elsewhere_and_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, kept = Clock(), Kept()
    logger = logging.getLogger("regengine")
    monkeypatch.setattr(logger, "handlers", [kept])
    before = logger.level
    logger.setLevel(logging.INFO)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    advance = progress_module._lines(Tally(1000, clock), "registering", clock)
    for _ in range(100):
        clock.now_s += 1.0
        advance("accepted")
    logger.setLevel(before)
    assert [line.split(",")[0] for line in kept.said] == [
        "registering: 30 of 1000 photos",
        "registering: 60 of 1000 photos",
        "registering: 90 of 1000 photos",
    ]
    assert "1.0 photos/s, 0:15:10 to go; 90 accepted" in kept.said[2]


def test_messages_are_json_lines_with_tracebacks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    threads = cv2.getNumThreads()
    _begin(partial(configure_logging, quiet=True, as_json=True), 0)
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN  # the main process decides
    for number, handler in before.items():
        signal.signal(number, handler)
    assert cv2.getNumThreads() == 1
    cv2.setNumThreads(threads)
    assert os.environ["OMP_NUM_THREADS"] == "1"
    logger = logging.getLogger("regengine")
    logger.info("not said")
    try:
        raise ValueError("why")
    except ValueError:
        logger.exception("it went wrong: %s", "here")
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert (said["level"], said["message"]) == ("error", "it went wrong: here")
    assert "ValueError: why" in said["traceback"]
