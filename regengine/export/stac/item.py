"""A photo as an item of STAC."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

import pystac
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.view import ViewExtension

from regengine.export.columns import frame_row
from regengine.export.footprint import Ring
from regengine.export.frame import ExportFrame
from regengine.export.scene_view import SceneView
from regengine.export.stac.archive import GUIDELINES, HOME, UNIT, archive_photo
from regengine.export.stac.assets import add_maps, add_photo, add_points
from regengine.export.stac.extent import rings_bbox
from regengine.export.stac.ids import COLLECTION, collection_id
from regengine.record_values import parse_iso_time
from regengine.records import printable
from regengine.sun_moon import sun_moon

PREFIX = "regengine:"
# Columns that STAC has a place of its own for
TOLD_ELSEWHERE = ("path", "sha256", "time_utc", "width_px", "height_px")
PLATFORM = "iss"
# The station's first module was launched then: no photo from it is older
FIRST_MOMENT = datetime(1998, 11, 20, 6, 40, tzinfo=UTC)
DIGITS = 4  # of degrees: the Sun is known to 0.01
GSD_FIGURES = 4


def photo_item(frame: ExportFrame, folder: Path, name: str, points: str) -> pystac.Item:
    """The item of a frame.

    Parameters
    ----------
    frame : ExportFrame
        Of any verdict; without a camera, or where that sees no ground, the item has no geometry.
    folder : Path
        Where it is going to lie: files beside it are told of.
    name : str
        Its id.
    points : str
        Name of the file with the control points, beside it.

    Returns
    -------
    pystac.Item
        Plain and finite.
    """
    result = frame.result
    rings = frame.footprint
    time = parse_iso_time(result.time_utc or "")
    start, end = (None, None) if time is not None else whenever(frame)
    item = pystac.Item(
        id=name,
        geometry=_geometry(rings),
        bbox=rings_bbox(rings),
        datetime=time,
        start_datetime=start,
        end_datetime=end,
        properties={"title": printable(result.frame), "platform": PLATFORM},
        collection=collection_id(folder),
    )
    if result.camera_body:
        item.properties["instruments"] = [printable(result.camera_body)]
    if frame.view is not None:
        _add_view(item, frame.view, time)
    # Photos have no coordinate system, but control points
    ProjectionExtension.ext(item, add_if_missing=True).apply(code=None)
    for rel in (pystac.RelType.ROOT, pystac.RelType.PARENT, pystac.RelType.COLLECTION):
        item.add_link(pystac.Link(rel, f"./{COLLECTION}", pystac.MediaType.JSON))
    _add_archive(item, result.frame)
    row = frame_row(frame)
    item.properties |= {
        f"{PREFIX}{key}": printable(value) if isinstance(value, str) else value
        for key, value in row.items()
        if value is not None and key not in TOLD_ELSEWHERE
    }
    add_photo(item, frame, folder)
    add_points(item, points)
    add_maps(item, frame, folder)
    return item


def _geometry(rings: list[Ring]) -> dict[str, Any] | None:
    if not rings:
        return None
    if len(rings) == 1:
        return {"type": "Polygon", "coordinates": [rings[0]]}
    return {"type": "MultiPolygon", "coordinates": [[ring] for ring in rings]}


def whenever(frame: ExportFrame) -> tuple[datetime, datetime]:
    """What is known of when a photo without a time was taken: before it was looked at."""
    seen = parse_iso_time(frame.stored.processed_utc)
    if seen is None or seen < FIRST_MOMENT:
        seen = datetime.now(UTC).replace(microsecond=0)
    return FIRST_MOMENT, seen


def _add_view(item: pystac.Item, view: SceneView, time: datetime | None) -> None:
    if isfinite(view.gsd_m):
        item.common_metadata.gsd = float(f"{view.gsd_m:.{GSD_FIGURES}g}")
    angles = {"incidence_angle": view.incidence_deg}
    if view.off_nadir_deg <= 90.0:
        angles |= {"off_nadir": view.off_nadir_deg, "azimuth": view.azimuth_deg}
    if time is not None and isfinite(view.lon):
        sun = sun_moon(time, view.lon, view.lat)
        angles |= {"sun_elevation": sun.sun_elevation_deg, "sun_azimuth": sun.sun_azimuth_deg}
    known = {key: round(value, DIGITS) for key, value in angles.items() if isfinite(value)}
    if known:
        ViewExtension.ext(item, add_if_missing=True).apply(**known)


def _add_archive(item: pystac.Item, frame: str) -> None:
    """Whose a photo is, where it is of NASA's archive."""
    photo = archive_photo(frame)
    if photo is None:
        return
    item.common_metadata.license = "other"
    item.common_metadata.providers = [archive_provider()]
    item.properties[f"{PREFIX}credit"] = photo.credit
    item.add_link(pystac.Link(pystac.RelType.VIA, photo.page, pystac.MediaType.HTML))
    item.add_link(license_link())


def archive_provider() -> pystac.Provider:
    """The unit that keeps the archive of astronaut photography."""
    roles = [pystac.ProviderRole.PRODUCER, pystac.ProviderRole.LICENSOR]
    return pystac.Provider(name=UNIT, roles=roles, url=HOME)


def license_link() -> pystac.Link:
    """Where NASA tells what may be done with its pictures."""
    return pystac.Link(pystac.RelType.LICENSE, GUIDELINES, pystac.MediaType.HTML)
