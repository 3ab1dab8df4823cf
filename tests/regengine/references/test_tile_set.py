"""Tiles of pictures in Web Mercator become pixels of longitude and latitude."""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from light_map_makers import blob
from PIL import Image

from regengine import open_light_map
from regengine.references.build import write_reference
from regengine.references.services import TileSet
from tests.world.services import TileService, tile

ZOOM, SIZE = 6, 256


def world_pixel(lon: float, lat: float) -> tuple[float, float]:
    """Column and row on the world map, by the OpenStreetMap wiki, "Slippy map tilenames"."""
    scale = SIZE * 2**ZOOM
    y = math.log(math.tan(math.radians(lat)) + 1.0 / math.cos(math.radians(lat)))
    return (lon + 180.0) / 360.0 * scale, (1.0 - y / math.pi) / 2.0 * scale


@pytest.mark.parametrize(
    ("lon", "lat"), [(139.7, 35.6), (2.35, 68.9), (-70.7, -33.4), (179.99, -17.0)]
)
def test_a_light_of_a_tile_is_placed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lon: float, lat: float
) -> None:
    """To a twentieth of a pixel, also where it shines over 180 degrees."""
    monkeypatch.setenv("REGENGINE_CACHE", str(tmp_path))
    box = (lon - 0.5, lat - 0.5, lon + 0.5, lat + 0.5)
    tiles = TileSet(
        kind="lights", template="https://maps.test/{z}/{x}/{y}.png", level=ZOOM, bounds=box
    )
    col, row = world_pixel(lon, lat)
    for x, y in tiles.wanted:
        path = tiles.path_of((x, y))
        path.parent.mkdir(parents=True, exist_ok=True)
        left = x * SIZE - (SIZE * 2**ZOOM if x * SIZE > col + SIZE * 2**5 else 0)
        left += SIZE * 2**ZOOM if x * SIZE < col - SIZE * 2**5 else 0
        grey = 2.5 * blob(SIZE, SIZE, row - y * SIZE - 0.5, col - left - 0.5)
        Image.fromarray(grey.astype(np.uint8)).convert("RGB").save(path)
    assert tiles.missing() == []
    out, grid = tmp_path / "m.tif", tiles.grid
    write_reference("lights", out, grid.bounds, grid.step_deg, tiles.read_block, tiles.tags)
    light_map = open_light_map([out])
    assert (light_map.info.kind, light_map.info.product) == ("display", "maps.test")
    window = light_map.window(*box, grid.step_deg)
    rows, cols = np.indices(window.values.shape)
    weight = window.values / window.values.sum()
    found = (
        window.lon0_deg + (cols * weight).sum() * window.step_deg,
        window.lat0_deg - (rows * weight).sum() * window.step_deg,
    )
    assert found == pytest.approx((lon, lat), abs=0.05 * window.step_deg)


@pytest.mark.parametrize("is_stale", [False, True])
def test_two_that_fetch_the_same_tile_at_once_ask_once_and_both_have_it(
    tiles: TileService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_stale: bool
) -> None:
    monkeypatch.setenv("REGENGINE_CACHE", str(tmp_path / "cache"))
    both = threading.Barrier(2)

    def answer_together(path: str, query: dict[str, str]) -> bytes:
        with suppress(threading.BrokenBarrierError):
            both.wait(1.0)  # a second request for the tile would come by then
        return tile()

    tiles.answer = answer_together  # type: ignore[method-assign]
    sets = [
        TileSet(kind="day", template=tiles.template, level=5, bounds=(11.1, 42.4, 11.2, 42.5))
        for _ in range(2)
    ]
    path = sets[0].path_of(sets[0].wanted[0])
    if is_stale:  # of a run that was killed
        path.parent.mkdir(parents=True)
        path.with_name(f"{path.name}.lock").touch()
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(one.fetch, one.wanted) for one in sets]:
            done.result()
    assert path.read_bytes() == tile()
    assert tiles.asked.total() == 1
    assert [one.name for one in path.parent.iterdir()] == [path.name]
