"""A file that is on its way: what came stays, and the next try asks for the rest."""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from typing import Any

from regengine.archive.web import MEGABYTE, RangeRefused, TooMuchError, Web, host_of, opened
from regengine.errors import ArchiveError, StoreError
from regengine.store.atomic import sync_folder, write_whole

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass(frozen=True)
class PartFile:
    """The beginning of a file, and by what the server knows the same file again.

    Attributes
    ----------
    target : Path
        What it becomes when it is whole.
    """

    target: Path

    @property
    def path(self) -> Path:
        """Where the beginning lies."""
        return self.target.with_name(f".{self.target.name}.part")

    @property
    def note(self) -> Path:
        """Where the server's mark of the file's version lies."""
        return self.target.with_name(f".{self.target.name}.part.json")

    def request_headers(self) -> dict[str, str]:
        """Headers that ask for the rest, if there is a beginning and a mark; else none."""
        try:
            size = self.path.stat().st_size
            mark = json.loads(self.note.read_text(encoding="utf-8"))["mark"]
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        if not size or not isinstance(mark, str) or not mark or not mark.isprintable():
            return {}
        return {"Range": f"bytes={size}-", "If-Range": mark}

    @contextmanager
    def opened(self) -> Iterator[BufferedWriter]:
        """The part, to be written on at its end, by this program alone.

        Raises
        ------
        ArchiveError
            If another program fetches it.
        StoreError
            If it cannot be written.
        """
        with _written():
            stream = self.path.open("ab")
        with stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ArchiveError(f"{self.target} is being fetched by another program.") from None
            try:
                yield stream
            finally:
                if stream.tell() == 0:  # nothing came
                    self.drop()

    def drop(self) -> None:
        """Forget the beginning."""
        for path in (self.path, self.note):
            with suppress(OSError):
                path.unlink()


def fetch_file(web: Web, url: str, target: Path, megabytes: int) -> None:
    """Fetch a file into the part beside its target, going on where an earlier try ended.

    Parameters
    ----------
    web : Web
        How the server is treated.
    url : str
        Where the file is.
    target : Path
        What it becomes; `become` puts it there.
    megabytes : int
        Largest size.

    Raises
    ------
    Absent
        The server has no such file.
    ArchiveError
        It cannot be fetched; what came stays. `TooMuchError` if it is too large.
    StoreError
        It cannot be written.
    """
    part = PartFile(target)
    with part.opened() as stream:

        def once() -> None:
            headers = part.request_headers()
            try:
                with opened(url, headers, web.manners) as response:
                    begin = _begin(response, stream.tell() if headers else None)
                    _announced(response, begin, megabytes, url)
                    if begin == 0:
                        _begin_anew(part, stream, _mark(response))
                    for chunk in web.whole(response, url, megabytes):
                        with _written():
                            stream.write(chunk)
                            stream.flush()
                with _written():
                    os.fsync(stream.fileno())
            except RangeRefused:
                _begin_anew(part, stream, "")
                raise

        web.patiently(url, once)
        if stream.tell() == 0:
            raise ArchiveError(f"{host_of(url)} sends {target.name} empty: try again later.")


def _begin_anew(part: PartFile, stream: BufferedWriter, mark: str) -> None:
    """Empty the part, and note by what its rest can be asked for."""
    with _written():
        stream.truncate(0)
        stream.seek(0)
        if mark:
            write_whole(part.note, json.dumps({"mark": mark}).encode())
        else:
            part.note.unlink(missing_ok=True)


def become(target: Path) -> None:
    """Put a whole part in its place.

    Raises
    ------
    StoreError
        If that cannot be done.
    """
    part = PartFile(target)
    with _written():
        part.path.replace(target)
        sync_folder(target.parent)
        part.note.unlink(missing_ok=True)


def _begin(response: Any, size: int | None) -> int:
    """Where in the file the body begins; ``size`` is that of the part whose rest was asked for."""
    if response.status != 206:
        return 0
    found = _RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if size is None or found is None or int(found[1]) != size:
        raise RangeRefused("another part came than was asked for")
    return size


def _announced(response: Any, begin: int, megabytes: int, url: str) -> None:
    length = response.headers.get("Content-Length", "")
    if length.isascii() and length.isdecimal() and begin + int(length) > megabytes * MEGABYTE:
        raise TooMuchError(
            f"{host_of(url)} has a file of {(begin + int(length)) / MEGABYTE:.0f} MB, more than "
            f"{megabytes} MB: allow it with --max-megabytes."
        )


def _mark(response: Any) -> str:
    """A strong ETag, else the time of the last change."""
    tag: str = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else str(response.headers.get("Last-Modified", ""))


@contextmanager
def _written() -> Iterator[None]:
    """Errors of the disk, apart from those of the network: another try is of no use."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{error.filename or 'The file'} cannot be written ({error.strerror or error}): make "
            "sure that the folder may be written to and has room, then run the same command again."
        ) from error
