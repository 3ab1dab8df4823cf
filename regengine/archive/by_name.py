"""Download photos of the archive by id: each picture with its record, into the data folder."""

from __future__ import annotations

import logging
import re
from html import unescape
from pathlib import Path
from threading import Lock
from urllib.parse import urlencode

from regengine.archive.download import (
    GIVE_UP,
    PICTURES,
    SIZES,
    DownloadOptions,
    DownloadResult,
    download,
)
from regengine.archive.tables import format_csv
from regengine.archive.web import Absent, ArchiveClient, archive_address
from regengine.errors import ArchiveError, FrameError, StoreError
from regengine.io.atomic import write_whole
from regengine.io.urls import parse_host
from regengine.photo.frame_ids import archive_name, record_place
from regengine.photo.records import FrameRecord, interpret

PAGE_MB = 4
# Tags, and the content of scripts and styles
_UNSEEN = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)
# Values that follow their labels, with any markup
_LABELLED = {
    "date": r"Date taken\s*:?\s*(\d{4})\D(\d{1,2})\D(\d{1,2})\b",
    "time": r"Time taken\s*:?\s*(\d{1,2}):(\d\d):(\d\d)\s*GMT",
    "nadir": r"nadir point\s*:?\s*([\d.]+)\s*°\s*([NS])\s*,\s*([\d.]+)\s*°\s*([EW])",
    "altitude": r"Spacecraft Altitude\s*:?\s*([\d.]+)\s*nautical miles",
    "focal": r"Focal Length\s*:?\s*([\d.]+)\s*mm",
    "camera": r"\bCamera\s*:\s*(?:[A-Z][A-Z0-9]\s*:\s*)?(\S.{0,60}?)\s*(?:Focal Length|$)",
}


def page_address(frame_id: str, page: str) -> str:
    """Return the address of the page of a photo."""
    mission, roll, frame = frame_id.split("-")
    return f"{page}?{urlencode({'mission': mission, 'roll': roll, 'frame': frame})}"


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
    for name, heading in (
        ("altitude", "altitude_nmi"),
        ("focal", "focal_mm"),
        ("camera", "camera"),
    ):
        if found := values[name]:
            cells[heading] = found[1]
    row = interpret(cells, source="photo.pl")
    return None if row is None or row.time_utc is row.nadir_lat is None else row


PAGE = "/SearchPhotos/photo.pl"


class ArchivePhotos:
    """Downloads photos one at a time, for many threads, and stops asking a server that fails.

    The archive is that of the environment variable REGENGINE_ARCHIVE, if it names a copy. If no
    server answers, a photo is tried once: others of the batch are waiting.
    """

    def __init__(self, web: ArchiveClient | None = None) -> None:
        self._web = web or ArchiveClient(connect_attempts=1)
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
            if not record_place(picture).exists():
                self._fetch_record(picture, frame_id)

    def _fetch_picture(self, picture: Path, frame_id: str) -> None:
        host = parse_host(self._archive)
        if self._failed_in_a_row >= GIVE_UP:
            raise FrameError(
                f"{frame_id} was not requested: {GIVE_UP} photos in a row could not be fetched "
                f"from {host}; run the same command again later."
            )
        for size in SIZES:
            outcome = self._list_asked_for(picture, frame_id, size)
            if outcome.status in ("fetched", "present"):
                self._failed_in_a_row = 0
                return
            if outcome.status == "failed":
                self._failed_in_a_row += 1
                raise FrameError(f"{frame_id}: {outcome.why}")
        self._failed_in_a_row = 0
        raise FrameError(
            f"{frame_id} is not in the archive ({host} has no picture of it): check the name.",
            code="not_found",
        )

    def _list_asked_for(self, picture: Path, frame_id: str, size: str) -> DownloadResult:
        options = DownloadOptions(size=size, pictures=self._archive + PICTURES)
        outcomes: list[DownloadResult] = []
        try:
            download([frame_id], picture.parent, options, self._web, outcomes.append)
        except StoreError as error:
            raise FrameError(str(error), code=error.code) from error
        return outcomes[0]

    def _fetch_record(self, picture: Path, frame_id: str) -> None:
        address = page_address(frame_id, self._archive + PAGE)
        unknown = "time and place unknown, so it can be placed only by its lights"
        why = f"{parse_host(address)} has no record of it"
        try:
            if self._failed_in_a_row < GIVE_UP:
                row = read_page(self._web.fetch(address, PAGE_MB), frame_id, address)
                if row is not None:
                    write_whole(record_place(picture), format_csv([row]).encode())
                    return
        except Absent:
            pass
        except (ArchiveError, OSError) as error:
            self._failed_in_a_row += 1
            why = str(error)
        logging.getLogger("regengine").warning("%s: %s (%s)", frame_id, unknown, why)
