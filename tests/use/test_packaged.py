"""What the package brings places a photo: no option, no network, an empty home."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import regengine
from tests.conftest import ROOT
from tests.world.program import run, start
from tests.world.runs import SAMPLES, offline

PHOTOS = SAMPLES / "photos"
TRUTH = PHOTOS / "truth.csv"
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
    """As `make demo` does: nine cities right, one to check, two not placed; a sheet and a page."""
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
    assert judged.stdout.count("a proposal to check") == 1
    assert judged.stdout.count("no place, rightly") == 1
    assert " stars, " in judged.stdout
    assert (tmp_path / "demo.png").stat().st_size > 100_000
    assert (tmp_path / "demo.html").read_text(encoding="utf-8").count("<img") == 12
    assert not (tmp_path / "attempts").exists()


def test_doctor_lists_what_is_packaged() -> None:
    said = run("doctor", "--json")
    found = {one["what"]: one["found"] for [one] in zip(said.records[0], strict=True)}
    for what in ("lights", "day", "index", "element sets"):
        assert "(packaged)" in found[what]
