"""Downloading map tiles from a service that behaves, and from one that does not."""

from __future__ import annotations

import json
import resource
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from fetching import CIRCLE, LAT, LEVEL, LON, fetch, leftovers, wanted_paths
from tile_server import TileServer, picture

from regengine.errors import ConfigError, LightMapError
from regengine.lights import open_light_map
from regengine.lights.downloader import Downloader
from regengine.lights.fetch import (
    fetch_tiles,
)
from regengine.lights.tiles import Circle, map_tiles_in_circle


def test_fetched_tiles_are_a_map(
    server: TileServer, downloader: Downloader, tmp_path: Path
) -> None:
    steps: list[tuple[int, int]] = []
    fetched = fetch(
        server, tmp_path / "t", downloader, progress=lambda done, total: steps.append((done, total))
    )
    count = len(wanted_paths())
    assert 2 <= count <= 9
    assert (fetched.downloaded, fetched.present, fetched.absent) == (count, 0, 0)
    assert sorted(server.requests) == sorted(wanted_paths())
    assert steps[-1] == (count, count)
    grid = open_light_map([fetched.folder]).window(LON - 0.2, LAT - 0.2, LON + 0.2, LAT + 0.2, 0.01)
    assert grid.valid is None
    assert grid.values.min() > 0.3
    assert json.loads((tmp_path / "t" / "tiles.json").read_text())["url"].startswith(server.url)


def test_what_is_there_is_not_fetched_again(
    server: TileServer, downloader: Downloader, tmp_path: Path
) -> None:
    missing = wanted_paths()[0]
    server.faults[missing] = [404]
    first = fetch(server, tmp_path, downloader)
    asked = sum(server.requests.values())
    again = fetch(server, tmp_path, downloader)
    assert sum(server.requests.values()) == asked
    assert (again.downloaded, again.present, again.absent) == (0, first.downloaded, 1)
    next(tmp_path.glob("8/*/*.png")).unlink()
    assert fetch(server, tmp_path, downloader).downloaded == 1


def test_a_tile_that_does_not_exist_is_no_data(
    server: TileServer, downloader: Downloader, tmp_path: Path
) -> None:
    server.faults["*"] = [404]
    present = wanted_paths()[-1]
    server.faults[present] = ["ok"]
    fetched = fetch(server, tmp_path, downloader)
    assert (fetched.downloaded, fetched.absent) == (1, len(wanted_paths()) - 1)
    light_map = open_light_map([tmp_path])
    assert light_map.info.description.endswith("estimated from their lights")


def hasty(downloader: Downloader) -> Downloader:
    """The same with little patience, for a server that is silent."""
    return replace(downloader, timeout_s=0.7)


@pytest.mark.parametrize(
    "faults",
    [[500, 503, "ok"], [429, "ok"], ["truncated", "ok"], ["broken", "ok"], ["slow", "ok"],
     ["cut", "ok"]],
)  # fmt: skip
def test_passing_failures_are_tried_again(
    server: TileServer, downloader: Downloader, tmp_path: Path, faults: list[int | str]
) -> None:
    victim = wanted_paths()[0]
    server.faults[victim] = list(faults)
    fetched = fetch(server, tmp_path, hasty(downloader) if "slow" in faults else downloader)
    assert fetched.downloaded == len(wanted_paths())
    assert server.requests[victim] == len(faults)
    assert {path.read_bytes() for path in tmp_path.glob("8/*/*.png")} == {picture()}
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("fault", "sentence", "tries"),
    [
        (500, "failed with status 500 in 3 attempts: try again later", 3),
        ("truncated", "only .* bytes arrived", 3),
        ("broken", "a picture arrived broken", 3),
        ("slow", "does not answer in time.*check the network connection", 3),
        ("html", "answered with a web page instead of a picture", 1),
        (400, "rejects the request with status 400: check the address", 1),
        (403, "refuses access .status 403.*EARTHDATA_TOKEN", 1),
        ("to:ftp://127.0.0.1/x.png", "redirection to something that is no web address", 1),
    ],
)
def test_lasting_failures_are_one_sentence_and_what_came_is_kept(
    server: TileServer, downloader: Downloader, tmp_path: Path,
    fault: int | str, sentence: str, tries: int,
) -> None:  # fmt: skip
    victim = wanted_paths()[-1]
    server.faults[victim] = [fault]
    with pytest.raises(LightMapError, match=sentence) as caught:
        fetch(server, tmp_path, hasty(downloader) if fault == "slow" else downloader)
    assert "127.0.0.1" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert server.requests[victim] == tries
    assert leftovers(tmp_path) == []
    server.faults.clear()
    kept = len(list(tmp_path.glob("8/*/*.png")))
    again = fetch(server, tmp_path, downloader)
    assert (again.downloaded, again.present) == (len(wanted_paths()) - kept, kept)


