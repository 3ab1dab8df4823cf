"""HTTP access to the archive's server: one request at a time, with pauses, on the same host.

Pictures are downloaded into a folder with their checksums.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from html import unescape
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlencode, urlsplit

from regengine.errors import ArchiveError, ConfigError, FrameError, StoreError
from regengine.io.atomic import check_folder, raise_as_store_error, write_whole
from regengine.io.checksums import add_sum, compute_sha256, read_sums
from regengine.io.http import PASSING, HttpClient, HttpFailure, Kind, RetryPolicy, Sentences
from regengine.io.plain import make_printable
from regengine.io.urls import is_loopback, parse_host
from regengine.photo.notations import (
    ID_PARTS,
    archive_frame_id,
    archive_name,
    compose_frame_id,
    record_place,
)
from regengine.photo.records import FrameRecord, format_csv, interpret, read_tables

TOO_MUCH = (413, 504)  # a smaller question may be answered
MANNERS = RetryPolicy(pause_s=1.0, backoff_s=2.0, jitter=0.5, idle_s=60.0, passing=PASSING | {413})


class RequestError(ArchiveError):
    """A request without a complete answer.

    ``unreachable``: the server keeps failing, and the next request is likely to fail, too.
    ``too_much``: the answer was truncated or too large, and a smaller request may succeed.
    """

    def __init__(self, text: str, *, unreachable: bool = False, too_much: bool = False) -> None:
        super().__init__(text)
        self.unreachable, self.too_much = unreachable, too_much


LATER = "run the same command again later; what was fetched is kept."
FAILING = f"{{host}} keeps failing ({{failure}}, {{tries}} times): check the network, and {LATER}"
UNREACHABLE: frozenset[Kind] = frozenset(
    {"failing", "cut", "overdue", "silent", "nobody", "broken"}
)
SENTENCES: Sentences = {
    **dict.fromkeys(UNREACHABLE, FAILING),
    "denied": "{host} denies access (status {status}): check the key, or ask the archive.",
    "too_large": "{host} sends {failure}, {larger}.",
    "nobody": f"{{host}} cannot be reached: check the network, and {LATER}",
    "away": "{host} redirects to {place}, which is not followed: check the address, or log in to "
    "the network first.",
    "other": "{host} rejects the request with {failure}: check the address.",
}


class ArchiveClient(HttpClient):
    """A client of the archive's server.

    ``manners`` are fields of `RetryPolicy` that replace those in `MANNERS`, such as ``pause_s``.
    """

    def __init__(self, **manners: Any) -> None:
        super().__init__(replace(MANNERS, **manners))

    def fetch(
        self, url: str, megabytes: int, *, larger: str = "which is too large"
    ) -> bytes | None:
        """Return a complete answer, None if there is no such resource.

        Raises RequestError if the server refuses, keeps failing or asks for a long pause, or the
        answer is larger than allowed (``larger`` is the remedy). Its text has the host, no key.
        """
        host = parse_host(url)
        try:
            return self.read(url, megabytes)
        except HttpFailure as failure:
            if failure.kind in ("absent", "gone"):
                return None
            if failure.wait_s > self.policy.longest_wait_s:
                raise RequestError(
                    f"{host} asks for a pause of {failure.wait_s:.0f} s: run the same command "
                    "again then; what was fetched is kept.",
                    unreachable=True,
                ) from None
            cut = failure.kind in ("cut", "overdue", "too_large") or failure.status in TOO_MUCH
            raise RequestError(
                failure.sentence(SENTENCES, host=host, larger=larger),
                unreachable=failure.kind in UNREACHABLE or failure.status in TOO_MUCH,
                too_much=cut,
            ) from None


ARCHIVE_VARIABLE = "REGENGINE_ARCHIVE"
ARCHIVE = "https://eol.jsc.nasa.gov"


def archive_address(path: str) -> str:
    """Return the address of a page of the archive, or of its copy in REGENGINE_ARCHIVE.

    Raises ConfigError for an address that must not receive a key: only https or this machine.
    """
    archive = (os.environ.get(ARCHIVE_VARIABLE) or ARCHIVE).rstrip("/")
    try:
        parts = urlsplit(archive)
        host = parts.hostname or ""
        parts.port  # noqa: B018  a port that is none raises
    except ValueError:
        raise ConfigError(
            f"{ARCHIVE_VARIABLE} is not a valid address: write https://HOST/PATH."
        ) from None
    is_safe = parts.scheme == "https" and host and not parts.query and not parts.username
    if not is_safe and not (parts.scheme == "http" and is_loopback(host)):
        raise ConfigError(
            f"{ARCHIVE_VARIABLE} {parts.scheme}://{host}: write https://HOST/PATH; any other "
            "address would expose the key."
        )
    return archive + path


PICTURES = "/DatabaseImages/ESC"
SIZES = ("large", "small")
JPEG = b"\xff\xd8\xff"
JPEG_END = b"\xff\xd9"
GIVE_UP = 3  # consecutive pictures that the server fails to send


def download(
    frame_ids: Iterable[str],
    folder: Path,
    web: ArchiveClient,
    report: Callable[[dict[str, Any]], object] = lambda outcome: None,
    *,
    size: str,
    pictures: str,
    max_megabytes: int = 100,
    max_gigabytes: float = 20.0,
    force: bool = False,
) -> str:
    """Download pictures one after the other; each appears under its name when it is complete.

    The folder is created if necessary and gets ``SHA256SUMS``. ``report`` receives the result of
    each frame once it is on the disk, as an object for NDJSON: ``frame``, ``status`` ("fetched",
    "present", "absent": the archive has no such picture, or "failed"), ``file`` and ``sha256`` of
    the picture or None, ``bytes`` downloaded, ``why`` it failed. ``size`` is one of `SIZES`, the
    original's or 640 pixels; ``pictures`` the address of the folder of sizes. ``max_megabytes`` is
    of a file, ``max_gigabytes`` of all.

    Returns the reason if the download ended before the last frame, else an empty text. Raises
    StoreError if the folder cannot be written.
    """
    check_folder(folder)
    with raise_as_store_error(folder):
        folder.mkdir(parents=True, exist_ok=True)
    sums, came, failed_in_a_row = read_sums(folder), 0, 0
    for frame_id in dict.fromkeys(frame_ids):
        if came >= max_gigabytes * 1e9:
            return f"{max_gigabytes:g} GB fetched: raise the limit with --max-gigabytes"
        outcome: dict[str, Any] = {"frame": frame_id, "status": "absent"}
        outcome |= {"file": None, "sha256": None, "bytes": 0, "why": ""}
        unreachable = False
        try:
            target = folder / f"{frame_id}.JPG"
            parts = frame_id.split("-")
            if len(parts) != 3 or compose_frame_id(*parts) != frame_id:
                raise ArchiveError(f"{frame_id!r} is not an archive id, such as ISS030-E-184140.")
            if target.exists() and not force:
                outcome |= {"status": "present", "sha256": _verify_known_sum(target, sums)}
            else:
                # …/large/ISS030/ISS030-E-184140.JPG
                address = f"{pictures.rstrip('/')}/{size}/{parts[0]}/{target.name}"
                larger = "raise the limit with --max-megabytes"
                picture = web.fetch(address, max_megabytes, larger=larger)
                if picture is not None:
                    sha256 = _keep_picture(picture, address, target)
                    add_sum(folder, target.name, sha256, sums)
                    outcome |= {"status": "fetched", "sha256": sha256, "bytes": len(picture)}
            if outcome["status"] != "absent":
                outcome["file"] = make_printable(str(target))
        except ArchiveError as error:
            unreachable = isinstance(error, RequestError) and error.unreachable
            outcome |= {"status": "failed", "why": str(error)}
        failed_in_a_row = failed_in_a_row + 1 if unreachable else 0
        came += outcome["bytes"]
        report(outcome)
        if failed_in_a_row == GIVE_UP:
            return (
                f"{GIVE_UP} pictures in a row could not be fetched: run the same command again "
                "later"
            )
    return ""


def _keep_picture(picture: bytes, address: str, target: Path) -> str:
    """Write a picture to a file, return its hash; ArchiveError if it is not a complete JPEG."""
    # Some cameras write a few bytes after the end marker
    if not (picture.startswith(JPEG) and JPEG_END in picture[-4096:]):
        if picture[:512].lstrip().lower().startswith((b"<!doctype", b"<html")):
            what = "a web page"
        elif picture.startswith(JPEG):
            what = "a truncated JPEG"
        else:
            what = "another format" if picture else "nothing"
        raise ArchiveError(
            f"{address} returned {what} instead of a complete picture: try again later."
        )
    write_whole(target, picture)
    return hashlib.sha256(picture).hexdigest()


def _verify_known_sum(target: Path, sums: dict[str, str]) -> str:
    """Return the checksum of an existing picture; it must equal the recorded one, if any."""
    try:
        sha256 = compute_sha256(target)
    except OSError as error:
        raise ArchiveError(f"{target} cannot be read ({error.strerror}).") from error
    recorded = sums.get(target.name)
    if recorded is None:
        add_sum(target.parent, target.name, sha256, sums)
    elif recorded != sha256:
        raise ArchiveError(
            f"{target} has changed since it was fetched (its SHA-256 differs): move it away, or "
            "fetch it again with --force."
        )
    return sha256


def list_given_frames(arguments: Sequence[str]) -> list[str]:
    """Return the archive ids of arguments, without duplicates, in order.

    Arguments are ids in any spelling, and files as `regengine archive read` takes them. Raises
    ConfigError if an argument is neither.
    """
    frame_ids: dict[str, None] = {}
    for argument in arguments:
        path = Path(argument)
        if path.is_file():
            frame_ids.update(dict.fromkeys(row.frame_id for row in read_tables([path]).rows))
            continue
        parts = argument.split("-")
        frame_id = compose_frame_id(*parts) if len(parts) == 3 else None
        if frame_id is None and "/" not in argument and "." not in argument:
            frame_id = archive_frame_id(argument)
        if frame_id is None:
            raise ConfigError(
                f"{argument} is neither a photo's id, such as ISS030-E-184140, nor a table of ids."
            )
        frame_ids[frame_id] = None
    return list(frame_ids)


PAGE, PAGE_MB = "/SearchPhotos/photo.pl", 4
# Tags, and the content of scripts and styles
_UNSEEN = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)
# Values that follow their labels, with any markup; three of them are cells of a row as they are
OWN_CELLS = ("altitude_nmi", "focal_mm", "camera")
_LABELLED = {
    "date": r"Date taken\s*:?\s*(\d{4})\D(\d{1,2})\D(\d{1,2})\b",
    "time": r"Time taken\s*:?\s*(\d{1,2}):(\d\d):(\d\d)\s*GMT",
    "nadir": r"nadir point\s*:?\s*([\d.]+)\s*°\s*([NS])\s*,\s*([\d.]+)\s*°\s*([EW])",
    "altitude_nmi": r"Spacecraft Altitude\s*:?\s*([\d.]+)\s*nautical miles",
    "focal_mm": r"Focal Length\s*:?\s*([\d.]+)\s*mm",
    "camera": r"\bCamera\s*:\s*(?:[A-Z][A-Z0-9]\s*:\s*)?(\S.{0,60}?)\s*(?:Focal Length|$)",
}


def read_page(content: bytes, frame_id: str, address: str) -> FrameRecord | None:
    """Parse the page of a photo; None if it contains neither time nor nadir.

    Raises ArchiveError if it is not the page of a photo.
    """
    words = _UNSEEN.sub(" ", content.decode("utf-8", errors="replace"))
    text = " ".join(unescape(words).split())
    if frame_id.rpartition("-")[2] not in text:
        raise ArchiveError(
            f"{parse_host(address)} answered with a page without data of {frame_id}: the archive's "
            "pages may have changed; please report it."
        )
    values = {name: re.search(form, text, re.IGNORECASE) for name, form in _LABELLED.items()}
    cells = {"frame_id": frame_id}
    if (date := values["date"]) and (time := values["time"]):
        cells["gmt_date"] = f"{date[1]}{int(date[2]):02d}{int(date[3]):02d}"
        cells["gmt_time"] = f"{int(time[1]):02d}{time[2]}{time[3]}"
    if nadir := values["nadir"]:
        cells["nadir_lat"] = f"{'-' * (nadir[2].upper() == 'S')}{nadir[1]}"
        cells["nadir_lon"] = f"{'-' * (nadir[4].upper() == 'W')}{nadir[3]}"
    cells |= {name: match[1] for name in OWN_CELLS if (match := values[name])}
    row = interpret(cells, source="photo.pl")
    return None if row is None or row.time_utc is row.nadir_lat is None else row


class ArchivePhotos:
    """Downloads photos one at a time, for many threads, and stops asking a server that fails.

    The archive is that of the environment variable REGENGINE_ARCHIVE, if it names a copy. If no
    server answers, a photo is tried once: others of the batch are waiting.
    """

    def __init__(self) -> None:
        self._web = ArchiveClient(connect_attempts=1)
        self._archive = archive_address("")
        self._one_at_a_time = Lock()
        self._failed_in_a_row = 0

    def fetch(self, picture: Path) -> None:
        """Download the missing parts of a photo: the picture, and the record next to it.

        Raises FrameError if the archive has no such picture, or the download fails; downloaded
        parts are kept. A missing record is logged as a warning, and requested again the next time.
        """
        with self._one_at_a_time:
            frame_id = archive_name(picture.name) or picture.stem
            if not picture.exists():
                self._fetch_picture(picture, frame_id)
            if record_place(picture).exists():
                return
            query = urlencode(dict(zip(ID_PARTS, frame_id.split("-"), strict=True)))
            address = f"{self._archive}{PAGE}?{query}"
            why = f"{parse_host(address)} has no record of it"
            try:
                page = None
                if self._failed_in_a_row < GIVE_UP:
                    page = self._web.fetch(address, PAGE_MB)
                if page is not None and (row := read_page(page, frame_id, address)) is not None:
                    write_whole(record_place(picture), format_csv([row]).encode())
                    return
            except (ArchiveError, OSError) as error:
                self._failed_in_a_row += 1
                why = str(error)
        unknown = "time and place unknown, so it can be placed only by its lights"
        logging.getLogger("regengine").warning("%s: %s (%s)", frame_id, unknown, why)

    def _fetch_picture(self, picture: Path, frame_id: str) -> None:
        host = parse_host(self._archive)
        if self._failed_in_a_row >= GIVE_UP:
            raise FrameError(
                f"{frame_id} was not requested: {GIVE_UP} photos in a row could not be fetched "
                f"from {host}; run the same command again later."
            )
        into, pictures = picture.parent, self._archive + PICTURES
        outcomes: list[dict[str, Any]] = [{"status": "absent"}]
        for size in SIZES:
            if outcomes[-1]["status"] == "absent":
                try:
                    download(
                        [frame_id], into, self._web, outcomes.append, size=size, pictures=pictures
                    )
                except StoreError as error:
                    raise FrameError(str(error), code=error.code) from error
        if outcomes[-1]["status"] == "failed":
            self._failed_in_a_row += 1
            raise FrameError(f"{frame_id}: {outcomes[-1]['why']}")
        self._failed_in_a_row = 0
        if outcomes[-1]["status"] != "absent":
            return
        raise FrameError(
            f"{frame_id} is not in the archive ({host} has no picture of it): check the name.",
            code="not_found",
        )
