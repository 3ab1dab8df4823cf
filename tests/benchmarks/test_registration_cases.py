"""Cases, truth, tables and processes of the registration benchmark."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from child_work import die, held_memory_mb, whereabouts
from example_results import nadir_camera, nothing_found, proposal
from PIL import Image
from pyproj import Geod

from benchmarks.registration_cases import PARIS_CLIP, WORLD, Case, list_cases
from benchmarks.registration_compare import (
    CHANGED_HEADER,
    TWIN_HEADER,
    agrees_locally,
    bases,
    changed_rows,
    contradicts_reference,
    judgement,
    twin_rows,
)
from benchmarks.registration_local import LocalShift
from benchmarks.registration_process import one_thread, peak_memory_mb, run_alone
from benchmarks.registration_real import report
from benchmarks.registration_report import (
    CHECK_HEADER,
    RESULT_HEADER,
    check_row,
    number,
    peer_table,
    result_row,
)
from benchmarks.registration_run import Outcome, PeerScore, grid_points
from benchmarks.registration_summary import summary_lines
from benchmarks.registration_truth import CITIES, City, Truth, city_of, load_truth
from regengine.evaluate.registration import GroundPoints, score_registration

CAMERA = nadir_camera()
POINTS = grid_points(CAMERA)
GOOD = LocalShift(tried=20, found=19, median_px=0.3, median_m=80.0)
BAD = LocalShift(tried=20, found=15, median_px=4.0, median_m=1040.0)


def outcome(name: str = "Osaka", verdict: str = "accepted", **known: object) -> Outcome:
    case = Case(name=name, file=f"cities/{name}.jpg", photo=Path(f"{name}.jpg"))
    result = proposal(name, verdict)
    return replace(
        Outcome(case=case, result=result, truth=Truth(), wall_s=2.0, cpu_s=1.5, peak_mb=300.0),
        **known,  # type: ignore[arg-type]
    )


def scored(error_m: float = 100.0, **known: object) -> Outcome:
    """An outcome whose control points and camera err by so much against the reference."""
    lon, lat, _ = Geod(ellps="WGS84").fwd(
        POINTS.lon, POINTS.lat, np.full(len(POINTS), 40.0), np.full(len(POINTS), error_m)
    )
    points = replace(POINTS, lon=np.asarray(lon), lat=np.asarray(lat))
    score = score_registration(CAMERA, proposal().control_points, CAMERA, points)
    score = replace(score, control_point_error_m=np.full(4, error_m))
    truth = Truth(points=points, camera=CAMERA, residual_px=0.01)
    return outcome(**{"truth": truth, "score": score, **known})


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """A folder laid out like the real data, with blank pictures."""
    files = (
        ("night_nocity/iss028e031144.jpg", "night_nocity", "ISS028-E-31144"),
        ("cities_oblique/iss065e394522.jpg", "cities_oblique", "ISS065-E-394522"),
        ("cities_oblique/spain_portugalpsp.jpg", "cities_oblique", ""),
        ("cities/Osaka_ISS030-E-184140.jpg", "cities", "ISS030-E-184140"),
        ("cities/Paris_ISS043-E-93480.jpg", "cities", "ISS043-E-93480"),
        ("cities/japon.png", "cities", ""),
        ("cities/not_there.jpg", "cities", ""),
    )
    photos = tmp_path / "photos"
    for file, _, _ in files[:-1]:
        (photos / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((426, 640, 3), np.uint8)).save(photos / file)
    rows = "".join(f"{file},{category},{frame}\n" for file, category, frame in files)
    (photos / "index.csv").write_text(f"file,category,frame_id\n{rows}")
    return tmp_path


def test_every_city_photo_is_a_case(real: Path) -> None:
    cases = {case.name: case for case in list_cases(real)}
    moved = [f"{name}, nadir {km} km" for name in (
        "Paris_ISS043-E-93480, radiance clip", "Paris_ISS043-E-93480", "spain_portugalpsp"
    ) for km in ("-100", "+100")]  # fmt: skip
    plain = {"Osaka_ISS030-E-184140", "japon", "iss065e394522", "spain_portugalpsp",
             "Paris_ISS043-E-93480", "Paris_ISS043-E-93480, radiance clip"}  # fmt: skip
    assert set(cases) == plain | set(moved)
    assert {name for name, case in cases.items() if case.plain} == plain
    assert cases["Paris_ISS043-E-93480, radiance clip"].lights == PARIS_CLIP
    assert cases["Paris_ISS043-E-93480"].lights == WORLD
    assert cases["Paris_ISS043-E-93480"].options.focal_mm == 400.0
    assert cases["japon"].city == CITIES["Tokyo"]
    assert cases["japon"].options.time_utc == datetime(2012, 1, 26, 16, 8, 20, tzinfo=UTC)
    assert cases["iss065e394522"].options.nadir is None


def test_the_nadir_moves_along_the_track(real: Path) -> None:
    cases = {case.name: case for case in list_cases(real)}
    lon, lat = cases["spain_portugalpsp"].options.nadir or (0.0, 0.0)
    for km in (-100.0, 100.0):
        case = cases[f"spain_portugalpsp, nadir {km:+.0f} km"]
        there = case.options.nadir
        assert there is not None
        azimuth, _, metres = Geod(ellps="WGS84").inv(lon, lat, *there)
        assert metres == pytest.approx(100e3, rel=0.01)
        # Ascending at 34 N (33.8 geocentric): sin(azimuth) = cos(51.64) / cos(33.8) in space at
        # 7.66 km/s, of whose eastward part the turning Earth takes 0.41 km/s
        assert (azimuth if km > 0 else azimuth + 180.0) == pytest.approx(46.3, abs=0.7)
        assert case.options.altitude_km == 420.0
        assert case.moved_km == km


def test_cities_are_taken_from_names() -> None:
    assert city_of("cities/Tokyo_ISS038-E-36641.jpg") == CITIES["Tokyo"]
    assert city_of("cities_oblique/iss065e394522.jpg") is None


def test_truth_is_read_from_the_tables(real: Path) -> None:
    photos, file = real / "photos", "cities/Osaka_ISS030-E-184140.jpg"
    assert load_truth(photos, file).points is None
    rows = "".join(
        f"{file},{x:.2f},{y:.2f},{lon:.5f},{lat:.5f}\n"
        for x, y, lon, lat in zip(POINTS.x, POINTS.y, POINTS.lon, POINTS.lat, strict=True)
    )
    (photos / "reference_points.csv").write_text(f"file,x,y,lon,lat\n{rows}")
    (photos / "reference_cameras.csv").write_text(
        f"file,nadir_lon,nadir_lat,focal_px\n{file},136.9,35.7,1506\n"
    )
    (photos / "hand_points.csv").write_text(
        f"file,place,lat,lon,x,y\n{file},Osaka,34.7,135.5,100.0,200.0\n"
    )
    truth = load_truth(photos, file)
    assert truth.city == CITIES["Osaka"]
    assert truth.hand is not None
    assert (truth.hand.x[0], truth.hand.lat[0]) == (100.0, 34.7)
    assert truth.residual_px < 0.02
    assert truth.camera is not None
    score = score_registration(truth.camera, proposal().control_points, CAMERA, POINTS)
    assert score.error_m.max() < 20.0


@pytest.mark.parametrize(
    ("error_m", "shift", "of_reference", "word"),
    [
        (900.0, None, None, "right"),
        (90_000.0, None, None, "wrong"),
        (90_000.0, GOOD, GOOD, "wrong"),
        (90_000.0, BAD, GOOD, "wrong"),
        (90_000.0, GOOD, BAD, "disputed"),
    ],
)
def test_reference_points_decide_unless_the_photo_contradicts_them(
    error_m: float, shift: LocalShift | None, of_reference: LocalShift | None, word: str
) -> None:
    one = scored(error_m, shift=shift, shift_of_reference=of_reference)
    assert judgement(one, bases([one])) == word


def test_hand_points_may_save_the_reference() -> None:
    one = scored(90_000.0, shift=GOOD, shift_of_reference=BAD, hand_px=9.0)
    assert contradicts_reference(replace(one, hand_of_reference_px=12.0))
    assert not contradicts_reference(replace(one, hand_of_reference_px=5.0))


def test_too_few_local_matches_are_no_agreement() -> None:
    assert agrees_locally(scored(shift=GOOD))
    assert not agrees_locally(scored(shift=replace(GOOD, found=9)))
    assert not agrees_locally(scored(shift=replace(GOOD, tried=0, found=0)))
    assert not agrees_locally(outcome())


def in_city(one: Outcome, city: City) -> Outcome:
    return replace(one, case=replace(one.case, city=city))


def test_a_city_out_of_view_is_wrong() -> None:
    far = in_city(outcome(), City(name="Far", lon=130.0, lat=35.0))
    near = in_city(outcome(), City(name="Near", lon=137.0, lat=35.7))
    assert judgement(far, {}) == "wrong"
    assert judgement(near, {}) == "unknown"
    cropped = replace(far, case=replace(far.case, variant="first half"))
    assert judgement(cropped, {}) == "unknown"
    nothing = replace(far, result=nothing_found())
    assert judgement(nothing, {}) == "no proposal"


@pytest.mark.parametrize(("largest_m", "word"), [(1900.0, "right"), (1920.0, "wrong")])
def test_landmarks_judge_where_there_is_no_reference(largest_m: float, word: str) -> None:
    one = outcome(hand_m=(300.0, largest_m))  # the footprint's diagonal is told as 191 km
    assert judgement(one, {}) == word
    row = dict(zip(RESULT_HEADER, result_row(one), strict=True))
    assert row["error m"].startswith("≈ 300 / 1,9")
    assert row["% of diagonal"].startswith("≈ 0.16 / ")
    assert ("by eye: Osaka" in "\n".join(summary_lines([one]))) is (word == "right")


def elsewhere(one: Outcome, tilt_deg: float, **case: object) -> Outcome:
    assert one.result is not None
    assert one.result.solved is not None
    solved = replace(one.result.solved, camera=nadir_camera(tilt_deg=tilt_deg))
    return replace(
        one,
        result=replace(one.result, solved=solved),
        case=replace(one.case, name=f"{one.case.name}, other", **case),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(("tilt_deg", "word"), [(0.05, "right"), (2.0, "wrong")])
def test_accepted_solutions_of_a_photo_judge_each_other(tilt_deg: float, word: str) -> None:
    base = outcome()
    moved = elsewhere(base, tilt_deg, moved_km=100.0)
    assert judgement(moved, bases([base, moved])) == word
    unsure = outcome(verdict="review")
    assert judgement(moved, bases([unsure, moved])) == "unknown"


def test_what_changed_is_compared_with_the_photo_as_it_is() -> None:
    base = outcome()
    cases = [
        elsewhere(base, 0.05, moved_km=-100.0),
        elsewhere(base, 0.05, variant="mirrored"),
        elsewhere(base, 0.05, lights="clip.tif"),
    ]
    rows = changed_rows([base, *cases, outcome("Tokyo")])
    assert [row[:2] for row in rows] == [
        ["Osaka", "nadir -100 km"],
        ["Osaka", "mirrored"],
        ["Osaka", "clip.tif map"],
    ]
    assert all(len(row) == len(CHANGED_HEADER) for row in rows)
    # 0.05 degrees at 391 km are 341 m
    assert float(rows[0][5]) == pytest.approx(341.0 / 463.3, abs=0.02)


def test_copies_of_a_frame_are_compared() -> None:
    one = outcome("edit")
    one = replace(one, case=replace(one.case, same_frame="ISS030-E-184140"))
    other = outcome("original")
    other = replace(other, case=replace(other.case, same_frame="ISS030-E-184140"))
    (row,) = twin_rows([one, other, outcome("third")])
    assert len(row) == len(TWIN_HEADER)
    assert row == ["ISS030-E-184140", "accepted, accepted", "0.0", "0.0", "0.0", "-131.7, -131.7"]
    nothing = replace(other, result=nothing_found())
    assert twin_rows([one, nothing])[0][2:] == ["–"] * 4
    failed = replace(other, result=None)
    assert twin_rows([one, failed]) == []


def test_rows_have_a_cell_for_every_column() -> None:
    failed = replace(outcome(), result=None, problem="unreadable")
    nothing = replace(outcome(), result=nothing_found())
    for one in (scored(shift=GOOD), outcome(verdict="review"), failed, nothing):
        assert len(result_row(one)) == len(RESULT_HEADER)
    assert len(check_row(scored(shift=GOOD))) == len(CHECK_HEADER)
    assert result_row(failed)[-1] == "unreadable"


def test_the_row_says_what_is_known() -> None:
    row = dict(zip(RESULT_HEADER, result_row(scored(463.3, hand_px=8.6)), strict=True))
    assert row["error m"] == "463 / 463"
    assert row["centre"] == "35.70 N 136.90 E"
    assert row["map px"] == "1.00 / 1.00"
    assert row["margin"] == "0.29"
    assert row["hand points px"] == "8.6"
    assert row["control points"].startswith("right (0.46 of ")
    assert row["clock s"] == "-131.7"
    assert row["probability"] == "0.9997"
    assert row["reasons"] == "–"
    city = result_row(in_city(outcome(), City(name="Far", lon=130.0, lat=35.0)))
    assert "**not in view**" in city[RESULT_HEADER.index("known place")]
    wrong = result_row(scored(90_000.0))[RESULT_HEADER.index("control points")]
    assert wrong.startswith("**wrong** (90.00 of ")
    blank = replace(scored(), score=replace(scored().score, control_point_error_m=np.zeros(0)))
    assert result_row(blank)[RESULT_HEADER.index("control points")] == "none"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (float("nan"), "–"), (float("inf"), "∞"), (1234.567, "1,234.57")],
)
def test_numbers_that_are_none(value: float | None, text: str) -> None:
    assert number(value) == text


def peer(
    from_reference_m: tuple[float, float] | None, from_solution_m: tuple[float, float]
) -> PeerScore:
    return PeerScore(
        name="SIFT",
        inliers=30,
        from_reference_m=from_reference_m,
        from_solution_m=from_solution_m,
        bar_km=2.0,
        seconds=0.5,
    )


def test_peers_stand_beside_us() -> None:
    assert peer_table([outcome()]) == []
    lines = peer_table(
        [
            scored(peers=(peer((1900.0, 9000.0), (2100.0, 9000.0)),)),
            outcome("Tokyo", peers=(peer(None, (float("inf"), float("inf"))),)),
        ]
    )
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert len({len(row) for row in cells}) == 1
    assert [row[2] for row in cells[2:]] == ["the reference", "our solution", "our solution"]
    assert [row[6] for row in cells[2:]] == ["**1.90 / 9.00**", "2.10 / 9.00", "∞ / ∞"]
    assert [row[4] for row in cells[2:]] == ["**0.10 / 0.10**", "–", "–"]


def test_the_summary_counts() -> None:
    base = scored(100.0, shift=GOOD, shift_of_reference=GOOD)
    wrong = in_city(outcome("Tokyo"), City(name="Far", lon=130.0, lat=35.0))
    oblique_truth = replace(base.truth, camera=nadir_camera(tilt_deg=50.0))
    oblique = scored(100.0, truth=oblique_truth)
    oblique = replace(oblique, case=replace(oblique.case, name="Italy", file="cities/Italy.jpg"))
    turned = replace(elsewhere(base, 0.01, variant="mirrored"), score=None)
    assert turned.result is not None
    assert turned.result.solved is not None
    other_hand = replace(nadir_camera(tilt_deg=0.01), mirrored=True)
    solved = replace(turned.result.solved, camera=other_hand)
    turned = replace(turned, result=replace(turned.result, solved=solved))
    failed = replace(outcome("Bad"), result=None)
    text = "\n".join(summary_lines([base, wrong, oblique, turned, failed]))
    assert "Right by the reference points: 2 of 2 (Osaka, Italy)" in text
    assert "Wrong: Tokyo. Wrong and accepted: Tokyo (aim: none)." in text
    assert "3 accepted, 1 failed" in text
    assert "Median error near nadir: Osaka 100 m" in text
    assert "on obliques: Italy 0.0" in text
    assert "of 1 variants 1 give the same places within a map pixel in the median" in text
    assert "median 2.0 s (aim: 3 s), slowest 2.0 s" in text
    assert "Largest memory: 300 MB" in text


def test_the_page_has_a_table_for_everything() -> None:
    base = scored(shift=GOOD, shift_of_reference=GOOD, peers=(peer((1900.0, 9e3), (2100.0, 9e3)),))
    base = replace(base, case=replace(base.case, same_frame="A"))
    copy = outcome("copy")
    copy = replace(copy, case=replace(copy.case, same_frame="A"))
    text = "\n".join(report([base, copy, elsewhere(base, 0.01, variant="mirrored")]))
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == [
        "## Photographs",
        "## The reference itself",
        "## What else could be tried",
        "## Copies of the same frame",
        "## The same photo, told or shown otherwise",
    ]
    assert [line for line in "\n".join(report([copy])).splitlines() if line[:3] == "## "] == [
        "## Photographs"
    ]


def test_work_is_done_in_a_process_of_its_own_on_one_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    found = run_alone(whereabouts, None)
    assert found is not None
    assert found[0] != os.getpid()
    assert found[1] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "2"
    assert "MKL_NUM_THREADS" not in os.environ
    with one_thread():
        assert os.environ["MKL_NUM_THREADS"] == "1"


def test_a_dead_process_costs_its_own_case_only() -> None:
    assert run_alone(die, None) is None


def test_memory_is_that_of_the_child_alone() -> None:
    ballast = np.ones(400 * 2**20, np.uint8)  # ours: must not count
    small, large = run_alone(held_memory_mb, 1), run_alone(held_memory_mb, 300)
    assert small is not None
    assert large is not None
    assert 270.0 < large - small < 330.0
    assert small < 350.0
    assert peak_memory_mb() > 400.0 * ballast[0]


def test_grid_points_are_what_the_camera_sees() -> None:
    assert isinstance(POINTS, GroundPoints)
    assert len(POINTS) == 49
    x, y = CAMERA.lonlat_to_pixel(POINTS.lon, POINTS.lat)
    np.testing.assert_allclose([x, y], [POINTS.x, POINTS.y], atol=1e-6)
