"""What a format is: one file for all frames, or files for each frame in a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regengine.export.frame import ExportFrame
from regengine.export.names import photo_name
from regengine.export.options import ExportOptions


class LeftOutError(Exception):
    """A frame has not what a format needs; the sentence says what."""


@dataclass(frozen=True, kw_only=True)
class FileFormat:
    """A format that holds all frames in one file.

    Attributes
    ----------
    summary : str
        What it is, in a few words.
    endings : tuple of str
        What the file's name may end in.
    write : callable
        Takes the frames, a path of a new file, and the options.
    """

    summary: str
    endings: tuple[str, ...]
    write: Callable[[Iterator[ExportFrame], Path, ExportOptions], None]


@dataclass(frozen=True, kw_only=True)
class LastFile:
    """A file that tells of all others in a folder: where it is, they are.

    Attributes
    ----------
    name : str
        Its name.
    write : callable
        Takes what the format's ``write`` said of each frame, a path of a new file, the path whose
        place it takes, and the options. The frames are written as it asks for them.
    """

    name: str
    write: Callable[[Iterator[Any], Path, Path, ExportOptions], None]


@dataclass(frozen=True, kw_only=True)
class FolderFormat:
    """A format with files of its own for each frame.

    Attributes
    ----------
    summary : str
        What it is, in a few words.
    names : callable
        Takes the photo's name and the options; names of the files.
    write : callable
        Takes a frame, paths of new files in the order of the names, the paths whose place they
        take, and the options; what it returns goes to ``last``. Raises `LeftOutError`.
    lacks : callable
        Takes a frame; what a frame lacks for this format, in a few words, or nothing.
    photo_name : callable
        Takes the photo's path and the frame's number; the name that ``names`` is given, once names
        that several photos have are told apart.
    last : LastFile or None
        What is written when all else is.
    """

    summary: str
    names: Callable[[str, ExportOptions], tuple[str, ...]]
    write: Callable[[ExportFrame, tuple[Path, ...], tuple[Path, ...], ExportOptions], Any]
    lacks: Callable[[ExportFrame], str]
    photo_name: Callable[[str, int], str] = photo_name
    last: LastFile | None = None


def no_points(frame: ExportFrame) -> str:
    """What a frame without control points lacks."""
    return "" if frame.points else "no control points"


def no_camera(frame: ExportFrame) -> str:
    """What a frame without a solved camera lacks."""
    return "" if frame.camera is not None else "no solved camera"
