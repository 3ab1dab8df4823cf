"""How frames by day are placed: features, the search of all turns, fit and proof."""

from __future__ import annotations

from dataclasses import dataclass, field

from regengine.registration.calibration import Steps
from regengine.registration.cell_parameters import CellParams


@dataclass(frozen=True, kw_only=True)
class FeatureParams:
    """How local features say where on a map a photo lies.

    Values are those of a prototype that was tuned on 11 telephoto frames and found 16 of 21 others,
    but for `map_density`: with twice as many features of the map nine of the 11 agree at more
    places, and one at one place less.
    """

    # Grey and red are made as contrasty everywhere, then features of so much contrast are found, so
    # many of the photo, and of a map of a million pixels
    clip_limit: float = 3.0
    contrast: float = 0.01
    photo_px: int = 512  # long side at which it is looked at
    n_photo: int = 3000
    map_density: float = 0.009  # a pixel
    # Maps are searched in blocks of so many pixels, with a rim, and matched in parts of so many
    # frames' sides
    block_px: int = 2048
    block_rim_px: int = 64
    part_frames: float = 5.0
    # Nearest neighbours that are so much nearer than the next one elsewhere, pixels
    max_ratio: float = 0.92
    same_place_px: float = 3.0
    # Windows of turn, degrees, and of size, powers of two
    turn_step_deg: int = 30
    turn_reach_deg: float = 35.0
    octaves: tuple[int, ...] = (-2, -1, 0, 1)
    octave_reach: float = 0.75
    # Affine maps of three matches, of so many samples a window, and those that no photo has;
    # matches are within so many pixels of the map, near the best within more
    least_matches: int = 5
    n_samples: int = 1500
    area_range: tuple[float, float] = (0.05, 20.0)
    max_stretch: float = 2.2
    affine_px: float = 6.0
    n_affines: int = 4
    gather_px: float = 25.0
    homography_px: float = 4.0
    # Matches on the same spot of so many pixels are one
    cell_px: float = 3.0
    seed: int = 1
    # Wide frames: pixels of the map, cells of it in which the nearest is looked for, the most of it
    # that is searched where no place is known; strongest features of the photo, and bins of votes:
    # half of their width in octaves, width as a share of the photo's long side, turn, how many are
    # tried
    wide_km: float = 1.8
    wide_cell_px: int = 300
    max_wide_pixels: float = 6e7
    n_wide: int = 1200
    vote_octaves: float = 0.8
    vote_share: float = 0.33
    vote_turn_deg: float = 40.0
    n_bins: int = 12
    # Fewer places are not worth a fit
    least_places: int = 6
    # Of the camera fitted to them: one sigma of a match as a share of the long side; what is no
    # camera of the lens, the median distance and the logarithm of the focal length
    sigma_share: float = 0.003
    max_residual_share: float = 0.005
    max_log_focal: float = 0.2


@dataclass(frozen=True, kw_only=True)
class DayParams(CellParams):
    """How a frame is placed on a picture of the Earth by day.

    Values without an origin are those of a prototype that placed 26 of 26 frames with land.
    """

    # Photo: long side at which it is read; what is darker than `dark_level` (square root of linear
    # light) and reaches the picture's edge is the rim of a window, `rim_px` more of it is left out;
    # white strokes are burned-in text; what is white and grey is cloud or snow
    read_px: int = 1300
    dark_level: float = 0.22
    rim_px: int = 25
    stroke_px: int = 7
    text_contrast: float = 0.3
    text_level: float = 0.85
    white_level: float = 0.6
    white_spread: float = 0.15
    # Both pictures are blurred, structure broader than `detail_px` is taken out, and the rest
    # divided by its spread over `deviation_px`
    smooth_px: float = 0.7
    detail_px: float = 10.0
    deviation_px: float = 12.0
    # Map around the nadir, half of its width: half of the frame's diagonal (250 km), and 180 km of
    # tilt or of a clock that is 20 s off
    half_width_km: float = 430.0
    half_width_share: float = 1.0  # of the frame's long side, of wider ones
    # Width of frames straight down: those of longer lenses look aside by more than the search
    # around the nadir reaches and are searched from afar, wider ones bend as no trial did
    long_km: tuple[float, float] = (160.0, 900.0)
    # Long sides of the photo: 3 km a pixel of a frame of 405 km for the dense search, 1.2 for the
    # coarse and 0.4 for the fine proof, there unless the map is coarser
    dense_side_px: int = 135
    coarse_side_px: int = 340
    fine_side_px: int = 1010
    max_oversampling: float = 0.65
    # Dense: turns, least energy of the map under the frame as a share of its median, peaks of
    # neighbouring turns nearer than so many pixels are one, and how many are tried
    dense_yaws: int = 72
    energy_floor: float = 0.2
    same_place_px: int = 12
    n_candidates: int = 4
    # Wide frames whose features vote look no farther aside
    max_tilt_deg: float = 25.0
    # Attitudes that differ by less are fitted once
    same_attitude_deg: float = 3.0
    # Telephoto frames: maps are searched that show the frame with so many pixels, no flatter than
    # this, and at most so many parts of them
    features: FeatureParams = FeatureParams()
    # Sides of the sensor whose pictures may have been squared
    squared_from: float = 1.5
    min_map_px: float = 200.0
    # Of a wide frame's camera above what it shows, one sigma: along, across, and height
    sigma_above_km: tuple[float, float, float] = (100.0, 100.0, 10.0)
    max_incidence_deg: float = 75.0
    max_parts: int = 12
    # Belief: limits of one sigma along the track (a clock that is some seconds off), focal length,
    # distortion at the corner as a share of its distance from the axis
    sigma_along_km: tuple[float, float] = (50.0, 150.0)
    sigma_log_focal: float = 0.05
    sigma_corner: float = 0.015
    rough_patch_px: int = 16
    rough_reach_px: int = 14
    patch_px: int = 20
    fine_patch_px: int = 32
    fit_reach_px: int = 10
    agreeing_px: float = 3.0
    # -log10 of chance of the coarse proof from which the fine one is tried
    worth_score: float = 3.0
    # None of 520 distinct negatives had more than 3.0: by Laplace's rule at most one in 522 that
    # have 6 is wrong
    probability_steps: Steps = field(
        default_factory=lambda: Steps(
            log10_odds=(3.0, 6.0), low=(0.0, 0.3, 0.995), high=(0.1, 0.7, 0.999)
        )
    )
    # Of what counts in a frame that was not placed: what is told as the reason
    max_white_share: float = 0.5
    max_sea_share: float = 0.85
