"""Joint fit of one lens and the attitude of every frame to the stars of many frames.

References
----------
Triggs, B. et al. (2000). Bundle adjustment: a modern synthesis. LNCS 1883, 298-372.
Huber, P. J. (1981). Robust statistics. Wiley.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from detectors.types import BoolArray, FloatArray
from matchers.geometry.sky_camera import LENS_PARAMETERS, SkyCamera
from regengine.sky.stars.star_fit import jacobian, move_camera

# Parameters that are always fitted: the prior keeps the decentring small where the stars do not
# determine it
ALWAYS = ("focal_px", "x_px", "y_px", "p1", "p2")
RADIAL_SETS: tuple[tuple[str, ...], ...] = ((), ("k1",), ("k1", "k2"), ("k1", "k2", "k3"))


# Residuals above this have a reduced weight.
HUBER_SIGMA = 2.0
# A lens with more terms is kept unless the criterion of a simpler one is better by more than this
# (Kass & Raftery 1995, JASA 90, 773). A missing term biases the others by many of their sigmas; a
# superfluous one only increases the sigmas.
STRONG_EVIDENCE = 6.0
# Number of parts of each frame's stars that are left out in turn.
FOLDS = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class LensFrame:
    """Identified stars of one frame.

    camera: Approximate attitude, and the initial lens.
    x, y: Positions of the stars, pixels of the image as stored, shape (N,).
    sigma_px: One sigma of these positions, per axis, shape (N,).
    directions_icrs: Unit vectors of the stars' apparent directions, shape (N, 3).
    """

    camera: SkyCamera
    x: FloatArray
    y: FloatArray
    sigma_px: FloatArray
    directions_icrs: FloatArray


@dataclass(frozen=True, kw_only=True)
class ErrorModel:
    """Variance of a star's position per axis: (scale (1 + growth r^2) sigma)^2 + floor^2."""

    floor_px: float = 0.0  # error that the stars' sigmas do not include
    scale: float = 1.0  # factor on the stars' sigmas
    # Relative increase of the sigmas towards the corners (r in half diagonals), where stars are
    # less sharp than detectors assume
    growth: float = 0.0

    def variance(self, frame: LensFrame) -> FloatArray:
        """Variance per axis of a frame's stars, shape (N,)."""
        # Squared distances of the stars from the image centre, in half diagonals
        width, height = frame.camera.width_px, frame.camera.height_px
        x, y = frame.x - (width - 1) / 2.0, frame.y - (height - 1) / 2.0
        scale = self.scale * (
            1.0 + self.growth * np.asarray((x * x + y * y) / (0.25 * (width**2 + height**2)))
        )
        return np.asarray((scale * frame.sigma_px) ** 2 + self.floor_px**2)


@dataclass(frozen=True, kw_only=True, eq=False)
class LensFit:
    """Fitted lens and attitudes, with covariance and residuals."""

    cameras: tuple[SkyCamera, ...]  # one per frame; they share the lens
    free: tuple[str, ...]  # lens parameters that were fitted; the others are unchanged
    # (8, 8): of `LENS_PARAMETERS`, marginalised over the attitudes; zero where not fitted
    covariance: FloatArray
    residual_px: tuple[FloatArray, ...]  # (N, 2): observed minus predicted
    used: tuple[BoolArray, ...]  # (N,): stars that are not outliers
    error: ErrorModel  # error model fitted to the residuals
    # Huber's loss of the stars used, with the floor and the priors
    chi2: float
    # Factor on the covariances for residuals with longer tails than a normal distribution
    tails: float

    @property
    def stars(self) -> int:
        """Number of stars used in all frames."""
        return int(sum(used.sum() for used in self.used))

    @property
    def rms_px(self) -> float:
        """Root mean square of the residuals of the stars used, per axis."""
        kept = [r[used] for r, used in zip(self.residual_px, self.used, strict=True)]
        return float(np.sqrt(np.mean(np.concatenate(kept) ** 2)))


