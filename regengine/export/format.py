"""Interface of export formats: one file for all frames, or a folder with files for each frame.

Also the options of formats, and the naming of a frame's files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regengine.errors import ConfigError
from regengine.frames.frame import ExportFrame
from regengine.io.html import escape_invisible

DIALECTS = ("mysql", "postgresql")
# Characters that XML 1.0 cannot represent, even escaped
UNHOLDABLE_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of all formats; each format reads those that apply to it."""

    table: str = "points"  # points: one row per control point; frames: one row per frame
    kinds: tuple[str, ...] = ()  # which of a format's files to write; empty: the default one
    layers: tuple[str, ...] = ()  # of footprints, nadirs, points; empty for all
    crs: str = "EPSG:4326"  # of warped images, as PROJ understands it
    resolution: float | None = (
        None  # pixel size in units of the CRS; None: from the photo's own resolution
    )
    dialect: str | None = None  # of SQL, one of `DIALECTS`


def check_dialect(format_name: str, dialect: str | None) -> None:
    """ConfigError unless the dialect is given for ``sql`` and only for it."""
    if format_name != "sql" and dialect is not None:
        raise ConfigError(f"--dialect {dialect} is for SQL: use --format sql.")
    if format_name == "sql" and dialect not in DIALECTS:
        said = "--format sql" if dialect is None else f"--dialect {dialect}"
        raise ConfigError(f"{said}: name the server, --dialect {' or --dialect '.join(DIALECTS)}.")


LONGEST_BYTES = 200  # of the photo's own name; endings follow, and the limit of file names is 255
_SEPARATORS = re.compile(r"[/\\\0]")
_MARK = re.compile("[0-9a-f]{8}")  # a damaged store may have anything instead of a hash


def photo_name(path: str, number: int) -> str:
    """A photo's file name, made safe as the start of a new file's name.

    The path is any text, including a web address or a path of another operating system; a photo
    without a name is named by the frame's number. The result contains no folder and no invisible
    character; an ordinary name is unchanged.
    """
    path = path.partition("?")[0] if "://" in path else path
    parts = [part for part in _SEPARATORS.split(path) if part]
    name = escape_invisible(parts[-1] if parts else "").replace("\\", "_")
    if name in ("", ".", ".."):
        name = f"frame{number}"
    return name.encode()[:LONGEST_BYTES].decode("utf-8", "ignore")


def photo_stem(path: str, number: int) -> str:
    """`photo_name` without its ending, for derived files."""
    return stem(photo_name(path, number))


def file_names(
    frames: dict[int, str], hashes: dict[int, str], names: Callable[[str], tuple[str, ...]]
) -> dict[int, tuple[str, ...]]:
    """Unique names of files for frames, also on case-insensitive file systems."""
    found: dict[int, tuple[str, ...]] = dict.fromkeys(frames, ())
    for kind in range(len(names("photo"))):

        def file_of(name: str, kind: int = kind) -> str:
            return names(name)[kind]

        for number, name in photo_names(frames, hashes, file_of).items():
            found[number] += (file_of(name),)
    return found


def photo_names(
    frames: dict[int, str], hashes: dict[int, str], file_of: Callable[[str], str] = str
) -> dict[int, str]:
    """Unique names, also on case-insensitive file systems.

    ``frames`` are names of `photo_name`, ``hashes`` the photos' SHA-256, by the frames' numbers.
    ``file_of`` converts a name to that of the file, which must be unique. A name shared by several
    photos gets the start of the photo's SHA-256, before its ending, or if that is not enough, the
    frame's number.
    """
    held: dict[str, list[int]] = {}
    for number, name in frames.items():
        held.setdefault(file_of(name).casefold(), []).append(number)
    taken = {name for name, numbers in held.items() if len(numbers) == 1}
    found = dict(frames)
    for numbers in (numbers for numbers in held.values() if len(numbers) > 1):
        for number in numbers:
            mark = hashes[number][:8]
            name = _mark_name(frames[number], mark)
            if not _MARK.fullmatch(mark) or file_of(name).casefold() in taken:
                name = _mark_name(frames[number], str(number))
            while file_of(name).casefold() in taken:
                name = _mark_name(name, str(number))
            taken.add(file_of(name).casefold())
            found[number] = name
    return found


def stem(name: str) -> str:
    """A photo's name without its ending."""
    start, dot, _ = name.rpartition(".")
    return start if dot and start else name


def _mark_name(name: str, mark: str) -> str:
    start = stem(name)
    return f"{start}-{mark}{name[len(start) :]}"


class LeftOutError(Exception):
    """A frame lacks what a format needs; the message says what."""


@dataclass(frozen=True, kw_only=True)
class FileFormat:
    """A format with all frames in one file, with one of several file name endings.

    ``write`` takes the frames, the path of a new file, and the options.
    """

    endings: tuple[str, ...]
    write: Callable[[Iterator[ExportFrame], Path, ExportOptions], None]


@dataclass(frozen=True, kw_only=True)
class FolderFormat:
    """A format with separate files for each frame."""

    # Takes the photo's name and the options; returns the names of the files.
    names: Callable[[str, ExportOptions], tuple[str, ...]]
    # Takes a frame, paths of new files in the order of the names, the paths that they replace, and
    # the options. The result is passed to ``write_last``; in formats without it, a text is reported
    # as a remark on the photo. Raises `LeftOutError`.
    write: Callable[[ExportFrame, tuple[Path, ...], tuple[Path, ...], ExportOptions], Any]
    # Takes a frame; returns what it lacks for this format, in a few words, or an empty text.
    lacks: Callable[[ExportFrame], str]
    # Takes the photo's path and the frame's number; returns the name for ``names``, before
    # duplicates are made unique.
    photo_name: Callable[[str, int], str] = photo_name
    # Whether the files georeference the photo's own pixels, as other files next to it may, too
    places_photo: bool = False
    # Name of a file that lists all others: if it exists, they do. ``write_last`` takes the results
    # of ``write``, a path of a new file, and the folder; frames are written as it iterates over
    # them.
    last: str | None = None
    write_last: Callable[[Iterator[Any], Path, Path], None] | None = None


def choose_kinds(
    options: ExportOptions, known: Collection[str], usual: tuple[str, ...]
) -> tuple[str, ...]:
    """Which of a format's files to write; ConfigError for an unknown one."""
    kinds = options.kinds or usual
    if unknown := [kind for kind in kinds if kind not in known]:
        raise ConfigError(f"--files {unknown[0]} is unknown: choose from {', '.join(known)}.")
    return kinds


def explain_no_points(frame: ExportFrame) -> str:
    """Message for a frame without control points; empty if it has some."""
    return "" if frame.points else "no control points"


def explain_no_camera(frame: ExportFrame) -> str:
    """Message for a frame without a solved camera; empty if it has one."""
    return "" if frame.camera is not None else "no solved camera"
