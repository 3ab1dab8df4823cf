"""Stars by SIFT key-points, as the streak paper finds them, and what makes stars of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from detectors.background import hot_pixels
from detectors.star_frame import StarFrame
from detectors.star_measures import described_stars, window_sums
from detectors.types import BoolImage, FloatArray, FloatImage, StarDetections
from detectors.windowed import cut_stamps

ONE_STAR_PX = 2.0  # key-points of several scales nearer than this are one star
LARGEST_KEYPOINT_PX = 24.0
GREY_PER_SIGMA, DARK_GREY = 12.0, 40.0
CENTROID_PASSES = 3


@dataclass(frozen=True, kw_only=True)
class Sift:
    """SIFT key-points, a radius each, verification and flux-weighted centroids.

    Attributes
    ----------
    min_snr : float
        Signal-to-noise ratio of the light within the radius that a star needs.
    layers : int
        SIFT's layers an octave.
    sigma : float
        Blur of its first layer.
    edge_ratio : float
        Greatest ratio of the principal curvatures.
    contrast : float
        Least contrast of a key-point.
    ring_sigma : float
        A ring whose mean is less than so many sigma of a pixel is dark: the star ends.
    largest_radius_px : float
        No star is larger.
    background_scale_px : float
        Size of the boxes in which the diffuse light is estimated.

    References
    ----------
    Lowe, D. G. (2004). Distinctive image features from scale-invariant keypoints. IJCV 60, 91-110.
    Farzaneh, S., et al. (2021), on streaks in frames of the iXon Ultra 888: stars are SIFT
    key-points there, with a radius that grows until no bright pixel is left outside.
    """

    min_snr: float = 5.0
    layers: int = 4
    sigma: float = 1.2
    edge_ratio: float = 10.0
    contrast: float = 0.02
    ring_sigma: float = 0.5
    largest_radius_px: float = 12.0
    background_scale_px: float = 64.0
    max_stars: int = 5000
    name: ClassVar[str] = "sift"

    def detect(
        self,
        light: NDArray[np.generic],
        mask: BoolImage | None = None,
        saturated: NDArray[np.generic] | None = None,
    ) -> StarDetections:
        """Find the stars of an image; see `detectors.types.StarDetector`."""
        frame = StarFrame.of(light, mask, saturated)
        if frame.is_blank:
            return StarDetections.empty()
        sky = frame.background(self.background_scale_px)
        above = np.where(frame.ignored, np.float32(0.0), frame.light - sky.level)
        above[hot_pixels(frame.light)] = 0.0
        x, y = self._keypoints(np.asarray(above / sky.noise, np.float32))
        if x.size == 0:
            return StarDetections.empty()
        noise = _at(sky.noise, x, y)
        radius = self._radii(above, x, y, noise)
        for _ in range(CENTROID_PASSES):
            sums = window_sums(above, x, y, radius, gaussian=False)
            x, y = x + np.clip(sums.dx, -1.0, 1.0), y + np.clip(sums.dy, -1.0, 1.0)
        sums = window_sums(above, x, y, radius, gaussian=False)
        stars = described_stars(frame, x, y, noise, sums)
        stars = stars.select(~_at(frame.ignored, stars.x, stars.y).astype(bool))
        return stars.select(_verified(stars, self.min_snr))

    def _keypoints(self, snr: FloatImage) -> tuple[FloatArray, FloatArray]:
        """Places of bright key-points, one a star, the strongest first."""
        # A root keeps faint stars and bright ones within 255 grey levels
        scaled = np.arcsinh(snr / 4.0) * np.float32(4.0 * GREY_PER_SIGMA / 4.0)
        grey = np.clip(np.rint(DARK_GREY + scaled), 0, 255).astype(np.uint8)
        sift = cv2.SIFT.create(
            0, self.layers, self.contrast, self.edge_ratio, self.sigma, cv2.CV_32F, True
        )
        points = [
            (point.response, *point.pt)
            for point in sift.detect(grey, None)
            if point.size < LARGEST_KEYPOINT_PX
        ]
        if not points:
            return np.zeros(0), np.zeros(0)
        strength, x, y = np.array(points, float).T
        h, w = snr.shape
        bright = (x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1)
        order = np.flatnonzero(bright)
        order = order[np.argsort(-strength[order], kind="stable")][: 4 * self.max_stars]
        # SIFT marks dark spots, too
        order = order[_at(cv2.blur(snr, (3, 3)), x[order], y[order]) > 1.0]
        x, y = x[order], y[order]
        keep = np.ones(x.size, bool)
        if x.size > 1:
            for one, other in cKDTree(np.column_stack([x, y])).query_pairs(ONE_STAR_PX):
                keep[max(one, other)] = False
        return x[keep][: self.max_stars], y[keep][: self.max_stars]

    def _radii(
        self, above: FloatImage, x: FloatArray, y: FloatArray, noise: FloatArray
    ) -> FloatArray:
        """Radius of each star: it grows until the ring outside is dark."""
        half = int(self.largest_radius_px) + 1
        row, col = np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)
        offsets = np.arange(-half, half + 1)
        ring = np.rint(np.hypot(offsets[:, None], offsets[None, :])).astype(int)
        member = (ring.ravel()[:, None] == np.arange(half + 1)).astype(np.float32)
        stamps = cut_stamps(above, row, col, half).reshape(x.size, -1)
        means = (stamps @ member) / member.sum(axis=0) / noise.astype(np.float32)[:, None]
        dark = means[:, 2:] < self.ring_sigma
        radius = np.where(dark.any(axis=1), dark.argmax(axis=1) + 1.5, self.largest_radius_px)
        # A ring that is brighter than the one within belongs to a neighbour
        rising = np.diff(means, axis=1)[:, 1:] > 0.5 * np.maximum(means[:, 1:-1], self.ring_sigma)
        first = np.where(rising.any(axis=1), rising.argmax(axis=1) + 1.5, np.inf)
        return np.asarray(np.minimum(radius, np.maximum(first, 1.5)), float)


def _verified(stars: StarDetections, min_snr: float) -> BoolImage:
    """What is bright, round and compact enough for a star, once each."""
    good = (stars.snr >= min_snr) & (stars.ellipticity < 0.6) & (stars.fwhm_px > 1.0)
    keep = good.copy()
    if len(stars) > 1:
        places = np.column_stack([stars.x, stars.y])
        for one, other in cKDTree(places).query_pairs(ONE_STAR_PX):
            keep[max(one, other)] = False
    return keep


def _at(image: NDArray[np.generic], x: FloatArray, y: FloatArray) -> FloatArray:
    """Values of an image at the pixels nearest to places."""
    row = np.clip(np.rint(y), 0, image.shape[0] - 1).astype(np.intp)
    col = np.clip(np.rint(x), 0, image.shape[1] - 1).astype(np.intp)
    return np.asarray(image[row, col], float)


# Stars by SIFT key-points, a radius each, and a frame without them.


# 8-bit grey levels of SIFT: 32 + 24 asinh(2 I), so that stars of half a sigma and of 56 count both
REMOVAL_DARK_GREY, STRETCH_GREY, LINEAR_SIGMA = 32.0, 24.0, 0.5
MARGIN_PX = 1.0  # removed beyond the last ring that is not dark
SMALLEST_RADIUS_PX = 1.5
# Where a streak lies on two sides (at its end on one), and a star of usual size no longer
ANNULUS_PX = (5.0, 12.0)
# Parts of a streak are about as bright as each other: pixels count from this share of the middle
# on, and fewer than so many of them are no arm of a streak
LEAST_SHARE, FEWEST_LIT = 0.25, 25
DARK_NOISES, NOISE_SAMPLES = 2.0, 50_000


@dataclass(frozen=True, kw_only=True)
class StarSettings:
    """Parameters of SIFT and of the radius.

    Attributes
    ----------
    layers : int
        SIFT's layers an octave.
    sigma : float
        Blur of its first layer.
    edge_ratio : float
        Greatest ratio of the principal curvatures.
    contrast : float
        Least contrast of a key-point.
    dark_sigma : float
        A ring with a median grey level below so many sigma of the sky is dark, or below twice the
        noise that diffusion left: the star ends.
    largest_radius_px : float
        No star is larger.
    longest_share : float
        Key-points around which the lit pixels lie along one direction more than this are parts of
        streaks: the length of the mean vector of doubled angles.
    most : int
        No more key-points, the strongest, are looked at.
    """

    layers: int = 4
    sigma: float = 1.55
    edge_ratio: float = 10.0
    contrast: float = 0.04
    dark_sigma: float = 0.3
    largest_radius_px: float = 24.0
    longest_share: float = 0.5
    most: int = 3000


@dataclass(frozen=True, kw_only=True)
class StarDiscs:
    """Round areas that stars light.

    Attributes
    ----------
    x, y, radius_px : ndarray of float64, shape (N,)
    """

    x: FloatArray
    y: FloatArray
    radius_px: FloatArray

    def __len__(self) -> int:
        return int(self.x.size)

    def covered(self, shape: tuple[int, ...]) -> BoolImage:
        """True at the pixels of an image that lie within a disc and its margin."""
        drawn = np.zeros(shape, np.uint8)
        for x, y, radius in zip(self.x, self.y, self.radius_px + MARGIN_PX, strict=True):
            centre = (round(16.0 * float(x)), round(16.0 * float(y)))
            cv2.circle(drawn, centre, round(16.0 * float(radius)), 1, cv2.FILLED, shift=4)
        return np.asarray(drawn > 0)


def find_stars(grey: FloatImage, settings: StarSettings = StarSettings()) -> StarDiscs:
    """Stars of a denoised image, and how far each reaches.

    Parameters
    ----------
    grey : ndarray of float32, shape (h, w)
        Light above the sky, in units of the sky's noise.
    settings : StarSettings, optional

    Returns
    -------
    StarDiscs

    References
    ----------
    Lowe, D. G. (2004). Distinctive image features from scale-invariant keypoints. IJCV 60, 91-110.
    """
    x, y = key_points(grey, settings)
    if x.size == 0:
        return StarDiscs(x=x, y=y, radius_px=x)
    half = int(settings.largest_radius_px) + 1
    row, col = np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)
    stamps = cut_stamps(grey, row, col, half)
    dark = max(settings.dark_sigma, DARK_NOISES * _noise(grey))
    star = _lies_around(stamps, dark) < settings.longest_share
    radius = _radii(stamps[star], settings, dark)
    lit = radius > 0.0
    return StarDiscs(x=x[star][lit], y=y[star][lit], radius_px=radius[lit])


def key_points(grey: FloatImage, settings: StarSettings) -> tuple[FloatArray, FloatArray]:
    """Places of SIFT's key-points, sub-pixel, the strongest first."""
    stretched = REMOVAL_DARK_GREY + STRETCH_GREY * np.arcsinh(grey / np.float32(LINEAR_SIGMA))
    levels = np.clip(np.rint(stretched), 0, 255).astype(np.uint8)
    # Without the precise upscale (the last argument) OpenCV's points lie 0.25 px off in x and y
    sift = cv2.SIFT.create(
        0, settings.layers, settings.contrast, settings.edge_ratio, settings.sigma, cv2.CV_32F, True
    )
    points = [(point.response, *point.pt) for point in sift.detect(levels, None)]
    if not points:
        return np.zeros(0), np.zeros(0)
    found = np.unique(np.array(points, float), axis=0)[::-1][: settings.most]
    h, w = grey.shape
    return np.clip(found[:, 1], 0.0, w - 1.0), np.clip(found[:, 2], 0.0, h - 1.0)


