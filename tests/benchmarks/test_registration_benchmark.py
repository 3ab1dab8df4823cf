"""The registration benchmark from end to end, on simulated photographs."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from benchmarks import __main__ as launcher
from benchmarks import registration
from benchmarks.registration import (
    real as registration_page,
)
from benchmarks.registration import (
    real as registration_real,
)
from benchmarks.registration import (
    truth as registration_truth,
)
from benchmarks.registration.cases import list_cases, with_any_category
from benchmarks.registration.report import RESULT_HEADER
from benchmarks.registration.truth import NamedPlace, ReferenceCamera
from benchmarks.simulate.light_map import (
    RadianceMap,
    read_geotiff,
    write_geotiff,
)
from matchers.camera import Camera
from regengine.photo.frame import FrameOptions
from regengine.registration import register
from regengine.registration.search import RegisterParams, Search
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

SAMPLES = ROOT / "data_samples"
FRAME = "ISS990-E-000103"


def part_of(
    light_map: RadianceMap, west: float, south: float, east: float, north: float
) -> RadianceMap:
    """Part of a map; whole degrees, so that pixels stay where they are."""
    step = light_map.step_deg
    rows = slice(round((light_map.north - north) / step), round((light_map.north - south) / step))
    cols = slice(round((west - light_map.west) / step), round((east - light_map.west) / step))
    return replace(
        light_map,
        radiance=np.ascontiguousarray(light_map.radiance[rows, cols]),
        west=west,
        north=north,
    )


def write_map(folder: Path, degrees: float) -> None:
    """So many degrees of the samples' map, around the frame's nadir."""
    half = degrees / 2.0
    whole = read_geotiff(SAMPLES / "lights.tif")
    around = part_of(whole, -153.0 - half, 34.0 - half, -153.0 + half, 34.0 + half)
    write_geotiff(folder / "lights" / "blackmarble_15as.tif", around)


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """A sample photograph laid out like the real data."""
    folder = tmp_path / "real"
    for name in ("photos/cities", "orbit", "lights"):
        (folder / name).mkdir(parents=True)
    file = f"cities/{FRAME}.jpg"
    shutil.copy(SAMPLES / f"{FRAME}.jpg", folder / "photos" / file)
    shutil.copy(SAMPLES / "tle.txt", folder / "orbit" / "iss_tles.txt")
    write_map(folder, degrees=1.0)
    (folder / "photos" / "index.csv").write_text(f"file,category,frame_id\n{file},cities,{FRAME}\n")
    return folder


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Spare the child process, so that what it does is seen; its threads are put back."""
    threads = cv2.getNumThreads()
    monkeypatch.setattr(registration_real, "run_alone", lambda work, job: work(job))
    yield
    cv2.setNumThreads(threads)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample's own camera as the reference camera, and its own points as named places."""
    truth = json.loads((SAMPLES / "truth" / f"{FRAME}.json").read_text())
    said, file = truth["camera"], f"cities/{FRAME}.jpg"
    camera = Camera(
        width_px=said["width_px"],
        height_px=said["height_px"],
        focal_px=said["focal_px"],
        principal_point=tuple(said["principal_point"]),
        quaternion=tuple(said["quaternion"]),
        position_ecef_m=tuple(said["position_ecef_m"]),
        distortion=tuple(said["distortion"]),
        mirrored=said["mirrored"],
    )
    reference = ReferenceCamera(
        file=file,
        frame_id=FRAME,
        registrable=True,
        tle_age_days=0.5,
        has_record_nadir=False,
        width_px=camera.width_px,
        height_px=camera.height_px,
        camera=camera,
        true_time_offset_s=None,
        residual_px=None,
        remark="",
    )
    places = tuple(
        NamedPlace(name=str(n), **{key: point[key] for key in ("lon", "lat", "x", "y")})
        for n, point in enumerate(truth["reference_points"])
    )
    for module in (registration_truth, registration_page):
        monkeypatch.setattr(module, "read_reference_cameras", lambda: {file: reference})
    monkeypatch.setattr(registration_truth, "read_named_places", lambda: {file: places})


