"""A static STAC catalogue: ``ID.stac.json`` for each photo, and a final ``collection.json``.

URLs of files are relative where possible, so that folders can be moved.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any
from urllib.parse import quote

from regengine.export.formats import ExportOptions, FolderFormat, photo_name, photo_stem
from regengine.frames import columns
from regengine.frames.frame import ExportFrame
from regengine.frames.geometry import as_shape, find_shortest_span, rings_bbox
from regengine.io.html import escape_invisible, link_to
from regengine.io.plain import make_printable, plain
from regengine.io.times import iso_utc, parse_iso_time
from regengine.io.urls import SCHEMES, hide_secrets, is_url
from regengine.orbit.rotation import sun_moon
from regengine.photo.notations import frame_id_of

ENDING = ".stac.json"
POINTS_ENDING = ".points.geojson"
COLLECTION = "collection.json"
VERSION = "1.1.0"  # of STAC
# Extensions by the prefix of their fields
EXTENSIONS = {"view": "view/v1.0.0", "proj": "projection/v2.0.0", "file": "file/v2.1.0"}
# IANA's media types where registered; for raw files, the customary ones
JSON, GEOJSON, HTML = "application/json", "application/geo+json", "text/html"
GEOTIFF = "image/tiff; application=geotiff; profile=cloud-optimized"
MEDIA_TYPES = {
    **dict.fromkeys((".jpg", ".jpeg"), "image/jpeg"),
    ".png": "image/png",
    **dict.fromkeys((".tif", ".tiff"), "image/tiff"),
    **dict.fromkeys((".fits", ".fit", ".fts"), "image/fits"),
    ".nef": "image/x-nikon-nef",
    ".nrw": "image/x-nikon-nrw",
    ".dng": "image/x-adobe-dng",
    ".cr2": "image/x-canon-cr2",
}
# Key, ending of the file, role, title of the files of `--format geotiff`
MAPS = (
    ("warped", ".warped.tif", "visual", "The photo on the map"),
    ("sigma", ".sigma.tif", "uncertainty", "1 sigma per axis of each position, metres"),
)
# What the collection says of assets that any item has
ASSETS: dict[str, dict[str, Any]] = {
    "photo": {"title": "The photo as taken", "roles": ["data"]},
    "control_points": {"title": "Control points", "type": GEOJSON, "roles": ["metadata"]},
    **{key: {"title": title, "type": GEOTIFF, "roles": [role]} for key, _, role, title in MAPS},
}
PREFIX = "regengine:"
# Columns with their own fields in STAC
TOLD_ELSEWHERE = ("path", "sha256", "time_utc", "width_px", "height_px")
# The unit that maintains the archive of astronaut photography, and its terms of use
PROVIDER = {"name": columns.UNIT, "roles": ["producer", "licensor"], "url": columns.HOME}
LICENSE = {"rel": "license", "href": columns.GUIDELINES, "type": HTML}
DESCRIPTION = (
    "Photographs taken at night from the International Space Station, placed on the map by their "
    "city lights with regengine. An item's geometry is the ground that its photo shows, up to 80 "
    "degrees of incidence; items without one are photos without a place."
)
# What the collection sums up as a range, and as a set of values
RANGES = (
    "gsd",
    "view:off_nadir",
    "view:incidence_angle",
    "view:sun_elevation",
    f"{PREFIX}probability",
    f"{PREFIX}sigma_m",
)
SETS = ("platform", "instruments", f"{PREFIX}verdict", f"{PREFIX}category")


def _name(text: str) -> str:
    """Text with only the characters that RFC 3986 allows in a URL: it is a path, too."""
    return re.sub("[^A-Za-z0-9._-]+", "_", text)[:150].strip("._-")


def _link(path: Path, folder: Path) -> str:
    text = link_to(path, folder)
    return text if text.startswith(("../", "file:")) else f"./{text}"


def make_item(frame: ExportFrame, folder: Path, name: str) -> dict[str, Any]:
    """The STAC item of a frame."""
    result, box = frame.result, rings_bbox(frame.footprint)
    time = parse_iso_time(result.time_utc or "")
    properties: dict[str, Any] = {"title": make_printable(result.frame), "platform": "iss"}
    if time is None:  # it was taken before it was processed
        # No photo is older than the launch of the station's first module, or newer than its end
        first = datetime(1998, 11, 20, 6, 40, tzinfo=UTC)
        last = parse_iso_time(frame.stored.processed_utc) or datetime(2031, 1, 1, tzinfo=UTC)
        properties |= {"start_datetime": iso_utc(first), "end_datetime": iso_utc(max(last, first))}
    properties["datetime"] = None if time is None else iso_utc(time)
    if result.camera_body:
        properties["instruments"] = [make_printable(result.camera_body)]
    if (view := frame.stance) is not None:
        angles = {"incidence_angle": view["incidence_deg"]}
        if view["line_off_nadir_deg"] <= 90.0:
            angles |= {"off_nadir": view["line_off_nadir_deg"], "azimuth": view["look_bearing_deg"]}
        if time is not None and isfinite(view["centre_lon"]):
            sun = sun_moon(time, view["centre_lon"], view["centre_lat"])
            angles |= {"sun_elevation": sun.sun_elevation_deg, "sun_azimuth": sun.sun_azimuth_deg}
        # The Sun is known to 0.01 degrees
        known = {f"view:{name}": round(angle, 4) for name, angle in angles.items()}
        known = {"gsd": float(f"{view['gsd_m']:.4g}")} | known
        properties |= {name: value for name, value in known.items() if isfinite(value)}
    properties["proj:code"] = None  # photos have no coordinate reference system, but control points
    parents = ("root", "parent", "collection")
    links = [{"rel": rel, "href": f"./{COLLECTION}", "type": JSON} for rel in parents]
    page = columns.archive_page(result.frame)
    if page is not None and int(result.frame[3:].partition("-")[0]) < columns.FIRST_MADE_UP:
        properties |= {"license": "other", "providers": [PROVIDER]}
        properties[f"{PREFIX}credit"] = f"{columns.COURTESY}, {result.frame}"
        links += [{"rel": "via", "href": page, "type": HTML}, LICENSE]
    for key, value in plain(columns.frame_row(frame), make_printable).items():
        if value is not None and key not in TOLD_ELSEWHERE:
            properties[PREFIX + key] = value
    assets = _list_assets(frame, folder, name)
    used = {key.partition(":")[0] for fields in (properties, *assets.values()) for key in fields}
    return {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": [
            f"https://stac-extensions.github.io/{extension}/schema.json"
            for prefix, extension in EXTENSIONS.items()
            if prefix in used
        ],
        "id": name,
        "geometry": columns.geojson_geometry(as_shape(frame.footprint)),
        **({} if box is None else {"bbox": box}),
        "properties": properties,
        "links": links,
        "assets": assets,
        "collection": _name(folder.resolve().name) or "photos",
    }


def _list_assets(frame: ExportFrame, folder: Path, name: str) -> dict[str, dict[str, Any]]:
    """The photo if the store knows its file, its control points, and its warped images."""
    result, number, assets = frame.result, frame.stored.frame_index, {}
    if result.path:
        file = photo_name(result.path, number)
        if is_url(result.path) and result.path.partition(":")[0].lower() in SCHEMES:
            href = quote(
                hide_secrets(result.path).encode("utf-8", "replace"),
                safe=":/?#[]@!$&'()*+,;=%~",  # characters of a whole URL
            )
        else:
            href = _link(frame.photo or frame.store.absolute().parent / result.path, folder)
        media_type = MEDIA_TYPES.get(Path(file).suffix.lower())
        photo: dict[str, Any] = {"href": href} | ({"type": media_type} if media_type else {})
        photo["title"] = escape_invisible(file)
        if re.fullmatch("[0-9a-f]{64}", result.sha256):
            photo["file:checksum"] = f"1220{result.sha256}"  # a multihash: SHA-256, of 32 bytes
        if result.width_px is not None and result.height_px is not None:
            photo["proj:shape"] = [result.height_px, result.width_px]
        assets["photo"] = photo | {"roles": ["data"]}
    assets["control_points"] = {
        "href": f"./{name}{POINTS_ENDING}",
        "type": GEOJSON,
        "title": "Control points: pixels, positions and uncertainties",
        "roles": ["metadata"],
    }
    stem = photo_stem(result.path, number)
    for key, ending, role, title in MAPS:
        for start in (stem, f"{stem}-{result.sha256[:8]}"):
            beside = os.path.join(folder, f"{start}{ending}")  # faster than a Path, for thousands
            place = _read_place(Path(beside), result.sha256) if os.path.isfile(beside) else None
            if place is not None:
                asset = {"href": _link(Path(beside), folder), "type": GEOTIFF, "title": title}
                assets[key] = asset | place | {"roles": [role]}
                break
    return assets


def _read_place(path: Path, sha256: str) -> dict[str, Any] | None:
    """Place of a warped image on the map; None if it is not one of this photo."""
    import rasterio
    from rasterio.errors import RasterioError

    from regengine.io.gdal import open_gdal_session

    with open_gdal_session():
        try:
            with rasterio.open(path.absolute(), driver="GTiff") as raster:
                if raster.crs is None or raster.tags().get("REGENGINE_PHOTO_SHA256") != sha256:
                    return None
                authority = raster.crs.to_authority()
                text = {} if authority else {"proj:wkt2": raster.crs.to_wkt(version="WKT2_2019")}
                return {
                    "proj:code": ":".join(authority) if authority else None,
                    **text,
                    "proj:bbox": list(raster.bounds),
                    "proj:shape": [raster.height, raster.width],
                    "proj:transform": list(raster.transform)[:6],
                }
        except RasterioError:
            return None


def make_collection(items: Iterable[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """The collection of a folder's items: their extent in space and time, and summaries."""
    links = [{"rel": "root", "href": f"./{COLLECTION}", "type": JSON}]
    of_items: list[dict[str, str]] = []
    boxes: list[list[float]] = []
    times: list[datetime] = []
    values: defaultdict[str, list[Any]] = defaultdict(list)
    assets: set[str] = set()
    for item in items:
        properties = item["properties"]
        address = f"./{item['id']}{ENDING}"
        of_items.append(
            {"rel": "item", "href": address, "type": GEOJSON, "title": properties["title"]}
        )
        boxes += [item["bbox"]] if "bbox" in item else []
        moments = (properties.get(key) for key in ("datetime", "start_datetime", "end_datetime"))
        times += [time for moment in moments if (time := parse_iso_time(moment or ""))]
        for name in (*RANGES, *SETS, "providers"):
            if name in properties:
                value = properties[name]
                values[name] += value if isinstance(value, list) else [value]
        assets.update(item["assets"])
    # Without items: the whole Earth, and any time
    extent = [-180.0, -90.0, 180.0, 90.0]
    if boxes:
        _, souths, _, norths = zip(*boxes, strict=True)
        west, east = find_shortest_span((box[0], box[2]) for box in boxes)
        extent = [west, min(souths), east, max(norths)]
    interval = [iso_utc(min(times)), iso_utc(max(times))] if times else [None, None]
    sets = {name: sorted(set(values[name])) for name in SETS if name in values}
    summaries = {name: found for name, found in sets.items() if len(found) <= 100} | {
        name: {"minimum": min(values[name]), "maximum": max(values[name])}
        for name in RANGES
        if name in values
    }
    of_archive, name = "providers" in values, _name(folder.resolve().name) or "photos"
    return {
        "type": "Collection",
        "id": name,
        "stac_version": VERSION,
        "title": f"Night photographs from the ISS: {name}",
        "description": DESCRIPTION,
        "keywords": ["night lights", "astronaut photography", "ISS"],
        "license": "other",
        **({"providers": [PROVIDER]} if of_archive else {}),
        "extent": {"spatial": {"bbox": [extent]}, "temporal": {"interval": [interval]}},
        **({"summaries": summaries} if summaries else {}),
        "item_assets": {key: asset for key, asset in ASSETS.items() if key in assets},
        "links": [*links, *([LICENSE] if of_archive else []), *of_items],
    }


def _write(
    frame: ExportFrame, paths: tuple[Path, ...], targets: tuple[Path, ...], options: ExportOptions
) -> dict[str, Any]:
    item = make_item(frame, targets[0].parent, targets[0].name.removesuffix(ENDING))
    paths[0].write_text(_tell(item), encoding="ascii")
    lines = ",\n".join(columns.list_geojson(frame, [columns.POINTS]))
    points = f'{{"type": "FeatureCollection", "features": [\n{lines}\n]}}\n'
    paths[1].write_text(points, encoding="ascii")
    return item


def _tell(content: dict[str, Any]) -> str:
    return json.dumps(content, allow_nan=False, indent=1) + "\n"


FORMATS = {
    "stac": FolderFormat(
        files={"item": (f"{{photo}}{ENDING}", f"{{photo}}{POINTS_ENDING}")},
        write=_write,
        photo_name=lambda path, number: (
            _name(frame_id_of(Path(photo_name(path, number)))) or f"frame{number}"
        ),
        last=(COLLECTION,),
        sync=False,
        write_last=lambda items, paths, folder: paths[0].write_text(
            _tell(make_collection(items, folder)), encoding="ascii"
        ),
    )
}
