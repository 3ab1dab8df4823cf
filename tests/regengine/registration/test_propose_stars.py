"""Stars above the limb of a photo tell where it looked, read off the picture itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.trials.attempt import camera_of
from matchers.sky_camera import SkyCamera, matrix_quaternion
from regengine.lights.map import open_light_map
from regengine.orbit.position import choose_position
from regengine.orbit.rotation import icrs_to_itrf, turned_by_clock
from regengine.orbit.tle import load_tle_file
from regengine.photo.frame import FrameOptions, read_frame
from regengine.registration.preparation import prepare
from regengine.registration.propose_stars import read_sky
from regengine.registration.search import RegisterParams, Search
from regengine.sky.stars.catalogue import load_catalogue
from tests.kit.runs import ELEMENTS, LIGHTS, SAMPLES
from tests.kit.simulated import picture_of, sample_camera, write_png

LIMB = "ISS990-E-000106"


@pytest.fixture(scope="module")
def sky() -> SkyCamera:
    """Where the sample with a limb looks among the stars, through a lens that does not bend."""
    truth = camera_of(sample_camera(LIMB))
    clock_s = 2.0  # the camera's is slow by so much
    time_utc = read_frame(SAMPLES / f"{LIMB}.jpg").time_utc
    assert time_utc is not None
    turn = turned_by_clock(icrs_to_itrf(time_utc), clock_s)
    return SkyCamera(
        width_px=truth.width_px,
        height_px=truth.height_px,
        focal_px=truth.focal_px,
        principal_point=truth.principal_point,
        quaternion_icrs=matrix_quaternion(turn.T @ truth.matrix),
    )


def with_stars(sky: SkyCamera, faintest_g: float) -> NDArray[np.uint8]:
    """The sample with the catalogue's stars above its limb, as its camera shows them."""
    picture = picture_of(SAMPLES / f"{LIMB}.jpg").astype(float)
    catalogue = load_catalogue(faintest_g=faintest_g)
    x, y = sky.project(catalogue.vectors)
    seen = np.flatnonzero(sky.sees(x, y, margin_px=-6.0))
    for star in seen[sample_camera(LIMB).perigee_m(x[seen], y[seen]) > 0.0]:
        left, top = int(x[star]) - 4, int(y[star]) - 4
        rows, columns = np.mgrid[top : top + 10, left : left + 10]
        spot = np.exp(-0.5 * ((columns - x[star]) ** 2 + (rows - y[star]) ** 2) / 1.3**2)
        peak = 220.0 * 10.0 ** (-0.3 * max(catalogue.magnitude_g[star] - 3.0, 0.0))
        picture[top : top + 10, left : left + 10] += (peak * spot)[..., None]
    return np.asarray(np.clip(picture, 0.0, 255.0).round(), np.uint8)


def prepared(photo: Path) -> Search:
    options = FrameOptions(time_utc=read_frame(SAMPLES / f"{LIMB}.jpg").time_utc, focal_mm=28.0)
    frame = read_frame(photo, options=options)
    position = choose_position(frame, load_tle_file(ELEMENTS))
    return prepare(frame, position, open_light_map([LIGHTS]), RegisterParams())


def test_the_sky_above_the_limb_is_read(sky: SkyCamera, tmp_path: Path) -> None:
    """Real stars: the attitude among them is that of the camera, to an arc minute."""
    search = prepared(write_png(tmp_path / "starry.png", with_stars(sky, 6.5)))
    found = read_sky(search)
    assert found is not None
    assert found.stars >= 6
    middle = sky.width_px / 2.0, 0.08 * sky.height_px  # where the stars are
    off = np.cross(found.camera.to_sky(*middle), sky.to_sky(*middle))
    assert np.degrees(np.linalg.norm(off)) < 1.0 / 60.0
    assert found.camera.focal_px == pytest.approx(sky.focal_px, rel=0.01)
    # Without a time they tell nothing
    timeless = search.anew(frame=replace(search.frame, time_utc=None))
    assert read_sky(timeless) is None


@pytest.mark.slow
def test_stars_of_no_catalogue_tell_nothing(tmp_path: Path) -> None:
    search = prepared(write_png(tmp_path / "dark.png", picture_of(SAMPLES / f"{LIMB}.jpg")))
    assert search.limb is not None
    assert read_sky(search) is None
