"""Map tiles from a service that behaves, and from one that does not; what is asked of whom."""

from __future__ import annotations

import json
import math
import resource
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from tile_server import TileServer, picture

from regengine.errors import ConfigError, LightMapError
from regengine.io.folders import cache_folder, data_folder
from regengine.lights import downloader as net
from regengine.lights import open_light_map
from regengine.lights.downloader import Downloader, may_have_token
from regengine.lights.fetch import (
    GIBS_BLACK_MARBLE,
    Fetched,
    fetch_tiles,
    tile_folder_name,
)
from regengine.lights.tiles import Circle, map_tiles_in_circle, ten_degree_tiles_in_circle

LON, LAT, LEVEL = 136.9, 35.7, 8
CIRCLE = Circle(LON, LAT, 60.0)


@dataclass(frozen=True)
class Service:
    """A server of the tests, who asks it, and where the tiles go."""

    server: TileServer
    downloader: Downloader
    folder: Path

    def fetch(self, folder: Path | None = None, *, hasty: bool = False, **more: Any) -> Fetched:
        """Tiles around a place; with little patience where the server is silent."""
        given = {"template": f"{self.server.url}/{{z}}/{{y}}/{{x}}.png", "level": LEVEL}
        downloader = replace(self.downloader, timeout_s=0.7) if hasty else self.downloader
        where = folder or self.folder
        return fetch_tiles(CIRCLE, where, downloader=downloader, **given, **more)


@pytest.fixture
def service(server: TileServer, downloader: Downloader, tmp_path: Path) -> Service:
    return Service(server, downloader, tmp_path)


def wanted_paths() -> list[str]:
    """What `fetch` asks the server for."""
    return [f"/{LEVEL}/{y}/{x}.png" for x, y in map_tiles_in_circle(CIRCLE, LEVEL)]


def leftovers(folder: Path) -> list[str]:
    """Hidden files that a download has left behind."""
    return [path.name for path in folder.rglob("*") if path.name.startswith(".")]


def test_fetched_tiles_are_a_map(service: Service) -> None:
    steps: list[tuple[int, int]] = []
    fetched = service.fetch(service.folder / "t", progress=lambda *step: steps.append(step))
    count = len(wanted_paths())
    assert 2 <= count <= 9
    assert (fetched.downloaded, fetched.present, fetched.absent) == (count, 0, 0)
    assert sorted(service.server.requests) == sorted(wanted_paths())
    assert steps[-1] == (count, count)
    grid = open_light_map([fetched.folder]).window(LON - 0.2, LAT - 0.2, LON + 0.2, LAT + 0.2, 0.01)
    assert grid.valid is None
    assert grid.values.min() > 0.3
    said = json.loads((service.folder / "t" / "tiles.json").read_text())
    assert said["url"].startswith(service.server.url)


def test_what_is_there_is_not_fetched_again(service: Service) -> None:
    missing = wanted_paths()[0]
    service.server.faults[missing] = [404]
    first = service.fetch()
    asked = sum(service.server.requests.values())
    again = service.fetch()
    assert sum(service.server.requests.values()) == asked
    assert (again.downloaded, again.present, again.absent) == (0, first.downloaded, 1)
    next(service.folder.glob("8/*/*.png")).unlink()
    assert service.fetch().downloaded == 1


def test_a_tile_that_does_not_exist_is_no_data(service: Service) -> None:
    service.server.faults["*"] = [404]
    present = wanted_paths()[-1]
    service.server.faults[present] = ["ok"]
    fetched = service.fetch()
    assert (fetched.downloaded, fetched.absent) == (1, len(wanted_paths()) - 1)
    light_map = open_light_map([service.folder])
    assert light_map.info.description.endswith("estimated from their lights")


@pytest.mark.parametrize(
    "faults",
    [[500, 503, "ok"], [429, "ok"], ["truncated", "ok"], ["broken", "ok"], ["slow", "ok"],
     ["cut", "ok"]],
)  # fmt: skip
def test_passing_failures_are_tried_again(service: Service, faults: list[int | str]) -> None:
    victim = wanted_paths()[0]
    service.server.faults[victim] = list(faults)
    fetched = service.fetch(hasty="slow" in faults)
    assert fetched.downloaded == len(wanted_paths())
    assert service.server.requests[victim] == len(faults)
    assert {path.read_bytes() for path in service.folder.glob("8/*/*.png")} == {picture()}
    assert leftovers(service.folder) == []


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
    service: Service, fault: int | str, sentence: str, tries: int
) -> None:
    victim = wanted_paths()[-1]
    service.server.faults[victim] = [fault]
    with pytest.raises(LightMapError, match=sentence) as caught:
        service.fetch(hasty=fault == "slow")
    assert "127.0.0.1" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert service.server.requests[victim] == tries
    assert leftovers(service.folder) == []
    service.server.faults.clear()
    kept = len(list(service.folder.glob("8/*/*.png")))
    again = service.fetch()
    assert (again.downloaded, again.present) == (len(wanted_paths()) - kept, kept)


