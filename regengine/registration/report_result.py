"""Convert a finished search to the result of a frame: proposal, reasons and verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from importlib.metadata import version

import numpy as np

from detectors.constants import DAY_S, KM_PER_DEGREE
from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic, great_circle_km
from matchers.geometry.footprint import WGS84, corner_lonlat, diagonal_km
from matchers.geometry.pose import ACROSS, ALONG, FOCAL, UP, track_offsets_m
from matchers.lights.verify import LIGHTS
from regengine.io.times import iso_utc
from regengine.maps.at_hand import ELEMENT_SETS
from regengine.maps.reference import MapInfo, Reference
from regengine.orbit.position import (
    ANY_KM,
    contradicts,
    doubt_time,
    expect_height_km,
    flown_heights_km,
)
from regengine.orbit.propagation import (
    NADIR_SIGMA_KM,
    RECORD_SIGMA_KM,
    CameraPosition,
    track_positions,
)
from regengine.orbit.rotation import sun_direction, sun_moon
from regengine.orbit.tle import ISS_LAUNCH
from regengine.photo.frame import Frame
from regengine.registration.accept import (
    MIN_POINTS_PROBABILITY,
    REVIEW_PROBABILITY,
    check_blind_fit,
    decide,
    find_least_accepted,
    is_tested,
    probability,
    probability_interval,
)
from regengine.registration.align import locate_camera
from regengine.registration.control_points import (
    MIN_HULL_SHARE,
    compute_chance_within,
    hull_area,
    measure_spread,
    select_control_points,
)
from regengine.registration.fit import measure_pose_sigma_m
from regengine.registration.parameters import LENS, TRACKS, WORK_BUDGETS
from regengine.registration.prepare_photo import MIN_LIGHTS
from regengine.registration.priors import PLACE_STEP_KM, Seen, is_dark, list_offsets
from regengine.registration.types import (
    Hypothesis,
    LightMatch,
    Match,
    Prior,
    Problem,
    SearchState,
    StopReason,
)
from regengine.registration.windows import FARTHEST_DEG, compute_ground_reach_km
from regengine.store.reasons import Reason, Values
from regengine.store.result import (
    MIN_HULL,
    MIN_POINTS,
    ControlPoint,
    DetectedLights,
    FitRecord,
    FrameResult,
    HypothesisRecord,
    MatchedMap,
    NadirInput,
    SolvedCamera,
    Verdict,
)

# What was given is doubted if it differs from the solution by more sigmas of both
MAX_SIGMAS = 3.0


def report_skipped(problem: Problem) -> FrameResult:
    """Make the result of a photo that was skipped, with the reason."""
    reason = problem.photo.skip_reason
    assert reason is not None
    info = problem.references.light_map.info
    return make_bare_result(problem.photo.frame, problem.prior.position, info, reason)


def report_result(problem: Problem, state: SearchState) -> FrameResult:
    """Make the result of a finished search: "accepted", "review" or "no_match".

    The nadir of a camera that was found by a blind search has the source ``lights``.
    """
    frame, position = problem.photo.frame, problem.prior.position
    info, match, sources = problem.references.light_map.info, state.match, {}
    if state.stop_reason is StopReason.CPU_LIMIT:
        sources["search"] = "stopped by --max-seconds"
    if match is None:
        return make_bare_result(frame, position, info, *explain_no_match(problem, state), **sources)
    fit, evidence, hypothesis = match.fit, match.evidence, match.hypothesis
    points = select_control_points(fit, match.camera)
    chance = 1.0
    if points:
        # The place can be certain while a control point is not: near the limb, or in a crop whose
        # lens is poorly determined by the fit
        chance = compute_chance_within(max(point.sigma_m for point in points), match.camera)
    verdict, reasons = judge(problem, state, match, points, chance)
    if verdict != "no_match":
        prior = problem.prior
        reasons = (*doubt_given(frame, prior, match), *reasons)
        if hypothesis.is_blind:
            position = locate_camera(match.camera)
        elif position is not None and position.alternative is not None:
            other = position.alternative
            position = other if hypothesis.track.source == other.source else position
        if hypothesis.n_stars:
            sources["attitude"] = f"{hypothesis.n_stars} stars"
    low, high = (chance * limit for limit in probability_interval(evidence))
    result = replace(
        make_bare_result(frame, position, info, *reasons, **sources),
        verdict=verdict,
        probability=chance * probability(evidence),
        probability_low=low,
        probability_high=high,
    )
    if verdict == "no_match":
        return result
    # Light peaks in pixels of the stored image
    grow = 1.0 / fit.image.factor
    matched = np.zeros(len(fit.light_peaks), np.uint8)
    matched[fit.matched] = 1
    lights = DetectedLights(
        x=(fit.light_peaks.x + 0.5) * grow - 0.5,
        y=(fit.light_peaks.y + 0.5) * grow - 0.5,
        contrast=fit.light_peaks.contrast,
        matched=matched,
    )
    remarks = remark_on_points(points, lights, fit.image.factor)
    pixel_m = 1e3 * KM_PER_DEGREE * info.resolution_deg
    result = replace(
        result,
        reasons=(*reasons, *remarks),
        detections=lights,
        reference=MatchedMap(kind="lights", product=info.product, pixel_m=pixel_m),
    )
    return record_match(result, match, points)


def record_match(
    result: FrameResult, match: Match, points: tuple[ControlPoint, ...]
) -> FrameResult:
    """Add the proposal to a result, and the best distinct other camera that was compared.

    Residuals are in pixels of the stored image.
    """
    evidence, grow = match.evidence, 1.0 / match.fit.image.factor
    held_out_px = evidence.held_out_residual_px * grow
    cameras = [(match.camera, match.hypothesis, evidence.log10_odds)]
    cameras += [(rival.camera, rival, evidence.runner_up_log10_odds) for rival in match.rivals[:1]]
    records = []
    for rank, (camera, one, log10_odds) in enumerate(cameras):
        lon, lat = camera.pixel_to_lonlat((camera.width_px - 1) / 2, (camera.height_px - 1) / 2)
        solved = make_solved_camera(camera, one)
        if one.is_blind or not result.is_timed:
            solved = replace(solved, along_track_offset_s=None)
        elif rank == 0:
            solved = replace(solved, along_track_sigma_s=measure_offset_sigma_s(match))
        records.append(
            HypothesisRecord(
                rank=rank,
                solved=solved,
                ncc=one.ncc,
                log10_odds=log10_odds,
                centre_lon=float(lon) if np.isfinite(lon) else None,
                centre_lat=float(lat) if np.isfinite(lat) else None,
            )
        )
    # In metres by the median pixel size of the visible ground
    residual_px = evidence.residual_px * grow
    x, y = np.meshgrid(
        np.linspace(0.0, match.camera.width_px - 1.0, 9),
        np.linspace(0.0, match.camera.height_px - 1.0, 9),
    )
    right_m, down_m = (
        match.camera.pixel_to_ecef(x + dx, y + dy) - match.camera.pixel_to_ecef(x - dx, y - dy)
        for dx, dy in ((0.5, 0.0), (0.0, 0.5))
    )
    pixel_m = np.sqrt(np.linalg.norm(np.cross(right_m, down_m), axis=-1))
    seen = np.isfinite(pixel_m)
    residual_m = float(np.median(pixel_m[seen])) * residual_px if seen.any() else math.nan
    return replace(
        result,
        solved=records[0].solved,
        control_points=points,
        footprint=corner_lonlat(match.camera),
        footprint_diagonal_km=diagonal_km(match.camera),
        fit=FitRecord(
            ncc=evidence.ncc,
            runner_up_ncc=evidence.runner_up_ncc,
            residual_px=residual_px,
            residual_m=residual_m,
            matched_lights=evidence.n_matched_lights,
            held_out_residual_px=held_out_px if math.isfinite(held_out_px) else None,
            log10_odds=evidence.log10_odds,
            runner_up_log10_odds=evidence.runner_up_log10_odds,
        ),
        hypotheses=tuple(records),
    )


def judge(
    problem: Problem,
    state: SearchState,
    match: LightMatch,
    points: tuple[ControlPoint, ...],
    chance: float,
) -> tuple[Verdict, tuple[Reason, ...]]:
    """Find the reasons for and against a match, and the verdict that `decide` gives with them.

    `chance`: probability that the control points are right if the camera is right.
    """
    params, evidence = problem.params.accept, match.evidence
    p_right = chance * probability(evidence)
    reasons = (
        *doubt_height(problem.photo.frame, problem.prior, match),
        *list_review_reasons(match, points),
    )
    is_blind = match.hypothesis.is_blind
    least = find_least_accepted(params, is_blind)
    verdict = decide(p_right, reasons, params, is_blind=is_blind)
    if verdict == "accepted":
        # The camera may be distorted away from the control points
        worst_m = match.pose_sigma_m
        if not math.isfinite(worst_m):
            worst_m = measure_pose_sigma_m(match.fit, evidence.patch_log10_odds)
        if worst_m > 0.0:
            reasons = (Reason(code="imprecise", values={"shift_km": worst_m / 1e3}),)
        verdict = decide(p_right, reasons, params, is_blind=is_blind)
    if probability(evidence) < REVIEW_PROBABILITY:
        reasons = explain_no_match(problem, state)  # the quality of the fit is irrelevant
    elif verdict == "review" and p_right < least:
        reasons = (*reasons, *diagnose(match, points, chance))
        if not reasons:
            threshold = None if math.isinf(least) else least
            values = {"probability": p_right, "threshold": threshold}
            reasons = (Reason(code="low_probability", values=values),)
    if verdict == "review":
        _, uncovered = tell_uncovered(problem)
        more = (*uncovered, *tell_unfinished(problem, state))
        step_deg = problem.references.light_map.info.resolution_deg
        # ``regengine maps get`` makes a map of 20 arcsec
        if step_deg > 21.0 / 3600.0 and any(one.code == "imprecise" for one in reasons):
            more = (*more, Reason(code="coarse_map", values={"pixel_m": 111_195.0 * step_deg}))
        reasons = tuple(dict.fromkeys((*reasons, *more)))
    if verdict == "accepted" and is_blind:
        reasons = check_blind_fit(points, match, problem.photo.frame.focal_mm)
        verdict = "review" if reasons else "accepted"
    return verdict, reasons


def explain_no_match(problem: Problem, state: SearchState) -> tuple[Reason, ...]:
    """List the reasons for no match; only the CPU limit if it was reached before all was tested."""
    unfinished = tell_unfinished(problem, state)
    if state.stop_reason is StopReason.CPU_LIMIT:
        return unfinished
    if problem.tracks and not any(
        len(list_offsets(track, PLACE_STEP_KM)[0]) for track in problem.tracks
    ):
        return (Reason(code="clock_suspect"),)
    if is_dark(problem.references.light_map):
        return (Reason(code="dark_map"),)
    covered_share, uncovered = tell_uncovered(problem)
    if covered_share == 0.0 and state.work == state.work_of.get("streets", 0.0):
        return uncovered
    searched = "time" if problem.prior.seen is None else "time_and_place"
    values = {"searched": searched, "no_index": problem.references.index is None}
    if problem.is_blind:
        values = {"searched": "earth", "focal_unknown": problem.photo.frame.focal_mm is None}
    return (Reason(code="no_agreement", values=values), *uncovered, *unfinished)


def tell_unfinished(problem: Problem, state: SearchState) -> tuple[Reason, ...]:
    """Reason if a search ended before all hypotheses were tested; not a doubt about the match."""
    if state.stop_reason is StopReason.CPU_LIMIT:
        return (Reason(code="search_budget", values={"limit": "max_seconds"}),)
    if state.stop_reason is StopReason.WORK_BUDGET:
        # What is not worth a fit is not searched with more effort either
        was_begun = state.work > 0.0 or state.match is not None
        may_search_longer = was_begun and problem.params.work_budget < WORK_BUDGETS["thorough"]
        limit = "effort" if may_search_longer else "greatest_effort"
        return (Reason(code="search_budget", values={"limit": limit}),)
    return ()


def tell_uncovered(problem: Problem) -> tuple[float, tuple[Reason, ...]]:
    """Share of the ground that the photo can show within the map's bounds; a reason if too little.

    A map that covers less of the ground visible from the camera position may not contain the place.
    """
    position = problem.prior.position
    if position is None:
        return 1.0, ()
    # Uniform samples of a disc (Vogel's spiral, with the golden angle)
    number = np.arange(1200)
    reach_m = 1e3 * compute_ground_reach_km(problem.altitude_km, FARTHEST_DEG)
    away_m = reach_m * np.sqrt((number + 0.5) / len(number))
    start = np.full(len(number), position.lon), np.full(len(number), position.lat)
    lon, lat, _ = WGS84.fwd(*start, 137.508 * number, away_m)
    west, south, east, north = problem.references.light_map.info.bounds
    inside = ((lon - west) % 360.0 <= east - west) & (lat >= south) & (lat <= north)
    share = float(inside.mean())
    if share >= 0.5:
        return share, ()
    return share, (Reason(code="outside_map", values={"ground_share": share}),)


def doubt_given(frame: Frame, prior: Prior, match: Match) -> list[Reason]:
    """List what was given and contradicts the camera beyond the sigmas of both."""
    if prior.placement is not None:  # by a person, who has seen what was given
        return []
    found = [*doubt_centre(frame, match.camera), *doubt_position(frame, prior, match)]
    outside = list(doubt_height(frame, prior, match))
    if is_lens_off(frame, match) and not any("lens_altitude_km" in one.values for one in outside):
        assert frame.focal_px is not None
        assert frame.focal_mm is not None
        fitted_mm = match.camera.focal_px / frame.focal_px * frame.focal_mm
        values = {"focal_mm_fitted": fitted_mm, "focal_mm_given": frame.focal_mm}
        found.append(Reason(code="lens_suspect", values=values))
    given_km = frame.altitude_km
    if given_km is not None and not outside:
        by_option = frame.sources.get("altitude_km") == "option"
        height_km, sigma_km = find_height_km(match)
        claimed_km = (NADIR_SIGMA_KM if by_option else RECORD_SIGMA_KM)[2]
        if abs(height_km - given_km) > MAX_SIGMAS * np.hypot(claimed_km, sigma_km):
            altitude = {
                "height_km": height_km,
                "altitude_km_given": given_km,
                "altitude_from": "option" if by_option else "record",
            }
            found.append(Reason(code="altitude_suspect", values=altitude))
    return found


def doubt_centre(frame: Frame, camera: Camera) -> Iterator[Reason]:
    """Doubt the place that is given by its longitude and latitude if the photo does not show it.

    Towns of a name are doubted together (`regengine.runs.pipeline.doubt_towns`).
    """
    if frame.centre is None or "centre" not in frame.sources:
        return
    lon, lat = frame.centre
    if not Seen(lon=lon, lat=lat, radius_km=frame.radius_km).is_shown_by(camera):
        given_by = "option" if frame.sources["centre"] == "option" else "record"
        place = {"centre_from": given_by, "lon": lon, "lat": lat, "radius_km": frame.radius_km}
        yield Reason(code="centre_suspect", values=place)


def doubt_position(frame: Frame, prior: Prior, match: Match) -> Iterator[Reason]:
    """Doubt the nadir if the camera is elsewhere, and the time if it is not on its orbit then."""
    hypothesis, orbit = match.hypothesis, prior.position
    solved = locate_camera(match.camera)
    while orbit is not None and orbit.source != "tle":
        orbit = orbit.alternative
    time_from = frame.sources.get("time", "given").partition(" ")[0]
    if frame.nadir is not None:
        is_option = frame.sources.get("nadir") == "option"
        lon, lat = frame.nadir
        away_km = float(great_circle_km(lon, lat, solved.lon, solved.lat))
        claimed_km = (NADIR_SIGMA_KM if is_option else RECORD_SIGMA_KM)[0]
        sigma_km = math.hypot(claimed_km, find_sigmas(match)[:2].max() / 1e3)
        if away_km > MAX_SIGMAS * sigma_km:
            nadir = {
                "away_km": away_km,
                "nadir_from": "option" if is_option else "record",
                "lon": lon,
                "lat": lat,
                "same_record": orbit is None and time_from == "record" and not is_option,
            }
            yield Reason(code="clock_suspect", values=nadir)
    if orbit is None or orbit.time_utc is None:
        return
    values: Values = {"time_from": time_from}
    if hypothesis.track.source == "tle" and not hypothesis.is_blind:
        late_s = make_solved_camera(match.camera, hypothesis).along_track_offset_s
        assert late_s is not None
        slide_s = orbit.sigma_along_km / hypothesis.track.speed_km_s
        if abs(late_s) <= max(TRACKS.usual_clock_s, MAX_SIGMAS * slide_s):
            return
    elif not contradicts(solved, orbit):
        return
    else:
        apart_m = solved.position_ecef_m - orbit.position_ecef_m
        values["away_km"] = float(np.linalg.norm(apart_m)) / 1e3
        late_s = find_time_that_fits_s(match.camera, orbit)
    if late_s is not None:
        values["offset_s"] = late_s
        values["station_utc"] = iso_utc(orbit.time_utc + timedelta(seconds=late_s))
    yield Reason(code="clock_suspect", values=values)


def doubt_height(frame: Frame, prior: Prior, match: Match) -> Iterator[Reason]:
    """Reason to review a camera at a height at which the station did not fly at the photo's time.

    Heights are outside if they are so by three sigmas, or by more than a search lists.
    """
    height_km, sigma_km = find_height_km(match)
    low_km, high_km = flown_heights_km(frame.time_utc)
    spare_km = TRACKS.blind_sigma_km[2]
    allowed_km = min(MAX_SIGMAS * sigma_km, spare_km)
    is_dated = frame.time_utc is not None and doubt_time(frame.time_utc) is None
    if not is_dated and prior.altitude_range_km != ANY_KM:  # of a mission, as they are listed
        (low_km, high_km), allowed_km = prior.altitude_range_km, spare_km
    if low_km - allowed_km <= height_km <= high_km + allowed_km:
        return
    sources = frame.sources
    values: Values = {"height_km": height_km, "low_km": low_km, "high_km": high_km}
    if frame.time_utc is not None and is_dated:
        values |= {"year": frame.time_utc.year, "time_from": sources.get("time", "given")}
    # The height at which the given focal length shows the ground at the solved scale
    lens_km = None
    if frame.focal_px is not None:
        lens_km = height_km * frame.focal_px / match.camera.focal_px
    fits_lens = lens_km is not None and low_km <= lens_km <= high_km
    if frame.altitude_km is not None and (fits_lens or lens_km is None):
        by_option = sources.get("altitude_km") == "option"
        values["altitude_km_given"] = frame.altitude_km
        values["altitude_from"] = "option" if by_option else "record"
        if fits_lens:
            values |= {"focal_mm_given": frame.focal_mm, "lens_altitude_km": lens_km}
    elif is_lens_off(frame, match):
        values["focal_mm_given"] = frame.focal_mm
        values["focal_from"] = sources.get("focal_mm", "given")
    yield Reason(code="altitude_suspect", values=values)


def find_sigmas(match: Match) -> FloatArray:
    """One sigma of the solved camera along and across the track, and of its height, metres."""
    variances = np.diag(match.fit.refinement.covariance)[[ALONG, ACROSS, UP]]
    return np.asarray(np.sqrt(variances))


def find_height_km(match: Match) -> tuple[float, float]:
    """Height of the solved camera above the ellipsoid, and one sigma of it, kilometres."""
    height_m = float(ecef_to_geodetic(np.asarray(match.camera.position_ecef_m))[2])
    return height_m / 1e3, float(find_sigmas(match)[2]) / 1e3


def doubt_time_told(result: FrameResult, time_utc: datetime | None) -> tuple[Reason, ...]:
    """Reason if the photo's time is impossible, by itself or by the elevation of the Sun."""
    if time_utc is None or any(reason.code == "clock_suspect" for reason in result.reasons):
        return ()
    values: Values = {"time_utc": iso_utc(time_utc)}
    points = result.control_points
    if doubt_time(time_utc) is not None:
        is_early = time_utc < ISS_LAUNCH
        values |= {"first_flight": iso_utc(ISS_LAUNCH)} if is_early else {"in_future": True}
    elif points:
        is_day = result.reference_kind == "day"
        sun_deg = [sun_moon(time_utc, point.lon, point.lat).sun_elevation_deg for point in points]
        # Use the point with the highest Sun in a daytime photo, and with the lowest at night
        nearest_deg = max(sun_deg) if is_day else min(sun_deg)
        # Elevation of the Sun at civil dusk, when lamps are lit
        if nearest_deg < -6.0 if is_day else nearest_deg > 0.0:
            values["sun_elevation_deg"] = nearest_deg
    return (Reason(code="clock_suspect", values=values),) if len(values) > 1 else ()


