"""SCENES: what is found in drawn scenes, by the best method of each kind."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import cv2
import numpy as np
import pytest
from astropy.io import fits

import regengine as rg
from detectors.registry import LIGHTS, STARS, STREAKS
from tests.world import skies
from tests.world.fields import (
    NOISE,
    STAR_PX,
    Light,
    draw,
    end_gap,
    flux_of_snr,
    scattered_stars,
    spot,
    star_frame,
    star_light,
    star_list,
    straight_path,
    streak_light,
    trail_frame,
    turning_frame,
)

BLOBS = LIGHTS.detectors()["blobs"]
MATCHED = STARS.detectors()["matched"]
RADON = STREAKS.detectors()["radon"]
PAPER = {name: one for name, one in STREAKS.detectors().items() if name.startswith("paper-")}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A frame, what it shows, and how near and how completely that must be found."""

    image: Any
    there: Iterable[Any] = ()  # lights, places (x, y) or ends (x1, y1, x2, y2)
    saturated: Any = None
    mask: Any = None
    near_px: float = 1.0
    median_px: float = 1.0
    missed: int = 0  # so many may be missing
    more: int = 0  # and so many more than were hit may be found
    nowhere: Iterable[Any] = ()  # places without a detection within `nowhere_px`
    nowhere_px: float = 1.0
    trail: Any = None  # of the stars, end to end, and how far off
    counted: Callable[[Any], Any] | None = None  # which detections are looked at
    flags: Any = None  # of what is nearest to the first
    columns: Any = ()  # of the first: name, value, relative and absolute tolerance


def gaps_px(found, there):
    """How far each detection is from each of what is there, shape (there, found)."""
    if len(there) and hasattr(there[0], "x"):
        there = [(one.x, one.y) for one in there]
    if hasattr(found, "x2") and len(there) and len(there[0]) == 4:
        ends = np.column_stack([found.x1, found.y1, found.x2, found.y2])
        return np.array([[end_gap(one, wanted) for one in ends] for wanted in there])
    places = np.reshape(np.array(there, float), (len(there), 2))
    return np.hypot(places[:, :1] - found.x, places[:, 1:] - found.y)


def assert_seen(found, scene):
    there = list(scene.there)
    found = found if scene.counted is None else found.select(scene.counted(found))
    if there:
        gaps = gaps_px(found, there)
        assert gaps.shape[1], "nothing was found"
        nearest = gaps.min(axis=1)
        hits = int(np.count_nonzero(nearest < scene.near_px))
        assert hits >= len(there) - scene.missed, np.round(nearest, 2)
        assert np.median(nearest) < scene.median_px
        assert len(found) <= hits + scene.more
        first = int(gaps[0].argmin())
    else:
        assert len(found) <= scene.more
        first = 0
    for place in scene.nowhere:
        assert len(found) == 0 or gaps_px(found, [place]).min() > scene.nowhere_px
    if scene.trail is not None:
        trail, off_px = scene.trail
        sign = np.sign(np.dot(found.trail_px, trail))
        assert found.trail_px[0] >= 0.0
        assert sign * np.array(found.trail_px) == pytest.approx(trail, abs=off_px)
    if scene.flags is not None:
        assert set(found.flag_names(first)) == set(scene.flags)
    for name, value, rel, off in scene.columns:
        assert getattr(found, name)[first] == pytest.approx(value, rel=rel, abs=off), name


def row(detector, scene, *how, name=None, marks=()):
    """A case: a method, and who draws its scene."""
    said = " ".join(map(str, how))
    name = name or f"{scene.__name__} {said}".replace("_", " ").strip()
    return pytest.param(detector, partial(scene, *how), id=name, marks=marks)


# ---- lights


def around(radius_px):
    """One lamp or town of that half-light radius."""
    sigma = radius_px / 1.17741
    one = Light(310.4, 295.7, flux_of_snr(500.0, sigma), sigma)
    columns = [("radius_px", radius_px, 0.25, 0.0), ("flux", one.flux, 0.35, 0.0)]
    near = 0.3 + 0.02 * radius_px
    return Scene(image=draw([one], (620, 620)), there=[one], near_px=near, columns=columns)


def close_neighbours():
    lights = [Light(100.0, 100.0, 0.5, 1.5), Light(106.0, 100.0, 0.35, 1.5)]
    columns = [("flux", 0.5, 0.25, 0.0)]
    return Scene(image=draw(lights), there=lights, near_px=0.3, flags=["blended"], columns=columns)


def group():
    rng = np.random.default_rng(3)
    steps = range(-3, 4)
    lights = [
        Light(160.0 + 14 * i + rng.uniform(-2, 2), 120.0 + 14 * j, flux_of_snr(80.0), 1.2)
        for i in steps
        for j in steps
    ]
    return Scene(
        image=draw(lights), there=lights, missed=1, more=1, columns=[("radius_px", 1.4, 0.3, 0)]
    )


def lamp_on_the_flank_of_a_town():
    town = Light(160.0, 120.0, flux_of_snr(600.0, 12.0), 12.0)
    lamp = Light(178.0, 120.0, flux_of_snr(120.0, 1.0), 1.0)
    return Scene(image=draw([town, lamp]), there=[town, lamp], near_px=1.5)


def saturated_core():
    image = np.minimum(draw([Light(160.0, 120.0, 400.0, 6.0)]), 1.0)
    return Scene(image=image, there=[(160.0, 120.0)], near_px=0.3, flags=["saturated"])


def limb_and_edge(angle):
    rows, cols = np.mgrid[0:300, 0:400]
    distance = (cols - 200) * np.sin(angle) + (rows - 150) * np.cos(angle)
    glow = 0.05 * np.exp(-0.5 * (distance / 4.0) ** 2) + 0.02 / (1 + np.exp(-(distance - 40)))
    return Scene(image=draw([], (300, 400), seed=1) + glow.astype(np.float32), more=2)


