"""How well star detectors find simulated stars, by peak signal-to-noise ratio.

``python -m benchmarks stars`` prints the tables; ``--out FOLDER`` writes them as Markdown, dated.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from benchmarks.arrays import BoolArray
from benchmarks.pages import command_of, number, parser, table, title_lines, write_page
from benchmarks.simulate.starfield import Starfield
from benchmarks.simulate.streaks_camera import camera_exposure
from benchmarks.simulate.streaks_crowded import crowded_exposure
from benchmarks.simulate.streaks_open import open_exposure
from detectors.registry import STARS
from detectors.types import FloatArray, StarDetector
from regengine.evaluate.detections import Matches, match_positions

Method = Callable[[Starfield], FloatArray]

SNR_EDGES = (2.0, 3.0, 5.0, 10.0, 30.0, np.inf)
CENTROID_SNR = (10.0, 100.0)
TOLERANCE_PX = 2.0
# Centroids are held against the bound of a star alone: no neighbour of a twentieth of its light
# within so many widths
ALONE_FWHM, ALONE_FLUX = 4.0, 0.05
SEED_STEP = 1000


@dataclass(frozen=True, kw_only=True)
class StarResult:
    """A frame, what a method found in it, and how both pair."""

    field: Starfield
    found: FloatArray
    matches: Matches
    seconds: float

    @property
    def false(self) -> int:
        """Detections that are no star."""
        return len(self.found) - self.matches.found.size

    def hit(self) -> BoolArray:
        """Which of the stars were found."""
        hit = np.zeros(self.field.x.size, bool)
        hit[self.matches.truth] = True
        return hit

    def errors(self) -> FloatArray:
        """Error of x and y of each star in pixels, NaN where it was not found."""
        errors = np.full((self.field.x.size, 2), np.nan)
        truth = np.column_stack([self.field.x, self.field.y])[self.matches.truth]
        errors[self.matches.truth] = self.found[self.matches.found] - truth
        return errors


# Of a seed and the frame's number; three that take different things for granted
GENERATORS: Mapping[str, Callable[[int, int], Starfield]] = {
    "open": lambda seed, k: open_exposure(SEED_STEP * seed + k, streaks=False).starfield(),
    "crowded": lambda seed, k: crowded_exposure(SEED_STEP * seed + k, streaks=False).starfield(),
    "camera": lambda seed, k: camera_exposure(SEED_STEP * seed + k, streaks=False).starfield(),
}


def detector_method(detector: StarDetector) -> Method:
    """A detector as a function from frame to positions, shape (N, 2)."""

    def run(field: Starfield) -> FloatArray:
        found = detector.detect(field.light, None, field.saturated)
        return np.column_stack([found.x, found.y])

    return run


def run_method(method: Method, fields: list[Starfield]) -> list[StarResult]:
    """Run a method on frames and pair what it finds with the truth."""
    results = []
    for field in fields:
        started = time.process_time()
        found = method(field)
        seconds = time.process_time() - started
        truth = np.column_stack([field.x, field.y])
        matches = match_positions(truth, found, np.full(field.x.size, TOLERANCE_PX))
        results.append(StarResult(field=field, found=found, matches=matches, seconds=seconds))
    return results


def completeness(results: list[StarResult], low: float, high: float) -> tuple[float, int]:
    """Part of the resolved stars of a range of peak SNR that was found, and their number."""
    wanted = [
        r.field.resolved & (r.field.peak_snr >= low) & (r.field.peak_snr < high) for r in results
    ]
    count = sum(int(one.sum()) for one in wanted)
    found = sum(int((one & r.hit()).sum()) for one, r in zip(wanted, results, strict=True))
    return (found / count if count else float("nan")), count


def is_alone(field: Starfield) -> BoolArray:
    """Stars whose centroid no neighbour's light moves."""
    length = 0.0 if field.trail_px is None else float(np.hypot(*field.trail_px))
    places = np.column_stack([field.x, field.y])
    near = cKDTree(places).query_ball_point(places, ALONE_FWHM * field.fwhm_px + length)
    return np.array(
        [
            all(j == i or field.flux[j] < ALONE_FLUX * field.flux[i] for j in others)
            for i, others in enumerate(near)
        ],
        bool,
    )


def centroid_errors(
    results: list[StarResult], *, trailed: bool, alone: bool
) -> tuple[FloatArray, FloatArray]:
    """Errors and bounds per axis of the stars of `CENTROID_SNR` that were found, each (N, 2)."""
    errors, bounds = [np.zeros((0, 2))], [np.zeros((0, 2))]
    for r in results:
        if (r.field.trail_px is not None) != trailed:
            continue
        wanted = r.field.resolved & r.hit()
        wanted &= (r.field.peak_snr >= CENTROID_SNR[0]) & (r.field.peak_snr < CENTROID_SNR[1])
        if alone:
            wanted &= is_alone(r.field)
        errors.append(r.errors()[wanted])
        bounds.append(r.field.bound_px[wanted])
    return np.concatenate(errors), np.concatenate(bounds)


