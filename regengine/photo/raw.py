"""Read raw camera files with LibRaw (extra ``raw``)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from regengine.errors import FrameError
from regengine.io.decoding import (
    capture_stderr,
    explain_library_error,
    make_damage_error,
    raise_as_frame_error,
)
from regengine.io.extras import make_missing_error

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def _rawpy(path: Path) -> ModuleType:
    try:
        import rawpy
    except ImportError as error:
        raise FrameError(
            str(make_missing_error(f"{path}, a raw photo,", error)), code="raw_support_missing"
        ) from error
    return rawpy


def raw_size(path: Path) -> tuple[int, int]:
    """Return width and height of the visible part of the sensor, not rotated."""
    rawpy = _rawpy(path)
    with raise_as_frame_error(path), _listening(path), rawpy.imread(str(path)) as raw:
        return int(raw.sizes.width), int(raw.sizes.height)


@contextmanager
def _listening(path: Path) -> Iterator[None]:
    """Raise errors that LibRaw writes to standard error as damage of the file.

    For a truncated file, LibRaw only prints "Unexpected end of file" and reports no error. The rest
    of the picture is then uninitialised memory.
    """
    with capture_stderr() as said:
        yield
    text = " ".join(said).replace(str(path), "").strip()
    if text:
        raise make_damage_error(path, explain_library_error(text))


def decode_raw(path: Path, *, half_size: bool, for_display: bool = False) -> NDArray[np.uint16]:
    """Decode a raw file, without rotation or brightening."""
    rawpy = _rawpy(path)
    with raise_as_frame_error(path), _listening(path), rawpy.imread(str(path)) as raw:
        picture: NDArray[np.uint16] = raw.postprocess(
            half_size=half_size,
            use_camera_wb=True,
            output_bps=16,
            user_flip=0,  # as stored, the orientation is ignored
            no_auto_bright=not for_display,
            **({} if for_display else {"gamma": (1.0, 1.0)}),
        )
    if picture.ndim != 3 or picture.shape[2] != 3:
        raise make_damage_error(path, "its sensor has no red, green and blue")
    return picture
