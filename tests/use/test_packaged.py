"""What the package brings places a photo: no option, no network, an empty home."""

from __future__ import annotations

import csv
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sgp4.api import Satrec

import regengine
from benchmarks.demo import TRUTH
from regengine import data
from regengine.batch.at_hand import choose_element_sets, choose_maps
from regengine.errors import ConfigError
from regengine.io.checksums import compute_sha256, read_sums
from regengine.orbit.tle import load_element_sets, load_tle_file
from regengine.references.opening import open_references
from regengine.registration.index.earth import read_earth_index
from tests.conftest import ROOT
from tests.kit.program import run, start
from tests.kit.runs import SAMPLES, offline
from tests.regengine.references.light_map_makers import write_geotiff

PHOTOS = SAMPLES / "photos"
OSAKA, BALKANS = PHOTOS / "ISS030-E-184140.jpg", PHOTOS / "ISS065-E-394522.jpg"


def miss_km(found: regengine.Registration, name: str) -> float:
    """Median distance of a photo's ground from that of the camera on another map."""
    with TRUTH.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["frame"] == name]
    x, y, lon, lat = (
        np.array([float(row[key]) for row in rows]) for key in ("x", "y", "lon", "lat")
    )
    own_lon, own_lat = found.camera.pixel_to_lonlat(x, y)[:2]
    east = 111.2 * (own_lon - lon) * np.cos(np.radians(lat))
    return float(np.median(np.hypot(east, 111.2 * (own_lat - lat))))


@pytest.mark.parametrize(
    ("photo", "within_km", "source"), [(OSAKA, 0.6, "tle"), (BALKANS, 1.0, "lights")]
)
def test_a_photo_is_placed_without_an_option(photo: Path, within_km: float, source: str) -> None:
    """With its time, and without one anywhere on Earth."""
    found = regengine.register(photo)
    assert found.verdict == "accepted"
    assert miss_km(found, photo.stem) < within_km
    record = found.to_dict()
    assert record["nadir"]["source"] == source
    assert record["engine"]["lights"] == "Black Marble 2016, 930 m per pixel"
    if source == "tle":
        assert record["sources"]["tle"] == "the package"
        assert record["nadir"]["tle_age_h"] < 24.0


@pytest.mark.slow
def test_from_a_photo_to_an_export_in_an_empty_home_without_network(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "REGENGINE_DATA": "", "XDG_DATA_HOME": ""} | offline(tmp_path)
    said = start("register", OSAKA, "--store", "run.h5", cwd=tmp_path, environment=home)
    assert said.code == 0, said.err
    out = ("--format", "csv", "--out", "points.csv")
    assert start("export", "run.h5", *out, cwd=tmp_path, environment=home).code == 0
    assert len((tmp_path / "points.csv").read_text().splitlines()) == 5
    assert not (tmp_path / "attempts").exists()


