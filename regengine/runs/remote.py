"""Find the photos that arguments name: paths, patterns, lists, URLs and ids of archive photos.

Photos that are not on disk are downloaded, a few ahead of the search.
"""

from __future__ import annotations

import logging
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from regengine.errors import ConfigError, FrameError
from regengine.io.tables import decode_text
from regengine.io.urls import Url, file_name, is_url, parse_scheme
from regengine.maps.at_hand import identify_frame_to_fetch, locate_kept_photo
from regengine.photo.discover import find_photos, is_there, make_no_photo_error
from regengine.photo.frame_ids import archive_name
from regengine.runs.plan import Task, list_reasons_to_redo_stored
from regengine.runs.run import BatchOptions
from regengine.store.file import StoreFile
from regengine.store.result import Reason
from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter

if TYPE_CHECKING:
    from regengine.photo.archive.download import ArchivePhotos

Item = TypeVar("Item")

LIST_MARK, LIST_ENDING = "@", ".txt"
AHEAD = 4  # number of simultaneous downloads


def find_given(arguments: Sequence[str], *, exclude: Sequence[Path] = ()) -> list[Path | Url]:
    """Return the photos that arguments name, in the order of the arguments, without duplicates.

    An argument is one that `regengine.photo.discover.find_photos` takes, a URL, or the id of an
    archive photo, which stands for its place in the data folder. It can also be a text file that
    names one of these per line, ``@LIST`` or ``LIST.txt``. An existing file with such a name takes
    precedence. Files and folders of ``exclude`` are never returned. Raises ConfigError if a list
    cannot be read, the scheme of a URL is not supported, or its client is not installed.
    """
    found: dict[object, Path | Url] = {}
    schemes = set()
    paths: list[str] = []

    def take_paths() -> None:
        for path in find_photos(paths, exclude=exclude):
            found.setdefault(path.absolute(), path)
        paths.clear()

    for argument in _spelled_out(arguments):
        if (frame_id := _find_archive_name(argument)) is not None:
            take_paths()
            found.setdefault(locate_kept_photo(frame_id), locate_kept_photo(frame_id))
        elif is_url(argument):
            take_paths()
            scheme = parse_scheme(argument)
            if scheme not in schemes:
                from regengine.io.http import require

                require(argument)
                schemes.add(scheme)
            found.setdefault(argument, Url(argument))
        else:
            paths.append(argument)
    take_paths()
    return list(found.values())


def find_existing_photos(
    arguments: Sequence[str], *, exclude: Sequence[Path | None] = ()
) -> list[Path]:
    """Like `find_given`, for commands that read photos where they are; None is not excluded.

    Photos of the archive are downloaded first; a failure is logged, and leaves the photo missing.
    Raises NoPhotoError if no photo exists, and ConfigError for a URL.
    """
    found: list[Path] = []
    for photo in find_given(arguments, exclude=[path for path in exclude if path is not None]):
        if isinstance(photo, Url):
            raise ConfigError(
                f"{photo} is a URL, which only regengine register downloads: give the path of a "
                "local copy."
            )
        found.append(photo)
    wanted = [photo for photo in found if identify_frame_to_fetch(photo) is not None]
    if wanted:
        from regengine.photo.archive.download import ArchivePhotos

        archive = ArchivePhotos()
        for photo in wanted:
            try:
                archive.fetch(photo)
            except FrameError as error:
                logging.getLogger("regengine").error("Error: %s", error)
    if not any(map(is_there, found)):
        raise make_no_photo_error(arguments)
    return found


def has_any_photo(photos: Sequence[Path | Url]) -> bool:
    """Whether at least one photo exists; photos to download count without being tried."""
    return any(
        isinstance(photo, Url) or is_there(photo) or identify_frame_to_fetch(photo)
        for photo in photos
    )


def fetch_photo_path(given: str) -> Path:
    """Return the path of one photo; a photo of the archive is downloaded if necessary.

    Raises FrameError if the download fails.
    """
    if (frame_id := _find_archive_name(given)) is None:
        return Path(given)
    if identify_frame_to_fetch(locate_kept_photo(frame_id)) is not None:
        from regengine.photo.archive.download import ArchivePhotos

        ArchivePhotos().fetch(locate_kept_photo(frame_id))
    return locate_kept_photo(frame_id)


def _find_archive_name(argument: str) -> str | None:
    return None if is_there(Path(argument)) else archive_name(argument)


def _spelled_out(arguments: Sequence[str]) -> list[str]:
    whole: list[str] = []
    for argument in arguments:
        path = Path(argument)
        if argument.startswith(LIST_MARK) and not is_there(path):
            whole += _read_list(Path(argument.removeprefix(LIST_MARK)))
        elif path.suffix.lower() == LIST_ENDING and path.is_file():
            whole += _read_list(path)
        else:
            whole.append(argument)
    return whole


def _read_list(path: Path) -> list[str]:
    """Read a list with one photo per line; empty lines and ``#`` lines are ignored."""
    try:
        lines = decode_text(path.read_bytes()).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read as a list of photos ({type(error).__name__}): it must be a "
            "text file with one path, URL or archive id per line."
        ) from None
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


