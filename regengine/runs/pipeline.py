"""Process one photo from file to result: read, classify, locate the camera, register, draw."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from matchers.geometry.earth import great_circle_km
from regengine.errors import EphemerisError, MapError
from regengine.maps.at_hand import DAY, check_packaged
from regengine.maps.index.earth import load_earth_index
from regengine.maps.opening import DayMap, day_map_of, map_of_kind, street_maps_of
from regengine.maps.places import Place, place_index
from regengine.orbit.position import choose_position, list_contradicting, sees
from regengine.orbit.tle import TleSet
from regengine.photo.frame import CENTRE_RADIUS_KM, Frame, read_frame, with_remark
from regengine.registration.priors import SOURCE, NeighbourPrior, Seen
from regengine.registration.register import register_frame
from regengine.registration.report_result import doubt_time_told, make_bare_result
from regengine.registration.types import Prior, Problem, SearchReferences
from regengine.runs.run_inputs import RunInputs
from regengine.scene.classify import (
    assess_for_search,
    explain_by_class,
    may_be_stars,
    settle_by_evidence,
)
from regengine.store.reasons import Reason, Values, make_error_reason
from regengine.store.result import BY_DAY, VERDICTS, FrameResult

if TYPE_CHECKING:
    from matchers.geometry.camera import Camera
    from regengine.maps.index.earth import BlindOptions
    from regengine.maps.lights import KindName
    from regengine.orbit.propagation import CameraPosition
    from regengine.scene.classify import SceneInPlace
    from regengine.scene.models import SceneAnswer
    from regengine.sky.stars.solve import StarAttitude


# A photo that may be by day with such a probability is tried on the day map, which takes 10 s. Of
# 39 tagged as by day all have 0.13 or more; of 94 others with 0.01 to 0.1 none is placed
MIN_DAY_PROBABILITY = 0.1
# What a photo without time and nadir needs besides
NO_INDEX = (
    "Without them, a blind search needs an index of the map: make one with regengine maps "
    "index MAP."
)


def process_photo(
    path: Path, inputs: RunInputs, neighbours: NeighbourPrior | None = None
) -> FrameResult:
    """Register one photo; ``neighbours`` is what other photos of the batch tell of it.

    It is searched for from each of its starts in turn (`list_starts`), until it is accepted.
    ``seconds`` of the result cover reading and registration, not the overlay. FrameError if the
    photo cannot be read; MapError if the map turns out to be damaged where it is needed.
    """
    start_s = time.perf_counter()
    light_map, tles, records = inputs.open()
    attitudes: list[StarAttitude | None] = []  # that the stars tell, once they were read
    # With more threads sums of linear algebra end in other digits
    with threadpool_limits(limits=1, user_api="blas"):
        frame = read_frame(path, records=records, options=inputs.frame)
        position = find_position(frame, tles, inputs.blind)
        known = None if isinstance(position, EphemerisError) else position
        scene, named = assess_for_search(frame, known), list_named_towns(frame, position)
        by_day = register_by_day(frame, known, named, scene.in_place.answer, inputs, neighbours)
        # Before the index is read, which takes longer
        skip_reason = None if inputs.register.any_category else scene.skip_reason
        if by_day is not None and (skip_reason is not None or by_day.verdict == "accepted"):
            result = by_day
        elif skip_reason is not None:
            result = make_bare_result(frame, known, light_map.info, skip_reason)
        else:
            prior = Prior(
                neighbours=neighbours,
                read_stars=make_star_reader(attitudes) if inputs.stars else None,
                altitude_range_km=inputs.blind.altitude_km,
                may_be_elsewhere=inputs.blind.mode != "never",
                # Who wants all photos searched holds that they show cities
                cities_probability=(
                    1.0 if inputs.register.any_category else scene.cities_probability
                ),
            )
            references = open_references(inputs)
            unlocated = explain_unlocated(position, references, inputs.blind)
            tried: list[tuple[Frame, FrameResult]] = []
            limits, searched_s = inputs.register, 0.0
            for there, known_there, share in list_starts(frame, position, tles, named, prior):
                begun_s = limits.clock()
                params = replace(
                    limits,
                    work_budget=share * limits.work_budget,
                    max_seconds=max(limits.max_seconds - searched_s, 0.0),
                )
                reason = unlocated if known_there.position is None else None
                try:
                    if reason is None:
                        attempt = register_frame(there, known_there, references, params)
                        searched_s += limits.clock() - begun_s
                except MapError as error:
                    if error.code != "outside_map":
                        raise
                    reason = make_error_reason(error)
                if reason is not None:
                    near = known_there.position
                    attempt = make_bare_result(there, near, light_map.info, reason)
                elif neighbours is not None:
                    sources = {**dict(attempt.sources), SOURCE: neighbours.source}
                    attempt = replace(attempt, sources=tuple(sorted(sources.items())))
                result = doubt_start(attempt, there, named)
                if attempt.verdict == "accepted":
                    break
                tried.append((there, result))
            else:
                result = choose_start(frame, position, named, tried)
            if by_day is not None:
                result = min(by_day, result, key=rank_verdict)
        result = settle_category(result, scene.in_place, frame, has_stars=any(attitudes))
    if result.control_points and result.reference_kind == "lights":
        lon, lat = np.array([(point.lon, point.lat) for point in result.control_points]).T
        lon = lon[0] + (lon - lon[0] + 180.0) % 360.0 - 180.0
        used, _ = light_map.reaching((lon.min(), lat.min(), lon.max(), lat.max()))[0]
        result = replace(result, map_title=used.title)
    result = replace(result, seconds=time.perf_counter() - start_s)
    if inputs.overlays is not None and (
        neighbours is None or result.replaces(neighbours.first_probability)
    ):
        draw_overlay(result, frame, inputs)
    return result


def find_position(
    frame: Frame, tles: TleSet | None, blind: BlindOptions
) -> CameraPosition | EphemerisError | None:
    """Find where the camera was: None for a blind search, or the error that says what lacks."""
    try:
        return None if blind.mode == "always" else choose_position(frame, tles)
    except EphemerisError as error:
        return error


def register_by_day(
    frame: Frame,
    position: CameraPosition | None,
    named: list[Place],
    shown: SceneAnswer,
    inputs: RunInputs,
    neighbours: NeighbourPrior | None,
) -> FrameResult | None:
    """Register a photo on the day map; None where that does not decide what becomes of it."""
    by_day = sum(shown.probabilities.get(name, 0.0) for name in BY_DAY)
    if not inputs.day or by_day < MIN_DAY_PROBABILITY:
        return None
    from regengine.registration.register_on_day import register_on_day

    tried = []
    for start in list_contradicting(position) or (position,):
        prior, day_map = Prior(position=start, neighbours=neighbours), open_day_maps(inputs)
        tried.append(register_on_day(frame, prior, day_map, inputs.register, inputs.unfetched))
        if tried[-1].verdict == "accepted":
            break
    best = min(tried, key=rank_verdict)
    result = doubt_towns(best, named, frame.radius_km)
    # Where that led nowhere, what the photo looks like decides what is told of it
    return result if shown.category in BY_DAY or result.verdict != "no_match" else None


def rank_verdict(result: FrameResult) -> int:
    return VERDICTS.index(result.verdict)


def open_day_maps(inputs: RunInputs) -> DayMap:
    """Open the day maps of a run, and check the package's: by night nothing of it is read."""
    if DAY in inputs.day:
        check_packaged(DAY)
    return day_map_of(inputs.day)


