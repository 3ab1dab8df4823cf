"""Export frames of a store to files of a format, atomically and without unrequested overwriting."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.footprint import WGS84, diagonal_km, right_within_km
from regengine.errors import ConfigError, RegengineError
from regengine.export.formats import (
    ENDINGS,
    LACKING,
    ExportOptions,
    FolderFormat,
    LeftOutError,
    explain_lacking,
    find_format,
)
from regengine.export.warp import DRIVERS, find_photo
from regengine.frames.frame import ExportFrame, ExportPoint
from regengine.frames.importing import read_points
from regengine.frames.select import Chosen
from regengine.io.atomic import (
    check_folder,
    check_new_file,
    raise_as_store_error,
    replace_files,
    sync_folder,
)
from regengine.runs.run_inputs import find_settings_files
from regengine.store.file import photo_file

if TYPE_CHECKING:
    from regengine.registration.points.compare_maps import PhotoBesideMap

PER_SIDE = 5  # pixels along each side at which georeferencing of the whole photo is compared


def find_contradiction(frame: ExportFrame, copy: Path) -> str:
    """Georeferencing in a photo's files that contradicts its camera; empty if there is none.

    ``copy`` is searched, too. Georeferencing contradicts the camera if the camera would not count
    as right with it taken as truth; see `regengine.frames.importing.score`.
    """
    camera = frame.camera
    if camera is None:
        return ""
    photo = frame.photo
    there = [] if photo is None else [photo]
    if copy.is_file() and not (photo is not None and copy.samefile(photo)):
        there.append(copy)
    found: dict[str, None] = {}
    for path in there:
        for name, (x, y, lon, lat) in _read_carried(path):
            own_lon, own_lat = camera.pixel_to_lonlat(x, y)
            seen = np.isfinite(own_lon) & np.isfinite(lon) & np.isfinite(lat)
            if not seen.any():
                found[f"{name} places it where its solved camera sees no ground"] = None
                continue
            away_m = WGS84.inv(own_lon[seen], own_lat[seen], lon[seen], lat[seen])[2]
            away_km = float(np.median(away_m)) / 1e3
            if away_km > right_within_km(diagonal_km(camera)):
                found[f"{name} places it {away_km:,.0f} km from its solved camera's ground"] = None
    return "; ".join(found)


def _read_carried(photo: Path) -> Iterator[tuple[str, FloatArray]]:
    """Files that georeference a photo, and their x, y, longitudes and latitudes, (4, n)."""
    import rasterio
    from rasterio.errors import RasterioError
    from rasterio.transform import RPCTransformer

    from regengine.io.gdal import open_gdal_session
    from regengine.photo.formats import read_photo_file

    points = photo.with_name(f"{photo.name}.points")
    if points.is_file():
        with suppress(RegengineError):  # files of another program, or a person's notes
            (listed,) = read_points(points).values()
            yield points.name, np.array([(p.x, p.y, p.lon, p.lat) for p in listed]).T
    try:
        driver = DRIVERS.get(read_photo_file(photo).format)
        if driver is None:
            return
        with open_gdal_session(), rasterio.open(photo.absolute(), driver=driver) as dataset:
            beside = [Path(name).name for name in dataset.files if Path(name).name != photo.name]
            name = " or ".join(beside) or photo.name
            size = dataset.width, dataset.height
            x, y = (
                part.ravel()
                for part in np.meshgrid(*(np.linspace(0.0, n - 1.0, PER_SIDE) for n in size))
            )
            if not dataset.transform.is_identity:
                east, north = dataset.transform @ (x + 0.5, y + 0.5)
                yield name, np.stack([x, y, *_lonlat(dataset.crs, east, north)])
            gcps, crs = dataset.gcps
            if gcps:
                rows = [(p.col - 0.5, p.row - 0.5, p.x, p.y) for p in gcps]
                x_of, y_of, east, north = np.array(rows, float).T
                yield name, np.stack([x_of, y_of, *_lonlat(crs, east, north)])
            if dataset.rpcs is not None:
                with RPCTransformer(dataset.rpcs) as transformer:
                    lon, lat = transformer.xy(y, x, np.zeros_like(x), offset="center")
                yield name, np.stack([x, y, lon, lat])
    except (RegengineError, RasterioError, OSError, UnicodeEncodeError):
        return  # errors in the file are reported where it is read for writing


def _lonlat(crs: Any, east: FloatArray, north: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Longitudes and latitudes; NaN where values in an unnamed system cannot be degrees."""
    from pyproj import Transformer

    if crs is None:
        lonlat = (np.abs(east) <= 360.0) & (np.abs(north) <= 90.0)
        return np.where(lonlat, east, np.nan), np.where(lonlat, north, np.nan)
    lon, lat = Transformer.from_crs(crs.to_wkt(), "EPSG:4326", always_xy=True).transform(
        east, north
    )
    return np.asarray(lon), np.asarray(lat)


