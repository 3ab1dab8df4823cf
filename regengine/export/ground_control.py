"""Control points as GDAL writes them: XML, and points of its own kind.

GDAL counts pixels from the picture's upper left corner: the middle of the first one is (0.5, 0.5)
(`GDAL_GCP.dfGCPPixel`).
"""

from __future__ import annotations

import re
from functools import cache
from html import escape
from typing import Any

from regengine.export.frame import ExportFrame

# What XML 1.0 cannot hold in any spelling
UNHOLDABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


@cache
def wgs84_wkt1() -> str:
    """WGS84 in the WKT that every GDAL reads."""
    from pyproj import CRS

    return CRS.from_epsg(4326).to_wkt("WKT1_GDAL")


def continuous_lon(frame: ExportFrame) -> list[float]:
    """Longitudes of the points that run on over the antimeridian, beyond 180 or below -180."""
    first = frame.points[0].lon if frame.points else 0.0
    return [(point.lon - first + 180.0) % 360.0 - 180.0 + first for point in frame.points]


def gcp_list_xml(frame: ExportFrame) -> str:
    """The element ``GCPList`` of a VRT or of a ``.aux.xml``, longitude before latitude."""
    lines = [f'  <GCPList Projection="{escape(wgs84_wkt1())}" dataAxisToSRSAxisMapping="2,1">']
    for number, (point, lon) in enumerate(
        zip(frame.points, continuous_lon(frame), strict=True), start=1
    ):
        sigma = "" if point.sigma_m is None else f' Info="sigma {point.sigma_m:.1f} m"'
        lines.append(
            f'    <GCP Id="{number}"{sigma} Pixel="{point.x + 0.5!r}" Line="{point.y + 0.5!r}"'
            f' X="{lon!r}" Y="{point.lat!r}" Z="0" />'
        )
    return "\n".join([*lines, "  </GCPList>"])


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
        "REGENGINE_SIGMA_M": max(
            (point.sigma_m for point in frame.points if point.sigma_m is not None), default=None
        ),
        "REGENGINE_LIGHTS": result.lights,
        "REGENGINE_VERSION": result.engine_version,
    }
    return {
        key: UNHOLDABLE.sub("_", str(value)) for key, value in told.items() if value is not None
    }


def metadata_xml(frame: ExportFrame) -> str:
    """The element ``Metadata`` of a VRT or of a ``.aux.xml``."""
    items = [
        f'    <MDI key="{key}">{escape(value)}</MDI>' for key, value in metadata(frame).items()
    ]
    return "\n".join(["  <Metadata>", *items, "  </Metadata>"])
