"""The comparison as a cloud-optimised GeoTIFF on the map's own cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from regengine.export.formats.geotiff import cloud_optimised
from regengine.export.frame import ExportFrame
from regengine.export.warp import BLOCK
from regengine.radiometry.measure import NOT_SEEN, Radiometry

RADIANCE_UNIT = "nW cm-2 sr-1"
# Name and unit of each band
BANDS = (
    ("photo luminance above the background, 1 is full scale", "1"),
    ("map radiance", RADIANCE_UNIT),
    ("residual, photo less fit", "sigma"),
    (
        "mask: 0 compared, 1 not compared, 2 photo saturated, 3 map saturated, "
        "4 photo brighter, 5 photo fainter",
        "code",
    ),
    ("photo background luminance", "1"),
)


def write_raster(found: Radiometry, frame: ExportFrame, path: Path) -> None:
    """Write the bands of `BANDS`; NaN where nothing is compared.

    Parameters
    ----------
    found : Radiometry
        The comparison.
    frame : ExportFrame
        Its photo.
    path : Path
        A new file.
    """
    from rasterio.windows import Window

    mask, compared = found.mask(), found.comparison
    nothing = mask == NOT_SEEN
    values = (compared.light, compared.radiance_nw, found.significance.sigma)
    bands = [np.where(nothing, np.float32(np.nan), band) for band in values]
    bands.append(mask.astype(np.float32))
    bands.append(np.where(nothing, np.float32(np.nan), compared.background))
    profile = {"count": len(bands), "dtype": "float32", "nodata": float("nan")}
    grid = found.cells.grid
    with cloud_optimised(path, grid, frame, profile) as raster:
        raster.update_tags(
            GAIN=repr(found.gain.gain),
            GAIN_SIGMA=repr(found.gain.gain_sigma),
            OFFSET=repr(found.gain.offset),
            LIMIT_SIGMA=repr(found.significance.limit),
        )
        for number, (name, unit) in enumerate(BANDS, start=1):
            raster.set_band_description(number, name)
            raster.set_band_unit(number, unit)
        for row in range(0, grid.height, BLOCK):
            for column in range(0, grid.width, BLOCK):
                here = np.s_[row : row + BLOCK, column : column + BLOCK]
                block = np.stack([band[here] for band in bands]).astype(np.float32)
                window = Window(column, row, block.shape[2], block.shape[1])
                raster.write(block, window=window)
