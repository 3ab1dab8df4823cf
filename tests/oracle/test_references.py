"""References block by block: tiles placed, pixels written, who listens hears of the work."""

from __future__ import annotations

import math
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from regengine import ConfigError, LightMapError, open_light_map
from regengine.references import open_references
from regengine.references.build import plan_grid, write_reference
from regengine.references.make import Listener, get_lights
from regengine.references.reference import PixelGrid
from regengine.references.services import TileSet
from tests.conftest import ROOT
from tests.world.maps import blob
from tests.world.services import TileService, tile

ZOOM, SIZE = 6, 256
PARIS = (2.2, 48.8, 2.45, 48.92)
STEP = 1.0 / 9000.0  # 12.4 m


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where maps and tiles go."""
    for name in ("data", "cache"):
        monkeypatch.setenv(f"REGENGINE_{name.upper()}", str(tmp_path / name))


def world_pixel(lon: float, lat: float) -> tuple[float, float]:
    """Column and row on the world map, by the OpenStreetMap wiki, "Slippy map tilenames"."""
    scale = SIZE * 2**ZOOM
    y = math.log(math.tan(math.radians(lat)) + 1.0 / math.cos(math.radians(lat)))
    return (lon + 180.0) / 360.0 * scale, (1.0 - y / math.pi) / 2.0 * scale


@pytest.mark.parametrize(("lon", "lat"), [(2.35, 68.9), (179.99, -17.0)])
def test_a_light_of_a_tile_is_placed(tmp_path: Path, lon: float, lat: float) -> None:
    """To a twentieth of a pixel, also where it shines over 180 degrees."""
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
    tiles: TileService, is_stale: bool
) -> None:
    both = threading.Barrier(2)

    def answer_together(path: str, query: dict[str, str]) -> bytes:
        with suppress(threading.BrokenBarrierError):
            both.wait(0.2)  # a second request for the tile would come by then
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


def lamps(block: PixelGrid) -> np.ndarray:
    """Two of three columns covered, density by the place alone."""
    row = np.arange(block.rows) + round((PARIS[3] - block.north) / block.step_deg)
    col = np.arange(block.cols) + round((block.west - PARIS[0]) / block.step_deg)
    codes = ((row[:, None] // 8 + col // 8) % 200).astype(np.uint8)
    codes[:, col % 24 >= 16] = 255
    return codes


def test_streets_are_a_cog_with_their_credit(tmp_path: Path) -> None:
    out, told = tmp_path / "paris.tif", []
    tags = {"PRODUCT": "paris.osm.pbf", "DATE": "2026-11-27"}
    write_reference("streets", out, PARIS, STEP, lamps, tags, lambda *done: told.append(done))
    grid = plan_grid(PARIS, STEP)
    with rasterio.open(out) as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.profile["dtype"] == "uint8"
        assert (dataset.nodata, dataset.scales) == (255, (0.01,))
        assert dataset.overviews(1) == [2, 4, 8]
        assert (dataset.bounds.left, dataset.bounds.top) == pytest.approx((2.2, 48.92))
        said, codes = dataset.tags(), dataset.read(1)
        halves = dataset.read(1, out_shape=(grid.rows // 8, grid.cols // 8))
    np.testing.assert_array_equal(codes, lamps(grid))
    assert (halves == 255).mean() == pytest.approx(1 / 3, abs=0.01)
    np.testing.assert_array_equal(halves[:, :2], codes[::8, [0, 8]][: len(halves)])
    assert (said["KIND"], said["PRODUCT"]) == ("streets", "paris.osm.pbf")
    assert said["CREDIT"] == "© OpenStreetMap contributors (ODbL)"
    assert told[-1] == (codes.size, codes.size)
    streets = pickle.loads(pickle.dumps(open_references("streets", [out])))
    window = streets.window(2.25, 48.82, 2.3, 48.85, STEP)
    assert window is not None
    assert streets.window(20.0, 48.82, 20.3, 48.85, STEP) is None
    assert (window.saturation, window.step_deg) == (None, pytest.approx(STEP))
    there = codes[630:900, 450:900]  # 0.05 degrees from the west, 0.07 to 0.1 from the north
    np.testing.assert_allclose(window.values, np.where(there < 255, 0.01 * there, 0.0), atol=1e-6)
    np.testing.assert_array_equal(window.valid, there < 255)
    assert (streets[0].sigma_m, streets[0].pixel_m) == (5.0, pytest.approx(111_195 / 9000))
    with pytest.raises(LightMapError, match=r"is a map of streets, not of lights"):
        open_light_map([out])


def test_who_makes_a_map_from_python_hears_of_the_work_and_nothing_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    steps: dict[str, list[tuple[int, int]]] = {}
    texts: list[str] = []
    listener = Listener(
        progress=lambda step, done, total: steps.setdefault(step, []).append((done, total)),
        message=texts.append,
        warning=texts.append,
    )
    bounds = (-153.0, 34.0, -152.0, 35.0)
    sample = ROOT / "data_samples" / "lights.tif"
    out = get_lights(sources=[sample], bounds=bounds, listener=listener)
    assert out == tmp_path / "data" / "lights" / "lights.tif"
    assert open_light_map(out).info.bounds == pytest.approx(bounds, abs=0.05)
    assert list(steps) == ["Building", "Indexing"]
    for heard in steps.values():
        done, total = np.transpose(heard)
        assert (np.diff(done) >= 0).all()
        assert done[-1] == total[-1] > 0
    assert len(texts) == 2
    with pytest.raises(ConfigError, match="exist: replace"):
        get_lights(sources=[sample])
    get_lights(sources=[sample], bounds=bounds, overwrite=True)
    assert capfd.readouterr() == ("", "")
