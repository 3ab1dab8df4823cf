"""Patches of photo and rendered map: normalised cross-correlation, and cameras fitted to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from detectors.types import BoolArray, Columns, FloatArray, FloatImage, IndexArray
from matchers.geometry.camera import Camera
from matchers.geometry.pose import PosePrior, fit_pose, make_whitening

# Minimum peak correlation (by eye); patches below it do not have usable texture
MIN_NCC = 0.35


@dataclass(frozen=True, kw_only=True)
class PatchMatches(Columns):
    """Matches of patches of the rendered map in the photo.

    x, y: Patch centres in the rendered view, pixels, shape (n,).
    dx, dy: Photo position minus view position, subpixel, in pixels, shape (n,).
    covariance: Covariance of (dx, dy) from height and curvature of the peak, shape (n, 2, 2).
    ncc: Correlation at the peak, shape (n,).
    size_px: Side of the patches.
    """

    of_image = ("size_px",)

    x: FloatArray
    y: FloatArray
    dx: FloatArray
    dy: FloatArray
    covariance: FloatArray
    ncc: FloatArray
    size_px: int

    @property
    def centres(self) -> IndexArray:
        """Pixels (x, y) of the patch centres in the view, shape (n, 2)."""
        return np.stack([self.x, self.y], axis=-1).astype(np.intp)

    @property
    def overlap(self) -> FloatArray:
        """Fraction of area shared by each pair of patches, shape (n, n).

        It approximates the correlation of their errors.
        """
        across = 1.0 - np.abs(self.x[:, None] - self.x[None]) / self.size_px
        down = 1.0 - np.abs(self.y[:, None] - self.y[None]) / self.size_px
        return np.asarray(np.maximum(across, 0.0) * np.maximum(down, 0.0))


def measure_texture(view: FloatImage, weight: FloatImage, size_px: int) -> FloatImage:
    """Compute the texture strength (minimum eigenvalue) around each pixel; 0 for masked patches.

    References
    ----------
    Shi, J., Tomasi, C. (1994). Good features to track. CVPR, 593-600.
    """
    strength = np.asarray(cv2.cornerMinEigenVal(view, size_px, ksize=3))
    return np.asarray(strength * (cv2.erode(weight, np.ones((size_px, size_px))) > 0.5))


def count_cells(along: int, shape: tuple[int, ...]) -> tuple[int, int]:
    """Number of grid cells across and down an image (h, w), given that along its long side."""
    height, width = shape
    longest = max(shape)
    return max(2, round(along * width / longest)), max(2, round(along * height / longest))


def choose_patches(
    texture: FloatImage, size_px: int, cells: tuple[int, int], reach_px: int
) -> IndexArray:
    """Choose the position (x, y) with the strongest texture in each grid cell, strongest first.

    ``cells`` is the number across and down. Patches are inside the frame with a margin of
    ``reach_px``, the maximum displacement.
    """
    height, width = texture.shape
    border = size_px // 2 + reach_px + 1
    floor = 1e-6 + 1e-3 * float(np.percentile(texture, 99.5))  # by eye: excludes dark cells
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
    """Match patches of the rendered map in the photo: `correlate_patches`, then `find_peaks`."""
    surfaces = correlate_patches(photo, view, centres, size_px, reach_px)
    return find_peaks(surfaces, centres, size_px, reach_px)[0]


def correlate_patches(
    photo: FloatImage, view: FloatImage, centres: IndexArray, size_px: int, reach_px: int
) -> FloatImage:
    """Correlate patches of the rendered map with the photo around them (normalised correlation).

    Patch centres (n, 2), x and y in the view, are at least ``size_px // 2 + reach_px`` inside.
    Returns the correlation by displacement, shape (n, 2 reach_px + 1, 2 reach_px + 1), with zero
    displacement at the centre; all 0 if either image is constant.
    """
    half, far = size_px // 2, size_px // 2 + reach_px
    surfaces = np.zeros((len(centres), 2 * reach_px + 1, 2 * reach_px + 1), np.float32)
    for surface, (x, y) in zip(surfaces, centres, strict=True):
        patch = view[y - half : y + half + 1, x - half : x + half + 1]
        area = photo[y - far : y + far + 1, x - far : x + far + 1]
        if min(cv2.meanStdDev(patch)[1][0, 0], cv2.meanStdDev(area)[1][0, 0]) >= 1e-4:
            surface[:] = cv2.matchTemplate(area, patch, cv2.TM_CCOEFF_NORMED)
    return surfaces


def find_peaks(
    surfaces: FloatImage, centres: IndexArray, size_px: int, reach_px: int
) -> tuple[PatchMatches, IndexArray]:
    """Find peaks of correlation surfaces (n, k, k) within a maximum displacement.

    Only the centre of wider surfaces is used, see `correlate_patches`. Matches have a peak of at
    least `MIN_NCC` inside the surface, concave in both directions. Returned with the indices of
    their patches.
    """
    rim = surfaces.shape[1] // 2 - reach_px
    middle = surfaces[:, rim : rim + 2 * reach_px + 1, rim : rim + 2 * reach_px + 1]
    # Blurred images have one independent sample per about 3 x 3 px
    index, ncc, px, py, covariance = locate_peaks(middle, (size_px // 2 * 2 + 1) ** 2 / 9.0)
    high = ncc >= MIN_NCC
    index = index[high]
    x, y = centres[index].T.astype(float)
    matches = PatchMatches(
        x=x,
        y=y,
        dx=px[high] - reach_px,
        dy=py[high] - reach_px,
        covariance=covariance[high],
        ncc=ncc[high],
        size_px=size_px,
    )
    return matches, index


def locate_peaks(
    surfaces: FloatImage, samples: float
) -> tuple[IndexArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Locate peaks of correlation surfaces by fitting quadratics to their 3 x 3 neighbourhood.

    The variance of the position follows from the peak. A correlation ``r`` leaves a noise variance
    of ``(1 - r^2)`` in ``samples`` independent samples. The surface has this noise divided by
    ``samples``, and the position has that times the inverse curvature.

    Returns the indices of the m surfaces with a peak away from the border, concave in both
    directions; its height, at most 0.999, x and y; and the covariance of the position, shape (m, 2,
    2).
    """
    count, height, width = surfaces.shape
    index = np.arange(count)
    i, j = np.divmod(surfaces.reshape(count, height * width).argmax(axis=1), width)
    inside = (i > 0) & (i < height - 1) & (j > 0) & (j < width - 1)
    index, i, j = index[inside], i[inside], j[inside]
    around = np.arange(-1, 2)
    rows, columns = (i[:, None] + around)[:, :, None], (j[:, None] + around)[:, None, :]
    s = np.moveaxis(surfaces[index[:, None, None], rows, columns].astype(float), 0, -1)
    gx, gy = (s[1, 2] - s[1, 0]) / 2.0, (s[2, 1] - s[0, 1]) / 2.0
    hxx, hyy = s[1, 2] - 2 * s[1, 1] + s[1, 0], s[2, 1] - 2 * s[1, 1] + s[0, 1]
    hxy = (s[2, 2] - s[2, 0] - s[0, 2] + s[0, 0]) / 4.0
    determinant = hxx * hyy - hxy * hxy
    curved = (hxx < 0.0) & (hyy < 0.0) & (determinant > 1e-12)
    safe = np.where(curved, determinant, 1.0)
    dx, dy = -(hyy * gx - hxy * gy) / safe, -(hxx * gy - hxy * gx) / safe
    found = curved & (np.abs(dx) <= 1.0) & (np.abs(dy) <= 1.0)
    r = np.minimum(s[1, 1], 0.999)
    factor = (1.0 - r * r) / samples / np.maximum(r, 0.05) / safe
    covariance = np.stack([-factor * hyy, factor * hxy, factor * hxy, -factor * hxx], axis=-1)
    return (
        index[found],
        r[found],
        (j + dx)[found],
        (i + dy)[found],
        covariance.reshape(-1, 2, 2)[found],
    )


