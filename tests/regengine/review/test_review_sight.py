"""The track and the ground in sight of a photo that is not placed yet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from matchers.earth import geodetic_to_ecef, great_circle_km, incidence_deg
from regengine.result import NadirInput
from regengine.review.frames import Coded
from regengine.review.ground_track import REACH_S, STEP_S, horizon, track

START = datetime(2020, 3, 1, tzinfo=UTC)
NADIR = NadirInput(
    lon=10.0, lat=20.0, altitude_km=410.0, source="tle", sigma_along_km=1.0, sigma_cross_km=1.0
)


@pytest.mark.parametrize("lon", [-179.5, 0.0, 91.0, 180.0])
@pytest.mark.parametrize("lat", [-90.0, -51.8, 0.0, 38.0, 89.0])
def test_at_the_horizon_the_ground_is_seen_edge_on(lon: float, lat: float) -> None:
    ring = np.array(horizon(lon, lat, 410.0))
    eye = geodetic_to_ecef(lon, lat, 410e3)
    angles = incidence_deg(eye, geodetic_to_ecef(ring[:, 0], ring[:, 1]))
    assert angles == pytest.approx(90.0, abs=0.01)
    assert np.abs(np.diff(ring[:, 0])).max() < 180.0 or abs(lat) > 70.0


def rows(*seconds_and_lats: tuple[float, float]) -> Any:
    """Frames of some times over some latitudes; the first is the one that is asked about."""
    times = [
        (START + timedelta(seconds=s)).isoformat().replace("+00:00", "Z")
        for s, _ in seconds_and_lats
    ]
    column = np.array(times, dtype="S")
    return SimpleNamespace(
        time_utc=column,
        by_time_known=np.argsort(column),
        nadir_lat=np.array([lat for _, lat in seconds_and_lats]),
        nadir_source=Coded(codes=np.zeros(len(times), np.int32), texts=["tle"]),
    )


@pytest.mark.parametrize(
    ("neighbour", "northward"),
    [((60.0, 23.0), True), ((60.0, 17.0), False), ((-60.0, 17.0), True), ((-60.0, 23.0), False)],
)
def test_a_neighbour_tells_which_way_it_flew(
    neighbour: tuple[float, float], northward: bool
) -> None:
    lonlat = np.array(track(rows((0.0, 20.0), neighbour), 0, NADIR, None))
    middle = len(lonlat) // 2
    assert len(lonlat) == 1 + 2 * REACH_S / STEP_S
    assert lonlat[middle] == pytest.approx((10.0, 20.0), abs=1e-6)
    assert (lonlat[middle + 1, 1] > lonlat[middle, 1]) == northward
    assert (np.diff(lonlat[:, 0]) > 0).all()  # eastward always
    apart_km = great_circle_km(*lonlat[0], *lonlat[-1])
    assert apart_km == pytest.approx(2 * REACH_S * 7.2, rel=0.03)


@pytest.mark.parametrize("others", [[], [(4000.0, 40.0)], [(1.0, 20.1)], [(60.0, 20.0)]])
def test_without_a_neighbour_nothing_is_said(others: list[tuple[float, float]]) -> None:
    assert track(rows((0.0, 20.0), *others), 0, NADIR, None) == []
    assert track(rows((0.0, 20.0), (60.0, 23.0)), 0, None, None) == []
