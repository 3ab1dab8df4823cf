"""Average a photo's luminance and a map's radiance over the cells of the map.

The photo's light is linear, corrected for hot pixels and falloff, with a mask of invalid pixels. A
cell has the mean over its ground: it is divided into squares, each sampled where the solved camera
projects its centre, so that a pixel is weighted by the ground of the cell that it covers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.background import ROUNDING_SIGMA, find_hot_pixels
from detectors.masks import blank_parts, mask_hardware, mask_window_frames
from detectors.types import BoolArray, FloatArray, FloatImage
from matchers.geometry.camera import Camera
from matchers.geometry.earth import geodetic_to_ecef, incidence_deg
from regengine.errors import FrameError
from regengine.export.formats import LeftOutError
from regengine.export.formats.geotiff import estimate_ground_sigma
from regengine.export.warp import (
    OutputGrid,
    find_photo,
    map_blocks,
    map_grid,
    scale_to_picture,
    spread,
)
from regengine.frames.frame import ExportFrame, ExportPoint
from regengine.maps.reference import RasterMap
from regengine.photo.formats import read_photo_file
from regengine.photo.image import mask_captions, read_linear_light, reduce_light
from regengine.photo.lens_profile import Falloff
from regengine.registration.prepare_photo import find_glare

MIN_RISE_SHARE = 0.2
MIN_CELLS = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class MapCells:
    """Cells of a map in longitude and latitude; arrays of shape (h, w)."""

    grid: OutputGrid  # in EPSG:4326. Cells are the map's own pixels or squares of several
    radiance_nw: FloatImage  # mean radiance, nW cm^-2 sr^-1; 0 where unknown
    known: BoolArray  # where the map has data in the whole cell
    # Where a part of the cell is saturated in the map: the radiance is a lower bound
    saturated: BoolArray
    photo_pixel_deg: float  # side of a pixel of the stored photo in its finer parts


def select_cells_in_view(camera: Camera, light_map: RasterMap) -> MapCells:
    """Select the map's cells where a photo shows ground.

    Radiance is averaged, not its logarithm, so that a cell of several pixels keeps its light.
    """
    pixel_deg = map_grid(camera, "EPSG:4326", None).resolution
    finest = light_map.info.resolution_deg
    lights = light_map.window(*map_grid(camera, "EPSG:4326", finest).bounds, finest)
    rows, cols = lights.values.shape
    # A cell has at least 0.8 of the side of a pixel of the photo in its finer parts
    factor = max(
        math.ceil(0.8 * pixel_deg / lights.step_deg),
        math.ceil(math.sqrt(rows * cols / 4_000_000)),
        1,
    )
    height, width = rows // factor, cols // factor
    if height * width < MIN_CELLS:
        raise LeftOutError("it shows too few cells of the map")
    values = lights.values[: height * factor, : width * factor]
    known = np.ones_like(values, bool)
    if lights.valid is not None:
        known = lights.valid[: height * factor, : width * factor]
    full = np.zeros_like(known)
    if lights.saturation is not None:
        full = values >= np.float32(0.999 * lights.saturation)  # codes are rounded
    blocks = (height, factor, width, factor)
    radiance = np.expm1(values * np.float32(math.log(10.0)))
    return MapCells(
        grid=OutputGrid(
            "EPSG:4326",
            lights.lon0_deg - 0.5 * lights.step_deg,
            lights.lat0_deg + 0.5 * lights.step_deg,
            factor * lights.step_deg,
            width,
            height,
        ),
        radiance_nw=np.maximum(radiance, 0.0).reshape(blocks).mean(axis=(1, 3)),
        known=np.asarray(known.reshape(blocks).all(axis=(1, 3))),
        saturated=np.asarray(full.reshape(blocks).any(axis=(1, 3))),
        photo_pixel_deg=pixel_deg,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class PhotoLight:
    """Linear light of a photo, and its mask."""

    light: FloatImage  # (height, width): linear luminance; 1 is full scale
    saturated: FloatImage  # (height, width): share of the pixel's area in which a colour is clipped
    # (height, width): where the photo shows ground: without captions, hardware and lightning
    counts: BoolArray
    camera: Camera  # of this picture, which may be smaller than the stored one
    # ``srgb`` if that curve was inverted; ``raw`` or ``fits`` if the file is linear
    linear_by: str


def photo_light(
    frame: ExportFrame, camera: Camera, factor: float, falloff: Falloff | None = None
) -> PhotoLight:
    """Read a frame's photo, reduced by area averages."""
    longest = max(round(max(camera.width_px, camera.height_px) * min(factor, 1.0)), 16)
    try:
        file = read_photo_file(find_photo(frame))
        read = read_linear_light(file, max_long_side_px=longest)
    except FrameError as error:
        raise LeftOutError(str(error)) from error
    own = scale_to_picture(camera, read.factor, read.light.shape)
    light = remove_hot_pixels(read.light) if read.factor == 1.0 else read.light
    # Captions, bars, window frames, hardware, lightning, and missing values
    small = reduce_light(read, 1000)
    rows, columns = small.light.shape
    own_small = own.scaled(small.factor / read.factor, columns, rows)
    at_x, at_y = np.meshgrid(
        np.linspace(0.0, own_small.width_px - 1.0, 65),
        np.linspace(0.0, own_small.height_px - 1.0, 65),
    )
    ground = own_small.pixel_to_ecef(at_x, at_y)
    unseen = (~np.isfinite(ground[..., 0])).astype(np.float32)
    sky = cv2.resize(unseen, (own_small.width_px, own_small.height_px)) > 0.5
    # The ground size of a pixel in the finer parts
    steps = np.linalg.norm(np.diff(ground, axis=1), axis=-1) / (own_small.width_px - 1.0) * 64.0
    known = steps[np.isfinite(steps)]
    sample_km = float(np.quantile(known, 0.25)) / 1e3 if known.size else float("nan")
    ignored = mask_captions(small) | blank_parts(small.light)
    ignored |= mask_window_frames(small.light, sky=sky) | mask_hardware(small.light, sky)
    if np.isfinite(sample_km) and sample_km > 0.0:
        ignored |= find_glare(small, sample_km)
    size = (own.width_px, own.height_px)
    full = cv2.resize(ignored.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    counts = ~np.asarray(full if read.missing is None else full | read.missing, bool)
    if falloff is not None:
        y, x = np.mgrid[: own.height_px, : own.width_px].astype(np.float32)
        r = np.minimum(np.sqrt(radius_sq(own, x, y)), max(falloff.reach, 0.1))
        light = (light / np.maximum(falloff.arrives(r), 0.05)).astype(np.float32)
    return PhotoLight(
        light=light,
        saturated=read.saturated,
        counts=counts,
        camera=own,
        linear_by=file.format if file.format in ("raw", "fits") else "srgb",
    )


def radius_sq(camera: Camera, x: NDArray[np.floating], y: NDArray[np.floating]) -> FloatImage:
    """Squared distance from the principal point, in half diagonals of the picture."""
    half_sq = 0.25 * (camera.width_px**2 + camera.height_px**2)
    px, py = camera.principal_point
    return np.asarray(((x - px) ** 2 + (y - py) ** 2) / half_sq, np.float32)


def remove_hot_pixels(light: FloatImage) -> FloatImage:
    """Remove single bright pixels, including those that JPEG has spread slightly.

    In addition to the pixels of `find_hot_pixels`, pixels in the dark are removed if their four
    neighbours rise by less than a fifth of their own rise: for a lamp blurred by 0.6 pixels, they
    rise by a quarter.
    """
    around = cv2.medianBlur(np.ascontiguousarray(light), 3)
    rise = light - around
    noise = 1.4826 * float(np.median(np.abs(rise[::2, ::2])))
    likely = rise > np.maximum(around / MIN_RISE_SHARE, max(8.0 * noise, 8.0 * ROUNDING_SIGMA))
    hot = find_hot_pixels(light)
    if likely.any():
        four_beside = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32) / 4.0
        beside = cv2.filter2D(light, -1, four_beside, borderType=cv2.BORDER_REFLECT_101) - around
        hot |= likely & (beside < MIN_RISE_SHARE * rise)
    return np.where(hot, around, light)


