"""The registration benchmark from end to end, on simulated photographs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import __main__ as launcher
from benchmarks import registration, registration_real, registration_timing
from benchmarks.registration_report import RESULT_HEADER
from benchmarks.registration_timing import HEADER, elements_for, timing_row, truth_of
from benchmarks.simulate.case_sources import CaseSource, town_source
from benchmarks.simulate.cases import Case, draw_case
from benchmarks.simulate.geodesy import geodetic_of
from benchmarks.simulate.lamps import Realisation
from benchmarks.simulate.land import Region
from benchmarks.simulate.light_map import (
    LightMapParameters,
    RadianceMap,
    draw_light_map,
    read_geotiff,
    write_geotiff,
)
from benchmarks.simulate.orbit import state_ecef
from benchmarks.simulate.town_world import draw_town_world
from regengine.evaluate.registration import pixel_errors_px
from tests.conftest import ROOT

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
    """A sample photograph laid out like the real data, its truth as reference and hand points."""
    folder = tmp_path / "real"
    for name in ("photos/cities", "orbit", "lights"):
        (folder / name).mkdir(parents=True)
    file = f"cities/{FRAME}.jpg"
    shutil.copy(SAMPLES / f"{FRAME}.jpg", folder / "photos" / file)
    shutil.copy(SAMPLES / "tle.txt", folder / "orbit" / "iss_tles.txt")
    write_map(folder, degrees=1.0)
    truth = json.loads((SAMPLES / "truth" / f"{FRAME}.json").read_text())
    camera = truth["camera"]
    photos = folder / "photos"
    rows = [
        [file, *(str(p[k]) for k in ("x", "y", "lon", "lat"))] for p in truth["reference_points"]
    ]
    table = "\n".join(",".join(row) for row in [["file", "x", "y", "lon", "lat"], *rows])
    (photos / "index.csv").write_text(f"file,category,frame_id\n{file},cities,{FRAME}\n")
    (photos / "reference_points.csv").write_text(table + "\n")
    (photos / "hand_points.csv").write_text(table + "\n")
    (photos / "reference_cameras.csv").write_text(
        "file,nadir_lon,nadir_lat,focal_px\n"
        f"{file},{camera['lon']},{camera['lat']},{camera['focal_px']}\n"
    )
    return folder


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Spare the child process, so that what it does is seen; its threads are put back."""
    threads = cv2.getNumThreads()
    monkeypatch.setattr(registration_real, "run_alone", lambda work, job: work(job))
    yield
    cv2.setNumThreads(threads)


@pytest.mark.usefixtures("in_this_process")
def test_a_sample_is_registered_scored_drawn_and_written(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_map(real, degrees=6.0)
    arguments = ["--real", str(real), "--out", str(tmp_path / "out"), "--no-variants"]
    arguments += ["--cache", str(tmp_path / "cache"), "--overlays", str(tmp_path / "overlays")]
    assert launcher.main(["registration", *arguments]) == 0
    printed = capsys.readouterr()
    (page,) = (tmp_path / "out").glob("registration-real-*.md")
    assert page.read_text(encoding="utf-8") == printed.out
    assert f"- Right by the reference points: 1 of 1 ({FRAME})." in printed.out
    assert "Wrong and accepted: none (aim: none)." in printed.out
    assert "| SIFT + MAGSAC | inliers |" in printed.out
    assert "registration --real FOLDER --no-variants`" in printed.out
    assert str(tmp_path) not in printed.out
    assert f"{FRAME}: accepted" in printed.err
    assert (tmp_path / "overlays" / f"{FRAME}.png").is_file()
    row = next(line for line in printed.out.splitlines() if line.startswith(f"| {FRAME} |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    said = dict(zip(RESULT_HEADER, cells, strict=True))
    assert float(said["map px"].split(" / ")[0]) < 1.0
    assert said["control points"].startswith("right")
    assert float(said["hand points px"]) < 3.0


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
    arguments = ["--real", str(real), "--only", "broken", "--max-seconds", "5", "--no-peers"]
    assert registration.main(arguments) == 0
    printed = capsys.readouterr().out
    row = next(line for line in printed.splitlines() if line.startswith("| broken |"))
    assert row.endswith("| unreadable |")
    assert "--only broken --no-peers --max-seconds 5`" in printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [([], "say --real FOLDER or --timing"), (["--real", "nowhere"], "no photos/index.csv")],
)
def test_what_cannot_be_started(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert registration.main(arguments) == 2
    assert words in capsys.readouterr().err


@pytest.fixture(scope="module")
def source() -> CaseSource:
    region = Region(west=-160.0, south=30.0, size_deg=12.0)
    world = draw_town_world(3, region)
    light_map = draw_light_map(
        world, region.bounds, Realisation(number=1), LightMapParameters(step_deg=1.0 / 120.0)
    )
    return town_source(world, draw_town_world(4, region), light_map)


@pytest.fixture(scope="module")
def drawn(source: CaseSource) -> Case:
    return draw_case(5, kind="city", source=source, long_side_px=600)


def test_the_element_set_puts_the_station_as_told(drawn: Case) -> None:
    position, velocity = state_ecef(elements_for(drawn).satrec(), drawn.time_utc)
    lon, lat, height_m = (float(value) for value in geodetic_of(position))
    assert lon == pytest.approx(drawn.prior.lon, abs=0.01)
    assert lat == pytest.approx(drawn.prior.lat, abs=0.01)
    assert height_m / 1000.0 == pytest.approx(drawn.prior.altitude_km, abs=1.0)
    told = np.array(drawn.prior.velocity_ecef_m_s)
    cosine = velocity @ told / np.linalg.norm(velocity) / np.linalg.norm(told)
    assert np.degrees(np.arccos(cosine)) < 2.0


def test_the_simulated_truth_is_one(drawn: Case) -> None:
    truth = truth_of(drawn)
    assert truth.camera is not None
    assert truth.points is not None
    assert pixel_errors_px(truth.camera, truth.points).max() < 0.1


def test_large_photographs_are_timed(
    drawn: Case,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    asked = []

    def draw(seed: int, *, kind: str, long_side_px: int) -> Case:
        asked.append((seed, kind, long_side_px))
        return replace(drawn, seed=seed)

    monkeypatch.setattr(registration_timing, "draw_case", draw)
    monkeypatch.setattr(registration_timing, "SIZES_PX", {"small": 600})
    arguments = ["--timing", "--photos", "1", "--max-seconds", "4", "--out", str(tmp_path)]
    assert registration.main(arguments) == 0
    assert asked == [(1, "city", 600)]
    printed = capsys.readouterr().out
    (row,) = (line for line in printed.splitlines() if line.startswith("| small |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert len(cells) == len(HEADER)
    assert cells[4] in ("accepted", "review", "no_match")
    assert float(cells[7]) > 0.0
    assert len(list(tmp_path.glob("registration-timing-*.md"))) == 1


def test_a_photo_that_failed_has_a_row_too(drawn: Case) -> None:
    from benchmarks.registration_cases import Case as RealCase
    from benchmarks.registration_run import Outcome

    case = RealCase(name="x", file="x.jpg", photo=Path("x.jpg"))
    failed = Outcome(case=case, truth=truth_of(drawn), problem="the process died")
    assert timing_row("12 MP", drawn, failed)[-1] == "the process died"
