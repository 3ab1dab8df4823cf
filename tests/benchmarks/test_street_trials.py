"""What trials on streets are held against: maps moved and mirrored, figures with intervals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import geopandas
import numpy as np
import pytest
from shapely import LineString

from benchmarks.streets.maps import CityStreets
from benchmarks.streets.run import Plan, page_lines
from tests.world.program import run

LON, LAT = 2.3, 48.8


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> CityStreets:
    """A map with a street in the west, 0.1 by 0.06 degrees."""
    folder = tmp_path_factory.mktemp("town")
    lines = [
        LineString([(LON, LAT), (LON, LAT + 0.06)]),
        LineString([(LON, LAT), (LON + 0.1, LAT)]),
        LineString([(LON + 0.02, LAT + 0.02), (LON + 0.02, LAT + 0.05)]),
    ]
    columns = {"highway": ["track", "track", "primary"]}
    geopandas.GeoDataFrame(columns, geometry=lines, crs=4326).to_file(folder / "town.fgb")
    said = run("streets", "build", folder / "town.fgb", "--out", folder / "town.tif", "--quiet")
    assert said.code == 0, said.err
    return CityStreets.open(folder / "town.tif")


def street_of(streets: CityStreets) -> tuple[float, float]:
    """Longitude of the street in the map, and its share of the map's width."""
    west, _, east, _ = streets.bounds
    grid = streets.window(*streets.bounds, 4.0 / 9000.0)
    assert grid is not None
    light = grid.values.sum(axis=0)
    lon = grid.lon0_deg + grid.step_deg * (light @ np.arange(len(light))) / light.sum()
    return float(lon), float((lon - west) / (east - west))


def test_a_map_lies_where_it_is_laid(town: CityStreets) -> None:
    lon, share = street_of(town)
    assert lon == pytest.approx(LON + 0.02, abs=3e-4)  # half a pixel
    mirrored_lon, mirrored_share = street_of(replace(town, mirrored=True))
    assert mirrored_share == pytest.approx(1.0 - share, abs=0.01)
    assert mirrored_lon != pytest.approx(lon, abs=0.01)
    moved = replace(town, at=(139.0, 35.0))
    moved_lon, moved_share = street_of(moved)
    assert moved_share == pytest.approx(share, abs=0.01)
    assert abs(moved_lon - 139.0) < 0.05
    # Kilometres are kept, degrees of longitude are longer there
    width = [bounds[2] - bounds[0] for bounds in (town.bounds, moved.bounds)]
    ratio = np.cos(np.radians(LAT)) / np.cos(np.radians(35.0))
    assert width[1] / width[0] == pytest.approx(ratio, rel=1e-3)


def test_a_window_beyond_a_map_is_not_valid_there(town: CityStreets) -> None:
    west, south, east, north = town.bounds
    assert town.window(west + 1.0, south, east + 1.0, north, 1e-3) is None
    grid = town.window(west - 0.05, south, east, north, 1e-3)
    assert grid is not None
    assert grid.valid is not None
    assert not grid.valid[:, :30].any()
    assert grid.values.max() > 0.0


def test_shares_have_intervals_and_wrong_ones_are_told() -> None:
    row = {
        "trial": "own", "verdict": "accepted", "right": True, "short_side_km": 8.0, "cpu_s": 3.0,
        "points_px": 0.4, "points_m": 4.0, "n_within": 5, "n_axes": 8, "log10_odds": 40.0,
    }  # fmt: skip
    wrong = row | {"right": False, "short_side_km": 3.0}
    review = row | {"verdict": "review", "cpu_s": 9.0}
    rows = [{"seed": n, **one} for n, one in enumerate([row, row, wrong, review])]
    plan = Plan(real=Path(), folder=Path())
    lines = page_lines(rows, plan)
    by_size = {line.split("|")[1].strip(): line for line in lines if line.startswith("|")}
    assert "2 of 4 (50 %, 6.8 to 93.2)" in by_size["all"]
    assert "| 0 | 0.40 px, 4.0 m" in by_size["≥ 6 km"]
    assert "| 1 |" in by_size["< 4 km"]
    assert "62 % of 24" in by_size["all"]
    negatives = page_lines(rows[:1], replace(plan, negatives=True))
    assert "| own | 1 of 1 (100 %, 2.5 to 100.0) | 40.00 |" in negatives