def test_offline_is_told_at_once(service: Service) -> None:
    with socket.socket() as nobody:  # its port is taken, and nobody listens there
        nobody.bind(("127.0.0.1", 0))
        template = f"http://127.0.0.1:{nobody.getsockname()[1]}/{{z}}/{{y}}/{{x}}.png"
        with pytest.raises(LightMapError, match=r"cannot be reached .*check the network") as caught:
            fetch_tiles(CIRCLE, service.folder, template=template, downloader=service.downloader)
    assert caught.value.code == "offline"
    with pytest.raises(LightMapError, match="holds no tile in the order"):
        open_light_map([service.folder])


def test_a_full_disk_is_told_and_not_tried_again(service: Service) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))  # bytes that any file may have
    try:
        with pytest.raises(LightMapError, match=r"png cannot be written \(File too large\)"):
            service.fetch()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert max(service.server.requests.values()) == 1
    assert leftovers(service.folder) == []


def test_a_folder_that_cannot_be_written_to_is_told(service: Service) -> None:
    (service.folder / "file").write_text("x")
    with pytest.raises(LightMapError, match=r"cannot be written to .*--out"):
        service.fetch(service.folder / "file" / "tiles")
    folder = service.folder / "tiles"
    folder.mkdir()
    (folder / str(LEVEL)).write_text("in the way")
    with pytest.raises(LightMapError, match="cannot be written"):
        service.fetch(folder)
    assert service.server.requests.total() == 0


def test_tiles_of_two_services_are_not_mixed(service: Service) -> None:
    service.fetch()
    with pytest.raises(ConfigError, match=r"holds tiles of another service .*--out"):
        fetch_tiles(CIRCLE, service.folder, downloader=service.downloader)


def test_rows_counted_from_the_south_are_asked_for_so(service: Service) -> None:
    circle, given = Circle(LON, LAT, 10.0), {"level": 3, "downloader": service.downloader}
    template = f"{service.server.url}/{{z}}/{{x}}/{{-y}}.jpg"
    fetch_tiles(circle, service.folder, template=template, **given)
    ((x, y),) = map_tiles_in_circle(circle, 3)
    assert list(service.server.requests) == [f"/3/{x}/{7 - y}.jpg"]
    assert (service.folder / "3" / str(x) / f"{y}.jpg").exists()


@pytest.mark.parametrize(
    "template",
    ["ftp://x/{z}/{x}/{y}", "https://x/{z}/{x}", "https://x/{z}/{x}/{y}/{key}", "{z}/{x}/{y}",
     "https://x/{z}/{x}/{y", "https://x y/{z}/{x}/{y}", "gopher://x/{z}/{x}/{y}"],
)  # fmt: skip
def test_addresses_that_are_none_are_refused(tmp_path: Path, template: str) -> None:
    with pytest.raises(ConfigError, match="is no address of map tiles"):
        fetch_tiles(CIRCLE, tmp_path, template=template)


@pytest.mark.parametrize(
    ("place", "level", "sentence"),
    [((0.0, 95.0, 10.0), 8, "not on the Earth"), ((0.0, 0.0, 0.0), 8, "not on the Earth"),
     ((float("nan"), 0.0, 9.0), 8, "not on the Earth"), ((0.0, 0.0, 9.0), 23, "Level 23"),
     ((0.0, 0.0, 9000.0), 9, "choose a lower --level")],
)  # fmt: skip
def test_places_and_levels_that_make_no_sense_are_refused(
    tmp_path: Path, place: tuple[float, float, float], level: int, sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        fetch_tiles(Circle(*place), tmp_path / "t", level=level)
    assert not (tmp_path / "t").exists()


def test_the_cache_is_where_the_platform_keeps_such_things(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache_folder({"REGENGINE_CACHE": "here"}) == Path("here")
    assert cache_folder({"XDG_CACHE_HOME": "xdg"}, "Linux") == Path("xdg/regengine")
    assert cache_folder({}, "Linux") == Path.home() / ".cache" / "regengine"
    assert cache_folder({}, "Darwin") == Path.home() / "Library" / "Caches" / "regengine"
    assert cache_folder({"LOCALAPPDATA": "L"}, "Windows") == Path("L/regengine/Cache")
    assert data_folder({"REGENGINE_DATA": "here"}) == Path("here")
    assert data_folder({"XDG_DATA_HOME": "xdg"}, "Linux") == Path("xdg/regengine")
    assert data_folder({}, "Linux") == Path.home() / ".local" / "share" / "regengine"
    assert data_folder({"LOCALAPPDATA": "L"}, "Windows") == Path("L/regengine/Data")
    monkeypatch.setenv("REGENGINE_CACHE", str(service.folder))
    template = f"{service.server.url}/layer/{{z}}/{{y}}/{{x}}.png"
    fetched = fetch_tiles(CIRCLE, template=template, level=1, downloader=service.downloader)
    assert fetched.folder == service.folder / "tiles" / "127.0.0.1-layer"
    assert tile_folder_name(GIBS_BLACK_MARBLE).startswith("gibs.earthdata.nasa.gov-wmts-epsg3857")


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("https://gibs.earthdata.nasa.gov/x", True),
        ("https://ladsweb.modaps.eosdis.nasa.gov/x", True),
        ("https://data.laadsdaac.earthdatacloud.nasa.gov/x", True),
        ("https://EARTHDATA.nasa.gov./x", True),
        ("http://ladsweb.modaps.eosdis.nasa.gov/x", False),
        ("https://earthdata.nasa.gov.example.org/x", False),
        ("https://notearthdata.nasa.gov/x", False),
        ("https://urs.earthdata.nasa.gov@example.org/x", False),
        ("https://nasa.gov/x", False),
        ("not an address", False),
    ],
)
def test_the_token_is_for_earthdata_alone(url: str, may: bool) -> None:
    assert may_have_token(url) is may


