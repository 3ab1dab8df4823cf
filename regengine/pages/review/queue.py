"""The frames under review: columns of up to 100,000 for the queue, and all data of single ones."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock, RLock
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, Field

from matchers.geometry.camera import Camera
from matchers.geometry.earth import measure_lonlat, unit_vectors
from matchers.geometry.footprint import Bounds
from regengine.io.html import escape_invisible
from regengine.maps.places import name_view
from regengine.store.file import photo_file
from regengine.store.journal import journal_path
from regengine.store.read import OF_FRAMES, Snapshot, make_frames
from regengine.store.reviews import Decisions, proposal_sha256
from regengine.store.rows import StoredFrame, join, select, values_of

KEPT_FRAMES = 256
READ_FRAMES = 131072  # number of frames read at once for the columns
OF_QUEUE = select(
    *(
        f"frames/{name}"
        for name in (
            *("frame", "path", "sha256", "place", "country", "verdict", "reasons", "category"),
            *("camera_body", "time_utc", "orientation", "probability", "log10_odds"),
            *("runner_up_log10_odds", "nadir_lon", "nadir_lat", "centre_lon", "centre_lat"),
        )
    ),
    *(f"control_points/{name}" for name in ("lon", "lat", "sigma_m")),
)
OF_PROPOSALS = select(
    "frames/sha256", *(f"control_points/{name}" for name in ("x", "y", "lon", "lat"))
)
# Review order: proposals that need review; those that may be used without review; frames without a
# proposal; unreadable files
VERDICT_ORDER = ("review", "accepted", "no_match", "failed")
# Two probabilities are equivalent within this distance of 0 and 1, and within a hundredth
# elsewhere. Equivalent ones are ordered by the evidence behind them
READS_ALIKE = 0.005

Status = Literal["open", "sheet", "done", "disputed", "dependent", "second", "all"]
Texts = Annotated[list[str], Field(max_length=64)]
# Prefix of an ISO 8601 time, UTC
Date = Annotated[str, Field(pattern=r"^(\d{4}(-\d{2}(-\d{2}(T[\d:.]{0,15}Z?)?)?)?)?$")]
# Number of leading digits of a photo's sha256 in the URLs of its pictures
VERSION_DIGITS = 16
Line = dict[str, Any]
# The frames of a store, with what follows from people's decisions on their photos as they are now,
# and each person's latest decision on a photo
TABLES = """
CREATE TABLE frames (
    frame_index INTEGER PRIMARY KEY, by_doubt, by_time, by_name, verdict, category, time_utc,
    camera_body, orientation, probability, log10_odds, log10_lead, sigma_m, centre_lon, centre_lat,
    shown_lon, shown_lat, nadir_lon, nadir_lat, sha256, reasons, frame, place, searched,
    decision, sheet, independent, reviewers, disputed, counts
);
CREATE TABLE heads (
    frame_index, sha256, reviewer, revision, decision, sheet, tags, independent,
    PRIMARY KEY (frame_index, sha256, reviewer)
);
CREATE INDEX doubt ON frames (by_doubt);
CREATE INDEX time ON frames (by_time);
CREATE INDEX name ON frames (by_name);
"""
ADD_HEAD = """
INSERT OR REPLACE INTO heads VALUES
    (:frame_index, :sha256, :reviewer, :revision, :decision, :sheet, :tags, :independent)
