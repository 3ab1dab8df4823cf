"""A photo warped onto the map: ours against GDAL's own warp, onto the same grid."""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import GCPTransformer
from rasterio.warp import reproject

from benchmarks.export_store import looking, posed, write_photo
from benchmarks.store_frames import made_up_result
from matchers.camera import Camera
from regengine.exchange.export.format import ExportOptions
from regengine.exchange.export.formats.geotiff import cloud_optimised, write_warped
from regengine.exchange.export.frame import ExportFrame, engine_frame
from regengine.exchange.export.warp import GOOD_ENOUGH_PX, MapGrid, map_grid
from regengine.store.rows import StoredFrame

# How GDAL is told where pixels lie: points along each side of the photo, and its method
GDAL = {
    "GDAL, polynomial of the first order, 4 points": (2, "GCP_POLYNOMIAL"),
    "GDAL, thin plate spline, 4 points": (2, "GCP_TPS"),
    "GDAL, thin plate spline, 289 points": (17, "GCP_TPS"),
}
OURS = "regengine"
COMPARED = 33  # places along each side of the photo at which errors are looked at
FOCAL_OF_WIDTH = 85.0 / 36.0


@dataclass(frozen=True, kw_only=True)
class WarpCost:
    """One way of warping.

    Attributes
    ----------
    way : str
        Which.
    cpu_s : float
        Processor's time from the JPEG to the cloud-optimised GeoTIFF, the least of some tries.
    ratio : float
        Ours over this.
    worst_px : float
        How far beside places of the ground are taken from the photo, at the most.
    """

    way: str
    cpu_s: float
    ratio: float
    worst_px: float


@dataclass(frozen=True, kw_only=True)
class WarpCosts:
    """What warping a photo costs: its size, the map's, and all ways, ours first."""

    tilt_deg: float
    photo_px: tuple[int, int]
    map_px: tuple[int, int]
    crs: str
    ways: tuple[WarpCost, ...]


def warp_costs(
    folder: Path, size: tuple[int, int], tilt_deg: float, crs: str, tries: int
) -> WarpCosts:
    """Warp one photo in all ways, in turn."""
    frame = photographed(folder, size, tilt_deg)
    camera, out = frame.camera, folder / "warped.tif"
    assert camera is not None
    grid, options = map_grid(camera, crs, None), ExportOptions(crs=crs)
    ways: dict[str, Callable[[], None]] = {OURS: lambda: write_warped(frame, out, grid, options)}
    worst = {OURS: GOOD_ENOUGH_PX}
    for way, (per_side, method) in GDAL.items():
        gcps = control_points(camera, per_side)
        ways[way] = _by_gdal(frame, out, grid, gcps, method)
        worst[way] = worst_px(camera, gcps, method)
    least = dict.fromkeys(ways, float("inf"))
    for _ in range(tries):
        for way, work in ways.items():
            started = time.process_time()
            work()
            least[way] = min(least[way], time.process_time() - started)
            out.unlink()
    Path(frame.result.path).unlink()
    return WarpCosts(
        tilt_deg=tilt_deg,
        photo_px=size,
        map_px=(grid.width, grid.height),
        crs=crs,
        ways=tuple(
            WarpCost(way=way, cpu_s=cpu_s, ratio=least[OURS] / cpu_s, worst_px=worst[way])
            for way, cpu_s in least.items()
        ),
    )


def photographed(folder: Path, size: tuple[int, int], tilt_deg: float) -> ExportFrame:
    """A frame of a lens of 85 mm over Japan, and its photo."""
    photo = folder / "photo.jpg"
    write_photo(photo, *size)
    camera = looking(137.0, 35.0, tilt_deg, 0.0, FOCAL_OF_WIDTH * size[0], size)
    result = replace(
        posed(made_up_result(0), camera),
        path=str(photo),
        sha256=hashlib.sha256(photo.read_bytes()).hexdigest(),
    )
    return engine_frame(StoredFrame(frame_index=0, result=result), folder / "run.h5")


def _by_gdal(
    frame: ExportFrame, out: Path, grid: MapGrid, gcps: list[GroundControlPoint], method: str
) -> Callable[[], None]:
    """What does the same by GDAL's warp: bilinear, with a mask, into the same kind of file."""

    def work() -> None:
        warped = np.zeros((4, grid.height, grid.width), np.uint8)
        transform = Affine(grid.resolution, 0.0, grid.west, 0.0, -grid.resolution, grid.north)
        with warnings.catch_warnings():
            # A photo has no place of its own: that is the matter here
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            source = rasterio.open(frame.result.path)
        with source:
            reproject(
                source.read(),
                warped,
                gcps=gcps,
                src_crs="EPSG:4326",
                dst_transform=transform,
                dst_crs=grid.crs,
                dst_alpha=4,
                resampling=Resampling.bilinear,
                SRC_METHOD=method,
            )
        profile = {"count": 3, "dtype": "uint8"}
        with cloud_optimised(out, grid, frame, profile) as raster:
            raster.write(warped[:3])
            raster.write_mask(warped[3])

    return work


def control_points(camera: Camera, per_side: int) -> list[GroundControlPoint]:
    """Places of pixels on a grid over the photo, as GDAL counts pixels."""
    x, y = (a.ravel() for a in _pixels(camera, per_side))
    lon, lat = camera.pixel_to_lonlat(x, y)
    return [
        GroundControlPoint(row=row, col=col, x=at_lon, y=at_lat)
        for row, col, at_lon, at_lat in zip(y + 0.5, x + 0.5, lon, lat, strict=True)
    ]


def worst_px(camera: Camera, gcps: list[GroundControlPoint], method: str) -> float:
    """How far beside, at the most, GDAL takes a place of the ground from the photo, pixels."""
    x, y = (a.ravel() for a in _pixels(camera, COMPARED))
    lon, lat = camera.pixel_to_lonlat(x, y)
    with GCPTransformer(gcps, tps=method == "GCP_TPS") as transformer:
        row, col = transformer.rowcol(lon, lat, op=lambda value: value)
    return float(np.hypot(np.array(col) - x - 0.5, np.array(row) - y - 0.5).max())


def _pixels(camera: Camera, per_side: int) -> tuple[np.ndarray, np.ndarray]:
    across = np.linspace(0.0, camera.width_px - 1.0, per_side)
    x, y = np.meshgrid(across, np.linspace(0.0, camera.height_px - 1.0, per_side))
    return x, y
