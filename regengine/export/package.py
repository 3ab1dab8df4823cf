"""Write a package: photos with their metadata, calibration files, a README."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from regengine.errors import ConfigError, FrameError, StoreError
from regengine.export.formats import (
    ExportOptions,
    FolderFormat,
    find_format,
    photo_name,
    photo_names,
)
from regengine.export.formats.gcp_qgis import points_text
from regengine.frames.catalogue import SHOWN, Catalogue
from regengine.frames.columns import COURTESY, frame_record
from regengine.frames.frame import ExportFrame, make_engine_frame, with_review
from regengine.io.atomic import check_folder, raise_as_store_error, sync_folder
from regengine.io.checksums import compute_sha256
from regengine.io.html import escape_invisible
from regengine.io.plain import format_count, restore_bytes
from regengine.photo.notations import archive_frame_id
from regengine.store.file import photo_file
from regengine.store.read import iter_frames
from regengine.store.reviews import read_reviews

CHOSEN = """
SELECT frame, sha256, store, frame_index, path, time_utc, quality, sharpness, cloud, off_nadir_deg,
    resolution_m, centre_lon, centre_lat, place, place_country, city, country, city_km
FROM frames WHERE {shown} ORDER BY quality DESC, frame, sha256 LIMIT :most
"""
# A degree of latitude has 110.5 km at the equator, and more elsewhere
NEAR = (
    "abs(centre_lat - :lat) <= :radius_km / 110.5 "
    "AND away_m(:lon, :lat, centre_lon, centre_lat) <= 1e3 * :radius_km"
)


def choose_rows(
    catalogue: Catalogue, place: Sequence[float], *, radius_km: float | None, best: int | None
) -> list[dict[str, Any]]:
    """Rows of a narrowed catalogue, at most so many, the best first.

    ``place`` is the longitude and latitude that they show, or that their centres are within
    ``radius_km`` of; all rows if it is empty. Frames without a quality come last; equal ones are
    sorted by id.
    """
    shown = ("TRUE" if not place else SHOWN) if radius_km is None else NEAR
    values = {**dict(zip(("lon", "lat"), place, strict=False)), "radius_km": radius_km}
    names, rows = catalogue.ask(CHOSEN.format(shown=shown), values | {"most": best or -1})
    return [dict(zip(names, row, strict=True)) for row in rows]


SUMS = "SHA256SUMS"
README = "README.md"


def check_package(out: Path, *, force: bool) -> None:
    """StoreError, before anything is read, unless a package can be written.

    ConfigError if the folder exists: one that is no package is never replaced, even with ``force``.
    """
    if not out.absolute().parent.is_dir() or out.name in ("", ".", ".."):
        raise StoreError(
            f"--out {out} cannot be written: name a folder inside an existing, writable one."
        )
    check_folder(out.parent)
    if not _may_write(out, force):
        remedy = "it is not a package of regengine"
        if _is_package(out):
            remedy = "replace it with --force"
        raise ConfigError(f"--out {out} exists: name another folder; {remedy}.")


def _is_package(folder: Path) -> bool:
    return not folder.is_symlink() and all((folder / name).is_file() for name in (SUMS, README))


def _may_write(out: Path, force: bool) -> bool:
    """Whether a folder is missing or empty, or a package that is to be replaced."""
    empty = out.is_dir() and not out.is_symlink() and not any(out.iterdir())
    return not os.path.lexists(out) or empty or (force and _is_package(out))


@contextmanager
def package_folder(out: Path, *, force: bool) -> Iterator[Path]:
    """A folder that becomes the package, with checksums, at the end of the block, or not at all."""
    out = out.absolute()
    made = out.with_name(f".{os.getpid()}.{out.name[:100]}.tmp")
    try:
        with raise_as_store_error(out):
            for folder in (made, made / PHOTOS, made / "cameras"):
                folder.mkdir()
            yield made
            files = (path for path in made.rglob("*") if path.is_file())
            sums = {path.relative_to(made).as_posix(): compute_sha256(path) for path in files}
            lines = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
            (made / SUMS).write_text(lines, encoding="utf-8", newline="")
            for path in (made, *made.rglob("*")):
                if not path.is_symlink():
                    sync_folder(path)  # or file
            if not _may_write(out, force):
                raise ConfigError(f"--out {out} was created meanwhile: nothing was written.")
            old = out.with_name(f"{made.name}.old")
            if out.is_dir():
                out.rename(old)
            try:
                made.rename(out)
            except OSError:
                if old.is_dir():
                    old.rename(out)
                raise
            shutil.rmtree(old, ignore_errors=True)
            sync_folder(out.parent)
    finally:
        shutil.rmtree(made, ignore_errors=True)


PHOTOS = "photos"


# A frame, with a person's accepted camera, its path being that in the package; its row of the
# catalogue; the path of the original photo
Packed = tuple[ExportFrame, dict[str, Any], Path]


def pack_frames(rows: Sequence[dict[str, Any]]) -> tuple[list[Packed], dict[str, str]]:
    """Frames of rows of `choose_rows`, in their order, and unavailable photos.

    The latter by their names in the package, with the reason.
    """
    names = photo_names(
        {number: photo_name(row["path"], number) for number, row in enumerate(rows)},
        {number: row["sha256"] for number, row in enumerate(rows)},
    )
    frames: list[Packed] = []
    failed: dict[str, str] = {}
    reviews: dict[str, Any] = {}
    for number, row in enumerate(rows):
        name, store = names[number], Path(restore_bytes(row["store"]))
        try:
            if row["store"] not in reviews:
                reviews[row["store"]] = read_reviews(store)
            found = list(iter_frames(store, [row["frame_index"]]))
            if len(found) != 1 or found[0].result.sha256 != row["sha256"]:
                raise StoreError(
                    f"{store} no longer has the frame that the catalogue lists: build the "
                    "catalogue again."
                )
        except StoreError as error:
            failed[name] = str(error)
            continue
        result = found[0].result
        review = reviews[row["store"]].get(row["frame_index"])
        photo = photo_file(result.path, store, result.sha256)
        if review is not None and review.decision == "rejected":
            failed[name] = "rejected in review since the catalogue was built"
        elif photo is None:
            failed[name] = f"{result.path} is missing"
        else:
            packed = replace(found[0], result=replace(result, path=f"{PHOTOS}/{name}"))
            frames.append((with_review(make_engine_frame(packed, store), review), row, photo))
    return frames, failed


CALIBRATION = "calibration"


def list_calibration_files(paths: Sequence[Path]) -> dict[str, Path]:
    """Calibration files by their names in the package: lens profiles, flat fields, dark frames.

    ConfigError if one is not a file, or cannot be read.
    """
    hashes = {}
    for number, path in enumerate(paths):
        if not path.is_file():
            raise ConfigError(f"{path} is not a file: name the calibration files one by one.")
        try:
            hashes[number] = compute_sha256(path)
        except OSError as error:
            raise ConfigError(
                f"{path} cannot be read ({error.strerror}): check its permissions."
            ) from error
    own = {number: photo_name(path.name, number) for number, path in enumerate(paths)}
    names = photo_names(own, hashes)
    return {f"{CALIBRATION}/{names[number]}": path for number, path in enumerate(paths)}


# The README of a package: content, places, times, accuracy, and credits.

_MARKUP = re.compile(r"([\\`*_\[\]<>|#~$])")
_TEXT = """\
# Night photographs: {title}

