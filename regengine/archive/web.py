"""The archive's server: one request at a time, with pauses, from the host that was asked."""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from io import BufferedWriter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from urllib3 import BaseHTTPResponse

from regengine.errors import ArchiveError, ConfigError, StoreError
from regengine.io.atomic import put_in_place, write_whole
from regengine.io.http import (
    MEGABYTE,
    PASSING,
    CutShort,
    HttpClient,
    HttpFailure,
    LedAway,
    Overdue,
    Patience,
    StatusFailure,
    TooLarge,
    Unreached,
    content_length,
)
from regengine.io.urls import host_of, is_loopback

ABSENT = (404, 410)
RANGE_REFUSED = 416
TOO_MUCH = (413, 504)  # a smaller question may be answered
MANNERS = Patience(
    pause_s=1.0,
    attempts=5,
    backoff_s=2.0,
    jitter=0.5,
    longest_wait_s=300.0,
    idle_s=60.0,
    total_s=1800.0,
    passing=PASSING | {413},
)
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class Absent(Exception):
    """The server has no such thing."""


class UnreachableError(ArchiveError):
    """The server keeps failing; the next request will hardly fare better."""


class TooMuchError(ArchiveError):
    """The answer was cut or too large: less may be asked for."""


class CutError(UnreachableError, TooMuchError):
    """The server keeps failing, but less may come through."""


class _PartRefused(HttpFailure):
    """The server cannot go on with the part that is there."""

    passes = True


class ArchiveClient(HttpClient):
    """One client of the archive's server.

    ``manners`` are fields of `Patience` that are other than in `MANNERS`, such as ``pause_s``.
    """

    def __init__(self, **manners: Any) -> None:
        super().__init__(replace(MANNERS, **manners), may_follow=_same_server)

    def text(self, url: str, megabytes: int) -> bytes:
        """A whole answer.

        UnreachableError if the server keeps failing, or asks to be left alone for long;
        TooMuchError if it is larger than allowed, or was cut (`CutError`); ArchiveError if the
        server refuses; Absent if it does not exist.
        """
        with self._told(url):
            try:
                return self.read(url, megabytes)
            except TooLarge:
                raise TooMuchError(
                    f"{host_of(url)} sends more than {megabytes} MB, which is refused."
                ) from None

    def fetch_file(self, url: str, target: Path, megabytes: int) -> None:
        """Fetch a file into the part beside its target, going on where an earlier try ended.

        `PartFile.become` puts it in the target's place; ``megabytes`` is the largest size. Absent
        if the server has no such file; ArchiveError if it cannot be fetched (what came stays),
        TooMuchError if it is too large; StoreError if it cannot be written.
        """
        part = PartFile(target)
        with part.opened() as stream, self._told(url):
            self.patiently(lambda: self._go_on(url, part, stream, megabytes))
            if stream.tell() == 0:
                raise ArchiveError(f"{host_of(url)} sends {target.name} empty: try again later.")

    def _go_on(self, url: str, part: PartFile, stream: BufferedWriter, megabytes: int) -> None:
        headers = part.request_headers()
        try:
            with self.get(url, headers) as response:
                begin = _begin(response, stream.tell() if headers else None)
                size = begin + (content_length(response) or 0)
                if size > megabytes * MEGABYTE:
                    raise TooMuchError(
                        f"{host_of(url)} has a file of {size / MEGABYTE:.0f} MB, more than "
                        f"{megabytes} MB: allow it with --max-megabytes."
                    )
                if begin == 0:
                    part.begin_anew(stream, _mark(response))
                for chunk in self.chunks(response, megabytes):
                    with _written():
                        stream.write(chunk)
                        stream.flush()
            with _written():
                os.fsync(stream.fileno())
        except TooLarge:
            raise TooMuchError(
                f"{host_of(url)} sends more than {megabytes} MB, which is refused."
            ) from None
        except StatusFailure as failure:
            if failure.code != RANGE_REFUSED:
                raise
            part.begin_anew(stream, "")
            raise _PartRefused(str(failure)) from None
        except _PartRefused:
            part.begin_anew(stream, "")
            raise

    @contextmanager
    def _told(self, url: str) -> Iterator[None]:
        """Failures in sentences that name the host alone: the address may hold the key."""
        try:
            yield
        except HttpFailure as failure:
            raise self._sentence(failure, host_of(url)) from None

    def _sentence(self, failure: HttpFailure, host: str) -> Exception:
        code = failure.code if isinstance(failure, StatusFailure) else None
        if code in ABSENT:
            return Absent(host)
        if code in (401, 403):
            return ArchiveError(
                f"{host} refuses access (status {code}): check the key, or ask the archive."
            )
        if failure.passes and (failure.asked_s or 0.0) > self.patience.longest_wait_s:
            return UnreachableError(
                f"{host} asks to be left alone for {failure.asked_s:.0f} s: run the same command "
                "again then; what came is kept."
            )
        if isinstance(failure, Unreached) and failure.nobody_there:
            return UnreachableError(
                f"{host} cannot be reached: check the network, and run the same command again "
                "later; what came is kept."
            )
        if failure.passes:
            too_much = code in TOO_MUCH or isinstance(failure, CutShort | Overdue)
            kind = CutError if too_much else UnreachableError
            return kind(
                f"{host} keeps failing ({failure}, {failure.tries} times): check the network, and "
                "run the same command again later; what came is kept."
            )
        if isinstance(failure, LedAway):
            return ArchiveError(
                f"{host} sends us to {failure.place}, which is not followed: check the address, or "
                "log in to the network first."
            )
        return ArchiveError(f"{host} rejects the request with {failure}: check the address.")


