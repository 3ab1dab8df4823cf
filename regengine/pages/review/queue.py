"""The frames under review: columns of up to 100,000 for the queue, and all data of single ones."""

from __future__ import annotations

import math
import os
import time
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from threading import RLock
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, Field

from matchers.geometry.camera import Camera
from matchers.geometry.footprint import Bounds
from regengine.io.html import escape_invisible
from regengine.maps.places import name_view
from regengine.store.file import photo_file
from regengine.store.journal import journal_path
from regengine.store.read import OF_FRAMES, Snapshot, make_frames
from regengine.store.reviews import Brief, Decisions
from regengine.store.rows import StoredFrame, Table, join
from regengine.store.schema import select

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
# Review order: proposals that need review; those that may be used without review; frames without a
# proposal; unreadable files
VERDICT_ORDER = ("review", "accepted", "no_match", "failed")
# Two probabilities are equivalent within this distance of 0 and 1, and within a hundredth
# elsewhere. Equivalent ones are ordered by the evidence behind them
READS_ALIKE = 0.005

Status = Literal["open", "done", "disputed", "dependent", "second", "all"]
Texts = Annotated[list[str], Field(max_length=64)]
# Prefix of an ISO 8601 time, UTC
Date = Annotated[str, Field(pattern=r"^(\d{4}(-\d{2}(-\d{2}(T[\d:.]{0,15}Z?)?)?)?)?$")]
# Number of leading digits of a photo's sha256 in the URLs of its pictures
VERSION_DIGITS = 16
LonLat = tuple[float, float]
PLACE = ("place", "country")


