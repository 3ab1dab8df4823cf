"""Folders of map tiles in Web Mercator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from light_map_makers import (
    blob,
    centroid,
    mercator_pixel,
    write_tile,
    write_tiles_json,
)
from PIL import Image

from regengine.errors import LightMapError
from regengine.references import open_light_map

ZOOM = 8
STEP = 360.0 / 256 / 2**ZOOM


def write_world(
    folder: Path, order: str, lon: float, lat: float, *, zoom: int = ZOOM, reach: int = 1
) -> None:
    """Tiles around a place with one round light exactly there."""
    col, row = mercator_pixel(lon, lat, zoom)
    middle_x, middle_y = int(col // 256), int(row // 256)
    for y in range(middle_y - reach, middle_y + reach + 1):
        for x in range(middle_x - reach, middle_x + reach + 1):
            # Positions count from pixel edges: a pixel's centre is at + 0.5.
            light = blob(256, 256, row - 0.5 - 256 * y, col - 0.5 - 256 * x, sigma=3.0)
            # Zoom 8 wraps around the globe; -y counts from the south.
            name = order.replace("{z}", str(zoom)).replace("{x}", str(x % 2**zoom))
            name = name.replace("{y}", str(y)).replace("{-y}", str(2**zoom - 1 - y))
            write_tile(folder / f"{name}.png", np.rint(4.0 * light).astype(np.uint8))
    write_tiles_json(folder, order)


@pytest.mark.parametrize("order", ["{z}/{x}/{y}", "{z}/{y}/{x}", "{z}/{x}/{-y}"])
@pytest.mark.parametrize(
    ("lon", "lat"), [(139.70, 35.68), (-58.38, -34.60), (25.73, 66.50), (0.003, 0.002)]
)
def test_a_light_lies_where_it_was_drawn(
    tmp_path: Path, order: str, lon: float, lat: float
) -> None:
    write_world(tmp_path, order, lon, lat)
    light_map = open_light_map([tmp_path])
    grid = light_map.window(lon - 0.2, lat - 0.2, lon + 0.2, lat + 0.2, STEP)
    assert grid.step_deg == pytest.approx(STEP)
    found = centroid(grid)
    assert found[0] == pytest.approx(lon, abs=0.05 * STEP)
    # A pixel of the picture is smaller in latitude by the cosine.
    assert found[1] == pytest.approx(lat, abs=0.05 * STEP * np.cos(np.radians(lat)))
    assert light_map.info.kind == "display"
    assert light_map.info.crs == "EPSG:3857"
    assert light_map.info.product == "Black Marble"


def test_a_window_across_the_antimeridian_is_continuous(tmp_path: Path) -> None:
    write_world(tmp_path, "{z}/{x}/{y}", 179.999, -17.0)
    grid = open_light_map([tmp_path]).window(179.8, -17.2, 180.2, -16.8, STEP)
    assert grid.valid is None
    assert centroid(grid) == pytest.approx((179.999, -17.0), abs=0.05 * STEP)


def test_transparency_and_palettes_are_understood(tmp_path: Path) -> None:
    write_tiles_json(tmp_path, "{z}/{x}/{y}")
    rgba = np.zeros((256, 256, 4), np.uint8)
    rgba[:, :, :3] = 200
    rgba[:128, :, 3] = 255
    (tmp_path / "1" / "0").mkdir(parents=True)
    Image.fromarray(rgba).save(tmp_path / "1" / "0" / "0.png")
    write_tile(tmp_path / "1" / "1" / "0.png", np.full((256, 256), 200, np.uint8), mode="P")
    light_map = open_light_map([tmp_path])
    grid = light_map.window(-90.0, 10.0, 90.0, 80.0, 360 / 512)
    west = grid.lon0_deg + grid.step_deg * np.arange(grid.values.shape[1]) < 0.0
    assert grid.valid[:, ~west].all()
    # The upper half of that tile ends at 66.51° north.
    assert grid.valid[:, west].mean() == pytest.approx((80.0 - 66.51) / 70.0, abs=0.01)
    bright = grid.values[grid.valid]
    assert bright == pytest.approx(np.median(bright), abs=0.02)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"order": "{x}/{y}"}', "{}"])
def test_tiles_without_their_order_are_refused(tmp_path: Path, text: str) -> None:
    write_tile(tmp_path / "1" / "0" / "0.png", np.zeros((256, 256), np.uint8))
    if text:
        (tmp_path / "tiles.json").write_text(text)
    with pytest.raises(LightMapError, match=r"tiles\.json does not say how the map tiles are ord"):
        open_light_map([tmp_path])


@pytest.mark.parametrize("damage", ["truncated", "text", "size"])
def test_a_damaged_tile_is_named(tmp_path: Path, damage: str) -> None:
    write_world(tmp_path, "{z}/{x}/{y}", 10.0, 50.0)
    victim = sorted(tmp_path.glob("8/*/*.png"))[4]
    if damage == "truncated":
        victim.write_bytes(victim.read_bytes()[:300])
    elif damage == "text":
        victim.write_text("<html>")
    else:
        write_tile(victim, np.zeros((128, 128), np.uint8))
    light_map = open_light_map([tmp_path])
    with pytest.raises(LightMapError, match=rf"{victim.name} is no whole map tile.*get"):
        light_map.window(*light_map.info.bounds, STEP)
