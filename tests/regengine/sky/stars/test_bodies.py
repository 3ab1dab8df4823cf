"""The Moon and the planets in a frame, its record and its picture, against astropy."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from detectors.types import StarDetections
from matchers.sky_camera import SkyCamera, matrix_quaternion
from regengine.orbit.propagation import camera_position
from regengine.orbit.rotation import icrs_to_itrf
from regengine.orbit.tle import load_tle_file
from regengine.photo.frame import FrameOptions, read_frame
from regengine.sky.detection.kinds import STARS
from regengine.sky.stars.bodies import Body, bodies_in_frame, sky_bodies
from regengine.sky.stars.catalogue import load_catalogue
from regengine.sky.stars.overlay import draw_solution
from regengine.sky.stars.photo import SolvedPhoto, SolveJob, record_of
from regengine.sky.stars.solve import SolveOptions, StarSolution

ARC_SECOND = np.pi / 648000.0
PLACE = np.array([4.2e6, 3.1e6, 4.3e6])  # 420 km above the ground
MOMENTS = [datetime(2003, 1, 17, 15, 46, tzinfo=UTC), datetime(2024, 11, 17, 3, 2, tzinfo=UTC)]
# Of astropy's built-in ephemeris: ERFA's plan94 and moon98, whose own accuracy this is
BUILTIN_ARC_SECONDS = {"Moon": 10.0, "Mercury": 3.0, "Venus": 3.0, "Mars": 15.0, "Jupiter": 25.0}


@pytest.fixture(autouse=True)
def bundled_tables_only() -> Iterator[None]:
    from astropy.utils import iers

    with iers.conf.set_temp("auto_download", False):
        yield


def body(name: str, moment: datetime, place: np.ndarray | None = PLACE) -> Body:
    return next(b for b in sky_bodies(moment, place) if b.name == name)


@pytest.mark.parametrize("name", BUILTIN_ARC_SECONDS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_directions_from_orbit_are_astropys(name: str, moment: datetime) -> None:
    """From the camera, with the time that light takes."""
    import astropy.units as u
    from astropy.coordinates import get_body_barycentric
    from astropy.time import Time

    time = Time(moment.replace(tzinfo=None), scale="utc")

    def barycentric_km(which: str, late_s: float) -> np.ndarray:
        place = get_body_barycentric(which, time - late_s * u.s, ephemeris="builtin")
        return np.asarray(place.xyz.to_value(u.km))

    eye = barycentric_km("earth", 0.0) + icrs_to_itrf(moment).T @ PLACE / 1e3
    late_s = 0.0
    for _ in range(4):
        sight = barycentric_km(name.lower(), late_s) - eye
        late_s = float(np.linalg.norm(sight)) / 299792.458
    sight /= np.linalg.norm(sight)
    off = np.linalg.norm(np.cross(sight, body(name, moment).direction_icrs)) / ARC_SECOND
    assert off < BUILTIN_ARC_SECONDS[name]


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_moons_phase_is_that_of_its_elongation(moment: datetime) -> None:
    """Meeus, chapter 48: from the directions of Sun and Moon and their distances."""
    import astropy.units as u
    from astropy.coordinates import GCRS, SkyCoord, get_body
    from astropy.time import Time

    time = Time(moment.replace(tzinfo=None), scale="utc")
    sun, moon = (get_body(which, time, ephemeris="builtin") for which in ("sun", "moon"))
    apart = sun.separation(moon, origin_mismatch="ignore").rad
    phase = np.arctan2(
        sun.distance.to_value(u.km) * np.sin(apart),
        moon.distance.to_value(u.km) - sun.distance.to_value(u.km) * np.cos(apart),
    )
    seen = body("Moon", moment, None)
    assert seen.illumination == pytest.approx(0.5 * (1.0 + np.cos(phase)), abs=2e-3)
    here = SkyCoord(moon.ra, moon.dec, frame=GCRS(obstime=time))
    there = SkyCoord(sun.ra, sun.dec, frame=GCRS(obstime=time))
    angle = here.position_angle(there).deg
    assert (seen.bright_limb_deg - angle + 180.0) % 360.0 - 180.0 == pytest.approx(0.0, abs=0.3)


def test_published_phases_of_the_moon() -> None:
    """New, first quarter, full, last quarter of January 2012 (US Naval Observatory)."""
    quarters = [(1, 6, 15), (9, 7, 30), (16, 9, 8), (23, 7, 39)]
    lit = [
        body("Moon", datetime(2012, 1, day, hour, minute, tzinfo=UTC), None)
        for day, hour, minute in quarters
    ]
    assert [m.illumination for m in lit] == pytest.approx([0.5, 1.0, 0.5, 0.0], abs=0.01)
    # The growing Moon is lit from the west, the shrinking one from the east
    assert 180.0 < lit[0].bright_limb_deg < 360.0
    assert 0.0 < lit[2].bright_limb_deg < 180.0


def test_the_moon_is_a_degree_elsewhere_for_the_station() -> None:
    near, far = body("Moon", MOMENTS[0]), body("Moon", MOMENTS[0], None)
    cosine = float(np.dot(near.direction_icrs, far.direction_icrs))
    apart = np.degrees(np.arccos(min(1.0, cosine)))
    assert 0.1 < apart < far.sigma_deg
    assert near.sigma_deg < 0.01


def looking_at(
    direction: np.ndarray,
    *,
    mirrored: bool = False,
    focal_px: float = 900.0,
    size: tuple[int, int] = (1000, 700),
) -> SkyCamera:
    side = np.cross(direction, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side)
    axes = np.stack([side, np.cross(direction, side), direction], axis=1)
    axes = axes @ Rotation.from_euler("Z", 30.0, degrees=True).as_matrix()
    return SkyCamera(
        width_px=size[0],
        height_px=size[1],
        focal_px=focal_px,
        principal_point=((size[0] - 1) / 2.0, (size[1] - 1) / 2.0),
        quaternion_icrs=matrix_quaternion(axes),
        mirrored=mirrored,
    )


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_moon_is_where_the_camera_looks(mirrored: bool) -> None:
    moon = np.array(body("Moon", MOMENTS[0]).direction_icrs)
    camera = looking_at(moon, mirrored=mirrored)
    found = {f.body.name: f for f in bodies_in_frame(camera, MOMENTS[0], PLACE)}["Moon"]
    assert (found.x, found.y) == pytest.approx((499.5, 349.5), abs=1e-3)
    assert found.radius_px == pytest.approx(900.0 * np.tan(np.radians(0.2613)), rel=1e-3)
    # Its lit limb points to the Sun: a degree that way is a degree nearer to it
    angle = np.radians(found.bright_limb_image_deg)
    ahead = camera.to_sky(found.x + 5.0 * np.cos(angle), found.y + 5.0 * np.sin(angle))
    sun = body("Moon", MOMENTS[0]).towards_sun_icrs
    step = ahead - moon
    assert step @ np.array(sun) / np.linalg.norm(step) > 0.999
    line = json.dumps(found.record())
    assert json.loads(line)["name"] == "Moon"


def test_bodies_outside_the_frame_and_too_faint_ones_are_left_out() -> None:
    neptune = np.array(body("Neptune", MOMENTS[0]).direction_icrs)
    camera = looking_at(neptune)
    names = {f.body.name for f in bodies_in_frame(camera, MOMENTS[0], PLACE, faintest_mag=8.5)}
    assert "Neptune" in names
    usual = bodies_in_frame(camera, MOMENTS[0], PLACE)
    assert "Neptune" not in {f.body.name for f in usual}
    pole = np.array([0.05, 0.0, np.sqrt(1.0 - 0.05**2)])
    assert bodies_in_frame(looking_at(pole), MOMENTS[0], PLACE, faintest_mag=9.0) == ()


TIME = datetime(2020, 3, 10, 12, 0, tzinfo=UTC)
WIDTH, HEIGHT = 640, 480
MOON = next(one for one in sky_bodies(TIME) if one.name == "Moon")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "sky.png"
    cv2.imwrite(str(path), np.full((HEIGHT, WIDTH), 10, np.uint8))
    return path


def solved_moon(photo: Path, time_utc: datetime | None = TIME) -> SolvedPhoto:
    none = np.zeros(0)
    solution = StarSolution(
        camera=looking_at(np.array(MOON.direction_icrs), focal_px=2000.0, size=(WIDTH, HEIGHT)),
        log10_odds=30.0,
        x=none,
        y=none,
        detection=np.zeros(0, np.intp),
        star=np.zeros(0, np.intp),
        vectors_icrs=np.zeros((0, 3)),
        magnitude_g=np.array([6.0]),
        residual_px=np.zeros((1, 2)),
        catalogue_epoch=2016.0,
    )
    frame = replace(read_frame(photo), time_utc=time_utc)
    return SolvedPhoto(frame=frame, stars=StarDetections.empty(), outcome=solution, seconds=0.1)


def test_the_record_has_the_moon_and_how_well_its_place_is_known(photo: Path) -> None:
    assert record_of(solved_moon(photo, None))["bodies"] is None  # without a time
    (moon,) = (one for one in record_of(solved_moon(photo))["bodies"] if one["name"] == "Moon")
    assert moon["sigma_deg"] == pytest.approx(1.1)  # seen from the Earth's centre
    assert math.hypot(moon["x"] - WIDTH / 2, moon["y"] - HEIGHT / 2) < 2.0


def test_from_the_station_the_moon_stands_elsewhere(photo: Path) -> None:
    samples = Path(__file__).resolve().parents[4] / "data_samples" / "tle.txt"
    tles = load_tle_file(samples)
    moment = tles[0].epoch_utc
    job = SolveJob(
        detector=STARS.detector(),
        frame_options=FrameOptions(),
        options=SolveOptions(),
        tles=tles,
    )
    frame = replace(read_frame(photo), time_utc=moment)
    position = job._position(frame)
    assert position is not None
    np.testing.assert_allclose(position, camera_position(tles, moment).position_ecef_m)
    assert job._position(replace(frame, time_utc=None)) is None
    # A hundred years from every element set: the Earth's centre has to do
    assert job._position(replace(frame, time_utc=TIME.replace(year=1957))) is None


def test_the_moon_is_drawn_where_it_is_and_as_large(photo: Path, tmp_path: Path) -> None:
    one = solved_moon(photo)
    assert isinstance(one.outcome, StarSolution)
    target = tmp_path / "drawn.png"
    bodies = bodies_in_frame(one.outcome.camera, TIME)
    catalogue = load_catalogue(faintest_g=4.0)
    plain = tmp_path / "plain.png"
    draw_solution(photo, one.stars, one.outcome, catalogue, plain)
    draw_solution(photo, one.stars, one.outcome, catalogue, target, bodies=bodies)
    drawn, before = cv2.imread(str(target)).astype(int), cv2.imread(str(plain)).astype(int)
    rows, columns = np.nonzero(np.abs(drawn - before).max(axis=2))
    scale = drawn.shape[1] / WIDTH
    radius = next(b.radius_px for b in bodies if b.body.name == "Moon") * scale
    gaps = np.hypot(columns - drawn.shape[1] / 2, rows - drawn.shape[0] / 2)
    assert np.sum(np.abs(gaps - radius) < 3.0) > 3.0 * radius
