"""Query the photo database: in parts, subdivided where answers are truncated, and merged."""

from __future__ import annotations

import hashlib
import json
import re
import time
from calendar import monthrange
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from urllib.parse import urlencode

from detectors.constants import DAY_S
from matchers.geometry.footprint import Bounds
from regengine.errors import ArchiveError, ConfigError, check_known
from regengine.io.atomic import write_whole
from regengine.io.urls import parse_host
from regengine.photo.archive.web import ArchiveClient, RequestError
from regengine.photo.notations import ID_PARTS, clean_text
from regengine.photo.records import FrameRecord, FrameRecords, interpret, merge_records

# A row without these is useless; if they are missing from all rows, the format has changed
NEEDED = {"frames": ("pdate", "ptime", "nlat", "nlon"), "nadir": ("pdate", "ptime", "lat", "lon")}
KEY_VARIABLE = "JSC_PHOTOS_KEY"
_TITLE = re.compile(r"<title>(.{1,80}?)</title>", re.IGNORECASE | re.DOTALL)
_ABOUT_KEY = re.compile(r"\bkey\b|authori[sz]|denied|credential", re.IGNORECASE)

Row = dict[str, str]


def extract_rows(body: bytes, table: str, host: str, *, secret: str = "") -> list[Row]:
    """Return the rows of an answer; ArchiveError says what it is instead, without the key."""

    def clean(text: str) -> str:
        return clean_text(text.replace(secret, "***") if secret else text)[:120]

    def refuse(what: str) -> ArchiveError:
        return ArchiveError(
            f"{host} answered {what}: its format may have changed: please report it."
        )

    text = body.decode("utf-8-sig", errors="replace").strip()
    if text.startswith("<"):
        title = _TITLE.search(text)
        name = f" ({clean(title[1])})" if title else ""
        raise ArchiveError(
            f"{host} answered with a web page instead of JSON{name}: log in to the network first, "
            "or try again later."
        )
    try:
        answer = json.loads(text)
    except RecursionError:
        raise refuse("with JSON that is nested too deeply") from None
    except ValueError:
        if text[:1] in ("[", "{") and not text.endswith(("]", "}")):
            text = f"{host} sent an incomplete answer: ask for less at a time."
            raise RequestError(text, too_much=True) from None
        begins = f", which begins {clean(text[:60])!r}" if text else ", which is empty"
        raise ArchiveError(f"{host} answered with something other than JSON{begins}.") from None
    if isinstance(answer, dict):
        if "no records" in str(answer.get("result", "")).lower():
            return []
        message = next(
            (str(answer[name]) for name in ("error", "result", "message") if answer.get(name)), ""
        )
        if _ABOUT_KEY.search(message):
            raise ArchiveError(
                f"{host} rejects the key ({clean(message)!r}): check the environment variable "
                f"{KEY_VARIABLE}."
            )
        if message:
            raise ArchiveError(f"{host} rejects the query: {clean(message)!r}.")
        raise refuse(f"with an object of {clean(', '.join(map(str, answer)))!r} instead of rows")
    if not isinstance(answer, list):
        raise refuse(f"{clean(text)[:40]!r}, not rows")
    rows = []
    for item in answer:
        if not isinstance(item, dict):
            raise refuse("with rows that are not objects")
        for name, value in item.items():
            if isinstance(value, dict | list | bool):
                raise refuse(f"with a list or object in {name!r}")
        texts = ((name, "" if value is None else str(value)) for name, value in item.items())
        rows.append({str(name).lower().replace("|", "."): text for name, text in texts})
    # The names of photos, and the fields that registration needs
    lacking = [name for name in ID_PARTS if any(not row.get(f"{table}.{name}") for row in rows)]
    lacking += [name for name in NEEDED[table] if all(f"{table}.{name}" not in row for row in rows)]
    if rows and lacking:
        raise refuse(f"without '{table}.{lacking[0]}'")
    for name, form in ((f"{table}.frame", r"\s*\d+\s*"), (f"{table}.pdate", r"\d{8}|\D*|\d{4}\D+")):
        wrong = [row[name] for row in rows if not re.fullmatch(form, row.get(name, ""))]
        if wrong and len(wrong) == len(rows):
            raise refuse(f"with {clean_text(wrong[0])[:40]!r} for {name!r}")
    return rows


