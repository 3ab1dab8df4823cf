"""A frame of a store as a row of the catalogue, but for what only all frames together tell."""

from __future__ import annotations

import math
from typing import Any

from regengine.catalogue.ground import area_km2, bounding_box, resolution_m, simpler
from regengine.catalogue.nights import month_of, night_of
from regengine.catalogue.pictures import ABSURD, NOTHING_SEEN, PictureFacts
from regengine.catalogue.quality import quality_score
from regengine.export.columns import FRAME_COLUMNS, known
from regengine.export.frame import ExportFrame
from regengine.export.layers import Feature
from regengine.export.wkb import wkb
from regengine.record_values import parse_iso_time

Row = dict[str, Any]
# As the exports have them
SAME = (
    "frame", "sha256", "frame_index", "path", "verdict", "probability", "decision", "reviewer",
    "category", "category_probability", "camera_body", "focal_mm", "width_px", "height_px",
    "sigma_m", "residual_px", "held_out_residual_px", "matched_lights", "ncc",
)  # fmt: skip
OF_STANCE = {
    "centre_lon": "centre_lon",
    "centre_lat": "centre_lat",
    "off_nadir_deg": "off_nadir_deg",
    "nadir_lon": "camera_lon",
    "nadir_lat": "camera_lat",
    "altitude_km": "camera_altitude_km",
}
TOLD = {
    column.name: column for column in FRAME_COLUMNS if column.name in (*SAME, "quality", "time_utc")
}


def catalogue_row(frame: ExportFrame, seen: PictureFacts = NOTHING_SEEN) -> Row:
    """What a store and a photo tell of a frame.

    Parameters
    ----------
    frame : ExportFrame
        With what a person decided. Where they rejected the proposal nothing is told of where the
        photo looks: it is known to be wrong.
    seen : PictureFacts, optional
        What the picture tells.

    Returns
    -------
    dict
        Values by names of columns; ``reviewed_utc`` beside them.
    """
    told = {name: known(column.value(frame, 0)) for name, column in TOLD.items()}
    row: Row = {name: _printable(told[name]) for name in SAME}
    row["rating"] = told["quality"]
    row["reviewed_utc"] = None if frame.review is None else frame.review.time_utc
    row["store"] = _printable(str(frame.store.absolute()))
    row["time_utc"] = parse_iso_time(told["time_utc"] or "")
    focal_mm = told["focal_mm"]
    row["lens"] = None if focal_mm is None else f"{focal_mm:.0f} mm"
    row |= {"sharpness": seen.sharpness, "cloud": seen.cloud, "cloud_source": seen.cloud_source}
    rejected = frame.review is not None and frame.review.decision == "rejected"
    if not rejected:
        row |= _of_camera(frame)
    row |= _night(row)
    row["quality"] = quality_score(
        **{name: row.get(name) for name in ("sharpness", "cloud", "off_nadir_deg", "altitude_km")},
        resolution_m=row.get("resolution_m"),
    )
    return row


def _of_camera(frame: ExportFrame) -> Row:
    """Where the photo looks; nothing of a camera that makes no sense."""
    camera, stance = frame.camera, frame.stance
    if camera is None or stance is None:
        start = frame.result.nadir
        if start is None:
            return {}
        place = {"nadir_lon": start.lon, "nadir_lat": start.lat, "altitude_km": start.altitude_km}
        return {name: _finite(value) for name, value in place.items()}
    try:
        known = {name: _finite(value) for name, value in stance.items()}
        rings = frame.footprint
        box = bounding_box(rings) or (None, None, None, None)
        row: Row = dict(zip(("west", "south", "east", "north"), box, strict=True))
        row |= {own: known[name] for own, name in OF_STANCE.items()}
        row["resolution_m"] = resolution_m(camera)
        row["area_km2"] = area_km2(rings) if rings else None
        shape = Feature(row={}, polygons=tuple(simpler(rings)))
        row["geometry"] = wkb(shape) if rings else None
    except ABSURD:
        return {}
    return row


def _night(row: Row) -> Row:
    lon = row.get("centre_lon")
    lon = row.get("nadir_lon") if lon is None else lon
    if row["time_utc"] is None or lon is None:
        return {}
    night = night_of(row["time_utc"], lon)
    return {"night": night, "month": month_of(night)}


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _printable(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
