"""Random cases: reproducible, and of the kind asked for."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from benchmarks.simulate import cases as case_sources
from benchmarks.simulate.cases import (
    Case,
    CaseSource,
    default_source,
    draw_case,
    town_source,
)
from benchmarks.simulate.land import Region
from benchmarks.simulate.light_map import LightMapParameters, draw_light_map
from benchmarks.simulate.truth import reference_points
from benchmarks.simulate.worlds import Realisation, draw_town_world

pytestmark = pytest.mark.slow

SMALL = 240  # long side of the pictures, pixels


@pytest.fixture(scope="module")
def source() -> CaseSource:
    region = Region(west=-160.0, south=30.0, size_deg=12.0)
    world = draw_town_world(3, region)
    light_map = draw_light_map(
        world, region.bounds, Realisation(number=1), LightMapParameters(step_deg=0.05)
    )
    return town_source(world, draw_town_world(4, region), light_map)


def picture_of(case: Case) -> np.ndarray:
    with Image.open(io.BytesIO(case.photo)) as image:
        return np.asarray(image)


def test_same_seed_same_case(source: CaseSource) -> None:
    one, two = (draw_case(11, source=source, long_side_px=SMALL) for _ in range(2))
    assert one.photo == two.photo
    np.testing.assert_array_equal(one.camera.axes, two.camera.axes)
    assert draw_case(12, source=source, long_side_px=SMALL).photo != one.photo


@pytest.mark.parametrize("seed", range(4))
def test_cases_show_what_their_kind_says(source: CaseSource, seed: int) -> None:
    lit = {
        kind: reference_points(
            draw_case(seed, kind=kind, source=source, long_side_px=SMALL).camera,
            world,
            Realisation(number=10 + seed),
        )
        for kind, world in (
            ("city", source.world),
            ("no_city", source.world),
            ("wrong_place", source.decoy_world),
        )
    }
    assert len(lit["city"]) >= 3
    assert lit["no_city"] == []
    assert lit["wrong_place"] != []
    noise = draw_case(seed, kind="noise", source=source, long_side_px=SMALL)
    # Its left and right neighbours are as unlike as noise can be
    grey = picture_of(noise).mean(axis=2)
    assert np.corrcoef(grey[:, 1:].ravel(), grey[:, :-1].ravel())[0, 1] < 0.6


def test_kinds_come_in_their_shares(source: CaseSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "benchmarks.simulate.cases.render",
        lambda camera, *_: np.zeros((camera.height_px, camera.width_px, 3), np.uint8),
    )
    kinds = [draw_case(s, source=source, long_side_px=60).kind for s in range(60)]
    assert 35 <= kinds.count("city") <= 56
    assert len(set(kinds)) >= 3


def test_default_source_is_the_samples_land() -> None:
    source = default_source()
    assert source is default_source()
    assert case_sources.SAMPLE_MAP.is_file()
    lon, lat = source.dark_targets[0]
    assert source.world.near(lon - 0.9, lat - 0.9, lon + 0.9, lat + 0.9).power.sum() < 100.0
