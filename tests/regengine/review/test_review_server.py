"""The command: starts, says where, ends in order, refuses what makes no sense."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from regengine.errors import ConfigError
from regengine.result import FrameResult
from regengine.review.app import StagedApp, prepare_first_picture
from regengine.review.context import parse_layers
from regengine.review.decisions import Judged
from regengine.review.server import ServerOptions, listen, open_review, usual_port
from tests.command_line import invoke
from tests.conftest import ROOT
from tests.example_results import nothing_found, proposal
from tests.regengine.exchange.export.exported import write_store
from tests.regengine.review.made_review import WORK, Browser


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("server") / "run.h5", [proposal()])


def test_it_starts_answers_and_ends_in_order(store: Path) -> None:
    words = [sys.executable, str(ROOT / "cli.py"), "review", str(store), "--no-browser", "--json"]
    server = subprocess.Popen([*words, "--readonly"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        told = json.loads(server.stdout.readline())
        with httpx.Client(follow_redirects=True) as client:
            page = client.get(told["url"])
            assert page.status_code == 200
            assert "token" not in str(page.url)
            assert page.headers["content-type"].startswith("text/html")
            assert client.get(page.url.join("/api/session")).json()["frames"] == 1
        assert told["store"] == str(store)
    finally:
        server.send_signal(signal.SIGTERM)
        rest, _ = server.communicate()
    assert (server.returncode, rest) == (0, "")
    assert [path.name for path in store.parent.iterdir()] == ["run.h5"]


def test_a_store_has_its_usual_port_where_it_is_free(store: Path) -> None:
    usual = usual_port(store)
    assert usual == usual_port(Path(os.path.relpath(store)))
    assert 49152 <= usual <= 65535
    with listen(ServerOptions(), usual) as first:
        if first.getsockname()[1] != usual:
            pytest.skip("another program has taken the store's usual port")
        with listen(ServerOptions(), usual) as second:
            assert second.getsockname()[1] != usual
    # Small answers would wait for 40 ms otherwise
    with listen(ServerOptions(), usual) as again:
        assert again.proto == socket.IPPROTO_TCP


def test_a_port_that_is_taken_is_told() -> None:
    with listen(ServerOptions(), usual_port(Path("any"))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match="--port"):
            listen(ServerOptions(port=port), 0)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--reviewer", ""], 2, "--reviewer"),
        (["--reviewer", "a\nb"], 2, "--reviewer"),
        (["--layer", "Streets"], 2, "--layer"),
        (["--tle", "nowhere.txt"], 3, "nowhere.txt"),
        (["--lights", "nowhere.tif"], 3, "nowhere.tif"),
        (["--metadata", "nowhere.csv"], 2, "nowhere.csv"),
        (["--host", "no such host"], 2, "no such host"),
    ],
)
def test_nonsense_is_one_sentence(store: Path, words: list[str], code: int, said: str) -> None:
    found = invoke("review", str(store), "--no-browser", *words)
    assert (found.exit_code, said in found.stderr) == (code, True)
    assert found.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Streets",
        "Streets | tiles/{z}/{x}/{y}.png",
        "Streets | https://tiles.example.org/{z}/{x}.png",
        "Streets | javascript:alert('{z}{x}{y}')",
        "Streets | https://a:b@tiles.example.org/{z}/{x}/{y}.png",
        "Streets | https://{z}.example.org/{x}/{y}.png",
        "Streets | https://tiles.example.org; script-src */{z}/{x}/{y}.png",
        "| https://tiles.example.org/{z}/{x}/{y}.png",
    ],
)
def test_layers_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"write .NAME"):
        parse_layers([text])


def test_a_layer_is_known_by_its_parts() -> None:
    (layer,) = parse_layers(["Night | https://tiles.example.org:8443/{z}/{y}/{x}.png | © them"])
    assert (layer.name, layer.attribution) == ("Night", "© them")
    assert layer.origin == "https://tiles.example.org:8443"
    with pytest.raises(ConfigError, match="same name"):
        parse_layers(["A | http://a/{z}{x}{y}", "A | http://b/{z}{x}{y}"])


def test_what_is_asked_for_first_does_not_wait_for_the_rest() -> None:
    from fastapi import FastAPI

    early, whole = FastAPI(), FastAPI()
    early.get("/first")(lambda: "early")
    whole.get("/first")(lambda: "whole")
    whole.get("/second")(lambda: "whole")
    made: list[int] = []
    make: Callable[[], FastAPI] = lambda: made.append(1) or whole  # type: ignore[func-returns-value] # noqa: E731
    browser = Browser(StagedApp(early, make))
    assert (browser.get("/first").json(), made) == ("early", [])
    assert (browser.get("/second").json(), made) == ("whole", [1])
    assert (browser.get("/first").json(), made) == ("whole", [1])


def photographed(result: FrameResult, path: Path, grey: int) -> FrameResult:
    Image.fromarray(np.full((426, 640, 3), grey, np.uint8)).save(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return replace(result, path=str(path), sha256=digest)


def kept_after_start(store: Path, decided: int | None = None) -> tuple[int, dict[str, int]]:
    """Bytes of decoded photos before anything is asked; more if these are asked for then."""
    with open_review(store, reviewer="Ada") as context:
        if decided is not None:
            sha256 = context.frames.frame(decided).result.sha256
            judged = Judged(
                frame_index=decided,
                sha256=sha256,
                verdict="review",
                probability=None,
                proposal_sha256="",
            )
            context.decisions.save(judged, "Ada", "accepted", WORK)
        prepare_first_picture(context).join()
        kept = context.pyramids.kept_bytes
        more = {}
        for name in ("doubtful.jpg", "sure.jpg"):
            before = context.pyramids.kept_bytes
            context.pyramids.preview(store.parent / name, 2048)
            more[name] = context.pyramids.kept_bytes - before
        return kept, more


def test_the_most_doubtful_open_frame_is_decoded(tmp_path: Path) -> None:
    doubtful = replace(proposal("ISS001-E-1", "review"), probability=0.5)
    store = write_store(
        tmp_path / "run.h5",
        [
            photographed(nothing_found("ISS001-E-3"), tmp_path / "none.jpg", 20),
            photographed(proposal("ISS001-E-2"), tmp_path / "sure.jpg", 30),
            photographed(doubtful, tmp_path / "doubtful.jpg", 40),
        ],
    )
    size = 426 * 640 * 3
    assert kept_after_start(store) == (size, {"doubtful.jpg": 0, "sure.jpg": size})
    assert kept_after_start(store, decided=2) == (size, {"doubtful.jpg": size, "sure.jpg": 0})
    (tmp_path / "sure.jpg").unlink()
    with open_review(store, reviewer="Ada") as context:
        prepare_first_picture(context).join()
        assert context.pyramids.kept_bytes == 0
