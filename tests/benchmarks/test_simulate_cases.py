"""Random cases: reproducible, of the kind asked for, with errors of the size they state."""

from __future__ import annotations

import io
import json
from datetime import UTC
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import ExifTags, Image

from benchmarks.simulate import __main__ as command
from benchmarks.simulate import case_sources
from benchmarks.simulate.case_sources import CaseSource, default_source, raster_source, town_source
from benchmarks.simulate.cases import SHARES, Case, draw_case
from benchmarks.simulate.geodesy import wgs84
from benchmarks.simulate.lamps import Realisation
from benchmarks.simulate.land import Region
from benchmarks.simulate.light_map import LightMapParameters, draw_light_map
from benchmarks.simulate.town_world import draw_town_world

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
    assert one.prior == two.prior
    assert one.truth == two.truth
    assert draw_case(12, source=source, long_side_px=SMALL).photo != one.photo


def test_shares_add_up() -> None:
    assert sum(SHARES.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(6))
def test_city_cases_show_lights_near_the_prior(source: CaseSource, seed: int) -> None:
    case = draw_case(seed, kind="city", source=source, long_side_px=SMALL)
    assert case.registrable
    assert max(picture_of(case).shape) == SMALL
    assert len(case.truth["reference_points"]) >= 3
    assert case.truth["off_nadir_deg"] <= 62.0
    assert case.time_utc.tzinfo is UTC
    miss_km = wgs84().inv(case.prior.lon, case.prior.lat, case.camera.lon_deg, case.camera.lat_deg)[
        2
    ]
    # Ground speed of the nadir is about 6.9 km/s seen from the turning Earth.
    stated = abs(7.0 * case.truth["clock_error_s"]) + abs(case.truth["along_track_error_km"])
    assert miss_km / 1000.0 <= 1.1 * stated + 0.5
    assert abs(case.truth["focal_error"]) <= 0.03
    with Image.open(io.BytesIO(case.photo)) as image:
        detail = image.getexif().get_ifd(ExifTags.IFD.Exif)
    assert float(detail[ExifTags.Base.FocalLength]) == case.focal_mm
    pitch_um = case.pixel_pitch_um * 1.0
    nominal_px = 1000.0 * case.focal_mm / pitch_um
    assert case.camera.focal_px / nominal_px - 1.0 == pytest.approx(case.truth["focal_error"])
    json.dumps(case.truth)


@pytest.mark.parametrize("seed", range(4))
def test_cases_without_a_city_show_none(source: CaseSource, seed: int) -> None:
    dark = draw_case(seed, kind="no_city", source=source, long_side_px=SMALL)
    assert not dark.registrable
    assert dark.truth["reference_points"] == []
    noise = draw_case(seed, kind="noise", source=source, long_side_px=SMALL)
    assert not noise.registrable
    # Its left and right neighbours are as unlike as noise can be.
    grey = picture_of(noise).mean(axis=2)
    assert np.corrcoef(grey[:, 1:].ravel(), grey[:, :-1].ravel())[0, 1] < 0.6


def test_wrong_places_are_of_another_world(source: CaseSource) -> None:
    case = draw_case(1, kind="wrong_place", source=source, long_side_px=SMALL)
    assert not case.registrable
    assert len(case.truth["reference_points"]) > 0


def test_kinds_come_in_their_shares(source: CaseSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "benchmarks.simulate.cases.render",
        lambda camera, *_: np.zeros((camera.height_px, camera.width_px, 3), np.uint8),
    )
    kinds = [draw_case(s, source=source, long_side_px=60).kind for s in range(60)]
    assert 35 <= kinds.count("city") <= 56
    assert len(set(kinds)) >= 3


def test_large_pictures_are_sized_like_the_sensors(
    source: CaseSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "benchmarks.simulate.cases.render",
        lambda camera, *_: np.zeros((camera.height_px, camera.width_px, 3), np.uint8),
    )
    case = draw_case(2, kind="city", source=source, long_side_px=4256)
    assert sorted(picture_of(case).shape[:2]) == [2832, 4256]


@pytest.fixture(scope="module")
def raster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two patches of towns on either side of the globe."""
    rng = np.random.default_rng(0)
    classes = np.zeros((1000, 3600), np.uint8)
    for col in (600, 2400):
        rows, cols = rng.integers(300, 700, 4000), rng.integers(col, col + 500, 4000)
        classes[rows, cols] = rng.integers(1, 4, 4000)
    path = tmp_path_factory.mktemp("raster") / "world.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=3600,
        height=1000,
        count=1,
        dtype="uint8",
        crs="EPSG:4326",
        transform=rasterio.Affine(0.1, 0.0, -180.0, 0.0, -0.1, 50.0),
    ) as target:
        target.write(classes, 1)
    return path


def test_cases_over_a_raster_of_lights(raster: Path) -> None:
    table = np.zeros(256)
    table[1:4] = [5.0, 20.0, 60.0]
    source = raster_source(raster, radiance_of_value=table, candidates=800)
    assert source.light_map is None
    assert len(source.targets) > 5
    assert len(source.dark_targets) > 5
    case = draw_case(3, kind="city", source=source, long_side_px=SMALL)
    assert len(case.truth["reference_points"]) > 0
    far = draw_case(3, kind="wrong_place", source=source, long_side_px=SMALL)
    prior, camera = far.prior, far.camera
    assert wgs84().inv(prior.lon, prior.lat, camera.lon_deg, camera.lat_deg)[2] > 3.5e6


def test_default_source_is_the_samples_land() -> None:
    source = default_source()
    assert source.light_map is not None
    assert source.light_map.step_deg == pytest.approx(1.0 / 240.0)
    assert source is default_source()
    assert case_sources.SAMPLE_MAP.is_file()
    lon, lat = source.dark_targets[0]
    assert source.world.near(lon - 0.9, lat - 0.9, lon + 0.9, lat + 0.9).power.sum() < 100.0


def test_case_command_writes_a_case(
    tmp_path: Path,
    source: CaseSource,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setattr("benchmarks.simulate.cases.default_source", lambda: source)
    command.main(
        ["case", "--seed", "7", "--kind", "city", "--long-side-px", "240", "--out", str(tmp_path)]
    )
    said = capsys.readouterr().out
    assert "regengine register" in said
    assert "--nadir=" in said
    assert (tmp_path / "case-000007.jpg").is_file()
    assert (tmp_path / "lights.tif").is_file()
    truth = json.loads((tmp_path / "case-000007.json").read_text(encoding="utf-8"))
    assert truth["kind"] == "city"