"""
# SQLite takes decision, sheet and independent from the row of the maximum: of the latest decision,
# or of a glance if there is no other
JUDGE = """
UPDATE frames SET (decision, sheet, independent, reviewers, disputed, counts) = (
    SELECT decision, sheet, independent, count(*),
        count(DISTINCT replace(decision, 'glanced', 'accepted')) > 1,
        max((decision != 'glanced') << 48 | revision)
    FROM heads WHERE heads.frame_index = frames.frame_index AND heads.sha256 = frames.sha256
) WHERE frame_index = :frame_index
"""
# Conditions of the review status, and of the other filters by their field
MARKED = "coalesce(sheet AND decision != 'glanced', FALSE)"  # as wrong or doubtful, on a sheet
STATUSES = {
    "open": f"(decision IS NULL OR {MARKED})",
    "sheet": "decision IS NULL AND verdict IN ('accepted', 'review')",
    "done": "decision IS NOT NULL",
    "disputed": "disputed",
    "dependent": "NOT independent",
    "second": "decision IS NOT NULL AND (frame_index, sha256) NOT IN "
    "(SELECT frame_index, sha256 FROM heads WHERE reviewer = :reviewer)",
    "all": "TRUE",
}
PASSING = {
    "id": "frame_index IN (SELECT value FROM json_each(:id))",
    "verdict": "verdict IN (SELECT value FROM json_each(:verdict))",
    "reason": "reasons IN (SELECT reasons FROM (SELECT DISTINCT reasons FROM frames), "
    "json_each(reasons) WHERE value IN (SELECT value FROM json_each(:reason)))",
    "category": "category IN (SELECT value FROM json_each(:category))",
    "camera": "camera_body IN (SELECT value FROM json_each(:camera))",
    "date_from": "time_utc >= :date_from",
    "date_to": "time_utc != '' AND time_utc < :date_to || char(0x10FFFF)",
    "bbox": "coalesce(shown_lat, nadir_lat) BETWEEN :south AND :north AND "
    "CASE WHEN :west <= :east THEN coalesce(shown_lon, nadir_lon) BETWEEN :west AND :east "
    "ELSE coalesce(shown_lon, nadir_lon) NOT BETWEEN :east AND :west END",
    "text": "instr(searched, :text)",
    "tag": "(frame_index, sha256) IN "
    "(SELECT frame_index, sha256 FROM heads, json_each(tags) WHERE value = :tag)",
}
# Tables whose values the page counts for each filter
COUNTED = {
    "verdict": "frames",
    "reasons": "(SELECT value AS reasons FROM frames, json_each(reasons))",
    "category": "frames",
    "camera_body": "frames",
    "tag": "(SELECT DISTINCT frame_index, value AS tag FROM frames "
    "JOIN heads USING (frame_index, sha256), json_each(tags))",
}


def _load(snapshot: Snapshot) -> sqlite3.Connection:
    """Put the frames of a store into an SQLite table in memory, with texts as they are displayed.

    Besides the columns of the store there are ``shown_lon`` and ``shown_lat``, a place that the
    photo shows: its centre, or the centre of its control points if the centre is sky;
    ``log10_lead``, evidence for the proposal minus that for its runner-up; ``sigma_m``, the
    greatest of the control points; ``searched``, what a text is searched in; and the ranks of the
    frames by doubt, time and name. Numbers are NULL where there is none.

    A proposal is more doubtful the closer its probability is to one half: a review is most
    informative there. Equivalent probabilities are ordered by the lead over the runner-up, the
    odds against chance and the precision of the points. Frames without a proposal follow all
    proposals, and among them, those that hardly show city lights come last.
    """
    blocks = [*snapshot.blocks(groups=OF_QUEUE, frames=READ_FRAMES)]
    tables = join(blocks or [snapshot.tables(0, 0, OF_QUEUE)], OF_QUEUE)
    table, points = tables["frames"], tables["control_points"]
    sky = ~np.isfinite(table["centre_lon"])
    of_points = np.searchsorted(table["frame_index"], points["frame_index"])
    sigma_m = np.full(len(sky), np.nan)
    np.fmax.at(sigma_m, of_points, points["sigma_m"])
    # The centre of the control points
    sums = np.zeros((len(sky), 3))
    np.add.at(sums, of_points, unit_vectors(points["lon"], points["lat"]))
    lon, lat = np.where(np.isfinite(sigma_m), measure_lonlat(sums), np.nan)
    texts = {name: values_of(values) for name, values in table.items() if values.dtype.kind == "S"}
    columns = {name: values.tolist() for name, values in table.items() if name not in texts}
    for name, values in texts.items():
        shown = {text: escape_invisible(text) for text in set(values)}
        if name == "reasons":
            shown = {text: json.dumps([*filter(None, shown[text].split(","))]) for text in shown}
        columns[name] = [shown[text] for text in values]
    lead = table["log10_odds"] - table["runner_up_log10_odds"]
    columns |= {
        "sigma_m": sigma_m.tolist(),
        "shown_lon": np.where(sky, lon, table["centre_lon"]).tolist(),
        "shown_lat": np.where(sky, lat, table["centre_lat"]).tolist(),
        "log10_lead": lead.tolist(),
        "place": [
            ", ".join(filter(None, names))
            for names in zip(columns["place"], columns["country"], strict=True)
        ],
        "searched": [
            f"{frame}\n{path}\n{place}, {country}".casefold()
            for frame, path, place, country in zip(
                *(texts[name] for name in ("frame", "path", "place", "country")), strict=True
            )
        ],
    }
    rank = np.full(len(sky), len(VERDICT_ORDER))
    for number, verdict in enumerate(VERDICT_ORDER):
        rank[table["verdict"] == verdict.encode()] = number
    likely = np.nan_to_num(table["probability"], nan=0.5).clip(READS_ALIKE, 1.0 - READS_ALIKE)
    certainty = np.abs(np.round(likely, 2) - 0.5)
    nothing = ['"not_a_night_city_frame"' in codes for codes in columns["reasons"]]
    orders: dict[str, tuple[Any, ...]] = {
        "by_doubt": (-sigma_m, table["log10_odds"], lead, certainty, nothing, rank),
        "by_time": (table["time_utc"], table["time_utc"] == b""),
        "by_name": (table["frame"],),
    }
    for name, keys in orders.items():
        columns[name] = np.argsort(np.lexsort(keys)).tolist()
    base = sqlite3.connect(":memory:", check_same_thread=False)
    base.row_factory = sqlite3.Row
    base.executescript(TABLES)
    names = [row["name"] for row in base.execute("PRAGMA table_info(frames)")]
    names = [name for name in names if name in columns]
    base.executemany(
        f"INSERT INTO frames ({', '.join(names)}) "  # noqa: S608 - only names of our own columns
        f"VALUES ({', '.join('?' * len(names))})",
        zip(*(columns[name] for name in names), strict=True),
    )
    return base


class ReviewFrames:
    """Reader of a store for the review; thread-safe.

    A run may be writing the store: `refresh` reads what it added. ``base`` has `TABLES`, of which
    one thread may use it at a time. Photos that have moved are searched for in ``photos``, too.
    StoreError if there is no store or it cannot be read, also from `frame` and `refresh`.
    """

    def __init__(self, store: Path, photos: Path | None = None) -> None:
        self._store, self._photos = store, photos
        self._lock = RLock()
        self.turn = Lock()  # of who uses ``base``
        self._snapshot: Snapshot | None = None
        self._looked_s = 0.0
        self._points: dict[str, Any] | None = None  # of all proposals, once glances are read
        self.base: sqlite3.Connection
        self._open()

    def __len__(self) -> int:
        return 0 if self._snapshot is None else len(self._snapshot.frame_index)

    def frame(self, number: int) -> StoredFrame:
        """Read a frame by number, without its detections; KeyError if there is none."""
        with self._lock:
            return self._read(number)

    def proposal(self, number: int) -> str:
        """Hash of a frame's proposal; see `regengine.store.reviews.proposal_sha256`."""
        with self._lock:
            if self._points is None and self._snapshot is not None:
                blocks = [*self._snapshot.blocks(groups=OF_PROPOSALS, frames=READ_FRAMES)]
                tables = blocks or [self._snapshot.tables(0, 0, OF_PROPOSALS)]
                self._points = join(tables, OF_PROPOSALS)["control_points"]
            points = self._points
            assert points is not None
            first, beyond = (
                np.searchsorted(points["frame_index"], number, side) for side in ("left", "right")
            )
            columns = [points[name][first:beyond] for name in ("x", "y", "lon", "lat")]
            return proposal_sha256(np.stack(columns, axis=-1).tolist())

    def photo(self, number: int) -> Path | None:
        """Path of the photo, if it still exists; see `regengine.store.file.photo_file`.

        KeyError if there is no such frame.
        """
        result = self.frame(number).result
        return photo_file(result.path, self._store, result.sha256, self._photos)

    def refresh(self) -> None:
        """Read what a run has written since; checks at most every few seconds."""
        with self._lock:
            # A run writes a part every ten seconds; 100,000 frames take a second or two
            if time.monotonic() - self._looked_s < 5.0:
                return
            self._looked_s = time.monotonic()
            if _signature(self._store) != self._signature:
                self._open()

    def close(self) -> None:
        """Close the store."""
        with self._lock:
            if self._snapshot is not None:
                self._snapshot.close()
                self.base.close()
                self._snapshot = None

    def _open(self) -> None:
        signature = _signature(self._store)
        snapshot = Snapshot(self._store)
        try:
            base = _load(snapshot)
        except BaseException:
            snapshot.close()
            raise
        self.close()
        self._snapshot, self._signature, self._looked_s = snapshot, signature, time.monotonic()
        self._points = None

        @lru_cache(KEPT_FRAMES)
        def read(number: int) -> StoredFrame:
            if number not in snapshot.frame_index:
                raise KeyError(number)
            (frame,) = make_frames(snapshot.tables(number, number + 1, OF_FRAMES), self._store)
            return frame

        self._read = read
        self.base = base


