"""`regengine lightning`: flashes of placed photos beside files of GLM and ISS-LIS."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest

from tests.world.lightning import (
    CLOUD_M,
    WGS84,
    Pulse,
    TimeLapse,
    make_time_lapse,
    write_glm,
    write_lis,
)
from tests.world.program import Said, run
from tests.world.results import nadir_camera, proposal, solved
from tests.world.stores import write_store
from tests.world.towns import ecef

NAME = "ISS068-E-1000"
LATE_S = 37.4


def one_frame(folder: Path, moment: datetime, lon: float, lat: float) -> tuple[Path, Path]:
    """A store of one frame that looks down there, and a flash at 13.5 km in it, by its place."""
    camera = nadir_camera(lon, lat + 0.1)
    time_utc = moment.isoformat().replace("+00:00", "Z")
    made = replace(proposal(NAME), time_utc=time_utc, solved=solved(camera))
    x, y = camera.lonlat_to_pixel(lon, lat, CLOUD_M)
    flashes = folder / "flashes.csv"
    flashes.write_text(f"path,x,y,exposure_s\n{made.path},{x:.4f},{y:.4f},0.1\n")
    return write_store(folder / "run.h5", [made]), flashes


def rows_of(said: Said) -> list[dict[str, str]]:
    assert said.code == 0, said.err
    return list(csv.DictReader(said.out.splitlines()))


@pytest.fixture(scope="module")
def lapse(tmp_path_factory: pytest.TempPathFactory) -> TimeLapse:
    return make_time_lapse(tmp_path_factory.mktemp("lapse"), late_s=LATE_S, offset_km=(3.0, -2.0))


def compare(lapse: TimeLapse, *words: object) -> Said:
    return run("lightning", lapse.store, "--flashes", lapse.flashes, *words, "--glm", *lapse.glm)


@pytest.mark.parametrize(
    ("place", "encoding", "height_km"),
    [((-100.0, 30.0), "2018", 8.0), ((-45.0, -38.0), "2020", 13.5)],
)
def test_a_pulse_is_put_where_its_light_came_from(
    tmp_path: Path, encoding: str, place: tuple[float, float], height_km: float
) -> None:
    """In both encodings: units, signs, the lightning ellipsoid, the light's way, another height."""
    moment = datetime(int(encoding), 7, 2, 4, 33, 5, tzinfo=UTC)
    store, flashes = one_frame(tmp_path, moment, *place)
    start = moment.replace(second=0)
    glm = write_glm(
        tmp_path / "glm.nc", start, [Pulse(5.052, *place, height_m=1e3 * height_km)], encoding
    )
    words = ("--flashes", flashes, "--glm", glm, "--cloud-height-km", height_km)
    (row,) = rows_of(run("lightning", store, *words))
    assert row["status"] == "matched"
    found = datetime.fromisoformat(row["pulse_time_utc"])
    assert abs((found - start).total_seconds() - 5.052) < 0.002
    _, _, away_m = WGS84.inv(float(row["pulse_lon"]), float(row["pulse_lat"]), *place)
    assert away_m < 100.0
    assert float(row["pulse_area_km2"]) == pytest.approx(130.0, abs=1.0)
    # The flash in the photo is where its pixel sees that height
    assert WGS84.inv(float(row["lon"]), float(row["lat"]), *place)[2] < (
        50 if height_km > 10 else 2e3
    )


def test_groups_of_the_station_are_moved_along_its_own_line_of_sight(tmp_path: Path) -> None:
    moment = datetime(2020, 8, 23, 20, 7, 30, tzinfo=UTC)
    store, flashes = one_frame(tmp_path, moment, -100.0, 25.0)
    above = ecef(-98.0, 25.0, 415e3)
    lis = write_lis(
        tmp_path / "lis.nc", moment, [Pulse(0.05, -100.0, 25.0)], np.tile(above, (40, 1))
    )
    far = {}
    for height_km in (13.5, 8.0):
        words = ("--flashes", flashes, "--lis", lis, "--cloud-height-km", height_km)
        (row,) = rows_of(run("lightning", store, *words))
        assert (row["status"], row["instrument"]) == ("matched", "ISS-LIS")
        assert row["pulse_time_utc"] == "2020-08-23T20:07:30.050Z"
        # The second that the photo tells is taken at its middle; half a second to the file's begin
        assert 0.0 < float(row["chance"]) < 0.2
        far[height_km] = WGS84.inv(float(row["pulse_lon"]), float(row["pulse_lat"]), -100.0, 25.0)[
            2
        ]
    assert far[13.5] < 5.0
    # 5.5 km lower, on a line that rises by 401.5 km in some 201
    assert far[8.0] == pytest.approx(5.5e3 * 201.0 / 401.5, rel=0.1)


