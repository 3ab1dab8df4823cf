"""Compare one photo with a map: cells, gain, and statistically significant changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtri

from detectors.types import FloatArray, FloatImage
from regengine.export.warp import MapGrid
from regengine.frames.frame import ExportFrame
from regengine.maps.reference import LightMap
from regengine.photo.lens_profile import LensProfile, choose_profile
from regengine.studies.radiometry.cells import (
    MapCells,
    PhotoCells,
    average_photo_cells,
    photo_light,
    samples_across,
    select_cells_in_view,
)
from regengine.studies.radiometry.comparison import Comparison, compare
from regengine.studies.radiometry.gain import Gain, fit_gain

# Probability that a photo without any change shows one
FALSE_ALARM = 0.01
# Cells next to a cell beyond the limit belong to the change if they are beyond this
REACH_SIGMA = 3.0
MAX_GROUPS, MIN_IN_GROUP = 12, 150
# Quantile ranges of the residuals of similar cells, as shares of a normal distribution
TAILS = (0.683, 0.90, 0.954)
# Values of the mask; the greater one if two apply
COMPARED, NOT_SEEN, PHOTO_FULL, MAP_FULL, BRIGHTER, FAINTER = 0, 1, 2, 3, 4, 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Radiometry:
    """Results of the comparison of a photo and a map.

    ``linear_by`` is the source of linear light: ``srgb``, the inverse of that curve; ``raw`` or
    ``fits``, linear files. ``falloff_known``: the falloff was corrected by a lens profile.
    """

    cells: MapCells
    photo: PhotoCells
    comparison: Comparison
    gain: Gain
    significance: Significance
    changes: tuple[Change, ...]
    falloff_known: bool
    linear_by: str

    def mask(self) -> NDArray[np.uint8]:
        """Mask value of each cell: see the constants of this module."""
        compared, found = self.comparison, self.significance
        sigma = np.nan_to_num(found.sigma, nan=0.0)
        mask = np.where(compared.judged, COMPARED, NOT_SEEN).astype(np.uint8)
        mask[compared.photo_full] = PHOTO_FULL
        mask[compared.map_full] = MAP_FULL
        mask[sigma > found.limit] = BRIGHTER
        mask[sigma < -found.limit] = FAINTER
        return mask


def measure(
    frame: ExportFrame,
    light_map: LightMap,
    *,
    profiles: Sequence[LensProfile] = (),
    map_sigma_m: float | None = None,
) -> Radiometry:
    """Compare a registered photo with a map.

    `profiles`: calibrated lenses; the falloff of the photo's lens is corrected. `map_sigma_m`: blur
    of the map, one sigma, metres; by default it is measured. Raises LeftOutError if the photo is
    missing or too little of it can be compared, LightMapError if the map has no data there or is
    damaged.
    """
    camera = frame.camera
    assert camera is not None
    cells = select_cells_in_view(camera, light_map)
    ratio = cells.grid.resolution / cells.photo_pixel_deg
    samples = samples_across(ratio)
    profile = choose_profile(
        profiles,
        camera=frame.result.camera_body,
        lens=None,
        focal_mm=frame.result.focal_mm,
        width_px=camera.width_px,
        height_px=camera.height_px,
    )
    falloff = None if profile is None else profile.falloff
    picture = photo_light(frame, camera, min(samples / ratio, 1.0), falloff)
    photo = average_photo_cells(picture, camera, frame.points, cells.grid, samples)
    comparison = compare(cells, photo, map_sigma_m)
    gain = fit_gain(comparison, photo, cells.grid.resolution, falloff is not None)
    found = significance(comparison, gain)
    return Radiometry(
        cells=cells,
        photo=photo,
        comparison=comparison,
        gain=gain,
        significance=found,
        changes=find_changes(comparison, gain, found, cells.grid),
        falloff_known=falloff is not None,
        linear_by=picture.linear_by,
    )


@dataclass(frozen=True, kw_only=True)
class Change:
    """A place where photo and map differ."""

    # ``new``: no light in the map; ``lost``: no light in the photo; ``brighter``, ``fainter``
    kind: str
    lon: float  # centre of the difference, WGS84, degrees
    lat: float
    cells: int  # cells of the map that it covers
    sigma: float  # largest residual; positive where the photo is brighter
    # Radiance from the photo and from the map in that cell, nW cm^-2 sr^-1, both blurred
    photo_nw: float
    map_nw: float
    at_least: bool  # whether photo or map is saturated there: the difference is a lower bound


@dataclass(frozen=True, kw_only=True, eq=False)
class Significance:
    """Standardised residuals and their limit."""

    # (h, w): residual over the typical spread of cells of that radiance; NaN without comparison
    sigma: FloatImage
    limit: float  # exceeded by chance in one of a hundred photos
    places: float  # number of independent places
    photo_nw: FloatImage  # (h, w): the photo in units of the map


def significance(comparison: Comparison, gain: Gain) -> Significance:
    """Standardise each cell's residual by those of cells of similar radiance.

    The centre and the spread to either side are measured from tails with 5 to 32 % of the cells, so
    that neither non-linearity of the photo nor heavy tails cause outliers. Residuals are first
    divided by their own sigma, which includes the registration error at edges. The limit is
    corrected for the number of places (Šidák), each as large as the blur.

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
    # If one of the two is saturated, only a difference counts that more light would increase
    sigma = np.where(comparison.photo_full, np.maximum(sigma, 0.0), sigma)
    sigma = np.where(comparison.map_full, np.minimum(sigma, 0.0), sigma)
    area = max(4.0 * np.pi * comparison.blur_cells**2, 1.0)
    places = max(np.count_nonzero(judged) / area, 1.0)
    each = -np.expm1(np.log1p(-FALSE_ALARM) / places)
    return Significance(
        sigma=sigma,
        limit=-float(ndtri(each / 2.0)),
        places=float(places),
        photo_nw=gain.photo_nw(comparison),
    )


