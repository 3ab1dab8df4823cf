"""Which reader a path belongs to, told from its first bytes or, for folders, its contents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from regengine.errors import LightMapError
from regengine.hdf5_heaps import file_heaps_sound
from regengine.lights.geotiff import open_geotiff
from regengine.lights.netcdf import open_netcdf
from regengine.lights.sidecar import read_sidecar
from regengine.lights.source import LightSource
from regengine.lights.tiles import DESCRIPTION_FILE, PICTURES, open_tiles
from regengine.lights.vnp46 import broken_hdf5, open_vnp46

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


def open_source(path: Path, classes: Mapping[int, float]) -> list[LightSource]:
    """The map or maps at a path.

    Parameters
    ----------
    path : Path
        A file, or a folder of maps or map tiles.
    classes : mapping of int to float
        Radiance of class codes, for maps of classes; else empty.

    Raises
    ------
    LightMapError
        Nothing is there, it is unknown, damaged or without coordinate system.
    """
    if path.is_dir():
        return _open_folder(path, classes)
    magic = _first_bytes(path)
    sidecar = read_sidecar(path)
    if classes:
        sidecar = replace(sidecar, classes=tuple(sorted(classes.items())))
    if magic.startswith(TIFF_MAGICS):
        return [open_geotiff(path, sidecar)]
    # NetCDF 4 is HDF5, too, and GDAL's library has the same endless loop as h5py's
    if magic == HDF5_MAGIC and not file_heaps_sound(path):
        raise broken_hdf5(path)
    if magic.startswith(NETCDF_MAGIC) or (magic == HDF5_MAGIC and path.suffix.lower() == ".nc"):
        return [open_netcdf(path, sidecar)]
    if magic == HDF5_MAGIC:
        return [open_vnp46(path, sidecar)]
    for start, sentence in OTHER_FORMATS:
        if magic.startswith(start):
            raise LightMapError(f"{path} {sentence}.")
    raise LightMapError(
        f"{path} is no night-light map, whatever its name says: give a GeoTIFF, a VNP46 tile "
        "(HDF5), a netCDF file, or a folder of them or of map tiles."
    )


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(8)
    except FileNotFoundError:
        raise LightMapError(
            f"{path} does not exist: check the path of the night-light map."
        ) from None
    except OSError as error:
        raise LightMapError(
            f"{path} cannot be opened ({error.strerror}): check its permissions."
        ) from error


def _open_folder(folder: Path, classes: Mapping[int, float]) -> list[LightSource]:
    if (folder / DESCRIPTION_FILE).exists():
        return list(open_tiles(folder))
    # Newest name first: of two tiles of the same place the later one counts.
    files = sorted(
        (path for path in folder.iterdir() if path.suffix.lower() in MAP_SUFFIXES), reverse=True
    )
    if files:
        return [source for path in files for source in open_source(path, classes)]
    if any(path.suffix.lower() in PICTURES for path in folder.glob("*/*/*")):
        return list(open_tiles(folder))  # says what tiles.json must hold
    raise LightMapError(
        f"{folder} holds no night-light map: it should contain GeoTIFF, VNP46 or netCDF files, or "
        f"map tiles with a {DESCRIPTION_FILE}."
    )
