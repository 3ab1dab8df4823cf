"""Statistics of boxes, the diffuse background made of them, and hot pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from light_scene import draw, spread_lights

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

SHAPE = (300, 400)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_level_and_noise_of_plain_noise():
    image = rng().normal(0.05, 0.002, SHAPE).astype(np.float32)
    found = estimate_diffuse_background(image, scale_px=64)
    assert found.level.shape == found.noise.shape == SHAPE
    assert found.level.dtype == found.noise.dtype == np.float32
    assert np.abs(found.level - 0.05).max() < 0.0003
    np.testing.assert_allclose(found.noise, 0.002, rtol=0.12)


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


def test_hot_pixels_are_found_where_they_are():
    image = draw([], SHAPE, level=0.01, noise=0.001)
    places = [(0, 0), (5, 399), (150, 200), (299, 100)]
    for row, col in places:
        image[row, col] += 0.1
    hot = find_hot_pixels(image)
    assert sorted(zip(*map(list, np.nonzero(hot)), strict=True)) == sorted(places)


def test_lamps_are_not_hot():
    lamps = np.zeros(SHAPE, np.float32)
    lamps[10:-10:20, 10:-10:20] = 0.5
    for sigma in (0.5, 0.7, 1.0):
        fine = cv2.resize(lamps, None, fx=5, fy=5, interpolation=cv2.INTER_NEAREST)
        blurred = cv2.GaussianBlur(fine, (0, 0), 5.0 * sigma)
        image = cv2.resize(blurred, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
        image += rng(2).normal(0.01, 0.0005, SHAPE).astype(np.float32)
        assert find_hot_pixels(image).sum() == 0


def test_a_slope_goes_on_beyond_the_outermost_boxes_but_not_below_zero():
    mesh = Mesh.with_scale((100, 100), 20)
    boxes = np.tile(np.arange(5, dtype=np.float32), (5, 1))
    full = mesh.upsample(boxes)
    assert full[50, 99] == pytest.approx(4.475, abs=0.1)
    assert full.min() == 0.0


def test_holes_are_filled_from_their_rims():
    boxes = np.array([[1, np.nan, np.nan, np.nan, 3]], np.float32)
    assert fill_holes(boxes).tolist() == [[1.0, 1.0, 2.0, 3.0, 3.0]]
    assert fill_holes(np.full((2, 2), np.nan, np.float32)).tolist() == [[0, 0], [0, 0]]


# ---- statistics of boxes


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


# ---- stripes, hot pixels, zero


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


def test_too_small_a_picture_has_no_stripes():
    image = rng(7).normal(0.0, 1.0, (127, 127)).astype(np.float32)
    image[:, 40] += 5.0
    found, defects = remove_stripes(image.copy())
    assert np.array_equal(found, image)
    assert not defects.any()


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