def group_patches(view: FloatImage, centres: IndexArray, size_px: int) -> IndexArray:
    """Group patches that show the same light; return a group number, from 0, for each patch.

    An isolated town is in all patches that overlap it, so their matches are not independent. The
    light of a patch is at the centroid of its gradient energy. Each group has a leader, its first
    patch; the lights of the others are near that of the leader.
    """
    half = size_px // 2
    square = cv2.Sobel(view, cv2.CV_32F, 1, 0) ** 2 + cv2.Sobel(view, cv2.CV_32F, 0, 1) ** 2
    offset = np.mgrid[-half : half + 1, -half : half + 1][::-1]  # x, y
    lights = np.array(centres, float)
    leaders: list[int] = []
    groups = np.empty(len(centres), np.intp)
    for k, (x, y) in enumerate(centres):
        inside = square[y - half : y + half + 1, x - half : x + half + 1]
        total = float(inside.sum())
        if total > 0.0:
            lights[k] += (inside * offset).sum(axis=(1, 2)) / total
        away = np.linalg.norm(lights[leaders] - lights[k], axis=1)
        # Lights closer to each other than half a patch side are the same
        if not leaders or away.min() >= 0.5 * size_px:
            leaders.append(k)
            groups[k] = len(leaders) - 1
        else:
            groups[k] = np.argmin(away)
    return groups


