from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from tle_lines import Elements

from regengine.orbit.propagation import camera_position
from regengine.orbit.sun_moon import sun_moon
from regengine.orbit.tle import load_tle_file
from tests.command_line import invoke

BASE = Elements()
TIME = BASE.epoch + timedelta(hours=12)
WHEN = TIME.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def tle_file(tmp_path: Path) -> Path:
    """Nine sets, the fifth with a wrong node; a gap of 30 days; a broken set; another satellite."""
    sets = [BASE.later(0.4 * step) for step in range(9)]
    sets[1] = replace(sets[1], node_deg=sets[1].node_deg + 20.0)
    text = "".join(f"ISS (ZARYA)\n{one.text()}" for one in [*sets, BASE.later(33.0)])
    text += BASE.text().replace("51.6400", "51.6500") + replace(BASE, satellite="20580").text()
    path = tmp_path / "iss.txt"
    path.write_text(text)
    return path


info = partial(invoke, "tle", "info")


def test_coverage_as_json(tle_file):
    result = info(tle_file, "--json")
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 1
    facts = json.loads(result.stdout)
    assert facts["file"] == str(tle_file)
    assert (facts["satellite"], facts["name"]) == ("25544", "ISS (ZARYA)")
    assert facts["element_sets"] == 10
    assert facts["first_epoch_utc"] == "2016-05-01T12:00:00Z"
    assert facts["last_epoch_utc"] == "2016-06-03T12:00:00Z"
    assert [gap["days"] for gap in facts["gaps"]] == [29.8]
    assert [one["line"] for one in facts["skipped"]] == [31]
    assert "checksum" in facts["skipped"][0]["reason"]
    assert facts["other_satellites"] == ["20580"]
    assert "at" not in facts


def test_the_situation_at_a_time_as_json(tle_file):
    at = json.loads(info(tle_file, "--time", WHEN, "--json").stdout)["at"]
    tles = load_tle_file(tle_file)
    expected = camera_position(tles, TIME)
    assert at["time_utc"] == WHEN
    assert at["line"] == expected.element_set.line_number
    assert at["tle_age_h"] == pytest.approx(expected.tle_age_h, abs=0.01)
    assert at["nadir"]["lon"] == pytest.approx(expected.lon, abs=1e-4)
    assert at["nadir"]["lat"] == pytest.approx(expected.lat, abs=1e-4)
    assert at["nadir"]["altitude_km"] == pytest.approx(expected.altitude_km, abs=0.01)
    assert at["direction"] == ("ascending" if expected.velocity_ecef_m_s[2] > 0 else "descending")
    assert at["sigma_along_km"] == pytest.approx(expected.sigma_along_km, abs=0.01)
    light = sun_moon(TIME, expected.lon, expected.lat)
    assert at["sun_elevation_deg"] == pytest.approx(light.sun_elevation_deg, abs=0.01)
    assert at["moon_illumination"] == pytest.approx(light.moon_illumination, abs=0.001)


def test_a_wrong_set_is_passed_over_and_said_so(tle_file):
    near_the_wrong_one = (BASE.epoch + timedelta(days=0.4)).isoformat()
    at = json.loads(info(tle_file, "--time", near_the_wrong_one, "--json").stdout)["at"]
    assert [one["line"] for one in at["passed_over"]] == [5]
    shown = info(tle_file, "--time", near_the_wrong_one).stdout
    assert "passed_over" in shown
    assert "line 5: its orbital plane lies 15." in shown


def test_the_table_for_people(tle_file):
    result = info(tle_file, "--time", WHEN)
    assert result.exit_code == 0
    for text in (
        "name                ISS (ZARYA)",
        "2016-05-01T12:00:00Z",
        "days 29.8",
        "line 32 ends with checksum",
        "other_satellites",
        "altitude_km",
        "sigma_along_km",
        "sun_elevation_deg",
    ):
        assert text in result.stdout


def test_another_satellite_can_be_asked_for(tle_file):
    facts = json.loads(info(tle_file, "--satellite", "20580", "--json").stdout)
    assert facts["satellite"] == "20580"
    assert facts["element_sets"] == 1


def test_a_time_without_zone_is_utc_and_said_so(tle_file):
    naive = info(tle_file, "--time", WHEN.rstrip("Z"), "--json")
    assert json.loads(naive.stdout) == json.loads(info(tle_file, "--time", WHEN, "--json").stdout)
    assert "names no zone and is taken as UTC" in naive.stderr
    assert info(tle_file, "--time", WHEN, "--json").stderr == ""


def test_parts_of_a_second_are_shown(tle_file):
    at = json.loads(info(tle_file, "--time", "2016-05-01T13:00:00.25Z", "--json").stdout)["at"]
    assert at["time_utc"] == "2016-05-01T13:00:00.250Z"


@pytest.mark.parametrize(
    ("time", "code", "says"),
    [
        ("yesterday", 2, "'yesterday' is no time: write it like 2012-03-28T15:46:41Z"),
        ("1997-01-01", 3, "before the launch of the ISS"),
        ("2020-01-01T00:00:00Z", 3, "more than a year"),
    ],
)
def test_times_that_cannot_be(tle_file, time, code, says):
    result = info(tle_file, "--time", time)
    assert result.exit_code == code
    assert says in result.stderr
    assert result.stdout == ""


def test_a_file_that_was_cut_is_told(tmp_path):
    cut = tmp_path / "cut.txt"
    cut.write_text(BASE.lines()[0] + "\n")
    result = info(cut)
    assert result.exit_code == 3
    assert "line 1 is the first line of a set whose second is missing" in result.stderr
    assert result.stdout == ""


@pytest.mark.real
def test_the_real_archive(real_data):
    archive = real_data / "orbit" / "iss_tles.txt"
    facts = json.loads(info(archive, "--time", "2021-09-09T22:42:31Z", "--json").stdout)
    assert facts["element_sets"] == 15748
    assert facts["skipped"] == []
    assert facts["at"]["nadir"]["altitude_km"] == pytest.approx(423.5, abs=1.0)
    assert facts["at"]["sun_elevation_deg"] < -30.0
