"""Makes photos by URL something that a batch can run over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from regengine.batch.plan import taken_over
from regengine.batch.run import BatchOptions, Photos
from regengine.remote.folder import passing_folder
from regengine.remote.known import stored_urls
from regengine.remote.photos import RemotePhotos
from regengine.remote.urls import Url
from regengine.store.writer import StoreWriter


@contextmanager
def photos_at_hand(
    photos: Sequence[Path | Url], writer: StoreWriter, options: BatchOptions
) -> Iterator[tuple[Photos, BatchOptions]]:
    """Photos as `regengine.batch.run.run_batch` takes them, and its options for them.

    A URL of which the store has a result with the same settings is not fetched again.

    Parameters
    ----------
    photos : sequence of Path or Url
        As they were given.
    writer : StoreWriter
        The open store.
    options : BatchOptions
        How the batch is run.

    Yields
    ------
    photos : Photos
    options : BatchOptions

    Raises
    ------
    StoreError
        If the store is damaged.
    """
    paths = [photo for photo in photos if isinstance(photo, Path)]
    if len(paths) == len(photos):
        yield paths, options
        return
    known = stored_urls(writer.path) if options.resume else {}

    def done(url: str) -> str | None:
        sha256 = known.get(url)
        stored = None if sha256 is None else writer.index.find(url, sha256)
        current = stored is not None and taken_over(
            stored, options.parameters_sha256, options.retry
        )
        return sha256 if current else None

    with passing_folder() as folder:
        remote = RemotePhotos(photos, folder, done)
        yield remote, replace(options, again=remote.again)
