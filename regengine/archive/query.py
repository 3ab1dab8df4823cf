"""Query the photo database: in parts, subdivided where answers are truncated, and merged."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from urllib.parse import urlencode

from regengine.archive.answers import KEY_VARIABLE, AnswerCache, Row, extract_rows
from regengine.archive.web import Absent, ArchiveClient, TooMuchError
from regengine.errors import ArchiveError, ConfigError
from regengine.io.urls import parse_host
from regengine.photo.records import FrameRecord, FrameRecords, interpret, merge_records
from regengine.references.reference import Bounds

DATABASE = "/SearchPhotos/PhotosDatabaseAPI/PhotosDatabaseAPI.pl"
ANSWER_MB = 64
# Servers truncate answers at round numbers of rows. One answer in fifty has such a number by
# chance, and causes two more questions.
ROUND_ROWS, MIN_CUT_ROWS = 50, 100
MANNERED_QUESTIONS = 5000
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
        if unknown := [table for table in self.tables if table not in TABLES]:
            raise ConfigError(
                f"--table {unknown[0]!r} is unknown: choose from {', '.join(TABLES)}."
            )
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
        """The requested fields, each as TABLE|FIELD."""
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
    found = []
    for table in wanted.tables:
        # A join would lose photos without a record of their camera
        joins = (False,) if table == "frames" else (True,) if wanted.focal_mm else (False, True)
        for mission in wanted.missions or (None,):
            for days in _list_months(wanted.first, wanted.last):
                for box in _split_boxes(wanted.bbox):
                    found += [
                        Question(
                            wanted=wanted,
                            table=table,
                            with_camera=join,
                            mission=mission,
                            days=days,
                            box=box,
                        )
                        for join in joins
                    ]
    return found


def _list_months(first: date | None, last: date | None) -> Iterator[tuple[date, date] | None]:
    if first is None or last is None:
        yield None
        return
    begin = first
    while begin <= last:
        end = begin.replace(day=monthrange(begin.year, begin.month)[1])
        yield begin, min(end, last)
        begin = end + timedelta(days=1)


def _split_boxes(box: Bounds | None) -> tuple[Bounds | None, ...]:
    if box is None or box[2] <= 180.0:
        return (box,)
    west, south, east, north = box
    return (west, south, 180.0, north), (-180.0, south, east - 360.0, north)


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, kw_only=True)
class QueryResult:
    """Result of a query."""

    table: FrameRecords
    # requests, kept: number of questions sent, and of those answered from the cache.
    requests: int
    kept: int
    n_off_query: int  # rows that do not match the query, which the database sent: left out


def ask(
    wanted: FrameQuery,
    *,
    web: ArchiveClient,
    key: str,
    cache: AnswerCache,
    url: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> QueryResult:
    """Query the database for all selected photos, in parts that are split if answers are truncated.

    ``key`` is the user's own, required if a request is necessary. ``progress`` is called with the
    number of answered questions and of those known so far. Raises ConfigError if there is no key.
    Raises ArchiveError if the database cannot be reached, refuses, or gives an unexpected answer;
    answers received so far are kept.
    """
    waiting = make_questions(wanted)[::-1]
    rows: list[tuple[str, FrameRecord | None]] = []
    requests = kept = done = 0
    while waiting:
        question = waiting.pop()
        name = "\n".join((url, question.conditions, "|".join(question.fields)))
        answer, finer = cache.find(name), None
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
                answer = _answer(question, web, key, url)
                cache.keep(name, answer)
            except TooMuchError:
                finer = question.halves(())
                if finer is None:
                    raise
        if answer is not None and looks_cut(answer):
            finer = question.halves(_numbers(answer, question))
        done += 1
        if finer is not None:
            waiting += finer[::-1]
        elif answer is not None:
            table = question.table
            rows += [(table, interpret(row, source=table)) for row in answer]
        progress(done, done + len(waiting))
    fitting = [row for row in rows if row[1] is None or matches_query(row[1], wanted)]
    return QueryResult(
        table=merge_records(fitting),
        requests=requests,
        kept=kept,
        n_off_query=len(rows) - len(fitting),
    )


def _answer(question: Question, web: ArchiveClient, key: str, url: str) -> list[Row]:
    if not key:
        raise ConfigError(
            f"The photo database needs your own key: request one from {parse_host(url)}, and put "
            f"it into the environment variable {KEY_VARIABLE}."
        )
    address = f"{make_address(question, url)}&{urlencode({'key': key})}"
    try:
        body = web.fetch(address, ANSWER_MB)
    except Absent:
        raise ArchiveError(
            f"{parse_host(url)} has no photo database at that address: check REGENGINE_ARCHIVE."
        ) from None
    return extract_rows(body, question.table, parse_host(url), secret=key)


def make_address(question: Question, url: str) -> str:
    """Return the address of a question, without the key."""
    asked = {"query": question.conditions, "return": "|".join(question.fields)}
    return f"{url}?{urlencode(asked, safe='|')}"


def looks_cut(rows: list[Row]) -> bool:
    """Whether the number of rows of an answer looks like a server limit."""
    return len(rows) >= MIN_CUT_ROWS and len(rows) % ROUND_ROWS == 0


def _numbers(rows: Iterable[Row], question: Question) -> list[int]:
    texts = (row.get(f"{question.table}.frame", "").strip() for row in rows)
    return [int(text) for text in texts if text.isascii() and text.isdecimal()]


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
    pairs = (
        (row.focal_mm, wanted.focal_mm),
        (row.sun_elevation_deg, wanted.sun_elevation_deg),
    )
    return all(
        value is None or limits is None or limits[0] <= value <= limits[1]
        for value, limits in pairs
    )
