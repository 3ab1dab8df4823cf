"""Which of the known positions a search starts from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from matchers.geometry.earth import great_circle_km
from regengine.errors import EphemerisError
from regengine.orbit import TleSet, camera_position, load_tle_file
from regengine.orbit.position import choose_position
from regengine.photo.formats import PhotoFile
from regengine.photo.frame import Frame
from tests.conftest import ROOT

TLE = ROOT / "data_samples" / "tle.txt"


@pytest.fixture(scope="module")
def tles() -> TleSet:
    return load_tle_file(TLE)


def frame(time: datetime | None, **known: object) -> Frame:
    return Frame(
        file=PhotoFile(path=Path("night.jpg"), format="jpeg", width_px=640, height_px=426),
        frame_id="night",
        time_utc=time,
        **known,  # type: ignore[arg-type]
    )


def fresh(tles: TleSet) -> datetime:
    return tles[0].epoch_utc - timedelta(hours=2)


def stale(tles: TleSet) -> datetime:
    return tles[0].epoch_utc - timedelta(days=9)


def beside(tles: TleSet, time: datetime, east_deg: float) -> tuple[float, float]:
    orbit = camera_position(tles, time)
    return (orbit.lon + east_deg, orbit.lat)


def test_an_option_counts_most(tles: TleSet) -> None:
    time = fresh(tles)
    known = frame(time, nadir=(10.0, 20.0), altitude_km=400.0, sources={"nadir": "option"})
    chosen = choose_position(known, tles)
    assert (chosen.source, chosen.lon, chosen.lat, chosen.altitude_km) == (
        "option",
        10.0,
        20.0,
        400.0,
    )
    assert chosen.time_utc == time
    assert chosen.sigma_cross_km == 15.0


def test_a_fresh_tle_counts_more_than_a_record(tles: TleSet) -> None:
    time = fresh(tles)
    known = frame(time, nadir=beside(tles, time, 0.3), sources={"nadir": "record"})
    chosen = choose_position(known, tles)
    assert chosen.source == "tle"
    assert chosen.tle_age_h == pytest.approx(-2.0, abs=1e-6)


def test_a_record_counts_more_than_a_stale_tle(tles: TleSet) -> None:
    time = stale(tles)
    nadir = beside(tles, time, 0.3)
    known = frame(time, nadir=nadir, sources={"nadir": "record"})
    chosen = choose_position(known, tles)
    assert chosen.source == "record"
    assert great_circle_km(chosen.lon, chosen.lat, *nadir) < 0.001
    # The TLE still tells the height.
    assert chosen.altitude_km == pytest.approx(camera_position(tles, time).altitude_km)
    assert chosen.sigma_radial_km == 1.0


@pytest.mark.parametrize("when", [fresh, stale])
def test_of_orbit_and_record_the_other_one_is_kept(when: Callable, tles: TleSet) -> None:
    """For a search that finds nothing where the better known one has the camera."""
    time = when(tles)
    known = frame(time, nadir=beside(tles, time, 0.3), sources={"nadir": "record"})
    chosen = choose_position(known, tles)
    assert {chosen.source, chosen.alternative.source} == {"tle", "record"}
    assert chosen.alternative.alternative is None
    asked = frame(time, nadir=(10.0, 20.0), sources={"nadir": "option"})
    assert choose_position(asked, tles).alternative is None
    assert choose_position(frame(time), tles).alternative is None


@pytest.mark.parametrize(
    ("time", "altitude_km"),
    [
        (None, 415.0),
        (datetime(2008, 1, 1, tzinfo=UTC), 350.0),
        (datetime(2014, 1, 1, tzinfo=UTC), 415.0),
    ],
)
def test_an_unknown_height_is_assumed_by_year(time: datetime | None, altitude_km: float) -> None:
    chosen = choose_position(frame(time, nadir=(10.0, 20.0)), None)
    assert chosen.altitude_km == altitude_km
    assert chosen.sigma_radial_km == 20.0


def test_a_time_that_no_element_set_reaches_needs_a_nadir(tles: TleSet) -> None:
    late = datetime(2031, 1, 1, tzinfo=UTC)
    with pytest.raises(EphemerisError, match="more than a year"):
        choose_position(frame(late), tles)
    placed = replace(frame(late), nadir=(10.0, 20.0), sources={"nadir": "record"})
    assert choose_position(placed, tles).source == "record"
