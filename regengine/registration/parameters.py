"""What can be tuned of a registration, a line each: what it does, its unit, where it is from."""

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
# Work (`stage_yields.csv`) that a photo is worth: of 224 accepted trials of the test half 198 came
# by 7, 222 by 18, the last by 28
WORK_BUDGETS: dict[Effort, float] = {"quick": 7.0, "normal": 18.0, "thorough": 28.0}


@dataclass(frozen=True, kw_only=True)
class LensParams:
    """What is believed of lenses."""

    # Of what has lost its EXIF: the lens of four in ten of the archive's night frames
    usual_focal_mm: float = 85.0
    # Natural logarithm: zooms and focusing change it by 2-3 %; half a step between lenses tried;
    # nothing known, where crops to a third have it three times as long
    sigma_log_focal: float = 0.03
    sigma_log_focal_unsure: float = 0.12
    sigma_log_focal_any: float = 1.0
    sigma_log_focal_placed: float = 0.06  # set by a person's eye
    # In a crop: half a frame has the axis at a quarter of the whole from its own middle
    sigma_principal_share: float = 0.2
    # Lenses of 24 mm and longer: a few percent at the corner
    sigma_k1: float = 0.05
    # Narrower fields (171 mm) lie within one city: their lights are compared clipped
    telephoto_field_deg: float = 12.0


LENS = LensParams()


@dataclass(frozen=True, kw_only=True)
class TrackParams:
    """Where along an orbit, and how far beside it, the camera may have been."""

    # EXIF clocks were 8, 18 and 32 s off in three frames solved by hand: root mean square 21 s
    clock_sigma_s: float = 21.0
    # Of a track offset o, a share that no one knows is the camera's clock, which turns the Earth
    unknown_clock_share: float = 0.4
    # A nadir that was written down may be off in any direction
    nadir_sigma_across_km: float = 25.0
    # A nadir set by hand, or moved with the clock: along the track, across it, in height
    placed_sigma_km: tuple[float, float, float] = (50.0, 15.0, 10.0)
    # A tilt between those that are tried moves a nadir that only the lights tell by so much
    blind_sigma_km: tuple[float, float, float] = (60.0, 60.0, 25.0)
    # Clocks are right to two minutes; where that leads nowhere, to ten, then to whole hours
    usual_clock_s: float = 120.0
    widest_clock_s: float = 600.0
    # Right, minutes and an hour are as 10 to 1 to 1. Cameras on board keep UTC: further hours are
    # rare. Only the order depends on it
    minutes_neg_log_prior: float = math.log(10.0)
    hours_neg_log_prior: float = 6.5
    # Of the archive's night frames 2 % contradict their orbit by hundreds of kilometres
    alternative_neg_log_prior: float = 3.0
    # The Sun may stand this high over the nadir while cities 1,500 km away are in the dark
    night_sun_deg: float = 10.0


@dataclass(frozen=True, kw_only=True)
class SearchParams:
    """Which hypotheses are tried, and which of them are fitted."""

    # Methods that may propose; fewer for ablations
    methods: tuple[str, ...] = ("light", "asterisms", "dense", "stars")
    # Between places along a track; less likely ones (negative log-prior) are left out
    place_step_km: float = 150.0
    max_neg_log_prior: float = 9.0
    # Clocks wrong by more than an hour are left to the regions
    max_track_neg_log_prior: float = 5.0
    # Those of the first region
    near_neg_log_prior: float = 4.0
    # Of the work with a lens that is given; the rest as if it was unknown
    share_told_lens: float = 0.85
    # A part of the work is done below this probability of cities, and of that a part where the
    # brightest thousandth is below so many sigmas
    min_cities_probability: float = 0.03
    min_brightest_sigmas: float = 40.0
    share_without_cities: float = 0.43
    share_faint: float = 0.2
    # Stages of less chance are not generated
    min_chance: float = 2e-5
    # Fewer light peaks are not sought elsewhere on Earth
    min_peaks_elsewhere: int = 15
    # Two cameras show the same view when the ground moves by less than this share of the long side
    same_view_share: float = 0.08
    # What tilts and heights between those tried amount to
    max_off_track_km: float = 250.0
    # Aligned at half the scale of the last comparison; of clipped pictures, which are alike, more
    n_compared: int = 8
    n_compared_clipped: int = 60
    # and of these so many at the whole scale, besides those that were fitted
    n_finer: int = 4
    # In one box of views: 7 to 29 tiles x 60 rolls x 49 x 49 shifts
    log10_attitudes: float = 6.0
    # On the lit Earth: 10 million km2 in pictures of 64 pixels of 5 km, 60 turns, 265 tilts, 8
    # scales, both hands
    earth_boxes: float = 105_000.0


@dataclass(frozen=True, kw_only=True)
class EarthIndexParams:
    """How the index of a map's light peaks is made."""

    # From what an 85 mm lens shows straight down to whole regions under the limb
    sizes_km: tuple[float, ...] = (0.65, 1.3, 2.6, 5.2)
    # Strips so narrow that a degree of longitude is as long at both edges, within 6 %
    strip_deg: float = 2.0
    piece_deg: float = 20.0
    # Peaks are maxima of nine pixels: what is nearer is the same one
    same_px: float = 1.5
    smooth_px: float = 0.8