class FrameRows:
    """Columns of all frames of a store, in the order of their numbers.

    Besides those of the store there are ``shown_lon`` and ``shown_lat``, a place that the photo
    shows: its centre, or the centre of its control points if the centre is sky; ``log10_lead``,
    evidence for the proposal minus that for its runner-up; and ``sigma_m``, the greatest of the
    control points. They are NaN where there is none. Texts are UTF-8; times sort as text.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        blocks = [*snapshot.blocks(groups=OF_QUEUE, frames=READ_FRAMES)]
        tables = join(blocks or [snapshot.tables(0, 0, OF_QUEUE)], OF_QUEUE)
        table, points = tables["frames"], tables["control_points"]
        sky = ~np.isfinite(table["centre_lon"])
        of_points = np.searchsorted(table["frame_index"], points["frame_index"])
        sigma_m = np.full(len(sky), np.nan)
        np.fmax.at(sigma_m, of_points, points["sigma_m"])
        lon, lat = np.radians(points["lon"]), np.radians(points["lat"])
        # The centre of the control points
        x, y, z = (
            np.bincount(of_points, part, minlength=len(sky))
            for part in (np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat))
        )
        amid = np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))
        lon, lat = np.where(np.isfinite(sigma_m), amid, np.nan)
        self._table: Table = table | {
            "sigma_m": sigma_m,
            "shown_lon": np.where(sky, lon, table["centre_lon"]),
            "shown_lat": np.where(sky, lat, table["centre_lat"]),
            "log10_lead": table["log10_odds"] - table["runner_up_log10_odds"],
        }
        self._counts: dict[str, Counter[bytes]] = {}

    def __len__(self) -> int:
        return len(self["frame_index"])

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._table[name]

    def text(self, name: str, row: int) -> str:
        """One value of a text column, escaped for display."""
        return escape_invisible(self[name][row].decode())

    def counts(self, name: str) -> dict[str, int]:
        """Number of frames per text or, of ``reasons``, per code; the most frequent first."""
        found: Counter[str] = Counter()
        for text, number in self._count(name).items():
            for part in self._parts(name, text):
                found[part] += number
        return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))

    def have(self, name: str, wanted: Iterable[str]) -> NDArray[np.bool_]:
        """Which frames have one of the given texts in a column, or codes in ``reasons``."""
        those = set(wanted)
        texts = [one for one in self._count(name) if not those.isdisjoint(self._parts(name, one))]
        return np.isin(self[name], np.array(texts, dtype=self[name].dtype))

    def _count(self, name: str) -> Counter[bytes]:
        # A dictionary finds repeated texts in a tenth of the time that sorting takes
        if name not in self._counts:
            self._counts[name] = Counter(self[name].tolist())
        return self._counts[name]

    @staticmethod
    def _parts(name: str, text: bytes) -> list[str]:
        shown = escape_invisible(text.decode())
        return [one for one in (shown.split(",") if name == "reasons" else [shown]) if one]

    @cached_property
    def searched(self) -> list[str]:
        """Frame id, path, place and country of each frame in lower case, for text search."""
        texts = (self[name].tolist() for name in ("frame", "path", "place", "country"))
        return [
            f"{a.decode()}\n{b.decode()}\n{c.decode()}, {d.decode()}".casefold()
            for a, b, c, d in zip(*texts, strict=True)
        ]

    @cached_property
    def by_time(self) -> NDArray[np.int64]:
        """Rows, the oldest photo first, those without a time last."""
        return np.lexsort((self["time_utc"], self["time_utc"] == b""))

    @property
    def by_time_known(self) -> NDArray[np.int64]:
        """Rows, the oldest photo first, without those of unknown time."""
        return self.by_time[: np.count_nonzero(self["time_utc"] != b"")]

    @cached_property
    def by_doubt(self) -> NDArray[np.int64]:
        """Rows, the most doubtful frame first.

        A proposal is more doubtful the closer its probability is to one half: a review is most
        informative there. Equivalent probabilities are ordered by the lead over the runner-up, the
        odds against chance and the precision of the points. Frames without a proposal follow all
        proposals, and among them, those that hardly show city lights come last.
        """
        rank = np.full(len(self), len(VERDICT_ORDER))
        for number, verdict in enumerate(VERDICT_ORDER):
            rank[self["verdict"] == verdict.encode()] = number
        likely = np.nan_to_num(self["probability"], nan=0.5).clip(READS_ALIKE, 1.0 - READS_ALIKE)
        certainty = np.abs(np.round(likely, 2) - 0.5)
        nothing = self.have("reasons", ["not_a_night_city_frame"])
        evidence = -self["sigma_m"], self["log10_odds"], self["log10_lead"]
        return np.lexsort((*evidence, certainty, nothing, rank))

    @cached_property
    def by_name(self) -> NDArray[np.int64]:
        """Rows, sorted by frame id."""
        return np.argsort(self["frame"], kind="stable")

    def rows_of(self, numbers: Sequence[int]) -> NDArray[np.int64]:
        """Rows of the frames with the given numbers that exist in the store."""
        wanted = np.unique(np.array(numbers, dtype=np.int64))
        rows = np.searchsorted(self["frame_index"], wanted)
        rows = rows[rows < len(self)]
        return rows[np.isin(self["frame_index"][rows], wanted, assume_unique=True)]


class ReviewFrames:
    """Reader of a store for the review; thread-safe.

    A run may be writing the store: `refresh` reads what it added. ``rows`` are the columns of all
    frames. Photos that have moved are searched for in ``photos``, too. StoreError if there is no
    store or it cannot be read, also from `frame` and `refresh`.
    """

    def __init__(self, store: Path, photos: Path | None = None) -> None:
        self._store, self._photos = store, photos
        self._lock = RLock()
        self._kept: OrderedDict[int, StoredFrame] = OrderedDict()
        self._snapshot: Snapshot | None = None
        self._looked_s = 0.0
        self.rows: FrameRows
        self._open()

    def frame(self, number: int) -> StoredFrame:
        """Read a frame by number, without its detections; KeyError if there is none."""
        with self._lock:
            if number not in self._kept:
                if self._snapshot is None or number not in self.rows["frame_index"]:
                    raise KeyError(number)
                tables = self._snapshot.tables(number, number + 1, OF_FRAMES)
                (self._kept[number],) = make_frames(tables, self._store)
                while len(self._kept) > KEPT_FRAMES:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(number)
            return self._kept[number]

    def photo(self, number: int) -> Path | None:
        """Path of the photo, if it still exists; see `regengine.store.file.photo_file`.

        KeyError if there is no such frame.
        """
        result = self.frame(number).result
        return photo_file(result.path, self._store, result.sha256, self._photos)

    def refresh(self) -> None:
        """Read what a run has written since; checks at most every few seconds."""
        with self._lock:
            # A run writes a part every ten seconds; 100,000 frames are read again in less than one
            # second
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
                self._snapshot = None

    def _open(self) -> None:
        signature = _signature(self._store)
        snapshot = Snapshot(self._store)
        try:
            rows = FrameRows(snapshot)
        except BaseException:
            snapshot.close()
            raise
        self.close()
        self._snapshot, self._signature, self._looked_s = snapshot, signature, time.monotonic()
        self._kept.clear()
        self.rows = rows


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


class Standings:
    """Each person's latest decision on every frame, newest first, by row, as of the last `update`.

    Follows the decisions, also of other processes: each update reads only new ones. A decision
    counts only if the frame's photo is unchanged since.
    """

    def __init__(self, decisions: Decisions, reviewer: str) -> None:
        self._decisions = decisions
        self._reviewer = reviewer
        self._last = 0
        # By number, then by reviewer and photo
        self._briefs: defaultdict[int, dict[tuple[str, str], Brief]] = defaultdict(dict)
        self._rows: FrameRows | None = None
        self.heads: dict[int, list[Brief]] = {}

    def update(self, rows: FrameRows) -> None:
        """Read new decisions."""
        touched = set()
        for brief in self._decisions.since(self._last):
            self._briefs[brief.frame_index][brief.reviewer, brief.sha256] = brief
            touched.add(brief.frame_index)
            self._last = brief.revision
        if rows is not self._rows:
            self._rows, self.heads, touched = rows, {}, set(self._briefs)
        for row in rows.rows_of(list(touched)).tolist():
            sha256 = rows["sha256"][row].decode()
            briefs = self._briefs[int(rows["frame_index"][row])]
            found = [brief for (_, judged), brief in briefs.items() if judged == sha256]
            if found:
                self.heads[row] = sorted(found, key=lambda head: -head.revision)

    def rows_with(self, status: str) -> NDArray[np.bool_]:
        """Which frames have a status, one of `QueueFilter`."""
        if status == "disputed":
            return self._mark(row for row, heads in self.heads.items() if is_disputed(heads))
        if status == "dependent":
            return self._mark(r for r, heads in self.heads.items() if not heads[0].independent)
        if status == "second":
            return self._mark(
                row
                for row, heads in self.heads.items()
                if all(head.reviewer != self._reviewer for head in heads)
            )
        decided = self._mark(self.heads)
        return decided if status == "done" else ~decided

    def rows_tagged(self, tag: str) -> NDArray[np.bool_]:
        """Which frames have a tag."""
        return self._mark(
            row for row, heads in self.heads.items() if any(tag in head.tags for head in heads)
        )

    def _mark(self, rows: Iterable[int]) -> NDArray[np.bool_]:
        found = np.zeros(0 if self._rows is None else len(self._rows), bool)
        found[list(rows)] = True
        return found

    def count_tags(self) -> dict[str, int]:
        """Number of frames per tag, the most frequent first."""
        tags = Counter(
            tag
            for heads in self.heads.values()
            for tag in {tag for head in heads for tag in head.tags}
        )
        return dict(sorted(tags.items(), key=lambda pair: (-pair[1], pair[0])))


def is_disputed(heads: Iterable[Brief]) -> bool:
    """Whether the latest decisions of people differ."""
    return len({head.decision for head in heads}) > 1


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
    # "open": nobody decided; "done": somebody did; "disputed": people differ; "dependent": accepted
    # with points that contain no information beyond their camera; "second": others decided, the
    # reviewer has not yet
    status: Status = "all"
    tag: Annotated[str, Field(max_length=100)] = ""
    sort: Literal["doubt", "time", "name"] = "doubt"
    offset: Annotated[int, Field(ge=0, lt=2**63)] = 0
    limit: Annotated[int, Field(ge=0, le=500)] = 100


class Queue:
    """All frames and their status as of one moment; rows are those of the columns."""

    def __init__(self, frames: ReviewFrames, standings: Standings) -> None:
        frames.refresh()
        self.rows, self.standings, self._frames = frames.rows, standings, frames
        standings.update(self.rows)

    def chosen(self, wanted: QueueFilter, keep: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Rows of the frames that pass and have the requested status, in display order."""
        if wanted.status != "all":
            keep = keep & self.standings.rows_with(wanted.status)
        order: NDArray[np.int64] = getattr(self.rows, f"by_{wanted.sort}")
        return order[keep[order]]

    def passing(self, wanted: QueueFilter) -> NDArray[np.bool_]:
        """Which frames pass a filter, regardless of review status."""
        rows = self.rows
        keep = np.ones(len(rows), bool)
        if wanted.id:
            keep &= np.isin(rows["frame_index"], wanted.id)
        if wanted.verdict:
            keep &= rows.have("verdict", wanted.verdict)
        if wanted.reason:
            keep &= rows.have("reasons", wanted.reason)
        if wanted.category:
            keep &= rows.have("category", wanted.category)
        if wanted.camera:
            keep &= rows.have("camera_body", wanted.camera)
        if wanted.date_from or wanted.date_to:
            keep &= rows["time_utc"] != b""
        if wanted.date_from:
            keep &= rows["time_utc"] >= wanted.date_from.encode()
        if wanted.date_to:
            keep &= rows["time_utc"] <= wanted.date_to.encode() + b"\xff"
        if wanted.bbox:
            west, south, east, north = edges_of(wanted.bbox)
            lon = np.where(np.isfinite(rows["shown_lon"]), rows["shown_lon"], rows["nadir_lon"])
            lat = np.where(np.isfinite(rows["shown_lon"]), rows["shown_lat"], rows["nadir_lat"])
            after, before = lon >= west, lon <= east
            keep &= after & before if west <= east else after | before
            keep &= (lat >= south) & (lat <= north)
        if wanted.text:
            sought = wanted.text.casefold()
            keep &= np.array([sought in text for text in rows.searched], bool)
        if wanted.tag:
            keep &= self.standings.rows_tagged(wanted.tag)
        return keep

    def line(self, row: int) -> dict[str, Any]:
        """One entry of the page's frame list."""
        rows, heads = self.rows, self.standings.heads.get(row, [])
        lon, lat = float(rows["centre_lon"][row]), float(rows["centre_lat"][row])
        codes = rows.text("reasons", row)
        texts = ("category", "time_utc", "camera_body")
        numbers = ("probability", "log10_odds", "log10_lead", "sigma_m")
        return {
            "id": int(rows["frame_index"][row]),
            "frame": rows.text("frame", row),
            "verdict": rows.text("verdict", row),
            "reasons": codes.split(",") if codes else [],
            **{name: rows.text(name, row) or None for name in texts},
            **{name: float(rows[name][row]) for name in numbers},
            "centre": [lon, lat] if math.isfinite(lon) and math.isfinite(lat) else None,
            "place": self._name_place(row),
            "orientation": int(rows["orientation"][row]),
            "version": rows.text("sha256", row)[:VERSION_DIGITS],
            "decision": heads[0].decision if heads else None,
            "reviewers": len(heads),
            "disputed": is_disputed(heads),
            "independent": not heads or heads[0].independent,
        }

    def _name_place(self, row: int) -> str | None:
        """Town (or sea) and country that a frame shows; None if there is none."""
        rows = self.rows
        if stored := ", ".join(filter(None, (rows.text(name, row) for name in PLACE))):
            return stored
        if math.isnan(rows["shown_lon"][row]):
            return None
        # Stores of earlier formats have no names
        solved = self._frames.frame(int(rows["frame_index"][row])).result.solved
        return None if solved is None else name_shown_by(solved.camera)

    def facets(self) -> dict[str, Any]:
        """Number of frames per value of each filter."""
        rows = self.rows
        known = rows["time_utc"][rows.by_time_known]
        return {
            "verdict": rows.counts("verdict"),
            "reason": rows.counts("reasons"),
            "category": rows.counts("category"),
            "camera": rows.counts("camera_body"),
            "tag": self.standings.count_tags(),
            "first_time": known[0].decode() if len(known) else None,
            "last_time": known[-1].decode() if len(known) else None,
        }


@lru_cache(maxsize=4096)
def name_shown_by(camera: Camera) -> str | None:
    """Town (or sea) and country that a camera shows, escaped for display; None if unknown."""
    place = name_view(camera)
    return None if place is None else escape_invisible(place.label)
