"""Find the photos that arguments name: paths, patterns, lists, URLs and ids of archive photos.

Photos that are not on disk are downloaded, a few ahead of the search, and maps that they need
before it.
"""

from __future__ import annotations

import glob
import logging
import math
import os
import re
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from os.path import lexists
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from detectors.constants import KM_PER_DEGREE, SEMI_MAJOR_M
from regengine.errors import (
    ConfigError,
    EphemerisError,
    FrameError,
    MapError,
    NoPhotoError,
    Option,
    StoreError,
)
from regengine.io.plain import format_count, restore_bytes
from regengine.io.tables import read_text, split_lines
from regengine.io.urls import Url, file_name, is_photo, is_url, parse_scheme
from regengine.maps.at_hand import choose_maps, identify_frame_to_fetch, locate_kept_photo
from regengine.photo.frame import CENTRE_RADIUS_KM, read_frame
from regengine.photo.notations import archive_name
from regengine.runs.plan import Task, is_reusable
from regengine.runs.run import BatchOptions, Planned
from regengine.store.read import iter_blocks
from regengine.store.reasons import Reason, make_error_reason
from regengine.store.result import BY_DAY
from regengine.store.rows import dict_rows, select
from regengine.store.writer import StoreWriter

if TYPE_CHECKING:
    from regengine.maps.lights import KindName
    from regengine.photo.archive.web import ArchivePhotos
    from regengine.runs.run_inputs import RunInputs

Item = TypeVar("Item")

LIST_MARK, LIST_ENDING = "@", ".txt"
AHEAD = 4  # number of simultaneous downloads
MAX_MAPS_GB = 2.0  # limit of the maps that are fetched for a run
# Pictures by day of all in sight: level, and incidence, which is 58 degrees off nadir
AREA_LEVEL, AREA_INCIDENCE_DEG = 10, 65.0


# Folders of thumbnails, deleted files and file fragments that systems create, in lower case.
# Folders that begin with a dot are hidden in any case.
NO_PHOTOS = frozenset(
    {
        *("@eadir", "@recycle", "@recently-snapshot", "@tmp", "#recycle", "#snapshot"),
        *("$recycle.bin", "system volume information", "lost+found", "__macosx"),
        *(".thumbnails", ".@__thumb", ".trashes"),
    }
)


def find_photos(patterns: Sequence[str], *, exclude: Sequence[Path] = ()) -> list[Path]:
    """Return the photos of files, folders and glob patterns, without duplicates.

    A file stands for itself, with any suffix and even if it is missing. A folder stands for the
    photos in it and its subfolders, except hidden folders and those of `NO_PHOTOS`; these count if
    they are named explicitly. A pattern (``**`` matches folders) stands for its matches. Photos of
    folders and patterns are in alphabetical order. ``exclude`` lists files, and folders with their
    content, that are never returned: the night-light maps and the overlay folder.
    """
    photos: dict[Path, Path] = {}
    # Not Path.resolve, which raises for circular links
    left_out = [Path(os.path.realpath(path)) for path in exclude]
    for pattern in patterns:
        for path in _expand(pattern):
            whole = Path(os.path.realpath(path))
            if any(whole.is_relative_to(barred) for barred in left_out):
                continue
            photos.setdefault(path.absolute(), path)
    return list(photos.values())


def make_no_photo_error(patterns: Sequence[str]) -> NoPhotoError:
    """Return the error for arguments that name no photo: what each is, and what to do."""
    reasons = []
    for pattern in patterns[:3]:
        reason = "matches no photo" if glob.has_magic(pattern) else "does not exist"
        if os.path.isdir(pattern):
            reason = "has no photo in it"
        elif os.path.isfile(pattern):  # a list, or what is never taken
            reason = "names no photo that exists"
        reasons.append(f"{pattern} {reason}")
    if len(patterns) > 3:
        reasons.append(f"{len(patterns) - 3:,} more likewise")
    return NoPhotoError(
        f"{'; '.join(reasons)}: name image files, a folder of them, or a pattern in quotes."
    )


