"""A frame's photo as GDAL reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from regengine.errors import FrameError
from regengine.export.format import LeftOutError
from regengine.export.frame import ExportFrame
from regengine.report.photos import photo_file

# Drivers of GDAL by what the file is: others follow names and addresses in a file
DRIVERS = {"jpeg": "JPEG", "png": "PNG", "tiff": "GTiff", "fits": "FITS"}


def photo_of(frame: ExportFrame) -> Path:
    """The photo's file; `LeftOutError` where it is gone or another one by now."""
    path = photo_file(frame.result.path, frame.store)
    if path is None:
        raise LeftOutError("the photo is not there any more")
    with path.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != frame.result.sha256:
            raise LeftOutError("the photo's file is another one by now (its SHA-256 differs)")
    return path


@contextmanager
def open_photo(frame: ExportFrame) -> Iterator[Any]:
    """The photo as a rasterio data set, only read.

    Raises
    ------
    LeftOutError
        If it is gone, changed, or GDAL cannot read it.
    """
    import rasterio
    from rasterio.errors import RasterioError

    from regengine.gdal_session import gdal_session
    from regengine.image_header import read_image_header

    path = photo_of(frame)
    try:
        driver = DRIVERS.get(read_image_header(path).format)
    except FrameError as error:
        raise LeftOutError(str(error)) from error
    if driver is None:
        raise LeftOutError("GDAL reads no raw files of cameras: make a TIFF of it")
    with gdal_session():
        try:
            # From the root, or a folder called "http:" would make GDAL fetch what is below it
            dataset = rasterio.open(path.absolute(), driver=driver)
        except RasterioError as error:
            raise LeftOutError(f"GDAL cannot read the photo ({error})") from error
        with dataset:
            size = (frame.result.width_px, frame.result.height_px)
            if (dataset.width, dataset.height) != size:
                raise LeftOutError("GDAL sees a picture of another size in the photo's file")
            if any(colour.name == "palette" for colour in dataset.colorinterp):
                raise LeftOutError("its colours are numbers of a palette: save it in full colour")
            yield dataset
