"""Compare chosen photos of a store with a map: one raster per photo, and tables of all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from matchers.geometry.footprint import Bounds
from regengine.errors import ConfigError, LightMapError, StoreError
from regengine.export.formats import (
    LeftOutError,
    explain_no_camera,
    explain_no_points,
    photo_name,
    photo_names,
    stem,
)
from regengine.export.formats.geotiff import cloud_optimised
from regengine.export.run import check_free, guard_photo, take_away
from regengine.export.warp import BLOCK
from regengine.frames.frame import ExportFrame
from regengine.frames.select import Chosen
from regengine.io.atomic import replace_files
from regengine.io.extras import need
from regengine.io.plain import make_printable, plain
from regengine.io.tables import cell, write_csv
from regengine.maps.lights import period_of
from regengine.maps.reference import LightMap, Reference
from regengine.photo.lens_profile import LensProfile
from regengine.studies.radiometry.measure import NOT_SEEN, Change, Radiometry, measure

Earlier = Literal["map", "photo", "neither", "unknown"]
# What a change by its kind, photo against map, is from the earlier of both to the later
OVER_TIME: dict[tuple[str, str], str] = {
    ("map", "new"): "appeared",
    ("map", "lost"): "vanished",
    ("map", "brighter"): "brightened",
    ("map", "fainter"): "dimmed",
    ("photo", "new"): "vanished",
    ("photo", "lost"): "appeared",
    ("photo", "brighter"): "dimmed",
    ("photo", "fainter"): "brightened",
}
UNKNOWN = "unknown"


def find_earlier(time_utc: str | None, maps: Iterable[Reference]) -> Earlier:
    """Which of a photo and the maps that it is compared with is older.

    "neither" if the photo was taken while the maps were, "unknown" without one of the dates.
    """
    periods = [period_of(one.date, one.product) for one in maps]
    if time_utc is None or not periods:
        return "unknown"
    taken, first, last = date.fromisoformat(time_utc[:10]), date.max, date.min
    for period in periods:
        if period is None:
            return "unknown"
        first, last = min(first, period[0]), max(last, period[1])
    if first <= taken <= last:
        return "neither"
    return "map" if taken > last else "photo"


def explain_order(earlier: str, lights_date: str) -> str:
    """Order in time and its consequence for the changes, in words."""
    match earlier:
        case "map":
            return f"the photo is newer than the map ({lights_date}): new lights appeared after it"
        case "photo":
            return (
                f"the photo is older than the map ({lights_date}): new lights in the photo have "
                "since disappeared, lost ones appeared later"
            )
        case "neither":
            return f"photo and map are of the same time ({lights_date}): their order is not known"
    return "photo or map has no date: their order is not known"


PHOTO_COLUMNS = (
    "frame_index", "frame", "path", "sha256", "verdict", "time_utc", "off_nadir_deg", "lights",
    "lights_date", "lights_kind", "raster", "linear_by", "cell_arcsec", "cells", "lit_cells",
    "gain", "gain_sigma", "offset", "offset_sigma", "background", "background_nw", "falloff_from",
    "falloff", "falloff_sigma", "slant", "slant_sigma", "air_mass", "scatter", "exponent",
    "exponent_sigma", "r_squared", "r_squared_log", "sigma_m", "map_sigma_m", "photo_sigma_m",
    "saturated_share", "map_saturated_share", "limit_sigma", "brighter", "fainter",
    "earlier",
)  # fmt: skip
CHANGE_COLUMNS = (
    *("frame_index", "frame", "change", *(field.name for field in fields(Change))),
    "over_time",
)
DIGITS = 8  # significant digits, more than any value's accuracy

RADIANCE_UNIT = "nW cm-2 sr-1"
# Name and unit of each band
BANDS = (
    ("photo luminance above the background, 1 is full scale", "1"),
    ("map radiance", RADIANCE_UNIT),
    ("residual, photo less fit", "sigma"),
    (
        "mask: 0 compared, 1 not compared, 2 photo saturated, 3 map saturated, "
        "4 photo brighter, 5 photo fainter",
        "code",
    ),
    ("photo background luminance", "1"),
)

# Radiance at which the colour scale changes from linear to logarithmic
KNEE_NW = 1.0
TICKS_NW = (0, 1, 3, 10, 30, 100, 300, 1000)


def photo_row(
    found: Radiometry, frame: ExportFrame, light_map: LightMap, raster: str
) -> dict[str, Any]:
    """A photo's result: a value for each of `PHOTO_COLUMNS`."""
    gain, compared, result, lights = found.gain, found.comparison, frame.result, light_map.info
    usable, judged = compared.usable, max(int(np.count_nonzero(compared.judged)), 1)
    background = float(np.median(compared.background[usable]))
    camera = frame.camera
    said = {
        "frame_index": frame.stored.frame_index,
        "frame": result.frame,
        "path": result.path,
        "sha256": result.sha256,
        "verdict": frame.verdict,
        "time_utc": result.time_utc,
        "off_nadir_deg": None if camera is None else camera.off_nadir_deg,
        "lights": lights.product or lights.description,
        "lights_date": lights.date,
        "lights_kind": lights.kind,
        "raster": raster,
        "linear_by": found.linear_by,
        "cell_arcsec": found.cells.grid.resolution * 3600.0,
        "background": background,
        "background_nw": background / gain.gain,
        "falloff_from": "lens" if found.falloff_known else "fit",
        "sigma_m": float(np.median(found.photo.sigma_m[usable])),
        "map_sigma_m": compared.map_sigma_m,
        "photo_sigma_m": compared.photo_sigma_m,
        "saturated_share": int(np.count_nonzero(compared.photo_full)) / judged,
        "map_saturated_share": int(np.count_nonzero(compared.map_full)) / judged,
        "limit_sigma": found.significance.limit,
        "brighter": sum(change.sigma > 0.0 for change in found.changes),
        "fainter": sum(change.sigma < 0.0 for change in found.changes),
        "earlier": find_earlier(
            result.time_utc, (one for one, _ in light_map.reaching(_bounds(found)))
        ),
    }
    return {name: said[name] if name in said else getattr(gain, name) for name in PHOTO_COLUMNS}


