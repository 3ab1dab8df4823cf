"""Opening rasters through GDAL so that whatever it says ends up in one sentence of ours."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError

from regengine.errors import LightMapError

CACHE_BYTES = 128 * 1024**2  # GDAL would take 5 % of the machine's memory


@contextmanager
def gdal_session() -> Iterator[None]:
    """GDAL with a bounded cache; what it reports goes to exceptions and not to the terminal."""
    with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        # rasterio 1.4 multiplies transforms in a way that affine 3.1 is about to give up.
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        yield


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
    except (RasterioError, OSError) as error:
        if isinstance(error, LightMapError):
            raise
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
        dataset = rasterio.open(path, driver=driver, **options)
    except RasterioIOError as error:
        raise LightMapError(
            f"{path} cannot be opened as {driver}: it is not such a file, or it is damaged or "
            "cut short; get it again or convert it to GeoTIFF."
        ) from error
    with dataset:
        yield dataset