def check_free(paths: list[Path]) -> None:
    """Refuse to overwrite existing files, before anything is written."""
    taken = [path for path in paths if os.path.lexists(path)]
    if taken:
        more = f" and {len(taken) - 1:,} more" if len(taken) > 1 else ""
        own = any(path.suffix == ".points" for path in taken)
        lost = ": points of yours in them are lost, unless regengine import keeps them first"
        raise ConfigError(
            f"{taken[0]}{more} exist: nothing was written. Name another folder with --out, or "
            f"replace them with --force{lost if own else ''}."
        )


def guard_photo(frame: ExportFrame, paths: tuple[Path, ...]) -> None:
    """Never overwrite a photo, whatever its name, even with ``force``."""
    photo = frame.photo
    for path in paths:
        if photo is not None and path.exists() and path.samefile(photo):
            raise LeftOutError(f"{path} is the photo itself, which is never overwritten")


def take_away(listings: tuple[Path, ...], chosen: Chosen) -> None:
    """Remove the files that list all others, before the first of these is replaced.

    Their presence means that a folder is complete: they must not exist while only some of the files
    are replaced. ConfigError if one is a photo, StoreError if one cannot be removed.
    """
    for listing in filter(os.path.lexists, listings):
        for _, path, sha256 in chosen.photos():
            photo = photo_file(path, chosen.store, sha256, chosen.folder)
            if photo is not None and listing.exists() and listing.samefile(photo):
                raise ConfigError(
                    f"{listing} is one of the photos, which are never overwritten: name another "
                    "folder."
                )
        with raise_as_store_error(listing):
            listing.unlink()
            sync_folder(listing.parent)


def check_out(out: Path, name: str, force: bool) -> None:
    """Check before the store is read that the output can be written.

    ``out`` is the file, or the folder for formats that write files for each frame. StoreError if
    it cannot be written, ConfigError if it exists and ``force`` is not set.
    """
    kind = find_format(name)
    if not isinstance(kind, FolderFormat):
        check_new_file(out, ENDINGS[name], force=force)
    else:
        check_folder(out)


def match_again(frame: ExportFrame, options: ExportOptions) -> tuple[ExportFrame, str]:
    """Add the matches or the control points that options ask for, of the photo beside its map.

    Also return what it lacks of the points, empty if nothing. The points that are there stay the
    first. LeftOutError if matches are asked for, and photo or map are not there.
    """
    from regengine.registration.points.compare_maps import find_matches, select_more_points

    if options.table == "matches":
        camera, beside = read_beside_its_map(frame)
        return replace(frame, matches=find_matches(camera, beside)), ""
    n_more = options.points - len(frame.points)
    if options.points == ExportOptions.points or n_more <= 0 or not frame.points:
        return frame, ""
    lacks = "no other place of the photo matches the map well"
    try:
        camera, beside = read_beside_its_map(frame)
    except LeftOutError as error:
        lacks = str(error)
    else:
        points_px = np.array([(point.x, point.y) for point in frame.points])
        more = select_more_points(camera, beside, points_px, n_more)
        points = (*frame.points, *(ExportPoint(**vars(point)) for point in more))
        frame = replace(frame, points=points, ground=None)
    few = len(frame.points) < options.points
    return frame, f"{len(frame.points)} of {options.points} control points: {lacks}" if few else ""


def read_beside_its_map(frame: ExportFrame) -> tuple[Camera, PhotoBesideMap]:
    """The solved camera of a frame, and its photo beside the map that it was placed on.

    LeftOutError if one of them is missing.
    """
    from regengine.maps.opening import map_of_kind
    from regengine.registration.points.compare_maps import read_beside_map

    if frame.camera is None:
        raise LeftOutError(LACKING["camera"])
    photo, kind = find_photo(frame), frame.result.reference_kind
    maps = find_settings_files(frame.stored.parameters)
    try:
        reference = map_of_kind(kind, maps.lights, maps.streets, maps.day)
        if reference is None:
            lost = (text for option, text in maps.lost if option == f"--{kind}")
            what = next(lost, "the map of its run, which the store does not name:").partition(":")
            raise LeftOutError(f"{what[0]}: put it back")
        return frame.camera, read_beside_map(kind, photo, frame.camera, reference)
    except RegengineError as error:
        raise LeftOutError(str(error)) from error


