"""Satellites: sights against SGP4, astropy and ephem; tracks, and streaks that are named."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import (
    ITRS,
    TEME,
    AltAz,
    CartesianRepresentation,
    EarthLocation,
)
from astropy.time import Time
from astropy.utils import iers
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm
from sgp4.api import Satrec

from matchers.geometry.earth import geodetic_to_ecef, local_axes
from matchers.geometry.sky_camera import SkyCamera, matrix_quaternion
from regengine.errors import EphemerisError
from regengine.orbit import ElementSet, days_since_j2000, icrs_to_itrf, sidereal_angle_rad
from regengine.orbit.propagation import propagate_teme
from regengine.orbit.rotation import J2000_JULIAN_DATE, turn_about_pole
from regengine.orbit.tle import load_element_sets
from regengine.sky.satellites.identification import Streak, end_density, name_streaks
from regengine.sky.satellites.photo import compute_expected_trail_px
from regengine.sky.satellites.tracks import (
    TAIL_ACROSS,
    TAIL_FACTOR,
    TAIL_SHARE,
    Exposure,
    Tracks,
    are_hidden_by_earth,
    choose_satellites,
    lines_of_sight,
    predict_tracks,
    sample_track,
    states,
    sunlit_share,
    teme_to_icrs,
    touch_picture,
    turn_to_stars,
)
from tests.world.elements import Elements
from tests.world.satellites import simulate_satellites

TIME = datetime(2016, 5, 2, 20, 30, tzinfo=UTC)
# Longitude, latitude, height of a place whose motion is that of the Earth
PLACE = (-17.5, 52.0, 1200.0)
ARC_SECOND = np.radians(1.0 / 3600.0)
ORBITS = [
    Elements(),
    Elements(inclination_deg=98.2, revolutions_a_day=14.2, node_deg=200.0, satellite="40001"),
    Elements(inclination_deg=55.0, revolutions_a_day=2.0057, eccentricity=0.01, satellite="40002"),
    Elements(inclination_deg=0.05, revolutions_a_day=1.0027, satellite="40003"),
    Elements(inclination_deg=63.4, revolutions_a_day=2.006, eccentricity=0.72, satellite="40004"),
]
RECORDS = [Satrec.twoline2rv(*one.lines()) for one in ORBITS]


def place_km(days):
    """Where the place is in SGP4's axes at some days, shape (n, 3)."""
    fixed = np.broadcast_to(geodetic_to_ecef(*PLACE) / 1e3, (len(days), 3))
    return turn_about_pole(fixed, sidereal_angle_rad(days))


@pytest.fixture(autouse=True)
def offline():
    with iers.conf.set_temp("auto_download", False):
        yield


def test_directions_from_a_place_are_astropys_within_two_arc_seconds():
    lon, lat, height_m = PLACE
    days = np.array([days_since_j2000(TIME)])
    position, _ = states(RECORDS, days)
    ours = lines_of_sight(position[:, 0], np.zeros((len(RECORDS), 3)), place_km(days))
    unit = turn_to_stars(ours, teme_to_icrs(TIME), np.zeros(3))
    east, north, up = (unit @ icrs_to_itrf(TIME).T @ local_axes(lon, lat).T).T

    when = Time(TIME.replace(tzinfo=None))
    place = EarthLocation.from_geodetic(lon * u.deg, lat * u.deg, height_m * u.m)
    teme = TEME(CartesianRepresentation(position[:, 0].T * u.km), obstime=when)
    fixed = teme.transform_to(ITRS(obstime=when)).cartesian - place.get_itrs(when).cartesian
    topocentric = ITRS(fixed, obstime=when, location=place)
    theirs = topocentric.transform_to(AltAz(obstime=when, location=place))
    altitude, azimuth = theirs.alt.rad, theirs.az.rad
    level = np.cos(altitude)
    expected = np.stack([level * np.sin(azimuth), level * np.cos(azimuth), np.sin(altitude)], -1)
    apart = np.linalg.norm(np.stack([east, north, up], -1) - expected, axis=1)
    # Polar motion, left out, is 0.5 arc seconds about the Earth's centre: 15 m at the site
    assert apart.max() < 0.8 * ARC_SECOND + 0.015 / theirs.distance.to_value(u.km).min()