def fit_lens(
    frames: Sequence[LensFrame],
    free: Collection[str] = LENS_PARAMETERS,
    *,
    error: ErrorModel | None = None,
    used: Sequence[BoolArray] | None = None,
) -> LensFit:
    """Fit one lens and the attitude of every frame to star positions.

    Gauss-Newton steps with Huber weights; a step is halved until it reduces the cost. The error
    model is fitted to the residuals, then outliers are rejected.

    Parameters
    ----------
    frames : sequence of LensFrame
        Images of equal size; the initial lens is the first frame's.
    free : collection of str, optional
        Lens parameters to fit; if empty, only attitudes are fitted.
    error : ErrorModel, optional
        A fixed error model.
    used : sequence of ndarray of bool, optional
        Stars to fit; no outliers are rejected then.

    Raises
    ------
    ValueError
        If there is no frame, sizes differ, a frame has fewer than two stars, or all together have
        fewer than the lens has unknowns.
    """
    unknown = set(free) - set(LENS_PARAMETERS)
    if unknown:
        raise ValueError(f"no lens parameter is named {sorted(unknown)[0]}")
    if not frames:
        raise ValueError("a lens fit needs at least one frame")
    if len({(f.camera.width_px, f.camera.height_px, f.camera.mirrored) for f in frames}) > 1:
        raise ValueError("frames of one lens must have one size and orientation")
    if min(f.x.size for f in frames) < 2:
        raise ValueError("each frame needs at least two stars")
    stars = sum(f.x.size for f in frames)
    if 2 * stars < 3 * len(frames) + len(free):
        raise ValueError(f"{stars} stars are too few for {len(frames)} attitudes and a lens")
    columns = [k for k, name in enumerate(LENS_PARAMETERS) if name in free]
    cameras = [replace(frames[0].camera, quaternion_icrs=f.camera.quaternion_icrs) for f in frames]
    model = error or ErrorModel()
    kept = [np.ones(f.x.size, bool) for f in frames] if used is None else list(used)
    for to_come in reversed(range(5 if used is None else 1)):  # the error model converges in four
        normal = NormalEquations(frames, cameras, columns, kept, model)
        share = 1.0
        for _ in range(30):
            tried = normal.step(share)
            after = NormalEquations(frames, tried, columns, kept, model)
            if after.cost <= normal.cost * (1.0 + 1e-9):
                cameras, normal, share = tried, after, 1.0
                sigma = np.sqrt(np.diag(normal.covariance))
                if (np.abs(normal.solution) < 1e-3 * sigma).all():
                    break
            else:
                share *= 0.5
        away = [_residuals(f, c) for f, c in zip(frames, cameras, strict=True)]
        if to_come and error is None:
            model = fit_error_model(frames, away)
        if to_come == 1:
            kept = [
                (r**2).sum(axis=1) < 4.0**2 * model.variance(f)  # all but 3 of 10,000
                for f, r in zip(frames, away, strict=True)
            ]
    unit = np.ones(len(LENS_PARAMETERS))
    unit[0] = cameras[0].focal_px  # its logarithm was fitted
    covariance = np.zeros((len(LENS_PARAMETERS),) * 2)
    n = len(columns)
    covariance[np.ix_(columns, columns)] = normal.tails * normal.covariance[:n, :n]
    return LensFit(
        cameras=tuple(cameras),
        free=tuple(LENS_PARAMETERS[c] for c in columns),
        covariance=covariance * np.outer(unit, unit),
        residual_px=tuple(away),
        used=tuple(kept),
        error=model,
        chi2=normal.cost,
        tails=normal.tails,
    )


def _residuals(frame: LensFrame, camera: SkyCamera) -> FloatArray:
    x, y = camera.image_of(frame.directions_icrs @ camera.matrix)
    return np.stack([frame.x - x, frame.y - y], axis=1)


