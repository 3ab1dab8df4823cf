"""Define the parameters of registration on streets, each with its purpose, unit and origin."""

from __future__ import annotations

from dataclasses import dataclass

from regengine.registration.cell_parameters import CellParams


@dataclass(frozen=True, kw_only=True)
class StreetParams(CellParams):
    """How a telephoto frame is registered on streets drawn as lamps.

    Values without an origin are those of a prototype that registered 63 of 64 simulated frames.
    """

    # Maximum ground sample of a frame, metres per pixel across the line of sight. For coarser
    # frames the lights are more accurate
    max_sample_m: float = 60.0
    # A frame that is bright all over is tried if the Sun at the nadir is below this elevation:
    # after nautical dusk its light is from lamps or the Moon
    dark_sun_deg: float = -12.0
    # Maps farther than this from the given nadir are not searched, km: the visible range, plus two
    # minutes of clock error
    max_distance_km: float = 2500.0
    # Both images are blurred, structure broader than `detail_px` is subtracted, and the rest is
    # divided by its local standard deviation at the scale of `deviation_px`. Lamps are blurred
    # before their square root is taken
    smooth_px: float = 0.5
    detail_px: float = 6.0
    deviation_px: float = 8.0
    lamp_px: float = 0.8
    # Search: shares of the map's sides at which views are made, the side of the square that is laid
    # on the map, and of one of that size steps of scale (of a logarithm) and of the roll (radians,
    # of one square and of a whole photo)
    looked_at: tuple[float, ...] = (0.2, 0.5, 0.8)
    scale_step: float = 0.07
    roll_step_rad: tuple[float, float] = (4.0 / 64.0, 6.0 / 64.0)
    square_px: int = 64
    # All of the photo: at half of the scale, but at least so many metres a pixel, a row of so many
    # squares, of which those that it fills most. Of 13 harsh frames that one square does not find
    # (seeds 40000 to 42006) this finds 13, with the four fullest squares 12
    finest_search_m: float = 75.0
    squares_a_side: int = 3
    n_squares: int = 6
    # Views of likely places that are tried so: of those 13 the right one was the third at most
    fine_views: int = 4
    # Metres a pixel by the short side of the frame from so many kilometres on
    search_scales: tuple[tuple[float, float], ...] = (
        (9.0, 200.0),
        (6.5, 150.0),
        (2.5, 100.0),
        (0.0, 50.0),
    )
    # Minimum energy under the square, relative to the map's 90th percentile. With 0.15, empty
    # borders of the map had a correlation of 0.9 with small frames
    energy_floor: float = 0.5
    # The likeliest views that are tried, each at all rolls: of likely places, then of all
    max_views: tuple[int, int] = (6, 64)
    # Work of streets for one of the budget of all else, by one square and then with all of the
    # photo: with clocks two minutes off and lenses a fifth off the right view was up to the 45th
    work_share: tuple[float, float] = (2.0, 3.0)
    # Work in seconds of one core, as in `stage_yields.csv`: of a template, of a million pixels of
    # the map for each of its squares, of a compared candidate, and of the fit of a wrong one
    work_of_template: float = 0.0008
    work_of_megapixel: float = 0.009
    work_of_candidate: float = 0.03
    work_of_fit: float = 0.5
    # Of each view: with ten of them 24 frames of the first generator, 20 harsh ones and 10 with
    # loose clocks and lenses (seeds 31000 on) are found alike
    n_candidates: int = 4
    # -log10 of the chance of a candidate's correlation, at the search's scale and at half of it,
    # from which the search ends: set right, wrong ones reach 13 and 9, right ones have 12 to 200
    # and 30 to 700
    clear_log10_odds: tuple[float, float] = (8.0, 15.0)
    # Odds at half of the scale below which a candidate is not fitted: most wrong ones have less
    worth_log10_odds: float = 7.0
    # Places that are tried: steps along a track, km, and at a spread of so much across it (one
    # sigma) those at minus and plus one sigma, too
    place_step_km: float = 50.0
    min_across_km: float = 20.0
    # Candidates that are compared at half of the search's scale, and of those the ones that are
    # fitted: a wrong one correlates by 0.0 where the right one does by 0.5
    n_compared: int = 12
    n_refined: int = 3
    min_share_of_best: float = 0.5
    # Levels of the fit, metres per pixel; radial distortion is fitted from `max_bent_m` on
    levels_m: tuple[float, ...] = (50.0, 25.0, 12.5)
    max_bent_m: float = 25.0
    # A rival of the best camera is fitted further if its correlation is less by at most this, and
    # if it moves some ground by a minimum share of the frame's long side
    rival_ncc: float = 0.02
    rival_share: float = 3e-4
    # A tenth of the short side of the picture, within these
    patch_px: tuple[int, int] = (20, 32)
    fit_reach_px: int = 8
    # Cells of a fit, of which every second one is fitted; the proof has `max_cells`. Before the
    # finest level a fit ends where nothing moves by `near_px`, or after `near_rounds`
    fit_cells: int = 160
    near_px: float = 0.3
    near_rounds: int = 4
    # Frames with motion blur need more than 4 rounds to converge
    max_rounds: int = 8
    # The stated noise is 1.7 times that of 21 simulated frames (seeds 21000 on). Refits move the
    # frames by up to 3.5 times the variance; the exception has correlated patch errors (10 times)
    is_noise_found: bool = True
    # Ground around the frame, km
    margin_km: float = 3.0
    # Standard deviation of radial distortion at the corner, as a share of its distance to the axis
    sigma_corner: float = 0.01
    # Verification on the held-out cells
    agreeing_px: float = 2.5
    proof_levels_m: tuple[float, ...] = (25.0, 12.5)
    # A fit with a lower score is not continued to the finest level
    worth_score: float = 1.5
    # Position error of the street map: held-out cells of a real frame at 12.5 m
    map_sigma_m: float = 5.0
    # Maximum median of held-out residuals, pixels of the finest level: an incomplete fit exceeds it
    max_median_px: float = 0.5
    # Minimum short side of the frame: there is no null distribution for smaller ones yet
    min_short_side_km: float = 4.0
    # A smaller coverage of the frame by the map is reported; a third still suffices to register it
    min_covered_share: float = 0.5
