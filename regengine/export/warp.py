"""Warp a photo onto a map projection by its camera, block by block.

The position in the photo is computed exactly for every sixteenth pixel of the map. Between these
nodes it is interpolated linearly if the error is below a fiftieth of a pixel. It is computed
exactly where the error would be greater, and at the edges of the photo, the visible ground or the
region of incidence below 80 degrees.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

# Parses only files that GDAL has written for us
from xml.etree import ElementTree

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import geodetic_to_ecef, incidence_deg
from matchers.geometry.footprint import MAX_INCIDENCE_DEG, Bounds, trace_visible_outline
from regengine.errors import ConfigError, FrameError
from regengine.export.formats import UNHOLDABLE_IN_XML, LeftOutError
from regengine.frames.frame import ExportFrame
from regengine.io.checksums import compute_sha256
from regengine.io.plain import make_printable

MAX_PIXELS = 400_000_000
PER_SIDE = 65  # nodes along each side of the photo for extent and resolution
# Quantile of the photo's resolution on the ground: a quarter of the photo is finer than the pixels
# of the map
DETAIL_SHARE = 0.25
TORN = 30.0  # times the median stretch from ground to map: the map's edge lies between


@dataclass(frozen=True)
class OutputGrid:
    """A north-up grid of square pixels.

    The coordinate reference system is one that PROJ understands; ``west``, ``north`` (the upper
    left corner) and ``resolution`` (size of a pixel) are in its units.
    """

    crs: str
    west: float
    north: float
    resolution: float
    width: int
    height: int

    @property
    def bounds(self) -> Bounds:
        east, south = self.width * self.resolution, self.height * self.resolution
        return self.west, self.north - south, self.west + east, self.north

    def lonlat(self, column: FloatArray, row: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Longitude and latitude of grid positions, degrees.

        Columns and rows are zero-based, with integers at pixel centres; longitude and latitude are
        NaN or infinite where the projection is undefined.
        """
        x = self.west + (column + 0.5) * self.resolution
        y = self.north - (row + 0.5) * self.resolution
        lon, lat = _transformer(self.crs, "EPSG:4326").transform(x, y)
        return lon, lat


def map_grid(camera: Camera, crs: str, resolution: float | None) -> OutputGrid:
    """The grid that covers all ground visible in a photo up to 80 degrees of incidence.

    The resolution is the size of pixels. None: it follows from the photo's own resolution, so that
    three quarters of the photo keep their detail. Corners of the grid are at multiples of the
    resolution, so that grids of equal resolution are aligned. Where the projection wraps around the
    Earth, x continues beyond its edge. LeftOutError if no ground is visible, the projection is
    undefined there, or there would be too many pixels; ConfigError if there is no such coordinate
    reference system.
    """
    forward = _transformer("EPSG:4326", crs)
    pixels = np.linspace(0.0, camera.width_px - 1.0, PER_SIDE)
    px, py = np.meshgrid(pixels, np.linspace(0.0, camera.height_px - 1.0, PER_SIDE))
    x, y = _locate_on_map(camera, px, py, forward)
    edge_x, edge_y = _locate_on_map(camera, *trace_visible_outline(camera), forward)
    all_x, all_y = (np.concatenate([a.ravel(), b]) for a, b in ((x, edge_x), (y, edge_y)))
    seen = np.isfinite(all_x) & np.isfinite(all_y)
    if not seen.any():
        raise LeftOutError(f"none of its ground is inside {crs}")
    whole = _round_the_earth(forward)
    if whole is not None:
        middle = all_x[seen][0]
        x, all_x = (a - whole * np.round((a - middle) / whole) for a in (x, all_x))
    elif _is_torn(camera, px, py, x, y):
        raise LeftOutError(
            f"its ground crosses the edge of {crs}: give another --crs, such as EPSG:4326 or that "
            "of its UTM zone"
        )
    size = resolution
    if size is None:
        # Side of the square on the map that a pixel covers, in the finer parts of the photo
        across, down = (
            (side - 1.0) / (PER_SIDE - 1) for side in (camera.width_px, camera.height_px)
        )
        (xx, yx), (xy, yy) = (
            [np.diff(a, axis=1)[:-1] / across for a in (x, y)],
            [np.diff(a, axis=0)[:, :-1] / down for a in (x, y)],
        )
        area = np.abs(xx * yy - xy * yx)
        area = area[np.isfinite(area) & (area > 0.0)]
        if not area.size:
            raise LeftOutError("too little of it is ground: give --resolution")
        size = float(np.sqrt(np.quantile(area, DETAIL_SHARE)))
    west, south = (math.floor(a[seen].min() / size) for a in (all_x, all_y))
    east, north = (math.ceil(a[seen].max() / size) for a in (all_x, all_y))
    width, height = max(east - west, 1), max(north - south, 1)
    if width * height > MAX_PIXELS:
        raise LeftOutError(
            f"at a resolution of {size:g} the map would have {width:,} x {height:,} pixels: give a "
            "larger --resolution"
        )
    return OutputGrid(crs, west * size, north * size, size, width, height)


