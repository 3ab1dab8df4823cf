"""A night-light map as a satellite would make it: lamps summed in pixels of 15 arc seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.arrays import FloatArray
from benchmarks.simulate.camera import SimCamera
from benchmarks.simulate.noise import blur_image
from benchmarks.simulate.worlds import Clusters, Lamps, Realisation, World

KM_PER_DEGREE_NORTH = 111.2


@dataclass(frozen=True, kw_only=True)
class LightMapParameters:
    """How the map is made."""

    step_deg: float = 1.0 / 240.0  # pixel size; 15 arc seconds as VIIRS composites.
    psf_sigma_px: float = 0.75  # the instrument's blur, standard deviation
    # glow_share and glow_sigma_px: light that the air scatters about the towns
    glow_share: float = 0.08
    glow_sigma_px: float = 5.0
    # Radiances below are taken for background and set to 0, as annual composites do
    floor_nw: float = 0.5
    lamps_per_pixel: float = 5.0  # lamps drawn for each lit pixel


@dataclass(frozen=True, kw_only=True)
class RadianceMap:
    """Radiance on a regular grid of degrees."""

    radiance: NDArray[np.float32]  # shape (rows, cols): nW cm^-2 sr^-1; row 0 is the northern edge.
    # west and north: outer corner of the first pixel, degrees
    west: float
    north: float
    step_deg: float


def draw_light_map(
    world: World,
    bounds: tuple[float, float, float, float],
    realisation: Realisation,
    parameters: LightMapParameters | None = None,
) -> RadianceMap:
    """Sum a realisation of a world's lamps in the pixels of a map."""
    parameters = parameters or LightMapParameters()
    step = parameters.step_deg
    west, south, east, north = bounds
    cols, rows = (int(np.ceil(side / step - 1e-6)) for side in (east - west, north - south))
    margin = 0.5
    clusters = world.near(west - margin, south - margin, east + margin, north + margin)
    total = np.zeros(rows * cols)
    pixels = 4.0 * np.pi * (clusters.radius_m / (1000.0 * step * KM_PER_DEGREE_NORTH)) ** 2
    counts = np.clip(pixels * parameters.lamps_per_pixel, 6, 3_000_000).astype(np.int64)
    for part in _batches(counts, 2_000_000):
        lamps = world.scatter(clusters.take(part), counts[part], realisation)
        column = np.floor((lamps.lon - west) / step).astype(np.int64)
        row = np.floor((north - lamps.lat) / step).astype(np.int64)
        inside = (column >= 0) & (column < cols) & (row >= 0) & (row < rows)
        cell = row[inside] * cols + column[inside]
        total += np.bincount(cell, weights=lamps.power[inside], minlength=rows * cols)
    middle_lat = north - (np.arange(rows) + 0.5) * step
    area_km2 = (step * KM_PER_DEGREE_NORTH) ** 2 * np.cos(np.radians(middle_lat))
    sharp = (total.reshape(rows, cols) / area_km2[:, None]).astype(np.float32)
    sharp = blur_image(sharp, parameters.psf_sigma_px)
    glow = blur_image(sharp, parameters.glow_sigma_px)
    radiance = (1.0 - parameters.glow_share) * sharp + parameters.glow_share * glow
    radiance[radiance < parameters.floor_nw] = 0.0
    return RadianceMap(radiance=radiance, west=west, north=north, step_deg=step)


def _batches(counts: NDArray[np.int64], most: int) -> list[NDArray[np.int64]]:
    """Split patches so that no batch draws many more lamps than ``most``."""
    batch = np.cumsum(counts) // most
    edges = np.flatnonzero(np.diff(batch)) + 1
    return np.split(np.arange(len(counts)), edges)


def write_geotiff(path: Path, light_map: RadianceMap) -> None:
    """Write a map as a float32 GeoTIFF in EPSG:4326, the pixel being an area.

    Radiances are rounded to 1.6 % (six bits of mantissa), which halves the file.
    """
    import rasterio
    from rasterio.transform import Affine

    bits = light_map.radiance.view(np.uint32)
    rounded = ((bits + np.uint32(1 << 16)) & np.uint32(0xFFFE0000)).view(np.float32)
    (rows, cols), step = rounded.shape, light_map.step_deg
    transform = Affine(step, 0.0, light_map.west, 0.0, -step, light_map.north)
    shape = {"width": cols, "height": rows, "count": 1, "dtype": "float32", "crs": "EPSG:4326"}
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512}
    packed = {"compress": "deflate", "zlevel": 9, "predictor": 2}
    with rasterio.open(
        path, "w", driver="GTiff", transform=transform, **shape, **tiles, **packed
    ) as target:
        target.write(rounded, 1)
        target.update_tags(
            TIFFTAG_IMAGEDESCRIPTION="Simulated night lights of an invented land",
            units="nW cm-2 sr-1",
        )
        target.set_band_unit(1, "nW cm-2 sr-1")


def read_geotiff(path: Path) -> RadianceMap:
    """Read a map that :func:`write_geotiff` wrote."""
    import rasterio

    with rasterio.open(path) as source:
        return RadianceMap(
            radiance=source.read(1),
            west=source.transform.c,
            north=source.transform.f,
            step_deg=source.transform.a,
        )