def test_the_shadows_edge_is_where_the_sun_sets_and_the_earth_hides_what_is_below_the_horizon():
    sun, edge = np.array([1.0, 0.0, 0.0]), np.arcsin(6378.137 / 7000.0)
    half = 7000.0 * np.array([-np.cos(edge), np.sin(edge), 0.0])
    places = np.array([[-7000.0, 0, 0], [7000.0, 0, 0], half, [-42164.0, 7000.0, 0]])
    np.testing.assert_allclose(sunlit_share(places, sun), [0.0, 1.0, 0.5, 1.0], atol=1e-6)
    observer = np.array([6378.2, 0.0, 0.0])
    places = np.array([[7000.0, 0, 0], [6379.0, 3000.0, 0], [6300.0, 3000.0, 0], [-7000.0, 0, 0]])
    np.testing.assert_array_equal(are_hidden_by_earth(places, observer), [False, False, True, True])


# ---- catalogues

ONE = Elements(satellite="40001", revolutions_a_day=14.2, inclination_deg=98.2)
OTHER = Elements(satellite="40002", revolutions_a_day=1.0027, inclination_deg=0.05)


def write_catalogue(tmp_path, *parts):
    path = tmp_path / "catalogue.txt"
    path.write_text("".join(parts), encoding="utf-8")
    return path


def test_each_satellite_is_told_by_its_best_set_and_bad_and_old_ones_are_counted(tmp_path):
    """A day after the photo costs as much as eight hours before it."""
    broken = ONE.text().replace("98.2000", "98.2001", 1)
    sets = (ONE.later(-0.5), ONE.later(1.0), OTHER, ONE.later(-3.0))
    path = write_catalogue(tmp_path, *(one.text() for one in sets), broken)
    catalogue = load_element_sets((path,), every=True)
    satellites = choose_satellites(catalogue, ONE.epoch)
    assert len(catalogue.skipped) == 1
    assert [one.satellite for one in satellites.sets] == ["40001", "40002"]
    assert satellites.age_h[0] == pytest.approx(-24.0)
    before = choose_satellites(catalogue, ONE.epoch - timedelta(days=0.4))
    assert before.age_h[0] == pytest.approx(2.4)
    path = write_catalogue(tmp_path, ONE.text(), OTHER.later(40.0).text())
    catalogue = load_element_sets((path,), every=True)
    satellites = choose_satellites(catalogue, ONE.epoch + timedelta(hours=3))
    assert [one.satellite for one in satellites.sets] == ["40001"]
    assert satellites.stale == 1
    with pytest.raises(EphemerisError, match=r"60 days away \(2016-06-10\)") as told:
        choose_satellites(catalogue, ONE.epoch + timedelta(days=100))
    assert told.value.code == "tle_stale"
    for content, says in (("<html>Sorry</html>\n", "no element set"), (broken, "no usable")):
        with pytest.raises(EphemerisError, match=says):
            load_element_sets((write_catalogue(tmp_path, content),), every=True)


# ---- tracks

ORBIT = Elements()
LINE1, LINE2 = ORBIT.lines()
STATION = ElementSet(line1=LINE1, line2=LINE2, line_number=1)


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
    return Exposure(field=field, start_utc=TIME, station=STATION, **told)


def overhead(seconds=5.0):
    days = np.array([days_since_j2000(TIME) + seconds / 86400.0])
    up = propagate_teme(STATION, days)[0][0]
    return teme_to_icrs(TIME) @ up / np.linalg.norm(up)


def satellites(tmp_path, text):
    path = write_catalogue(tmp_path, text)
    return choose_satellites(load_element_sets((path,), every=True), TIME)


def test_every_satellite_that_crosses_the_picture_is_there(tmp_path):
    """One after the other, by SGP4's scalar interface and without the cone."""
    sky = simulate_satellites(4000, TIME, np.random.default_rng(8))
    known = satellites(tmp_path, sky.text())
    exposure = exposed(camera(overhead(), focal_px=400.0))
    tracks = predict_tracks(known, exposure)
    found = {known.sets[row].satellite for row in tracks.rows[touch_picture(tracks, exposure)]}
    wanted = set()
    days = [days_since_j2000(TIME) + s / 86400.0 for s in np.linspace(0.0, 10.0, 21)]
    observer = propagate_teme(STATION, np.array(days))[0]
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
    sight = np.array(place) - propagate_teme(STATION, days)[0][0]
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


