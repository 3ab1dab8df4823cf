"""GDAL with a bounded cache; what it reports goes to exceptions and not to the terminal."""

from __future__ import annotations

import logging
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import StringIO
from pathlib import Path

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError

from regengine.errors import LightMapError, RegengineError
from regengine.io.decoding import capture_stderr

CACHE_BYTES = 128 * 1024**2  # GDAL would take 5 % of the machine's memory, and keep it


@contextmanager
def open_gdal_session() -> Iterator[None]:
    """Run what reads or writes through GDAL."""
    with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        # rasterio 1.4 multiplies transforms in a way that affine 3.1 is about to give up.
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        yield


@contextmanager
def raise_read_failures(path: Path) -> Iterator[None]:
    """Run a read of ``path``; GDAL's failures become a LightMapError that it is damaged."""
    try:
        with open_gdal_session():
            yield
    except (RegengineError, MemoryError):
        raise
    except Exception as error:  # damaged maps fail in GDAL, PROJ and NumPy in many ways
        raise LightMapError(
            f"{path} cannot be read: it is damaged or truncated; get it again."
        ) from error


def open_dataset(path: Path, *, driver: str) -> rasterio.DatasetReader:
    """A raster of one format, by GDAL's name of it.

    LightMapError if the file is missing, not of this format, damaged or cut short.
    """
    if not path.is_file():
        raise LightMapError(f"{path} does not exist: check the path of the night-light map.")
    with raise_read_failures(path):
        try:
            with (
                capture_stderr()
            ):  # rasterio cannot pass on what GDAL says in bytes that are no text
                # From the root, or a folder called "http:" would make GDAL fetch what is below it
                return rasterio.open(path.absolute(), driver=driver)
        except RasterioIOError as error:
            raise LightMapError(
                f"{path} cannot be opened as {driver}: it has another format, or is damaged or "
                "truncated; get it again or convert it to GeoTIFF."
            ) from error


@contextmanager
def open_raster(path: Path, *, driver: str) -> Iterator[rasterio.DatasetReader]:
    """The same for a block, whose failures become errors of a damaged file, see
    `raise_read_failures`.
    """
    dataset = open_dataset(path, driver=driver)
    with raise_read_failures(path), dataset:
        yield dataset


@contextmanager
def raise_write_failures(out: Path, leftovers: Sequence[Path]) -> Iterator[None]:
    """Write files on the way to ``out``; any failure, even one only mentioned, is an error.

    ``leftovers`` are removed in the end, if they are still there. LightMapError if the disk is
    full, the folder may not be written to or is not there.
    """
    complaints, logger = StringIO(), logging.getLogger("rasterio")
    handler = logging.StreamHandler(complaints)  # GDAL raises nothing where closing fails to write
    handler.setLevel(logging.ERROR)
    logger.addHandler(handler)
    said: list[str] = []
    try:
        if not out.parent.is_dir():
            raise FileNotFoundError(f"the folder {out.parent} does not exist")
        try:
            with open_gdal_session(), capture_stderr(most_bytes=-1) as said:
                yield
        finally:  # what libtiff prints past GDAL are failed writes; all else is passed on
            for line in said:
                of_tiff = re.match(r"_?tiff", line, re.IGNORECASE)
                print(line, file=complaints if of_tiff else sys.stderr)
        if complaints.getvalue():
            raise OSError(complaints.getvalue())
    except (RasterioError, OSError) as error:
        if isinstance(error, RegengineError) and not complaints.getvalue():
            raise
        detail = (complaints.getvalue() or str(error)).strip().partition("\n")[0].strip(". ")
        raise LightMapError(
            f"{out} cannot be written ({detail}): make sure that the folder exists, is writable "
            "and has free space; nothing was left behind."
        ) from error
    finally:
        logger.removeHandler(handler)
        for path in leftovers:
            with suppress(OSError):
                path.unlink()