@contextmanager
def provide_photos(
    photos: Sequence[Path | Url], writer: StoreWriter, options: BatchOptions
) -> Iterator[tuple[Iterable[Path | Task], BatchOptions]]:
    """Provide photos, and options for them, as `regengine.runs.run.run_batch` takes them.

    A URL is not downloaded again if the open store has its result with the same settings. Raises
    StoreError if the store is damaged.
    """
    paths = [photo for photo in photos if isinstance(photo, Path)]
    if len(paths) == len(photos) and not any(map(identify_frame_to_fetch, paths)):
        yield paths, options
        return
    known = read_stored_urls(writer.path) if options.resume else {}

    def done(url: str) -> str | None:
        sha256 = known.get(url)
        stored = None if sha256 is None else writer.frames.find(url, sha256)
        if stored is None or list_reasons_to_redo_stored(stored, options.settings, options.retry):
            return None
        return sha256

    with (
        tempfile.TemporaryDirectory(prefix="regengine-", ignore_cleanup_errors=True) as folder,
        ThreadPoolExecutor(AHEAD) as fetchers,
    ):
        remote = RemotePhotos(photos, Path(folder), done, fetchers)
        try:
            yield remote, replace(options, again=remote.again)
        finally:
            fetchers.shutdown(wait=False, cancel_futures=True)


class RemotePhotos:
    """Iterates over photos like a list of paths; URLs are replaced by local copies.

    Photos of the archive are downloaded into the data folder, where they stay.

    The caller creates and deletes ``folder``, which contains the copies. ``done`` takes a URL as
    written in records. It returns the hash of its content if the store has a reusable result, so
    that no download is necessary; otherwise None.
    """

    def __init__(
        self,
        photos: Sequence[Path | Url],
        folder: Path,
        done: Callable[[str], str | None],
        fetchers: Executor,
    ) -> None:
        self._photos = photos
        self._fetchers = fetchers
        self._folder = folder
        self._done = done
        self._numbers = count()
        # By the path of a task that was made from a stored result
        self._by_path = {Path(str(photo)): photo for photo in photos if isinstance(photo, Url)}

    def __iter__(self) -> Iterator[Path | Task]:
        for photo, source in self._ahead(self._photos, self._select_wanted):
            if source is not None:
                yield source
            elif isinstance(photo, Url):
                sha256 = self._done(str(photo))
                yield Task(path=self._place(photo), given_as=str(photo), sha256=sha256)
            else:
                yield photo

    def again(
        self, items: Iterator[tuple[Task, StoredFrame | None]]
    ) -> Iterator[tuple[Task, StoredFrame | None]]:
        """Yield tasks of a second search; download the deleted copies again."""

        def wanted(item: tuple[Task, StoredFrame | None]) -> Path | Url | None:
            task, stored = item
            return self._by_path.get(task.path) if stored is None else None

        for (task, stored), copy in self._ahead(items, wanted):
            if copy is not None:
                task = replace(task, path=copy.path, given_as=copy.given_as, failure=copy.failure)
            yield task, stored

    def _select_wanted(self, photo: Path | Url) -> Path | Url | None:
        if isinstance(photo, Url):
            return photo if self._done(str(photo)) is None else None
        return photo if identify_frame_to_fetch(photo) is not None else None

    def _ahead(
        self, items: Iterable[Item], wanted: Callable[[Item], Path | Url | None]
    ) -> Iterator[tuple[Item, Task | None]]:
        """Yield the items in order, each with the task of its download, or None."""
        waiting: deque[tuple[Item, Future[Task] | None]] = deque()
        for item in items:
            photo = wanted(item)
            waiting.append((item, None if photo is None else self._begin(photo)))
            if len(waiting) > AHEAD or waiting[0][1] is None:
                first, fetched = waiting.popleft()
                yield first, None if fetched is None else fetched.result()
        for one, fetched in waiting:
            yield one, None if fetched is None else fetched.result()

    def _begin(self, photo: Path | Url) -> Future[Task]:
        if isinstance(photo, Url):
            return self._fetchers.submit(self._fetch, photo, self._place(photo))
        return self._fetchers.submit(
            _fetch_or_fail, photo, photo, partial(self._archive.fetch, photo)
        )

    def _place(self, url: Url) -> Path:
        return self._folder / f"{next(self._numbers):06d}" / file_name(url.address)

    def _fetch(self, url: Url, place: Path) -> Task:
        # Imported here: runs without URLs need no client
        from regengine.io.http import fetch

        def copy() -> None:
            place.parent.mkdir()
            fetch(url.address, place)

        return replace(_fetch_or_fail(url, place, copy), given_as=str(url))

    @cached_property
    def _archive(self) -> ArchivePhotos:
        from regengine.photo.archive.download import ArchivePhotos

        return ArchivePhotos()


def _fetch_or_fail(photo: Path | Url, place: Path, fetch: Callable[[], object]) -> Task:
    """Download a photo; return its task, with the reason if the download fails."""
    try:
        fetch()
    except FrameError as error:
        return Task(path=place, failure=Reason(code=error.code, text=str(error)))
    except OSError as error:
        text = f"{photo} cannot be downloaded to {place.parent} ({error.strerror})."
        return Task(path=place, failure=Reason(code="unreadable", text=text))
    return Task(path=place)


def read_stored_urls(store: Path) -> dict[str, str]:
    """Return the content hash of each URL in a store, as of its download."""
    known: dict[str, str] = {}
    if not store.exists():
        return known
    with StoreFile(store) as file:
        rows = 0, file.rows("frames")
        paths, hashes = (file.column("frames", name, *rows) for name in ("path", "sha256"))
        for path, sha256 in zip(paths.tolist(), hashes.tolist(), strict=True):
            text = path.decode()
            if sha256 and is_url(text):
                known[text] = sha256.decode()
    return known