# ---- streaks drawn from the model itself are named as often as their probabilities say

SIZE = (2000, 1500)
EXPOSURE_S = 6.0
SECONDS = np.linspace(-14.0, 14.0, 71)
CORE = np.array([8.0, 2.0])  # pixels along and across the track, one sigma


def made_up_tracks(count, rng):
    """Straight tracks at even speed, all through the picture, with errors along and across."""
    through = rng.uniform([200.0, 200.0], [1800.0, 1300.0], (count, 2))
    turn = rng.uniform(0.0, 2.0 * np.pi, count)
    along = np.stack([np.cos(turn), np.sin(turn)], -1)
    speed = rng.uniform(10.0, 90.0, count)
    xy = through[:, None] + SECONDS[:, None] * (speed[:, None] * along)[:, None]
    across = np.stack([-along[:, 1], along[:, 0]], -1)
    per_sigma = np.stack([CORE[0] * along, CORE[1] * across, 0.0 * across], -1)[:, None]
    return xy, np.broadcast_to(per_sigma, (count, len(SECONDS), 2, 3)), along, speed, across


def drawn(k, tracks, clock_s, rng, *, ahead_s=0.0):
    """The streak that one satellite draws: ends, and which of them lies beyond the border."""
    xy, _, along, speed, across = tracks
    grown = np.where(rng.random() < TAIL_SHARE, (TAIL_FACTOR, TAIL_ACROSS), 1.0) * CORE
    off = rng.normal(0.0, grown[0]) * along[k] + rng.normal(0.0, grown[1]) * across[k]
    off = off + rng.normal(0.0, 0.5, 2)
    middle = xy[k, len(SECONDS) // 2] + off
    times = np.array([-0.5, 0.5]) * EXPOSURE_S + clock_s + ahead_s
    ends = middle + times[:, None] * speed[k] * along[k]
    ends += np.outer(rng.normal(0.0, 1.5, 2), along[k])
    ends += np.outer(rng.normal(0.0, 0.4, 2), across[k])
    return measured(ends if rng.random() < 0.5 else ends[::-1])


def measured(ends):
    width, height = SIZE
    inside = np.all((ends > 0) & (ends < np.array([width - 1, height - 1])), axis=1)
    if not inside.any():
        return None
    kept = ends.copy()
    for k in range(2):
        if not inside[k]:
            fine = ends[1 - k] + np.linspace(0, 1, 4000)[:, None] * (ends[k] - ends[1 - k])
            good = np.all((fine > 0) & (fine < np.array([width - 1, height - 1])), axis=1)
            kept[k] = fine[np.flatnonzero(good)[-1]]
    return Streak(
        ends=np.stack([kept, kept]),
        cut=(not inside[0], not inside[1]),
        sigma_end_px=1.5,
        sigma_line_px=0.4,
    )


def name(streaks, tracks, clock_sigma_s):
    xy, per_sigma, *_ = tracks
    seen = np.full(xy.shape[:2], 0.5)
    predicted = Tracks(rows=np.arange(len(xy)), seconds=SECONDS, xy=xy, per_sigma=per_sigma,
                       range_km=seen, height_km=seen, sunlit=seen)  # fmt: skip
    field = replace(camera(overhead()), width_px=SIZE[0], height_px=SIZE[1])
    exposure = exposed(field, exposure_s=EXPOSURE_S, clock_sigma_s=clock_sigma_s)
    return name_streaks(streaks, predicted, seen, exposure)


def best_of(naming):
    return int(naming.candidates["row"][0]) if len(naming.candidates) else None


def test_probabilities_are_honest():
    """Crowded on purpose: 100 satellites in the picture, so that some streaks have two answers."""
    clock_sigma_s = 1.0
    rng = np.random.default_rng([7, int(10 * clock_sigma_s)])
    probability, right = [], []
    for _ in range(14):
        tracks = made_up_tracks(100, rng)
        clock_s = rng.normal(0.0, clock_sigma_s)
        chosen = rng.choice(100, 3, replace=False)
        pairs = [(k, drawn(k, tracks, clock_s, rng)) for k in chosen]
        pairs = [(k, streak) for k, streak in pairs if streak is not None]
        for (k, _), naming in zip(pairs, name([s for _, s in pairs], tracks, clock_sigma_s),
                                  strict=True):  # fmt: skip
            total = naming.probability.sum() + naming.unlisted
            assert total == pytest.approx(1.0, abs=1e-4)
            if len(naming.candidates):
                probability.append(naming.probability[0])
                right.append(best_of(naming) == k)
    probability, right = np.array(probability), np.array(right)
    assert len(right) > 30
    assert right.mean() > 0.9
    # Wrong ones expected: the sum of 1 - P, with its own scatter
    expected = np.sum(1.0 - probability)
    scatter = np.sqrt(np.sum(probability * (1.0 - probability)) + 1.0)
    assert abs(np.sum(~right) - expected) < 3.5 * scatter


def test_the_clock_of_one_streak_names_the_others():
    """Satellites 2 s apart on one track, a clock good to 2 s, and one satellite far from them."""
    rng = np.random.default_rng(5)
    tracks = [np.array(part) for part in made_up_tracks(6, rng)]
    for k, speed in ((0, 60.0), (5, 90.0)):
        tracks[0][k] += SECONDS[:, None] * (speed - tracks[3][k]) * tracks[2][k]
        tracks[3][k] = speed
    for k in range(1, 5):  # copies of the first, each 2 s behind the one before
        tracks[0][k] = tracks[0][0] - 2.0 * k * tracks[3][0] * tracks[2][0]
        for part in tracks[1:]:
            part[k] = part[0]
    tracks[1] = np.where(np.arange(3) == 0, 0.1, 1.0) * tracks[1]
    train = drawn(2, tracks, 2.1, rng)
    alone = name([train], tracks, 2.0)[0]
    together = name([train, drawn(5, tracks, 2.1, rng)], tracks, 2.0)
    assert alone.probability[0] < 0.7
    assert best_of(together[0]) == 2
    assert together[0].probability[0] > 0.85
    assert best_of(together[1]) == 5


@pytest.mark.parametrize("cut", [False, True])
def test_densities_of_ends_are_those_of_a_normal_distribution_cut_by_the_exposure(cut):
    """By scipy: the second end is not the exposure's, and was passed at any time within it.

    It lies anywhere on the track that is drawn then, or, cut by the border, at the border.
    """
    rng = np.random.default_rng(3)
    root = np.tril(rng.normal(0.0, 0.1, (4, 4))) + np.diag([0.4, 0.5, 0.8, 0.7])
    covariance, exposure_s = root @ root.T, 6.0
    # Passed shortly after the exposure began
    values, speeds = np.array([0.5, -5.7, 0.3, -0.4]), np.array([20.0, 25.0])
    clocks = np.array([-0.2, 0.0, 0.3])
    density, _ = end_density(
        *(covariance[None], values[None], speeds[None], np.array([True, False])),
        *(np.array([False, cut]), exposure_s, clocks),
    )
    used, rest = [0, 2, 3], 1
    part = np.ix_(used, used)
    gain = covariance[rest, used] @ np.linalg.inv(covariance[part])
    sigma = np.sqrt(covariance[rest, rest] - gain @ covariance[used, rest])
    scale = -np.log(speeds[0]) - (0.0 if cut else np.log(speeds[1] * exposure_s))
    for clock, told in zip(clocks, density[0], strict=True):
        mean = clock * np.array([1.0, 1.0, 0.0, 0.0])
        known = multivariate_normal.logpdf(values[used], mean[used], covariance[part])
        off = values[rest] - mean[rest] - gain @ (values[used] - mean[used])
        share = quad(norm.pdf, -exposure_s, 0.0, (off, sigma), points=[off], limit=200)[0]
        assert told == pytest.approx(scale + known + np.log(share), abs=1e-5)
