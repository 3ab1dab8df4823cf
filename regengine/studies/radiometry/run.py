"""Compare chosen photos of a store with a map: one raster per photo, and tables of all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy import ndimage
from scipy.special import ndtri

from detectors.types import FloatImage
from regengine.errors import ConfigError, MapError
from regengine.export.formats import ExportOptions, FolderFormat, LeftOutError
from regengine.export.formats.geotiff import cloud_optimised
from regengine.export.run import write_folder
from regengine.export.warp import OutputGrid
from regengine.frames.frame import ExportFrame
from regengine.frames.select import Chosen
from regengine.io.atomic import check_folder
from regengine.io.extras import need
from regengine.io.plain import make_printable, plain
from regengine.io.tables import cell, write_csv
from regengine.maps.lights import period_of
from regengine.maps.reference import RasterMap, Reference
from regengine.photo.lens_profile import LensProfile, choose_profile
from regengine.studies.radiometry.cells import (
    MapCells,
    PhotoCells,
    average_photo_cells,
    photo_light,
    select_cells_in_view,
)
from regengine.studies.radiometry.gain import Comparison, Gain, compare, fit_gain

# Values of the mask; the greater one if two apply
COMPARED, NOT_SEEN, PHOTO_FULL, MAP_FULL, BRIGHTER, FAINTER = 0, 1, 2, 3, 4, 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Radiometry:
    """Results of the comparison of a photo and a map.

    ``linear_by`` is the source of linear light: ``srgb``, the inverse of that curve; ``raw`` or
    ``fits``, linear files. ``falloff_known``: the falloff was corrected by a lens profile.
    """

    cells: MapCells
    photo: PhotoCells
    comparison: Comparison
    gain: Gain
    # (h, w): residual over the typical spread of cells of that radiance; NaN without comparison
    sigma: FloatImage
    limit: float  # of `sigma`; exceeded by chance in one of a hundred photos
    changes: list[dict[str, Any]]  # see `find_changes`
    falloff_known: bool
    linear_by: str


def measure(
    frame: ExportFrame, light_map: RasterMap, *, profiles: Sequence[LensProfile] = ()
) -> Radiometry:
    """Compare a registered photo with a map.

    `profiles`: calibrated lenses; the falloff of the photo's lens is corrected. Raises LeftOutError
    if the photo is missing or too little of it can be compared, MapError if the map has no
    data there or is damaged, ConfigError if it has no radiances.
    """
    camera = frame.camera
    assert camera is not None
    cells = select_cells_in_view(camera, keep_radiances(light_map))
    ratio = cells.grid.resolution / cells.photo_pixel_deg
    samples = 2 if ratio < 1.5 else 4  # across a cell
    profile = choose_profile(
        profiles,
        camera=frame.result.camera_body,
        lens=None,
        focal_mm=frame.result.focal_mm,
        width_px=camera.width_px,
        height_px=camera.height_px,
    )
    falloff = None if profile is None else profile.falloff
    picture = photo_light(frame, camera, min(samples / ratio, 1.0), falloff)
    photo = average_photo_cells(picture, camera, frame.points, cells.grid, samples)
    comparison = compare(cells, photo)
    gain = fit_gain(comparison, photo, cells.grid.resolution, falloff is not None)
    sigma, limit = standardise_residuals(comparison, gain)
    return Radiometry(
        cells=cells,
        photo=photo,
        comparison=comparison,
        gain=gain,
        sigma=sigma,
        limit=limit,
        changes=find_changes(comparison, gain, sigma, limit, cells.grid),
        falloff_known=falloff is not None,
        linear_by=picture.linear_by,
    )


def keep_radiances(light_map: RasterMap) -> RasterMap:
    """Return the parts of a map that are measured radiances; ConfigError if there are none.

    Of a picture of lights, radiances are only estimated, by a curve that is flat where it is
    bright: gain and exponent would be those of the curve.
    """
    measured = RasterMap(one for one in light_map if one.measured)
    if not measured:
        raise ConfigError(
            f"{light_map.info.description}: a gain needs measured radiances; get them with "
            "regengine maps get --product VNP46A4 --date YEAR --bbox WEST,SOUTH,EAST,NORTH, or "
            "give a map of radiances with --lights."
        )
    return measured


def standardise_residuals(comparison: Comparison, gain: Gain) -> tuple[FloatImage, float]:
    """Standardise each cell's residual by those of cells of similar radiance; and their limit.

    The centre and the spread to either side are measured from tails with 5 to 32 % of the cells, so
    that neither non-linearity of the photo nor heavy tails cause outliers. Residuals are first
    divided by their own sigma, which includes the registration error at edges. The limit is
    corrected for the number of places (Šidák), each as large as the blur.

    References
    ----------
    Šidák, Z. (1967). Rectangular confidence regions for the means of multivariate normal
    distributions. Journal of the American Statistical Association 62, 626-633.
    """
    judged, usable = comparison.judged, comparison.usable
    unit = gain.residual / gain.scale
    level = np.arcsinh(comparison.radiance_nw / gain.knee_nw)
    # Centre and spreads of residuals by the map's level
    of_level, of_unit = level[usable].astype(float), unit[usable].astype(float)
    order = np.argsort(of_level, kind="stable")
    dark = int(np.searchsorted(of_level[order], 0.5))
    rest = order[dark:]
    count = int(np.clip(len(rest) // 150, 1, 12))
    groups = [part for part in (order[:dark], *np.array_split(rest, count)) if len(part) >= 20]
    rows = []
    for group in groups or [order]:
        own = of_unit[group]
        centre = float(np.median(own))
        spreads = []
        for sign in (-1.0, 1.0):
            # Quantile ranges of the residuals of similar cells, as shares of a normal distribution
            side = [
                float(np.quantile(sign * (own - centre), 0.5 + 0.5 * share))
                / -float(ndtri(0.5 - 0.5 * share))
                for share in (0.683, 0.90, 0.954)
            ]
            spreads.append(max(*side, 1.0))
        rows.append((float(np.median(of_level[group])), centre, *spreads))
    at, middle, below, above = np.array(sorted(rows)).T
    sigma = np.full(judged.shape, np.nan, np.float32)
    here = level[judged]
    off = unit[judged] - np.interp(here, at, middle)
    sigma[judged] = off / np.where(off > 0, np.interp(here, at, above), np.interp(here, at, below))
    # If one of the two is saturated, only a difference counts that more light would increase
    sigma = np.where(comparison.photo_full, np.maximum(sigma, 0.0), sigma)
    sigma = np.where(comparison.map_full, np.minimum(sigma, 0.0), sigma)
    area = max(4.0 * np.pi * comparison.blur_cells**2, 1.0)
    places = max(np.count_nonzero(judged) / area, 1.0)
    # Probability that a photo without any change shows one
    each = -np.expm1(np.log1p(-0.01) / places)
    return sigma, -float(ndtri(each / 2.0))


def find_changes(
    comparison: Comparison, gain: Gain, sigma: FloatImage, limit: float, grid: OutputGrid
) -> list[dict[str, Any]]:
    """Group cells beyond the limit, with adjacent ones, into changes, the most significant first.

    Their ``kind`` is "new" without light in the map, "lost" without light in the photo, "brighter",
    or "fainter"; ``lon``, ``lat`` are the centre of the difference, ``cells`` those of the map that
    it covers; ``sigma`` is the largest residual, positive where the photo is brighter; ``photo_nw``
    and ``map_nw`` are the radiance from photo and map in that cell, both blurred; ``at_least``:
    photo or map is saturated there, so that the difference is a lower bound.
    """
    sigma = np.nan_to_num(sigma, nan=0.0)
    photo_nw, radiance_nw = gain.photo_nw(comparison), comparison.radiance_nw
    changes = []
    for sign in (1.0, -1.0):
        # Cells next to a cell beyond the limit belong to the change if they are beyond 3 sigma
        wide, count = ndimage.label(sign * sigma > 3.0, np.ones((3, 3)))
        if not count:
            continue
        peaks = ndimage.maximum(sign * sigma, wide, np.arange(1, count + 1))
        sizes = np.bincount(wide.ravel(), minlength=count + 1)[1:]
        boxes = ndimage.find_objects(wide)
        # A change on the ground is at least as wide as the blur
        fewest = 1 + np.ceil(np.pi * comparison.blur_cells**2)
        wanted = (np.asarray(peaks) > limit) & (sizes >= fewest)
        for number in np.flatnonzero(wanted) + 1:
            box = boxes[number - 1]
            part = wide[box] == number
            row, column = np.nonzero(part)
            row, column = row + box[0].start, column + box[1].start
            at = tuple(one[np.argmax(np.abs(sigma[row, column]))] for one in (row, column))
            apart = np.abs(photo_nw - radiance_nw)[row, column] + 1e-6
            lon = grid.west + (float(np.average(column, weights=apart)) + 0.5) * grid.resolution
            lat = grid.north - (float(np.average(row, weights=apart)) + 0.5) * grid.resolution
            knee = float(gain.knee_nw[at] * gain.scatter)  # only the additive error
            kinds = ("new", "brighter") if sign > 0.0 else ("lost", "fainter")
            dark = (radiance_nw if sign > 0.0 else photo_nw)[at] < 2.0 * knee
            changes.append(
                {
                    "kind": kinds[0] if dark else kinds[1],
                    "lon": (lon + 180.0) % 360.0 - 180.0,
                    "lat": lat,
                    "cells": len(row),
                    "sigma": float(sigma[at]),
                    "photo_nw": float(photo_nw[at]),
                    "map_nw": float(radiance_nw[at]),
                    "at_least": bool(
                        (comparison.photo_full | comparison.map_full)[row, column].any()
                    ),
                }
            )
    return sorted(changes, key=lambda change: -abs(change["sigma"]))


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


# The order in time and its consequence for the changes, in words
ORDERS: dict[Earlier, str] = {
    "map": "the photo is newer than the map ({}): new lights appeared after it",
    "photo": "the photo is older than the map ({}): new lights in the photo have since "
    "disappeared, lost ones appeared later",
    "neither": "photo and map are of the same time ({}): their order is not known",
    "unknown": "photo or map has no date: their order is not known",
}


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
    *("frame_index", "frame", "change", "kind", "lon", "lat", "cells", "sigma", "photo_nw"),
    *("map_nw", "at_least", "over_time"),
)

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
    found: Radiometry, frame: ExportFrame, light_map: RasterMap, raster: str
) -> dict[str, Any]:
    """A photo's result: a value for each of `PHOTO_COLUMNS`."""
    gain, compared, result, lights = found.gain, found.comparison, frame.result, light_map.info
    usable, judged = compared.usable, max(int(np.count_nonzero(compared.judged)), 1)
    background = float(np.median(compared.background[usable]))
    camera = frame.camera
    known = {
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
        "limit_sigma": found.limit,
        "brighter": sum(change["sigma"] > 0.0 for change in found.changes),
        "fainter": sum(change["sigma"] < 0.0 for change in found.changes),
        "earlier": find_earlier(
            result.time_utc, (one for one, _ in light_map.reaching(found.cells.grid.bounds))
        ),
    }
    return {name: known[name] if name in known else getattr(gain, name) for name in PHOTO_COLUMNS}