INDEX = EarthIndexParams()


FAR_RINGS = ((47.0, 22), (52.0, 24), (57.0, 26), (61.0, 26))


@dataclass(frozen=True, kw_only=True)
class IndexParams:
    """How the index of light peaks is asked."""

    # Off-nadir angles of rings, and directions of the nadir in each
    tilt_bands: Mapping[str, tuple[tuple[float, int], ...]] = field(
        default_factory=lambda: {
            "steep": ((0.0, 1), (17.0, 6), (28.0, 8)),
            "slanted": ((37.0, 18), (42.0, 20)),
            "far_level": FAR_RINGS,
            "far_turned": FAR_RINGS,
        }
    )
    # Where the limb tells the tilt, the levels that are asked
    limb_levels_km: tuple[float, ...] = (2.6, 1.3)
    # Far directions are level ones where the picture is turned by at most so much
    level_turn_deg: float = 20.0
    # Long side of the photo's ground, pixels of a level, at which its light is worth comparing
    light_px: tuple[float, float] = (100.0, 420.0)
    # Patches placed, and places that each is placed on, near a track and on the Earth
    light_near: tuple[int, int] = (6, 10)
    light_earth: tuple[int, int] = (12, 50)
    # Patches of a photo, the fewest that are worth it, and the placements that are fitted
    n_patches: int = 24
    min_patches: int = 6
    n_light_fitted: int = 24
    light_smooth_px: float = 0.6


@dataclass(frozen=True, kw_only=True)
class AsterismParams:
    """How asterisms are made and compared of light peaks that are seen from a place."""

    # Long side of the light image, of about the map's pixels
    side_px: tuple[int, int] = (36, 192)
    scale_px: float = 1.8  # size of light peaks
    n_map_lights: int = 4000
    # Asterisms are a peak and two of its nearest neighbours of such brightness
    neighbours: int = 6
    brightness_share: float = 0.4
    size_px: tuple[float, float] = (10.0, 90.0)
    shape_tolerance: float = 0.12
    log_size_tolerance: float = 0.15
    # Of a peak's place; more for every pixel from the asterism
    sigma_px: float = 1.2
    sigma_share: float = 0.06
    n_kept: int = 60  # attitudes


@dataclass(frozen=True, kw_only=True)
class RefineParams:
    """How a hypothesis is aligned and fitted."""

    # Blur of the map's images
    smooth_px: float = 0.8
    # Long side of the image of a first look, and scale of the structure that is compared
    first_px: int = 64
    first_detail_px: float = 4.0
    # Long side at which hypotheses are compared; first at half of it
    compared_px: int = 256
    # Broader structure than this is left out of comparisons and of the first step of the fit
    detail_px: float = 10.0
    # The map's own blur (VIIRS DNB pixels of 0.74 km) at the finest image's scale
    finest_smooth_px: float = 1.0
    # Side of a patch, 10 km; so many cells along the long side of the frame hold one each
    patch_px: int = 31
    cells: int = 14
    # How far patches may move in each round, the widest first
    reaches_px: tuple[int, ...] = (20, 8, 5, 4)
    # A camera is better than another if it is ten times likelier, or else as good
    better_log10_odds: float = 1.0
    # Image odds: outlines of districts, which few cameras share
    odds_detail_px: float = 3.0


@dataclass(frozen=True, kw_only=True)
class HoldOutParams:
    """How a fit is tested by patches that it was not fitted to."""

    # Sides of the patches, and cells along the picture that hold one each. The mean of odds is no
    # more than chance allows (Vovk & Wang 2021, E-values: calibration, combination, applications)
    patches: tuple[tuple[int, int], ...] = ((31, 14), (25, 17), (21, 20))
    min_patches: int = 8
    # A patch is sought so many times as far away as it may lie to have landed
    reach: float = 4.0
    # Under the right camera so many patches land within a pixel; clouds and new lights spoil some
    landed_px: float = 1.0
    landed_shares: tuple[float, ...] = (0.3, 0.45, 0.6, 0.8)
    # and of a right fit most within half of what a control point may be off
    right_shares: tuple[float, ...] = (0.6, 0.8)
    # Of the patches of each quarter, or the fit is distorted
    min_quarter_share: float = 0.12
    # asked where half of what is allowed is more: in less, patches scatter as far
    min_quarter_px: float = 2.0
    # A fit holds in an empty quarter where so few matched lights are no rarer than this
    min_lights_chance: float = 0.05