def texture_all_around():
    """Half of the frame is broken cloud; the noise of the other half is no measure of it."""
    rough = np.random.default_rng(0).normal(0.0, 1.0, (400, 400)).astype(np.float32)
    texture = cv2.GaussianBlur(rough, (0, 0), 3.0)
    cloud = np.maximum(0.02 + 0.01 * texture / texture.std(), 0.0)
    cloud[:, 200:] = 0.0
    lamp = Light(100.0, 200.0, 2.0, 1.5)
    image = cloud + draw([lamp], (400, 400), level=0.005, noise=0.0005)
    return Scene(
        image=image,
        there=[lamp],
        near_px=0.5,
        more=3,
        counted=lambda found: (found.x < 150.0) | (found.x > 202.0),  # the cloud's edge is an edge
    )


def noise_of_jpeg():
    white = np.random.default_rng(4).normal(0.0, 1.0, (400, 400)).astype(np.float32)
    soft = cv2.GaussianBlur(white, (0, 0), 1.3)
    return Scene(image=(0.01 + 0.002 * soft / soft.std()).astype(np.float32), more=2)


def noise_that_differs():
    sigma = np.linspace(0.0005, 0.004, 600)
    noise = sigma * np.random.default_rng(5).normal(size=(400, 600))
    lamp = Light(80.0, 200.0, flux_of_snr(30.0))
    image = draw([lamp], (400, 600), noise=0) + noise.astype(np.float32)
    return Scene(image=image, there=[lamp], near_px=0.3, more=2)


LIGHT_SCENES = [
    *(row(BLOBS, around, radius_px) for radius_px in (1.0, 2.0, 4.0, 8.0, 15.0, 25.0, 40.0)),
    *(row(BLOBS, limb_and_edge, turn) for turn in (0.0, 0.2, 0.7, 1.3)),
    *(row(BLOBS, one) for one in (close_neighbours, group, lamp_on_the_flank_of_a_town)),
    *(row(BLOBS, one) for one in (saturated_core, texture_all_around, noise_of_jpeg)),
    row(BLOBS, noise_that_differs),
]

# ---- stars

LARGE, MIDDLE = (400, 500), (300, 360)


def widths(sigma):
    stars = [Light(s.x, s.y, s.flux * sigma, sigma) for s in star_list(40, LARGE, gap=25.0)]
    columns = [("fwhm_px", 2.355 * sigma, 0.12, 0.0)]
    return Scene(image=star_frame(stars, LARGE), there=stars, missed=1, more=2, columns=columns)


def linear_numbers_taken_for_srgb(clipped):
    """Their power makes stars sharper than a lens does; single pixels are none."""
    stars = [Light(s.x, s.y, s.flux, 0.65) for s in star_list(6, snr=(60.0, 90.0), gap=40.0)]
    image = star_frame(stars)
    defects = ((31, 41), (120, 300), (200, 77))
    for row, col in defects:
        image[row, col] = image.max()
    peaks = np.sort([image[round(one.y), round(one.x)] for one in stars])
    full = 0.9 * peaks[-clipped] if clipped else np.inf
    at_full = image >= full
    at_full[tuple(np.array(defects).T)] = False
    return Scene(
        image=np.maximum(np.minimum(image, full), 0.0) ** 2.2,
        saturated=at_full.astype(np.float32),
        there=stars,
        near_px=0.7,
        more=99,
        nowhere=[(col, row) for row, col in defects],
        nowhere_px=1.5,
    )


def common_trail(trail):
    stars = star_list(20, MIDDLE, snr=(60.0, 400.0), gap=30.0)
    return Scene(
        image=trail_frame(stars, MIDDLE, straight_path(trail)),
        there=stars,
        missed=1,
        more=3,
        median_px=0.25,
        trail=(trail, 0.12 * np.hypot(*trail)),
        flags=["trailed"],
    )


def turning_sky(pole):
    turn_rad = 0.04
    stars = star_list(28, MIDDLE, snr=(200.0, 900.0), gap=36.0)
    # The middle of the frame draws w times its distance from the pole, at right angles to it
    dx, dy = 0.5 * (MIDDLE[1] - 1) - pole[0], 0.5 * (MIDDLE[0] - 1) - pole[1]
    trail = turn_rad * np.array([-dy, dx])
    return Scene(
        image=turning_frame(stars, pole, turn_rad, MIDDLE),
        there=stars,
        missed=1,
        more=3,
        trail=(trail, 0.1 * np.hypot(*trail)),
    )


def clipped_trails():
    trail = (14.0, -6.0)
    stars = star_list(20, MIDDLE, snr=(200.0, 2000.0), gap=30.0)
    image = trail_frame(stars, MIDDLE, straight_path(trail))
    top = 0.3 * image.max()
    return Scene(
        image=np.minimum(image, top),
        saturated=(image >= top).astype(np.float32),
        there=stars,
        near_px=0.5,
        more=1,
        trail=(trail, 0.06 * np.hypot(*trail)),
    )


def hot_pixels_and_thin_tracks():
    stars = star_list(30, LARGE, gap=25.0)
    image = star_frame(stars, LARGE)
    defects = np.random.default_rng(7).integers(20, 380, (15, 2))
    image[defects[:, 0], defects[:, 1]] += 0.2
    image[300, 40:52] += 0.1
    nowhere = [(col, row) for row, col in defects]
    return Scene(image=image, there=stars, missed=1, more=2, nowhere=nowhere)


def clipped_star():
    bright = Light(200.37, 150.81, 40.0, STAR_PX)
    stars = [bright, *star_list(20, LARGE, seed=11, gap=40.0)]
    image = np.minimum(star_frame(stars, LARGE), 0.5)
    full = (image >= 0.5).astype(np.float32)
    return Scene(
        image=image, saturated=full, there=[bright], near_px=0.1, more=22, flags=["saturated"]
    )