@dataclass(frozen=True, kw_only=True, eq=False)
class PhotoCells:
    """A photo's means over cells; arrays of shape (h, w)."""

    luminance: FloatImage  # mean luminance over the cell's ground; 0 without data
    seen: FloatImage  # share of the cell that is visible and valid
    saturated: FloatImage  # share of it that is clipped
    # Side of a pixel of the stored photo, in cells; NaN without data
    pixel_cells: FloatImage
    # Squared distance from the principal point, in half diagonals
    radius_sq: FloatImage
    air_mass: FloatImage  # of the line of sight, 1 towards the zenith
    # One sigma per axis of the cell's position: from the registration and the terrain
    sigma_m: FloatImage


def average_photo_cells(
    photo: PhotoLight,
    stored: Camera,
    points: tuple[ExportPoint, ...],
    grid: OutputGrid,
    samples: int,
) -> PhotoCells:
    """Area-weighted means of a photo's pixels over cells."""
    shape = (grid.height, grid.width)
    luminance, seen, saturated = (np.zeros(shape, np.float32) for _ in range(3))
    width, height = grid.width * samples, grid.height * samples
    fine = replace(grid, resolution=grid.resolution / samples, width=width, height=height)
    counts = photo.counts.astype(np.float32)
    for block in map_blocks(photo.camera, fine):
        if not block.seen.any():
            continue
        height, width = (side // samples for side in block.seen.shape)
        row, column = block.row // samples, block.column // samples
        here = np.s_[row : row + height, column : column + width]
        light, clipped, kept = (
            np.asarray(
                cv2.remap(one, block.x, block.y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
                np.float32,
            )
            for one in (photo.light, photo.saturated, counts)
        )
        kept = np.where(block.seen & (kept > 0.999), np.float32(1.0), np.float32(0.0))
        seen[here] = _means(kept, samples)
        share = np.maximum(seen[here], np.float32(1e-6))
        luminance[here] = _means(light * kept, samples) / share
        saturated[here] = _means(clipped * kept, samples) / share
    # By the line of sight to the centre of each cell
    x, y, sigma, cosine = (np.full(shape, np.nan, np.float32) for _ in range(4))
    known = estimate_ground_sigma(stored, points)

    def cosines(lon: FloatArray, lat: FloatArray) -> FloatArray:
        ground = geodetic_to_ecef(lon, lat)
        slant = np.radians(incidence_deg(stored.position_ecef_m, ground))
        return np.maximum(np.cos(slant), 0.1)

    for block in map_blocks(stored, grid):
        height, width = block.seen.shape
        here = np.s_[block.row : block.row + height, block.column : block.column + width]
        x[here] = np.where(block.seen, block.x, np.nan)
        y[here] = np.where(block.seen, block.y, np.nan)
        sigma[here] = spread(grid, block, known)
        cosine[here] = spread(grid, block, cosines)
    lean = np.sqrt(np.maximum(1.0 - cosine**2, 0.0)) / cosine
    pixel_cells = np.full(shape, np.nan, np.float32)
    if min(shape) > 1:  # the side of a square with the area of a pixel
        (xr, xc), (yr, yc) = np.gradient(x), np.gradient(y)
        with np.errstate(divide="ignore", invalid="ignore"):
            pixel_cells = np.asarray(1.0 / np.sqrt(np.abs(xc * yr - xr * yc)), np.float32)
    return PhotoCells(
        luminance=luminance,
        seen=seen,
        saturated=saturated,
        pixel_cells=pixel_cells,
        radius_sq=radius_sq(stored, x, y),
        air_mass=air_mass(cosine),
        # Terrain height above the ellipsoid, which registration takes as zero, shifts positions by
        # the tangent of the angle from the nadir. Half of all people live below 194 m (Cohen &
        # Small 1998, PNAS 95, 14009)
        sigma_m=np.hypot(sigma, 200.0 * lean).astype(np.float32),
    )


def _means(values: FloatImage, samples: int) -> FloatImage:
    height, width = (side // samples for side in values.shape)
    size = (width, height)
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32)


def air_mass(cosine: NDArray[np.floating]) -> FloatImage:
    """Air mass along a line of sight, by the cosine of its zenith angle; 1 at the zenith.

    References
    ----------
    Kasten, F., Young, A. T. (1989). Revised optical air mass tables and approximation formula.
    Applied Optics 28, 4735-4738.
    """
    zenith_deg = np.degrees(np.arccos(np.clip(cosine, 0.0, 1.0)))
    return np.asarray(1.0 / (cosine + 0.50572 * (96.07995 - zenith_deg) ** -1.6364), np.float32)
