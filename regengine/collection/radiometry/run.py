"""Compare chosen photos of a store with a map: one raster per photo, and tables of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from regengine.collection.radiometry.measure import measure
from regengine.collection.radiometry.output import (
    CHANGE_COLUMNS,
    PHOTO_COLUMNS,
    change_rows,
    check_figures,
    draw,
    json_line,
    photo_row,
    write_raster,
    write_table,
)
from regengine.errors import ConfigError, LightMapError, StoreError
from regengine.exchange.export.format import (
    LeftOutError,
    explain_no_camera,
    explain_no_points,
    photo_name,
    photo_names,
    stem,
)
from regengine.exchange.export.frame import ExportFrame
from regengine.exchange.export.run import check_free, guard_photo, take_away
from regengine.exchange.export.selection import Chosen
from regengine.io.atomic import replace_files
from regengine.photo.lens_profile import LensProfile
from regengine.references.reference import LightMap

PHOTO_TABLE, CHANGE_TABLE = "radiometry.csv", "changes.csv"
RASTER_ENDING, FIGURE_ENDING = ".radiometry.tif", ".radiometry.png"


@dataclass(frozen=True, kw_only=True)
class RadiometryOptions:
    """Options of the comparison."""

    profiles: tuple[LensProfile, ...] = ()  # lenses whose falloff is known
    map_sigma_m: float | None = None  # blur of the map, one sigma, metres; None: it is measured
    plot: bool = False  # draw a picture of each photo
    force: bool = False  # replace files that exist


@dataclass(kw_only=True)
class Measured:
    """Results: rows of the tables, and the number of excluded photos by reason.

    ``failed`` are photos that could not be measured, by path, with the reason.
    """

    photos: list[dict[str, Any]] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)


def measure_chosen(
    chosen: Chosen,
    light_map: LightMap,
    out: Path,
    options: RadiometryOptions,
    *,
    advance: Callable[[], object] = lambda: None,
    said: Callable[[str], object] = lambda line: None,
) -> Measured:
    """Compare chosen photos with a map and write the results into a folder, created if necessary.

    ``advance`` is called after each photo; ``said`` receives its line of JSON once its files are in
    place.

    Raises ConfigError if a file exists and must not be replaced, or pictures cannot be drawn.
    Raises StoreError if the store cannot be read or the output cannot be written. Raises
    LightMapError if the map is damaged.
    """
    if options.plot:
        check_figures()
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out} is a file: rasters and tables need a folder.")
    own, hashes = {}, {}
    for number, path, sha256 in chosen.photos():
        # From the photo's own name without its ending: a.jpg and a.png must not share a raster
        own[number], hashes[number] = f"{stem(photo_name(path, number))}.tif", sha256
    endings = (RASTER_ENDING, FIGURE_ENDING) if options.plot else (RASTER_ENDING,)
    names = {
        number: tuple(f"{stem(name)}{ending}" for ending in endings)
        for number, name in photo_names(own, hashes).items()
    }
    tables = (PHOTO_TABLE, CHANGE_TABLE)
    if not options.force:
        check_free([out / name for of_one in (tables, *names.values()) for name in of_one])
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{out} cannot be created ({error.strerror}): choose another folder."
        ) from error
    # Tables must not exist while only some of the rasters are replaced
    for table in tables:
        take_away(out / table, chosen)
    measured = Measured(left_out=chosen.left_out.copy())
    for frame in chosen.frames():
        path, lacks = frame.result.path, explain_no_camera(frame) or explain_no_points(frame)
        try:
            if lacks:
                measured.left_out[lacks] += 1
            else:
                paths = tuple(out / name for name in names[frame.stored.frame_index])
                said(_measure_one(frame, light_map, paths, options, measured))
        except LeftOutError as error:
            measured.failed[path] = str(error)
        except np.linalg.LinAlgError:
            measured.failed[path] = "the gain cannot be fitted to its lights"
        except LightMapError as error:
            if error.code != "outside_map":
                raise
            measured.left_out["outside the map"] += 1
        advance()
    with replace_files((out / PHOTO_TABLE, out / CHANGE_TABLE)) as (photos, changes):
        write_table(photos, PHOTO_COLUMNS, measured.photos)
        write_table(changes, CHANGE_COLUMNS, measured.changes)
    return measured


def _measure_one(
    frame: ExportFrame,
    light_map: LightMap,
    paths: tuple[Path, ...],
    options: RadiometryOptions,
    measured: Measured,
) -> str:
    """Compare a photo, write the results, and return its line of JSON."""
    guard_photo(frame, paths)
    found = measure(frame, light_map, profiles=options.profiles, map_sigma_m=options.map_sigma_m)
    with replace_files(paths) as temporary:
        write_raster(found, frame, temporary[0])
        if options.plot:
            draw(found, frame.result.frame, temporary[1])
    row = photo_row(found, frame, light_map, paths[0].name)
    changes = change_rows(found, frame, row["earlier"])
    measured.photos.append(row)
    measured.changes += changes
    return json_line(row, changes)