def _round_the_earth(forward: Any) -> float | None:
    """Increase of x for 360 degrees of longitude; None where it varies with latitude."""
    if forward.target_crs.is_geographic:
        return 360.0
    lon = np.arange(-180.0, 180.0)
    with np.errstate(invalid="ignore"):
        steps = np.diff([forward.transform(lon, np.full(360, lat))[0] for lat in (0.0, 50.0)])
    step = float(np.median(steps))
    # All steps except the one across the edge, at whatever longitude that is
    even = np.abs(steps - step) < 1e-6 * abs(step)
    return 360.0 * step if step and (even.sum(axis=1) >= lon.size - 2).all() else None


def _is_torn(camera: Camera, px: FloatArray, py: FloatArray, x: FloatArray, y: FloatArray) -> bool:
    """Whether neighbouring pixels are close on the ground but far apart on the map."""
    ground = camera.pixel_to_ecef(px, py)
    for axis in (0, 1):
        apart = np.linalg.norm(np.diff(ground, axis=axis), axis=-1)
        stretch = np.hypot(np.diff(x, axis=axis), np.diff(y, axis=axis)) / apart
        stretch = stretch[np.isfinite(stretch)]
        if stretch.size and stretch.max() > TORN * np.median(stretch):
            return True
    return False


def _locate_on_map(
    camera: Camera, px: FloatArray, py: FloatArray, forward: Any
) -> tuple[FloatArray, FloatArray]:
    """Map coordinates of pixels; NaN for sky and grazing incidence."""
    ground = camera.pixel_to_ecef(px, py)
    angle = incidence_deg(camera.position_ecef_m, ground)
    lon, lat = camera.pixel_to_lonlat(px, py)
    flat = ~(angle <= MAX_INCIDENCE_DEG + 1e-3)
    x, y = forward.transform(np.where(flat, np.nan, lon), np.where(flat, np.nan, lat))
    return np.where(np.isfinite(x), x, np.nan), np.where(np.isfinite(y), y, np.nan)


@lru_cache(maxsize=4)
def _transformer(source: str, target: str) -> Any:
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    try:
        return Transformer.from_crs(source, target, always_xy=True)
    except ProjError as error:
        wrong = source if target == "EPSG:4326" else target
        raise ConfigError(
            f"--crs {wrong} is unknown to PROJ: give one such as EPSG:4326, EPSG:3857 or that of "
            "a UTM zone, EPSG:32601 to EPSG:32760."
        ) from error


BLOCK = 512
STRIDE = 16
GOOD_ENOUGH_PX = 0.02
HIDDEN_DEG = 86.0  # incidence far beyond the limit, which interpolation cannot reach


@dataclass(frozen=True, kw_only=True, eq=False)
class MapBlock:
    """A block of the map, and its positions in the photo."""

    # column, row: upper left pixel.
    column: int
    row: int
    # Positions in the photo, pixels, shape (height, width); outside the photo where nothing is
    # visible.
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    # Whether the photo shows the place, at no more than 80 degrees of incidence.
    seen: NDArray[np.bool_]