def _usual(
    level: FloatArray, unit: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Centre and spreads of residuals by the map's level: levels, centre, below, above."""
    order = np.argsort(level, kind="stable")
    dark = int(np.searchsorted(level[order], 0.5))
    rest = order[dark:]
    count = int(np.clip(len(rest) // MIN_IN_GROUP, 1, MAX_GROUPS))
    groups = [part for part in (order[:dark], *np.array_split(rest, count)) if len(part) >= 20]
    rows = []
    for group in groups or [order]:
        here = unit[group]
        middle = float(np.median(here))
        spreads = []
        for sign in (-1.0, 1.0):
            side = [
                float(np.quantile(sign * (here - middle), 0.5 + 0.5 * share))
                / -float(ndtri(0.5 - 0.5 * share))
                for share in TAILS
            ]
            spreads.append(max(*side, 1.0))
        rows.append((float(np.median(level[group])), middle, *spreads))
    at, middles, below, above = np.array(sorted(rows)).T
    return at, middles, below, above


def find_changes(
    comparison: Comparison, gain: Gain, found: Significance, grid: MapGrid
) -> tuple[Change, ...]:
    """Group cells beyond the limit, with adjacent ones, into changes."""
    sigma = np.nan_to_num(found.sigma, nan=0.0)
    photo_nw, radiance_nw = found.photo_nw, comparison.radiance_nw
    changes = []
    for sign in (1.0, -1.0):
        wide, count = ndimage.label(sign * sigma > REACH_SIGMA, np.ones((3, 3)))
        if not count:
            continue
        peaks = ndimage.maximum(sign * sigma, wide, np.arange(1, count + 1))
        sizes = np.bincount(wide.ravel(), minlength=count + 1)[1:]
        boxes = ndimage.find_objects(wide)
        # A change on the ground is at least as wide as the blur
        fewest = 1 + np.ceil(np.pi * comparison.blur_cells**2)
        wanted = (np.asarray(peaks) > found.limit) & (sizes >= fewest)
        for number in np.flatnonzero(wanted) + 1:
            box = boxes[number - 1]
            part = wide[box] == number
            row, column = np.nonzero(part)
            row, column = row + box[0].start, column + box[1].start
            at = tuple(one[np.argmax(np.abs(sigma[row, column]))] for one in (row, column))
            apart = np.abs(photo_nw - radiance_nw)[row, column] + 1e-6
            lon = grid.west + (float(np.average(column, weights=apart)) + 0.5) * grid.resolution
            lat = grid.north - (float(np.average(row, weights=apart)) + 0.5) * grid.resolution
            knee = float(gain.knee_nw[at] * gain.scatter)  # only the additive error
            kinds = ("new", "brighter") if sign > 0.0 else ("lost", "fainter")
            dark = (radiance_nw if sign > 0.0 else photo_nw)[at] < 2.0 * knee
            changes.append(
                Change(
                    kind=kinds[0] if dark else kinds[1],
                    lon=(lon + 180.0) % 360.0 - 180.0,
                    lat=lat,
                    cells=len(row),
                    sigma=float(sigma[at]),
                    photo_nw=float(photo_nw[at]),
                    map_nw=float(radiance_nw[at]),
                    at_least=bool((comparison.photo_full | comparison.map_full)[row, column].any()),
                )
            )
    return tuple(sorted(changes, key=lambda change: -abs(change.sigma)))
