"""Open regular files only, so that pipes, devices and sockets cannot block a run."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

from regengine.errors import FrameError

_KINDS = (
    (stat.S_ISDIR, "a folder, not a photo; name the files in it"),
    (stat.S_ISFIFO, "a named pipe, not a file; save its content to a file first"),
    (stat.S_ISSOCK, "a socket, not a file; leave it out"),
    (lambda mode: not stat.S_ISREG(mode), "a device, not a file; save its content to a file first"),
)
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


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
        raise FrameError(_why(path, error)) from error


def _check(path: Path, mode: int) -> None:
    for is_kind, what in _KINDS:
        if is_kind(mode):
            raise FrameError(f"{path} is {what}")


def _why(path: Path, error: OSError | ValueError) -> str:
    number = getattr(error, "errno", None)
    if number == errno.ELOOP:
        return f"{path} is a symbolic link in a circle; make it point to a file"
    if number == errno.ENOENT and path.is_symlink():
        return f"{path} is a symbolic link to a file that does not exist; repair the link"
    if number == errno.ENOENT:
        return f"{path} does not exist; check the name"
    reason = getattr(error, "strerror", None) or error
    return f"{path} cannot be opened ({reason}); check the name and the read permission"
