"""The result of a frame from what its search found: proposal, doubts, verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np

from matchers.camera import Camera
from matchers.footprint import WGS84, corner_lonlat, diagonal_km
from matchers.pose import track_offsets_m
from matchers.verify import MEETING_PX
from regengine.lights.source import LightMapInfo
from regengine.orbit.propagation import CameraPosition
from regengine.photo.frame import Frame
from regengine.registration.acceptance import (
    REVIEW_PROBABILITY,
    decide,
    probability,
    probability_interval,
)
from regengine.registration.control_points import (
    LEAST_SPREAD,
    SURE_OF_POINTS,
    chance_within,
    ground_jacobian,
    hull_area,
    propose,
    spread_of,
    vagueness_m,
)
from regengine.registration.evidence import Evidence, Finalist, Verified
from regengine.registration.map_window import FARTHEST_DEG, ground_reach_km
from regengine.registration.search import Search
from regengine.registration.verification import FEW_TOWNS
from regengine.registration.without_orbit import (
    contradiction,
    nowhere,
    with_held_fit,
)
from regengine.result import (
    LEAST_HULL,
    LEAST_POINTS,
    ControlPoint,
    DetectedLights,
    Fit,
    FrameResult,
    Hypothesis,
    NadirInput,
    Reason,
    SolvedCamera,
)

# Share of the photo's city light that falls on saturated map above which the map has no texture
SATURATED_SHARE = 0.25
# A map that covers less than this of the ground in sight may lack the place
COVERED = 0.5
# How far a control point may be from a light of the photo that is its own
ON_LIGHT_PX = 2.0 * MEETING_PX
NO_AGREEMENT = Reason(
    code="no_agreement",
    text="no place was found where the map's lights fit better than by chance; the frame may show "
    "no city, or its time, nadir or focal length is far off",
)


def unsure(p_right: float, accept_probability: float) -> Reason:
    """Why a proposal without a particular doubt is still not accepted."""
    return Reason(
        code="low_probability",
        text=f"the evidence gives a probability of {p_right:.4f}, below the acceptance threshold "
        f"of {accept_probability:.4f}",
    )


def nothing_found(search: Search) -> tuple[Reason, ...]:
    """That nothing fits; where time ran out that alone is said: what was not tried may fit."""
    if search.braked and unfinished(search):
        return unfinished(search)
    return (nowhere(search.frame.focal_mm) if search.anywhere else NO_AGREEMENT,)


def unfinished(search: Search) -> tuple[Reason, ...]:
    """That time ran out: no doubt of its own, since the probability knows such searches."""
    return () if search.exhausted or search.conclusive else (out_of_budget(search, "everything"),)


def out_of_budget(search: Search, tried: str) -> Reason:
    """That a search ended before everything, or anything, was tried."""
    text = f"the work that a photo is worth was done before {tried} was tried"
    if search.braked:
        text = f"time ran out before {tried} was tried; raise --max-seconds"
    return Reason(code="search_budget", text=text)


def uncovered(search: Search) -> tuple[Reason, ...]:
    """That the map holds little of what the photo can show, where that was to be searched."""
    share = covered_share(search)
    if share >= COVERED:
        return ()
    text = (
        f"the night-light map covers {100.0 * share:.0f} % of the ground that this frame can show; "
        "give one that covers more"
    )
    return (Reason(code="outside_map", text=text),)


def covered_share(search: Search) -> float:
    """Share of the ground in sight of the believed position that lies within the map's bounds."""
    if search.anywhere:
        return 1.0
    reach_km = ground_reach_km(search.altitude_km, FARTHEST_DEG)
    east_km, north_km = (
        axis.ravel() for axis in np.meshgrid(*2 * (np.linspace(-reach_km, reach_km, 41),))
    )
    seen = np.hypot(east_km, north_km) <= reach_km
    azimuth_deg = np.degrees(np.arctan2(east_km[seen], north_km[seen]))
    away_m = 1e3 * np.hypot(east_km[seen], north_km[seen])
    start = search.position
    lon, lat, _ = WGS84.fwd(
        np.full(len(away_m), start.lon), np.full(len(away_m), start.lat), azimuth_deg, away_m
    )
    west, south, east, north = search.light_map.info.bounds
    inside = ((lon - west) % 360.0 <= east - west) & (lat >= south) & (lat <= north)
    return float(inside.mean())