def edge_of_hardware():
    image = star_frame([], LARGE)
    rows, cols = np.mgrid[0 : LARGE[0], 0 : LARGE[1]]
    image[rows > 150 + 0.3 * cols] += 0.05
    return Scene(image=image, more=6)


def stars_at_the_limit():
    """Six sigma against a threshold of 4.5: Phi(1.5) = 0.93."""
    stars = star_list(75, (420, 420), snr=(6.0, 6.0), gap=20.0)
    return Scene(image=star_frame(stars, (420, 420)), there=stars, near_px=1.5, missed=15, more=5)


def pair(apart_px, share):
    """Two stars that look like one."""
    flux = flux_of_snr(300.0, STAR_PX)
    one = Light(200.3, 150.6, share * flux, STAR_PX)
    other = Light(200.3 + 0.8 * apart_px, 150.6 - 0.6 * apart_px, (1 - share) * flux, STAR_PX)
    stars = [one, other, *star_list(20, LARGE, seed=9, gap=40.0)]
    return Scene(
        image=star_frame(stars, LARGE),
        there=stars,
        near_px=0.25,
        flags=["blended"],
        columns=[("flux", one.flux, 0.2, 0.0)],
    )


def coma():
    """A lens draws stars long."""
    stars = star_list(40, LARGE, snr=(100.0, 400.0), gap=30.0)
    tails = [Light(s.x + 1.2, s.y + 0.7, 0.4 * s.flux, s.sigma) for s in stars]
    return Scene(image=star_frame([*stars, *tails], LARGE), there=stars, more=2)


def hot_pixel_on_a_star():
    stars = star_list(25, LARGE, snr=(60.0, 200.0), gap=35.0)
    image = star_frame(stars, LARGE)
    for one in stars[:5]:
        image[round(one.y) + 2, round(one.x) + 1] += one.flux / (2 * np.pi * one.sigma**2)
    return Scene(image=image, there=stars[:5], near_px=0.15, more=22)


def tracks_across_the_trails():
    stars = star_list(20, MIDDLE, snr=(60.0, 400.0), gap=30.0)
    rng = np.random.default_rng(5)
    tracks = [
        Light(x + 0.4 * step, y + 0.9 * step, 0.1 * stars[0].flux, 0.7)
        for x, y in rng.uniform(20.0, 280.0, (12, 2))
        for step in range(10)
    ]
    image = trail_frame(stars, MIDDLE, straight_path((14.0, -6.0)))
    image = image + draw(tracks, MIDDLE, level=0.0, noise=0.0)
    return Scene(image=image, there=stars, missed=3, more=3)  # tracks lie on some


def lamp_in_the_window(size_px, edge_px):
    """A lamp reflected in the window, sharp or soft."""
    stars = star_list(20, gap=30.0)
    rows, cols = np.mgrid[0:240, 0:320]
    r = np.hypot(cols - 160.0, rows - 120.0)
    soft = np.exp(-0.5 * (r / size_px) ** 2)
    disc = soft if edge_px is None else np.clip((size_px - r) / edge_px + 0.5, 0.0, 1.0)
    image = (star_frame(stars) + 0.1 * disc).astype(np.float32)
    clear = [one for one in stars if np.hypot(one.x - 160.0, one.y - 120.0) > size_px + 8.0]
    return Scene(image=image, there=clear, missed=2, more=len(stars) - len(clear) + 1)


def particles_behind_a_mosaic():
    """A frame as a camera with a mosaic of colours stores it, in grey."""
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
    raw = frame + np.random.default_rng(4).normal(0.0, NOISE, frame.shape)
    coded = np.clip(np.rint(raw * 50_000.0), 0, 65_535).astype(np.uint16)
    colour = cv2.cvtColor(coded, cv2.COLOR_BayerGB2BGR).astype(np.float32)
    grey = colour @ np.array([0.114, 0.587, 0.299], np.float32) / 50_000.0
    return Scene(image=grey, there=stars, missed=3, more=6)  # particles lie on some


def shaken_hand():
    """Every star draws the same arc about the middle of its light."""
    stars = star_list(25, LARGE, snr=(80.0, 500.0), gap=40.0)
    along = np.linspace(-0.5, 0.5, 25)
    path = np.column_stack([18.0 * along, 16.0 * (np.mean(along**2) - along**2)])
    image = trail_frame(stars, LARGE, path)
    return Scene(image=image, there=stars, median_px=0.2, near_px=2.0, missed=2, more=3)


STAR_SCENES = [
    *(row(MATCHED, widths, sigma) for sigma in (0.7, 1.2, 2.2)),
    *(row(MATCHED, linear_numbers_taken_for_srgb, clipped) for clipped in (0, 1)),
    *(row(MATCHED, common_trail, trail) for trail in ((14.0, -6.0), (0.0, 9.0), (6.0, 3.0))),
    *(row(MATCHED, turning_sky, pole) for pole in ((-150.0, 520.0), (420.0, -60.0))),
    *(row(MATCHED, pair, *how) for how in ((2.4, 0.5), (3.0, 0.7), (2.6, 0.75))),
    *(
        row(MATCHED, lamp_in_the_window, px, edge)
        for px in (8.0, 20.0, 40.0)
        for edge in (3.0, None)
    ),
    *(row(MATCHED, one) for one in (clipped_trails, hot_pixels_and_thin_tracks, clipped_star)),
    *(row(MATCHED, one) for one in (edge_of_hardware, stars_at_the_limit, coma)),
    *(row(MATCHED, one) for one in (hot_pixel_on_a_star, tracks_across_the_trails)),
    row(MATCHED, particles_behind_a_mosaic),
    row(MATCHED, shaken_hand, marks=pytest.mark.slow),
]

# ---- streaks, in units of the noise

SHAPE = (384, 448)
ENDS = (60.0, 300.0, 330.0, 90.0)
ACROSS = (330.0, 60.0, 150.0, 330.0)
TOP = 40.0
ROWS, COLS = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)


def white(seed, shape=SHAPE):
    return np.random.default_rng(seed).normal(size=shape)


