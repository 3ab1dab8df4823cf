"""Control points for GDAL and for the QGIS georeferencer, in files beside or of a photo.

For GDAL they stand beside the photo, in a VRT that refers to it, or with a copy of it. The photo
itself is never opened for writing: GDAL would write it anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from regengine.exchange.export.format import (
    UNHOLDABLE_IN_XML,
    ExportOptions,
    FolderFormat,
    LeftOutError,
    chosen_kinds,
    no_points,
    stem,
)
from regengine.exchange.export.frame import ExportFrame
from regengine.exchange.export.warp import open_photo, photo_of

ROWS = 256  # of a photo, copied at a time


@cache
def wgs84(version: str) -> str:
    """WGS84 as well-known text: ``WKT1_GDAL`` for every GDAL, ``WKT2_2019`` as QGIS writes it."""
    from pyproj import CRS

    return CRS.from_epsg(4326).to_wkt(version)


def continuous_lon(frame: ExportFrame) -> list[float]:
    """Longitudes of the points that run on over the antimeridian, beyond 180 or below -180."""
    first = frame.points[0].lon if frame.points else 0.0
    return [(point.lon - first + 180.0) % 360.0 - 180.0 + first for point in frame.points]


def gcp_list_xml(frame: ExportFrame) -> str:
    """The element ``GCPList`` of a VRT or of a ``.aux.xml``, longitude before latitude."""
    lines = [
        f'  <GCPList Projection="{escape(wgs84("WKT1_GDAL"))}" dataAxisToSRSAxisMapping="2,1">'
    ]
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
        "REGENGINE_SIGMA_M": frame.worst_sigma_m,
        "REGENGINE_LIGHTS": result.lights,
        "REGENGINE_VERSION": result.engine_version,
    }
    return {
        key: UNHOLDABLE_IN_XML.sub("_", str(value))
        for key, value in told.items()
        if value is not None
    }


def metadata_xml(frame: ExportFrame) -> str:
    """The element ``Metadata`` of a VRT or of a ``.aux.xml``."""
    items = [
        f'    <MDI key="{key}">{escape(value)}</MDI>' for key, value in metadata(frame).items()
    ]
    return "\n".join(["  <Metadata>", *items, "  </Metadata>"])


def write_aux(frame: ExportFrame, path: Path, target: Path) -> None:
    """``PHOTO.aux.xml``, which GDAL reads with ``PHOTO`` in the same folder."""
    photo_of(frame)
    parts = ["<PAMDataset>", metadata_xml(frame), gcp_list_xml(frame), "</PAMDataset>", ""]
    path.write_text("\n".join(parts), encoding="utf-8")


def write_vrt(frame: ExportFrame, path: Path, target: Path) -> None:
    """A virtual raster of the photo's own pixels, with control points."""
    with open_photo(frame) as photo:
        source = Path(photo.name).resolve()
        folder = target.parent.resolve()
        beside = source.is_relative_to(folder)
        name = str(source.relative_to(folder)) if beside else str(source)
        if UNHOLDABLE_IN_XML.search(name) or "\r" in name:
            raise LeftOutError("the name of the photo's file cannot stand in XML")
        bands = "\n".join(
            _band_xml(photo, band, escape(name), int(beside)) for band in photo.indexes
        )
        size = f'rasterXSize="{photo.width}" rasterYSize="{photo.height}"'
    parts = [f"<VRTDataset {size}>", metadata_xml(frame), gcp_list_xml(frame), bands]
    path.write_text("\n".join([*parts, "</VRTDataset>", ""]), encoding="utf-8")


def write_tif(frame: ExportFrame, path: Path, target: Path) -> None:
    """A GeoTIFF with a lossless copy of the photo's pixels, and control points."""
    import rasterio
    from rasterio.control import GroundControlPoint
    from rasterio.windows import Window

    points = [
        GroundControlPoint(row=point.y + 0.5, col=point.x + 0.5, x=lon, y=point.lat, z=0.0)
        for point, lon in zip(frame.points, continuous_lon(frame), strict=True)
    ]
    with open_photo(frame) as photo:
        profile = {
            "width": photo.width,
            "height": photo.height,
            "count": photo.count,
            "dtype": photo.dtypes[0],
            "compress": "deflate",
            "predictor": 2 if photo.dtypes[0].startswith(("u", "i")) else 1,
            "tiled": True,
            "interleave": "pixel",
            "bigtiff": "if_safer",
        }
        with rasterio.open(path, "w", driver="GTiff", **profile) as copy:
            copy.gcps = (points, rasterio.crs.CRS.from_wkt(wgs84("WKT1_GDAL")))
            copy.update_tags(**metadata(frame))
            copy.colorinterp = photo.colorinterp
            for row in range(0, photo.height, ROWS):
                window = Window(0, row, photo.width, min(ROWS, photo.height - row))
                copy.write(photo.read(window=window), window=window)


