"""The first thing that a user does: registering the samples, as README and quick start have it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import regengine
from tests.world.program import run
from tests.world.runs import BRAKE, ELEMENTS, LIGHTS, SAMPLES, offline
from tests.world.shared import records_of, standing_copy
from tests.world.simulated import is_right, point_misses_m, sample_camera

NAMES = [path.stem for path in sorted(SAMPLES.glob("*.jpg"))]
FRAMES = [name.replace("000", "") for name in NAMES]  # numbers are those of the archive
DARK = "ISS990-E-000102"  # cloud over the sea


@pytest.mark.slow
def test_there_are_six_samples_and_a_line_for_each(demo_run: Path) -> None:
    """In the order in which they were done."""
    done = {record["path"]: record["frame"] for record in records_of(demo_run)}
    photos = [str(SAMPLES / f"{name}.jpg") for name in NAMES]
    assert len(records_of(demo_run)) == 6
    assert done == dict(zip(photos, FRAMES, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name != DARK])
def test_a_sample_is_accepted_and_its_points_are_right(demo_run: Path, name: str) -> None:
    found = regengine.open_store(demo_run / "run.h5")[name]
    assert (found.verdict, found.reasons) == ("accepted", ())
    misses_m = point_misses_m(sample_camera(name), found.control_points)
    assert len(misses_m) == 4
    assert is_right(misses_m, found.to_dict()["footprint_diagonal_km"])
    assert np.median(misses_m) < 500.0  # a pixel of the map


@pytest.mark.slow
def test_cloud_over_the_sea_is_no_match_with_its_reason(demo_run: Path) -> None:
    found = regengine.open_store(demo_run / "run.h5")[DARK]
    assert found.verdict == "no_match"
    assert len(found.control_points) == 0
    assert found.camera is None
    assert found.reasons
    assert all(reason.text for reason in found.reasons)


@pytest.mark.slow
def test_there_is_an_overlay_of_each_that_any_program_opens(demo_run: Path) -> None:
    overlays = sorted((demo_run / "overlays").iterdir())
    assert [path.name for path in overlays] == [f"{name}.overlay.png" for name in NAMES]
    for path in overlays:
        with Image.open(path) as picture:
            picture.load()
            assert min(picture.size) > 1000
            assert np.asarray(picture).std() > 1.0


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


@pytest.mark.slow
def test_what_is_said_goes_to_standard_error_and_names_the_next_step(demo_run: Path) -> None:
    said = (demo_run / "messages.txt").read_text(encoding="utf-8")
    assert "5 accepted, 0 review, 1 no_match, 0 failed" in said
    for command in ("review", "show", "export"):
        assert f"regengine {command} run.h5" in said
    assert "regengine export run.h5 --format geotiff --out gis\n" in said


@pytest.mark.slow
def test_no_network_is_sought(demo_run: Path) -> None:
    assert not (demo_run / "attempts").exists()


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
def test_a_second_run_takes_everything_over(demo_run: Path, tmp_path: Path) -> None:
    copy = standing_copy(demo_run, tmp_path)
    again = run(
        *("register", *sorted(SAMPLES.glob("*.jpg")), "--tle", ELEMENTS, "--lights", LIGHTS),
        *("--store", copy / "run.h5", "--json", "--workers", 0, *BRAKE),
    )
    assert again.code == 0
    before = {record["frame"]: record for record in records_of(demo_run)}
    assert {record["frame"]: record for record in again.records} == before  # seconds, too
    assert "6 photos" in again.err
    dry = run(
        *("register", *sorted(SAMPLES.glob("*.jpg")), "--tle", ELEMENTS, "--lights", LIGHTS),
        *("--store", copy / "run.h5", "--dry-run", *BRAKE),
    )
    assert dry.code == 0
    assert dry.out.count("done: ") == 6


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