def open_references(inputs: RunInputs) -> SearchReferences:
    """Open the maps by night of a run, and the index of the lights if there is one."""
    light_map, _, _ = inputs.open()
    return SearchReferences(
        light_map=light_map,
        index=load_earth_index(inputs.blind, inputs.lights),
        streets=street_maps_of(inputs.streets),
        unfetched=inputs.unfetched,
    )


def explain_unlocated(
    position: CameraPosition | EphemerisError | None,
    references: SearchReferences,
    blind: BlindOptions,
) -> Reason | None:
    """Say why a photo without a position is not searched for; None if it is."""
    if not isinstance(position, EphemerisError):
        return None
    if blind.mode == "never":
        return make_error_reason(position)
    if references.index is None:
        return Reason(code=position.code, values={"message": f"{position} {NO_INDEX}"})
    return None


def settle_category(
    result: FrameResult, scene: SceneInPlace, frame: Frame, *, has_stars: bool
) -> FrameResult:
    """Return a result with the category that follows from the photo and from what was found."""
    reasons, evidence = result.reasons, None
    shown = scene.answer if result.verdict == "accepted" else scene.settled
    if result.verdict == "accepted":
        evidence = "ground" if result.reference_kind == "day" else "lights"
    elif result.verdict == "no_match":
        reasons = tuple(explain_by_class(reason, shown) for reason in reasons)
        evidence = "stars" if has_stars and may_be_stars(shown) else None
    settled, source = shown, shown.category_from
    if evidence is not None:
        settled = settle_by_evidence(shown, evidence)
        by_features = f"features: {shown.category} {shown.probabilities[shown.category]:.2f}"
        source = with_remark(evidence, by_features)
    return replace(
        result,
        category=settled.category,
        category_probability=settled.probabilities[settled.category],
        category_from=settled.category_from,
        sources=tuple(sorted({**dict(result.sources), "category": source}.items())),
        reasons=(*doubt_time_told(result, frame.time_utc), *reasons),
    )


