"""Control points that people made in other programs: read, scored, kept as decisions."""

from __future__ import annotations

import csv
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from detectors.types import FloatArray
from matchers.geometry.footprint import WGS84, right_within_km
from regengine.errors import ConfigError
from regengine.io.tables import csv_rows, read_text, split_lines, unquote_name
from regengine.photo.notations import name_spellings, wrap_lon
from regengine.registration.points.solve_points import solve
from regengine.store.read import iter_blocks, iter_frames
from regengine.store.result import FrameResult, ReviewedPoint
from regengine.store.reviews import (
    FOLLOWS_PX,
    Decision,
    Work,
    check_place,
    check_work,
    mend_work,
    off_camera_px,
)
from regengine.store.rows import StoredFrame, select

ROUNDED_DEG = 1e-6  # a tenth of a metre: what formats with six decimals keep

# At least one point of each photo of a file, in our coordinates, by the name given in the file
PhotoPoints = dict[str, tuple[ReviewedPoint, ...]]


ADVICE = "give a .points file of QGIS, or a CSV with the columns frame, x, y, lon, lat"


def make_refusal(path: Path, why: str) -> ConfigError:
    """The error for a file that cannot be used."""
    return ConfigError(f"{path}: {why}; {ADVICE}.")


Place = tuple[float, float, float, float, float | None]  # x, y, lon, lat, sigma_px


def check_points(path: Path, rows: Iterable[Place]) -> tuple[ReviewedPoint, ...]:
    """Validate points, and normalise longitudes to [-180, 180)."""
    found = []
    for number, (x, y, lon, lat, sigma_px) in enumerate(rows, start=1):
        if not (math.isfinite(x) and math.isfinite(y)):
            raise make_refusal(path, f"point {number} has an invalid number")
        try:
            check_place(lon, lat, f"point {number}")
        except ConfigError as error:
            why = f"{error} (does the file name its coordinate system?)"
            raise make_refusal(path, why) from error
        lon = wrap_lon(lon)
        found.append(ReviewedPoint(x=x, y=y, lon=lon, lat=lat, sigma_px=sigma_px, origin="person"))
    return tuple(found)


# CSV, one row per point, and one column of each but the photo: the first of these is used
COLUMNS = {
    "photo": ("frame", "photo", "file", "filename", "image", "path"),
    "x": ("x", "column", "col", "pixel"),
    "y": ("y", "row", "line"),
    "lon": ("lon", "longitude", "lng"),
    "lat": ("lat", "latitude"),
    "sigma_px": ("sigma_px",),
}
NEEDED = ("x", "y", "lon", "lat")
MATCHED = "residual_px"  # only the engine's matched lights have it, as exported


def _meaning(heading: str) -> str:
    word = heading.strip().lower()
    names = (name for name in (*NEEDED, "sigma_px", MATCHED) if word in COLUMNS.get(name, (name,)))
    return word if word in COLUMNS["photo"] else next(names, "")


def read_csv_points(path: Path) -> PhotoPoints:
    """Points of each photo named in a table, or of the photo that the table is named after."""
    found: dict[str, list[Place]] = {}
    for place, row in csv_rows(path, NEEDED, ADVICE, _meaning):
        if MATCHED in row:
            why = f"its column {MATCHED} says that the engine matched these lights, not a person"
            raise make_refusal(path, why)
        try:
            x, y, lon, lat = (float(row[name]) for name in NEEDED)
            sigma_px = float(row["sigma_px"]) if row.get("sigma_px") else None
        except ValueError as error:
            raise ConfigError(f"{place} is not a point ({error}); {ADVICE}.") from error
        named = next((row[name] for name in COLUMNS["photo"] if name in row), "")
        photo = unquote_name(named) or path.stem
        found.setdefault(photo, []).append((x, y, lon, lat, sigma_px))
    if not found:
        raise make_refusal(path, "it has no points")
    return {photo: check_points(path, points) for photo, points in found.items()}


