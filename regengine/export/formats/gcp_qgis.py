"""Control points for GDAL and for the QGIS georeferencer.

For GDAL, they are in a file next to the photo, in a VRT that refers to it, or in a copy of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree  # used only for writing

import numpy as np

from regengine.export.format import (
    UNHOLDABLE_IN_XML,
    ExportOptions,
    FolderFormat,
    choose_kinds,
    explain_no_points,
    stem,
)
from regengine.export.virtual import write_aux, write_vrt
from regengine.frames.frame import ExportFrame
from regengine.io.gdal import raise_write_failures
from regengine.runs.run_files import find_settings_files


@cache
def wgs84(version: str) -> str:
    """WGS84 as well-known text: ``WKT1_GDAL`` for any GDAL, ``WKT2_2019`` as written by QGIS."""
    from pyproj import CRS

    return CRS.from_epsg(4326).to_wkt(version)


def continuous_lon(frame: ExportFrame) -> list[float]:
    """Longitudes of the points, continuous across the antimeridian: beyond 180 or below -180."""
    first = frame.points[0].lon if frame.points else 0.0
    return [(point.lon - first + 180.0) % 360.0 - 180.0 + first for point in frame.points]


def _points_of(frame: ExportFrame) -> Callable[[Any], None]:
    """A function that adds the frame's control points to a raster."""
    import rasterio
    from rasterio.control import GroundControlPoint

    points = [
        GroundControlPoint(row=point.y + 0.5, col=point.x + 0.5, x=lon, y=point.lat, z=0.0)
        for point, lon in zip(frame.points, continuous_lon(frame), strict=True)
    ]

    def place(dataset: Any) -> None:
        dataset.gcps = points, rasterio.crs.CRS.from_wkt(wgs84("WKT1_GDAL"))

    return place


def write_virtual(frame: ExportFrame, path: Path) -> None:
    """Write a virtual raster of the photo with control points."""
    write_vrt(frame, path, _points_of(frame))


def write_beside(frame: ExportFrame, path: Path) -> None:
    """Write ``PHOTO.aux.xml`` with control points."""
    write_aux(frame, path, _points_of(frame))


def write_tif(frame: ExportFrame, path: Path) -> None:
    """Write a GeoTIFF with a lossless copy of the photo's pixels, and control points."""
    import rasterio
    import rasterio.shutil

    virtual = path.with_name(f"{path.name}.vrt")
    write_virtual(frame, virtual)
    with rasterio.open(virtual, driver="VRT") as photo:
        rasterio.shutil.copy(
            photo,
            path,
            driver="GTiff",
            compress="deflate",
            predictor=2 if np.issubdtype(photo.dtypes[0], np.integer) else 1,
            tiled=True,
            interleave="pixel",
            bigtiff="if_safer",
        )


Writer = Callable[[ExportFrame, Path], None]
# File name derived from the photo's, and the function that writes the file
KINDS: dict[str, tuple[Callable[[str], str], Writer]] = {
    "vrt": (lambda photo: f"{stem(photo)}.gcp.vrt", write_virtual),
    "aux": (lambda photo: f"{photo}.aux.xml", write_beside),
    "tif": (lambda photo: f"{stem(photo)}.gcp.tif", write_tif),
}


def _gcp_names(photo: str, options: ExportOptions) -> tuple[str, ...]:
    return tuple(KINDS[kind][0](photo) for kind in choose_kinds(options, KINDS, ("vrt",)))


def _write_gcp(
    frame: ExportFrame, paths: tuple[Path, ...], targets: tuple[Path, ...], options: ExportOptions
) -> None:
    kinds = choose_kinds(options, KINDS, ("vrt",))
    for kind, path in zip(kinds, paths, strict=True):
        with raise_write_failures(path, [path.with_name(f"{path.name}.vrt")]):
            KINDS[kind][1](frame, path)


