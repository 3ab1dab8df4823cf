"""A night-light map as a satellite would make it: lamps summed in pixels of 15 arc seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.lamps import Realisation, World
from benchmarks.simulate.noise_field import blurred

KM_PER_DEGREE_NORTH = 111.2


@dataclass(frozen=True, kw_only=True)
class LightMapParameters:
    """How the map is made.

    Attributes
    ----------
    step_deg : float
        Pixel size; 15 arc seconds as VIIRS composites.
    psf_sigma_px : float
        The instrument's blur, standard deviation.
    glow_share, glow_sigma_px : float
        Light that the air scatters about the towns.
    floor_nw : float
        Radiances below are taken for background and set to 0, as annual composites do.
    lamps_per_pixel : float
        Lamps drawn for each lit pixel.
    """

    step_deg: float = 1.0 / 240.0
    psf_sigma_px: float = 0.75
    glow_share: float = 0.08
    glow_sigma_px: float = 5.0
    floor_nw: float = 0.5
    lamps_per_pixel: float = 5.0


@dataclass(frozen=True, kw_only=True)
class RadianceMap:
    """Radiance on a regular grid of degrees.

    Attributes
    ----------
    radiance : ndarray of float32, shape (rows, cols)
        nW cm^-2 sr^-1; row 0 is the northern edge.
    west, north : float
        Outer corner of the first pixel, degrees.
    step_deg : float
    """

    radiance: NDArray[np.float32]
    west: float
    north: float
    step_deg: float


def draw_light_map(
    world: World,
    bounds: tuple[float, float, float, float],
    realisation: Realisation,
    parameters: LightMapParameters | None = None,
) -> RadianceMap:
    """Sum a realisation of a world's lamps in the pixels of a map.

    Parameters
    ----------
    world : World
    bounds : tuple of float
        West, south, east, north, degrees; widened to whole pixels.
    realisation : Realisation
        Take another one than for the photographs.
    parameters : LightMapParameters, optional

    Returns
    -------
    RadianceMap
    """
    parameters = parameters or LightMapParameters()
    step = parameters.step_deg
    west, south, east, north = bounds
    cols, rows = (
        int(np.ceil((east - west) / step - 1e-6)),
        int(np.ceil((north - south) / step - 1e-6)),
    )
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
        total += np.bincount(
            row[inside] * cols + column[inside], weights=lamps.power[inside], minlength=rows * cols
        )
    middle_lat = north - (np.arange(rows) + 0.5) * step
    area_km2 = (step * KM_PER_DEGREE_NORTH) ** 2 * np.cos(np.radians(middle_lat))
    sharp = (total.reshape(rows, cols) / area_km2[:, None]).astype(np.float32)
    sharp = blurred(sharp, parameters.psf_sigma_px)
    radiance = (1.0 - parameters.glow_share) * sharp + parameters.glow_share * blurred(
        sharp, parameters.glow_sigma_px
    )
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

    Parameters
    ----------
    path : Path
    light_map : RadianceMap
    """
    import rasterio
    from rasterio.transform import Affine

    bits = light_map.radiance.view(np.uint32)
    rounded = ((bits + np.uint32(1 << 16)) & np.uint32(0xFFFE0000)).view(np.float32)
    (rows, cols), step = rounded.shape, light_map.step_deg
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=cols,
        height=rows,
        count=1,
        dtype="float32",
        crs="EPSG:4326",
        transform=Affine(step, 0.0, light_map.west, 0.0, -step, light_map.north),
        tiled=True,
        blockxsize=512,
        blockysize=512,
        compress="deflate",
        zlevel=9,
        predictor=2,
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
