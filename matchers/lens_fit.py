"""One lens out of the stars of many frames: a joint fit of the lens and every frame's attitude."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from matchers.lens_slopes import LENS_PARAMETERS, lens_values, slopes
from matchers.sky_camera import SkyCamera, matrix_quaternion

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# How far the principal point may lie from the middle of the picture, one sigma, as a share of its
# long side: 0.36 mm on a full-frame sensor. Calibrated SLR lenses have some tenths of a millimetre
# (Fraser 2013, Photogramm. Eng. 79, 381: interior orientation of consumer-grade cameras)
PRINCIPAL_SIGMA_SHARE = 0.01
# What decentred elements move a star by in the corners, one sigma, as a share of the long side:
# 14 um on a full-frame sensor. Decentring distortion of digital cameras stays in the tens of
# micrometres (Fraser 1997, ISPRS J. Photogramm. 52, 149). Without this, it could not be told from
# the principal point in narrow fields, and left out, it would make that one wrong
DECENTRING_SIGMA_SHARE = 4e-4
HUBER_SIGMA = 2.0
OUTLIER_SIGMA = 4.0  # 3 of 10,000 good stars are beyond (two-dimensional normal)
MEDIAN_CHI2_2 = 1.3863  # of a chi-square with two degrees of freedom
_ROUNDS, _STEPS = 4, 12
_SMALL_STEP_SIGMA = 1e-3  # the fit has arrived where a step is this share of sigma


@dataclass(frozen=True, kw_only=True, eq=False)
class LensFrame:
    """Identified stars of one frame.

    Attributes
    ----------
    camera : SkyCamera
        Where it is believed to look, and the lens to start from.
    x, y : ndarray of float64, shape (N,)
        Where the stars are, pixels of the image as stored.
    sigma_px : ndarray of float64, shape (N,)
        Of these places, per axis.
    directions_icrs : ndarray of float64, shape (N, 3)
        Unit vectors of the stars as they appear.
    """

    camera: SkyCamera
    x: FloatArray
    y: FloatArray
    sigma_px: FloatArray
    directions_icrs: FloatArray


@dataclass(frozen=True, kw_only=True)
class ErrorModel:
    """Variance of a star's place per axis: (scale sigma)^2 + floor^2.

    Attributes
    ----------
    floor_px : float
        What the stars' sigmas do not know of.
    scale : float
        At most 1: where the sigmas are larger than the residuals allow.
    """

    floor_px: float = 0.0
    scale: float = 1.0

    def variance(self, sigma_px: FloatArray) -> FloatArray:
        """Variance per axis of stars with such sigmas."""
        return np.asarray((self.scale * sigma_px) ** 2 + self.floor_px**2)


AT_THEIR_WORD = ErrorModel()


@dataclass(frozen=True, kw_only=True, eq=False)
class LensFit:
    """A lens, the frames' attitudes, and how well the stars agree.

    Attributes
    ----------
    cameras : tuple of SkyCamera
        One a frame; they share the lens.
    free : tuple of str
        Lens parameters that were fitted; the others stayed as they were.
    covariance : ndarray of float64, shape (8, 8)
        Of `LENS_PARAMETERS`, the attitudes being unknown; zero where not fitted.
    attitude_covariance_rad2 : ndarray of float64, shape (F, 3, 3)
        Of each frame's turn about the camera's axes, the lens' uncertainty included.
    residual_px : tuple of ndarray, each of shape (N, 2)
        Seen less predicted.
    used : tuple of ndarray of bool, each of shape (N,)
        Stars that are no outliers.
    error : ErrorModel
        What the residuals make of the stars' sigmas.
    chi2 : float
        Of the stars used, the floor included, with what is known beforehand of the lens.
    """

    cameras: tuple[SkyCamera, ...]
    free: tuple[str, ...]
    covariance: FloatArray
    attitude_covariance_rad2: FloatArray
    residual_px: tuple[FloatArray, ...]
    used: tuple[BoolArray, ...]
    error: ErrorModel
    chi2: float

    @property
    def stars(self) -> int:
        """How many stars were used, over all frames."""
        return int(sum(used.sum() for used in self.used))

    @property
    def rms_px(self) -> float:
        """Root mean square of the residuals of the stars used, per axis."""
        kept = [r[used] for r, used in zip(self.residual_px, self.used, strict=True)]
        return float(np.sqrt(np.mean(np.concatenate(kept) ** 2)))

    @property
    def bic(self) -> float:
        """Bayesian information criterion, but for a constant of the data (Schwarz 1978)."""
        return self.chi2 + len(self.free) * float(np.log(2 * self.stars))


def fit_lens(
    frames: Sequence[LensFrame],
    free: Collection[str] = LENS_PARAMETERS,
    *,
    error: ErrorModel | None = None,
    used: Sequence[BoolArray] | None = None,
) -> LensFit:
    """Fit one lens and the attitude of every frame to the places of stars.

    Gauss-Newton steps on the normal equations, whose attitudes are eliminated frame by frame
    (Schur complement); first with Huber weights, then with outliers left out. The principal point
    is held near the middle of the picture by `PRINCIPAL_SIGMA_SHARE`, the tangential terms near
    zero by `DECENTRING_SIGMA_SHARE`.

    Parameters
    ----------
    frames : sequence of LensFrame
        Of images of equal size; the lens to start from is the first frame's.
    free : collection of str, optional
        Lens parameters to fit; with none, attitudes alone are fitted.
    error : ErrorModel, optional
        How the stars' sigmas are to be taken; without it, it is estimated.
    used : sequence of ndarray of bool, optional
        Stars to use; without it, outliers are found.

    Returns
    -------
    LensFit

    Raises
    ------
    ValueError
        If there is no frame, sizes differ, a frame has fewer than two stars, or all together have
        fewer than the lens has unknowns.

    References
    ----------
    Triggs, B. et al. (2000). Bundle adjustment: a modern synthesis. LNCS 1883, 298-372.
    """
    _check(frames, free)
    columns = [LENS_PARAMETERS.index(name) for name in LENS_PARAMETERS if name in free]
    first = frames[0].camera
    cameras = [replace(first, quaternion_icrs=f.camera.quaternion_icrs) for f in frames]
    model = AT_THEIR_WORD if error is None else error
    kept = [np.ones(f.x.size, bool) for f in frames] if used is None else list(used)
    if used is None:
        for _ in range(_ROUNDS):
            cameras, _ = _descend(frames, cameras, columns, kept, model, HUBER_SIGMA)
            away = [_residual(f, c) for f, c in zip(frames, cameras, strict=True)]
            model = _error_model(frames, away) if error is None else error
        kept = _inliers(frames, cameras, model)
        cameras, _ = _descend(frames, cameras, columns, kept, model, np.inf)
        kept = _inliers(frames, cameras, model)
    cameras, system = _descend(frames, cameras, columns, kept, model, np.inf)
    covariance = np.zeros((len(LENS_PARAMETERS),) * 2)
    covariance[np.ix_(columns, columns)] = system.shared_covariance
    return LensFit(
        cameras=tuple(cameras),
        free=tuple(LENS_PARAMETERS[c] for c in columns),
        covariance=covariance,
        attitude_covariance_rad2=system.turn_covariance,
        residual_px=tuple(_residual(f, c) for f, c in zip(frames, cameras, strict=True)),
        used=tuple(kept),
        error=model,
        chi2=system.cost,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Solved:
    """One step of the fit: what to change, how sure that is, and the cost before it."""

    shared: FloatArray
    turns: FloatArray
    shared_covariance: FloatArray
    turn_covariance: FloatArray
    cost: float


def _check(frames: Sequence[LensFrame], free: Collection[str]) -> None:
    unknown = set(free) - set(LENS_PARAMETERS)
    if unknown:
        raise ValueError(f"no lens parameter is called {sorted(unknown)[0]}")
    if not frames:
        raise ValueError("a lens is fitted to at least one frame")
    sizes = {(f.camera.width_px, f.camera.height_px, f.camera.mirrored) for f in frames}
    if len(sizes) > 1:
        raise ValueError("frames of one lens must have one size and orientation")
    if min(f.x.size for f in frames) < 2:
        raise ValueError("each frame needs at least two stars")
    stars = sum(f.x.size for f in frames)
    if 2 * stars < 3 * len(frames) + len(free):
        raise ValueError(f"{stars} stars are too few for {len(frames)} attitudes and a lens")


def _descend(
    frames: Sequence[LensFrame],
    cameras: list[SkyCamera],
    columns: list[int],
    kept: list[BoolArray],
    model: ErrorModel,
    huber: float,
) -> tuple[list[SkyCamera], _Solved]:
    """Steps until they no longer matter; halved while they make things worse."""
    system = _normal_step(frames, cameras, columns, kept, model, huber)
    for _ in range(_STEPS):
        share = 1.0
        while True:
            tried = _moved(cameras, columns, share * system.shared, share * system.turns)
            after = _normal_step(frames, tried, columns, kept, model, huber)
            if after.cost <= system.cost * (1.0 + 1e-9) or share < 0.01:
                break
            share *= 0.5
        if after.cost > system.cost * (1.0 + 1e-9):
            break
        cameras, system = tried, after
        sigma = np.sqrt(np.maximum(np.diag(system.shared_covariance), 1e-300))
        turn_sigma = np.sqrt(np.einsum("fii->fi", system.turn_covariance))
        steps = [np.abs(system.shared) / sigma, (np.abs(system.turns) / turn_sigma).ravel()]
        if float(np.concatenate(steps).max(initial=0.0)) < _SMALL_STEP_SIGMA:
            break
    return cameras, system


def _normal_step(
    frames: Sequence[LensFrame],
    cameras: list[SkyCamera],
    columns: list[int],
    kept: list[BoolArray],
    model: ErrorModel,
    huber: float,
) -> _Solved:
    """Normal equations of all frames, attitudes eliminated, and their solution."""
    lens = cameras[0]
    size = len(columns)
    normal, right, cost = _beforehand(lens)
    normal, right = normal[np.ix_(columns, columns)], right[columns]
    crossed, own, own_right = [], [], []
    for frame, camera, good in zip(frames, cameras, kept, strict=True):
        by_turn, by_lens = slopes(camera, frame.directions_icrs[good])
        residual = _residual(frame, camera)[good]
        variance = model.variance(frame.sigma_px[good])
        distance = np.sqrt((residual**2).sum(axis=1) / variance)
        far = distance > huber
        weight = np.where(far, huber / np.maximum(distance, 1e-12), 1.0) / variance
        loss = (
            np.where(far, 2.0 * huber * distance - huber**2, distance**2)
            if huber < np.inf
            else distance**2
        )
        cost += float(loss.sum())
        shared = by_lens[:, :, columns].reshape(2 * int(good.sum()), size)
        turn, seen = by_turn.reshape(-1, 3), residual.ravel()
        both = np.repeat(weight, 2)[:, None]
        normal += shared.T @ (both * shared)
        right += shared.T @ (both[:, 0] * seen)
        crossed.append(shared.T @ (both * turn))
        own.append(np.linalg.inv(turn.T @ (both * turn)))
        own_right.append(turn.T @ (both[:, 0] * seen))
    gain = [b @ c for b, c in zip(crossed, own, strict=True)]
    for b, g, r in zip(crossed, gain, own_right, strict=True):
        normal = normal - g @ b.T
        right = right - g @ r
    covariance = np.linalg.inv(normal) if size else np.zeros((0, 0))
    step = covariance @ right
    turns = [c @ (r - b.T @ step) for b, c, r in zip(crossed, own, own_right, strict=True)]
    spread = [c + g.T @ covariance @ g for c, g in zip(own, gain, strict=True)]
    return _Solved(
        shared=step,
        turns=np.array(turns),
        shared_covariance=np.asarray(covariance, float),
        turn_covariance=np.array(spread),
        cost=cost,
    )


def _beforehand(lens: SkyCamera) -> tuple[FloatArray, FloatArray, float]:
    """What is known of a lens without any star: normal matrix, right side, cost."""
    longest = max(lens.width_px, lens.height_px)
    corner = 0.5 * float(np.hypot(lens.width_px, lens.height_px)) / lens.focal_px
    principal = PRINCIPAL_SIGMA_SHARE * longest
    # A tangential term moves a star by at most 3 p r^2 focal lengths
    tangential = DECENTRING_SIGMA_SHARE * longest / (3.0 * corner**2 * lens.focal_px)
    middle = ((lens.width_px - 1) / 2.0, (lens.height_px - 1) / 2.0)
    weight, away = np.zeros(len(LENS_PARAMETERS)), np.zeros(len(LENS_PARAMETERS))
    weight[1:3], weight[5:7] = principal**-2, tangential**-2
    away[1:3] = np.array(middle) - np.array(lens.principal_point)
    away[5:7] = -np.array(lens.distortion[2:4])
    return np.diag(weight), weight * away, float(weight @ away**2)


def _moved(
    cameras: list[SkyCamera], columns: list[int], shared: FloatArray, turns: FloatArray
) -> list[SkyCamera]:
    """Cameras after a step."""
    values = lens_values(cameras[0])
    values[columns] += shared
    focal, px, py, k1, k2, p1, p2, k3 = values.tolist()
    moved = []
    for camera, turn in zip(cameras, turns, strict=True):
        matrix = camera.matrix @ Rotation.from_rotvec(turn).as_matrix()
        moved.append(
            replace(
                camera,
                focal_px=focal,
                principal_point=(px, py),
                distortion=(k1, k2, p1, p2, k3),
                quaternion_icrs=matrix_quaternion(matrix),
            )
        )
    return moved


def _residual(frame: LensFrame, camera: SkyCamera) -> FloatArray:
    """Seen less predicted, shape (N, 2)."""
    x, y = camera.image_of(frame.directions_icrs @ camera.matrix)
    return np.stack([frame.x - x, frame.y - y], axis=1)


def _error_model(frames: Sequence[LensFrame], residuals: list[FloatArray]) -> ErrorModel:
    """Scale or floor that puts the median star as far away as it should be."""
    square = np.concatenate([(r**2).sum(axis=1) for r in residuals])
    variance = np.concatenate([f.sigma_px**2 for f in frames])
    ratio = float(np.median(square / variance)) / MEDIAN_CHI2_2
    if ratio <= 1.0:
        return ErrorModel(scale=float(np.sqrt(max(ratio, 1e-12))))
    low, high = 0.0, float(np.sqrt(np.median(square) / MEDIAN_CHI2_2)) * 2.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        if np.median(square / (variance + middle**2)) > MEDIAN_CHI2_2:
            low = middle
        else:
            high = middle
    return ErrorModel(floor_px=high)


def _inliers(
    frames: Sequence[LensFrame], cameras: list[SkyCamera], model: ErrorModel
) -> list[BoolArray]:
    return [
        (_residual(f, c) ** 2).sum(axis=1) < OUTLIER_SIGMA**2 * model.variance(f.sigma_px)
        for f, c in zip(frames, cameras, strict=True)
    ]