def test_the_clock_of_a_time_lapse_is_told_and_its_flashes_are_matched(lapse: TimeLapse) -> None:
    said = compare(lapse, "--json")
    assert said.code == 0, said.err
    (told,) = said.records
    clock = told["clock"]
    assert (clock["code"], clock["is_sure"], told["frames"]) == ("clock_suspect", True, 30)
    assert clock["offset_s"] == pytest.approx(LATE_S, abs=0.1)
    assert 0.0 < clock["sigma_s"] < 0.1
    assert clock["margin"] > 4.0
    assert clock["log10_chance"] < -3.0
    begun = datetime.fromisoformat(clock["begun_utc"])
    assert abs((begun - lapse.begun).total_seconds()) < 0.1
    assert "clock_suspect: the pattern of" in said.err
    assert len(told["flashes"]) == lapse.shown
    for row in told["flashes"]:
        assert row["status"] == "matched"
        assert row["clock_offset_s"] == pytest.approx(LATE_S, abs=0.1)
        assert row["offset_east_km"] == pytest.approx(3.0, abs=0.15)
        assert row["offset_north_km"] == pytest.approx(-2.0, abs=0.15)
        assert row["distance_km"] < 0.3
        assert row["time_off_s"] == pytest.approx(0.0, abs=0.1)
        assert row["chance"] < 0.05


def test_whole_seconds_at_even_intervals_tell_their_fractions(tmp_path: Path) -> None:
    made = make_time_lapse(tmp_path, late_s=-12.6, every_s=1.4, whole_seconds=True, seed=4)
    (told,) = compare(made, "--json").records
    assert told["clock"]["is_sure"]
    begun = datetime.fromisoformat(told["clock"]["begun_utc"])
    assert abs((begun - made.begun).total_seconds()) < 0.3


def test_flashes_of_another_storm_tell_no_clock(lapse: TimeLapse, tmp_path: Path) -> None:
    """Of the same place and time, as often."""
    other = make_time_lapse(tmp_path, seed=9)
    said = compare(replace(lapse, glm=other.glm), "--json")
    (told,) = said.records
    assert (told["clock"]["code"], told["clock"]["is_sure"]) == (None, False)
    assert told["clock"]["begun_utc"] is None
    assert told["clock"]["log10_chance"] > -2.0
    assert "does not determine the clock" in said.err
    assert {row["clock_offset_s"] for row in told["flashes"]} == {None}


def test_the_chance_is_that_of_times_drawn_at_random(tmp_path: Path) -> None:
    start = datetime(2020, 7, 2, 4, 33, tzinfo=UTC)
    moment = start + timedelta(seconds=5.25)
    store, flashes = one_frame(tmp_path, moment, -70.0, 14.0)
    # The one of its time 1 km away; of others one at the very place, and one farther away
    pulses = [Pulse(5.3, -70.0, 14.009), Pulse(12.0, -70.0, 14.0), Pulse(17.0, -70.0, 14.05)]
    glm = write_glm(tmp_path / "glm.nc", start, pulses)
    words = ("--flashes", flashes, "--glm", glm, "--clock-sigma-s", 0.1)
    (row,) = rows_of(run("lightning", store, *words))
    assert float(row["distance_km"]) == pytest.approx(1.0, abs=0.05)
    # Of 20 s, about each of the two the exposure and three sigma on either side
    assert float(row["chance"]) == pytest.approx(2 * (0.1 + 2 * 0.3) / 20, rel=0.02)


