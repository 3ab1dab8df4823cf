"""Simulated frames of scenes: the same by seed, and each with what makes its class."""

from __future__ import annotations

from functools import cache
from itertools import islice

import cv2
import numpy as np
import pytest

from benchmarks.simulate import scene_canvas, scenes_ground, scenes_night, scenes_sky
from benchmarks.simulate.scene_canvas import (
    EARTH_RADIUS_KM,
    Look,
    View,
    develop,
    limb_off_nadir_deg,
    star_field,
    view_at,
)
from benchmarks.simulate.scene_frames import KINDS, draw
from benchmarks.simulate.scenes_ground import FOREST
from benchmarks.simulate.scenes_sky import (
    MoonDisc,
    moon,
    moon_light,
    sky_camera,
    sun_disc,
    twilight_arc,
)
from regengine.scene.context import SUN_FACTORS

pytestmark = pytest.mark.slow


@cache
def day_light(seed: int) -> np.ndarray:
    """Light of a small day, drawn once for all tests that look at it."""
    light = scenes_ground.day(rng(seed))[0]
    light.flags.writeable = False
    return light


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 17])


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames of a third of the sides: light, colours and edges are those of large ones."""
    monkeypatch.setattr(scene_canvas, "LONG_SIDE_PX", (160, 220))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_by_seed_and_another_by_another(kind: str) -> None:
    one, again, other = draw(kind, rng(1)), draw(kind, rng(1)), draw(kind, rng(2))
    assert one.dtype == np.uint8
    assert one.ndim == 3
    assert one.shape[2] == 3
    assert 200 <= max(one.shape) <= 1500
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_every_class_of_scenes_can_be_drawn() -> None:
    assert set(KINDS) == set(SUN_FACTORS)


def test_no_such_kind() -> None:
    with pytest.raises(ValueError, match="'unicorn'"):
        draw("unicorn", rng(0))


def test_towns_shine_on_the_ground_and_are_warm() -> None:
    view = view_at(300, 200, 200.0, 400.0, limb_off_nadir_deg(400.0) - 10.0, 0.0)
    light = np.zeros((200, 300, 3))
    for seed in range(5):
        light += scenes_night.town_light(view, rng(seed))
    assert light[view.perigee_km > 40.0].sum() < 0.02 * light.sum()  # the lens's glow alone
    assert light[..., 0].sum() > 1.2 * light[..., 2].sum()


@pytest.mark.usefixtures("small")
def test_inside_has_straight_edges() -> None:
    """More of its strong gradients lie along few directions than those of land and clouds do."""

    def peaked(light: np.ndarray) -> float:
        grey = light.mean(axis=2).astype(np.float32)
        x, y = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
        strong = np.hypot(x, y)
        turn = np.degrees(np.arctan2(y, x)) % 90.0
        counts = np.histogram(turn, 30, (0.0, 90.0), weights=strong)[0]
        return float(np.sort(counts)[-4:].sum() / counts.sum())

    rooms = [peaked(scenes_ground.inside(rng(seed))[0]) for seed in range(5)]
    lands = [peaked(day_light(seed)) for seed in range(5)]
    assert np.median(rooms) > 1.3 * np.median(lands)


def test_the_limb_is_where_geometry_has_it() -> None:
    """A camera whose axis points at the limb has it across the middle of its picture."""
    view = view_at(300, 200, 250.0, 400.0, limb_off_nadir_deg(400.0), 0.0)
    middle = view.perigee_km[:, 150]
    assert abs(float(np.interp(99.5, np.arange(200), middle))) < 10.0
    assert middle[0] > 100.0  # sky on top
    assert middle[-1] < 0.0
    assert view.ground[0, 150] == 0.0
    assert view.ground[-1, 150] == 1.0


def test_points_come_back_to_their_pixels() -> None:
    view = view_at(300, 200, 250.0, 400.0, 30.0, 20.0)
    row, column = 60, 210
    arc = np.hypot(view.ahead_km[row, column], view.aside_km[row, column])
    heading = np.array([view.ahead_km[row, column], view.aside_km[row, column]]) / arc
    angle = arc / EARTH_RADIUS_KM
    flat = EARTH_RADIUS_KM * np.sin(angle) * heading
    point = np.array([[flat[0], flat[1], EARTH_RADIUS_KM * np.cos(angle) + 1e-6]])
    x, y, seen = view.pixels_of(point)
    assert seen[0]
    assert x[0] == pytest.approx(column, abs=0.01)
    assert y[0] == pytest.approx(row, abs=0.01)
    behind = -point
    assert not view.pixels_of(behind)[2][0]


@pytest.mark.parametrize("phase_deg", [0.0, 60.0, 90.0, 130.0])
def test_the_moon_is_where_it_is_drawn_and_lit_by_its_phase(phase_deg: float) -> None:
    disc = MoonDisc(x=200.0, y=120.0, radius_px=80.0, phase_deg=phase_deg)
    light = moon_light(disc, 400, 300, rng(3)).mean(axis=2)
    rows, columns = np.nonzero(light > 0.02)
    assert np.hypot(columns - 200.0, rows - 120.0).max() <= 81.0
    # The lit share of a ball's disc is (1 + cos phase) / 2
    share = np.count_nonzero(light > 0.02) / (np.pi * 80.0**2)
    assert share == pytest.approx(0.5 * (1.0 + np.cos(np.radians(phase_deg))), abs=0.05)
    if phase_deg > 0.0:
        assert columns.mean() > 200.0  # turned to +x


@pytest.mark.usefixtures("small")
def test_every_moon_is_in_the_picture() -> None:
    for seed in range(6):
        light, look = moon(rng(seed))
        frame = develop(light, look, rng(seed)).max(axis=2)
        assert np.quantile(frame, 0.999) > 25


def test_most_aurora_is_green() -> None:
    shares = []
    for seed in range(6):
        light, _ = scenes_night.aurora(rng(seed))
        bright = light[light.max(axis=2) > 0.5]
        shares.append(float((bright[:, 1] / bright.sum(axis=1)).mean()))
    assert np.median(shares) > 0.45
    assert min(shares) > 0.3


def test_red_tops_stand_above_the_green() -> None:
    view = view_at(300, 200, 200.0, 400.0, limb_off_nadir_deg(400.0) + 3.0, 0.0)
    found = []
    for seed in range(8):
        light = scenes_night.curtain(view, rng(seed))
        sky = light * (view.perigee_km > 0.0)[..., None]
        red = np.maximum(sky[..., 0] - 0.5 * sky[..., 1], 0.0)
        if red.sum() > 0.02 * sky.sum():
            heights = view.perigee_km
            found.append(
                np.average(heights, weights=red) > np.average(heights, weights=sky[..., 1])
            )
    assert len(found) >= 3
    assert all(found)


def test_stars_are_as_many_as_asked_and_trails_are_long() -> None:
    points = star_field(rng(5), 400, 300, 40)
    trailed = star_field(rng(5), 400, 300, 40, np.stack([np.linspace(0, 30, 60)] * 2, axis=1))
    assert points.sum() > 0.0
    lit = (points.max(axis=2) > 0.05).sum()
    assert 40 < lit < 40 * 60
    assert (trailed.max(axis=2) > 0.05).sum() > 3 * lit


def test_star_frames_are_dark_with_many_points() -> None:
    for seed in range(4):
        light, _ = scenes_sky.stars(rng(seed))
        level = light.max(axis=2)
        assert np.median(level) < 0.1 * np.quantile(level, 0.9999)


def test_sky_cameras_see_points_on_an_even_sky() -> None:
    """What is brightest is farther above the sky than what is darkest is below."""
    for seed in range(12):
        light, look = sky_camera(rng(seed))
        level = light.mean(axis=2)
        darkest, sky, brightest = np.quantile(level, (0.0001, 0.5, 0.9999))
        assert brightest - sky > 2.0 * (sky - darkest)
        assert brightest > 0.003  # of what fills the sensor
        assert look.level == pytest.approx((sky, sky), rel=1e-3)


def test_grey_cameras_give_no_colour() -> None:
    light = np.random.default_rng(1).random((200, 300, 3), np.float32)
    look = Look(quantile=0.5, level=(0.3, 0.3), grey=1.0)
    frame = develop(light, look, rng(1)).astype(int)
    assert np.ptp(frame, axis=2).max() <= 2  # of the JPEG's rounding


def dim_seeds(number: int) -> list[int]:
    """The first seeds of dim nights, of sixty: what a night is falls before its ground is drawn."""

    def no_ground(view: View, _: np.random.Generator) -> np.ndarray:
        return np.zeros((*view.ground.shape, 3), np.float32)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scenes_night, "night_ground", no_ground)
        looks = ((seed, scenes_night.night_nocity(rng(seed))[1]) for seed in range(60))
        dim = (seed for seed, look in looks if look.level == scenes_night.DIM_LOOK.level)
        return list(islice(dim, number))


def test_frames_of_dim_nights_hold_no_field_of_points() -> None:
    seeds = dim_seeds(4)
    assert len(seeds) == 4, "hardly any dim night"
    for seed in seeds:
        light, look = scenes_night.night_nocity(rng(seed))
        assert look.level == scenes_night.DIM_LOOK.level
        level = np.ascontiguousarray(light.max(axis=2))
        fine = level - cv2.medianBlur(level, 5)
        # Above what lightning leaves
        peaks = fine > 0.5 * np.maximum(level, 1.0)
        assert cv2.connectedComponents(peaks.astype(np.uint8))[0] - 1 <= 40


def test_twilight_is_red_below_and_blue_above() -> None:
    view = view_at(200, 400, 3000.0, 400.0, limb_off_nadir_deg(400.0), 0.0)
    height_km = view.perigee_km[:, 100]
    for seed in range(4):
        column = twilight_arc(view, 100.0, rng(seed))[:, 100]
        low = column[np.argmin(np.abs(height_km - 6.0))]
        high = column[np.argmin(np.abs(height_km - 45.0))]
        assert low[0] > 2.0 * low[2]
        assert high[2] > 1.5 * high[0]
        assert column[height_km > 100.0].max() < 0.01 * column.max()


def test_the_sun_is_where_it_is_put() -> None:
    view = view_at(300, 200, 250.0, 400.0, limb_off_nadir_deg(400.0), 0.0)
    light = sun_disc(view, (210.0, 60.0), rng(1)).sum(axis=2)
    row, column = np.unravel_index(int(np.argmax(light)), light.shape)
    assert (column, row) == (210, 60)


@pytest.mark.usefixtures("small")
def test_sunsets_have_light_and_dark() -> None:
    for seed in range(5):
        light, _ = scenes_sky.sunset_sunrise(rng(seed))
        level = light.max(axis=2)
        assert np.quantile(level, 0.99) > 3.0 * np.quantile(level, 0.1)


@pytest.mark.usefixtures("small")
def test_infrared_frames_lack_the_blue_of_the_day() -> None:
    """Red over blue, averaged over frames before development."""
    ratios = {}
    infrared = [scenes_ground.infrared(rng(seed))[0] for seed in range(10)]
    days = [day_light(seed) for seed in range(10)]
    for name, lights in (("day", days), ("infrared", infrared)):
        means = np.array([light.mean(axis=(0, 1)) for light in lights])
        ratios[name] = float(np.median(means[:, 0] / means[:, 2]))
    assert ratios["day"] < 0.95
    assert ratios["infrared"] > ratios["day"] + 0.1


def test_the_unfiltered_sensor_sees_light_that_eyes_do_not() -> None:
    """Forest beside soil of the same visible colour but less near infrared is the brighter."""
    light = np.zeros((40, 60, 4), np.float32)
    light[..., :3] = FOREST[:3]
    light[:, :30, 3] = FOREST[3]
    light[:, 30:, 3] = 0.1 * FOREST[3]
    for seed in range(8):
        rgb = scenes_ground.unfiltered(light, rng(seed)).mean(axis=2)
        assert rgb[:, 5:20].mean() > 1.2 * rgb[:, 40:55].mean()


@pytest.mark.usefixtures("small")
def test_honest_days_have_seas_bluer_than_their_clouds() -> None:
    """Whatever the white balance and through a round window, too: it moves both alike."""
    bluer = []
    for seed in range(16):
        light = day_light(seed)
        lit = light[light.sum(axis=2) > 0.02]
        level = lit.sum(axis=1)
        share = (lit[:, 2] - lit[:, 0]) / level
        dark, bright = np.quantile(level, (0.2, 0.95))
        bluer.append(share[level <= dark].mean() - share[level >= bright].mean())
    assert np.median(bluer) > 0.02


@pytest.mark.usefixtures("small")
def test_nights_are_darker_than_days() -> None:
    def brightness(kind: str) -> float:
        return float(np.median([draw(kind, rng(seed)).mean() for seed in range(5)]))

    assert brightness("night_nocity") < 0.5 * brightness("day")


def test_airglow_lies_near_95_km() -> None:
    view = view_at(200, 400, 1500.0, 400.0, limb_off_nadir_deg(400.0) + 1.5, 0.0)
    column = scenes_night.airglow(view, rng(2))[:, 100, 1]
    assert view.perigee_km[int(np.argmax(column)), 100] == pytest.approx(93.0, abs=6.0)


def test_exposure_brings_the_light_where_the_look_says() -> None:
    grey = np.full((300, 400, 3), 7.0, np.float32)
    means = {}
    for level in (0.05, 0.5):
        look = Look(quantile=0.5, level=(level, level), hardware=0.0, cast=0.0)
        means[level] = np.mean([develop(grey, look, rng(seed)).mean() for seed in range(5)])
    assert means[0.5] > 2.0 * means[0.05]
