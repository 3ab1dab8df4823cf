"""Parse the archive's page of a photo: time, position and camera."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urlencode

from regengine.errors import ArchiveError
from regengine.io.urls import parse_host
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
