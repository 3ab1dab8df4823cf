"""Blobs as measured: in pixels of the image, with the noise they stand in."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from detectors.blob_peaks import Peaks
from detectors.scale_space import BASE_SIGMA
from detectors.types import FloatArray
from detectors.windowed import FittedBlobs

HALF_LIGHT_SIGMAS = 1.17741  # half-light radius of a round Gaussian, sqrt(2 ln 2)
NARROWEST_SIGMA_PX = 0.5  # the pixel itself blurs by 0.3, no lens by less than 0.4
# A light this close to a finer one, in its radii, that holds this much of its flux, is its wings
ECHO_RADII, ECHO_FLUX = 0.5, 0.25


@dataclass(frozen=True, kw_only=True)
class MeasuredLights:
    """Measured lights, in pixels of the image.

    ``noise`` is the white noise per pixel between the lights there, ``own_noise`` the same under
    the light.
    """

    x: FloatArray
    y: FloatArray
    flux: FloatArray
    moments: FloatArray
    noise: FloatArray
    own_noise: FloatArray

    @classmethod
    def none(cls) -> MeasuredLights:
        """No light at all."""
        n = np.zeros(0)
        return cls(x=n, y=n, flux=n, moments=np.zeros((0, 2, 2)), noise=n, own_noise=n)

    @classmethod
    def from_octave(
        cls,
        peaks: Peaks,
        fitted: FittedBlobs,
        *,
        step: int,
        noise: FloatArray,
        own_noise: FloatArray,
    ) -> MeasuredLights:
        """Undo the octave's blur and scale; where a fit ran away the peak stands."""
        values, vectors = np.linalg.eigh(fitted.moments - BASE_SIGMA**2 * np.eye(2))
        values = np.maximum(values, (NARROWEST_SIGMA_PX / step) ** 2)
        return cls(
            x=np.where(fitted.settled, fitted.x, peaks.x) * step,
            y=np.where(fitted.settled, fitted.y, peaks.y) * step,
            flux=fitted.flux * step**2,
            moments=np.einsum("nij,nj,nkj->nik", vectors, values, vectors) * step**2,
            noise=noise,
            own_noise=own_noise,
        )

    @property
    def sigma_px(self) -> FloatArray:
        """Sigma of the round Gaussian of the same area."""
        return np.asarray(np.linalg.det(self.moments) ** 0.25)

    @property
    def radius_px(self) -> FloatArray:
        """Half-light radius."""
        return HALF_LIGHT_SIGMAS * self.sigma_px

    @property
    def signal(self) -> FloatArray:
        """What a matched filter sees: the signal-to-noise ratio in noise of one per pixel."""
        return self.flux / (np.sqrt(4.0 * np.pi) * self.sigma_px)

    def echoes(self) -> NDArray[np.bool_]:
        """Wings of lights found before, which no Gaussian takes away: larger, fainter, concentric.

        Lights stand in the order they were found, from the finest octave to the largest.
        """
        places = np.column_stack([self.x, self.y])
        echo = np.zeros(self.x.size, bool)
        if self.x.size < 2:
            return echo
        near = cKDTree(places).query_ball_point(places, ECHO_RADII * self.radius_px)
        for i, others in enumerate(near):
            echo[i] = any(j < i and self.flux[j] >= ECHO_FLUX * self.flux[i] for j in others)
        return echo

    def select(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> MeasuredLights:
        """Some of the lights, by index or boolean mask."""
        return MeasuredLights(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    @classmethod
    def joined(cls, parts: list[MeasuredLights]) -> MeasuredLights:
        """The lights of all parts, one after the other."""
        names = [f.name for f in fields(cls)]
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})