{count} from the International Space Station, placed on the map and packed by regengine {version}. \
{chosen}

## What, where, when

| photo | frame | taken (UTC) | camera, lens | middle (lat, lon) | near | off nadir | m/pixel \
| quality |
|---|---|---|---|---|---|---|---|---|
{photos}

## How each was placed

{placed}

## Credit

{credits}
- Names of places: GeoNames (geonames.org), CC BY 4.0.

## Files

- `photos/`: the photos; beside each, `PHOTO.points` for the QGIS georeferencer, which loads it \
automatically
- `cameras/PHOTO.json`: solved camera, control points and metadata of the photo
- `frames.csv`, `points.csv`: the same as tables
- `footprints.geojson`: the ground area that the photos show
{calibration}
Pixels `x`, `y` are column and row, zero-based, with whole numbers at pixel centres of the photo as
stored: no EXIF orientation is applied. `lon`, `lat` are WGS84, degrees. Each sigma is one standard
deviation per axis. The camera is OpenCV's pinhole with `k1, k2, p1, p2, k3`; `quaternion` is
[x, y, z, w] and rotates camera vectors (x right, y down, z forward) into ECEF, `position_ecef_m` is
where the camera was; `mirrored`: x is replaced by width - 1 - x before projection;
`pixel_aspect`, of a stretched copy: the vertical focal length over the horizontal one.

