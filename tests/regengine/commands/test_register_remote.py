"""`regengine register` with photos by URL, and on a cluster that is not there."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import h5py
import pytest

from regengine import pipeline
from regengine.batch import cluster as dask_client
from tests.command_line import invoke
from tests.conftest import ROOT
from tests.example_results import fake_process_photo
from tests.regengine.io.photo_server import PhotoServer, photo_server

LIGHTS = ["--lights", str(ROOT / "data_samples" / "lights.tif")]

FILE = "file:" + "//"  # files of this machine


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PhotoServer]:
    monkeypatch.setattr(pipeline, "process_photo", fake_process_photo)
    monkeypatch.chdir(tmp_path)
    with photo_server() as running:
        for name in ("a", "dark", "z"):
            running.files[f"/{name}.jpg"] = name.encode()
        yield running


register = partial(invoke, "register", *LIGHTS, "--workers", "0")


def test_urls_and_lists_are_registered_once(tmp_path: Path, server: PhotoServer) -> None:
    Path("list.txt").write_text(f"{server.url('/dark.jpg')}\n{server.url('/gone.jpg')}\n")
    arguments = (server.url("/a.jpg"), "@list.txt", "--json")
    result = register(*arguments)
    assert result.exit_code == 1
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(one["path"], one["verdict"], one["reasons"]) for one in told] == [
        (server.url("/a.jpg"), "accepted", []),
        (server.url("/dark.jpg"), "no_match", ["no_ephemeris"]),
        (server.url("/gone.jpg"), "failed", ["not_found"]),
    ]
    assert str(tmp_path) not in result.stdout
    again = register(*arguments, server.url("/z.jpg"))
    assert again.exit_code == 1
    assert "4 photos (2 taken from the store)" in again.stderr
    assert (server.asked["/a.jpg"], server.asked["/z.jpg"]) == (1, 1)
    register(*arguments, "--no-resume")
    assert server.asked["/a.jpg"] == 2


def test_a_dry_run_fetches_nothing(server: PhotoServer) -> None:
    result = register(server.url("/ISS030-E-1.jpg"), "--dry-run")
    assert result.stdout.split(maxsplit=1) == ["ISS030-E-1", "would be fetched first\n"]
    result = register(server.url("/a.jpg"), "--dry-run", "--json")
    assert json.loads(result.stdout) == {
        "frame": "a",
        "path": server.url("/a.jpg"),
        "stored": None,
        "would_fetch": True,
    }
    assert not server.asked


def test_secrets_of_urls_are_nowhere_but_where_the_photo_is_fetched(
    tmp_path: Path, server: PhotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = server.url("/a.jpg")
    secret = bare.replace("://", "://me:pa55word@") + "?token=t0ken"
    scheduled = "--note=tcp://me:pa55word@node:1"  # a word of the kind, that is no photo
    words = ("register", *LIGHTS, "--workers", "0", secret)
    monkeypatch.setattr(sys, "argv", ["regengine", *words, scheduled])
    told = [invoke(*words, "--debug", *form) for form in ((), ("--json",), ("--dry-run",))]
    told.append(invoke(*words, "--no-resume", server.url("/gone.jpg?pwd=t0ken")))
    told.append(invoke("report", "run.h5", "--json"))
    assert bare in json.loads(told[-1].stdout)["run"]["command_line"]
    told.append(invoke("report", "run.h5", "--out", "report.html"))
    told.append(invoke("show", "run.h5", "a"))
    told.append(invoke("classify", secret))
    assert told[-1].exit_code == 2
    contents = [one.output for one in told]
    contents += [path.read_bytes().decode("latin-1") for path in tmp_path.iterdir()]
    assert len(contents) == len(told) + 2
    assert not any("pa55word" in text or "t0ken" in text for text in contents)
    with h5py.File("run.h5") as file:
        assert str(file.attrs["command_line"]).endswith("--note=tcp://node:1")


def test_what_is_no_photo_to_fetch_is_a_usage_error(server: PhotoServer) -> None:
    for wrong in (f"{FILE}/etc/passwd", "gopher://a.org/x.jpg", "@nothing.txt"):
        result = register(wrong)
        assert result.exit_code == 2
        assert result.stderr.startswith("Error: ")
        assert len(result.stderr.splitlines()) == 1


def test_a_cluster_that_is_not_there_is_told(
    server: PhotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed", reason="needs distributed: pip install 'regengine[dask]'")
    monkeypatch.setattr(dask_client, "CONNECT_S", 0.2)
    Path("x.jpg").write_bytes(b"x")
    result = register("x.jpg", "--scheduler", "tcp://127.0.0.1:9")
    assert result.exit_code == 3
    assert "Error: no Dask scheduler answers at tcp://127.0.0.1:9" in result.stderr
    assert not Path("run.h5").exists()
    assert register("x.jpg", "--scheduler", "127.0.0.1").exit_code == 2
