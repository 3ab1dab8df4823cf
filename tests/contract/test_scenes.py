"""What is found in drawn scenes, by the best method of each kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import cv2
import numpy as np
import pytest
from astropy.io import fits

import regengine as rg
from detectors.types import LIGHTS, STARS, STREAKS
from tests.world import skies
from tests.world.fields import (
    STAR_PX,
    Light,
    draw,
    end_gap,
    flux_of_snr,
    scattered_stars,
    star_frame,
    star_light,
    star_list,
    straight_path,
    streak_light,
    trail_frame,
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
    near_px: float = 1.0
    median_px: float = 1.0
    missed: int = 0  # so many may be missing
    more: int = 0  # and so many more than were hit may be found
    nowhere: Iterable[Any] = ()  # places without a detection within a pixel
    trail: Any = None  # of the stars, end to end, and how far off
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
        assert len(found) == 0 or gaps_px(found, [place]).min() > 1.0
    if scene.trail is not None:
        trail, off_px = scene.trail
        sign = np.sign(np.dot(found.trail_px, trail))
        assert found.trail_px[0] >= 0.0
        assert sign * np.array(found.trail_px) == pytest.approx(trail, abs=off_px)
    if scene.flags is not None:
        assert set(found.flag_names(first)) == set(scene.flags)
    for name, value, rel, off in scene.columns:
        assert getattr(found, name)[first] == pytest.approx(value, rel=rel, abs=off), name


def row(detector, scene, *how, name=None):
    """A case: a method, and who draws its scene."""
    said = " ".join(map(str, how))
    name = name or f"{scene.__name__} {said}".replace("_", " ").strip()
    return pytest.param(detector, partial(scene, *how), id=name)


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


def lamp_on_the_flank_of_a_town():
    town = Light(160.0, 120.0, flux_of_snr(600.0, 12.0), 12.0)
    lamp = Light(178.0, 120.0, flux_of_snr(120.0, 1.0), 1.0)
    return Scene(image=draw([town, lamp]), there=[town, lamp], near_px=1.5)


def saturated_core():
    image = np.minimum(draw([Light(160.0, 120.0, 400.0, 6.0)]), 1.0)
    return Scene(image=image, there=[(160.0, 120.0)], near_px=0.3, flags=["saturated"])


def limb_and_edge():
    angle = 0.2
    rows, cols = np.mgrid[0:300, 0:400]
    distance = (cols - 200) * np.sin(angle) + (rows - 150) * np.cos(angle)
    glow = 0.05 * np.exp(-0.5 * (distance / 4.0) ** 2) + 0.02 / (1 + np.exp(-(distance - 40)))
    return Scene(image=draw([], (300, 400), seed=1) + glow.astype(np.float32), more=2)


LIGHT_SCENES = [
    *(row(BLOBS, around, radius_px) for radius_px in (1.0, 4.0, 40.0)),
    *(row(BLOBS, one) for one in (limb_and_edge, close_neighbours, saturated_core)),
    row(BLOBS, lamp_on_the_flank_of_a_town),
]

# ---- stars

LARGE, MIDDLE = (400, 500), (300, 360)


def widths(sigma):
    stars = [Light(s.x, s.y, s.flux * sigma, sigma) for s in star_list(40, LARGE, gap=25.0)]
    columns = [("fwhm_px", 2.355 * sigma, 0.12, 0.0)]
    return Scene(image=star_frame(stars, LARGE), there=stars, missed=1, more=2, columns=columns)


def common_trail():
    trail = (14.0, -6.0)
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


STAR_SCENES = [
    *(row(MATCHED, widths, sigma) for sigma in (0.7, 2.2)),
    *(row(MATCHED, one) for one in (common_trail, clipped_star)),
    *(row(MATCHED, one) for one in (hot_pixels_and_thin_tracks, edge_of_hardware)),
    row(MATCHED, stars_at_the_limit),
]

# ---- streaks, in units of the noise

SHAPE = (384, 448)
ENDS = (60.0, 300.0, 330.0, 90.0)
ACROSS = (330.0, 60.0, 150.0, 330.0)
TOP = 40.0


def white(seed, shape=SHAPE):
    return np.random.default_rng(seed).normal(size=shape)


def faint_to_bright(seed):
    """Points of light."""
    rng = np.random.default_rng(seed)
    places = rng.uniform((0, 0, 0), (SHAPE[1], SHAPE[0], 0), (60, 3))
    places[:, 2] = np.minimum(3.0 * (1.0 + rng.pareto(0.8, 60)), 400.0)
    return star_light(SHAPE, places)


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


def bent():
    bow = -6.0
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


def turned():
    light = np.rot90(lit((90.0, 100.0, 150.0, 130.0), 2.0) + white(3))
    return shows(light, more=1, columns=[("length_px", np.hypot(60.0, 30.0), 0, 4.0)])


def three_that_cross():
    ends = ENDS, (50.0, 60.0, 400.0, 330.0), (200.0, 40.0, 260.0, 350.0)
    light = white(6) + sum(lit(one, 2.5) for one in ends)
    return shows(light, *ends, near_px=4.0, median_px=9)


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


def clipped():
    ends = (60, 120, 160, 120)
    light = cut(white(1) + faint_to_bright(2) + lit(ends, 300))
    return shows(light, ends, near_px=6.0, median_px=9)


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


def tumbling():
    uneven = 1.0 + 0.7 * np.cos(14.0 * np.pi * np.linspace(0.0, 1.0, 1001))
    along = np.linspace(0.0, 1.0, 1001)
    light = lit(ENDS, 6.0, light=partial(np.interp, xp=along, fp=uneven))
    return shows(white(14) + light, more=1)


def alone(light):
    """What is no streak, or none that may be told."""
    return shows(light)


def seen(light, near_px=9.0):
    return shows(light, ENDS, near_px=near_px, median_px=near_px)


STREAK_SCENES = [
    *(row(RADON, one) for one in (turned, bent, tumbling, clipped, three_that_cross)),
    *(row(RADON, among_parallel_trails, streak) for streak in (False, True)),
    *(row(RADON, wide, what) for what in ("streak", "wisp")),
    *(row(RADON, one) for one in (cut_by_the_border, slope_and_soft_clouds, tracks_of_one_pixel)),
    row(RADON, bleeding_column),
    row(RADON, alone, white(100, (256, 256)), name="noise"),
    row(RADON, alone, white(7) + faint_to_bright(8), name="stars alone"),
    row(RADON, seen, white(7) + faint_to_bright(8) + lit(ENDS, 1.5), name="among stars"),
    row(RADON, seen, white(2) + lit(ENDS, 0.7), 20.0, name="fainter than noise"),
]

# ---- the streak paper's seven methods: unit noise, streaks of 8 of it

SMALL, PLAIN = (240, 300), (50.0, 60.0, 240.0, 170.0)


def paper_frame(streak=True, stars=1, seed=0):
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
    return shows(light + template, PLAIN, unit=1.0, near_px=4.0, median_px=4.0, columns=columns)


PAPER_SCENES = [
    *(row(one, paper_frame, name=f"{name}: a plain streak") for name, one in PAPER.items()),
    *(row(one, paper_frame, False, 5, 3, name=f"{name}: stars") for name, one in PAPER.items()),
]


@pytest.mark.parametrize(
    ("detector", "scene"), [*LIGHT_SCENES, *STAR_SCENES, *STREAK_SCENES, *PAPER_SCENES]
)
def test_what_is_drawn_is_found_and_what_misleads_is_not(detector, scene):
    drawn = scene()
    assert_seen(detector.detect(drawn.image, None, drawn.saturated), drawn)


def test_noise_shows_about_as_many_as_the_false_alarm_rate_says():
    careless = replace(RADON, max_log10_false_alarm=0.0)
    frames = (200.0 + 5.0 * white(200 + seed, (192, 192)) for seed in range(8))
    # One a frame is the limit that the look-elsewhere correction promises
    assert sum(len(careless.detect(frame)) for frame in frames) <= 8


# ---- lines of known ends, width and flux


def through(degrees, length=120.0, middle=(128.3, 100.2)):
    step = 0.5 * length * np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    return (*(np.array(middle) - step), *(np.array(middle) + step))


@pytest.mark.parametrize(
    ("snr", "end_px", "line_px", "wider", "share"),
    # Interpolation between pixels adds up to a quarter of a square pixel to a width's square
    [(3.0, 1.6, 0.4, 0.09, 0.09), (200.0, 0.08, 0.03, 0.055, 0.02)],
)
def test_a_line_comes_back_with_its_ends_width_and_flux(snr, end_px, line_px, wider, share):
    ends = through(45.0)
    template = snr * streak_light((208, 256), ends, 1.5)
    found = RADON.detect(200.0 + 5.0 * (template + white(1, (208, 256))))
    columns = [
        ("length_px", 120.0, 0, end_px),
        ("width_px", 2.3548 * 1.5, wider, 0),
        ("flux", 5.0 * template.sum(), share, 0),
    ]
    wanted = {"near_px": end_px, "median_px": 2, "flags": (), "columns": columns}
    assert_seen(found, Scene(image=None, there=[ends], **wanted))
    for x, y in ((found.x1[0], found.y1[0]), (found.x2[0], found.y2[0])):
        assert abs((x - 128.3) - (y - 100.2)) < 2**0.5 * line_px


@pytest.mark.parametrize(("sigma_px", "peak"), [(1.2, 12.0), (4.0, 30.0)])
def test_a_bright_streak_has_all_its_light_however_wide(sigma_px, peak):
    light = peak * streak_light((208, 256), through(20.0, 170.0), sigma_px)
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


def border_streak(from_border_px, side):
    light = skies.dim_sky(260, 340)
    skies.line(light, (60.0, from_border_px, 270.0, from_border_px), 0.05, 0.95)
    return np.rot90(light, side)


def bright_border(rows, first, last):
    light = skies.dim_sky(260, 340)
    light[:rows, first:last] += 0.05
    return light


@pytest.mark.parametrize(
    ("light", "how", "length_px"),
    [
        (border_streak, (1.5, 1), 210.0),
        (border_streak, (3.0, 2), 210.0),
        (bright_border, (2, 70, 260), None),
        (bright_border, (3, 0, 340), None),
    ],
)
def test_streaks_of_photos_along_their_borders(tmp_path, light, how, length_px):
    found = rg.detect(skies.save(light(*how), tmp_path / "sky.png"), "streaks")
    if length_px is None:
        assert len(found) == 0
        return
    (one,) = found
    assert np.hypot(one.x2 - one.x1, one.y2 - one.y1) == pytest.approx(length_px, abs=4.0)
    assert one.sigma_end_px < (1.0 if one.snr > 40.0 else 9.0)


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
@pytest.mark.parametrize(("offset", "gain"), [(-1000.0, 1.0), (-50.0, 0.001)])
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