def faint_to_bright(seed):
    """Points of light."""
    rng = np.random.default_rng(seed)
    places = rng.uniform((0, 0, 0), (SHAPE[1], SHAPE[0], 0), (60, 3))
    places[:, 2] = np.minimum(3.0 * (1.0 + rng.pareto(0.8, 60)), 400.0)
    return star_light(SHAPE, places)


def starry(seed, sigma=1.4):
    rng = np.random.default_rng(seed)
    places = rng.uniform(10.0, [SHAPE[1] - 10.0, SHAPE[0] - 10.0], (40, 2))
    peaks = np.exp(rng.uniform(np.log(15.0), np.log(80.0), 40))
    return white(seed) + star_light(SHAPE, np.column_stack([places, peaks]), sigma)


def lit(ends, peak, sigma=1.3, *, bow=0.0, light=None):
    return peak * streak_light(SHAPE, ends, sigma, bow=bow, light=light)


def shows(light, *ends, unit=5.0, level=200.0, **told):
    """Light over noise of one as a frame of counts; what is told of flux is in the noise's unit."""
    columns = [
        (name, value * (unit if name == "flux" else 1.0), rel, off)
        for name, value, rel, off in told.pop("columns", ())
    ]
    return Scene(image=level + unit * light, there=ends, columns=columns, **told)


def cut(light):
    return np.minimum(light, TOP)


def one_streak():
    length = np.hypot(270.0, 210.0)
    # Root of the sum of the squared light of the streak over the noise
    matched = 3.0 * np.sqrt(np.sqrt(np.pi) * 1.3 * length)
    columns = [
        ("width_px", 2.355 * 1.3, 0.12, 0),
        ("flux", 3.0 * np.sqrt(2.0 * np.pi) * 1.3 * length, 0.15, 0),
        ("snr", 0.92 * matched, 0.18, 0),
        ("bow_px", 0.0, 0, 0.7),
    ]
    return shows(
        white(1) + lit(ENDS, 3.0), ENDS, near_px=2.5, median_px=9, flags=(), columns=columns
    )


def bent(bow):
    light = white(4) + lit(ENDS, 3.0, bow=bow)
    return shows(
        light, ENDS, near_px=9, median_px=9, flags=["curved"], columns=[("bow_px", bow, 0, 0.8)]
    )


def cut_by_the_border():
    light = white(5) + lit((-80.0, 200.0, 160.0, 120.0), 2.0)
    ends = (-0.5, 200.0 - 80.0 * 79.5 / 240.0, 160.0, 120.0)
    columns = [("x1", ends[0], 0, 0.5), ("y1", ends[1], 0, 1.0)]
    flags = ["first_end_outside"]
    return shows(light, ends, near_px=6, median_px=9, flags=flags, columns=columns)


def turned(turn):
    light = lit((90.0, 100.0, 150.0, 130.0), 2.0) + white(3)
    light = np.rot90(light, turn) if turn < 3 else light[:, ::-1]
    return shows(light, more=1, columns=[("length_px", np.hypot(60.0, 30.0), 0, 4.0)])


def three(ends, peak, seed, top=np.inf, near_px=4.0):
    light = white(seed) + sum(lit(one, peak) for one in ends)
    return shows(np.minimum(light, top), *ends, near_px=near_px, median_px=9)


def among_parallel_trails(streak):
    rng = np.random.default_rng(9)
    light = white(9)
    for _ in range(25):
        x, y = rng.uniform(20, SHAPE[1] - 50), rng.uniform(20, SHAPE[0] - 40)
        light += lit((x, y, x + 24.0, y + 10.0), rng.uniform(4.0, 40.0))
    if not streak:
        return shows(light)
    return shows(light + lit(ACROSS, 3.0), ACROSS, near_px=25, median_px=25)  # a trail at its end


def slope_and_soft_clouds():
    rng = np.random.default_rng(10)
    field = cv2.GaussianBlur(rng.normal(size=SHAPE), (0, 0), 12.0)
    level = 200.0 * (1.0 + 0.8 * np.linspace(0.0, 1.0, SHAPE[1]) + 0.3 * field / field.std())
    noise = rng.normal(0.0, 1.0, SHAPE) * np.sqrt(np.maximum(level, 1.0) / 8.0)
    return Scene(image=level + noise)


def tracks_of_one_pixel():
    light = white(11) + faint_to_bright(12)
    for k in range(5):
        step = np.arange(32)
        light[60 + 55 * k + np.rint(0.4 * k * step / 2).astype(int), 80 + 50 * k + step] += 12.0
    return shows(light)


def clipped(ends, near_px=6.0):
    light = cut(white(1) + faint_to_bright(2) + lit(ends, 300))
    return shows(light, ends, near_px=near_px, median_px=9)


def from_border_to_border():
    scene = clipped((-60.0, 40.0, 520.0, 330.0))
    ends = (-0.5, 69.75, 447.5, 293.75)
    return replace(scene, there=[ends], near_px=2.0)


def wide(what):
    ends = (60.0, 380.0, 250.0, 20.0)
    if what == "wisp":
        return shows(white(4) + lit((176.0, 218.0, 224.0, 182.0), 3.0, sigma=6.0))
    columns = [("width_px", 2.355 * 6.0, 0.25, 0)]
    light = white(4) + lit(ends, 100, sigma=6.0)
    return shows(light, ends, near_px=15, median_px=15, columns=columns)


def bleeding_column():
    light = white(5).astype(np.float64)
    cv2.circle(light, (200, 150), 9, TOP, -1)
    light[60:260, 199:202] = TOP
    return shows(cut(light))


def discs_and_spindles():
    along, across = 0.8 * (COLS - 150) + 0.6 * (ROWS - 150), 0.8 * (ROWS - 150) - 0.6 * (COLS - 150)
    light = white(6) + 200.0 * np.exp(-np.hypot(along / 18.0, across / 5.0))
    light += 400.0 * np.exp(-0.5 * np.hypot(COLS - 300, ROWS - 250) ** 2 / 4.0**2)
    return shows(light, more=1)


