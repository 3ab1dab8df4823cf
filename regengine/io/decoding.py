"""Open regular files; turn errors of image libraries into one exception with one sentence."""

from __future__ import annotations

import errno
import gzip
import os
import re
import stat
import struct
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from threading import RLock

from regengine.errors import FrameError, is_short_of_memory
from regengine.io.extras import make_import_error

_KINDS = (
    (stat.S_ISDIR, "a folder, not a photo; name the files in it"),
    (stat.S_ISFIFO, "a named pipe, not a file; save its content to a file first"),
    (stat.S_ISSOCK, "a socket, not a file; leave it out"),
    (lambda mode: not stat.S_ISREG(mode), "a device, not a file; save its content to a file first"),
)
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


# gzip, compress, zip, bzip2, xz, zstd, rar, 7z, tar
_PACKED = re.compile(
    rb"\x1f[\x8b\x9d]|PK\x03\x04|BZh\d1AY&SY|\xfd7zXZ\0|\x28\xb5\x2f\xfd|Rar!\x1a|"
    rb"7z\xbc\xaf\x27\x1c|.{257}ustar",
    re.DOTALL,
)


def is_packed(start: bytes) -> bool:
    return _PACKED.match(start) is not None


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading, or the one that a symbolic link leads to.

    The type is checked before opening, so that opening a pipe does not block, and again on the
    opened file. Raises FrameError, which is an OSError, if there is no such file, or it is not
    readable.
    """
    try:
        _check(path, path.stat().st_mode)
        handle = os.open(path, _FLAGS)
        try:
            _check(path, os.fstat(handle).st_mode)
            return os.fdopen(handle, "rb")
        except BaseException:
            os.close(handle)
            raise
    except FrameError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        number = getattr(error, "errno", None)
        reason = getattr(error, "strerror", None) or error
        why = f"cannot be opened ({reason}); check the name and the read permission"
        if number == errno.ELOOP:
            why = "is a symbolic link in a circle; make it point to a file"
        elif number == errno.ENOENT and path.is_symlink():
            why = "is a symbolic link to a file that does not exist; repair the link"
        elif number == errno.ENOENT:
            why = "does not exist; check the name"
        raise FrameError(f"{path} {why}") from error


def _check(path: Path, mode: int) -> None:
    for is_kind, what in _KINDS:
        if is_kind(mode):
            raise FrameError(f"{path} is {what}")


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
        raise FrameError(str(make_import_error(str(path), error)), code="not_installed") from error
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
    lines: list[str] = []
    with _LISTENING, tempfile.TemporaryFile() as file:
        try:
            before = os.dup(2)
        except OSError:  # no standard error to write to
            yield lines
            return
        sys.stderr.flush()
        os.dup2(file.fileno(), 2)
        try:
            yield lines
        finally:
            sys.stderr.flush()
            os.dup2(before, 2)
            os.close(before)
            file.seek(0)
            lines += file.read(most_bytes).decode("utf-8", "replace").splitlines()


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


def explain_library_error(message: str) -> str:
    return next((text for words, text in _MEANING if re.search(words, message, re.I)), _ELSE)


def make_damage_error(path: Path, detail: str) -> FrameError:
    return FrameError(f"{path} is damaged or truncated: {detail}; get a complete copy of the file")


def make_size_error(path: Path, size: str, *, limit_px: int = MAX_PIXELS) -> FrameError:
    """Return the error for a picture with too many pixels."""
    return FrameError(
        f"{path} claims {size}more than the limit of {limit_px // 1_000_000} megapixels; if it is "
        "a real photo, give a smaller copy",
        code="too_large",
    )