def write_table(path: Path, columns: tuple[str, ...], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV: numbers with 8 digits, empty cells for what is missing."""
    plain_rows = (plain(dict(row), make_printable) for row in rows)
    # More digits than any value's accuracy
    cells = (
        [
            f"{row[one]:.8g}" if isinstance(row[one], float) else cell(one, row[one])
            for one in columns
        ]
        for row in plain_rows
    )
    write_csv(path, columns, cells)


def write_raster(found: Radiometry, frame: ExportFrame, path: Path) -> None:
    """Write the bands of `BANDS`; NaN for cells without comparison."""
    compared, sigma = found.comparison, np.nan_to_num(found.sigma, nan=0.0)
    mask = np.where(compared.judged, COMPARED, NOT_SEEN).astype(np.float32)
    mask[compared.photo_full] = PHOTO_FULL
    mask[compared.map_full] = MAP_FULL
    mask[sigma > found.limit] = BRIGHTER
    mask[sigma < -found.limit] = FAINTER
    nothing = mask == NOT_SEEN
    values = (compared.light, compared.radiance_nw, found.sigma, compared.background)
    light, radiance, residual, background = (
        np.where(nothing, np.float32(np.nan), band) for band in values
    )
    bands = np.stack([light, radiance, residual, mask, background])
    profile = {"count": len(bands), "dtype": "float32", "nodata": float("nan")}
    grid = found.cells.grid
    with cloud_optimised(path, grid, frame, profile) as raster:
        raster.update_tags(
            GAIN=repr(found.gain.gain),
            GAIN_SIGMA=repr(found.gain.gain_sigma),
            OFFSET=repr(found.gain.offset),
            LIMIT_SIGMA=repr(found.limit),
        )
        for number, (name, unit) in enumerate(BANDS, start=1):
            raster.set_band_description(number, name)
            raster.set_band_unit(number, unit)
        raster.write(bands.astype(np.float32))


def draw(found: Radiometry, title: str, path: Path) -> None:
    """Draw photo, map and residual side by side, and photo over map."""
    from matplotlib.colors import AsinhNorm
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14.0, 11.0), layout="constrained")
    axes = figure.subplots(2, 2)
    gain, compared, limit = found.gain, found.comparison, found.limit
    photo = np.where(compared.judged, gain.photo_nw(compared), np.nan)
    radiance = np.where(compared.judged, compared.radiance_nw, np.nan)
    high = max(float(np.nanquantile(radiance, 0.9999)), 10.0)
    norm = AsinhNorm(linear_width=KNEE_NW, vmin=0.0, vmax=high)
    west, south, east, north = found.cells.grid.bounds
    extent = (west, east, south, north)
    for place, image, name in ((axes[0, 0], photo, "photo"), (axes[0, 1], radiance, "map")):
        drawn = place.imshow(image, cmap="inferno", norm=norm, extent=extent)
        _upright(place, found)
        place.set_title(f"{name}, nW cm⁻² sr⁻¹")
        ticks = [tick for tick in TICKS_NW if tick <= high]
        figure.colorbar(drawn, ax=place, ticks=ticks, format="%g")
    place = axes[1, 0]
    drawn = place.imshow(
        found.sigma, cmap="RdBu_r", vmin=-1.2 * limit, vmax=1.2 * limit, extent=extent
    )
    figure.colorbar(drawn, ax=place)
    _upright(place, found)
    for change in found.changes[:50]:
        lon = change["lon"] + 360.0 * round((west - change["lon"]) / 360.0)
        place.plot(lon, change["lat"], "o", mfc="none", mec="black", ms=14)
    place.set_title(f"residual, sigma; rings: beyond {limit:.1f}")
    place = axes[1, 1]
    x, y = (np.arcsinh(image[compared.usable] / KNEE_NW) for image in (radiance, photo))
    place.hexbin(x, y, bins="log", gridsize=90, mincnt=1, cmap="viridis")
    ends = np.array([min(x.min(), y.min()), max(x.max(), y.max())])
    place.plot(ends, ends, color="red", lw=1.0)
    ticks = [tick for tick in TICKS_NW if np.arcsinh(tick / KNEE_NW) <= ends[1]]
    for setter in (place.set_xticks, place.set_yticks):
        setter(np.arcsinh(np.array(ticks) / KNEE_NW), [str(tick) for tick in ticks])
    place.set_xlabel("map, nW cm⁻² sr⁻¹")
    place.set_ylabel("photo over gain, nW cm⁻² sr⁻¹")
    place.set_title(
        f"gain {gain.gain:.3g} ± {gain.gain_sigma:.1g}, exponent {gain.exponent:.2f}, "
        f"R² {gain.r_squared:.2f}, scatter {gain.scatter:.2f}"
    )
    figure.suptitle(title.replace("$", r"\$"))
    figure.savefig(path, dpi=80, metadata={"Software": None}, format="png")


def _upright(axes: Any, found: Radiometry) -> None:
    """Show only compared cells, with equal scales in kilometres."""
    grid, judged = found.cells.grid, found.comparison.judged
    rows, columns = (np.flatnonzero(judged.any(axis=axis)) for axis in (1, 0))
    south, north = (grid.north - grid.resolution * row for row in (rows[-1] + 1.0, rows[0]))
    edges = (columns[0], columns[-1] + 1.0)
    axes.set_xlim(*(grid.west + grid.resolution * column for column in edges))
    axes.set_ylim(south, north)
    axes.set_aspect(1.0 / max(float(np.cos(np.radians(0.5 * (south + north)))), 0.05))


def measure_chosen(
    chosen: Chosen,
    light_map: RasterMap,
    out: Path,
    *,
    profiles: tuple[LensProfile, ...] = (),
    plot: bool = False,
    force: bool = False,
    advance: Callable[[], object] = lambda: None,
    said: Callable[[str], object] = lambda line: None,
) -> tuple[list[dict[str, Any]], Counter[str], dict[str, str]]:
    """Compare chosen photos with a map and write the results into a folder, created if necessary.

    ``profiles`` are as of `measure`; ``plot`` draws a picture of each photo;
    ``force`` replaces files that exist. ``advance`` is called after each photo; ``said`` receives
    its line of JSON once its files are in place.

    Returns the rows of the photos, the number of excluded photos by reason, and by path why photos
    could not be measured.

    Raises ConfigError if the map has no radiances, a file exists and must not be replaced, or
    pictures cannot be drawn. Raises StoreError if the store cannot be read or the output cannot be
    written. Raises MapError if the map is damaged.
    """
    light_map = keep_radiances(light_map)
    if plot:
        need("--plot", "matplotlib.figure")
    check_folder(out)
    measured: list[dict[str, Any]] = []
    changes: list[dict[str, Any]] = []

    def write(
        frame: ExportFrame, paths: tuple[Path, ...], targets: tuple[Path, ...], _: ExportOptions
    ) -> dict[str, Any]:
        try:
            found = measure(frame, light_map, profiles=profiles)
        except np.linalg.LinAlgError as error:
            raise LeftOutError("the gain cannot be fitted to its lights") from error
        except MapError as error:
            if error.code != "outside_map":
                raise
            raise LeftOutError("outside the map", no_part=True) from error
        write_raster(found, frame, paths[0])
        if plot:
            draw(found, frame.result.frame, paths[1])
        row = photo_row(found, frame, light_map, targets[0].name)
        return {"row": row, "changes": found.changes}

    def write_tables(
        photos: Iterator[dict[str, Any]], paths: tuple[Path, ...], folder: Path
    ) -> None:
        for photo in photos:
            row = photo["row"]
            of_photo = [
                change | {"over_time": OVER_TIME.get((row["earlier"], change["kind"]), "unknown")}
                for change in photo["changes"]
            ]
            about = {name: row[name] for name in ("frame_index", "frame")}
            measured.append(row)
            changes.extend(about | {"change": k} | change for k, change in enumerate(of_photo))
            said(json.dumps(plain({**row, "changes": of_photo}, make_printable), allow_nan=False))
        write_table(paths[0], PHOTO_COLUMNS, measured)
        write_table(paths[1], CHANGE_COLUMNS, changes)

    results = FolderFormat(
        files={"raster": ("{stem}.radiometry.tif",), "figure": ("{stem}.radiometry.png",)},
        write=write,
        needs=("camera", "points"),
        last=("radiometry.csv", "changes.csv"),
        write_last=write_tables,
    )
    options = ExportOptions(kinds=("raster", "figure") if plot else ("raster",))
    written = write_folder(results, chosen, out, options, force=force, advance=advance)
    return measured, written["left_out"], written["failed"]
