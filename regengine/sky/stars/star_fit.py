"""Fit a camera to identified stars: attitude, focal length and distortion in one adjustment.

Every parameter has a prior. Few stars thus determine what they can, and the rest keeps typical
values; the model does not change with the number of stars. The covariance of the fit predicts the
position errors of stars that were not used.

References
----------
Brown, D. C. (1966). Decentering distortion of lenses. Photogrammetric Engineering 32 (3), 444-462.
Bar-Itzhack, I. Y., Oshman, Y. (1985). Attitude determination from vector observations: quaternion
estimation. IEEE Trans. Aerospace and Electronic Systems 21 (1), 128-136 (small-angle update).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from detectors.types import BoolArray, Columns, FloatArray, IndexArray
from matchers.geometry.camera import widest_tangent
from matchers.geometry.projection import distort, distortion_jacobian
from matchers.geometry.sky_camera import LENS_PARAMETERS, SkyCamera, matrix_quaternion


@dataclass(frozen=True, kw_only=True)
class LensPrior:
    """Prior standard deviations (one sigma) of the lens parameters.

    Distortion terms are expressed as the shift that each causes at the image corner, as a share of
    the corner's distance from the centre. Makers' data sheets have 0.5 % and less for long lenses
    and up to 5 % (here two sigma) for the widest rectilinear ones: each sigma is a constant and a
    part that grows with the tangent of the angle to the corner.

    log_focal: Natural logarithm of the focal length, about that of the initial camera.
    principal_share: Principal point, as a share of the image's long side: moderate crops shift it
        by this.
    k1, k2, k3, tangential: Distortion terms at the corner: the constant, and the part per unit of
        tangent.
    max_sigmas: A lens farther from the prior is rejected.
    min_reach: The lens model must be valid beyond the corner by this factor, to allow for the
        principal point.
    """

    log_focal: float = 0.5
    principal_share: float = 0.02
    k1: tuple[float, float] = (0.002, 0.025)
    k2: tuple[float, float] = (0.001, 0.01)
    k3: tuple[float, float] = (0.0005, 0.005)
    tangential: tuple[float, float] = (0.0003, 0.001)
    max_sigmas: float = 6.0
    min_reach: float = 1.1


@dataclass(frozen=True, kw_only=True, eq=False)
class CameraFit:
    """A fitted camera and its covariance."""

    camera: SkyCamera
    # (11, 11): of the parameters, in the order of `jacobian`, for errors of `sigma_px`
    covariance: FloatArray
    sigma_px: float  # assumed error of a star's position, per axis


def fit_camera(
    start: SkyCamera,
    x: FloatArray,
    y: FloatArray,
    vectors_icrs: FloatArray,
    sigma_px: float,
    prior: LensPrior,
    centre: SkyCamera | None = None,
) -> CameraFit:
    """Fit the most probable camera to identified stars (Levenberg-Marquardt, maximum a posteriori).

    Parameters
    ----------
    x, y : ndarray of float64, shape (k,)
        Detections, pixels of the image as stored.
    vectors_icrs : ndarray of float64, shape (k, 3)
        Their stars.
    sigma_px : float
        Error of a detection per axis.
    prior : LensPrior
        Centred on the lens of `centre`.
    centre : SkyCamera, optional
        The prior lens; `start` by default.
    """
    believed = start if centre is None else centre
    sigma = prior_sigmas(believed, prior)
    off = lens_offsets(start, believed) / sigma

    def residuals(step: FloatArray) -> FloatArray:
        places = np.stack(move_camera(start, step).project(vectors_icrs), axis=1)
        away = np.nan_to_num(places - np.stack([x, y], axis=1)) / sigma_px
        return np.concatenate([away.ravel(), off + step[3:] / sigma])

    def slopes(step: FloatArray) -> FloatArray:
        # With rotations of the updated camera: close to those of the start, and the same minimum
        camera = move_camera(start, step)
        seen = np.isfinite(camera.project(vectors_icrs)[0])
        rows = np.zeros((len(x), 2, len(step)))
        rows[seen] = jacobian(camera, vectors_icrs[seen]).reshape(-1, 2, len(step)) / sigma_px
        lens = np.hstack([np.zeros((len(sigma), 3)), np.diag(1.0 / sigma)])
        return np.vstack([rows.reshape(-1, len(step)), lens])

    found = least_squares(
        residuals, np.zeros(3 + len(sigma)), slopes, method="lm", x_scale="jac", max_nfev=20
    )
    normal = found.jac.T @ found.jac
    normal[range(3), range(3)] += 1e-9  # for stars that all lie behind the camera
    return CameraFit(
        camera=move_camera(start, found.x),
        covariance=np.asarray(np.linalg.inv(normal), float),
        sigma_px=sigma_px,
    )


def is_plausible(camera: SkyCamera, believed: SkyCamera, prior: LensPrior) -> bool:
    """Whether a lens is close to its prior and maps the image corners without folding."""
    off = lens_offsets(camera, believed) / prior_sigmas(believed, prior)
    unfolded = widest_tangent(camera.distortion) > prior.min_reach * corner_tangent(camera)
    return bool((np.abs(off) < prior.max_sigmas).all() and unfolded)


def corner_tangent(camera: SkyCamera) -> float:
    """Tangent of the angle between the axis and the image corner, without distortion."""
    return float(np.hypot(camera.width_px, camera.height_px) / 2.0 / camera.focal_px)


def prior_sigmas(camera: SkyCamera, prior: LensPrior) -> FloatArray:
    """Prior sigmas of `LENS_PARAMETERS` (of the focal length by its logarithm), shape (8,)."""
    r = corner_tangent(camera)
    principal = prior.principal_share * max(camera.width_px, camera.height_px)
    k1, k2, k3, tangential = (
        constant + slope * r for constant, slope in (prior.k1, prior.k2, prior.k3, prior.tangential)
    )
    return np.array(
        [
            *(prior.log_focal, principal, principal, k1 / r**2, k2 / r**4),
            *(tangential / r, tangential / r, k3 / r**6),
        ]
    )


def lens_offsets(camera: SkyCamera, other: SkyCamera) -> FloatArray:
    """Differences of two cameras' lens parameters, the focal length by its logarithm."""
    off = camera.lens_values - other.lens_values
    off[0] = np.log(camera.focal_px / other.focal_px)
    return off


