"""`regengine radiometry`: its files, opened by other programs, and what it refuses."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from PIL import Image

from regengine.references.lights import date_of_name, period_of
from regengine.result import FrameResult
from tests.conftest import ROOT
from tests.regengine.collection.radiometry.conftest import Trial
from tests.world.program import Said
from tests.world.program import run as regengine
from tests.world.radiometry import MAP
from tests.world.results import nothing_found, proposal, solved
from tests.world.stores import write_store


def photographed(photo: Path, trial: Trial, name: str) -> FrameResult:
    """A result whose photo is a file and whose camera is the scene's."""
    camera = trial.scene.camera
    return replace(
        proposal(name),
        path=str(photo),
        sha256=hashlib.sha256(photo.read_bytes()).hexdigest(),
        width_px=camera.width_px,
        height_px=camera.height_px,
        solved=solved(camera),
    )


# What docs/radiometry.md says of the band
COMPARED, NOT_SEEN, PHOTO_FULL, MAP_FULL, BRIGHTER, FAINTER = range(6)


def run(store: Path, lights: Path, out: Path, *arguments: object) -> Said:
    return regengine("radiometry", store, "--lights", lights, "--out", out, *arguments)


@pytest.fixture(scope="module")
def written(trial: Trial, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Said]:
    out = tmp_path_factory.mktemp("out") / "radiometry"
    result = run(trial.store, trial.store.with_name(MAP), out, "--json", "--plot")
    assert result.code == 0, result.err
    return out, result


def test_the_raster_lies_on_the_maps_own_cells(written: tuple[Path, Said], trial: Trial) -> None:
    out, _ = written
    lights = trial.store.with_name(MAP)
    with rasterio.open(lights) as source:
        origin, step = source.transform @ (0, 0), source.transform.a
    with rasterio.open(out / "photo.radiometry.tif") as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.crs.to_epsg() == 4326
        assert dataset.transform.a == pytest.approx(step)
        shift = [(a - b) / step for a, b in zip(dataset.transform @ (0, 0), origin, strict=True)]
        assert np.allclose(shift, np.round(shift), atol=1e-6)
        assert dataset.units == ("1", "nW cm-2 sr-1", "sigma", "code", "1")
        light, radiance, sigma, mask, background = dataset.read()
        limit, gain = float(dataset.tags()["LIMIT_SIGMA"]), float(dataset.tags()["GAIN"])
    assert set(np.unique(mask)) <= set(range(6))
    assert np.array_equal(np.isnan(sigma), mask == NOT_SEEN)
    assert np.array_equal(mask == BRIGHTER, sigma > limit)
    assert np.array_equal(mask == FAINTER, sigma < -limit)
    plain = mask == COMPARED
    # What the bands say by themselves is the gain that is told
    bright = plain & (radiance > 10.0)
    assert np.median(light[bright] / radiance[bright]) == pytest.approx(gain, rel=0.2)
    assert np.nanmin(background) >= 0.0
    # The table counts the same cells, in the same units
    (row,) = pd.read_csv(out / "radiometry.csv").to_dict("records")
    seen = mask[mask != NOT_SEEN]
    assert row["saturated_share"] == pytest.approx((seen == PHOTO_FULL).mean(), rel=1e-6) != 0.0
    assert row["map_saturated_share"] == (seen == MAP_FULL).mean()
    assert row["cell_arcsec"] == pytest.approx(3600.0 * step)
    assert row["background_nw"] == pytest.approx(row["background"] / gain, rel=1e-5)