def is_lens_off(frame: Frame, match: Match) -> bool:
    """Whether the solved focal length differs from the given one by more than both allow."""
    if frame.focal_px is None or match.camera.pixel_aspect is not None:
        return False
    sigma = math.hypot(LENS.sigma_log_focal, match.fit.refinement.covariance[FOCAL, FOCAL] ** 0.5)
    return abs(math.log(match.camera.focal_px / frame.focal_px)) > MAX_SIGMAS * sigma


def find_time_that_fits_s(camera: Camera, given: CameraPosition) -> float | None:
    """Time offset at which the station was nearest to a camera, seconds after the given time.

    Of the passes within a day it is the one at night that is nearest in time; None without one.
    """
    assert given.element_set is not None
    assert given.time_utc is not None
    step_s, near_km = 10.0, 150.0
    late_s = np.arange(-DAY_S, DAY_S + step_s, step_s)
    places_m = track_positions(given.element_set, given.time_utc, late_s, np.zeros_like(late_s))
    away_km = np.linalg.norm(places_m - np.asarray(camera.position_ecef_m), axis=1) / 1e3
    nearest = (away_km[1:-1] <= away_km[:-2]) & (away_km[1:-1] < away_km[2:])
    passes = 1 + np.flatnonzero(nearest & (away_km[1:-1] < near_km))
    up = np.asarray(camera.position_ecef_m) / np.linalg.norm(camera.position_ecef_m)
    dark = [
        late
        for late in late_s[passes].tolist()
        if up @ sun_direction(given.time_utc + timedelta(seconds=late))
        < np.sin(np.radians(TRACKS.night_sun_deg))
    ]
    return min(dark, key=abs, default=None)


