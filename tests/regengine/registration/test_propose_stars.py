"""Photographs whose stars tell the attitude: towns below the limb, the time unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.simulate.camera import Pointing, wgs84
from detectors.limb import Limb
from matchers.sky_camera import SkyCamera, matrix_quaternion
from regengine.orbit.propagation import CameraPosition, position_from_elements
from regengine.orbit.rotation import icrs_to_itrf, turned_by_clock
from regengine.photo.frame import Frame
from regengine.photo.image import read_linear_light
from regengine.registration.acceptance import is_conclusive
from regengine.registration.lens_prior import SIGMA_LOG_FOCAL
from regengine.registration.preparation import limb_of_photo, nominal_camera, prepare
from regengine.registration.propose_stars import (
    angle_deg,
    down_of,
    lens_options,
    limb_surprise,
    nadir_through,
    read_sky,
    star_places,
)
from regengine.registration.register import register_frame, search_frame
from regengine.registration.search import RegisterParams, Search, SearchAids
from regengine.registration.tracks import tracks_for
from regengine.sky.stars.attitude import StarAttitude, over_the_earth
from regengine.sky.stars.catalogue import load_catalogue
from tests.regengine.registration.made_search import made_search
from tests.regengine.registration.orbits_overhead import overhead, vantage_at
from tests.regengine.registration.simulated_frames import (
    MAP_PIXEL_M,
    PLAIN,
    TIME,
    Shot,
    camera_miss_m,
    light_map,
    shoot_from,
    write,
)

Taken = tuple[Shot, Frame, CameraPosition]  # and where the satellite was by the camera's clock
CLOCK_S = 40.0  # the camera's clock is slow by this: 295 km, and ten arc minutes of sky


@pytest.fixture(scope="module")
def limb_shot(tmp_path_factory: pytest.TempPathFactory) -> Taken:
    """Towns below the limb, by a slow clock."""
    folder = tmp_path_factory.mktemp("limb")
    elements = overhead(folder, (PLAIN[0] - 7.5, PLAIN[1] - 1.0), 0.3)
    truth = position_from_elements(elements, TIME + timedelta(seconds=CLOCK_S))
    vantage = vantage_at(truth)
    lon, lat, _ = vantage.nadir()
    azimuth = wgs84().inv(lon, lat, *PLAIN)[0]
    shot = shoot_from(vantage, Pointing(off_nadir_deg=62.0, azimuth_deg=azimuth, roll_deg=8.0))
    return shot, write(shot, folder / "limb.png"), position_from_elements(elements, TIME)


def attitude_in(shot: Shot, *, clock_s: float = CLOCK_S, mirrored: bool = False) -> StarAttitude:
    """What stars would say of a shot, the photo's clock being slow."""
    camera = shot.camera
    rotation = turned_by_clock(icrs_to_itrf(TIME), clock_s)
    sky = SkyCamera(
        width_px=camera.width_px,
        height_px=camera.height_px,
        focal_px=camera.focal_px,
        principal_point=(camera.principal_x, camera.principal_y),
        quaternion_icrs=matrix_quaternion(rotation.T @ camera.axes),
        mirrored=mirrored,
    )
    return StarAttitude(camera=sky, sigma_rad=1e-4, sigma_log_focal=1e-3, stars=20, time_utc=TIME)


def limb_of(frame: Frame, position: CameraPosition) -> Limb:
    stored, _ = nominal_camera(frame, position)
    light = read_linear_light(frame.path, max_long_side_px=480)
    limb = limb_of_photo(light, stored, True, position.altitude_km)
    assert limb is not None
    return limb


def with_stars_alone(
    frame: Frame, position: CameraPosition, attitude: StarAttitude | None
) -> Search:
    """A search to which nothing but the stars proposes cameras."""
    parameters = RegisterParams(max_seconds=120.0, methods=())
    return search_frame(
        frame, position, light_map(), parameters, SearchAids(sky=lambda _: attitude)
    )


