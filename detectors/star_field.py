"""A frame in which stars are found, fitted and told from what is none."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from detectors.blob_flags import ClippedAreas
from detectors.point_spread import FWHM_PER_SIGMA, PointSpread
from detectors.star_fit import FittedStars, draw_stars, fit_stars
from detectors.star_peaks import Filtered, filtered, peaks
from detectors.star_types import StarDetections, StarFlag
from detectors.star_width import measure_width
from detectors.types import FloatArray

FloatImage = NDArray[np.float32]
BoolImage = NDArray[np.bool_]
IndexArray = NDArray[np.intp]

WIDTH_SNR = 12.0  # stars that tell the width
TWICE_SIGMAS = 1.2  # two fits nearer than this are one star
# What the subtraction of a star may leave of it is no star
LEFT_OVER = 0.1
WORST_MISFIT = 4.0
# Log-likelihood by which a single pixel, or a pair, must explain the light better than a star
SHARPER = 4.5
# Of white sky, light counts photons: its noise is sqrt(light); where the level is so dark that
# black may be clipped, at least this many sigma of it
DARKEST_LEVEL_SIGMAS = 5.0
CENTROID_FLOOR_PX = 0.01
ROUNDING_SAMPLES = 20_000


def rounding_noise(values: FloatImage) -> float:
    """Noise of rounding to the finest step that the dark half of some pixels shows."""
    sample = values[:: max(1, values.size // ROUNDING_SAMPLES)]
    dark = np.unique(sample[sample <= np.median(sample)])
    steps = np.diff(dark)
    step = float(steps.min()) if steps.size else 1.0 / 255.0 / 12.92
    return max(step / 12.0**0.5, 1e-9)


@dataclass(frozen=True)
class StarField:
    """A frame without its large-scale background, and what is known of its pixels."""

    above: FloatImage
    level: FloatImage
    ignored: BoolImage
    clipped: BoolImage
    areas: ClippedAreas
    least_noise: float

    def filtered(self, psf: PointSpread) -> Filtered:
        """The frame under the matched filter of stars of that look."""
        return filtered(self.above, psf, self.ignored, least_noise=self.least_noise)

    @property
    def usable(self) -> BoolImage:
        """Pixels that show how bright they are."""
        return ~(self.ignored | self.clipped)

    def width(self, seen: Filtered) -> PointSpread:
        """The look of the frame's stars."""
        row, col = peaks(seen, WIDTH_SNR, self.usable)
        return measure_width(self.above, self.usable, row, col, seen.pixel_noise(row, col))

    def found(
        self, seen: Filtered, psf: PointSpread, min_snr: float, max_stars: int
    ) -> FittedStars:
        """Stars fitted; those that appear when the first are taken away, too."""
        row, col = peaks(seen, min_snr, self.usable)
        x, y = self._with_clipped(col[:max_stars].astype(float), row[:max_stars].astype(float))
        stars = self._fitted(seen, psf, x, y)
        drawn = draw_stars(self.above.shape, stars.x, stars.y, stars.flux, psf)
        rest = np.where(self.usable, self.above - drawn, np.float32(0.0))
        again = filtered(rest, psf, self.ignored, least_noise=self.least_noise)
        doubt = np.float32(LEFT_OVER) * np.abs(seen.response - again.response)
        left = Filtered(response=again.response, noise=np.hypot(seen.noise, doubt), gain=seen.gain)
        row, col = peaks(left, min_snr, self._away_from_clipped(psf))
        room = max(0, max_stars - len(stars))
        if row.size == 0 or room == 0:
            return stars
        more_x, more_y = col[:room].astype(float), row[:room].astype(float)
        return self._fitted(seen, psf, np.append(stars.x, more_x), np.append(stars.y, more_y))

    def _fitted(
        self, seen: Filtered, psf: PointSpread, x: FloatArray, y: FloatArray
    ) -> FittedStars:
        row, col = np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)
        row = np.clip(row, 0, self.above.shape[0] - 1)
        col = np.clip(col, 0, self.above.shape[1] - 1)
        noise = seen.pixel_noise(row, col)
        level = np.maximum(self.level[row, col].astype(float), DARKEST_LEVEL_SIGMAS * noise)
        return fit_stars(self.above, self.usable, x, y, psf=psf, noise=noise, gain=noise**2 / level)

    def _with_clipped(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Peaks and one place for each clipped area, its middle."""
        if not self.clipped.any():
            return x, y
        rows, cols = np.nonzero(self.clipped & ~self.ignored)
        labels = self.areas.labels[rows, cols]
        count = np.bincount(labels)
        some = count > 0
        middle_x = np.bincount(labels, cols)[some] / count[some]
        middle_y = np.bincount(labels, rows)[some] / count[some]
        at = self.areas.labels[np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)] > 0
        return np.append(x[~at], middle_x), np.append(y[~at], middle_y)

    def _away_from_clipped(self, psf: PointSpread) -> BoolImage:
        if not self.clipped.any():
            return self.usable
        size = 2 * round(2.0 * psf.fwhm_px) + 1
        near = cv2.dilate(self.clipped.astype(np.uint8), np.ones((size, size), np.uint8))
        return self.usable & (near == 0)

    def described(self, found: FittedStars, psf: PointSpread, min_snr: float) -> StarDetections:
        """What counts as a star, its measures and flags; sorted by flux."""
        h, w = self.above.shape
        inside = (found.x >= 0) & (found.x <= w - 1) & (found.y >= 0) & (found.y <= h - 1)
        found = found.select(inside & found.settled & (found.star_snr >= min_snr))
        narrow = found.narrow_snr**2 - found.star_snr**2 > 2.0 * SHARPER
        found = found.select(~narrow & (found.misfit < WORST_MISFIT))
        found = found.select(np.argsort(-found.flux, kind="stable"))
        found = found.select(_not_twice(found, TWICE_SIGMAS * psf.sigma_px))
        values = np.linalg.eigvalsh(found.moments)
        short, long = np.sqrt(values[:, 0]), np.sqrt(values[:, 1])
        trailed = psf.trail_length_px > 0.0
        size = short if trailed else np.sqrt(short * long)
        return StarDetections(
            x=found.x,
            y=found.y,
            flux=found.flux,
            snr=found.star_snr,
            fwhm_px=FWHM_PER_SIGMA * size,
            ellipticity=1.0 - short / long,
            covariance_px2=found.covariance + CENTROID_FLOOR_PX**2 * np.eye(2),
            flags=self._flags(found, psf),
            trail_px=psf.trail_px if trailed else None,
        )

    def _flags(self, found: FittedStars, psf: PointSpread) -> NDArray[np.uint8]:
        h, w = self.above.shape
        row, col = np.rint(found.y).astype(np.intp), np.rint(found.x).astype(np.intp)
        kernel = np.ones((3, 3), np.uint8)
        near = cv2.dilate(self.clipped.astype(np.uint8), kernel)
        saturated = near[row, col] > 0
        to_border = np.minimum.reduce([found.x, found.y, w - 1 - found.x, h - 1 - found.y])
        if self.ignored.any():
            gap = cv2.distanceTransform((~self.ignored).astype(np.uint8), cv2.DIST_L2, 3)
            to_border = np.minimum(to_border, gap[row, col] - 1.0)
        reach = psf.fwhm_px + 0.5 * psf.trail_length_px
        blended = np.zeros(len(found), bool)
        if len(found) > 1:
            places = np.column_stack([found.x, found.y])
            blended = cKDTree(places).query(places, k=2)[0][:, 1] < 2.0 * psf.fwhm_px
        return (
            saturated * np.uint8(StarFlag.SATURATED)
            + (to_border < reach) * np.uint8(StarFlag.EDGE)
            + blended * np.uint8(StarFlag.BLENDED)
            + (psf.trail_length_px > 0.0) * np.full(len(found), StarFlag.TRAILED, np.uint8)
        ).astype(np.uint8)


def _not_twice(found: FittedStars, nearer_px: float) -> BoolImage:
    """Stars without a brighter one at the same place; the brightest come first."""
    keep = np.ones(len(found), bool)
    if len(found) < 2:
        return keep
    for one, other in cKDTree(np.column_stack([found.x, found.y])).query_pairs(nearer_px):
        keep[max(one, other)] = False
    return keep
