"""Tracks in pictures: none is lost on the way; a camera that is held still."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sgp4.api import Satrec
from tle_lines import Elements

from matchers.geometry.sky_camera import SkyCamera, matrix_quaternion
from regengine.orbit import J2000_JULIAN_DATE, ElementSet, days_since_j2000
from regengine.sky.drawing import draw_track
from regengine.sky.satellites.catalogue import load_catalogue
from regengine.sky.satellites.observer import (
    Exposure,
    SatelliteObserver,
    are_hidden_by_earth,
    teme_to_icrs,
)
from regengine.sky.satellites.photo import compute_expected_trail_px
from regengine.sky.satellites.tracks import predict_tracks, sample_track, touch_picture
from tests.world.satellites import simulate_satellites

GREEN = 90, 255, 90

TIME = datetime(2016, 5, 2, 20, 30, tzinfo=UTC)
ORBIT = Elements()
LINE1, LINE2 = ORBIT.lines()
STATION = SatelliteObserver(element_set=ElementSet(line1=LINE1, line2=LINE2, line_number=1))


def camera(towards, focal_px=900.0):
    right = np.cross([0.1, 0.2, 0.9], towards)
    right /= np.linalg.norm(right)
    matrix = np.stack([right, np.cross(towards, right), towards], 1)
    return SkyCamera(
        width_px=1200, height_px=800, focal_px=focal_px, principal_point=(599.5, 399.5),
        quaternion_icrs=matrix_quaternion(matrix),
    )  # fmt: skip


def exposed(field, **more):
    told = {"exposure_s": 10.0, "clock_sigma_s": 0.5} | more
    return Exposure(field=field, start_utc=TIME, observer=STATION, **told)


def overhead(seconds=5.0):
    days = np.array([days_since_j2000(TIME) + seconds / 86400.0])
    up = STATION.position_km(days)[0]
    return teme_to_icrs(TIME) @ up / np.linalg.norm(up)


def satellites(tmp_path, text):
    path = tmp_path / "catalogue.txt"
    path.write_text(text, encoding="utf-8")
    return load_catalogue(path).at(TIME)


def test_every_satellite_that_crosses_the_picture_is_there(tmp_path):
    """One after the other, by SGP4's scalar interface and without the cone."""
    sky = simulate_satellites(8000, TIME, np.random.default_rng(8))
    known = satellites(tmp_path, sky.text())
    exposure = exposed(camera(overhead(), focal_px=400.0))
    tracks = predict_tracks(known, exposure)
    found = {known.sets[row].satellite for row in tracks.rows[touch_picture(tracks, exposure)]}
    wanted = set()
    days = [days_since_j2000(TIME) + s / 86400.0 for s in np.linspace(0.0, 10.0, 21)]
    observer = STATION.position_km(np.array(days))
    for one, record in zip(known.sets, known.records, strict=True):
        places = np.array([record.sgp4(J2000_JULIAN_DATE, day)[1] for day in days])
        x, y = exposure.pixels(places - observer)
        seen = exposure.field.sees(x, y) & ~are_hidden_by_earth(places, observer)
        if seen[1:-1].any():
            wanted.add(one.satellite)
    assert len(wanted) > 5
    assert wanted <= found
    assert len(found - wanted) <= 2  # at the border: light time, or the ends of the exposure


def test_a_companion_on_the_orbit_stands_still_in_a_camera_that_is_held_still(tmp_path):
    ahead = replace(ORBIT, anomaly_deg=ORBIT.anomaly_deg + 8.0, satellite="40001")
    days = np.array([days_since_j2000(TIME + timedelta(seconds=5))])
    place = Satrec.twoline2rv(*ahead.lines()).sgp4(J2000_JULIAN_DATE, days[0])[1]
    sight = np.array(place) - STATION.position_km(days)[0]
    field = camera(teme_to_icrs(TIME) @ sight / np.linalg.norm(sight), focal_px=4000.0)
    known = satellites(tmp_path, ahead.text())
    lengths = {}
    for still in (False, True):
        exposure = exposed(field, held_still=still)
        x, y = sample_track(predict_tracks(known, exposure), 0, exposure)
        assert 0 < x[16] < 1200
        lengths[still] = float(np.hypot(x[-1] - x[0], y[-1] - y[0]))
    among_stars = 4000.0 * 2.0 * np.pi * ORBIT.revolutions_a_day * 10.0 / 86400.0
    assert lengths[False] == pytest.approx(among_stars, rel=0.03)
    assert lengths[True] < 0.02 * among_stars
    assert compute_expected_trail_px(exposed(field, held_still=True)) == pytest.approx(
        among_stars, rel=0.05
    )


@pytest.mark.parametrize(("down", "name_at"), [(False, (27, 217)), (True, (307, 107))])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_track_that_leaves_the_picture_is_named_where_it_is_seen(down, name_at, backwards):
    """Beside the middle of the part that is seen, right of it and above."""
    picture = np.zeros((600, 200, 3) if down else (60, 400, 3), np.uint8)
    along = np.linspace(30.0, 1830.0 if down else 1230.0, 181)[:: -1 if backwards else 1]
    still = np.full(181, 100.0 if down else 30.0)
    track = (still, along) if down else (along, still)
    draw_track(picture, *track, 1.0, GREEN, None)
    line = picture.any(axis=2)
    first, *_, last = np.flatnonzero(line.any(axis=1 if down else 0))
    assert (first, last) == (pytest.approx(30, abs=1), 599 if down else 399)
    draw_track(picture, *track, 1.0, GREEN, "II")
    rows, cols = np.nonzero(picture.any(axis=2) & ~line)
    assert (rows.max(), cols.min()) == pytest.approx(name_at, abs=8)


def test_a_track_is_broken_where_it_cannot_be_seen():
    """Behind the Earth, or behind the camera."""
    picture = np.zeros((60, 400, 3), np.uint8)
    x = np.linspace(20.0, 380.0, 37)
    hidden = (x > 110.0) & (x < 290.0)
    draw_track(
        picture, np.where(hidden, np.nan, x), np.where(x < 200.0, 20.0, 40.0), 1.0, GREEN, "II"
    )
    columns = np.flatnonzero(picture.any(axis=(0, 2)))
    assert columns.min() <= 20
    assert columns.max() >= 380
    assert not ((columns > 112) & (columns < 285)).any()


def test_a_sigma_is_as_long_as_the_error_model_says(tmp_path):
    sky = simulate_satellites(2500, TIME, np.random.default_rng(9))
    known = satellites(tmp_path, sky.text())
    exposure = exposed(camera(overhead(), focal_px=400.0))
    tracks = predict_tracks(known, exposure)
    middle = len(tracks.seconds) // 2
    near = np.flatnonzero(np.isfinite(tracks.xy[:, middle, 0]) & (tracks.range_km[:, middle] < 3e3))
    assert near.size
    speed = np.linalg.norm(tracks.xy[:, middle + 1] - tracks.xy[:, middle - 1], axis=-1) / (
        tracks.seconds[middle + 1] - tracks.seconds[middle - 1]
    )
    for row in near:
        along, cross, up = np.linalg.norm(tracks.per_sigma[row, middle], axis=0)[:3]
        # 0.6 to some km at 7.5 km a second: a tenth of a second, to seconds in the lowest orbits
        assert 0.03 < along / speed[row] < 10.0
        assert 0.0 < up < max(3.0 * cross, along)
