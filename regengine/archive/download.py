"""Pictures of the archive, fetched into a folder with their check sums."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regengine.archive.camera_text import fetch_text
from regengine.archive.interpret import composed_id
from regengine.archive.web import Absent, ArchiveClient, PartFile, UnreachableError
from regengine.errors import ArchiveError, StoreError
from regengine.io.atomic import write_whole
from regengine.io.checksums import add_sum, read_sums, sha256_of
from regengine.io.plain import printable

PICTURES = "https://eol.jsc.nasa.gov/DatabaseImages/ESC"
SIZES = ("large", "small")
JPEG = b"\xff\xd8\xff"
JPEG_END = b"\xff\xd9"
GIVE_UP = 3  # pictures in a row that the server fails to send
TAIL = 4096  # some cameras write a little behind the end mark


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one frame."""

    frame: str
    # "fetched", "present" (it was there), "absent" (the archive has no such picture) or "failed".
    status: str
    # file, sha256: the picture, where there is one.
    file: Path | None = None
    sha256: str | None = None
    bytes: int = 0  # size of what came
    why: str = ""  # sentence, of what failed

    def record(self) -> dict[str, Any]:
        """As an object of NDJSON."""
        return {
            "frame": self.frame,
            "status": self.status,
            "file": None if self.file is None else printable(str(self.file)),
            "sha256": self.sha256,
            "bytes": self.bytes,
            "why": self.why,
        }


@dataclass(frozen=True, kw_only=True)
class DownloadOptions:
    """What is fetched, and how much."""

    size: str = "large"  # of `SIZES`: the original's, or 640 pixels
    pictures: str = PICTURES  # address of the folder of sizes
    # max_megabytes, max_gigabytes: of one file, and in all.
    max_megabytes: int = 100
    max_gigabytes: float = 20.0
    force: bool = False  # fetch again what is there


def picture_address(frame_id: str, size: str, pictures: str = PICTURES) -> str:
    """Address of a frame's picture: ``…/large/ISS030/ISS030-E-184140.JPG``."""
    return f"{pictures.rstrip('/')}/{size}/{frame_id.partition('-')[0]}/{picture_name(frame_id)}"


def picture_name(frame_id: str) -> str:
    """File name of a frame's picture, as the archive has it."""
    parts = frame_id.split("-")
    if len(parts) != 3 or composed_id(*parts) != frame_id:
        raise ArchiveError(f"{frame_id!r} is no archive id, such as ISS030-E-184140.")
    return f"{frame_id}.JPG"