def hot_and_dead_columns():
    light = starry(11)
    light[60:, 200] += 12.0
    light[:, 321] -= 12.0
    return shows(light)


def about_a_pole():
    light, rng = white(13), np.random.default_rng(13)
    for x, y in rng.uniform(30.0, [SHAPE[1] - 30.0, SHAPE[0] - 30.0], (30, 2)):
        off = np.array([x - 220.0, y - 190.0])
        dx, dy = 12.0 * np.array([-off[1], off[0]]) / max(np.hypot(*off), 1.0)
        light = light + lit((x - dx, y - dy, x + dx, y + dy), rng.uniform(8.0, 40.0))
    return shows(light, more=1)


def wandering_track():
    light, places = starry(14), [(110.0, 90.0), (121.0, 99.0), (128.0, 112.0), (141.0, 118.0)]
    for first, last in itertools.pairwise(places):
        light = np.maximum(light, lit((*first, *last), 40.0, sigma=1.4))
    return shows(light)


def among_arcs_of_a_shaken_hand(streak):
    """All stars draw one arc; tracks of particles among them are too narrow."""
    rng = np.random.default_rng(15)
    light = white(15)
    for x, y in rng.uniform(30.0, [SHAPE[1] - 30.0, SHAPE[0] - 30.0], (14, 2)):
        ends = (x - 10.0, y - 3.0, x + 10.0, y + 3.0)
        light += lit(ends, rng.uniform(5.0, 40.0), 1.5, bow=4.5)
    for ends in ((60.0, 60.0, 80.0, 100.0), (300.0, 200.0, 345.0, 178.0)):
        light += lit(ends, 25.0, sigma=0.95)
    if not streak:
        return shows(light)
    return shows(light + lit(ACROSS, 6.0, sigma=1.5), ACROSS, near_px=25, median_px=25)


def crowd():
    """Stars too faint to be seen one by one, in knots as stars are."""
    rng = np.random.default_rng(31)
    knots = rng.uniform(0.0, [SHAPE[1], SHAPE[0]], (312, 2))
    places = np.repeat(knots, 8, axis=0) + rng.normal(0.0, 6.0, (2496, 2))
    light = np.zeros(SHAPE)
    x, y = np.rint(places).astype(int).T
    inside = (x >= 0) & (x < SHAPE[1]) & (y >= 0) & (y < SHAPE[0])
    np.add.at(light, (y[inside], x[inside]), rng.uniform(0.5, 12.0, inside.sum()))
    return shows(white(31) + 2.0 * cv2.GaussianBlur(light, (0, 0), 1.2))


TUMBLING = {
    "even": lambda t: 1.0 + 0.0 * t,
    "tumbling": lambda t: 1.0 + 0.7 * np.cos(2.0 * np.pi * 7.0 * t),
    "dashed": lambda t: ((7.5 * t) % 1.0 < 0.5).astype(float),
    "swelling": lambda t: 0.1 + 0.9 * 4.0 * t * (1.0 - t),
}


def even_or_uneven(name):
    return shows(white(14) + lit(ENDS, 6.0, light=TUMBLING[name]), more=1)


CROSSING = (ENDS, (50.0, 60.0, 400.0, 330.0), (200.0, 40.0, 260.0, 350.0))
PARALLEL = tuple((20.0, 100.0 + k, 350.0, 260.0 + k) for k in (-70.0, 0.0, 14.0))
TRACK = (110.0, 90.0, 160.0, 130.0)


def alone(light):
    """What is no streak, or none that may be told."""
    return shows(light)


def seen(light, ends, near_px=9.0):
    return shows(light, ends, near_px=near_px, median_px=near_px)


CLOUD = 60.0 * np.sin(ROWS / 40.0) * np.cos(COLS / 55.0)
STREAK_SCENES = [
    row(RADON, one_streak),
    *(row(RADON, turned, turn) for turn in range(4)),
    *(row(RADON, bent, bow) for bow in (-6.0, 6.0)),
    *(row(RADON, even_or_uneven, name) for name in TUMBLING),
    *(row(RADON, among_parallel_trails, streak) for streak in (False, True)),
    *(row(RADON, among_arcs_of_a_shaken_hand, streak) for streak in (False, True)),
    *(row(RADON, wide, what) for what in ("streak", "wisp")),
    *(row(RADON, clipped, ends) for ends in ((60, 120, 160, 120), (200, 60, 206, 84))),
    *(row(RADON, one) for one in (cut_by_the_border, slope_and_soft_clouds, tracks_of_one_pixel)),
    *(row(RADON, one) for one in (from_border_to_border, bleeding_column, discs_and_spindles)),
    *(row(RADON, one) for one in (hot_and_dead_columns, about_a_pole, wandering_track)),
    row(RADON, crowd, marks=pytest.mark.slow),
    row(RADON, three, CROSSING, 2.5, 6, name="three that cross"),
    row(RADON, three, PARALLEL, 200, 3, TOP, 8.0, name="three parallel clipped ones"),
    *(row(RADON, alone, white(k, (256, 256)), name=f"noise {k}") for k in range(100, 104)),
    row(RADON, alone, white(7) + faint_to_bright(8), name="stars alone"),
    row(RADON, seen, white(7) + faint_to_bright(8) + lit(ENDS, 1.5), ENDS, name="among stars"),
    row(RADON, seen, white(2) + lit(ENDS, 0.7), ENDS, 20.0, name="fainter than noise"),
    row(RADON, alone, starry(12) + lit(TRACK, 20, 0.95), name="a track that a mosaic widened"),
    row(RADON, seen, starry(12) + lit(TRACK, 20, 1.5), TRACK, name="a streak as bright"),
    row(RADON, alone, white(5) + CLOUD, name="smooth cloud"),
]

