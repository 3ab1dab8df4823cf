"""GDAL with a bounded cache; what it reports goes to exceptions and not to the terminal."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

CACHE_BYTES = 128 * 1024**2  # GDAL would take 5 % of the machine's memory, and keep it


@contextmanager
def gdal_session() -> Iterator[None]:
    """Run what reads or writes through GDAL."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        # rasterio 1.4 multiplies transforms in a way that affine 3.1 is about to give up.
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        yield
