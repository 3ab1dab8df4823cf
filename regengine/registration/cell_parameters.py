"""Define the parameters of a fit to a drawn map, common to street maps and daytime frames."""

from __future__ import annotations

from dataclasses import dataclass, field

from regengine.registration.calibration import Steps


@dataclass(frozen=True, kw_only=True)
class CellParams:
    """How a frame is fitted to a drawn map on half of its cells, and verified on the others.

    Attributes
    ----------
    smooth_px, detail_px, deviation_px : float
        Both images are blurred with the first. Structure broader than the second is subtracted. The
        rest is divided by its local standard deviation at the scale of the third.
    fit_reach_px, proof_reach_px : int
        Search radius of patches in the fit, and in its verification.
    agreeing_px : float
        A held-out patch agrees with the camera if it is found within this distance.
    min_structure : float
        A patch has structure if the mean square of both normalized images is at least this.
    max_cells, answer_cells : int
        Approximate maximum number of chessboard cells, each of two by two patches: in a fit, and in
        the last fit, which uses even and odd cells together.
    max_rounds : int
        Maximum number of rounds of a fit. It ends earlier if all positions move by less than
        `settled_px`, or if there are fewer than `min_matches`.
    supersample : int
        Samples along each side of a pixel of the rendered map.
    is_noise_found : bool
        Whether the noise of patches is taken from the residuals of the last fit if these are
        smaller than stated. Then the covariance of the fit is kept unless refits without parts of
        the image have more than `max_refit_variance` times this variance.
    max_score : float
        Upper limit of the score: -log10 of the smallest probability that is reported.
    """

    smooth_px: float
    detail_px: float
    deviation_px: float
    fit_reach_px: int
    proof_reach_px: int = 12
    agreeing_px: float
    min_structure: float = 0.2
    max_cells: int = 400
    answer_cells: int = 100
    max_rounds: int = 4
    settled_px: float = 0.1
    min_matches: int = 6
    supersample: int = 1
    is_noise_found: bool = False
    max_refit_variance: float = 4.0
    max_score: float = 300.0
    # Minimum of the lower score of both levels for acceptance. Of 445 wrong matches on streets the
    # highest had 1.33: by Laplace's rule at most one in 447 with a score of 6 is wrong. The trials
    # allow no stronger statement
    min_score: float = 6.0
    probability_steps: Steps = field(
        default_factory=lambda: Steps(
            log10_odds=(3.0, 6.0), low=(0.0, 0.3, 0.997), high=(0.1, 0.7, 0.999)
        )
    )