HEADER = "mapX,mapY,sourceX,sourceY,enable,dX,dY,residual"


def points_text(frame: ExportFrame) -> str:
    """A points file of the QGIS georeferencer, which QGIS opens with the photo.

    In an image without georeferencing, QGIS counts pixels from the upper left corner, with rows
    downwards as negative numbers: the centre of the first pixel is (0.5, -0.5)
    (`QgsGCPList::loadGcps`; the format is that of `saveGcps`). Longitudes are continuous across the
    antimeridian, so that a transform can be fitted. Residuals are pixel minus camera, zero without
    a camera; QGIS computes them again.
    """
    lines = [f"#CRS: {wgs84('WKT2_2019')}", HEADER]
    for point, lon in zip(frame.points, continuous_lon(frame), strict=True):
        dx = dy = 0.0
        if frame.camera is not None:
            x, y = frame.camera.lonlat_to_pixel(point.lon, point.lat)
            if math.isfinite(x):
                dx, dy = float(x) - point.x, point.y - float(y)
        at = lon, point.lat, point.x + 0.5, -(point.y + 0.5)
        numbers = (*at, int(point.enabled), dx, dy, math.hypot(dx, dy))
        lines.append(",".join(f"{number:.12g}" for number in numbers))
    return "\n".join(lines) + "\n"


# Written together with the points for ``project``: the photo's virtual raster, and the project file
PROJECT_KINDS = ("points", "project")


def _points_names(photo: str, options: ExportOptions) -> tuple[str, ...]:
    if "project" not in choose_kinds(options, PROJECT_KINDS, ("points",)):
        return (f"{photo}.points",)
    return f"{photo}.points", KINDS["vrt"][0](photo), f"{stem(photo)}.qgs"


def _write_points(
    frame: ExportFrame, paths: tuple[Path, ...], targets: tuple[Path, ...], options: ExportOptions
) -> None:
    paths[0].write_text(points_text(frame), encoding="utf-8")
    if len(paths) == 1:
        return
    import rasterio

    _, virtual, project = paths
    with raise_write_failures(virtual, []):
        write_virtual(frame, virtual)
        with rasterio.open(virtual, driver="VRT") as photo:
            n_bands = photo.count
        points, photo_name = targets[0].name, targets[1].name
        # The light map used to locate the photo, if it is a raster and unchanged
        maps = find_settings_files(frame.stored.parameters).lights
        rasters = (path for path in maps if path.suffix.lower() in (".tif", ".tiff", ".vrt"))
        text = project_text(frame, points, photo_name, n_bands, next(rasters, None))
    project.write_text(text, encoding="utf-8")


DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
VERSION = "3.34.0-Prizren"  # the version of these elements; later versions read them, too
MARGIN_DEG = 0.5  # around the points, in the initial view
BRIGHT_PERCENTILE = 99.5  # this percentile of the map's light is drawn white
READ_PX = 512
MARKER = {
    "name": "circle",
    "color": "0,0,0,0",
    "outline_color": "255,210,74,255",
    "outline_width": "0.6",
    "outline_width_unit": "MM",
    "size": "4",
    "size_unit": "MM",
}
Box = tuple[float, float, float, float]  # west, south, east, north