def test_tables_and_layers_hold_the_same(lapse: TimeLapse, tmp_path: Path) -> None:
    printed = rows_of(compare(lapse))
    for name in ("table.csv", "table.gpkg"):
        said = compare(lapse, "--out", tmp_path / name, "--quiet")
        assert (said.code, said.out, said.err) == (0, "", "")
    with (tmp_path / "table.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == printed
    layer = gpd.read_file(tmp_path / "table.gpkg", layer="flashes")
    assert layer.crs.to_epsg() == 4326
    assert list(layer.geometry.x) == [float(row["lon"]) for row in printed]
    assert list(layer["pulse_flash"]) == [int(row["pulse_flash"]) for row in printed]
    assert compare(lapse, "--out", tmp_path / "table.csv").code == 2


def test_lines_of_a_detector_are_read_as_tables_are(lapse: TimeLapse, tmp_path: Path) -> None:
    photos: dict[str, list[dict[str, Any]]] = {}
    with lapse.flashes.open(newline="") as file:
        for row in csv.DictReader(file):
            flash = {"x": float(row["x"]), "y": float(row["y"]), "exposure_s": 0.1, "flags": []}
            photos.setdefault(row["path"], []).append(flash)
    lines = [
        json.dumps({"frame": "f", "path": f"/elsewhere/{path}", "method": "m", "lightning": found})
        for path, found in photos.items()
    ]
    failed = json.dumps({"frame": "f", "path": "x.jpg", "failed": {"code": "unreadable"}})
    file = tmp_path / "flashes.ndjson"
    file.write_text("\n".join([*lines, failed, ""]))
    assert rows_of(compare(replace(lapse, flashes=file))) == rows_of(compare(lapse))


def test_what_cannot_be_compared_is_counted_and_costs_nothing_else(
    lapse: TimeLapse, tmp_path: Path
) -> None:
    more = tmp_path / "more.csv"
    more.write_text(f"{lapse.flashes.read_text()}photos/none.jpg,1,2,0.1\n")
    said = compare(replace(lapse, flashes=more))
    assert len(rows_of(said)) == lapse.shown
    assert "1 photo not among the chosen frames of the store" in said.err
    twice = replace(lapse, glm=[*lapse.glm, *lapse.glm[3:5]])
    assert rows_of(compare(twice)) == rows_of(compare(lapse))
    said = run("lightning", lapse.store, "--flashes", more, "--glm", *lapse.glm[5:12])
    assert "cover 5" in said.err
    assert said.code == 0


def test_a_quiet_minute_matches_nothing(tmp_path: Path) -> None:
    moment = datetime(2020, 7, 2, 4, 33, 5, tzinfo=UTC)
    store, flashes = one_frame(tmp_path, moment, -70.0, 14.0)
    for late_s, status in ((0, "unmatched"), (40, "not covered")):
        start = moment.replace(second=0) + timedelta(seconds=late_s)
        glm = write_glm(tmp_path / f"{late_s}.nc", start, [])
        (row,) = rows_of(run("lightning", store, "--flashes", flashes, "--glm", glm))
        assert (row["status"], row["chance"], row["pulse_time_utc"]) == (status, "", "")


def refused(said: Said, code: int, *words: str) -> None:
    assert (said.code, said.out) == (code, ""), said.err
    assert said.err.count("\n") == 1
    for word in words:
        assert word in said.err


@pytest.fixture(scope="module")
def bad(lapse: TimeLapse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of lightning that are none, or of another time."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "cut.nc").write_bytes(lapse.glm[3].read_bytes()[:3000])
    (folder / "text.nc").write_text("<html>404</html>")
    (folder / "glm.nc").write_bytes(lapse.glm[0].read_bytes())
    day = datetime(2020, 1, 1)
    write_lis(folder / "lis.nc", day, [], np.ones((5, 3)))
    write_glm(folder / "other.nc", day.replace(tzinfo=UTC), [Pulse(1.0, -70.0, 14.0)])
    return folder


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--glm", "cut.nc"), 3, ("cut.nc", "truncated")),
        (("--glm", "text.nc"), 3, ("text.nc", "not a netCDF-4 file")),
        (("--glm", "lis.nc"), 3, ("not a file of GLM", "group_time_offset")),
        (("--lis", "glm.nc"), 3, ("not a file of ISS-LIS",)),
        (("--glm", "other.nc"), 3, ("do not cover the photos' time", "2022-09-29T03:19")),
        (("--glm", "glm.nc", "--lis", "lis.nc"), 2, ("files of one instrument",)),
        (("--glm", "glm.nc", "--out", "a.shp"), 2, ("must end in .csv or .gpkg",)),
    ],
)
def test_bad_files_and_options_are_one_sentence(
    lapse: TimeLapse,
    bad: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    code: int,
    told: tuple[str, ...],
) -> None:
    monkeypatch.chdir(bad)
    refused(run("lightning", lapse.store, "--flashes", lapse.flashes, *words), code, *told)
    refused(run("lightning", lapse.store, "--glm", "glm.nc"), 2, "--flashes is missing")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "path,x,y\na.jpg,1,much\n", "line 2: a flash needs the path"),
        ("a.ndjson", '{"path": "a.jpg", "lightning": [{"x": 1}]}\n', "line 1: a flash needs"),
        ("a.ndjson", '{"path": \n', "line 1: no flashes"),
        ("a.csv", "PK\x03\x04", "it is compressed: unpack it first"),
        ("a.csv", "path,x,y\nphotos/none.jpg,1,2\n", "1 photo not among the chosen frames"),
    ],
)
def test_bad_files_of_flashes_are_one_sentence(
    lapse: TimeLapse, tmp_path: Path, name: str, text: str, words: str
) -> None:
    flashes = tmp_path / name
    flashes.write_text(text)
    refused(compare(replace(lapse, flashes=flashes)), 3, words)


def test_a_flash_outside_of_its_photo_is_refused(lapse: TimeLapse, tmp_path: Path) -> None:
    """Those within it, to the edge of its last pixels, are compared."""
    made = replace(proposal(NAME), time_utc="2022-09-29T03:20:10Z")
    store = write_store(tmp_path / "run.h5", [made])
    flashes = tmp_path / "flashes.csv"
    for x, y, is_inside in ((-0.5, 425.5, True), (640.0, 10.0, False), (3.0, -300.0, False)):
        flashes.write_text(f"path,x,y\n{made.path},{x},{y}\n")
        said = run("lightning", store, "--flashes", flashes, "--glm", *lapse.glm)
        if is_inside:
            assert said.code == 0, said.err
        else:
            refused(said, 3, f"({x:.1f}, {y:.1f}) is outside the photo of 640 x 426 pixels")
