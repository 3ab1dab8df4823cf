"""Generate the stages of a search from the prior, ordered by expected success per unit of work.

A stage is a box of views: region x hand x lens x tilt band x method, or place x hand x lens. Each
box has the probability that the true camera is in it and the method finds it, and a cost. The boxes
are treated as independent. Then the ratio of probability to work gives the best fixed order, and
no replanning is needed. Shares, success rates and work come from `stage_yields.csv`.

With a time and an element set the first stages are mostly the places nearest to the time on its
track: by light where a limb is in view, else by asterisms. Without both it is the whole Earth.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, lru_cache
from itertools import product

import numpy as np

from detectors.constants import EARTH_RADIUS_KM
from detectors.limb import Limb, nadir_vector
from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.points.asterisms import unit
from regengine.photo.frame import FULL_FRAME_MM
from regengine.registration.parameters import LENS, TRACKS
from regengine.registration.prepare_photo import count_light_peaks
from regengine.registration.priors import (
    PLACE_STEP_KM,
    LensBelief,
    StageYields,
    is_dark,
    is_telephoto,
    list_offsets,
    read_stage_yields,
    weigh_offsets,
)
from regengine.registration.types import Photo, Problem, Region, Stage, TrackPlace, Views
from regengine.registration.windows import FARTHEST_DEG, compute_ground_reach_km

# Off-nadir angles of rings, and number of nadir directions in each
FAR_RINGS = ((47.0, 22), (52.0, 24), (57.0, 26), (61.0, 26))
TILT_BANDS: dict[str, tuple[tuple[float, int], ...]] = {
    "steep": ((0.0, 1), (17.0, 6), (28.0, 8)),
    "slanted": ((37.0, 18), (42.0, 20)),
    "far_level": FAR_RINGS,
    "far_turned": FAR_RINGS,
}


# Largest negative log-prior of a place that is tried, and of the places of the first region (by
# eye)
MAX_NEG_LOG_PRIOR, NEAR_NEG_LOG_PRIOR = 9.0, 4.0
# Tracks for clocks wrong by more than an hour are searched only by region, not place by place
MAX_TRACK_NEG_LOG_PRIOR = 5.0


def generate_stages(problem: Problem) -> list[Stage]:
    """List all stages worth trying for a photo, highest chance per unit of work first."""
    prior, params = problem.prior, problem.params.search
    if is_dark(problem.references.light_map):
        return []
    yields = read_stage_yields()
    if prior.placement is not None:
        return list(generate_around_placement(problem, yields))
    stages = list(generate_from_neighbours(problem, yields))
    if prior.neighbours is None:  # with neighbours, the rest was already tried
        regions = list_regions(problem, yields)
        stages += generate_from_regions(problem, regions, yields)
        if problem.references.index is None or any(one.name != "earth" for one in regions):
            stages += generate_from_places(problem, yields)
        photo = problem.photo
        if photo.limb is not None:
            stages += generate_along_horizon(problem, photo.limb, regions, yields)
        has_sky = photo.limb is not None and photo.doubted_focal_px is None
        if has_sky and prior.read_stars is not None and not problem.is_blind:
            chance, work = yields["success stars"]["all"], yields["work"]["stars"]
            given = LensBelief(ratio=1.0)
            stages.append(Stage(method="stars", chance=chance, work=work, lens=given, n_aligned=48))
    allowed = {*params.methods, "neighbours"}
    wanted = [s for s in stages if s.method in allowed and s.chance >= params.min_chance]
    return sorted(wanted, key=lambda stage: -stage.chance / stage.work)


def list_places(
    problem: Problem,
    step_km: float,
    max_track_neg_log_prior: float = MAX_TRACK_NEG_LOG_PRIOR,
    *,
    between: bool = False,
) -> list[tuple[float, TrackPlace]]:
    """List places along the likelier tracks with their negative log-prior, likeliest first."""
    found = [
        (float(neg_log_prior), track, float(offset_km))
        for track in problem.tracks
        if track.neg_log_prior <= max_track_neg_log_prior
        for offset_km, neg_log_prior in zip(
            *list_offsets(track, step_km, between=between), strict=True
        )
    ]
    found.sort(key=lambda one: one[0])
    total = sum(math.exp(-neg_log_prior) for neg_log_prior, _, _ in found)
    return [
        (
            neg_log_prior,
            TrackPlace(
                track=track,
                offset_km=offset_km,
                spread_km=0.6 * step_km,  # half a step is the farthest; by eye
                share=math.exp(-neg_log_prior) / total,
            ),
        )
        for neg_log_prior, track, offset_km in found
    ]


def list_regions(problem: Problem, yields: StageYields) -> list[Region]:
    """List the regions that the photo may show: near the likeliest places, wider, whole Earth."""
    index = problem.references.index
    if index is None:
        return []
    if problem.is_blind:
        return [Region(name="earth", places=(), share=1.0, index=index)]
    places = list_places(problem, PLACE_STEP_KM, MAX_NEG_LOG_PRIOR)
    reach_rad = compute_ground_reach_km(problem.altitude_km, FARTHEST_DEG) / EARTH_RADIUS_KM
    regions: list[Region] = []
    for name, limit in (("near", NEAR_NEG_LOG_PRIOR), ("wide", MAX_NEG_LOG_PRIOR)):
        chosen = [place for neg_log_prior, place in places if neg_log_prior <= limit]
        if not chosen or (regions and len(chosen) == len(regions[-1].places)):
            continue
        vectors = unit(np.array([place.position_ecef_m for place in chosen]))
        region = Region(
            name="near" if name == "near" else "wide",
            places=chosen,
            share=yields["region"][name],
            index=index.around(vectors, reach_rad),
        )
        if any(len(region.index[size_km].vectors) for size_km in index.sizes_km[-2:]):
            regions.append(region)
    coarsest = max(index.sizes_km)
    in_sight = len(regions[0].index[coarsest].vectors) if regions else 0
    if (
        problem.prior.may_be_elsewhere
        and problem.params.clock_window_s is None
        and not (problem.photo.focal_known and is_telephoto(problem.photo.nominal))
        and 2 * in_sight <= len(index[coarsest].vectors)
        and count_light_peaks(problem.photo) >= 15  # fewer fit anywhere, by eye
    ):
        share = yields["region"]["earth"]
        regions.append(Region(name="earth", places=(), share=share, index=index))
    return regions


def generate_from_regions(
    problem: Problem, regions: list[Region], yields: StageYields
) -> Iterator[Stage]:
    """Generate stages of the light index: at the tilt given by the limb, and in all tilt bands."""
    photo = problem.photo
    limb = photo.limb
    sizes_km = () if problem.references.index is None else problem.references.index.sizes_km
    boxes: list[tuple[LensBelief, Views, float]] = []  # with the chance of each box
    limb_share = 0.0
    if limb is not None:
        limb_share = yields["limb"]["right"]
        # Focal lengths: as used for the limb, by its curvature, and crops
        factor = max(limb.shape) / photo.nominal.long_side_px
        ratio = limb.focal_px / factor / photo.nominal.focal_px
        sigma = LENS.sigma_log_focal if photo.focal_known else LENS.sigma_log_focal_unsure
        given, bent = yields["limb"]["given lens"], yields["limb"]["bent lens"]
        crops = [(limb.focal_ratio, bent)]
        crops += [(crop, (1.0 - given - bent) / 4.0) for crop in (1.25, 1.55, 0.8, 1.95)]
        unsure = LensBelief(
            ratio=ratio, sigma_log_focal=LENS.sigma_log_focal_unsure, is_cropped=True
        )
        for lens in (
            LensBelief(ratio=ratio, share=given, sigma_log_focal=sigma),
            *(replace(unsure, ratio=ratio * crop, share=share) for crop, share in crops),
        ):
            nadir = limb.nadir_at_scale(lens.ratio / ratio)[None]
            # Levels that are searched if the limb determines the tilt
            levels_km = [size for size in (2.6, 1.3) if size in sizes_km]
            views = tuple((level_km, nadir) for level_km in levels_km)
            success = yields["success light"]["limb"]
            boxes.append((lens, views, limb_share * lens.share * success))
    for lens, band in product(list_lens_beliefs(photo, yields, "single"), TILT_BANDS):
        share = (1.0 - limb_share) * lens.share * yields["tilt"][band]
        wide = replace(photo.nominal, focal_px=photo.nominal.focal_px * lens.ratio)
        kind = band.split("_")[0]  # steep, slanted, far
        for rank, grade in enumerate(("coarse", "fine")):
            views = list_views(problem, sizes_km, wide, band, rank)
            chance = share * yields["success light"][f"{kind} {grade}"]
            boxes.append((lens, views, chance))
    for region, hand, (lens, views, chance) in product(regions, ("plain", "mirrored"), boxes):
        is_earth, of_limb = region.name == "earth", len(views) > 0 and len(views[0][1]) == 1
        if not views:
            continue
        n_aligned = 8 if is_earth else 3  # right cameras come first in 184 of 198 cases
        n_views = sum(len(nadirs) for _, nadirs in views)
        work = n_views * yields["work"]["light"]
        if is_earth:  # the index of a regional map is smaller and costs less
            lights = max(len(region.index[level_km].vectors) for level_km, _ in views)
            each = yields["work"]["light few"] + lights * yields["work"]["light each peak"]
            work = n_views * min(each, yields["work"]["light earth"])
        flip = np.array([-1.0 if hand == "mirrored" else 1.0, 1.0, 1.0])
        yield Stage(
            method="light",
            chance=chance * region.share * yields["hand"][hand],
            work=work + n_aligned * yields["work"]["alignment"],
            lens=lens,
            region=region,
            mirrored=hand == "mirrored",
            # The nadir from the limb belongs to the unmirrored image, so it is flipped as well
            views=tuple((level, nadir * flip) for level, nadir in views) if of_limb else views,
            n_aligned=n_aligned,
        )


def generate_along_horizon(
    problem: Problem, limb: Limb, regions: list[Region], yields: StageYields
) -> Iterator[Stage]:
    """Generate stages of rows along the horizon: around a given place, or for each region."""
    seen = problem.prior.seen
    if seen is not None:
        # The lights determine the camera: neither clock nor place needs to be right
        regions = [replace(one, name="earth", places=(), share=1.0) for one in regions[:1]]
    sure = LENS.sigma_log_focal, LENS.sigma_log_focal_unsure
    for region in regions:
        where = "earth far" if limb.off_nadir_deg > 50.0 else "earth"
        where = where if seen is None and not region.places else "place"
        yield Stage(
            method="horizon",
            chance=yields["limb"]["right"] * region.share * yields["success horizon"][where],
            work=yields["work"][f"horizon {where.split()[0]}"],
            lens=LensBelief(ratio=1.0, sigma_log_focal=sure[not problem.photo.focal_known]),
            region=region,
            n_aligned=20,  # of the 30 that are refined, by eye
        )


def list_views(
    problem: Problem,
    sizes_km: tuple[float, ...],
    lens: Camera,
    band: str,
    rank: int,
) -> Views:
    """List the nadir directions of a tilt band, grouped by the index level that suits each ring.

    The level is the coarsest at which the ground in the photo has a useful size in pixels, or
    (``rank`` 1) the next finer one.
    """
    rings = TILT_BANDS[band]
    # Useful range of the long side of the photo's ground, in pixels of a level
    long_side, (low, high) = lens.long_side_px, (100.0, 420.0)
    by_level: dict[float, list[FloatArray]] = {}
    for tilt_deg, count in rings:
        # Ground size of a pixel relative to nadir: the geometric mean of its two sides
        off_nadir_deg = rings[-1][0] if band == "steep" else tilt_deg
        from_centre = 1.0 + problem.altitude_km / EARTH_RADIUS_KM
        angle = math.radians(off_nadir_deg)
        incidence = math.asin(min(from_centre * math.sin(angle), 1.0))
        slant_km = from_centre * math.cos(angle) - math.cos(incidence)
        stretch = (
            slant_km
            * EARTH_RADIUS_KM
            / problem.altitude_km
            / math.sqrt(max(math.cos(incidence), 0.1))
        )
        field_km = long_side / lens.focal_px * problem.altitude_km * stretch
        useful = sorted((size for size in sizes_km if low <= field_km / size <= high), reverse=True)
        if rank < min(len(useful), 2):
            nadirs = list_nadirs(tilt_deg, count, band)
            by_level.setdefault(useful[rank], []).append(nadirs)
    return tuple((level_km, np.concatenate(nadirs)) for level_km, nadirs in by_level.items())


@lru_cache(maxsize=64)
def list_nadirs(tilt_deg: float, count: int, band: str) -> FloatArray:
    """List nadir directions in the camera frame on a ring of constant tilt, shape (n, 3).

    Near the horizon most photos are taken level, rolled by at most 20 degrees. So the far bands are
    split: ``far_level`` has the level directions, ``far_turned`` the others.
    """
    turns_deg = [360.0 * k / count for k in range(count)]
    if band.startswith("far"):
        is_level = band == "far_level"
        turns_deg = [turn for turn in turns_deg if (min(turn, 360.0 - turn) <= 20.0) == is_level]
    return np.array([nadir_vector(tilt_deg, turn_deg) for turn_deg in turns_deg])


def list_lens_beliefs(photo: Photo, yields: StageYields, steps: str) -> list[LensBelief]:
    """List the focal lengths that are worth trying.

    Each is tried by itself (`steps` is "single"), or asterisms with a "ladder" around each.
    """
    may_be_cropped = photo.frame.may_be_cropped
    ladder = (1.0, 0.8, 1.25) if steps == "ladder" else (1.0,)  # covers 0.7 to 1.4 times
    shares = yields[f"lens_{steps}_{'crop' if may_be_cropped else 'whole'}"]
    given = {float(ratio): share for ratio, share in shares.items()}
    if photo.focal_known:
        return [
            LensBelief(
                ratio=ratio,
                share=share,
                sigma_log_focal=(
                    LENS.sigma_log_focal if ratio == 1.0 else LENS.sigma_log_focal_unsure
                ),
                is_cropped=may_be_cropped or ratio != 1.0,
                ladder=(1.0,) if ratio == 1.0 else ladder,
            )
            for ratio, share in given.items()
        ]
    # Lenses of the archive's night frames, in full-frame equivalents, without a focal length that
    # was tried, with crops of it, without success
    nominal, doubted_px = photo.nominal, photo.doubted_focal_px
    tried_px = [] if doubted_px is None else [doubted_px * ratio for ratio in given]
    beliefs = []
    for focal_mm, share in yields[f"lens_{steps}_unknown"].items():
        focal_px = float(focal_mm) / FULL_FRAME_MM[0] * nominal.long_side_px
        if any(abs(np.log(focal_px / other)) < LENS.sigma_log_focal_unsure for other in tried_px):
            continue
        beliefs.append(
            LensBelief(
                ratio=focal_px / nominal.focal_px,
                share=share,
                sigma_log_focal=LENS.sigma_log_focal_unsure,
                is_cropped=may_be_cropped or doubted_px is not None,
                ladder=ladder,
            )
        )
    return beliefs


def generate_from_places(problem: Problem, yields: StageYields) -> Iterator[Stage]:
    """Generate asterism and dense-correlation stages at likely places, each for all attitudes."""
    photo, params = problem.photo, problem.params.search
    nominal = photo.nominal
    has_index = problem.references.index is not None

    @cache
    def places_at(step_km: float, *, between: bool = False) -> list[tuple[float, TrackPlace]]:
        return list_places(problem, step_km, between=between)

    for lens in list_lens_beliefs(photo, yields, "ladder"):
        camera = replace(nominal, focal_px=nominal.focal_px * lens.ratio)
        step_km = space_places(camera, problem.altitude_km)
        if not is_telephoto(camera):
            step_km = max(step_km, 160.0)  # asterisms tolerate wider spacing
        for between in (False, True) if has_index else ():
            rare = yields["success between"]["asterisms"] if between else 1.0
            for _, place in places_at(step_km, between=between):
                if place.share * lens.share * rare < params.min_chance:
                    break
                yield from look_from_place(yields, lens, camera, place, rare)
    for lens in list_lens_beliefs(photo, yields, "single"):
        camera = replace(nominal, focal_px=nominal.focal_px * lens.ratio)
        for _, place in places_at(space_places(camera, problem.altitude_km)):
            if place.share * lens.share < params.min_chance:
                break
            yield from correlate_from_place(yields, lens, camera, place)


def space_places(camera: Camera, altitude_km: float) -> float:
    """Spacing of the places on a track that are tested separately, in kilometres.

    A camera is still found from a wrong place if the distortion that the error in position causes
    stays below 6 % of half the image side.
    """
    half = camera.long_side_px / 2.0 / camera.focal_px
    # Rounding to a few spacings lets lenses share the same weighted places
    return float(np.clip(2.0 * altitude_km * 0.06 / half // 30.0 * 30.0, 90.0, 180.0))


def find_success(rates: dict[str, float], camera: Camera) -> float:
    """Success rate of a method with a lens, by the largest full-frame focal length of each rate."""
    focal_mm = camera.focal_px / camera.long_side_px * FULL_FRAME_MM[0]
    limits = {float(limit_mm): rate for limit_mm, rate in rates.items()}
    return limits[min((limit for limit in limits if limit >= focal_mm), default=max(limits))]


def look_from_place(
    yields: StageYields, lens: LensBelief, camera: Camera, place: TrackPlace, rare: float = 1.0
) -> Iterator[Stage]:
    """Generate asterism stages at one place, plain and mirrored; more lights at likely places.

    Of 23 hard frames of the training half, 45 lights found 8 at their places, and 30 lights
    found 3.
    """
    success = find_success(yields["success asterisms"], camera)
    for hand in ("plain", "mirrored"):
        chance = place.share * lens.share * rare * success * yields["hand"][hand]
        thorough = chance > 0.015  # by eye
        kind = "asterisms thorough" if thorough else "asterisms"
        work = yields["work"]["asterisms ladder" if len(lens.ladder) > 1 else kind]
        yield Stage(
            method="asterisms",
            chance=chance,
            work=work + 4 * yields["work"]["alignment"],
            lens=lens,
            place=place,
            mirrored=hand == "mirrored",
            n_photo_lights=45 if thorough else 30,
        )


def correlate_from_place(
    yields: StageYields, lens: LensBelief, camera: Camera, place: TrackPlace
) -> Iterator[Stage]:
    """Generate dense-correlation stages at one place: near nadir and far, plain and mirrored."""
    telephoto = is_telephoto(camera)
    success = find_success(yields["success dense"], camera)
    n_aligned = 10 if telephoto else 8  # by eye
    work = yields["work"]["dense telephoto" if telephoto else "dense"]
    for hand, (half, off_nadir_deg) in product(
        ("plain", "mirrored"), (("near", (0.0, 40.0)), ("far", (40.0, 90.0)))
    ):
        share = place.share * lens.share * yields["hand"][hand] * yields["half"][half]
        yield Stage(
            method="dense",
            chance=share * success,
            work=work + n_aligned * yields["work"]["alignment"],
            lens=lens,
            place=place,
            mirrored=hand == "mirrored",
            off_nadir_deg=off_nadir_deg,
            n_aligned=n_aligned,
        )


def generate_from_neighbours(problem: Problem, yields: StageYields) -> Iterator[Stage]:
    """Generate stages at the place that clock and lens of neighbours give, and at their cameras."""
    shared = problem.prior.neighbours
    position = problem.prior.position
    if shared is None or position is None or position.velocity_ecef_m_s is None:
        return
    if problem.photo.doubted_focal_px is not None:  # already tried with the given lens
        return
    # The place that they predict, on the likeliest track; places are 60 km apart
    offsets_km = [(shared.offset_s - track.clock_s) * track.speed_km_s for track in problem.tracks]
    neg_log_prior = [
        float(weigh_offsets(offset_km, track, 60.0))
        for offset_km, track in zip(offsets_km, problem.tracks, strict=True)
    ]
    best = int(np.argmin(neg_log_prior))
    track, offset_km = problem.tracks[best], offsets_km[best]
    if abs(offset_km) > track.belief.reach_km:
        return
    spread_km = shared.spread_s * track.speed_km_s
    place = TrackPlace(track=track, offset_km=offset_km, spread_km=spread_km, share=1.0)
    nominal = problem.photo.nominal
    lens = LensBelief(ratio=shared.focal_ratio, is_cropped=shared.cropped)
    camera = replace(nominal, focal_px=nominal.focal_px * lens.ratio)
    stages = list(correlate_from_place(yields, lens, camera, place))
    if problem.references.index is not None:
        stages += look_from_place(yields, lens, camera, place)
    for stage in stages:
        # The neighbours also determine whether the image is mirrored
        if not stage.mirrored:
            yield replace(stage, mirrored=shared.mirrored)
    if shared.neighbours:
        yield Stage(
            method="neighbours",
            chance=yields["success neighbours"]["all"],
            work=2 * len(shared.neighbours) * yields["work"]["alignment"],
            lens=lens,
            place=place,
            mirrored=shared.mirrored,
        )


def generate_around_placement(problem: Problem, yields: StageYields) -> Iterator[Stage]:
    """Generate stages around a camera that a person placed, then for all directions from there."""
    placed = problem.prior.placement
    assert placed is not None
    # The direction of flight does not matter here, so any track serves
    spread_km = TRACKS.placed_sigma_km[0]
    place = TrackPlace(track=problem.tracks[0], offset_km=0.0, spread_km=spread_km, share=1.0)
    # Set by eye
    lens = LensBelief(ratio=1.0, sigma_log_focal=0.06)
    yield Stage(
        method="placement",
        chance=0.9,
        work=27 * yields["work"]["alignment"],
        lens=lens,
        place=place,
        mirrored=placed.mirrored,
    )
    camera = problem.photo.nominal
    for stage in correlate_from_place(yields, lens, camera, place):
        if not stage.mirrored:
            yield replace(stage, mirrored=placed.mirrored)
