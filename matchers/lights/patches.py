"""Local agreement of photo and map: small patches, each moved to where it fits best."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from detectors.types import BoolArray, FloatArray, FloatImage, IndexArray

LEAST_NCC = 0.35  # patches whose best correlation is lower hold no usable texture


@dataclass(frozen=True, kw_only=True)
class PatchMatches:
    """Where patches of the rendered map lie in the photo.

    x, y: Patch centres in the rendered view, pixels, shape (n,).
    dx, dy: Photo position minus view position, pixels, sub-pixel, shape (n,).
    covariance: Of (dx, dy), from the peak's height and curvature, shape (n, 2, 2).
    ncc: Correlation at the peak, shape (n,).
    size_px: Side of the patches.
    """

    x: FloatArray
    y: FloatArray
    dx: FloatArray
    dy: FloatArray
    covariance: FloatArray
    ncc: FloatArray
    size_px: int

    def __len__(self) -> int:
        return len(self.x)

    def chosen(self, which: BoolArray | IndexArray) -> PatchMatches:
        """Some of the matches, by mask or index."""
        columns = {name: column for name, column in vars(self).items() if name != "size_px"}
        return PatchMatches(
            size_px=self.size_px, **{name: column[which] for name, column in columns.items()}
        )

    @property
    def overlap(self) -> FloatArray:
        """Share of their area that every two patches have in common, shape (n, n).

        So much of their errors they have in common, too: over 19 frames of the training half the
        residuals of patches that overlap by 0.9, 0.6, 0.4 and 0.1 correlated by 0.7, 0.5, 0.3 and
        0.1.
        """
        across = 1.0 - np.abs(self.x[:, None] - self.x[None]) / self.size_px
        down = 1.0 - np.abs(self.y[:, None] - self.y[None]) / self.size_px
        return np.asarray(np.maximum(across, 0.0) * np.maximum(down, 0.0))


def measure_texture(view: FloatImage, weight: FloatImage, size_px: int) -> FloatImage:
    """How well a patch about each pixel of a view can be told from its neighbours; 0 where hidden.

    References
    ----------
    Shi, J., Tomasi, C. (1994). Good features to track. CVPR, 593-600.
    """
    strength = np.asarray(cv2.cornerMinEigenVal(view, size_px, ksize=3))
    return np.asarray(strength * (cv2.erode(weight, np.ones((size_px, size_px))) > 0.5))


def choose_patches(
    texture: FloatImage, size_px: int, cells: tuple[int, int], reach_px: int
) -> IndexArray:
    """The best-textured place (x, y) of every cell of a grid laid over a view, strongest first.

    Cells count across and down; patches stay ``reach_px``, which they may move, inside the frame.
    """
    height, width = texture.shape
    border = size_px // 2 + reach_px + 1
    floor = 1e-6 + 1e-3 * float(np.percentile(texture, 99.5))
    found = []
    for rows in np.array_split(np.arange(border, height - border), cells[1]):
        for cols in np.array_split(np.arange(border, width - border), cells[0]):
            if len(rows) == 0 or len(cols) == 0:
                continue
            part = texture[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
            i, j = divmod(int(np.argmax(part)), part.shape[1])
            if part[i, j] > floor:
                found.append((float(part[i, j]), int(cols[0]) + j, int(rows[0]) + i))
    found.sort(reverse=True)
    return np.array([(x, y) for _, x, y in found], np.intp).reshape(-1, 2)


def match_patches(
    photo: FloatImage, view: FloatImage, centres: IndexArray, size_px: int, reach_px: int
) -> PatchMatches:
    """Find patches of the rendered map in the photo by normalised correlation.

    Parameters
    ----------
    photo, view : ndarray of float32, shape (h, w)
        Photo's light image and the map rendered through the camera.
    centres : ndarray of int, shape (n, 2)
        Patch centres (x, y) in the view, at least ``size_px // 2 + reach_px`` inside.

    Returns
    -------
    PatchMatches
        Those with a peak inside the reach, `LEAST_NCC` high and curved both ways.
    """
    half = size_px // 2
    rows = []
    for x, y in centres:
        patch = view[y - half : y + half + 1, x - half : x + half + 1]
        area = photo[
            y - half - reach_px : y + half + reach_px + 1,
            x - half - reach_px : x + half + reach_px + 1,
        ]
        if min(cv2.meanStdDev(patch)[1][0, 0], cv2.meanStdDev(area)[1][0, 0]) < 1e-4:
            continue
        surface = np.asarray(cv2.matchTemplate(area, patch, cv2.TM_CCOEFF_NORMED), np.float32)
        # Blurred images hold one independent sample in about 3 x 3 px
        peak = sub_pixel_peak(surface, patch.size / 9.0)
        if peak is not None and peak[0] >= LEAST_NCC:
            ncc, px, py, spread = peak
            rows.append((x, y, px - reach_px, py - reach_px, *spread, ncc))
    x, y, dx, dy, xx, xy, yy, height = np.array(rows, float).reshape(-1, 8).T
    covariance = np.stack([xx, xy, xy, yy], axis=-1).reshape(-1, 2, 2)
    return PatchMatches(x=x, y=y, dx=dx, dy=dy, covariance=covariance, ncc=height, size_px=size_px)


def sub_pixel_peak(
    surface: FloatImage, samples: float
) -> tuple[float, float, float, tuple[float, float, float]] | None:
    """Highest point of a correlation surface, by a quadratic through its 3 x 3 surroundings.

    The variance of the place follows from the peak: correlation ``r`` leaves a noise of
    ``(1 - r^2)`` in ``samples`` independent samples, so the surface wavers by that over
    ``samples``, and the place by that times the inverse curvature.
    """
    i, j = divmod(int(np.argmax(surface)), surface.shape[1])
    if not (0 < i < surface.shape[0] - 1 and 0 < j < surface.shape[1] - 1):
        return None
    s = surface[i - 1 : i + 2, j - 1 : j + 2].astype(float)
    gx, gy = (s[1, 2] - s[1, 0]) / 2.0, (s[2, 1] - s[0, 1]) / 2.0
    hxx, hyy = s[1, 2] - 2 * s[1, 1] + s[1, 0], s[2, 1] - 2 * s[1, 1] + s[0, 1]
    hxy = (s[2, 2] - s[2, 0] - s[0, 2] + s[0, 0]) / 4.0
    determinant = hxx * hyy - hxy * hxy
    if hxx >= 0.0 or hyy >= 0.0 or determinant <= 1e-12:
        return None
    dx = -(hyy * gx - hxy * gy) / determinant
    dy = -(hxx * gy - hxy * gx) / determinant
    if abs(dx) > 1.0 or abs(dy) > 1.0:
        return None
    r = min(float(s[1, 1]), 0.999)
    factor = (1.0 - r * r) / samples / max(r, 0.05) / determinant
    return r, j + dx, i + dy, (-factor * hyy, factor * hxy, -factor * hxx)


def groups_of(view: FloatImage, matches: PatchMatches) -> IndexArray:
    """Number of every patch's group, from 0 on; patches of a group show the same light.

    One lone town lies in as many patches as overlap it, and all of them say where that town is. The
    first patch of a group leads it; the others' lights, where their structure lies, are near the
    leader's.
    """
    half = matches.size_px // 2
    square = cv2.Sobel(view, cv2.CV_32F, 1, 0) ** 2 + cv2.Sobel(view, cv2.CV_32F, 0, 1) ** 2
    offset = np.mgrid[-half : half + 1, -half : half + 1][::-1]  # x, y
    centres = np.stack([matches.x, matches.y], axis=-1)
    leaders: list[int] = []
    groups = np.empty(len(matches), np.intp)
    for k, (x, y) in enumerate(centres.astype(int)):
        inside = square[y - half : y + half + 1, x - half : x + half + 1]
        total = float(inside.sum())
        if total > 0.0:
            centres[k] += (inside * offset).sum(axis=(1, 2)) / total
        away = np.linalg.norm(centres[leaders] - centres[k], axis=1)
        # Patches whose lights are nearer to each other than half a side show the same
        if not leaders or away.min() >= 0.5 * matches.size_px:
            leaders.append(k)
            groups[k] = len(leaders) - 1
        else:
            groups[k] = np.argmin(away)
    return groups
