"""The light of fitted stars, each in a stamp of its own without its neighbours."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from detectors.point_spread import PointSpread
from detectors.stamps import cut_stamps, inside_image
from detectors.star_fit import (
    LONE_MISMATCH,
    FittedStars,
    away_from_core,
    draw_stars,
    lone_pixels,
    variance_of,
)
from detectors.types import FloatArray

FloatImage = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class StarStamps:
    """Stars' own light, and how much each pixel tells.

    Attributes
    ----------
    light : ndarray of float32, shape (N, n, n)
        Without the light of the other stars.
    shown : ndarray of float32, shape (N, n, n)
        1 where a pixel takes part, 0 elsewhere.
    row, col : ndarray of int, shape (N,)
        Middle pixels.
    dx, dy, flux : ndarray of float64, shape (N,)
        The fitted star, its place from the middle of the stamp.
    variance, gain : ndarray of float64, shape (N,)
        Of a pixel without the star, and what light adds per unit of it.
    """

    light: FloatImage
    shown: FloatImage
    row: NDArray[np.intp]
    col: NDArray[np.intp]
    dx: FloatArray
    dy: FloatArray
    flux: FloatArray
    variance: FloatArray
    gain: FloatArray

    @classmethod
    def of(
        cls,
        image: FloatImage,
        usable: NDArray[np.bool_],
        stars: FittedStars,
        chosen: NDArray[np.intp],
        *,
        psf: PointSpread,
        noise: FloatArray,
        gain: FloatArray,
    ) -> StarStamps:
        """Stamps of some stars of an image.

        Parameters
        ----------
        image, usable, psf
            As of `detectors.star_fit.fit_stars`.
        stars : FittedStars
            All of them.
        chosen : ndarray of int, shape (N,)
            Whose stamps are wanted.
        noise, gain : ndarray of float64, shape (N,)
            At these, as of `detectors.star_fit.fit_stars`.
        """
        h, w = image.shape
        half = psf.half_stamp_px
        places = np.column_stack([stars.x, stars.y])
        gap, _ = cKDTree(places[chosen]).query(places, distance_upper_bound=3.0 * half)
        near = stars.select(np.isfinite(gap))
        others = draw_stars(image.shape, near.x, near.y, near.flux, psf)
        own = stars.select(chosen)
        row = np.clip(np.rint(own.y), 0, h - 1).astype(np.intp)
        col = np.clip(np.rint(own.x), 0, w - 1).astype(np.intp)
        dx, dy = own.x - col, own.y - row
        drawn = psf.draw(dx, dy, half) * own.flux.astype(np.float32)[:, None, None]
        light = cut_stamps(image, row, col, half) - cut_stamps(others, row, col, half) + drawn
        shown = cut_stamps(usable, row, col, half).astype(bool)
        shown &= inside_image(image.shape, row, col, half)
        rest = (light - drawn) * shown
        variance = np.square(noise)
        lone = lone_pixels(rest, variance_of(drawn, variance, gain, LONE_MISMATCH))
        shown &= ~(lone & away_from_core(psf, dx, dy, half))
        return cls(
            light=light,
            shown=shown.astype(np.float32),
            row=row,
            col=col,
            dx=dx,
            dy=dy,
            flux=own.flux,
            variance=variance,
            gain=gain,
        )

    @property
    def half(self) -> int:
        """Pixels from the middle of a stamp to its side."""
        return self.light.shape[1] // 2

    def select(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> StarStamps:
        """Some of the stars."""
        return StarStamps(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def weight(self, drawn: FloatImage, mismatch: float) -> FloatImage:
        """Inverse variance of the pixels, which show so much of stars."""
        return np.asarray(self.shown / variance_of(drawn, self.variance, self.gain, mismatch))