class NormalEquations:
    """The linearised fit of cameras that share a lens: lens parameters, then frame rotations.

    solution: The full step: the free lens parameters (the focal length by its logarithm), then
        three angles for each frame, shape (u,).
    covariance: Inverse of the normal matrix, shape (u, u).
    cost: Huber's loss over all stars, and the priors.
    tails: Factor on the covariance for the tails of the residuals.
    """

    def __init__(
        self,
        frames: Sequence[LensFrame],
        cameras: list[SkyCamera],
        columns: list[int],
        kept: Sequence[BoolArray],
        model: ErrorModel,
    ) -> None:
        self.cameras, self.columns = cameras, columns
        lens, size = cameras[0], len(columns)
        longest = max(lens.width_px, lens.height_px)
        corner = 0.5 * float(np.hypot(lens.width_px, lens.height_px)) / lens.focal_px
        # A tangential term moves a star by at most 3 p r^2 focal lengths
        # One sigma of the shift of corner stars by decentred elements, as a share of the long side:
        # 14 um on a full-frame sensor. Decentring of digital cameras stays in the tens of
        # micrometres (Fraser 1997, ISPRS J. Photogramm. 52, 149). Without this prior, decentring
        # and principal point could not be separated in narrow fields. Without decentring, the
        # principal point would be biased.
        tangential = 4e-4 * longest / (3.0 * corner**2 * lens.focal_px)
        sigma = np.full(len(LENS_PARAMETERS), np.inf)
        # One sigma of the principal point's distance from the image centre, as a share of the long
        # side: 0.36 mm on a full-frame sensor. Calibrated SLR lenses have some tenths of a
        # millimetre (Fraser 2013, Photogramm. Eng. 79, 381)
        sigma[1:3], sigma[5:7] = 0.01 * longest, tangential
        middle = np.array([lens.width_px - 1, lens.height_px - 1]) / 2.0
        off = np.zeros(len(LENS_PARAMETERS))
        off[1:3], off[5:7] = middle - lens.principal_point, -np.array(lens.distortion[2:4])
        self.cost = float(((off / sigma) ** 2).sum())
        normal = np.zeros((size + 3 * len(frames),) * 2)
        right = np.zeros(len(normal))
        normal[range(size), range(size)] = sigma[columns] ** -2.0
        right[:size] = off[columns] * sigma[columns] ** -2.0
        pulls, shares, bends = [], [], []
        for k, (frame, camera, good) in enumerate(zip(frames, cameras, kept, strict=True)):
            residual, variance = _residuals(frame, camera)[good], model.variance(frame)[good]
            distance = np.sqrt((residual**2).sum(axis=1) / variance)
            far = distance > HUBER_SIGMA
            share = np.where(far, HUBER_SIGMA / np.maximum(distance, 1e-12), 1.0)
            self.cost += float(((2.0 - share) * share * distance**2).sum())
            pulls.append((share * distance) ** 2 / 2.0)
            shares.append(share)
            bends.append((share + ~far) / 2.0)  # across the direction of the residual, and along it
            slopes = jacobian(camera, frame.directions_icrs[good])
            slopes = slopes[:, [*(3 + c for c in columns), 0, 1, 2]]
            weighed = slopes.T * np.repeat(share / variance, 2)
            place = np.r_[:size, size + 3 * k : size + 3 * k + 3]
            normal[np.ix_(place, place)] += weighed @ slopes
            right[place] += weighed @ residual.ravel()
        self.covariance = np.linalg.inv(normal)
        self.solution = self.covariance @ right
        # For M-estimates (Huber 1981, 7.6): mean psi^2 / (mean psi')^2, where the normal matrix has
        # mean w
        spread = np.concatenate(pulls).mean() * np.concatenate(shares).mean()
        self.tails = max(float(spread / np.concatenate(bends).mean() ** 2), 1.0)

    def step(self, share: float) -> list[SkyCamera]:
        """Cameras after a fraction of the solution's step."""
        size = len(self.columns)
        lens = np.zeros(len(LENS_PARAMETERS))
        lens[self.columns] = share * self.solution[:size]
        turns = share * self.solution[size:].reshape(-1, 3)
        return [
            move_camera(camera, np.concatenate([turn, lens]))
            for camera, turn in zip(self.cameras, turns, strict=True)
        ]