def test_something_else_instead_of_a_picture_is_told(
    server: TileServer, downloader: Downloader, tmp_path: Path
) -> None:
    server.bodies = dict.fromkeys(wanted_paths(), b'{"error": "no such layer"}')
    with pytest.raises(LightMapError, match="answered with something else instead of a picture"):
        fetch(server, tmp_path, downloader)


def test_offline_is_told_at_once(
    server: TileServer, downloader: Downloader, tmp_path: Path
) -> None:
    with socket.socket() as nobody:  # its port is taken, and nobody listens there
        nobody.bind(("127.0.0.1", 0))
        template = f"http://127.0.0.1:{nobody.getsockname()[1]}/{{z}}/{{y}}/{{x}}.png"
        with pytest.raises(LightMapError, match=r"cannot be reached .*check the network") as caught:
            fetch_tiles(CIRCLE, tmp_path, template=template, downloader=downloader)
    assert caught.value.code == "offline"
    with pytest.raises(LightMapError, match="holds no tile in the order"):
        open_light_map([tmp_path])


def test_a_name_that_does_not_resolve_is_offline(
    downloader: Downloader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(LightMapError, match=r"gibs\.earthdata\.nasa\.gov cannot be reached"):
        fetch_tiles(CIRCLE, tmp_path, downloader=downloader)


def test_a_trickle_ends(server: TileServer, tmp_path: Path) -> None:
    impatient = Downloader(attempts=1, file_timeout_s=0.0)
    with pytest.raises(LightMapError, match="does not answer in time"):
        fetch(server, tmp_path, impatient)


def test_a_full_disk_is_told_and_not_tried_again(
    server: TileServer, downloader: Downloader, tmp_path: Path
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))  # bytes that any file may have
    try:
        with pytest.raises(LightMapError, match=r"png cannot be written \(File too large\)"):
            fetch(server, tmp_path, downloader)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert max(server.requests.values()) == 1
    assert leftovers(tmp_path) == []


def test_a_folder_that_cannot_be_written_to_is_told(
    server: TileServer, downloader: Downloader, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LightMapError, match=r"cannot be written to .*--out"):
        fetch(server, tmp_path / "file" / "tiles", downloader)
    folder = tmp_path / "tiles"
    folder.mkdir()
    (folder / str(LEVEL)).write_text("in the way")
    with pytest.raises(LightMapError, match="cannot be written"):
        fetch(server, folder, downloader)
    assert server.requests.total() == 0


def test_tiles_of_two_services_are_not_mixed(
    server: TileServer, downloader: Downloader, tmp_path: Path
) -> None:
    fetch(server, tmp_path, downloader)
    with pytest.raises(ConfigError, match=r"holds tiles of another service .*--out"):
        fetch_tiles(CIRCLE, tmp_path, downloader=downloader)


def test_rows_counted_from_the_south_are_asked_for_so(
    server: TileServer, downloader: Downloader, tmp_path: Path
) -> None:
    fetch_tiles(
        Circle(LON, LAT, 10.0), tmp_path, template=f"{server.url}/{{z}}/{{x}}/{{-y}}.jpg",
        level=3, downloader=downloader,
    )  # fmt: skip
    ((x, y),) = map_tiles_in_circle(Circle(LON, LAT, 10.0), 3)
    assert list(server.requests) == [f"/3/{x}/{7 - y}.jpg"]
    assert (tmp_path / "3" / str(x) / f"{y}.jpg").exists()
