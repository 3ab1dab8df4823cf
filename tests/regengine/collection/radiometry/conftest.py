from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from regengine.collection.radiometry.measure import Radiometry
from tests.world.radiometry import (
    RadiometryScene,
    SceneWish,
    draw_radiometry_scene,
    measure_trial,
    write_trial,
)

SMALL = SceneWish(seed=100, width_px=480, height_px=320, reach_deg=1.5)


@dataclass(frozen=True)
class Trial:
    scene: RadiometryScene
    store: Path
    found: Radiometry


@pytest.fixture(scope="session")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """A photo with three new lights, three gone, and a gain that is known; measured once."""
    scene = draw_radiometry_scene(SMALL)
    store = write_trial(scene, tmp_path_factory.mktemp("radiometry"))
    return Trial(scene, store, measure_trial(store))