## Check

    sha256sum -c SHA256SUMS

checks that no file has changed. The photos are byte for byte those that were registered.
"""


def format_readme(
    title: str,
    chosen: str,
    packed: Sequence[Packed],
    calibration: Iterable[str],
    failed: Mapping[str, str],
) -> str:
    """Format the README as Markdown; ``chosen`` is a sentence that describes the choice."""
    maps = sorted({frame.result.map_title for frame, _, _ in packed if frame.result.map_title})
    rows, placed, credits = [], [], []
    for frame, row, _ in packed:
        credit = "its name is not an archive id: ask the photographer."
        if archive := archive_frame_id(frame.result.frame):
            credit = f"{COURTESY} ({archive})."
        result = frame.result
        town = plain_text(", ".join(filter(None, (row["city"], row["country"]))))
        focal = "" if result.focal_mm is None else f", {result.focal_mm:g} mm"
        cells = (
            plain_text(Path(result.path).name),
            plain_text(result.frame),
            result.time_utc or "unknown",
            plain_text(result.camera_body or "unknown") + focal,
            f"{_number(row['centre_lat'], '.4f')}, {_number(row['centre_lon'], '.4f')}",
            f"{town} ({_number(row['city_km'], '.0f', ' km')})" if row["city"] else "",
            _number(row["off_nadir_deg"], ".1f", "°"),
            _number(row["resolution_m"], ".0f"),
            _number(row["quality"], ".2f"),
        )
        rows.append(f"| {' | '.join(cells)} |")
        placed.append(f"- {plain_text(frame.result.frame)}: {_how(frame)}")
        credits.append(f"- {plain_text(Path(frame.result.path).name)}: {credit}")
    if maps:
        used = ", ".join(map(plain_text, maps))
        credits.append(f"- Maps that were used: {used}; cite them as their producers ask.")
    files = [f"  - {plain_text(name.rpartition('/')[2])}" for name in calibration]
    text = _TEXT.format(
        title=plain_text(title),
        count=format_count(len(packed), "photograph"),
        version=version("regengine"),
        chosen=plain_text(chosen),
        photos="\n".join(rows),
        placed="\n".join(placed),
        credits="\n".join(credits),
        calibration="\n".join(
            [f"- `{CALIBRATION}/`: calibration files", *files, ""] if files else ""
        ),
    )
    lost = [f"- {plain_text(name)}: {plain_text(why)}" for name, why in failed.items()]
    return "\n".join([text, "## Selected, but not included\n", *lost, ""]) if lost else text


def plain_text(text: object) -> str:
    return _MARKUP.sub(r"\\\1", escape_invisible(str(text)))


def _how(frame: ExportFrame) -> str:
    result, sigma_m = frame.result, frame.worst_sigma_m
    known = "" if sigma_m is None else f"; control points accurate to {sigma_m:.0f} m or better"
    points = f"{len(frame.points)} control points{known}"
    what = {"streets": "by streets", "day": "by daylight ground features"}
    engine = what.get(result.reference_kind, "by its city lights")
    engine += f" on the map {plain_text(result.map_title or 'of an unknown name')}"
    nadir = result.nadir
    if nadir is not None:
        age = "" if nadir.tle_age_h is None else f", {abs(nadir.tle_age_h):.0f} h from its epoch"
        source = {"tle": "element set", "record": "archive's record", "option": "given nadir"}
        engine += f", starting from the {source.get(nadir.source, nadir.source)}{age}"
    probability = ""
    if result.probability is not None:
        # With enough digits to distinguish it from 1
        texts = (f"{result.probability:.{digits}f}" for digits in range(2, 8))
        odds = next((text for text in texts if float(text) < 1.0), f"{result.probability!r}")
        probability = f" with a probability of {odds}"
    review = frame.review
    if review is not None and frame.accepted_by_person:
        by = sorted({point.origin for point in frame.points})
        proposed = result.solved is not None
        before = f"had placed it {engine}{probability}" if proposed else "had not placed it"
        return (
            f"accepted by {plain_text(review.reviewer)} on {review.time_utc[:10]} (points by "
            f"{', '.join(by)}; {points}). The engine {before}."
        )
    return f"{engine}; verdict {frame.verdict}{probability}; {points}."


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "unknown" if value is None else f"{value:{form}}{unit}"


def write_package(
    out: Path,
    packed: Sequence[Packed],
    failed: Mapping[str, str],
    *,
    title: str,
    chosen: str,
    calibration: Mapping[str, Path],
    link: bool = False,
    force: bool = False,
    advance: Callable[[], object] = lambda: None,
) -> tuple[list[str], dict[str, str]]:
    """Write frames and failures of `pack_frames` into a folder; see `check_package`.

    Returns the ids of the packed frames, and unavailable photos by name, with the reason.

    ``title`` and ``chosen``, a sentence that describes the choice, are for the README;
    ``calibration`` is of `list_calibration_files`. ``link`` creates links to photos instead of
    copies; ``force`` replaces an existing package; ``advance`` is called after each photo.

    Raises FrameError if no frame at all can be packed: nothing is written. Raises StoreError if it
    cannot be written.
    """
    failed, there = dict(failed), []
    with package_folder(out, force=force) as folder:

        def add_text(name: str, text: str) -> None:
            (folder / name).write_text(text, encoding="utf-8", newline="")

        def add_file(name: str, source: Path, sha256: str | None = None) -> None:
            """Add a file unchanged; FrameError if it is missing or has another hash."""
            try:
                content = source.read_bytes()
            except OSError as error:
                raise FrameError(f"{source} cannot be read ({error.strerror})") from error
            if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
                raise FrameError(f"{source} is not the photo that was registered")
            if link:
                (folder / name).symlink_to(source.absolute())
            else:
                (folder / name).write_bytes(content)

        for frame, row, photo in packed:
            path = frame.result.path
            try:
                add_file(path, photo, frame.result.sha256)
            except FrameError as error:
                failed[Path(path).name] = str(error)
            else:
                there.append((frame, row, photo))
            advance()
        if not there:
            why = next(iter(failed.values()), "none was selected")
            raise FrameError(f"No photo can be packed ({why}): nothing was written.")
        for frame, row, _ in there:
            path = frame.result.path
            if frame.points:
                add_text(f"{path}.points", points_text(frame))
            quality = {name: row[name] for name in ("quality", "sharpness", "cloud")}
            add_text(f"cameras/{Path(path).name}.json", frame_record(frame, quality=quality))
        for name, options in (
            ("frames.csv", ExportOptions(table="frames")),
            ("points.csv", ExportOptions(table="points")),
            ("footprints.geojson", ExportOptions(layers=("footprints",))),
        ):
            write = find_format(name.rpartition(".")[2])
            assert not isinstance(write, FolderFormat)
            write((frame for frame, _, _ in there), folder / name, options)
        if calibration:
            (folder / CALIBRATION).mkdir()
        for name, source in calibration.items():
            add_file(name, source)
        add_text(README, format_readme(title, chosen, there, calibration, failed))
    return [frame.result.frame for frame, _, _ in there], failed
