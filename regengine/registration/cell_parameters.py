"""What streets and pictures by day have in common: a fit to a drawn map, proved by its cells."""

from __future__ import annotations

from dataclasses import dataclass, field

from regengine.registration.calibration import Steps


@dataclass(frozen=True, kw_only=True)
class CellParams:
    """How a frame is fitted to a drawn map on half of its cells, and proved on the others.

    Attributes
    ----------
    smooth_px, detail_px, deviation_px : float
        Both pictures are blurred, structure broader than the second is taken out, and the rest
        divided by its spread over the third.
    fit_reach_px, proof_reach_px : int
        How far patches are looked for.
    agreeing_px : float
        A patch of the proof agrees with the camera if it is found as near as that.
    min_structure : float
        A patch holds structure where the mean square of the evened pictures is at least this.
    max_cells, answer_cells : int
        A chessboard of cells of two by two patches; at most about so many cells, and of the last
        fit, to even and odd cells together.
    max_rounds : int
        Of a fit, that ends where nothing moves by `settled_px`; `min_matches` are needed.
    supersample : int
        Samples along each side of a pixel of the rendered map.
    is_noise_found : bool
        Whether the noise of patches is taken from what the last fit leaves of them where that is
        less than they state, and a fit's covariance holds unless leaving out parts of the picture
        moves it by `max_refit_variance` times that.
    max_score : float
        -log10 of the least chance that is told.
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
    # Accepted from this lower score of both levels on. Of 445 wrong ones on streets the highest had
    # 1.33: by Laplace's rule at most one in 447 that have 6 is wrong; no trial tells more
    min_score: float = 6.0
    probability_steps: Steps = field(
        default_factory=lambda: Steps(
            log10_odds=(3.0, 6.0), low=(0.0, 0.3, 0.997), high=(0.1, 0.7, 0.999)
        )
    )
