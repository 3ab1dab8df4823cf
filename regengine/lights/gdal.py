"""Opening rasters through GDAL so that whatever it says ends up in one sentence of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rasterio
from rasterio.errors import RasterioIOError

from regengine.decoding import overheard
from regengine.errors import LightMapError, RegengineError
from regengine.gdal_session import gdal_session


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Run a read of ``path``; GDAL's failures become a LightMapError.

    Raises
    ------
    LightMapError
        The file is damaged or cut short.
    """
    try:
        with gdal_session():
            yield
    except (RegengineError, MemoryError):
        raise
    except Exception as error:  # damaged maps fail in GDAL, PROJ and NumPy in many ways
        raise LightMapError(
            f"{path} cannot be read: it is damaged or was cut short while it was copied or "
            "downloaded; get it again."
        ) from error


@contextmanager
def open_raster(
    path: Path, *, driver: str, overview_factor: int = 1
) -> Iterator[rasterio.DatasetReader]:
    """Open a raster for reading.

    Parameters
    ----------
    path : Path
        The file.
    driver : str
        GDAL's name of the only format that is tried.
    overview_factor : int, optional
        Open the overview that is smaller by this factor, which must exist.

    Raises
    ------
    LightMapError
        The file is missing, not of this format, damaged or cut short.
    """
    if not path.is_file():
        raise LightMapError(f"{path} does not exist: check the path of the night-light map.")
    with reading(path):
        options = {}
        if overview_factor > 1:
            options["overview_level"] = overview_factor.bit_length() - 2
        with _opened(path, driver, options) as dataset:
            yield dataset


@contextmanager
def _opened(path: Path, driver: str, options: dict[str, int]) -> Iterator[rasterio.DatasetReader]:
    try:
        with overheard():  # rasterio cannot pass on what GDAL says in bytes that are no text
            # From the root, or a folder called "http:" would make GDAL fetch what is below it
            dataset = rasterio.open(path.absolute(), driver=driver, **options)
    except RasterioIOError as error:
        raise LightMapError(
            f"{path} cannot be opened as {driver}: it is not such a file, or it is damaged or "
            "cut short; get it again or convert it to GeoTIFF."
        ) from error
    with dataset:
        yield dataset
