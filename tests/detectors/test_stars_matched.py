"""What the matched filter does beyond the contract: width, trails, defects, crowds."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from light_scene import NOISE, Light, draw, flux_of_snr, nearest
from star_scene import SIGMA_PX, star_frame, star_list, trail_frame, turning_frame

from detectors.stars_matched import Matched
from detectors.types import PointFlag

LARGE = (400, 500)


@pytest.mark.parametrize("sigma", [0.7, 1.2, 2.2])
def test_the_width_is_measured_on_the_frame(sigma):
    stars = [Light(s.x, s.y, s.flux * sigma, sigma) for s in star_list(40, LARGE, gap=25.0)]
    found = Matched().detect(star_frame(stars, LARGE))
    assert len(found) >= 39
    assert np.median(found.fwhm_px) == pytest.approx(2.355 * sigma, rel=0.12)


@pytest.mark.parametrize("clipped", [0, 1])
def test_a_few_stars_of_linear_numbers_taken_for_srgb_are_found(clipped):
    """Their power makes them sharper than a lens does."""
    stars = [Light(s.x, s.y, s.flux, 0.65) for s in star_list(6, snr=(60.0, 90.0), gap=40.0)]
    image = star_frame(stars)
    defects = ((31, 41), (120, 300), (200, 77))
    for row, col in defects:
        image[row, col] = image.max()
    peaks = np.sort([image[round(one.y), round(one.x)] for one in stars])
    full = 0.9 * peaks[-clipped] if clipped else np.inf
    at_full = image >= full
    at_full[tuple(np.array(defects).T)] = False
    image = np.maximum(np.minimum(image, full), 0.0) ** 2.2
    found = Matched().detect(image, None, at_full.astype(np.float32))
    for one in stars:
        assert nearest(found, one.x, one.y)[1] < 0.7
    for row, col in defects:
        assert nearest(found, col, row)[1] > 1.5


@pytest.mark.parametrize("trail", [(14.0, -6.0), (0.0, 9.0), (6.0, 3.0)])
def test_the_common_trail_is_found_and_its_middle_is_the_place(trail):
    length = np.hypot(*trail)
    shape = (300, 360)
    stars = star_list(20, shape, snr=(60.0, 400.0), gap=30.0)
    found = Matched().detect(trail_frame(stars, trail, shape))
    assert found.trail_px[0] >= 0.0
    sign = np.sign(np.dot(found.trail_px, trail))
    assert sign * np.array(found.trail_px) == pytest.approx(trail, abs=0.12 * length)
    gaps = [nearest(found, one.x, one.y)[1] for one in stars]
    assert np.median(gaps) < 0.25
    assert len(found) <= len(stars) + 3
    assert (found.flags & PointFlag.TRAILED > 0).all()


@pytest.mark.parametrize("pole", [(-150.0, 520.0), (420.0, -60.0)])
def test_stars_of_a_sky_that_turns_are_found_by_their_own_trails(pole):
    shape, turn_rad = (300, 360), 0.04
    stars = star_list(28, shape, snr=(200.0, 900.0), gap=36.0)
    found = Matched().detect(turning_frame(stars, pole, turn_rad, shape))
    places = np.column_stack([found.x, found.y])
    off_px = [np.hypot(*(places - (one.x, one.y)).T).min() for one in stars]
    assert np.mean(np.array(off_px) < 1.0) >= 0.95
    assert len(found) <= 1.1 * len(stars)
    # The middle of the frame draws w times its distance from the pole, at right angles to it
    dx, dy = 0.5 * (shape[1] - 1) - pole[0], 0.5 * (shape[0] - 1) - pole[1]
    expected = turn_rad * np.array([-dy, dx])
    expected *= np.sign(expected[0])
    assert found.trail_px == pytest.approx(expected, abs=0.1 * np.hypot(*expected))


def test_clipped_trails_are_as_long_as_the_others():
    trail, shape = (14.0, -6.0), (300, 360)
    stars = star_list(20, shape, snr=(200.0, 2000.0), gap=30.0)
    image = trail_frame(stars, trail, shape)
    brightest = 0.3 * image.max()
    clipped = image >= brightest
    found = Matched().detect(np.minimum(image, brightest), None, clipped.astype(np.float32))
    assert np.hypot(*found.trail_px) == pytest.approx(np.hypot(*trail), rel=0.06)
    assert len(found) <= len(stars) + 1
    assert max(nearest(found, one.x, one.y)[1] for one in stars) < 0.5


def test_hot_pixels_and_thin_tracks_are_no_stars():
    image = star_frame(star_list(30, LARGE, gap=25.0), LARGE)
    rng = np.random.default_rng(7)
    defects = rng.integers(20, 380, (15, 2))
    image[defects[:, 0], defects[:, 1]] += 0.2
    image[300, 40:52] += 0.1
    found = Matched().detect(image)
    assert len(found) <= 31
    for row, col in defects:
        assert nearest(found, col, row)[1] > 1.0


def test_a_clipped_star_keeps_its_centre():
    bright = Light(200.37, 150.81, 40.0, SIGMA_PX)
    stars = [bright, *star_list(20, LARGE, seed=11, gap=40.0)]
    image = np.minimum(star_frame(stars, LARGE), 0.5)
    found = Matched().detect(image, None, (image >= 0.5).astype(np.float32))
    index, gap = nearest(found, bright.x, bright.y)
    assert gap < 0.1
    assert found.flags[index] & PointFlag.SATURATED


def test_an_edge_of_hardware_is_no_row_of_stars():
    image = star_frame([], LARGE)
    rows, cols = np.mgrid[0 : LARGE[0], 0 : LARGE[1]]
    beyond = rows > 150 + 0.3 * cols
    image[beyond] += 0.05
    found = Matched().detect(image)
    assert np.count_nonzero(np.abs(found.y - 150 - 0.3 * found.x) < 8.0) <= 3


def test_completeness_at_the_limit_is_that_of_an_ideal_filter():
    shape = (420, 420)
    stars = star_list(75, shape, snr=(6.0, 6.0), gap=20.0)
    found = Matched().detect(star_frame(stars, shape, noise=NOISE))
    hits = sum(nearest(found, one.x, one.y)[1] < 1.5 for one in stars)
    # Six sigma against a threshold of 4.5: Phi(1.5) = 0.93
    assert hits / len(stars) > 0.8


@pytest.mark.parametrize(("apart_px", "share"), [(2.4, 0.5), (3.0, 0.7), (2.6, 0.75)])
def test_two_stars_that_look_like_one_are_told_apart(apart_px, share):
    flux = flux_of_snr(300.0, SIGMA_PX)
    one = Light(200.3, 150.6, share * flux, SIGMA_PX)
    other = Light(200.3 + 0.8 * apart_px, 150.6 - 0.6 * apart_px, (1 - share) * flux, SIGMA_PX)
    stars = [one, other, *star_list(20, LARGE, seed=9, gap=40.0)]
    found = Matched().detect(star_frame(stars, LARGE))
    for star in (one, other):
        index, gap = nearest(found, star.x, star.y)
        assert gap < 0.15
        assert found.flux[index] == pytest.approx(star.flux, rel=0.2)
        assert found.flags[index] & PointFlag.BLENDED
    assert len(found) == len(stars)


def test_stars_that_a_lens_draws_long_stay_one_each():
    stars = star_list(40, LARGE, snr=(100.0, 400.0), gap=30.0)
    coma = [Light(s.x + 1.2, s.y + 0.7, 0.4 * s.flux, s.sigma) for s in stars]
    found = Matched().detect(star_frame([*stars, *coma], LARGE))
    assert len(found) <= len(stars) + 2


def test_a_hot_pixel_on_a_star_moves_it_not():
    stars = star_list(25, LARGE, snr=(60.0, 200.0), gap=35.0)
    image = star_frame(stars, LARGE)
    hit = stars[:5]
    for one in hit:
        image[round(one.y) + 2, round(one.x) + 1] += one.flux / (2 * np.pi * one.sigma**2)
    found = Matched().detect(image)
    assert max(nearest(found, one.x, one.y)[1] for one in hit) < 0.15


def test_tracks_across_the_trails_are_no_stars():
    shape = (300, 360)
    stars = star_list(20, shape, snr=(60.0, 400.0), gap=30.0)
    rng = np.random.default_rng(5)
    tracks = [
        Light(x + 0.4 * step, y + 0.9 * step, 0.1 * stars[0].flux, 0.7)
        for x, y in rng.uniform(20.0, 280.0, (12, 2))
        for step in range(10)
    ]
    sky = trail_frame(stars, (14.0, -6.0), shape)
    found = Matched().detect(sky + draw(tracks, shape, level=0.0, noise=0.0, seed=1))
    hits = sum(nearest(found, one.x, one.y)[1] < 1.0 for one in stars)
    assert hits >= 17  # tracks lie on some
    assert len(found) <= hits + 3


@pytest.mark.parametrize("size_px", [8.0, 20.0, 40.0])
@pytest.mark.parametrize("edge_px", [3.0, None])
def test_a_lamp_reflected_in_the_window_is_no_star(size_px, edge_px):
    stars = star_list(20, gap=30.0)
    image = star_frame(stars)
    rows, cols = np.mgrid[0 : image.shape[0], 0 : image.shape[1]]
    r = np.hypot(cols - 160.0, rows - 120.0)
    soft = np.exp(-0.5 * (r / size_px) ** 2)
    disc = soft if edge_px is None else np.clip((size_px - r) / edge_px + 0.5, 0.0, 1.0)
    found = Matched().detect((image + 0.1 * disc).astype(np.float32))
    near = np.hypot(found.x - 160.0, found.y - 120.0) < size_px + 8.0
    known = [nearest(found, one.x, one.y)[0] for one in stars]
    assert set(np.flatnonzero(near)) <= set(known)
    assert len(found) >= 0.8 * len(stars)


def behind_a_mosaic(frame, noise, seed):
    """A frame as a camera with a mosaic of colours stores it, in grey."""
    raw = frame + np.random.default_rng(seed).normal(0.0, noise, frame.shape)
    coded = np.clip(np.rint(raw * 50_000.0), 0, 65_535).astype(np.uint16)
    colour = cv2.cvtColor(coded, cv2.COLOR_BayerGB2BGR).astype(np.float32)
    return colour @ np.array([0.114, 0.587, 0.299], np.float32) / 50_000.0


def test_particles_behind_a_mosaic_of_colours_are_no_stars():
    stars = star_list(40, LARGE, snr=(25.0, 300.0), gap=25.0)
    frame = star_frame(stars, LARGE, noise=0.0).astype(float)
    rng = np.random.default_rng(3)
    for row, col in rng.integers(15, 380, (25, 2)):
        frame[row, col] += rng.uniform(0.02, 0.3)  # a warm pixel
    for row, col in rng.integers(15, 380, (25, 2)):
        turn, length = rng.uniform(0.0, np.pi), rng.uniform(2.0, 7.0)
        for step in np.arange(0.0, length, 0.1):
            at = (round(row + step * np.sin(turn)), round(col + step * np.cos(turn)))
            frame[at] += 0.1 * rng.uniform(0.05, 0.3)
    found = Matched().detect(behind_a_mosaic(frame, NOISE, 4))
    hits = sum(nearest(found, one.x, one.y)[1] < 1.0 for one in stars)
    assert hits >= 37  # particles lie on some
    assert len(found) - hits <= 6


def arc_frame(stars, length, bow):
    """A frame in which every star draws the same arc about the middle of its light."""
    along = np.linspace(-0.5, 0.5, 25)
    off = 4.0 * bow * (np.mean(along**2) - along**2)
    drawn = [
        Light(one.x + length * t, one.y + v, one.flux / along.size, one.sigma)
        for one in stars
        for t, v in zip(along, off, strict=True)
    ]
    return star_frame(drawn, LARGE)


@pytest.mark.slow
def test_stars_of_a_shaken_hand_are_placed_by_their_arcs():
    stars = star_list(25, LARGE, snr=(80.0, 500.0), gap=40.0)
    found = Matched().detect(arc_frame(stars, 18.0, 4.0))
    gaps = np.array([nearest(found, one.x, one.y)[1] for one in stars])
    assert np.median(gaps) < 0.2
    assert len(found) <= len(stars) + 2
