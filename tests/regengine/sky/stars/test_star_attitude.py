"""What stars say of a camera over the Earth, with the aberration that astropy reckons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from matchers.geometry.sky_camera import SkyCamera, sky_vectors
from regengine.orbit import icrs_to_itrf
from regengine.sky.stars import attitude, catalogue
from regengine.sky.stars.solve import StarSolution

MOMENTS = [datetime(2012, 3, 28, 15, 46, tzinfo=UTC), datetime(2024, 9, 22, 3, tzinfo=UTC)]
ARC_SECOND = np.pi / 180.0 / 3600.0
CAMERA = SkyCamera(
    width_px=1200,
    height_px=800,
    focal_px=1500.0,
    principal_point=(610.0, 390.0),
    distortion=(0.02, 0.0, 0.001, 0.0, 0.0),
    quaternion_icrs=(0.0, 0.0, 0.0, 1.0),
)


@pytest.fixture(autouse=True)
def bundled_tables_only() -> Iterator[None]:
    from astropy.utils import iers

    with iers.conf.set_temp("auto_download", False):
        yield


def seen_from_the_earth(vectors: np.ndarray, moment: datetime) -> np.ndarray:
    """Astropy's apparent places, without the Earth's turn: GCRS of the geocentre."""
    import astropy.units as u
    from astropy.coordinates import (
        GCRS,
        ICRS,
        CartesianRepresentation,
        SkyCoord,
        UnitSphericalRepresentation,
    )
    from astropy.time import Time

    places = CartesianRepresentation(*np.atleast_2d(vectors).T)
    sky = SkyCoord(ICRS(places.represent_as(UnitSphericalRepresentation)))
    there = sky.transform_to(GCRS(obstime=Time(moment.replace(tzinfo=None), scale="utc")))
    return np.asarray(there.cartesian.xyz.to_value(u.one)).T


def directions(n: int = 200) -> np.ndarray:
    vectors = np.random.default_rng(3).normal(size=(n, 3))
    return vectors / np.linalg.norm(vectors, axis=1)[:, None]


@pytest.mark.parametrize("moment", MOMENTS)
def test_stars_stand_where_astropy_sees_them_from_the_moving_earth(moment: datetime) -> None:
    stars = directions()
    theirs = seen_from_the_earth(stars, moment)
    ours = catalogue.apparent_directions(stars, moment)
    assert np.linalg.norm(ours, axis=1) == pytest.approx(1.0, abs=1e-12)
    far_from_sun = np.linalg.norm(ours - theirs, axis=1) / ARC_SECOND
    assert np.quantile(far_from_sun, 0.95) < 0.05  # the Sun bends the light of those near it
    assert np.linalg.norm(stars - theirs, axis=1).max() / ARC_SECOND > 19.0


def solution_of(camera: SkyCamera, n: int = 25, rms_px: float = 0.3) -> StarSolution:
    """Stars all over a picture, where the camera has them."""
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 1199, n), rng.uniform(0, 799, n)
    return StarSolution(
        camera=camera,
        log10_odds=20.0,
        x=x,
        y=y,
        detection=np.arange(n),
        star=np.arange(n),
        vectors_icrs=camera.to_sky(x, y),
        magnitude_g=np.full(n, 4.0),
        residual_px=np.full((n, 2), rms_px),
        catalogue_epoch=2016.0,
    )


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_attitude_is_freed_of_the_turn_that_aberration_gives(
    moment: datetime, seed: int
) -> None:
    """A camera fitted to catalogued places looks where its stars only seem to stand."""
    turn = Rotation.random(random_state=seed)
    camera = replace(CAMERA, quaternion_icrs=tuple(turn.as_quat()))
    solution = solution_of(camera)
    found = attitude.make_attitude(solution, moment)
    middle = solution.vectors_icrs.mean(axis=0)
    middle /= np.linalg.norm(middle)
    # Of the true attitude the same pixel looks at the apparent place of the star
    x, y = camera.project(middle)
    apparent = seen_from_the_earth(middle, moment)[0]
    moved = found.camera.to_sky(x, y)
    assert np.linalg.norm(moved - apparent) / ARC_SECOND < 0.1
    assert np.linalg.norm(apparent - middle) / ARC_SECOND > 1.0
    # and nothing turns about that direction
    beside = Rotation.from_matrix(found.camera.matrix @ camera.matrix.T).as_rotvec()
    assert abs(beside @ middle) / ARC_SECOND < 0.1
    assert (found.camera.focal_px, found.camera.distortion) == (1500.0, CAMERA.distortion)
    assert (found.stars, found.time_utc) == (25, moment)


@pytest.mark.parametrize(
    ("n", "rms_px", "sigma_px"),
    [
        (25, 1.0, 0.6),  # three times the residual over the root of the stars
        (25, 0.5, 0.5),  # no better than half a pixel
        (2, 1.0, 3.0 / 3.0**0.5),  # few count as three
        (100, 20.0, 6.0),
    ],
)
def test_sigmas_are_of_the_stars_number_and_residual(
    n: int, rms_px: float, sigma_px: float
) -> None:
    found = attitude.make_attitude(solution_of(CAMERA, n, rms_px), MOMENTS[0])
    assert found.sigma_rad == pytest.approx(sigma_px / 1500.0)
    assert found.sigma_log_focal == pytest.approx(max(sigma_px / 1200.0, 0.001))


def test_over_the_earth_a_camera_looks_where_the_stars_say() -> None:
    moment = MOMENTS[0]
    camera = replace(CAMERA, quaternion_icrs=tuple(Rotation.random(random_state=5).as_quat()))
    told = attitude.StarAttitude(
        camera=camera, sigma_rad=1e-4, sigma_log_focal=1e-3, stars=9, time_utc=moment
    )
    rotation, place = icrs_to_itrf(moment), (6.7e6, 1e5, -2e5)
    found = attitude.place_over_earth(told, rotation, place)
    assert found.position_ecef_m == place
    x, y = np.array([0.0, 610.0, 1199.0]), np.array([799.0, 390.0, 20.0])
    ours = found.rays(x, y) @ found.matrix.T
    ours /= np.linalg.norm(ours, axis=1)[:, None]
    assert ours == pytest.approx(camera.to_sky(x, y) @ rotation.T, abs=1e-12)
    for name in ("width_px", "height_px", "focal_px", "principal_point", "distortion", "mirrored"):
        assert getattr(found, name) == getattr(camera, name)


def test_epochs_are_julian_years() -> None:
    from astropy.time import Time

    for moment in MOMENTS:
        theirs = Time(moment.replace(tzinfo=None), scale="utc").jyear
        assert catalogue.julian_year(moment) == pytest.approx(theirs, abs=1e-5)


def test_only_named_stars_move_and_by_their_proper_motion() -> None:
    """Arcturus: -1.0934, -1.9994 arc seconds a year (Hipparcos)."""
    at_2016 = catalogue.load_catalogue(faintest_g=5.0)
    at_1991 = catalogue.load_catalogue(faintest_g=5.0, epoch_year=1991.25)
    moved = np.linalg.norm(at_2016.vectors - at_1991.vectors, axis=1)
    assert np.linalg.norm(at_1991.vectors, axis=1) == pytest.approx(1.0, abs=1e-12)
    assert 60 < np.count_nonzero(moved > 1e-12) <= len(catalogue.star_names())
    arcturus = sky_vectors(213.915300, 19.182409)  # J2000
    star = int(np.argmax(at_2016.vectors @ arcturus))
    speed = moved[star] / ARC_SECOND / (2016.0 - 1991.25)
    assert speed == pytest.approx(np.hypot(1.0934, 1.9994), rel=0.02)
    north = at_2016.vectors[star, 2] - at_1991.vectors[star, 2]
    assert north < 0.0
    assert at_1991.epoch_year == 1991.25
    for magnitude in (-1.0, 0.0, 3.3, 5.0):
        brighter = int((at_2016.magnitude_g < magnitude).sum())
        assert at_2016.brighter_than(magnitude) == brighter
