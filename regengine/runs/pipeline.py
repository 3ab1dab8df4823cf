"""Process one photo from file to result: read, classify, locate the camera, register, draw."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from detectors.cores import share_cores
from regengine.errors import EphemerisError, LightMapError
from regengine.maps.index.earth import load_earth_index
from regengine.maps.opening import day_map_of, map_of_kind, street_maps_of
from regengine.maps.reference import LightMap
from regengine.orbit.position import choose_position
from regengine.orbit.tle import TleSet
from regengine.photo.frame import Frame, read_frame
from regengine.registration.priors import SOURCE, NeighbourPrior, Seen
from regengine.registration.register import register_frame
from regengine.registration.report_result import doubt_time_told, make_no_match_result
from regengine.registration.types import Prior, SearchReferences
from regengine.runs.run_inputs import RunInputs
from regengine.scene.classify import SceneForSearch, assess_for_search, explain_by_class
from regengine.store.result import BY_DAY, FrameResult, Reason

if TYPE_CHECKING:
    from matchers.geometry.camera import Camera
    from regengine.maps.lights import KindName
    from regengine.orbit.propagation import CameraPosition
    from regengine.registration.types import Problem
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
    with threadpool_limits(limits=1, user_api="blas"), share_cores():
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
    if (
        inputs.day
        # A photo that may be by day with such a probability is tried on a day map, which takes
        # seconds
        and sum(shown.probabilities.get(name, 0.0) for name in BY_DAY) > 0.01
    ):
        from regengine.registration.register_on_day import register_on_day

        prior = Prior(position=position, neighbours=hints)
        by_day = register_on_day(frame, prior, day_map_of(inputs.day), inputs.register)
        # Where that led nowhere, what the photo looks like decides what is told of it
        result = by_day if shown.category in BY_DAY or by_day.verdict == "accepted" else None
    if futile is not None:
        result = result or make_no_match_result(frame, position, light_map.info, futile)
    elif result is None or result.verdict != "accepted":
        result = _search_photo(frame, unknown or position, scene, light_map, inputs, hints)
    reasons = result.reasons
    if result.verdict == "no_match":
        reasons = tuple(explain_by_class(reason, shown) for reason in reasons)
    return replace(
        result,
        category=shown.category,
        category_probability=shown.probabilities[shown.category],
        reasons=(*doubt_time_told(result, frame.time_utc), *reasons),
    )


def _search_photo(
    frame: Frame,
    position: CameraPosition | EphemerisError | None,
    scene: SceneForSearch,
    light_map: LightMap,
    inputs: RunInputs,
    hints: NeighbourPrior | None,
) -> FrameResult:
    """Search for a photo at its position, or anywhere where it has none, or why it has none."""
    blind = inputs.blind
    index = load_earth_index(blind, inputs.lights)
    if isinstance(position, EphemerisError):
        if blind.mode == "never" or index is None:
            text = str(position) if blind.mode == "never" else f"{position} {NO_INDEX}"
            reason = Reason(code=position.code, text=text)
            return make_no_match_result(frame, None, light_map.info, reason)
        position = None
    try:
        prior = Prior(
            position=position,
            seen=Seen.of(frame),
            neighbours=hints,
            read_stars=read_stars_above if inputs.stars else None,
            altitude_range_km=blind.altitude_km,
            may_be_elsewhere=blind.mode != "never",
            cities_probability=scene.cities_probability,
        )
        streets = street_maps_of(inputs.streets)
        references = SearchReferences(light_map=light_map, index=index, streets=streets)
        result = register_frame(frame, prior, references, inputs.register)
        if hints is None:
            return result
        sources = {**dict(result.sources), SOURCE: hints.source}
        return replace(result, sources=tuple(sorted(sources.items())))
    except LightMapError as error:
        if error.code != "outside_map":
            raise
        reason = Reason(code=error.code, text=str(error))
    return make_no_match_result(frame, position, light_map.info, reason)


def read_stars_above(problem: Problem) -> StarAttitude | None:
    """What the stars above a limb tell; a missing catalogue is told once, and costs no photo."""
    from regengine.registration.propose_from_prior import read_sky
    from regengine.sky.stars.catalogue import CatalogueError

    try:
        return read_sky(problem)
    except CatalogueError as error:
        _warn_once(f"stars above the limb are not used: {error}")
        return None


@lru_cache(maxsize=8)
def _warn_once(text: str) -> None:
    logging.getLogger("regengine").warning("%s", text)


@share_cores()
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
