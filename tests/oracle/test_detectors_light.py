"""Backgrounds, masks, lamps and falloff: numbers by construction, and worked out another way."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.background import (
    ROUNDING_SIGMA,
    Mesh,
    as_float_image,
    estimate_diffuse_background,
    estimate_lowest_mode,
    estimate_upper_spread,
    fill_holes,
    find_hot_pixels,
    lift_above_zero,
    mask_ignored_pixels,
    read_clipped_map,
    remove_stripes,
    select_ranks,
    smooth_boxes,
    spread_about_zero,
)
from detectors.blob_measures import fit_blobs
from detectors.falloff import SkyBoxes, fit_falloff, measure_aperture_light, measure_sky_boxes
from detectors.lightning import (
    NeighbourFrame,
    convert_to_levels,
    convert_to_light,
    detect_lightning,
    lay_over,
)
from detectors.masks import (
    RIM_SHARE,
    STRONG_SIGMAS,
    WINDOW_PX,
    blank_parts,
    extract_grainy_light,
    mask_caption_strips,
    mask_hardware,
    mask_window_frames,
    smooth_light,
)
from detectors.scale_space import (
    INNER_SIGMAS,
    compute_noise_gain,
    fit_quadratic_peak,
    make_first_base,
    make_octave,
)
from tests.world.fields import Light, draw, spread_lights
from tests.world.pictures import FLASH_RGB, add_blob, drawn_limb, night_ground

SHAPE = (300, 400)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_a_slope_is_followed_and_is_no_noise():
    rows, cols = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    slope = 0.02 + 0.05 * cols / SHAPE[1] + 0.03 * rows / SHAPE[0]
    image = (slope + rng().normal(0.0, 0.001, SHAPE)).astype(np.float32)
    found = estimate_diffuse_background(image, scale_px=50)
    inside = (slice(50, -50), slice(50, -50))
    assert np.abs(found.level - slope)[inside].max() < 0.001
    assert np.abs(found.level - slope).max() < 0.003
    assert np.median(found.noise) == pytest.approx(0.001, rel=0.3)


def test_lights_do_not_lift_it():
    lights = spread_lights(50, SHAPE, snr=(200.0, 2000.0), sigma=(2.0, 4.0))
    image = draw(lights, SHAPE, level=0.01, noise=0.001)
    covered = (draw(lights, SHAPE, level=0.0, noise=0.0) > 0.002).mean()
    assert covered > 0.08
    found = estimate_diffuse_background(image, scale_px=64)
    assert np.abs(found.level - 0.01).max() < 0.0012
    assert found.noise.max() < 0.002


def test_a_great_town_that_fills_boxes_is_bridged():
    image = draw([], (640, 640), level=0.01, noise=0.001)
    town = 0.3 + 0.2 * rng(5).random((150, 150))
    image[250:400, 250:400] += town.astype(np.float32)
    found = estimate_diffuse_background(image, scale_px=64)
    assert found.level.max() < 0.03


def test_masked_pixels_do_not_count():
    image = draw([], SHAPE, level=0.01, noise=0.001)
    mask = np.zeros(SHAPE, bool)
    mask[:, 250:] = True
    image[mask] = 5.0
    found = estimate_diffuse_background(image, scale_px=64, mask=mask)
    assert np.abs(found.level - 0.01).max() < 0.0005
    damaged = np.where(mask, np.float32(np.nan), image)
    assert np.array_equal(estimate_diffuse_background(damaged, scale_px=64).level, found.level)


def test_noise_is_at_least_that_of_rounding():
    found = estimate_diffuse_background(np.zeros(SHAPE, np.float32), scale_px=64)
    np.testing.assert_allclose(found.noise, ROUNDING_SIGMA, rtol=1e-6)


def test_lamps_are_not_hot():
    lamps = np.zeros(SHAPE, np.float32)
    lamps[10:-10:20, 10:-10:20] = 0.5
    for sigma in (0.5, 0.7, 1.0):
        fine = cv2.resize(lamps, None, fx=5, fy=5, interpolation=cv2.INTER_NEAREST)
        blurred = cv2.GaussianBlur(fine, (0, 0), 5.0 * sigma)
        image = cv2.resize(blurred, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
        image += rng(2).normal(0.01, 0.0005, SHAPE).astype(np.float32)
        assert find_hot_pixels(image).sum() == 0


def test_holes_are_filled_from_their_rims():
    boxes = np.array([[1, np.nan, np.nan, np.nan, 3]], np.float32)
    assert fill_holes(boxes).tolist() == [[1.0, 1.0, 2.0, 3.0, 3.0]]
    assert fill_holes(np.full((2, 2), np.nan, np.float32)).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("shape", [(40, 60), (41, 63), (7, 100)])
@pytest.mark.parametrize("across", [4, 48])
def test_samples_of_a_box_are_pixels_of_its_part_of_the_image(shape, across):
    mesh = Mesh.with_scale(shape, 16)
    image = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)
    samples = mesh.samples(image, across)
    height, width = mesh.rows * mesh.box_h, mesh.cols * mesh.box_w
    assert 0 <= height - shape[0] < 2 * mesh.rows
    assert 0 <= width - shape[1] < 2 * mesh.cols
    assert (mesh.top, mesh.left) == ((height - shape[0]) // 2, (width - shape[1]) // 2)
    step_y, step_x = max(1, mesh.box_h // across), max(1, mesh.box_w // across)
    for row in range(mesh.rows):
        for col in range(mesh.cols):
            expected = []
            for y in range(row * mesh.box_h + step_y // 2, (row + 1) * mesh.box_h, step_y):
                for x in range(col * mesh.box_w + step_x // 2, (col + 1) * mesh.box_w, step_x):
                    i, j = y - mesh.top, x - mesh.left
                    if 0 <= i < shape[0] and 0 <= j < shape[1]:
                        expected.append(image[i, j])
            found = samples[row, col]
            assert found[np.isfinite(found)].tolist() == expected


def test_boxes_are_interpolated_between_their_middles():
    mesh = Mesh.with_boxes((37, 61), 4, 5)
    rows, cols = np.mgrid[0:4, 0:5]
    boxes = (3.0 + 2.0 * rows + 0.5 * cols).astype(np.float32)
    full = mesh.upsample(boxes)
    y, x = np.mgrid[0:37, 0:61]
    plane = 3.0 + 2.0 * ((y + mesh.top + 0.5) / mesh.box_h - 0.5)
    plane = plane + 0.5 * ((x + mesh.left + 0.5) / mesh.box_w - 0.5)
    assert full == pytest.approx(plane, abs=0.25)  # a cubic's ripple
    inner = (slice(10, -10), slice(13, -13))
    assert full[inner] == pytest.approx(plane[inner], abs=0.13)
    row, col = np.array([12, 20, 25]), np.array([20, 30, 44])
    assert mesh.at(boxes, row, col) == pytest.approx(plane[row, col], abs=1e-5)
    # What is sampled of it is what is interpolated at the samples' pixels
    for across in (3, 48):
        known = mesh.samples(full, across)
        there = np.isfinite(known)
        assert mesh.samples_of(boxes, across)[there] == pytest.approx(known[there], abs=1e-4)


@pytest.mark.parametrize("lit", [0.0, 0.15])
def test_the_lowest_mode_is_that_of_the_dark_pixels(lit):
    samples = rng(3).normal(5.0, 0.7, (2, 3, 4000)).astype(np.float32)
    count = int(lit * 4000)
    samples[..., :count] += 50.0
    samples[0, 0, 300:] = np.nan  # fewer than a tenth: a hole
    samples[0, 1, 500:] = np.nan
    level, sigma = estimate_lowest_mode(samples, 0.01)
    assert np.isnan(level[0, 0])
    assert np.isnan(sigma[0, 0])
    rest = np.isfinite(level)
    assert rest.sum() == 5
    if lit == 0.0:
        assert level[rest] == pytest.approx(np.full(5, 5.0), abs=0.12)
        assert sigma[rest] == pytest.approx(np.full(5, 0.7), rel=0.15)
    else:
        whole = level[1]
        assert whole == pytest.approx(np.full(3, 5.0), abs=0.12)


def test_spreads_are_those_of_a_normal_distribution():
    samples = rng(4).normal(0.0, 0.7, (1, 3, 20000)).astype(np.float32)
    samples[0, 1, 1500:] = np.nan
    samples[0, 2, 2000:] = np.nan
    about_zero = spread_about_zero(samples)
    above = estimate_upper_spread(samples, (0.75, 0.9))
    for found in (about_zero, above):
        assert np.isnan(found[0, 1])
        assert found[0, [0, 2]] == pytest.approx([0.7, 0.7], rel=0.06)
    below = estimate_upper_spread(-np.abs(samples))
    assert below[0, [0, 2]].tolist() == [0.0, 0.0]
    wide = np.where(samples > 0.9, 3.0 * samples, samples)
    assert estimate_upper_spread(wide, (0.75, 0.95))[0, 0] == pytest.approx(3.0 * 0.7, rel=0.05)
    assert estimate_upper_spread(wide)[0, 0] == pytest.approx(0.7, rel=0.05)


def test_ranks_are_cut_off_and_stay_within_the_samples():
    ordered = np.arange(10.0, dtype=np.float32)[None, None]
    for rank, value in ((-3.0, 0.0), (0.0, 0.0), (4.99, 4.0), (9.0, 9.0), (25.0, 9.0)):
        assert select_ranks(ordered, np.array([[rank]])) == value


def test_boxes_pass_a_median_of_nine():
    boxes = rng(5).random((6, 7)).astype(np.float32)
    found = smooth_boxes(boxes)
    for row in range(1, 5):
        for col in range(1, 6):
            assert found[row, col] == np.median(boxes[row - 1 : row + 2, col - 1 : col + 2])
    few = boxes[:2]
    assert np.array_equal(smooth_boxes(few), few)


def striped(**lines):
    image = rng(6).normal(0.0, 1.0, (640, 700)).astype(np.float32)
    for name, value in lines.items():
        kind, at = name.split("_")
        image[(slice(None), int(at)) if kind == "col" else int(at)] += value
    return image


def test_what_rows_and_columns_have_in_common_goes():
    plain = striped()
    found, defects = remove_stripes(striped(col_100=0.35, row_50=-0.35))
    assert not defects.any()
    beside = np.delete(np.delete(found - plain, 100, axis=1), 50, axis=0)
    assert (beside == 0.0).mean() > 0.95
    assert found[:, 100].mean() == pytest.approx(0.0, abs=0.15)
    assert found[50].mean() == pytest.approx(0.0, abs=0.15)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_line_of_one_pixel_is_a_defect_as_far_as_it_goes(axis):
    image = striped()
    if axis == 1:
        image = np.ascontiguousarray(image.T)
    turned = image if axis == 0 else image.T
    turned[256:, 300] += 9.0  # two pieces of 128 rows are sound
    turned[:, 500:503] += 9.0  # as broad as a lens draws
    _, defects = remove_stripes(image)
    marks = defects if axis == 0 else defects.T
    assert marks[256:, 300].all()
    assert not marks[:256].any()
    assert not np.delete(marks, 300, axis=1).any()


@pytest.mark.parametrize("level", [-0.3, 0.001])
def test_sky_that_was_taken_away_is_put_back_at_five_sigma(level):
    image = (level + rng(8).normal(0.0, 0.02, (200, 300))).astype(np.float32)
    ignored = np.zeros(image.shape, bool)
    ignored[:, 200:] = True
    image[:, 200:] = -50.0
    lifted = lift_above_zero(image, ignored)
    sky = lifted[~ignored]
    assert np.median(sky) == pytest.approx(5.0 * 0.02, rel=0.08)
    assert sky.std() == pytest.approx(0.02, rel=0.05)
    positive = np.abs(image)
    assert lift_above_zero(positive, ignored) is positive
    assert lift_above_zero(image, ~np.zeros_like(ignored)) is image


def test_integers_are_fractions_of_their_full_scale():
    for dtype, most in ((np.uint8, 255), (np.uint16, 65535)):
        found = as_float_image(np.array([[0, most]], dtype))
        assert found.tolist() == [[0.0, 1.0]]
        assert found.dtype == np.float32
    for wrong in (np.zeros((3, 3, 3)), np.zeros(5), np.zeros((0, 4))):
        with pytest.raises(ValueError, match="two-dimensional"):
            as_float_image(wrong)


def test_a_box_is_four_pixels_or_more():
    image = rng(9).normal(1.0, 0.1, (50, 60)).astype(np.float32)
    assert estimate_diffuse_background(image, scale_px=4.0).level.shape == image.shape
    with pytest.raises(ValueError, match="at least 4"):
        estimate_diffuse_background(image, scale_px=3.99)


def test_maps_say_what_is_ignored_and_what_is_clipped():
    image = np.array([[1.0, np.nan, np.inf, 2.0]], np.float32)
    assert mask_ignored_pixels(image, None).tolist() == [[False, True, True, False]]
    mask = np.array([[False, False, False, True]])
    assert mask_ignored_pixels(image, mask).tolist() == [[False, True, True, True]]
    share = np.array([[0.0, 0.49, 0.5, 1.0]], np.float32)
    assert read_clipped_map(share, image).tolist() == [[False, False, True, True]]
    assert not read_clipped_map(None, image).any()
    for check in (
        lambda: mask_ignored_pixels(image, mask.T),
        lambda: read_clipped_map(share.T, image),
    ):
        with pytest.raises(ValueError, match="has shape"):
            check()


@pytest.mark.parametrize("part", [0.09, 0.11])
def test_a_pixel_is_hot_where_its_neighbours_have_less_than_a_tenth_of_its_rise(part):
    image = np.full((40, 50), 0.01, np.float32)
    image[20, 30] += 1.0
    image[20, 31] += part
    assert find_hot_pixels(image)[20, 30] == (part < 0.1)
    assert find_hot_pixels(image).sum() == (part < 0.1)
    faint = np.full((40, 50), 0.01, np.float32)
    for sigmas, is_hot in ((9.5, True), (9.2, False)):  # 8 above the ring, which is 1.4 up
        faint[5, 5] = 0.01 + sigmas * ROUNDING_SIGMA
        assert find_hot_pixels(faint)[5, 5] == is_hot


# ---- masks

HEIGHT, WIDTH = 426, 640
ROW, COLUMN = np.mgrid[:HEIGHT, :WIDTH].astype(float)


def city(seed=0, lights=150):
    return drawn_limb(off_nadir_deg=15.0, roll_deg=0.0, cities=lights, seed=seed)


def test_black_bars_are_blank():
    light = city() + np.float32(0.002)
    light[:40] = 0.0
    mask = blank_parts(light)
    assert mask[:40].all()
    assert not mask[45:].any()


def test_clipped_dark_sea_is_no_blank_part():
    light = city()
    light[light < 0.02] = 0.0
    assert (light == 0.0).mean() > 0.7
    assert not (blank_parts(light) | mask_window_frames(light)).any()


def test_window_frame_is_masked():
    light = city() + np.float32(0.02)
    row, column = np.indices(light.shape)
    frame = column < 60.0 + 0.3 * row
    light[frame] = 0.004
    mask = mask_window_frames(light.astype(np.float32))
    assert mask[frame].mean() > 0.97
    assert mask[~frame].mean() < 0.02


def test_lit_land_beyond_a_straight_edge_is_kept():
    light = city() + np.float32(0.02)
    row, column = np.indices(light.shape)
    side = column < 100
    light[side] *= 0.3
    for y, x in ((40, 30), (120, 60), (200, 20), (230, 70)):
        light[np.hypot(row - y, column - x) < 3.0] = 0.5
    assert not mask_window_frames(light.astype(np.float32)).any()


@pytest.mark.parametrize(("share", "framed"), [(0.02, 0.0), (0.3, 0.3), (0.45, 0.0)])
def test_a_frame_is_neither_a_thin_line_nor_half_the_photo(share, framed):
    light = city(lights=0) + np.float32(0.02)
    rows = round(share * len(light))
    light[:rows] = 0.004
    mask = mask_window_frames(light.astype(np.float32))
    assert mask.mean() == pytest.approx(framed, abs=0.01)
    assert not mask[rows + 4 :].any()


def test_limb_is_no_window_frame_where_the_sky_is_known():
    light = drawn_limb(off_nadir_deg=66.0, roll_deg=0.0, focal_px=1500.0, ground=0.1, cities=0)
    sky = light < 0.05
    rows = np.flatnonzero(sky.all(axis=1))
    assert not mask_window_frames(light, sky=sky)[
        : max(int(rows.max()) - 12, 0) if rows.size else 0
    ].any()


@pytest.mark.parametrize("turn", range(4))
def test_a_strip_with_letters_and_its_blurred_edge_is_masked(turn):
    white = np.zeros((200, 300), bool)
    white[-14:] = True
    white[-9:-4, 40:240] = False  # letters
    masked = mask_caption_strips(np.rot90(white, turn), margin_px=3)
    wanted = np.zeros((200, 300), bool)
    wanted[-16:] = True
    np.testing.assert_array_equal(masked, np.rot90(wanted, turn))


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


@pytest.mark.parametrize("angle_deg", [0.0, 23.0, 90.0, 131.0])
def test_an_arm_is_masked_along_its_edges(angle_deg):
    arm = bar(angle_deg, 330.0, 210.0, 300.0, 9.0)
    light = np.where(arm, np.float32(0.12), night())
    mask = mask_hardware(light)
    middle = bar(angle_deg, 330.0, 210.0, 260.0, 9.0)
    assert mask[middle].mean() > 0.9
    assert not mask[~bar(angle_deg, 330.0, 210.0, 330.0, 40.0)].any()


def test_dark_trusses_are_masked_where_they_are_no_speck():
    """Before moonlit ground; what is under 2 % of a picture is not told from its darkest ground."""
    dim = night() + np.float32(0.03)
    light = dim.copy()
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


def masked(light, clipped=None, least_px=11, unit=1.0):
    flat = np.ones(light.shape, np.float32) * np.float32(unit)
    saturated = np.zeros(light.shape, bool) if clipped is None else clipped
    return smooth_light(
        (unit * light).astype(np.float32),
        np.float32(LEVEL) * flat,
        np.float32(NOISE) * flat,
        saturated.astype(np.float32),
        least_px,
    )


@pytest.mark.parametrize("brightness", [0.03, 0.1, 0.3])
def test_a_smooth_blob_is_masked_and_lamps_as_bright_are_not(brightness):
    area = around(25.0)
    mask = masked(even() + blob(area, brightness))
    assert mask[area].all()
    assert not mask[~around(25.0 + RIM_PX + RIM_SHARE * 25.0)].any()
    for seed in range(3):
        city = lamps(area, brightness, seed)
        assert city[area].mean() == pytest.approx(brightness)
        assert not masked(even() + city).any()


@pytest.mark.parametrize("seed", range(4))
def test_noise_alone_is_not_masked(seed):
    assert not masked(even(seed)).any()
    # Nor where the level is taken a little too low, as long as the light is not strong
    assert not masked(even(seed) + 0.7 * STRONG_SIGMAS * NOISE).any()


def glowing(peak):
    """A smooth glow whose middle is clipped at 1."""
    light = even() + peak * np.exp(-0.5 * ((COLUMNS - 150.0) ** 2 + (ROWS - 100.0) ** 2) / 15.0**2)
    return np.minimum(light, 1.0), np.asarray(light >= 1.0)


def test_a_clipped_core_inside_smooth_light_is_masked():
    light, clipped = glowing(2.0)
    assert clipped.sum() > 500
    mask = masked(light, clipped)
    assert mask[clipped].all()
    assert mask[around(25.0)].all()
    assert not mask[~around(80.0)].any()


@pytest.mark.parametrize(("radius", "expected"), [(3.0, False), (4.5, False), (8.0, True)])
def test_small_lights_are_left_alone(radius, expected):
    """A lamp out of focus is smooth, but small."""
    spot = cv2.GaussianBlur(around(radius).astype(float), (0, 0), 1.5) * 0.3
    assert bool(masked(even() + spot).any()) is expected


def test_lamps_stay_and_smooth_light_goes():
    y, x = np.mgrid[:120, :180].astype(np.float32)
    glow = 5.0 * np.exp(-0.5 * ((x - 90.0) ** 2 + (y - 60.0) ** 2) / 30.0**2)
    lamps = np.zeros_like(glow)
    lamps[10:110:11, 10:170:11] = 1.0
    found = extract_grainy_light((glow + lamps).astype(np.float32))
    lit = lamps > 0.0
    assert found.dtype == np.float32
    assert found.min() >= 0.0
    assert found[lit] == pytest.approx(1.0, abs=0.25)
    assert found[~lit].max() < 0.25  # of a glow five times as bright


def even(seed=0):
    """Even diffuse light with white noise."""
    return LEVEL + np.random.default_rng(seed).normal(0.0, NOISE, BROAD)


# ---- scales and blobs


def response_of_gaussian(flux, sigma, inner):
    """Peak of a unit difference of Gaussians (s, 2 s) on a Gaussian blob."""
    return flux / (2 * np.pi) * (1 / (sigma**2 + inner**2) - 1 / (sigma**2 + 4 * inner**2))


@pytest.mark.parametrize("sigma", [1.5, 2.5, 4.0])
def test_responses_of_a_gaussian_are_the_analytic_ones(sigma):
    image = draw([Light(100.0, 60.0, 1.0, sigma)], (120, 200), level=0.0, noise=0.0)
    made = make_octave(make_first_base(image))
    for response, inner in zip(made.responses, INNER_SIGMAS, strict=True):
        expected = response_of_gaussian(1.0, sigma, inner)
        assert response[60, 100] == pytest.approx(expected, rel=0.02)
    assert made.above[60, 100] == pytest.approx(response_of_gaussian(1.0, sigma, 2.0), rel=0.02)
    assert made.outer[60, 100] == pytest.approx(1 / (2 * np.pi * (sigma**2 + 4)), rel=0.02)


def test_white_noise_comes_through_as_foretold():
    noise = np.random.default_rng(0).normal(0.0, 1.0, (500, 500)).astype(np.float32)
    base, step = make_first_base(noise), 1
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


def test_a_window_that_finds_nothing_does_not_settle():
    empty = np.zeros((40, 40), np.float32)
    fitted = fit_blobs(empty, 20.0 * ONE, 20.0 * ONE, 1.5 * ONE, 0.0 * ONE)
    assert not fitted.settled[0]
    assert fitted.flux[0] == 0.0


# ---- falloff and apertures

TRUE = np.array([-0.75, 0.35, -0.10])
FRAME, AXIS = (400, 600), (306.0, 196.0)


def powers(r):
    return np.stack([r**2, r**4, r**6], axis=-1)


def distance(x, y):
    return np.hypot(x - AXIS[0], y - AXIS[1]) / (0.5 * np.hypot(*FRAME))


def sky(rng, slope):
    """Mean sky light of a frame."""
    y, x = np.mgrid[: FRAME[0], : FRAME[1]].astype(float)
    light = 0.01 * (1.0 + slope[0] * (x / FRAME[1] - 0.5) + slope[1] * (y / FRAME[0] - 0.5))
    light *= 1.0 + powers(distance(x, y)) @ TRUE
    return (light + rng.normal(0.0, 0.001, light.shape)).astype(np.float32)


def off(boxes):
    """Error of the share that arrives, at a few distances."""
    fit = fit_falloff(boxes, [AXIS] * len(boxes))
    return np.asarray(powers(np.array([0.3, 0.6, 0.9])) @ (fit.coefficients - TRUE))


@pytest.mark.parametrize("frames", [1, 4])
def test_falloff_is_told_from_slopes_of_the_sky(frames):
    rng = np.random.default_rng(1)
    boxes = [measure_sky_boxes(sky(rng, tuple(rng.normal(0.0, 0.3, 2)))) for _ in range(frames)]
    assert np.abs(off(boxes)).max() < 0.003


def test_masked_ground_and_a_lamp_are_left_out():
    rng = np.random.default_rng(3)
    light = sky(rng, (0.2, 0.0))
    mask = np.zeros(light.shape, bool)
    light[300:, :], mask[300:, :] = 0.3, True
    light[50:110, 400:470] = 0.08  # not masked
    boxes = measure_sky_boxes(light, mask)
    assert boxes.y.max() < 300
    assert np.abs(off([boxes])).max() < 0.01


@pytest.mark.slow
def test_differences_between_frames_make_the_sigma():
    rng = np.random.default_rng(4)
    box = measure_sky_boxes(sky(rng, (0.0, 0.0)))
    r2 = distance(box.x, box.y) ** 2
    at = powers(np.array([0.9]))[0]
    chi = []
    for _ in range(20):
        boxes = []
        for _ in range(6):  # each sky is curved in its own way
            level = box.level * (1.0 + rng.normal(0.0, 0.02) * r2)
            boxes.append(
                SkyBoxes(x=box.x, y=box.y, level=level, width_px=FRAME[1], height_px=FRAME[0])
            )
        fit = fit_falloff(boxes, [AXIS] * 6)
        chi.append((at @ (fit.coefficients - TRUE)) ** 2 / (at @ fit.covariance @ at))
    # Median of a squared Student variate with five degrees: 0.53
    assert 0.25 < np.median(chi) / 0.53 < 4.0


def test_too_little_sky_is_refused():
    boxes = measure_sky_boxes(np.zeros((100, 150), np.float32))
    assert len(boxes.x) == 0
    with pytest.raises(ValueError, match="too few boxes"):
        fit_falloff([boxes], [(75.0, 50.0)])


# ---- lightning

STORM = (260, 360)


def stored(light):
    """As a file of 8 bits has it."""
    curved = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    value = np.rint(255.0 * np.clip(curved, 0.0, 1.0)) / 255.0
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(
        np.float32
    )


@pytest.mark.parametrize(("peak", "sigma"), [(0.05, 8.0), (0.8, 6.0), (4.0, 12.0)])
def test_a_flash_is_where_it_was_drawn(peak, sigma):
    night = night_ground(*STORM)
    add_blob(night, 140.4, 110.7, sigma, peak)
    found = detect_lightning(stored(np.clip(night, 0.0, 1.0)))
    assert len(found) == 1
    assert np.hypot(found.x[0] - 140.4, found.y[0] - 110.7) < 1.5
    assert found.x1[0] < 140.4 < found.x2[0]
    assert found.y1[0] < 110.7 < found.y2[0]
    # Where the level of blue, over that of the ground, is half of its peak
    away = np.linspace(0.0, 60.0, 6001)
    light = np.clip(0.008 + peak * np.exp(-(away**2) / (2 * sigma**2)), 0.0, 1.0)
    level = 1.055 * light ** (1 / 2.4)
    half = away[np.searchsorted(-(level - level[-1]), -0.5 * (level[0] - level[-1]))]
    assert found.fwhm_px[0] == pytest.approx(2.0 * half, rel=0.2)
    if peak < 0.5:  # of what is clipped the colour is that of its rim
        assert found.blueness[0] == pytest.approx((1.0 - 0.86) / (0.86 + 0.93 + 1.0), abs=0.02)
    assert found.flag_names(0) == ()
    clipped = (night >= 1.0).any(axis=2).astype(np.float32)
    told = detect_lightning(stored(np.clip(night, 0.0, 1.0)), None, clipped)
    assert told.flag_names(0) == (("saturated",) if peak > 1.0 else ())


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


def test_nothing_is_found_under_a_mask_or_without_colour():
    night = night_ground(*STORM)
    add_blob(night, 140.0, 110.0, 8.0, 0.5)
    light = stored(night)
    mask = np.zeros(STORM, bool)
    mask[80:140, 100:180] = True
    assert len(detect_lightning(light)) == 1
    assert len(detect_lightning(light, mask)) == 0
    assert len(detect_lightning(light.mean(axis=2))) == 0
    assert len(detect_lightning(light[:20, :20])) == 0
    assert len(detect_lightning(np.zeros((*STORM, 3), np.float32))) == 0
    assert len(detect_lightning(light, np.ones(STORM, bool))) == 0


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
    beside = detect_lightning(frame, neighbours=[NeighbourFrame(light=other, ignored=nothing)])
    assert np.round(beside.x).tolist() == [300.0]
    assert beside.y[0] == pytest.approx(200.0, abs=1.5)
    elsewhere = seen_from(night_ground(340, 440, seed=2), 0, 0)
    same = detect_lightning(frame, neighbours=[NeighbourFrame(light=elsewhere, ignored=nothing)])
    assert np.array_equal(same.x, alone.x)
    # Where the neighbour is hidden, the frame is looked at by itself
    hidden = nothing.copy()
    hidden[:200, :180] = True
    partly = detect_lightning(frame, neighbours=[NeighbourFrame(light=other, ignored=hidden)])
    assert sorted(np.round(partly.x).tolist()) == [120.0, 300.0]


# ---- worked out another way


@given(
    st.floats(-0.6, 0.6),
    st.floats(-0.6, 0.6),
    st.floats(0.2, 2.0),
    st.floats(0.2, 2.0),
    st.floats(-0.9, 0.9),
)
def test_the_peak_of_a_paraboloid_is_where_its_slopes_vanish(dx, dy, a, b, tilt):
    """By least squares of the six coefficients; a saddle has no peak."""
    cross = tilt * np.sqrt(a * b)
    y, x = (part.ravel().astype(float) for part in np.mgrid[-1:2, -1:2])
    heights = 5.0 - 0.5 * (a * (x - dx) ** 2 + b * (y - dy) ** 2) - cross * (x - dx) * (y - dy)
    columns = np.stack([x * x, y * y, x * y, x, y, np.ones(9)], axis=1)
    xx, yy, xy, fx, fy, _ = np.linalg.lstsq(columns, heights, rcond=None)[0]
    expected = np.linalg.solve([[2 * xx, xy], [xy, 2 * yy]], [-fx, -fy])
    image, middle = np.zeros((5, 5), np.float32), np.array([2])
    image[1:4, 1:4] = heights.reshape(3, 3)
    found = fit_quadratic_peak(image, middle, middle)
    assert np.ravel(found) == pytest.approx(np.clip(expected, -1.0, 1.0), abs=2e-4)
    image[1:4, 1:4] = (x * x - y * y).reshape(3, 3)
    assert np.ravel(fit_quadratic_peak(image, middle, middle)).tolist() == [0.0, 0.0]


def test_light_of_an_aperture_is_the_sum_of_its_pixels_above_the_ring():
    """Pixel by pixel; even noise within 1.7 sigma is not clipped, another star is."""
    rng = np.random.default_rng(3)
    image = 2.0 + rng.uniform(-0.1, 0.1, (60, 70))
    image[30:33, 33:36] += 5.0
    image[31, 46] += 40.0  # in the ring
    x, y, radius = 34.3, 31.2, 6.0
    rows, cols = np.mgrid[:60, :70]
    away = np.hypot(cols - x, rows - y)
    ring = (away >= 9.0) & (away <= 15.0) & (image < 10.0)
    share = np.clip(radius + 0.5 - away, 0.0, 1.0)
    found = measure_aperture_light(image, np.array([x]), np.array([y]), radius)
    assert found.flux[0] == pytest.approx((share * (image - image[ring].mean())).sum(), rel=1e-4)
    area = share.sum()
    noise = image[ring].std(ddof=1) * np.sqrt(area + area**2 / ring.sum())
    assert found.sigma[0] == pytest.approx(noise, rel=1e-3)
    for column, whole in ((6.0, True), (5.9, False), (63.0, True), (63.1, False)):
        one = measure_aperture_light(image, np.array([column]), np.array([30.0]), radius)
        assert one.whole.tolist() == [whole]


def test_falloff_and_its_errors_are_those_of_scipy_and_of_leaving_frames_out():
    """Huber's loss on the logarithms; the jackknife by fits of all frames but one."""
    from scipy.optimize import least_squares

    rng = np.random.default_rng(6)
    frames = [measure_sky_boxes(sky(rng, (0.2 * k - 0.3, 0.1))) for k in range(4)]
    frames[0].level[::17] *= 1.2
    half = 0.5 * np.hypot(*FRAME)

    def away(values):
        off = []
        for k, boxes in enumerate(frames):
            u, v = (boxes.x - AXIS[0]) / half, (boxes.y - AXIS[1]) / half
            slopes = np.stack([np.ones_like(u), u, v, u * u - v * v, u * v], axis=1)
            light = slopes @ values[3 + 5 * k : 8 + 5 * k]
            light = light * (1.0 + powers(np.hypot(u, v)) @ values[:3])
            off.append(np.log(boxes.level) - np.log(np.maximum(light, 1e-4)))
        return np.concatenate(off)

    fit = fit_falloff(frames, [AXIS] * 4)
    start = np.concatenate([np.zeros(3), np.tile([0.01, 0, 0, 0, 0], 4)])
    how = {"loss": "huber", "f_scale": 1.5 * fit.residual, "x_scale": np.where(start, 0.01, 0.1)}
    theirs = least_squares(away, start, **how).x
    at = powers(np.array([0.3, 0.6, 0.9]))
    assert at @ fit.coefficients == pytest.approx(at @ theirs[:3], abs=3e-4)
    assert fit.residual == pytest.approx(1.4826 * np.median(np.abs(away(theirs))), rel=0.02)
    others = [
        fit_falloff([f for j, f in enumerate(frames) if j != k], [AXIS] * 3).coefficients
        for k in range(4)
    ]
    jackknife = 3.0 * np.cov(np.array(others).T, ddof=0)
    jackknife[0, 0] += 0.008**2
    assert fit.covariance == pytest.approx(jackknife, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("sigma", [5.0, 9.0])
def test_a_flash_alone_has_the_light_and_extent_of_its_pixels_above_half(sigma):
    """On even ground without noise: everything from the profile that was drawn."""
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


def test_a_neighbour_is_laid_over_a_frame_in_its_gain_wherever_both_see():
    """A pan of 12 by 7 px, another exposure, and a strut that does not move with the ground."""
    world = 255.0 * np.clip(4.0 * night_ground(260, 340, seed=3), 0.0, 1.0)
    here, there = world[:240, :320].copy(), 0.8 * world[7:247, 12:332] + 6.0
    nothing = np.zeros((240, 320), bool)
    hidden = nothing.copy()
    hidden[:, :60] = True
    laid = lay_over(here, there, nothing, hidden)
    inner = np.s_[30:-30, 90:-30]
    assert laid.valid[inner].all()
    assert not laid.valid[:, 12:60].any()
    assert not laid.valid[:, :10].any()
    assert not laid.still[inner].any()
    off = np.abs(laid.levels - here)[inner]
    assert np.median(off) < 1.5
    assert np.median(laid.levels[inner]) == pytest.approx(np.median(here[inner]), abs=1.0)
    assert lay_over(here, there, ~nothing, hidden) is None
    assert lay_over(here, 255.0 - here[::-1, ::-1], nothing, nothing) is None
