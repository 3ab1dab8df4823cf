"""Fixtures that every test may use, and what may be skipped."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no failure: no test is timed, nor is how long its examples take to be made up.
# Every change sees the same examples: a red run is its own. `.ci/nightly` draws new ones.
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", UNTIMED, max_examples=20, derandomize=True)
settings.register_profile("nightly", UNTIMED, max_examples=200, print_blob=True)
settings.load_profile("quick")

pytest_plugins = (
    "tests.world.runs",
    "tests.world.stores",
    "tests.world.pages",
    "tests.world.services",
    "tests.world.skies",
)

ROOT = Path(__file__).resolve().parents[1]
LONGER = {"slow", "real", "browser", "server", "nightly"}  # markers of what `make test` leaves out
# Six seconds of its own, and what a process loads at its first registration, on a busy machine
MAX_QUICK_CPU_S = 6.0 + 9.0
# What this user keeps of maps and element sets is no part of a test, and none may be put there
os.environ["REGENGINE_DATA"] = str(Path(os.devnull) / "none")
# Set for the processes of parallel tests, whose output is no terminal
os.environ.pop("COLUMNS", None)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage among what is collected, now or later: it is there to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_sessionfinish() -> None:
    """Let all of it go."""
    gc.unfreeze()


def real_data_folder() -> Path:
    """Folder that holds the real photographs, whether or not it is there."""
    given = Path(os.environ.get("REGENGINE_REAL_DATA", "../shared/real"))
    return given if given.is_absolute() else (ROOT / given).resolve()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real data; skips where it is absent."""
    folder = real_data_folder()
    if not (folder / "photos" / "index.csv").is_file():
        pytest.skip(f"no real data at {folder}: set REGENGINE_REAL_DATA to the folder that has it")
    return folder


@pytest.fixture(autouse=True)
def messages_as_before() -> Iterator[None]:
    """Undo what a command run within a test did to the logger."""
    logger = logging.getLogger("regengine")
    handlers, level, propagate = list(logger.handlers), logger.level, logger.propagate
    yield
    logger.handlers, logger.propagate = handlers, propagate
    logger.setLevel(level)


def cpu_s() -> float:
    """Processor time of this process and of those that it has waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Note a test's processor time; a quick one that takes too much of it fails.

    What fixtures take is not counted: they are made once, for whichever test comes first.
    """
    before = cpu_s()
    answer = yield
    spent = cpu_s() - before
    item.user_properties.append(("cpu_s", round(spent, 2)))
    is_night = item.config.getoption("hypothesis_profile", None) == "nightly"
    if (
        spent > MAX_QUICK_CPU_S
        and not is_night
        and not LONGER & {one.name for one in item.iter_markers()}
    ):
        pytest.fail(f"takes {spent:.1f} CPU s: make it smaller, or mark it as slow")
    return answer


def forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip for want of a program into a failure, where the machine should have it.

    Such skips give a reason that starts with "needs "; ``.ci/run`` installs what they need.
    """
    if os.environ.get("REGENGINE_CI_FORBID_SKIPS") != "1" or not report.skipped:
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if reason.startswith("needs "):
        report.outcome = "failed"
        report.longrepr = f"skipped where that is forbidden: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Judge the skips of tests."""
    report = yield
    forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Judge the skips of whole modules."""
    report = yield
    forbid_skip(report)
    return report