def test_the_token_does_not_follow_a_redirection_to_another_host(
    server: TileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "127.0.0.1" plays the trusted host, "localhost" another one."""
    monkeypatch.setattr(net, "may_have_token", lambda url: "127.0.0.1" in url)
    holder = Downloader(token="secret", attempts=1)
    other = f"http://localhost:{server.port}"
    server.faults = {"/a": [f"to:{server.url}/b"], "/b": [f"to:{other}/c"], "/d": ["ok"]}
    assert holder.save(f"{server.url}/a", tmp_path / "x", lambda path: None)
    assert server.tokens == {"/a": "Bearer secret", "/b": "Bearer secret", "/c": None}
    assert holder.save(f"{other}/d", tmp_path / "y", lambda path: None)
    assert server.tokens["/d"] is None
    assert "secret" not in repr(holder)


def test_tiles_get_no_token(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARTHDATA_TOKEN", "secret")
    service.fetch()
    assert set(service.server.tokens.values()) == {None}


@given(
    lon=st.floats(-180, 180), lat=st.floats(-89, 89), radius_km=st.floats(1.0, 2300.0),
    bearing=st.floats(0, 360), share=st.floats(0, 1), zoom=st.integers(0, 6),
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_every_place_in_the_circle_lies_in_a_tile(
    lon: float, lat: float, radius_km: float, bearing: float, share: float, zoom: int
) -> None:
    """Places on the ellipsoid by pyproj; poles and antimeridian included."""
    at_lon, at_lat, _ = Geod(ellps="WGS84").fwd(lon, lat, bearing, 1000.0 * radius_km * share)
    tiles = map_tiles_in_circle(Circle(lon, lat, radius_km), zoom)
    assert len(tiles) == len(set(tiles))
    if abs(at_lat) < 85.0:
        y = (1 - math.asinh(math.tan(math.radians(at_lat))) / math.pi) / 2 * 2**zoom
        x = (at_lon + 180.0) / 360.0 * 2**zoom
        assert (math.floor(x) % 2**zoom, math.floor(y)) in tiles
    large = ten_degree_tiles_in_circle(Circle(lon, lat, radius_km))
    h, v = math.floor((at_lon + 180.0) / 10.0) % 36, min(math.floor((90.0 - at_lat) / 10.0), 17)
    assert (h, v) in large


def test_a_small_circle_takes_few_tiles() -> None:
    assert len(map_tiles_in_circle(Circle(LON, LAT, 1.0), 8)) <= 4
    wide = map_tiles_in_circle(Circle(LON, LAT, 500.0), 8)
    # 500 km are 3.9 tiles of 127 km: about pi * (3.9 + 0.6) ** 2
    assert 45 <= len(wide) <= 80
    assert np.unique([y for _, y in wide]).size >= 8


def test_something_else_instead_of_a_picture_is_told(service: Service) -> None:
    service.server.bodies = dict.fromkeys(wanted_paths(), b'{"error": "no such layer"}')
    with pytest.raises(LightMapError, match="answered with something else instead of a picture"):
        service.fetch()


def test_a_name_that_does_not_resolve_is_offline(
    downloader: Downloader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(LightMapError, match=r"gibs\.earthdata\.nasa\.gov cannot be reached"):
        fetch_tiles(CIRCLE, tmp_path, downloader=downloader)
