"""`regengine tle add` and `get`: element sets that are kept, and where those of the past are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from regengine import api
from regengine.orbit.tle import load_tle_file
from tests.command_line import invoke
from tests.conftest import ROOT
from tests.regengine.lights.tile_server import TileServer

SETS = ROOT / "data_samples" / "tle.txt"
LIGHTS = ROOT / "data_samples" / "lights.tif"


@pytest.fixture
def server(socket_enabled: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[TileServer]:
    service = TileServer()
    monkeypatch.setenv("REGENGINE_CELESTRAK", f"{service.url}/gp.php?CATNR=25544")
    yield service
    service.close()


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of element sets that are kept, which is not there yet."""
    monkeypatch.setenv("REGENGINE_DATA", str(tmp_path / "data"))
    return tmp_path / "data" / "tle"


def test_a_file_that_is_added_is_found(kept: Path, tmp_path: Path) -> None:
    assert api.run_inputs(lights=LIGHTS).tle is None
    said = invoke("tle", "add", SETS)
    assert said.exit_code == 0
    assert said.stdout.startswith(f"{kept / 'tle.txt'}: ")
    assert api.run_inputs(lights=LIGHTS).tle == kept
    invoke("tle", "add", SETS)
    assert [path.name for path in kept.iterdir()] == ["tle.txt"]
    other = tmp_path / "tle.txt"
    other.write_bytes(b"# another\n" + SETS.read_bytes())
    invoke("tle", "add", other)
    assert len(list(kept.iterdir())) == 2


def test_what_holds_no_element_set_is_not_kept(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("nothing")
    said = invoke("tle", "add", SETS, tmp_path / "note.txt")
    assert said.exit_code == 3
    assert "note.txt: holds no element set" in said.stderr
    assert not kept.exists()


def test_the_latest_sets_are_fetched(server: TileServer, kept: Path) -> None:
    server.bodies["/gp.php"] = SETS.read_bytes()
    said = invoke("tle", "get")
    assert said.exit_code == 0
    (path,) = kept.iterdir()
    assert (load_tle_file(path).epoch_days == load_tle_file(SETS).epoch_days).all()


def test_a_source_that_answers_something_else_leaves_nothing(
    server: TileServer, kept: Path
) -> None:
    server.bodies["/gp.php"] = b"No GP data found"
    said = invoke("tle", "get")
    assert said.exit_code == 3
    assert "answered with something else than element sets" in said.stderr
    server.faults["*"] = [404]
    said = invoke("tle", "get")
    assert said.exit_code == 3
    assert "cannot be asked for element sets" in said.stderr
    assert not kept.exists()


def test_of_the_past_it_says_where_to_get_a_file(kept: Path) -> None:
    said = invoke("tle", "get", "--around", "2012-03-28T15:46:41Z")
    assert said.exit_code == 3
    assert "No source without an account has element sets of 201" in said.stderr
    assert "space-track.org" in said.stderr
    assert "regengine tle add FILE" in said.stderr
