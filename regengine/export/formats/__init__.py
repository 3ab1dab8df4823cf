"""Formats of export: how one is found by its name, and what each provides.

A format writes one file for all frames, or files for each frame into a folder. None is imported
before it is used. Also the options of formats, and the names of a frame's files.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regengine.errors import ConfigError, check_known
from regengine.io.extras import need
from regengine.io.html import escape_invisible
from regengine.io.plain import flatten_bytes

if TYPE_CHECKING:
    from regengine.frames.frame import ExportFrame

DIALECTS = ("mysql", "postgresql")
RESAMPLINGS = ("nearest", "bilinear", "cubic", "lanczos")
# Characters that XML 1.0 cannot represent, even escaped
UNHOLDABLE_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of all formats; each format reads those that apply to it."""

    # points: one row per control point; frames: per frame; matches: of what photo and map both show
    table: str = "points"
    points: int = 4  # least number of control points of a frame, if its photo has as many
    kinds: tuple[str, ...] = ()  # which of a format's files to write; empty: the default one
    layers: tuple[str, ...] = ()  # of footprints, nadirs, points; empty for all
    crs: str = "EPSG:4326"  # of warped images, as PROJ understands it
    resolution: float | None = None  # pixel size in units of the CRS; None: that of the photo
    resampling: str = "bilinear"  # of warped images, one of `RESAMPLINGS`
    creation: tuple[str, ...] = ()  # GDAL's creation options of GeoTIFFs, each KEY=VALUE
    dialect: str | None = None  # of SQL, one of `DIALECTS`


def check_options(name: str, options: ExportOptions) -> None:
    """ConfigError for options that do not fit the format, or a resolution that is none."""
    dialect, resolution = options.dialect, options.resolution
    if resolution is not None and not 0.0 < resolution < float("inf"):
        raise ConfigError(f"--resolution {resolution}: give a pixel size above 0.")
    if name == "kmz" and options.crs.upper() != "EPSG:4326":
        raise ConfigError(f"--crs {options.crs}: a KMZ is in longitude and latitude, EPSG:4326.")
    check_known("resampling", (options.resampling,), RESAMPLINGS)
    if options.resampling != "bilinear" and name not in ("geotiff", "kmz"):
        raise ConfigError(
            f"--resampling {options.resampling} is for photos on the map: use --format geotiff or "
            "kmz."
        )
    if options.table == "matches" and name not in ("csv", "parquet"):
        raise ConfigError("--table matches is a table: use --format csv or parquet.")
    if options.table != "points" and options.points != ExportOptions.points:
        raise ConfigError(f"--points {options.points} is for control points: use --table points.")
    if options.creation and name != "geotiff":
        raise ConfigError(f"--co {options.creation[0]} is for GeoTIFFs: use --format geotiff.")
    if name != "sql" and dialect is not None:
        raise ConfigError(f"--dialect {dialect} is for SQL: use --format sql.")
    if name == "sql" and dialect not in DIALECTS:
        said = "--format sql" if dialect is None else f"--dialect {dialect}"
        raise ConfigError(f"{said}: name the server, --dialect {' or --dialect '.join(DIALECTS)}.")
    kind = find_format(name)
    if isinstance(kind, FolderFormat) and kind.check is not None:
        kind.check(options)


def photo_name(path: str, number: int) -> str:
    """A photo's file name, made safe as the start of a new file's name.

    The path is any text, including a web address or a path of another operating system; a photo
    without a name is named by the frame's number. The result contains no folder and no invisible
    character; an ordinary name is unchanged.
    """
    path = flatten_bytes(path)
    path = path.partition("?")[0] if "://" in path else path
    parts = [part for part in re.split(r"[/\\\0]", path) if part]
    name = escape_invisible(parts[-1] if parts else "").replace("\\", "_")
    if name in ("", ".", ".."):
        name = f"frame{number}"
    # Endings follow, and the limit of file names is 255 bytes
    return name.encode()[:200].decode("utf-8", "ignore")


def photo_stem(path: str, number: int) -> str:
    return stem(photo_name(path, number))


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
            # A damaged store may have anything instead of a hash
            if not re.fullmatch("[0-9a-f]{8}", mark) or file_of(name).casefold() in taken:
                name = _mark_name(frames[number], str(number))
            while file_of(name).casefold() in taken:
                name = _mark_name(name, str(number))
            taken.add(file_of(name).casefold())
            found[number] = name
    return found


def stem(name: str) -> str:
    start, dot, _ = name.rpartition(".")
    return start if dot and start else name


def _mark_name(name: str, mark: str) -> str:
    start = stem(name)
    return f"{start}-{mark}{name[len(start) :]}"


class LeftOutError(Exception):
    """A frame cannot be written; the message says why.

    ``no_part``: it has no part in the format. Such frames are counted by the message, not named.
    """

    def __init__(self, why: str, *, no_part: bool = False) -> None:
        super().__init__(why)
        self.no_part = no_part


# Writes all frames into one file, of the path of a new file
FileFormat = Callable[[Iterator["ExportFrame"], Path, ExportOptions], None]


LACKING = {"camera": "no solved camera", "points": "no control points"}


def explain_lacking(frame: ExportFrame, *needs: str) -> str:
    """What a frame lacks of attributes that it needs, in a few words; empty if nothing."""
    return next((LACKING[one] for one in needs if not getattr(frame, one)), "")


