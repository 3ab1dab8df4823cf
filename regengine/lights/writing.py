"""Write through GDAL so that a failure is one sentence of ours and leaves nothing behind."""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from rasterio.errors import RasterioError

from regengine.errors import LightMapError, RegengineError
from regengine.lights.gdal import gdal_session


class _Complaints(logging.Handler):
    """Collects what GDAL reports as errors without raising, such as failed writes on closing."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def writing(out: Path, leftovers: Sequence[Path]) -> Iterator[None]:
    """Write files on the way to ``out``; any failure, even one only mentioned, is an error.

    Parameters
    ----------
    out : Path
        What is being made.
    leftovers : sequence of Path
        Files that are removed in the end, if they are still there.

    Raises
    ------
    LightMapError
        The disk is full, the folder may not be written to or is not there.
    """
    complaints, logger = _Complaints(), logging.getLogger("rasterio")
    logger.addHandler(complaints)
    try:
        if not out.parent.is_dir():
            raise FileNotFoundError(f"there is no folder {out.parent}")
        with gdal_session(), _native_messages(complaints.messages):
            yield
        if complaints.messages:
            raise OSError(complaints.messages[0])
    except (RasterioError, OSError) as error:
        if isinstance(error, RegengineError) and not complaints.messages:
            raise
        detail = (complaints.messages or [str(error)])[0].strip(". ")
        raise LightMapError(
            f"{out} cannot be written ({detail}): make sure that the folder exists, may be written "
            "to and has room; nothing was left behind."
        ) from error
    finally:
        logger.removeHandler(complaints)
        for path in leftovers:
            with suppress(OSError):
                path.unlink()


@contextmanager
def _native_messages(messages: list[str]) -> Iterator[None]:
    """Catch what libtiff prints past GDAL on the process's standard error: failed writes.

    All else that is printed meanwhile is passed on at the end.
    """
    try:
        terminal = os.dup(2)
    except OSError:  # no standard error to print on
        yield
        return
    with tempfile.TemporaryFile() as caught:
        sys.stderr.flush()
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            caught.seek(0)
            for line in caught.read().decode(errors="replace").splitlines(keepends=True):
                if re.match(r"_?tiff", line, re.IGNORECASE):
                    messages.append(line.strip())
                else:
                    sys.stderr.write(line)
