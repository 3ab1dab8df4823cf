"""Read references, the georeferenced rasters that photos are compared with, in windows."""

from __future__ import annotations

import atexit
import math
import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.vrt import WarpedVRT
from rasterio.warp import Resampling, reproject
from rasterio.windows import Window

from matchers.geometry.footprint import Bounds
from matchers.geometry.map_grid import MapGrid
from regengine.errors import ConfigError, MapError
from regengine.io.gdal import expand_palette, open_dataset, open_gdal_session, raise_read_failures
from regengine.maps.lights import (
    KINDS,
    KindName,
    Mask,
    Values,
    display_table,
    lights_only_luma,
    radiance_values,
)

# 64 x 15 arcsec = 16 arcmin: one pixel is then as large as a metropolis, without structure to match
FACTORS = (1, 2, 4, 8, 16, 32, 64)
MEANINGS = {
    "lights": "built map of log radiance",
    "streets": "lamps along streets",
    "day": "built picture by day",
    "picture": "picture by day",
    "radiance": "radiance",
    "grey": "grey picture, radiance estimated from its levels",
    "colour": "colour picture, radiance estimated from its lights",
}


# How references are read.
ALIGNED_PX = 0.01  # grids that agree within this over a window are copied, not resampled
ROUNDING = 1e-6  # relative tolerance of steps: 15 arcsec has no exact binary form
SQUARE_PX = 256  # side of the cached squares
MAX_KEPT_PIXELS = 10_000_000  # larger windows are not cached, to keep the others


@dataclass(frozen=True, kw_only=True)
class PixelGrid:
    """A north-up grid of square pixels in longitude and latitude.

    ``west`` and ``north`` are the outer *edges* of the first pixel, degrees.
    """

    west: float
    north: float
    step_deg: float
    cols: int
    rows: int

    @property
    def east(self) -> float:
        return self.west + self.cols * self.step_deg

    @property
    def south(self) -> float:
        return self.north - self.rows * self.step_deg

    @property
    def bounds(self) -> Bounds:
        return self.west, self.south, self.east, self.north

    @property
    def transform(self) -> Affine:
        return Affine(self.step_deg, 0.0, self.west, 0.0, -self.step_deg, self.north)

    def part(self, row: int, col: int, rows: int, cols: int) -> PixelGrid:
        west, north = self.west + col * self.step_deg, self.north - row * self.step_deg
        return replace(self, west=west, north=north, cols=cols, rows=rows)

    def reduced(self, factor: int) -> PixelGrid:
        """The grid whose pixels are ``factor`` by ``factor`` of this one's, same first corner."""
        cols, rows = math.ceil(self.cols / factor), math.ceil(self.rows / factor)
        return replace(self, step_deg=self.step_deg * factor, cols=cols, rows=rows)

    def covering(self, region: Bounds) -> PixelGrid:
        """The grid cut, or continued beyond its edges, so that it covers a region."""
        west, south, east, north = region
        left = math.floor((west - self.west) / self.step_deg + ROUNDING)
        right = math.ceil((east - self.west) / self.step_deg - ROUNDING)
        top = math.floor((self.north - north) / self.step_deg + ROUNDING)
        bottom = math.ceil((self.north - south) / self.step_deg - ROUNDING)
        return self.part(top, left, max(bottom - top, 1), max(right - left, 1))


