"""Register a telephoto frame on street maps, from a match of lights or from the prior."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from weakref import WeakKeyDictionary

import cv2
import numpy as np

from detectors.constants import KM_PER_DEGREE
from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import great_circle_km
from matchers.geometry.footprint import trace_visible_outline
from matchers.geometry.light_grid import make_pyramid
from matchers.geometry.pose import (
    ACROSS,
    ALONG,
    FOCAL,
    K1,
    PRINCIPAL_X,
    PRINCIPAL_Y,
    UP,
    mirror_pose,
    move_on_orbit,
)
from matchers.lights.photo_light import LightImage
from regengine.maps.lights import KINDS
from regengine.photo.image import read_linear_light
from regengine.registration.align import is_same_view, locate_camera
from regengine.registration.generate_stages import list_places
from regengine.registration.parameters import LENS
from regengine.registration.priors.lens import LensBelief, is_telephoto
from regengine.registration.priors.tracks import believe_camera
from regengine.registration.refine_on_map import (
    CellProof,
    MapPicture,
    even_picture,
    prove_on_map,
    settle,
)
from regengine.registration.report_on_map import MapMatch, fit_all_cells, report_on_map
from regengine.registration.report_result import doubt_given, doubt_height, make_no_match_result
from regengine.registration.streets.parameters import StreetParams
from regengine.registration.streets.propose_from_streets import draw_lamps, search_streets
from regengine.registration.types import (
    Hypothesis,
    Match,
    Problem,
    SearchState,
)
from regengine.registration.windows import StreetMap
from regengine.store.result import FrameResult, Reason


def scale_picture(
    light: LightImage, streets: StreetMap, camera: Camera, sample_m: float, params: StreetParams
) -> MapPicture | None:
    """Scale photo and streets to a ground sample; None if the map does not cover the frame.

    The sample is never finer than that of the photo. It is measured across the line of sight;
    pixels are longer along it.
    """
    long_m = max(measure_sides_m(camera))
    if not np.isfinite(long_m):
        return None
    small = light.resized(round(long_m / sample_m), params.smooth_px)
    image = replace(small, values=np.sqrt(np.maximum(small.values, 0.0), dtype=np.float32))
    lon, lat = camera.pixel_to_lonlat(*trace_visible_outline(camera, per_side=9))
    west, south, east, north = streets.bounds
    reach = params.margin_km / KM_PER_DEGREE
    reach_lon = reach / float(np.cos(np.radians(lat.mean())))
    turn = 360.0 * round((float(lon.mean()) - 0.5 * (west + east)) / 360.0)
    west, south = max(west + turn, lon.min() - reach_lon), max(south, lat.min() - reach)
    east, north = min(east + turn, lon.max() + reach_lon), min(north, lat.max() + reach)
    step_deg = sample_m / 1e3 / KM_PER_DEGREE
    if min(east - west, north - south) < 16.0 * step_deg:
        return None
    grid = streets.window(west, south, east, north, 1.2 * step_deg)
    if grid is None:
        return None
    return MapPicture(
        image=image,
        evened=even_picture(image.values, image.weight, params),
        levels=make_pyramid(grid, 6),
        params=params,
        draw=partial(draw_lamps, params=params),
    )


def suit_patch_px(picture: MapPicture, params: StreetParams) -> int:
    """Choose the side of patches: a tenth of the image's short side, for enough cells."""
    least, most = params.patch_px
    return min(most, max(least, min(picture.evened.shape) // 10))


def measure_sides_m(camera: Camera) -> tuple[float, float]:
    """Measure width and height of a frame across the line of sight, at its centre's distance."""
    middle = camera.pixel_to_ecef((camera.width_px - 1) / 2.0, (camera.height_px - 1) / 2.0)
    slant_m = float(np.linalg.norm(middle - np.asarray(camera.position_ecef_m)))
    per_pixel = slant_m / camera.focal_px
    return camera.width_px * per_pixel, camera.height_px * per_pixel


ANGLES = (0, 1, 2, FOCAL)
POSE = (*ANGLES, ALONG, ACROSS, UP)
# Cache of photos at street scale, for the lifetime of each problem
STREET_LIGHTS: WeakKeyDictionary[Problem, LightImage] = WeakKeyDictionary()


@dataclass(frozen=True, kw_only=True, eq=False)
class StreetMatch(MapMatch):
    """A camera fitted to streets, with its verification.

    Attributes
    ----------
    credit : str
        Credit of the street map.
    covered_share : float
        Share of the frame that the map covers.
    short_side_km : float
        Short side of the frame on the ground.
    """

    credit: str
    covered_share: float
    short_side_km: float

    @property
    def median_px(self) -> float:
        """Length of the median held-out residual vector at the finest level, in pixels."""
        residual = self.proofs[-1].residual_px
        return float(np.hypot(*np.median(residual, axis=0))) if len(residual) else float("inf")


def register_on_streets(
    problem: Problem, state: SearchState, known: Match | None = None
) -> StreetMatch | None:
    """Register a telephoto frame on the available street maps; None without a good candidate.

    Parameters
    ----------
    state : SearchState
        Records the work as "streets". Its stop reason shows if the budget ended the search early.
    known : Match, optional
        A match of the lights: only this is refined. Without it the prior is searched.
    """
    params, prior = problem.params.streets, problem.prior
    near = problem.references.streets if known is not None else list_near_streets(problem)
    if (
        not near
        or not suits_streets(problem)
        or prior.cities_probability < problem.params.search.min_cities_probability
    ):
        return None
    started_s, max_s = problem.params.clock(), problem.params.max_seconds
    share = problem.params.search.same_view_share
    light = read_street_light(problem)
    best: StreetMatch | None = None
    # Views of each map that were tried with one square
    tried: list[list[FloatArray]] = [[] for _ in near]
    searches = [(False, False), (True, False), (False, True)]
    for is_far, is_fine in searches if known is None else searches[:1]:
        matches: list[StreetMatch] = []
        for streets, views in zip(near, tried, strict=True):
            if problem.params.clock() - started_s > max_s:
                break
            proposed: Iterable[list[Hypothesis]]
            if known is None:
                known_views = [] if is_fine else views
                proposed = propose_on_streets(
                    problem, state, light, streets, known_views, is_far=is_far, is_fine=is_fine
                )
            else:
                proposed = [[replace(known.hypothesis, camera=known.camera)]]
            compared: list[Hypothesis] = []
            here: list[StreetMatch] = []
            for starts in proposed:
                state.charge(params.work_of_candidate * len(starts), "streets")
                aligned = align_on_streets(problem, light, streets, starts, halvings=is_fine)
                compared += aligned
                # A candidate that stands out here and at half of the scale is fitted at once. The
                # search ends if it is proven
                first = max(aligned, key=lambda one: one.ncc, default=None)
                if first is None or first.image_log10_odds < params.clear_log10_odds[0]:
                    continue
                for one in align_on_streets(problem, light, streets, [first], halvings=1 + is_fine):
                    if one.image_log10_odds >= params.clear_log10_odds[1]:
                        state.charge(params.work_of_fit, "streets")
                        match = fit_on_streets(problem, light, streets, one)
                        if match is not None:
                            here.append(match)
                if any(one.score >= params.min_score for one in here):
                    break
            compared = choose_distinct(problem, compared, params.n_compared)
            compared = align_on_streets(problem, light, streets, compared, halvings=1 + is_fine)
            for hypothesis in choose_distinct(problem, compared, params.n_refined):
                if hypothesis.image_log10_odds < params.worth_log10_odds or any(
                    is_same_view(hypothesis.camera, one.camera, share) for one in here
                ):
                    continue
                state.charge(params.work_of_fit, "streets")
                match = fit_on_streets(problem, light, streets, hypothesis)
                if match is not None:
                    here.append(match)
            matches += here
        matches.sort(key=lambda one: -one.score)
        if matches and (best is None or matches[0].score > best.score):
            best = matches[0]
        if best is not None and best.score >= params.min_score:
            others = [
                one.score for one in matches if not is_same_view(one.camera, best.camera, share)
            ]
            evidence = replace(best.evidence, runner_up_log10_odds=max([0.0, *others]))
            return replace(best, evidence=evidence)
    return best


def read_street_light(problem: Problem) -> LightImage:
    """Read the photo's linear light at the resolution of street maps, with the weight of pixels.

    The result is cached per problem, because a search from the prior and one from a match of lights
    both need it.
    """
    if problem in STREET_LIGHTS:
        return STREET_LIGHTS[problem]
    nominal = problem.photo.nominal
    sample_m = 1e3 * problem.altitude_km / nominal.focal_px
    longest = max(nominal.width_px, nominal.height_px)
    # Slanted frames have a coarser ground sample
    side_px = round(1.25 * longest * sample_m / min(problem.params.streets.levels_m))
    light = read_linear_light(problem.photo.frame.file, max_long_side_px=max(side_px, 256))
    height, width = light.light.shape
    counted = problem.photo.image("narrow").weight
    weight = cv2.resize(counted, (width, height), interpolation=cv2.INTER_NEAREST)
    STREET_LIGHTS[problem] = LightImage(
        values=light.light, weight=np.asarray(weight, np.float32), factor=light.factor
    )
    return STREET_LIGHTS[problem]


def suits_streets(problem: Problem) -> bool:
    """Whether streets place a frame: its focal length is known, and long, or its sample is fine.

    A city that fills the frame is found with coarse samples, too: one of 36 km at 225 m a pixel.
    """
    nominal, params = problem.photo.nominal, problem.params.streets
    sample_m = 1e3 * problem.altitude_km / nominal.focal_px
    return problem.photo.focal_known and (is_telephoto(nominal) or sample_m <= params.max_sample_m)


def list_near_streets(problem: Problem) -> list[StreetMap]:
    """List the street maps that may be visible from the given position."""
    position, params = problem.prior.position, problem.params.streets
    if position is None:
        return []
    maps = []
    for streets in problem.references.streets:
        west, south, east, north = streets.bounds
        middle = 0.5 * (west + east), 0.5 * (south + north)
        if great_circle_km(position.lon, position.lat, *middle) <= params.max_distance_km:
            maps.append(streets)
    return maps


def align_on_streets(
    problem: Problem,
    light: LightImage,
    streets: StreetMap,
    hypotheses: list[Hypothesis],
    *,
    halvings: int,
) -> list[Hypothesis]:
    """Align hypotheses at the scale of the search, halved a number of times."""
    params = problem.params.streets
    sides_m = [measure_sides_m(one.camera) for one in hypotheses]
    samples_m = [
        next(m for least_km, m in params.search_scales if min(sides) / 1e3 >= least_km)
        * 0.5**halvings
        for sides in sides_m
    ]
    # Reduced once, to twice the size of the largest picture
    largest = [max(sides) / m for sides, m in zip(sides_m, samples_m, strict=True)]
    reduced = light.resized(round(2.0 * max(largest, default=1.0)), params.smooth_px)
    aligned = []
    for hypothesis, sample_m in zip(hypotheses, samples_m, strict=True):
        picture = scale_picture(reduced, streets, hypothesis.camera, sample_m, params)
        if picture is None:
            continue
        patch_px = suit_patch_px(picture, params)
        camera = settle(picture, hypothesis.camera, hypothesis.prior, ANGLES, patch_px)
        ncc = picture.correlate(camera)
        # Tail of a Gaussian: normalized images have one independent sample in about 3 x 3 px
        odds = 0.5 * max(ncc, 0.0) ** 2 * float(picture.image.weight.sum()) / 9.0 / np.log(10.0)
        aligned.append(replace(hypothesis, camera=camera, ncc=ncc, image_log10_odds=odds))
    return aligned


def choose_distinct(problem: Problem, hypotheses: list[Hypothesis], most: int) -> list[Hypothesis]:
    """Choose the best hypotheses of distinct ground with a correlation close to the first one's."""
    share = problem.params.search.same_view_share
    chosen: list[Hypothesis] = []
    ranked = sorted(hypotheses, key=lambda one: -one.ncc)
    for one in ranked:
        if len(chosen) == most:
            break
        if one.ncc < problem.params.streets.min_share_of_best * ranked[0].ncc:
            break
        if not any(is_same_view(one.camera, other.camera, share) for other in chosen):
            chosen.append(one)
    return chosen


def propose_on_streets(
    problem: Problem,
    state: SearchState,
    light: LightImage,
    streets: StreetMap,
    tried: list[FloatArray],
    *,
    is_far: bool,
    is_fine: bool,
) -> Iterator[list[Hypothesis]]:
    """Propose cameras from a search of a street map, by view, from likely places or all (far).

    All places cost four times as much, so they are tried only if the likely ones give no match. The
    same applies to the other focal lengths of a possible crop. Streets have a separate budget.
    Views that are tried are added to a list, and not tried again.
    """
    params, nominal = problem.params.streets, problem.photo.nominal
    search = problem.params.search
    places = list_places(problem, params.place_step_km, search.max_track_neg_log_prior)
    positions: list[FloatArray] = []
    of_place = []
    may_be_cropped = problem.photo.frame.may_be_cropped
    unsure = is_far and may_be_cropped
    limit = search.max_neg_log_prior if is_far else search.near_neg_log_prior
    for _, place in (one for one in places if one[0] < limit):
        track, offset = place.track, place.offset_km
        across_m = 1e3 * track.sigma_across_km(offset)
        sides = (0.0, -1.0, 1.0) if across_m > 1e3 * params.min_across_km else (0.0,)
        for side in sides:
            at = move_on_orbit(
                track.position(offset), track.velocity(offset), 0.0, side * across_m, 0.0
            )
            positions.append(at)
            of_place.append(place)
    if not positions:
        return
    sigma = LENS.sigma_log_focal_unsure if unsure else LENS.sigma_log_focal
    steps = int(np.ceil(2.0 * sigma / params.scale_step))
    log_ratios = params.scale_step * np.arange(-steps, steps + 1)
    focals = nominal.focal_px * np.exp(sorted(log_ratios, key=abs))
    max_views = params.fine_views if is_fine else params.max_views[is_far]
    for found in search_streets(
        problem, state, light, np.array(positions), focals, streets, tried, max_views,
        is_fine=is_fine,
    ):  # fmt: skip
        starts = []
        for camera, number, ncc in found:
            place = of_place[number]
            # A nadir is believed where it was given, as far as it reaches
            offset = place.offset_km
            sigma_km = place.track.sigma_along_km
            if abs(offset) <= 2.0 * sigma_km:
                offset = 0.0
            lens = LensBelief(ratio=1.0, sigma_log_focal=sigma, is_cropped=may_be_cropped)
            hypothesis = Hypothesis(
                camera=camera,
                prior=believe_camera(place.track, offset, sigma_km, nominal, lens),
                track=place.track,
                offset_km=offset,
                source="streets",
                ncc=ncc,
            )
            starts.append(hypothesis)
        yield starts


def fit_on_streets(
    problem: Problem, light: LightImage, streets: StreetMap, hypothesis: Hypothesis
) -> StreetMatch | None:
    """Fit a camera to even cells at increasingly fine scales, and verify it on the odd ones."""
    camera = hypothesis.camera
    params = problem.params.streets
    nominal = problem.photo.nominal
    corner = np.hypot(nominal.width_px, nominal.height_px) / 2.0 / nominal.focal_px
    prior = replace(hypothesis.prior, sigma_k1=params.sigma_corner / corner**2)
    short_km = min(measure_sides_m(camera)) / 1e3
    coarse_m = params.levels_m[0] * (2.0 if short_km > params.search_scales[0][0] else 1.0)
    picture = scale_picture(light, streets, camera, coarse_m, params)
    if picture is None:
        return None
    patch_px = suit_patch_px(picture, params)
    for unknown in (ANGLES, POSE):
        camera = settle(picture, camera, prior, unknown, patch_px)
    cameras = [camera]
    # Distortion is radial around the optical axis, which may be anywhere in a crop
    axis = (PRINCIPAL_X, PRINCIPAL_Y) if prior.sigma_principal_px > 0.0 else ()
    bent = (*POSE, K1, *axis)
    proofs: list[CellProof] = []
    for sample_m in params.levels_m:
        finer = scale_picture(light, streets, cameras[0], sample_m, params)
        if finer is None:
            return None
        picture, patch_px = finer, suit_patch_px(finer, params)
        free = bent if sample_m <= params.max_bent_m else POSE
        # A tilt and its mirror image have almost the same view: both are fitted until one is better
        if sample_m >= params.max_bent_m:
            cameras += [one for one in map(mirror_pose, cameras) if one is not None]
        fewer = replace(params, max_cells=params.fit_cells)
        if sample_m > params.levels_m[-1]:
            fewer = replace(fewer, settled_px=params.near_px, max_rounds=params.near_rounds)
        sparse = replace(picture, params=fewer)
        cameras = [settle(sparse, one, prior, free, patch_px) for one in cameras]
        ncc = [picture.correlate(one) for one in cameras]
        camera = cameras[int(np.argmax(ncc))]
        cameras = [
            one
            for one, its_ncc in zip(cameras, ncc, strict=True)
            if one is camera
            or (
                its_ncc >= max(ncc) - params.rival_ncc
                and not is_same_view(one, camera, params.rival_share)
            )
        ]
        if sample_m in params.proof_levels_m:
            proofs.append(prove_on_map(picture, camera, sample_m, patch_px))
            if proofs[-1].score < params.worth_score:
                return None
    proven = replace(hypothesis, camera=camera, prior=prior)
    match = fit_all_cells(picture, proven, tuple(proofs), bent, patch_px)
    if match is None:
        return None
    return StreetMatch(
        **vars(match),
        credit=KINDS["streets"].credit,
        covered_share=float(match.fit.patch_view[1].mean()),
        short_side_km=short_km,
    )


def is_proven_on_streets(match: StreetMatch | None, params: StreetParams) -> bool:
    """Whether a match on streets can be accepted."""
    return (
        match is not None
        and match.score >= params.min_score
        and next(doubt_streets(match, params), None) is None
    )


def report_on_streets(problem: Problem, match: StreetMatch) -> FrameResult:
    """Make the result of a frame on streets, from the scores of its verification."""
    params, frame, prior = problem.params.streets, problem.photo.frame, problem.prior
    info = problem.references.light_map.info
    blind = match.hypothesis.is_blind
    position = locate_camera(match.camera, problem.params.tracks) if blind else prior.position
    result = report_on_map(
        make_no_match_result(frame, position, info),
        match,
        params,
        problem.params,
        map_sigma_m=params.map_sigma_m,
        reference=f"streets, {match.credit}",
        reasons=(
            *doubt_height(frame, prior, match, problem.params.tracks),
            *doubt_streets(match, params),
        ),
    )
    reasons = result.reasons
    if match.covered_share < params.min_covered_share:
        text = (
            f"the available street maps cover {100.0 * match.covered_share:.0f} % of the frame; "
            "build them from a larger extract (regengine maps get)"
        )
        reasons = (*reasons, Reason(code="outside_map", text=text))
    if result.verdict != "no_match":
        reasons = (*doubt_given(frame, prior, match, problem.params.tracks), *reasons)
    return replace(result, reasons=reasons)


def doubt_streets(match: StreetMatch, params: StreetParams) -> Iterator[Reason]:
    """List the reasons to review a match on streets."""
    if match.short_side_km < params.min_short_side_km:
        text = (
            f"the frame is {match.short_side_km:.1f} km wide: the false-match rate on streets "
            f"below {params.min_short_side_km:g} km has not been measured"
        )
        yield Reason(code="small_frame", text=text)
    if not match.median_px <= params.max_median_px:
        text = (
            f"held-out patches are {match.median_px:.1f} px to one side of the fit: it has not "
            "converged"
        )
        yield Reason(code="imprecise", text=text)
    if match.evidence.runner_up_log10_odds >= params.min_score:
        text = f"another place fits as well (chance 1e-{match.evidence.runner_up_log10_odds:.0f})"
        yield Reason(code="low_margin", text=text)


def advise_streets(problem: Problem) -> Reason | None:
    """Advise to use street maps, or to give what they need, if they were not tried and may help."""
    least = problem.params.search.min_cities_probability
    frame, focal_known = problem.photo.frame, problem.photo.focal_known
    if problem.prior.cities_probability < least or problem.prior.placement is not None:
        return None
    if focal_known and not suits_streets(problem):
        return None
    given = problem.prior.position
    near = problem.references.streets if given is None else list_near_streets(problem)
    tele = "a telephoto frame is placed on street maps if its"
    if near and given is None:
        known, give = ("", "") if focal_known else ("focal length and its ", "--focal-mm, and ")
        text = (
            f"street maps are available, and {tele} {known}region is known: give {give}--centre "
            "or --nadir"
        )
    elif near and not focal_known:
        text = (
            f"street maps of its region are available, and {tele} focal length is known: give "
            "--focal-mm"
        )
    elif near:
        return None
    elif given is not None and not focal_known and frame.centre is not None:
        text = (
            "if the city at the given place fills the frame, night lights do not resolve it: give "
            f"--focal-mm, and get its streets with {get_streets_at(*frame.centre)}"
        )
    elif focal_known and is_telephoto(problem.photo.nominal):
        nominal = problem.photo.nominal
        longest = max(nominal.width_px, nominal.height_px)
        long_km = longest / nominal.focal_px * problem.altitude_km
        text = (
            f"from straight above the frame is {long_km:.0f} km long, so a city fills it, which "
            "night lights hardly resolve, and no street map of its place is available: get "
        )
        if given is None:
            text += "one with regengine maps get PLACE --kind streets, and give --centre or --nadir"
        elif frame.centre is not None:
            text += f"the streets around the given place with {get_streets_at(*frame.centre)}"
        else:
            text += f"the streets around the nadir with {get_streets_at(given.lon, given.lat)}"
            text += ", or those of the city if you know it"
    else:
        return None
    return Reason(code="no_streets", text=text)


def get_streets_at(lon: float, lat: float) -> str:
    """Command that gets the streets around a place; a negative number would be an option."""
    return f"regengine maps get --kind streets {'-- ' if lon < 0.0 else ''}{lon:.2f},{lat:.2f}"


def add_advice(result: FrameResult, advice: Reason | None) -> FrameResult:
    """Add the advice to a result that is not accepted; it is the reason why there is no match."""
    if advice is None or result.verdict == "accepted":
        return result
    reasons = result.reasons
    if result.verdict == "no_match" and "search" not in dict(result.sources):
        reasons = tuple(r for r in reasons if r.code not in ("no_agreement", "search_budget"))
        return replace(result, reasons=(advice, *reasons))
    return replace(result, reasons=(*reasons, advice))
