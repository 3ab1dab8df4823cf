"""How many radial terms the stars support, and what that lens is worth on other stars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from matchers.lens_fit import LensFit, fit_lens
from matchers.lens_stars import BoolArray, LensFrame

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
class LensChoice:
    """The fit with the terms that the stars support.

    Attributes
    ----------
    fit : LensFit
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

    Parameters
    ----------
    frames : sequence of LensFrame

    Returns
    -------
    LensChoice

    Raises
    ------
    ValueError
        As `matchers.lens_fit.fit_lens`.

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
    """Residual of stars that were left out of the fit, a fifth of each frame's at a time.

    Parameters
    ----------
    frames : sequence of LensFrame
    fit : LensFit
        With the terms to fit and the stars to use.
    seed : int, optional
        Of the division.

    Returns
    -------
    float
        Root mean square per axis, pixels; NaN where frames have too few stars to leave any out.
    """
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