@dataclass(frozen=True, kw_only=True)
class Reference:
    """One raster file as a grid of longitude and latitude; it has no open file and can be pickled.

    ``coding`` is the meaning of the samples: codes of a `Kind`, or radiance, grey levels and
    colours of source files.
    """

    path: Path
    kind: KindName
    product: str = ""
    date: str = ""
    credit: str = ""
    measured: bool = True  # radiance or streets, not estimated from a picture
    grid: PixelGrid
    crs: str = "EPSG:4326"  # of the file
    saturation: float | None = None  # value at and above which the map is saturated
    content_sha256: str = ""  # of grid and pixels of a built file, whatever its name
    coding: Literal["built", "radiance", "grey", "colour", "picture"] = "built"
    driver: str = "GTiff"
    data_set: str = ""  # inside an HDF5 file
    is_south_up: bool = False  # its first row is the southernmost
    bands: tuple[int, ...] = (1,)
    nodata: float | None = None
    scale: float = 1.0
    offset: float = 0.0
    masked: bool = False  # by opacity, or by a mask of the file
    opacity: tuple[int, float] | None = None  # its band, and its value where the map is opaque
    palette: bool = False  # samples are its indices, read as red, green, blue and opacity
    warp: bool = False  # it is not north-up and square in EPSG:4326
    overviews: tuple[int, ...] = ()  # factors at which the file has exact ones
    doubt: str = ""  # a warning if the file is probably not of the assumed kind

    @property
    def pixel_m(self) -> float:
        return self.grid.step_deg * 111_195.0

    @property
    def sigma_m(self) -> float:
        """Standard deviation of positions in the map, metres; one pixel for day maps."""
        return KINDS[self.kind].sigma_m or self.pixel_m

    @property
    def title(self) -> str:
        """Product, or file name, date and pixel size."""
        pixel_m = self.pixel_m
        size = f"{pixel_m:.2g} m" if pixel_m < 100.0 else f"{round(pixel_m, -1):,.0f} m"
        date = f" {self.date}" if self.product and self.date else ""
        return f"{self.product or self.path.name}{date}, {size} per pixel"

    @property
    def description(self) -> str:
        name = " ".join(part for part in (self.product or "unknown product", self.date) if part)
        return f"{name}: {MEANINGS[self.kind if self.coding == 'built' else self.coding]}"

    def pixels_read(self, step_deg: float) -> int:
        """Number of pixels of the file, or of its overviews, to read all of it at a step."""
        factor = max(f for f in (1, *self.overviews) if f <= self.factor_for(step_deg))
        return self.grid.cols * self.grid.rows // factor**2

    def factor_for(self, step_deg: float) -> int:
        """Largest factor whose pixels are not coarser than wanted."""
        limit = step_deg * (1.0 + ROUNDING) / self.grid.step_deg
        return max((factor for factor in FACTORS if factor <= limit), default=1)

    def read(self, row: int, col: int, rows: int, cols: int, factor: int) -> tuple[Values, Mask]:
        """Read values and validity of a block that lies within ``grid.reduced(factor)``."""
        # Warped values depend slightly on the extent that is read, so they are not cached
        if self.warp or rows * cols > MAX_KEPT_PIXELS:
            return self.read_level(row, col, rows, cols, factor)
        side, version = SQUARE_PX, self.version
        squares = [
            [
                _read_square(self, version, factor, i, j)
                for j in range(col // side, (col + cols - 1) // side + 1)
            ]
            for i in range(row // side, (row + rows - 1) // side + 1)
        ]
        values, valid = (np.block([[one[k] for one in line] for line in squares]) for k in (0, 1))
        top, left = row % side, col % side
        here = np.s_[..., top : top + rows, left : left + cols]
        return np.ascontiguousarray(values[here]), np.ascontiguousarray(valid[here])

    @property
    def version(self) -> tuple[int, int] | None:
        """Version of the file, which changes when it is rewritten; None if it is not readable."""
        try:
            state = self.path.stat()
        except OSError:
            return None
        return state.st_mtime_ns, state.st_size

    def read_level(
        self, row: int, col: int, rows: int, cols: int, factor: int
    ) -> tuple[Values, Mask]:
        """Read a block from the file without the cache; pixels beyond its edges are not valid."""
        is_stored = factor in (1, *self.overviews)
        # Read at once: 50 MB are decoded in files without overviews; of a larger part GDAL's cache
        # would not hold all bands, and each would be warped again
        pixels = rows * cols * (1 if is_stored else factor**2)
        if rows > 1 and pixels > 4_000_000 and (self.warp or not is_stored):
            upper = self.read_level(row, col, rows // 2, cols, factor)
            lower = self.read_level(row + rows // 2, col, rows - rows // 2, cols, factor)
            values, valid = (
                np.concatenate(each, axis=-2) for each in zip(upper, lower, strict=True)
            )
            return values, valid
        if is_stored:
            level = self.grid.reduced(factor)
            high, wide = min(rows, level.rows - row), min(cols, level.cols - col)
            part = self._decode_block(
                row * factor, col * factor, high * factor, wide * factor, factor
            )
            return _pad(part, 0, 0, rows, cols)
        # Means of means, as in overviews
        values, valid = self.read_level(2 * row, 2 * col, 2 * rows, 2 * cols, factor // 2)
        corners = [np.s_[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]
        total = sum((values[corner] for corner in corners[1:]), values[corners[0]])
        if valid.all():
            return np.float32(0.25) * total, valid[corners[0]]
        # The mean of each two by two is valid if two of them are
        count = sum((valid[corner] for corner in corners[1:]), valid[corners[0]].astype(np.float32))
        half_valid = np.asarray(count >= 2.0)
        mean = np.where(half_valid, total / np.maximum(count, np.float32(1.0)), np.float32(0.0))
        return mean, half_valid

    def read_onto(self, out: PixelGrid) -> tuple[Values, Mask] | None:
        """Read values (0 without data) and validity on a grid; None if it does not intersect."""
        factor = self.factor_for(out.step_deg)
        level = self.grid.reduced(factor)
        ratio = out.step_deg / level.step_deg
        col = (out.west - level.west) / level.step_deg
        row = (level.north - out.north) / level.step_deg
        drift = abs(ratio - 1.0) * max(out.cols, out.rows)
        copied = drift + abs(col - round(col)) + abs(row - round(row)) < ALIGNED_PX
        margin = 0 if copied else 2  # bilinear, with pixels up to twice smaller
        top, left = (max(math.floor(start + ALIGNED_PX) - margin, 0) for start in (row, col))
        bottom = min(math.ceil(row + out.rows * ratio - ALIGNED_PX) + margin, level.rows)
        right = min(math.ceil(col + out.cols * ratio - ALIGNED_PX) + margin, level.cols)
        if bottom <= top or right <= left:
            return None
        values, valid = self.read(top, left, bottom - top, right - left, factor)
        if not copied:
            result = np.full((*values.shape[:-2], out.rows, out.cols), np.nan, np.float32)
            with open_gdal_session():
                reproject(
                    source=np.where(valid, values, np.float32(np.nan)),
                    destination=result,
                    src_transform=level.part(top, left, 1, 1).transform,
                    dst_transform=out.transform,
                    src_crs="EPSG:4326",
                    dst_crs="EPSG:4326",
                    src_nodata=np.nan,
                    dst_nodata=np.nan,
                    resampling=Resampling.bilinear,
                    XSCALE=1.0 / ratio,  # otherwise derived from the sizes
                    YSCALE=1.0 / ratio,
                )
            valid = np.asarray(np.isfinite(result.reshape(-1, out.rows, out.cols)).all(axis=0))
            return np.where(valid, result, np.float32(0.0)), valid
        down, across = top - round(row), left - round(col)
        return _pad((values, valid), down, across, out.rows, out.cols)

    def _decode_block(
        self, row: int, col: int, rows: int, cols: int, factor: int
    ) -> tuple[Values, Mask]:
        """Decode values and validity of a block of full pixels, or of an overview."""
        samples: NDArray[Any]
        shape = rows // factor, cols // factor
        valid = np.ones(shape, np.bool_)
        if self.driver == "HDF5":
            from regengine.io.hdf5 import open_hdf5

            with raise_read_failures(self.path), open_hdf5(self.path, MapError) as file:
                first = self.grid.rows - row - rows if self.is_south_up else row
                samples = file[self.data_set][first : first + rows, col : col + cols][None]
                samples = samples[:, ::-1] if self.is_south_up else samples
        else:
            window, bands = Window(col, row, cols, rows), list(self.bands)
            # Datasets cannot be shared between threads or with forked processes
            dataset = _open_dataset(self, self.version, os.getpid(), threading.get_ident())
            with raise_read_failures(self.path):
                samples = dataset.read(bands, window=window, out_shape=(len(bands), *shape))
                if self.opacity:
                    band, top = self.opacity
                    opacity = dataset.read(band, window=window, out_shape=shape)
                    valid = opacity > (0.5 * top if self.warp else 0.0)
                elif self.warp and self.nodata is None:  # where it ends: at least half covered
                    valid = dataset.read(dataset.count, window=window, out_shape=shape) > 127
                elif self.masked:
                    valid = dataset.read_masks(bands[0], window=window, out_shape=shape) > 0
        with np.errstate(over="ignore", invalid="ignore"):  # non-finite values are not valid
            if self.coding == "radiance":
                values, is_measured = radiance_values(samples[0] * self.scale + self.offset)
                valid &= is_measured
            elif self.coding in ("grey", "colour"):
                grey = lights_only_luma(samples) if len(samples) > 2 else samples[0]
                values = display_table()[grey]
            else:
                values = (samples if len(samples) > 1 else samples[0]).astype(np.float32)
                values *= np.float32(self.scale)
            if self.nodata is not None:
                valid &= (samples != self.nodata).any(axis=0)
        return (values if valid.all() else np.where(valid, values, np.float32(0.0))), valid


# Open files of all threads; GDAL caches decoded tiles with them
@lru_cache(maxsize=64)
def _open_dataset(
    reference: Reference, version: object, pid: int, thread: int
) -> rasterio.DatasetReader:
    """Open the file as longitude and latitude, and keep it open."""
    dataset = open_dataset(reference.path, driver=reference.driver)
    if reference.palette:
        with raise_read_failures(reference.path), dataset as indices:
            dataset = expand_palette(indices)
    if not reference.warp:
        return dataset
    band, top = reference.opacity or (None, None)
    opacity = (
        {"src_alpha": band, "dst_alpha": band, "SRC_ALPHA_MAX": top, "DST_ALPHA_MAX": top}
        if band
        else {"add_alpha": reference.nodata is None}
    )
    with raise_read_failures(reference.path):
        return WarpedVRT(
            dataset,
            src_crs=reference.crs,
            crs="EPSG:4326",
            transform=reference.grid.transform,
            width=reference.grid.cols,
            height=reference.grid.rows,
            resampling=Resampling.bilinear,
            # GDAL's default is 0.125; it does not accept 0
            tolerance=0.005,
            src_nodata=reference.nodata,
            nodata=reference.nodata,
            **opacity,
        )


# Before modules are taken apart, which rasterio needs to close a file
atexit.register(_open_dataset.cache_clear)


# Cache size for all references: 130 MB of lights
@lru_cache(maxsize=384)
def _read_square(
    reference: Reference, version: object, factor: int, i: int, j: int
) -> tuple[Values, Mask]:
    side, level = SQUARE_PX, reference.grid.reduced(factor)
    rows, cols = min(side, level.rows - i * side), min(side, level.cols - j * side)
    return reference.read_level(i * side, j * side, rows, cols, factor)


def _pad(
    part: tuple[Values, Mask], down: int, across: int, rows: int, cols: int
) -> tuple[Values, Mask]:
    """Pad a block with pixels that are not valid."""
    values, valid = part
    if valid.shape == (rows, cols):
        return part
    around = [(down, rows - down - valid.shape[0]), (across, cols - across - valid.shape[1])]
    return np.pad(values, [(0, 0)] * (values.ndim - 2) + around), np.pad(valid, around)


@dataclass(frozen=True, kw_only=True)
class MapInfo:
    """Metadata of one or several references; product and date are "" if unknown."""

    paths: tuple[Path, ...]  # files they are read from
    title: str  # product, date and pixel size of each
    product: str
    date: str  # date of the content: "2016", "2019-01", "2016-01-01"
    kind: Literal["radiance", "display"]  # measured, or estimated from images
    resolution_deg: float  # finest pixel size, degrees of longitude
    bounds: Bounds  # edges of all; east may exceed 180
    crs: str  # of the files as they are ("EPSG:4326", …)
    saturation: float | None  # map value, log10(1 + L), from which on the map is saturated, if any
    description: str  # one sentence for people


class RasterMap(tuple[Reference, ...]):
    """References of one kind, best first: at each place the first that has data is used.

    They have no open file and can be pickled. Street maps, and day maps as they are stored, are
    read in the same way.
    """

    @property
    def bounds(self) -> Bounds:
        """West, south, east, north of all together, degrees."""
        return self.info.bounds

    @property
    def doubts(self) -> tuple[str, ...]:
        """Warnings about references that are probably not of the assumed kind."""
        return tuple(one.doubt for one in self if one.doubt)

    @cached_property
    def info(self) -> MapInfo:
        """Description of all together: finest resolution, all of the extent."""

        def join(sign: str, texts: Iterable[str]) -> str:
            return sign.join(dict.fromkeys(filter(None, texts)))

        west, south, east, north = zip(*(one.grid.bounds for one in self), strict=True)
        limits = [one.saturation for one in self if one.saturation is not None]
        return MapInfo(
            paths=tuple(dict.fromkeys(one.path for one in self)),
            title=join("; ", (one.title for one in self)),
            product=join(" + ", (one.product for one in self)),
            date=join(", ", (one.date for one in self)),
            kind="radiance" if all(one.measured for one in self) else "display",
            resolution_deg=min(one.grid.step_deg for one in self),
            bounds=(min(west), min(south), max(east), max(north)),
            crs=join(", ", (one.crs for one in self)),
            saturation=min(limits, default=None),
            description=join("; ", (one.description for one in self)),
        )

    def find_window(self, *region: float) -> MapGrid | None:
        """Read a region as `window` does; None where no reference has data."""
        try:
            return self.window(*region)
        except MapError as error:
            if error.code != "outside_map":
                raise
            return None

    def window(
        self, west: float, south: float, east: float, north: float, resolution_deg: float
    ) -> MapGrid:
        """Read a region, widened to whole pixels; pixels without data are 0 and not valid.

        Parameters
        ----------
        west, south, east, north : float
            Degrees, east > west, at most 360 apart. Longitudes may be in any turn, which the result
            keeps: 170 to 190 crosses the antimeridian. Latitudes are clamped.
        resolution_deg : float
            Maximum pixel size. The largest available one not above it is used, or the finest.

        Returns
        -------
        MapGrid
            Its saturation is that of the references used, if any of their pixels reaches it.

        Raises
        ------
        MapError
            With code ``outside_map``: no reference has data in the region; or a file is damaged.
        ConfigError
            The region is empty or no region.
        """
        inside = max(south, -90.0) < min(north, 90.0)
        if not (west < east <= west + 360.0 and inside and resolution_deg > 0.0):
            raise ConfigError(
                f"West {west}, south {south}, east {east}, north {north} at {resolution_deg} "
                "degrees a pixel is not a region: east must be east of west, north must be north "
                "of south, and the pixel size must be above 0."
            )
        turn = 360.0 * math.floor((west + 180.0) / 360.0)
        region = (west - turn, max(south, -90.0), east - turn, min(north, 90.0))
        reaching = self.reaching(region)
        levels = [
            replace(one.grid, west=one.grid.west + moved).reduced(one.factor_for(resolution_deg))
            for one, moved in reaching
        ]
        limit = resolution_deg * (1.0 + ROUNDING)
        if levels:
            # The coarsest level within the limit, else the finest; the first of equal ones
            level = min(levels, key=lambda one: one.step_deg * (-1 if one.step_deg <= limit else 1))
            out = level.covering(region)
            values, valid, saturation = mosaic(reaching, out)
        if not levels or not valid.any():
            names = [path.name for path in self.info.paths]
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            left, low, right, high = self.bounds
            raise MapError(
                f"{', '.join(names[:3])}{more} does not cover the place: no data between "
                f"longitudes {region[0]:.2f} and {region[2]:.2f}, latitudes {region[1]:.2f} and "
                f"{region[3]:.2f} (it spans {left:.2f} to {right:.2f}, {low:.2f} to {high:.2f}); "
                "give a map of that region.",
                code="outside_map",
            )
        return MapGrid(
            values=values,
            valid=None if valid.all() else valid,
            lon0_deg=out.west + turn + 0.5 * out.step_deg,
            lat0_deg=out.north - 0.5 * out.step_deg,
            step_deg=out.step_deg,
            saturation=saturation,
        )

    def reaching(self, region: Bounds) -> list[tuple[Reference, float]]:
        """List the references that intersect a region, each with its shift in longitude."""
        west, south, east, north = region
        return [
            (one, turn)
            for one in self
            for turn in (0.0, 360.0, -360.0)
            if one.grid.west + turn < east
            and one.grid.east + turn > west
            and one.grid.south < north
            and one.grid.north > south
        ]

    def overview(self, resolution_deg: float) -> MapGrid | None:
        """Read the whole map at a coarse resolution; None if it is large and lacks overviews."""
        pixels = sum(one.pixels_read(resolution_deg) for one in self)
        # A world map of 0.1 degrees takes 0.1 s. One of 15 arc seconds without overviews took 20 s
        if pixels > 7_000_000:
            return None
        return self.window(*self.info.bounds, resolution_deg)


def mosaic(
    reaching: Sequence[tuple[Reference, float]], out: PixelGrid
) -> tuple[Values, Mask, float | None]:
    """Combine references on a grid, the first with priority; also return the saturation reached."""
    values, valid = np.zeros((out.rows, out.cols), np.float32), np.zeros((0, 0), np.bool_)
    saturation: float | None = None
    for one, turn in reaching:
        if valid.size and valid.all():
            break
        part = one.read_onto(replace(out, west=out.west - turn))
        if part is None:
            continue
        if not valid.size:
            (values, valid), new = part, part[1]
        else:
            new = part[1] & ~valid
            np.copyto(values, part[0], where=new)
            valid = valid | new
        highest = float(part[0].max(where=new, initial=0.0))
        # 1e-3: a built map rounds its values to 1e-4
        if one.saturation is not None and highest >= one.saturation - 1e-3:
            saturation = min(one.saturation, np.inf if saturation is None else saturation)
    return values, valid if valid.size else np.zeros(values.shape, np.bool_), saturation