def list_review_reasons(match: LightMatch, points: tuple[ControlPoint, ...]) -> tuple[Reason, ...]:
    """List reasons for a review that the probability does not include."""
    found = []
    if not is_tested(match.evidence):
        residual_px = match.evidence.held_out_residual_px
        measured_px = residual_px if math.isfinite(residual_px) else None
        found.append(Reason(code="imprecise", values={"held_out_residual_px": measured_px}))
    hull_px2 = hull_area(np.array([(point.x, point.y) for point in points]))
    hull_share = hull_px2 / (match.camera.width_px * match.camera.height_px)
    if len(points) < MIN_POINTS:
        found.append(Reason(code="few_control_points", values={"n_points": len(points)}))
    elif hull_share < MIN_HULL:
        found.append(Reason(code="few_control_points", values={"picture_share": hull_share}))
    return tuple(found)


def diagnose(
    match: LightMatch, points: tuple[ControlPoint, ...], chance: float
) -> Iterator[Reason]:
    """Explain why a proposal may be improbable, and what can be done about it."""
    evidence = match.evidence
    if min(evidence.n_lights, evidence.n_matched_lights) < MIN_LIGHTS:
        values = {"n_matched": evidence.n_matched_lights, "n_lights": evidence.n_lights}
        yield Reason(code="few_lights", values=values)
    if evidence.runner_up_log10_odds > 0.0:
        odds = {name: getattr(evidence, name) for name in ("log10_odds", "runner_up_log10_odds")}
        yield Reason(code="low_margin", values=odds)
    # Without structure in the map a place is not distinctive
    saturation, lit = match.fit.levels[0].saturation, match.fit.view > 0.05
    if saturation is not None and lit.any():
        share = float((match.fit.view[lit] >= 0.97 * saturation).mean())
        # Maximum share of the light that falls on saturated map, which has no texture
        if share > 0.25:
            yield Reason(code="map_saturated")
    if is_tested(evidence) and chance < MIN_POINTS_PROBABILITY:
        worst_m = max(point.sigma_m for point in points)
        yield Reason(code="imprecise", values={"sigma_km": worst_m / 1e3})


