"""Fetching: what comes is whole, what does not come is told, within limits."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from regengine.errors import FrameError
from regengine.io.fetch import fetch
from regengine.io.http import RetryPolicy
from tests.regengine.io.photo_server import PhotoServer, photo_server
from tests.world.bad_servers import Manner, serve_badly

PATIENCE = RetryPolicy(attempts=3, idle_s=60.0, total_s=300.0)

FILE = "file:" + "//"  # files of this machine


@pytest.fixture(scope="module")
def server() -> Iterator[PhotoServer]:
    with photo_server() as running:
        running.files["/x.jpg"] = os.urandom(300_000)
        yield running


def fetched(url: str, target: Path, policy: RetryPolicy = PATIENCE) -> list[float]:
    pauses: list[float] = []
    fetch(url, target, policy, megabytes=1, sleep=pauses.append)
    return pauses


def refused(url: str, target: Path, policy: RetryPolicy = PATIENCE) -> tuple[str, str]:
    with pytest.raises(FrameError) as told:
        fetched(url, target, policy)
    assert not target.exists()
    return told.value.code, str(told.value)


def test_passing_faults_are_tried_again(tmp_path: Path, server: PhotoServer) -> None:
    server.answers["/x.jpg"] = [503, 429]
    assert fetched(server.url("/x.jpg"), tmp_path / "x") == [1.0, 2.0]
    assert (tmp_path / "x").read_bytes() == server.files["/x.jpg"]
    server.answers["/x.jpg"] = [500] * 3
    code, text = refused(server.url("/x.jpg"), tmp_path / "y")
    assert (code, server.answers["/x.jpg"]) == ("unreadable", [])
    assert "its server answers 500, 3 times" in text


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (404, "not_found", "does not exist"),
        (410, "not_found", "no longer exists"),
        (403, "unreadable", "is not accessible"),
        (400, "unreadable", "answers 400"),
    ],
)
def test_what_will_not_be_otherwise_is_asked_for_once(
    tmp_path: Path, server: PhotoServer, status: int, code: str, words: str
) -> None:
    path = f"/{status}.jpg"
    server.answers[path] = [status]
    told = refused(server.url(path), tmp_path / "x")
    assert told[0] == code
    assert words in told[1]
    assert server.asked[path] == 1


@pytest.mark.parametrize("hidden", [False, True])
def test_too_much_is_refused(tmp_path: Path, server: PhotoServer, hidden: bool) -> None:
    path = f"/large_{hidden}.jpg"
    server.files[path] = bytes(3 << 20)
    if hidden:
        server.hidden_size.add(path)
    code, text = refused(server.url(path), tmp_path / "x")
    assert (code, server.asked[path]) == ("too_large", 1)
    assert "has more than 1 MB" in text


@pytest.mark.parametrize(
    ("manner", "tries"), [("silent", 2), ("drips headers", 2), ("drips a body", 3)]
)
def test_who_says_next_to_nothing_is_given_up(tmp_path: Path, manner: Manner, tries: int) -> None:
    with serve_badly(manner) as server:
        policy = RetryPolicy(idle_s=0.3, attempts=3)
        code, text = refused(f"http://{server.address}/x.jpg", tmp_path / "x", policy)
    assert (code, server.asked) == ("unreadable", tries)
    assert "cannot be downloaded" in text
    assert f"{tries} times" in text


def test_a_port_where_nobody_listens_is_given_up(tmp_path: Path) -> None:
    with socket.socket() as nobody:  # its port is taken, and nobody listens there
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/x.jpg"
        code, _ = refused(url, tmp_path / "x")
    assert code == "unreadable"


def test_a_slow_drip_is_given_up(tmp_path: Path, server: PhotoServer) -> None:
    _, text = refused(server.url("/x.jpg"), tmp_path / "x", RetryPolicy(total_s=-1.0, attempts=1))
    assert "takes more than" in text


def test_redirections_stay_on_their_host(tmp_path: Path, server: PhotoServer) -> None:
    server.redirects["/old.jpg"] = "/x.jpg"
    fetched(server.url("/old.jpg"), tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == server.files["/x.jpg"]
    port = server.address.rpartition(":")[2]
    away = {
        f"http://localhost:{port}/x.jpg": "redirects to http://localhost",
        f"{FILE}/etc/passwd": f"redirects to {FILE}nowhere",
        "ftp://127.0.0.1/x.jpg": "redirects to ftp://127.0.0.1",
    }
    for target, words in away.items():
        server.redirects["/away.jpg"] = target
        before = server.asked["/x.jpg"]
        code, text = refused(server.url("/away.jpg"), tmp_path / "y")
        assert code == "unreadable"
        assert words in text
        assert server.asked["/x.jpg"] == before
    server.redirects["/round.jpg"] = "/round.jpg"
    assert "redirects in circles" in refused(server.url("/round.jpg"), tmp_path / "y")[1]


def test_logins_of_the_home_folder_are_for_their_host(
    tmp_path: Path, server: PhotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    logins = tmp_path / "logins"
    logins.write_text("machine 127.0.0.1 login me password s3cret\n")
    monkeypatch.setenv("NETRC", str(logins))
    fetched(server.url("/x.jpg"), tmp_path / "x")
    sent = server.headers[-1]["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent) == b"me:s3cret"
    fetched(server.url("/x.jpg").replace("127.0.0.1", "localhost"), tmp_path / "x")
    assert "Authorization" not in server.headers[-1]


def test_proxies_are_those_of_the_environment(
    tmp_path: Path, server: PhotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server plays the proxy, which is asked for whole addresses."""
    host = server.address.removeprefix("http://")
    monkeypatch.setenv("http_proxy", f"http://me:pr0xy@{host}")
    monkeypatch.delenv("no_proxy", raising=False)
    fetched("http://photos.invalid/x.jpg", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == server.files["/x.jpg"]
    assert server.headers[-1]["Host"] == "photos.invalid"
    sent = server.headers[-1]["proxy-authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent) == b"me:pr0xy"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    fetched(server.url("/x.jpg"), tmp_path / "x")
    assert server.headers[-1]["Host"] == host
