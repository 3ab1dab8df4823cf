"""Define the parameters of daytime registration: features, dense search, fit and verification."""

from __future__ import annotations

from dataclasses import dataclass, field

from regengine.registration.calibration import Steps
from regengine.registration.cell_parameters import CellParams


@dataclass(frozen=True, kw_only=True)
class FeatureParams:
    """How local features locate a photo on a map.

    Values are those of a prototype that was tuned on 11 telephoto frames and found 16 of 21 others.
    The exception is `map_density`: with twice as many features of the map, nine of the 11 agree at
    more places, and one at one place fewer.
    """

    # Local contrast of grey and red is equalized (CLAHE). Then the strongest features above a
    # minimum contrast are extracted, a fixed number from a photo and a density from a map
    clip_limit: float = 3.0
    contrast: float = 0.01
    photo_px: int = 512  # long side of the photo
    n_photo: int = 3000
    map_density: float = 0.009  # features per pixel
    # Features of maps are extracted in blocks of this size in pixels, with a rim, and matched in
    # parts whose side is this multiple of the frame's side
    block_px: int = 2048
    block_rim_px: int = 64
    part_frames: float = 5.0
    # Maximum ratio of the distances to the nearest and second nearest descriptor (Lowe's test).
    # Features within this distance in pixels are at the same place and not compared
    max_ratio: float = 0.92
    same_place_px: float = 3.0
    # Windows of rotation, degrees, and of the ratio of sizes, powers of two
    turn_step_deg: int = 30
    turn_reach_deg: float = 35.0
    octaves: tuple[int, ...] = (-2, -1, 0, 1)
    octave_reach: float = 0.75
    # Affine maps from three matches: minimum number of matches and number of samples per window,
    # and limits of area and stretch of possible views. Matches agree within `affine_px` of the map;
    # around the best maps they are gathered within `gather_px`
    least_matches: int = 5
    n_samples: int = 1500
    area_range: tuple[float, float] = (0.05, 20.0)
    max_stretch: float = 2.2
    affine_px: float = 6.0
    n_affines: int = 4
    gather_px: float = 25.0
    homography_px: float = 4.0
    # Matches within a cell of this size count once
    cell_px: float = 3.0
    seed: int = 1
    # Wide frames: pixel size of the map, cells of it in which the nearest neighbour is searched,
    # maximum number of its pixels that are searched without a known position, and number of
    # features of the photo. Bins of votes: half width in octaves, width as a share of the photo's
    # long side, width in rotation, and number of bins that are tried
    wide_km: float = 1.8
    wide_cell_px: int = 300
    max_wide_pixels: float = 6e7
    n_wide: int = 1200
    vote_octaves: float = 0.8
    vote_share: float = 0.33
    vote_turn_deg: float = 40.0
    n_bins: int = 12
    # Minimum number of places for a fit
    least_places: int = 6
    # Fit of the camera to the places: standard deviation of a match as a share of the long side.
    # A camera is rejected above this median residual (same unit), or if the natural logarithm of
    # the focal length changes by more
    sigma_share: float = 0.003
    max_residual_share: float = 0.005
    max_log_focal: float = 0.2


@dataclass(frozen=True, kw_only=True)
class DayParams(CellParams):
    """How a frame is registered on a day map.

    Values without an origin are those of a prototype that registered 26 of 26 frames with land.
    """

    # Photo: long side at which it is read. Areas darker than `dark_level` (square root of linear
    # light) that reach the edge of the image are a window frame, which is masked with a margin of
    # `rim_px`. White strokes are burned-in text. Bright pixels without colour are cloud or snow
    read_px: int = 1300
    dark_level: float = 0.22
    rim_px: int = 25
    stroke_px: int = 7
    text_contrast: float = 0.3
    text_level: float = 0.85
    white_level: float = 0.6
    white_spread: float = 0.15
    # Both images are blurred, structure broader than `detail_px` is subtracted, and the rest is
    # divided by its local standard deviation at the scale of `deviation_px`
    smooth_px: float = 0.7
    detail_px: float = 10.0
    deviation_px: float = 12.0
    # Half width of the map around the nadir: half of the frame's diagonal (250 km), and 180 km for
    # tilt or a clock error of 20 s
    half_width_km: float = 430.0
    half_width_share: float = 1.0  # of the frame's long side, for wider frames
    # Range of frame widths at nadir. Frames of longer lenses point farther off nadir than the
    # search around it, and are registered by local features. Wider ones are more curved than any
    # frame in the trials
    long_km: tuple[float, float] = (160.0, 900.0)
    # Long sides of the photo. For a frame of 405 km they give 3 km per pixel in the dense search,
    # 1.2 in the coarse and 0.4 in the fine verification, unless the map is coarser
    dense_side_px: int = 135
    coarse_side_px: int = 340
    fine_side_px: int = 1010
    max_oversampling: float = 0.65
    # Dense search: number of rotations, minimum energy of the map under the frame as a share of its
    # median, distance in pixels below which peaks of adjacent rotations are the same, and number of
    # candidates that are tried
    dense_yaws: int = 72
    energy_floor: float = 0.2
    same_place_px: int = 12
    n_candidates: int = 4
    # Maximum off-nadir angle of wide frames that are found by votes of features
    max_tilt_deg: float = 25.0
    # Attitudes that differ by less are fitted once
    same_attitude_deg: float = 3.0
    # Telephoto frames: minimum number of map pixels along the frame (`min_map_px`), maximum
    # incidence angle (`max_incidence_deg`) and maximum number of map parts (`max_parts`)
    features: FeatureParams = FeatureParams()
    # Aspect ratio of the sensor of images that may have been stretched to a square
    squared_from: float = 1.5
    min_map_px: float = 200.0
    # Wide frames without a known position: standard deviations of the camera around the point above
    # the matched ground, along, across and in altitude
    sigma_above_km: tuple[float, float, float] = (100.0, 100.0, 10.0)
    max_incidence_deg: float = 75.0
    max_parts: int = 12
    # Prior: limits of the standard deviation along the track (a clock error of some seconds), focal
    # length, and distortion at the corner as a share of its distance from the axis
    sigma_along_km: tuple[float, float] = (50.0, 150.0)
    sigma_log_focal: float = 0.05
    sigma_corner: float = 0.015
    rough_patch_px: int = 16
    rough_reach_px: int = 14
    patch_px: int = 20
    fine_patch_px: int = 32
    fit_reach_px: int = 10
    agreeing_px: float = 3.0
    # Minimum score (-log10 of chance) of the coarse verification for the fine one to be tried
    worth_score: float = 3.0
    # No distinct negative of 520 had a score above 3.0: by Laplace's rule at most one in 522 with a
    # score of 6 is wrong
    probability_steps: Steps = field(
        default_factory=lambda: Steps(
            log10_odds=(3.0, 6.0), low=(0.0, 0.3, 0.995), high=(0.1, 0.7, 0.999)
        )
    )
    # In a frame that is not registered, a larger share of white or sea is reported as the reason
    max_white_share: float = 0.5
    max_sea_share: float = 0.85
