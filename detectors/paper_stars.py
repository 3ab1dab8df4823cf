"""Stars of a frame, by SIFT key-points, as the streak paper takes them away: a disc each."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from detectors.stamps import cut_stamps
from detectors.types import BoolImage, FloatArray, FloatImage

# 8-bit grey levels of SIFT: 32 + 24 asinh(2 I), so that stars of half a sigma and of 56 count both
DARK_GREY, STRETCH_GREY, LINEAR_SIGMA = 32.0, 24.0, 0.5
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
    """Parameters of SIFT and of the radius."""

    layers: int = 4  # SIFT's layers an octave
    sigma: float = 1.55  # blur of its first layer
    edge_ratio: float = 10.0  # greatest ratio of the principal curvatures
    contrast: float = 0.04  # least contrast of a key-point
    # A ring with a median grey level below so many sigma of the sky is dark, or below twice the
    # noise that diffusion left: the star ends
    dark_sigma: float = 0.3
    largest_radius_px: float = 24.0  # no star is larger
    # Key-points around which the lit pixels lie along one direction more than this are parts of
    # streaks: the length of the mean vector of doubled angles
    longest_share: float = 0.5
    most: int = 3000  # no more key-points, the strongest, are looked at


@dataclass(frozen=True, kw_only=True)
class StarDiscs:
    """Round areas that stars light."""

    # x, y, radius_px, (N,)
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

    `grey` (h, w): light above the sky, in units of the sky's noise.

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
    stretched = DARK_GREY + STRETCH_GREY * np.arcsinh(grey / np.float32(LINEAR_SIGMA))
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