def rms(values: FloatArray) -> float:
    """Root of the mean square; NaN of nothing."""
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else float("nan")


HEADER = (
    "method",
    *(f"{a:g}-{b:g}" if np.isfinite(b) else f"> {a:g}" for a, b in itertools.pairwise(SNR_EDGES)),
    *("> 10", "false a frame", "sigma px, points", "alone"),
    *("of the bound", "of the bound, trails", "CPU s a frame"),
)


def method_cells(name: str, results: list[StarResult]) -> list[str]:
    """One row of the table of methods."""
    ranges = (*itertools.pairwise(SNR_EDGES), (10.0, np.inf))
    every, _ = centroid_errors(results, trailed=False, alone=False)
    error, bound = centroid_errors(results, trailed=False, alone=True)
    along, along_bound = centroid_errors(results, trailed=True, alone=True)
    return [
        name,
        *(number(completeness(results, low, high)[0], 3) for low, high in ranges),
        number(float(np.mean([r.false for r in results])), 1),
        number(rms(every), 3),
        number(rms(error), 3),
        number(rms(error / bound)),
        number(rms(along / along_bound)),
        number(float(np.median([r.seconds for r in results])), 3),
    ]


def least_bound(fields: list[Starfield]) -> str:
    """Bound per axis of the stars of `CENTROID_SNR` in frames without trails, pixels."""
    bounds = [np.zeros((0, 2))]
    for field in fields:
        if field.trail_px is None:
            wanted = field.resolved & (field.peak_snr >= CENTROID_SNR[0])
            bounds.append(field.bound_px[wanted & (field.peak_snr < CENTROID_SNR[1])])
    return number(rms(np.concatenate(bounds)), 3)


def main(argv: list[str]) -> int:
    """Run the benchmark."""
    given = parser("stars", __doc__)
    given.add_argument("--frames", type=int, default=40, help="of each generator")
    given.add_argument("--seed", type=int, default=1)
    given.add_argument("--method", help="this detector alone")
    given.add_argument(
        "--generator", nargs="+", choices=GENERATORS, default=list(GENERATORS), help="one or more"
    )
    arguments = given.parse_args(argv)
    methods = {
        name: detector_method(detector)
        for name, detector in STARS.detectors().items()
        if arguments.method in (None, name)
    }
    counts, lines = [], []
    for generator in arguments.generator:
        draw = GENERATORS[generator]
        fields = [draw(arguments.seed, k) for k in range(arguments.frames)]
        trailed = sum(field.trail_px is not None for field in fields)
        counts.append(
            f"{generator} {len(fields)} ({trailed} with trails, bound {least_bound(fields)} px)"
        )
        rows = []
        for name, method in methods.items():
            rows.append(method_cells(name, run_method(method, fields)))
            print(" | ".join(rows[-1]), file=sys.stderr)
        lines += [f"## Generator: {generator}", "", *table(HEADER, rows, right=len(HEADER) - 1), ""]
    note = (
        f"Frames of 1024 x 1024 pixels: {', '.join(counts)}. *Open*: 100 to 400 Moffat stars each "
        "over sloping sky, Poisson and read noise, hot pixels and cosmic rays "
        "(`benchmarks/simulate/streaks_open.py`). *Crowded* (`streaks_crowded.py`): 200 to 4,000 "
        "stars, pairs, clusters, galaxies, bleeding and hot columns, long tracks. *Camera* "
        "(`streaks_camera.py`): mosaic of colours, correlated noise, JPEG, coma, shaken hand, "
        "rows and columns, moonlit clouds.\n\n"
        "Columns of numbers are the part of the stars found, by the signal-to-noise ratio of the "
        "star's brightest pixel over sky and read-out. Stars are wanted that have a maximum of "
        f"their own and lie three pixels inside. Found is within {TOLERANCE_PX:g} px, each star "
        "and each detection once; a detection of no star, of any brightness, is false. Sigma is "
        f"the root mean square error per axis at {CENTROID_SNR[0]:g} to {CENTROID_SNR[1]:g} in "
        "frames without trails, blends counted, and of stars alone, without near neighbours: there "
        "no method can have less than the Cramer-Rao bound on average. *Of the bound* is the root "
        "mean square of their error over their bound."
    )
    title = title_lines("Stars in simulated frames", command_of("stars", argv), note)
    write_page(arguments.out, "stars", [*title, *lines])
    return 0