def draw_overlay(result: FrameResult, frame: Frame, inputs: RunInputs) -> None:
    """Draw the overlay of a result, or log why there is none."""
    from regengine.registration.overlay import overlay_path, write_overlay

    folder, hashed = inputs.overlays, inputs.overlay_names_hashed
    assert folder is not None
    try:
        # That of an older result is wrong, and would hide that there is no new one
        overlay_path(result, folder, hashed=hashed).unlink(missing_ok=True)
        reference = map_of_kind(result.reference_kind, inputs.lights, inputs.streets, inputs.day)
        write_overlay(result, frame.file, reference, folder, hashed=hashed)
    except Exception as error:  # a picture is never worth a frame's result
        text = "overlay of %s not drawn: %s"
        logging.getLogger("regengine").warning(text, frame.path, error)


# Towns of a given name, and towns that texts mention, at which a photo is searched for
MAX_NAMED, MAX_MENTIONED = 6, 3
# A place out of sight from the orbit or the nadir is searched for without them, and they without
# it: their shares of the work. The orbit is searched for other clocks and lenses as well; around a
# right place little work suffices
APART = {"position": 0.7, "place": 0.3}


# Where a photo is searched for: its frame, with a place that it is said to show or none, what is
# known besides, and a share of its work budget
Start = tuple[Frame, Prior, float]


def list_starts(
    frame: Frame,
    position: CameraPosition | EphemerisError | None,
    tles: TleSet | None,
    named: list[Place],
    prior: Prior,
) -> Iterator[Start]:
    """List where a photo is searched for; ``prior`` is what is known besides.

    With a position, the first town in view from there weighs the places along the orbit. A place
    that is out of sight contradicts the position: the photo is searched by each alone, and both
    share the work budget. Without a position, each town of the given name is tried as ``--centre``
    is, then the whole Earth. Towns that texts mention are last; with a position those out of sight,
    with less work. Towns share their work by the roots of their people. A name proves nothing: the
    towns count among the views tested.
    """

    def begin(frame: Frame, position: Any, share: float = 1.0, **known: Any) -> Start:
        located = None if isinstance(position, EphemerisError) else position
        seen = None
        if frame.centre is not None and (
            located is None or sees(located, frame.centre, frame.radius_km)
        ):
            seen = Seen(lon=frame.centre[0], lat=frame.centre[1], radius_km=frame.radius_km)
        return frame, replace(prior, position=located, seen=seen, **known), share

    def at_towns(towns: list[tuple[str, Place]], n_places: int, share: float) -> Iterator[Start]:
        # Those without a number count as the smallest that are listed
        roots = np.sqrt([max(town.population, 5000) for _, town in towns])
        for (source, town), part in zip(towns, share * roots / roots.sum(), strict=True):
            there = show_town(frame, source, town)
            near = choose_position(there, tles)
            yield begin(there, near, float(part), n_places=n_places, may_be_elsewhere=False)

    if position is None or frame.centre is not None:  # a blind search is wanted, or more is known
        apart: tuple[CameraPosition, ...] = ()
        if not isinstance(position, EphemerisError | None) and position.source == "centre":
            apart = list_contradicting(position)
        for one in apart:
            is_orbit = one is not position
            share = APART["position" if is_orbit else "place"]
            elsewhere = is_orbit and prior.may_be_elsewhere
            yield begin(frame, one, share, n_places=2, may_be_elsewhere=elsewhere)
        if not apart:
            yield begin(frame, position)
        return
    towns = [(frame.sources["place"], town) for town in named]
    if isinstance(position, EphemerisError):
        yield from at_towns(towns, len(towns), 1.0)
        yield begin(frame, position)
        mentioned = list_mentioned_towns(frame, named)
        yield from at_towns(mentioned, len(mentioned), 1.0)
    elif named and not is_in_view(frame, position, named[0]):
        n_places = len(towns) + 1
        yield begin(frame, position, APART["position"], n_places=n_places)
        yield from at_towns(towns, n_places, APART["place"])
    else:
        yield begin(show_town(frame, *towns[0]) if towns else frame, position)
        mentioned = list_mentioned_towns(frame, named)
        hidden = [one for one in mentioned if not is_in_view(frame, position, one[1])]
        yield from at_towns(hidden, len(hidden), APART["place"])


