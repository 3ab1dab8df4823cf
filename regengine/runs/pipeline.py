"""Process one photo from file to result: read, classify, locate the camera, register, draw."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from matchers.geometry.earth import great_circle_km
from regengine.errors import EphemerisError, LightMapError
from regengine.maps.index.earth import load_earth_index
from regengine.maps.opening import day_map_of, map_of_kind, street_maps_of
from regengine.maps.places import Place, place_index
from regengine.maps.reference import LightMap
from regengine.orbit.position import choose_position, sees
from regengine.orbit.tle import TleSet
from regengine.photo.frame import CENTRE_RADIUS_KM, Frame, read_frame, with_remark
from regengine.registration.priors import SOURCE, NeighbourPrior, Seen
from regengine.registration.register import register_frame
from regengine.registration.report_result import doubt_time_told, make_no_match_result
from regengine.registration.types import Prior, Problem, SearchReferences
from regengine.runs.run_inputs import RunInputs
from regengine.scene.classify import (
    SceneForSearch,
    assess_for_search,
    explain_by_class,
    may_be_stars,
    settle_by_evidence,
)
from regengine.store.result import BY_DAY, FrameResult, Reason

if TYPE_CHECKING:
    from matchers.geometry.camera import Camera
    from regengine.maps.lights import KindName
    from regengine.orbit.propagation import CameraPosition
    from regengine.sky.stars.solve import StarAttitude


# What a photo without time and nadir needs besides
NO_INDEX = (
    "Without them, a blind search needs an index of the map: make one with regengine maps "
    "index MAP."
)


def process_photo(
    path: Path, inputs: RunInputs, hints: NeighbourPrior | None = None
) -> FrameResult:
    """Register one photo; ``hints`` is what other photos of the batch tell of it.

    ``seconds`` of the result cover reading and registration, not the overlay. FrameError if the
    photo cannot be read; LightMapError if the map turns out to be damaged where it is needed.
    """
    start_s = time.perf_counter()
    light_map, tles, records = inputs.open()
    # With more threads sums of linear algebra end in other digits
    with threadpool_limits(limits=1, user_api="blas"):
        frame = read_frame(path, records=records, options=inputs.frame)
        result = _register(frame, tles, light_map, inputs, hints)
    if result.control_points and result.reference_kind == "lights":
        lon, lat = np.array([(point.lon, point.lat) for point in result.control_points]).T
        lon = lon[0] + (lon - lon[0] + 180.0) % 360.0 - 180.0
        used, _ = light_map.reaching((lon.min(), lat.min(), lon.max(), lat.max()))[0]
        result = replace(result, lights=used.title)
    result = replace(result, seconds=time.perf_counter() - start_s)
    is_kept = hints is None or result.replaces(hints.first_probability)
    if inputs.overlays is not None and is_kept:
        from regengine.registration.overlay import write_overlay

        try:
            reference = map_of_kind(
                result.reference_kind, inputs.lights, inputs.streets, inputs.day
            )
            hashed = inputs.overlay_names_hashed
            write_overlay(result, frame.file, reference, inputs.overlays, hashed=hashed)
        except Exception as error:  # a picture is never worth a frame's result
            logging.getLogger("regengine").warning("overlay of %s not drawn: %s", path, error)
    return result


def _register(
    frame: Frame,
    tles: TleSet | None,
    light_map: LightMap,
    inputs: RunInputs,
    hints: NeighbourPrior | None,
) -> FrameResult:
    position, unknown = None, None
    try:
        if inputs.blind.mode != "always":
            position = choose_position(frame, tles)
    except EphemerisError as error:
        unknown = error
    scene = assess_for_search(frame, position)
    # Before the index is read, which takes longer
    futile = None if inputs.register.any_category else scene.skip_reason
    shown, result = scene.in_place, None
    attitudes: list[StarAttitude | None] = []  # that the stars tell, once they were read
    if (
        inputs.day
        # A photo that may be by day with such a probability is tried on a day map, which takes
        # seconds
        and sum(shown.probabilities.get(name, 0.0) for name in BY_DAY) > 0.01
    ):
        from regengine.registration.register_on_day import register_on_day

        prior = Prior(position=position, neighbours=hints)
        by_day = register_on_day(
            frame, prior, day_map_of(inputs.day), inputs.register, inputs.unfetched
        )
        # Where that led nowhere, what the photo looks like decides what is told of it
        result = by_day if shown.category in BY_DAY or by_day.verdict == "accepted" else None
    if futile is not None:
        result = result or make_no_match_result(frame, position, light_map.info, futile)
    elif result is None or result.verdict != "accepted":
        search = partial(
            _search_photo,
            scene=scene,
            light_map=light_map,
            inputs=inputs,
            hints=hints,
            read_stars=make_star_reader(attitudes) if inputs.stars else None,
            times_s=[],
        )
        result = search_named(frame, unknown or position, tles, search)
    reasons = result.reasons
    if result.verdict == "no_match":
        reasons = tuple(explain_by_class(reason, shown) for reason in reasons)
    told, evidence = shown, None
    if result.verdict == "accepted":
        evidence = "ground" if result.reference_kind == "day" else "lights"
    elif result.verdict == "no_match" and any(attitudes) and may_be_stars(shown):
        evidence = "stars"
    follows = shown.category_from
    if evidence is not None:
        told = settle_by_evidence(shown, evidence)
        by_features = f"features: {shown.category} {shown.probabilities[shown.category]:.2f}"
        follows = with_remark(evidence, by_features)
    return replace(
        result,
        category=told.category,
        category_probability=told.probabilities[told.category],
        sources=tuple(sorted({**dict(result.sources), "category": follows}.items())),
        reasons=(*doubt_time_told(result, frame.time_utc), *reasons),
    )


# Towns of a given name, and towns that texts mention, at which a photo is searched for
MAX_NAMED, MAX_MENTIONED = 6, 3


def search_named(
    frame: Frame,
    position: CameraPosition | EphemerisError | None,
    tles: TleSet | None,
    search: Callable[..., FrameResult],
) -> FrameResult:
    """Search for a photo with the towns that are named for it as hints of where it is.

    With a position, the first town in view from there weighs the places along the orbit. Without
    one, each town of the given name is tried as ``--centre`` is, then the whole Earth, then towns
    that texts mention. Towns of a name share the work budget by the roots of their people. A name
    proves nothing: the towns count among the views tested. A photo that is found elsewhere and
    shows no town of the name is for review.
    """
    if position is None or frame.centre is not None:  # a blind search is wanted, or more is known
        return search(frame, position)
    named = [] if frame.place is None else place_index().find_named(frame.place)
    if frame.place is not None and frame.sources["place"] != "option":
        # Tables and editors write regions and other words in the place of a town, so that only what
        # would be one in a caption is taken from them
        possible = place_index().find_mentioned(frame.place.partition(",")[0])
        named = [town for town in named if town in possible]
    named = named[:MAX_NAMED]
    if not isinstance(position, EphemerisError):
        in_view = (town for town in named if sees(position, (town.lon, town.lat)))
        town = next(in_view, None)
        return search(
            frame if town is None else show_town(frame, frame.sources["place"], town), position
        )
    results: list[FrameResult] = []

    def is_found_at(towns: list[tuple[str, Place]]) -> bool:
        # Those without a number count as the smallest that are listed
        roots = np.sqrt([max(town.population, 5000) for _, town in towns])
        for (source, town), share in zip(towns, roots / roots.sum(), strict=True):
            there = show_town(frame, source, town)
            above = choose_position(there, tles)
            results.append(search(there, above, n_places=len(towns), share=float(share)))
            if results[-1].verdict == "accepted":
                return True
        return False

    if is_found_at([(frame.sources["place"], town) for town in named]):
        return results[-1]
    results.insert(0, anywhere := search(frame, position))
    if anywhere.verdict == "accepted":
        return doubt_towns(anywhere, named, frame.radius_km)
    if is_found_at(list_mentioned_towns(frame, named)):
        return doubt_towns(results[-1], named, frame.radius_km)
    return max(results, key=lambda one: (one.verdict == "review", one.probability or 0.0))


def list_mentioned_towns(frame: Frame, tried: list[Place]) -> list[tuple[str, Place]]:
    """List towns that the texts of a frame mention, with the source, apart from those tried."""
    given = {frame.sources.get("place", ""): frame.place or ""}
    known, found = list(tried), list[tuple[str, Place]]()
    for source, text in (*given.items(), *frame.mentions.items()):
        for town in place_index().find_mentioned(text):
            apart_km = [great_circle_km(town.lon, town.lat, one.lon, one.lat) for one in known]
            if all(km > CENTRE_RADIUS_KM for km in apart_km):
                known.append(town)
                found.append((source, town))
    return found[:MAX_MENTIONED]


def show_town(frame: Frame, source: str, town: Place) -> Frame:
    """Return a frame that is said to show a town, by a name from a source."""
    sources = {**frame.sources, "place": with_remark(source, town.label)}
    return replace(frame, centre=(town.lon, town.lat), sources=sources)


def doubt_towns(result: FrameResult, named: list[Place], radius_km: float) -> FrameResult:
    """Make an accepted result one for review if it shows none of the towns that were named."""
    if not named or result.solved is None:
        return result
    for town in named:
        if Seen(lon=town.lon, lat=town.lat, radius_km=radius_km).is_shown_by(result.solved.camera):
            return result
    text = f"the photo shows nothing within {radius_km:g} km of {named[0].label}"
    text += ", nor of others of the name: check it" if len(named) > 1 else ": check the name"
    doubt = Reason(code="centre_suspect", text=text)
    return replace(result, verdict="review", reasons=(doubt, *result.reasons))


def _search_photo(
    frame: Frame,
    position: CameraPosition | EphemerisError | None,
    scene: SceneForSearch,
    light_map: LightMap,
    inputs: RunInputs,
    hints: NeighbourPrior | None,
    read_stars: Callable[[Problem], StarAttitude | None] | None,
    times_s: list[float],
    n_places: int = 0,
    share: float = 1.0,
) -> FrameResult:
    """Search for a photo at its position, or anywhere where it has none, or why it has none.

    ``n_places``: number of places that are tried one by one instead, of which the position is one.
    ``share``: part of the work budget. ``times_s``: of each search of the photo, which together
    may take ``max_seconds``.
    """
    blind, begun_s = inputs.blind, inputs.register.clock()
    index = load_earth_index(blind, inputs.lights)
    if isinstance(position, EphemerisError):
        if blind.mode == "never" or index is None:
            text = str(position) if blind.mode == "never" else f"{position} {NO_INDEX}"
            reason = Reason(code=position.code, text=text)
            return make_no_match_result(frame, None, light_map.info, reason)
        position = None
    seen = None
    if frame.centre is not None:
        seen = Seen(lon=frame.centre[0], lat=frame.centre[1], radius_km=frame.radius_km)
    try:
        prior = Prior(
            position=position,
            seen=seen,
            neighbours=hints,
            read_stars=read_stars,
            altitude_range_km=blind.altitude_km,
            may_be_elsewhere=blind.mode != "never" and not n_places,
            n_places=max(n_places, 1),
            cities_probability=scene.cities_probability,
        )
        streets = street_maps_of(inputs.streets)
        references = SearchReferences(
            light_map=light_map, index=index, streets=streets, unfetched=inputs.unfetched
        )
        params = replace(
            inputs.register,
            work_budget=share * inputs.register.work_budget,
            max_seconds=max(inputs.register.max_seconds - sum(times_s), 0.0),
        )
        result = register_frame(frame, prior, references, params)
        times_s.append(inputs.register.clock() - begun_s)
        if hints is None:
            return result
        sources = {**dict(result.sources), SOURCE: hints.source}
        return replace(result, sources=tuple(sorted(sources.items())))
    except LightMapError as error:
        if error.code != "outside_map":
            raise
        reason = Reason(code=error.code, text=str(error))
    return make_no_match_result(frame, position, light_map.info, reason)


def make_star_reader(
    attitudes: list[StarAttitude | None],
) -> Callable[[Problem], StarAttitude | None]:
    """Make what reads the stars above the limb of one photo, once for all places that are tried.

    The attitude, or None without one, is added to the list. A missing catalogue is told once, and
    costs no photo.
    """
    from regengine.registration.propose_from_prior import read_sky
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
    Earth; LightMapError if the map cannot be read, or does not hold the place.
    """
    from regengine.registration.propose_from_prior import locate_placed

    light_map, tles, records = inputs.open()
    frame = read_frame(path, records=records, options=inputs.frame)
    prior = Prior(position=locate_placed(placed, frame, tles), placement=placed)
    if kind == "day":
        from regengine.registration.register_on_day import register_on_day

        return register_on_day(frame, prior, day_map_of(inputs.day), inputs.register)
    references = SearchReferences(light_map=light_map, streets=street_maps_of(inputs.streets))
    return register_frame(frame, prior, references, inputs.register)
