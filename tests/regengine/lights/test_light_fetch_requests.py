"""What is asked of whom: addresses, the cache, the token, the tiles of a circle."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from fetching import CIRCLE, LAT, LON, fetch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from tile_server import TileServer

from regengine.errors import ConfigError
from regengine.lights import downloader as net
from regengine.lights.downloader import Downloader, may_have_token
from regengine.lights.fetch import (
    GIBS_BLACK_MARBLE,
    cache_folder,
    fetch_tiles,
    tile_folder_name,
)
from regengine.lights.tiles import Circle, map_tiles_in_circle, ten_degree_tiles_in_circle


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
    server: TileServer, downloader: Downloader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache_folder({"REGENGINE_CACHE": "here"}) == Path("here")
    assert cache_folder({"XDG_CACHE_HOME": "xdg"}, "Linux") == Path("xdg/regengine")
    assert cache_folder({}, "Linux") == Path.home() / ".cache" / "regengine"
    assert cache_folder({}, "Darwin") == Path.home() / "Library" / "Caches" / "regengine"
    assert cache_folder({"LOCALAPPDATA": "L"}, "Windows") == Path("L/regengine/Cache")
    monkeypatch.setenv("REGENGINE_CACHE", str(tmp_path))
    template = f"{server.url}/layer/{{z}}/{{y}}/{{x}}.png"
    fetched = fetch_tiles(CIRCLE, template=template, level=1, downloader=downloader)
    assert fetched.folder == tmp_path / "tiles" / "127.0.0.1-layer"
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


def test_tiles_get_no_token(
    server: TileServer, downloader: Downloader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARTHDATA_TOKEN", "secret")
    fetch(server, tmp_path, downloader)
    assert set(server.tokens.values()) == {None}


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
