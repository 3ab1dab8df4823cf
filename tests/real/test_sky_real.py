"""On real photographs: limbs, streaks, flashes, star fields, and what scenes show."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta

import cv2
import h5py
import numpy as np
import pytest
from astropy.io import fits
from sklearn.metrics import roc_auc_score

import regengine as rg
from detectors.limb import find_limb, mask_sky
from detectors.masks import blank_parts, mask_window_frames
from matchers.geometry.earth import ecef_to_geodetic, great_circle_km
from regengine.orbit import days_since_j2000, load_tle_file, position_from_nadir, track_positions
from regengine.orbit.propagation import propagate_teme
from regengine.photo.image import read_linear_light
from regengine.registration.parameters import RegisterParams, SearchParams
from regengine.scene.classify import scene_ephemeris
from regengine.scene.features import feature_names, measure_features
from regengine.scene.picture import read_scene_picture
from regengine.sky.satellites.tracks import compute_station_sigma_km, teme_to_icrs
from regengine.studies.lightning import match, pulses
from tests.world.program import run

pytestmark = pytest.mark.real

ALTITUDE_KM = 410.0


STARRY = (  # edited copies; the first two are crops, and the second shows few lights
    ("cities_oblique/iss059e060484.jpg", "2019-05-10T07:23:03", 28.0),
    ("night_nocity/iss043e197862.jpg", "2015-05-15T22:47:22", 24.0),
    ("cities_oblique/iss031e151873.jpg", "2012-06-25T06:09:41", 28.0),
    ("cities_oblique/iss065e394522.jpg", "2021-09-09T22:42:31", 28.0),
)


@pytest.mark.parametrize(("name", "time", "focal_mm"), STARRY)
def test_stars_alone_place_a_photo_at_its_date_only(real_data, name, time, focal_mm):
    """By another date the sky is right as well, and the ground below it is another."""
    search = SearchParams(methods=("stars",))
    params = RegisterParams(any_category=True, search=search)
    for days in (0, -9, -3, -1, 1, 4):
        told = datetime.fromisoformat(time).replace(tzinfo=UTC) + timedelta(days=days)
        found = rg.register(
            real_data / "photos" / name, time=told, focal_mm=focal_mm, params=params, blind="never"
        )
        assert (found.verdict == "accepted") == (days == 0), days
        if days == 0:
            nadir = found.result.nadir
            lon, lat, _ = ecef_to_geodetic(found.camera.position_ecef_m)
            # Clocks of these frames are right to 30 s
            assert great_circle_km(lon, lat, nadir.lon, nadir.lat) < 230.0
            assert dict(found.result.sources)["attitude"].endswith("stars")


# Off-nadir angles found for two of them by registration on a light map, within its 1 degree
@pytest.mark.parametrize(
    ("name", "focal_mm", "off_nadir_deg"),
    [
        ("cities_oblique/unproc_ISS065-E-394522.JPG", 28.0, 67.5),
        ("cities_oblique/spain_portugalpsp.jpg", 28.7, 55.2),
    ],
)
def test_nadir_agrees_with_registration(real_data, name, focal_mm, off_nadir_deg):
    light = read_linear_light(real_data / "photos" / name, max_long_side_px=640).light
    focal_px = focal_mm / 36.0 * max(light.shape)
    limb = find_limb(light, focal_px=focal_px, altitude_km=ALTITUDE_KM)
    assert limb.off_nadir_deg == pytest.approx(off_nadir_deg, abs=1.0)
    sky = mask_sky(limb, light.shape)
    assert 0.05 < sky.mean() < 0.6


@pytest.mark.parametrize(
    ("name", "focal_mm"),
    [("Osaka_ISS030-E-184140", 85.0), ("CloudDet_im1", None)],
)
def test_cities_have_neither_limb_nor_foreground(real_data, name, focal_mm):
    path = real_data / "photos" / "cities" / f"{name}.jpg"
    light = read_linear_light(path, max_long_side_px=640).light
    focal_px = None if focal_mm is None else focal_mm / 36.0 * max(light.shape)
    assert find_limb(light, focal_px=focal_px, altitude_km=ALTITUDE_KM) is None
    assert not (blank_parts(light) | mask_window_frames(light)).any()


@pytest.mark.parametrize(
    "name",
    [
        "cities_oblique/iss059e060517.jpg",
        "night_nocity/iss042e295603.jpg",
    ],
)
def test_hardware_and_noise_of_jpeg_along_the_border_are_no_streaks(real_data, name):
    """None of these photos shows a streak that begins and ends near one border."""
    path = real_data / "photos" / name
    height, width = cv2.imread(str(path)).shape[:2]
    for found in rg.detect(path, "streaks"):
        x, y = np.array([found.x1, found.x2]), np.array([found.y1, found.y2])
        assert min(y.max(), (height - 1 - y).max(), x.max(), (width - 1 - x).max()) > 5.0
        away = [np.minimum(y, height - 1 - y), np.minimum(x, width - 1 - x)]
        assert not (np.hypot(np.ptp(x), np.ptp(y)) < 60.0 and np.min(away) < 2.0)


@pytest.mark.slow
def test_four_frames_of_one_pass_show_their_four_flashes(real_data):
    frames = real_data / "lightning" / "frames"
    records = run("detect", "lightning", "--json", frames, "--neighbours").records
    found = [[(one["x"], one["y"]) for one in record["lightning"]] for record in records]
    assert [len(places) for places in found] == [2, 0, 1, 1]
    # By eye
    assert sorted(found[0]) == [pytest.approx((227, 153), abs=9), pytest.approx((522, 275), abs=9)]
    assert found[2][0] == pytest.approx((477, 487), abs=15)
    assert found[3][0] == pytest.approx((149, 196), abs=9)


def test_the_station_is_where_others_have_it(real_data):
    """Positions in GCRS that another program wrote beside a real frame, by another set."""
    folder = real_data / "orbit" / "samples" / "auromat"
    header = fits.getheader(folder / "ISS029-E-8492.wcs")
    time = datetime.fromisoformat(str(header["DATE-OBS"])).replace(tzinfo=UTC)
    days = days_since_j2000(time)
    tles = load_tle_file(real_data / "orbit" / "iss_tles.txt")
    station = tles.best_for(time)
    to_icrs = teme_to_icrs(time)
    there = np.array([float(header[f"POS{axis}"]) for axis in "XYZ"])
    apart = there - to_icrs @ propagate_teme(station, np.array([days]))[0][0]
    along, across, up = compute_station_sigma_km(station, time) @ to_icrs.T
    # The set is eight days younger than the frame: along the track it leads astray, not across
    assert abs(apart @ along) / (along @ along) < 2.0
    assert abs(apart @ across) / np.linalg.norm(across) < 2.0
    bulge_km = (apart @ along) ** 2 / (along @ along) / (2.0 * np.linalg.norm(there))
    assert abs(apart @ up / np.linalg.norm(up) + bulge_km) < 4.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("photo", "field_deg", "off_deg"),
    [
        ("photos/cities_oblique/iss030e068922.jpg", 65.43, 0.05),  # hardware beside the stars
        ("reports/two/i_lights_bottom.png", 10.16, 0.02),  # lamps below the field
    ],
)
def test_what_else_a_photo_shows_hides_no_field(real_data, photo, field_deg, off_deg):
    field = rg.solve(real_data / photo)
    assert field.solved, field
    assert field.camera.fov_x_deg == pytest.approx(field_deg, abs=off_deg)


@pytest.mark.slow
def test_a_star_trackers_sharp_stars_are_solved(real_data):
    """Place and field as of astrometry.net."""
    field = rg.solve(real_data / "starfields" / "ost_img0.png")
    assert field.solved, field
    assert field.camera.ra_dec_deg == pytest.approx((181.171, 16.842), abs=0.02)
    assert field.camera.fov_x_deg == pytest.approx(6.09, abs=0.05)


@pytest.mark.slow
def test_a_real_picture_of_a_linear_lens_has_its_own_field_or_none(real_data):
    field = rg.solve(real_data / "reports" / "s03_lin100_0.png")
    assert not field.solved or field.camera.fov_x_deg == pytest.approx(100.0, abs=0.5)


@pytest.mark.slow
def test_a_sky_with_aurora_tells_the_lens_and_no_falloff(real_data, tmp_path):
    photo = real_data / "starfields" / "auromat_ISS029-E-8492.jpg"
    said = run("lens", "fit", photo, "--out", tmp_path / "lens.toml")
    (profile,) = said.records
    assert said.code == 0
    assert "the falloff is negative" in said.err
    assert profile["falloff"] is None
    assert profile["stars"] > 800
    assert profile["focal_px"] == pytest.approx(2278.6, abs=1.0)


def test_night_frames_of_the_archive_are_called_night(real_data):
    table = real_data / "orbit" / "iss_night_photos_jsc.csv"
    with table.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))[::25]
    lights, agreeing = [], 0
    for row in rows:
        time = datetime.strptime(row["gmt_date"] + row["gmt_time"], "%Y%m%d%H%M%S").replace(
            tzinfo=UTC
        )
        place = float(row["nadir_lon"]), float(row["nadir_lat"]), 400.0
        found = scene_ephemeris(position_from_nadir(*place, "option", time_utc=time))
        lights.append(found.light)
        agreeing += abs(found.sun_elevation_deg - float(row["sun_el"])) < 2.0
    assert agreeing / len(rows) > 0.95
    assert lights.count("night") / len(rows) > 0.95
    assert lights.count("day") / len(rows) < 0.01


@pytest.fixture(scope="module")
def measured(real_data):
    """Classes and features of all labelled photos."""
    photos = real_data / "photos"
    with (photos / "index.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    classes = np.array([row["category"].removesuffix("_oblique") for row in rows])
    pictures = (read_scene_picture(photos / row["file"]) for row in rows)
    return classes, np.array([measure_features(picture) for picture in pictures])


@pytest.mark.parametrize(
    ("feature", "high", "low", "least"),
    [
        # The second class: None for all others. Measured in 2026, less 0.03
        ("points_contrast", "cities", "night_nocity", 0.95),
        ("colour_green_area", "aurora", None, 0.96),
        ("structure_length", "inside", "day", 0.96),
        ("colour_dim_blue", "day", "infrared", 0.93),
    ],
)
def test_a_class_stands_out(measured, feature, high, low, least):
    classes, features = measured
    others = classes != high if low is None else classes == low
    shown = others | (classes == high)
    values = features[shown, feature_names().index(feature)]
    assert roc_auc_score(classes[shown] == high, values) >= least


CLOUD_M = 13_500.0
OFFSET_KM = (3.47, -2.05)  # GLM less ISS-LIS as both publish their places


@pytest.fixture(scope="module")
def folder(real_data):
    if not (real_data / "lightning").is_dir():
        pytest.skip(f"no lightning in {real_data}")
    return real_data / "lightning"


def test_groups_of_both_instruments_are_the_same_light(folder):
    """Within 10 ms and 25 km; by chance hardly any would be as near."""
    groups = pulses.read_glm(next(folder.glob("*_s2020236*.nc")), CLOUD_M)
    seen = pulses.read_lis(next(folder.glob("ISS_LIS_*.nc")), CLOUD_M).pulses
    start_s, end_s = groups.spans_s[0]
    seen = seen.select((seen.time_s >= start_s) & (seen.time_s <= end_s))
    assert len(seen.time_s) == 23
    at = match.Sightings(
        start_s=seen.time_s, end_s=seen.time_s, position_ecef_m=seen.position_ecef_m
    )
    found = match.match(at, groups, 0.01)
    paired = found.select(found.pulse >= 0)
    assert len(paired.pulse) >= 20
    off_km = np.median(paired.east_km), np.median(paired.north_km)
    assert np.hypot(*np.subtract(off_km, OFFSET_KM)) < 1.0
    assert paired.chance.sum() < 0.1


def test_fresh_element_sets_have_the_station_within_a_kilometre(folder):
    """Nine in ten sets of the half day after the record, which their neighbours bear out."""
    with h5py.File(next(folder.glob("ISS_LIS_*.nc"))) as file:
        sound = file["one_second_ephemeris_quality_flag"][()] == 0
        told_s = file["one_second_TAI93_time"][()][sound] - 10.0  # leap seconds from 1993 to 2017
        told_m = file["one_second_position_vector"][()][sound]
    begin = datetime(1993, 1, 1, tzinfo=UTC) + timedelta(seconds=told_s[0])
    middle = begin + timedelta(seconds=float(np.ptp(told_s)) / 2.0)
    tles = load_tle_file(folder.parent / "orbit" / "iss_tles_dense.txt")
    off_m = [
        np.linalg.norm(track_positions(tles[row], begin, told_s - told_s[0], 0.0) - told_m, axis=1)
        for row in range(len(tles.epoch_days))
        if -12.0 < tles[row].age_h(middle) <= 0.0 and tles.disagreement(row) is None
    ]
    assert np.quantile(np.sqrt(np.mean(np.square(off_m), axis=1)), 0.9) < 1000.0
