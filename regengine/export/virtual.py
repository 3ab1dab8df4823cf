"""Georeferenced virtual rasters of a photo's pixels, and GDAL's auxiliary files next to a photo.

The photo itself is never opened for writing: GDAL would rewrite it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

# Parses only files that GDAL has written for us
from xml.etree import ElementTree

from regengine.export.format import UNHOLDABLE_IN_XML, LeftOutError
from regengine.export.warp import open_photo
from regengine.frames.frame import ExportFrame

PLACES = ("SRS", "GeoTransform", "GCPList")  # VRT elements with georeferencing
PLACE_DOMAINS = ("RPC", "GEOLOCATION")  # metadata domains with georeferencing


def metadata(frame: ExportFrame) -> dict[str, str]:
    """Metadata for a raster about the source of its georeferencing."""
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
    """Write a virtual raster of the photo's pixels.

    ``place`` takes it as a rasterio dataset and georeferences it; georeferencing in the photo's own
    file is removed.
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
    """Write ``PHOTO.aux.xml``, which GDAL reads together with ``PHOTO`` in the same folder."""
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
