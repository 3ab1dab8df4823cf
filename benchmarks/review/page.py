"""The review page in Chromium: actions a frame takes, panning 45 MP, the next frame's picture."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.registration.report import command_of, table, title_lines
from benchmarks.review import ReviewProcess
from benchmarks.review.browser import ReviewHand, open_browser
from benchmarks.review.effort import STEPS, Job, confirm, correct, effort_s, place, qgis_actions
from benchmarks.review.sample import LIGHTS, large_store, sample_store

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# What Chromium's own trace says of a page's main thread.

CATEGORIES = ("toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline")
TASK_NAMES = ("RunTask", "ThreadControllerImpl::RunTask", "ThreadPool_RunTask")
RENDERER_MAIN = "CrRendererMain"


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task of a renderer's main thread.

    Attributes
    ----------
    wall_ms, cpu_ms : float
        How long it took by the clock, and of the processor's time; on a busy machine the clock
        says more than the page did.
    """

    wall_ms: float
    cpu_ms: float


def trace_events(trace: bytes) -> list[dict[str, Any]]:
    """Events of a trace as Chromium writes it, be it the list alone or an object around it."""
    told = json.loads(trace)
    events: list[dict[str, Any]] = told["traceEvents"] if isinstance(told, dict) else told
    return events


def main_thread_tasks(events: Iterable[Mapping[str, Any]]) -> list[Task]:
    """Tasks of the renderers' main threads, the longest first.

    A task within another (a nested message loop) is part of the outer one and not told again.
    """
    events = list(events)
    mains = {
        (event["pid"], event["tid"])
        for event in events
        if event.get("ph") == "M"
        and event.get("name") == "thread_name"
        and event["args"]["name"] == RENDERER_MAIN
    }
    ends: dict[tuple[int, int], float] = {}
    tasks = []
    for event in sorted(events, key=lambda event: (event.get("ts", 0.0), -event.get("dur", 0.0))):
        thread = (event.get("pid", 0), event.get("tid", 0))
        if event.get("ph") != "X" or thread not in mains or event["name"] not in TASK_NAMES:
            continue
        if event["ts"] < ends.get(thread, -1.0):
            continue
        duration = event.get("dur", 0.0)
        ends[thread] = event["ts"] + duration
        tasks.append(Task(wall_ms=duration / 1e3, cpu_ms=event.get("tdur", duration) / 1e3))
    return sorted(tasks, key=lambda task: task.cpu_ms, reverse=True)


# How long Chromium's main thread is busy while photos of 45 megapixels are looked at.

# Milliseconds from the last key to a frame's first picture, and from the page's start to it
WATCH = """
window.keyAt = 0; window.drawnAt = 0;
document.addEventListener("keydown", () => { window.keyAt = performance.now(); }, true);
new MutationObserver(() => {
  if (document.querySelector("#photo[data-drawn]")) window.drawnAt ||= performance.now();
  else window.drawnAt = 0;
}).observe(document, { attributes: true, subtree: true, attributeFilter: ["data-drawn"] });
"""


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What was measured at the page.

    Attributes
    ----------
    pan : list of Task
        Tasks of the main thread while the photo was zoomed and panned, the longest first.
    first_ms : float
        From the start of the page to its first picture.
    next_ms : tuple of float
        From the key to the next frame's first picture.
    """

    pan: list[Task]
    first_ms: float
    next_ms: tuple[float, ...]


def look(browser: Browser, address: str, frames: int) -> Looked:
    """Open the page on photos of 45 MP; zoom and pan the first one, then skip through the rest."""
    page = browser.new_page(viewport={"width": 1920, "height": 1080})
    page.add_init_script(WATCH)
    hand = ReviewHand(page, address)
    hand.go_to()
    first_ms = float(page.evaluate("window.drawnAt"))
    browser.start_tracing(page=page, categories=list(CATEGORIES))
    _pan(hand)
    pan = main_thread_tasks(trace_events(browser.stop_tracing()))
    page.wait_for_timeout(2000)  # a person looks; the next frames are fetched
    next_ms = []
    for _ in range(frames - 1):
        page.evaluate("window.drawnAt = 0")
        page.keyboard.press("s")
        page.wait_for_function("window.drawnAt > window.keyAt")
        next_ms.append(float(page.evaluate("window.drawnAt - window.keyAt")))
        page.wait_for_timeout(1500)
    page.close()
    return Looked(pan=pan, first_ms=first_ms, next_ms=tuple(next_ms))


def _pan(hand: ReviewHand) -> None:
    """Zoom in to the photo's own pixels, drag it about, and zoom out again."""
    box = hand.page.locator("#photo").bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2.0, box["y"] + box["height"] / 2.0)
    hand.page.mouse.move(*middle)
    for turns, by in ((8, -240.0), (0, 0.0), (8, 240.0)):
        for _ in range(turns):
            hand.page.mouse.wheel(0.0, by)
            hand.page.wait_for_timeout(120)
        for across, down in ((-200, -90), (170, 120), (-150, 100), (210, -140)):
            hand.drag(middle, (middle[0] + across, middle[1] + down), steps=15)
            hand.page.wait_for_timeout(150)


