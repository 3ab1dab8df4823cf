"""The same photos and settings give the same answers, and other settings what could differ."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import h5py
import numpy as np
import pytest
from shapely import LineString

from tests.world.faults import write_photos
from tests.world.program import Said, run
from tests.world.results import proposal
from tests.world.runs import ELEMENTS, LIGHTS
from tests.world.simulated import USUAL, write_png
from tests.world.stores import unplaced, write_store


def register_simulated(folder: Path, store: Path, names: tuple[str, ...], *options: object) -> Said:
    photos = (folder / f"{name}.jpg" for name in names)
    given = ("--tle", ELEMENTS, "--lights", LIGHTS, "--store", store, "--json")
    return run("register", *photos, *given, *options)


def columns_of(store: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """What may not differ between equal runs: every column's rows by photo, but volatile ones."""
    found: dict[str, Any] = {}
    with h5py.File(store) as file:
        stems = [Path(path.decode()).stem for path in file["frames/path"][()]]
        number_of = dict(zip(stems, file["frames/frame_index"][()], strict=True))
        for group in ("frames", "control_points", "hypotheses", "detections", "provenance"):
            numbers = file[f"{group}/frame_index"][()]
            for name, column in file[group].items():
                if column.attrs["volatile"] or name in ("path", "frame_index"):
                    continue
                for photo in names:
                    rows = column[()][numbers == number_of[photo]]
                    found[f"{group}/{name} of {photo}"] = (rows.dtype.kind, rows.tolist())
    return found


def same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name, (kind, rows) in one.items():
        assert np.array_equal(rows, other[name][1], equal_nan=kind == "f"), name


@pytest.mark.slow
def test_workers_order_and_folder_change_nothing(simulated: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in USUAL:
        shutil.copy(simulated / f"{name}.jpg", elsewhere)
    said = register_simulated(elsewhere, tmp_path / "run.h5", USUAL[::-1], "--workers", 2)
    assert said.code == 0, said.err
    same(columns_of(simulated / "run.h5", USUAL), columns_of(tmp_path / "run.h5", USUAL))


def test_taking_over_leaves_the_store_as_it_is(simulated: Path, tmp_path: Path) -> None:
    store = Path(shutil.copy(simulated / "run.h5", tmp_path))
    again = register_simulated(simulated, store, USUAL, "--workers", 0)
    before = (simulated / "records.ndjson").read_text(encoding="utf-8")
    assert sorted(again.out.splitlines()) == sorted(before.splitlines())
    same(columns_of(simulated / "run.h5", USUAL), columns_of(store, USUAL))


def test_settings_that_matter_are_told_apart_and_places_are_not(tmp_path: Path) -> None:
    """Photo, map and elements in other folders are the same; another option or element is not."""
    photo = write_png(tmp_path / "photo.png", np.full((90, 120, 3), 180, np.uint8))
    there = tmp_path / "elsewhere"
    there.mkdir()
    for path in (photo, LIGHTS, ELEMENTS):
        shutil.copy(path, there)
    changed = tmp_path / "changed.txt"
    changed.write_text(ELEMENTS.read_text(encoding="ascii") + "\n", encoding="ascii")

    def seconds(photo: Path, lights: Path, elements: Path, *options: object) -> float:
        said = run(
            *("register", photo, "--lights", lights, "--tle", elements, "--workers", 0),
            *("--store", tmp_path / "run.h5", "--json", *options),
        )
        (record,) = said.records
        assert (record["verdict"], said.code) == ("no_match", 0)
        with h5py.File(tmp_path / "run.h5") as store:
            assert len(store["frames/frame"]) == 1
            return float(store["provenance/seconds"][0])

    first = seconds(photo, LIGHTS, ELEMENTS)
    assert seconds(there / photo.name, there / LIGHTS.name, there / ELEMENTS.name) == first
    second = seconds(photo, LIGHTS, changed)
    assert second != first
    assert seconds(photo, LIGHTS, changed, "--clock-window", 30) != second


RESULTS = {
    "indoors": unplaced("not_a_night_city_frame", category="inside"),
    "wide": unplaced("few_lights"),
    "accepted": proposal(),
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
    with h5py.File("settings.h5") as file:
        text, sha256 = (
            file[f"provenance/{name}"][0].decode() for name in ("parameters", "parameters_sha256")
        )
    write_store(tmp_path / "run.h5", results, settings=(text, sha256))
    road = [LineString([(2.3, 48.8), (2.32, 48.8)])]
    geopandas.GeoDataFrame({"highway": ["primary"]}, geometry=road, crs=4326).to_file("r.geojson")
    assert run("maps", "build", "--kind", "streets", "r.geojson", "--out", "streets.tif").code == 0
    return tmp_path / "run.h5"


def preview(*words: object) -> Said:
    given = ("--lights", "lights.tif", "--blind", "never", "--dry-run", "--json")
    return run("register", "photos", *given, *words)


def again(said: Said) -> set[str]:
    return {record["frame"] for record in said.records if record["stored"] is None}


def test_other_settings_and_files_are_named(stored: Path) -> None:
    said = preview()
    assert again(said) == set()
    assert "processed again" not in said.err
    for words, told in (
        (("--streets", "streets.tif"), "streets streets.tif, was none (3)"),
        (("--clock-window", "77"), "register.clock_window_s 77.0, was none (3)"),
    ):
        said = preview(*words)
        assert again(said) == set(RESULTS)
        assert f"3 stored photos processed again: {told}" in said.err
    assert again(preview("--retry", "accepted")) == {"accepted"}
    with Path("lights.tif").open("ab") as file:
        file.write(b"\0")
    said = preview()
    assert again(said) == set(RESULTS)
    assert "lights lights.tif changed (3)" in said.err
