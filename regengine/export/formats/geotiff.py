"""Photos warped onto a map: cloud-optimised GeoTIFF, positional uncertainty, and a record.

The set of files that NASA delivers for a georeferenced astronaut photo; the un-warped image with
control points is ``--format gcp --files tif``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import geodetic_to_ecef
from regengine.errors import ConfigError, FrameError
from regengine.export import warp
from regengine.export.formats import ExportOptions, FolderFormat, LeftOutError
from regengine.frames.columns import frame_record
from regengine.frames.frame import ExportFrame, ExportPoint
from regengine.registration.control_points import MAP_SIGMA_M, ground_jacobian

STEP = 1e-5  # of the numerical derivatives: radians, and of the logarithm of the focal length


def estimate_ground_sigma(
    camera: Camera, points: tuple[ExportPoint, ...]
) -> Callable[[FloatArray, FloatArray], FloatArray]:
    """A function of longitude and latitude: one sigma per axis on the ground, metres.

    It propagates the covariance of a solved camera, from at least one control point: of three
    rotations (radians, about the camera's axes) and the logarithm of the focal length.
    """
    lon, lat = np.array([p.lon for p in points]), np.array([p.lat for p in points])
    flow = differentiate_pixels(camera, geodetic_to_ecef(lon, lat))
    # Covariances of the points in the image, shape (n, 2, 2); from residuals where unknown
    x, y = camera.lonlat_to_pixel(lon, lat)
    miss = np.hypot(x - [p.x for p in points], y - [p.y for p in points])
    usual_px = float(np.sqrt(np.nanmean(miss**2) / 2.0)) if np.isfinite(miss).any() else 0.0
    covariances = []
    for point in points:
        variance = (point.sigma_px or max(1.0, usual_px)) ** 2
        xx, xy, yy = point.covariance_px or (variance, 0.0, variance)
        covariances.append([[xx, xy], [xy, yy]])
    # Minimum uncertainty: a hundredth of a pixel
    known = np.array(covariances) + 1e-4 * np.eye(2)
    seen = np.isfinite(flow).all(axis=(1, 2))
    flow, known = flow[seen], known[seen]
    # Priors without points: rotations to some tenths of a radian, the focal length to some per cent
    normal = np.diag(np.array([0.3, 0.3, 0.3, 0.05]) ** -2.0)
    for rows, covariance in zip(flow, known, strict=True):
        normal = normal + rows.T @ np.linalg.solve(covariance, rows)
    left_open: FloatArray = np.asarray(np.linalg.inv(normal), np.float64)
    explained_px2 = [np.trace(rows @ left_open @ rows.T) for rows in flow]
    scale = np.mean([np.trace(c) for c in known]) / np.mean(explained_px2) if explained_px2 else 1.0
    of_camera = left_open * max(float(scale), 1.0)

    def sigma_m(lon: FloatArray, lat: FloatArray) -> FloatArray:
        flow = differentiate_pixels(camera, geodetic_to_ecef(lon, lat))
        in_image = np.einsum("nip,pq,njq->nij", flow, of_camera, flow)
        pixels = ground_jacobian(camera, lon, lat)
        flat = ~(np.abs(np.linalg.det(pixels)) > 1e-15)
        pixels = np.where(flat[:, None, None], np.eye(2), pixels)
        metres = np.where(flat[:, None, None], np.nan, np.linalg.inv(pixels))
        on_ground = np.einsum("nij,njk,nlk->nil", metres, in_image, metres)
        variance = np.trace(on_ground, axis1=1, axis2=2) / 2.0
        return np.asarray(np.sqrt(variance + MAP_SIGMA_M**2))

    return sigma_m


def differentiate_pixels(camera: Camera, ground_ecef_m: FloatArray) -> FloatArray:
    """Derivatives of the pixels of ground points by three rotations and the log focal length."""
    turned = Rotation.from_quat(camera.quaternion)
    moved = []
    for sign in (1.0, -1.0):
        for axis in np.eye(3):
            qx, qy, qz, qw = (turned * Rotation.from_rotvec(sign * STEP * axis)).as_quat().tolist()
            moved.append(replace(camera, quaternion=(qx, qy, qz, qw)))
        moved.append(replace(camera, focal_px=camera.focal_px * (1.0 + sign * STEP)))
    pixels = np.array([one.ecef_to_pixel(ground_ecef_m) for one in moved])
    return np.moveaxis((pixels[:4] - pixels[4:]) / (2.0 * STEP), -1, 0).swapaxes(1, 2)


# Bands of the rasters
PROFILES: dict[str, dict[str, Any]] = {
    "warped": {"count": 3, "dtype": "uint8"},
    "sigma": {"count": 1, "dtype": "float32", "nodata": float("nan")},
}
# Creation options that change the grid, which the record tells
GRID_OPTIONS = ("TARGET_SRS", "TILING_SCHEME", "EXTENT", "RES")


def creation_options(options: ExportOptions) -> dict[str, str]:
    """Creation options of GDAL's driver COG: the given ones, and ours for the others."""
    given = dict(one.split("=", 1) for one in options.creation)
    given = {key.strip().upper(): value.strip() for key, value in given.items()}
    ours = {
        "BLOCKSIZE": str(warp.BLOCK),
        "OVERVIEW_RESAMPLING": "NEAREST" if options.resampling == "nearest" else "AVERAGE",
        "BIGTIFF": "IF_SAFER",
    }
    if "COMPRESS" not in given:
        ours |= {"COMPRESS": "DEFLATE", "LEVEL": "6", "PREDICTOR": "YES"}
    return ours | given


def check_creation(options: ExportOptions) -> None:
    """ConfigError for creation options that GDAL does not know, or not for the chosen files."""
    if not options.creation:
        return
    import rasterio
    import rasterio.shutil
    from affine import Affine
    from rasterio.io import MemoryFile

    from regengine.io.gdal import capture_complaints, open_gdal_session

    for one in options.creation:
        key, is_given, _ = one.partition("=")
        if not (is_given and key.strip()):
            raise ConfigError(f"--co {one}: write KEY=VALUE, such as COMPRESS=JPEG.")
        if key.strip().upper() in GRID_OPTIONS:
            raise ConfigError(f"--co {one}: the grid is that of --crs and --resolution.")
    known = creation_options(options)
    for kind in (one for one in PROFILES if one in GEOTIFF.kinds(options)):
        place = {"crs": "EPSG:4326", "transform": Affine(0.01, 0.0, 0.0, 0.0, -0.01, 0.0)}
        profile = PROFILES[kind] | place | {"width": 64, "height": 64}
        # GDAL says of an image without bands whether it knows options and values, and then does
        # not use them: some would end the process
        for count in (0, profile["count"]):
            with open_gdal_session(), capture_complaints() as said, MemoryFile(ext=".tif") as out:
                try:
                    wanted = profile | {"count": count}
                    with rasterio.open("", "w", driver="MEM", **wanted) as empty:
                        rasterio.shutil.copy(empty, out.name, driver="COG", **known)
                except Exception as error:  # GDAL's have no class that is public
                    if count:
                        said.insert(0, str(error))
            if said:
                what = re.sub(r"/vsimem/\S*: ", "", said[0]).rstrip(".")
                asked = " --co ".join(options.creation)
                raise ConfigError(
                    f"--co {asked}: GDAL says of the {kind} file: {what}; "
                    "see https://gdal.org/drivers/raster/cog.html, or leave files out with --files."
                )


@contextmanager
def cloud_optimised(
    path: Path,
    grid: warp.OutputGrid,
    frame: ExportFrame,
    profile: dict[str, Any],
    options: ExportOptions | None = None,
) -> Iterator[Any]:
    """A raster to write block by block, converted to a cloud-optimised GeoTIFF at the end."""
    import rasterio
    import rasterio.shutil
    from affine import Affine

    from regengine.io.gdal import raise_write_failures

    draft = path.with_name(f"{path.name}.draft.tif")
    profile = profile | {
        "width": grid.width,
        "height": grid.height,
        "crs": rasterio.crs.CRS.from_user_input(grid.crs),
        "transform": Affine(grid.resolution, 0.0, grid.west, 0.0, -grid.resolution, grid.north),
        "tiled": True,
        "blockxsize": warp.BLOCK,
        "blockysize": warp.BLOCK,
        "bigtiff": "if_safer",
        "interleave": "pixel",
    }
    with raise_write_failures(path, [draft]), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        with rasterio.open(draft, "w", driver="GTiff", **profile) as raster:
            raster.update_tags(**warp.metadata(frame))
            yield raster
        rasterio.shutil.copy(
            draft, path, driver="COG", **creation_options(options or ExportOptions())
        )


def _write(
    frame: ExportFrame, paths: tuple[Path, ...], targets: tuple[Path, ...], options: ExportOptions
) -> None:
    from rasterio.windows import Window

    camera = frame.camera
    assert camera is not None
    grid = warp.map_grid(camera, options.crs, options.resolution)

    def each_window(camera: Camera) -> Iterator[tuple[warp.MapBlock, Window]]:
        for block in warp.map_blocks(camera, grid):
            height, width = block.seen.shape
            yield block, Window(block.column, block.row, width, height)

    for kind, path in zip(GEOTIFF.kinds(options), paths, strict=True):
        if kind == "warped":  # in colour; a mask excludes pixels without data
            reduced, photo = read_photo(frame, camera, grid, options)
            with cloud_optimised(path, grid, frame, PROFILES[kind], options) as raster:
                for block, window in each_window(reduced):
                    colours = warp.draw_block(block, photo, options.resampling)
                    raster.write(np.moveaxis(colours, -1, 0), window=window)
                    raster.write_mask(block.seen, window=window)
        elif kind == "sigma":  # NaN without data
            known = estimate_ground_sigma(camera, frame.points)
            with cloud_optimised(path, grid, frame, PROFILES[kind], options) as raster:
                raster.set_band_description(1, "1 sigma per axis on the ground, metres")
                raster.set_band_unit(1, "m")
                for block, window in each_window(camera):
                    raster.write(warp.spread(grid, block, known), 1, window=window)
        else:
            of_map = {"crs": grid.crs, "resolution": grid.resolution}
            of_map |= {"width_px": grid.width, "height_px": grid.height}
            of_map["upper_left"] = [grid.west, grid.north]
            path.write_text(frame_record(frame, map=of_map), encoding="utf-8")


def read_photo(
    frame: ExportFrame, camera: Camera, grid: warp.OutputGrid, options: ExportOptions
) -> tuple[Camera, np.ndarray]:
    """The photo, reduced if the map is coarser, and its camera.

    Its pixels are taken as they are for ``--resampling nearest``.
    """
    from regengine.photo.image import read_display_rgb

    longest = max(camera.width_px, camera.height_px)
    if options.resolution is not None and options.resampling != "nearest":
        coarser = grid.resolution / warp.map_grid(camera, options.crs, None).resolution
        if coarser >= 2.0:  # a reduced photo is warped
            longest = max(round(longest / coarser), 1)
    try:
        rgb, factor = read_display_rgb(warp.find_photo(frame), max_long_side_px=longest)
    except FrameError as error:
        raise LeftOutError(str(error)) from error
    return warp.scale_to_picture(camera, factor, rgb.shape), rgb


GEOTIFF = FolderFormat(
    files={
        "warped": ("{stem}.warped.tif",),
        "sigma": ("{stem}.sigma.tif",),
        "record": ("{stem}.json",),
    },
    write=_write,
    check=check_creation,
    needs=("camera", "points"),
)
FORMATS = {"geotiff": GEOTIFF}
