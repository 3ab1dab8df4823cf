"""A static STAC catalogue: ``ID.stac.json`` for each photo, and a final ``collection.json``.

URLs of files are relative where possible, so that folders can be moved.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pystac
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.view import ViewExtension

from regengine.exchange.export.archive_photos import (
    COURTESY,
    GUIDELINES,
    HOME,
    UNIT,
    archive_page,
    is_made_up,
)
from regengine.exchange.export.columns import frame_row
from regengine.exchange.export.footprint import as_shape, find_shortest_span, rings_bbox
from regengine.exchange.export.format import ExportOptions, FolderFormat, photo_name, photo_stem
from regengine.exchange.export.frame import ExportFrame
from regengine.exchange.export.layers import (
    POINTS,
    geojson_feature,
    geojson_geometry,
    list_features,
)
from regengine.exchange.export.viewing import View
from regengine.io.html import escape_invisible, link_to
from regengine.io.plain import make_printable
from regengine.io.times import parse_iso_time
from regengine.io.urls import SCHEMES, hide_secrets, is_url
from regengine.orbit.sun_moon import sun_moon
from regengine.photo.frame_ids import frame_id_of

# Names of items: the same in a file system, in a URL and in a query.

ENDING = ".stac.json"
POINTS_ENDING = ".points.geojson"
COLLECTION = "collection.json"
LONGEST = 150  # characters; a suffix for photos of equal names and an ending follow
# RFC 3986 allows these in a URL without escaping, so that programs find the same file whether or
# not they take a relative URL for a path
_OTHERS = re.compile(r"[^A-Za-z0-9._-]+")


def item_id(path: str, number: int) -> str:
    """Id of a photo's item, and the prefix of its file names."""
    return _plain(frame_id_of(Path(photo_name(path, number)))) or f"frame{number}"


def collection_id(folder: Path) -> str:
    """Id of the collection in a folder."""
    return _plain(folder.resolve().name) or "photos"


def _plain(text: str) -> str:
    return _OTHERS.sub("_", text)[:LONGEST].strip("._-")


_OF_A_URL = ":/?#[]@!$&'()*+,;=%~"  # RFC 3986: characters allowed in a URL without escaping


def photo_href(path: str, found: Path | None, store: Path, folder: Path) -> str:
    """URL of a photo relative to a folder."""
    if is_url(path) and path.partition(":")[0].lower() in SCHEMES:
        return quote(hide_secrets(path).encode("utf-8", "replace"), safe=_OF_A_URL)
    return href(found or store.absolute().parent / path, folder)


def href(path: Path, folder: Path) -> str:
    """URL of a file relative to a folder."""
    text = link_to(path, folder)
    return text if text.startswith(("../", "file:")) else f"./{text}"


# Files of an item: the photo, its control points, and the warped images in the same folder.

# IANA's media types where registered; for raw files, the customary ones
MEDIA_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".fits": "image/fits",
    ".fit": "image/fits",
    ".fts": "image/fits",
    ".nef": "image/x-nikon-nef",
    ".nrw": "image/x-nikon-nrw",
    ".dng": "image/x-adobe-dng",
    ".cr2": "image/x-canon-cr2",
}
SHA256 = "1220"  # multihash: SHA-256, of 32 bytes
# Key, ending of the file, role, title of the files of `--format geotiff`
MAPS = (
    ("warped", ".warped.tif", "visual", "The photo on the map"),
    ("sigma", ".sigma.tif", "uncertainty", "1 sigma per axis of each position, metres"),
)
_HASH = re.compile("[0-9a-f]{64}")


def add_photo(item: pystac.Item, frame: ExportFrame, folder: Path) -> None:
    """Add the photo itself; nothing if the store does not know its file."""
    result = frame.result
    if not result.path:
        return
    name = photo_name(result.path, frame.stored.frame_index)
    found = frame.photo
    asset = pystac.Asset(
        href=photo_href(result.path, found, frame.store, folder),
        title=escape_invisible(name),
        media_type=MEDIA_TYPES.get(Path(name).suffix.lower()),
        roles=["data"],
    )
    item.add_asset("photo", asset)
    if _HASH.fullmatch(result.sha256):
        FileExtension.ext(asset, add_if_missing=True).checksum = SHA256 + result.sha256
    if result.width_px is not None and result.height_px is not None:
        shape = [result.height_px, result.width_px]
        ProjectionExtension.ext(asset, add_if_missing=True).shape = shape


