"""The same photos with the same settings give the same answers, however they are run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.world.program import run
from tests.world.runs import ELEMENTS, LIGHTS
from tests.world.shared import make_once
from tests.world.simulated import USUAL, write_png

NAMES = ("tele", "nadir")


def register(folder: Path, photos: Path, names: tuple[str, ...], *options: object) -> Path:
    """The store of some of the simulated photos."""
    store = folder / "run.h5"
    said = run(
        *("register", *(photos / f"{name}.jpg" for name in names), "--tle", ELEMENTS),
        *("--lights", LIGHTS, "--store", store, "--json", *options),
    )
    assert said.code == 0, said.err
    (folder / "records.ndjson").write_text(said.out, encoding="utf-8")
    return store


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


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory, simulated: Path) -> Path:
    """Registered in one process, one after the other."""
    return make_once(
        tmp_path_factory,
        "alone",
        lambda folder: register(folder, simulated, NAMES, "--workers", 0),
    )


@pytest.mark.slow
def test_workers_order_and_folder_change_nothing(
    alone: Path, simulated: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in NAMES:
        shutil.copy(simulated / f"{name}.jpg", elsewhere)
    store = register(tmp_path, elsewhere, NAMES[::-1], "--workers", 2)
    same(columns_of(alone / "run.h5", NAMES), columns_of(store, NAMES))


@pytest.mark.slow
def test_a_run_that_was_ended_and_taken_up_is_as_one_that_was_not(
    alone: Path, simulated: Path, tmp_path: Path
) -> None:
    register(tmp_path, simulated, NAMES[:1], "--workers", 0)
    store = register(tmp_path, simulated, NAMES, "--workers", 0)
    same(columns_of(alone / "run.h5", NAMES), columns_of(store, NAMES))
    assert len((tmp_path / "records.ndjson").read_text(encoding="utf-8").splitlines()) == 2


@pytest.mark.slow
def test_other_photos_beside_them_change_no_verdict(alone: Path, simulated: Path) -> None:
    """Photos of one camera help each other: what is found first may differ, not what is said."""
    with h5py.File(alone / "run.h5") as few, h5py.File(simulated / "run.h5") as many:
        verdicts = [
            dict(zip(f["frames/frame"][()], f["frames/verdict"][()], strict=True))
            for f in (few, many)
        ]
    assert verdicts[0].items() <= verdicts[1].items()


def test_taking_over_leaves_the_store_as_it_is(simulated: Path, tmp_path: Path) -> None:
    store = shutil.copy(simulated / "run.h5", tmp_path)
    again = run(
        *("register", *(simulated / f"{name}.jpg" for name in USUAL), "--tle", ELEMENTS),
        *("--lights", LIGHTS, "--store", store, "--json", "--workers", 0),
    )
    before = (simulated / "records.ndjson").read_text(encoding="utf-8")
    assert sorted(again.out.splitlines()) == sorted(before.splitlines())
    same(columns_of(simulated / "run.h5", USUAL), columns_of(Path(store), USUAL))


def test_only_when_and_how_long_is_marked_as_what_may_differ(simulated: Path) -> None:
    with h5py.File(simulated / "run.h5") as file:
        volatile = {
            f"{group}/{name}"
            for group in ("frames", "control_points", "hypotheses", "detections", "provenance")
            for name, column in file[group].items()
            if column.attrs["volatile"]
        }
    assert volatile == {"provenance/seconds", "provenance/processed_utc"}


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