def map_blocks(camera: Camera, grid: OutputGrid) -> Iterator[MapBlock]:
    """Iterate over the blocks of a map from the upper left, row by row."""

    def locate(columns: FloatArray, rows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Positions in the photo and incidence; NaN where the lens model is undefined."""
        with np.errstate(invalid="ignore"):
            lon, lat = grid.lonlat(*np.meshgrid(column + columns, row + rows))
            known = np.isfinite(lon) & np.isfinite(lat)
            ground = geodetic_to_ecef(np.where(known, lon, np.nan), np.where(known, lat, np.nan))
            angle = incidence_deg(camera.position_ecef_m, ground)
            local = (ground - np.asarray(camera.position_ecef_m)) @ camera.matrix
            x, y = camera.image_of(np.where(camera.holds(local)[..., None], local, np.nan))
        return x, y, angle

    for row, column in product(range(0, grid.height, BLOCK), range(0, grid.width, BLOCK)):
        height, width = min(BLOCK, grid.height - row), min(BLOCK, grid.width - column)
        columns, rows = _choose_nodes(width), _choose_nodes(height)
        nodes = locate(columns, rows)
        exact = locate(*((along[1:] + along[:-1]) / 2.0 for along in (columns, rows)))
        straight = [(n[1:, 1:] + n[:-1, 1:] + n[1:, :-1] + n[:-1, :-1]) / 4.0 for n in nodes]
        miss = [np.abs(a - b) for a, b in zip(exact, straight, strict=True)]
        # The same tolerance is sufficient for incidence in degrees; NaN never passes
        if all(bool((one <= GOOD_ENOUGH_PX).all()) for one in miss):
            x, y, angle = (_interpolate_nodes(n, rows, columns) for n in nodes)
        elif all((np.isnan(x) | ~(angle < HIDDEN_DEG)).all() for x, _, angle in (nodes, exact)):
            x = y = angle = np.full((height, width), np.nan)
        else:
            x, y, angle = locate(np.arange(width, dtype=float), np.arange(height, dtype=float))
        with np.errstate(invalid="ignore"):
            seen = (x >= -0.5) & (x <= camera.width_px - 0.5)
            seen &= (y >= -0.5) & (y <= camera.height_px - 0.5) & (angle <= MAX_INCIDENCE_DEG)
        at_x, at_y = (np.where(seen, one, -2.0).astype(np.float32) for one in (x, y))
        yield MapBlock(column=column, row=row, x=at_x, y=at_y, seen=seen)


INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
}


def draw_block(block: MapBlock, photo: NDArray[np.uint8], resampling: str) -> NDArray[np.uint8]:
    """A block's colours, shape (height, width, 3); black where nothing is visible.

    ``resampling`` is one of `regengine.export.formats.RESAMPLINGS`.
    """
    how = INTERPOLATIONS[resampling]
    colours = cv2.remap(photo, block.x, block.y, how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(np.where(block.seen[..., None], colours, 0), np.uint8)


def spread(
    grid: OutputGrid, block: MapBlock, value: Callable[[FloatArray, FloatArray], FloatArray]
) -> NDArray[np.float32]:
    """Evaluate a smooth function of longitude and latitude over a block, shape (height, width).

    ``value`` takes longitudes and latitudes, shape (n,), and returns positive values. NaN where
    nothing is visible.
    """
    height, width = block.seen.shape
    found = np.full((height, width), np.nan, np.float32)
    if not block.seen.any():
        return found
    rows, columns = _choose_nodes(height), _choose_nodes(width)
    lon, lat = grid.lonlat(*np.meshgrid(block.column + columns, block.row + rows))
    nodes = np.log(value(lon.ravel(), lat.ravel()).reshape(lon.shape))
    smooth = np.exp(_interpolate_nodes(nodes, rows, columns))
    found[block.seen] = smooth[block.seen]
    rest = block.seen & ~np.isfinite(smooth)
    if rest.any():
        row, column = np.nonzero(rest)
        lon, lat = grid.lonlat(block.column + column.astype(float), block.row + row.astype(float))
        found[rest] = value(lon, lat)
    return found


def _choose_nodes(count: int) -> FloatArray:
    """Every sixteenth pixel and the last."""
    return np.append(np.arange(0, count - 1, STRIDE, dtype=float), float(count - 1))


def _interpolate_nodes(nodes: FloatArray, rows: FloatArray, columns: FloatArray) -> FloatArray:
    """Interpolate linearly between nodes; the last node is the last pixel."""
    down, across = (
        np.array([np.interp(np.arange(n[-1] + 1.0), n, one) for one in np.eye(len(n))])
        for n in (rows, columns)
    )
    return np.asarray(down.T @ nodes @ across)


# GDAL drivers by file content: others would follow names and addresses in a file
DRIVERS = {"jpeg": "JPEG", "png": "PNG", "tiff": "GTiff", "fits": "FITS"}


def find_photo(frame: ExportFrame) -> Path:
    """Path of the photo; `LeftOutError` if it is missing or has changed."""
    path = frame.photo
    if path is None:
        raise LeftOutError(
            "the photo is missing: put it beside the store, or name the folder where it is now "
            "with --photos of export, overlay or review"
        )
    if compute_sha256(path) != frame.result.sha256:
        raise LeftOutError("the photo's file has changed (its SHA-256 differs)")
    return path


def scale_to_picture(camera: Camera, factor: float, shape: tuple[int, ...]) -> Camera:
    """The camera of a photo read at a factor, (height, width); LeftOutError if sizes differ."""
    height, width = shape[:2]
    if abs(width - camera.width_px * factor) > 1.0 or abs(height - camera.height_px * factor) > 1.0:
        raise LeftOutError("the photo's size differs from its camera's")
    return camera if factor == 1.0 else camera.scaled(factor, width, height)


# Georeferenced virtual rasters of a photo's pixels, and GDAL's auxiliary files next to a photo. The
# photo itself is never opened for writing: GDAL would rewrite it.


def metadata(frame: ExportFrame) -> dict[str, str]:
    """Metadata for a raster about the source of its georeferencing."""
    result = frame.result
    values: dict[str, Any] = {
        "FRAME": result.frame,
        "VERDICT": frame.verdict,
        "REVIEWER": None if frame.review is None else frame.review.reviewer,
        "DECISION": None if frame.review is None else frame.review.decision,
        "PROBABILITY": result.probability,
        "TIME_UTC": result.time_utc,
        "PHOTO_SHA256": result.sha256,
        "SIGMA_M": frame.worst_sigma_m,
        "LIGHTS": result.map_title,
        "VERSION": result.engine_version,
    }
    known = {f"REGENGINE_{key}": value for key, value in values.items() if value is not None}
    return {key: UNHOLDABLE_IN_XML.sub("_", str(value)) for key, value in known.items()}


def write_vrt(frame: ExportFrame, path: Path, place: Callable[[Any], None]) -> None:
    """Write a virtual raster of the photo's pixels.

    ``place`` takes it as a rasterio dataset and georeferences it; georeferencing in the photo's own
    file is removed.
    """
    import rasterio
    import rasterio.shutil
    from rasterio.errors import RasterioError

    from regengine.io.gdal import open_gdal_session
    from regengine.photo.formats import read_photo_file

    source = find_photo(frame)
    if make_printable(str(source.absolute())) != str(source.absolute()):
        raise LeftOutError("GDAL cannot be given a name that is not UTF-8: rename the photo")
    try:
        driver = DRIVERS.get(read_photo_file(source).format)
    except FrameError as error:
        raise LeftOutError(str(error)) from error
    if driver is None:
        raise LeftOutError("GDAL cannot read raw files: convert it to TIFF")
    with open_gdal_session():
        try:
            # An absolute path: otherwise a folder called "http:" would make GDAL fetch what is
            # below it
            photo = rasterio.open(source.absolute(), driver=driver)
        except RasterioError as error:
            raise LeftOutError(f"GDAL cannot read the photo ({error})") from error
        with photo:
            if (photo.width, photo.height) != (frame.result.width_px, frame.result.height_px):
                raise LeftOutError("GDAL sees another picture size in the photo's file")
            if any(colour.name == "palette" for colour in photo.colorinterp):
                raise LeftOutError("it has a colour palette: save it in full colour")
            if UNHOLDABLE_IN_XML.search(photo.name) or "\r" in photo.name:
                raise LeftOutError("the name of the photo's file is not valid in XML")
            rasterio.shutil.copy(photo, path, driver="VRT")
            virtual = ElementTree.parse(path)  # noqa: S314 - ours
            for part in filter(_is_place, list(virtual.getroot())):
                virtual.getroot().remove(part)
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
    """Whether an element of a virtual raster, or a domain of its metadata, georeferences it."""
    return part.tag in ("SRS", "GeoTransform", "GCPList") or part.get("domain") in (
        "RPC",
        "GEOLOCATION",
    )