def project_text(
    frame: ExportFrame, points: str, photo: str, n_bands: int, light_map: Path | None
) -> str:
    """The project, as text.

    Parameters
    ----------
    points, photo : str
        Names of the points file of QGIS's georeferencer and of the photo's virtual raster with
        control points, both next to the project.
    n_bands : int
        Number of bands of the raster.
    light_map : path or None
        A raster for the lowest layer, which GDAL can read.
    """
    lon, lat = np.array([(point.lon, point.lat) for point in frame.points]).T
    lon = (lon - lon[0] + 180.0) % 360.0 - 180.0 + lon[0]  # continuous across the antimeridian
    low, high = np.array([lon, lat]).min(axis=1), np.array([lon, lat]).max(axis=1)
    seen: Box = (*(low - MARGIN_DEG).tolist(), *(high + MARGIN_DEG).tolist())
    title = UNHOLDABLE_IN_XML.sub("_", frame.result.frame)
    root = ElementTree.Element("qgis", version=VERSION, projectname=title)
    _texts(root, title=title)
    _add_crs(ElementTree.SubElement(root, "projectCrs"))
    tree = ElementTree.SubElement(root, "layer-tree-group")
    canvas = ElementTree.SubElement(root, "mapcanvas", name="theMapCanvas")
    _texts(canvas, units="degrees")
    extent = ElementTree.SubElement(canvas, "extent")
    names = ("xmin", "ymin", "xmax", "ymax")
    _texts(extent, **{name: f"{edge:.9g}" for name, edge in zip(names, seen, strict=True)})
    _texts(canvas, rotation="0")
    _add_crs(ElementTree.SubElement(canvas, "destinationsrs"))
    layers = ElementTree.SubElement(root, "projectlayers")
    order = ElementTree.SubElement(root, "layerorder")

    # The file's first line is the reference system, the second the columns' names
    columns = "type=csv&skipLines=1&xField=mapX&yField=mapY&crs=EPSG:4326"
    source = f"file:./{quote(points)}?{columns}"
    _add_points(_layer(layers, tree, order, "points", "Control points", source, "delimitedtext"))
    shown = _layer(layers, tree, order, "photo", title, f"./{photo}", "gdal")
    _add_raster(shown, _renderer(n_bands, opacity="0.7"))
    if light_map is not None:
        _add_lights(layers, tree, order, light_map, seen)
    properties = ElementTree.SubElement(root, "properties")
    paths = ElementTree.SubElement(properties, "Paths")
    ElementTree.SubElement(paths, "Absolute", type="bool").text = "false"
    ElementTree.indent(root)
    return DOCTYPE + ElementTree.tostring(root, encoding="unicode") + "\n"


def _texts(parent: ElementTree.Element, **texts: str) -> None:
    for name, text in texts.items():
        ElementTree.SubElement(parent, name).text = text


def _add_crs(parent: ElementTree.Element) -> None:
    """WGS 84 in degrees, with QGIS's elements."""
    from pyproj import CRS

    system = ElementTree.SubElement(parent, "spatialrefsys", nativeFormat="Wkt")
    _texts(
        system,
        wkt=CRS.from_epsg(4326).to_wkt("WKT2_2019"),
        proj4="+proj=longlat +datum=WGS84 +no_defs",
        srsid="3452",  # QGIS's internal number
        srid="4326",
        authid="EPSG:4326",
        description="WGS 84",
        projectionacronym="longlat",
        ellipsoidacronym="EPSG:7030",
        geographicflag="true",
    )


def _layer(
    layers: ElementTree.Element,
    tree: ElementTree.Element,
    order: ElementTree.Element,
    identifier: str,
    name: str,
    source: str,
    provider: str,
) -> ElementTree.Element:
    """Add a layer below those that were added before."""
    kind = "vector" if provider == "delimitedtext" else "raster"
    ElementTree.SubElement(
        tree,
        "layer-tree-layer",
        id=identifier,
        name=name,
        source=source,
        providerKey=provider,
        checked="Qt::Checked",
        expanded="0",
    )
    order.insert(0, ElementTree.Element("layer", id=identifier))  # the lowest first
    layer = ElementTree.SubElement(layers, "maplayer", type=kind)
    _texts(layer, id=identifier, datasource=source, layername=name)
    _add_crs(ElementTree.SubElement(layer, "srs"))
    encoding = {"encoding": "UTF-8"} if kind == "vector" else {}
    ElementTree.SubElement(layer, "provider", encoding).text = provider
    return layer


