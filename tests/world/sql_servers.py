"""Database servers of Debian's packages, started in a folder of their own on a socket there."""

from __future__ import annotations

import glob
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

WAIT_S = 60.0


def as_user(name: str) -> dict[str, Any]:
    """How a program is started: servers refuse to run as root."""
    if os.geteuid() != 0:
        return {}
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        user = pwd.getpwnam("nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextmanager
def folder_of(who: dict[str, Any]) -> Iterator[Path]:
    """A folder with a short name, since a socket's may have 107 letters."""
    folder = Path(tempfile.mkdtemp(prefix="rg", dir="/tmp"))
    try:
        folder.chmod(0o711)
        if who:
            os.chown(folder, who["user"], who["group"])
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(words: Sequence[object], who: dict[str, Any]) -> None:
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False, cwd="/", **who
    )
    assert done.returncode == 0, done.stderr + done.stdout


@contextmanager
def served(
    words: Sequence[object],
    who: dict[str, Any],
    folder: Path,
    is_up: Callable[[], bool],
    stop: signal.Signals,
) -> Iterator[None]:
    """A server that runs until the end of the block; what it holds is nobody's then."""
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [str(word) for word in words], stdout=log, stderr=log, cwd="/", **who
        )
    try:
        end = time.monotonic() + WAIT_S
        while not is_up():
            told = (folder / "log").read_text(errors="replace")
            assert server.poll() is None, told
            assert time.monotonic() < end, told
            time.sleep(0.05)
        yield
    finally:
        server.send_signal(stop)
        server.wait(WAIT_S)


class SqlServer:
    """A running server: scripts are loaded into a database of it and asked there.

    ``dialect`` is that of ``--dialect``; ``photos`` and ``points`` are the tables that a script
    fills, ``name`` and ``camera`` columns of the first; ``broken_off`` is the client's code for a
    script with an error.
    """

    dialect: str
    photos: str
    points: str
    name: str
    camera: str
    broken_off: int
    client: Callable[..., list[str]]  # its client's command for a database, and options
    rows: Callable[..., list[dict[str, Any]]]  # of an answer, by database and question
    make_base: Callable[[], str]  # a database that has nothing of ours

    def load(self, base: str, script: str | Path, *options: str, code: int = 0) -> str:
        """What the client prints when it is fed a script; its complaint where it is to fail."""
        whole = script.read_bytes() if isinstance(script, Path) else script.encode()
        words = self.client(base, *options)
        done = subprocess.run(words, input=whole, capture_output=True, check=False)
        assert done.returncode == code, done.stderr.decode()
        return (done.stderr if code else done.stdout).decode()


class MariaDb(SqlServer):
    """MariaDB, whose databases know other letters than scripts write."""

    dialect, photos, points = "mysql", "imagenesISS", "imagenesISS_points"
    name, camera, broken_off = "image_id", "camera", 1

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "socket"
        self._numbers = itertools.count()

    def client(self, base: str, *options: str) -> list[str]:
        own = ["mariadb", "--no-defaults", f"--socket={self.socket}", "--user=root"]
        return [*own, *options, base]

    def rows(self, base: str, question: str, *values: object) -> list[dict[str, Any]]:
        with (
            pymysql.connect(
                unix_socket=str(self.socket), user="root", database=base, charset="utf8mb4",
                autocommit=True,
            ) as connection,
            connection.cursor(pymysql.cursors.DictCursor) as cursor,
        ):  # fmt: skip
            cursor.execute(question, values or None)
            return list(cursor.fetchall())

    def make_base(self) -> str:
        name = f"base{next(self._numbers)}"
        self.load("", f"CREATE DATABASE {name} CHARACTER SET latin1;")
        return name


class PostgreSql(SqlServer):
    """PostgreSQL with PostGIS and Q3C; new databases take a second, so that one is emptied."""

    dialect, photos, points = "postgresql", "regengine.frames", "regengine.control_points"
    name, camera, broken_off = "frame", "camera_body", 3

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def connect(self, base: str) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=str(self.folder), user="regengine", dbname=base, autocommit=True
        )

    def client(self, base: str, *options: str) -> list[str]:
        own = ["psql", "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1", "-A", "-t", *options]
        return [*own, f"--host={self.folder}", "--username=regengine", base]

    def rows(self, base: str, question: str, *values: object) -> list[dict[str, Any]]:
        with self.connect(base) as connection:
            cursor = connection.cursor(row_factory=psycopg.rows.dict_row)
            return cursor.execute(question, values or None).fetchall()

    def make_base(self) -> str:
        with self.connect("postgres") as connection:
            connection.execute("DROP SCHEMA IF EXISTS regengine CASCADE")
        return "postgres"


@contextmanager
def mariadb() -> Iterator[MariaDb]:
    """A MariaDB server with the smallest packets that any server of its kind allows by itself."""
    everywhere = f"{os.environ['PATH']}:/usr/sbin"
    programs = [shutil.which(name, path=everywhere) for name in ("mariadbd", "mariadb-install-db")]
    if None in programs or shutil.which("mariadb") is None:
        pytest.skip("needs mariadbd and mariadb (Debian's package mariadb-server)")
    who = as_user("mysql")
    with folder_of(who) as folder:
        data = ["--no-defaults", f"--datadir={folder / 'data'}"]
        run([programs[1], *data, "--auth-root-authentication-method=normal", "--skip-test-db"], who)
        server = MariaDb(folder)
        own = [f"--socket={server.socket}", f"--pid-file={folder / 'pid'}", "--skip-networking"]
        quick = ["--innodb-flush-log-at-trx-commit=0", "--max-allowed-packet=1M"]
        words = [programs[0], *data, *own, *quick]
        # Who comes early waits in line
        with served(words, who, folder, server.socket.is_socket, signal.SIGKILL):
            yield server


@contextmanager
def postgresql() -> Iterator[PostgreSql]:
    """A PostgreSQL server that has PostGIS and Q3C, and a second database ``places``."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    versions = [Path(path).parts[4] for path in found]
    for version in sorted(versions, key=int, reverse=True):
        extensions = Path(f"/usr/share/postgresql/{version}/extension")
        if all((extensions / f"{name}.control").is_file() for name in ("postgis", "q3c")):
            break
    else:
        pytest.skip("needs PostgreSQL with PostGIS and Q3C (Debian's postgresql-NN-q3c and others)")
    programs = Path(f"/usr/lib/postgresql/{version}/bin")
    who = as_user("postgres")
    with folder_of(who) as folder:
        data = folder / "data"
        plain = ["--auth=trust", "--no-sync", "--locale=C.UTF-8", "--encoding=UTF8"]
        run([programs / "initdb", "-D", data, "--username=regengine", *plain], who)
        server = PostgreSql(folder)

        def is_up() -> bool:
            try:
                server.connect("postgres").close()
            except psycopg.OperationalError:
                return False
            return True

        quick = ["-k", folder, "-c", "fsync=off", "-c", "listen_addresses="]
        words = [programs / "postgres", "-D", data, *quick]
        with served(words, who, folder, is_up, signal.SIGQUIT):
            with server.connect("postgres") as base:
                base.execute("CREATE DATABASE places TEMPLATE template0")
                base.execute("CREATE EXTENSION postgis")
                base.execute("CREATE EXTENSION q3c")
            yield server
