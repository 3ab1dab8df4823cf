"""Virtual rasters of the photo's own pixels, and what GDAL keeps beside a photo, with its place.

The photo itself is never opened for writing: GDAL would write it anew.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

# Only of what GDAL has written for us
from xml.etree import ElementTree

from regengine.exchange.export.format import UNHOLDABLE_IN_XML, LeftOutError
from regengine.exchange.export.frame import ExportFrame
from regengine.exchange.export.warp import open_photo

PLACES = ("SRS", "GeoTransform", "GCPList")  # elements of a VRT that say where its pixels lie
PLACE_DOMAINS = ("RPC", "GEOLOCATION")  # and domains of its metadata


def metadata(frame: ExportFrame) -> dict[str, str]:
    """What a raster's metadata tell of where its place comes from."""
    result = frame.result
    told: dict[str, Any] = {
        "REGENGINE_FRAME": result.frame,
        "REGENGINE_VERDICT": frame.verdict,
        "REGENGINE_REVIEWER": None if frame.review is None else frame.review.reviewer,
        "REGENGINE_DECISION": None if frame.review is None else frame.review.decision,
        "REGENGINE_PROBABILITY": result.probability,
        "REGENGINE_TIME_UTC": result.time_utc,
        "REGENGINE_PHOTO_SHA256": result.sha256,
        "REGENGINE_SIGMA_M": frame.worst_sigma_m,
        "REGENGINE_LIGHTS": result.lights,
        "REGENGINE_VERSION": result.engine_version,
    }
    return {
        key: UNHOLDABLE_IN_XML.sub("_", str(value))
        for key, value in told.items()
        if value is not None
    }


def write_vrt(frame: ExportFrame, path: Path, place: Callable[[Any], None]) -> None:
    """A virtual raster of the photo's own pixels.

    ``place`` takes it as a rasterio data set and says where its pixels lie; what the photo carries
    of that itself is left out.
    """
    import rasterio
    import rasterio.shutil

    with open_photo(frame) as photo:
        if UNHOLDABLE_IN_XML.search(photo.name) or "\r" in photo.name:
            raise LeftOutError("the name of the photo's file is not valid in XML")
        rasterio.shutil.copy(photo, path, driver="VRT")
        virtual = ElementTree.parse(path)  # noqa: S314 - ours
        carried = [part for part in virtual.getroot() if _is_place(part)]
        for part in carried:
            virtual.getroot().remove(part)
        if carried:
            virtual.write(path, encoding="utf-8")
        with rasterio.open(path, "r+", driver="VRT") as dataset:
            place(dataset)
            dataset.update_tags(**metadata(frame))


def write_aux(frame: ExportFrame, path: Path, place: Callable[[Any], None]) -> None:
    """``PHOTO.aux.xml``, which GDAL reads with ``PHOTO`` in the same folder."""
    write_vrt(frame, path, place)
    root = ElementTree.Element("PAMDataset")
    known = ElementTree.parse(path).getroot()  # noqa: S314 - ours
    root.extend(
        part
        for part in known
        if _is_place(part) or (part.tag == "Metadata" and "domain" not in part.attrib)
    )
    ElementTree.ElementTree(root).write(path, encoding="utf-8")


def _is_place(part: ElementTree.Element) -> bool:
    return part.tag in PLACES or part.get("domain") in PLACE_DOMAINS
