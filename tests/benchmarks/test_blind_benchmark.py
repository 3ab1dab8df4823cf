"""The benchmark of blind placing: what it counts, what it refuses, what it draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.blind import (
    CITIES,
    SWEPT,
    around,
    blind_case,
    groups_of,
    main,
    page_lines,
    seeds_of,
    with_focal_px,
)
from benchmarks.registration.cases import Case
from benchmarks.trials.run import TrialSettings, draw_only, prepare
from regengine.orbit.propagation import position_from_nadir
from regengine.photo.frame import Frame, FrameOptions
from regengine.registration.index.earth import FARTHEST_LAT_DEG
from regengine.registration.preparation import nominal_camera

pytestmark = pytest.mark.slow


def row(seed: int, **changes: str) -> dict[str, str]:
    plain = {
        "seed": str(seed),
        "half": "test",
        "kind": "city",
        "places": "40",
        "off_nadir_deg": "12",
        "limb_visible": "0",
        "focal_told": "exact",
        "focal_error": "0.001",
        "crop_share": "1",
        "verdict": "accepted",
        "right": "1",
        "seconds_cpu": "2.0",
    }
    return plain | changes


ROWS = [
    row(0),
    row(1, verdict="review"),
    row(2, right="0"),
    row(3, places="9", verdict="no_match", right=""),
    row(4, off_nadir_deg="62", limb_visible="1", kind="elsewhere"),
    row(5, off_nadir_deg="45"),
    row(6, focal_told="unknown", focal_error="", verdict="no_match", right=""),
    row(7, focal_told="wrong", focal_error="0.3"),
    row(8, kind="aurora", places="0", verdict="no_match", right=""),
    row(9, crop_share="0.7"),
    row(10, focal_told="wrong", focal_error="0.25", crop_share="0.81"),
]


def test_frames_are_counted_by_what_is_asked_of_them() -> None:
    seeds = [[r["seed"] for r in group] for _, group, _ in groups_of(ROWS)]
    assert seeds == [["0", "1", "2", "10"], ["4"], ["5"], ["6"], ["7", "9"], ["3"], ["8"]]


def test_the_page_tells_shares_and_what_is_wrong(tmp_path: Path) -> None:
    lines = page_lines([], ROWS, [], "python -m benchmarks blind", "Map.")
    steep = next(line for line in lines if line.startswith("| off-nadir at most 30°"))
    assert "| 4 | 50% (15% to 85%) | 80% | 3 | 1 | 2.0 |" in steep
    assert "Wrong and accepted: seeds 2." in lines
    assert any("Wrong among the accepted: 1 of 7" in line for line in lines)


def swept(seed: int, **changes: str) -> dict[str, str]:
    plain = {"seed": str(seed), "half": "test", "kind": "city"}
    for name, _ in SWEPT:
        plain |= {f"{name}_verdict": "accepted", f"{name}_right": "1", f"{name}_seconds_cpu": "3"}
    return plain | changes


def test_areas_and_lenses_are_told(tmp_path: Path) -> None:
    off = f"{SWEPT[-1][0]}_"
    sweep = [
        swept(0, **{off + "verdict": "no_match", off + "right": "", off + "seconds_cpu": "40"}),
        swept(1, **{off + "right": "0"}),
        swept(2, **{off + "verdict": "review"}),
        {"seed": "3", "half": "test", "kind": "aurora"} | dict.fromkeys(swept(3), ""),
    ]
    lines = page_lines([], [], sweep, "python -m benchmarks blind", "Map.")
    assert "| 100% of the Earth | 3 | 3 | 0 | 3.0 |" in lines
    assert f"| {SWEPT[-1][1]} | 0 | 1 | 1 | 3.0 |" in lines


@pytest.mark.parametrize("share", [0.1, 0.01])
@pytest.mark.parametrize("lat", [0.0, 35.0])
def test_a_region_has_its_share_of_the_earth(share: float, lat: float) -> None:
    bounds = around(100.0, lat, share)
    assert bounds is not None
    west, south, east, north = bounds
    high = np.sin(np.radians(min(north, 90.0))) - np.sin(np.radians(max(south, -90.0)))
    whole = 360.0 * 2.0 * np.sin(np.radians(FARTHEST_LAT_DEG))
    assert (east - west) * high / whole == pytest.approx(share, rel=0.15)
    assert south <= lat <= north


def test_all_of_the_earth_is_no_region() -> None:
    assert around(10.0, 20.0, 1.0) is None


def test_the_lens_that_is_told_is_the_lens_that_is_searched_with() -> None:
    frame = Frame(path=Path("a.jpg"), frame_id="a", sha256="", width_px=800, height_px=600)
    nowhere = position_from_nadir(0.0, 0.0, 400.0, "metadata")
    camera, known = nominal_camera(with_focal_px(frame, 1234.5), nowhere)
    assert known
    assert camera.focal_px == pytest.approx(1234.5)


def test_nothing_but_the_lens_is_told() -> None:
    options = FrameOptions(nadir=(1.0, 2.0), altitude_km=400.0, focal_mm=28.0)
    case = blind_case(Case(name="a", file="a.jpg", photo=Path("a.jpg"), options=options))
    assert case.options == FrameOptions(focal_mm=28.0)
    assert not case.any_category
    assert blind_case(Case(name="b", file="b", photo=Path("b"), category="aurora")).any_category


@pytest.mark.parametrize("extra", [[], ["--seeds", "0:3"]])
def test_what_cannot_be_started_is_told(
    tmp_path: Path, extra: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    if extra:
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "index.csv").write_text("file\n")
    assert main(["--real", str(tmp_path), "--cache", str(tmp_path / "c"), *extra]) == 2
    said = capsys.readouterr().err
    assert ("no table of simulated ones" if extra else "holds no photos/index.csv") in said
    assert not (tmp_path / "c").exists()


def test_frames_of_a_kind_are_those_that_are_drawn() -> None:
    """What is told of a trial before it is drawn is what its row says."""
    settings = TrialSettings()
    prepare(settings)
    rows = [draw_only(seed) for seed in range(12)]
    lit = [r for r in rows if r["kind"] in CITIES]
    expected = {
        "all": rows,
        "steep": [r for r in lit if r["off_nadir_deg"] <= 30.0],
        "limb": [r for r in lit if r["limb_visible"]],
        "unknown": [r for r in lit if r["focal_told"] == "unknown"],
    }
    for frames, there in expected.items():
        assert seeds_of(range(12), frames, settings) == [r["seed"] for r in there]
    assert expected["steep"]
    assert expected["limb"]