def test_stars_alone_find_place_and_clock(limb_shot: Taken) -> None:
    shot, frame, position = limb_shot
    parameters = RegisterParams(max_seconds=120.0, methods=())
    result = register_frame(
        frame,
        position,
        light_map(),  # type: ignore[arg-type]
        parameters,
        SearchAids(sky=lambda _: attitude_in(shot)),
    )
    assert result.verdict == "accepted"
    assert np.median(camera_miss_m(shot, result)) < 1.5 * MAP_PIXEL_M
    assert result.solved.along_track_offset_s == pytest.approx(CLOCK_S, abs=1.0)
    assert dict(result.sources)["attitude"] == "20 stars"
    nothing = search_frame(frame, position, light_map(), parameters)
    assert nothing.best is None


def with_stars(shot: Shot, sky: SkyCamera, faintest_g: float) -> NDArray[np.uint8]:
    """The picture of a shot with the catalogue's stars above its limb, as the camera shows them."""
    picture = shot.picture.astype(float)
    catalogue = load_catalogue(faintest_g=faintest_g)
    x, y = sky.project(catalogue.vectors)
    seen = np.flatnonzero(sky.sees(x, y, margin_px=-4.0))
    high = shot.camera.perigee_m(x[seen], y[seen]) > 0.0
    for star in seen[high]:
        left, top = int(x[star]) - 3, int(y[star]) - 3
        rows, columns = np.mgrid[top : top + 8, left : left + 8]
        spot = np.exp(-0.5 * ((columns - x[star]) ** 2 + (rows - y[star]) ** 2) / 1.1**2)
        peak = 220.0 * 10.0 ** (-0.3 * max(catalogue.magnitude_g[star] - 3.0, 0.0))
        picture[top : top + 8, left : left + 8] += (peak * spot)[..., None]
    return np.asarray(np.clip(picture, 0.0, 255.0).round(), np.uint8)


def test_the_sky_above_the_limb_is_read(limb_shot: Taken, tmp_path: Path) -> None:
    """Real stars: the attitude among them is that of the camera, to an arc minute."""
    shot, _, position = limb_shot
    true = attitude_in(shot).camera
    starry = replace(shot, picture=with_stars(shot, true, 6.5))
    frame = write(starry, tmp_path / "starry.png")
    parameters = RegisterParams(max_seconds=120.0)
    found = read_sky(prepare(frame, position, light_map(), parameters))
    assert found is not None
    assert found.stars >= 6
    middle = (true.width_px / 2.0, 0.1 * true.height_px)  # where the stars are
    off = np.cross(found.camera.to_sky(*middle), true.to_sky(*middle))
    assert np.degrees(np.linalg.norm(off)) < 1.0 / 60.0
    assert found.camera.focal_px == pytest.approx(true.focal_px, rel=0.01)
    # Without a time they tell nothing, and the sky of another picture has none
    timeless = prepare(replace(frame, time_utc=None), position, light_map(), parameters)
    assert read_sky(timeless) is None


def test_a_sky_without_stars_tells_nothing(limb_shot: Taken) -> None:
    _, frame, position = limb_shot
    search = prepare(frame, position, light_map(), RegisterParams(max_seconds=120.0))
    assert search.limb is not None
    assert read_sky(search) is None


@pytest.mark.parametrize("known", [True, False])
def test_an_unknown_lens_is_as_long_as_the_limb_says(limb_shot: Taken, known: bool) -> None:
    shot, frame, position = limb_shot
    limb = limb_of(frame, position)
    search = made_search(nominal_camera(frame, position)[0], focal_known=known, limb=limb)
    options = lens_options(search, limb)
    assert options.focal_only
    assert options.focal_px == pytest.approx(shot.camera.focal_px, rel=0.03 if known else 0.15)
    assert options.log_focal_sigma >= (SIGMA_LOG_FOCAL if known else limb.focal_ratio_sigma)


def test_a_wrong_attitude_proves_nothing(limb_shot: Taken) -> None:
    """Stars three degrees off, as of another frame: the evidence is asked as of all others."""
    shot, frame, position = limb_shot
    true = attitude_in(shot)
    off = turned_by_clock(np.eye(3), 720.0)  # 3 degrees
    camera = replace(true.camera, quaternion_icrs=matrix_quaternion(off @ true.camera.matrix))
    search = with_stars_alone(frame, position, replace(true, camera=camera))
    assert not search.conclusive


