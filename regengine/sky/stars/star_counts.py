"""Depth of star photos: completeness of the detected catalogue stars by magnitude."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray
from regengine.errors import ConfigError
from regengine.sky.stars.catalogue import StarCatalogue
from regengine.sky.stars.photo import camera_of_record
from regengine.sky.stars.solve import FINAL

BIN_MAG = 0.5
STEEPEST, FLATTEST = 30.0, 0.3  # bounds of the slope, per magnitude
# Real star fields have 4 to 10 where noise is the limit. With so wide a prior, it matters only
# where few stars leave the slope undetermined
USUAL_SLOPE, SLOPE_LOG_SIGMA = 4.0, 0.7
# `regengine solve` searches for at most this many of the brightest stars in view
LOOKED_FOR = FINAL.depths[-1]
_REMEDY = "solve it again with regengine solve --json --matches"
FRAME_COLUMNS = (
    *("rank", "frame", "path", "limiting_g", "limiting_g_sigma", "limit_reached"),
    *("expected", "found", "completeness", "plateau", "slope_per_mag", "faintest_sought_g"),
    *("detections", "identified", "unidentified", "rms_px", "ra_deg", "dec_deg", "fov_x_deg"),
)

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Completeness:
    """Completeness of star detection as a function of magnitude.

    A star of magnitude m is detected with the probability ``plateau / 2 * (1 - a (m - limit) /
    sqrt(1 + a^2 (m - limit)^2))``, where a is the slope.

    References
    ----------
    Fleming, D. E. B. et al. (1995). CCD photometry of the globular cluster system of NGC 5813.
    Astron. J. 109, 1044.
    """

    limit_g: float  # Gaia magnitude at which completeness is half of the plateau
    limit_sigma: float | None  # one sigma; None where the limit was not reached
    # Whether stars of this magnitude were searched for; if not, ``limit_g`` is a lower bound
    reached: bool
    # Share of bright stars that are detected, 0 to 1: the rest are behind the Earth, hardware or
    # clouds, saturated, or too close to another star
    plateau: float
    slope: float  # decrease of completeness, per magnitude


def count_stars(record: dict[str, Any], catalogue: StarCatalogue) -> tuple[Row, list[Row]]:
    """Count a solved frame's stars, in all and per half magnitude.

    The record, as returned by `regengine.sky.stars.photo.read_solved`, includes its matches; the
    catalogue is the one that the frame was solved with. Returns a value for each of
    `FRAME_COLUMNS`, without the rank, None if missing; and a row per half magnitude.

    Raises ConfigError if the record lacks its matches or its size, or they are not plausible.
    """
    frame = record["frame"]
    matches = record.get("matches")
    if not isinstance(matches, list):
        raise ConfigError(f"The record of {frame} has no list of stars: {_REMEDY}.")
    try:
        identified = {int(one["id"]) for one in matches}
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        text = f"The stars listed in the record of {frame} are invalid: {_REMEDY}."
        raise ConfigError(text) from error
    sought = camera_of_record(record).find_in_view(catalogue.vectors)[0][:LOOKED_FOR]
    magnitude = catalogue.magnitude_g[sought]
    found = np.isin(catalogue.identifier[sought], list(identified))
    bins: list[Row] = []
    if len(magnitude):  # from the brightest bin with a star to the faintest
        number = np.floor(magnitude / BIN_MAG).astype(int)
        first = int(number.min())
        there, seen = (np.bincount(part - first) for part in (number, number[found]))
        seen = np.append(seen, np.zeros(len(there) - len(seen), int))
        bins = [
            {
                "frame": str(frame),
                "from_g": BIN_MAG * (first + k),
                "to_g": BIN_MAG * (first + k + 1),
                "expected": int(there[k]),
                "found": int(seen[k]),
                "completeness": round(seen[k] / there[k], 4) if there[k] else None,
            }
            for k in range(len(there))
        ]
    depth = fit_completeness(magnitude, found)
    counted = magnitude <= (np.inf if depth is None else depth.limit_g)
    expected, n_found = int(counted.sum()), int((found & counted).sum())
    row: Row = {name: _number(record.get(name)) for name in FRAME_COLUMNS}
    stars = _number(record.get("stars"))
    row |= {
        "frame": str(frame),
        "path": record["path"] if isinstance(record.get("path"), str) else None,
        "expected": expected,
        "found": n_found,
        "completeness": round(n_found / expected, 4) if expected else None,
        # Fainter stars were not searched for
        "faintest_sought_g": round(float(magnitude.max()), 3) if bins else None,
        "detections": stars,
        "identified": len(matches),
        "unidentified": None if stars is None else int(stars) - len(matches),
    }
    if depth is not None:
        sigma = depth.limit_sigma
        row |= {
            "limiting_g": round(depth.limit_g, 3),
            "limiting_g_sigma": None if sigma is None else round(sigma, 3),
            "limit_reached": depth.reached,
            "plateau": round(depth.plateau, 4),
            "slope_per_mag": round(depth.slope, 3),
        }
    return row, bins


def fit_completeness(magnitude_g: FloatArray, found: NDArray[np.bool_]) -> Completeness | None:
    """Fit the completeness function to single stars by maximum likelihood."""
    from scipy.optimize import minimize

    if len(found) < 20 or found.sum() < 8:  # too few for three unknowns
        return None
    faintest = float(magnitude_g.max())

    def cost(values: FloatArray) -> float:
        plateau, limit, slope = _natural(values)
        away = slope * (magnitude_g - limit)
        share = 0.5 * plateau * (1.0 - away / np.sqrt(1.0 + away**2))
        likely = np.where(found, share, 1.0 - share)
        belief = (values[2] - np.log(USUAL_SLOPE)) / SLOPE_LOG_SIGMA
        return float(-np.log(np.maximum(likely, 1e-12)).sum()) + 0.5 * float(belief**2)

    # The likelihood may have several maxima: start at every half magnitude
    starts = np.arange(magnitude_g.min(), faintest + BIN_MAG, BIN_MAG)
    first = [np.array([1.0, limit, np.log(USUAL_SLOPE)]) for limit in starts]
    start = min(first, key=cost)
    best = minimize(cost, start, method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-4})
    plateau, limit, slope = _natural(best.x)
    # A limit this close to the faintest star searched for may be fainter than it
    reached, sigma = limit <= faintest - 0.1, None
    if reached:
        # One sigma of the limit from the curvature of the likelihood, with the others free
        steps = np.eye(3) * 1e-2
        curvature = np.empty((3, 3))
        for i, one in enumerate(steps):
            for j, other in enumerate(steps):
                ahead, back = cost(best.x + one + other), cost(best.x - one - other)
                left, right = cost(best.x + one - other), cost(best.x - one + other)
                curvature[i, j] = (ahead + back - left - right) / (4.0 * one[i] * other[j])
        # A plateau of 1 and a slope at its bound have no curvature: they are treated as known
        variance = np.linalg.pinv(curvature, rcond=1e-6, hermitian=True)[1, 1]
        sigma = float(np.sqrt(variance)) if variance > 0.0 else None
    return Completeness(
        limit_g=limit if reached else faintest,
        limit_sigma=sigma,
        reached=reached,
        plateau=plateau,
        slope=slope,
    )


def _natural(values: FloatArray) -> tuple[float, float, float]:
    """Plateau, limit and slope from unbounded parameters."""
    plateau = 1.0 / (1.0 + np.exp(-np.clip(values[0], -30.0, 30.0)))
    slope = float(np.clip(np.exp(np.clip(values[2], -9.0, 9.0)), FLATTEST, STEEPEST))
    return float(plateau), float(values[1]), slope


def rank_frames(counts: Sequence[tuple[Row, list[Row]]]) -> list[tuple[Row, list[Row]]]:
    """Sort and number frames by limiting magnitude, the deepest first, then by number of stars."""

    def order(one: tuple[Row, list[Row]]) -> tuple[bool, float, int, str]:
        limit, found, frame = (one[0][name] for name in ("limiting_g", "found", "frame"))
        return limit is None, -(limit or 0.0), -found, frame

    ranked = sorted(counts, key=order)
    for rank, (row, _) in enumerate(ranked, start=1):
        row["rank"] = None if row["limiting_g"] is None else rank
    return ranked


def _number(value: Any) -> float | int | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if known else None
