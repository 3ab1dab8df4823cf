"""Files of an item: the photo, its control points, and the warped pictures that lie beside."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pystac
from pystac.extensions.eo import Band, EOExtension
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension

from regengine.export.frame import ExportFrame
from regengine.export.names import photo_name, photo_stem
from regengine.export.stac.links import href, photo_href
from regengine.page.text import shown
from regengine.report.photos import photo_file

# Registered with IANA where there is such a type; of raw files, what programs know them by
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
COLOURS = ("red", "green", "blue")
DEVELOPED = (".jpg", ".jpeg", ".png", ".tif", ".tiff")  # raw files have no colours yet
# Key, ending of the file, role, title of what `--format geotiff` writes
MAPS = (
    ("warped", ".warped.tif", "visual", "The photo on the map"),
    ("sigma", ".sigma.tif", "uncertainty", "One sigma per axis of each place, metres"),
)
_HASH = re.compile("[0-9a-f]{64}")


def add_photo(item: pystac.Item, frame: ExportFrame, folder: Path) -> None:
    """Tell of the photo itself; nothing where the store does not know its file."""
    result = frame.result
    if not result.path:
        return
    name = photo_name(result.path, frame.stored.frame_index)
    found = photo_file(result.path, frame.store)
    asset = pystac.Asset(
        href=photo_href(result.path, found, frame.store, folder),
        title=shown(name),
        media_type=MEDIA_TYPES.get(Path(name).suffix.lower()),
        roles=["data"],
    )
    item.add_asset("photo", asset)
    if _HASH.fullmatch(result.sha256):
        FileExtension.ext(asset, add_if_missing=True).checksum = SHA256 + result.sha256
    if result.width_px is not None and result.height_px is not None:
        shape = [result.height_px, result.width_px]
        ProjectionExtension.ext(asset, add_if_missing=True).shape = shape
    if found is not None and is_coloured(found):
        bands = [Band.create(name=colour, common_name=colour) for colour in COLOURS]
        EOExtension.ext(asset, add_if_missing=True).bands = bands


def add_points(item: pystac.Item, name: str) -> None:
    """Tell of the control points in a file beside the item."""
    asset = pystac.Asset(
        href=f"./{name}",
        title="Control points: pixels, places and their uncertainty",
        media_type=pystac.MediaType.GEOJSON,
        roles=["metadata"],
    )
    item.add_asset("control_points", asset)


def add_maps(item: pystac.Item, frame: ExportFrame, folder: Path) -> None:
    """Tell of warped pictures of this very photo that lie beside the item."""
    name = photo_stem(frame.result.path, frame.stored.frame_index)
    for key, ending, role, title in MAPS:
        for start in (name, f"{name}-{frame.result.sha256[:8]}"):
            beside = os.path.join(folder, f"{start}{ending}")  # quicker than a Path, for thousands
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
    """Where a warped picture lies on the map; None if it is not one of this photo.

    Parameters
    ----------
    path : Path
        A GeoTIFF.
    sha256 : str
        Of the photo.

    Returns
    -------
    dict or None
        Fields of the projection extension, without their prefix.
    """
    import rasterio
    from rasterio.errors import RasterioError

    from regengine.gdal_session import gdal_session

    with gdal_session():
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


def is_coloured(path: Path) -> bool:
    """Whether a file is a picture with red, green and blue."""
    from PIL import Image

    from regengine.decoding import decoding
    from regengine.errors import FrameError

    if path.suffix.lower() not in DEVELOPED:
        return False
    try:
        with decoding(path), Image.open(path, formats=["JPEG", "PNG", "TIFF"]) as image:
            return image.mode in ("RGB", "RGBA", "YCbCr")
    except (FrameError, OSError):
        return False


def is_file(path: str) -> bool:
    """Whether there is such a file; names that no file can have are none."""
    try:
        return os.path.isfile(path)
    except ValueError:
        return False