@pytest.mark.usefixtures("in_this_process", "known")
def test_a_sample_is_registered_scored_drawn_and_written(
    real: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    searched: list[Search] = []
    explore = register.explore
    monkeypatch.setattr(register, "explore", lambda s: searched.append(s) or explore(s))
    write_map(real, degrees=6.0)
    arguments = ["--real", str(real), "--out", str(tmp_path / "out"), "--no-variants"]
    arguments += ["--cache", str(tmp_path / "cache"), "--overlays", str(tmp_path / "overlays")]
    assert launcher.main(["registration", *arguments]) == 0
    printed = capsys.readouterr()
    (page,) = (tmp_path / "out").glob("registration-real-*.md")
    assert page.read_text(encoding="utf-8") == printed.out
    assert len(searched) == 1
    assert "## Sigma: windows held back from the fit" in printed.out
    assert "must be placed, right and accepted: 1 of 1 = 100% (aim: 75%)" in printed.out
    assert "City photos only: wrong and accepted: none (aim: none)." in printed.out
    assert f"1 of 1 photos with a reference camera ({FRAME})." in printed.out
    budget = f"{RegisterParams().most_work:.0f} s of work"
    assert f"Index: made in memory. Budget of a search: {budget}." in printed.out
    assert "registration --real FOLDER --no-variants`" in printed.out
    assert str(tmp_path) not in printed.out
    assert f"{FRAME}: accepted" in printed.err
    assert (tmp_path / "overlays" / f"{FRAME}.png").is_file()
    main_table = printed.out.partition("## Photographs")[2].splitlines()
    row = next(line for line in main_table if line.startswith(f"| {FRAME} |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    said = dict(zip(RESULT_HEADER, cells, strict=True))
    assert float(said["map px"].split(" / ")[0]) < 1.0
    assert said["judged"] == "right"
    assert float(said["named places px"].split(" (")[0]) < 3.0
    within, _, places = said["within the bar"].partition(" of ")
    assert within == places
    assert float(said["CPU s"]) > 0.0


@pytest.mark.usefixtures("in_this_process", "known")
def test_all_categories_are_tried_and_what_looks_like_no_night_city_again(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (real / "photos" / "day").mkdir()
    Image.new("RGB", (320, 213), (150, 160, 170)).save(real / "photos" / "day" / "noon.png")
    # Without EXIF it is the record that tells the nadir
    (real / "photos" / "index.csv").write_text(
        "file,category,frame_id,nadir_lat,nadir_lon\nday/noon.png,day,noon,34.0,-153.0\n"
    )
    overlays = tmp_path / "overlays"
    arguments = ["--real", str(real), "--only", "noon", "--all-categories", "--max-work", "2"]
    assert registration.main([*arguments, "--overlays", str(overlays)]) == 0
    printed = capsys.readouterr()
    assert "noon: no_match" in printed.err
    assert "noon, any category: " in printed.err
    row = next(line for line in printed.out.splitlines() if line.startswith("| day |"))
    assert row.startswith("| day | 1 | 0 | 0 | 1 | 0 | 1 | 0 |")
    assert "All categories, `--any-category` too: wrong and accepted: none" in printed.out
    assert "--only noon --all-categories --max-work 2`" in printed.out
    assert not list(overlays.iterdir())


def test_the_search_is_given_its_budget_and_the_records(real: Path) -> None:
    settings = registration_real.Settings(real=real, world_map=real / "lights.tif", max_work=30.0)
    (case,) = list_cases(real)
    inputs = registration_real.inputs_for(case, settings)
    usual = RegisterParams()
    assert inputs.register.most_work == 30.0
    # The brake, of processor time, is no nearer for it
    assert inputs.register.clock is time.process_time
    assert inputs.register.max_seconds / 30.0 == usual.max_seconds / usual.most_work
    assert not inputs.register.any_category
    assert inputs.metadata == real / "photos" / "index.csv"
    assert inputs.blind.mode == "auto"
    anyway = registration_real.inputs_for(with_any_category(case), settings)
    assert anyway.register.any_category


def test_told_nothing_but_the_lens_is_told(real: Path) -> None:
    settings = registration_real.Settings(
        real=real, world_map=real / "lights.tif", told="nothing", index=real / "named.idx"
    )
    (case,) = list_cases(real)
    told = FrameOptions(nadir=(1.0, 2.0), altitude_km=400.0, focal_mm=28.0)
    inputs = registration_real.inputs_for(replace(case, options=told), settings)
    assert inputs.frame == FrameOptions(focal_mm=28.0)
    assert (inputs.tle, inputs.metadata, inputs.blind.mode) == (None, None, "always")
    assert inputs.blind.index == real / "named.idx"
    # Another map than the world's has another index
    clip = registration_real.inputs_for(replace(case, lights="lights/clip.tif"), settings)
    assert clip.blind.index is None


def test_told_nothing_a_map_needs_its_index(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = np.ones((180, 360), np.float32)
    world = RadianceMap(radiance=values, west=-180.0, north=90.0, step_deg=1.0)
    write_geotiff(real / "lights" / "blackmarble_15as.tif", world)
    assert registration.main(["--real", str(real), "--told", "nothing"]) == 2
    said = capsys.readouterr()
    assert "make it with regengine lights index, or name it with --index" in said.err
    assert said.out == ""
    assert registration.main(["--real", str(real), "--only", "no such"]) == 0
    assert "Index: none." in capsys.readouterr().out


def test_a_case_that_crashes_costs_itself_only(real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(work: object, job: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(registration_real, "run_alone", crash)
    settings = registration_real.Settings(real=real, world_map=real / "lights.tif", variants=False)
    told: list[str] = []
    (outcome,) = registration_real.run_cases(settings, real, told.append)
    assert (outcome.verdict, outcome.problem) == ("failed", "crashed: ZeroDivisionError")
    assert "ZeroDivisionError" in told[0]


def test_the_map_is_built_once(real: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = ["--real", str(real), "--cache", str(tmp_path / "cache"), "--only", "no such"]
    for words in ("built with `regengine lights build` in", "built earlier"):
        assert registration.main(arguments) == 0
        assert words in capsys.readouterr().out
    assert registration.main(arguments[:2] + arguments[4:]) == 0
    assert "built with `regengine lights build` in" in capsys.readouterr().out


def test_a_photo_that_cannot_be_read_is_a_row(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (real / "photos" / "cities" / "broken.jpg").write_text("no picture")
    with (real / "photos" / "index.csv").open("a") as table:
        table.write("cities/broken.jpg,cities,\n")
    arguments = ["--real", str(real), "--only", "broken", "--max-work", "5"]
    assert registration.main(arguments) == 0
    printed = capsys.readouterr().out
    row = next(line for line in printed.splitlines() if line.startswith("| broken |"))
    assert row.endswith("| unreadable |")
    assert "--only broken --max-work 5`" in printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "say --real FOLDER or --simulated"),
        (["--real", "nowhere"], "no photos/index.csv"),
    ],
)
def test_what_cannot_be_started(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert registration.main(arguments) == 2
    assert words in capsys.readouterr().err
