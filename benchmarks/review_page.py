"""The review page in Chromium: actions a frame takes, panning 45 MP, the next frame's picture."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.registration_report import command_of, table, title_lines
from benchmarks.review_browser import ReviewHand, open_browser
from benchmarks.review_effort import effort_s
from benchmarks.review_job import Job, confirm, correct, place
from benchmarks.review_large import large_store
from benchmarks.review_pan import Looked, look
from benchmarks.review_process import ReviewProcess
from benchmarks.review_qgis import STEPS, qgis_actions
from benchmarks.review_sample import LIGHTS, sample_store

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
