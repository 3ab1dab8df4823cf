"""Define the parameters of a registration, each with its purpose, unit and origin."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from regengine.registration.calibration import read_shipped_calibration
from regengine.registration.day.parameters import DayParams
from regengine.registration.streets.parameters import StreetParams

Method = Literal[
    "light", "asterisms", "dense", "stars", "neighbours", "placement", "streets", "day"
]
Effort = Literal["quick", "normal", "thorough"]
EFFORTS: tuple[Effort, ...] = get_args(Effort)
# Work budget of a photo, in the units of `stage_yields.csv`. Of 224 accepted trials of the test
# half, 198 were found within 7 units, 222 within 18, and the last within 28
WORK_BUDGETS: dict[Effort, float] = {"quick": 7.0, "normal": 18.0, "thorough": 28.0}


@dataclass(frozen=True, kw_only=True)
class LensParams:
    """Priors of focal length, optical axis and distortion."""

    # Focal length of frames without EXIF: the lens of four in ten of the archive's night frames
    usual_focal_mm: float = 85.0
    # Standard deviations of the natural logarithm of the focal length. Given: zooming and focusing
    # change it by 2-3 %. Unsure: half a step between the lenses tried. Any: unknown; a crop to a
    # third makes it three times as long
    sigma_log_focal: float = 0.03
    sigma_log_focal_unsure: float = 0.12
    sigma_log_focal_any: float = 1.0
    sigma_log_focal_placed: float = 0.06  # set by eye
    # Optical axis of a crop: in half a frame the axis is a quarter of the full frame off the middle
    sigma_principal_share: float = 0.2
    # Radial distortion of lenses of 24 mm and longer: a few percent at the corner
    sigma_k1: float = 0.05
    # Narrower fields of view (longer than 171 mm) lie within one city: the clipped image is used
    telephoto_field_deg: float = 12.0


LENS = LensParams()


@dataclass(frozen=True, kw_only=True)
class TrackParams:
    """Prior of the camera position along an orbit and across it."""

    # EXIF clocks were 8, 18 and 32 s off in three frames solved by hand: root mean square 21 s
    clock_sigma_s: float = 21.0
    # Share of a track offset that may be a clock error. It is not known exactly. A clock error also
    # rotates the Earth under the orbit
    unknown_clock_share: float = 0.4
    # A reported nadir may be off in any direction
    nadir_sigma_across_km: float = 25.0
    # A nadir set by hand, or moved with the clock: along the track, across it, in altitude
    placed_sigma_km: tuple[float, float, float] = (50.0, 15.0, 10.0)
    # Error of a nadir from a blind search, caused by a tilt between those tried; axes as above
    blind_sigma_km: tuple[float, float, float] = (60.0, 60.0, 25.0)
    # Clocks are assumed right to two minutes; without a match to ten minutes, then to whole hours
    usual_clock_s: float = 120.0
    widest_clock_s: float = 600.0
    # A right clock, an error of minutes and an error of an hour are as probable as 10 to 1 to 1.
    # Cameras on board keep UTC, so errors of more hours are rare. These affect only the order
    minutes_neg_log_prior: float = math.log(10.0)
    hours_neg_log_prior: float = 6.5
    # 2 % of the archive's night frames contradict their orbit by hundreds of kilometres
    alternative_neg_log_prior: float = 3.0
    # Maximum elevation of the Sun at the nadir: cities 1,500 km away can still be in the dark
    night_sun_deg: float = 10.0


@dataclass(frozen=True, kw_only=True)
class SearchParams:
    """Selection of the hypotheses that are tried and of those that are fitted."""

    # Methods that may propose; fewer for ablations
    methods: tuple[str, ...] = ("light", "asterisms", "dense", "stars")
    # Spacing of places along a track, and the largest negative log-prior of a place that is tried
    place_step_km: float = 150.0
    max_neg_log_prior: float = 9.0
    # Tracks for clocks wrong by more than an hour are searched only by region, not place by place
    max_track_neg_log_prior: float = 5.0
    # Largest negative log-prior of the places of the first region
    near_neg_log_prior: float = 4.0
    # Share of the work done with the given lens; the rest treats the lens as unknown
    share_told_lens: float = 0.85
    # The work is reduced to `share_without_cities` below this probability of cities, and to at most
    # `share_faint` if the brightest thousandth of the image is below this signal-to-noise ratio
    min_cities_probability: float = 0.03
    min_brightest_sigmas: float = 40.0
    share_without_cities: float = 0.43
    share_faint: float = 0.2
    # Stages with a lower chance are not generated
    min_chance: float = 2e-5
    # Frames with fewer light peaks are not searched for on the whole Earth
    min_peaks_elsewhere: int = 15
    # Two cameras have the same view if the ground moves by less than this share of the long side
    same_view_share: float = 0.08
    # Position error caused by tilts and altitudes between those tried
    max_off_track_km: float = 250.0
    # Number aligned at half the scale of the last comparison; more on clipped images, which
    # resemble each other
    n_compared: int = 8
    n_compared_clipped: int = 60
    # Number of these aligned at the full scale, in addition to those already fitted
    n_finer: int = 4
    # Number of views in one box, log10: 7 to 29 tiles x 60 rolls x 49 x 49 shifts
    log10_attitudes: float = 6.0
    # Number of boxes on the lit Earth: 10 million km2 in images of 64 pixels of 5 km, 60 rolls, 265
    # tilts, 8 scales, plain and mirrored
    earth_boxes: float = 105_000.0


FAR_RINGS = ((47.0, 22), (52.0, 24), (57.0, 26), (61.0, 26))


@dataclass(frozen=True, kw_only=True)
class IndexParams:
    """How the index of light peaks is searched."""

    # Off-nadir angles of rings, and number of nadir directions in each
    tilt_bands: Mapping[str, tuple[tuple[float, int], ...]] = field(
        default_factory=lambda: {
            "steep": ((0.0, 1), (17.0, 6), (28.0, 8)),
            "slanted": ((37.0, 18), (42.0, 20)),
            "far_level": FAR_RINGS,
            "far_turned": FAR_RINGS,
        }
    )
    # Levels that are searched if the limb determines the tilt
    limb_levels_km: tuple[float, ...] = (2.6, 1.3)
    # A far direction counts as level if the image is rolled by at most this angle
    level_turn_deg: float = 20.0
    # Useful range of the long side of the photo's ground, in pixels of a level
    light_px: tuple[float, float] = (100.0, 420.0)
    # Number of patches placed, and of places for each, near a track and on the whole Earth
    light_near: tuple[int, int] = (6, 10)
    light_earth: tuple[int, int] = (12, 50)
    # Patches of a photo, the minimum for a search, and the number of placements that are fitted
    n_patches: int = 24
    min_patches: int = 6
    n_light_fitted: int = 24
    light_smooth_px: float = 0.6


@dataclass(frozen=True, kw_only=True)
class AsterismParams:
    """How asterisms are formed and compared from light peaks that are visible from a place."""

    # Range of the long side of the light image, with pixels about the size of the map's
    side_px: tuple[int, int] = (36, 192)
    scale_px: float = 1.8  # size of light peaks
    n_map_lights: int = 4000
    # An asterism is a peak and two of its nearest neighbours of at least this relative brightness
    neighbours: int = 6
    brightness_share: float = 0.4
    size_px: tuple[float, float] = (10.0, 90.0)
    shape_tolerance: float = 0.12
    log_size_tolerance: float = 0.15
    # Standard deviation of a peak's position, and its increase per pixel from the asterism
    sigma_px: float = 1.2
    sigma_share: float = 0.06
    n_kept: int = 60  # attitudes


@dataclass(frozen=True, kw_only=True)
class RefineParams:
    """How a hypothesis is aligned and fitted."""

    # Blur of the map images
    smooth_px: float = 0.8
    # Long side of the image of the first look, and scale of the structure that is compared
    first_px: int = 64
    first_detail_px: float = 4.0
    # Long side at which hypotheses are compared; the first comparison uses half of it
    compared_px: int = 256
    # Structure broader than this is removed for comparisons and for the first step of the fit
    detail_px: float = 10.0
    # Blur of the map itself (VIIRS DNB pixels of 0.74 km) at the scale of the finest image
    finest_smooth_px: float = 1.0
    # Side of a patch, 10 km; and number of cells along the long side, each with one patch
    patch_px: int = 31
    cells: int = 14
    # Search radius of patches in each round, the widest first
    reaches_px: tuple[int, ...] = (20, 8, 5, 4)
    # A camera is better than another if it is ten times likelier; otherwise they are equal
    better_log10_odds: float = 1.0
    # Scale of structure for image odds: outlines of districts, which few cameras reproduce
    odds_detail_px: float = 3.0


@dataclass(frozen=True, kw_only=True)
class HoldOutParams:
    """How a fit is tested with held-out patches."""

    # Side of the patches, and number of cells along the image, each with one patch. The mean of
    # such odds stays valid against chance (Vovk & Wang 2021, E-values: calibration, combination,
    # applications)
    patches: tuple[tuple[int, int], ...] = ((31, 14), (25, 17), (21, 20))
    min_patches: int = 8
    # Search radius of a patch, as a multiple of the distance within which it counts as landed
    reach: float = 4.0
    # With the right camera these shares of patches land within a pixel; clouds and new lights spoil
    # the others
    landed_px: float = 1.0
    landed_shares: tuple[float, ...] = (0.3, 0.45, 0.6, 0.8)
    # With a right fit these shares land within half of the allowed error of a control point
    right_shares: tuple[float, ...] = (0.6, 0.8)
    # Minimum share of landed patches in each quarter; the fit is distorted below it
    min_quarter_share: float = 0.12
    # Quarters are checked only if half of the allowed error is at least this: patches scatter by
    # as much
    min_quarter_px: float = 2.0
    # A fit is valid in an empty quarter if so few matched lights there have at least this chance
    min_lights_chance: float = 0.05


@dataclass(frozen=True, kw_only=True)
class AcceptParams:
    """Evidence that is required to accept or review a match."""

    accept_probability: float = field(
        default_factory=lambda: read_shipped_calibration().accept_probability
    )
    # Threshold of a blind search; None accepts nothing
    accept_probability_blind: float | None = field(
        default_factory=lambda: read_shipped_calibration().accept_probability_blind
    )
    # Proposals below this, one in four, are not presented for review
    review_probability: float = 0.25
    # Odds of a thousand to one rule out chance: for a place, less the views tested; for a lens that
    # patches confirm; and for a camera that fits patches farther away, so that a fit is distorted
    clear_log10_odds: float = 3.0
    # Minimum odds of held-out patches for a fit to count as tested
    tested_log10_odds: float = 1.0
    # Above these odds all control points of the right place were right
    sure_log10_odds: float = 8.0
    # A lens is not confirmed if the lights pull its focal length away by more sigmas
    max_lens_sigmas: float = 3.0
    # Lights with these odds cover the image, even if clouds hide patches
    covering_log10_odds: float = 25.0
    # Share of right places whose control points are right, for odds of patches below each limit: 41
    # of 53, 43 of 48 and 103 of 103 training trials by Laplace's rule
    right_below_log10_odds: tuple[tuple[float, float], ...] = (
        (1.0, 0.76),
        (3.0, 0.88),
        (8.0, 0.99),
    )
    # Minimum probability that all control points of a right camera are within the allowed error
    min_points_probability: float = 0.95
    # Blind search: maximum probability that any control point exceeds the allowed error, with a
    # guessed lens and with a given one
    max_loose_guessed: float = 1e-3
    max_loose_given: float = 0.02
    # Fewer lights that match the map are no proof
    min_lights: int = 8
    # Maximum share of the light that falls on saturated map, which has no texture
    max_saturated_share: float = 0.25
    # A map that covers less of the visible ground may not contain the place
    min_covered_share: float = 0.5


@dataclass(frozen=True, kw_only=True)
class StarParams:
    """How an attitude from the stars is converted to places on a track."""

    # Long side of the image in which stars are detected, and of the one that is aligned
    detection_px: int = 2000
    aligned_px: int = 96
    # Minimum share of sky in the image; with less there are too few stars to spend time on
    min_sky_share: float = 0.04
    # Spacing of places: a few pixels of the aligned image
    step_km: float = 30.0
    # Coarse spacing that first excludes tracks whose nadir is never near the one from the limb, and
    # the largest angle between the two: more than three sigmas of a wrong layer
    first_step_km: float = 300.0
    max_off_limb_deg: float = 9.0
    # The ellipsoid and the height of the airglow layer move the limb by up to 0.2 degrees each
    min_limb_sigma_deg: float = 0.3
    # The two layers that can be mistaken for each other are 2.3 degrees apart
    wrong_layer_sigma_deg: float = 2.5
    wrong_layer_share: float = 0.1
    wrong_layer_share_paired: float = 0.02
    # Maximum negative log-prior relative to the likeliest place
    max_neg_log_prior: float = math.log(1000.0)


@dataclass(frozen=True, kw_only=True)
class NeighbourParams:
    """How frames of one camera share clock, lens and attitude."""

    # Clock offset and along-track error of an element set are constant over minutes
    near_s: float = 600.0
    # They are mostly constant over a day, but then two frames must agree. EXIF counts whole
    # seconds; an element set one day old is wrong by 1.7 s in one frame of ten
    max_apart_s: float = 43_200.0
    agree_s: float = 5.0
    min_spread_s: float = 2.0
    # Zooming and focusing change the focal length by 2-3 %
    agree_log_focal: float = 0.03
    # 900 km along the track, a third of the visible ground up to the horizon
    neighbour_s: float = 120.0
    max_neighbours: int = 2
    # Spacing of the places on the track around the one that they predict
    place_step_km: float = 60.0
    # A frame is a crop if its optical axis is off the middle by this share of the long side
    cropped_share: float = 0.01
    # A search without neighbours starts at offset 0, so smaller offsets add nothing
    worth_offset_s: float = 3.0


@dataclass(frozen=True, kw_only=True)
class PointParams:
    """How control points are chosen."""

    # Correlation and robust weight of a patch that gives a good point; below `min_weight` the patch
    # is an outlier of the fit
    min_ncc: float = 0.6
    min_good_weight: float = 0.15
    min_weight: float = 0.05
    # Position error of the map over whole regions: Black Marble 2016 against monthly radiance
    # composites, 32 m per axis RMS
    map_sigma_m: float = 50.0
    # A patch that disagrees with the camera and its surroundings by more gets a wider sigma
    max_sigmas: float = 2.0
    # Minimum share of the hull of the lights that the four points cover, and minimum ratio of their
    # shortest distance to their longest
    min_hull_share: float = 0.25
    min_apart_share: float = 0.1
    # Maximum incidence angle of lights at which the camera is tested; beyond it every camera is
    # uncertain
    max_lights_incidence_deg: float = 70.0
    # Confirmed lights within this distance are counted for a point
    lights_reach_px: float = 45.0
    # Correlation length of the local offsets of patches, in patch sides
    reach_sides: float = 1.5
    min_pairs: int = 12  # minimum pairs of adjacent patches to estimate their common variance


@dataclass(frozen=True, kw_only=True)
class RegisterParams:
    """All parameters of a registration: the choices of the user, and what can be tuned.

    Attributes
    ----------
    clock_window_s : float or None
        Maximum error of the camera's clock. None assumes two minutes, and tries ten minutes and
        whole hours if that gives no match.
    work_budget : float
        The search ends after this much work and returns its best match, see `WORK_BUDGETS`.
    max_seconds : float
        CPU-time limit of the search, without reading the photo and loading the program. The result
        states if the limit was reached.
    any_category : bool
        Whether frames that do not look like night cities are tried, too.
    clock : callable
        Returns the seconds that are compared with ``max_seconds``. The default counts CPU time of
        this thread, so that results on a busy machine and on an idle one are the same.
    """

    clock_window_s: float | None = None
    work_budget: float = WORK_BUDGETS["normal"]
    max_seconds: float = 240.0
    any_category: bool = False
    clock: Callable[[], float] = time.thread_time
    tracks: TrackParams = field(default_factory=TrackParams)
    search: SearchParams = field(default_factory=SearchParams)
    index: IndexParams = field(default_factory=IndexParams)
    asterisms: AsterismParams = field(default_factory=AsterismParams)
    refine: RefineParams = field(default_factory=RefineParams)
    hold_out: HoldOutParams = field(default_factory=HoldOutParams)
    accept: AcceptParams = field(default_factory=AcceptParams)
    points: PointParams = field(default_factory=PointParams)
    stars: StarParams = field(default_factory=StarParams)
    neighbours: NeighbourParams = field(default_factory=NeighbourParams)
    streets: StreetParams = field(default_factory=StreetParams)
    day: DayParams = field(default_factory=DayParams)
