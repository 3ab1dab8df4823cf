"""One look: candidates near the truth, and which of them are the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matchers.camera import Camera
from matchers.dense import DenseParameters
from matchers.light_grid import pyramid
from matchers.photo_light import LightImage
from matchers.pose import turned
from regengine.registration.candidates import (
    SAME_SHARE,
    Candidate,
    CoarseView,
    Look,
    field_share,
    merged,
    same_view,
    slant_km,
    unmirrored,
)
from regengine.registration.propose_dense import best_peaks
from tests.matchers.lamp_world import (
    LampWorld,
    Levels,
    angle_between_deg,
    camera_over,
    light_grid,
    log_picture,
    prior_of,
    town_lamps,
)
from tests.regengine.registration.made_search import made_search

PARAMETERS = DenseParameters(template_px=48)


@pytest.fixture(scope="module")
def lamps() -> LampWorld:
    return town_lamps(5, -2.0, 34.0, 26.0, 53.0, towns=3000, lamps_per_town=20, radius_km=5.0)


@pytest.fixture(scope="module")
def levels(lamps: LampWorld) -> Levels:
    return pyramid(light_grid(lamps, -2.0, 34.0, 26.0, 53.0, 0.03), 5)


def look_from(camera: Camera, *, mirrored: bool = False, scale: float = 1.0) -> Look:
    focal_px = camera.focal_px * scale
    prior = prior_of(camera, sigma_along_m=20e3, sigma_up_m=1e3, focal_px=focal_px)
    return Look(
        offset_km=0.0,
        scale=scale,
        mirrored=mirrored,
        prior=prior,
        speed_km_s=7.66,
        off_nadir_deg=(0.0, 40.0),
    )


def photo_of(true: Camera, lamps: LampWorld) -> LightImage:
    """A picture of 192 x 128 pixels of a camera for stored pixels twice as small."""
    small = true.scaled(0.5, 192, 128)
    values = log_picture(small, lamps)
    return LightImage(values=values, weight=np.ones_like(values), factor=0.5)


def true_camera(**changes: float | bool) -> Camera:
    given = {"off_nadir": 15.0, "azimuth": 70.0, "roll": -35.0, **changes}
    return camera_over(12.0, 43.5, width=384, height=256, focal_px=720.0, **given)  # type: ignore[arg-type]


def looked(levels: Levels, coarse: LightImage, stored: Camera, look: Look) -> list[Candidate]:
    """What a look by pictures finds."""
    picture = unmirrored(coarse, look.mirrored)
    view = CoarseView(stored=stored, picture=picture, levels=levels, parameters=PARAMETERS)
    return best_peaks(made_search(stored), view, look)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_look_finds_the_camera(lamps: LampWorld, levels: Levels, mirrored: bool) -> None:
    true = true_camera(mirrored=mirrored)
    coarse = photo_of(true, lamps).resized(48, detail_px=PARAMETERS.detail_px)
    blank = replace(true, quaternion=(0.0, 0.0, 0.0, 1.0), mirrored=False)
    found = looked(levels, coarse, blank, look_from(true, mirrored=mirrored))
    assert [c.ncc for c in found] == sorted((c.ncc for c in found), reverse=True)
    best = found[0].camera
    assert best.mirrored == mirrored
    assert (best.width_px, best.height_px) == (384, 256)
    assert same_view(best, true, 0.02)
    # A slide along the track of one sigma, 20 km, is made up for by a tilt of 3 degrees
    assert angle_between_deg(best, true) < 4.0
    assert all(other.ncc < found[0].ncc - 0.1 for other in found[1:])


def test_a_look_at_the_wrong_scale_finds_less(lamps: LampWorld, levels: Levels) -> None:
    """The stored picture is a crop: its focal length is 1.3 times the nominal one."""
    true = true_camera()
    coarse = photo_of(true, lamps).resized(48, detail_px=PARAMETERS.detail_px)
    nominal = replace(true, focal_px=true.focal_px / 1.3, quaternion=(0.0, 0.0, 0.0, 1.0))
    right, wrong = (
        looked(levels, coarse, nominal, look_from(nominal, scale=scale))[0] for scale in (1.25, 0.8)
    )
    assert right.camera.focal_px == pytest.approx(true.focal_px, rel=0.03)
    assert same_view(right.camera, true, 0.04)
    assert right.ncc > wrong.ncc + 0.1


def test_the_same_view_moves_little() -> None:
    camera = true_camera()
    long_side = 384
    assert same_view(camera, camera, 0.08)
    slightly = turned(camera, [0.0, 0.04 * long_side / camera.focal_px, 0.0])
    clearly = turned(camera, [0.0, 0.16 * long_side / camera.focal_px, 0.0])
    assert same_view(camera, slightly, 0.08)
    assert not same_view(camera, clearly, 0.08)
    assert not same_view(camera, replace(camera, mirrored=True), 0.08)
    rolled = turned(camera, [0.0, 0.0, np.pi])
    assert not same_view(camera, rolled, 0.08)


def test_a_view_is_the_same_from_a_place_nearby_that_shows_the_same_ground() -> None:
    """Moved along the track and turned back: the ground stays where it is in the picture."""
    camera = true_camera()
    ground = camera.pixel_to_ecef(191.5, 127.5)
    for km, same in ((20.0, True), (400.0, False)):
        x, y, z = (np.asarray(camera.position_ecef_m) + km * 1e3 * camera.matrix[:, 0]).tolist()
        moved = replace(camera, position_ecef_m=(x, y, z))
        px, _ = moved.ecef_to_pixel(ground)
        angle = np.arctan((px - 191.5) / camera.focal_px)
        back = turned(moved, [0.0, float(angle), 0.0])
        assert float(back.ecef_to_pixel(ground)[0]) == pytest.approx(191.5, abs=2.0)
        assert same_view(camera, back, 0.08) is same


def test_a_view_of_the_sky_is_like_none() -> None:
    sky = camera_over(12.0, 43.5, off_nadir=150.0)
    assert not same_view(sky, sky, 0.08)


def plainly_the_same(a: Camera, b: Camera, share: float) -> bool:
    """Whether most places that see ground, a tenth to nine tenths along the sides, stay near."""
    evenly = np.linspace(0.1, 0.9, 5)
    x, y = np.meshgrid(evenly * a.width_px, evenly * a.height_px)
    ground = a.pixel_to_ecef(x, y)
    seen = np.isfinite(ground[..., 0])
    at_x, at_y = b.ecef_to_pixel(ground[seen])
    moved = np.nan_to_num(np.hypot(at_x - x[seen], at_y - y[seen]), nan=np.inf)
    return bool(2 * (moved < share * a.width_px).sum() > seen.sum())


@pytest.mark.parametrize("off_nadir", [10.0, 60.0, 68.0, 75.0])
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_compiled_comparison_of_views_is_the_plain_one(
    off_nadir: float, mirrored: bool
) -> None:
    """Of lenses that bend, beyond the limb for a part or for the most, and from behind."""
    rng = np.random.default_rng(0)
    camera = replace(
        camera_over(12.0, 43.5, off_nadir=off_nadir),
        distortion=(-0.2, 0.05, 1e-3, -2e-3, 0.01),
        mirrored=mirrored,
    )
    said = []
    for turn_rad in rng.choice([0.005, 0.05, 0.15, 2.0], 300):
        x, y, z = camera.position_ecef_m + rng.normal(0.0, 1e4, 3)
        other = turned(replace(camera, position_ecef_m=(x, y, z)), rng.normal(0.0, turn_rad, 3))
        for a, b in ((camera, other), (other, camera)):
            said.append(same_view(a, b, 0.08))
            assert said[-1] == plainly_the_same(a, b, 0.08)
    assert 0.05 < np.mean(said) < 0.95


def test_flat_pictures_of_one_view_stay_as_seen_from_each_place() -> None:
    camera = camera_over(12.0, 43.5, width=1000, height=667, focal_px=11_000.0)
    here = Candidate(camera=camera, ncc=0.5, look=replace(look_from(camera), flat=True))
    beside = replace(here, ncc=0.6, look=replace(here.look, offset_km=200.0))
    again = replace(here, ncc=0.4)
    assert merged([here], [beside, again]) == [beside, here]
    sharp = [replace(c, look=replace(c.look, flat=False)) for c in (here, beside)]
    assert merged(sharp[:1], sharp[1:]) == sharp[1:]


def test_of_candidates_that_are_the_same_view_the_best_stays() -> None:
    camera = true_camera()
    look = look_from(camera)

    def candidate(angle: float, ncc: float) -> Candidate:
        return Candidate(camera=turned(camera, [0.0, angle, 0.0]), ncc=ncc, look=look)

    first = merged([], [candidate(0.0, 0.5), candidate(0.3, 0.4), candidate(0.305, 0.3)])
    assert [c.ncc for c in first] == [0.5, 0.4]
    second = merged(first, [candidate(0.005, 0.6), candidate(-0.3, 0.7), candidate(0.302, 0.2)])
    assert [c.ncc for c in second] == [0.7, 0.6, 0.4]
    assert merged(second, []) == second


def with_lens(focal_mm: float, height_m: float = 410e3) -> Camera:
    return camera_over(
        5.0, 45.0, height_m, width=3600, height=2400, focal_px=focal_mm / 36.0 * 3600
    )


@pytest.mark.parametrize("focal_mm", [16.0, 28.0, 50.0, 80.0])
def test_a_wide_field_says_all(focal_mm: float) -> None:
    """410 km above the ground, 36 mm of sensor behind 82 mm show 180 km."""
    assert field_share(with_lens(focal_mm)) == 1.0
    assert field_share(with_lens(400.0)) == pytest.approx((36.9 / 180.0) ** 0.5, rel=0.02)
    assert field_share(with_lens(400.0, 200e3)) < field_share(with_lens(400.0))
    # The sensor counts as a whole: a stored copy half as large shows as much
    assert field_share(with_lens(400.0).scaled(0.5, 1800, 1200)) == field_share(with_lens(400.0))


def test_candidates_of_different_lenses_are_ordered_by_what_they_are_worth() -> None:
    """0.6 at 400 mm is chance, 0.4 at 50 mm is not; twins are held against each other so, too."""
    look = look_from(true_camera())
    tele = Candidate(camera=with_lens(400.0), ncc=0.6, look=look)
    wide = Candidate(camera=turned(with_lens(50.0), [0.0, 0.9, 0.0]), ncc=0.4, look=look)
    assert tele.score == pytest.approx(0.6 * field_share(tele.camera))
    assert wide.score == 0.4
    assert merged([tele], [wide]) == [wide, tele]
    twin = replace(
        tele, ncc=0.61, camera=replace(tele.camera, focal_px=1.05 * tele.camera.focal_px)
    )
    assert same_view(twin.camera, tele.camera, SAME_SHARE)
    assert twin.score < tele.score
    assert merged([wide, tele], [twin]) == [wide, tele]


def test_cameras_of_several_looks_are_aligned_each_by_its_own(
    lamps: LampWorld, levels: Levels
) -> None:
    """The right one is found from 20 px aside; what ends in the same place is told once."""
    true = true_camera()
    picture = photo_of(true, lamps).resized(96, detail_px=PARAMETERS.detail_px)
    small = picture.camera(true)
    aside = turned(small, [0.0, 2.0 / small.focal_px, 0.0])
    wrong = turned(small, [0.0, 0.0, 2.0])
    nominal, longer = look_from(true), look_from(true, scale=1.02)
    view = CoarseView(stored=true, picture=picture, levels=levels, parameters=PARAMETERS)
    found = view.aligned([wrong, aside, small], [nominal, longer, nominal])
    assert [c.score for c in found] == sorted((c.score for c in found), reverse=True)
    assert len(found) == 2
    assert found[0].look is longer
    assert same_view(found[0].camera, true, 0.02)
    assert (found[0].camera.width_px, found[0].camera.height_px) == (384, 256)
    assert found[1].look is nominal
    assert found[0].ncc > found[1].ncc + 0.3
    assert view.aligned([], []) == []
    with pytest.raises(ValueError):
        view.aligned([small], [])


@given(height=st.floats(350e3, 430e3), off_nadir=st.floats(0.0, 65.0))
def test_the_field_is_measured_where_the_ground_is(height: float, off_nadir: float) -> None:
    """As the ellipsoid has it, to what a sphere leaves of it."""
    camera = camera_over(
        0.0, 0.0, height, off_nadir=off_nadir, width=1000, height=667, focal_px=11e3
    )
    ground = camera.pixel_to_ecef(499.5, 333.0)
    distance_km = float(np.linalg.norm(ground - np.asarray(camera.position_ecef_m))) / 1e3
    assert slant_km(camera) == pytest.approx(distance_km, rel=0.06)


def test_beyond_the_horizon_the_field_is_the_horizons() -> None:
    camera = camera_over(0.0, 0.0, 410e3, off_nadir=80.0)
    radius_km = 6378.137 + 410.0
    assert slant_km(camera) == pytest.approx((radius_km**2 - 6371.0**2) ** 0.5, rel=1e-3)