def remark_on_points(
    points: tuple[ControlPoint, ...], lights: DetectedLights, factor: float
) -> Iterator[Reason]:
    """Remark on the limits of the four points; these are not doubts about the camera.

    `factor`: ratio of the size of the searched image to that of the stored one.
    """
    if len(points) < MIN_POINTS:
        return
    places = np.array([(point.x, point.y) for point in points])
    matched = np.stack([lights.x, lights.y], axis=-1)[lights.matched > 0]
    hull_share, wide = measure_spread(places, hull_area(matched))
    if not wide:
        small = hull_share if hull_share < MIN_HULL_SHARE else None
        yield Reason(code="narrow", values={"hull_share": small})
    away_px = factor * np.hypot(*(places[:, None] - matched).T).min(axis=0, initial=np.inf)
    dark = 1 + np.flatnonzero(away_px > 2.0 * LIGHTS.match_px)
    if len(dark):
        yield Reason(code="dark_points", values={"points": dark.tolist()})


def make_bare_result(
    frame: Frame,
    position: CameraPosition | None,
    info: MapInfo | Reference | None,
    *reasons: Reason,
    **sources: str,
) -> FrameResult:
    """Make the result of a frame without a proposal: its metadata, and the reasons.

    `sources`: sources that were used in addition to those of the frame.
    """
    nadir = None
    known = dict(frame.sources)
    if position is not None:
        if position.source == "tle" and position.element_set is not None:
            path = position.element_set.path
            assert path is not None
            known["tle"] = "the package" if path == ELEMENT_SETS else path.name
        nadir = NadirInput(
            lon=position.lon,
            lat=position.lat,
            altitude_km=position.altitude_km,
            source=position.source,
            tle_age_h=None if position.tle_age_h is None else abs(position.tle_age_h),
            sigma_along_km=position.sigma_along_km,
            sigma_cross_km=position.sigma_cross_km,
        )
        if position.source != "tle" and position.sigma_radial_km == expect_height_km(frame)[1]:
            sources["altitude_km"] = "assumed"
    return FrameResult(
        frame=frame.frame_id,
        path=str(frame.path),
        sha256=frame.sha256,
        verdict="no_match",
        probability=None,
        reasons=reasons,
        width_px=frame.width_px,
        height_px=frame.height_px,
        orientation=frame.orientation,
        time_utc=None if frame.time_utc is None else iso_utc(frame.time_utc),
        camera_body=frame.camera_body,
        focal_mm=frame.focal_mm,
        pixel_pitch_um=frame.pixel_pitch_um,
        sources=tuple(sorted({**known, **sources}.items())),
        nadir=nadir,
        map_title="" if info is None else info.title,
        engine_version=version("regengine"),
    )


