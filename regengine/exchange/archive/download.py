"""Pictures of the archive, fetched into a folder with their check sums."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regengine.errors import ArchiveError, StoreError
from regengine.exchange.archive.camera_text import fetch_text
from regengine.exchange.archive.interpret import composed_id
from regengine.exchange.archive.web import Absent, ArchiveClient, PartFile, UnreachableError
from regengine.io.atomic import write_whole
from regengine.io.checksums import add_sum, read_sums, sha256_of
from regengine.records import printable

# What became of one photo that was wanted.


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one frame.

    Attributes
    ----------
    frame : str
        Archive id.
    status : str
        "fetched", "present" (it was there), "absent" (the archive has no such picture) or
        "failed".
    file : Path or None
        The picture, where there is one.
    sha256 : str or None
        Of the picture.
    bytes : int
        Size of what came.
    why : str
        Sentence, of what failed.
    """

    frame: str
    status: str
    file: Path | None = None
    sha256: str | None = None
    bytes: int = 0
    why: str = ""

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


PICTURES = "https://eol.jsc.nasa.gov/DatabaseImages/ESC"
SIZES = ("large", "small")
JPEG = b"\xff\xd8\xff"
JPEG_END = b"\xff\xd9"
GIVE_UP = 3  # pictures in a row that the server fails to send
TAIL = 4096  # some cameras write a little behind the end mark


@dataclass(frozen=True, kw_only=True)
class DownloadOptions:
    """What is fetched, and how much.

    Attributes
    ----------
    size : str
        Of `SIZES`: the original's, or 640 pixels.
    pictures : str
        Address of the folder of sizes.
    max_megabytes : int
        Largest file.
    max_gigabytes : float
        Most in all.
    force : bool
        Fetch again what is there.
    """

    size: str = "large"
    pictures: str = PICTURES
    max_megabytes: int = 100
    max_gigabytes: float = 20.0
    force: bool = False


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

    Parameters
    ----------
    frame_ids : iterable of str
        Archive ids.
    folder : Path
        Made if need be; gets ``SHA256SUMS``.
    options : DownloadOptions
        What, and how much.
    web : Web
        How the server is treated.
    told : callable, optional
        Gets the outcome of each frame, once it is on the disk.

    Returns
    -------
    str
        Why it ended before the last frame; empty if it did not.

    Raises
    ------
    StoreError
        If the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder} cannot be made ({error.strerror}): name another.") from error
    sums, came, in_a_row = read_sums(folder), 0, 0
    for frame_id in dict.fromkeys(frame_ids):
        if came >= options.max_gigabytes * 1e9:
            return f"{options.max_gigabytes:g} GB have come: allow more with --max-gigabytes"
        try:
            outcome = _one(frame_id, folder, options, web, sums)
            in_a_row = 0
        except Absent:
            PartFile(folder / picture_name(frame_id)).drop()
            outcome = Outcome(frame=frame_id, status="absent")
            in_a_row = 0
        except ArchiveError as error:
            outcome = Outcome(frame=frame_id, status="failed", why=str(error))
            in_a_row = in_a_row + 1 if isinstance(error, UnreachableError) else 0
        came += outcome.bytes
        told(outcome)
        if in_a_row == GIVE_UP:
            return f"{GIVE_UP} pictures in a row did not come: run the same command again later"
    return ""


def _one(
    frame_id: str, folder: Path, options: DownloadOptions, web: ArchiveClient, sums: dict[str, str]
) -> Outcome:
    target = folder / picture_name(frame_id)
    if target.exists() and not options.force:
        sha256 = _known(target, sums)
        return Outcome(frame=frame_id, status="present", file=target, sha256=sha256)
    address = picture_address(frame_id, options.size, options.pictures)
    web.fetch_file(address, target, options.max_megabytes)
    _check_picture(target, address)
    sha256 = sha256_of(PartFile(target).path)
    PartFile(target).become()
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


def _check_picture(target: Path, address: str) -> None:
    """See to it that a part is a whole JPEG; what is none is thrown away."""
    part = PartFile(target)
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


# Camera texts of many photos, fetched into a folder.


def fetch_texts(
    frame_ids: Iterable[str], folder: Path, web: ArchiveClient, *, page: str, force: bool
) -> Iterator[Outcome]:
    """Fetch the camera texts of photos, one after the other.

    Parameters
    ----------
    frame_ids : iterable of str
        Archive ids.
    folder : Path
        Made if need be; a text is ``ISS030-E-184140.txt``.
    web : Web
        How the server is treated.
    page : str
        Address of the archive's pages of photos.
    force : bool
        Fetch again what is there.

    Yields
    ------
    Outcome
        "absent" where the archive keeps no text; it ends early where the server keeps failing.

    Raises
    ------
    StoreError
        If the folder cannot be written to.
    """
    in_a_row = 0
    for frame_id in frame_ids:
        target = folder / f"{frame_id}.txt"
        if target.exists() and not force:
            yield Outcome(frame=frame_id, status="present", file=target)
            continue
        try:
            text = fetch_text(web, frame_id, page)
        except Absent:
            text = None
        except ArchiveError as error:
            in_a_row = in_a_row + 1 if isinstance(error, UnreachableError) else 0
            yield Outcome(frame=frame_id, status="failed", why=str(error))
            if in_a_row == GIVE_UP:
                return
            continue
        in_a_row = 0
        if text is None:
            yield Outcome(frame=frame_id, status="absent")
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(target, text)
        except OSError as error:
            raise StoreError(f"{target} cannot be written ({error.strerror}).") from error
        yield Outcome(
            frame=frame_id,
            status="fetched",
            file=target,
            sha256=hashlib.sha256(text).hexdigest(),
            bytes=len(text),
        )
