"""How well light detectors find simulated towns, by signal-to-noise ratio.

``python -m benchmarks lights`` prints the tables; ``--out FOLDER`` writes them as Markdown, dated.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.light_fields import FieldSettings, LightField, simulate
from benchmarks.pages import command_of, title_lines, write_page
from detectors.registry import LIGHTS
from detectors.types import FloatArray, LightDetector
from regengine.evaluate.detections import (
    DetectionScore,
    Matches,
    match_positions,
    match_tolerance_px,
    score_frame,
    total_score,
)

SNR_EDGES = (3.0, 5.0, 10.0, 20.0, 50.0, 200.0, np.inf)
GOAL_SNR = 10.0
# Skies: smooth glow with large clouds, and broken cloud whose scraps look like towns
SKIES = {"glow": FieldSettings(), "broken cloud": FieldSettings(finest_cloud_px=8.0)}
CROWDED_RADII = 3.0  # a brighter light nearer than this many times the sum of both radii

Method = Callable[[LightField], FloatArray]


@dataclass(frozen=True, kw_only=True)
class FrameResult:
    """A frame, what a method found in it, and how both pair."""

    field: LightField
    found: FloatArray
    matches: Matches
    seconds: float

    def score(self, wanted: NDArray[np.bool_]) -> DetectionScore:
        """Score with some of the true lights wanted."""
        return score_frame(
            self.matches, wanted, len(self.found), flux=self.field.flux, seconds=self.seconds
        )


def frames(sky: str, count: int, seed: int) -> list[LightField]:
    """Simulated frames; equal arguments give equal frames."""
    kind = list(SKIES).index(sky)
    return [simulate(np.random.default_rng([seed, kind, k]), SKIES[sky]) for k in range(count)]


def detector_method(detector: LightDetector) -> Method:
    """A detector as a function from frame to positions, shape (N, 2)."""

    def run(field: LightField) -> FloatArray:
        found = detector.detect(field.light, None, field.saturated)
        return np.column_stack([found.x, found.y])

    return run


def run_method(method: Method, fields: Iterable[LightField]) -> list[FrameResult]:
    """Run a method on frames and pair what it finds with the truth."""
    results = []
    for field in fields:
        started = time.process_time()
        found = method(field)
        seconds = time.process_time() - started
        truth = np.column_stack([field.x, field.y])
        matches = match_positions(truth, found, match_tolerance_px(field.radius_px))
        results.append(FrameResult(field=field, found=found, matches=matches, seconds=seconds))
    return results


def score_between(results: list[FrameResult], low: float, high: float) -> DetectionScore:
    """Score of the lights with a maximum of their own and a signal-to-noise ratio in a range."""
    return total_score(
        [r.score(r.field.resolved & (r.field.snr >= low) & (r.field.snr < high)) for r in results]
    )


def is_crowded(field: LightField) -> NDArray[np.bool_]:
    """Lights that have a brighter one close by."""
    places = np.column_stack([field.x, field.y])
    reach = CROWDED_RADII * (field.radius_px + field.radius_px.max())
    crowded = np.zeros(field.x.size, bool)
    for i, others in enumerate(cKDTree(places).query_ball_point(places, reach)):
        near = np.array([j for j in others if field.flux[j] > field.flux[i]], int)
        gap = np.hypot(*(places[near] - places[i]).T)
        crowded[i] = bool(
            (gap < CROWDED_RADII * (field.radius_px[near] + field.radius_px[i])).any()
        )
    return crowded


def snr_table(results: list[FrameResult]) -> list[str]:
    """Completeness and centroid error by signal-to-noise ratio, and of isolated lights."""
    lines = [
        "| SNR | lights | completeness | centroid error px, median | 90 % |",
        "|---|---:|---:|---:|---:|",
    ]
    rows = [
        (
            f"{low:g} to {high:g}" if np.isfinite(high) else f"above {low:g}",
            score_between(results, low, high),
        )
        for low, high in itertools.pairwise(SNR_EDGES)
    ]
    rows.append((f"**{GOAL_SNR:g} and more**", score_between(results, GOAL_SNR, np.inf)))
    alone = [
        r.score(r.field.resolved & (r.field.snr >= GOAL_SNR) & ~is_crowded(r.field))
        for r in results
    ]
    rows.append((f"{GOAL_SNR:g} and more, no brighter neighbour", total_score(alone)))
    for name, score in rows:
        lines.append(
            f"| {name} | {score.wanted:,} | {score.completeness:.3f} | "
            f"{score.error_px(0.5):.2f} | {score.error_px(0.9):.2f} |"
        )
    return lines


def method_line(name: str, sky: str, results: list[FrameResult]) -> str:
    """One row of the table of methods."""
    score = score_between(results, GOAL_SNR, np.inf)
    seconds = float(np.median([r.seconds for r in results]))
    return (
        f"| {name} | {sky} | {score.frames} | {score.wanted:,} | {score.completeness:.3f} | "
        f"{score.false / score.frames:.1f} | {score.false_fraction:.1%} | "
        f"{score.error_px(0.5):.2f} | {score.error_px(0.9):.2f} | {seconds:.3f} |"
    )


METHOD_HEADER = (
    "| method | sky | frames | lights | completeness | false a frame | false | "
    "error px, median | 90 % | CPU s a frame |",
    "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
)


def report(count: int, seed: int) -> list[str]:
    """The tables of every detector, as Markdown lines."""
    methods, details = list(METHOD_HEADER), []
    for sky in SKIES:
        fields = frames(sky, count, seed)
        for name, detector in LIGHTS.detectors().items():
            results = run_method(detector_method(detector), fields)
            methods.append(method_line(name, sky, results))
            details += ["", f"## {name}, {sky}", "", *snr_table(results)]
    return [*methods, *details]


def preamble(arguments: list[str]) -> list[str]:
    """What was run, where and when."""
    note = (
        "Frames of 1500 x 1000 pixels, 150 to 2,500 towns and lamps each (`benchmarks/"
        "light_fields.py`). Lights are wanted that have a signal-to-noise ratio of 10 or more for "
        "an ideal matched filter, and a maximum of their own in the noise-free scene; a detection "
        "is false if it lies on none of the true lights, wanted or not."
    )
    return title_lines("Lights in simulated frames", command_of("lights", arguments), note)


def main(argv: list[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks lights", description=__doc__)
    parser.add_argument("--frames", type=int, default=12, help="frames of each sky")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder for the dated Markdown file")
    arguments = parser.parse_args(argv)
    lines = report(arguments.frames, arguments.seed)
    write_page(arguments.out, "lights", [*preamble(argv), *lines])
    return 0
