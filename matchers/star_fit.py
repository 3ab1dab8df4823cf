"""A camera fitted to identified stars: attitude, focal length and distortion, all at once.

Every parameter has a prior, so that few stars determine what they can and the rest stays where
lenses usually are: no switch from one model to another as stars become more. The covariance of the
fit says how far off the stars may be that were not used.

References
----------
Brown, D. C. (1966). Decentering distortion of lenses. Photogrammetric Engineering 32 (3), 444-462.
Bar-Itzhack, I. Y., Oshman, Y. (1985). Attitude determination from vector observations: quaternion
estimation. IEEE Trans. Aerospace and Electronic Systems 21 (1), 128-136 (small-angle update).
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from detectors.types import BoolArray, FloatArray, IndexArray
from matchers.camera import widest_tangent
from matchers.sky_camera import SkyCamera, matrix_quaternion

PARAMETERS = 11  # turn about x, y, z; log focal length; principal point x, y; k1, k2, p1, p2, k3
STEPS = 8
DONE_PX = 1e-4
FARTHEST_SIGMAS = 6.0  # of the prior: farther off is no lens
UNFOLDED = 1.1  # the lens model must hold beyond the corner by so much, for the principal point
LONGEST_TURN, LONGEST_SIGMAS = 0.2, 2.0  # of one step: radians, and prior sigmas of the lens

# A neighbour up to so much fainter draws the centroid of a star towards itself: by 0.1 of their
# distance at 2.5 magnitudes
BLENDING_MAG = 2.5

# One sigma of a detection's magnitude against Gaia's G: colours 0.3, vignetting and clipping more.
# It counts as so many stars beside those that measure it
USUAL_MAG, USUAL_STARS = 0.5, 4.0
# A photo whose values were taken for sRGB and are linear has magnitudes 2.2 times too far apart
SLOPES = (1.0, 1.0 / 2.2)
STRANGE_SHARE = 0.2  # variables, doubles, clipped cores: of any brightness within
STRANGE_SPAN_MAG = 10.0
MEDIAN_VARIANCE = np.pi / 2.0  # of a median, in units of a mean's


@dataclass(frozen=True, kw_only=True)
class LensPrior:
    """One sigma of what is believed of a lens before stars are seen.

    Distortion is counted as what each term moves at the corner of the picture, as a share of the
    corner's distance from the middle. Makers' data sheets have 0.5 % and less for long lenses and
    up to 5 % (here two sigma) for the widest rectilinear ones: each sigma is a constant and a part
    that grows with the tangent of the angle to the corner.

    Attributes
    ----------
    log_focal : float
        Natural logarithm of the focal length, about that of the camera at hand.
    principal_share : float
        Principal point, as a share of the picture's long side: mild crops are off by this.
    k1, k2, k3, tangential : tuple of float
        Terms of the distortion at the corner: the constant, and the part per unit of tangent.
    """

    log_focal: float = 0.5
    principal_share: float = 0.02
    k1: tuple[float, float] = (0.002, 0.025)
    k2: tuple[float, float] = (0.001, 0.01)
    k3: tuple[float, float] = (0.0005, 0.005)
    tangential: tuple[float, float] = (0.0003, 0.001)


@dataclass(frozen=True, kw_only=True, eq=False)
class CameraFit:
    """A fitted camera and what its parameters are worth."""

    camera: SkyCamera
    # (11, 11): of the parameters, in the order of `jacobian`, for errors of `sigma_px`
    covariance: FloatArray
    sigma_px: float  # error of a star's place that was assumed, per axis


def fit_camera(
    start: SkyCamera,
    x: FloatArray,
    y: FloatArray,
    vectors_icrs: FloatArray,
    sigma_px: float,
    prior: LensPrior,
    centre: SkyCamera | None = None,
) -> CameraFit:
    """The likeliest camera for identified stars (Gauss-Newton, maximum a posteriori).

    Parameters
    ----------
    x, y : ndarray of float64, shape (k,)
        Detections, pixels of the image as stored.
    vectors_icrs : ndarray of float64, shape (k, 3)
        Their stars.
    sigma_px : float
        Error of a detection per axis.
    prior : LensPrior
        Its middle is the lens of `centre`.
    centre : SkyCamera, optional
        The lens believed in beforehand; `start` if not given.
    """
    believed = start if centre is None else centre
    weight = prior_weights(believed, prior)
    # Wrong stars may ask for a lens that there is none of: it is not followed far
    longest = np.concatenate([np.full(3, LONGEST_TURN), LONGEST_SIGMAS * weight[3:] ** -0.5])
    longest[3] = min(longest[3], LONGEST_TURN)
    camera = start
    for _ in range(STEPS):
        px, py = camera.project(vectors_icrs)
        seen = np.isfinite(px)
        slopes = jacobian(camera, vectors_icrs[seen])
        residual = np.stack([x - px, y - py], axis=1)[seen].ravel()
        if not np.isfinite(slopes).all():
            break
        normal = slopes.T @ slopes / sigma_px**2 + np.diag(weight)
        off = lens_values(camera) - lens_values(believed)
        gradient = slopes.T @ residual / sigma_px**2 - weight * np.concatenate([np.zeros(3), off])
        step = np.linalg.solve(normal, gradient)
        camera = moved(camera, np.clip(step, -longest, longest))
        if len(residual) and np.abs(slopes @ step).max(initial=0.0) < DONE_PX:
            break
    return CameraFit(
        camera=camera, covariance=np.asarray(np.linalg.inv(normal), float), sigma_px=sigma_px
    )


def plausible(camera: SkyCamera, believed: SkyCamera, prior: LensPrior) -> bool:
    """Whether a lens is near what was believed, and does not fold the picture's corners back."""
    off = (lens_values(camera) - lens_values(believed)) * prior_weights(believed, prior)[3:] ** 0.5
    unfolded = widest_tangent(camera.distortion) > UNFOLDED * corner_tangent(camera)
    return bool((np.abs(off) < FARTHEST_SIGMAS).all() and unfolded)


