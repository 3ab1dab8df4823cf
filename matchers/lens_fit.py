"""One lens out of the stars of many frames: a joint fit of the lens and every frame's attitude."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from detectors.types import BoolArray, FloatArray
from matchers.lens_stars import (
    AT_THEIR_WORD,
    LENS_PARAMETERS,
    ErrorModel,
    LensFrame,
    NormalStep,
    error_model,
    inliers,
    lens_values,
    normal_step,
    residuals,
)
from matchers.sky_camera import SkyCamera, matrix_quaternion

_ROUNDS, _STEPS = 4, 12
_SMALL_STEP_SIGMA = 1e-3  # the fit has arrived where a step is this share of sigma

# What every lens has; `matchers.lens_fit` keeps the decentring small where stars do not tell it
ALWAYS = ("focal_px", "x_px", "y_px", "p1", "p2")
RADIAL_SETS: tuple[tuple[str, ...], ...] = ((), ("k1",), ("k1", "k2"), ("k1", "k2", "k3"))
# A fuller lens is kept where a simpler one's criterion is not better by more than this: a smaller
# difference is no strong evidence (Kass & Raftery 1995, JASA 90, 773). A term left out by mistake
# makes the others wrong by many of their sigmas, one too many only makes sigmas larger
STRONG_EVIDENCE = 6.0
FOLDS = 5
_FEWEST_STARS_A_TERM = 5
_NO_DISTORTION = (0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class LensFit:
    """A lens, the frames' attitudes, and how well the stars agree."""

    cameras: tuple[SkyCamera, ...]  # one a frame; they share the lens
    free: tuple[str, ...]  # lens parameters that were fitted; the others stayed as they were
    # (8, 8): of `LENS_PARAMETERS`, the attitudes being unknown; zero where not fitted
    covariance: FloatArray
    # (F, 3, 3): of each frame's turn about the camera's axes, the lens' uncertainty included
    attitude_covariance_rad2: FloatArray
    residual_px: tuple[FloatArray, ...]  # (N, 2): seen less predicted
    used: tuple[BoolArray, ...]  # (N,): stars that are no outliers
    error: ErrorModel  # what the residuals make of the stars' sigmas
    # Of the stars used by Huber's loss, the floor included, with what is known beforehand
    chi2: float
    # By how much the covariances were widened for residuals with longer tails than a normal
    # distribution's
    tails: float

    @property
    def stars(self) -> int:
        """How many stars were used, over all frames."""
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
    """Fit one lens and the attitude of every frame to the places of stars.

    Gauss-Newton steps on the normal equations, whose attitudes are eliminated frame by frame
    (Schur complement), with Huber weights; outliers are left out at the end. The principal point
    and the tangential terms are held by what is known beforehand (`matchers.lens_stars`).

    Parameters
    ----------
    frames : sequence of LensFrame
        Of images of equal size; the lens to start from is the first frame's.
    free : collection of str, optional
        Lens parameters to fit; with none, attitudes alone are fitted.

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
            cameras, _ = _descend(frames, cameras, columns, kept, model)
            away = [residuals(f, c) for f, c in zip(frames, cameras, strict=True)]
            model = error_model(frames, away) if error is None else error
        kept = inliers(frames, cameras, model)
    cameras, system = _descend(frames, cameras, columns, kept, model)
    covariance = np.zeros((len(LENS_PARAMETERS),) * 2)
    covariance[np.ix_(columns, columns)] = system.shared_covariance
    return LensFit(
        cameras=tuple(cameras),
        free=tuple(LENS_PARAMETERS[c] for c in columns),
        covariance=covariance,
        attitude_covariance_rad2=system.turn_covariance,
        residual_px=tuple(residuals(f, c) for f, c in zip(frames, cameras, strict=True)),
        used=tuple(kept),
        error=model,
        chi2=system.cost,
        tails=system.tails,
    )


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
) -> tuple[list[SkyCamera], NormalStep]:
    """Steps until they no longer matter; halved while they make things worse."""
    system = normal_step(frames, cameras, columns, kept, model)
    for _ in range(_STEPS):
        share = 1.0
        while True:
            tried = _moved(cameras, columns, share * system.shared, share * system.turns)
            after = normal_step(frames, tried, columns, kept, model)
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


@dataclass(frozen=True, kw_only=True, eq=False)
class LensChoice:
    """The fit with the terms that the stars support.

    Attributes
    ----------
    bic : dict
        Bayesian information criterion of each set of radial terms that was tried.
    held_out_px : float
        Root mean square residual per axis of stars that were left out of the fit.
    """

    fit: LensFit
    bic: dict[tuple[str, ...], float]
    held_out_px: float


def choose_lens(frames: Sequence[LensFrame]) -> LensChoice:
    """Fit a lens with as many radial terms of distortion as the stars support.

    All sets of terms are compared on the same stars with the same sigmas, those of the fullest
    set (its long tails included), by the Bayesian information criterion: the fullest wins that is
    not clearly worse than the best (`STRONG_EVIDENCE`).

    Raises
    ------
    ValueError
        As `fit_lens`.

    References
    ----------
    Schwarz, G. (1978). Estimating the dimension of a model. Annals of Statistics 6, 461-464.
    """
    stars = sum(frame.x.size for frame in frames)
    usable = [t for t in RADIAL_SETS if stars >= _FEWEST_STARS_A_TERM * (len(t) + len(ALWAYS))]
    usable = usable or [()]
    fullest = fit_lens(_from(frames, usable[-1]), (*ALWAYS, *usable[-1]))
    fits = {
        terms: fit_lens(
            _from(frames, terms),
            (*ALWAYS, *terms),
            error=fullest.error,
            used=fullest.used,
        )
        for terms in usable
    }
    bic = {
        terms: fit.chi2 / fullest.tails + len(fit.free) * float(np.log(2 * fit.stars))
        for terms, fit in fits.items()
    }
    lowest = min(bic.values())
    best = [terms for terms in usable if bic[terms] <= lowest + STRONG_EVIDENCE][-1]
    return LensChoice(fit=fits[best], bic=bic, held_out_px=held_out_px(frames, fits[best]))


def held_out_px(frames: Sequence[LensFrame], fit: LensFit, seed: int = 0) -> float:
    """Residual of stars that were left out of the fit, a fifth of each frame's at a time."""
    rng = np.random.default_rng(seed)
    fold = [rng.permutation(np.arange(frame.x.size) % FOLDS) for frame in frames]
    fitted = [replace(f, camera=c) for f, c in zip(frames, fit.cameras, strict=True)]
    squares = []
    for out in range(FOLDS):
        kept: list[BoolArray] = [
            np.asarray(used & (number != out)) for used, number in zip(fit.used, fold, strict=True)
        ]
        unknowns = 3 * len(frames) + len(fit.free)
        if min(int(k.sum()) for k in kept) < 2 or 2 * sum(int(k.sum()) for k in kept) < unknowns:
            return float("nan")
        again = fit_lens(fitted, fit.free, error=fit.error, used=kept)
        for residual, used, number in zip(again.residual_px, fit.used, fold, strict=True):
            squares.append(residual[used & (number == out)] ** 2)
    return float(np.sqrt(np.mean(np.concatenate(squares))))


def _from(frames: Sequence[LensFrame], terms: tuple[str, ...]) -> list[LensFrame]:
    """The frames, to start from a lens without the terms that are not to be fitted."""
    start = frames[0].camera.distortion if len(terms) == 3 else _NO_DISTORTION
    first = replace(frames[0].camera, distortion=start)
    return [replace(frames[0], camera=first), *frames[1:]]