def write_chosen(
    chosen: Chosen,
    name: str,
    out: Path,
    options: ExportOptions,
    *,
    force: bool = False,
    advance: Callable[[], object] = lambda: None,
) -> dict[str, Any]:
    """Write the chosen frames in the named format; return what `regengine export --json` says.

    These are numbers of ``frames`` and ``files``, and of those ``reviewed``, with the camera and
    points that a person accepted; ``left_out``, the numbers of frames that are not in the files, by
    reason; by path, the reasons why requested frames could not be written, ``failed``, and notes on
    written ones, ``remarks``. The folder (see `check_out`) is created if necessary; ``advance`` is
    called after each frame.

    ConfigError if a file exists and must not be replaced, or an option is not valid; StoreError if
    the store cannot be read or the output cannot be written.
    """
    kind = find_format(name)
    if isinstance(kind, FolderFormat):
        return write_folder(kind, chosen, out, options, force=force, advance=advance)
    written = _start_counts(chosen)
    needs = ("camera",) if options.table == "matches" else ()

    def match(frame: ExportFrame) -> tuple[ExportFrame, list[str]]:
        frame, lacks = match_again(frame, options)
        return frame, [lacks] if lacks else []

    with replace_files((out,)) as (temporary,):
        kind(_write_each(chosen, needs, written, match, advance), temporary, options)
    return written | {"files": 1}


def _start_counts(chosen: Chosen) -> dict[str, Any]:
    """What `write_chosen` returns, before a frame is written."""
    counts = {"frames": 0, "reviewed": 0, "files": 0, "left_out": chosen.left_out.copy()}
    return counts | {"failed": {}, "remarks": {}}


def _write_each(
    chosen: Chosen,
    needs: tuple[str, ...],
    written: dict[str, Any],
    write: Callable[[ExportFrame], tuple[Any, list[str]]],
    advance: Callable[[], object],
) -> Iterator[Any]:
    """Yield what is made of each frame that has what it needs; count all in ``written``.

    ``write`` also returns remarks. It raises LeftOutError for a frame that cannot be written.
    """
    for frame in chosen.frames():
        try:
            if lacks := explain_lacking(frame, *needs):
                raise LeftOutError(lacks, no_part=True)
            made, remarks = write(frame)
        except LeftOutError as error:
            if error.no_part:
                written["left_out"][str(error)] += 1
            else:
                written["failed"][frame.result.path] = str(error)
        else:
            written["frames"] += 1
            written["reviewed"] += frame.accepted_by_person
            if remarks:
                written["remarks"][frame.result.path] = "; ".join(remarks)
            yield made
        advance()


def write_folder(
    kind: FolderFormat,
    chosen: Chosen,
    out: Path,
    options: ExportOptions,
    *,
    force: bool,
    advance: Callable[[], object],
) -> dict[str, Any]:
    """Write files for each chosen frame into a folder, and those that list them all.

    Returns what `write_chosen` does.
    """
    own, hashes = {}, {}
    for number, path, sha256 in chosen.photos():
        own[number], hashes[number] = kind.photo_name(path, number), sha256
    names = kind.names(own, hashes, options)
    last = tuple(out / name for name in kind.last)
    if not force:
        check_free([*(out / name for of_frame in names.values() for name in of_frame), *last])
    written = _start_counts(chosen)

    def write(frame: ExportFrame) -> tuple[Any, list[str]]:
        paths = tuple(out / name for name in names[frame.stored.frame_index])
        guard_photo(frame, paths)
        against = ""
        if kind.places_photo:
            against = find_contradiction(frame, out / own[frame.stored.frame_index])
        if against and not force:
            raise LeftOutError(f"{against}: move that file away, or replace it with --force")
        frame, lacks = match_again(frame, options)
        if not written["frames"]:
            take_away(last, chosen)
        with replace_files(paths, sync=kind.sync) as temporary:
            made = kind.write(frame, temporary, paths, options)
        written["files"] += len(paths)
        replaced = f"{against}; it is now replaced or contradicted" if against else ""
        remark = made if isinstance(made, str) else ""
        return made, [text for text in (remark, lacks, replaced) if text]

    with raise_as_store_error(out):
        out.mkdir(parents=True, exist_ok=True)
    each = _write_each(chosen, kind.needs, written, write, advance)
    if kind.write_last is None:
        for _ in each:
            pass
    else:
        with replace_files(last) as temporary:
            kind.write_last(each, temporary, out)
        written["files"] += len(last)
    return written