def corner_tangent(camera: SkyCamera) -> float:
    """Tangent of the angle to the picture's corner, distortion left out."""
    return float(np.hypot(camera.width_px, camera.height_px) / 2.0 / camera.focal_px)


def prior_weights(camera: SkyCamera, prior: LensPrior) -> FloatArray:
    """Inverse variances of the eleven parameters; none of the attitude's."""
    r = corner_tangent(camera)
    principal = prior.principal_share * max(camera.width_px, camera.height_px)
    k1, k2, k3, tangential = (
        constant + slope * r for constant, slope in (prior.k1, prior.k2, prior.k3, prior.tangential)
    )
    sigma = np.array(
        [
            *(prior.log_focal, principal, principal, k1 / r**2, k2 / r**4),
            *(tangential / r, tangential / r, k3 / r**6),
        ]
    )
    return np.concatenate([np.full(3, 1e-9), sigma**-2.0])


def lens_values(camera: SkyCamera) -> FloatArray:
    """Log focal length, principal point and distortion, shape (8,)."""
    return np.array([np.log(camera.focal_px), *camera.principal_point, *camera.distortion])


def moved(camera: SkyCamera, step: FloatArray) -> SkyCamera:
    """The camera with its parameters changed by a step of shape (11,)."""
    turn = Rotation.from_rotvec(step[:3]).as_matrix()
    k1, k2, p1, p2, k3 = (old + new for old, new in zip(camera.distortion, step[6:], strict=True))
    return replace(
        camera,
        quaternion_icrs=matrix_quaternion(camera.matrix @ turn),
        focal_px=float(camera.focal_px * np.exp(step[3])),
        principal_point=(
            float(camera.principal_point[0] + step[4]),
            float(camera.principal_point[1] + step[5]),
        ),
        distortion=(float(k1), float(k2), float(p1), float(p2), float(k3)),
    )


def jacobian(camera: SkyCamera, vectors_icrs: FloatArray) -> FloatArray:
    """How projected places of directions (k, 3) change with the parameters, shape (2 k, 11).

    Rows are x, y in turn; pixels per radian, per unit of log focal length, per pixel, per unit of
    k1, k2, p1, p2, k3.
    """
    local = vectors_icrs @ camera.matrix
    z = local[:, 2]
    u, v = local[:, 0] / z, local[:, 1] / z
    k1, k2, p1, p2, k3 = camera.distortion
    r2 = u * u + v * v
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    slope = 2.0 * (k1 + r2 * (2.0 * k2 + 3.0 * r2 * k3))  # d radial / d u = slope u
    uu = radial + slope * u * u + 2.0 * p1 * v + 6.0 * p2 * u
    uv = slope * u * v + 2.0 * p1 * u + 2.0 * p2 * v
    vv = radial + slope * v * v + 6.0 * p1 * v + 2.0 * p2 * u
    # A turn w of the camera's frame moves local vectors by -w x local
    du = np.stack([u * v, -(1.0 + u * u), v], axis=1)
    dv = np.stack([1.0 + v * v, -u * v, -u], axis=1)
    bent_u = u * radial + 2.0 * p1 * u * v + p2 * (r2 + 2.0 * u * u)
    bent_v = v * radial + p1 * (r2 + 2.0 * v * v) + 2.0 * p2 * u * v
    f, one, zero = camera.focal_px, np.ones_like(u), np.zeros_like(u)
    terms_u = [u * r2, u * r2**2, 2.0 * u * v, r2 + 2.0 * u * u, u * r2**3]
    terms_v = [v * r2, v * r2**2, r2 + 2.0 * v * v, 2.0 * u * v, v * r2**3]
    turn_u = f * (uu[:, None] * du + uv[:, None] * dv)
    turn_v = f * (uv[:, None] * du + vv[:, None] * dv)
    rows_x = np.column_stack([turn_u, f * bent_u, one, zero, *(f * t for t in terms_u)])
    rows_y = np.column_stack([turn_v, f * bent_v, zero, one, *(f * t for t in terms_v)])
    if camera.mirrored:
        rows_x = -rows_x
    return np.stack([rows_x, rows_y], axis=1).reshape(-1, PARAMETERS)


