"""Downloading Black Marble tiles from an archive like NASA's."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from light_map_makers import write_vnp46
from tile_server import TileServer

from regengine.errors import ConfigError, LightMapError
from regengine.lights import downloader as net
from regengine.lights import open_light_map
from regengine.lights.downloader import Downloader
from regengine.lights.fetch import Fetched, day_of, fetch_vnp46
from regengine.lights.tiles import Circle

LISTING = "/details/VNP46A4/2020/001"
NAMES = [f"VNP46A4.A2020001.h{h:02d}v05.002.20240101000{h:02d}.h5" for h in (30, 31, 32, 33)]


@pytest.fixture
def archive(server: TileServer, tmp_path: Path) -> TileServer:
    server.list_files(LISTING, NAMES)
    for name in NAMES:
        path = write_vnp46(
            tmp_path / name, np.full((24, 24), 5.0, np.float32), group="G",
            data_set="AllAngle_Composite_Snow_Free", attributes={"_FillValue": -999.9},
        )  # fmt: skip
        server.bodies[f"/files/{name}"] = path.read_bytes()
    return server


def fetch(server: TileServer, folder: Path, token: str = "secret", **more: str) -> Fetched:
    downloader = Downloader(attempts=2, backoff_s=0.01, token=token)
    options = {"product": "VNP46A4", "when": "2020", "archive": f"{server.url}/details", **more}
    return fetch_vnp46(Circle(136.9, 35.7, 400.0), folder, downloader=downloader, **options)  # type: ignore[arg-type]


def test_the_tiles_of_the_place_come_with_the_token(
    archive: TileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(net, "may_have_token", lambda url: True)
    fetched = fetch(archive, tmp_path / "out")
    assert sorted(path.name for path in fetched.folder.iterdir()) == NAMES[1:3]  # 130 to 150 east
    assert (fetched.downloaded, fetched.present) == (2, 0)
    assert fetched.absent == 0
    assert set(archive.tokens.values()) == {"Bearer secret"}
    grid = open_light_map([fetched.folder]).window(136.0, 34.0, 143.0, 37.0, 10 / 24)
    assert 10.0**grid.values - 1.0 == pytest.approx(5.0, rel=1e-4)
    again = fetch(archive, tmp_path / "out")
    assert (again.downloaded, again.present) == (0, 2)


def test_the_latest_production_counts_and_odd_names_do_not(
    archive: TileServer, tmp_path: Path
) -> None:
    newer = NAMES[1].replace("2024", "2025")
    odd = ["../../etc/passwd.h5", "VNP46A3.A2020001.h31v05.002.1.h5", "x.h31v05.h5", ""]
    archive.bodies[f"/files/{newer}"] = archive.bodies[f"/files/{NAMES[1]}"]
    archive.list_files(LISTING, [newer, *odd, *NAMES])
    names = {path.name for path in fetch(archive, tmp_path / "out").folder.iterdir()}
    assert names == {newer, NAMES[2]}


def test_the_cache_is_the_default(
    archive: TileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGENGINE_CACHE", str(tmp_path / "cache"))
    fetched = fetch(archive, None)  # type: ignore[arg-type]
    assert fetched.folder == tmp_path / "cache" / "VNP46A4" / "2020"


def test_no_token_and_wrong_dates_are_told(server: TileServer, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"needs an Earthdata token.*EARTHDATA_TOKEN"):
        fetch(server, tmp_path, token="")
    assert day_of("VNP46A4", "2020") == date(2020, 1, 1)
    assert day_of("VNP46A3", "2020-03") == date(2020, 3, 1)
    assert day_of("VNP46A2", "2020-03-14") == date(2020, 3, 14)
    for product, when in (("VNP46A4", "2020-03"), ("VNP46A3", "2020"), ("VNP46A2", "2020-02-30")):
        with pytest.raises(ConfigError, match=f"{product} goes by YYYY"):
            day_of(product, when)
    with pytest.raises(ConfigError, match="Product 'MOD09' is unknown"):
        day_of("MOD09", "2020")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [(b"<html>Earthdata Login</html>", "instead of a list of files.*token"),
     (b'{"content": 5}', "instead of a list of files"),
     (b'{"content": []}', "has no VNP46A4 of 2020 for that place")],
)  # fmt: skip
def test_a_listing_that_is_none_is_told(
    server: TileServer, tmp_path: Path, body: bytes, sentence: str
) -> None:
    server.bodies[LISTING] = body
    with pytest.raises(LightMapError, match=sentence):
        fetch(server, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_day_that_does_not_exist_is_told(server: TileServer, tmp_path: Path) -> None:
    server.faults[LISTING] = [404]
    with pytest.raises(LightMapError, match="has no VNP46A4 of 2020"):
        fetch(server, tmp_path)


def test_a_log_in_page_is_not_kept_as_a_tile(archive: TileServer, tmp_path: Path) -> None:
    archive.faults[f"/files/{NAMES[1]}"] = ["html"]
    with pytest.raises(LightMapError, match=r"instead of HDF5: the token .* may have expired"):
        fetch(archive, tmp_path / "out")
    assert NAMES[1] not in [path.name for path in (tmp_path / "out").iterdir()]


def test_half_a_tile_is_tried_again_and_not_kept(archive: TileServer, tmp_path: Path) -> None:
    victim = f"/files/{NAMES[1]}"
    archive.faults[victim] = ["broken", "ok"]
    assert fetch(archive, tmp_path / "out").downloaded == 2
    assert archive.requests[victim] == 2
    archive.faults[f"/files/{NAMES[2]}"] = [404]
    (tmp_path / "out" / NAMES[2]).unlink()
    with pytest.raises(LightMapError, match="is listed but not there"):
        fetch(archive, tmp_path / "out")