# Minimum error of a match, one sigma per axis (by eye), and number of matches that a fit needs: the
# pose has seven unknowns without lens, and each match gives two equations
FLOOR_PX = 0.25
MIN_MATCHES = 4


@dataclass(frozen=True, kw_only=True)
class Refinement:
    """A refined camera with its matches, residuals and uncertainty.

    rendered: Camera whose view the patches were taken from, at the start of the last round.
    covariance: Covariance of the pose parameters including the prior, scaled up if residuals are
        larger than expected, shape (10, 10).
    matches: Patch matches of the last round, before its step.
    residual_px: Residuals of the matches after the fit, shape (n, 2).
    weights: Robust weight of each match, in (0, 1], shape (n,).
    prior: Prior of the pose.
    free: Parameters that were fitted, shape (10,).
    alternative_log10_odds: Odds, against this camera, of the alternative fitted in a final search
        at maximum reach.
    """

    camera: Camera
    rendered: Camera
    covariance: FloatArray
    matches: PatchMatches
    residual_px: FloatArray
    weights: FloatArray
    prior: PosePrior
    free: BoolArray
    alternative_log10_odds: float = 0.0

    @property
    def rms_px(self) -> float:
        """Weighted root mean square residual per axis, pixels."""
        total = float(self.weights.sum())
        square = float((self.weights[:, None] * self.residual_px**2).sum())
        return (square / (2.0 * total)) ** 0.5 if total > 0.0 else float("inf")


def fit_to_patches(
    camera: Camera,
    matches: PatchMatches,
    prior: PosePrior,
    free: BoolArray,
    start: Camera | None = None,
) -> Refinement:
    """Fit the pose to patch matches, see `matchers.geometry.pose.fit_pose`.

    Overlapping patches are not independent, so each is weighted by the inverse of its total overlap
    with all patches. ``camera`` is the one with which the view of the matches was rendered. The fit
    starts there unless ``start`` is given.
    """
    ground = camera.pixel_to_ecef(matches.x, matches.y)
    visible = np.isfinite(ground[:, 0])
    matches, ground = matches.select(visible), ground[visible]
    fit = fit_pose(
        np.stack([matches.x + matches.dx, matches.y + matches.dy], axis=-1),
        ground,
        start or camera,
        prior,
        free,
        # The scale of the Cauchy weight against wrong matches; 2.5 sigma is common
        outlier_sigmas=2.5,
        max_rounds=12,
        converged=1e-4,
        covariance_px=state_noise(matches)[0],
        counted=1.0 / matches.overlap.sum(axis=1),
    )
    return Refinement(
        camera=fit.camera,
        rendered=camera,
        covariance=fit.covariance,
        matches=matches,
        residual_px=fit.residual_px,
        weights=fit.weights,
        prior=prior,
        free=free,
    )


