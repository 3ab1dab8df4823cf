"""Database servers of Debian's packages, started in a folder of their own on a socket there."""

from __future__ import annotations

import glob
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
    """Run a program to its end."""
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


def fed(words: Sequence[object], text: str | Path, expect: int = 0) -> str:
    """What a client prints when it is fed statements; its complaint where it is to fail."""
    whole = text.read_bytes() if isinstance(text, Path) else text.encode()
    done = subprocess.run(
        [str(word) for word in words], input=whole, capture_output=True, check=False
    )
    assert done.returncode == expect, done.stderr.decode()
    return (done.stderr if expect else done.stdout).decode()


class MariaDb:
    """A running server, its client, and the folder that it lives in."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "socket"

    def connect(self, database: str = "") -> pymysql.Connection[Any]:
        return pymysql.connect(
            unix_socket=str(self.socket),
            user="root",
            database=database or None,
            charset="utf8mb4",
            autocommit=True,
        )

    def rows(self, database: str, question: str) -> list[dict[str, Any]]:
        """Rows of an answer."""
        with self.connect(database) as base, base.cursor(pymysql.cursors.DictCursor) as cursor:
            cursor.execute(question)
            return list(cursor.fetchall())

    def client(self, database: str, *options: str) -> list[str]:
        """The client's command."""
        own = ["mariadb", "--no-defaults", f"--socket={self.socket}", "--user=root"]
        return [*own, *options, database]

    def load(self, database: str, script: str | Path, *options: str, expect: int = 0) -> str:
        """Feed a script to the client."""
        return fed(self.client(database, *options), script, expect)


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
        normal = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        run([programs[1], *data, *normal], who)
        server = MariaDb(folder)
        words = [programs[0], *data, f"--socket={server.socket}", f"--pid-file={folder / 'pid'}"]
        quick = ["--skip-networking", "--innodb-flush-log-at-trx-commit=0"]
        packets = ["--max-allowed-packet=1M"]

        # Who comes early waits in line
        with served(
            [*words, *quick, *packets], who, folder, server.socket.is_socket, signal.SIGKILL
        ):
            yield server


class PostgreSql:
    """A running server, its client, and the folder that it lives in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=str(self.folder), user="regengine", dbname=database, autocommit=True
        )

    def rows(self, database: str, question: str, *values: object) -> list[dict[str, Any]]:
        """Rows of an answer."""
        with self.connect(database) as base:
            cursor = base.cursor(row_factory=psycopg.rows.dict_row)
            return cursor.execute(question, values or None).fetchall()

    def client(self, database: str) -> list[str]:
        """The client's command."""
        own = ["psql", "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1", "-A", "-t"]
        return [*own, f"--host={self.folder}", "--username=regengine", database]

    def load(self, database: str, script: str | Path, expect: int = 0) -> str:
        """Feed a script to the client."""
        return fed(self.client(database), script, expect)


@contextmanager
def postgresql() -> Iterator[PostgreSql]:
    """A PostgreSQL server that could have PostGIS and Q3C."""
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
        quick = ["-c", "fsync=off", "-c", "listen_addresses="]

        def is_up() -> bool:
            try:
                server.connect().close()
            except psycopg.OperationalError:
                return False
            return True

        with served(
            [programs / "postgres", "-D", data, "-k", folder, *quick],
            who,
            folder,
            is_up,
            signal.SIGQUIT,
        ):
            yield server