def _noise(grey: FloatImage) -> float:
    """What is left of the noise: half of what the middle two thirds of the pixels span."""
    low, high = np.quantile(grey.ravel()[:: max(1, grey.size // NOISE_SAMPLES)], (0.16, 0.84))
    return 0.5 * float(high - low)


def _radii(stamps: FloatImage, settings: StarSettings, dark_level: float) -> FloatArray:
    """The radius grows until the ring outside is dark; 0 where the middle is dark already.

    A ring's level is its median: a streak that crosses the ring does not light it.
    """
    half = stamps.shape[-1] // 2
    offsets = np.arange(-half, half + 1)
    ring = np.rint(np.hypot(offsets[:, None], offsets[None, :])).astype(int)
    reach = np.full(len(stamps), float(half))
    open_ = np.arange(len(stamps))
    for radius in range(half + 1):
        dark = np.median(stamps[open_][:, ring == radius], axis=1) < dark_level
        reach[open_[dark]] = radius
        open_ = open_[~dark]
        if open_.size == 0:
            break
    grown = np.clip(reach - 0.5, SMALLEST_RADIUS_PX, settings.largest_radius_px)
    return np.where(reach == 0.0, 0.0, grown)


def _lies_around(stamps: FloatImage, dark_level: float) -> FloatArray:
    """How much lit pixels around a middle lie along one line through it, 0 to 1."""
    half = stamps.shape[-1] // 2
    offsets = np.arange(-half, half + 1)
    distance = np.hypot(offsets[:, None], offsets[None, :])
    annulus = (distance >= ANNULUS_PX[0]) & (distance <= ANNULUS_PX[1])
    angle = 2.0 * np.arctan2(offsets[:, None], offsets[None, :])[annulus]
    middle = stamps[:, half - 1 : half + 2, half - 1 : half + 2].max(axis=(1, 2))
    lit = stamps[:, annulus] > np.maximum(LEAST_SHARE * middle, dark_level)[:, None]
    total = np.maximum(lit.sum(axis=1), FEWEST_LIT)
    return np.asarray(np.hypot(lit @ np.cos(angle), lit @ np.sin(angle)) / total, float)
