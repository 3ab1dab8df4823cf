"""Control points for GDAL and for the QGIS georeferencer.

For GDAL, they are in a file next to the photo, in a VRT that refers to it, or in a copy of it.
"""

from __future__ import annotations

import math
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr  # used only for writing

import numpy as np
import rasterio

from regengine.export.formats import UNHOLDABLE_IN_XML, ExportOptions, FolderFormat
from regengine.export.warp import write_aux, write_vrt
from regengine.frames.frame import ExportFrame
from regengine.io.gdal import raise_write_failures
from regengine.runs.run_inputs import find_settings_files


@cache
def wgs84(version: str) -> str:
    """WGS84 as well-known text: ``WKT1_GDAL`` for any GDAL, ``WKT2_2019`` as written by QGIS."""
    from pyproj import CRS

    return CRS.from_epsg(4326).to_wkt(version)


def continuous_lon(frame: ExportFrame) -> list[float]:
    """Longitudes of the points, continuous across the antimeridian: beyond 180 or below -180."""
    first = frame.points[0].lon if frame.points else 0.0
    return [(point.lon - first + 180.0) % 360.0 - 180.0 + first for point in frame.points]


def _set_points(frame: ExportFrame, dataset: Any) -> None:
    """Add the frame's control points to a raster."""
    from rasterio.control import GroundControlPoint

    points = [
        GroundControlPoint(row=point.y + 0.5, col=point.x + 0.5, x=lon, y=point.lat, z=0.0)
        for point, lon in zip(frame.points, continuous_lon(frame), strict=True)
    ]
    dataset.gcps = points, rasterio.crs.CRS.from_wkt(wgs84("WKT1_GDAL"))


def _write_gcp(
    frame: ExportFrame, paths: tuple[Path, ...], targets: tuple[Path, ...], options: ExportOptions
) -> None:
    import rasterio.shutil

    place = partial(_set_points, frame)
    for kind, path in zip(GCP.kinds(options), paths, strict=True):
        virtual = path.with_name(f"{path.name}.vrt")
        with raise_write_failures(path, [virtual]):
            if kind == "vrt":
                write_vrt(frame, path, place)
            elif kind == "aux":
                write_aux(frame, path, place)
            else:  # a lossless copy of the photo's pixels
                write_vrt(frame, virtual, place)
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


GCP = FolderFormat(
    files={"vrt": ("{stem}.gcp.vrt",), "aux": ("{photo}.aux.xml",), "tif": ("{stem}.gcp.tif",)},
    usual=("vrt",),
    write=_write_gcp,
    needs=("points",),
    places_photo=True,
)


def points_text(frame: ExportFrame) -> str:
    """A points file of the QGIS georeferencer, which QGIS opens with the photo.

    In an image without georeferencing, QGIS counts pixels from the upper left corner, with rows
    downwards as negative numbers: the centre of the first pixel is (0.5, -0.5)
    (`QgsGCPList::loadGcps`; the format is that of `saveGcps`). Longitudes are continuous across the
    antimeridian, so that a transform can be fitted. Residuals are pixel minus camera, zero without
    a camera; QGIS computes them again.
    """
    header = "mapX,mapY,sourceX,sourceY,enable,dX,dY,residual"
    lines = [f"#CRS: {wgs84('WKT2_2019')}", header]
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


# Elements of QGIS 3.34; later versions read them, too
PROJECT = """\
<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.34.0-Prizren" projectname={title_attribute}>
  <title>{title}</title>
  <projectCrs>{crs}</projectCrs>
  <layer-tree-group>
{tree}  </layer-tree-group>
  <mapcanvas name="theMapCanvas">
    <units>degrees</units>
    <extent><xmin>{:.9g}</xmin><ymin>{:.9g}</ymin><xmax>{:.9g}</xmax><ymax>{:.9g}</ymax></extent>
    <rotation>0</rotation>
    <destinationsrs>{crs}</destinationsrs>
  </mapcanvas>
  <projectlayers>
{layers}  </projectlayers>
  <layerorder>
{order}  </layerorder>
  <properties><Paths><Absolute type="bool">false</Absolute></Paths></properties>
</qgis>
"""
# 3452 is QGIS's internal number of the system
CRS = """<spatialrefsys nativeFormat="Wkt"><wkt>{wkt}</wkt>
    <proj4>+proj=longlat +datum=WGS84 +no_defs</proj4><srsid>3452</srsid><srid>4326</srid>
    <authid>EPSG:4326</authid><description>WGS 84</description>
    <projectionacronym>longlat</projectionacronym><ellipsoidacronym>EPSG:7030</ellipsoidacronym>
    <geographicflag>true</geographicflag></spatialrefsys>"""
TREE = """\
    <layer-tree-layer id="{id}" name={name_attribute} source={source_attribute} \
providerKey="{provider}" checked="Qt::Checked" expanded="0"/>
"""
LAYER = """\
    <maplayer {kind}>
      <id>{id}</id>
      <datasource>{source}</datasource>
      <layername>{name}</layername>
      <srs>{crs}</srs>
      <provider{encoding}>{provider}</provider>
{style}    </maplayer>
"""
# Rings, which leave the light inside visible
RINGS = """\
      <renderer-v2 type="singleSymbol" symbollevels="0"><symbols>
        <symbol type="marker" name="0" alpha="1">
          <layer class="SimpleMarker" enabled="1" locked="0" pass="0"><Option type="Map">
            <Option name="name" type="QString" value="circle"/>
            <Option name="color" type="QString" value="0,0,0,0"/>
            <Option name="outline_color" type="QString" value="255,210,74,255"/>
            <Option name="outline_width" type="QString" value="0.6"/>
            <Option name="outline_width_unit" type="QString" value="MM"/>
            <Option name="size" type="QString" value="4"/>
            <Option name="size_unit" type="QString" value="MM"/>
          </Option></layer>
        </symbol>
      </symbols></renderer-v2>
"""
RASTER = """\
      <pipe>
        <rasterrenderer {bands} alphaBand="-1" opacity="{opacity}">{more}</rasterrenderer>
      </pipe>
      <blendMode>0</blendMode>
"""
GREY = 'type="singlebandgray" grayBand="1" gradient="BlackToWhite"'
COLOUR = 'type="multibandcolor" redBand="1" greenBand="2" blueBand="3"'


