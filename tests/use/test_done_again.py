"""Which stored photos a run does again after a map came or changed: those that could use it."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from affine import Affine
from shapely import LineString

from tests.conftest import ROOT
from tests.example_results import proposal
from tests.world.faults import write_photos
from tests.world.program import Said, run
from tests.world.stores import settings_of, unplaced, write_store

LIGHTS = ROOT / "data_samples" / "lights.tif"
TELE = {"focal_mm": 400.0, "pixel_pitch_um": 9.0}  # 9 m a pixel
NAGOYA = (136.9, 35.7)


RESULTS = {
    "indoors": unplaced("not_a_night_city_frame", category="inside", **TELE),
    "wide": unplaced("few_lights"),
    "unknown lens": unplaced("few_lights", focal_mm=None),
    "tele of Paris": unplaced("no_streets", **TELE),
    "tele of Nagoya": unplaced("no_streets", nadir=NAGOYA, **TELE),
    "tele without a place": replace(unplaced("no_streets", **TELE), nadir=None),
    # The prior was wrong: lights found it over Japan
    "accepted": replace(proposal(), **TELE),
    "by day": unplaced("not_a_night_city_frame", category="day"),
}


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of `RESULTS` made with a map of lights alone, photos and ``streets.tif`` beside."""
    monkeypatch.chdir(tmp_path)
    write_photos(Path("photos"), len(RESULTS))
    for path, name in zip(sorted(Path("photos").iterdir()), RESULTS, strict=True):
        path.rename(path.with_stem(name))
    shutil.copy(LIGHTS, "lights.tif")
    first = min(Path("photos").iterdir())
    words = ("--lights", "lights.tif", "--blind", "never", "--workers", 0)
    run("register", first, *words, "--store", "settings.h5")
    results = []
    for name, result in RESULTS.items():
        path = Path("photos", f"{name}.png")
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        results.append(replace(result, frame=name, path=str(path), sha256=sha256))
    write_store(tmp_path / "run.h5", results, settings=settings_of(Path("settings.h5")))
    road = [LineString([(2.3, 48.8), (2.32, 48.8)])]
    geopandas.GeoDataFrame({"highway": ["primary"]}, geometry=road, crs=4326).to_file("r.geojson")
    assert run("streets", "build", "r.geojson", "--out", "streets.tif").code == 0
    return tmp_path / "run.h5"


def preview(*words: object) -> Said:
    given = ("--lights", "lights.tif", "--blind", "never", "--dry-run", "--json")
    return run("register", "photos", *given, *words)


def again(said: Said) -> set[str]:
    return {record["frame"] for record in said.records if record["stored"] is None}


def test_nothing_is_done_again_with_the_same_settings(stored: Path) -> None:
    said = preview()
    assert again(said) == set()
    assert "processed again" not in said.err


def test_a_new_street_map_is_for_telephoto_frames_that_may_show_it(stored: Path) -> None:
    said = preview("--streets", "streets.tif")
    assert again(said) == {"tele of Paris", "tele without a place"}
    assert "2 stored photos processed again: street map streets.tif is new (2)" in said.err


def test_a_new_street_map_in_the_data_folder_is_the_same(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGENGINE_DATA", "data")
    Path("data/streets").mkdir(parents=True)
    shutil.copy("streets.tif", "data/streets/paris.tif")
    said = preview()
    assert again(said) == {"tele of Paris", "tele without a place"}
    assert "street map paris.tif is new (2)" in said.err


def test_another_map_of_lights_is_for_all_that_were_searched(stored: Path) -> None:
    content = bytearray(Path("lights.tif").read_bytes())
    Path("lights.tif").write_bytes(bytes(content) + b"\0")
    said = preview()
    assert again(said) == set(RESULTS) - {"indoors", "by day"}
    assert "night-light map lights.tif changed (6)" in said.err


def test_a_new_day_map_is_for_photos_by_day(stored: Path) -> None:
    picture = np.full((3, 90, 180), 90, np.uint8)
    with rasterio.open(
        "world.tif", "w", driver="GTiff", width=180, height=90, count=3, dtype="uint8",
        crs="EPSG:4326", transform=Affine(2.0, 0.0, -180.0, 0.0, -2.0, 90.0),
    ) as file:  # fmt: skip
        file.write(picture)
    said = preview("--day", "world.tif")
    assert again(said) == {"by day"}
    assert "1 stored photo processed again: day map world.tif is new" in said.err


def test_other_options_are_for_all_photos_and_are_named(stored: Path) -> None:
    said = preview("--clock-window", "77")
    assert again(said) == set(RESULTS)
    assert "register.clock_window_s 77.0, was none (8)" in said.err
    said = preview("--retry", "accepted")
    assert again(said) == {"accepted"}
    assert "1 stored photo processed again: --retry accepted (1)" in said.err


def test_a_run_says_why_before_it_begins(stored: Path) -> None:
    words = ("photos", "--lights", "lights.tif", "--blind", "never", "--workers", 0)
    said = run("register", *words, "--streets", "streets.tif")
    assert "6 from the store" in said.err
    first, *_, last = said.err.splitlines()
    assert "2 stored photos processed again: street map streets.tif is new (2)" in first
    assert "8 photos" in last or "8 photos" in said.err
    # What was done with it stands for it, the others as before
    said = run("register", *words, "--streets", "streets.tif")
    assert "8 from the store" in said.err
    assert "processed again" not in said.err