def doubt_start(result: FrameResult, start: Frame, named: list[Place]) -> FrameResult:
    """Doubt a result that shows none of the named towns.

    Found by its lights alone, or at a mentioned town, it is for review.
    """
    doubted = doubt_towns(result, named, start.radius_km)
    source = "" if result.nadir is None else result.nadir.source
    is_named = start.centre in [(town.lon, town.lat) for town in named]
    if doubted != result and source in ("lights", "centre") and not is_named:
        return replace(doubted, verdict="review")
    return doubted


def choose_start(
    frame: Frame,
    position: CameraPosition | EphemerisError | None,
    named: list[Place],
    tried: list[tuple[Frame, FrameResult]],
) -> FrameResult:
    """Choose the result of a photo that was accepted from none of its starts.

    Where nothing is found, the reasons say whether time, nadir and place exclude each other, and
    streets are advised for the likeliest town.
    """
    proposals = [one for _, one in tried if one.verdict == "review"]
    if proposals:
        return max(proposals, key=lambda one: one.probability or 0.0)
    advised = [
        one
        for start, one in tried
        if start.centre is not None and any(reason.code == "no_streets" for reason in one.reasons)
    ]
    plain = [one for start, one in tried if start is frame]
    result = (*advised, *plain, tried[0][1])[0]
    reasons = (*tell_out_of_sight(frame, position, named), *result.reasons)
    if advised and (others := list_namesakes(frame, position, named)):
        reasons = tuple(
            replace(one, values={**one.values, "also": others}) if one.code == "no_streets" else one
            for one in reasons
        )
    return replace(result, reasons=reasons)


def is_in_view(frame: Frame, position: CameraPosition, town: Place) -> bool:
    return sees(position, (town.lon, town.lat), frame.radius_km)


def list_named_towns(frame: Frame, position: CameraPosition | EphemerisError | None) -> list[Place]:
    """List the towns of the name that is given for a photo, those in view from its position first.

    None for a blind search, and where the place is given by its longitude and latitude.
    """
    if position is None or frame.place is None or frame.centre is not None:
        return []
    named = place_index().find_named(frame.place)
    if frame.sources["place"] != "option":
        # Tables and editors write regions and other words in the place of a town, so that only what
        # would be one in a caption is taken from them
        possible = place_index().find_mentioned(frame.place.partition(",")[0])
        named = [town for town in named if town in possible]
    if not isinstance(position, EphemerisError):
        named = sorted(named, key=lambda town: not is_in_view(frame, position, town))
    return named[:MAX_NAMED]


def list_namesakes(
    frame: Frame, position: CameraPosition | EphemerisError | None, named: list[Place]
) -> str:
    """List the labels of towns that may be meant by a name as well as the first."""
    others = named[1:]
    if not isinstance(position, EphemerisError | None) and is_in_view(frame, position, named[0]):
        others = [town for town in others if is_in_view(frame, position, town)]
    return "; ".join(town.label for town in others)