@dataclass(frozen=True, kw_only=True)
class AcceptParams:
    """What evidence is asked for."""

    accept_probability: float = field(
        default_factory=lambda: read_shipped_calibration().accept_probability
    )
    # where neither time nor place was given; None accepts nothing
    accept_probability_blind: float | None = field(
        default_factory=lambda: read_shipped_calibration().accept_probability_blind
    )
    # Below this, one in four, a proposal is not worth a person's look
    review_probability: float = 0.25
    # What has these odds is no chance, one in a thousand: a place, the views tried taken off; a
    # lens that patches confirm; a camera that fits patches farther away: the fit is distorted
    clear_log10_odds: float = 3.0
    # Of held-out patches, for a tested fit
    tested_log10_odds: float = 1.0
    # beyond these all control points of the right place were right
    sure_log10_odds: float = 8.0
    # A lens is not confirmed where the lights pull it away by so many sigmas
    max_lens_sigmas: float = 3.0
    # Lights of such odds cover the picture, whatever clouds hide of the patches
    covering_log10_odds: float = 25.0
    # Share of right places whose control points are right, by odds of patches: 41 of 53, 43 of 48
    # and 103 of 103 training trials by Laplace's rule
    right_below_log10_odds: tuple[tuple[float, float], ...] = (
        (1.0, 0.76),
        (3.0, 0.88),
        (8.0, 0.99),
    )
    # That all control points of a right camera count as right
    min_points_probability: float = 0.95
    # Blind: chance of any control point off by more than allowed, with a lens guessed, and given
    max_loose_guessed: float = 1e-3
    max_loose_given: float = 0.02
    # Fewer lights that agree with the map prove nothing
    min_lights: int = 8
    # Of the photo's light on saturated map, which has no texture
    max_saturated_share: float = 0.25
    # A map that covers less of the ground in sight may lack the place
    min_covered_share: float = 0.5


@dataclass(frozen=True, kw_only=True)
class StarParams:
    """How the attitude among the stars becomes places on a track."""

    # Long side of the picture in which stars are detected, and of the one that is aligned
    detection_px: int = 2000
    aligned_px: int = 96
    # Of the picture: below it stars are too few, and the time is saved
    min_sky_share: float = 0.04
    # A few pixels of the image that is aligned
    step_km: float = 30.0
    # Most tracks never come near: steps of this size tell, from three sigmas of a wrong layer on
    first_step_km: float = 300.0
    max_off_limb_deg: float = 9.0
    # The ellipsoid and the layer's height move the limb by up to 0.2 degrees each
    min_limb_sigma_deg: float = 0.3
    # 2.3 degrees lie between the two layers that may be taken for each other
    wrong_layer_sigma_deg: float = 2.5
    wrong_layer_share: float = 0.1
    wrong_layer_share_paired: float = 0.02
    # Below the likeliest place
    max_neg_log_prior: float = math.log(1000.0)


@dataclass(frozen=True, kw_only=True)
class NeighbourParams:
    """What frames of one camera share."""

    # A camera's clock, and an element set's error along the track, are the same minutes apart
    near_s: float = 600.0
    # and mostly over a day, which two frames must show by agreeing. EXIF counts whole seconds; an
    # element set a day old is wrong by 1.7 s in one frame of ten
    max_apart_s: float = 43_200.0
    agree_s: float = 5.0
    min_spread_s: float = 2.0
    # Zooms and focusing change the focal length by 2-3 %
    agree_log_focal: float = 0.03
    # 900 km, a third of what is seen to the horizon
    neighbour_s: float = 120.0
    max_neighbours: int = 2
    # Within which they tell the place on the track
    place_step_km: float = 60.0
    # An axis off the middle by this share of the long side makes a picture a crop
    cropped_share: float = 0.01
    # A search without neighbours starts at offset 0: what is nearer is known
    worth_offset_s: float = 3.0


@dataclass(frozen=True, kw_only=True)
class PointParams:
    """How control points are chosen."""

    # Of a patch that gives a good point; below the last weight the fit takes it for an outlier
    min_ncc: float = 0.6
    min_good_weight: float = 0.15
    min_weight: float = 0.05
    # Of whole regions: Black Marble 2016 against monthly radiance composites, 32 m an axis RMS
    map_sigma_m: float = 50.0
    # A patch that disagrees with its camera and surroundings by more gets a wider sigma
    max_sigmas: float = 2.0
    # Of the lights' hull that the four cover, and of their longest distance the shortest
    min_hull_share: float = 0.25
    min_apart_share: float = 0.1
    # Where the camera is held against lights: farther off every camera is unsure
    max_lights_incidence_deg: float = 70.0
    # Confirmed lights so near count as the point's
    lights_reach_px: float = 45.0
    # What neighbouring patches have in common reaches so many patch sides
    reach_sides: float = 1.5
    min_pairs: int = 12  # of patches side by side, that tell how much


@dataclass(frozen=True, kw_only=True)
class RegisterParams:
    """What the user decides about a registration, and all that can be tuned.

    Attributes
    ----------
    clock_window_s : float or None
        The camera's clock is at most this wrong; None believes two minutes, and tries ten and whole
        hours where that leads nowhere.
    work_budget : float
        The search ends after so much work with the best it has, see `WORK_BUDGETS`.
    max_seconds : float
        It ends after so much processor time whatever it has done, reading the photo and loading the
        program aside; results say so.
    any_category : bool
        Try frames that do not look like night cities, too.
    clock : callable
        Tells the seconds that ``max_seconds`` is held against: of this thread's work, so that a
        busy machine finds what an idle one does.
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
