"""What people decided of a store's frames: added, never changed, kept beside the store.

With them lie unfinished work, what searches found that people asked for, and who has which frame
before them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import RLock
from typing import Any, Literal, NamedTuple

from regengine.errors import StoreError
from regengine.store.writer import utc_now

Choice = Literal["accepted", "rejected", "unsure"]
Work = dict[str, Any]  # camera, points, hypothesis, comment, tags, quality, place: a Draft's JSON

APPLICATION_ID = 0x52454752  # "REGR"
FORMAT_VERSION = 1
# Another process writes for milliseconds; a slow disk may make it seconds
BUSY_S = 10.0

# Decisions are added and never changed: triggers refuse everything else
SCHEMA = """
CREATE TABLE decisions (
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
CREATE INDEX decisions_of_frame ON decisions (frame_index, reviewer, revision);
CREATE TRIGGER decisions_stay BEFORE UPDATE ON decisions
    BEGIN SELECT RAISE(ABORT, 'decisions are not changed'); END;
CREATE TRIGGER decisions_remain BEFORE DELETE ON decisions
    BEGIN SELECT RAISE(ABORT, 'decisions are not deleted'); END;
CREATE TABLE drafts (
    frame_index INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    time_utc TEXT NOT NULL,
    work TEXT NOT NULL,
    PRIMARY KEY (frame_index, reviewer)
);
"""
# Added to files that were begun without them
LATER = """
CREATE TABLE IF NOT EXISTS searches (
    search INTEGER PRIMARY KEY AUTOINCREMENT,
    frame_index INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    time_utc TEXT NOT NULL,
    seconds REAL NOT NULL,
    verdict TEXT NOT NULL,
    probability REAL,
    start TEXT NOT NULL,
    found TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS searches_of_frame ON searches (frame_index);
CREATE TRIGGER IF NOT EXISTS searches_stay BEFORE UPDATE ON searches
    BEGIN SELECT RAISE(ABORT, 'searches are not changed'); END;
CREATE TRIGGER IF NOT EXISTS searches_remain BEFORE DELETE ON searches
    BEGIN SELECT RAISE(ABORT, 'searches are not deleted'); END;
CREATE TABLE IF NOT EXISTS open_pages (
    page TEXT PRIMARY KEY,
    frame_index INTEGER NOT NULL,
    reviewer TEXT NOT NULL,
    time_utc TEXT NOT NULL
);
"""
# A page says every ten seconds which frame it shows
PRESENT_S = 30


COLUMNS = (
    "revision, frame_index, sha256, reviewer, time_utc, decision, seconds, verdict, "
    "probability, proposal_sha256, work"
)


def decisions_path(store: Path) -> Path:
    """Where the decisions on a store's frames lie: ``run.h5.review.sqlite`` beside ``run.h5``."""
    return store.with_name(f"{store.name}.review.sqlite")


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

    Times are ISO 8601, UTC; `seconds` is how long the frame was in view.
    """

    revision: int  # counts all decisions of the file
    judged: Judged
    reviewer: str
    time_utc: str
    decision: Choice
    seconds: float | None
    work: Work


@dataclass(frozen=True, kw_only=True)
class KeptSearch:
    """What the engine found from where a person had placed a photo: a proposal, and its evidence.

    ``start`` is the camera it began with; ``found`` has its reasons, camera, points and fit as the
    page is told of them. Times are ISO 8601, UTC.
    """

    frame_index: int
    sha256: str
    reviewer: str
    seconds: float
    verdict: str
    probability: float | None
    start: dict[str, Any]
    found: dict[str, Any]
    time_utc: str = ""  # when it was kept


class Brief(NamedTuple):
    """A decision without the work."""

    revision: int
    frame_index: int
    sha256: str
    reviewer: str
    decision: Choice
    tags: tuple[str, ...]


class Decisions:
    """Decisions and drafts in an SQLite file; safe to use from several threads and processes.

    The file, see `decisions_path`, is made where there is none; with ``readonly`` nothing is
    written, and a file that is not there counts as empty. StoreError if the file cannot be used; of
    every method, too.
    """

    def __init__(self, path: Path, readonly: bool = False) -> None:
        self._path = path
        self._connection = _open_file(path, readonly=readonly)
        self._has_later = bool(
            self._connection.execute(
                "SELECT 1 FROM sqlite_schema WHERE name = 'searches'"
            ).fetchone()
        )
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
        with self._written():
            before = self._heads(judged.frame_index, judged.sha256, reviewer)
            values = (judged, decision, seconds, work)
            for head in before:
                told = (head.judged, head.decision, head.seconds, head.work)
                if told == values and self._base(head.revision) == base:
                    return head, None
            revision = self._add(judged, reviewer, decision, work, base, seconds)
            saved = self._select("revision = ?", (revision,))[0]
        unseen = [head for head in before if head.revision != base]
        return saved, unseen[0] if unseen else None

    def save_together(
        self, reviewer: str, decision: Choice, frames: Iterable[tuple[Judged, Work]]
    ) -> int:
        """Add the same decision on frames that nobody has decided, all or none; how many.

        A frame that somebody decided meanwhile is left as it is.
        """
        added = 0
        with self._written():
            for judged, work in frames:
                if not self._heads(judged.frame_index, judged.sha256):
                    self._add(judged, reviewer, decision, work, 0, None)
                    added += 1
        return added

    def keep_search(self, search: KeptSearch) -> None:
        """Add what a search found."""
        values = (
            search.frame_index,
            search.sha256,
            search.reviewer,
            utc_now(),
            search.seconds,
            search.verdict,
            search.probability,
            json.dumps(search.start),
            json.dumps(search.found),
        )
        with self._written() as connection:
            connection.execute(
                "INSERT INTO searches (frame_index, sha256, reviewer, time_utc, seconds, verdict, "
                "probability, start, found) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )

    def searches(self, frame_index: int, sha256: str) -> list[KeptSearch]:
        """What searches found of a photo, newest first."""
        with self._read() as connection:
            if not self._has_later:
                return []
            rows = connection.execute(
                "SELECT reviewer, time_utc, seconds, verdict, probability, start, found "
                "FROM searches WHERE frame_index = ? AND sha256 = ? ORDER BY search DESC",
                (frame_index, sha256),
            ).fetchall()
        return [
            KeptSearch(
                frame_index=frame_index,
                sha256=sha256,
                reviewer=reviewer,
                time_utc=time_utc,
                seconds=seconds,
                verdict=verdict,
                probability=probability,
                start=json.loads(start),
                found=json.loads(found),
            )
            for reviewer, time_utc, seconds, verdict, probability, start, found in rows
        ]

    def show(self, page: str, frame_index: int, reviewer: str) -> None:
        """Note that a page shows a frame, and none that it showed before."""
        with self._written() as connection:
            connection.execute("DELETE FROM open_pages WHERE time_utc < ?", (_ago(PRESENT_S),))
            connection.execute(
                "INSERT OR REPLACE INTO open_pages VALUES (?, ?, ?, ?)",
                (page, frame_index, reviewer, utc_now()),
            )

    def shown_by(self, frame_index: int, page: str) -> list[str]:
        """Reviewers whose other pages show a frame now, by name; one with two pages is twice."""
        with self._read() as connection:
            if not self._has_later:
                return []
            rows = connection.execute(
                "SELECT reviewer FROM open_pages WHERE frame_index = ? AND page != ? "
                "AND time_utc >= ? ORDER BY reviewer",
                (frame_index, page, _ago(PRESENT_S)),
            ).fetchall()
        return [reviewer for (reviewer,) in rows]

    def heads(self, frame_index: int, sha256: str) -> list[Decision]:
        """The latest decision of each reviewer on a photo, newest first."""
        with self._read():
            return self._heads(frame_index, sha256)

    def all_heads(self) -> list[Decision]:
        """The latest decision of each reviewer on every photo, newest first."""
        with self._read():
            return self._heads()

    def history(self, frame_index: int, sha256: str) -> list[Decision]:
        """All decisions on a photo, newest first."""
        with self._read():
            return self._select("frame_index = ? AND sha256 = ?", (frame_index, sha256))

    def diary(self) -> list[tuple[str, str, float | None, int, str]]:
        """Reviewer, time, seconds, frame and photo of every decision, oldest first."""
        with self._read() as connection:
            return connection.execute(
                "SELECT reviewer, time_utc, seconds, frame_index, sha256 FROM decisions "
                "ORDER BY revision"
            ).fetchall()

    def keep_draft(self, frame_index: int, sha256: str, reviewer: str, work: Work) -> str:
        """Keep unfinished work in place of what was there; when it was kept (ISO 8601, UTC)."""
        now = utc_now()
        with self._written() as connection:
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
        with self._written():
            self._delete_draft(frame_index, reviewer)

    def drafted(self) -> frozenset[int]:
        """Frames on which somebody has unfinished work."""
        with self._read() as connection:
            rows = connection.execute("SELECT frame_index FROM drafts").fetchall()
        return frozenset(number for (number,) in rows)

    def since(self, revision: int) -> list[Brief]:
        """What was decided after a revision, oldest first; quick for many."""
        with self._read() as connection:
            rows = connection.execute(
                "SELECT revision, frame_index, sha256, reviewer, decision, "
                "json_extract(work, '$.tags') FROM decisions WHERE revision > ? ORDER BY revision",
                (revision,),
            ).fetchall()
        return [
            Brief(revision, number, sha256, person, choice, _tags(tags))
            for revision, number, sha256, person, choice, tags in rows
        ]

    def _heads(
        self, frame_index: int | None = None, sha256: str = "", reviewer: str | None = None
    ) -> list[Decision]:
        where = "TRUE"
        values: tuple[Any, ...] = ()
        if frame_index is not None:
            where, values = "frame_index = ? AND sha256 = ?", (frame_index, sha256)
        if reviewer is not None:
            where, values = f"{where} AND reviewer = ?", (*values, reviewer)
        # Conditions are this module's own words; what comes from outside is bound
        return self._select(
            f"revision IN (SELECT max(revision) FROM decisions WHERE {where} "  # noqa: S608
            "GROUP BY frame_index, sha256, reviewer)",
            values,
        )

    def _select(self, where: str, values: tuple[Any, ...]) -> list[Decision]:
        question = f"SELECT {COLUMNS} FROM decisions WHERE {where} ORDER BY revision DESC"  # noqa: S608
        rows = self._connection.execute(question, values)
        return [_decision(row) for row in rows]

    def _add(
        self,
        judged: Judged,
        reviewer: str,
        decision: Choice,
        work: Work,
        base: int,
        seconds: float | None,
    ) -> int:
        """Add a decision; its revision."""
        cursor = self._connection.execute(
            "INSERT INTO decisions (frame_index, sha256, reviewer, time_utc, decision, base, "
            "seconds, verdict, probability, proposal_sha256, work) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING revision",
            (
                judged.frame_index,
                judged.sha256,
                reviewer,
                utc_now(),
                decision,
                base,
                seconds,
                judged.verdict,
                judged.probability,
                judged.proposal_sha256,
                json.dumps(work),
            ),
        )
        revision = int(cursor.fetchone()[0])
        self._delete_draft(judged.frame_index, reviewer)
        return revision

    def _base(self, revision: int) -> int:
        found = self._connection.execute(
            "SELECT base FROM decisions WHERE revision = ?", (revision,)
        ).fetchone()
        return int(found[0])

    def _delete_draft(self, frame_index: int, reviewer: str) -> None:
        self._connection.execute(
            "DELETE FROM drafts WHERE frame_index = ? AND reviewer = ?", (frame_index, reviewer)
        )

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise StoreError(f"{self._path} cannot be read ({error}).") from error

    @contextmanager
    def _written(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is on the disk, or none."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                    self._connection.execute("COMMIT")
                except BaseException:
                    self._connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise StoreError(
                    f"{self._path} cannot be written ({error}): nothing was saved; check its "
                    "permissions and the space on the disk."
                ) from error


def _tags(text: str | None) -> tuple[str, ...]:
    return () if text in (None, "[]") else tuple(json.loads(text))


def _decision(row: tuple[Any, ...]) -> Decision:
    revision, number, sha256, reviewer, time_utc, choice, seconds = row[:7]
    verdict, probability, proposal, work = row[7:]
    return Decision(
        revision=revision,
        judged=Judged(
            frame_index=number,
            sha256=sha256,
            verdict=verdict,
            probability=probability,
            proposal_sha256=proposal,
        ),
        reviewer=reviewer,
        time_utc=time_utc,
        decision=choice,
        seconds=seconds,
        work=json.loads(work),
    )


def _open_file(path: Path, *, readonly: bool) -> sqlite3.Connection:
    """Open the file, making it where there is none."""
    connection: sqlite3.Connection | None = None
    try:
        if not readonly:
            connection = _connect(f"{path.absolute().as_uri()}?mode=rwc")
        elif path.exists() and path.stat().st_size:
            connection = _connect_readonly(path)
        else:
            connection = _connect(":memory:")
        on_disk = readonly and connection.execute("SELECT 1 FROM sqlite_schema").fetchone()
        _prepare(connection, path, make=not on_disk)
    except (sqlite3.Error, StoreError) as error:
        if connection is not None:
            connection.close()
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"{path} cannot be used ({error}): it should be the file that regengine review keeps "
            "its decisions in; check its permissions (--readonly only looks), or move it away to "
            "begin a new one."
        ) from error
    return connection


def _connect_readonly(path: Path) -> sqlite3.Connection:
    address = path.absolute().as_uri()
    connection = _connect(f"{address}?mode=ro")
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError:
        # Beside a file in a folder that is not writable there is no place for the shared memory
        # of a write-ahead log; nobody can be writing it there
        connection.close()
        connection = _connect(f"{address}?mode=ro&immutable=1")
    return connection


def _connect(address: str) -> sqlite3.Connection:
    return sqlite3.connect(
        address,
        uri=address.startswith("file:"),
        timeout=BUSY_S,
        isolation_level=None,
        check_same_thread=False,
    )


def _prepare(connection: sqlite3.Connection, path: Path, *, make: bool) -> None:
    _check(connection, path)
    if not make:
        return
    connection.execute("PRAGMA journal_mode = WAL")
    # What was answered to the page is on the disk, also after a power cut
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN IMMEDIATE")
    if not _tables(connection):  # nor did another process make them meanwhile
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        for statement in _statements(SCHEMA):
            connection.execute(statement)
    for statement in _statements(LATER):
        connection.execute(statement)
    connection.execute("COMMIT")


def _check(connection: sqlite3.Connection, path: Path) -> None:
    own = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if _tables(connection) and own != APPLICATION_ID:
        raise StoreError(
            f"{path} is another program's database: move it away, since the decisions on the "
            "store would lie there."
        )
    if version > FORMAT_VERSION:
        raise StoreError(
            f"{path} is of format {version}, newer than {FORMAT_VERSION}: use a newer regengine."
        )


def _tables(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])


def _statements(schema: str) -> list[str]:
    """A schema's statements; `executescript` would end the transaction."""
    found, begun = [], ""
    for line in schema.splitlines():
        begun += f"{line}\n"
        if sqlite3.complete_statement(begun):
            found.append(begun)
            begun = ""
    return found


def _ago(seconds: float) -> str:
    """A time as `utc_now` writes it."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