LARGE_FRAMES = 4
ASKED_TASK_MS, ASKED_FIRST_MS, ASKED_NEXT_MS = 100.0, 1500.0, 150.0
SMALLEST_SCREEN = {"width": 1280, "height": 720}

NOTE = """A script does at the real page, in Chromium without a window, what a person would do with
mouse and keys, and counts it. The store is made of the sample photographs: their true cameras are
known, and so is which proposals are wrong. The script knows where a light belongs; a person has to
look for it, which is in no number here, and is the same work with any tool.""".replace("\n", " ")


def job_lines(jobs: Sequence[Job]) -> list[str]:
    """Actions for a frame, beside QGIS's Georeferencer."""
    rows = []
    for job in jobs:
        errors = ", ".join(f"{km:.1f}" for km in job.steps_km) or "–"
        rows.append(
            (
                job.name,
                *_counts(job.actions),
                f"{effort_s(job.actions):.0f}",
                _km(job.before_km),
                errors,
                _km(job.after_km),
            )
        )
    qgis = {"clicks": qgis_actions()}
    rows.append(("QGIS's Georeferencer", *_counts(qgis), f"{effort_s(qgis):.0f}", "–", "–", "–"))
    header = ("job", "keys", "clicks", "drags", "s", "before, km", "after each, km", "decided, km")
    return [
        "## Actions for a frame",
        "",
        *table(header, rows, right=7),
        "",
        "Kilometres: greatest distance on the ground between where the camera and where the true "
        "camera sees known pixels, on a screen of 1280 × 720, without zooming in. Seconds: the "
        "keystroke-level model of Card, Moran and Newell (1980) for a practised person, without "
        "looking for lights and without waiting.",
        "",
        "QGIS was not run: its clicks are counted from the steps of its manual, four points, "
        "without finding the place on Earth, without zooming and panning, and with every default "
        "taken: " + "; ".join(f"{what} ({times} × {each})" for what, times, each in STEPS) + ".",
    ]


def look_lines(looked: Looked) -> list[str]:
    """Busy main thread, and pictures in time."""
    walls = sorted((task.wall_ms for task in looked.pan), reverse=True)
    cpus = [task.cpu_ms for task in looked.pan]
    over = sum(cpu > ASKED_TASK_MS for cpu in cpus)
    rows = [
        ("longest task while zooming and panning, of the processor's time", f"{cpus[0]:.0f}"),
        ("the same by the clock", f"{walls[0]:.0f}"),
        ("first picture after the page's start, by the clock", f"{looked.first_ms:.0f}"),
        ("next frame's picture after the key, by the clock, worst", f"{max(looked.next_ms):.0f}"),
    ]
    asked = (ASKED_TASK_MS, ASKED_TASK_MS, ASKED_FIRST_MS, ASKED_NEXT_MS)
    told = [(*row, f"{ms:.0f}") for row, ms in zip(rows, asked, strict=True)]
    return [
        "## Photos of 45 megapixels",
        "",
        *table(("measure", "ms", "asked for"), told, right=2),
        "",
        f"{len(cpus):,} tasks in Chromium's own trace, {over} above {ASKED_TASK_MS:.0f} ms of the "
        f"processor's time. Screen of 1920 × 1080, drawn without a graphics card. Load of the "
        f"machine meanwhile: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors, which "
        "stretches what is told by the clock.",
    ]


def measured_jobs(folder: Path) -> list[Job]:
    """Each job at a page of its own."""
    jobs = []
    store, options = sample_store(folder), ("--lights", str(LIGHTS), "--reviewer", "Ada")
    with ReviewProcess(store, *options) as server, open_browser() as browser:
        for job in (confirm, correct, place):
            page = browser.new_page(viewport=SMALLEST_SCREEN)  # type: ignore[arg-type]
            jobs.append(job(ReviewHand(page, server.address)))
            page.close()
    return jobs


def measured_looks(folder: Path) -> Looked:
    """Photos of 45 MP, made for it."""
    store = large_store(folder, LARGE_FRAMES)
    with ReviewProcess(store, "--lights", str(LIGHTS)) as server, open_browser() as browser:
        return look(browser, server.address, LARGE_FRAMES)


def main(argv: list[str]) -> int:
    """Measure, print the page, and write it where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks review-page", description=__doc__)
    parser.add_argument("--out", type=Path, help="write the page there")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        jobs = measured_jobs(Path(folder) / "samples")
        looked = measured_looks(Path(folder) / "large")
    title = title_lines("The review page", command_of("review-page", argv), NOTE)
    text = "\n".join([*title, *job_lines(jobs), "", *look_lines(looked)]) + "\n"
    print(text)
    if options.out is not None:
        options.out.write_text(text, encoding="utf-8")
    return 0


def _counts(actions: Mapping[str, int]) -> tuple[str, str, str]:
    keys, clicks, drags = (str(actions.get(kind, 0)) for kind in ("keys", "clicks", "drags"))
    return keys, clicks, drags


def _km(distance: float | None) -> str:
    return "–" if distance is None else f"{distance:.2f}"