def test_tables_and_lines_say_the_same(written: tuple[Path, Said]) -> None:
    out, result = written
    photos, changes = (pd.read_csv(out / name) for name in ("radiometry.csv", "changes.csv"))
    page = (ROOT / "docs" / "radiometry.md").read_text(encoding="utf-8")
    assert [name for name in (*photos, *changes) if f"`{name}`" not in page] == []
    assert list(changes) == [
        *("frame_index", "frame", "change", "kind", "lon", "lat", "cells", "sigma"),
        *("photo_nw", "map_nw", "at_least", "over_time"),
    ]
    (line,) = result.records
    assert line["gain"] == pytest.approx(photos["gain"][0], rel=1e-6)
    assert line["linear_by"] == photos["linear_by"][0] == "srgb"
    assert line["raster"] == "photo.radiometry.tif"
    assert [one["kind"] for one in line["changes"]] == list(changes["kind"])
    assert line["brighter"] + line["fainter"] == len(changes) >= 6
    assert np.allclose([one["lon"] for one in line["changes"]], changes["lon"], atol=1e-5)
    with Image.open(out / "photo.radiometry.png") as picture:
        assert picture.width > 800
    assert not list(out.glob(".*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "earlier", "new", "lost", "sentence"),
    [
        ("VNL_2031.tif", "photo", "vanished", "appeared", "the photo is older than the map (2031)"),
        ("VNL_2009.tif", "map", "appeared", "vanished", "the photo is newer than the map (2009)"),
        ("VNL_2012.tif", "neither", "unknown", "unknown", "of the same time (2012)"),
        ("VNL.tif", "unknown", "unknown", "unknown", "photo or map has no date"),
    ],
)
def test_dates_tell_whether_a_light_came_or_went(
    trial: Trial, tmp_path: Path, name: str, earlier: str, new: str, lost: str, sentence: str
) -> None:
    taken = photographed(trial.store.with_name("photo.jpg"), trial, "dated")
    camera = trial.scene.camera
    x, y = [50.0, 400.0], [50.0, 250.0]
    lon, lat = camera.pixel_to_lonlat(x, y)
    points = tuple(
        replace(taken.control_points[0], lon=float(a), lat=float(b), x=u, y=v)
        for a, b, u, v in zip(lon, lat, x, y, strict=True)
    )
    taken = replace(taken, control_points=points, time_utc="2012-03-28T15:46:41Z")
    shutil.copy(trial.store.with_name(MAP), tmp_path / name)
    store = write_store(tmp_path / "run.h5", [taken])
    result = run(store, tmp_path / name, tmp_path / "out")
    assert result.code == 0, result.err
    assert sentence in result.err
    photos, changes = (
        pd.read_csv(tmp_path / "out" / table) for table in ("radiometry.csv", "changes.csv")
    )
    assert photos["earlier"].tolist() == [earlier]
    told = set(zip(changes["kind"], changes["over_time"], strict=True))
    assert {("new", new), ("lost", lost)} <= told


@pytest.mark.parametrize(
    ("lights_date", "product", "first", "last"),
    [
        ("2016", "", "2016-01-01", "2016-12-31"),
        ("2016-01-01", "Black Marble", "2016-01-01", "2016-12-31"),
        ("2020-01-01", "Black Marble VNP46A4", "2020-01-01", "2020-12-31"),
        ("2020-01-01", "Black Marble VNP46A3", "2020-01-01", "2020-01-31"),
        ("2020-02-01", "Black Marble VNP46A3", "2020-02-01", "2020-02-29"),
        ("2020-01-01", "Black Marble VNP46A2", "2020-01-01", "2020-01-01"),
        ("2019-12", "VIIRS DNB composite", "2019-12-01", "2019-12-31"),
        ("2012-04/2013-03", "", "2012-04-01", "2013-03-31"),
        ("2016, 2019-01", "", "2016-01-01", "2019-01-31"),
    ],
)
def test_a_map_shows_all_of_its_period(
    lights_date: str, product: str, first: str, last: str
) -> None:
    assert period_of(lights_date, product) == (date.fromisoformat(first), date.fromisoformat(last))
    assert period_of(f"{lights_date} or so", product) is None


@pytest.mark.parametrize(
    ("name", "lights_date"),
    [
        ("SVDNB_npp_20160101-20160131_75N060E_vcmcfg.avg_rad9h.tif", "2016-01"),
        ("SVDNB_npp_20150101-20151231_75N060E_vcm-orm-ntl.avg_rad9.tif", "2015"),
        ("VNL_v21_npp_201204-201303_global_vcmcfg.tif", "2012-04/2013-03"),
        ("VNL_v2_npp_2016_global.tif", "2016"),
    ],
)
def test_a_composite_is_of_all_the_months_that_its_name_spans(name: str, lights_date: str) -> None:
    assert date_of_name(name) == lights_date


def test_equal_runs_give_equal_tables_and_existing_files_stay(
    written: tuple[Path, Said], trial: Trial
) -> None:
    out, _ = written
    before = {path: path.read_bytes() for path in out.iterdir()}
    again = run(trial.store, trial.store.with_name(MAP), out)
    assert again.code == 2
    assert "--force" in again.err
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    forced = run(trial.store, trial.store.with_name(MAP), out, "--force")
    assert forced.code == 0
    table = out / "radiometry.csv"
    assert table.read_bytes() == before[table]


@pytest.mark.slow
def test_a_photo_that_is_gone_or_another_stops_no_other(trial: Trial, tmp_path: Path) -> None:
    hostile = tmp_path / "=cmd|'\n🌃.jpg"
    shutil.copy(trial.store.with_name("photo.jpg"), hostile)
    camera = trial.scene.camera
    good = photographed(hostile, trial, "=1+1")
    lon, lat = camera.pixel_to_lonlat([50.0, 400.0], [50.0, 250.0])
    points = tuple(
        replace(good.control_points[0], lon=float(a), lat=float(b), x=x, y=y)
        for a, b, x, y in zip(lon, lat, (50.0, 400.0), (50.0, 250.0), strict=True)
    )
    good = replace(good, control_points=points)
    twin = hostile.with_suffix(".jpeg")  # of the same name but for its ending
    shutil.copy(hostile, twin)
    same = replace(good, frame="same", path=str(twin))
    gone = replace(good, frame="gone", path=str(tmp_path / "gone.jpg"))
    other = tmp_path / "other.jpg"
    other.write_bytes(b"another photo")
    changed = replace(good, frame="changed", path=str(other))
    store = write_store(tmp_path / "run.h5", [gone, changed, good, same, nothing_found()])
    out = tmp_path / "out"
    result = run(store, trial.store.with_name(MAP), out, "--verdict", "accepted,no_match")
    assert result.code == 1
    assert "is missing" in result.err
    assert "has changed" in result.err
    assert "1 no solved camera" in result.err
    photos = pd.read_csv(out / "radiometry.csv")
    assert list(photos["frame"]) == ["'=1+1", "same"]
    assert len(set(photos["raster"])) == 2
    assert {path.name for path in out.glob("*.tif")} == set(photos["raster"].str.lstrip("'"))
    assert {path.parent for path in tmp_path.rglob("*.tif")} == {out}


def test_a_place_that_the_map_lacks_is_left_out(trial: Trial, tmp_path: Path) -> None:
    photo = tmp_path / "a.png"
    Image.new("RGB", (640, 426)).save(photo)
    sha256 = hashlib.sha256(photo.read_bytes()).hexdigest()
    store = write_store(tmp_path / "run.h5", [replace(proposal(), path=str(photo), sha256=sha256)])
    result = run(store, trial.store.with_name(MAP), tmp_path / "out")
    assert result.code == 0
    assert "outside the map" in result.err
    assert (tmp_path / "out" / "radiometry.csv").read_text().count("\n") == 1


@pytest.mark.slow
def test_a_dark_photo_tells_no_gain(trial: Trial, tmp_path: Path) -> None:
    photo = tmp_path / "dark.png"
    camera = trial.scene.camera
    Image.new("RGB", (camera.width_px, camera.height_px)).save(photo)
    store = write_store(tmp_path / "run.h5", [photographed(photo, trial, "dark")])
    ran = run(store, trial.store.with_name(MAP), tmp_path / "out")
    assert ran.code == 1
    assert "no light where the map has lights" in ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--verdict", "good"], 2, "choose from accepted"),
        (["--map-sigma-m", "-3"], 2, "10,000 metres"),
        (["--map-sigma-m", "nan"], 2, "10,000 metres"),
        (["--where", "off_nadir_deg <"], 2, "--where"),
        (["--lens", "nowhere.toml"], 2, "nowhere.toml"),
        (["--lights", "nowhere.tif"], 3, "nowhere.tif"),
    ],
)
def test_what_makes_no_sense_is_told_and_nothing_is_written(
    arguments: list[str], code: int, said: str, trial: Trial, tmp_path: Path
) -> None:
    result = run(trial.store, trial.store.with_name(MAP), tmp_path / "out", *arguments)
    assert result.code == code
    assert said in result.err
    assert result.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_file_is_no_folder_and_a_store_must_be_there(trial: Trial, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    assert run(trial.store, trial.store.with_name(MAP), tmp_path / "out").code == 2
    assert (tmp_path / "out").read_text() == "mine"
    assert run(tmp_path / "no.h5", trial.store.with_name(MAP), tmp_path / "new").code == 3
