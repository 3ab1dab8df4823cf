"""The first thing that a user does: samples and own photos, with what the package brings."""

from __future__ import annotations

import csv
import errno
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
from tests.world.faults import refusing, write_photos
from tests.world.program import Said, run, start
from tests.world.runs import LIGHTS, SAMPLES, offline
from tests.world.shared import records_of, standing_copy
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


def test_the_guard_sees_attempts_that_are_survived(tmp_path: Path) -> None:
    survived = (
        "import urllib.request\n"
        "try:\n    urllib.request.urlopen('http://localhost:9')\n"
        "except OSError:\n    print('survived')\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", survived], env=offline(tmp_path), capture_output=True, text=True
    )
    assert result.stdout == "survived\n"
    assert "localhost" in (tmp_path / "attempts").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_next_steps_of_the_quick_start_work(demo_run: Path, tmp_path: Path) -> None:
    copy = standing_copy(demo_run, tmp_path)
    every = run("show", copy / "run.h5")
    assert every.code == 0
    assert all(frame in every.out for frame in FRAMES)
    one = run("show", copy / "run.h5", f"{NAMES[0]}.jpg")
    assert one.code == 0
    assert "ACCEPTED" in one.out
    page = tmp_path / "report.html"
    told = run("report", copy / "run.h5", "--out", page, "--overlay", copy / "overlays")
    assert told.code == 0
    assert all(frame in page.read_text(encoding="utf-8") for frame in FRAMES)


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


def test_windows_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SystemExit, match=r"^Error: regengine runs on Linux and macOS: .*\.$"):
        runpy.run_module("regengine", run_name="__main__")


# Overlays of results that a store has


NIGHTS = ["night 0", "night 1", "night 2"]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.slow
def test_a_finished_run_is_drawn_as_the_run_itself_draws(demo_run: Path, tmp_path: Path) -> None:
    said = run("overlay", demo_run / "run.h5", "--out", tmp_path)
    assert said.code == 0, said.err
    drawn = demo_run / "overlays"
    assert names_in(tmp_path) == names_in(drawn)
    assert {Path(line).name for line in said.out.splitlines()} == set(names_in(drawn))
    for name in names_in(drawn):
        assert (tmp_path / name).read_bytes() == (drawn / name).read_bytes(), name


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
    said = run("overlay", store, "no such", "--out", tmp_path / "c")
    assert said.code == 2
    assert "has no frame named no such" in said.err