def _expand(pattern: str) -> list[Path]:
    path = Path(pattern)
    # The functions of os.path accept any name or link and raise nothing
    if os.path.isdir(path):
        return _walk_photos(path)
    if os.path.lexists(path) or not glob.has_magic(pattern):
        return [path]
    # Existing folders whose names contain glob characters are not patterns: pictures[1]/*.jpg
    there = next((one for one in path.parents if os.path.isdir(one)), Path())
    below = str(path.relative_to(there))
    names = glob.glob(os.path.join(glob.escape(str(there)), below), recursive=True)
    # Names that a pattern contains explicitly are not skipped
    skipped = NO_PHOTOS - {part.lower() for part in path.parts}
    matches = [
        match
        for match in sorted(map(Path, names))
        if not any(part.lower() in skipped for part in match.parts)
    ]
    photos = [match for match in matches if is_photo(match.name) and not os.path.isdir(match)]
    photos += [below for match in matches if os.path.isdir(match) for below in _walk_photos(match)]
    return sorted(set(photos)) or [match for match in matches if os.path.isfile(match)]


def _walk_photos(folder: Path) -> list[Path]:
    photos, passed_over = [], Counter[str]()
    log = logging.getLogger("regengine")

    def tell(error: OSError) -> None:
        # Only the photos of a folder that cannot be read are missing
        log.warning(
            "%s cannot be read (%s): its photos are skipped.", error.filename, error.strerror
        )

    for parent, folders, names in os.walk(folder, onerror=tell):
        passed_over.update(name for name in folders if name.lower() in NO_PHOTOS)
        shown = [name for name in folders if not name.startswith(".")]
        folders[:] = [name for name in shown if name.lower() not in NO_PHOTOS]
        photos += [Path(parent, name) for name in names if is_photo(name) and name[0] != "."]
    if passed_over:
        log.info(
            "%s: skipped %s of thumbnails and deleted files (%s); name such a folder to include "
            "it.",
            folder,
            format_count(passed_over.total(), "folder"),
            ", ".join(sorted(passed_over)),
        )
    return sorted(photos)


