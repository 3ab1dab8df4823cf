"""Everything that the page is told of one frame."""

from __future__ import annotations

from typing import Any

from matchers.camera import Camera
from regengine.io.html import visible_text
from regengine.records import plain
from regengine.result import FrameResult, Hypothesis, NadirInput
from regengine.review.context import ReviewContext
from regengine.review.decisions import Decision
from regengine.review.frame_columns import FrameColumns
from regengine.review.frame_places import FramePlaces
from regengine.review.ground_track import horizon, track
from regengine.review.photo_tiles import TILE_PX, max_zoom
from regengine.review.queue import queue_row
from regengine.review.reviewed import Standings


def frame_answer(
    context: ReviewContext,
    rows: FrameColumns,
    standings: Standings,
    places: FramePlaces,
    number: int,
) -> dict[str, Any]:
    """The answer to GET /api/frames/{id}."""
    result = context.frames.frame(number).result
    (row,) = rows.rows_of([number]).tolist() or [None]
    if row is None:
        raise KeyError(number)
    nadir = result.nadir
    said = queue_row(rows, standings, places, row) | {
        "path": result.path,
        "sha256": result.sha256,
        "reason_texts": [reason.text for reason in result.reasons],
        "category_probability": result.category_probability,
        "width_px": result.width_px,
        "height_px": result.height_px,
        "orientation": result.orientation,
        "focal_mm": result.focal_mm,
        "pixel_pitch_um": result.pixel_pitch_um,
        "nadir": None if nadir is None else _nadir(nadir),
        "track": track(rows, row, nadir, context.tles),
        "horizon": [] if nadir is None else horizon(nadir.lon, nadir.lat, nadir.altitude_km),
        "camera": None if result.solved is None else camera_json(result.solved.camera),
        "points": _points(result),
        "hypotheses": [_hypothesis(hypothesis, places) for hypothesis in result.hypotheses],
        "fit": _fit(result),
        "photo": context.frames.photo(number) is not None,
        "max_zoom": max_zoom(result.width_px or 1, result.height_px or 1),
        "tile_px": TILE_PX,
    }
    draft = context.decisions.draft(number, result.sha256, context.reviewer)
    heads = context.decisions.heads(number, result.sha256)
    return plain(said, visible_text) | {
        "draft": draft,
        "decisions": [decision_json(head) for head in heads],
    }


def camera_json(camera: Camera) -> dict[str, Any]:
    """A camera as the page has it."""
    return {
        "width_px": camera.width_px,
        "height_px": camera.height_px,
        "focal_px": camera.focal_px,
        "principal_point": list(camera.principal_point),
        "distortion": list(camera.distortion),
        "quaternion": list(camera.quaternion),
        "position_ecef_m": list(camera.position_ecef_m),
        "mirrored": camera.mirrored,
    }


def decision_json(decision: Decision) -> dict[str, Any]:
    """A decision as the page has it."""
    return {
        "revision": decision.revision,
        "decision": decision.decision,
        "reviewer": decision.reviewer,
        "time_utc": decision.time_utc,
        "seconds": decision.seconds,
        **decision.work,
    }


def _nadir(nadir: NadirInput) -> dict[str, Any]:
    return {
        "lon": nadir.lon,
        "lat": nadir.lat,
        "altitude_km": nadir.altitude_km,
        "source": nadir.source,
        "sigma_along_km": nadir.sigma_along_km,
    }


def _points(result: FrameResult) -> list[dict[str, Any]]:
    return [
        {
            "x": point.x,
            "y": point.y,
            "lon": point.lon,
            "lat": point.lat,
            "sigma_px": point.sigma_px,
            "origin": "engine",
        }
        for point in result.control_points
    ]


def _hypothesis(hypothesis: Hypothesis, places: FramePlaces) -> dict[str, Any]:
    lon, lat = hypothesis.centre_lon, hypothesis.centre_lat
    return {
        "rank": hypothesis.rank,
        "camera": camera_json(hypothesis.solved.camera),
        "ncc": hypothesis.ncc,
        "log10_odds": hypothesis.log10_odds,
        "centre": None if lon is None or lat is None else [lon, lat],
        "place": None if lon is None or lat is None else places.near(lon, lat),
    }


def _fit(result: FrameResult) -> dict[str, Any] | None:
    fit = result.fit
    if fit is None:
        return None
    return {
        "ncc": fit.ncc,
        "residual_px": fit.residual_px,
        "matched_lights": fit.matched_lights,
        "log10_odds": fit.log10_odds,
    }
