"""Photos of known gain with planted changes: gain, new and lost lights, false ones."""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.radiometry_scene import SceneWish, draw_radiometry_scene
from benchmarks.radiometry_trial import Outcome, judged, measured, write_trial
from benchmarks.simulate.scene import CloudLayer, SceneParameters

PLAIN = SceneParameters(tone_contrast=0.0, vignetting=0.0)
THIN_CLOUD = CloudLayer(coverage=0.3, optical_depth=1.0, brightness_nw=1.0)
# What each case differs in from a plain one
CASES: dict[str, Callable[[SceneWish], SceneWish]] = {
    "equal lights": lambda wish: wish,
    "lights differ by 40 %": lambda wish: replace(wish, scatter=0.3),
    "the same, nothing planted": lambda wish: replace(wish, scatter=0.3, changes=0),
    "registration off by 1 px": lambda wish: replace(wish, scatter=0.3, sigma_px=1.0),
    "35° off nadir, corners lose 30 %": lambda wish: replace(
        wish, scatter=0.3, off_nadir_deg=35.0, scene=replace(PLAIN, vignetting=0.3)
    ),
    "tone curve, contrast 0.15": lambda wish: replace(
        wish, scatter=0.3, scene=replace(PLAIN, tone_contrast=0.15)
    ),
    "tone curve, contrast 0.3": lambda wish: replace(
        wish, scatter=0.3, scene=replace(PLAIN, tone_contrast=0.3)
    ),
    "thin cloud over 30 %": lambda wish: replace(
        wish, scatter=0.3, scene=replace(PLAIN, clouds=(THIN_CLOUD,))
    ),
}


def main(argv: list[str]) -> int:
    """Run the cases and print their table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks radiometry", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="scenes of each case")
    parser.add_argument("--first", type=int, default=100, help="the first seed")
    parser.add_argument("--out", type=Path, help="folder for the page of results")
    options = parser.parse_args(argv)
    lines = [
        "| photos | gain / true, median (worst) | its sigma | within 2 sigma | exponent | R² "
        "| changes found | false |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    print("\n".join(lines), flush=True)
    seconds = 0.0
    for name, changed in CASES.items():
        outcomes = []
        for seed in range(options.first, options.first + options.seeds):
            outcome, took = _trial(changed(SceneWish(seed=seed)))
            outcomes.append(outcome)
            seconds += took
        lines.append(_line(name, outcomes))
        print(lines[-1], flush=True)
    if options.out is not None:
        count = options.seeds * len(CASES)
        (options.out / f"radiometry-{datetime.now(UTC):%Y-%m-%d}.md").write_text(
            "# Radiometry of simulated photos\n\n"
            f"`python -m benchmarks radiometry --seeds {options.seeds} --first {options.first}`, "
            f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, "
            f"Python {platform.python_version()}; 800 x 533 px, "
            f"{seconds / count:.2f} s of processor time a photo.\n\n" + "\n".join(lines) + "\n",
            encoding="utf-8",
        )
    return 0


def _trial(wish: SceneWish) -> tuple[Outcome, float]:
    scene = draw_radiometry_scene(wish)
    with tempfile.TemporaryDirectory() as folder:
        store = write_trial(scene, Path(folder))
        start = time.process_time()
        found = measured(store)
        seconds = time.process_time() - start
    return judged(scene, found), seconds


def _line(name: str, outcomes: list[Outcome]) -> str:
    ratio = np.array([one.gain_ratio for one in outcomes])
    sigma = np.array([one.gain_sigma_ratio for one in outcomes])
    within = np.mean(np.abs(ratio - 1.0) < 2.0 * sigma)
    worst = ratio[np.argmax(np.abs(ratio - 1.0))]
    found, planted = sum(one.found for one in outcomes), sum(one.planted for one in outcomes)
    return (
        f"| {name} | {np.median(ratio):.3f} ({worst:.2f}) | {np.median(sigma):.3f} | {within:.0%} "
        f"| {np.median([one.exponent for one in outcomes]):.2f} "
        f"| {np.median([one.r_squared for one in outcomes]):.2f} "
        f"| {f'{found} of {planted}' if planted else '–'} | {sum(one.false for one in outcomes)} |"
    )
