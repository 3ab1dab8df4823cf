"""The SQLite file of what people decided: opened, made, refused."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from regengine.errors import StoreError

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


def decisions_path(store: Path) -> Path:
    """Where the decisions on a store's frames lie: ``run.h5.review.sqlite`` beside ``run.h5``."""
    return store.with_name(f"{store.name}.review.sqlite")


def open_decision_file(path: Path, *, readonly: bool) -> sqlite3.Connection:
    """Open the file, making it where there is none.

    Parameters
    ----------
    path : Path
        The file.
    readonly : bool
        Change nothing on the disk; a file that is not there counts as empty.

    Returns
    -------
    sqlite3.Connection
        May be used from any thread, by one at a time; nothing is written before a ``commit``.

    Raises
    ------
    StoreError
        If it is no such file, damaged, of a newer format, or cannot be opened.
    """
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
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise StoreError(
            f"{path} cannot be used ({error}): it should be the file that regengine review keeps "
            "its decisions in; check its permissions (--readonly only looks), or move it away to "
            "begin a new one."
        ) from error
    except StoreError:
        if connection is not None:
            connection.close()
        raise
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
        for statement in _statements():
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


def _statements() -> list[str]:
    """The schema's statements; `executescript` would end the transaction."""
    found, begun = [], ""
    for line in SCHEMA.splitlines():
        begun += f"{line}\n"
        if sqlite3.complete_statement(begun):
            found.append(begun)
            begun = ""
    return found