def _signature(store: Path) -> list[tuple[int, int, int] | None]:
    """File attributes that change when a run writes to the journal or merges it."""
    found: list[tuple[int, int, int] | None] = []
    for path in (store, journal_path(store)):
        try:
            state = os.stat(path)
            found.append((state.st_ino, state.st_mtime_ns, state.st_size))
        except OSError:
            found.append(None)
    return found


def edges_of(text: str) -> Bounds:
    """Parse ``west,south,east,north``, degrees; ValueError if it is not a box."""
    try:
        west, south, east, north = (float(edge) for edge in text.split(","))
    except ValueError:
        west = south = east = north = math.nan
    if not all(map(math.isfinite, (west, south, east, north))) or south > north:
        raise ValueError("write west,south,east,north in degrees, such as 130,30,146,46")
    return west, south, east, north


def _box(text: str) -> str:
    if text:
        edges_of(text)
    return text


class QueueFilter(BaseModel):
    """Filters of the frame list, from the query string; empty values do not filter."""

    id: Annotated[list[int], Field(max_length=500)] = []
    verdict: Texts = []
    reason: Texts = []
    category: Texts = []
    camera: Texts = []
    # The whole last day (or hour) is included
    date_from: Date = ""
    date_to: Date = ""
    # West, south, east, north, degrees, around a place that the photo shows, or the nadir if none
    # is known; west > east crosses the antimeridian
    bbox: Annotated[str, Field(max_length=100), AfterValidator(_box)] = ""
    # In the frame id, the path, or the name of the town or country, case-insensitive
    text: Annotated[str, Field(max_length=200)] = ""
    # "open": nobody decided, or it was marked on a sheet; "sheet": proposals that nobody decided;
    # "done": somebody did; "disputed": people differ; "dependent": accepted with points that
    # contain no information beyond their camera; "second": others decided, the reviewer has not yet
    status: Status = "all"
    tag: Annotated[str, Field(max_length=100)] = ""
    sort: Literal["doubt", "time", "name"] = "doubt"
    offset: Annotated[int, Field(ge=0, lt=2**63)] = 0
    limit: Annotated[int, Field(ge=0, le=500)] = 100