# ---- the streak paper's seven methods: unit noise, streaks of 8 of it

SMALL, PLAIN = (240, 300), (50.0, 60.0, 240.0, 170.0)


def paper_frame(streak=True, stars=1, seed=0, full=False):
    light = star_light(SMALL, scattered_stars(25, SMALL, stars)) + white(seed, SMALL)
    template = 8.0 * streak_light(SMALL, PLAIN, 1.2)
    if not streak:
        return shows(light, unit=1.0)
    columns = [
        ("width_px", 2.355 * 1.2, 0.2, 0),
        ("flux", template.sum(), 0.15, 0),
        ("snr", np.sqrt(np.square(template).sum()), 0.25, 0),
        ("bow_px", 0.0, 0, 0.5),
        ("sigma_end_px", 0.5, 0, 0.499),
        ("sigma_line_px", 0.25, 0, 0.249),
        ("log10_false_alarm", -5e3, 0, 5e3 - 1),
    ]
    light = light + template
    if full:  # a saturated part neither hides the streak nor makes one of its edge
        light[:, :30] = 4000.0
        columns = []
    return shows(light, PLAIN, unit=1.0, near_px=4.0, median_px=4.0, columns=columns)


def cut_and_clipped():
    light = np.minimum(
        12.0 * streak_light(SMALL, (-30.0, 40.0, 200.0, 150.0)) + white(0, SMALL), 8.0
    )
    ends = (0.0, 40.0 + 30.0 * 110.0 / 230.0, 200.0, 150.0)
    flags = ["first_end_outside", "saturated"]
    return shows(light, ends, unit=1.0, near_px=6.0, median_px=6.0, flags=flags)


PAPER_SCENES = [
    *(row(one, paper_frame, name=f"{name}: a plain streak") for name, one in PAPER.items()),
    *(row(one, paper_frame, False, 5, 3, name=f"{name}: stars") for name, one in PAPER.items()),
    row(PAPER["paper-kmeans"], paper_frame, True, 1, 0, True, name="paper: a saturated part"),
    row(PAPER["paper-kmeans"], cut_and_clipped),
]


@pytest.mark.parametrize(
    ("detector", "scene"), [*LIGHT_SCENES, *STAR_SCENES, *STREAK_SCENES, *PAPER_SCENES]
)
def test_what_is_drawn_is_found_and_what_misleads_is_not(detector, scene):
    drawn = scene()
    assert_seen(detector.detect(drawn.image, drawn.mask, drawn.saturated), drawn)


def test_noise_shows_about_as_many_as_the_false_alarm_rate_says():
    careless = replace(RADON, max_log10_false_alarm=0.0)
    frames = (200.0 + 5.0 * white(200 + seed, (192, 192)) for seed in range(8))
    # One a frame is the limit that the look-elsewhere correction promises
    assert sum(len(careless.detect(frame)) for frame in frames) <= 8


def test_the_clearest_so_many_are_given():
    """Straight pieces show less of the bent one, which is found last and is the clearest."""
    light = white(4) + lit((40.0, 60.0, 400.0, 90.0), 1.3, bow=14.0)
    frame = 200.0 + 5.0 * (light + lit((60.0, 300.0, 200.0, 200.0), 1.5))
    found = RADON.detect(frame)
    assert len(found) == 2
    assert found.snr[0] > found.snr[1]
    assert abs(found.bow_px[0] - 14.0) < 1.0
    assert replace(RADON, max_streaks=1).detect(frame).snr.tolist() == [found.snr[0]]


# ---- lines of known ends, width and flux


def through(degrees, length=120.0, middle=(128.3, 100.2)):
    step = 0.5 * length * np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    return (*(np.array(middle) - step), *(np.array(middle) + step))


@pytest.mark.parametrize("degrees", [0.0, 45.0, 90.0])
@pytest.mark.parametrize(
    ("snr", "end_px", "line_px", "wider", "share"),
    # Interpolation between pixels adds up to a quarter of a square pixel to a width's square
    [(3.0, 1.6, 0.4, 0.09, 0.09), (200.0, 0.08, 0.03, 0.055, 0.02)],
)
def test_a_line_comes_back_with_its_ends_width_and_flux(
    degrees, snr, end_px, line_px, wider, share
):
    ends = through(degrees)
    template = snr * streak_light((208, 256), ends, 1.5)
    found = RADON.detect(200.0 + 5.0 * (template + white(1, (208, 256))))
    columns = [
        ("length_px", 120.0, 0, end_px),
        ("width_px", 2.3548 * 1.5, wider, 0),
        ("flux", 5.0 * template.sum(), share, 0),
    ]
    assert_seen(
        found,
        Scene(image=None, there=[ends], near_px=end_px, median_px=2, flags=(), columns=columns),
    )
    along = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    for x, y in ((found.x1[0], found.y1[0]), (found.x2[0], found.y2[0])):
        assert abs((x - 128.3) * along[1] - (y - 100.2) * along[0]) < line_px


@pytest.mark.parametrize("degrees", [20.0, 160.0])
@pytest.mark.parametrize(
    ("sigma_px", "peak"), [(1.2, 12.0), (1.5, 8.0), (2.0, 10.0), (2.5, 30.0), (4.0, 30.0)]
)
def test_a_bright_streak_has_all_its_light_however_wide(sigma_px, peak, degrees):
    light = peak * streak_light((208, 256), through(degrees, 170.0), sigma_px)
    found = RADON.detect(200.0 + 5.0 * (light + white(1, (208, 256))))
    assert len(found) == 1
    assert found.flux[0] == pytest.approx(5.0 * light.sum(), rel=0.03)
    # Of a filter that fits, the root of the sum of squares over the noise
    assert found.snr[0] == pytest.approx(np.sqrt((light**2).sum()), rel=0.05)
    assert found.width_px[0] == pytest.approx(2.3548 * np.hypot(sigma_px, 0.4), rel=0.025)


