"""The server is treated politely, and its failures end in one sentence."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from regengine.archive.web import (
    Absent,
    ArchiveClient,
    CutError,
    TooMuchError,
    UnreachableError,
    check_address,
)
from regengine.errors import ArchiveError, ConfigError
from tests.regengine.archive.archive_server import ArchiveServer

Client = Callable[..., ArchiveClient]
PATH = "/meta/a.txt"
PAST = "Fri, 17 Jan 2014 07:45:02 GMT"


@pytest.fixture(autouse=True)
def content(archive: ArchiveServer) -> None:
    archive.texts[PATH] = b"x" * 3000


def test_requests_keep_their_distance(archive: ArchiveServer) -> None:
    now, slept = [100.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    web = ArchiveClient(pause_s=2.0)
    web.sleep, web.clock = sleep, lambda: now[0]
    for pause_s in (0.5, 5.0, 0.0):
        web.text(archive.address + PATH, 1)
        now[0] += pause_s
    assert slept == [1.5]


def test_pauses_grow_and_are_jittered(
    archive: ArchiveServer, client: Client, pauses: list[float]
) -> None:
    archive.faults = [503, "cut", "slow", 429]
    web = client(attempts=5, idle_s=0.3)
    assert len(web.text(archive.address + PATH, 1)) == 3000
    assert len(archive.asked) == 5
    assert len(set(pauses)) == 4
    for number, pause in enumerate(pauses):
        assert 0.5 * 2**number <= pause <= 1.5 * 2**number


def test_what_the_server_asks_for_is_kept(
    archive: ArchiveServer, client: Client, pauses: list[float]
) -> None:
    archive.faults = [(429, {"Retry-After": "17"}), (503, {"Retry-After": "0"})]
    client().text(archive.address + PATH, 1)
    assert pauses[0] == 17.0
    assert pauses[1] >= 1.0  # our own pause where the server's is shorter
    archive.faults = [(503, {"Retry-After": "3600"})]
    with pytest.raises(UnreachableError, match="left alone for 3600 s"):
        client().text(archive.address + PATH, 1)
    assert len(pauses) == 2
    assert archive.faults == []


@pytest.mark.parametrize("told", ["", "soon", "-5", "1e9", "Fri, 99 Jan 2014", PAST])
def test_nonsense_to_wait_for(
    archive: ArchiveServer, client: Client, pauses: list[float], told: str
) -> None:
    archive.faults = [(503, {"Retry-After": told})]
    client().text(archive.address + PATH, 1)
    assert 0.5 <= pauses[0] <= 1.5


def test_a_moment_to_wait_for(archive: ArchiveServer, client: Client, pauses: list[float]) -> None:
    moment = datetime.now(UTC) + timedelta(minutes=4)
    archive.faults = [(503, {"Retry-After": format_datetime(moment, usegmt=True)})]
    client().text(archive.address + PATH, 1)
    assert 120.0 <= pauses[0] <= 240.0


@pytest.mark.parametrize(
    ("fault", "kind", "why", "tries"),
    [
        (500, UnreachableError, "keeps failing (status 500, 3 times)", 3),
        (504, CutError, "status 504", 3),
        (413, CutError, "status 413", 3),
        ("cut", CutError, "1500 of 3000 bytes arrived", 3),
        ("short", CutError, "3000 of 6000 bytes arrived", 3),
        ("slow", UnreachableError, "does not answer in time", 3),
        (403, ArchiveError, "refuses access (status 403)", 1),
        (400, ArchiveError, "rejects the request with status 400", 1),
        (b"x" * (2 << 20), TooMuchError, "sends more than 1 MB", 1),
        ("to:http://localhost:1/x", ArchiveError, "sends us to http://localhost", 1),
        ("to:" + "file:" + "///etc/passwd", ArchiveError, "sends us to file://nowhere", 1),
        ("to:https://127.0.0.1/x", UnreachableError, "127.0.0.1 cannot be reached", 3),
    ],
)
def test_failures(
    archive: ArchiveServer,
    client: Client,
    fault: object,
    kind: type[ArchiveError],
    why: str,
    tries: int,
) -> None:
    archive.faults = [fault] * 3
    with pytest.raises(kind) as told:
        client(idle_s=0.3).text(f"{archive.address}{PATH}?key=s3cret", 1)
    assert why in str(told.value)
    assert "s3cret" not in str(told.value)
    assert len(archive.asked) == tries


def test_redirections_on_the_same_host(archive: ArchiveServer, client: Client) -> None:
    archive.faults = [f"to:{PATH}"]
    assert len(client().text(archive.address + "/old", 1)) == 3000
    archive.faults = ["to:/old"] * 40
    with pytest.raises(ArchiveError, match="rejects the request with status 302"):
        client().text(archive.address + "/old", 1)


def test_what_is_not_there(archive: ArchiveServer, client: Client) -> None:
    with pytest.raises(Absent):
        client().text(archive.address + "/none", 1)
    assert len(archive.asked) == 1


def test_nobody_there(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
    with pytest.raises(UnreachableError, match="cannot be reached: check the network"):
        client().text(address, 1)


def test_an_answer_that_drips_is_given_up(archive: ArchiveServer, client: Client) -> None:
    with pytest.raises(CutError, match="takes too long"):
        client(total_s=-1.0).text(archive.address + PATH, 1)


@pytest.mark.parametrize(
    "address",
    [
        "http://example.org/x",
        "ftp://example.org/x",
        "file:" + "///etc/passwd",
        "https:///x",
        "https://me:pw@example.org/x",
        "https://example.org/x?key=1",
        "nonsense",
        "http://127.0.0.1.example.org/x",
    ],
)
def test_addresses_that_get_no_key(address: str) -> None:
    with pytest.raises(ConfigError, match="--url") as told:
        check_address(address)
    assert "pw" not in str(told.value)


@pytest.mark.parametrize("address", ["https://example.org/x", "http://127.0.0.1:8/x"])
def test_addresses_that_may(address: str) -> None:
    check_address(address)
