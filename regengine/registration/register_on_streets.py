"""Register a telephoto frame on street maps, from a match of lights or from the prior."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal
from weakref import WeakKeyDictionary

import cv2
import numpy as np

from detectors.constants import KM_PER_DEGREE
from detectors.types import FloatArray, FloatImage
from matchers.geometry.camera import Camera
from matchers.geometry.earth import geodetic_to_ecef, great_circle_km, local_axes
from matchers.geometry.footprint import trace_visible_outline
from matchers.geometry.map_grid import make_pyramid
from matchers.geometry.pose import (
    ACROSS,
    ALONG,
    FOCAL,
    K1,
    PRINCIPAL_X,
    PRINCIPAL_Y,
    UP,
    look_at,
    mirror_pose,
    move_on_orbit,
)
from matchers.lights.dense import pad_map, slide_window
from matchers.lights.photo_light import EvenedImage
from regengine.maps.lights import KINDS
from regengine.maps.places import place_index
from regengine.maps.reference import RasterMap
from regengine.photo.formats import PhotoFile
from regengine.photo.image import read_linear_light
from regengine.registration.accept import choose_match
from regengine.registration.align import is_same_view, locate_camera
from regengine.registration.generate_stages import (
    MAX_NEG_LOG_PRIOR,
    NEAR_NEG_LOG_PRIOR,
    list_places,
)
from regengine.registration.parameters import LENS, WORK_BUDGETS, share_work
from regengine.registration.priors import LensBelief, believe_camera, is_telephoto
from regengine.registration.refine_on_map import (
    CellParams,
    MapPicture,
    even_picture,
    fit_all_cells,
    prove_on_map,
    report_on_map,
    settle,
)
from regengine.registration.report_result import make_bare_result
from regengine.registration.types import (
    CellProof,
    Hypothesis,
    LightMatch,
    MapMatch,
    Problem,
    SearchState,
    StopReason,
    TrackPlace,
)
from regengine.store.reasons import Reason, Values
from regengine.store.result import FrameResult, MatchedMap

# Values without an origin are those of a prototype that registered 63 of 64 simulated frames
STREETS = CellParams(
    smooth_px=0.5,
    detail_px=6.0,
    deviation_px=8.0,
    fit_reach_px=8,
    agreeing_px=2.5,
    # Frames with motion blur need more than 4 rounds to converge
    max_rounds=8,
    # The stated noise is 1.7 times that of 21 simulated frames (seeds 21000 on). Refits move the
    # frames by up to 3.5 times the variance; the exception has correlated patch errors (10 times)
    is_noise_found=True,
)
# Levels of the fit, metres per pixel
LEVELS_M = (50.0, 25.0, 12.5)
# Position error of the street map: held-out cells of a real frame at 12.5 m
MAP_SIGMA_M = 5.0
# Search: metres a pixel by the short side of the frame from so many kilometres on
SEARCH_SCALES = ((9.0, 200.0), (6.5, 150.0), (2.5, 100.0), (0.0, 50.0))
# The likeliest views that are tried, each at all rolls: of likely places, of all, and with all of
# the photo (of 13 harsh frames the right one was the third at most)
Reach = Literal["near", "far", "fine"]
MAX_VIEWS: dict[Reach, int] = {"near": 6, "far": 64, "fine": 4}
# Side of the square that is laid on the map, and step of scale (of a logarithm)
SQUARE_PX, SCALE_STEP = 64, 0.07
# -log10 of the chance of a candidate's correlation, at the search's scale and at half of it, from
# which the search ends: set right, wrong ones reach 13 and 9, right ones have 12 to 200 and 30 to
# 700
CLEAR_LOG10_ODDS = (8.0, 15.0)
# Photos worth less work are not searched on streets, on which nine in ten simulated frames that are
# accepted take up to 4.6
LEAST_WORK = 4.6
WORK_OF_FIT = 0.5  # of a wrong candidate, in seconds of one core, as in `stage_yields.csv`
# Minimum short side of the frame: there is no null distribution for smaller ones yet
MIN_SHORT_SIDE_KM = 4.0


def draw_lamps(density: FloatImage) -> FloatImage:
    """Render lamps as in a photo: blurred, with compressed brightness (square root of density)."""
    blurred = cv2.GaussianBlur(density, (0, 0), 0.8)
    return np.sqrt(np.maximum(blurred, 0.0), dtype=np.float32)


def choose_scale_m(short_side_m: float) -> float:
    """Scale of the search, metres a pixel, by the short side of the frame."""
    return next(scale for least_km, scale in SEARCH_SCALES if short_side_m / 1e3 >= least_km)


def reduce_photo(light: EvenedImage, long_px: float) -> EvenedImage:
    """Reduce a photo to a long side, with compressed brightness as `draw_lamps` draws the map."""
    small = light.resized(round(long_px), STREETS.smooth_px)
    return replace(small, values=np.sqrt(np.maximum(small.values, 0.0), dtype=np.float32))


def scale_picture(
    light: EvenedImage, streets: RasterMap, camera: Camera, sample_m: float
) -> MapPicture | None:
    """Scale photo and streets to a ground sample; None if the map does not cover the frame.

    The sample is never finer than that of the photo. It is measured across the line of sight;
    pixels are longer along it.
    """
    long_m = max(measure_sides_m(camera))
    if not np.isfinite(long_m):
        return None
    image = reduce_photo(light, long_m / sample_m)
    lon, lat = camera.pixel_to_lonlat(*trace_visible_outline(camera, per_side=9))
    west, south, east, north = streets.bounds
    reach = 3.0 / KM_PER_DEGREE
    reach_lon = reach / float(np.cos(np.radians(lat.mean())))
    turn = 360.0 * round((float(lon.mean()) - 0.5 * (west + east)) / 360.0)
    west, south = max(west + turn, lon.min() - reach_lon), max(south, lat.min() - reach)
    east, north = min(east + turn, lon.max() + reach_lon), min(north, lat.max() + reach)
    step_deg = sample_m / 1e3 / KM_PER_DEGREE
    if min(east - west, north - south) < 16.0 * step_deg:  # less than a patch
        return None
    grid = streets.find_window(west, south, east, north, 1.2 * step_deg)
    if grid is None:
        return None
    return MapPicture(
        image=image,
        evened=even_picture(image.values, image.weight, STREETS),
        levels=make_pyramid(grid, 6),
        params=STREETS,
        draw=draw_lamps,
    )


def suit_patch_px(picture: MapPicture) -> int:
    """Choose the side of patches: a tenth of the image's short side, for enough cells."""
    return int(np.clip(min(picture.evened.shape) // 10, 20, 32))


def measure_sides_m(camera: Camera) -> tuple[float, float]:
    """Measure width and height of a frame across the line of sight, at its centre's distance."""
    middle = camera.pixel_to_ecef((camera.width_px - 1) / 2.0, (camera.height_px - 1) / 2.0)
    slant_m = float(np.linalg.norm(middle - np.asarray(camera.position_ecef_m)))
    per_pixel = slant_m / camera.focal_px
    return camera.width_px * per_pixel, camera.height_px * per_pixel


ANGLES = (0, 1, 2, FOCAL)
POSE = (*ANGLES, ALONG, ACROSS, UP)
# Cache of photos at street scale, for the lifetime of each problem
STREET_LIGHTS: WeakKeyDictionary[Problem, EvenedImage] = WeakKeyDictionary()


def register_on_streets(
    problem: Problem, state: SearchState, started_s: float, known: LightMatch | None = None
) -> MapMatch | None:
    """Register a telephoto frame on the available street maps; None without a good candidate.

    `state` records the work as "streets"; its stop reason shows if the budget ended the search
    early. `started_s`: the clock of the parameters when the search of the photo began. `known`: a
    match of the lights, which alone is refined; without it the prior is searched.
    """
    prior = problem.prior
    near = problem.references.streets if known is not None else list_near_streets(problem)
    if not near or not suits_streets(problem):
        return None
    if not is_worth_streets(prior.cities_probability):
        return None
    max_s = problem.params.max_seconds
    light = read_street_light(problem)
    best: MapMatch | None = None
    # Views of each map that were tried with one square
    tried: list[list[FloatArray]] = [[] for _ in near]
    reaches: tuple[Reach, ...] = ("near", "far", "fine") if known is None else ("near",)
    for reach in reaches:
        is_fine = reach == "fine"
        matches: list[MapMatch] = []
        for streets, views in zip(near, tried, strict=True):
            if problem.params.clock() - started_s > max_s:
                break
            proposed: Iterable[list[Hypothesis]]
            if known is None:
                known_views = [] if is_fine else views
                proposed = propose_on_streets(problem, state, light, streets, known_views, reach)
            else:
                proposed = [[replace(known.hypothesis, camera=known.camera)]]
            compared: list[Hypothesis] = []
            here: list[MapMatch] = []
            for starts in proposed:
                # Work in seconds of one core, as in `stage_yields.csv`
                state.charge(0.03 * len(starts), "streets")
                aligned = align_on_streets(problem, light, streets, starts, halvings=is_fine)
                compared += aligned
                # A candidate that stands out here and at half of the scale is fitted at once. The
                # search ends if it is proven
                first = max(aligned, key=lambda one: one.ncc, default=None)
                if first is None or first.image_log10_odds < CLEAR_LOG10_ODDS[0]:
                    continue
                for one in align_on_streets(problem, light, streets, [first], halvings=1 + is_fine):
                    if one.image_log10_odds >= CLEAR_LOG10_ODDS[1]:
                        state.charge(WORK_OF_FIT, "streets")
                        match = fit_on_streets(problem, light, streets, one)
                        if match is not None:
                            here.append(match)
                if any(one.score >= STREETS.min_score for one in here):
                    break
            compared = choose_distinct(compared, 12)  # by eye
            compared = align_on_streets(problem, light, streets, compared, halvings=1 + is_fine)
            # A wrong one correlates by 0.0 where the right one does by 0.5
            for hypothesis in choose_distinct(compared, 3):
                # Most wrong ones have lower odds at half of the scale
                if hypothesis.image_log10_odds < 7.0 or any(
                    is_same_view(hypothesis.camera, one.camera) for one in here
                ):
                    continue
                state.charge(WORK_OF_FIT, "streets")
                match = fit_on_streets(problem, light, streets, hypothesis)
                if match is not None:
                    here.append(match)
            matches += here
        matches.sort(key=lambda one: -one.score)
        if matches and (best is None or matches[0].score > best.score):
            best = matches[0]
        if best is not None and best.score >= STREETS.min_score:
            others = (one for one in matches if not is_same_view(one.camera, best.camera))
            runner_up = next(others, None)
            return best if runner_up is None else choose_match(runner_up, best)
    return best


def read_street_light(problem: Problem) -> EvenedImage:
    """Read the photo's linear light at the resolution of street maps, with the weight of pixels.

    The result is cached per problem, because a search from the prior and one from a match of lights
    both need it.
    """
    if problem in STREET_LIGHTS:
        return STREET_LIGHTS[problem]
    nominal = problem.photo.nominal
    sample_m = 1e3 * problem.altitude_km / nominal.focal_px
    # Slanted frames have a coarser ground sample
    side_px = round(1.25 * nominal.long_side_px * sample_m / min(LEVELS_M))
    weight = problem.photo.image("narrow").weight
    STREET_LIGHTS[problem] = read_lamps(problem.photo.frame.file, max(side_px, 256), weight)
    return STREET_LIGHTS[problem]


def read_lamps(file: PhotoFile | Path, side_px: int, weight: FloatImage) -> EvenedImage:
    """Read linear light at a long side; pixels count as they do in a smaller image."""
    light = read_linear_light(file, max_long_side_px=side_px)
    shown = cv2.resize(weight, light.light.shape[::-1], interpolation=cv2.INTER_NEAREST)
    weight = np.asarray(shown, np.float32)
    return EvenedImage(values=light.light, weight=weight, factor=light.factor)


def is_worth_streets(cities_probability: float) -> bool:
    """Whether a photo may cost the work of a search on streets."""
    return share_work(cities_probability) * WORK_BUDGETS["normal"] >= LEAST_WORK


def suits_streets(problem: Problem) -> bool:
    """Whether streets place a frame: its focal length is known, and long, or its sample is fine.

    A city that fills the frame is found with coarse samples, too: one of 36 km at 225 m a pixel.
    """
    nominal = problem.photo.nominal
    sample_m = 1e3 * problem.altitude_km / nominal.focal_px
    # Metres per pixel across the line of sight: for coarser frames the lights are more accurate
    return problem.photo.focal_known and (is_telephoto(nominal) or sample_m <= 60.0)


def list_near_streets(problem: Problem) -> list[RasterMap]:
    """List the street maps that may be visible from the given position, the likeliest first."""
    position = problem.prior.position
    if position is None:
        return []
    nadir = position.lon, position.lat

    def find_away_km(streets: RasterMap, place: tuple[float, float]) -> float:
        west, south, east, north = streets.bounds
        return float(great_circle_km(*place, 0.5 * (west + east), 0.5 * (south + north)))

    # The visible range, plus two minutes of clock error
    near = [one for one in problem.references.streets if find_away_km(one, nadir) <= 2500.0]
    shown = problem.photo.frame.centre or nadir
    return sorted(near, key=lambda one: find_away_km(one, shown))


def align_on_streets(
    problem: Problem,
    light: EvenedImage,
    streets: RasterMap,
    hypotheses: list[Hypothesis],
    *,
    halvings: int,
) -> list[Hypothesis]:
    """Align hypotheses at the scale of the search, halved a number of times."""
    sides_m = [measure_sides_m(one.camera) for one in hypotheses]
    samples_m = [choose_scale_m(min(sides)) * 0.5**halvings for sides in sides_m]
    # Reduced once, to twice the size of the largest picture
    largest = [max(sides) / m for sides, m in zip(sides_m, samples_m, strict=True)]
    reduced = light.resized(round(2.0 * max(largest, default=1.0)), STREETS.smooth_px)
    aligned = []
    for hypothesis, sample_m in zip(hypotheses, samples_m, strict=True):
        picture = scale_picture(reduced, streets, hypothesis.camera, sample_m)
        if picture is None:
            continue
        patch_px = suit_patch_px(picture)
        camera = settle(picture, hypothesis.camera, hypothesis.prior, ANGLES, patch_px)
        ncc = picture.correlate(camera)
        # Tail of a Gaussian: normalized images have one independent sample in about 3 x 3 px
        odds = 0.5 * max(ncc, 0.0) ** 2 * float(picture.image.weight.sum()) / 9.0 / np.log(10.0)
        aligned.append(replace(hypothesis, camera=camera, ncc=ncc, image_log10_odds=odds))
    return aligned


def choose_distinct(hypotheses: list[Hypothesis], max_count: int) -> list[Hypothesis]:
    """Choose the best hypotheses of distinct ground with a correlation close to the first one's."""
    chosen: list[Hypothesis] = []
    ranked = sorted(hypotheses, key=lambda one: -one.ncc)
    for one in ranked:
        if len(chosen) == max_count:
            break
        if one.ncc < 0.5 * ranked[0].ncc:
            break
        if not any(is_same_view(one.camera, other.camera) for other in chosen):
            chosen.append(one)
    return chosen


def propose_on_streets(
    problem: Problem,
    state: SearchState,
    light: EvenedImage,
    streets: RasterMap,
    tried: list[FloatArray],
    reach: Reach,
) -> Iterator[list[Hypothesis]]:
    """Propose cameras, view by view, by correlating a photo with a whole street map at all rolls.

    By default only its middle square is used. If clouds, haze or lights that are not lamps leave
    too little structure there, the whole photo is used at a finer scale. It is divided into squares
    that may each be displaced a little from the view, so that fewer views and rolls are needed.
    Streets have a budget of their own: ``state`` records the work, and if that ends the search.
    Views that are tried are added to a list, and not tried again.
    """
    nominal, is_fine = problem.photo.nominal, reach == "fine"
    places, positions_ecef_m = list_positions(problem, is_far=reach == "far")
    if not places:
        return
    may_be_cropped = problem.photo.frame.may_be_cropped
    unsure = reach == "far" and may_be_cropped
    sigma = LENS.sigma_log_focal_unsure if unsure else LENS.sigma_log_focal
    lens = LensBelief(ratio=1.0, sigma_log_focal=sigma, is_cropped=may_be_cropped)
    steps = int(np.ceil(2.0 * sigma / SCALE_STEP))
    log_ratios = SCALE_STEP * np.arange(-steps, steps + 1)
    focals_px = nominal.focal_px * np.exp(sorted(log_ratios, key=abs))
    chosen = choose_views(nominal, light, streets, positions_ecef_m, focals_px, tried, reach)
    if chosen is None:
        return
    small, scale_m, side, views = chosen
    drawn = draw_city(streets, scale_m, 2 * side)
    if drawn is None:
        return
    n_side = min(3, int(np.ceil(max(small.values.shape) / side))) if is_fine else 1
    squares = SquareSearch(drawn, side, n_side)
    # Radians, of a whole photo and of one square of 64 pixels
    roll_step = SQUARE_PX / side * (6.0 if is_fine else 4.0) / 64.0
    rolls = np.arange(0.0, 2.0 * np.pi, roll_step).tolist()
    work = len(rolls) * squares.work
    # Work of streets for one of the budget of all else: with clocks two minutes off and lenses a
    # fifth off the right view was up to the 45th
    budget = share_work(problem.prior.cities_probability) * problem.params.work_budget
    most_work = (3.0 if is_fine else 2.0) * budget
    west, south, east, north = streets.bounds

    for stretch, camera, target in views:
        if state.work_of.get("streets", 0.0) + work > most_work:
            state.stop_reason = StopReason.WORK_BUDGET
            break
        state.charge(work, "streets")
        tried.append(stretch)
        laid = lay_on_ground(small, camera, target, scale_m, squares.extent, rolls)
        peaks = [
            (*squares.find(*one, roll_step), roll) for one, roll in zip(laid, rolls, strict=True)
        ]
        found: list[Hypothesis] = []
        for ncc, row, col, roll in sorted(peaks, reverse=True):
            # With ten of them 24 frames of the first generator, 20 harsh ones and 10 with loose
            # clocks and lenses (seeds 31000 on) are found alike
            if len(found) == 4:
                break
            lon_deg = west + (col + 0.5) / drawn.shape[1] * (east - west)
            lat_deg = north - (row + 0.5) / drawn.shape[0] * (north - south)
            at = lon_deg, lat_deg
            hypothesis = look_alike(
                nominal, places, positions_ecef_m, focals_px, lens, stretch, at, roll
            )
            if hypothesis is not None and not any(
                is_same_view(hypothesis.camera, other.camera) for other in found
            ):
                found.append(replace(hypothesis, ncc=ncc))
        yield found


def list_positions(problem: Problem, *, is_far: bool) -> tuple[list[TrackPlace], FloatArray]:
    """List positions (n, 3) of the camera at likely places, or at all, and the place of each.

    All places cost four times as much, so they are tried only if the likely ones give no match. The
    same applies to the other focal lengths of a possible crop.
    """
    limit = MAX_NEG_LOG_PRIOR if is_far else NEAR_NEG_LOG_PRIOR
    places, positions = [], []
    for neg_log_prior, place in list_places(problem, 50.0):
        if neg_log_prior >= limit:
            continue
        track, offset = place.track, place.offset_km
        across_m = 1e3 * track.sigma_across_km(offset)
        # At a spread of so much across a track (one sigma) its sides are tried, too
        for side in (0.0, -1.0, 1.0) if across_m > 1e3 * 20.0 else (0.0,):
            at, ahead = track.position(offset), track.velocity(offset)
            positions.append(move_on_orbit(at, ahead, 0.0, side * across_m, 0.0))
            places.append(place)
    return places, np.array(positions)


def choose_views(
    nominal: Camera,
    light: EvenedImage,
    streets: RasterMap,
    positions_ecef_m: FloatArray,
    focals_px: FloatArray,
    tried: list[FloatArray],
    reach: Reach,
) -> tuple[EvenedImage, float, int, list[tuple[FloatArray, Camera, FloatArray]]] | None:
    """Choose views for a search of a street map; None if none is left.

    Positions and focal lengths are likeliest first. Views are similar if their stretches differ by
    less than the step of the scale; only one of these is tried.

    Returns the photo at the scale of the search, metres per pixel, and the side of its square; and
    of each view the logarithm of its stretch (see `see_ground`), the camera without a roll, and
    the place that it looks at.
    """
    is_fine = reach == "fine"
    west, south, east, north = streets.bounds
    shares = np.array((0.2, 0.5, 0.8))  # nine places of the map, by eye
    lon, lat = np.meshgrid(west + (east - west) * shares, south + (north - south) * shares)
    middle = np.argsort(np.hypot(lon - lon.mean(), lat - lat.mean()), axis=None, kind="stable")
    targets = np.stack([lon.ravel(), lat.ravel()], axis=1)[middle]
    seen = np.array([see_ground(positions_ecef_m, *target) for target in targets])  # (t, n, 3)
    in_sight = seen[np.isfinite(seen[..., 0])]
    if not len(in_sight):
        return None
    # Ground sample across the line of sight
    sample_m = float(np.median(np.exp(-in_sight[:, :2].max(axis=1)))) / nominal.focal_px
    short_px, long_px = sorted((nominal.width_px, nominal.height_px))
    scale_m = choose_scale_m(short_px * sample_m)
    if is_fine:
        scale_m = max(75.0, 0.5 * scale_m)
    small = reduce_photo(light, long_px * sample_m / scale_m)
    side = min(SQUARE_PX, int((1.0 if is_fine else 0.85) * min(small.values.shape)))
    # Steps move the square's rim by as many pixels whatever its size
    least_step = SQUARE_PX / side * SCALE_STEP
    log_focals, known_views, views = np.log(focals_px), list(tried), []
    for n, t, m in np.ndindex(*seen.shape[1::-1], len(focals_px)):
        stretch = seen[t, n] + [log_focals[m], log_focals[m], 0.0]
        # Frames that are too small to be accepted do not get the longest search
        widest_km = short_px * float(np.exp(-stretch[:2].min())) / 1e3
        if not np.isfinite(stretch[0]) or (is_fine and widest_km < MIN_SHORT_SIDE_KM):
            continue
        nearest = min((np.abs(stretch - one).max() for one in known_views), default=np.inf)
        if nearest > least_step:
            known_views.append(stretch)
            lens = replace(nominal, focal_px=float(focals_px[m]))
            camera = look_at(lens, positions_ecef_m[n], targets[t], find_middle_px(nominal), 0.0)
            views.append((stretch, camera, targets[t]))
        if len(views) == MAX_VIEWS[reach]:
            break
    return (small, scale_m, side, views) if views else None


def draw_city(streets: RasterMap, scale_m: float, least_px: int) -> FloatImage | None:
    """Draw a whole street map as it looks in a photo of a scale; None if it is smaller."""
    west, south, east, north = streets.bounds
    step_deg = scale_m / 1e3 / KM_PER_DEGREE
    city = streets.window(west, south, east, north, step_deg)
    if min(city.values.shape) < least_px:
        return None
    shrink = float(np.cos(np.radians(0.5 * (south + north))))
    factor = city.step_deg / step_deg
    size = round(city.values.shape[1] * factor * shrink), round(city.values.shape[0] * factor)
    valid = np.ones(city.values.shape, np.float32) if city.valid is None else city.valid
    density, known = (
        np.asarray(
            cv2.resize(np.asarray(each, np.float32), size, interpolation=cv2.INTER_AREA), np.float32
        )
        for each in (city.values, valid)
    )
    return even_picture(draw_lamps(density), known, STREETS)


class SquareSearch:
    """Search of a drawn map for squares of a photo, by Fourier transforms.

    The innermost square lies on the map as a whole, those around it may reach beyond.
    """

    def __init__(self, drawn: FloatImage, side: int, n_side: int) -> None:
        self.side, self.extent = side, n_side * side
        self.pad = pad = (self.extent - side) // 2
        n_rows, n_cols = (length + 2 * pad for length in drawn.shape)
        padded = pad_map(drawn, pad)
        self.spectrum = np.asarray(cv2.dft(padded), np.float32)
        # Of the map under a square, by its first corner
        square, anchor = (side, side), (0, 0)
        energy = cv2.boxFilter(
            padded**2, -1, square, None, anchor, normalize=False, borderType=cv2.BORDER_CONSTANT
        )
        # Minimum energy under the square, relative to the map's 90th percentile. With 0.15, empty
        # borders of the map had a correlation of 0.9 with small frames
        floor = 0.5 * float(np.percentile(energy[: n_rows - side, : n_cols - side], 90))
        self.gain = np.asarray(1.0 / np.sqrt(np.maximum(energy, floor)), np.float32)
        # Possible positions of the photo's first corner
        self.shape = n_rows - self.extent + 1, n_cols - self.extent + 1
        # Squares of the photo with how far they are from the innermost
        firsts = range(0, self.extent, side)
        corners = sorted((float(np.hypot(i - pad, j - pad)), i, j) for i in firsts for j in firsts)
        self.squares = [(off, np.s_[i : i + side, j : j + side]) for off, i, j in corners]
        # Of 13 harsh frames that one square does not find (seeds 40000 to 42006) this finds 13,
        # with the four fullest squares 12
        self.n_laid = min(len(corners), 6)
        # Of a template in seconds of one core, as in `stage_yields.csv`, and of a million pixels of
        # the map for each square
        self.work = 0.0008 + self.n_laid * (0.009 * padded.size / 1e6)

    def find(
        self, template: FloatImage, shown: FloatImage, roll_step: float
    ) -> tuple[float, int, int]:
        """Find the highest correlation of a template, and the row and column of its middle."""
        # Those that the photo fills most, inner ones first
        fullest = sorted(self.squares, key=lambda one: -round(float(shown[one[1]].mean()), 1))
        n_rows, n_cols = self.shape
        score, norm = np.zeros(self.shape, np.float32), 1e-6
        for off_px, part in fullest[: self.n_laid]:
            square = template[part] - template[part].mean()
            norm += float(np.linalg.norm(square))
            laid_on = slide_window(self.spectrum, square) * self.gain
            reach = round(0.5 * roll_step * off_px)
            if reach:
                around = np.ones([2 * reach + 1] * 2, np.uint8)
                laid_on = np.asarray(cv2.dilate(laid_on, around), np.float32)
            score += laid_on[part[0].start :, part[1].start :][:n_rows, :n_cols]
        row, col = divmod(int(np.argmax(score)), n_cols)
        inner = self.extent // 2 - self.pad
        return float(score[row, col]) / norm, row + inner, col + inner


def lay_on_ground(
    small: EvenedImage,
    camera: Camera,
    target: FloatArray,
    scale_m: float,
    extent: int,
    rolls: Sequence[float],
) -> Iterator[tuple[FloatImage, FloatImage]]:
    """Lay a photo on the level ground around a target, at each roll: structure and weight."""
    margin = round(2 * STREETS.deviation_px)
    grid = (np.arange(extent + 2 * margin, dtype=float) - margin - extent // 2) * scale_m
    ground_e, ground_n = np.meshgrid(grid, -grid)
    taken = np.s_[margin : margin + extent, margin : margin + extent]
    east_axis, north_axis, _ = local_axes(*target)
    target_m = geodetic_to_ecef(*target)
    places = target_m + ground_e[..., None] * east_axis + ground_n[..., None] * north_axis
    at_x, at_y = camera.ecef_to_pixel(places)
    middle_px = find_middle_px(camera)
    away = (at_x - middle_px[0]) + 1j * (at_y - middle_px[1])
    start_x, start_y = (middle_px + 0.5) * small.factor - 0.5
    for roll in rolls:
        # A roll of the camera rotates its image by the opposite angle
        at = np.exp(-1j * roll) * away * small.factor
        x, y = (at.real + start_x).astype(np.float32), (at.imag + start_y).astype(np.float32)
        laid, shown = (
            np.asarray(
                cv2.remap(each, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT), np.float32
            )
            for each in (small.values, small.weight)
        )
        yield even_picture(laid, shown, STREETS)[taken], shown[taken]


def find_middle_px(camera: Camera) -> FloatArray:
    return 0.5 * np.array([camera.width_px - 1.0, camera.height_px - 1.0])


def look_alike(
    nominal: Camera,
    places: Sequence[TrackPlace],
    positions_ecef_m: FloatArray,
    focals_px: FloatArray,
    lens: LensBelief,
    stretch: FloatArray,
    target: tuple[float, float],
    roll: float,
) -> Hypothesis | None:
    """Propose the camera that sees a target with a stretch most nearly; None if none sees it."""
    seen = see_ground(positions_ecef_m, *target)
    if not np.isfinite(seen).any():
        return None
    log_focals = np.log(focals_px)
    log_focal = np.clip(
        stretch[:2].mean() - seen[:, :2].mean(axis=1), log_focals.min(), log_focals.max()
    )
    off = seen + np.stack([log_focal, log_focal, 0.0 * log_focal], axis=1) - stretch
    number = int(np.nanargmin(np.nan_to_num(np.abs(off).max(axis=1), nan=np.inf)))
    camera = replace(nominal, focal_px=float(np.exp(log_focal[number])))
    # A nadir is believed where it was given, as far as it reaches
    track, offset_km = places[number].track, places[number].offset_km
    if abs(offset_km) <= 2.0 * track.sigma_along_km:
        offset_km = 0.0
    return Hypothesis(
        camera=look_at(camera, positions_ecef_m[number], target, find_middle_px(nominal), roll),
        prior=believe_camera(track, offset_km, track.sigma_along_km, nominal, lens),
        track=track,
        offset_km=offset_km,
        source="streets",
    )


def see_ground(positions_ecef_m: FloatArray, lon_deg: float, lat_deg: float) -> FloatArray:
    """Logarithm of the stretch of level ground from positions (n, 3), for a focal length of 1.

    Apart from the roll, the effect of a view on level ground is given by the symmetric matrix
    $(f / d)^2 (I - h h^T)$. Here $f$ is the focal length, $d$ the distance and $h$ the horizontal
    part of the unit vector towards the camera. Its square root is the stretch, pixels per metre.
    The result has its components east-east, north-north and east-north, shape (n, 3); NaN beyond 63
    degrees of incidence.
    """
    east, north, up = local_axes(lon_deg, lat_deg)
    towards = positions_ecef_m - geodetic_to_ecef(lon_deg, lat_deg)
    distance = np.linalg.norm(towards, axis=1)
    towards /= distance[:, None]
    h = towards @ np.stack([east, north], axis=1)
    cosine = towards @ up
    # The logarithm of the square root of I - h h^T is log(cosine) h h^T / |h|^2
    share = np.log(np.maximum(cosine, 1e-3)) / np.maximum((h**2).sum(axis=1), 1e-12)
    parts = np.stack(
        [share * h[:, 0] ** 2, share * h[:, 1] ** 2, share * h[:, 0] * h[:, 1]], axis=1
    )
    parts[:, :2] -= np.log(distance)[:, None]
    return np.where((cosine > 0.45)[:, None], parts, np.nan)


def fit_on_streets(
    problem: Problem, light: EvenedImage, streets: RasterMap, hypothesis: Hypothesis
) -> MapMatch | None:
    """Fit a camera to even cells at increasingly fine scales, and verify it on the odd ones."""
    camera = hypothesis.camera
    nominal = problem.photo.nominal
    corner = np.hypot(nominal.width_px, nominal.height_px) / 2.0 / nominal.focal_px
    # Radial distortion at the corner, as a share of its distance to the axis
    prior = replace(hypothesis.prior, sigma_k1=0.01 / corner**2)
    is_large = min(measure_sides_m(camera)) / 1e3 > SEARCH_SCALES[0][0]
    coarse_m = LEVELS_M[0] * (2.0 if is_large else 1.0)
    picture = scale_picture(light, streets, camera, coarse_m)
    if picture is None:
        return None
    patch_px = suit_patch_px(picture)
    for unknown in (ANGLES, POSE):
        camera = settle(picture, camera, prior, unknown, patch_px)
    cameras = [camera]
    # Distortion is radial around the optical axis, which may be anywhere in a crop
    axis = (PRINCIPAL_X, PRINCIPAL_Y) if prior.sigma_principal_px > 0.0 else ()
    bent = (*POSE, K1, *axis)
    proofs: list[CellProof] = []
    for sample_m in LEVELS_M:
        finer = scale_picture(light, streets, cameras[0], sample_m)
        if finer is None:
            return None
        picture, patch_px = finer, suit_patch_px(finer)
        free = bent if sample_m <= 25.0 else POSE
        # A tilt and its mirror image have almost the same view: both are fitted until one is better
        if sample_m >= 25.0:
            cameras += [one for one in map(mirror_pose, cameras) if one is not None]
        # Of which every second one is fitted
        fewer = replace(STREETS, max_cells=160)
        if sample_m > LEVELS_M[-1]:
            fewer = replace(fewer, settled_px=0.3, max_rounds=4)
        sparse = replace(picture, params=fewer)
        cameras = [settle(sparse, one, prior, free, patch_px) for one in cameras]
        ncc = [picture.correlate(one) for one in cameras]
        camera = cameras[int(np.argmax(ncc))]
        # A rival is fitted further if it correlates about as well, and if it moves some ground by a
        # minimum share of the frame's long side
        cameras = [
            one
            for one, its_ncc in zip(cameras, ncc, strict=True)
            if one is camera or (its_ncc >= max(ncc) - 0.02 and not is_same_view(one, camera, 3e-4))
        ]
        if sample_m in (25.0, 12.5):
            proofs.append(prove_on_map(picture, camera, sample_m, patch_px))
            # A fit with a lower score is not continued to the finest level
            if proofs[-1].score < 1.5:
                return None
    hypothesis = replace(hypothesis, prior=prior)
    return fit_all_cells(picture, hypothesis, camera, tuple(proofs), bent, patch_px)


def is_proven_on_streets(match: MapMatch | None) -> bool:
    return (
        match is not None
        and match.score >= STREETS.min_score
        and next(doubt_streets(match), None) is None
    )


def report_on_streets(problem: Problem, match: MapMatch) -> FrameResult:
    """Make the result of a frame on streets, from the scores of its verification."""
    frame, prior = problem.photo.frame, problem.prior
    blind = match.hypothesis.is_blind
    position = locate_camera(match.camera) if blind else prior.position
    result = report_on_map(
        make_bare_result(frame, position, problem.references.light_map.info),
        frame,
        prior,
        match,
        STREETS.probability_steps,
        problem.params.accept,
        map_sigma_m=MAP_SIGMA_M,
        reference=MatchedMap(kind="streets", credit=KINDS["streets"].credit),
        reasons=doubt_streets(match),
    )
    covered_share = float(match.fit.patch_view[1].mean())
    # A third still suffices to register the frame
    if covered_share < 0.5:
        uncovered = Reason(code="outside_map", values={"frame_share": covered_share})
        result = replace(result, reasons=(*result.reasons, uncovered))
    return result


def doubt_streets(match: MapMatch) -> Iterator[Reason]:
    """List the reasons to review a match on streets."""
    short_side_km = min(measure_sides_m(match.hypothesis.camera)) / 1e3
    if short_side_km < MIN_SHORT_SIDE_KM:
        values = {"short_km": short_side_km, "limit_km": MIN_SHORT_SIDE_KM}
        yield Reason(code="small_frame", values=values)
    residual_px = match.proofs[-1].residual_px
    if not len(residual_px):
        yield Reason(code="imprecise", values={"n_agreeing": 0})
    # Pixels of the finest level: an incomplete fit exceeds it
    elif not (median_px := float(np.hypot(*np.median(residual_px, axis=0)))) <= 0.5:
        yield Reason(code="imprecise", values={"beside_px": median_px})
    if (runner_up := match.evidence.runner_up_log10_odds) >= STREETS.min_score:
        yield Reason(code="low_margin", values={"runner_up_log10_odds": runner_up})


def advise_streets(problem: Problem) -> Reason | None:
    """Advise to use street maps, or to give what they need, if they were not tried and may help."""
    frame, focal_known = problem.photo.frame, problem.photo.focal_known
    prior = problem.prior
    if not is_worth_streets(prior.cities_probability) or prior.placement is not None:
        return None
    if focal_known and not suits_streets(problem):
        return None
    given = problem.prior.position
    near = problem.references.streets if given is None else list_near_streets(problem)
    if near and given is not None and focal_known:
        return None
    values: Values = {}
    if near:
        values["lacks"] = "region" if focal_known else "both" if given is None else "focal_length"
    elif given is not None and not focal_known and frame.centre is not None:
        values |= zip(("lon", "lat"), frame.centre, strict=True)
    elif focal_known and is_telephoto(problem.photo.nominal):
        nominal = problem.photo.nominal
        values["long_km"] = nominal.long_side_px / nominal.focal_px * problem.altitude_km
        if problem.references.unfetched:
            values["unfetched"] = problem.references.unfetched
        elif given is not None and frame.centre is not None:
            lon, lat = frame.centre
            values |= {"lon": lon, "lat": lat}
        elif given and (towns := place_index().list_brightest(given.position_ecef_m)):
            values["towns"] = ", ".join(town.name for town in towns)
    else:
        return None
    return Reason(code="no_streets", values=values)


def add_advice(result: FrameResult, advice: Reason | None) -> FrameResult:
    """Add the advice to a result that is not accepted; it is the reason why there is no match."""
    if advice is None or result.verdict == "accepted":
        return result
    reasons = result.reasons
    if result.verdict == "no_match" and "search" not in dict(result.sources):
        reasons = tuple(r for r in reasons if r.code not in ("no_agreement", "search_budget"))
        return replace(result, reasons=(advice, *reasons))
    return replace(result, reasons=(*reasons, advice))
