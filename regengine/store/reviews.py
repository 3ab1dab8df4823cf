"""What people decided of a store's frames: added, never changed, kept beside the store.

With it lies unfinished work. What counts of it, for exports, is told by `read_reviews`.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from threading import RLock
from typing import Any, Literal, NamedTuple

import numpy as np

from detectors.constants import HEIGHT_RANGE_KM
from detectors.types import FloatArray
from matchers.geometry.camera import Camera, is_turned
from matchers.geometry.earth import ecef_to_geodetic
from matchers.geometry.footprint import trace_visible_outline
from regengine.errors import ConfigError, StoreError
from regengine.io.times import utc_now
from regengine.result import MIN_POINTS, FrameResult, ReviewedPoint
from regengine.store.read import iter_blocks
from regengine.store.schema import select

Choice = Literal["accepted", "rejected", "unsure"]
Work = dict[str, Any]  # camera, points, hypothesis, comment, tags, quality, place, given: JSON

APPLICATION_ID = 0x52454752  # "REGR"
FORMAT_VERSION = 1
# Another process writes for milliseconds; a slow disk may make it seconds
BUSY_S = 10.0
LONGEST_NAME = 80  # of a reviewer
READ_FRAMES = 4096
GROUND_PER_SIDE = 17  # looks for ground in a photo
# Origins of points that a person stands behind
CONFIRMED = ("person", "snap", "confirmed")
# No hand, and no pixel of a screen, puts a point as near to where its camera has it
FOLLOWS_PX = 0.05
STATE = select(
    *(f"frames/{name}" for name in ("sha256", "width_px", "height_px")),
    *(f"control_points/{name}" for name in ("x", "y", "lon", "lat")),
)

# Decisions are added and never changed: triggers refuse everything else
SCHEMA = f"""
BEGIN IMMEDIATE;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT_VERSION};
CREATE TABLE IF NOT EXISTS decisions (
    revision INTEGER PRIMARY KEY AUTOINCREMENT,
    frame_index INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    time_utc TEXT NOT NULL,
    decision TEXT NOT NULL CHECK (decision IN ('accepted', 'rejected', 'unsure')),
    base INTEGER NOT NULL,
    seconds REAL,
    verdict TEXT NOT NULL,
    probability REAL,
    proposal_sha256 TEXT NOT NULL,
    work TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS decisions_of_frame ON decisions (frame_index, reviewer, revision);
CREATE TRIGGER IF NOT EXISTS decisions_stay BEFORE UPDATE ON decisions
    BEGIN SELECT RAISE(ABORT, 'decisions are not changed'); END;
CREATE TRIGGER IF NOT EXISTS decisions_remain BEFORE DELETE ON decisions
    BEGIN SELECT RAISE(ABORT, 'decisions are not deleted'); END;
CREATE TABLE IF NOT EXISTS drafts (
    frame_index INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    time_utc TEXT NOT NULL,
    work TEXT NOT NULL,
    PRIMARY KEY (frame_index, reviewer)
);
COMMIT;
"""


def decisions_path(store: Path) -> Path:
    """Where the decisions on a store's frames lie: ``run.h5.review.sqlite`` beside ``run.h5``."""
    return store.with_name(f"{store.name}.review.sqlite")


def reviewer_name(given: str | None) -> str:
    """Under which name decisions are kept; the user's on this machine for None.

    ConfigError if there is none, or it is no name.
    """
    name = given
    if name is None:
        try:
            name = getpass.getuser()
        except (OSError, KeyError):  # a user without an entry, as in containers
            name = ""
    name = name.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise ConfigError(
            f"--reviewer: give the reviewer's name, in at most {LONGEST_NAME} letters."
        )
    return name


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a decision is about: the photo, and what the engine said of it then."""

    frame_index: int
    sha256: str
    verdict: str
    probability: float | None
    proposal_sha256: str


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One decision of one person, as it was saved: `work` is what the page sent.

    Times are ISO 8601, UTC; `seconds` is how long the frame was in view; `base` is the reviewer's
    latest revision of the frame that the page knew, 0 for none.
    """

    revision: int  # counts all decisions of the file
    judged: Judged
    reviewer: str
    time_utc: str
    decision: Choice
    base: int
    seconds: float | None
    work: Work


class Brief(NamedTuple):
    """A decision without the work."""

    revision: int
    frame_index: int
    sha256: str
    reviewer: str
    decision: Choice
    tags: tuple[str, ...]
    independent: bool  # see `is_independent`


class Decisions:
    """Decisions and drafts in an SQLite file; safe to use from several threads and processes.

    The file, see `decisions_path`, is made where there is none; with ``readonly`` nothing is
    written, and a file that is not there counts as empty. StoreError if the file cannot be used; of
    every method, too.
    """

    def __init__(self, path: Path, readonly: bool = False) -> None:
        self._path = path
        self._connection = _open_file(path, readonly=readonly)
        self._lock = RLock()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def save(
        self,
        judged: Judged,
        reviewer: str,
        decision: Choice,
        work: Work,
        *,
        base: int = 0,
        seconds: float | None = None,
    ) -> tuple[Decision, Decision | None]:
        """Add a decision; the reviewer's draft of the frame goes.

        The same decision once more adds nothing: its answer was lost when the server ended.
        ``base`` is the reviewer's latest revision of this frame that the page knew, 0 for none;
        ``seconds`` is how long the frame was in view. Gives what was saved, and a decision of the
        same reviewer that the page had not seen, if any.
        """
        work = json.loads(json.dumps(work))  # as it is read again
        with self._write_whole() as connection:
            about = "frame_index = ? AND sha256 = ? AND reviewer = ?"
            before = self._heads(about, judged.frame_index, judged.sha256, reviewer)
            for head in before:
                told = (head.judged, head.decision, head.seconds, head.work, head.base)
                if told == (judged, decision, seconds, work, base):
                    return head, None
            row = vars(judged) | {
                "reviewer": reviewer,
                "time_utc": utc_now(),
                "decision": decision,
                "base": base,
                "seconds": seconds,
                "work": json.dumps(work),
            }
            names = ", ".join(row)
            marks = ", ".join(f":{name}" for name in row)
            added = connection.execute(
                f"INSERT INTO decisions ({names}) VALUES ({marks}) RETURNING *",  # noqa: S608
                row,
            )
            saved = _decision(added.fetchone())
            _delete_draft(connection, judged.frame_index, reviewer)
        unseen = [head for head in before if head.revision != base]
        return saved, unseen[0] if unseen else None

    def heads(self, frame_index: int, sha256: str) -> list[Decision]:
        """The latest decision of each reviewer on a photo, newest first."""
        with self._read():
            return self._heads("frame_index = ? AND sha256 = ?", frame_index, sha256)

    def all_heads(self) -> list[Decision]:
        """The latest decision of each reviewer on every photo, newest first."""
        with self._read():
            return self._heads("TRUE")

    def history(self, frame_index: int, sha256: str) -> list[Decision]:
        """All decisions on a photo, newest first."""
        with self._read():
            return self._select("frame_index = ? AND sha256 = ?", frame_index, sha256)

    def keep_draft(self, frame_index: int, sha256: str, reviewer: str, work: Work) -> str:
        """Keep unfinished work in place of what was there; when it was kept (ISO 8601, UTC)."""
        now = utc_now()
        with self._write_whole() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO drafts VALUES (?, ?, ?, ?, ?)",
                (frame_index, sha256, reviewer, now, json.dumps(work)),
            )
        return now

    def draft(self, frame_index: int, sha256: str, reviewer: str) -> Work | None:
        """Unfinished work on a photo, if there is any."""
        with self._read() as connection:
            row = connection.execute(
                "SELECT work FROM drafts WHERE frame_index = ? AND sha256 = ? AND reviewer = ?",
                (frame_index, sha256, reviewer),
            ).fetchone()
        return None if row is None else json.loads(row[0])

    def drop_draft(self, frame_index: int, reviewer: str) -> None:
        """Forget unfinished work."""
        with self._write_whole() as connection:
            _delete_draft(connection, frame_index, reviewer)

    def since(self, revision: int) -> list[Brief]:
        """What was decided after a revision, oldest first; quick for many."""
        with self._read() as connection:
            rows = connection.execute(
                "SELECT revision, frame_index, sha256, reviewer, decision, "
                "json_extract(work, '$.tags'), "
                # Few have such points, and only their work is read
                "CASE WHEN decision = 'accepted' AND EXISTS (SELECT 1 FROM "
                "json_each(work, '$.points') WHERE json_extract(value, '$.origin') = 'person' "
                "AND json_extract(value, '$.by_hand') IS NOT TRUE) THEN work END "
                "FROM decisions WHERE revision > ? ORDER BY revision",
                (revision,),
            ).fetchall()
        return [
            Brief(
                *about,  # type: ignore[misc]
                tags=tuple(json.loads(tags or "[]")),
                independent=doubtful is None or is_independent("accepted", json.loads(doubtful)),
            )
            for *about, tags, doubtful in rows
        ]

    def _heads(self, where: str, *values: object) -> list[Decision]:
        # Conditions are this module's own words; what comes from outside is bound
        return self._select(
            f"revision IN (SELECT max(revision) FROM decisions WHERE {where} "  # noqa: S608
            "GROUP BY frame_index, sha256, reviewer)",
            *values,
        )

    def _select(self, where: str, *values: object) -> list[Decision]:
        question = f"SELECT * FROM decisions WHERE {where} ORDER BY revision DESC"  # noqa: S608
        return [_decision(row) for row in self._connection.execute(question, values)]

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                if _is_locked(error):
                    raise _in_use(self._path) from error
                raise StoreError(f"{self._path} cannot be read ({error}).") from error

    @contextmanager
    def _write_whole(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is on the disk, or none."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                with self._connection:
                    yield self._connection
            except sqlite3.Error as error:
                if _is_locked(error):
                    raise _in_use(self._path) from error
                raise StoreError(
                    f"{self._path} cannot be written ({error}): nothing was saved; check its "
                    "permissions and the free disk space."
                ) from error


def _delete_draft(connection: sqlite3.Connection, frame_index: int, reviewer: str) -> None:
    connection.execute(
        "DELETE FROM drafts WHERE frame_index = ? AND reviewer = ?", (frame_index, reviewer)
    )


def _decision(row: sqlite3.Row) -> Decision:
    values = dict(row) | {"work": json.loads(row["work"])}
    judged = Judged(**{one.name: values.pop(one.name) for one in fields(Judged)})
    return Decision(judged=judged, **values)


def _open_file(path: Path, *, readonly: bool) -> sqlite3.Connection:
    """Open the file, making it where there is none."""
    there = path.exists() and path.stat().st_size > 0
    address = path.absolute().as_uri()
    try:
        if not readonly:
            connection = _connect(f"{address}?mode=rwc", path)
            # What was answered to the page is on the disk, also after a power cut
            connection.executescript(
                f"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; {SCHEMA}"
            )
        elif there:
            try:
                connection = _connect(f"{address}?mode=ro", path)
            except sqlite3.OperationalError as error:
                if _is_locked(error):
                    raise
                # Beside a file in a folder that is not writable there is no place for the shared
                # memory of a write-ahead log; nobody can be writing it there
                connection = _connect(f"{address}?mode=ro&immutable=1", path)
        else:
            connection = _connect(":memory:", path)
            connection.executescript(SCHEMA)
    except sqlite3.Error as error:
        if _is_locked(error):
            raise _in_use(path) from error
        raise StoreError(
            f"{path} cannot be used ({error}): it should be the file of decisions of regengine "
            "review; check its permissions (--readonly opens without it), or move it away to "
            "start a new one."
        ) from error
    return connection


def _is_locked(error: sqlite3.Error) -> bool:
    """Whether a database is sound, and another program kept it locked for `BUSY_S`."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF  # of an extended code
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _in_use(path: Path) -> StoreError:
    return StoreError(
        f"{path} is in use: another program has the decisions open; nothing was saved; close it "
        "there, then try again.",
        code="store_busy",
    )


def _connect(address: str, path: Path) -> sqlite3.Connection:
    """Open a database; StoreError if it is another program's, or a later version's."""
    connection = sqlite3.connect(
        address,
        uri=address.startswith("file:"),
        timeout=BUSY_S,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.row_factory = sqlite3.Row
    try:
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        (own,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if tables and own != APPLICATION_ID:
            raise StoreError(
                f"{path} is another program's database, where the decisions of this store would "
                "be saved: move it away."
            )
        if version > FORMAT_VERSION:
            raise StoreError(
                f"{path} has format {version}, newer than {FORMAT_VERSION}: use a newer regengine."
            )
    except BaseException:
        connection.close()
        raise
    return connection


@dataclass(frozen=True, kw_only=True)
class Reviewed:
    """The decision that counts for a frame: the latest of all reviewers."""

    frame_index: int
    decision: Choice
    reviewer: str
    time_utc: str  # when, ISO 8601
    # The camera that was decided on, with its control points: those that are not switched off
    camera: Camera | None
    points: tuple[ReviewedPoint, ...]
    comment: str
    tags: tuple[str, ...]
    quality: int | None  # 0 (useless) to 5 (excellent)
    # name, country, lon, lat and population of a place that the person named.
    place: dict[str, Any] | None
    disputed: bool  # whether the latest decisions of two people differ
    stale: bool  # whether the engine proposes something else by now
    independent: bool  # see `is_independent`
    size_px: tuple[int, int]  # of the photo


def read_reviews(store: Path) -> dict[int, Reviewed]:
    """What people decided of a store's frames, by their numbers, ascending.

    Decisions on a photo that the store does not have under the same number any more are left out;
    empty where nobody decided anything. StoreError if the store or the file beside it cannot be
    read.
    """
    if not decisions_path(store).exists():
        return {}
    heads: defaultdict[tuple[int, str], list[Decision]] = defaultdict(list)
    with closing(Decisions(decisions_path(store), readonly=True)) as decisions:
        for head in decisions.all_heads():
            heads[head.judged.frame_index, head.judged.sha256].append(head)
    if not heads:
        return {}
    found = {}
    for tables in iter_blocks(store, STATE, READ_FRAMES):
        frames, points = tables["frames"], tables["control_points"]
        places = np.stack([points[name] for name in ("x", "y", "lon", "lat")], axis=-1)
        numbers = frames["frame_index"]
        first, beyond = (
            np.searchsorted(points["frame_index"], numbers, s) for s in ("left", "right")
        )
        for row in np.flatnonzero(np.isin(numbers, [number for number, _ in heads])).tolist():
            judged = int(numbers[row]), frames["sha256"][row].decode()
            if judged in heads:
                proposal = _proposal_sha256(places[first[row] : beyond[row]].tolist())
                size_px = int(frames["width_px"][row]), int(frames["height_px"][row])
                found[judged[0]] = _make_reviewed(heads[judged], proposal, size_px)
    return found


def find_unsound(store: Path) -> list[tuple[int, str]]:
    """Number of the frame and what is wrong, of decisions that count and cannot be as they are.

    StoreError if the store or the file beside it cannot be read.
    """
    found = []
    for number, one in read_reviews(store).items():
        if one.decision == "accepted":
            try:
                check_work(((point.x, point.y) for point in one.points), one.camera, one.size_px)
            except ConfigError as error:
                found.append((number, str(error)))
    return found


def check_work(
    pixels: Iterable[tuple[float, float]], camera: Camera | None, size_px: tuple[int, int]
) -> None:
    """Refuse points outside of a photo, and cameras that no station carries: ConfigError."""
    width_px, height_px = size_px
    for x, y in pixels:
        if not (-0.5 <= x <= width_px - 0.5 and -0.5 <= y <= height_px - 0.5):
            raise ConfigError(
                f"pixel ({x:.1f}, {y:.1f}) is outside the photo of {width_px} x {height_px} pixels"
            )
    if camera is None:
        return
    height_km = float(ecef_to_geodetic(camera.position_ecef_m)[2]) / 1e3
    if not HEIGHT_RANGE_KM[0] <= height_km <= HEIGHT_RANGE_KM[1]:
        side = "below" if height_km < 0.0 else "above"
        raise ConfigError(
            f"the camera is {abs(height_km):,.0f} km {side} the ground, where no station is"
        )
    with np.errstate(all="ignore"):
        if not is_turned(camera) or not len(trace_visible_outline(camera, GROUND_PER_SIDE)[0]):
            raise ConfigError("the camera shows no ground")


def is_independent(decision: Choice, work: Work) -> bool:
    """Whether a decision rests on more than its own camera.

    One that accepts confirmed points does not where some of them only repeat the camera, see
    `independent_pixels`, and fewer than `MIN_POINTS` do not: pages of earlier versions took its
    guesses for confirmations.
    """
    camera = _camera_of(work)
    if decision != "accepted" or camera is None:
        return True
    telling = independent_pixels(work["points"], camera)
    held = _pixels(_select_confirmed(work["points"]))
    return telling == held or len(telling) >= MIN_POINTS


def independent_pixels(
    points: Sequence[Mapping[str, Any]], camera: Camera
) -> set[tuple[float, float]]:
    """Pixels of the confirmed points that tell something which their camera does not say itself.

    ``points`` are those of a `Work`. Snapped ones do, and pairs as the engine measured them
    ("confirmed"), and what a hand put where it is, clicked or dragged (``by_hand``). Where that is
    not told, a point of a person does not if it lies where the camera has it. None does that is
    switched off.
    """
    held = _select_confirmed(points)
    away_px = off_camera_px(held, camera)
    return _pixels(
        point
        for point, away in zip(held, away_px.tolist(), strict=True)
        if point["origin"] != "person" or point.get("by_hand") or not away < FOLLOWS_PX
    )


def off_camera_px(points: Sequence[Mapping[str, Any]], camera: Camera) -> FloatArray:
    """How far points lie from where a camera has their places, shape (n,), pixels.

    NaN where it does not see the place.
    """
    x, y, lon, lat = (
        np.array([[point[name] for name in ("x", "y", "lon", "lat")] for point in points])
        .reshape(-1, 4)
        .T
    )
    with np.errstate(all="ignore"):
        seen_x, seen_y = camera.lonlat_to_pixel(lon, lat)
    return np.hypot(x - seen_x, y - seen_y)


def _select_confirmed(points: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that a person stands behind."""
    return [point for point in points if point["origin"] in CONFIRMED and not point.get("off")]


def _pixels(points: Iterable[Mapping[str, Any]]) -> set[tuple[float, float]]:
    return {(point["x"], point["y"]) for point in points}


def _camera_of(work: Work) -> Camera | None:
    if work["camera"] is None:
        return None
    values: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in work["camera"].items()
    }
    return Camera(**values)


