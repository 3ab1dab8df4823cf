"""Names of places in what is handed over, read back by pandas and GDAL."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
from pyproj import Geod

from regengine.result import FrameResult, NadirInput, SolvedCamera
from tests.example_results import nadir_camera, nothing_found, proposal
from tests.regengine.exchange.export.exported import export, write_store

FRAME = [f"{place}_{field}" for place in ("nadir", "centre") for field in ("city", "country")]


def over(name: str, lon: float, lat: float, tilt_deg: float = 0.0) -> FrameResult:
    """A photo from above a place, with its first control point right there."""
    camera = nadir_camera(lon, lat, tilt_deg=tilt_deg)
    solved = SolvedCamera(camera=camera, along_track_offset_s=0.0, off_nadir_deg=tilt_deg)
    whole = proposal(name)
    first = replace(whole.control_points[0], lon=lon, lat=lat)
    return replace(whole, solved=solved, control_points=(first, *whole.control_points[1:]))


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Over a city with letters of its own, the open sea, sky in the middle, nothing solved."""
    sao_paulo = over("land", -46.63, -23.55)
    start = NadirInput(
        lon=2.35, lat=48.86, altitude_km=400.0, source="tle", sigma_along_km=1.0, sigma_cross_km=1.0
    )
    results = [
        sao_paulo,
        over("sea", -150.0, 0.0),
        over("sky", 13.4, 52.5, tilt_deg=80.0),
        replace(nothing_found("searched"), nadir=start),
        nothing_found("nothing"),
    ]
    return write_store(tmp_path_factory.mktemp("named") / "run.h5", results)


def test_frames_have_the_cities_of_nadir_and_centre(named: Path, tmp_path: Path) -> None:
    out = tmp_path / "frames.csv"
    export(named, "csv", out, "--table", "frames", "--verdict", "all")
    table = pd.read_csv(out).set_index("frame")
    told = table[FRAME].astype(object).where(table[FRAME].notna(), None)
    assert told.loc["land"].tolist() == ["São Paulo", "Brazil", "São Paulo", "Brazil"]
    assert told.loc["sea"].tolist() == [None] * 4
    assert told.loc["sky"].tolist() == ["Berlin", "Germany", None, None]
    assert told.loc["searched"].tolist() == ["Paris", "France", None, None]
    assert told.loc["nothing"].tolist() == [None] * 4
    assert table.nadir_city_km.isna().tolist() == table.nadir_city.isna().tolist()
    assert table.nadir_city_km["land"] < 5.0


def test_points_have_theirs(named: Path, tmp_path: Path) -> None:
    out = tmp_path / "points.gpkg"
    export(named, "gpkg", out)
    points = gpd.read_file(out, layer="points").set_index(["frame", "point"])
    assert points.loc[("land", 0)][["city", "country"]].tolist() == ["São Paulo", "Brazil"]
    assert points.loc[("sea", 0)][["city", "country", "city_km"]].isna().all()
    assert points.loc["land"].city.tolist()[1:] == ["Takayama", "Nakatsugawa", "Nagahama"]
    assert set(points.loc["land"].country[1:]) == {"Japan"}
    takayama = points.loc[("land", 1)]
    place = takayama.geometry
    metres = Geod(ellps="WGS84").inv(137.25, 36.1333, place.x, place.y)[2]  # by GeoNames
    assert takayama.city_km == pytest.approx(metres / 1e3, rel=0.006)
    nadirs = gpd.read_file(out, layer="nadirs").set_index("frame")
    assert nadirs.nadir_city["land"] == "São Paulo"
