"""Catalogues of many satellites: the best set of each, and what is wrong with files."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tle_lines import Elements

from regengine.errors import EphemerisError
from regengine.sky.satellites.catalogue import load_catalogue

ONE = Elements(satellite="40001", revolutions_a_day=14.2, inclination_deg=98.2)
OTHER = Elements(satellite="40002", revolutions_a_day=1.0027, inclination_deg=0.05)
NOON = ONE.epoch + timedelta(hours=3)


def file(tmp_path, *parts):
    path = tmp_path / "catalogue.txt"
    path.write_text("".join(parts), encoding="utf-8")
    return path


def test_each_satellite_by_its_best_set(tmp_path):
    """A day after the photo costs as much as eight hours before it."""
    early, late = ONE.later(-0.5), ONE.later(1.0)
    path = file(tmp_path, early.text(), late.text(), OTHER.text(), ONE.later(-3.0).text())
    satellites = load_catalogue(path).at(ONE.epoch)
    assert [one.satellite for one in satellites.sets] == ["40001", "40002"]
    assert satellites.age_h[0] == pytest.approx(-24.0)
    assert load_catalogue(path).at(ONE.epoch - timedelta(days=0.4)).age_h[0] == pytest.approx(2.4)


def test_a_bad_set_is_counted_and_the_others_stay(tmp_path):
    broken = ONE.text().replace("98.2000", "98.2001", 1)
    impossible = Elements(satellite="40003", eccentricity=0.9, revolutions_a_day=16.0)
    path = file(tmp_path, broken, OTHER.text(), impossible.text(), ONE.lines()[0] + "\n")
    catalogue = load_catalogue(path)
    assert len(catalogue.skipped) == 2
    satellites = catalogue.at(NOON)
    assert "40002" in [one.satellite for one in satellites.sets]
    assert satellites.skipped == 5 - len(satellites) - 1


def test_old_sets_are_left_out_and_a_whole_old_catalogue_is_refused(tmp_path):
    path = file(tmp_path, ONE.text(), OTHER.later(40.0).text())
    satellites = load_catalogue(path).at(NOON)
    assert [one.satellite for one in satellites.sets] == ["40001"]
    assert satellites.stale == 1
    with pytest.raises(EphemerisError, match=r"60 days away \(2016-06-10\)") as told:
        load_catalogue(path).at(ONE.epoch + timedelta(days=100))
    assert told.value.code == "tle_stale"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "no element set"),
        ("<html>Sorry</html>\n", "no element set"),
        (ONE.text()[:100], "no usable"),
    ],
)
def test_files_without_satellites(tmp_path, content, says):
    with pytest.raises(EphemerisError, match=says):
        load_catalogue(file(tmp_path, content))
    with pytest.raises(EphemerisError, match="cannot be read"):
        load_catalogue(tmp_path / "missing.txt")
