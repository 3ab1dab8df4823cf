"""Use GDAL with a bounded cache, and turn its messages into exceptions."""

from __future__ import annotations

import errno
import logging
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import StringIO
from pathlib import Path
from xml.sax.saxutils import escape

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError

from regengine.errors import MapError, RegengineError
from regengine.io.decoding import capture_stderr, open_regular
from regengine.io.plain import make_printable

# GDAL's default is 5 % of the machine's memory, which is never released
CACHE_BYTES = 128 * 1024**2


@contextmanager
def open_gdal_session() -> Iterator[None]:
    """Provide a GDAL environment for reading or writing."""
    with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        # rasterio 1.4 multiplies transforms in a way that affine 3.1 deprecates.
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        yield


@contextmanager
def raise_read_failures(path: Path) -> Iterator[None]:
    """Raise failures of a read of ``path`` as a MapError that it is damaged."""
    try:
        with open_gdal_session():
            yield
    except (RegengineError, MemoryError):
        raise
    except Exception as error:  # damaged maps fail in GDAL, PROJ and NumPy in many ways
        raise MapError(
            f"{path} cannot be read: it is damaged or truncated; get it again."
        ) from error


def open_dataset(path: Path, *, driver: str) -> rasterio.DatasetReader:
    """Open a raster of one format, given by GDAL's driver name.

    Raises MapError if the file is missing, not of this format, damaged or truncated.
    """
    if not path.is_file():
        raise MapError(f"{path} does not exist: check the path of the night-light map.")
    with raise_read_failures(path):
        try:
            with capture_stderr():  # rasterio cannot pass on GDAL messages that are not valid text
                # Absolute: GDAL would treat a relative path in a folder "http:" as a web address
                return rasterio.open(path.absolute(), driver=driver)
        except RasterioIOError as error:
            raise MapError(
                f"{path} cannot be opened as {driver}: it has another format, or is damaged or "
                "truncated; get it again or convert it to GeoTIFF."
            ) from error


@contextmanager
def provide_gdal_path(path: Path) -> Iterator[Path]:
    """Provide the absolute path of a file, or another that GDAL takes if its name is not UTF-8.

    GDAL would treat a relative path in a folder "http:" as a web address.
    """
    path = path.absolute()
    if make_printable(str(path)) == str(path):
        yield path
        return
    with open_regular(path) as stream:
        yield Path(f"/dev/fd/{stream.fileno()}")


def expand_palette(dataset: rasterio.DatasetReader) -> rasterio.DatasetReader:
    """Open red, green, blue and opacity of a raster with a palette; GDAL looks colours up."""
    source = (
        f'<SourceFilename relativeToVRT="0">{escape(dataset.name)}</SourceFilename>'
        "<SourceBand>1</SourceBand><UseMaskBand>true</UseMaskBand>"
    )
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}"><ColorInterp>{name}</ColorInterp>'
        f"<ComplexSource>{source}<ColorTableComponent>{band}</ColorTableComponent>"
        "</ComplexSource></VRTRasterBand>"
        for band, name in enumerate(("Red", "Green", "Blue", "Alpha"), start=1)
    )
    place = ", ".join(map(repr, dataset.transform.to_gdal()))
    return rasterio.open(
        f'<VRTDataset rasterXSize="{dataset.width}" rasterYSize="{dataset.height}">'
        f"<SRS>{escape(dataset.crs.to_wkt())}</SRS><GeoTransform>{place}</GeoTransform>{bands}"
        "</VRTDataset>",
        driver="VRT",
    )


@contextmanager
def open_raster(path: Path, *, driver: str) -> Iterator[rasterio.DatasetReader]:
    """Open a raster for a block; failures within it are raised as by `raise_read_failures`."""
    dataset = open_dataset(path, driver=driver)
    with raise_read_failures(path), dataset:
        yield dataset


@contextmanager
def capture_complaints() -> Iterator[list[str]]:
    """Collect what GDAL only logs, warnings and errors, each as one sentence; none is shown."""
    lines: list[str] = []
    handler, logger = logging.Handler(logging.WARNING), logging.getLogger("rasterio")
    handler.emit = lambda record: lines.append(  # type: ignore[method-assign]
        re.sub(r"^CPLE_\w+ in (.*?)\.?$", r"\1", record.getMessage())
    )
    shown, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
        logger.propagate = shown


@contextmanager
def raise_write_failures(out: Path, leftovers: Sequence[Path]) -> Iterator[None]:
    """Raise any failure to write ``out`` as OSError, even one that GDAL only logs.

    ``leftovers`` are deleted at the end if they exist. Causes are a full disk, or a folder that is
    missing or not writable.
    """
    complaints, logger = StringIO(), logging.getLogger("rasterio")
    handler = logging.StreamHandler(complaints)  # GDAL raises nothing if a write fails on closing
    handler.setLevel(logging.ERROR)
    logger.addHandler(handler)
    lines: list[str] = []
    try:
        if not out.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, f"the folder {out.parent} does not exist")
        try:
            with open_gdal_session(), capture_stderr(most_bytes=-1) as lines:
                yield
        finally:  # libtiff prints failed writes directly to standard error; all else is passed on
            for line in lines:
                of_tiff = re.match(r"_?tiff", line, re.IGNORECASE)
                print(line, file=complaints if of_tiff else sys.stderr)
        if complaints.getvalue():
            raise OSError(complaints.getvalue())
    except UnicodeEncodeError as error:
        raise OSError("GDAL cannot be given a name that is not UTF-8") from error
    except (RasterioError, CPLE_BaseError, OSError) as error:
        known = isinstance(error, RegengineError) or getattr(error, "errno", None) is not None
        if known and not complaints.getvalue():
            raise
        detail = (complaints.getvalue() or str(error)).strip().partition("\n")[0].strip(". ")
        raise OSError(detail) from error
    finally:
        logger.removeHandler(handler)
        for path in leftovers:
            with suppress(OSError):
                path.unlink()