def doubts(best: Verified, points: tuple[ControlPoint, ...]) -> tuple[Reason, ...]:
    """What a probability does not tell of: for any of these a person must look."""
    found = []
    if not best.evidence.tested:
        text = f"the fit is loose, even if the place is right: {looseness(best.evidence)}"
        found.append(Reason(code="imprecise", text=text))
    hull_px2 = hull_area(np.array([(point.x, point.y) for point in points]))
    hull_share = hull_px2 / (best.camera.width_px * best.camera.height_px)
    if len(points) < LEAST_POINTS:
        text = f"only {len(points)} places of the photo can be tied to the map"
        found.append(Reason(code="few_control_points", text=text))
    elif hull_share < LEAST_HULL:
        text = f"the control points span {100.0 * hull_share:.2f} % of the picture alone"
        found.append(Reason(code="few_control_points", text=text))
    return tuple(found)


def explanations(
    best: Verified, points: tuple[ControlPoint, ...], camera: Camera
) -> Iterator[Reason]:
    """Why a proposal may be improbable, and what can be done about it."""
    evidence = best.evidence
    if min(evidence.towns, evidence.met_towns) < FEW_TOWNS:
        text = f"only {evidence.met_towns} of {evidence.towns} lights of the photo agree with the "
        yield Reason(code="few_lights", text=text + "map")
    if evidence.rivalled:
        text = f"another place fits nearly as well (odds of 10^{evidence.log10_odds:.0f} against "
        yield Reason(code="low_margin", text=f"{text}10^{evidence.runner_up_log10_odds:.0f})")
    # Without structure a place has twins
    if saturated_share(best) > SATURATED_SHARE:
        text = (
            "the night-light map is saturated where the photo is bright and shows no structure "
            "there; use a radiance product"
        )
        yield Reason(code="map_saturated", text=text)
    if evidence.tested and chance_of_right_points(points, camera) < SURE_OF_POINTS:
        worst_m = max(point.sigma_m for point in points)
        text = f"a control point is uncertain by {worst_m / 1e3:.1f} km (one sigma)"
        yield Reason(code="imprecise", text=text)


def remarks(
    points: tuple[ControlPoint, ...], lights: DetectedLights, factor: float
) -> Iterator[Reason]:
    """What the four points do not tell: no doubt of the camera.

    `factor`: size of the searched image over that of the stored one.
    """
    if len(points) < LEAST_POINTS:
        return
    places = np.array([(point.x, point.y) for point in points])
    matched = np.stack([lights.x, lights.y], axis=-1)[lights.matched > 0]
    spread = spread_of(places, hull_area(matched))
    if not spread.wide:
        where = f"span {100.0 * spread.hull_share:.0f} % of the area of the matched lights"
        if spread.hull_share >= LEAST_SPREAD:
            where = "lie near each other"
        text = f"the control points {where}; beyond them use the camera"
        yield Reason(code="narrow", text=text)
    away_px = factor * np.hypot(*(places[:, None] - matched).T).min(axis=0, initial=np.inf)
    dark = ", ".join(str(k) for k, away in enumerate(away_px, 1) if away > ON_LIGHT_PX)
    if dark:
        text = (
            f"control points that lie on no light of the photo: {dark}; the lights that agree with "
            "the map span too little without them, and the camera tells where they are"
        )
        yield Reason(code="dark_points", text=text)


def looseness(evidence: Evidence) -> str:
    """In which way a fit is loose."""
    if not math.isfinite(evidence.held_out_residual_px):
        return "too few lights agree to test it on those that are left out of it"
    return (
        f"lights that were left out of it land {evidence.held_out_residual_px:.1f} px beside (one "
        "sigma), hardly nearer than by chance"
    )


def chance_of_right_points(points: tuple[ControlPoint, ...], camera: Camera) -> float:
    """Probability that the vaguest control point of a right camera counts as right.

    The place may be beyond doubt where a point of the photo is not: near the limb, or in a crop
    whose lens the fit hardly knows.
    """
    if not points:
        return 1.0  # of none
    return chance_within(max(point.sigma_m for point in points), camera)


