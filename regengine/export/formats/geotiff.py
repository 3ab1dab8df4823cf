"""Photos warped onto the map: cloud-optimised GeoTIFF, how well each pixel is placed, and a record.

The set that NASA delivers for a georeferenced astronaut photo; the un-warped picture with control
points is ``--format gcp --as tif``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from matchers.camera import Camera
from regengine.errors import ConfigError, FrameError
from regengine.export.columns import frame_row, point_rows
from regengine.export.format import FolderFormat, LeftOutError, no_camera, no_points
from regengine.export.frame import ExportFrame
from regengine.export.ground_control import metadata
from regengine.export.ground_sigma import ground_sigma
from regengine.export.map_grid import MapGrid, map_grid
from regengine.export.names import photo_stem
from regengine.export.options import ExportOptions
from regengine.export.photo_raster import photo_of
from regengine.export.warp import BLOCK, drawn, map_blocks, spread
from regengine.plain_json import plain
from regengine.records import printable

# A map of pixels this much larger than the photo's is drawn from a smaller copy of the photo
COARSE = 2.0


def write_warped(frame: ExportFrame, path: Path, grid: MapGrid, options: ExportOptions) -> None:
    """The photo in its colours; a mask tells where it shows nothing."""
    from rasterio.windows import Window

    camera, photo = _photo(frame, grid, options)
    with cloud_optimised(path, grid, frame, {"count": 3, "dtype": "uint8"}) as raster:
        for block in map_blocks(camera, grid):
            height, width = block.seen.shape
            window = Window(block.column, block.row, width, height)
            raster.write(np.moveaxis(drawn(block, photo), -1, 0), window=window)
            raster.write_mask(block.seen, window=window)


def write_sigma(frame: ExportFrame, path: Path, grid: MapGrid, options: ExportOptions) -> None:
    """One sigma per axis of the place of each pixel, metres; NaN where it shows nothing."""
    from rasterio.windows import Window

    assert frame.camera is not None
    known = ground_sigma(frame.camera, frame.points)
    profile = {"count": 1, "dtype": "float32", "nodata": float("nan")}
    with cloud_optimised(path, grid, frame, profile) as raster:
        raster.set_band_description(1, "one sigma per axis on the ground, metres")
        raster.set_band_unit(1, "m")
        for block in map_blocks(frame.camera, grid):
            height, width = block.seen.shape
            window = Window(block.column, block.row, width, height)
            raster.write(spread(grid, block, known.at), 1, window=window)


def write_record(frame: ExportFrame, path: Path, grid: MapGrid, options: ExportOptions) -> None:
    """What is known of the photo and of the map, as JSON."""
    assert frame.camera is not None
    told: dict[str, Any] = {
        "frame": frame_row(frame),
        "camera": {"model": "pinhole", **asdict(frame.camera)},
        "control_points": point_rows(frame),
        "map": {
            "crs": grid.crs,
            "resolution": grid.resolution,
            "width_px": grid.width,
            "height_px": grid.height,
            "upper_left": [grid.west, grid.north],
        },
    }
    text = json.dumps(plain(told, printable), indent=2, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


Writer = Callable[[ExportFrame, Path, MapGrid, ExportOptions], None]
KINDS: dict[str, tuple[str, Writer]] = {
    "warped": (".warped.tif", write_warped),
    "sigma": (".sigma.tif", write_sigma),
    "record": (".json", write_record),
}


@contextmanager
def cloud_optimised(
    path: Path, grid: MapGrid, frame: ExportFrame, profile: dict[str, Any]
) -> Iterator[Any]:
    """A raster to write block by block, which becomes a cloud-optimised GeoTIFF at the end."""
    import rasterio
    import rasterio.shutil
    from affine import Affine

    from regengine.lights.writing import writing

    draft = path.with_name(f"{path.name}.draft.tif")
    profile = profile | {
        "width": grid.width,
        "height": grid.height,
        "crs": rasterio.crs.CRS.from_user_input(grid.crs),
        "transform": Affine(grid.resolution, 0.0, grid.west, 0.0, -grid.resolution, grid.north),
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "bigtiff": "if_safer",
        "interleave": "pixel",
    }
    with writing(path, [draft]), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        with rasterio.open(draft, "w", driver="GTiff", **profile) as raster:
            raster.update_tags(**metadata(frame))
            yield raster
        rasterio.shutil.copy(
            draft,
            path,
            driver="COG",
            compress="DEFLATE",
            level=6,
            predictor="YES",
            blocksize=BLOCK,
            overview_resampling="AVERAGE",
            bigtiff="IF_SAFER",
        )


def _photo(frame: ExportFrame, grid: MapGrid, options: ExportOptions) -> tuple[Camera, np.ndarray]:
    """The photo, brought down where the map is coarser, and its camera."""
    from regengine.image import read_display_rgb

    camera = frame.camera
    assert camera is not None
    longest = max(camera.width_px, camera.height_px)
    if options.resolution is not None:
        coarser = grid.resolution / map_grid(camera, options.crs, None).resolution
        if coarser >= COARSE:
            longest = max(round(longest / coarser), 1)
    try:
        rgb, factor = read_display_rgb(photo_of(frame), max_long_side_px=longest)
    except FrameError as error:
        raise LeftOutError(str(error)) from error
    height, width = rgb.shape[:2]
    if abs(width - camera.width_px * factor) > 1.0 or abs(height - camera.height_px * factor) > 1.0:
        raise LeftOutError("the photo has another size than its camera")
    return (camera if factor == 1.0 else camera.scaled(factor, width, height)), rgb


def _lacks(frame: ExportFrame) -> str:
    return no_camera(frame) or no_points(frame)


def _kinds(options: ExportOptions) -> tuple[str, ...]:
    kinds = options.kinds or tuple(KINDS)
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise ConfigError(f"--as {unknown[0]}: it is none of {', '.join(KINDS)}.")
    if options.resolution is not None and not 0.0 < options.resolution < float("inf"):
        raise ConfigError(f"--resolution {options.resolution}: give the size of a pixel, above 0.")
    return kinds


def _names(photo: str, options: ExportOptions) -> tuple[str, ...]:
    return tuple(f"{photo}{KINDS[kind][0]}" for kind in _kinds(options))


def _write(
    frame: ExportFrame, paths: tuple[Path, ...], targets: tuple[Path, ...], options: ExportOptions
) -> None:
    assert frame.camera is not None
    grid = map_grid(frame.camera, options.crs, options.resolution)
    for kind, path in zip(_kinds(options), paths, strict=True):
        KINDS[kind][1](frame, path, grid, options)


FORMAT = FolderFormat(
    summary="photos warped onto the map, with how well each pixel is placed, files a photo",
    names=_names,
    write=_write,
    lacks=_lacks,
    photo_name=photo_stem,
)
