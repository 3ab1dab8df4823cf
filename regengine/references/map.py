"""One or several night-light maps as one: any window, at the resolution that is wanted."""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from matchers.light_grid import LightGrid
from regengine.errors import ConfigError, FrameError, LightMapError
from regengine.io.regular import open_regular
from regengine.references.geotiff import open_geotiff
from regengine.references.mosaic import factor_for, fill, output_grid, placed_in
from regengine.references.netcdf import broken_hdf5, open_netcdf, open_vnp46
from regengine.references.source import Bounds, LightMapInfo, LightSource
from regengine.references.tiles import DESCRIPTION_FILE, PICTURES, open_tiles
from regengine.store.file import heaps_end

# A world of 0.1 degrees: 0.1 s. That of a map of 15 arc seconds without overviews took 20 s
OVERVIEW_PIXELS = 7_000_000
TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
NETCDF_MAGIC = b"CDF"
MAP_SUFFIXES = (".tif", ".tiff", ".h5", ".hdf5", ".he5", ".nc")

# What else people hold in their hands, and what to do with it.
OTHER_FORMATS = (
    (b"\x1f\x8b", "is compressed: unpack it first (gunzip, or tar -xzf for .tgz)"),
    (b"PK\x03\x04", "is a zip archive: unpack it first"),
    (b"\x89PNG", "is a picture that does not say where it lies: get the GeoTIFF of it"),
    (b"\xff\xd8\xff", "is a picture that does not say where it lies: get the GeoTIFF of it"),
    (b"\x0e\x03\x13\x01", "is HDF4, which no night-light product uses: get VNP46 as HDF5"),
)


@dataclass(frozen=True, kw_only=True)
class LightMap:
    """Night-light maps, of which the first that has data counts; no open file, may be pickled."""

    sources: tuple[LightSource, ...]

    @property
    def info(self) -> LightMapInfo:
        """Description of all maps together."""
        return combined_info([source.info for source in self.sources])

    def window(
        self, west: float, south: float, east: float, north: float, resolution_deg: float
    ) -> LightGrid:
        """The lights of a region, widened to whole pixels; those without data are 0 and not valid.

        The edges are degrees, east > west, at most 360 apart, in any turn, which is the result's,
        too: 170 to 190 crosses the antimeridian. Latitudes are clamped to the poles. Pixels are the
        largest at hand that are not larger than ``resolution_deg``, or the finest of the maps. The
        saturation is that of the pictures used, if any of their pixels reaches it.

        Raises
        ------
        LightMapError
            With code ``outside_map``: no map has data in the region; or a file is damaged.
        ConfigError
            The region is empty or no region.
        """
        _check_region(west, south, east, north, resolution_deg)
        turn = 360.0 * math.floor((west + 180.0) / 360.0)
        region = (west - turn, max(south, -90.0), east - turn, min(north, 90.0))
        placed = placed_in(self.sources, region)
        if not placed:
            raise LightMapError(self._outside_sentence(region), code="outside_map")
        out = output_grid(placed, region, resolution_deg)
        filled = fill(placed, out)
        if not filled.valid.any():
            raise LightMapError(self._outside_sentence(region), code="outside_map")
        return LightGrid(
            values=filled.values,
            valid=None if filled.valid.all() else filled.valid,
            lon0_deg=out.west + turn + 0.5 * out.step_deg,
            lat0_deg=out.north - 0.5 * out.step_deg,
            step_deg=out.step_deg,
            saturation=filled.saturation,
        )

    def overview(self, resolution_deg: float) -> LightGrid | None:
        """All of the map at a coarse resolution, where that need not read all of its pixels.

        None where the maps hold no overviews of that kind and are large.
        """
        if sum(pixels_read(source, resolution_deg) for source in self.sources) > OVERVIEW_PIXELS:
            return None
        return self.window(*self.info.bounds, resolution_deg)

    def _outside_sentence(self, region: Bounds) -> str:
        info = self.info
        west, south, east, north = info.bounds
        return (
            f"{names_of(info)} does not cover the place: there is nothing in it between longitudes "
            f"{region[0]:.2f} and {region[2]:.2f}, latitudes {region[1]:.2f} and {region[3]:.2f} "
            f"(it spans {west:.2f} to {east:.2f}, {south:.2f} to {north:.2f}); give a map of that "
            "region."
        )


def open_light_map(paths: Sequence[Path | str]) -> LightMap:
    """Open night-light maps: GeoTIFF, built maps, VNP46, netCDF, folders of those or of map tiles.

    Radiance comes before pictures, finer before clearly coarser, else the order given counts; so
    a clip of a city with true radiance replaces its part of a world picture. LightMapError if a
    file is missing, unknown, damaged or without coordinate system.
    """
    if not paths:
        raise LightMapError("No night-light map was given: name at least one.")
    sources = [source for path in paths for source in _open_source(Path(path))]
    # Steps are compared in octaves: 15 arcsec, the 16.2 of exports and the 20 of tiles are equal.
    sources.sort(key=lambda s: (s.info.kind != "radiance", round(math.log2(s.grid.step_deg))))
    return LightMap(sources=tuple(sources))