def read_qgis_points(path: Path) -> PhotoPoints:
    """Enabled points of a QGIS georeferencer file, by the rules of QGIS's own reader.

    The photo is the one after which the file is named.
    """
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    try:
        lines = split_lines(read_text(path))
    except (OSError, UnicodeError) as error:
        raise make_refusal(path, f"it cannot be read as text ({error})") from error
    crs = ""
    if lines and "#CRS: " in lines[0]:
        crs = lines.pop(0).replace("#CRS: ", "").strip()
    rows = []
    delimiter = "," if any("," in line for line in lines[1:]) else "\t"
    systems = []
    try:
        table = [cells for cells in csv.reader(lines[1:], delimiter=delimiter) if cells]
    except csv.Error as error:
        raise make_refusal(path, f"it is not a valid table ({error})") from error
    for cells in table:
        line = delimiter.join(cells)
        try:
            numbers = [float(cell) for cell in cells[:4]]
            enabled = len(cells) < 5 or int(float(cells[4])) != 0
        except ValueError as error:
            raise make_refusal(path, f"the line {line[:60]!r} is not a point") from error
        if len(numbers) < 4:
            raise make_refusal(path, f"the line {line[:60]!r} has fewer than four numbers")
        if enabled:
            rows.append(numbers)
            # QGIS 3.16 and 3.18 write the system into each row
            systems.append((cells[8].strip() if len(cells) > 8 else "") or crs)
    if not rows:
        raise make_refusal(path, "it has no enabled point")
    if all(row[3] > 0.0 for row in rows):
        # Rows count downwards as negative numbers: only a georeferenced image has others
        raise make_refusal(path, "its points are on a picture that is already georeferenced")
    placed: dict[int, ReviewedPoint] = {}
    for system in dict.fromkeys(systems):
        own = [number for number, one in enumerate(systems) if one == system]
        if len(system) > 20_000 or re.search(r"\+(nadgrids|geoidgrids|init)", system):
            raise make_refusal(path, "its coordinate system cannot be used")
        try:
            transformer = Transformer.from_crs(system or "EPSG:4326", "EPSG:4326", always_xy=True)
            lon, lat = transformer.transform([rows[n][0] for n in own], [rows[n][1] for n in own])
        except ProjError as error:
            raise make_refusal(path, "PROJ does not know its coordinate system") from error
        # Pixels are counted from the corner of the image
        pixels = ((rows[number][2] - 0.5, -rows[number][3] - 0.5) for number in own)
        points = ((*xy, *place, None) for xy, *place in zip(pixels, lon, lat, strict=True))
        placed |= zip(own, check_points(path, points), strict=True)
    ordered = tuple(placed[number] for number in range(len(rows)))
    return {path.name.removesuffix(path.suffix): ordered}


READERS: dict[str, Callable[[Path], PhotoPoints]] = {
    ".points": read_qgis_points,
    **dict.fromkeys((".csv", ".tsv", ".txt"), read_csv_points),
}


def read_points(path: Path) -> PhotoPoints:
    """Points of a file, by photo; the format follows from the file name's ending.

    ConfigError if the format is unknown, or the file cannot be read as that format.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise make_refusal(path, "its ending is not a known kind of control points")
    if not path.is_file():
        raise make_refusal(path, "it does not exist, or is not a file")
    if path.stat().st_size > 50_000_000:
        raise make_refusal(path, "it is too large for a file of control points")
    return reader(path)


def read_imported_work(
    result: FrameResult,
    file: Path,
    imported: tuple[ReviewedPoint, ...],
    heads: Sequence[Decision] = (),
    *,
    confirmed: bool = False,
) -> tuple[Work, list[bool]]:
    """A person's work on a frame: the points of a file, and the engine's camera refitted to them.

    Also returns which points were moved. Those that only repeat one of the engine or of the
    ``heads``, the decisions that stand, stay what they were; ``confirmed``: the person looked at
    them. Points that follow the engine's camera are not moved, either. Where no camera fits, the
    points are saved without one.

    ConfigError if points lie outside of the photo, or the fitted camera is at an impossible
    position.
    """
    size_px = result.width_px or 0, result.height_px or 0
    points: list[dict[str, Any]] = [asdict(point) for point in imported]
    decided = [point for head in heads for point in mend_work(head.work, size_px)[0]["points"]]
    known = [point for point in decided if not point.get("off")]
    known += [pick(vars(one)) | {"origin": "engine"} for one in result.control_points]
    camera, off_px = None, np.full(len(points), np.inf)
    try:
        check_work(points, None, size_px)
        if result.solved is not None:
            off_px = off_camera_px(points, result.solved.camera)
        same = [find_repeated(point, known, result) for point in points]
        moved = [
            one is None and not off < FOLLOWS_PX
            for one, off in zip(same, off_px.tolist(), strict=True)
        ]
        is_proposal = all(one is not None and one["origin"] == "engine" for one in same)
        if result.solved is not None and is_proposal:
            camera = result.solved.camera
        elif result.solved is not None:
            with suppress(ConfigError):
                camera = solve(result.solved.camera, imported).fit.camera
        check_work((), camera, size_px)
    except ConfigError as error:
        raise ConfigError(
            f"{file}: its points do not fit the photo ({error}): check columns and units."
        ) from error
    for number, repeated in enumerate(same):
        if repeated is not None:
            is_confirmed = confirmed and repeated["origin"] == "engine"
            points[number] = repeated | ({"origin": "confirmed"} if is_confirmed else {})
        elif moved[number]:
            points[number]["by_hand"] = True
    work = {
        "camera": None if camera is None else asdict(camera),
        "points": points,
        "hypothesis": None,
        "comment": f"imported from {file.name}",
        "tags": ["imported"],
        "quality": None,
        "place": None,
    }
    return work, moved


def pick(point: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a point that work has of it."""
    return {name: point[name] for name in ("x", "y", "lon", "lat", "sigma_px")}


