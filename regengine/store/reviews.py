"""Decisions of reviewers on the frames of a store: an append-only file next to the store.

The file also contains drafts. `read_reviews` returns the decisions that count, for exports.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np

from detectors.constants import HEIGHT_RANGE_KM
from detectors.types import FloatArray
from matchers.geometry.camera import Camera, is_turned
from matchers.geometry.earth import ecef_to_geodetic
from matchers.geometry.footprint import trace_visible_outline
from regengine.errors import ConfigError, StoreError
from regengine.io.times import utc_now
from regengine.maps.places import name_view
from regengine.photo.formats import check_pixels
from regengine.store.file import check_format
from regengine.store.read import iter_blocks
from regengine.store.result import (
    MIN_POINTS,
    Choice,
    FrameResult,
    Reviewed,
    ReviewedPoint,
    decide_state,
    name_result,
)
from regengine.store.rows import select

Work = dict[str, Any]  # JSON: camera, points, hypothesis, comment, tags, quality, place, given

APPLICATION_ID = 0x52454752  # "REGR"
FORMAT_VERSION = 2
# Another process writes for milliseconds; on a slow disk, possibly for seconds
BUSY_S = 10.0
LONGEST_NAME = 80  # characters of a reviewer's name
READ_FRAMES = 4096
# Focal length over the long side: from wider than any fisheye to a lens of 1,400 mm
FOCAL_RATIO = (0.2, 40.0)
# Origins of points that a person has confirmed
CONFIRMED = ("person", "snap", "confirmed")
# No hand, and no screen pixel, places a point this close to its position by the camera
FOLLOWS_PX = 0.05
LEAST_SIGMA_PX = 1e-6  # its square and the weight that follows are still numbers
MOST_LON_DEG = 360.0  # some maps count from 0, and some beyond 180
QUALITIES = range(6)
STATE = select(
    *(f"frames/{name}" for name in ("sha256", "width_px", "height_px")),
    *(f"control_points/{name}" for name in ("x", "y", "lon", "lat")),
)

# Decisions are added and never changed: triggers reject everything else
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
    decision TEXT NOT NULL CHECK (decision IN ('accepted', 'glanced', 'rejected', 'unsure')),
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
DROP_DRAFT = "DELETE FROM drafts WHERE frame_index = ? AND reviewer = ?"


def decisions_path(store: Path) -> Path:
    """Return the path of a store's decisions: ``run.h5.review.sqlite`` next to ``run.h5``."""
    return store.with_name(f"{store.name}.review.sqlite")