def download(
    frame_ids: Iterable[str],
    folder: Path,
    options: DownloadOptions,
    web: ArchiveClient,
    told: Callable[[Outcome], object] = lambda outcome: None,
) -> str:
    """Fetch pictures one after the other; each appears under its name when it is whole.

    The folder is made if need be and gets ``SHA256SUMS``; ``told`` gets the outcome of each frame
    once it is on the disk. Returns why it ended before the last frame; empty if it did not.
    StoreError if the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder} cannot be made ({error.strerror}): name another.") from error
    sums, came, attempts = read_sums(folder), 0, _Attempts()
    for frame_id in dict.fromkeys(frame_ids):
        if came >= options.max_gigabytes * 1e9:
            return f"{options.max_gigabytes:g} GB have come: allow more with --max-gigabytes"
        outcome = attempts.outcome(frame_id, lambda name: _one(name, folder, options, web, sums))
        came += outcome.bytes
        told(outcome)
        if attempts.failed_in_a_row == GIVE_UP:
            return f"{GIVE_UP} pictures in a row did not come: run the same command again later"
    return ""


@dataclass
class _Attempts:
    """Frames one after the other; a server that fails for several in a row is left alone."""

    failed_in_a_row: int = 0

    def outcome(self, frame_id: str, fetch_one: Callable[[str], Outcome]) -> Outcome:
        """What becomes of a frame; what the archive lacks or refuses stops no other."""
        try:
            outcome = fetch_one(frame_id)
        except Absent:
            outcome = Outcome(frame=frame_id, status="absent")
        except ArchiveError as error:
            unreachable = isinstance(error, UnreachableError)
            self.failed_in_a_row = self.failed_in_a_row + 1 if unreachable else 0
            return Outcome(frame=frame_id, status="failed", why=str(error))
        self.failed_in_a_row = 0
        return outcome


def _one(
    frame_id: str,
    folder: Path,
    options: DownloadOptions,
    web: ArchiveClient,
    sums: dict[str, str],
) -> Outcome:
    target = folder / picture_name(frame_id)
    if target.exists() and not options.force:
        sha256 = _known(target, sums)
        return Outcome(frame=frame_id, status="present", file=target, sha256=sha256)
    address = picture_address(frame_id, options.size, options.pictures)
    part = PartFile(target)
    try:
        web.fetch_file(address, target, options.max_megabytes)
    except Absent:
        part.drop()
        raise
    _check_picture(part, address)
    sha256 = sha256_of(part.path)
    part.become()
    _note(target, sha256, sums)
    size = target.stat().st_size
    return Outcome(frame=frame_id, status="fetched", file=target, sha256=sha256, bytes=size)


def _note(target: Path, sha256: str, sums: dict[str, str]) -> None:
    try:
        add_sum(target.parent, target.name, sha256, sums)
    except OSError as error:
        raise StoreError(
            f"The check sums in {target.parent} cannot be written ({error.strerror})."
        ) from error


def _known(target: Path, sums: dict[str, str]) -> str:
    """Sum of a picture that is there, which must be the one that was noted, if one was."""
    try:
        sha256 = sha256_of(target)
    except OSError as error:
        raise ArchiveError(f"{target} cannot be read ({error.strerror}).") from error
    known = sums.get(target.name)
    if known is None:
        _note(target, sha256, sums)
    elif known != sha256:
        raise ArchiveError(
            f"{target} is not as it came (its SHA-256 differs): move it away, or fetch it again "
            "with --force."
        )
    return sha256


def _check_picture(part: PartFile, address: str) -> None:
    """See to it that a part is a whole JPEG; what is none is thrown away."""
    with part.path.open("rb") as stream:
        start = stream.read(512)
        stream.seek(max(part.path.stat().st_size - TAIL, 0))
        tail = stream.read()
    if start.startswith(JPEG) and JPEG_END in tail:
        return
    part.drop()
    if start.lstrip().lower().startswith((b"<!doctype", b"<html")):
        what = "a web page"
    else:
        what = "a JPEG without its end" if start.startswith(JPEG) else "something else"
    raise ArchiveError(f"{address} is {what} instead of a whole picture: try again later.")


def fetch_texts(
    frame_ids: Iterable[str], folder: Path, web: ArchiveClient, *, page: str, force: bool
) -> Iterator[Outcome]:
    """Fetch the camera texts of photos into ``ISS030-E-184140.txt``, one after the other.

    ``page`` is the address of the archive's pages of photos. An outcome is "absent" where the
    archive keeps no text; they end early where the server keeps failing. StoreError if the folder
    cannot be written to.
    """
    attempts = _Attempts()
    for frame_id in frame_ids:
        yield attempts.outcome(frame_id, lambda name: _text(name, folder, web, page, force))
        if attempts.failed_in_a_row == GIVE_UP:
            return


def _text(frame_id: str, folder: Path, web: ArchiveClient, page: str, force: bool) -> Outcome:
    target = folder / f"{frame_id}.txt"
    if target.exists() and not force:
        return Outcome(frame=frame_id, status="present", file=target)
    text = fetch_text(web, frame_id, page)
    if text is None:
        return Outcome(frame=frame_id, status="absent")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(target, text)
    except OSError as error:
        raise StoreError(f"{target} cannot be written ({error.strerror}).") from error
    sha256 = hashlib.sha256(text).hexdigest()
    return Outcome(frame=frame_id, status="fetched", file=target, sha256=sha256, bytes=len(text))
