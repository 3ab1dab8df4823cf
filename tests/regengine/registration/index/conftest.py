"""A part of the samples' map and its index, made once a process."""

from __future__ import annotations

from pathlib import Path

import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window

from regengine import open_light_map
from regengine.registration.index.earth import EarthIndex, build_earth_index, write_earth_index
from tests.world.runs import LIGHTS


@pytest.fixture(scope="session")
def lights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A part of the samples' map: its middle, a quarter as wide and high."""
    path = tmp_path_factory.mktemp("part") / "lights.tif"
    with rasterio.open(LIGHTS) as source:
        width, height = source.width // 4, source.height // 4
        window = Window(3 * width // 2, 3 * height // 2, width, height)
        step = source.res[0]
        west, north = source.bounds.left, source.bounds.top
        profile = source.profile | {"width": width, "height": height}
        place = west + step * window.col_off, north - step * window.row_off
        profile["transform"] = Affine(step, 0.0, place[0], 0.0, -step, place[1])
        with rasterio.open(path, "w", **profile) as part:
            part.write(source.read(window=window))
            part.update_tags(**source.tags())
    return path


@pytest.fixture(scope="session")
def index(lights: Path) -> EarthIndex:
    return build_earth_index(open_light_map([lights]))


@pytest.fixture(scope="session")
def index_path(index: EarthIndex, lights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("blind") / "samples.idx"
    write_earth_index(index, [lights], path)
    return path