def vague_camera(best: Verified) -> tuple[Reason, ...]:
    """That the camera may be bent where no control point is, see `vagueness_m`."""
    evidence, lights = best.evidence, best.photo_towns.chosen(best.met)
    worst_m = vagueness_m(
        best.solution, lights, evidence.town_log10_odds, evidence.patch_log10_odds
    )
    if worst_m == 0.0:
        return ()
    text = (
        f"without some of the lights the camera moves by {worst_m / 1e3:.1f} km (one sigma) where "
        "it shows others; use it near the control points alone"
    )
    return (Reason(code="imprecise", text=text),)


def saturated_share(best: Verified) -> float:
    """Share of the solved view's light that lies on saturated map pixels."""
    saturation = best.solution.levels[0].saturation
    if saturation is None:
        return 0.0
    view = best.view
    lit = view > 0.05
    return float((view[lit] >= 0.97 * saturation).mean()) if lit.any() else 0.0


def no_match_result(
    frame: Frame, position: CameraPosition | None, info: LightMapInfo, *reasons: Reason
) -> FrameResult:
    """The result of a frame without a proposal: what is known of it, and the reasons."""
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
        sources=tuple(sorted(frame.sources.items())),
        nadir=None if position is None else nadir_input(position),
        lights=info.product,
        engine_version=version("regengine"),
    )


