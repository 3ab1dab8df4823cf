"""Proof against chance that the photo's towns lie where the camera puts the map's.

Every town of the photo either meets a town of the map or not. What chance alone would give is
measured on the photo itself, for each town: how often does it meet one when the map's towns are
shifted by many different amounts? The rest is Bayes' rule for one hypothesis against chance.

References
----------
Lang, D., Hogg, D. W., Mierle, K., Blanton, M., Roweis, S. (2010). Astrometry.net: blind
astrometric calibration of arbitrary astronomical images. AJ 139, 1782-1800, section 2.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.spatial import cKDTree

from detectors.types import FloatArray, FloatImage, IndexArray

# Photo towns agree with the map's to about half of this scale on five hand-checked photographs
SCALE_PX = 2.5
OUTER_RATIO = 2.5
# A rise of 5 % in light against the surroundings
LEAST_CONTRAST = 0.02

MEETING_PX = 1.5 * SCALE_PX
# Share of a photo's towns that the map confirms under the right camera: half of them in clear
# frames (quartiles 0.44, 0.55 and 0.64 of 92 simulated ones), far fewer where clouds, reflections
# and boats are taken for towns. Each of these is tried, with as many of the strongest towns
SHARES_MET = (0.15, 0.25, 0.4, 0.55, 0.7)
STRONGEST = (40, 10_000)
# Towns that agree are never taken as rarer than this by chance: the map's and the photo's towns
# are both strung along roads and coasts
LEAST_CHANCE = 0.02
SHIFTS = 160
SHORTEST_SHIFT_PX = 4.0 * SCALE_PX
LONGEST_SHIFT_PX = 24.0 * SCALE_PX

# Blocks along each side of each of the four surfaces: 64 extreme values
BLOCKS = 4
EULER_GAMMA = 0.5772156649
# Where the view is emptier than this share of its mean variance, anything would correlate
LEAST_VARIANCE = 0.1
LEAST_SCALE = 1e-3


@dataclass(frozen=True, kw_only=True)
class Towns:
    """Positions (pixels) and contrast of towns, the strongest first; each shape (n,)."""

    x: FloatArray
    y: FloatArray
    contrast: FloatArray

    def __len__(self) -> int:
        return len(self.x)

    @property
    def positions(self) -> FloatArray:
        """Positions as an array of shape (n, 2)."""
        return np.stack([self.x, self.y], axis=-1)

    def chosen(self, which: IndexArray) -> Towns:
        """Some of the towns, by index."""
        return Towns(x=self.x[which], y=self.y[which], contrast=self.contrast[which])


def find_towns(
    log_light: FloatImage, weight: FloatImage | None, count: int, scale_px: float = SCALE_PX
) -> Towns:
    """Local maxima of a log-light image after a difference of Gaussians, sub-pixel.

    Parameters
    ----------
    weight : ndarray of float32, shape (h, w), or None
        0 where nothing counts.
    scale_px : float
        Sigma of the inner Gaussian.
    """
    inner = cv2.GaussianBlur(log_light, (0, 0), scale_px)
    if weight is None:
        band = inner - cv2.GaussianBlur(log_light, (0, 0), scale_px * OUTER_RATIO)
    else:
        lit = cv2.GaussianBlur(log_light * weight, (0, 0), scale_px * OUTER_RATIO)
        counted = cv2.GaussianBlur(weight, (0, 0), scale_px * OUTER_RATIO)
        band = inner - lit / np.maximum(counted, 1e-3)
    side = 2 * int(np.ceil(1.5 * scale_px)) + 1
    peak = (band >= cv2.dilate(band, np.ones((side, side)))) & (band > LEAST_CONTRAST)
    if weight is not None:
        peak &= weight > 0.5
    border = 2
    peak[:border] = peak[-border:] = False
    peak[:, :border] = peak[:, -border:] = False
    i, j = np.nonzero(peak)
    order = np.argsort(-band[i, j], kind="stable")[:count]
    i, j = i[order], j[order]
    return Towns(
        x=j + _vertex(band[i, j - 1], band[i, j], band[i, j + 1]),
        y=i + _vertex(band[i - 1, j], band[i, j], band[i + 1, j]),
        contrast=band[i, j].astype(float),
    )


def _vertex(before: FloatImage, here: FloatImage, after: FloatImage) -> FloatArray:
    """Where the parabola through three samples peaks, relative to the middle one."""
    curvature = np.minimum(after - 2.0 * here + before, -1e-9).astype(float)
    return np.clip(-0.5 * (after - before) / curvature, -1.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What the towns say.

    Attributes
    ----------
    towns, met : int
        Towns of the photo that could be met, and those that were.
    chance : float
        Mean share that meets by chance.
    log10_odds : float
        Of "this camera" against "chance", the number of cameras tried not yet counted.
    met_towns : ndarray of int
        Indices of the photo's towns that met.
    residual_px : float
        Median distance of those that met.
    """

    towns: int
    met: int
    chance: float
    log10_odds: float
    met_towns: IndexArray
    residual_px: float