def refit_without(
    refinement: Refinement, camera: Camera, matches: PatchMatches, left_out: Sequence[BoolArray]
) -> tuple[Camera, ...]:
    """Fit cameras as `fit_to_patches` does, each without some of the patches, masks of shape (n,).

    The fits start at the camera of a refinement, and use a looser convergence criterion. ``camera``
    is the one with which the view of the matches was rendered.
    """
    ground = camera.pixel_to_ecef(matches.x, matches.y)
    visible = np.isfinite(ground[:, 0])
    found = np.stack([matches.x + matches.dx, matches.y + matches.dy], axis=-1)
    noise, overlap = state_noise(matches)[0], matches.overlap
    cameras = []
    for out in left_out:
        kept = visible & ~out
        fit = fit_pose(
            found[kept],
            ground[kept],
            refinement.camera,
            refinement.prior,
            refinement.free,
            outlier_sigmas=2.5,  # as in `fit_to_patches`
            max_rounds=12,
            converged=1e-3,
            covariance_px=noise[kept],
            counted=1.0 / (overlap[kept] @ kept),
        )
        cameras.append(fit.camera)
    return tuple(cameras)


def state_noise(matches: PatchMatches) -> tuple[FloatArray, FloatArray]:
    """Compute covariances of matches with the minimum error added, and their whitening matrices."""
    noise = matches.covariance + FLOOR_PX**2 * np.eye(2)
    return noise, make_whitening(noise)


@dataclass(frozen=True, kw_only=True, eq=False)
class Refits:
    """A camera, and jackknife refits, each without one part of the image."""

    camera: Camera
    without: tuple[Camera, ...]

    def covariance_px(self, ground_ecef_m: FloatArray) -> FloatArray:
        """Compute the jackknife covariance of projected points (k, 3), square pixels, (k, 2, 2).

        Pixels are those of the fitted image. The degrees of freedom are the number of refits minus
        one.
        """
        count = len(self.without)
        here, *there = (
            np.stack(camera.ecef_to_pixel(ground_ecef_m), axis=-1)
            for camera in (self.camera, *self.without)
        )
        off = np.stack(there) - here
        return np.asarray((count - 1) / count * np.einsum("pki,pkj->kij", off, off))


def jackknife(refinement: Refinement, groups: IndexArray, max_parts: int = 16) -> Refits | None:
    """Refit a camera without each part of the image in turn (block jackknife), if lights suffice.

    The covariance of a least-squares fit is valid if errors of patches are independent and have the
    stated size. This is not so in practice: towns grow on one side, an isolated town shifts all
    patches that contain it, and a row of towns may be matched to the adjacent ones. A camera with
    many free parameters follows such errors. Refits without these lights show by how much.

    `groups` (n,): light in each of the patches, see `group_patches`; patches with the same light
    are left out together. `max_parts`: of the image, a power of two.

    References
    ----------
    Efron, B. (1982). The Jackknife, the Bootstrap and Other Resampling Plans. SIAM, chapter 3.
    Künsch, H. R. (1989). The jackknife and the bootstrap for general stationary observations.
    Annals of Statistics 17, 1217-1241: blocks, for what errs together.
    """
    matches = refinement.matches
    found, first, group = np.unique(groups, return_index=True, return_inverse=True)
    places = np.stack([matches.x[first], matches.y[first]], axis=-1)
    parts = [np.arange(len(found))]
    while 2 * len(parts) <= max_parts and any(len(part) > 1 for part in parts):
        halves = []  # split each part across its longer side
        for part in parts:
            axis = int(np.argmax(np.ptp(places[part], axis=0)))
            order = part[np.argsort(places[part, axis], kind="stable")]
            halves += [half for half in np.array_split(order, 2) if len(half)]
        parts = halves
    left_out = [np.isin(group, part) for part in parts]
    left_out = [out for out in left_out if (~out).sum() >= MIN_MATCHES]
    without = refit_without(refinement, refinement.rendered, matches, left_out)
    if len(without) < 4:  # too few to estimate a spread
        return None
    return Refits(camera=refinement.camera, without=without)