def test_frames_without_a_solved_sky_are_searched_as_before(limb_shot: Taken) -> None:
    _, frame, position = limb_shot
    parameters = RegisterParams(max_seconds=120.0, methods=("dense",))
    plain = register_frame(frame, position, light_map(), parameters)  # type: ignore[arg-type]
    asked = register_frame(
        frame,
        position,
        light_map(),  # type: ignore[arg-type]
        parameters,
        SearchAids(sky=lambda _: None),
    )
    assert asked == plain


def test_a_sky_is_asked_for_only_where_there_is_a_limb(near_nadir) -> None:
    def asked(*_: object) -> None:
        raise AssertionError("there is no sky in this picture")

    parameters = RegisterParams(clock_window_s=20.0, max_seconds=120.0)
    search = search_frame(
        near_nadir.frame, near_nadir.position, light_map(), parameters, SearchAids(sky=asked)
    )
    assert search.attitude is None


def test_stars_and_limb_tell_the_place(limb_shot: Taken) -> None:
    shot, frame, position = limb_shot
    limb = limb_of(frame, position)
    places = star_places(attitude_in(shot), tracks_for(position, None), limb)
    apart_km = [
        float(np.linalg.norm(np.subtract(p.camera.position_ecef_m, shot.camera.position_ecef_m)))
        / 1e3
        for p in places
    ]
    # A place 30 km apart from the next; the limb is good to some tenths of a degree
    assert min(apart_km[:5]) < 20.0
    assert max(apart_km) < 600.0
    assert len(places) < 60


def test_the_nadir_is_read_through_the_stars_lens(limb_shot: Taken) -> None:
    """A nominal focal length that is 6 % off turns the nadir; the true lens turns it back."""
    shot, frame, position = limb_shot
    light = read_linear_light(frame.path, max_long_side_px=480)
    stored, _ = nominal_camera(frame, position)
    wrong = replace(stored, focal_px=1.06 * stored.focal_px)
    limb = limb_of_photo(light, wrong, True, position.altitude_km)
    attitude = attitude_in(shot)
    rotation = turned_by_clock(icrs_to_itrf(TIME), CLOCK_S)
    x, y, z = shot.camera.position_ecef_m.tolist()
    true = down_of(over_the_earth(attitude, rotation, (x, y, z)))
    through = nadir_through(limb, attitude.camera)
    assert angle_deg(through, true) < 0.4
    assert angle_deg(through, true) < angle_deg(limb.nadir, true)
    mirrored = attitude_in(shot, mirrored=True)
    flipped = nadir_through(limb, mirrored.camera) * np.array([-1.0, 1.0, 1.0])
    assert angle_deg(flipped, through) < 0.05


def test_a_limb_speaks_against_other_nadirs(limb_shot: Taken) -> None:
    _, frame, position = limb_shot
    limb = limb_of(frame, position)
    near = limb_surprise(limb, limb.nadir, limb.nadir)
    turns = [np.cross([0.3, 1.0, 0.2], limb.nadir) * np.radians(d) for d in (1.0, 3.0, 8.0)]
    others = [limb.nadir + turn for turn in turns]
    surprises = [limb_surprise(limb, limb.nadir, o / np.linalg.norm(o)) for o in others]
    assert near < surprises[0] < surprises[1] < surprises[2]
    # The other layer may have been taken for it: that is unlikely, not impossible
    assert surprises[1] - near < 8.0


def test_stars_stand_in_for_the_test_of_a_fit(near_nadir) -> None:
    """The place must be as probable as any."""
    sure = {"town_log10_odds": 0.0, "patch_log10_odds": 0.0, "picture_log10_odds": 60.0}
    evidence = replace(near_nadir.best.evidence, **sure)
    assert not is_conclusive(evidence)
    assert is_conclusive(evidence, pinned=True)
    assert not is_conclusive(replace(evidence, picture_log10_odds=0.0), pinned=True)