def reviewer_name(given: str | None) -> str:
    """Return the name of the reviewer; for None, the user name on this machine.

    Raises ConfigError if there is none, or it is not a valid name.
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
class Decision:
    """One decision of one person as saved; `work` is what the page sent.

    `verdict`, `probability` and `proposal_sha256` are of the engine's result at that time. Times
    are ISO 8601, UTC. `seconds` is how long the frame was displayed. `base` is the reviewer's
    latest revision of the frame that the page had loaded, 0 for none.
    """

    frame_index: int
    sha256: str
    verdict: str
    probability: float | None
    proposal_sha256: str
    revision: int  # counts all decisions of the file
    reviewer: str
    time_utc: str
    decision: Choice
    base: int
    seconds: float | None
    work: Work


# Which draft is known to who saves something in its place: the name of the tab that saves, whose
# own drafts it knows, and the version of the draft that it has loaded
Seen = tuple[str | None, str | None]
UNSEEN: Seen = (None, None)


class Decisions:
    """Decisions and drafts in an SQLite file; safe to use from several threads and processes.

    The file, see `decisions_path`, is created if it does not exist. With ``readonly``, nothing is
    written, and a missing file counts as empty. The constructor and every method raise StoreError
    if the file cannot be used.
    """

    def __init__(self, path: Path, readonly: bool = False) -> None:
        self._path = path
        there = path.exists() and path.stat().st_size > 0
        address = path.absolute().as_uri()
        try:
            if not readonly:
                connection = _connect(f"{address}?mode=rwc", path)
                # What the page received as saved is on the disk, even after a power failure
                connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
                connection.executescript(SCHEMA)
            elif there:
                try:
                    connection = _connect(f"{address}?mode=ro", path)
                except sqlite3.OperationalError as error:
                    if _is_locked(error):
                        raise
                    # In a folder that is not writable, the shared memory of a write-ahead log
                    # cannot be created; nobody can be writing there
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
        self._connection = connection
        self._lock = RLock()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def save(
        self,
        frame_index: int,
        result: FrameResult,
        reviewer: str,
        decision: Choice,
        work: Work,
        *,
        base: int = 0,
        seconds: float | None = None,
        seen: Seen = UNSEEN,
    ) -> tuple[Decision, Decision | None]:
        """Add a decision and delete the reviewer's draft of the frame, if it was ``seen``.

        A repeated decision is not added again: it is sent if the server ended before it answered.
        ``base`` is the reviewer's latest revision of this frame that the page had loaded, 0 for
        none. ``seconds`` is how long the frame was displayed. Returns the saved decision, and a
        decision of the same reviewer that the page had not loaded, if there is one.
        """
        points = [(point.x, point.y, point.lon, point.lat) for point in result.control_points]
        about = {
            "frame_index": frame_index,
            "sha256": result.sha256,
            "verdict": result.verdict,
            "probability": result.probability,
            "proposal_sha256": proposal_sha256(points),
            "reviewer": reviewer,
            "decision": decision,
            "base": base,
            "seconds": seconds,
            "work": json.loads(json.dumps(work)),  # in the form in which it is read again
        }
        with self._use(write=True) as connection:
            heads = self.heads(frame_index, result.sha256)
            before = [head for head in heads if head.reviewer == reviewer]
            for head in before:
                if vars(head) | about == vars(head):
                    return head, None
            row = about | {"time_utc": utc_now(), "work": json.dumps(work)}
            marks = ", ".join(f":{name}" for name in row)
            added = connection.execute(
                f"INSERT INTO decisions ({', '.join(row)}) VALUES ({marks}) "  # noqa: S608
                "RETURNING *",
                row,
            )
            saved = _decision(added.fetchone())
            if self._may_replace(connection, frame_index, reviewer, work, seen):
                connection.execute(DROP_DRAFT, (frame_index, reviewer))
        unseen = [head for head in before if head.revision != base]
        return saved, unseen[0] if unseen else None

    def heads(self, *photo: object) -> list[Decision]:
        """Return the latest decision of each reviewer, newest first.

        ``photo`` is its frame number and SHA-256; without it, those on every photo are returned.
        """
        where = "frame_index = ? AND sha256 = ?" if photo else "TRUE"
        return self._select(
            f"revision IN (SELECT max(revision) FROM decisions WHERE {where} "  # noqa: S608
            "GROUP BY frame_index, sha256, reviewer)",
            *photo,
        )

    def history(self, frame_index: int, sha256: str) -> list[Decision]:
        """Return all decisions on a photo, newest first."""
        return self._select("frame_index = ? AND sha256 = ?", frame_index, sha256)

    def keep_draft(
        self, frame_index: int, sha256: str, reviewer: str, work: Work, seen: Seen = UNSEEN
    ) -> str | None:
        """Save a draft; return the time (ISO 8601, UTC), or None if another one is kept.

        An earlier draft is replaced if it was ``seen``, or is on a photo that is no longer there.
        """
        now = utc_now()
        with self._use(write=True) as connection:
            if not self._may_replace(connection, frame_index, reviewer, work, seen, sha256):
                return None
            text = json.dumps(work | {"tab": seen[0]})
            connection.execute(
                "INSERT OR REPLACE INTO drafts VALUES (?, ?, ?, ?, ?)",
                (frame_index, sha256, reviewer, now, text),
            )
        return now

    def draft(self, frame_index: int, sha256: str, reviewer: str) -> tuple[Work | None, str | None]:
        """Return the draft of a photo and its version (`Seen`), or None."""
        with self._use() as connection:
            row = connection.execute(
                "SELECT work FROM drafts WHERE frame_index = ? AND sha256 = ? AND reviewer = ?",
                (frame_index, sha256, reviewer),
            ).fetchone()
        if row is None:
            return None, None
        work = json.loads(row["work"])
        work.pop("tab", None)
        return work, _version(row["work"])

    def drop_draft(self, frame_index: int, reviewer: str, seen: Seen = UNSEEN) -> bool:
        """Delete a draft; False if it was not ``seen``, and is kept."""
        with self._use(write=True) as connection:
            may = self._may_replace(connection, frame_index, reviewer, None, seen)
            if may:
                connection.execute(DROP_DRAFT, (frame_index, reviewer))
        return may

    def _may_replace(
        self,
        connection: sqlite3.Connection,
        frame_index: int,
        reviewer: str,
        work: Work | None,
        seen: Seen,
        sha256: str | None = None,
    ) -> bool:
        """Whether a draft is there no more, was seen by who replaces it, or says the same."""
        row = connection.execute(
            "SELECT sha256, work FROM drafts WHERE frame_index = ? AND reviewer = ?",
            (frame_index, reviewer),
        ).fetchone()
        if row is None or (sha256 is not None and row["sha256"] != sha256):
            return True
        kept = json.loads(row["work"])
        tab = kept.pop("tab", None)
        is_own = tab is not None and tab == seen[0]
        return is_own or seen[1] == _version(row["work"]) or kept == json.loads(json.dumps(work))

    def since(self, revision: int) -> list[dict[str, Any]]:
        """Return the decisions after a revision, oldest first; fast for many decisions.

        Of their work there are the ``tags``, a JSON list, and whether it was done on a ``sheet``;
        ``independent``: see `is_independent`.
        """
        with self._use() as connection:
            rows = connection.execute(
                "SELECT revision, frame_index, sha256, reviewer, decision, proposal_sha256, "
                "json_extract(legible, '$.sheet') IS NOT NULL AS sheet, "
                "coalesce(json_extract(legible, '$.tags'), '[]') AS tags, "
                # Few decisions have such points, and only their work is read
                "CASE WHEN decision = 'accepted' AND (legible = '{}' OR EXISTS (SELECT 1 FROM "
                "json_each(legible, '$.points') WHERE json_extract(value, '$.origin') = 'person' "
                "AND json_extract(value, '$.by_hand') IS NOT TRUE)) THEN work END AS doubtful "
                # Numbers such as NaN, which JSON has not, must not make all others illegible
                "FROM (SELECT *, iif(json_valid(work), work, '{}') AS legible FROM decisions) "
                "WHERE revision > ? ORDER BY revision",
                (revision,),
            ).fetchall()
        return [
            {
                **row,
                "independent": doubtful is None or is_independent("accepted", json.loads(doubtful)),
            }
            for row in map(dict, rows)
            for doubtful in (row.pop("doubtful"),)
        ]

    def _select(self, where: str, *values: object) -> list[Decision]:
        # Conditions are constants of this module; external values are bound
        question = f"SELECT * FROM decisions WHERE {where} ORDER BY revision DESC"  # noqa: S608
        with self._use() as connection:
            return [_decision(row) for row in connection.execute(question, values)]

    @contextmanager
    def _use(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        """Read, or write: then everything is written to the disk, or nothing."""
        with self._lock:
            try:
                if write:
                    self._connection.execute("BEGIN IMMEDIATE")
                with self._connection if write else nullcontext():
                    yield self._connection
            except sqlite3.Error as error:
                if _is_locked(error):
                    raise _in_use(self._path) from error
                raise StoreError(
                    f"{self._path} cannot be written ({error}): nothing was saved; check its "
                    "permissions and the free disk space."
                    if write
                    else f"{self._path} cannot be read ({error})."
                ) from error


def _version(text: str) -> str:
    """Return what tells a draft from others."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _decision(row: sqlite3.Row) -> Decision:
    return Decision(**dict(row) | {"work": json.loads(row["work"])})


