"""The first thing that a user does: samples and own photos, with what the package brings."""

from __future__ import annotations

import csv
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import regengine
from tests.conftest import ROOT
from tests.world.program import run, start
from tests.world.runs import LIGHTS, SAMPLES
from tests.world.shared import records_of
from tests.world.simulated import is_right, point_misses_m, sample_camera

# The samples, as README and quick start have it

NAMES = [path.stem for path in sorted(SAMPLES.glob("*.jpg"))]
FRAMES = [name.replace("000", "") for name in NAMES]  # numbers are those of the archive
DARK = "ISS990-E-000102"  # cloud over the sea


@pytest.mark.slow
def test_five_of_six_samples_are_right_and_cloud_over_the_sea_is_no_match(demo_run: Path) -> None:
    """A line for each; overlays that any program opens; no network; what comes next is named."""
    done = {record["path"]: record["frame"] for record in records_of(demo_run)}
    photos = [str(SAMPLES / f"{name}.jpg") for name in NAMES]
    assert len(records_of(demo_run)) == 6
    assert done == dict(zip(photos, FRAMES, strict=True))
    assert not (demo_run / "attempts").exists()
    store = regengine.open_store(demo_run / "run.h5")
    for name in NAMES:
        found = store[name]
        if name == DARK:
            assert (found.verdict, found.camera, len(found.control_points)) == ("no_match", None, 0)
            assert found.reasons
            assert all(reason.text for reason in found.reasons)
            continue
        assert (found.verdict, found.reasons) == ("accepted", ()), name
        misses_m = point_misses_m(sample_camera(name), found.control_points)
        assert len(misses_m) == 4
        assert is_right(misses_m, found.to_dict()["footprint_diagonal_km"])
        assert np.median(misses_m) < 500.0  # a pixel of the map
    overlays = sorted((demo_run / "overlays").iterdir())
    assert [path.name for path in overlays] == [f"{name}.overlay.png" for name in NAMES]
    for path in overlays:
        with Image.open(path) as picture:
            picture.load()
            assert min(picture.size) > 1000
            assert np.asarray(picture).std() > 1.0
    said = (demo_run / "messages.txt").read_text(encoding="utf-8")
    assert "5 accepted, 0 review, 1 no_match, 0 failed" in said
    for command in ("review", "show", "export"):
        assert f"regengine {command} run.h5" in said
    assert "regengine export run.h5 --format geotiff --out gis\n" in said


@pytest.mark.slow
def test_an_overlay_rings_the_points_where_they_are_and_leaves_their_light_seen(
    demo_run: Path,
) -> None:
    """Below a head of words the photo is as wide as the picture."""
    name = "ISS990-E-000103"
    points = regengine.open_store(demo_run / "run.h5")[f"{name}.jpg"].control_points
    with Image.open(demo_run / "overlays" / f"{name}.overlay.png") as picture:
        red, green, blue = np.moveaxis(np.asarray(picture.convert("RGB"), int), 2, 0)
        scale = picture.width / 2128
    is_ring = (green > 180) & (red < 140) & (blue < 140)
    x, y = (np.rint(scale * (axis + 0.5) - 0.5).astype(int) for axis in (points.x, points.y))

    def rings(head: int, reach: int) -> list[int]:
        boxes = zip(np.maximum(y + head - reach, 0), np.maximum(x - reach, 0), strict=True)
        side = 2 * reach + 1
        return [int(is_ring[top : top + side, left : left + side].sum()) for top, left in boxes]

    head = max(range(40, 250), key=lambda head: sorted(rings(head, 12))[0])
    assert min(rings(head, 12)) > 30
    assert max(rings(head, 2)) == 0