class Queue:
    """All frames and their status, from the store and from decisions, also of other processes.

    A decision counts only if the frame's photo is unchanged since. One thread may use it at a time.
    """

    def __init__(self, frames: ReviewFrames, decisions: Decisions, reviewer: str) -> None:
        self._frames, self._decisions, self._reviewer = frames, decisions, reviewer

    def update(self) -> Queue:
        """Read what was added to the store and to the decisions since."""
        self._frames.refresh()
        ((last,),) = self.ask("coalesce(max(revision), 0) FROM heads")
        added = [
            one
            for one in self._decisions.since(last)
            if one["decision"] != "glanced"
            or self._frames.proposal(one["frame_index"]) == one["proposal_sha256"]
        ]
        for change in (ADD_HEAD, JUDGE):
            self._frames.base.executemany(change, added)
        return self

    def choose(self, wanted: QueueFilter) -> dict[str, Any]:
        """A page of the frames that pass a filter, and the numbers of all, in order."""
        said: dict[str, Any] = {"reviewer": self._reviewer}
        for name, value in wanted:
            # Nothing is selected by an empty text
            is_list = isinstance(value, list)
            said[name] = json.dumps([one for one in value if one != ""]) if is_list else value
        said["text"] = wanted.text.casefold()
        if wanted.bbox:
            said |= zip(("west", "south", "east", "north"), edges_of(wanted.bbox), strict=True)
        filters = [f"({PASSING[name]})" for name, value in wanted if value and name in PASSING]
        passing = " AND ".join(["TRUE", *filters])
        ((n_passing, decided),) = self.ask(
            f"count(*), count(decision) FROM frames WHERE {passing}", **said
        )
        first = f"{MARKED} DESC, " if wanted.sort == "doubt" else ""
        chosen = f"{passing} AND {STATUSES[wanted.status]} ORDER BY {first}by_{wanted.sort}"
        # As text, which takes a tenth of the time of 100,000 rows
        numbers = f"(SELECT frame_index FROM frames WHERE {chosen})"  # noqa: S608
        ((text,),) = self.ask(f"json_group_array(frame_index) FROM {numbers}", **said)
        ids = json.loads(text)
        return {
            "total": len(ids),
            # Of the frames that pass the filter, the number that are decided
            "progress": {"all": n_passing, "decided": decided},
            "offset": wanted.offset,
            "frames": self.lines(ids[wanted.offset : wanted.offset + wanted.limit]),
            "ids": ids,
        }

    def lines(self, numbers: Sequence[int]) -> list[Line]:
        """Entries of the page's frame list."""
        chosen = "frame_index IN (SELECT value FROM json_each(:numbers))"
        these = f"*, {MARKED} AS marked FROM frames WHERE {chosen}"
        rows = {row["frame_index"]: row for row in self.ask(these, numbers=json.dumps(numbers))}
        return [self._line(rows[number]) for number in numbers]

    def _line(self, row: sqlite3.Row) -> Line:
        centre = [row["centre_lon"], row["centre_lat"]]
        numbers = ("probability", "log10_odds", "log10_lead", "sigma_m")
        return {
            "id": row["frame_index"],
            "frame": row["frame"],
            "verdict": row["verdict"],
            "reasons": json.loads(row["reasons"]),
            **{
                name: row[name] or None for name in ("category", "time_utc", "camera_body", "place")
            },
            **{name: row[name] for name in numbers},
            "centre": None if None in centre else centre,
            "orientation": row["orientation"],
            "version": row["sha256"][:VERSION_DIGITS],
            # What was marked on a sheet is still to be decided
            "decision": None if row["marked"] else row["decision"],
            "marked": row["decision"] if row["marked"] else None,
            "reviewers": row["reviewers"] or 0,
            "disputed": bool(row["disputed"]),
            "independent": row["independent"] != 0,
        }

    def facets(self) -> dict[str, Any]:
        """Number of frames per value of each filter, the most frequent first."""
        counts = {
            name: self.ask(
                f"{name}, count(*) FROM {rows} WHERE {name} != '' GROUP BY 1 ORDER BY 2 DESC, 1"
            )
            for name, rows in COUNTED.items()
        }
        times = "min(time_utc) AS first_time, max(time_utc) AS last_time FROM frames"
        (span,) = self.ask(f"{times} WHERE time_utc != ''")
        names = {"reasons": "reason", "camera_body": "camera"}
        return {names.get(name, name): dict(found) for name, found in counts.items()} | dict(span)

    def ask(self, selected: str, **said: Any) -> list[Any]:
        """Rows of a query on `TABLES`, of which only the ``said`` values are not our own."""
        return self._frames.base.execute(f"SELECT {selected}", said).fetchall()


@lru_cache(maxsize=4096)
def name_shown_by(camera: Camera) -> str | None:
    """Town (or sea) and country that a camera shows, escaped for display; None if unknown."""
    place = name_view(camera)
    return None if place is None else escape_invisible(place.label)