def test_a_photo_over_the_pole_is_drawn_on_any_map(store: Path, tmp_path: Path) -> None:
    said = run("overlay", store, "ISS061-E-0", "--lights", LIGHTS, "--out", tmp_path)
    assert (said.code, names_in(tmp_path)) == (0, ["ISS061-E-0.overlay.png"]), said.err


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


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ("run/photos", ()),
        ("run", ()),
        ("elsewhere", ("--photos", "elsewhere")),
        ("elsewhere/a/b", ("--photos", "elsewhere")),
    ],
)
def test_photos_that_have_moved_are_found(
    store_copy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    now: str,
    words: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    frame = "ISS030-E-184140"
    former = store_copy.parent / "photos"
    Path("run/a").mkdir(parents=True)
    shutil.copy(former / "ISS030-E-184142.jpg", f"run/a/{frame}.jpg")  # another of its name
    shutil.copy(store_copy, "run/run.h5")
    shutil.copytree(former, now, dirs_exist_ok=True)
    shutil.rmtree(former)
    said = run("overlay", "run/run.h5", frame, "--out", "out", *words)
    assert (said.code, said.err) == (0, "out: 1 overlay\n")
    where = ("--where", f"frame = '{frame}'", "--verdict", "all")
    said = run("export", "run/run.h5", "--format", "gcp", "--out", "gis", *where, "--json", *words)
    assert (said.code, said.records[0]["frames"]) == (0, 1), said.err


def register_found(*words: object) -> Said:
    folder = next(path for path in (Path("photos"), Path("moved")) if path.exists())
    return run("register", folder, "--lights", LIGHTS, "--blind", "never", "--workers", 0, *words)


def test_a_run_draws_what_it_takes_from_the_store_unless_that_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_photos(Path("photos"), 3)
    register_found()
    Path("photos").rename("moved")  # a photo is known by its content and name
    said = register_found("--overlay", "drawn")
    assert "3 from the store" in said.err
    assert "3 overlays drawn of stored results" in said.err
    assert names_in(Path("drawn")) == [f"{name}.overlay.png" for name in NIGHTS]
    with Image.open("drawn/night 0.overlay.png") as picture:
        picture.load()
    Path("drawn/night 1.overlay.png").unlink()
    before = Path("drawn/night 0.overlay.png").stat().st_mtime_ns
    said = register_found("--overlay", "drawn")
    assert "1 overlay drawn of stored results" in said.err
    assert Path("drawn/night 0.overlay.png").stat().st_mtime_ns == before
    assert names_in(Path("drawn")) == [f"{name}.overlay.png" for name in NIGHTS]


# What people bring in: other depths, cut files, odd names of folders


CITY = ROOT / "data_samples" / "ISS990-E-000103.jpg"


def test_values_of_a_table_that_are_left_out_are_named(tmp_path: Path) -> None:
    Image.new("L", (64, 48)).save(tmp_path / "a.png")
    table = tmp_path / "frames.csv"
    table.write_text(
        "frame_id;time_utc;nadir_lat;nadir_lon;altitude_km\na;2014-01-30;34,51;179.21;9000\n"
    )
    said = run("classify", tmp_path / "a.png", "--metadata", table)
    assert said.code == 0
    told = [line for line in said.err.splitlines() if "is ignored" in line]
    for word in ("2014-01-30", "34,51", "9000"):
        assert sum(repr(word) in line for line in told) == 1, said.err


def grey_sample() -> np.ndarray:
    return np.asarray(Image.open(CITY).convert("L"))[200:712, 300:1068]


@pytest.mark.parametrize(("ending", "bits"), [("png", 12), ("tif", 14)])
def test_fewer_bits_in_16_are_told_and_make_no_difference(
    tmp_path: Path, ending: str, bits: int
) -> None:
    eight = grey_sample()
    assert eight.max() > 128
    cv2.imwrite(str(tmp_path / "eight.png"), eight)
    cv2.imwrite(str(tmp_path / f"more.{ending}"), eight.astype(np.uint16) << (bits - 8))
    said = run("classify", tmp_path, "--json", "--workers", 0)
    one, other = (record["probabilities"] for record in said.records)
    assert max(abs(one[name] - other[name]) for name in one) < 0.05
    assert f"read as {bits} bits in 16, since its largest sample is" in said.err
    assert said.err.count("bits in 16") == 1


def test_a_dark_picture_keeps_its_16_bits_and_a_folder_with_brackets_is_no_pattern(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "dir[1]"
    folder.mkdir()
    for name in ("a", "b"):
        cv2.imwrite(str(folder / f"{name}.png"), np.full((60, 80), 1500, np.uint16))
    said = run("classify", f"{folder}/*.png", "--json", "--workers", 0)
    assert [one["frame"] for one in said.records] == ["a", "b"]
    assert "bits in 16" not in said.err


def test_a_jpeg_without_its_end_mark_is_read_and_one_without_its_end_is_not(
    tmp_path: Path,
) -> None:
    Image.fromarray(grey_sample()).save(tmp_path / "whole.jpg")
    content = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "unmarked.jpg").write_bytes(content[:-2])
    (tmp_path / "torn.jpg").write_bytes(content[:-2000])
    found = {}
    for name in ("whole", "unmarked", "torn"):
        said = run("detect", "lights", tmp_path / f"{name}.jpg", "--json")
        found[name] = said.records[0]["lights"] if said.code == 0 else said.code
    assert found["whole"] == found["unmarked"] != []
    assert found["torn"] == 1


def test_an_overlay_that_a_full_disk_refuses_is_told_in_a_sentence(tmp_path: Path) -> None:
    Image.new("L", (64, 48)).save(tmp_path / "a.png")
    with refusing("fsync", 1, errno.ENOSPC) as refused:
        said = run("detect", "lights", tmp_path / "a.png", "--overlay", tmp_path / "o")
    assert refused()
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "the disk is full: free some space" in said.err
    assert "Errno" not in said.err
