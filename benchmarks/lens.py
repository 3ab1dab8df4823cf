"""How well lenses are calibrated on simulated photos of the real sky: geometry, falloff, light.

``python -m benchmarks lens`` prints the tables; ``--out FOLDER`` writes them as a dated page with a
figure.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.lens_attitudes import axis_off_arcsec, middle_off_arcsec, placed_by, rms
from benchmarks.lens_page import figure, preamble
from benchmarks.lens_trials import Trial, calibrated, photograph
from matchers.lens_slopes import LENS_PARAMETERS

GOAL_ARCSEC = 10.0
RADII = (0.3, 0.6, 0.9, 1.0)
CHANNELS = ("red", "green", "blue")


class Results:
    """Calibrations with the same number of photos, and new photos placed by them."""

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self.trials: list[Trial] = []
        self.axis: list[float] = []
        self.middle: list[float] = []

    def add(self, tried: Trial, new: Sequence[tuple[float, float]]) -> None:
        """One calibration, and how far axis and middle of new photos were off."""
        self.trials.append(tried)
        self.axis += [axis for axis, _ in new]
        self.middle += [middle for _, middle in new]


def run(lenses: int, frames: int, new: int, focal_mm: float, seed: int) -> list[Results]:
    """Calibrate each lens on its first photo and on all; place new photos with both."""
    results = [Results(1), Results(frames)]
    for k in range(lenses):
        shots, lens = photograph(seed + k, frames + new, focal_mm)
        for result in results:
            tried = calibrated(shots[: result.frames], lens)
            camera = tried.calibration.choice.fit.cameras[0]
            off = []
            for shot in shots[frames:]:
                found = placed_by(camera, shot.photo)
                off.append((axis_off_arcsec(found, shot.true), middle_off_arcsec(found, shot.true)))
            result.add(tried, off)
        print(f"lens {k + 1} of {lenses}", file=sys.stderr)
    return results


def attitude_table(results: Sequence[Results]) -> list[str]:
    """How well new photos are placed, and how good the fits say they are."""
    lines = [
        "| photos | lenses | stars a photo | residual px | held-out px | new photos | axis, RMS | "
        "largest | middle, RMS | chi-square / degrees | CPU s |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for result in results:
        profiles = [t.calibration.profile for t in result.trials]
        squares, degrees = zip(*(t.chi_square() for t in result.trials), strict=True)
        lines.append(
            f"| {result.frames} | {len(profiles)} | "
            f"{np.mean([p.stars / p.frames for p in profiles]):.0f} | "
            f"{np.mean([p.rms_px for p in profiles]):.3f} | "
            f"{np.mean([p.held_out_px or np.nan for p in profiles]):.3f} | {len(result.axis)} | "
            f"**{rms(result.axis):.1f}″** | {max(result.axis):.1f}″ | {rms(result.middle):.2f}″ | "
            f"{sum(squares):.0f} / {sum(degrees)} | "
            f"{np.median([t.seconds for t in result.trials]):.2f} |"
        )
    return lines


def parameter_table(results: Sequence[Results]) -> list[str]:
    """Error of each parameter, and errors over their sigmas."""
    lines = [
        "| photos | parameter | fitted in | error, RMS | sigma, median | error / sigma, RMS |",
        "|---:|---|---:|---:|---:|---:|",
    ]
    for result in results:
        for k, name in enumerate(LENS_PARAMETERS):
            fitted = [t for t in result.trials if t.sigmas[k] > 0.0]
            if not fitted:
                continue
            away = np.array([t.away[k] for t in fitted])
            sigma = np.array([t.sigmas[k] for t in fitted])
            lines.append(
                f"| {result.frames} | {name} | {len(fitted)} | {rms(away.tolist()):.2g} | "
                f"{np.median(sigma):.2g} | {rms((away / sigma).tolist()):.2f} |"
            )
    return lines


def falloff_table(results: Sequence[Results]) -> list[str]:
    """Error of the share of light that arrives, by distance from the axis."""
    lines = [
        "| photos | " + " | ".join(f"r = {r:g}" for r in RADII) + " | error / sigma at 0.9, RMS |",
        "|---:|" + "---:|" * (len(RADII) + 1),
    ]
    radii = np.array(RADII)
    powers = np.stack([radii**2, radii**4, radii**6], axis=1)
    for result in results:
        off, pulls = [], []
        for tried in result.trials:
            found = tried.calibration.profile.falloff
            if found is None:
                continue
            away = found.arrives(radii) - (1.0 + powers @ np.array(tried.lens.falloff))
            off.append(away)
            pulls.append(float(away[2] / found.sigma(0.9)))
        cells = [f"{100 * rms(column):.2f} %" for column in np.array(off).T.tolist()]
        lines.append(f"| {result.frames} | {' | '.join(cells)} | {rms(pulls):.1f} |")
    return lines


def light_table(results: Sequence[Results]) -> list[str]:
    """Error of zero points and colour terms, by channel."""
    lines = [
        "| photos | channel | zero point, mean error | RMS about it | sigma, median | "
        "colour term, RMS error | scatter of a star | stars |",
        "|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    for result in results:
        for name in CHANNELS:
            off, sigmas, terms, scatters, stars = [], [], [], [], []
            for tried in result.trials:
                for channel in tried.calibration.profile.channels:
                    if channel.channel != name:
                        continue
                    zero_point, term = true_light(tried, name)
                    off.append(channel.zero_point_mag - zero_point)
                    sigmas.append(channel.zero_point_sigma)
                    terms.append(channel.colour_term - term)
                    scatters.append(channel.scatter_mag)
                    stars.append(channel.stars)
            if off:
                lines.append(
                    f"| {result.frames} | {name} | {np.mean(off):+.3f} | {np.std(off):.3f} | "
                    f"{np.median(sigmas):.3f} | {rms(terms):.3f} | {np.median(scatters):.3f} | "
                    f"{np.median(stars):.0f} |"
                )
    return lines


def true_light(tried: Trial, channel: str) -> tuple[float, float]:
    """True zero point, in full scales a second, and colour term of a channel."""
    from benchmarks.simulate.sky_frame import COLOUR_TERMS

    k = CHANNELS.index(channel)
    full = tried.settings.sensor.full_scale_electrons
    return tried.settings.zero_point_mag[k] - 2.5 * float(np.log10(full)), COLOUR_TERMS[k]


def report(results: Sequence[Results]) -> list[str]:
    """All tables, as Markdown lines."""
    return [
        f"Goal: new photos placed to {GOAL_ARCSEC:g}″ RMS across the axis. The axis is where the "
        "attitude's quaternion points; the middle is what the picture's middle shows.",
        "",
        *attitude_table(results),
        "",
        "## Parameters",
        "",
        *parameter_table(results),
        "",
        "## Falloff: error of the share of light, RMS over the lenses",
        "",
        *falloff_table(results),
        "",
        "## Zero points and colour terms, magnitudes",
        "",
        *light_table(results),
    ]


def main(argv: list[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks lens", description=__doc__)
    parser.add_argument("--lenses", type=int, default=12)
    parser.add_argument("--frames", type=int, default=10, help="photos of the larger calibration")
    parser.add_argument("--new", type=int, default=3, help="photos a lens that are then placed")
    parser.add_argument("--focal-mm", type=float, default=50.0)
    parser.add_argument("--seed", type=int, default=101)
    parser.add_argument("--out", type=Path, help="folder for the dated page and its figure")
    given = parser.parse_args(argv)
    results = run(given.lenses, given.frames, given.new, given.focal_mm, given.seed)
    lines = report(results)
    print("\n".join(lines))
    if given.out:
        name = f"lens-{datetime.now(UTC):%Y-%m-%d}"
        (given.out / name).mkdir(parents=True, exist_ok=True)
        figure(
            {result.frames: result.trials for result in results},
            {result.frames: result.axis for result in results},
            given.out / name / "lens.png",
        )
        page = [*preamble(argv, given.focal_mm), *lines, "", f"![errors]({name}/lens.png)"]
        (given.out / f"{name}.md").write_text("\n".join(page) + "\n", encoding="utf-8")
    return 0