LAMPS_PER_PIXEL = 3.0
MIN_LAMP = 0.004  # nW cm^-2 sr^-1 km^2: no town has more lamps than its power holds of these
BATCH = 1_000_000  # lamps at a time: bounds memory


def visible_bounds(camera: SimCamera) -> tuple[float, float, float, float] | None:
    """West, south, east, north of the ground that a photograph shows; None if it shows none."""
    column, row = np.meshgrid(
        np.linspace(-1, camera.width_px, 41), np.linspace(-1, camera.height_px, 31)
    )
    lon, lat, _ = camera.ground(column, row)
    seen = np.isfinite(lon)
    if not seen.any():
        return None
    turned = camera.lon_deg + (lon[seen] - camera.lon_deg + 180.0) % 360.0 - 180.0
    margin = 0.3 + 0.02 * float(np.ptp(lat[seen]))
    squeeze = float(np.cos(np.radians(np.abs(lat[seen]).max())))
    return (
        float(turned.min()) - margin / squeeze,
        float(lat[seen].min()) - margin,
        float(turned.max()) + margin / squeeze,
        float(lat[seen].max()) + margin,
    )


def lamps_in_view(
    camera: SimCamera, world: World, most_lamps: int
) -> tuple[Clusters, NDArray[np.int64]]:
    """Patches of light that may appear in a photograph, and how many lamps each deserves."""
    bounds = visible_bounds(camera)
    clusters = world.near(*(bounds or (0.0, 0.0, -1.0, -1.0)))
    x, y, distance, cosine = camera.project(clusters.lon, clusters.lat)
    radius_px = clusters.radius_m * camera.focal_px / distance
    reach = 3.0 * radius_px + 4.0
    inside = (x > -reach) & (x < camera.width_px + reach)
    inside &= (y > -reach) & (y < camera.height_px + reach)
    pixels = 4.0 * np.pi * radius_px[inside] ** 2 * np.maximum(cosine[inside], 0.1)
    counts = np.minimum(pixels * LAMPS_PER_PIXEL, clusters.power[inside] / MIN_LAMP)
    counts *= min(1.0, most_lamps / max(float(counts.sum()), 1.0))
    # A patch of less than a pixel needs few lamps, but its light must not hang on a single one.
    counts = np.maximum(counts, np.minimum(2.0 + pixels, 6.0))
    return clusters.take(inside), np.minimum(counts, BATCH).astype(np.int64)


def splat(
    camera: SimCamera, lamps: Lamps, planes: FloatArray, *, extinction: float, side_light: float
) -> None:
    """Add lamps to an image, each shared among its four nearest pixels."""
    x, y, distance, cosine = camera.project(lamps.lon, lamps.lat)
    width, height = camera.width_px, camera.height_px
    inside = (x > -1.0) & (x < width) & (y > -1.0) & (y < height)
    x, y = x[inside], y[inside]
    # A pixel's radiance is a lamp's intensity over the square kilometres that the pixel spans.
    light = lamps.power[inside] * (camera.focal_px / (distance[inside] / 1000.0)) ** 2
    light *= upward_share(cosine[inside], extinction, side_light)
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    right_part, lower_part = x - left, y - top
    # A border of one pixel takes what falls over the edge.
    stride, plane = width + 2, (width + 2) * (height + 2)
    corner = lamps.colour[inside].astype(np.int64) * plane + (top + 1) * stride + left + 1
    total = np.zeros(3 * plane)
    for shift, part in (
        (0, (1 - right_part) * (1 - lower_part)),
        (1, right_part * (1 - lower_part)),
        (stride, (1 - right_part) * lower_part),
        (stride + 1, right_part * lower_part),
    ):
        total += np.bincount(corner + shift, weights=light * part, minlength=3 * plane)
    planes += total.reshape(3, height + 2, width + 2)[:, 1:-1, 1:-1]


def upward_share(cosine: FloatArray, extinction: float, side_light: float) -> FloatArray:
    """Share of a lamp's upward light that leaves the air towards the camera.

    References
    ----------
    Kasten, F. & Young, A. T. (1989). Revised optical air mass tables. Applied Optics 28, 4735.
    """
    above = np.clip(cosine, 1e-3, 1.0)
    zenith_deg = np.degrees(np.arccos(above))
    air_mass = 1.0 / (above + 0.50572 * (96.07995 - zenith_deg) ** -1.6364)
    emission = 1.0 - side_light * (1.0 - above)
    return np.asarray(emission * np.exp(-extinction * air_mass))


def lamp_planes(
    camera: SimCamera,
    world: World,
    realisation: Realisation,
    *,
    extinction: float,
    side_light: float,
    most_lamps: int = 2_000_000,
) -> NDArray[np.float32]:
    """Light of a world's lamps in each pixel, by lamp colour, nW cm^-2 sr^-1."""
    planes = np.zeros((3, camera.height_px, camera.width_px))
    clusters, counts = lamps_in_view(camera, world, most_lamps)
    start = 0
    while start < len(counts):
        many = int(np.searchsorted(np.cumsum(counts[start:]), BATCH)) + 1
        part = np.arange(start, min(start + many, len(counts)))
        lamps = world.scatter(clusters.take(part), counts[part], realisation)
        splat(camera, lamps, planes, extinction=extinction, side_light=side_light)
        start += many
    return planes.astype(np.float32)