# What the package brings: no option, no network, an empty home


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
def test_the_demonstration_judges_twelve_photos(packaged_run: Path, tmp_path: Path) -> None:
    """As `make demo` does: nine cities right, one to check, two not placed; a page."""
    shutil.copytree(packaged_run, tmp_path, dirs_exist_ok=True)
    stars = PHOTOS / "ISS043-E-298868.jpg"
    solved = start("solve", stars, "--json", "--overlay", "overlays", cwd=tmp_path)
    (tmp_path / "stars.ndjson").write_text(solved.out, encoding="utf-8")
    program = (sys.executable, "-m", "benchmarks", "demo")
    paths = [str(tmp_path / name) for name in ("run.h5", "overlays", "stars.ndjson")]
    judged = subprocess.run(
        [*program, *paths, "--out", str(tmp_path / "demo.html")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert judged.returncode == 0, judged.stderr
    assert judged.stdout.count(" accepted ") == 9
    assert judged.stdout.count("a proposal to check") == 1
    assert judged.stdout.count("no place, rightly") == 1
    assert " stars, " in judged.stdout
    assert (tmp_path / "demo.html").read_text(encoding="utf-8").count("<img") == 12
    assert not (tmp_path / "attempts").exists()


def test_windows_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SystemExit, match=r"^Error: regengine runs on Linux and macOS: .*\.$"):
        runpy.run_module("regengine", run_name="__main__")


# Overlays of results that a store has


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_photos_are_named_or_chosen_by_verdict_and_condition(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = run("overlay", store, "iss030e184140", "ISS030-E-184148.jpg", "--out", out)
    assert (said.code, said.err) == (0, f"{out}: 2 overlays\n")
    assert names_in(out) == ["ISS030-E-184140.overlay.png", "ISS030-E-184148.overlay.png"]
    where = ("--where", "frame LIKE 'ISS030%' AND off_nadir_deg < 30")
    said = run("overlay", store, "--verdict", "review", *where, "--out", tmp_path / "b", "--json")
    shown = run("show", store, "--verdict", "review", *where, "--json")
    assert [one["frame"] for one in said.records] == [one["frame"] for one in shown.records]
    assert [Path(one["overlay"]).is_file() for one in said.records] == [True] * len(said.records)
    # Over the pole, on a map that does not reach it
    said = run("overlay", store, "ISS061-E-0", "--lights", LIGHTS, "--out", tmp_path / "pole")
    assert (said.code, names_in(tmp_path / "pole")) == (0, ["ISS061-E-0.overlay.png"]), said.err


def test_a_photo_that_is_gone_or_another_one_costs_its_own_picture(
    store_copy: Path, tmp_path: Path
) -> None:
    photos = store_copy.parent / "photos"
    (photos / "ISS030-E-184140.jpg").unlink()
    shutil.copy(photos / "ISS030-E-184142.jpg", photos / "ISS030-E-184141.jpg")
    where = ("--where", "frame_index < 3")
    said = run("overlay", store_copy, *where, "--out", tmp_path / "out", "--json")
    assert said.code == 1
    assert names_in(tmp_path / "out") == ["ISS030-E-184142.overlay.png"]
    assert [one["failed"] is None for one in said.records] == [False, False, True]
    assert "ISS030-E-184140.jpg is missing or has changed" in said.err
    assert "name the folder where it is now with --photos" in said.err
    assert "1 overlay; 2 failed" in said.err


def test_photos_that_have_moved_are_found(
    store_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    frame, former = "ISS030-E-184140", store_copy.parent / "photos"
    Path("run/a").mkdir(parents=True)
    shutil.copy(former / "ISS030-E-184142.jpg", f"run/a/{frame}.jpg")  # another of its name
    shutil.copy(store_copy, "run/run.h5")
    shutil.move(former, "elsewhere/a/b")
    words = ("--photos", "elsewhere")
    said = run("overlay", "run/run.h5", frame, "--out", "out", *words)
    assert (said.code, said.err) == (0, "out: 1 overlay\n")
    where = ("--where", f"frame = '{frame}'", "--verdict", "all")
    said = run("export", "run/run.h5", "--format", "gcp", "--out", "gis", *where, "--json", *words)
    assert (said.code, said.records[0]["frames"]) == (0, 1), said.err
    shutil.move("elsewhere/a/b", "run/photos")  # beside the store they need no option
    assert run("overlay", "run/run.h5", frame, "--out", "again").code == 0
    shutil.move(f"run/photos/{frame}.jpg", "run")  # or without its folders
    assert run("overlay", "run/run.h5", frame, "--out", "once more").code == 0


# What people bring in: other depths, cut files, odd names of folders


def test_fewer_bits_in_16_are_told_and_make_no_difference(tmp_path: Path) -> None:
    folder = tmp_path / "dir[1]"  # a folder with brackets is no pattern
    grey = Image.open(SAMPLES / "ISS990-E-000103.jpg").convert("L")
    eight = np.asarray(grey)[200:712, 300:1068]
    assert eight.max() > 128
    folder.mkdir()
    cv2.imwrite(str(folder / "eight.png"), eight)
    cv2.imwrite(str(folder / "more.tif"), eight.astype(np.uint16) << 6)
    said = run("classify", f"{folder}/*", "--json", "--workers", 0)
    one, other = (record["probabilities"] for record in said.records)
    assert max(abs(one[name] - other[name]) for name in one) < 0.05
    assert "read as 14 bits in 16, since its largest sample is" in said.err
    cv2.imwrite(str(tmp_path / "dark.png"), np.full((60, 80), 1500, np.uint16))
    assert "bits in 16" not in run("classify", tmp_path / "dark.png", "--workers", 0).err