def select_share(photos: Sequence[Item], share: str) -> list[Item]:
    """Return a share of the photos, written ``3/16``: the third of sixteen, in contiguous blocks.

    Raises ConfigError if the text is invalid, or there is no such share.
    """
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", share.strip())
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(
            Option("shard", repr(share)),
            " is not valid: write number and total, like 3/16 (1/16 to 16/16).",
        )
    number, count = int(match[1]), int(match[2])
    return list(photos[(number - 1) * len(photos) // count : number * len(photos) // count])


def find_given(arguments: Sequence[str], *, exclude: Sequence[Path] = ()) -> list[Path | Url]:
    """Return the photos that arguments name, in the order of the arguments, without duplicates.

    An argument is one that `find_photos` takes, a URL, or the id of an
    archive photo, which stands for its place in the data folder. It can also be a text file that
    names one of these per line, ``@LIST`` or ``LIST.txt``. An existing file with such a name takes
    precedence. Files and folders of ``exclude`` are never returned. Raises ConfigError if a list
    cannot be read, the scheme of a URL is not supported, or its client is not installed; and
    NoPhotoError if no photo exists, or could be downloaded.
    """
    by_place: dict[object, Path | Url] = {}
    schemes = set()
    paths: list[str] = []

    def take_paths() -> None:
        for path in find_photos(paths, exclude=exclude):
            by_place.setdefault(path.absolute(), path)
        paths.clear()

    for argument in _spelled_out(arguments):
        if (frame_id := _find_archive_name(argument)) is not None:
            take_paths()
            by_place.setdefault(locate_kept_photo(frame_id), locate_kept_photo(frame_id))
        elif is_url(argument):
            take_paths()
            scheme = parse_scheme(argument)
            if scheme not in schemes:
                from regengine.io.http import require

                require(argument)
                schemes.add(scheme)
            by_place.setdefault(argument, Url(argument))
        else:
            paths.append(argument)
    take_paths()
    photos = list(by_place.values())
    if not any(
        isinstance(one, Url) or lexists(one) or identify_frame_to_fetch(one) for one in photos
    ):
        raise make_no_photo_error(arguments)
    return photos


def find_existing_photos(
    arguments: Sequence[str], *, exclude: Sequence[Path | None] = ()
) -> list[Path]:
    """Like `find_given`, for commands that read photos where they are; None is not excluded.

    Photos of the archive are downloaded first; a failure is logged, and leaves the photo missing.
    Raises NoPhotoError if no photo exists, and ConfigError for a URL.
    """
    paths: list[Path] = []
    for photo in find_given(arguments, exclude=[path for path in exclude if path is not None]):
        if isinstance(photo, Url):
            raise ConfigError(
                f"{photo} is a URL, which only regengine register downloads: give the path of a "
                "local copy."
            )
        paths.append(photo)
    wanted = [photo for photo in paths if identify_frame_to_fetch(photo) is not None]
    if wanted:
        from regengine.photo.archive.web import ArchivePhotos

        archive = ArchivePhotos()
        for photo in wanted:
            try:
                archive.fetch(photo)
            except FrameError as error:
                logging.getLogger("regengine").error("Error: %s", error)
    if not any(map(lexists, paths)):
        raise make_no_photo_error(arguments)
    return paths


def fetch_photo_path(given: str) -> Path:
    """Return the path of one photo; a photo of the archive is downloaded if necessary.

    Raises FrameError if the download fails.
    """
    if (frame_id := _find_archive_name(given)) is None:
        return Path(given)
    if identify_frame_to_fetch(locate_kept_photo(frame_id)) is not None:
        from regengine.photo.archive.web import ArchivePhotos

        ArchivePhotos().fetch(locate_kept_photo(frame_id))
    return locate_kept_photo(frame_id)


def _find_archive_name(argument: str) -> str | None:
    return None if lexists(Path(argument)) else archive_name(argument)


def _spelled_out(arguments: Sequence[str]) -> Iterator[str]:
    """Yield arguments; of lists their lines, without empty ones and comments."""
    for argument in arguments:
        path = Path(argument)
        if argument.startswith(LIST_MARK) and not lexists(path):
            path = Path(argument.removeprefix(LIST_MARK))
        elif path.suffix.lower() != LIST_ENDING or not path.is_file():
            yield argument
            continue
        try:
            text = read_text(path, "surrogateescape")  # names may be any bytes
            if "\0" in text:
                raise UnicodeError("it is not text")
        except (OSError, UnicodeError) as error:
            raise ConfigError(
                f"{path} cannot be read as a list of photos ({error}): it must be a text file with "
                "one path, URL or archive id per line."
            ) from None
        lines = map(_without_comment, map(str.strip, split_lines(text)))
        yield from map(restore_bytes, filter(None, lines))


def _without_comment(line: str) -> str:
    """Return a line of a list without ``# comment``, unless a file has that name."""
    if line.startswith("#"):
        return ""
    ends = [len(line), *(mark.start() for mark in reversed([*re.finditer(r"\s+#", line)]))]
    names = [line[:end] for end in ends]
    there = (name for name in names if lexists(Path(name)) or any(glob.iglob(name)))
    return next(there, names[-1])


@contextmanager
def provide_photos(
    photos: Sequence[Path | Url], writer: StoreWriter, options: BatchOptions
) -> Iterator[tuple[Iterable[Path | Task], BatchOptions]]:
    """Provide photos, and options for them, as `regengine.runs.run.run_batch` takes them.

    URLs are replaced by local copies, which are deleted after use. A URL is not downloaded if the
    open store has its result with the same settings. Photos of the archive are downloaded into the
    data folder, where they stay. Raises StoreError if the store is damaged.
    """
    # By the path of a task that was made from a stored result
    urls = {Path(str(photo)): photo for photo in photos if isinstance(photo, Url)}
    archive: ArchivePhotos | None = None
    if any(map(identify_frame_to_fetch, photos)):
        from regengine.photo.archive.web import ArchivePhotos

        archive = ArchivePhotos()
    elif not urls:
        yield [photo for photo in photos if isinstance(photo, Path)], options
        return
    known: dict[str, str] = {}  # hash of the content of a URL as of its download
    if options.resume and writer.path.exists():
        for tables in iter_blocks(writer.path, select("frames/path", "frames/sha256")):
            for row in dict_rows(tables["frames"]):
                if row["sha256"] and is_url(row["path"]):
                    known[row["path"]] = row["sha256"]
    numbers = count()

    def find_hash(url: Url) -> str | None:
        """Return the hash of a URL's content if its stored result is reused."""
        sha256 = known.get(str(url))
        stored = None if sha256 is None else writer.frames.find(str(url), sha256)
        stands = stored is not None and is_reusable(stored, options.settings, options.retry)
        return sha256 if stands else None

    def locate_copy(url: Url) -> Path:
        return Path(folder) / f"{next(numbers):06d}" / file_name(url.address)

    def begin(photo: Path | Url | None) -> Future[Task] | None:
        if photo is None:
            return None
        place = locate_copy(photo) if isinstance(photo, Url) else photo
        return fetchers.submit(_fetch_photo, photo, place, archive)

    def provide() -> Iterator[Path | Task]:
        def select_missing(photo: Path | Url) -> Path | Url | None:
            if isinstance(photo, Url):
                return photo if find_hash(photo) is None else None
            return None if identify_frame_to_fetch(photo) is None else photo

        for photo, task in _fetch_ahead((one, begin(select_missing(one))) for one in photos):
            if task is not None:
                yield task
            elif isinstance(photo, Url):
                place, sha256 = locate_copy(photo), find_hash(photo)
                yield Task(path=place, given_as=str(photo), sha256=sha256)
            else:
                yield photo

    def provide_again(items: Iterator[Planned]) -> Iterator[Planned]:
        """Yield tasks of a second search; download the deleted copies again."""
        begun = (
            ((task, stored), None if stored is not None else begin(urls.get(task.path)))
            for task, stored in items
        )
        for (task, stored), copy in _fetch_ahead(begun):
            if copy is not None:
                task = replace(task, path=copy.path, given_as=copy.given_as, failure=copy.failure)
            yield task, stored

    with (
        tempfile.TemporaryDirectory(prefix="regengine-", ignore_cleanup_errors=True) as folder,
        ThreadPoolExecutor(AHEAD) as fetchers,
    ):
        try:
            yield provide(), replace(options, again=provide_again)
        finally:
            fetchers.shutdown(wait=False, cancel_futures=True)


def _fetch_ahead(
    items: Iterable[tuple[Item, Future[Task] | None]],
) -> Iterator[tuple[Item, Task | None]]:
    """Yield items in order, with the tasks of their downloads; `AHEAD` downloads are under way."""
    waiting: deque[tuple[Item, Future[Task] | None]] = deque()
    for item in items:
        waiting.append(item)
        if len(waiting) > AHEAD or waiting[0][1] is None:
            first, fetched = waiting.popleft()
            yield first, None if fetched is None else fetched.result()
    for first, fetched in waiting:
        yield first, None if fetched is None else fetched.result()


def _fetch_photo(photo: Path | Url, place: Path, archive: ArchivePhotos | None) -> Task:
    """Download a photo; return its task, with the reason if the download fails."""
    task = Task(path=place, given_as=str(photo) if isinstance(photo, Url) else None)
    try:
        if isinstance(photo, Url):
            # Imported here: runs without URLs need no client
            from regengine.io.http import fetch

            place.parent.mkdir()
            fetch(photo.address, place)
        else:
            assert archive is not None
            archive.fetch(photo)
    except FrameError as error:
        return replace(task, failure=make_error_reason(error))
    except OSError as error:
        text = f"{photo} cannot be downloaded to {place.parent} ({error.strerror})."
        return replace(task, failure=Reason(code="unreadable", values={"message": text}))
    return task


def add_needed_maps(
    photos: Iterable[Path | Url], inputs: RunInputs, stop: Callable[[], bool] = bool
) -> RunInputs:
    """Fetch the maps that photos need and that are not at hand; return the inputs with them.

    They are made in the data folder, as `regengine.maps.make.get_map` does, at most `MAX_MAPS_GB`
    in total. Photos of the archive are downloaded first; those given by URL are left out. What
    cannot be fetched is logged in one sentence a place, and leaves the inputs as they are; with no
    network nothing more is asked for, and the inputs tell it. KeyboardInterrupt once ``stop`` is
    true.
    """
    from regengine.maps.make import Listener, get_map
    from regengine.photo.archive.web import ArchivePhotos

    logger, archive, total_bytes = logging.getLogger("regengine"), ArchivePhotos(), 0.0

    def admit(size_bytes: float) -> None:
        nonlocal total_bytes
        if total_bytes + size_bytes > 1e9 * MAX_MAPS_GB:
            size = "of unknown size" if math.isinf(size_bytes) else f"of {size_bytes / 1e9:.1f} GB"
            raise MapError(
                f"with this download {size} the run would fetch more than {MAX_MAPS_GB:g} GB: get "
                "it with regengine maps get."
            )
        total_bytes += size_bytes

    def check_stop(*_: object) -> None:
        if stop():
            raise KeyboardInterrupt

    listener = Listener(
        progress=check_stop, message=logger.info, warning=logger.warning, admit=admit
    )
    tried: set[tuple[object, ...]] = set()
    for photo in photos:
        check_stop()
        try:
            if isinstance(photo, Url):
                continue
            if identify_frame_to_fetch(photo) is not None:
                archive.fetch(photo)
            needed = find_needed_map(photo, inputs)
        except (FrameError, EphemerisError):  # told when the photo is processed
            continue
        if needed is None:
            continue
        kind, where, level, town, others = needed
        # Where fetching failed, or found a map that ends beside the place, once a degree
        if (key := (kind, *map(round, where), level)) in tried:
            continue
        tried.add(key)
        wanted: dict[str, Any] = {"bounds": where}
        if len(where) == 2:
            wanted = {"place": "{:.2f},{:.2f}".format(*where)}
            logger.info("%s: fetching a %s map around %s%s", photo, kind, wanted["place"], town)
        else:
            logger.info(
                "%s: fetching a day map of all in sight, on which the search takes one to two "
                "minutes; give a place in the picture (--place or --centre) for less",
                photo,
            )
        if others:
            logger.info("also: %s (regengine maps get NAME --kind %s)", others, kind)
        try:
            made = get_map(kind, **wanted, level=level, reuse=True, listener=listener)
        except (MapError, ConfigError, StoreError) as error:
            logger.warning("%s: no %s map was fetched: %s", photo, kind, error)
            if error.code == "offline":
                inputs = replace(inputs, unfetched=str(error).rstrip("."))
                break
            continue
        given, listed = getattr(inputs, kind), choose_maps(kind)
        # In the order of a later run, which finds them in the data folder
        paths = listed if {*given, made} <= {*listed} else (*given, made)
        added: dict[str, Any] = {kind: paths}
        inputs = replace(inputs, **added)
    return inputs


def find_needed_map(
    path: Path, inputs: RunInputs
) -> tuple[KindName, tuple[float, ...], int, str, str] | None:
    """Find what map a photo needs that is not at hand: its kind, place or bounds, and zoom level.

    That is the streets of a telephoto photo of a city, or pictures by day that resolve a telephoto
    photo by day; None if its place or lens is not known. By day it may be anywhere in sight, if the
    lens is not too long for that. With a name its place is that of the
    largest town in view, or of all: its label in brackets, and the other towns, are returned, too.
    FrameError if the photo cannot be read, EphemerisError if nothing is known of its position.
    """
    from regengine.maps.opening import day_map_of, street_maps_of
    from regengine.maps.reference import RasterMap
    from regengine.maps.services import NASA_LEVEL, SENTINEL_LEVEL
    from regengine.orbit.position import choose_position
    from regengine.registration.prepare_photo import make_nominal_camera
    from regengine.registration.priors import is_telephoto
    from regengine.registration.propose_from_station import FETCHED_PX, FINE_MAP_PX, box_in_sight
    from regengine.registration.register_on_streets import is_worth_streets
    from regengine.runs.pipeline import (
        find_position,
        list_named_towns,
        list_namesakes,
        show_town,
    )
    from regengine.scene.classify import assess_for_search

    _, tles, records = inputs.open()
    frame = read_frame(path, records=records, options=inputs.frame)
    if frame.focal_mm is None or inputs.blind.mode == "always":
        return None
    known = find_position(frame, tles, inputs.blind)
    town = others = ""
    if named := list_named_towns(frame, known):
        town, others = f" ({named[0].label})", list_namesakes(frame, known, named)
        frame = show_town(frame, frame.sources["place"], named[0])
    position = choose_position(frame, tles)
    if frame.centre is not None:
        place, away_km = frame.centre, frame.radius_km
    else:
        place = position.lon, position.lat
        away_km = max(position.sigma_along_km, position.sigma_cross_km)
    if away_km > CENTRE_RADIUS_KM:  # a map reaches 60 km
        return None
    nominal, point = make_nominal_camera(frame), (*place, *place)
    long_km = max(frame.width_px, frame.height_px) * position.altitude_km / nominal.focal_px
    needs_streets = is_telephoto(nominal) and not any(
        one.reaching(point) for one in street_maps_of(inputs.streets)
    )
    # Without a place, a map of 60 km around another one is none of all in sight
    (lon, lat), rim = place, 2.0 if frame.centre is None else 0.0
    corners = [(lon + x, lat + y) for x in (-rim, rim) for y in (-rim, rim)]
    needs_day = not any(
        one.grid.step_deg * KM_PER_DEGREE * FINE_MAP_PX <= long_km
        and all(RasterMap([one]).reaching((*each, *each)) for each in corners)
        for one in day_map_of(inputs.day)
    )
    if not (needs_streets or needs_day):
        return None
    scene = assess_for_search(frame, position)
    by_day = sum(scene.in_place.answer.probabilities.get(name, 0.0) for name in BY_DAY)
    if needs_day and by_day > 0.5:
        parallel_km = 2.0 * math.pi * SEMI_MAJOR_M / 1e3 * math.cos(math.radians(place[1]))
        level = math.floor(math.log2(parallel_km / 256.0 * FETCHED_PX / long_km))
        if frame.centre is None:
            if level > AREA_LEVEL + 1:
                return None
            level = min(level, AREA_LEVEL)
            bounds = box_in_sight(lon, lat, position.altitude_km, AREA_INCIDENCE_DEG)
            return "day", bounds, max(level, NASA_LEVEL + 1), town, others
        return "day", place, min(max(level, NASA_LEVEL + 1), SENTINEL_LEVEL), town, others
    # As the search on streets is tried
    is_sought = scene.skip_reason is None or inputs.register.any_category
    if needs_streets and is_sought and is_worth_streets(scene.cities_probability):
        return "streets", place, NASA_LEVEL, town, others
    return None