def _same_server(source: str, target: str) -> bool:
    """Whether a redirection stays on the host that was asked, and never goes from https to http."""
    old, new = urlsplit(source), urlsplit(target)
    safe = new.scheme == old.scheme or (old.scheme, new.scheme) == ("http", "https")
    return (
        safe and new.hostname == old.hostname and (new.port == old.port or new.scheme != old.scheme)
    )


def _begin(response: BaseHTTPResponse, size: int | None) -> int:
    """Where in the file the body begins; ``size`` is that of the part whose rest was asked for."""
    if response.status != 206:
        return 0
    found = _RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if size is None or found is None or int(found[1]) != size:
        raise _PartRefused("another part came than was asked for")
    return size


def _mark(response: BaseHTTPResponse) -> str:
    """A strong ETag, else the time of the last change."""
    tag: str = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else str(response.headers.get("Last-Modified", ""))


@dataclass(frozen=True)
class PartFile:
    """The beginning of a file that becomes ``target``, and how the server knows it again."""

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

        ArchiveError if another program fetches it; StoreError if it cannot be written.
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

    def begin_anew(self, stream: BufferedWriter, mark: str) -> None:
        """Empty the part, and note by what its rest can be asked for."""
        with _written():
            stream.truncate(0)
            stream.seek(0)
            if mark:
                write_whole(self.note, json.dumps({"mark": mark}).encode())
            else:
                self.note.unlink(missing_ok=True)

    def become(self) -> None:
        """Put the whole part in its target's place; StoreError if that cannot be done."""
        with _written():
            put_in_place(self.path, self.target)
            self.note.unlink(missing_ok=True)

    def drop(self) -> None:
        """Forget the beginning."""
        for path in (self.path, self.note):
            with suppress(OSError):
                path.unlink()


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


def check_address(url: str, named: str = "--url") -> None:
    """Refuse, by ConfigError, an address to which no key may be sent: none of https but our own."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        parts.port  # noqa: B018  a port that is none raises
    except ValueError:
        raise ConfigError(f"{named} is no address: write https://HOST/PATH.") from None
    if parts.scheme == "https" and host and not parts.query and not parts.username:
        return
    if parts.scheme == "http" and is_loopback(host):
        return
    raise ConfigError(
        f"{named} {parts.scheme}://{host}: write https://HOST/PATH; other addresses would carry "
        "the key for everyone to read."
    )