def test_a_line_goes_on_behind_a_mask():
    ends = through(30.0)
    light = 3.0 * streak_light((208, 256), ends, 1.5)
    image = 200.0 + 5.0 * (light + white(1, (208, 256)))
    mask = np.zeros(image.shape, bool)
    mask[:, 111:122] = True
    image[mask] = 5000.0
    found = RADON.detect(image, mask)
    columns = [("flux", 5.0 * light[~mask].sum(), 0.09, 0.0)]
    assert_seen(found, Scene(image=None, there=[ends], near_px=1.6, median_px=2, columns=columns))


# ---- photos, through the door: masks, decoding and detection together


def border_streak(from_border_px, side, ends=(60.0, 270.0), peak=0.05, sigma=0.95):
    light = skies.dim_sky(260, 340)
    skies.line(light, (ends[0], from_border_px, ends[1], from_border_px), peak, sigma)
    return np.rot90(light, side)


def bright_border(rows, first, last):
    light = skies.dim_sky(260, 340)
    light[:rows, first:last] += 0.05
    return light


def saturated_stars_with_spikes(stars, arms):
    light = skies.dim_sky(320, 420)
    for k in range(stars):
        x, y = 90.0 + 120.0 * k, 110.0 + 60.0 * k
        spot(light, x, y, 2.2, 30.0)
        for turn in np.arange(arms) * 2.0 * np.pi / arms + 0.3:
            away = np.array([np.cos(turn), np.sin(turn)])
            for share in np.linspace(0.1, 1.0, 12):  # fainter outwards
                skies.line(light, (x, y, *(np.array([x, y]) + 55.0 * share * away)), 0.02)
    skies.line(light, (20.0, 290.0, 400.0, 250.0), 0.1)
    return light


def spikes_from_star_to_star(turn_deg, length_px, apart_px):
    """Six diffraction spikes of each star fade evenly outwards."""
    light, turn = skies.dim_sky(400, 520), np.radians(turn_deg)
    first = np.array([150.0, 190.0])
    second = first + apart_px * np.array([np.cos(turn), np.sin(turn)])
    rows, cols = np.mgrid[:400, :520]
    for x, y in (first, second, (400.0, 300.0)):
        spot(light, x, y, 1.8, 30.0)
        for angle in turn + np.arange(6) * np.pi / 3.0:
            along = (cols - x) * np.cos(angle) + (rows - y) * np.sin(angle)
            across = (rows - y) * np.cos(angle) - (cols - x) * np.sin(angle)
            fades = np.where(along > 0.0, np.clip(1.0 - along / length_px, 0.0, 1.0), 0.0)
            light += 0.2 * fades * np.exp(-0.5 * (across / skies.STAR_PX) ** 2)
    return light


def through_saturated_stars():
    light, ends = skies.dim_sky(400, 520), (60.0, 90.0, 460.0, 330.0)
    for share in (0.3, 0.6):
        x, y = (ends[k] + share * (ends[k + 2] - ends[k]) for k in (0, 1))
        spot(light, x, y, 2.0, 30.0)
    skies.line(light, ends, 0.05)
    return light


def fading():
    light = skies.dim_sky(300, 700)
    steps = np.linspace(0.0, 1.0, 101)  # from (40, 60) beyond (699, 240)
    places = np.column_stack([40.0 + 680.0 * steps, 60.0 + 190.0 * steps])
    for start, end, share in zip(places[:-1], places[1:], steps[:-1], strict=True):
        skies.line(light, (*start, *end), 0.2 * max(1.0 - 1.6 * share, 0.06))
    return light


slow = pytest.mark.slow


def photo(wanted, off_px, light, *how, flags=(), marks=()):
    """A case: ends or length of its one streak, or None, how far off, and who draws it."""
    name = f"{light.__name__} {how}".replace("_", " ")
    return pytest.param(partial(light, *how), wanted, off_px, list(flags), id=name, marks=marks)


BORDERS = ((1.5, 0), (1.5, 1), (1.5, 2), (1.5, 3), (2.0, 1), (3.0, 2))
SHORT_BORDERS = ((2.0, 0), (2.0, 1), (2.0, 2), (2.0, 3), (3.0, 1), (5.0, 2))
PARTS = ((1, 0, 340), (2, 0, 340), (3, 0, 340), (2, 70, 260), (1, 200, 340))
SPIKES = ((-9.0, 60.0, 130.0), (16.0, 130.0, 110.0))
MORE_SPIKES = ((-24.0, 60.0, 130.0), (5.0, 130.0, 110.0))
BELOW = (20.0, 290.0, 400.0, 250.0)
PHOTOS = [
    *(photo(210.0, 4.0, border_streak, *how) for how in BORDERS),
    *(photo(40.0, 4.0, border_streak, *how, (150, 190), 0.004, 1.2) for how in SHORT_BORDERS),
    *(photo(None, 0.0, bright_border, *how) for how in PARTS),
    *(photo(None, 0.0, spikes_from_star_to_star, *how) for how in SPIKES),
    *(photo(None, 0.0, spikes_from_star_to_star, *how, marks=slow) for how in MORE_SPIKES),
    photo(BELOW, 3.0, saturated_stars_with_spikes, 1, 4),
    photo(BELOW, 3.0, saturated_stars_with_spikes, 3, 6, marks=slow),
    photo((60, 90, 460, 330), 4.0, through_saturated_stars),
    photo((40, 60, 699.5, 244.3), 4.0, fading, flags=["second_end_outside"], marks=slow),
]


@pytest.mark.parametrize(("light", "wanted", "off_px", "flags"), PHOTOS)
def test_streaks_of_photos(tmp_path, light, wanted, off_px, flags):
    found = rg.detect(skies.save(light(), tmp_path / "sky.png"), "streaks")
    if wanted is None:
        assert len(found) == 0
        return
    (one,) = found
    ends = (one.x1, one.y1, one.x2, one.y2)
    if isinstance(wanted, float):
        assert np.hypot(one.x2 - one.x1, one.y2 - one.y1) == pytest.approx(wanted, abs=off_px)
    else:
        assert ends == pytest.approx(wanted, abs=off_px)
    assert one.sigma_end_px < (1.0 if one.snr > 40.0 else 9.0)
    assert [one for one in found.to_dict()["streaks"][0]["flags"] if "outside" in one] == flags


