"""Ids of archive photos in file names, tables and links, and the paths of records."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from regengine.io.plain import flatten_bytes

# Matches ISS030-E-184140, iss030e184140_lrg, Osaka_ISS006-E-22876 and iss073e0206244: expedition,
# "E" for an electronic camera, number. The archive writes three digits for the expedition and the
# number without leading zeros.
_STATION_ID = re.compile(
    r"(?<![a-z0-9])iss[-_ ]?(\d{1,3})[-_ ]?e[-_ ]?(\d{1,7})(?!\d)", re.IGNORECASE
)
# Photos on film have the number of their roll instead of the E
_FILM_ID = re.compile(r"iss(\d{1,3})-([a-z]?\d{1,3}[a-z]?)-(\d{1,7})", re.IGNORECASE)
# Any mission, roll and frame: ISS030-E-184140, STS099-744-38, ISS006-370-12
_ANY_ID = re.compile(
    r"(?<![A-Za-z0-9])([A-Za-z]{2,4}\d{1,3}[A-Za-z]?)[-_ ]([A-Za-z0-9]{1,4})[-_ ](\d{1,7})(?!\d)"
)
_MISSION = re.compile(r"([A-Z]{2,4})(\d{1,3})([A-Z]?)", re.IGNORECASE)
_MISSION_OF_TABLE = re.compile(r"(?<![A-Za-z0-9])ISS(\d{1,3})(?!\d)", re.IGNORECASE)
_ARCHIVE_PAGE = re.compile(r"https?://eol\.jsc\.nasa\.gov/SearchPhotos/photo\.pl\?.", re.IGNORECASE)
_COPY_ENDING = re.compile(r"(?:_lrg)?(?:\.jpe?g)?$", re.IGNORECASE)
_ENDING = re.compile(r"(?<=.)\.[a-z]\w{1,4}$", re.IGNORECASE)
ID_PARTS = ("mission", "roll", "frame")
RECORD_ENDING = ".record.csv"


def archive_frame_id(text: str) -> str | None:
    found = _STATION_ID.search(text)
    return None if found is None else f"ISS{int(found[1]):03d}-E-{int(found[2])}"


def archive_name(text: str) -> str | None:
    """Return the archive id if a text is one, ``iss030e184140`` or with ``.JPG``, or its link.

    None for other texts, such as paths that contain an id.
    """
    if _ARCHIVE_PAGE.match(text) is not None:
        asked = parse_query(text)
        text = "-".join(asked.get(part, "") for part in ID_PARTS)
    bare = _COPY_ENDING.sub("", text.strip())
    if (film := _FILM_ID.fullmatch(bare)) is not None:
        return f"ISS{int(film[1]):03d}-{film[2].upper()}-{int(film[3])}"
    return archive_frame_id(bare) if _STATION_ID.fullmatch(bare) else None


def compose_frame_id(mission: str, roll: str, frame: str) -> str | None:
    """Compose an archive id from its three parts, as the archive writes it."""
    found = _MISSION.fullmatch(mission.strip())
    number, roll = frame.strip(), roll.strip().upper()
    if found is None or not re.fullmatch(r"[A-Z0-9]{1,4}", roll) or not number.isdecimal():
        return None
    if not number.isascii() or len(number) > 7:
        return None
    return f"{found[1].upper()}{int(found[2]):03d}{found[3].upper()}-{roll}-{int(number)}"


def find_frame_id(text: str) -> str | None:
    """Return the archive id in a name, or in a link to the archive's pages or pictures."""
    if "=" in text and "?" in text:
        asked = parse_query(text)
        if (found := compose_frame_id(*(asked.get(part, "") for part in ID_PARTS))) is not None:
            return found
    if (of_station := archive_frame_id(text)) is not None:
        return of_station
    other = _ANY_ID.search(text)
    return None if other is None else compose_frame_id(*other.groups())


def find_mission(text: str) -> str | None:
    """Return the mission in a file's name, such as ``ISS030`` in ``City_ISS030.txt``."""
    found = _MISSION_OF_TABLE.search(text.replace("_", " "))
    return None if found is None else f"ISS{int(found[1]):03d}"


def parse_query(link: str) -> dict[str, str]:
    """Parse the query of a link, the first of several values; empty if it is not a link."""
    try:
        asked = parse_qs(urlsplit(link.strip()).query, max_num_fields=20, errors="replace")
    except ValueError:
        return {}
    return {name: values[0] for name, values in asked.items()}


def frame_id_of(path: Path) -> str:
    """Return the archive id of a photo by its file name, else the name without its extension.

    ``"ISS073-E-206244"`` for ``iss073e0206244.jpg``, ``"espana"`` for ``espana.png``.
    """
    return archive_frame_id(path.stem) or path.stem


def name_spellings(name: str) -> set[str]:
    """Return a photo's name without folder and case: with ending, without, and as an archive id."""
    base = re.split(r"[/\\]", flatten_bytes(name))[-1]
    spellings = (base, _ENDING.sub("", base), archive_frame_id(base) or base)
    return {spelling.casefold() for spelling in spellings}


def record_place(path: Path) -> Path:
    return path.with_name(path.stem + RECORD_ENDING)