def move_camera(camera: SkyCamera, step: FloatArray) -> SkyCamera:
    """Apply a parameter step of shape (11,), in the order of `jacobian`."""
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
    """Jacobian of the projected positions of directions (k, 3), shape (2 k, 11).

    Rows are x, y in turn; pixels per radian, per unit of log focal length, per pixel, per unit of
    k1, k2, p1, p2, k3.
    """
    local = vectors_icrs @ camera.matrix
    z = local[:, 2]
    u, v = local[:, 0] / z, local[:, 1] / z
    r2 = u * u + v * v
    uu, vv, uv = distortion_jacobian(u, v, camera.distortion)
    bent_u, bent_v = distort(u, v, camera.distortion)
    # A rotation w of the camera's frame moves local vectors by -w x local
    du = np.stack([u * v, -(1.0 + u * u), v], axis=1)
    dv = np.stack([1.0 + v * v, -u * v, -u], axis=1)
    f, one, zero = camera.focal_px, np.ones_like(u), np.zeros_like(u)
    terms_u = [u * r2, u * r2**2, 2.0 * u * v, r2 + 2.0 * u * u, u * r2**3]
    terms_v = [v * r2, v * r2**2, r2 + 2.0 * v * v, 2.0 * u * v, v * r2**3]
    turn_u = f * (uu[:, None] * du + uv[:, None] * dv)
    turn_v = f * (uv[:, None] * du + vv[:, None] * dv)
    rows_x = np.column_stack([turn_u, f * bent_u, one, zero, *(f * t for t in terms_u)])
    rows_y = np.column_stack([turn_v, f * bent_v, zero, one, *(f * t for t in terms_v)])
    if camera.mirrored:
        rows_x = -rows_x
    return np.stack([rows_x, rows_y], axis=1).reshape(-1, 3 + len(LENS_PARAMETERS))


def place_variance(fit: CameraFit, vectors_icrs: FloatArray) -> FloatArray:
    """Variance (k,), square pixels, of star positions due to the camera's covariance.

    Per axis, the mean over x and y; the directions lie in front of the camera.
    """
    slopes = jacobian(fit.camera, vectors_icrs)
    variance = np.einsum("ij,jk,ik->i", slopes, fit.covariance, slopes)
    return np.asarray(variance.reshape(-1, 2).mean(axis=1))


@dataclass(frozen=True, kw_only=True, eq=False)
class StarPairs(Columns):
    """Detections and their stars.

    detection, star: Indices of the detections and of the catalogue's stars, shape (N,).
    alone: Whether no other star blends with it, shape (N,).
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
    """Pair detections and stars that are mutual nearest neighbours.

    Parameters
    ----------
    magnitudes : ndarray, shape (M,)
    tolerance_px : float
        Maximum distance of a pair.
    blend_px : float
        Stars with a neighbour within this distance, at most 2.5 magnitudes fainter, are blended:
        the neighbour shifts their centroid, at 2.5 magnitudes by 0.1 of the distance.
    """
    near, px, py = camera.find_in_view(vectors_icrs, margin_px=blend_px)
    if not len(near) or not len(x):
        none = np.zeros(0, np.intp)
        return StarPairs(detection=none, star=none, alone=np.zeros(0, bool))
    places, found = np.stack([px, py], axis=1), np.stack([x, y], axis=1)
    sky = cKDTree(places)
    gap, star = sky.query(found, distance_upper_bound=tolerance_px)
    back = cKDTree(found).query(places)[1]
    detection = np.flatnonzero(np.isfinite(gap))
    detection = detection[back[star[detection]] == detection]
    star = star[detection]
    brightness = magnitudes[near]
    around = sky.query_ball_point(places[star], blend_px)
    rivals = [
        np.count_nonzero(brightness[k] <= brightness[s] + 2.5)
        for s, k in zip(star, around, strict=True)
    ]
    return StarPairs(detection=detection, star=near[star], alone=np.array(rivals, int) == 1)