Writer = Callable[[ExportFrame, Path, Path], None]
# What a file is called after the photo, and who writes it
KINDS: dict[str, tuple[Callable[[str], str], Writer]] = {
    "vrt": (lambda photo: f"{stem(photo)}.gcp.vrt", write_vrt),
    "aux": (lambda photo: f"{photo}.aux.xml", write_aux),
    "tif": (lambda photo: f"{stem(photo)}.gcp.tif", write_tif),
}


def _band_xml(photo: Any, band: int, name: str, beside: int) -> str:
    kind = {"uint8": "Byte", "uint16": "UInt16", "int16": "Int16", "float32": "Float32"}.get(
        photo.dtypes[band - 1], "Float64"
    )
    colour = photo.colorinterp[band - 1].name.capitalize()
    return "\n".join(
        [
            f'  <VRTRasterBand dataType="{kind}" band="{band}">',
            f"    <ColorInterp>{colour}</ColorInterp>",
            "    <SimpleSource>",
            f'      <SourceFilename relativeToVRT="{beside}">{name}</SourceFilename>',
            f"      <SourceBand>{band}</SourceBand>",
            "    </SimpleSource>",
            "  </VRTRasterBand>",
        ]
    )


def _gcp_names(photo: str, options: ExportOptions) -> tuple[str, ...]:
    return tuple(KINDS[kind][0](photo) for kind in chosen_kinds(options, KINDS, ("vrt",)))


def _write_gcp(
    frame: ExportFrame, paths: tuple[Path, ...], targets: tuple[Path, ...], options: ExportOptions
) -> None:
    kinds = chosen_kinds(options, KINDS, ("vrt",))
    for kind, path, target in zip(kinds, paths, targets, strict=True):
        KINDS[kind][1](frame, path, target)


HEADER = "mapX,mapY,sourceX,sourceY,enable,dX,dY,residual"


def points_text(frame: ExportFrame) -> str:
    """A points file of the QGIS georeferencer, which QGIS opens with the photo.

    QGIS counts pixels of a picture without a place from its upper left corner, rows downwards as
    negative numbers: the middle of the first pixel is (0.5, -0.5) (`QgsGCPList::loadGcps`; the
    format is that of `saveGcps`). Longitudes run on over the antimeridian, so that a fit of them
    makes sense. Residuals are pixel less camera, zero where there is no camera; they are QGIS's to
    compute again.
    """
    lines = [f"#CRS: {wgs84('WKT2_2019')}", HEADER]
    for point, lon in zip(frame.points, continuous_lon(frame), strict=True):
        dx = dy = 0.0
        if frame.camera is not None:
            x, y = frame.camera.lonlat_to_pixel(point.lon, point.lat)
            if math.isfinite(x):
                dx, dy = float(x) - point.x, point.y - float(y)
        numbers = (lon, point.lat, point.x + 0.5, -(point.y + 0.5), 1, dx, dy, math.hypot(dx, dy))
        lines.append(",".join(f"{number:.12g}" for number in numbers))
    return "\n".join(lines) + "\n"


def _write_points(
    frame: ExportFrame, paths: tuple[Path, ...], targets: tuple[Path, ...], options: ExportOptions
) -> None:
    paths[0].write_text(points_text(frame), encoding="utf-8")


FORMATS = {
    "gcp": FolderFormat(
        names=_gcp_names,
        write=_write_gcp,
        lacks=no_points,
    ),
    "qgis": FolderFormat(
        names=lambda photo, options: (f"{photo}.points",),
        write=_write_points,
        lacks=no_points,
    ),
}
