"""The samples' map and its index, made once a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from regengine import LightMap, open_light_map
from regengine.registration.index.earth import EarthIndex, build_earth_index, write_earth_index
from tests.conftest import ROOT

SAMPLES = ROOT / "data_samples"
LIGHTS = SAMPLES / "lights.tif"


@pytest.fixture(scope="session")
def light_map() -> LightMap:
    return open_light_map([LIGHTS])


@pytest.fixture(scope="session")
def index(light_map: LightMap) -> EarthIndex:
    return build_earth_index(light_map)


@pytest.fixture(scope="session")
def index_path(index: EarthIndex, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("blind") / "samples.idx"
    write_earth_index(index, [LIGHTS], path)
    return path
