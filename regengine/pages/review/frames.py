"""Access to the frames under review: columns for up to 100,000 frames, and single frames."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regengine.io.html import escape_invisible
from regengine.store.file import photo_file
from regengine.store.journal import journal_path
from regengine.store.read import OF_FRAMES, Snapshot, make_frames
from regengine.store.rows import StoredFrame, Table, join
from regengine.store.schema import select

KEPT_FRAMES = 256
# A run writes a part every ten seconds; 100,000 frames are read again in less than one second
LOOK_AGAIN_S = 5.0
READ_FRAMES = 131072  # number of frames read at once for the columns
CODED = ("verdict", "reasons", "category", "camera_body")
ODDS = ("log10_odds", "runner_up_log10_odds")
PLAIN = (
    "frame",
    "path",
    "sha256",
    "place",
    "country",
    "probability",
    "time_utc",
    "orientation",
    *ODDS,
)
PLACES = ("nadir_lon", "nadir_lat", "centre_lon", "centre_lat")
OF_QUEUE = select(
    *(f"frames/{name}" for name in (*PLAIN, *CODED, *PLACES)),
    "control_points/lon",
    "control_points/lat",
    "control_points/sigma_m",
)
# Review order: proposals that need review; those that may be used without review; frames without a
# proposal; unreadable files
VERDICT_ORDER = ("review", "accepted", "no_match", "failed")
# Reasons after which no position can be found
NOTHING_THERE = ("not_a_night_city_frame",)
# Two probabilities are equivalent within this distance of 0 and 1, and within a hundredth
# elsewhere. Equivalent ones are ordered by the evidence behind them
READS_ALIKE = 0.005


@dataclass(frozen=True, kw_only=True, eq=False)
class Coded:
    """A text column with few distinct values, stored as codes."""

    codes: NDArray[np.int32]  # shape (frames,): index of each frame's text
    texts: list[str]  # the texts; "" for no value

    def __getitem__(self, row: int) -> str:
        return self.texts[self.codes[row]]

    def are(self, wanted: Sequence[str]) -> NDArray[np.bool_]:
        """Which frames have one of the given texts."""
        return np.array([text in wanted for text in self.texts], bool)[self.codes]

    def hold(self, wanted: Sequence[str]) -> NDArray[np.bool_]:
        """Which frames have one of the given words in their comma-separated text."""
        words = set(wanted)
        found = [not words.isdisjoint(text.split(",")) for text in self.texts]
        return np.array(found, bool)[self.codes]

    def counts(self) -> dict[str, int]:
        """Number of frames per text, the most frequent first; empty texts are excluded."""
        tally = np.bincount(self.codes, minlength=len(self.texts)).tolist()
        pairs = [(text, number) for text, number in zip(self.texts, tally, strict=True) if text]
        return dict(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameColumns:
    """Columns of all frames, in the order of their numbers."""

    frame_index: NDArray[np.int64]
    # UTF-8; times sort as text
    frame: NDArray[Any]
    path: NDArray[Any]
    sha256: NDArray[Any]
    time_utc: NDArray[Any]
    # What the photo shows; both empty in stores of earlier versions
    place: NDArray[Any]
    country: NDArray[Any]
    # Reasons are comma-separated codes
    verdict: Coded
    reasons: Coded
    category: Coded
    camera_body: Coded
    # Degrees; NaN if unknown
    probability: NDArray[np.float64]
    nadir_lon: NDArray[np.float64]
    nadir_lat: NDArray[np.float64]
    centre_lon: NDArray[np.float64]
    centre_lat: NDArray[np.float64]
    # A place that the photo shows: its centre, or the centre of its control points if the centre is
    # sky
    shown_lon: NDArray[np.float64]
    shown_lat: NDArray[np.float64]
    orientation: NDArray[np.int32]  # EXIF
    # Evidence for the proposal, and for the best distinct alternative; NaN if there is none
    log10_odds: NDArray[np.float64]
    runner_up_log10_odds: NDArray[np.float64]
    # Greatest sigma of the control points on the ground; NaN without points
    sigma_m: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.frame_index)

    @cached_property
    def searched(self) -> list[str]:
        """Frame id and path of each frame in lower case, for text search."""
        pairs = zip(self.frame.tolist(), self.path.tolist(), strict=True)
        return [f"{a.decode()}\n{b.decode()}".casefold() for a, b in pairs]

    @cached_property
    def by_doubt(self) -> NDArray[np.int64]:
        """Rows, the most doubtful frame first.

        A proposal is more doubtful the closer its probability is to one half: a review is most
        informative there. Equivalent probabilities are ordered by the lead over the runner-up, the
        odds against chance and the precision of the points. Frames without a proposal follow all
        proposals, and among them, those that hardly show city lights come last.
        """
        ranks = [
            VERDICT_ORDER.index(verdict) if verdict in VERDICT_ORDER else len(VERDICT_ORDER)
            for verdict in self.verdict.texts
        ]
        rank = np.array(ranks, dtype=np.int64)[self.verdict.codes]
        likely = np.nan_to_num(self.probability, nan=0.5).clip(READS_ALIKE, 1.0 - READS_ALIKE)
        certainty = np.abs(np.round(likely, 2) - 0.5)
        nothing = self.reasons.hold(NOTHING_THERE)
        return np.lexsort(
            (-self.sigma_m, self.log10_odds, self.log10_lead, certainty, nothing, rank)
        )

    @cached_property
    def log10_lead(self) -> NDArray[np.float64]:
        """Evidence for each proposal minus that for its runner-up; NaN if there is none."""
        return self.log10_odds - self.runner_up_log10_odds

    @cached_property
    def by_time(self) -> NDArray[np.int64]:
        """Rows, the oldest photo first, those without a time last."""
        return np.lexsort((self.time_utc, self.time_utc == b""))

    @cached_property
    def by_time_known(self) -> NDArray[np.int64]:
        """Rows, the oldest photo first, without those of unknown time."""
        return self.by_time[: np.count_nonzero(self.time_utc != b"")]

    @cached_property
    def by_name(self) -> NDArray[np.int64]:
        """Rows, sorted by frame id."""
        return np.argsort(self.frame, kind="stable")

    def text(self, name: str, row: int) -> str:
        """One value of a text column, escaped for display."""
        return escape_invisible(getattr(self, name)[row].decode())

    def rows_of(self, numbers: Sequence[int]) -> NDArray[np.int64]:
        """Rows of the frames with the given numbers that exist in the store."""
        wanted = np.unique(np.array(numbers, dtype=np.int64))
        rows = np.searchsorted(self.frame_index, wanted)
        rows = rows[rows < len(self)]
        return rows[np.isin(self.frame_index[rows], wanted, assume_unique=True)]


def read_columns(snapshot: Snapshot) -> FrameColumns:
    """Read the columns from a store."""
    blocks = [*snapshot.blocks(groups=OF_QUEUE, frames=READ_FRAMES)]
    tables = join(blocks or [snapshot.tables(0, 0, OF_QUEUE)], OF_QUEUE)
    table: dict[str, Any] = {**tables["frames"]}
    sky = ~np.isfinite(table["centre_lon"])
    lon, lat = _amid_points(table["frame_index"], sky, tables["control_points"])
    of_points = np.searchsorted(table["frame_index"], tables["control_points"]["frame_index"])
    table["sigma_m"] = np.full(len(sky), np.nan)
    np.fmax.at(table["sigma_m"], of_points, tables["control_points"]["sigma_m"])
    table["shown_lon"] = np.where(sky, lon, table["centre_lon"])
    table["shown_lat"] = np.where(sky, lat, table["centre_lat"])
    return FrameColumns(**table | {name: _encode_texts(table[name]) for name in CODED})


def _amid_points(
    frame_index: NDArray[np.int64], wanted: NDArray[np.bool_], points: Table
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre of the control points of some frames, longitude and latitude; NaN without points."""
    rows = np.searchsorted(frame_index, points["frame_index"])
    used = np.append(wanted, False)[rows]
    rows, lon, lat = rows[used], np.radians(points["lon"][used]), np.radians(points["lat"][used])
    x, y, z = (
        np.bincount(rows, part, minlength=len(frame_index))
        for part in (np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat))
    )
    has = np.bincount(rows, minlength=len(frame_index)) > 0
    amid = np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))
    return np.where(has, np.degrees(amid[0]), np.nan), np.where(has, np.degrees(amid[1]), np.nan)


def _encode_texts(values: NDArray[Any]) -> Coded:
    # A dictionary finds repeated texts in a tenth of the time that sorting takes
    known: dict[bytes, int] = {}
    codes = [known.setdefault(text, len(known)) for text in values.tolist()]
    texts = [escape_invisible(text.decode()) for text in known]
    return Coded(codes=np.array(codes, dtype=np.int32), texts=texts)


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
        self.rows: FrameColumns
        self._open()

    def frame(self, number: int) -> StoredFrame:
        """Read a frame by number, without its detections; KeyError if there is none."""
        with self._lock:
            if number not in self._kept:
                if self._snapshot is None or number not in self.rows.frame_index:
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
            if time.monotonic() - self._looked_s < LOOK_AGAIN_S:
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
            rows = read_columns(snapshot)
        except BaseException:
            snapshot.close()
            raise
        self.close()
        self._snapshot, self._signature, self._looked_s = snapshot, signature, time.monotonic()
        self._kept.clear()
        self.rows = rows


def _signature(store: Path) -> tuple[tuple[int, int, int] | None, ...]:
    """File attributes that change when a run writes to the journal or merges it."""
    return tuple(_state(path) for path in (store, journal_path(store)))


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