def describe_judged_state(frame_index: int, result: FrameResult) -> Judged:
    """What a decision on a frame is about."""
    points = [(point.x, point.y, point.lon, point.lat) for point in result.control_points]
    return Judged(
        frame_index=frame_index,
        sha256=result.sha256,
        verdict=result.verdict,
        probability=result.probability,
        proposal_sha256=_proposal_sha256(points),
    )


def _proposal_sha256(points: Iterable[Sequence[float]]) -> str:
    text = json.dumps([[float(value) for value in point] for point in points])
    return hashlib.sha256(text.encode()).hexdigest()


def _make_reviewed(heads: list[Decision], proposal: str, size_px: tuple[int, int]) -> Reviewed:
    counts = heads[0]
    work = counts.work
    return Reviewed(
        frame_index=counts.judged.frame_index,
        decision=counts.decision,
        reviewer=counts.reviewer,
        time_utc=counts.time_utc,
        camera=_camera_of(work),
        points=tuple(
            ReviewedPoint(**{one.name: point[one.name] for one in fields(ReviewedPoint)})
            for point in work["points"]
            if not point.get("off")
        ),
        comment=work["comment"],
        tags=tuple(work["tags"]),
        quality=work["quality"],
        place=work["place"],
        disputed=len({head.decision for head in heads}) > 1,
        stale=counts.judged.proposal_sha256 != proposal,
        independent=is_independent(counts.decision, work),
        size_px=size_px,
    )