@pytest.mark.slow
def test_the_demonstration_judges_twelve_photos(tmp_path: Path) -> None:
    """As `make demo` does: nine cities right, three photos without a place, a sheet and a page."""
    arguments = ("register", PHOTOS, "--store", "demo.h5", "--overlay", "overlays")
    assert start(*arguments, cwd=tmp_path, environment=offline(tmp_path)).code == 0
    stars = PHOTOS / "ISS043-E-298868.jpg"
    solved = start("solve", stars, "--json", "--overlay", "overlays", cwd=tmp_path)
    (tmp_path / "stars.ndjson").write_text(solved.out, encoding="utf-8")
    program = (sys.executable, "-m", "benchmarks", "demo")
    paths = [str(tmp_path / name) for name in ("demo.h5", "overlays", "stars.ndjson")]
    judged = subprocess.run(
        [*program, *paths, "--out", str(tmp_path / "demo")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert judged.returncode == 0, judged.stderr
    assert judged.stdout.count(" accepted ") == 9
    assert judged.stdout.count("no place, rightly") == 2
    assert " stars, " in judged.stdout
    assert (tmp_path / "demo.png").stat().st_size > 100_000
    assert (tmp_path / "demo.html").read_text(encoding="utf-8").count("<img") == 12
    assert not (tmp_path / "attempts").exists()


def test_the_files_are_those_of_the_checksums() -> None:
    named = read_sums(data.FOLDER)
    files = [one for one in data.FOLDER.iterdir() if one.suffix in (".tif", ".idx", ".npz")]
    assert {path.name: compute_sha256(path) for path in files} == named


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    damaged = tmp_path / data.LIGHTS.name
    damaged.write_bytes(data.LIGHTS.read_bytes()[:-1] + b"x")
    with pytest.raises(ConfigError, match=r"black_marble\.tif.* damaged: install"):
        data.check_packaged(damaged)


def test_the_index_belongs_to_the_map_and_has_no_level_finer_than_it() -> None:
    index = read_earth_index(data.LIGHTS.with_name(f"{data.LIGHTS.name}.idx"), [data.LIGHTS])
    assert index.sizes_km == (1.3, 2.6, 5.2)  # 30 arcsec are 0.93 km
    lengths = np.linalg.norm(index[1.3].vectors, axis=1)
    assert np.abs(lengths - 1.0).max() < 1e-6


def write_map(path: Path, bounds: tuple[float, float, float, float]) -> Path:
    """A radiance map of a region."""
    path.parent.mkdir(parents=True, exist_ok=True)
    west, south, east, north = bounds
    step = (east - west) / 180.0
    values = np.full((round((north - south) / step), 180), 3.0, np.float32)
    return write_geotiff(path, values, west=west, north=north, step=step)


@pytest.mark.parametrize(
    ("own", "given", "used"),
    [
        ((), (), ("packaged",)),
        (((0, 40, 9, 49),), (), ("own0.tif", "packaged")),  # fills what a region lacks
        (((-180, -80, 180, 80),), (), ("own0.tif",)),
        (((0, 40, 9, 49),), ("named.tif",), ("named.tif",)),
    ],
)
def test_maps_are_the_named_ones_then_the_data_folders_then_the_packages(
    own: tuple[tuple[float, float, float, float], ...],
    given: tuple[str, ...],
    used: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REGENGINE_DATA", str(tmp_path))
    for number, bounds in enumerate(own):
        write_map(tmp_path / "lights" / f"own{number}.tif", bounds)
    paths = choose_maps("lights", [Path(name) for name in given])
    assert tuple("packaged" if path == data.LIGHTS else path.name for path in paths) == used
    if not given:
        assert {one.path for one in open_references("lights", paths)} == set(paths)


def test_of_all_element_sets_the_nearest_in_time_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A set that was added is used about its epoch, the package's elsewhere."""
    monkeypatch.setenv("REGENGINE_DATA", str(tmp_path))
    before = datetime(2012, 3, 28, 12, tzinfo=UTC)
    packaged = load_tle_file(data.ELEMENT_SETS)
    own = packaged.best_for(before)
    (tmp_path / "tle").mkdir()
    added = tmp_path / "tle" / "own.txt"
    added.write_text(f"{own.line1}\n{own.line2}\n", encoding="ascii")
    assert choose_element_sets() == (tmp_path / "tle", data.ELEMENT_SETS)
    both = load_element_sets(choose_element_sets())
    assert len(both) == len(packaged) + 1
    assert both.best_for(own.epoch_utc).path == added
    years = timedelta(days=4 * 365)
    assert both.best_for(before + years).path == data.ELEMENT_SETS
    assert choose_element_sets(added) == (added,)


def test_the_table_holds_sets_as_sgp4_reads_them() -> None:
    sets = load_tle_file(data.ELEMENT_SETS)
    assert len(sets) == 10_005
    assert (np.diff(sets.epoch_days) > 0.0).all()
    assert np.sort(np.diff(sets.epoch_days))[-4] < 10.0  # longest gaps 42, 17 and 16 days
    for number in (0, 5000, 10_004):
        record = Satrec.twoline2rv(sets[number].line1, sets[number].line2)
        days = record.jdsatepoch + record.jdsatepochF - 2451545.0
        assert sets.epoch_days[number] == pytest.approx(days, abs=1e-7)


def test_doctor_lists_what_is_packaged() -> None:
    said = run("doctor", "--json")
    found = {one["what"]: one["found"] for [one] in zip(said.records[0], strict=True)}
    for what in ("lights", "day", "index", "element sets"):
        assert "(packaged)" in found[what]