def change_rows(found: Radiometry, frame: ExportFrame, earlier: str) -> list[dict[str, Any]]:
    """A photo's changes: values for `CHANGE_COLUMNS`."""
    about = {"frame_index": frame.stored.frame_index, "frame": frame.result.frame}
    return [
        {
            **about,
            "change": number,
            **asdict(change),
            "over_time": OVER_TIME.get((earlier, change.kind), UNKNOWN),
        }
        for number, change in enumerate(found.changes)
    ]


def write_table(path: Path, columns: tuple[str, ...], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV: numbers with `DIGITS` digits, empty cells for what is missing."""
    told = (plain(dict(row), make_printable) for row in rows)
    write_csv(path, columns, ([_cell(name, row[name]) for name in columns] for row in told))


def _cell(name: str, value: Any) -> object:
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else cell(name, value)


def write_raster(found: Radiometry, frame: ExportFrame, path: Path) -> None:
    """Write the bands of `BANDS`; NaN for cells without comparison."""
    from rasterio.windows import Window

    mask, compared = found.mask(), found.comparison
    nothing = mask == NOT_SEEN
    values = (compared.light, compared.radiance_nw, found.significance.sigma)
    bands = [np.where(nothing, np.float32(np.nan), band) for band in values]
    bands.append(mask.astype(np.float32))
    bands.append(np.where(nothing, np.float32(np.nan), compared.background))
    profile = {"count": len(bands), "dtype": "float32", "nodata": float("nan")}
    grid = found.cells.grid
    with cloud_optimised(path, grid, frame, profile) as raster:
        raster.update_tags(
            GAIN=repr(found.gain.gain),
            GAIN_SIGMA=repr(found.gain.gain_sigma),
            OFFSET=repr(found.gain.offset),
            LIMIT_SIGMA=repr(found.significance.limit),
        )
        for number, (name, unit) in enumerate(BANDS, start=1):
            raster.set_band_description(number, name)
            raster.set_band_unit(number, unit)
        for row in range(0, grid.height, BLOCK):
            for column in range(0, grid.width, BLOCK):
                here = np.s_[row : row + BLOCK, column : column + BLOCK]
                block = np.stack([band[here] for band in bands]).astype(np.float32)
                window = Window(column, row, block.shape[2], block.shape[1])
                raster.write(block, window=window)


def draw(found: Radiometry, title: str, path: Path) -> None:
    """Draw photo, map and residual side by side, and photo over map."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14.0, 11.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2)
    gain, compared = found.gain, found.comparison
    photo = np.where(compared.judged, gain.photo_nw(compared), np.nan)
    radiance = np.where(compared.judged, compared.radiance_nw, np.nan)
    top = float(np.nanquantile(radiance, 0.9999))
    for place, image, name in ((axes[0, 0], photo, "photo"), (axes[0, 1], radiance, "map")):
        _image(place, found, image, name, top)
    _residual(axes[1, 0], found)
    _scatter(axes[1, 1], found, photo, radiance)
    figure.suptitle(title.replace("$", r"\$"))
    figure.savefig(path, dpi=80, metadata={"Software": None}, format="png")


def _bounds(found: Radiometry) -> Bounds:
    """West, south, east, north of the cells."""
    grid = found.cells.grid
    east = grid.west + grid.width * grid.resolution
    return grid.west, grid.north - grid.height * grid.resolution, east, grid.north


def _image(axes: Any, found: Radiometry, nw: NDArray[np.floating], name: str, top: float) -> None:
    high = float(np.arcsinh(max(top, 10.0) / KNEE_NW))
    west, south, east, north = _bounds(found)
    extent = (west, east, south, north)
    drawn = axes.imshow(
        np.arcsinh(nw / KNEE_NW), cmap="inferno", vmin=0.0, vmax=high, extent=extent
    )
    _upright(axes, found)
    axes.set_title(f"{name}, nW cm⁻² sr⁻¹")
    ticks = [tick for tick in TICKS_NW if np.arcsinh(tick / KNEE_NW) <= high]
    bar = axes.figure.colorbar(drawn, ax=axes, ticks=np.arcsinh(np.array(ticks) / KNEE_NW))
    bar.set_ticklabels([str(tick) for tick in ticks])


def _residual(axes: Any, found: Radiometry) -> None:
    limit = found.significance.limit
    west, south, east, north = _bounds(found)
    extent = (west, east, south, north)
    drawn = axes.imshow(
        found.significance.sigma,
        cmap="RdBu_r",
        vmin=-1.2 * limit,
        vmax=1.2 * limit,
        extent=extent,
    )
    axes.figure.colorbar(drawn, ax=axes)
    _upright(axes, found)
    for change in found.changes[:50]:
        lon = change.lon + 360.0 * round((found.cells.grid.west - change.lon) / 360.0)
        axes.plot(lon, change.lat, "o", mfc="none", mec="black", ms=14)
    axes.set_title(f"residual, sigma; rings: beyond {limit:.1f}")


def _upright(axes: Any, found: Radiometry) -> None:
    """Show only compared cells, with equal scales in kilometres."""
    grid, judged = found.cells.grid, found.comparison.judged
    rows, columns = (np.flatnonzero(judged.any(axis=axis)) for axis in (1, 0))
    south, north = (grid.north - grid.resolution * row for row in (rows[-1] + 1.0, rows[0]))
    edges = (columns[0], columns[-1] + 1.0)
    axes.set_xlim(*(grid.west + grid.resolution * column for column in edges))
    axes.set_ylim(south, north)
    axes.set_aspect(1.0 / max(float(np.cos(np.radians(0.5 * (south + north)))), 0.05))


def _scatter(
    axes: Any, found: Radiometry, photo: NDArray[np.floating], radiance: NDArray[np.floating]
) -> None:
    gain, usable = found.gain, found.comparison.usable
    x, y = (np.arcsinh(image[usable] / KNEE_NW) for image in (radiance, photo))
    axes.hexbin(x, y, bins="log", gridsize=90, mincnt=1, cmap="viridis")
    ends = np.array([min(x.min(), y.min()), max(x.max(), y.max())])
    axes.plot(ends, ends, color="red", lw=1.0)
    places = [tick for tick in TICKS_NW if np.arcsinh(tick / KNEE_NW) <= ends[1]]
    for setter in (axes.set_xticks, axes.set_yticks):
        setter(np.arcsinh(np.array(places) / KNEE_NW), [str(tick) for tick in places])
    axes.set_xlabel("map, nW cm⁻² sr⁻¹")
    axes.set_ylabel("photo over gain, nW cm⁻² sr⁻¹")
    axes.set_title(
        f"gain {gain.gain:.3g} ± {gain.gain_sigma:.1g}, exponent {gain.exponent:.2f}, "
        f"R² {gain.r_squared:.2f}, scatter {gain.scatter:.2f}"
    )


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
        need("--plot", "matplotlib.figure")
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
                guard_photo(frame, paths)
                found = measure(
                    frame, light_map, profiles=options.profiles, map_sigma_m=options.map_sigma_m
                )
                with replace_files(paths) as temporary:
                    write_raster(found, frame, temporary[0])
                    if options.plot:
                        draw(found, frame.result.frame, temporary[1])
                row = photo_row(found, frame, light_map, paths[0].name)
                of_photo = change_rows(found, frame, row["earlier"])
                measured.photos.append(row)
                measured.changes += of_photo
                told = [{name: one[name] for name in CHANGE_COLUMNS[3:]} for one in of_photo]
                record = plain({**row, "changes": told}, make_printable)
                said(json.dumps(record, allow_nan=False))
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
