"""Random cases: reproducible, of the kind asked for, with errors of the size they state."""

from __future__ import annotations

import io
import json
from datetime import UTC
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from benchmarks.simulate import __main__ as command
from benchmarks.simulate import cases as case_sources
from benchmarks.simulate.camera import wgs84
from benchmarks.simulate.cases import (
    SHARES,
    Case,
    CaseSource,
    default_source,
    draw_case,
    town_source,
)
from benchmarks.simulate.land import Region
from benchmarks.simulate.light_map import LightMapParameters, draw_light_map
from benchmarks.simulate.worlds import Realisation, draw_town_world

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


def test_default_source_is_the_samples_land() -> None:
    source = default_source()
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