def grid_of_stars(sigma, side=200, step=25):
    """Equal stars of peak 1, and their places."""
    rng = np.random.default_rng(3)
    middles = np.arange(step // 2, side - step // 3, step, float)
    places = np.array([(x, y) for x in middles for y in middles])
    places += rng.uniform(-0.5, 0.5, places.shape)
    return star_light((side, side), [(x, y, 1.0) for x, y in places], sigma), places


def found_at(found, places, within_px=1.0):
    """How many places have a detection."""
    apart = np.hypot(*(np.column_stack([found["x"], found["y"]])[:, None] - places).T)
    return int(np.count_nonzero(apart.min(axis=1, initial=np.inf) < within_px))


@pytest.mark.parametrize("kind", ["stars", "lights"])
@pytest.mark.parametrize(
    ("offset", "gain"), [(-1000.0, 1.0), (-50.0, 0.001), (0.0, 1.0), (5.0, 1.0)]
)
def test_detections_do_not_depend_on_the_zero_of_a_picture(tmp_path, kind, offset, gain):
    light, places = grid_of_stars(1.1)
    sky = 300.0 * light + np.random.default_rng(0).normal(0.0, 20.0, light.shape)
    path = tmp_path / "sky.fits"
    fits.writeto(path, ((sky + offset) * gain).astype(np.float32))
    found = rg.detect(path, kind)
    assert found_at(found, places) == len(found) == len(places)
    fits.writeto(path, ((sky + 100.0) * gain).astype(np.float32), overwrite=True)
    usual = np.median(rg.detect(path, kind)["snr"])
    assert np.median(found["snr"]) == pytest.approx(usual, rel=0.1)


@pytest.mark.parametrize(("fwhm_px", "peak"), [(2.2, 5.0), (2.2, 20.0), (4.0, 8.0)])
def test_clipped_stars_are_as_wide_as_their_flanks(tmp_path, fwhm_px, peak):
    light, places = grid_of_stars(fwhm_px / 2.355)
    light = skies.dim_sky(*light.shape) + peak * light
    found = rg.detect(skies.save(light, tmp_path / "clipped.png"), "stars")
    assert found_at(found, places) == len(found) == len(places)
    assert np.median(found["fwhm_px"]) == pytest.approx(fwhm_px, rel=0.25)


def linear_stars(step, shape, full, noise, level, fwhm_px, peaks, seed):
    """Linear numbers, which are taken for those of a curve: bright stars look sharper."""
    rng = np.random.default_rng(seed)
    grid = np.meshgrid(np.arange(20.0, shape[1] - 20, step), np.arange(20.0, shape[0] - 20, step))
    places = np.stack(grid, -1).reshape(-1, 2)
    places = places + rng.uniform(-3, 3, places.shape)
    peaks = full * np.exp(rng.uniform(*np.log(peaks), len(places)))
    image = rng.normal(level * full, noise * full, shape)
    image += star_light(shape, np.column_stack([places, peaks]), fwhm_px / 2.355)
    return np.clip(np.rint(image), 0, full), places, peaks


def test_equal_clipped_stars_are_all_found(tmp_path):
    """Numbers of 8 bits that are cut off at a sixth of the stars' peaks."""
    image, places, _ = linear_stars(30, (320, 460), 255, 0.012, 0.047, 2.2, (5.9, 5.90001), 2)
    path = tmp_path / "clipped.png"
    cv2.imwrite(str(path), image.astype(np.uint8))
    found = rg.detect(path, "stars")
    assert found_at(found, places) == len(found) == len(places)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "widths_px"),
    [(np.uint8, [1.8, 2.6, 4.0]), (np.uint16, [1.8, 2.2, 2.6, 3.0, 3.5, 4.0])],
)
def test_stars_of_light_that_is_not_linear_are_kept_however_bright(tmp_path, dtype, widths_px):
    full, path = np.iinfo(dtype).max, tmp_path / "linear.png"
    wanted = seen = extra = 0
    for seed, fwhm_px in enumerate(widths_px):
        how = (fwhm_px, (0.02, 0.9), 100 + seed)
        image, places, peaks = linear_stars(40, (600, 800), full, 0.003, 0.03, *how)
        cv2.imwrite(str(path), image.astype(dtype))
        found = rg.detect(path, "stars")
        clear = peaks * np.sqrt(np.pi) * fwhm_px / 2.355 > 0.03 * full
        wanted += np.count_nonzero(clear)
        seen += found_at(found, places[clear])
        extra += len(found) - found_at(found, places)
    assert seen >= 0.98 * wanted
    assert extra <= 6


@pytest.mark.slow
def test_an_unbroken_streak_is_not_many_stars(tmp_path):
    rng = np.random.default_rng(5)
    light = skies.dim_sky(400, 600)
    for x in np.arange(40.0, 560.0, 5.0):  # its light comes and goes
        skies.line(light, (x, 60.0 + 0.4 * x, x + 5.0, 62.0 + 0.4 * x), rng.uniform(0.02, 0.05))
    places = np.stack(np.meshgrid(np.arange(30.0, 590, 70), np.arange(30.0, 390, 70)), -1)
    places = places.reshape(-1, 2) + rng.uniform(-9, 9, (places.size // 2, 2))
    for x, y in places:  # one that lies on the streak stands out of it
        spot(light, x, y, skies.STAR_PX, 0.3)
    found = rg.detect(skies.save(light, tmp_path / "streak.png"), "stars")
    assert found_at(found, places) >= len(places) - 1
    assert len(found) <= len(places) + 2
