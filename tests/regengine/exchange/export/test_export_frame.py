"""What follows from cameras and points: stances, footprints, the cities near them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import h5py
import pandas as pd
import pytest
from pyproj import Geod

from matchers.earth import ecef_to_geodetic
from regengine.exchange.export.frame import ExportFrame, as_block, engine_frame
from regengine.records import centre_lonlat
from regengine.result import FrameResult, NadirInput, SolvedCamera
from regengine.store.rows import StoredFrame
from tests.example_results import nadir_camera, nothing_found, proposal
from tests.regengine.exchange.export.exported import export, write_store


def tilted(lon: float, tilt_deg: float, **changes: object) -> FrameResult:
    camera = replace(nadir_camera(lon, 35.0, tilt_deg=tilt_deg), **changes)  # type: ignore[arg-type]
    solved = SolvedCamera(camera=camera, along_track_offset_s=0.0, off_nadir_deg=tilt_deg)
    return replace(proposal(f"at {lon} {tilt_deg}"), solved=solved)


RESULTS = [
    tilted(136.9, 0.0),
    tilted(10.0, 10.0, quaternion=(0.0, 0.0, 0.0, 0.0)),
    nothing_found(),
    tilted(179.9, 20.0),
    tilted(10.0, 66.0),
    tilted(10.0, 80.0),
    tilted(10.0, 10.0, position_ecef_m=(0.0, 0.0, 0.0)),
    tilted(10.0, 10.0, focal_px=float("nan")),
    tilted(10.0, 10.0, distortion=(1e6, -1e9, 0.0, 0.0, 1e12)),
]


def frames() -> list[ExportFrame]:
    stored = [StoredFrame(frame_index=k, result=result) for k, result in enumerate(RESULTS)]
    return [engine_frame(one, Path("run.h5")) for one in stored]


def test_a_block_tells_what_each_frame_tells_alone() -> None:
    for alone, one in zip(frames(), as_block(frames()), strict=True):
        assert one.footprint == alone.footprint
        assert (one.view is None) == (alone.view is None)
        if one.view is not None:
            assert vars(one.view) == pytest.approx(vars(alone.view), nan_ok=True)
        assert one.towns == alone.towns
        assert one.nadir == (None if alone.nadir is None else pytest.approx(alone.nadir))
        if alone.stance is not None:
            assert one.stance == pytest.approx(alone.stance, nan_ok=True)
    assert sum(bool(one.footprint) for one in frames()) == 4
    # Neither turned, nor there, nor of a length
    assert [frames()[number].view for number in (1, 2, 7)] == [None] * 3


def test_the_stance_is_the_cameras() -> None:
    frame = frames()[4]
    camera = frame.camera
    assert camera is not None
    assert frame.stance is not None
    lon, lat, height_m = ecef_to_geodetic(camera.position_ecef_m)
    assert frame.nadir == pytest.approx((float(lon), float(lat)))
    assert frame.stance["camera_altitude_km"] == pytest.approx(float(height_m) / 1e3)
    assert frame.stance["off_nadir_deg"] == pytest.approx(camera.off_nadir_deg)
    centre = (frame.stance["centre_lon"], frame.stance["centre_lat"])
    assert centre == pytest.approx(centre_lonlat(camera), nan_ok=True)


def test_a_frame_with_another_camera_leaves_its_block() -> None:
    first, *_ = as_block(frames())
    moved = replace(first, camera=nadir_camera(20.0, 10.0))
    assert moved.nadir == pytest.approx((20.0, 10.0))
    assert first.nadir == pytest.approx((136.9, 35.0))


def test_a_damaged_camera_spoils_no_other(tmp_path: Path) -> None:
    store = write_store(tmp_path / "run.h5", [tilted(10.0, 10.0), tilted(20.0, 10.0)])
    with h5py.File(store, "r+") as file:
        file["frames/quaternion"][0] = 0.0
    export(store, "geojson", tmp_path / "all.geojson")
    features = json.loads((tmp_path / "all.geojson").read_text())["features"]
    told = [(one["properties"]["layer"], one["properties"]["frame_index"]) for one in features]
    assert told == [
        ("nadirs", 0),
        *[("points", 0)] * 4,
        ("footprints", 1),
        ("nadirs", 1),
        *[("points", 1)] * 4,
    ]
    # The nadir that the search started from
    start = RESULTS[0].nadir
    assert start is not None
    assert features[0]["geometry"]["coordinates"] == [start.lon, start.lat]
    assert features[0]["properties"]["off_nadir_deg"] is None


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