@dataclass(frozen=True, kw_only=True)
class FolderFormat:
    """A format with separate files for each frame."""

    # Names of files from the name of the ``{photo}`` and its ``{stem}`` without the ending, by the
    # kind that ``--files`` asks for
    files: Mapping[str, tuple[str, ...]]
    # Takes a frame, paths of new files in the order of their kinds, the paths that they replace,
    # and the options. The result is passed to ``write_last``; in formats without it, a text is
    # reported as a remark on the photo. Raises `LeftOutError`.
    write: Callable[[ExportFrame, tuple[Path, ...], tuple[Path, ...], ExportOptions], Any]
    # ConfigError for options that cannot be met, before a store is read
    check: Callable[[ExportOptions], None] | None = None
    needs: tuple[str, ...] = ()  # what a frame must have: keys of `LACKING`
    usual: tuple[str, ...] = ()  # kinds that are written unless others are asked for; empty: all
    # Takes the photo's path and the frame's number; returns its name, before duplicates are made
    # unique.
    photo_name: Callable[[str, int], str] = photo_name
    # Whether the files georeference the photo's own pixels, as other files next to it may, too
    places_photo: bool = False
    # Names of files that list all others: if they exist, these do. ``write_last`` takes the results
    # of ``write``, paths of new files, and the folder; frames are written as it iterates over them.
    last: tuple[str, ...] = ()
    # Whether the files of a frame are on the disk before the next: slow for thousands of small ones
    sync: bool = True
    write_last: Callable[[Iterator[Any], tuple[Path, ...], Path], object] | None = None

    def kinds(self, options: ExportOptions) -> tuple[str, ...]:
        """Which kinds of files to write; ConfigError for an unknown one."""
        kinds = options.kinds or self.usual or tuple(self.files)
        check_known("files", kinds, self.files)
        return kinds

    def names(
        self, photos: dict[int, str], hashes: dict[int, str], options: ExportOptions
    ) -> dict[int, tuple[str, ...]]:
        """Unique names of files for frames, by number, as `photo_names` makes them."""
        patterns = dict.fromkeys(name for one in self.kinds(options) for name in self.files[one])
        found: dict[int, tuple[str, ...]] = dict.fromkeys(photos, ())
        for pattern in patterns:

            def file_of(photo: str, pattern: str = pattern) -> str:
                return pattern.format(photo=photo, stem=stem(photo))

            for number, name in photo_names(photos, hashes, file_of).items():
                found[number] += (file_of(name),)
        return found


# The module of each format, which has it in ``FORMATS`` and imports what is heavy where it is used
MODULES = {
    "csv": "vector",
    "gcp": "gcp_qgis",
    "geojson": "vector",
    "geotiff": "geotiff",
    "gpkg": "vector",
    "kmz": "kmz",
    "parquet": "vector",
    "qgis": "gcp_qgis",
    "rpc": "rpc",
    "sql": "sql",
    "stac": "stac",
}
# Endings of the formats of one file
ENDINGS = {
    "csv": (".csv",),
    "geojson": (".geojson", ".json"),
    "gpkg": (".gpkg",),
    "parquet": (".parquet", ".geoparquet"),
    "sql": (".sql",),
}
TEXTS = ("csv", "geojson", "sql")  # formats of one file that is text
# Packages that the core does without
NEEDS = {"gpkg": ("pyarrow", "pyogrio"), "parquet": ("pyarrow",)}
# What people call them as well
ALSO_CALLED = {
    "gdal": "gcp",
    "geopackage": "gpkg",
    "geoparquet": "parquet",
    "gtiff": "geotiff",
    "json": "geojson",
    "points": "qgis",
    "tif": "geotiff",
    "tiff": "geotiff",
}
# What is not written, and what serves instead
INSTEAD = {
    **dict.fromkeys(("shapefile", "shp", "esri shapefile"), "use gpkg, which every GIS reads"),
    **dict.fromkeys(("excel", "xlsx", "ods"), "use csv, which spreadsheets open"),
    "kml": "use kmz, which has the picture, too",
    "rpb": "use rpc with --files rpb",
    "fits": "use regengine solve --wcs for sky coordinates",
    **dict.fromkeys(("mysql", "mariadb"), "use sql with --dialect mysql"),
    **dict.fromkeys(("postgres", "postgresql", "postgis"), "use sql with --dialect postgresql"),
}


def format_name(text: str) -> str:
    """The name of a format out of what people call it; ConfigError if there is none like it."""
    name = text.strip().lower().removeprefix(".")
    name = ALSO_CALLED.get(name, name)
    if name not in MODULES:
        why = INSTEAD.get(name, f"unknown format; choose from {', '.join(MODULES)}")
        raise ConfigError(f"--format {text}: {why}.")
    return name


def format_of(out: Path) -> str:
    """The format of a file name's ending; ConfigError if the ending is unknown."""
    ending = out.suffix.lower()
    for name, endings in ENDINGS.items():
        if ending in endings:
            return name
    why = INSTEAD.get(ending.removeprefix("."), "the ending names no format")
    raise ConfigError(f"--out {out}: {why}; choose --format from {', '.join(MODULES)}.")


def find_format(name: str) -> FileFormat | FolderFormat:
    """A format by its name; ConfigError if there is none, or a package that it needs."""
    need(f"--format {name}", *NEEDS.get(name, ()))
    module = importlib.import_module(f"{__name__}.{MODULES[format_name(name)]}")
    found: FileFormat | FolderFormat = module.FORMATS[name]
    return found