def add_points(item: pystac.Item, name: str) -> None:
    """Add the file of control points next to the item."""
    asset = pystac.Asset(
        href=f"./{name}",
        title="Control points: pixels, positions and uncertainties",
        media_type=pystac.MediaType.GEOJSON,
        roles=["metadata"],
    )
    item.add_asset("control_points", asset)


def add_maps(item: pystac.Item, frame: ExportFrame, folder: Path) -> None:
    """Add warped images of the same photo that exist next to the item."""
    name = photo_stem(frame.result.path, frame.stored.frame_index)
    for key, ending, role, title in MAPS:
        for start in (name, f"{name}-{frame.result.sha256[:8]}"):
            beside = os.path.join(folder, f"{start}{ending}")  # faster than a Path, for thousands
            found = map_facts(Path(beside), frame.result.sha256) if is_file(beside) else None
            if found is None:
                continue
            path = Path(beside)
            asset = pystac.Asset(
                href=href(path, folder),
                title=title,
                media_type=pystac.MediaType.COG,
                roles=[role],
            )
            item.add_asset(key, asset)
            ProjectionExtension.ext(asset, add_if_missing=True).apply(**found)
            break


def map_facts(path: Path, sha256: str) -> dict[str, Any] | None:
    """Extent of a warped image on the map; None if it is not one of this photo."""
    import rasterio
    from rasterio.errors import RasterioError

    from regengine.io.gdal import open_gdal_session

    with open_gdal_session():
        try:
            with rasterio.open(path.absolute(), driver="GTiff") as raster:
                if raster.crs is None or raster.tags().get("REGENGINE_PHOTO_SHA256") != sha256:
                    return None
                authority = raster.crs.to_authority()
                return {
                    "code": None if authority is None else ":".join(authority),
                    "wkt2": None if authority else raster.crs.to_wkt(version="WKT2_2019"),
                    "bbox": list(raster.bounds),
                    "shape": [raster.height, raster.width],
                    "transform": list(raster.transform)[:6],
                }
        except RasterioError:
            return None


def is_file(path: str) -> bool:
    """Whether a file exists; False for names that no file can have."""
    try:
        return os.path.isfile(path)
    except ValueError:
        return False


PREFIX = "regengine:"
# Columns with their own fields in STAC
TOLD_ELSEWHERE = ("path", "sha256", "time_utc", "width_px", "height_px")
PLATFORM = "iss"
# No photo is older than the launch of the station's first module, or newer than its planned end
FIRST_MOMENT = datetime(1998, 11, 20, 6, 40, tzinfo=UTC)
LAST_MOMENT = datetime(2031, 1, 1, tzinfo=UTC)
DIGITS = 4  # of degrees: the Sun is known to 0.01
GSD_FIGURES = 4


def photo_item(frame: ExportFrame, folder: Path, name: str) -> pystac.Item:
    """The STAC item of a frame."""
    result = frame.result
    rings = frame.footprint
    time = parse_iso_time(result.time_utc or "")
    # A photo without a time was taken before it was processed
    seen = max(parse_iso_time(frame.stored.processed_utc) or LAST_MOMENT, FIRST_MOMENT)
    start, end = (FIRST_MOMENT, seen) if time is None else (None, None)
    item = pystac.Item(
        id=name,
        geometry=geojson_geometry(as_shape(rings)),
        bbox=rings_bbox(rings),
        datetime=time,
        start_datetime=start,
        end_datetime=end,
        properties={"title": make_printable(result.frame), "platform": PLATFORM},
        collection=collection_id(folder),
    )
    if result.camera_body:
        item.properties["instruments"] = [make_printable(result.camera_body)]
    if frame.stance is not None:
        _add_view(item, frame.stance, time)
    # Photos have no coordinate reference system, but control points
    ProjectionExtension.ext(item, add_if_missing=True).apply(code=None)
    for rel in (pystac.RelType.ROOT, pystac.RelType.PARENT, pystac.RelType.COLLECTION):
        item.add_link(pystac.Link(rel, f"./{COLLECTION}", pystac.MediaType.JSON))
    _add_archive(item, result.frame)
    row = frame_row(frame)
    item.properties |= {
        f"{PREFIX}{key}": make_printable(value) if isinstance(value, str) else value
        for key, value in row.items()
        if value is not None and key not in TOLD_ELSEWHERE
    }
    add_photo(item, frame, folder)
    add_points(item, f"{name}{POINTS_ENDING}")
    add_maps(item, frame, folder)
    return item


