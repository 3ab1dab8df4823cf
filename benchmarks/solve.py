"""How many star fields the blind solver solves, how fast, and whether any wrongly.

Simulated star lists with and without a notion of the focal length, and lists of no sky. Those of
photos are solved by ``regengine solve``.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pandas as pd
from scipy.spatial.transform import Rotation
from typer import Option

from benchmarks.options import Out
from benchmarks.pages import number, percent, table, title_lines, write_page
from detectors.types import FloatArray, StarDetections
from matchers.geometry.sky_camera import SkyCamera, matrix_quaternion
from regengine.score.labels import bound_share
from regengine.sky.stars.catalogue import StarCatalogue, load_catalogue
from regengine.sky.stars.solve import (
    SolveParams,
    StarIndices,
    StarSolution,
    corner_tangent,
    solve_stars,
)

RIGHT_SHARE = 0.01  # of the picture's diagonal: farther off anywhere is wrong
GOAL_STARS = 12
EXIF_SIGMA = 0.05
BLIND, TOLD = "blind", "focal length told"


def main(
    *,
    fields: Annotated[int, Option(help="simulated star lists")] = 100,
    negatives: Annotated[int, Option(help="lists of no sky, the focal length told")] = 100,
    blind_negatives: Annotated[int, Option(help="lists of no sky, without")] = 20,
    max_seconds: Annotated[float, Option(help="a list")] = 30.0,
    seed: int = 1,
    out: Out = None,
) -> None:
    """Run the benchmark."""
    catalogue = load_catalogue(faintest_g=10.0)
    indices = StarIndices(vectors=catalogue.vectors)

    def solve(lists: Iterable[StarList], way: str) -> pd.DataFrame:
        """A row for each list, solved with EXIF's focal length or without."""
        rows = []
        for one in lists:
            options = SolveParams(
                focal_px=one.focal_px if way == TOLD else None,
                log_focal_sigma=EXIF_SIGMA,
                focal_only=way == TOLD,
                max_seconds=max_seconds,
            )
            started = time.process_time()
            found = solve_stars(one.stars, WIDTH_PX, HEIGHT_PX, catalogue, indices, options)
            camera = found.camera if isinstance(found, StarSolution) else None
            seconds = time.process_time() - started
            rows.append((one.kind, one.in_view, judge_camera(one, camera), seconds))
        return pd.DataFrame(rows, columns=["kind", "in_view", "outcome", "seconds"])

    rng = np.random.default_rng(seed)
    focals = itertools.islice(itertools.cycle(FOCALS_MM), fields)
    skies = [star_list(rng, catalogue, focal) for focal in focals]
    lines = []
    if skies:
        tried = {way: solve(skies, way) for way in (TOLD, BLIND)}
        lines += ["## Simulated star lists", "", *sky_table(tried), ""]
    none = {}
    for way, count in ((BLIND, blind_negatives), (TOLD, negatives)):
        kinds = enumerate(itertools.islice(itertools.cycle(NEGATIVES), count))
        lists = (
            no_sky(np.random.default_rng([seed, number]), catalogue, kind) for number, kind in kinds
        )
        none[way] = solve(lists, way)
    lines += ["## Lists of no sky", "", *no_sky_table(none), ""]
    note = "Star lists of the catalogue through simulated lenses, lists of no sky."
    write_page(out, "solve", [*title_lines("Star fields solved", note), *lines])


def sky_table(tried: dict[str, pd.DataFrame]) -> list[str]:
    """How many lists of the sky were solved, how many wrongly; blind by focal length, too."""
    header = "focal length | lists | tried | solved | of those with 12 stars and more | wrong"
    rows = []
    for way, every in tried.items():
        for kind, some in [
            ("all", every),
            *(every.groupby("kind", sort=False) if way == BLIND else ()),
        ]:
            right, wrong = ((some.outcome == word).sum() for word in ("right", "wrong"))
            enough = (some.outcome == "right")[some.in_view >= GOAL_STARS]
            counts = [str(len(some)), str(right), percent(enough.mean()), str(wrong)]
            rows.append([way, str(kind), *counts, *times(some)])
    return table(f"{header} | CPU s, median | 90 %", rows, right=6)


def no_sky_table(tried: dict[str, pd.DataFrame]) -> list[str]:
    """How many lists of no sky were solved, by kind."""
    header = "focal length | lists | tried | solved | 95 % bound of wrong solutions"
    rows = []
    for way, every in tried.items():
        for kind, some in [*every.groupby("kind", sort=False), ("all", every)]:
            solved = int((some.outcome != "none").sum())
            bound = percent(bound_share(solved, len(some)), 2)
            rows.append([way, str(kind), str(len(some)), str(solved), bound, *times(some)])
    return table(f"{header} | CPU s, median | 90 %", rows, right=5)


def times(some: pd.DataFrame) -> list[str]:
    return [number(some.seconds.quantile(share)) for share in (0.5, 0.9)]


def judge_camera(field: StarList, camera: SkyCamera | None) -> str:
    """Whether a camera is right: it puts the picture's corners and middle where the truth does."""
    if camera is None:
        return "none"
    if field.truth is None:
        return "wrong"
    w, h = field.truth.width_px - 1.0, field.truth.height_px - 1.0
    x, y = np.array([0, w, 0, w, w / 2]), np.array([0, 0, h, h, h / 2])
    px, py = camera.project(field.truth.to_sky(x, y))
    off = np.hypot(px - x, py - y)
    # Where only a half shows stars the far corners are not measured: the middle must be right
    middle = off[-1] if np.isfinite(off[-1]) else np.inf
    return "right" if middle < RIGHT_SHARE * np.hypot(w, h) else "wrong"


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
    all_x, all_y = (
        np.concatenate([true[seen] + rng.normal(0, sigma, len(seen)), rng.uniform(0, most, false)])
        for true, most in ((x, 4255), (y, 2831))
    )
    flux = 10.0 ** (-0.4 * np.concatenate([magnitude, false_magnitude]))
    return StarList(
        kind=f"{focal_mm:g} mm",
        stars=detections(all_x, all_y, flux),
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
    x, y = start[road].T + along * np.stack([np.cos(angle[road]), np.sin(angle[road])])
    return x, y