def _add_points(layer: ElementTree.Element) -> None:
    """Draw points as rings, which leave the light inside visible."""
    layer.set("geometry", "Point")
    renderer = ElementTree.SubElement(layer, "renderer-v2", type="singleSymbol", symbollevels="0")
    symbols = ElementTree.SubElement(renderer, "symbols")
    symbol = ElementTree.SubElement(symbols, "symbol", type="marker", name="0", alpha="1")
    marker = {"class": "SimpleMarker", "enabled": "1", "locked": "0", "pass": "0"}
    options = ElementTree.SubElement(
        ElementTree.SubElement(symbol, "layer", marker), "Option", type="Map"
    )
    for name, value in MARKER.items():
        ElementTree.SubElement(options, "Option", name=name, type="QString", value=value)


def _renderer(n_bands: int, opacity: str) -> ElementTree.Element:
    """Draw red, green and blue unchanged, or a single band in grey."""
    bands = {"type": "singlebandgray", "grayBand": "1", "gradient": "BlackToWhite"}
    if n_bands >= 3:
        bands = {"type": "multibandcolor", "redBand": "1", "greenBand": "2", "blueBand": "3"}
    return ElementTree.Element("rasterrenderer", bands, alphaBand="-1", opacity=opacity)


def _add_raster(layer: ElementTree.Element, renderer: ElementTree.Element) -> None:
    pipe = ElementTree.SubElement(layer, "pipe")
    pipe.append(renderer)
    _texts(layer, blendMode="0")


def _add_lights(
    layers: ElementTree.Element,
    tree: ElementTree.Element,
    order: ElementTree.Element,
    light_map: Path,
    seen: Box,
) -> None:
    """Add the light map: its palette, or grey, from dark to the brightest light in view."""
    import rasterio
    from rasterio.enums import ColorInterp
    from rasterio.windows import from_bounds

    path = str(light_map.absolute())
    if UNHOLDABLE_IN_XML.search(path):
        return
    driver = "VRT" if light_map.suffix.lower() == ".vrt" else "GTiff"
    with rasterio.open(light_map, driver=driver) as dataset:
        if dataset.crs is None or dataset.crs.to_epsg() != 4326:
            return
        window = from_bounds(*seen, transform=dataset.transform).round_offsets().round_lengths()
        shape = min(READ_PX, round(window.height) or 1), min(READ_PX, round(window.width) or 1)
        light = dataset.read(1, window=window, boundless=True, fill_value=0, out_shape=shape)
        palette = dataset.colormap(1) if dataset.colorinterp[0] == ColorInterp.palette else None
    if palette:
        bands = {"type": "paletted", "band": "1", "alphaBand": "-1", "opacity": "1"}
        renderer = ElementTree.Element("rasterrenderer", bands)
        entries = ElementTree.SubElement(renderer, "colorPalette")
        for index, (red, green, blue, alpha) in palette.items():
            colour = {"color": f"#{red:02x}{green:02x}{blue:02x}", "alpha": str(alpha)}
            ElementTree.SubElement(entries, "paletteEntry", colour, value=str(index), label="")
    else:
        known = light[np.isfinite(light)].astype(float)
        bright = float(np.percentile(known, BRIGHT_PERCENTILE)) if known.size else 0.0
        renderer = _renderer(1, opacity="1")
        stretch = ElementTree.SubElement(renderer, "contrastEnhancement")
        _texts(
            stretch,
            minValue="0",
            maxValue=f"{max(bright, 1e-3):.6g}",
            algorithm="StretchToMinimumMaximum",
        )
    _add_raster(_layer(layers, tree, order, "lights", "Night lights", path, "gdal"), renderer)


FORMATS = {
    "gcp": FolderFormat(
        names=_gcp_names,
        write=_write_gcp,
        lacks=explain_no_points,
        places_photo=True,
    ),
    "qgis": FolderFormat(
        names=_points_names,
        write=_write_points,
        lacks=explain_no_points,
        places_photo=True,
    ),
}
