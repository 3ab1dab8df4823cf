"""Photos of a batch of which some are fetched, a few ahead of the search."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from itertools import count
from pathlib import Path
from threading import Thread
from typing import TypeVar

from regengine.batch.mishaps import Mishap
from regengine.batch.plan import Task
from regengine.batch.source import Source
from regengine.errors import FrameError
from regengine.remote.fetch import FetchLimits, fetch
from regengine.remote.urls import Url, file_name
from regengine.store.rows import StoredFrame

Item = TypeVar("Item")

AHEAD = 4  # photos that are being fetched at the same time


class RemotePhotos:
    """Goes through photos like a list of paths; those given by URL are copies that lie ready.

    Parameters
    ----------
    photos : sequence of Path or Url
        As they were given.
    folder : Path
        For the copies; whoever makes it deletes it.
    done : callable
        Of a URL as records show it: the hash of its content if the store has a result that will
        be taken over, so that it need not be fetched; else None.
    limits : FetchLimits, optional
        How much and how long.
    """

    def __init__(
        self,
        photos: Sequence[Path | Url],
        folder: Path,
        done: Callable[[str], str | None],
        limits: FetchLimits | None = None,
    ) -> None:
        self._photos = photos
        self._folder = folder
        self._done = done
        self._limits = limits or FetchLimits()
        self._numbers = count()
        # As a path that was made of what the store has
        self._by_path = {Path(str(photo)): photo for photo in photos if isinstance(photo, Url)}

    def __len__(self) -> int:
        return len(self._photos)

    def __iter__(self) -> Iterator[Path | Source]:
        for photo, source in self._ahead(self._photos, self._wanted):
            if source is not None:
                yield source
            elif isinstance(photo, Url):
                sha256 = self._done(str(photo))
                yield Source(path=self._place(photo), given_as=str(photo), sha256=sha256)
            else:
                yield photo

    def again(self, items: Iterator[Task | StoredFrame]) -> Iterator[Task | StoredFrame]:
        """Tasks of a second pass with copies of their photos, which were deleted after the first.

        Parameters
        ----------
        items : iterator of Task or StoredFrame
            The paths of the tasks were made of what the store has.

        Yields
        ------
        Task or StoredFrame
        """

        def wanted(item: Task | StoredFrame) -> Url | None:
            return self._by_path.get(item.path) if isinstance(item, Task) else None

        for item, source in self._ahead(items, wanted):
            if source is None or isinstance(item, StoredFrame):
                yield item
            else:
                yield replace(
                    item, path=source.path, given_as=source.given_as, mishap=source.mishap
                )

    def _wanted(self, photo: Path | Url) -> Url | None:
        return photo if isinstance(photo, Url) and self._done(str(photo)) is None else None

    def _ahead(
        self, items: Iterable[Item], wanted: Callable[[Item], Url | None]
    ) -> Iterator[tuple[Item, Source | None]]:
        """The items in their order; of each what was fetched for it."""
        waiting: deque[tuple[Item, Future[Source] | None]] = deque()
        for item in items:
            url = wanted(item)
            waiting.append((item, None if url is None else self._begin(url)))
            if len(waiting) > AHEAD or waiting[0][1] is None:
                yield _come(*waiting.popleft())
        while waiting:
            yield _come(*waiting.popleft())

    def _begin(self, url: Url) -> Future[Source]:
        """Fetch in a thread that keeps no program from ending."""
        future: Future[Source] = Future()
        place = self._place(url)

        def work() -> None:
            try:
                future.set_result(self._fetch(url, place))
            except BaseException as error:
                future.set_exception(error)

        Thread(target=work, daemon=True).start()
        return future

    def _place(self, url: Url) -> Path:
        return self._folder / f"{next(self._numbers):06d}" / file_name(url.address)

    def _fetch(self, url: Url, place: Path) -> Source:
        mishap = None
        try:
            place.parent.mkdir()
            fetch(url.address, place, self._limits)
        except FrameError as error:
            mishap = Mishap(code=error.code, text=str(error))
        except OSError as error:
            text = f"{url} cannot be fetched into {place.parent} ({error.strerror})."
            mishap = Mishap(code="unreadable", text=text)
        return Source(path=place, given_as=str(url), mishap=mishap)


def _come(item: Item, future: Future[Source] | None) -> tuple[Item, Source | None]:
    return item, None if future is None else future.result()