def chance_shifts() -> FloatArray:
    """Shifts (pixels) spread over a ring by the golden angle; shape (n, 2)."""
    k = np.arange(SHIFTS)
    angle = k * np.pi * (3.0 - np.sqrt(5.0))
    inner, outer = SHORTEST_SHIFT_PX**2, LONGEST_SHIFT_PX**2
    radius = np.sqrt(inner + (k + 0.5) / SHIFTS * (outer - inner))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def prove(photo: Towns, view: Towns) -> Proof:
    """Weigh the meeting of photo towns and map towns, in the same pixels, against chance."""
    if len(photo) == 0 or len(view) == 0:
        none = np.zeros(0, np.intp)
        return Proof(
            towns=len(photo), met=0, chance=0.0, log10_odds=0.0, met_towns=none, residual_px=np.inf
        )
    tree = cKDTree(view.positions)
    distance = tree.query(photo.positions)[0]
    met = distance < MEETING_PX
    shifted = photo.positions[None, :, :] + chance_shifts()[:, None, :]
    by_chance = tree.query(shifted)[0] < MEETING_PX  # shifts x towns
    chance = (by_chance.sum(axis=0) + 1.0) / (SHIFTS + 2.0)
    chance = np.maximum(0.5 * (chance + chance.mean()), LEAST_CHANCE)
    odds, luckiest = -np.inf, 0.0
    for count, share in product(STRONGEST, SHARES_MET):
        part = slice(None, count)
        expected = np.maximum(share, chance[part])
        if_met = np.log10(expected / chance[part])
        if_not = np.log10((1 - expected) / (1 - chance[part]))
        odds = max(odds, float(np.where(met[part], if_met, if_not).sum()))
        # Towns strung along one road or coast meet together or not at all: what the luckiest
        # shift reaches as a whole is no proof
        shifted_odds = np.where(by_chance[:, part], if_met, if_not).sum(axis=1)
        luckiest = max(luckiest, float(shifted_odds.max()))
    odds -= float(np.log10(len(STRONGEST) * len(SHARES_MET)))
    return Proof(
        towns=len(photo),
        met=int(met.sum()),
        chance=float(chance.mean()),
        log10_odds=odds - luckiest,
        met_towns=np.flatnonzero(met),
        residual_px=float(np.median(distance[met])) if met.any() else np.inf,
    )


def picture_log10_odds(
    photo: FloatImage, view: FloatImage, weight: FloatImage, nearest_px: float
) -> float:
    """How much less than once a wrong place would be expected to agree so well.

    Parameters
    ----------
    photo, view : ndarray of float32, shape (h, w)
        Photo and rendered map without broad structure, their contrast evened.
    weight : ndarray of float32, shape (h, w)
        What of the photo counts, 0 to 1.
    nearest_px : float
        Shifts shorter than this are no other places.

    Returns
    -------
    float
        Decimal logarithm of 1 / (chance that one shift does as well); 0 where either picture is
        empty.
    """
    surfaces = displaced_correlations(photo, view, weight)
    height, width = photo.shape
    down = np.minimum(np.arange(height), height - np.arange(height))
    across = np.minimum(np.arange(width), width - np.arange(width))
    here = float(surfaces[0, 0, 0])
    surfaces[0][np.hypot(down[:, None], across) <= nearest_px] = -np.inf
    highest = np.array(
        [
            block.max()
            for surface in surfaces
            for rows in np.array_split(surface, BLOCKS)
            for block in np.array_split(rows, BLOCKS, axis=1)
            if block.size
        ]
    )
    highest = highest[np.isfinite(highest)]
    if not highest.any():
        return 0.0
    scale = max(float(highest.std()) * np.sqrt(6.0) / np.pi, LEAST_SCALE)
    mode = float(highest.mean()) - EULER_GAMMA * scale
    shifts_per_block = height * width / BLOCKS**2
    return float((here - mode) / scale / np.log(10.0) + np.log10(shifts_per_block))


def displaced_correlations(photo: FloatImage, view: FloatImage, weight: FloatImage) -> FloatArray:
    """Correlation of a photo with a view at every shift on a torus, and with its reflections."""
    total = max(float(weight.sum()), 1e-9)
    centred = photo - float((weight * photo).sum()) / total
    spread = float((weight * centred**2).sum())
    if spread < 1e-9:
        return np.zeros((4, *photo.shape))
    of_photo, of_weight = np.conj(fft.rfft2(weight * centred)), np.conj(fft.rfft2(weight))

    def swept(image: FloatImage, kernel: NDArray[np.complex128]) -> FloatArray:
        return np.asarray(fft.irfft2(fft.rfft2(image) * kernel, image.shape), float)

    found = np.empty((4, *photo.shape))
    for k, turned in enumerate((view, view[::-1], view[:, ::-1], view[::-1, ::-1])):
        variance = swept(turned**2, of_weight) - swept(turned, of_weight) ** 2 / total
        least = max(LEAST_VARIANCE * float(variance.mean()), 1e-9)
        found[k] = swept(turned, of_photo) / np.sqrt(np.maximum(variance, least) * spread)
    return found
