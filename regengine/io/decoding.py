"""Turn errors and warnings of image libraries into one exception with one sentence."""

from __future__ import annotations

import gzip
import os
import re
import struct
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from regengine.errors import FrameError, is_short_of_memory
from regengine.io.extras import make_missing_error

# Messages of libraries are written for programmers: users get their meaning
_MEANING = (
    (r"unexpected end|end of file|truncated|buffer of|read error", "the file ends too early"),
    (r"checksum|crc", "a checksum is wrong"),
    (r"directory|setfield|fetch|missing ?required|incorrect count", "its TIFF tags are invalid"),
    (r"cannot (load|identify)|unrecogni[sz]ed", "its header cannot be read"),
    (r"gzip|compressed|deflate|zlib", "a compressed part cannot be unpacked"),
)
_ELSE = "its image data cannot be decoded"
# Three times the largest picture of a camera flown on the station (45 megapixels). A decoded pixel
# takes 4 bytes, so the largest accepted image takes 600 MB.
MAX_PIXELS = 150_000_000
# Standard error belongs to the process: two threads that redirect it at once would lose it
_LISTENING = RLock()


@contextmanager
def raise_as_frame_error(path: Path) -> Iterator[None]:
    """Raise any error of an image library as FrameError, and suppress its warnings."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except FrameError:
        raise
    except ImportError as error:
        raise FrameError(str(make_missing_error(str(path), error)), code="not_installed") from error
    except Exception as error:  # decoders fail on damaged files in many ways
        if is_short_of_memory(error):
            raise FrameError(
                f"{path} needs more memory to decode than is available; free some or use a "
                "smaller copy",
                code="out_of_memory",
            ) from error
        if type(error).__name__ == "DecompressionBombError":
            raise make_size_error(path, "") from error
        raise make_damage_error(path, _detail(error, path)) from error


@contextmanager
def capture_stderr(most_bytes: int = 4000) -> Iterator[list[str]]:
    """Capture what C libraries write to standard error; its lines are complete after the block."""
    said: list[str] = []
    with _LISTENING, tempfile.TemporaryFile() as file:
        try:
            before = os.dup(2)
        except OSError:  # no standard error to write to
            yield said
            return
        sys.stderr.flush()
        os.dup2(file.fileno(), 2)
        try:
            yield said
        finally:
            sys.stderr.flush()
            os.dup2(before, 2)
            os.close(before)
            file.seek(0)
            said += file.read(most_bytes).decode("utf-8", "replace").splitlines()


def _detail(error: Exception, path: Path) -> str:
    """Explain a library's exception in words for users."""
    if type(error).__name__ == "UnidentifiedImageError":
        return "its header cannot be read"
    if isinstance(error, gzip.BadGzipFile):
        return "a gzip part is not valid gzip"
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        return f"reading it fails ({error.strerror.lower()})"
    if isinstance(error, EOFError):
        return "the file ends too early"
    if not isinstance(error, OSError | SyntaxError | struct.error):
        return "its contents are invalid"
    # rasterio says only "see previous exception"
    return explain_library_error(str(error.__cause__ or error).replace(path.name, ""))


def explain_library_error(said: str) -> str:
    """Explain a library's message about a file in words for users."""
    return next((told for words, told in _MEANING if re.search(words, said, re.I)), _ELSE)


def make_damage_error(path: Path, detail: str) -> FrameError:
    """Return the error for damaged file contents."""
    return FrameError(f"{path} is damaged or truncated: {detail}; get a complete copy of the file")


def make_size_error(path: Path, size: str, *, limit_px: int = MAX_PIXELS) -> FrameError:
    """Return the error for a picture with too many pixels."""
    return FrameError(
        f"{path} claims {size}more than the limit of {limit_px // 1_000_000} megapixels; if it is "
        "a real photo, give a smaller copy",
        code="too_large",
    )