def _write_points(
    frame: ExportFrame, paths: tuple[Path, ...], targets: tuple[Path, ...], options: ExportOptions
) -> None:
    paths[0].write_text(points_text(frame), encoding="utf-8")
    if len(paths) == 1:
        return
    _, virtual, project = paths
    with raise_write_failures(virtual, []):
        write_vrt(frame, virtual, partial(_set_points, frame))
        with rasterio.open(virtual, driver="VRT") as photo:
            bands = COLOUR if photo.count >= 3 else GREY
        # The light map used to locate the photo, if it is a raster and unchanged, is the lowest
        maps = find_settings_files(frame.stored.parameters).lights
        rasters = (path for path in maps if path.suffix.lower() in (".tif", ".tiff", ".vrt"))
        light_map = next(rasters, None)
        lon, lat = np.array(continuous_lon(frame)), np.array([point.lat for point in frame.points])
        # Half a degree around the points
        box = lon.min() - 0.5, lat.min() - 0.5, lon.max() + 0.5, lat.max() + 0.5
        lights = None if light_map is None else _draw_lights(light_map, box)
    title = UNHOLDABLE_IN_XML.sub("_", frame.result.frame)
    crs = CRS.format(wkt=escape(wgs84("WKT2_2019")))
    # The file's first line is the reference system, the second the columns' names
    columns = "type=csv&skipLines=1&xField=mapX&yField=mapY&crs=EPSG:4326"
    vector, raster = 'type="vector" geometry="Point"', 'type="raster"'
    shown = [
        ("points", "Control points", f"file:./{quote(targets[0].name)}?{columns}", "delimitedtext",
         vector, RINGS),
        ("photo", title, f"./{targets[1].name}", "gdal", raster,
         RASTER.format(bands=bands, opacity="0.7", more="")),
    ]  # fmt: skip
    if light_map is not None and lights:
        shown.append(("lights", "Night lights", str(light_map.absolute()), "gdal", raster, lights))
    tree = layers = order = ""
    for identifier, name, source, provider, kind, own in shown:
        fields = {"id": identifier, "provider": provider, "kind": kind, "style": own, "crs": crs}
        fields |= {"name": escape(name), "name_attribute": quoteattr(name)}
        fields["encoding"] = ' encoding="UTF-8"' if kind == vector else ""
        fields |= {"source": escape(source), "source_attribute": quoteattr(source)}
        tree += TREE.format(**fields)
        layers += LAYER.format(**fields)
        order = f'    <layer id="{identifier}"/>\n{order}'  # the lowest first
    text = PROJECT.format(
        *box, title=escape(title), title_attribute=quoteattr(title), crs=crs, tree=tree,
        layers=layers, order=order,
    )  # fmt: skip
    project.write_text(text, encoding="utf-8")


def _draw_lights(light_map: Path, seen: tuple[float, ...]) -> str | None:
    """Style of the light map, dark to the brightest light in view; None if QGIS cannot show it."""
    from rasterio.enums import ColorInterp
    from rasterio.windows import from_bounds

    if UNHOLDABLE_IN_XML.search(str(light_map.absolute())):
        return None
    driver = "VRT" if light_map.suffix.lower() == ".vrt" else "GTiff"
    with rasterio.open(light_map, driver=driver) as dataset:
        if dataset.crs is None or dataset.crs.to_epsg() != 4326:
            return None
        window = from_bounds(*seen, transform=dataset.transform).round_offsets().round_lengths()
        shape = min(512, round(window.height) or 1), min(512, round(window.width) or 1)
        light = dataset.read(1, window=window, boundless=True, fill_value=0, out_shape=shape)
        palette = dataset.colormap(1) if dataset.colorinterp[0] == ColorInterp.palette else None
    if palette:
        entries = "".join(
            f'<paletteEntry color="#{red:02x}{green:02x}{blue:02x}" alpha="{alpha}" '
            f'value="{index}" label=""/>'
            for index, (red, green, blue, alpha) in palette.items()
        )
        more = f"<colorPalette>{entries}</colorPalette>"
        return RASTER.format(bands='type="paletted" band="1"', opacity="1", more=more)
    known = light[np.isfinite(light)].astype(float)
    bright = float(np.percentile(known, 99.5)) if known.size else 0.0  # it is drawn white
    more = (
        f"<contrastEnhancement><minValue>0</minValue><maxValue>{max(bright, 1e-3):.6g}</maxValue>"
        "<algorithm>StretchToMinimumMaximum</algorithm></contrastEnhancement>"
    )
    return RASTER.format(bands=GREY, opacity="1", more=more)


FORMATS = {
    "gcp": GCP,
    "qgis": FolderFormat(
        files={
            "points": ("{photo}.points",),
            # The points, the photo's virtual raster, and the project
            "project": ("{photo}.points", "{stem}.gcp.vrt", "{stem}.qgs"),
        },
        usual=("points",),
        write=_write_points,
        needs=("points",),
        places_photo=True,
    ),
}