def _is_locked(error: sqlite3.Error) -> bool:
    """Whether a database is intact, and another program kept it locked for `BUSY_S`."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF  # of an extended code
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _in_use(path: Path) -> StoreError:
    return StoreError(
        f"{path} is in use: another program has the decisions open; nothing was saved; close it "
        "there, then try again.",
        code="store_busy",
    )


def _connect(address: str, path: Path) -> sqlite3.Connection:
    """Open a database; StoreError if it belongs to another program or is of another format."""
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
        if tables:
            check_format(path, version, FORMAT_VERSION, "move it away, and decide again")
    except BaseException:
        connection.close()
        raise
    return connection


def name_shown(result: FrameResult | None, review: Reviewed | None) -> tuple[str, str]:
    """Name and country of what a photo shows; empty if unknown.

    The place is the one that the reviewer named, else that of the camera that they accepted, else
    that of the engine's proposal; see `regengine.maps.places.name_view`.
    """
    if review is not None and review.place is not None:
        return review.place["name"], review.place["country"]
    if review is not None and review.decision == "accepted" and review.camera is not None:
        place = name_view(review.camera)
        return ("", "") if place is None else (place.local_name, place.country)
    return ("", "") if result is None else name_result(result)


def apply_review(row: Mapping[str, Any], review: Reviewed) -> dict[str, Any]:
    """A row of ``frames`` with what follows from a person's decision.

    ``verdict`` is the state, ``place`` and ``country`` those of the reviewer; with ``decision``,
    ``reviewer``, ``reviewed_utc``, ``disputed`` and ``quality``.
    """
    said = {name: getattr(review, name) for name in ("decision", "reviewer", "disputed", "quality")}
    changed: dict[str, Any] = {
        "verdict": decide_state(row["verdict"], review),
        "reviewed_utc": review.time_utc,
    }
    if review.place is not None or (review.decision == "accepted" and review.camera is not None):
        changed["place"], changed["country"] = name_shown(None, review)
    return {**row, **said, **changed}


def describe_decision(review: Reviewed | None) -> str:
    """Say who decided and when: ``accepted by Ada, 2026-11-28``; empty if nobody did."""
    if review is None:
        return ""
    differ = ", others differ" if review.disputed else ""
    return f"{review.decision} by {review.reviewer}, {review.time_utc[:10]}{differ}"


def read_reviews(store: Path) -> dict[int, Reviewed]:
    """Return the decisions on a store's frames by frame number, ascending.

    Decisions on a photo that no longer has the same number in the store are left out. The result is
    empty if there are no decisions. Raises StoreError if the store or the file of decisions cannot
    be read.
    """
    if not decisions_path(store).exists():
        return {}
    heads: defaultdict[tuple[int, str], list[Decision]] = defaultdict(list)
    with closing(Decisions(decisions_path(store), readonly=True)) as decisions:
        for head in decisions.heads():
            heads[head.frame_index, head.sha256].append(head)
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
                proposal = proposal_sha256(places[first[row] : beyond[row]].tolist())
                size_px = int(frames["width_px"][row]), int(frames["height_px"][row])
                counting = [
                    head
                    for head in heads[judged]
                    if head.decision != "glanced" or head.proposal_sha256 == proposal
                ]
                if counting:
                    found[judged[0]] = _make_reviewed(counting, proposal, size_px)
    return found


def check_work(
    points: Iterable[Mapping[str, Any]], camera: Camera | None, size_px: tuple[int, int]
) -> None:
    """Raise ConfigError for impossible points, and for cameras that cannot have taken a photo."""
    check_points(points, size_px)
    if camera is None:
        return
    check_camera(camera, size_px)
    with np.errstate(all="ignore"):
        # 17 samples per side when searching ground in a photo
        if not len(trace_visible_outline(camera, 17)[0]):
            raise ConfigError("the camera shows no ground")


def check_points(points: Iterable[Mapping[str, Any]], size_px: tuple[int, int]) -> None:
    """Raise ConfigError for a control point outside of a photo or the Earth, or without a sigma.

    This is the one check of points from files, the page and databases. ``sigma_px`` may be None; it
    is above `LEAST_SIGMA_PX`, and at most the photo's long side.
    """
    for number, point in enumerate(points, start=1):
        check_pixels([(point["x"], point["y"])], *size_px)
        check_place(point["lon"], point["lat"], f"point {number}")
        sigma_px = point["sigma_px"]
        if sigma_px is not None and not LEAST_SIGMA_PX < sigma_px <= max(size_px):
            raise ConfigError(
                f"point {number} has sigma_px {sigma_px:g}, which is not a standard deviation in "
                f"this photo: leave it empty, or give one above {LEAST_SIGMA_PX:f} and at most "
                f"{max(size_px)} pixels"
            )


def check_place(lon: float, lat: float, whose: str) -> None:
    """Raise ConfigError for a longitude and latitude, degrees, that are not on Earth."""
    if not (-90.0 <= lat <= 90.0 and -MOST_LON_DEG <= lon <= MOST_LON_DEG):
        raise ConfigError(f"{whose} has longitude {lon:g}, latitude {lat:g}, which is not on Earth")


def mend_work(work: Work, size_px: tuple[int, int]) -> tuple[Work, str]:
    """Return saved work without its impossible values, and what these were; "" if there are none.

    Another program may have written them. Points lose their sigma, or are left out; a camera is
    left out.
    """
    problems, points = [], []
    for number, point in enumerate(work["points"], start=1):
        for mended in (point, point | {"sigma_px": None}):
            try:
                check_points([mended], size_px)
            except ConfigError as error:
                problems.append(str(error).replace("point 1 ", f"point {number} "))
            else:
                points.append(mended)
                break
    camera = work["camera"]
    try:
        if (given := _camera_of(work)) is not None:
            check_camera(given, size_px)
    except ConfigError as error:
        problems.append(str(error))
        camera = None
    quality = work["quality"]
    if quality is not None and quality not in QUALITIES:
        problems.append(f"its quality is {quality}, which is not a number from 0 to 5")
        quality = None
    more = f"; and {len(problems) - 1} more" if len(problems) > 1 else ""
    mended = work | {"points": points, "camera": camera, "quality": quality}
    return mended, f"{problems[0]}{more}" if problems else ""


def check_camera(camera: Camera, size_px: tuple[int, int]) -> None:
    """Raise ConfigError for a camera that cannot have taken a photo of this width and height."""
    if (camera.width_px, camera.height_px) != size_px:
        raise ConfigError(
            f"the camera is for a picture of {camera.width_px} x {camera.height_px} pixels, but "
            f"the photo has {size_px[0]} x {size_px[1]}"
        )
    check_focal_length(camera.focal_px, size_px)
    if not is_turned(camera):
        raise ConfigError("the camera's quaternion is zero, not a rotation")
    height_km = float(ecef_to_geodetic(camera.position_ecef_m)[2]) / 1e3
    if not HEIGHT_RANGE_KM[0] <= height_km <= HEIGHT_RANGE_KM[1]:
        side = "below" if height_km < 0.0 else "above"
        raise ConfigError(
            f"the camera is {abs(height_km):,.0f} km {side} the ground, where no station is"
        )


def check_focal_length(focal_px: float, size_px: tuple[int, int]) -> None:
    """Raise ConfigError for a focal length in pixels that no lens of a photo of this size has."""
    ratio = focal_px / max(*size_px, 1)
    if not FOCAL_RATIO[0] <= ratio <= FOCAL_RATIO[1]:
        raise ConfigError(
            f"the focal length is {ratio:.2g} times the photo's long side, which is impossible: "
            "scale the photo on the map"
        )


def is_independent(decision: Choice, work: Work) -> bool:
    """Whether a decision has evidence that is independent of its own camera.

    An accepted decision is not independent if some of its confirmed points only repeat the camera,
    see `independent_pixels`, and fewer than `MIN_POINTS` do not: imported points may be such.
    """
    camera = _camera_of(work)
    if decision != "accepted" or camera is None:
        return True
    independent, confirmed = independent_pixels(work["points"], camera)
    return independent == confirmed or len(independent) >= MIN_POINTS


def independent_pixels(
    points: Sequence[Mapping[str, Any]], camera: Camera
) -> tuple[set[tuple[float, float]], set[tuple[float, float]]]:
    """Return the pixels of confirmed points that are independent of their camera, and of all.

    ``points`` are those of a `Work`. Independent points are snapped points, pairs as measured by
    the engine ("confirmed"), and points placed by hand, clicked or dragged (``by_hand``). If
    ``by_hand`` is not recorded, a person's point is independent unless it lies where the camera
    predicts it. Points that are switched off are left out.
    """
    confirmed = [one for one in points if one["origin"] in CONFIRMED and not one.get("off")]
    pixels = [(one["x"], one["y"]) for one in confirmed]
    independent = {
        pixel
        for pixel, one, away in zip(
            pixels, confirmed, off_camera_px(confirmed, camera).tolist(), strict=True
        )
        if one["origin"] != "person" or one.get("by_hand") or not away < FOLLOWS_PX
    }
    return independent, set(pixels)


def off_camera_px(points: Sequence[Mapping[str, Any]], camera: Camera) -> FloatArray:
    """Return the distances of points from their positions by a camera, shape (n,), pixels.

    NaN if the place is not visible to the camera.
    """
    x, y, lon, lat = (
        np.array([[point[name] for name in ("x", "y", "lon", "lat")] for point in points])
        .reshape(-1, 4)
        .T
    )
    with np.errstate(all="ignore"):
        seen_x, seen_y = camera.lonlat_to_pixel(lon, lat)
    return np.hypot(x - seen_x, y - seen_y)


def _camera_of(work: Work) -> Camera | None:
    if work["camera"] is None:
        return None
    values: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in work["camera"].items()
    }
    return Camera(**values)


def proposal_sha256(points: Iterable[Sequence[float]]) -> str:
    """Return the hash of a proposal: of its control points' x, y, lon and lat."""
    text = json.dumps([[float(value) for value in point] for point in points])
    return hashlib.sha256(text.encode()).hexdigest()


def _make_reviewed(heads: list[Decision], proposal: str, size_px: tuple[int, int]) -> Reviewed:
    counts = next((head for head in heads if head.decision != "glanced"), heads[0])
    work, problem = mend_work(counts.work, size_px)
    # A glance agrees with an acceptance
    choices = {head.decision.replace("glanced", "accepted") for head in heads}
    return Reviewed(
        frame_index=counts.frame_index,
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
        disputed=len(choices) > 1,
        stale=counts.proposal_sha256 != proposal,
        independent=is_independent(counts.decision, work),
        size_px=size_px,
        problem=problem,
    )
