"""Lights that are new, lost, brighter or fainter: residuals that chance does not make."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.stats import norm

from detectors.types import BoolArray, FloatArray, FloatImage
from regengine.collection.radiometry.comparison import Comparison
from regengine.collection.radiometry.gain import Gain
from regengine.exchange.export.warp import MapGrid

# Chance that one photo without any change shows one
FALSE_ALARM = 0.01
# Around a cell beyond the limit, what is beyond this belongs to it
REACH_SIGMA = 3.0
MOST_GROUPS, FEWEST_IN_GROUP = 12, 150
# Shares of the residuals of like cells, and what they are of a normal distribution
TAILS = (0.683, 0.90, 0.954)


@dataclass(frozen=True, kw_only=True)
class Change:
    """A place where photo and map differ.

    Attributes
    ----------
    kind : str
        ``new``: no light in the map; ``lost``: none in the photo; ``brighter``, ``fainter``.
    lon, lat : float
        Middle of the difference, WGS84, degrees.
    cells : int
        Cells of the map that it covers.
    sigma : float
        Largest residual; positive where the photo is brighter.
    photo_nw, map_nw : float
        Radiance by the photo and by the map in that cell, nW cm^-2 sr^-1, both blurred.
    at_least : bool
        Whether photo or map is saturated there: the difference is larger.
    """

    kind: str
    lon: float
    lat: float
    cells: int
    sigma: float
    photo_nw: float
    map_nw: float
    at_least: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Significance:
    """Residuals as chance would make them.

    Attributes
    ----------
    sigma : ndarray of float32, shape (h, w)
        Residual over what cells of that radiance usually have; NaN where nothing is compared.
    limit : float
        Beyond it chance makes one in a hundred photos.
    places : float
        Independent places that were looked at.
    """

    sigma: FloatImage
    limit: float
    places: float


def significance(comparison: Comparison, gain: Gain) -> Significance:
    """Hold each cell's residual against those of cells of like radiance.

    The middle and the spread to either side are measured, from tails that hold 5 to 32 % of the
    cells, so that neither a curve of the photo nor heavy tails make outliers. Residuals have been
    divided by their own sigma before, in which the registration's error at edges is. The limit
    takes account of the number of places (Šidák), each as large as the blur.

    References
    ----------
    Šidák, Z. (1967). Rectangular confidence regions for the means of multivariate normal
    distributions. Journal of the American Statistical Association 62, 626-633.
    """
    judged, usable = comparison.judged, comparison.usable
    unit = gain.residual / gain.scale
    level = np.arcsinh(comparison.radiance_nw / gain.knee_nw)
    at, middle, below, above = _usual(level[usable].astype(float), unit[usable].astype(float))
    sigma = np.full(judged.shape, np.nan, np.float32)
    here = level[judged]
    off = unit[judged] - np.interp(here, at, middle)
    sigma[judged] = off / np.where(off > 0, np.interp(here, at, above), np.interp(here, at, below))
    # Where one of the two is saturated, only a difference that more light would make larger counts
    sigma = np.where(comparison.photo_full, np.maximum(sigma, 0.0), sigma)
    sigma = np.where(comparison.map_full, np.minimum(sigma, 0.0), sigma)
    area = max(4.0 * np.pi * comparison.blur_cells**2, 1.0)
    places = max(np.count_nonzero(judged) / area, 1.0)
    each = -np.expm1(np.log1p(-FALSE_ALARM) / places)
    return Significance(sigma=sigma, limit=float(norm.isf(each / 2.0)), places=float(places))


def _usual(
    level: FloatArray, unit: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Middle and spreads of residuals by the level of the map: places, middle, below, above."""
    order = np.argsort(level, kind="stable")
    dark = int(np.searchsorted(level[order], 0.5))
    rest = order[dark:]
    count = int(np.clip(len(rest) // FEWEST_IN_GROUP, 1, MOST_GROUPS))
    groups = [part for part in (order[:dark], *np.array_split(rest, count)) if len(part) >= 20]
    rows = []
    for group in groups or [order]:
        here = unit[group]
        middle = float(np.median(here))
        spreads = []
        for sign in (-1.0, 1.0):
            side = [
                float(np.quantile(sign * (here - middle), 0.5 + 0.5 * share))
                / float(norm.isf(0.5 - 0.5 * share))
                for share in TAILS
            ]
            spreads.append(max(*side, 1.0))
        rows.append((float(np.median(level[group])), middle, *spreads))
    at, middles, below, above = np.array(sorted(rows)).T
    return at, middles, below, above


def find_changes(
    comparison: Comparison, gain: Gain, found: Significance, grid: MapGrid
) -> tuple[Change, ...]:
    """Group cells beyond the limit, with what is next to them, into changes."""
    sigma = np.nan_to_num(found.sigma, nan=0.0)
    photo_nw = gain.photo_nw(comparison)
    changes = []
    for sign in (1.0, -1.0):
        wide, count = ndimage.label(sign * sigma > REACH_SIGMA, np.ones((3, 3)))
        if not count:
            continue
        peaks = ndimage.maximum(sign * sigma, wide, np.arange(1, count + 1))
        sizes = np.bincount(wide.ravel(), minlength=count + 1)[1:]
        boxes = ndimage.find_objects(wide)
        # Whatever changes on the ground is as wide as the blur
        fewest = 1 + np.ceil(np.pi * comparison.blur_cells**2)
        wanted = (np.asarray(peaks) > found.limit) & (sizes >= fewest)
        for number in np.flatnonzero(wanted) + 1:
            box = boxes[number - 1]
            part = wide[box] == number
            changes.append(_change(comparison, gain, grid, sigma, photo_nw, box, part))
    return tuple(sorted(changes, key=lambda change: -abs(change.sigma)))


def _change(
    comparison: Comparison,
    gain: Gain,
    grid: MapGrid,
    sigma: FloatImage,
    photo_nw: FloatImage,
    box: tuple[slice, slice],
    part: BoolArray,
) -> Change:
    row, column = np.nonzero(part)
    row, column = row + box[0].start, column + box[1].start
    worst = int(np.argmax(np.abs(sigma[row, column])))
    at = (row[worst], column[worst])
    weight = np.abs(photo_nw - comparison.radiance_nw)[row, column] + 1e-6
    lon = grid.west + (float(np.average(column, weights=weight)) + 0.5) * grid.resolution
    lat = grid.north - (float(np.average(row, weights=weight)) + 0.5) * grid.resolution
    knee = float(gain.knee_nw[at] * gain.scatter)  # the additive error alone
    brighter = bool(sigma[at] > 0.0)
    dark = (comparison.radiance_nw if brighter else photo_nw)[at] < 2.0 * knee
    kinds = ("new", "brighter") if brighter else ("lost", "fainter")
    return Change(
        kind=kinds[0] if dark else kinds[1],
        lon=(lon + 180.0) % 360.0 - 180.0,
        lat=lat,
        cells=len(row),
        sigma=float(sigma[at]),
        photo_nw=float(photo_nw[at]),
        map_nw=float(comparison.radiance_nw[at]),
        at_least=bool((comparison.photo_full | comparison.map_full)[row, column].any()),
    )