@lru_cache(maxsize=4)
def light_map_of(paths: tuple[Path, ...]) -> LightMap:
    """The same of a run's maps, opened once per process."""
    return open_light_map(paths)


def _open_source(path: Path) -> list[LightSource]:
    """The map or maps at a path."""
    if path.is_dir():
        return _open_folder(path)
    magic = _first_bytes(path)
    if magic.startswith(TIFF_MAGICS):
        return [open_geotiff(path)]
    # NetCDF 4 is HDF5, too, and GDAL's library has the same endless loop as h5py's
    if magic == HDF5_MAGIC:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if not heaps_end(data):
                raise broken_hdf5(path)
    if magic.startswith(NETCDF_MAGIC) or (magic == HDF5_MAGIC and path.suffix.lower() == ".nc"):
        return [open_netcdf(path)]
    if magic == HDF5_MAGIC:
        return [open_vnp46(path)]
    for start, sentence in OTHER_FORMATS:
        if magic.startswith(start):
            raise LightMapError(f"{path} {sentence}.")
    raise LightMapError(
        f"{path} is no night-light map, whatever its name says: give a GeoTIFF, a VNP46 tile "
        "(HDF5), a netCDF file, or a folder of them or of map tiles."
    )


def _first_bytes(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read(8)
    except FrameError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise LightMapError(
                f"{path} does not exist: check the path of the night-light map."
            ) from None
        raise LightMapError(f"{error}.") from error
    except OSError as error:
        raise LightMapError(
            f"{path} cannot be opened ({error.strerror}): check its permissions."
        ) from error


def _open_folder(folder: Path) -> list[LightSource]:
    if (folder / DESCRIPTION_FILE).exists():
        return list(open_tiles(folder))
    # Newest name first: of two tiles of the same place the later one counts.
    files = sorted(
        (path for path in folder.iterdir() if path.suffix.lower() in MAP_SUFFIXES), reverse=True
    )
    if files:
        return [source for path in files for source in _open_source(path)]
    if any(path.suffix.lower() in PICTURES for path in folder.glob("*/*/*")):
        return list(open_tiles(folder))  # says what tiles.json must hold
    raise LightMapError(
        f"{folder} holds no night-light map: it should contain GeoTIFF, VNP46 or netCDF files, or "
        f"map tiles with a {DESCRIPTION_FILE}."
    )


def pixels_read(source: LightSource, resolution_deg: float) -> int:
    """How many pixels of a map, or of its overviews, make all of it at a resolution."""
    wanted = factor_for(source, resolution_deg)
    at_hand = max(factor for factor in (1, *source.overview_factors) if factor <= wanted)
    return source.grid.cols * source.grid.rows // at_hand**2


def combined_info(infos: Sequence[LightMapInfo]) -> LightMapInfo:
    """One description for several maps: finest resolution, all of the extent."""
    if len(infos) == 1:
        return infos[0]
    limits = [info.saturation for info in infos if info.saturation is not None]
    return LightMapInfo(
        paths=tuple(dict.fromkeys(path for info in infos for path in info.paths)),
        product=" + ".join(dict.fromkeys(info.product for info in infos if info.product)),
        date=", ".join(dict.fromkeys(info.date for info in infos if info.date)),
        kind="display" if any(info.kind == "display" for info in infos) else "radiance",
        resolution_deg=min(info.resolution_deg for info in infos),
        bounds=(
            min(info.bounds[0] for info in infos),
            min(info.bounds[1] for info in infos),
            max(info.bounds[2] for info in infos),
            max(info.bounds[3] for info in infos),
        ),
        crs=", ".join(dict.fromkeys(info.crs for info in infos)),
        saturation=min(limits) if limits else None,
        description="; ".join(dict.fromkeys(info.description for info in infos)),
    )


def names_of(info: LightMapInfo) -> str:
    """File names of a map for a sentence, the first three of many."""
    names = [path.name for path in info.paths]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _check_region(
    west: float, south: float, east: float, north: float, resolution_deg: float
) -> None:
    """Raise if a region is empty, off the Earth or more than a turn wide."""
    inside = max(south, -90.0) < min(north, 90.0)
    if not (west < east <= west + 360.0 and inside and resolution_deg > 0.0):
        raise ConfigError(
            f"West {west}, south {south}, east {east}, north {north} at {resolution_deg} degrees a "
            "pixel is no region: east must lie east of west, north of south, and the pixel size "
            "above 0."
        )
