"""How deep star photos are: which share of the catalogue's stars is found, by magnitude."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray
from matchers.geometry.sky_camera import SkyCamera
from regengine.errors import ConfigError
from regengine.sky.stars.catalogue import StarCatalogue
from regengine.sky.stars.photo import camera_of_record
from regengine.sky.stars.solve import FINAL

MIN_EXPECTED = 20
MIN_FOUND = 8
# A limit this near to the faintest star that was looked for may lie beyond it
MARGIN_MAG = 0.1
BIN_MAG = 0.5
STEEPEST, FLATTEST = 30.0, 0.3  # slopes, per magnitude
# Of real star fields, 4 to 10 where noise is the limit. A belief so wide decides where few stars
# would be told apart by chance alone
USUAL_SLOPE, SLOPE_LOG_SIGMA = 4.0, 0.7
_STEP = 1e-2
# `regengine solve` looks for so many of the brightest stars in view, and no others
LOOKED_FOR = FINAL.depths[-1]
_REMEDY = "solve it again with regengine solve --json --matches"
_MAX_PIXELS = 100_000  # of a side
FRAME_COLUMNS = (
    *("rank", "frame", "path", "limiting_g", "limiting_g_sigma", "limit_reached"),
    *("expected", "found", "completeness", "plateau", "slope_per_mag", "faintest_sought_g"),
    *("detections", "identified", "unidentified", "rms_px", "ra_deg", "dec_deg", "fov_x_deg"),
)

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Completeness:
    """Share of stars that is found, by magnitude.

    A star of magnitude m is found with the probability ``plateau / 2 * (1 - a (m - limit) /
    sqrt(1 + a^2 (m - limit)^2))``, a the slope.

    References
    ----------
    Fleming, D. E. B. et al. (1995). CCD photometry of the globular cluster system of NGC 5813.
    Astron. J. 109, 1044.
    """

    limit_g: float  # Gaia magnitude at which half of the stars are found of those that could be
    limit_sigma: float | None  # one sigma; None where the limit was not reached
    # Whether stars as faint as that were looked for; else the limit is at least ``limit_g``
    reached: bool
    # Share of bright stars that is found, 0 to 1: the rest is behind the Earth, hardware or clouds,
    # saturated, or too near to another star
    plateau: float
    slope: float  # how fast the share falls, per magnitude


@dataclass(frozen=True, kw_only=True)
class StarCounts:
    """Stars of one frame."""

    record: dict[str, Any]  # of `regengine solve --json`
    bins: list[Row]  # counts by magnitude
    depth: Completeness | None  # none of too few stars
    # Stars of the catalogue in the picture to the limit, and those of them that were found
    expected: int
    found: int
    faintest_sought_g: float  # stars fainter than this were not looked for


def count_stars(record: dict[str, Any], catalogue: StarCatalogue) -> StarCounts:
    """Count a solved frame's stars.

    The record, of `regengine.sky.stars.photo.read_solved`, has its matches; the catalogue is the
    one that the frame was solved with.

    Raises ConfigError if the record lacks its matches or its size, or they make no sense.
    """
    frame = record["frame"]
    matches = record.get("matches")
    size = (record.get("width_px"), record.get("height_px"))
    if not isinstance(matches, list) or not all(
        isinstance(side, int) and 0 < side < _MAX_PIXELS for side in size
    ):
        raise ConfigError(f"The record of {frame} has no list of stars: {_REMEDY}.")
    try:
        identified = {int(one["id"]) for one in matches}
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise ConfigError(
            f"The stars listed in the record of {frame} are invalid: {_REMEDY}."
        ) from (error)
    camera = camera_of_record(record, *size)  # type: ignore[arg-type]
    seen = stars_in_view(camera, catalogue)
    sought = seen[:LOOKED_FOR]
    magnitude = catalogue.magnitude_g[sought]
    found = np.isin(catalogue.identifier[sought], list(identified))
    depth = fit_completeness(magnitude, found)
    limit = np.inf if depth is None else depth.limit_g
    return StarCounts(
        record=record,
        bins=magnitude_bins(magnitude, found),
        depth=depth,
        expected=int((magnitude <= limit).sum()),
        found=int((found & (magnitude <= limit)).sum()),
        faintest_sought_g=float(magnitude.max()) if len(magnitude) else float("nan"),
    )


def stars_in_view(camera: SkyCamera, catalogue: StarCatalogue) -> NDArray[np.intp]:
    """Numbers of the stars in a picture, the brightest first."""
    return camera.find_in_view(catalogue.vectors)[0]


def fit_completeness(magnitude_g: FloatArray, found: NDArray[np.bool_]) -> Completeness | None:
    """Fit the share of stars that is found, star by star, by maximum likelihood."""
    from scipy.optimize import minimize

    if len(found) < MIN_EXPECTED or found.sum() < MIN_FOUND:
        return None
    faintest = float(magnitude_g.max())

    def cost(values: FloatArray) -> float:
        share = _share(magnitude_g, *_natural(values))
        likely = np.where(found, share, 1.0 - share)
        belief = (values[2] - np.log(USUAL_SLOPE)) / SLOPE_LOG_SIGMA
        return float(-np.log(np.maximum(likely, 1e-12)).sum()) + 0.5 * float(belief**2)

    # The likelihood may have several hills: start at every half magnitude
    starts = np.arange(magnitude_g.min(), faintest + BIN_MAG, BIN_MAG)
    first = [np.array([1.0, limit, np.log(USUAL_SLOPE)]) for limit in starts]
    start = min(first, key=cost)
    best = minimize(cost, start, method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-4})
    plateau, limit, slope = _natural(best.x)
    reached = limit <= faintest - MARGIN_MAG
    return Completeness(
        limit_g=limit if reached else faintest,
        limit_sigma=_sigma(cost, best.x, 1) if reached else None,
        reached=reached,
        plateau=plateau,
        slope=slope,
    )


def magnitude_bins(magnitude_g: FloatArray, found: NDArray[np.bool_]) -> list[Row]:
    """Counts by half magnitude, from the brightest that has a star to the faintest."""
    if len(magnitude_g) == 0:
        return []
    number = np.floor(magnitude_g / BIN_MAG).astype(int)
    first = int(number.min())
    expected, seen = (np.bincount(part - first) for part in (number, number[found]))
    seen = np.append(seen, np.zeros(len(expected) - len(seen), int))
    return [
        {
            "from_g": BIN_MAG * (first + k),
            "to_g": BIN_MAG * (first + k + 1),
            "expected": int(expected[k]),
            "found": int(seen[k]),
            "completeness": round(seen[k] / expected[k], 4) if expected[k] else None,
        }
        for k in range(len(expected))
    ]


def _share(magnitude_g: FloatArray, plateau: float, limit: float, slope: float) -> FloatArray:
    away = slope * (magnitude_g - limit)
    return np.asarray(0.5 * plateau * (1.0 - away / np.sqrt(1.0 + away**2)))


def _natural(values: FloatArray) -> tuple[float, float, float]:
    """Plateau, limit and slope out of numbers that may be anything."""
    plateau = 1.0 / (1.0 + np.exp(-np.clip(values[0], -30.0, 30.0)))
    slope = float(np.clip(np.exp(np.clip(values[2], -9.0, 9.0)), FLATTEST, STEEPEST))
    return float(plateau), float(values[1]), slope


def _sigma(cost: Callable[[FloatArray], float], at: FloatArray, number: int) -> float | None:
    """One sigma of a value by the curvature of the likelihood, the others left free."""
    steps = np.eye(len(at)) * _STEP
    curvature = np.empty((len(at), len(at)))
    for i, one in enumerate(steps):
        for j, other in enumerate(steps):
            ahead, back = cost(at + one + other), cost(at - one - other)
            left, right = cost(at + one - other), cost(at - one + other)
            curvature[i, j] = (ahead + back - left - right) / (4.0 * one[i] * other[j])
    # A plateau of 1 and a slope at its bound have no curvature: they count as known
    variance = np.linalg.pinv(curvature, rcond=1e-6, hermitian=True)[number, number]
    return float(np.sqrt(variance)) if variance > 0.0 else None


def rank_frames(counts: Iterable[StarCounts]) -> list[StarCounts]:
    """Frames by how faint the stars are that they show; of equals by how many they show."""

    def order(one: StarCounts) -> tuple[bool, float, int, str]:
        limit = -np.inf if one.depth is None else one.depth.limit_g
        return one.depth is None, -limit, -one.found, str(one.record["frame"])

    return sorted(counts, key=order)


def frame_rows(counts: Sequence[StarCounts]) -> list[Row]:
    """A row for each frame; None for what is missing."""
    return [_frame_row(rank, one) for rank, one in enumerate(counts, start=1)]


def _frame_row(rank: int, one: StarCounts) -> Row:
    record, depth = one.record, one.depth
    row: Row = {name: _number(record.get(name)) for name in FRAME_COLUMNS}
    stars, identified = _number(record.get("stars")), len(record["matches"])
    row |= {
        "frame": str(record["frame"]),
        "path": record["path"] if isinstance(record.get("path"), str) else None,
        "expected": one.expected,
        "found": one.found,
        "completeness": round(one.found / one.expected, 4) if one.expected else None,
        "faintest_sought_g": round(one.faintest_sought_g, 3) if one.bins else None,
        "detections": stars,
        "identified": identified,
        "unidentified": None if stars is None else int(stars) - identified,
    }
    if depth is not None:
        sigma = depth.limit_sigma
        row |= {
            "rank": rank,
            "limiting_g": round(depth.limit_g, 3),
            "limiting_g_sigma": None if sigma is None else round(sigma, 3),
            "limit_reached": depth.reached,
            "plateau": round(depth.plateau, 4),
            "slope_per_mag": round(depth.slope, 3),
        }
    return row


def magnitude_rows(counts: Sequence[StarCounts]) -> list[Row]:
    """A row for each half magnitude of each frame."""
    return [{"frame": str(one.record["frame"]), **part} for one in counts for part in one.bins]


TABLES: Mapping[str, Callable[[Sequence[StarCounts]], list[Row]]] = {
    "frames": frame_rows,
    "magnitudes": magnitude_rows,
}


def _number(value: Any) -> float | int | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if known else None
