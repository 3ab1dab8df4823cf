"""Backgrounds, masks, lamps and lightning: numbers by construction, and worked out another way."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.background import (
    INNER_SIGMAS,
    blur_image,
    compute_noise_gain,
    estimate_diffuse_background,
    make_octave,
    remove_stripes,
)
from detectors.lightning import Lightning, convert_to_levels, convert_to_light
from detectors.lights_blobs import fit_blobs
from detectors.masks import (
    RIM_SHARE,
    STRONG_SIGMAS,
    WINDOW_PX,
    blank_parts,
    mask_hardware,
    mask_window_frames,
    smooth_light,
)
from tests.world.fields import Light, draw, spread_lights
from tests.world.pictures import FLASH_RGB, add_blob, drawn_limb, night_ground

SHAPE = (300, 400)
detect_lightning = Lightning().detect


def rng(seed=0):
    return np.random.default_rng(seed)


def test_a_background_follows_slopes_and_neither_lights_towns_nor_masked_pixels():
    rows, cols = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    slope = 0.02 + 0.05 * cols / SHAPE[1] + 0.03 * rows / SHAPE[0]
    image = (slope + rng().normal(0.0, 0.001, SHAPE)).astype(np.float32)
    found = estimate_diffuse_background(image, scale_px=50)
    inside = (slice(50, -50), slice(50, -50))
    assert np.abs(found.level - slope)[inside].max() < 0.001
    assert np.abs(found.level - slope).max() < 0.003
    assert np.median(found.noise) == pytest.approx(0.001, rel=0.3)
    lights = spread_lights(50, SHAPE, snr=(200.0, 2000.0), sigma=(2.0, 4.0))
    image = draw(lights, SHAPE, level=0.01, noise=0.001)
    assert (draw(lights, SHAPE, level=0.0, noise=0.0) > 0.002).mean() > 0.08
    mask = np.zeros(SHAPE, bool)
    mask[:, 330:] = True
    image[mask] = 5.0
    found = estimate_diffuse_background(image, scale_px=64, mask=mask)
    assert np.abs(found.level - 0.01).max() < 0.0012
    assert found.noise.max() < 0.002
    damaged = np.where(mask, np.float32(np.nan), image)
    assert np.array_equal(estimate_diffuse_background(damaged, scale_px=64).level, found.level)
    image = draw([], (640, 640), level=0.01, noise=0.001)
    image[250:400, 250:400] += (0.3 + 0.2 * rng(5).random((150, 150))).astype(np.float32)
    assert estimate_diffuse_background(image, scale_px=64).level.max() < 0.03


def test_what_rows_and_columns_have_in_common_goes_and_a_line_of_one_pixel_is_a_defect():
    image = rng(6).normal(0.0, 1.0, (640, 700)).astype(np.float32)
    striped = image.copy()
    striped[:, 100] += 0.35
    striped[50] -= 0.35
    found, defects = remove_stripes(striped)
    assert not defects.any()
    beside = np.delete(np.delete(found - image, 100, axis=1), 50, axis=0)
    assert (beside == 0.0).mean() > 0.95
    assert found[:, 100].mean() == pytest.approx(0.0, abs=0.15)
    assert found[50].mean() == pytest.approx(0.0, abs=0.15)
    image[256:, 300] += 9.0  # two pieces of 128 rows are sound
    image[:, 500:503] += 9.0  # as broad as a lens draws
    _, defects = remove_stripes(image)
    assert defects[256:, 300].all()
    assert not defects[:256].any()
    assert not np.delete(defects, 300, axis=1).any()


# ---- masks

HEIGHT, WIDTH = 426, 640
ROW, COLUMN = np.mgrid[:HEIGHT, :WIDTH].astype(float)


def city(seed=0, lights=150):
    return drawn_limb(off_nadir_deg=15.0, roll_deg=0.0, cities=lights, seed=seed)


def test_black_bars_and_window_frames_are_masked_and_dark_sea_and_lit_land_are_not():
    light = city() + np.float32(0.002)
    light[:40] = 0.0
    mask = blank_parts(light)
    assert mask[:40].all()
    assert not mask[45:].any()
    light = city()
    light[light < 0.02] = 0.0  # clipped dark sea
    assert (light == 0.0).mean() > 0.7
    assert not (blank_parts(light) | mask_window_frames(light)).any()
    light = city() + np.float32(0.02)
    row, column = np.indices(light.shape)
    frame = column < 60.0 + 0.3 * row
    framed = np.where(frame, np.float32(0.004), light)
    mask = mask_window_frames(framed)
    assert mask[frame].mean() > 0.97
    assert mask[~frame].mean() < 0.02
    light[column < 100] *= 0.3  # lit land beyond a straight edge
    for y, x in ((40, 30), (120, 60), (200, 20), (230, 70)):
        light[np.hypot(row - y, column - x) < 3.0] = 0.5
    assert not mask_window_frames(light.astype(np.float32)).any()


def night(seed=0):
    """Lights of many sizes over dim ground."""
    lights = spread_lights(60, (HEIGHT, WIDTH), snr=(10.0, 400.0), seed=seed)
    return np.asarray(draw(lights, (HEIGHT, WIDTH), level=0.01, seed=seed))


def bar(angle_deg, x, y, length, width):
    """A straight bar about a place."""
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    along = (COLUMN - x) * c + (ROW - y) * s
    across = (ROW - y) * c - (COLUMN - x) * s
    return np.asarray((np.abs(along) < 0.5 * length) & (np.abs(across) < 0.5 * width))


def test_an_arm_and_dark_trusses_are_masked_along_their_edges():
    arm = bar(23.0, 330.0, 210.0, 300.0, 9.0)
    mask = mask_hardware(np.where(arm, np.float32(0.12), night()))
    assert mask[bar(23.0, 330.0, 210.0, 260.0, 9.0)].mean() > 0.9
    assert not mask[~bar(23.0, 330.0, 210.0, 330.0, 40.0)].any()
    light = night() + np.float32(0.03)
    for y in (150.0, 200.0, 250.0):
        light[bar(8.0, 330.0, y, 400.0, 14.0)] = 0.0005
    mask = mask_hardware(light)
    assert mask[bar(8.0, 330.0, 200.0, 340.0, 100.0)].mean() > 0.9
    assert not mask[~bar(8.0, 330.0, 200.0, 430.0, 140.0)].any()


# ---- smooth light

BROAD = HIGH, LONG = 200, 300
LEVEL, NOISE = 0.02, 0.002
ROWS, COLUMNS = np.mgrid[:HIGH, :LONG].astype(float)
# The rim of what is masked: half a window beyond the light, and as much again
RIM_PX = 2 * WINDOW_PX


def around(radius, x=150.0, y=100.0):
    return np.asarray(np.hypot(COLUMNS - x, ROWS - y) < radius)


def blob(area, brightness):
    """Light without grain: a soft-edged area of a mean brightness."""
    soft = cv2.GaussianBlur(area.astype(float), (0, 0), 4.0)
    return np.asarray(soft * brightness / soft[area].mean())


def lamps(area, brightness, seed=1):
    """As much light over the same area, from a lamp on every eighth pixel."""
    rng = np.random.default_rng(seed)
    lit = area & (rng.random(area.shape) < 0.12)
    image = cv2.GaussianBlur(np.where(lit, rng.exponential(size=area.shape), 0.0), (0, 0), 0.8)
    return np.asarray(image * brightness / image[area].mean())


def masked(light):
    flat = np.ones(light.shape, np.float32)
    level, noise = np.float32(LEVEL) * flat, np.float32(NOISE) * flat
    return smooth_light(light.astype(np.float32), level, noise, 0.0 * flat, 11)


def test_a_smooth_blob_is_masked_and_lamps_as_bright_and_noise_are_not():
    area = around(25.0)
    mask = masked(even() + blob(area, 0.1))
    assert mask[area].all()
    assert not mask[~around(25.0 + RIM_PX + RIM_SHARE * 25.0)].any()
    city = lamps(area, 0.1)
    assert city[area].mean() == pytest.approx(0.1)
    assert not masked(even() + city).any()
    assert not masked(even()).any()
    # Nor where the level is taken a little too low, as long as the light is not strong
    assert not masked(even() + 0.7 * STRONG_SIGMAS * NOISE).any()
    # A lamp out of focus is smooth, but small
    for radius, expected in ((4.5, False), (8.0, True)):
        spot = cv2.GaussianBlur(around(radius).astype(float), (0, 0), 1.5) * 0.3
        assert bool(masked(even() + spot).any()) is expected


def even(seed=0):
    """Even diffuse light with white noise."""
    return LEVEL + np.random.default_rng(seed).normal(0.0, NOISE, BROAD)


# ---- scales and blobs


def response_of_gaussian(flux, sigma, inner):
    """Peak of a unit difference of Gaussians (s, 2 s) on a Gaussian blob."""
    return flux / (2 * np.pi) * (1 / (sigma**2 + inner**2) - 1 / (sigma**2 + 4 * inner**2))


def test_responses_of_a_gaussian_are_the_analytic_ones():
    sigma = 2.5
    image = draw([Light(100.0, 60.0, 1.0, sigma)], (120, 200), level=0.0, noise=0.0)
    made = make_octave(blur_image(image, 1.0))
    for response, inner in zip(made.responses, INNER_SIGMAS, strict=True):
        expected = response_of_gaussian(1.0, sigma, inner)
        assert response[60, 100] == pytest.approx(expected, rel=0.02)
    assert made.above[60, 100] == pytest.approx(response_of_gaussian(1.0, sigma, 2.0), rel=0.02)
    assert made.outer[60, 100] == pytest.approx(1 / (2 * np.pi * (sigma**2 + 4)), rel=0.02)


def test_white_noise_comes_through_as_foretold():
    noise = np.random.default_rng(0).normal(0.0, 1.0, (500, 500)).astype(np.float32)
    base, step = blur_image(noise, 1.0), 1
    for _ in range(3):
        made = make_octave(base)
        for response, inner in zip(made.responses, INNER_SIGMAS, strict=True):
            assert response.std() == pytest.approx(compute_noise_gain(inner * step), rel=0.06)
        base, step = made.halved, 2 * step


ONE = np.ones(1)


def elongated(x, y, flux, moments, shape=(60, 60)):
    rows, cols = np.mgrid[0 : shape[0], 0 : shape[1]]
    inverse = np.linalg.inv(moments)
    dx, dy = cols - x, rows - y
    exponent = inverse[0, 0] * dx**2 + inverse[1, 1] * dy**2 + 2 * inverse[0, 1] * dx * dy
    peak = flux / (2 * np.pi * np.sqrt(np.linalg.det(moments)))
    return (peak * np.exp(-0.5 * exponent)).astype(np.float32)


@given(
    st.floats(-0.5, 0.5),
    st.floats(-0.5, 0.5),
    st.floats(1.2, 2.0),
    st.floats(0.6, 1.0),
    st.floats(0.0, np.pi),
)
def test_an_elongated_gaussian_is_measured_exactly(dx, dy, sigma, ratio, angle):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moments = turn @ np.diag([sigma**2, (ratio * sigma) ** 2]) @ turn.T
    image = elongated(30.0 + dx, 30.0 + dy, 2.0, moments)
    guess = np.array([30.0])
    fitted = fit_blobs(image, guess, guess, sigma * ONE, 0.0 * ONE)
    assert fitted.settled[0]
    assert fitted.x[0] == pytest.approx(30.0 + dx, abs=0.02)
    assert fitted.y[0] == pytest.approx(30.0 + dy, abs=0.02)
    assert fitted.flux[0] == pytest.approx(2.0, rel=0.06)
    assert fitted.moments[0] == pytest.approx(moments, abs=0.08 * sigma**2)


# ---- lightning

STORM = (260, 360)


def stored(light):
    """As a file of 8 bits has it."""
    curved = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    value = np.rint(255.0 * np.clip(curved, 0.0, 1.0)) / 255.0
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(
        np.float32
    )


def test_lamps_stars_and_cloud_are_no_flash():
    night = night_ground(*STORM)
    assert len(detect_lightning(stored(night))) == 0
    rng = np.random.default_rng(3)
    for x, y in rng.uniform(20, (340, 240), (40, 2)):
        add_blob(night, x, y, 1.1, 0.5, (1.0, 1.0, 1.0))  # white lamps, or stars
    add_blob(night, 250.0, 60.0, 7.0, 0.5, (1.0, 0.6, 0.2))  # a sodium town under haze
    add_blob(night, 100.0, 180.0, 9.0, 0.3, (0.2, 1.0, 0.3))  # boats, or airglow
    add_blob(night, 180.0, 130.0, 90.0, 0.05, (0.95, 1.0, 1.05))  # moonlit cloud
    assert len(detect_lightning(stored(np.clip(night, 0.0, 1.0)))) == 0
    mask = np.zeros(STORM, bool)
    mask[80:140, 130:220] = True
    add_blob(night, 175.0, 110.0, 8.0, 0.5)
    light = stored(np.clip(night, 0.0, 1.0))
    assert [len(detect_lightning(light, one)) for one in (None, mask)] == [1, 0]
    assert len(detect_lightning(light.mean(axis=2))) == 0  # without colour


def seen_from(world, column, row):
    """Part of a world, as a frame of a pass shows it."""
    return stored(np.clip(world[row : row + 300, column : column + 400], 0.0, 1.0))


def test_what_a_neighbour_shows_too_is_no_flash_and_a_frame_of_elsewhere_says_nothing():
    world = night_ground(340, 440, seed=1)
    add_blob(world, 120.0, 120.0, 7.0, 0.5)  # white light that stays
    other = seen_from(world, 12, 7)
    add_blob(world, 300.0, 200.0, 7.0, 0.5)
    frame, nothing = seen_from(world, 0, 0), np.zeros((300, 400), bool)
    alone = detect_lightning(frame)
    assert sorted(np.round(alone.x).tolist()) == [120.0, 300.0]
    beside = detect_lightning(frame, neighbours=[(other, nothing)])
    assert np.round(beside.x).tolist() == [300.0]
    assert beside.y[0] == pytest.approx(200.0, abs=1.5)
    elsewhere = seen_from(night_ground(340, 440, seed=2), 0, 0)
    same = detect_lightning(frame, neighbours=[(elsewhere, nothing)])
    assert np.array_equal(same.x, alone.x)
    # Where the neighbour is hidden, the frame is looked at by itself
    hidden = nothing.copy()
    hidden[:200, :180] = True
    partly = detect_lightning(frame, neighbours=[(other, hidden)])
    assert sorted(np.round(partly.x).tolist()) == [120.0, 300.0]


def test_a_flash_alone_has_the_light_and_extent_of_its_pixels_above_half():
    """On even ground without noise: everything from the profile that was drawn."""
    sigma = 5.0
    from scipy.ndimage import gaussian_filter

    light = np.full((200, 240, 3), 0.01)
    add_blob(light, 120.0, 100.0, sigma, 0.05)
    found = detect_lightning(light.astype(np.float32))
    assert len(found) == 1
    assert convert_to_light(convert_to_levels(light)) == pytest.approx(light, abs=2e-5)
    blue = 255.0 * (1.055 * light[..., 2] ** (1 / 2.4) - 0.055)
    blurred = gaussian_filter(blue - blue[0, 0], 2.5)
    lit = blurred > 0.5 * blurred.max()
    rows, cols = np.nonzero(lit)
    box = [cols.min(), rows.min(), cols.max(), rows.max()]
    assert [found.x1[0], found.y1[0], found.x2[0], found.y2[0]] == pytest.approx(box, abs=1.0)
    added = (light - 0.01)[lit].sum(axis=0)
    assert found.flux[0] == pytest.approx(added @ [0.2126, 0.7152, 0.0722], rel=0.05)
    assert found.blueness[0] == pytest.approx((1.0 - 0.86) / sum(FLASH_RGB), abs=0.004)
    assert (found.x[0], found.y[0]) == pytest.approx((120.0, 100.0), abs=0.02)
    assert found.fwhm_px[0] == pytest.approx(4.0 * np.sqrt(cols.var()), rel=0.04)
    moments = np.cov(cols, rows) + np.eye(2) / 12.0
    assert found.covariance_px2[0] == pytest.approx(0.2**2 * moments, rel=0.04, abs=1e-3)