def fit_error_model(frames: Sequence[LensFrame], away: Sequence[FloatArray]) -> ErrorModel:
    """Fit scale, growth and floor to residuals, (N, 2) for each frame.

    Their ratios maximise the likelihood of Student's distribution with four degrees of freedom,
    whose tails match those of residuals of stars with unknown neighbours. Their size is scaled so
    that the median residual is that of a normal distribution.
    """
    square = np.concatenate([(r**2).sum(axis=1) for r in away])
    claimed = np.concatenate([f.sigma_px for f in frames])
    median = 2.0 * np.log(2.0)  # of a chi-square distribution with two degrees of freedom
    usual = max(float(np.sqrt(np.median(square) / median)), 1e-6)
    ratio = max(float(np.sqrt(np.median(square / claimed**2) / median)), 1e-6)

    def model(values: FloatArray) -> ErrorModel:
        floor, scale, growth = values.tolist()
        return ErrorModel(floor_px=floor * usual, scale=scale * ratio, growth=growth)

    def variance(values: FloatArray) -> FloatArray:
        return np.concatenate([model(values).variance(f) for f in frames])

    def cost(values: FloatArray) -> float:
        total = variance(values)
        return float((np.log(total) + 3.0 * np.log1p(square / total / 4.0)).sum())

    found = minimize(
        cost,
        [0.3, 0.8, 0.5],
        method="Nelder-Mead",
        bounds=[(1e-3, 3.0), (0.0, 3.0), (0.0, 5.0)],
        options={"xatol": 1e-3, "fatol": 1e-3},
    ).x
    best, size = model(found), float(np.sqrt(np.median(square / variance(found)) / median))
    return replace(best, floor_px=size * best.floor_px, scale=size * best.scale)


def choose_lens(frames: Sequence[LensFrame]) -> LensFit:
    """Fit a lens with as many radial distortion terms as the stars support.

    All sets of terms are compared on the same stars with the same sigmas, those of the largest set
    (including its long tails), by the Bayesian information criterion. The largest set is chosen
    that is not clearly worse than the best (`STRONG_EVIDENCE`).

    References
    ----------
    Schwarz, G. (1978). Estimating the dimension of a model. Annals of Statistics 6, 461-464.
    """
    stars = sum(frame.x.size for frame in frames)
    fullest: LensFit | None = None
    fits, criteria = [], []
    for terms in reversed(RADIAL_SETS):
        free = (*ALWAYS, *terms)
        # Minimum number of stars in all frames for each lens parameter.
        if terms and stars < 5 * len(free):
            continue
        # Terms that are not fitted are zero; smaller sets start without the initial distortion
        distortion = frames[0].camera.distortion if len(terms) == 3 else (0.0,) * 5
        first = replace(frames[0].camera, distortion=distortion)
        start = [replace(frames[0], camera=first), *frames[1:]]
        if fullest is None:
            fit = fullest = fit_lens(start, free)
        else:
            fit = fit_lens(start, free, error=fullest.error, used=fullest.used)
        fits.append(fit)
        criteria.append(fit.chi2 / fullest.tails + len(free) * np.log(2 * fit.stars))
    return next(
        fit
        for fit, criterion in zip(fits, criteria, strict=True)
        if criterion <= min(criteria) + STRONG_EVIDENCE
    )


def measure_held_out_px(frames: Sequence[LensFrame], fit: LensFit) -> float:
    """Root mean square residual per axis of stars left out of the fit, fold by fold.

    NaN where too few stars are left.
    """
    rng = np.random.default_rng(0)
    fold = [rng.permutation(np.arange(frame.x.size) % FOLDS) for frame in frames]
    fitted = [replace(f, camera=c) for f, c in zip(frames, fit.cameras, strict=True)]
    unknowns = 3 * len(frames) + len(fit.free)
    squares = []
    for out in range(FOLDS):
        kept = [used & (number != out) for used, number in zip(fit.used, fold, strict=True)]
        left = [int(k.sum()) for k in kept]
        if min(left) < 2 or 2 * sum(left) < unknowns:
            return float("nan")
        again = fit_lens(fitted, fit.free, error=fit.error, used=kept)
        for residual, used, number in zip(again.residual_px, fit.used, fold, strict=True):
            squares.append(residual[used & (number == out)] ** 2)
    return float(np.sqrt(np.mean(np.concatenate(squares))))