def find_answer(path: Path, question: str) -> list[Row] | None:
    """Return the rows of a question that was answered within a week, None if damaged or unknown."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        is_recent = time.time() - path.stat().st_mtime < 7.0 * DAY_S
        is_same = is_recent and record["question"] == question
        return [dict(row) for row in record["rows"]] if is_same else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


DATABASE = "/SearchPhotos/PhotosDatabaseAPI/PhotosDatabaseAPI.pl"
ANSWER_MB = 64  # limit of an answer
# Servers truncate answers at round numbers of rows. One answer in fifty has such a number by
# chance, and causes two more questions.
ROUND_ROWS, MIN_CUT_ROWS = 50, 100
MANNERED_QUESTIONS = 5000  # with a pause of a second each, 1.4 hours
MISSION = re.compile(r"[A-Z]{2,4}\d{2,3}[A-Z]?")
LAST_FRAME = 9_999_999
TABLES = ("frames", "nadir")  # photos with a catalogued picture; photos with a nadir
NIGHT_DEG = (-90.0, -6.0)  # civil twilight has ended: city lights are visible
Range = tuple[float, float]

# Fields of the database by table. Two tables in one question are joined: a photo that one of them
# lacks is not in the answer.
FIELDS = {
    "frames": (
        *("mission", "roll", "frame", "pdate", "ptime", "nlat", "nlon", "lat", "lon"),
        *("azi", "elev", "cldp", "fclt", "camera", "geon", "feat"),
    ),
    "nadir": ("mission", "roll", "frame", "pdate", "ptime", "lat", "lon", "azi", "elev", "cldp"),
}
CAMERA_FIELDS = ("camera|fclt", "camera|camera")


@dataclass(frozen=True, kw_only=True)
class FrameQuery:
    """Selection of photos; criteria that are None or empty are ignored."""

    missions: tuple[str, ...] = ()  # such as ``ISS030``
    first: date | None = None  # GMT days, both inclusive
    last: date | None = None
    bbox: Bounds | None = None  # of nadirs; east exceeds 180 across the antimeridian
    # focal_mm, sun_elevation_deg: minimum and maximum.
    focal_mm: Range | None = None
    sun_elevation_deg: Range | None = None
    tables: tuple[str, ...] = TABLES

    def __post_init__(self) -> None:
        for mission in self.missions:
            if MISSION.fullmatch(mission) is None:
                raise ConfigError(
                    f"--mission {mission!r} is not a valid mission: write it like ISS030."
                )
        if (self.first is None) != (self.last is None):
            raise ConfigError("Give --from and --to together.")
        if self.first is not None and self.last is not None and self.first > self.last:
            raise ConfigError(f"--from {self.first} is later than --to {self.last}.")
        if not self.missions and self.first is None:
            raise ConfigError(
                "Give --mission, or --from and --to: the whole database is too much for one query."
            )
        check_known("table", self.tables, TABLES)
        if self.bbox is not None and not -180.0 <= self.bbox[0] <= 180.0:
            raise ConfigError("--bbox is outside -180 to 180: write WEST,SOUTH,EAST,NORTH.")


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question to the database; ``days`` and ``frames`` are first and last."""

    wanted: FrameQuery
    table: str
    with_camera: bool = False  # whether the table of cameras is joined
    mission: str | None = None
    days: tuple[date, date] | None = None
    box: Bounds | None = None  # within -180 to 180
    frames: tuple[int, int] | None = None

    @property
    def conditions(self) -> str:
        """The question's conditions in the database's syntax: TABLE|FIELD|OPERATOR|VALUE|…."""
        parts: list[str] = []

        def between(field: str, low: object, high: object) -> None:
            if low == high:
                parts.append(f"{field}|eq|{low}")
            else:
                parts.extend((f"{field}|ge|{low}", f"{field}|le|{high}"))

        table = self.table
        if self.mission is not None:
            parts.append(f"{table}|mission|eq|{self.mission}")
        if self.days is not None:
            between(f"{table}|pdate", *(f"{day:%Y%m%d}" for day in self.days))
        if self.frames is not None:
            between(f"{table}|frame", *self.frames)
        if self.box is not None:
            west, south, east, north = self.box
            lat, lon = ("nlat", "nlon") if table == "frames" else ("lat", "lon")
            between(f"{table}|{lat}", _number(south), _number(north))
            between(f"{table}|{lon}", _number(west), _number(east))
        if self.wanted.focal_mm is not None:
            of = "frames" if table == "frames" else "camera"
            between(f"{of}|fclt", *map(_number, self.wanted.focal_mm))
        if self.wanted.sun_elevation_deg is not None:
            between(f"{table}|elev", *map(_number, self.wanted.sun_elevation_deg))
        return "|".join(parts)

    @property
    def fields(self) -> tuple[str, ...]:
        own = tuple(f"{self.table}|{field}" for field in FIELDS[self.table])
        return own + CAMERA_FIELDS if self.with_camera else own

    def halves(self, seen: Sequence[int]) -> tuple[Question, Question] | None:
        """Split a question into two that are equivalent together."""
        if self.days is not None and self.days[0] < self.days[1]:
            first, last = self.days
            middle = first + (last - first) // 2
            second = middle + timedelta(days=1)
            return replace(self, days=(first, middle)), replace(self, days=(second, last))
        low, high = self.frames or (0, LAST_FRAME)
        inside = sorted(number for number in seen if low <= number < high)
        cut = inside[len(inside) // 2] if inside else (low + high) // 2
        if low >= high:
            return None
        return replace(self, frames=(low, cut)), replace(self, frames=(cut + 1, high))


def make_questions(wanted: FrameQuery) -> list[Question]:
    """Return the initial questions: by table, mission, month and side of the antimeridian."""
    boxes: tuple[Bounds | None, ...] = (wanted.bbox,)
    if wanted.bbox is not None and wanted.bbox[2] > 180.0:
        west, south, east, north = wanted.bbox
        boxes = (west, south, 180.0, north), (-180.0, south, east - 360.0, north)
    months: list[tuple[date, date] | None] = [None]
    if wanted.first is not None and wanted.last is not None:
        months, begin = [], wanted.first
        while begin <= wanted.last:
            end = begin.replace(day=monthrange(begin.year, begin.month)[1])
            months.append((begin, min(end, wanted.last)))
            begin = end + timedelta(days=1)
    questions = []
    for table in wanted.tables:
        parts = product(wanted.missions or (None,), months, boxes)
        # A join would lose photos without a record of their camera
        joins = (False,) if table == "frames" else (True,) if wanted.focal_mm else (False, True)
        for (mission, days, box), join in product(parts, joins):
            question = Question(wanted=wanted, table=table, mission=mission, days=days, box=box)
            questions.append(replace(question, with_camera=join))
    return questions


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def ask(
    wanted: FrameQuery,
    *,
    web: ArchiveClient,
    key: str,
    cache: Path,
    url: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[FrameRecords, dict[str, int]]:
    """Query the database for all selected photos, in parts that are split if answers are truncated.

    ``key`` is the user's own, required if a request is necessary; ``cache`` is a folder of answers.
    ``progress`` is called with the number of answered questions and of those known so far. Returns
    the table, and counts: ``asked``, ``kept`` (answered from the cache) and ``off_query`` (rows
    that do not match the query, which the database sent: left out). Raises ConfigError if there is
    no key. Raises ArchiveError if the database cannot be reached, refuses, or gives an unexpected
    answer; answers received so far are kept.
    """
    waiting = make_questions(wanted)[::-1]
    rows: list[tuple[str, FrameRecord | None]] = []
    requests = kept = done = 0
    host = parse_host(url)
    while waiting:
        question = waiting.pop()
        name = "\n".join((url, question.conditions, "|".join(question.fields)))
        digest = hashlib.sha256(name.encode()).hexdigest()
        path = cache / digest[:2] / f"{digest}.json"
        answer, finer = find_answer(path, name), None
        if answer is not None:
            kept += 1
        else:
            if requests >= MANNERED_QUESTIONS:
                raise ArchiveError(
                    f"The query takes more than {MANNERED_QUESTIONS:,} requests: ask for fewer "
                    "days or missions; rows already fetched are kept."
                )
            requests += 1
            try:
                if not key:
                    raise ConfigError(
                        f"The photo database needs your own key: request one from {host}, and put "
                        f"it into the environment variable {KEY_VARIABLE}."
                    )
                address = f"{make_address(question, url)}&{urlencode({'key': key})}"
                body = web.fetch(address, ANSWER_MB)
                if body is None:
                    raise ArchiveError(
                        f"{host} has no photo database at that address: check REGENGINE_ARCHIVE."
                    )
                answer = extract_rows(body, question.table, host, secret=key)
                with suppress(OSError):  # a full disk: the next run asks the question again
                    content = json.dumps({"question": name, "rows": answer}).encode()
                    write_whole(path, content, with_folder=True)
            except RequestError as error:
                finer = question.halves(()) if error.too_much else None
                if finer is None:
                    raise
        # As many rows as a limit of the server would leave
        if answer is not None and len(answer) >= MIN_CUT_ROWS and len(answer) % ROUND_ROWS == 0:
            texts = [row.get(f"{question.table}.frame", "").strip() for row in answer]
            seen = [int(text) for text in texts if text.isascii() and text.isdecimal()]
            finer = question.halves(seen)
        done += 1
        if finer is not None:
            waiting += finer[::-1]
        elif answer is not None:
            table = question.table
            rows += [(table, interpret(row, source=table)) for row in answer]
        progress(done, done + len(waiting))
    fitting = [row for row in rows if row[1] is None or matches_query(row[1], wanted)]
    counts = {"asked": requests, "kept": kept, "off_query": len(rows) - len(fitting)}
    return merge_records(fitting), counts


def make_address(question: Question, url: str) -> str:
    query = {"query": question.conditions, "return": "|".join(question.fields)}
    return f"{url}?{urlencode(query, safe='|')}"


def matches_query(row: FrameRecord, wanted: FrameQuery) -> bool:
    """Whether a row matches the query, as far as its values are known."""
    if wanted.missions and row.frame_id.partition("-")[0] not in wanted.missions:
        return False
    if wanted.first is not None and wanted.last is not None and row.time_utc is not None:
        day = row.time_utc.date()
        if day < wanted.first or day > wanted.last:
            return False
    if wanted.bbox is not None and row.nadir_lat is not None and row.nadir_lon is not None:
        west, south, east, north = wanted.bbox
        inside = (row.nadir_lon - west) % 360.0 <= east - west
        if not (south <= row.nadir_lat <= north and inside):
            return False
    pairs = (row.focal_mm, wanted.focal_mm), (row.sun_elevation_deg, wanted.sun_elevation_deg)
    return all(
        value is None or limits is None or limits[0] <= value <= limits[1]
        for value, limits in pairs
    )