def place_variance(fit: CameraFit, vectors_icrs: FloatArray) -> FloatArray:
    """Variance (k,), square pixels, that the camera's uncertainty gives the places of stars.

    Per axis, the mean over x and y; the directions lie before the camera.
    """
    slopes = jacobian(fit.camera, vectors_icrs)
    variance = np.einsum("ij,jk,ik->i", slopes, fit.covariance, slopes)
    return np.asarray(variance.reshape(-1, 2).mean(axis=1))


@dataclass(frozen=True, kw_only=True, eq=False)
class StarPairs:
    """Detections and their stars.

    Attributes
    ----------
    detection, star : ndarray of int, shape (N,)
        Rows of the detections and of the catalogue.
    alone : ndarray of bool, shape (N,)
        No other star blends into it.
    """

    detection: IndexArray
    star: IndexArray
    alone: BoolArray


def pair_stars(
    camera: SkyCamera,
    x: FloatArray,
    y: FloatArray,
    vectors_icrs: FloatArray,
    magnitudes: FloatArray,
    *,
    tolerance_px: float,
    blend_px: float,
) -> StarPairs:
    """Pair detections and stars that are nearest to each other.

    Parameters
    ----------
    magnitudes : ndarray, shape (M,)
    tolerance_px : float
        Pairs are at most so far apart.
    blend_px : float
        Stars that have another one within this, at most `BLENDING_MAG` fainter, are not alone.
    """
    middle = camera.to_sky((camera.width_px - 1) / 2.0, (camera.height_px - 1) / 2.0)
    corners = camera.to_sky(
        np.array([0.0, camera.width_px - 1.0] * 2), np.repeat([0.0, camera.height_px - 1.0], 2)
    )
    near = np.nonzero(vectors_icrs @ middle > (corners @ middle).min() - 0.01)[0]
    px, py = camera.project(vectors_icrs[near])
    seen = camera.sees(px, py, margin_px=blend_px)
    near, places = near[seen], np.stack([px[seen], py[seen]], axis=1)
    found = np.stack([x, y], axis=1)
    if not len(near) or not len(found):
        none = np.zeros(0, np.intp)
        return StarPairs(detection=none, star=none, alone=np.zeros(0, bool))
    sky = cKDTree(places)
    gap, star = sky.query(found, distance_upper_bound=tolerance_px)
    back = cKDTree(found).query(places)[1]
    mutual = np.nonzero(np.isfinite(gap))[0]
    mutual = mutual[back[star[mutual]] == mutual]
    star = star[mutual]
    brightness = magnitudes[near]
    others = sky.query_ball_point(places[star], blend_px)
    alone = [
        all(k == s or brightness[k] > brightness[s] + BLENDING_MAG for k in neighbours)
        for s, neighbours in zip(star.tolist(), others, strict=True)
    ]
    return StarPairs(
        detection=mutual.astype(np.intp), star=near[star], alone=np.array(alone, bool).reshape(-1)
    )


def light_ratios(
    magnitude: FloatArray, star_magnitude: FloatArray, met: BoolArray, predicted: FloatArray
) -> FloatArray:
    """How much likelier each met star's brightness is than that of any predicted star.

    Parameters
    ----------
    magnitude : ndarray of float64, shape (n,)
        Of detections, from any zero point, in the order in which they are asked.
    predicted : ndarray of float64, shape (p,)
        Magnitudes of all stars that might have been met.

    Returns
    -------
    ndarray of float64, shape (n,)
        1 where nothing was met, and for the first that was.
    """
    ratios = np.ones(len(magnitude))
    zero_points: list[float] = []
    for i in np.flatnonzero(met).tolist():
        count = len(zero_points)
        if count:
            half = count // 2
            middle = 0.5 * (zero_points[half] + zero_points[(count - 1) // 2])
            squares = sum(min((zero - middle) ** 2, 1.0) for zero in zero_points)
            spread = (USUAL_STARS * USUAL_MAG**2 + squares) / (USUAL_STARS + count - 1)
            variance = spread * (1.0 + MEDIAN_VARIANCE / count)
            seen = magnitude[i] + middle
            ratios[i] = chance(seen - star_magnitude[i], variance) / np.mean(
                chance(seen - predicted, variance)
            )
        insort(zero_points, float(star_magnitude[i] - magnitude[i]))
    return ratios


def chance(off_mag: FloatArray, variance: float) -> FloatArray:
    """Density of a difference of magnitudes: a Gaussian, and now and then anything."""
    gauss = np.exp(-0.5 * off_mag**2 / variance) / np.sqrt(2.0 * np.pi * variance)
    return np.asarray((1.0 - STRANGE_SHARE) * gauss + STRANGE_SHARE / STRANGE_SPAN_MAG)
