"""The public benchmark: its cameras and picked points hold each other, and it scores a table."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import __main__ as launcher
from benchmarks.public.cameras import (
    ENOUGH,
    PICKS,
    POINTS,
    fit_to_orbit,
    read_cameras,
    read_frames,
)
from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic, great_circle_km
from matchers.geometry.footprint import diagonal_km

TABLE, PICKED = read_frames().set_index("file"), pd.read_csv(POINTS)
CAMERAS = read_cameras()
BY_POINTS = TABLE.index[TABLE.truth == "points"].tolist()
# Of the long side: towns are named at their centres, a kilometre or two from that of their light
TOWN_SHARE, LARGEST_SHARE = 0.015, 0.025


def misses_px(camera: Camera, points: pd.DataFrame) -> np.ndarray:
    x, y = camera.lonlat_to_pixel(points.lon.to_numpy(), points.lat.to_numpy())
    return np.hypot(x - points.x.to_numpy(), y - points.y.to_numpy())


@pytest.mark.parametrize("file", CAMERAS)
def test_a_camera_is_in_orbit_and_has_picked_points_where_they_shine(file: str) -> None:
    camera, frame = CAMERAS[file], TABLE.loc[file]
    _, lat, height_m = ecef_to_geodetic(camera.position_ecef_m)
    assert 320e3 < height_m < 440e3
    assert abs(lat) < 51.9  # the inclination, as geodetic latitude
    assert diagonal_km(camera) > 20.0
    points = PICKED[PICKED.file == file]
    misses = misses_px(camera, points[points.pick.isin(PICKS)])
    if frame.truth == "points":
        assert len(misses) >= ENOUGH
        assert np.median(misses) < 2.0 * frame.residual_px
        # They span the lights of the picture, not a corner
        assert np.ptp(points.x) + np.ptp(points.y) > 0.25 * (camera.width_px + camera.height_px)
    else:
        assert frame.residual_px < 0.004 * camera.long_side_px
    towns = points[points.pick == "town"]
    if len(towns):
        assert np.median(misses_px(camera, towns)) < TOWN_SHARE * camera.long_side_px
        assert misses_px(camera, towns).max() < LARGEST_SHARE * camera.long_side_px
    for twin, other in CAMERAS.items():  # two copies of a frame were taken from one place
        if frame.frame_id and TABLE.frame_id[twin] == frame.frame_id:
            apart = np.subtract(other.position_ecef_m, camera.position_ecef_m)
            assert np.linalg.norm(apart) < 15e3


def test_two_observers_take_the_same_light_of_the_map() -> None:
    """Of the lights of a photo that both picked, each from another view of the map."""
    apart_px = []
    for file, points in PICKED.groupby("file"):
        first, second = (points[points.pick == pick] for pick in PICKS)
        for one in second.itertuples() if file in BY_POINTS else ():
            same = first[np.hypot(first.x - one.x, first.y - one.y) < 1.5]
            for other in same.itertuples():
                ends = CAMERAS[str(file)].lonlat_to_pixel(
                    [one.lon, other.lon], [one.lat, other.lat]
                )
                apart_px.append(np.hypot(*np.diff(ends)))
    assert len(apart_px) > 150
    assert max(apart_px) < 1.0


def test_a_camera_follows_from_points_and_orbit_alone() -> None:
    """And the clocks of one body within a month are off by the same."""
    for file in ("ISS050-E-60924.jpg", "ISS030-E-184140.jpg"):
        points = PICKED[(PICKED.file == file) & PICKED.pick.isin(PICKS)]
        fit, clock_s = fit_to_orbit(TABLE.loc[file], points)
        x, y = np.meshgrid((50.0, 300.0, 600.0), (50.0, 200.0, 400.0))
        places = fit.camera.pixel_to_lonlat(x.ravel(), y.ravel())
        again = CAMERAS[file].lonlat_to_pixel(*places)
        assert np.abs(again - np.stack([x.ravel(), y.ravel()])).max() < 0.1
        assert clock_s == pytest.approx(TABLE.clock_s[file], abs=0.1)
    wide = [f"ISS050-E-{number}.jpg" for number in (60924, 62291, 63334, 72987)]
    assert np.ptp(TABLE.clock_s[wide]) < 2.0


def test_a_table_of_any_program_is_scored_by_tilt_and_lens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One photo right, one 40 km off, one claimed that shows nothing; columns of an export."""
    path = tmp_path / "mine.csv"
    right, wrong = CAMERAS["ISS030-E-184140.jpg"], CAMERAS["ISS050-E-62291.jpg"]
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["frame", "x", "y", "lon", "lat"])
        for x, y in ((100.0, 100.0), (500.0, 100.0), (500.0, 390.0), (100.0, 390.0)):
            rows.writerow(["ISS030-E-184140", x, y, *right.pixel_to_lonlat(x, y)])
            rows.writerow(["cupola_gate.jpeg", x, y, 10.0, 20.0])
        for x, y in ((100.0, 300.0), (500.0, 300.0), (500.0, 400.0), (100.0, 400.0)):
            lon, lat = wrong.pixel_to_lonlat(x, y)
            rows.writerow(["ISS050-E-62291", x, y, lon, lat + 0.4])
    assert launcher.main(["public", str(path)]) == 0
    said = capsys.readouterr()
    cells = [[one.strip() for one in line.split("|")[1:-1]] for line in said.out.splitlines()]
    header, marks, *rows_said = filter(None, cells)
    assert header[3:6] == ["answered", "right", "wrong"]
    assert marks == ["---", *["---:"] * (len(header) - 1)]
    assert {len(row) for row in rows_said} == {len(header)}
    answers = {row[0]: row[3:6] for row in rows_said}
    assert answers["all"] == ["3", "1", "2"]
    assert answers["below 30° off nadir"] == ["1", "1", "0"]
    assert answers["60° and more"] == ["1", "0", "1"]
    assert answers["nothing to be placed"] == ["1", "0", "1"]
    assert "ISS050-E-62291.jpg is wrong: a control point is" in said.err
    assert "cupola_gate.jpeg is wrong: it shows nothing that can be placed" in said.err


def test_points_of_a_photo_are_apart_on_the_ground() -> None:
    for file in BY_POINTS:
        points = PICKED[(PICKED.file == file) & (PICKED.pick == "first")]
        middle = points.lon.median(), points.lat.median()
        away = [great_circle_km(*middle, one.lon, one.lat) for one in points.itertuples()]
        assert max(away) > 5.0, file