def _add_view(item: pystac.Item, view: View, time: datetime | None) -> None:
    if isfinite(view["gsd_m"]):
        item.common_metadata.gsd = float(f"{view['gsd_m']:.{GSD_FIGURES}g}")
    angles = {"incidence_angle": view["incidence_deg"]}
    if view["line_off_nadir_deg"] <= 90.0:
        angles |= {"off_nadir": view["line_off_nadir_deg"], "azimuth": view["look_bearing_deg"]}
    if time is not None and isfinite(view["centre_lon"]):
        sun = sun_moon(time, view["centre_lon"], view["centre_lat"])
        angles |= {"sun_elevation": sun.sun_elevation_deg, "sun_azimuth": sun.sun_azimuth_deg}
    known = {key: round(value, DIGITS) for key, value in angles.items() if isfinite(value)}
    if known:
        ViewExtension.ext(item, add_if_missing=True).apply(**known)


def _add_archive(item: pystac.Item, frame: str) -> None:
    """Add credits and links if the photo is from NASA's archive."""
    page = archive_page(frame)
    if page is None or is_made_up(frame):
        return
    item.common_metadata.license = "other"
    item.common_metadata.providers = [archive_provider()]
    item.properties[f"{PREFIX}credit"] = f"{COURTESY}, {frame}"
    item.add_link(pystac.Link(pystac.RelType.VIA, page, pystac.MediaType.HTML))
    item.add_link(license_link())


def archive_provider() -> pystac.Provider:
    """The unit that maintains the archive of astronaut photography."""
    roles = [pystac.ProviderRole.PRODUCER, pystac.ProviderRole.LICENSOR]
    return pystac.Provider(name=UNIT, roles=roles, url=HOME)


def license_link() -> pystac.Link:
    """NASA's terms of use for its images."""
    return pystac.Link(pystac.RelType.LICENSE, GUIDELINES, pystac.MediaType.HTML)


# The collection of all items: extent in space and time, and summaries.

DESCRIPTION = (
    "Photographs taken at night from the International Space Station, placed on the map by their "
    "city lights with regengine. An item's geometry is the ground that its photo shows, up to 80 "
    "degrees of incidence; items without one are photos without a place."
)
RANGES = (
    "gsd",
    "view:off_nadir",
    "view:incidence_angle",
    "view:sun_elevation",
    f"{PREFIX}probability",
    f"{PREFIX}sigma_m",
)
SETS = ("platform", "instruments", f"{PREFIX}verdict", f"{PREFIX}category")
MAX_OF_A_SET = 100