def find_repeated(
    point: Mapping[str, Any], known: Iterable[Mapping[str, Any]], result: FrameResult
) -> dict[str, Any] | None:
    """The known point that one repeats but for what formats round; None if it was moved."""
    for one in known:
        if math.hypot(one["x"] - point["x"], one["y"] - point["y"]) >= FOLLOWS_PX:
            continue
        lon, lat = np.array([one["lon"], point["lon"]]), np.array([one["lat"], point["lat"]])
        if max(abs(np.diff(lon)[0]), abs(np.diff(lat)[0])) < ROUNDED_DEG:
            return dict(one)
        if result.solved is not None:
            with np.errstate(all="ignore"):
                x, y = result.solved.camera.lonlat_to_pixel(lon, lat)
            if math.hypot(np.diff(x)[0], np.diff(y)[0]) < FOLLOWS_PX:
                return dict(one)
    return None


def score(result: FrameResult, points: tuple[ReviewedPoint, ...]) -> dict[str, FloatArray]:
    """Compare points with the engine's camera, arrays of shape (n,).

    ``dx_px``, ``dy_px`` and ``residual_px`` are point minus camera, NaN where the place is not
    visible. ``residual_m`` is the distance between the place and the ground position of the pixel,
    NaN for sky. ``right`` is 1 if the engine's camera is right there, with the point as truth, else
    0. All are NaN without a camera.
    """
    px, py, lon, lat = np.array([(p.x, p.y, p.lon, p.lat) for p in points]).T
    x = y = ground_lon = ground_lat = np.full(len(points), np.nan)
    if result.solved is not None:
        camera = result.solved.camera
        with np.errstate(all="ignore"):
            x, y = camera.lonlat_to_pixel(lon, lat)
            ground_lon, ground_lat = camera.pixel_to_lonlat(px, py)
    shown = np.isfinite(ground_lon)
    metres = np.full(len(points), np.nan)
    metres[shown] = WGS84.inv(ground_lon[shown], ground_lat[shown], lon[shown], lat[shown])[2]
    allowed_m = right_within_km(result.footprint_diagonal_km or 0.0) * 1e3
    return {
        "dx_px": px - x,
        "dy_px": py - y,
        "residual_px": np.hypot(px - x, py - y),
        "residual_m": metres,
        "right": np.where(shown, metres <= allowed_m, np.nan),
    }


def summary(scores: dict[str, FloatArray]) -> dict[str, Any]:
    """Root mean squares and shares over some points; None where nothing is known."""
    right = scores["right"]
    rms = {}
    for unit in ("px", "m"):
        known = scores[f"residual_{unit}"][np.isfinite(scores[f"residual_{unit}"])]
        rms[f"rms_{unit}"] = float(np.sqrt(np.mean(known**2))) if known.size else None
    return {
        "count": len(right),
        **rms,
        "right": int(np.nansum(right)),
        "unseen": int(np.isnan(right).sum()),
    }


def frames_by_name(store: Path, photos: Sequence[str]) -> dict[str, StoredFrame]:
    """Find the frames of the given names, reading the store's names once.

    Names are frame ids, or file names with or without endings. ConfigError if a name matches no
    frame, or several; StoreError if the store cannot be read.
    """
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for photo in photos:
        for spelling in name_spellings(photo):
            wanted[spelling].add(photo)
    found: dict[str, set[int]] = {photo: set() for photo in photos}
    for tables in iter_blocks(store, select("frames/frame", "frames/path"), 65536):
        rows = tables["frames"]
        for number, frame, path in zip(
            *(rows[name].tolist() for name in ("frame_index", "frame", "path")), strict=True
        ):
            for name in name_spellings(frame.decode()) | name_spellings(path.decode()):
                for photo in wanted.get(name, ()):
                    found[photo].add(number)
    stored = {}
    for photo, numbers in found.items():
        if len(numbers) != 1:
            many = f"{len(numbers)} frames" if numbers else "no frame"
            raise ConfigError(
                f"{store} has {many} named {photo}: name the frame with --frame, one file at a "
                "time."
            )
        (stored[photo],) = iter_frames(store, numbers)
    return stored
