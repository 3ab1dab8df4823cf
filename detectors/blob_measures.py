"""Blobs as measured: in pixels of the image, with the noise they stand in."""

from __future__ import annotations

from dataclasses import dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from detectors.blobs import Peaks
from detectors.scale_space import BASE_SIGMA
from detectors.types import BoolImage, FloatArray, IndexArray, LightFlag
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

    def echoes(self) -> BoolImage:
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

    def select(self, index: IndexArray | BoolImage) -> MeasuredLights:
        """Some of the lights, by index or boolean mask."""
        return MeasuredLights(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    @classmethod
    def joined(cls, parts: list[MeasuredLights]) -> MeasuredLights:
        """The lights of all parts, one after the other."""
        names = [f.name for f in fields(cls)]
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


# Clipped areas, and the flags that lights carry.

RIM_PX = 1  # a clipped area's rim is bright by blur, not by a light of its own
# Two lights are blended where they lie closer than this many times the sum of their radii: at
# half-light radii r the light of each has fallen to 1/16 half-way between them
BLENDED_RADII = 2.0


@dataclass(frozen=True, kw_only=True)
class ClippedAreas:
    """Connected clipped pixels with a rim; label 0 is none."""

    labels: NDArray[np.int32]
    half_sides_px: FloatArray

    @classmethod
    def of(cls, clipped: BoolImage) -> ClippedAreas:
        """Label the clipped pixels of an image."""
        if not clipped.any():
            return cls(labels=np.zeros(clipped.shape, np.int32), half_sides_px=np.zeros(1))
        _, labels, stats, _ = cv2.connectedComponentsWithStats(_grown(clipped, RIM_PX))
        sides = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
        half = 0.5 * sides.astype(float) - RIM_PX
        half[0] = 0.0
        return cls(labels=np.asarray(labels, np.int32), half_sides_px=half)

    def half_side_px(self, row: IndexArray, col: IndexArray) -> FloatArray:
        """Half of the longer side of the clipped area at pixels; 0 outside."""
        return self.half_sides_px[self.labels[row, col]]

    def larger_than(self, half_side_px: float) -> BoolImage:
        """Pixels of areas of which half of the longer side exceeds this."""
        large = self.half_sides_px > half_side_px
        if not large.any():
            return np.zeros(self.labels.shape, bool)
        return large[self.labels]


def light_flags(
    x: FloatArray, y: FloatArray, radius_px: FloatArray, ignored: BoolImage, clipped: BoolImage
) -> NDArray[np.uint8]:
    """Bits of `detectors.types.LightFlag` of lights inside an image."""
    h, w = ignored.shape
    row, col = np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)
    saturated = _grown(clipped, 1)[row, col] > 0
    to_border = np.minimum.reduce([x, y, w - 1 - x, h - 1 - y])
    if ignored.any():
        to_ignored = cv2.distanceTransform((~ignored).astype(np.uint8), cv2.DIST_L2, 3)
        to_border = np.minimum(to_border, to_ignored[row, col] - 1.0)
    edge = to_border < radius_px
    blended = np.zeros(x.size, bool)
    if x.size > 1:
        places = np.column_stack([x, y])
        gap, nearest = cKDTree(places).query(places, k=2)
        reach = BLENDED_RADII * (radius_px + radius_px[nearest[:, 1]])
        blended = gap[:, 1] < reach
    return (
        saturated * np.uint8(LightFlag.SATURATED)
        + edge * np.uint8(LightFlag.EDGE)
        + blended * np.uint8(LightFlag.BLENDED)
    ).astype(np.uint8)


def _grown(mask: BoolImage, by_px: int) -> NDArray[np.uint8]:
    size = 2 * by_px + 1
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((size, size), np.uint8)))