def collection(items: Iterable[pystac.Item], folder: Path) -> dict[str, Any]:
    """The collection of a folder's items, as JSON-serialisable values."""
    links: list[dict[str, str]] = []
    boxes: list[list[float]] = []
    times: list[datetime] = []
    values: defaultdict[str, list[Any]] = defaultdict(list)
    assets: set[str] = set()
    of_archive = False
    for item in items:
        told = item.properties
        address = f"./{item.id}{ENDING}"
        kind = pystac.MediaType.GEOJSON
        links.append({"rel": "item", "href": address, "type": kind, "title": told["title"]})
        if item.bbox is not None:
            boxes.append(item.bbox)
        start, end = item.common_metadata.start_datetime, item.common_metadata.end_datetime
        times += [time for time in (item.datetime, start, end) if time is not None]
        for name in (*RANGES, *SETS):
            if name in told:
                values[name] += told[name] if isinstance(told[name], list) else [told[name]]
        assets.update(item.assets)
        of_archive |= f"{PREFIX}credit" in told
    # Without items: the whole Earth, and any time
    extent = [-180.0, -90.0, 180.0, 90.0]
    moments: list[datetime | None] = [min(times), max(times)] if times else [None, None]
    if boxes:
        _, souths, _, norths = zip(*boxes, strict=True)
        west, east = find_shortest_span((box[0], box[2]) for box in boxes)
        extent = [west, min(souths), east, max(norths)]
    summaries = pystac.Summaries.empty()
    for name in (name for name in RANGES if name in values):
        summaries.add(name, pystac.RangeSummary(min(values[name]), max(values[name])))
    for name in (name for name in SETS if name in values):
        if len(different := set(values[name])) <= MAX_OF_A_SET:
            summaries.add(name, sorted(different))
    found = pystac.Collection(
        id=collection_id(folder),
        title=f"Night photographs from the ISS: {collection_id(folder)}",
        description=DESCRIPTION,
        extent=pystac.Extent(
            pystac.SpatialExtent([extent]),
            pystac.TemporalExtent([moments]),
        ),
        license="other",
        keywords=["night lights", "astronaut photography", "ISS"],
        providers=[archive_provider()] if of_archive else None,
        summaries=summaries,
    )
    found.item_assets = {**_item_assets(assets)}
    if of_archive:
        found.add_link(license_link())
    plain = found.to_dict(include_self_link=False, transform_hrefs=False)
    root = {"rel": "root", "href": f"./{COLLECTION}", "type": pystac.MediaType.JSON}
    others = [link for link in plain["links"] if link["rel"] != "root"]
    plain["links"] = [root, *others, *links]
    return plain


def _item_assets(assets: set[str]) -> dict[str, pystac.ItemAssetDefinition]:
    """Definitions of the items' kinds of files."""
    known: dict[str, tuple[str, str | None, str]] = {
        "photo": ("The photo as taken", None, "data"),
        "control_points": ("Control points", pystac.MediaType.GEOJSON, "metadata"),
        **{key: (title, pystac.MediaType.COG, role) for key, _, role, title in MAPS},
    }
    return {
        key: pystac.ItemAssetDefinition.create(title, None, media_type, [role])
        for key, (title, media_type, role) in known.items()
        if key in assets
    }


def stac_text(told: dict[str, Any]) -> str:
    """JSON text of an item or a collection; ASCII."""
    return json.dumps(told, allow_nan=False, indent=1) + "\n"


def points_text(frame: ExportFrame) -> str:
    """Control points as GeoJSON, one line each."""
    lines = ",\n".join(
        json.dumps(geojson_feature(*feature), allow_nan=False)
        for feature in list_features(frame, [POINTS])
    )
    return f'{{"type": "FeatureCollection", "features": [\n{lines}\n]}}\n'


def _write(
    frame: ExportFrame, paths: tuple[Path, ...], targets: tuple[Path, ...], options: ExportOptions
) -> pystac.Item:
    item = photo_item(frame, targets[0].parent, targets[0].name.removesuffix(ENDING))
    told = item.to_dict(include_self_link=False, transform_hrefs=False)
    paths[0].write_text(stac_text(told), encoding="ascii")
    paths[1].write_text(points_text(frame), encoding="ascii")
    return item


def _write_collection(items: Iterator[pystac.Item], path: Path, folder: Path) -> None:
    path.write_text(stac_text(collection(items, folder)), encoding="ascii")


FORMATS = {
    "stac": FolderFormat(
        names=lambda name, options: (f"{name}{ENDING}", f"{name}{POINTS_ENDING}"),
        write=_write,
        lacks=lambda frame: "",
        photo_name=item_id,
        last=COLLECTION,
        write_last=_write_collection,
    )
}
