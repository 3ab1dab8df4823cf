"""The solver on real star fields, beside what other solvers answered."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from detectors.types import FloatArray, StarDetections
from matchers.sky_camera import SkyCamera, matrix_quaternion, sky_vectors
from matchers.star_fit import corner_tangent
from matchers.star_search import StarIndices
from regengine.sky.detection.detect import PhotoDetections
from regengine.sky.detection.kinds import STARS
from regengine.sky.stars.catalogue import StarCatalogue
from regengine.sky.stars.solve import SolveOptions, StarSolution, solve_stars

PEERS = ("cedar", "tetra3rs", "anet")
SAME_DEG = 0.1
FOV_SIGMA = 0.03
LINEAR_SCALE_DEG = 90.0  # index.csv gives pixels times scale: beyond, no angle between two edges


def real_table(folder: Path, catalogue: StarCatalogue, indices: StarIndices) -> Iterator[str]:
    """A row per real star field: our answers blind and with a field of view, and the peers'."""
    yield (
        "| field | blind | CPU s | stars | rms px | log10 odds | field of view told "
        "| peers that agree |"
    )
    yield "|---|---|---:|---:|---:|---:|---|---|"
    with (folder / "solver_answers.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    solved = {"blind": 0, "told": 0}
    for row in rows:
        found = STARS.in_photo(folder / row["file"])
        started = time.process_time()
        blind = _solve(found, catalogue, indices, None)
        seconds = time.process_time() - started
        told = _solve(found, catalogue, indices, known_field_deg(row))
        solved["blind"] += blind is not None
        solved["told"] += told is not None
        best = blind or told
        agree = [peer for peer in PEERS if best and agrees(best.camera, row, peer)]
        if best and row["truth_ra"] and agrees(best.camera, row, "truth"):
            agree.append("published header")
        fit = f"{len(blind)} | {blind.rms_px:.2f} | {blind.log10_odds:.0f}" if blind else "| |"
        yield (
            f"| {row['file']} | {place(blind)} | {seconds:.2f} | {fit} | {place(told)} | "
            f"{', '.join(agree)} |"
        )
    yield (
        f"| **{len(rows)}** | **{solved['blind']} answered** | | | | | "
        f"**{solved['told']} answered** | |"
    )


def place(solution: StarSolution | None) -> str:
    """Where a solution looks, in a cell."""
    if solution is None:
        return "–"
    ra, dec = solution.camera.ra_dec_deg
    return f"{ra:.3f} {dec:+.3f}, {solution.camera.fov_x_deg:.2f}°"


def known_field_deg(row: dict[str, str]) -> float | None:
    """Field of view that somebody knows, without any answer of ours."""
    for column in ("truth_fov", "tetra3rs_fov"):
        if row[column]:
            value = float(row[column])
            if value < LINEAR_SCALE_DEG:
                return value
            return 2.0 * math.degrees(math.atan(math.radians(value) / 2.0))
    return None


def agrees(camera: SkyCamera, row: dict[str, str], peer: str) -> bool:
    """Whether a peer's centre is ours within a tenth of a degree."""
    if not row[f"{peer}_ra"]:
        return False
    theirs = sky_vectors(float(row[f"{peer}_ra"]), float(row[f"{peer}_dec"]))
    return bool(np.degrees(np.linalg.norm(camera.centre_icrs - theirs)) < SAME_DEG)


def _solve(
    found: PhotoDetections[StarDetections],
    catalogue: StarCatalogue,
    indices: StarIndices,
    field_deg: float | None,
) -> StarSolution | None:
    options = SolveOptions()
    if field_deg is not None:
        options = SolveOptions(
            focal_px=found.width_px / 2.0 / math.tan(math.radians(field_deg / 2.0)),
            log_focal_sigma=FOV_SIGMA,
            focal_only=True,
        )
    outcome = solve_stars(found.found, found.width_px, found.height_px, catalogue, indices, options)
    return outcome if isinstance(outcome, StarSolution) else None


# Star lists with known truth: the real sky through random lenses, and lists of no sky.


WIDTH_PX, HEIGHT_PX = 4256, 2832  # D3S, 8.46 um: what took most of the Station's night photos
PITCH_UM = 8.46
FOCALS_MM = (17.0, 24.0, 28.0, 35.0, 50.0, 58.0, 85.0, 105.0, 180.0, 400.0)
NEGATIVES = (
    *("uniform", "clumps", "grid", "streets", "two skies mixed up"),
    *("equal brightness", "thousands of hot pixels", "three to six points"),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class StarList:
    """Detections and what is true of them."""

    kind: str  # focal length, or what the list is instead of a sky
    stars: StarDetections
    truth: SkyCamera | None  # none where nothing is to be found
    focal_px: float  # what an EXIF header would have told
    in_view: int  # true stars among the detections


def detections(x: FloatArray, y: FloatArray, flux: FloatArray) -> StarDetections:
    """Detections at these places, the brightest first."""
    order = np.argsort(-flux, kind="stable")
    count = len(order)
    return StarDetections(
        x=x[order],
        y=y[order],
        flux=flux[order],
        snr=30.0 * flux[order] / np.median(flux) if count else flux,
        fwhm_px=np.full(count, 2.2),
        ellipticity=np.zeros(count),
        covariance_px2=np.tile(0.1 * np.eye(2), (count, 1, 1)),
        flags=np.zeros(count, np.uint8),
    )


def star_list(rng: np.random.Generator, catalogue: StarCatalogue, focal_mm: float) -> StarList:
    """A picture of the sky: a lens with distortion, stars lost and stars that are none.

    From 12 to 150 stars are in view, a fifth of them lost, positions scattered by 0.2 to 0.6 px,
    brightness by 0.3 mag (colours and vignetting); a tenth to a half as many again are false, as
    bright as stars. One picture in three shows the sky in a half of it alone, one in twenty is
    mirrored.
    """
    focal_px = 1e3 * focal_mm / PITCH_UM * float(np.exp(rng.normal(0.0, 0.02)))
    camera = SkyCamera(
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        focal_px=focal_px,
        principal_point=(2127.5 + rng.normal(0, 15), 1415.5 + rng.normal(0, 15)),
        quaternion_icrs=matrix_quaternion(Rotation.random(random_state=rng).as_matrix()),
        mirrored=bool(rng.random() < 0.05),
    )
    r = corner_tangent(camera)
    k1 = float(rng.normal(0.0, 0.002 + 0.02 * r)) / r**2
    camera = SkyCamera(**{**vars(camera), "distortion": (k1, 0.0, 0.0, 0.0, 0.0)})
    x, y = camera.project(catalogue.vectors)
    seen = np.flatnonzero(camera.sees(x, y))
    if rng.random() < 1.0 / 3.0:
        angle = rng.uniform(0.0, 2.0 * np.pi)
        side = (x[seen] - 2127.5) * np.cos(angle) + (y[seen] - 1415.5) * np.sin(angle)
        seen = seen[side > 0.0]
    seen = seen[: int(np.exp(rng.uniform(np.log(15.0), np.log(190.0))))]
    seen = seen[rng.random(len(seen)) > 0.2]
    magnitude = catalogue.magnitude_g[seen] + rng.normal(0.0, 0.3, len(seen))
    sigma = rng.uniform(0.2, 0.6)
    false = int(len(seen) * rng.uniform(0.1, 0.5))
    faint = float(magnitude.max()) if len(seen) else 6.0
    false_magnitude = faint - rng.exponential(1.0, false)
    return StarList(
        kind=f"{focal_mm:g} mm",
        stars=detections(
            np.concatenate(
                [x[seen] + rng.normal(0, sigma, len(seen)), rng.uniform(0, 4255, false)]
            ),
            np.concatenate(
                [y[seen] + rng.normal(0, sigma, len(seen)), rng.uniform(0, 2831, false)]
            ),
            10.0 ** (-0.4 * np.concatenate([magnitude, false_magnitude])),
        ),
        truth=camera,
        focal_px=1e3 * focal_mm / PITCH_UM,
        in_view=len(seen),
    )


def no_sky(rng: np.random.Generator, catalogue: StarCatalogue, kind: str) -> StarList:
    """A list of points in which nothing is to be found."""
    count = int(np.exp(rng.uniform(np.log(8.0), np.log(400.0))))
    flux = rng.pareto(1.2, count) + 1.0
    x, y = rng.uniform(0, WIDTH_PX - 1, count), rng.uniform(0, HEIGHT_PX - 1, count)
    focal_mm = float(rng.choice(FOCALS_MM))
    if kind == "three to six points":
        count = int(rng.integers(3, 7))
        x, y, flux = x[:count], y[:count], flux[:count]
    if kind == "equal brightness":  # every core is saturated
        flux = np.ones(count)
    if kind == "thousands of hot pixels":
        count = 5000
        x, y = rng.integers((WIDTH_PX, HEIGHT_PX), size=(count, 2)).T.astype(float)
        flux = rng.pareto(1.2, count) + 1.0
    if kind == "streets":  # a city from above: lamps in rows, brighter blobs where streets meet
        x, y = streets(rng, count)
    if kind == "clumps":  # towns: lamps around centres
        centre = rng.integers(0, max(1, count // 12), count)
        reach = rng.uniform(20.0, 200.0)
        middles = rng.uniform((0, 0), (WIDTH_PX, HEIGHT_PX), (centre.max() + 1, 2))
        x, y = middles[centre].T + rng.normal(0.0, reach, (2, count))
    if kind == "grid":  # streets: rows and columns, a little off
        step = rng.uniform(60.0, 300.0)
        x, y = (np.round(v / step) * step + rng.normal(0.0, 3.0, count) for v in (x, y))
    if kind == "two skies mixed up":  # true figures' statistics, places of no sky
        one = star_list(rng, catalogue, focal_mm).stars
        x, y, flux = one.x, one.y[::-1], one.flux
        x = x[rng.permutation(len(x))]
    inside = (x >= 0) & (x < WIDTH_PX) & (y >= 0) & (y < HEIGHT_PX)
    return StarList(
        kind=kind,
        stars=detections(x[inside], y[inside], flux[inside]),
        truth=None,
        focal_px=1e3 * focal_mm / PITCH_UM,
        in_view=0,
    )


def streets(rng: np.random.Generator, count: int) -> tuple[FloatArray, FloatArray]:
    """Lamps along straight streets of a few directions, evenly spaced, a little off."""
    roads = max(2, count // 15)
    start = rng.uniform((0, 0), (WIDTH_PX, HEIGHT_PX), (roads, 2))
    angle = rng.choice(rng.uniform(0.0, np.pi, 3), roads) + rng.normal(0.0, 0.03, roads)
    spacing = rng.uniform(30.0, 200.0, roads)
    road = rng.integers(0, roads, count)
    along = spacing[road] * rng.integers(-20, 21, count) + rng.normal(0.0, 3.0, count)
    return (
        start[road, 0] + along * np.cos(angle[road]),
        start[road, 1] + along * np.sin(angle[road]),
    )
