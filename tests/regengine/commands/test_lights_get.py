"""`regengine lights get`: from a service on this machine, and from what one has."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from affine import Affine

from regengine import api
from regengine.lights import open_light_map
from tests.command_line import invoke
from tests.conftest import ROOT
from tests.regengine.lights.tile_server import TileServer

LIGHTS = ROOT / "data_samples" / "lights.tif"
REGION = ("--region", "11,42,12,43", "--level", "5")  # two tiles


@pytest.fixture
def server(socket_enabled: None) -> Iterator[TileServer]:
    service = TileServer()
    yield service
    service.close()


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REGENGINE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("REGENGINE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "data"


def get(server: TileServer | None, *words: object) -> tuple[int, str, str]:
    address = [] if server is None else ["--url", f"{server.url}/{{z}}/{{y}}/{{x}}.png"]
    result = invoke("lights", "get", *address, *words)
    return result.exit_code, result.stdout, result.stderr


def test_a_region_is_fetched_built_indexed_and_found(server: TileServer, data: Path) -> None:
    code, shown, said = get(server, *REGION)
    out = data / "lights" / "lights.tif"
    assert (code, shown) == (0, f"{out}\n"), said
    told, *rest = said.splitlines()
    assert told.startswith("2 tiles, 0 there already: about 0.0 MB to download into ")
    assert f"{out}.idx: " in rest[2]
    assert sorted(server.requests) == ["/5/11/16.png", "/5/11/17.png"]
    assert open_light_map([out]).info.bounds == pytest.approx((11.0, 42.0, 12.0, 43.0), abs=0.05)
    assert api.run_inputs().lights == (out,)
    assert Path(f"{out}.idx").is_file()
    code, _, said = get(server, *REGION)
    assert code == 2
    assert "is there already, with its index: --force makes it anew" in said
    assert get(server, *REGION, "--force", "--quiet") == (0, f"{out}\n", "")
    assert sum(server.requests.values()) == 2


def test_what_was_interrupted_goes_on(server: TileServer, data: Path) -> None:
    server.faults["/5/11/17.png"] = [403]
    code, shown, said = get(server, *REGION)
    assert (code, shown) == (3, "")
    assert "refuses access" in said
    assert list((data / "lights").iterdir()) == []
    server.faults.clear()
    code, _, said = get(server, *REGION)
    assert code == 0
    assert server.requests["/5/11/16.png"] == 1
    index = data / "lights" / "lights.tif.idx"
    index.unlink()
    before = sum(server.requests.values())
    assert get(server, *REGION)[0] == 0
    assert index.is_file()
    assert sum(server.requests.values()) == before


def test_a_disk_that_is_too_small_is_told_before(
    server: TileServer, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=10_000))
    code, _, said = get(server, *REGION)
    assert code == 3
    assert "0 MB free, too little: make room" in said
    assert list((data / "lights").iterdir()) == []


def test_what_one_has_is_taken_without_a_network(data: Path, tmp_path: Path) -> None:
    code, shown, _ = get(None, "--from", LIGHTS, "--region", "-153,34,-151,35")
    assert code == 0
    assert open_light_map([Path(shown.strip())]).info.bounds[0] == pytest.approx(-153.0, abs=0.02)
    code, _, said = get(None, "--from", tmp_path / "gone.tif", "--force")
    assert code == 3
    assert "gone.tif does not exist" in said
    assert get(None, "--from", LIGHTS, "--url", "https://x/{z}/{x}/{y}.png", "--force")[0] == 2


def test_a_map_without_towns_is_kept_without_an_index(data: Path, tmp_path: Path) -> None:
    dark = tmp_path / "dark.tif"
    with rasterio.open(
        dark, "w", driver="GTiff", dtype="float32", count=1, height=40, width=40,
        crs="EPSG:4326", transform=Affine(1 / 240, 0.0, 10.0, 0.0, -1 / 240, 50.0),
    ) as dataset:  # fmt: skip
        dataset.write(np.full((40, 40), 0.01, np.float32), 1)
    code, shown, said = get(None, "--from", dark)
    assert code == 0
    assert "No index was made: " in said
    assert Path(shown.strip()).is_file()


def test_the_data_folder_that_cannot_be_made_is_named() -> None:
    code, _, said = get(None, "--from", LIGHTS)
    assert code == 2
    assert "let REGENGINE_DATA name a folder that you may write to" in said