def make_solved_camera(camera: Camera, hypothesis: Hypothesis) -> SolvedCamera:
    """Make the record of a solved camera, with its time offset along the assumed orbit."""
    track = hypothesis.track
    along_m = track_offsets_m(hypothesis.prior, camera.position_ecef_m)[0]
    offset_km = hypothesis.offset_km + along_m / 1e3
    return SolvedCamera(
        camera=camera,
        along_track_offset_s=track.clock_s + offset_km / track.speed_km_s,
        off_nadir_deg=camera.off_nadir_deg,
    )


def measure_offset_sigma_s(match: Match) -> float | None:
    """One sigma of the time offset along the orbit; None if the photo does not determine it.

    Farther along the orbit nearly the same is seen with another tilt, so it is the marginal sigma
    of the fit, or what refits without some of the lights move the camera by, if that is more, as in
    `compute_camera_covariances`. Patches share errors over more than a sixteenth of the picture
    (heights, the lens, light that a map of nadir views does not have), so quarters are left out,
    too: along the orbit they count in full, while places on the ground hardly move. The position
    that a fit is given beforehand is where the search looked, and says nothing of the clock.
    """
    fit, prior = match.fit, match.fit.refinement.prior
    sigmas_m = [float(fit.refinement.covariance[ALONG, ALONG]) ** 0.5]
    for refits in filter(None, (fit.refits, fit.quarter_refits)):
        here_m, *there_m = (
            track_offsets_m(prior, camera.position_ecef_m)[0]
            for camera in (refits.camera, *refits.without)
        )
        # Variance of the jackknife, as in `Refits.covariance_px`
        share = (len(there_m) - 1) / len(there_m)
        sigmas_m.append(math.sqrt(share * sum((along_m - here_m) ** 2 for along_m in there_m)))
    # Of a third of the sigma beforehand, a ninth of the departure from where the search looked is
    # lost: less than a sigma of the offset for departures up to three sigmas beforehand
    if max(sigmas_m) > prior.sigma_along_m / 3.0:
        return None
    return max(sigmas_m) / 1e3 / match.hypothesis.track.speed_km_s