def tell_out_of_sight(
    frame: Frame, position: CameraPosition | EphemerisError | None, named: list[Place]
) -> tuple[Reason, ...]:
    """Reason if the place that is given for a photo is out of sight from where it was taken."""
    if position is None or isinstance(position, EphemerisError):
        return ()
    if frame.centre is not None:
        lon, lat = frame.centre
        centre_from = "option" if frame.sources.get("centre") == "option" else "record"
        values: Values = {"centre_from": centre_from, "lon": lon, "lat": lat}
        known = position.alternative if position.source == "centre" else None
    elif named and not is_in_view(frame, position, named[0]):
        lon, lat = named[0].lon, named[0].lat
        values = {"place": named[0].label, "place_from": frame.sources["place"]}
        known = position
    else:
        return ()
    if known is None:
        return ()
    if known.source == "tle":
        values["time_from"] = frame.sources.get("time", "given").partition(" ")[0]
    values["away_km"] = float(great_circle_km(lon, lat, known.lon, known.lat))
    return (Reason(code="centre_suspect", values=values),)


def list_mentioned_towns(frame: Frame, tried: list[Place]) -> list[tuple[str, Place]]:
    """List towns that the texts of a frame mention, with the source, apart from those tried."""
    given = {frame.sources.get("place", ""): frame.place or ""}
    known, mentioned = list(tried), list[tuple[str, Place]]()
    for source, text in (*given.items(), *frame.mentions.items()):
        for town in place_index().find_mentioned(text):
            apart_km = [great_circle_km(town.lon, town.lat, one.lon, one.lat) for one in known]
            if all(km > CENTRE_RADIUS_KM for km in apart_km):
                known.append(town)
                mentioned.append((source, town))
    return mentioned[:MAX_MENTIONED]


def show_town(frame: Frame, source: str, town: Place) -> Frame:
    sources = {**frame.sources, "place": with_remark(source, town.label)}
    return replace(frame, centre=(town.lon, town.lat), sources=sources)


def doubt_towns(result: FrameResult, named: list[Place], radius_km: float) -> FrameResult:
    """Doubt the name that is given for a photo if its proposal shows no town of that name."""
    if not named or result.solved is None:
        return result
    for town in named:
        if Seen(lon=town.lon, lat=town.lat, radius_km=radius_km).is_shown_by(result.solved.camera):
            return result
    place = {"radius_km": radius_km, "place": named[0].label, "has_namesakes": len(named) > 1}
    doubt = Reason(code="centre_suspect", values=place)
    return replace(result, reasons=(doubt, *result.reasons))


def make_star_reader(
    attitudes: list[StarAttitude | None],
) -> Callable[[Problem], StarAttitude | None]:
    """Make what reads the stars above the limb of one photo, once for all places that are tried.

    The attitude, or None without one, is added to the list. A missing catalogue is told once, and
    costs no photo.
    """
    from regengine.registration.propose_from_cameras import read_sky
    from regengine.sky.stars.catalogue import CatalogueError

    def read_stars(problem: Problem) -> StarAttitude | None:
        if not attitudes:
            try:
                attitudes.append(read_sky(problem))
            except CatalogueError as error:
                _warn_once(f"stars above the limb are not used: {error}")
                attitudes.append(None)
        return attitudes[0]

    return read_stars


@lru_cache(maxsize=8)
def _warn_once(text: str) -> None:
    logging.getLogger("regengine").warning("%s", text)


def register_from(
    path: Path, placed: Camera, inputs: RunInputs, kind: KindName = "lights"
) -> FrameResult:
    """Register one photo from where a person placed it, with what its run was given.

    ``kind``: "day" for the day maps, else night lights, and streets where they are given.

    ``placed`` is for the stored image, off by up to a tenth of the picture and some degrees of
    turn. FrameError if the photo cannot be read; EphemerisError if the camera is nowhere above the
    Earth; MapError if the map cannot be read, or does not hold the place.
    """
    from regengine.registration.propose_from_cameras import locate_placed

    light_map, tles, records = inputs.open()
    frame = read_frame(path, records=records, options=inputs.frame)
    prior = Prior(position=locate_placed(placed, frame, tles), placement=placed)
    if kind == "day":
        from regengine.registration.register_on_day import register_on_day

        return register_on_day(frame, prior, open_day_maps(inputs), inputs.register)
    references = SearchReferences(light_map=light_map, streets=street_maps_of(inputs.streets))
    return register_frame(frame, prior, references, inputs.register)
