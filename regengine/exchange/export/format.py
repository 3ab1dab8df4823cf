"""What a format is: one file for all frames, or files for each frame in a folder.

Also what can be chosen of what is written, and how a frame's files are named.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regengine.errors import ConfigError
from regengine.exchange.export.frame import ExportFrame
from regengine.io.html import escape_invisible

DIALECTS = ("mysql", "postgresql")
# What XML 1.0 cannot hold in any spelling
UNHOLDABLE_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of all formats; each reads those that it knows."""

    table: str = "points"  # a row a control point; frames: a row a frame
    kinds: tuple[str, ...] = ()  # which of several files of a format; empty for its usual one
    layers: tuple[str, ...] = ()  # of footprints, nadirs, points; empty for all
    crs: str = "EPSG:4326"  # of warped pictures, as PROJ understands it
    resolution: float | None = None  # of their pixels in its units; None: the photo's own detail
    dialect: str | None = None  # of SQL, one of `DIALECTS`


def check_dialect(format_name: str, dialect: str | None) -> None:
    """ConfigError unless ``sql``, and no other format, is told for which server it is."""
    if format_name != "sql" and dialect is not None:
        raise ConfigError(f"--dialect {dialect} is for SQL: use --format sql.")
    if format_name == "sql" and dialect not in DIALECTS:
        said = "--format sql" if dialect is None else f"--dialect {dialect}"
        raise ConfigError(f"{said}: name the server, --dialect {' or --dialect '.join(DIALECTS)}.")


LONGEST_BYTES = 200  # of the photo's own name; endings follow, and a file's name may have 255
_SEPARATORS = re.compile(r"[/\\\0]")
_MARK = re.compile("[0-9a-f]{8}")  # a damaged store may have anything in a hash's place


def photo_name(path: str, number: int) -> str:
    """Name of a photo's file as a new file's name may begin with it.

    The path is any text, also a web address, or a path of another system; the frame's number
    names those that have no name. The name leads to no other folder, and holds nothing that cannot
    be seen; an ordinary one stays as it is.
    """
    path = path.partition("?")[0] if "://" in path else path
    parts = [part for part in _SEPARATORS.split(path) if part]
    name = escape_invisible(parts[-1] if parts else "").replace("\\", "_")
    if name in ("", ".", ".."):
        name = f"frame{number}"
    return name.encode()[:LONGEST_BYTES].decode("utf-8", "ignore")


def photo_stem(path: str, number: int) -> str:
    """`photo_name` without its ending, for files that have none of it."""
    return stem(photo_name(path, number))


def file_names(
    frames: dict[int, str], hashes: dict[int, str], names: Callable[[str], tuple[str, ...]]
) -> dict[int, tuple[str, ...]]:
    """Names of files for frames: no two are the same, also where letters' case does not count."""
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
    """Names that differ from each other, also where letters' case does not count.

    ``frames`` are names of `photo_name`, ``hashes`` the photos' SHA-256, by the frames' numbers;
    ``file_of`` makes of a name that of the file, which is to differ. A name that several photos
    have gets the start of the photo's SHA-256, before its ending; where that is not enough, the
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
    """A frame has not what a format needs; the sentence says what."""


@dataclass(frozen=True, kw_only=True)
class FileFormat:
    """A format that holds all frames in one file, whose name has one of some endings.

    ``write`` takes the frames, a path of a new file, and the options.
    """

    endings: tuple[str, ...]
    write: Callable[[Iterator[ExportFrame], Path, ExportOptions], None]


@dataclass(frozen=True, kw_only=True)
class FolderFormat:
    """A format with files of its own for each frame."""

    # Takes the photo's name and the options; names of the files.
    names: Callable[[str, ExportOptions], tuple[str, ...]]
    # Takes a frame, paths of new files in the order of the names, the paths whose place they take,
    # and the options; what it returns goes to ``write_last``, or, of formats without it, is told of
    # the photo if it is a text. Raises `LeftOutError`.
    write: Callable[[ExportFrame, tuple[Path, ...], tuple[Path, ...], ExportOptions], Any]
    # Takes a frame; what a frame lacks for this format, in a few words, or nothing.
    lacks: Callable[[ExportFrame], str]
    # Takes the photo's path and the frame's number; the name that ``names`` is given, once names
    # that several photos have are told apart.
    photo_name: Callable[[str, int], str] = photo_name
    # Whether the files say where the photo's own pixels lie, as other files beside it may, too
    places_photo: bool = False
    # A file that tells of all others: where it is, they are. ``write_last`` takes what ``write``
    # said of each frame, a path of a new file, and the folder; frames are written as it asks.
    last: str | None = None
    write_last: Callable[[Iterator[Any], Path, Path], None] | None = None


def choose_kinds(
    options: ExportOptions, known: Collection[str], usual: tuple[str, ...]
) -> tuple[str, ...]:
    """Which of several files a format writes; ConfigError for one that it does not know."""
    kinds = options.kinds or usual
    if unknown := [kind for kind in kinds if kind not in known]:
        raise ConfigError(f"--files {unknown[0]} is unknown: choose from {', '.join(known)}.")
    return kinds


def explain_no_points(frame: ExportFrame) -> str:
    """What a frame without control points lacks."""
    return "" if frame.points else "no control points"


def explain_no_camera(frame: ExportFrame) -> str:
    """What a frame without a solved camera lacks."""
    return "" if frame.camera is not None else "no solved camera"