def iso_utc(moment: datetime) -> str:
    """A time as the records spell it: ``2012-03-28T15:46:41Z``."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def nadir_input(position: CameraPosition) -> NadirInput:
    """What the record says of the position that the search started from."""
    return NadirInput(
        lon=position.lon,
        lat=position.lat,
        altitude_km=position.altitude_km,
        source=position.source,
        tle_age_h=None if position.tle_age_h is None else abs(position.tle_age_h),
        sigma_along_km=position.sigma_along_km,
        sigma_cross_km=position.sigma_cross_km,
    )


def result_of(search: Search) -> FrameResult:
    """The result of a search that has ended: "accepted", "review" or "no_match".

    Without orbit and nadir the source of the result's nadir is ``lights``.
    """
    result = outcome_of(search)
    sources = dict(result.sources)
    if search.attitude is not None:
        sources["attitude"] = f"{search.attitude.stars} stars"
    if search.braked:
        sources["search"] = "ended by --max-seconds"
    return replace(result, sources=tuple(sorted(sources.items())))


def outcome_of(search: Search) -> FrameResult:
    """The result, but for what else was used on the way."""
    frame, position, info = search.frame, search.position, search.light_map.info
    if search.futile is not None:
        return no_match_result(frame, None if search.anywhere else position, info, search.futile)
    result = proposal_result(search)
    if search.best is None or not search.anywhere:
        return result
    result = with_held_fit(result, search.best)
    if search.told is None or result.verdict == "no_match":
        return result
    suspect = contradiction(search.best.camera, search.told)
    return replace(result, reasons=(suspect, *result.reasons))


def proposal_result(search: Search) -> FrameResult:
    """The same of a search that has seen something of the map."""
    frame, position, info = search.frame, search.position, search.light_map.info
    best = search.best
    known = search.told if search.anywhere else position  # else it is a hypothesis
    if best is None:
        reasons = (*nothing_found(search), *uncovered(search), *unfinished(search))
        return no_match_result(frame, known, info, *dict.fromkeys(reasons))
    accept_probability = search.parameters.accept_probability
    points = propose(best.solution, best.camera, best.photo_towns.chosen(best.met))
    chance = chance_of_right_points(points, best.camera)
    p_right = chance * probability(best.evidence)
    low, high = (chance * limit for limit in probability_interval(best.evidence))
    reasons = doubts(best, points)
    verdict = decide(p_right, reasons, accept_probability)
    if verdict == "accepted":
        reasons = vague_camera(best)
        verdict = decide(p_right, reasons, accept_probability)
    if probability(best.evidence) < REVIEW_PROBABILITY:
        reasons = nothing_found(search)  # how well it fits there is no matter
    if verdict != "accepted":
        if p_right < accept_probability:
            reasons = (*reasons, *explanations(best, points, best.camera))
        reasons = reasons or (unsure(p_right, accept_probability),)
        reasons = tuple(dict.fromkeys((*reasons, *uncovered(search), *unfinished(search))))
    at = known if verdict == "no_match" else position
    result = no_match_result(frame, at, info, *reasons)
    result = replace(
        result,
        verdict=verdict,
        probability=p_right,
        probability_low=low,
        probability_high=high,
    )
    if verdict == "no_match":
        return result
    lights = detected_lights(best)
    return replace(
        result,
        reasons=(*reasons, *remarks(points, lights, best.solution.image.factor)),
        solved=solved_camera(best.camera, best.finalists[0]),
        control_points=points,
        footprint=corner_lonlat(best.camera),
        footprint_diagonal_km=diagonal_km(best.camera),
        fit=fit_figures(best),
        hypotheses=hypotheses(best),
        detections=lights,
    )


def detected_lights(best: Verified) -> DetectedLights:
    """Towns of the photo in pixels of the stored image, and whether the map confirms them."""
    towns, factor = best.photo_towns, best.solution.image.factor
    matched = np.zeros(len(towns), np.uint8)
    matched[best.met] = 1
    return DetectedLights(
        x=(towns.x + 0.5) / factor - 0.5,
        y=(towns.y + 0.5) / factor - 0.5,
        contrast=towns.contrast,
        matched=matched,
    )


def solved_camera(camera: Camera, finalist: Finalist) -> SolvedCamera:
    """A camera together with how it sits on the orbit that was believed."""
    look = finalist.candidate.look
    along_m = track_offsets_m(look.prior, camera.position_ecef_m)[0]
    offset_km = look.offset_km + along_m / 1e3
    return SolvedCamera(
        camera=camera,
        along_track_offset_s=look.clock_s + offset_km / look.speed_km_s,
        off_nadir_deg=camera.off_nadir_deg,
    )


def fit_figures(best: Verified) -> Fit:
    """The fit as the record has it; residuals in pixels of the stored image."""
    evidence, solution = best.evidence, best.solution
    grow = 1.0 / solution.image.factor
    metres = residual_m(best.camera, evidence.residual_px * grow)
    return Fit(
        ncc=evidence.ncc,
        runner_up_ncc=evidence.runner_up_ncc,
        residual_px=evidence.residual_px * grow,
        residual_m=metres,
        matched_lights=evidence.met_towns,
        held_out_residual_px=evidence.held_out_residual_px * grow
        if math.isfinite(evidence.held_out_residual_px)
        else None,
        log10_odds=evidence.log10_odds,
        runner_up_log10_odds=evidence.runner_up_log10_odds,
    )


def residual_m(camera: Camera, residual_px: float) -> float:
    """A residual in pixels as metres on the ground, at the middle of the visible ground."""
    x, y = np.meshgrid(
        np.linspace(0.0, camera.width_px - 1.0, 9), np.linspace(0.0, camera.height_px - 1.0, 9)
    )
    lon, lat = camera.pixel_to_lonlat(x, y)
    sizes = []
    for place in zip(lon[np.isfinite(lon)], lat[np.isfinite(lat)], strict=True):
        per_metre = abs(float(np.linalg.det(ground_jacobian(camera, *map(float, place)))))
        sizes.append(1.0 / np.sqrt(max(per_metre, 1e-12)))
    return float(np.median(sizes)) * residual_px if sizes else float("nan")


def hypotheses(best: Verified) -> tuple[Hypothesis, ...]:
    """The proposal and the distinct others that were looked at to the end."""
    evidence = best.evidence
    cameras = (best.camera, *(finalist.camera for finalist in best.finalists[1:]))
    odds = (evidence.log10_odds, evidence.runner_up_log10_odds)
    return tuple(
        hypothesis(rank, *looked_at)
        for rank, looked_at in enumerate(zip(cameras, best.finalists, odds, strict=False))
    )


def hypothesis(rank: int, camera: Camera, finalist: Finalist, log10_odds: float) -> Hypothesis:
    """One of the hypotheses that were looked at to the end."""
    lon, lat = camera.pixel_to_lonlat((camera.width_px - 1) / 2, (camera.height_px - 1) / 2)
    return Hypothesis(
        rank=rank,
        solved=solved_camera(camera, finalist),
        ncc=finalist.ncc,
        log10_odds=log10_odds,
        centre_lon=float(lon) if np.isfinite(lon) else None,
        centre_lat=float(lat) if np.isfinite(lat) else None,
    )
