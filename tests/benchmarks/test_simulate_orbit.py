"""The simulator's orbit against SGP4 read back from its own TLE lines, and against ephem."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import ephem
import numpy as np
import pytest
from sgp4.api import Satrec

from benchmarks.simulate import camera as geodesy
from benchmarks.simulate import orbit

TIME = datetime(2014, 1, 30, 10, 12, tzinfo=UTC)


def along_track_km(found: Satrec, true: Satrec, time: datetime) -> tuple[float, float]:
    position, velocity = orbit.state_ecef(true, time)
    miss = orbit.state_ecef(found, time)[0] - position
    along = float(miss @ velocity / np.linalg.norm(velocity)) / 1000.0
    return along, float(np.linalg.norm(miss)) / 1000.0


@pytest.mark.parametrize("northbound", [True, False])
def test_passes_over_the_place_in_the_direction_asked(northbound: bool) -> None:
    elements = orbit.pass_over(-152.0, 34.0, TIME, northbound=northbound)
    lon, lat, height = geodesy.geodetic_of(orbit.state_ecef(elements.satrec(), TIME)[0])
    np.testing.assert_allclose([lon, lat], [-152.0, 34.0], atol=1e-4)
    assert 400e3 < height < 430e3
    later = orbit.state_ecef(elements.satrec(), TIME + timedelta(seconds=30))[0]
    assert (geodesy.geodetic_of(later)[1] > 34.0) == northbound


@pytest.mark.parametrize("days", [0.0, 0.3, 111.7, -250.1])
def test_positions_at_one_time_are_those_of_astropy_to_the_bit(days: float) -> None:
    satellite = orbit.pass_over(-152.0, 34.0, TIME, northbound=True).satrec()
    time = TIME + timedelta(days=days)
    assert np.array_equal(orbit.positions_at(time)(satellite), orbit.state_ecef(satellite, time)[0])


def test_refuses_a_place_out_of_reach() -> None:
    with pytest.raises(ValueError, match="does not reach"):
        orbit.pass_over(0.0, 60.0, TIME, northbound=True)


def test_lines_have_checksums_and_say_the_same_orbit() -> None:
    elements = orbit.pass_over(-152.0, 34.0, TIME, northbound=True)
    name, first, second = orbit.tle_lines(elements, "ISS (SIMULATED)").splitlines()
    assert name == "ISS (SIMULATED)"
    for line in (first, second):
        digits = sum(int(c) if c.isdigit() else c == "-" for c in line[:68])
        assert len(line) == 69
        assert int(line[68]) == digits % 10
    _, miss = along_track_km(
        Satrec.twoline2rv(first, second), elements.satrec(), TIME + timedelta(hours=5)
    )
    assert miss < 0.1
    body = ephem.readtle(name, first, second)  # raises on a bad checksum
    body.compute(TIME.replace(tzinfo=None))
    lon, _, height = geodesy.geodetic_of(orbit.state_ecef(elements.satrec(), TIME)[0])
    assert np.degrees(body.sublong) == pytest.approx(float(lon), abs=0.01)
    assert body.elevation == pytest.approx(float(height), abs=500.0)


@pytest.mark.parametrize("days", [-9.0, 0.0, 4.5, 12.0])
def test_elements_of_another_epoch_describe_the_same_orbit(days: float) -> None:
    elements = orbit.pass_over(-152.0, 34.0, TIME, northbound=True)
    epoch = TIME + timedelta(days=days)
    other = orbit.elements_at(elements, epoch).satrec()
    assert along_track_km(other, elements.satrec(), epoch)[1] < 0.5
    assert along_track_km(other, elements.satrec(), epoch + timedelta(days=2))[1] < 3.0


def test_slipped_elements_run_ahead_by_the_day() -> None:
    elements = orbit.pass_over(-152.0, 34.0, TIME, northbound=True)
    ahead = orbit.slip_elements(elements, 10.0).satrec()
    assert along_track_km(ahead, elements.satrec(), TIME)[1] < 0.1
    along, miss = along_track_km(ahead, elements.satrec(), TIME + timedelta(days=2))
    assert along == pytest.approx(20.0, abs=0.5)
    assert miss == pytest.approx(20.0, abs=0.5)


def test_a_broken_orbit_is_said_to_be_broken() -> None:
    fallen = orbit.Elements(
        epoch_utc=TIME, node_deg=0, perigee_deg=0, anomaly_deg=0, revolutions_per_day=17.5
    )
    with pytest.raises(ValueError, match="SGP4"):
        orbit.state_ecef(fallen.satrec(), TIME)
