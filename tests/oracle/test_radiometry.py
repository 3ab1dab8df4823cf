"""The gain of drawn photos and of made-up arrays, its sigmas, and each step of the comparison."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pyproj import Geod

from benchmarks.simulate.weather import SceneParameters
from regengine.export.formats import LeftOutError
from regengine.export.warp import OutputGrid
from regengine.frames.frame import ExportPoint
from regengine.maps.lights import date_of_name, period_of
from regengine.studies.radiometry import gain as radiometry
from regengine.studies.radiometry.cells import (
    MIN_CELLS,
    MapCells,
    PhotoCells,
    PhotoLight,
    air_mass,
    average_photo_cells,
    remove_hot_pixels,
)
from regengine.studies.radiometry.gain import (
    Comparison,
    Gain,
    blur_cells,
    compare,
    fit_gain,
    match_blurs,
)
from regengine.studies.radiometry.run import Radiometry
from tests.world.radiometry import (
    RadiometryScene,
    SceneWish,
    draw_radiometry_scene,
    measure_trial,
    write_trial,
)
from tests.world.results import nadir_camera

# Gain and changes of photos whose truth is known by how they were made

WGS84 = Geod(ellps="WGS84")
SMALL = SceneWish(seed=100, width_px=480, height_px=320, reach_deg=1.5)


def true_gain(scene: RadiometryScene, found: Radiometry) -> float:
    """What the scene was drawn with, at the angle of which the gain that was found is."""
    angles = np.linspace(0.0, 80.0, 4001)
    masses = air_mass(np.cos(np.radians(angles)))
    return scene.true_gain(float(np.interp(found.gain.air_mass, masses, angles)))


def test_the_gain_is_right_and_new_and_lost_lights_are_found_and_no_others(tmp_path: Path) -> None:
    scene = draw_radiometry_scene(SMALL)
    found = measure_trial(write_trial(scene, tmp_path))
    true = true_gain(scene, found)
    assert found.gain.gain == pytest.approx(true, abs=2.5 * found.gain.gain_sigma)
    assert found.gain.gain_sigma / true < 0.06
    assert found.gain.exponent == pytest.approx(1.0, abs=0.05)
    assert found.gain.r_squared > 0.9
    hit = set()
    for change in found.changes:
        assert (change["kind"] == "new") == (change["sigma"] > 0.0)
        away_m = [
            Geod(ellps="WGS84").inv(change["lon"], change["lat"], *at)[2]
            for _, *at in scene.planted
        ]
        assert scene.planted[np.argmin(away_m)][0] == change["kind"]
        assert min(away_m) < 4000.0
        hit.add(np.argmin(away_m))
    assert len(hit) == len(scene.planted) == 6


@pytest.mark.slow
def test_a_saturated_photo_tells_no_less_than_it_shows(tmp_path: Path) -> None:
    """Cores that are clipped take no part in the fit, and are not called fainter."""
    bright = SceneParameters(tone_contrast=0.0, vignetting=0.0, saturation_nw=25.0)
    scene = draw_radiometry_scene(replace(SMALL, scene=bright, changes=0))
    found = measure_trial(write_trial(scene, tmp_path))
    full = found.comparison.photo_full
    assert full.sum() > 100
    assert not (found.comparison.usable & full).any()
    assert np.nanmin(found.sigma[full]) >= 0.0
    assert found.gain.gain == pytest.approx(true_gain(scene, found), rel=0.2)
    assert not [change for change in found.changes if change["sigma"] < 0.0]


# The gain of cells whose gain, offset, falloff and slant are planted


Array = NDArray[Any]
SIDE, STEP_DEG, NOISE = 96, 1.0 / 24.0, 0.002  # blocks of 25 km are of five cells each way
ROW, COLUMN = np.mgrid[:SIDE, :SIDE].astype(float)
RADIUS_SQ = ((ROW - 40.0) ** 2 + (COLUMN - 50.0) ** 2) / (56.0**2 + 50.0**2)
AIR = 1.1 + 0.9 * COLUMN / SIDE
BLOCK = (ROW // 5 * 20 + COLUMN // 5).astype(int)


def photo_cells(luminance: Array) -> PhotoCells:
    """Cells that are seen whole, from above, in the photo's middle."""
    zero = np.zeros(luminance.shape, np.float32)
    return PhotoCells(
        luminance=luminance.astype(np.float32),
        seen=zero + 1,
        saturated=zero,
        pixel_cells=zero,
        radius_sq=zero,
        air_mass=zero + 1,
        sigma_m=zero,
    )


def made_cells(
    seed: int,
    *,
    gain: float = 0.01,
    offset: float = 0.0,
    falloff: float = 0.0,
    slant: float = 0.1,
    scatter: float = 0.3,
    towns: float = 0.0,
    radius_sq: Array = RADIUS_SQ,
    air: Array = AIR,
) -> tuple[Comparison, PhotoCells]:
    """Cells half of which are lit; photo and map differ by chance, cell by cell and by towns."""
    rng = np.random.default_rng(seed)
    shape = (SIDE, SIDE)
    true = np.where(rng.random(shape) < 0.5, rng.lognormal(2.5, 1.0, shape), 0.0)
    half = scatter / 2.0**0.5
    radiance = true * np.exp(half * rng.normal(size=shape))
    usual = np.median(air[radiance > max(2.0, np.quantile(radiance, 0.9))])
    own = gain * np.exp(falloff * radius_sq + slant * (air - usual))
    by_chance = half * rng.normal(size=shape) + towns * rng.normal(size=BLOCK.max() + 1)[BLOCK]
    light = offset + own * true * np.exp(by_chance) + NOISE * rng.normal(size=shape)
    zero, every = np.zeros(shape, np.float32), np.ones(shape, bool)
    comparison = Comparison(
        light=light.astype(np.float32),
        background=zero,
        noise=zero + np.float32(NOISE),
        radiance_nw=radiance.astype(np.float32),
        usable=every,
        judged=every,
        photo_full=~every,
        map_full=~every,
        sigma_cells=zero,
        blur_cells=0.0,
        map_sigma_m=0.0,
        photo_sigma_m=0.0,
    )
    photo = photo_cells(comparison.light)
    radius_sq, air = radius_sq.astype(np.float32), air.astype(np.float32)
    return comparison, replace(photo, radius_sq=radius_sq, air_mass=air)


def fitted(seed: int, *, falloff_known: bool = False, **planted: Any) -> Gain:
    return fit_gain(*made_cells(seed, **planted), STEP_DEG, falloff_known)


def pulls(found: Gain, **planted: float) -> list[float]:
    """Errors in units of the stated sigmas; of the gain without what simulations add to it."""
    ratio = np.log(found.gain / planted.pop("gain"))
    own = np.sqrt((found.gain_sigma / found.gain) ** 2 - 0.03**2)
    others = [(getattr(found, n) - v) / getattr(found, f"{n}_sigma") for n, v in planted.items()]
    return [float(ratio / own), *others]


def test_sigmas_cover_the_errors_of_forty_photos() -> None:
    """They are a little wide, and towns that differ as a whole are in them."""
    planted = {"gain": 0.01, "offset": 0.0, "falloff": -0.4, "slant": 0.1}
    off = np.array([pulls(fitted(seed, towns=0.4, **planted), **planted) for seed in range(40)])
    within = np.mean(np.abs(off) < 1.0, axis=0)
    assert (within >= 0.34).all()
    assert (within <= 0.99).all()
    spread = np.sqrt(np.mean(off**2, axis=0))
    assert spread == pytest.approx([0.9, 0.9, 0.75, 0.75], rel=0.25)
    assert np.abs(off.mean(axis=0)).max() < 0.7


def test_cells_that_are_equal_tell_the_gain_alone_and_what_is_known_beforehand_rules() -> None:
    """Of the photo's middle, where what is unknown on the way to the cells is in its sigma."""
    flat = np.full((SIDE, SIDE), 0.37)
    found = fitted(3, falloff=-0.4, radius_sq=flat, air=flat + 1.0)
    assert (found.falloff, found.falloff_sigma) == pytest.approx((-0.4, 0.4), abs=1e-6)
    assert (found.slant, found.slant_sigma) == pytest.approx((0.1, 0.4), abs=1e-6)
    assert found.gain_sigma / found.gain == pytest.approx(np.hypot(0.04, 0.37 * 0.4), abs=0.01)
    assert found.gain == pytest.approx(0.01, rel=0.03)
    assert found.air_mass == pytest.approx(1.37, abs=1e-5)
    known = fitted(3, falloff=0.0, falloff_known=True)
    assert (known.falloff, known.falloff_sigma) == (pytest.approx(0.0, abs=1e-6), 0.0)
    assert known.gain_sigma < fitted(3, falloff=0.0).gain_sigma


def test_every_cell_has_the_trend_residual_and_sigma_of_the_fit_by_hand() -> None:
    comparison, photo = made_cells(5, gain=0.02, offset=0.02, falloff=-0.6, slant=0.3)
    judged = COLUMN > 10
    noise = (NOISE * (1.0 + ROW / SIDE)).astype(np.float32)
    usable = judged & (ROW > 5)
    full = replace(comparison, judged=judged, usable=usable, noise=noise)
    full = replace(full, sigma_cells=np.full_like(noise, 0.1))
    found = fit_gain(full, photo, STEP_DEG, False)
    radiance, light = full.radiance_nw.astype(float), full.light.astype(float)
    bright = usable & (radiance > max(2.0, np.quantile(radiance[usable], 0.9)))
    assert found.air_mass == pytest.approx(np.median(photo.air_mass[bright]))
    trend = np.exp(found.falloff * RADIUS_SQ + found.slant * (AIR - found.air_mass))
    own = found.gain * trend
    floor = np.hypot(noise / own, 0.5)
    knee = floor / found.scatter
    value = (light - found.offset) / own
    level = np.arcsinh(radiance / knee)
    seen = np.pad(np.where(judged, level, np.nan), 1, constant_values=np.nan)
    beside = [np.roll(seen, way, axis)[1:-1, 1:-1] for axis in (0, 1) for way in (-1, 1)]
    step = np.nanmax(np.abs(np.where(judged, beside - level, 0.0)), axis=0)
    expected = {
        "trend": trend,
        "knee_nw": knee,
        "residual": np.arcsinh(value / knee) - level,
        "scale": np.hypot(found.scatter, 0.1 * step),
    }
    for name, by_hand in expected.items():
        told = getattr(found, name)
        assert told[judged] == pytest.approx(by_hand[judged], rel=2e-3, abs=2e-3), name
        assert np.isnan(told[~judged]).all()
    assert found.photo_nw(full)[judged] == pytest.approx(value[judged], rel=1e-3, abs=1e-3)
    x, y = radiance[usable], value[usable]
    assert found.cells == len(x)
    lit = np.arcsinh(y / floor[usable]) + np.arcsinh(x / floor[usable]) > 2.0 * np.arcsinh(4.0)
    assert found.lit_cells == pytest.approx(lit.sum(), abs=3)
    assert found.r_squared == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2, rel=1e-3)
    usual = np.median(knee[usable])
    logs = np.arcsinh(x[lit] / usual), np.arcsinh(y[lit] / usual)
    assert found.r_squared_log == pytest.approx(np.corrcoef(*logs)[0, 1] ** 2, rel=2e-3)
    dark = light[usable][~lit & (x < 0.5)] - (own[usable] * x)[~lit & (x < 0.5)]
    assert found.offset == pytest.approx(np.median(dark), abs=1e-6)
    spread = 1.4826 * np.median(np.abs(dark - np.median(dark)))
    assert found.offset_sigma == pytest.approx(1.2533 * spread / len(dark) ** 0.5, rel=0.01)
    apart = (np.arcsinh(y / floor[usable]) - np.arcsinh(x / floor[usable]))[lit]
    apart = 1.4826 * np.median(np.abs(apart - np.median(apart)))
    edge = 0.1 * np.median(step[usable][lit])
    assert found.scatter == pytest.approx(np.sqrt(apart**2 - edge**2), rel=0.02)


def test_the_exponent_is_the_ratio_of_weighed_spreads_and_its_sigma_a_jackknife() -> None:
    rng = np.random.default_rng(8)
    count = 60
    radiance = rng.lognormal(2.0, 1.0, count)
    luminance = 0.01 * radiance**1.3 * np.exp(0.2 * rng.normal(size=count))
    luminance[:3], radiance[3] = (-0.001, 0.0, 0.0), 0.0
    weight, blocks = rng.uniform(0.2, 1.0, count), rng.integers(0, 6, count)
    x, y = (np.log(np.maximum(one, 1e-9)) for one in (radiance, luminance))

    def by_hand(kept: Array) -> float:
        kept = kept & (luminance > 0.0) & (radiance > 0.0)
        spreads = [np.cov(v[kept], aweights=weight[kept]) for v in (y, x)]
        return float(np.sqrt(spreads[0] / spreads[1]))

    power, sigma = radiometry.exponent(luminance, radiance, weight, blocks)
    assert power == pytest.approx(by_hand(np.ones(count, bool)))
    without = np.array([by_hand(blocks != one) for one in range(6)])
    assert sigma == pytest.approx(np.sqrt(5 / 6 * ((without - without.mean()) ** 2).sum()))
    for blocks_left, known in ((3, True), (2, False)):
        found = radiometry.exponent(luminance, radiance, weight, np.arange(count) % blocks_left)
        assert np.isfinite(found).tolist() == [known, known]


def test_too_few_lit_cells_and_a_dark_photo_are_left_out() -> None:
    comparison, photo = made_cells(7)
    dark = replace(comparison, light=np.float32(0.0) * comparison.light)
    with pytest.raises(LeftOutError, match="no light where the map has lights"):
        fit_gain(dark, photo, STEP_DEG, False)
    radiance = np.zeros(SIDE * SIDE, np.float32)
    radiance[np.flatnonzero(comparison.radiance_nw > 20.0)[:49]] = 30.0 + np.arange(49)
    radiance = radiance.reshape(SIDE, SIDE)
    few = replace(comparison, radiance_nw=radiance, light=0.01 * radiance)
    with pytest.raises(LeftOutError, match="too few cells are lit"):
        fit_gain(few, photo, STEP_DEG, False)


# The steps of the comparison


def test_cells_have_the_mean_luminance_of_their_ground() -> None:
    """A photo whose luminance is a plane on the ground: each cell has that of its middle."""
    camera = nadir_camera(10.0, 45.0, tilt_deg=20.0)
    y, x = np.mgrid[: camera.height_px, : camera.width_px].astype(float)
    lon, lat = camera.pixel_to_lonlat(x, y)
    plane = (0.2 + 0.1 * (lon - 10.0) + 0.05 * (lat - 46.0)).astype(np.float32)
    grid = OutputGrid("EPSG:4326", float(np.nanmin(lon)), float(np.nanmax(lat)), 1 / 240, 500, 300)
    points = (ExportPoint(x=300.0, y=200.0, lon=float(lon[200, 300]), lat=float(lat[200, 300])),)
    photo = PhotoLight(
        light=plane,
        saturated=np.zeros_like(plane),
        counts=np.ones(plane.shape, bool),
        camera=camera,
        linear_by="srgb",
    )
    cells = average_photo_cells(photo, camera, points, grid, 4)
    seen = cells.seen == 1.0
    assert 10_000 < seen.sum() < seen.size
    row, column = np.nonzero(seen)
    middle_lon, middle_lat = grid.lonlat(column.astype(float), row.astype(float))
    expected = 0.2 + 0.1 * (middle_lon - 10.0) + 0.05 * (middle_lat - 46.0)
    assert np.abs(cells.luminance[seen] - expected).max() < 2e-4
    angles = np.radians([0.0, 60.0, 80.0])  # in Kasten and Young's table II
    assert air_mass(np.cos(angles)) == pytest.approx([1.0, 1.994, 5.59], rel=2e-3)
    # Beyond its edge the photo shows nothing, and no cell there has light
    assert not cells.luminance[cells.seen == 0.0].any()


def test_the_blur_of_the_map_is_measured() -> None:
    """Lamps that differ by chance between photo and map, the map blurred by a known width."""
    sigma = 1.2
    rng = np.random.default_rng(3)
    lamps = np.where(rng.random((300, 300)) < 0.02, rng.exponential(20.0, (300, 300)), 0.0)
    ones = np.ones_like(lamps, np.float32)
    photo = (lamps * np.exp(0.4 * rng.standard_normal(lamps.shape))).astype(np.float32)
    photo = blur_cells(photo, ones, (0.8, 0.8))
    own = float(np.hypot(0.8, sigma))
    radiance = blur_cells(lamps.astype(np.float32), ones, (own, own))
    nothing = np.zeros_like(ones)
    of_map, of_photo = match_blurs(0.01 * photo, radiance, ones, 1.0, pixels=nothing, place=0.0)
    assert of_map == pytest.approx(sigma, abs=0.2)
    assert of_photo == pytest.approx(0.0, abs=0.3)
    back = match_blurs(radiance, photo, ones, 1.0, pixels=nothing, place=0.0)
    assert back == pytest.approx((0.0, sigma), abs=0.3)


def test_hot_pixels_go_and_lamps_stay() -> None:
    y, x = np.mgrid[:100, :120]
    rng = np.random.default_rng(5)
    light = (0.002 + 0.0004 * rng.standard_normal(x.shape)).astype(np.float32)
    for row, column in ((30, 40), (60, 80)):
        light += 0.3 * np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * 0.7**2))
    lamps = light.copy()
    light[20, 100] += 0.3
    light[80, 20] += 0.3
    light[80, 19] += 0.05  # what JPEG makes of it
    found = remove_hot_pixels(light)
    assert np.abs(found - lamps)[[20, 80, 80], [100, 20, 19]].max() < 0.06
    assert np.array_equal(found[25:70, 30:90], lamps[25:70, 30:90])


def all_alike(north: float = 45.0) -> tuple[MapCells, PhotoCells]:
    """Cells known, seen and unsaturated; lights here and there, alike in photo and map."""
    shape = (60, 80)
    rng = np.random.default_rng(4)
    radiance = np.where(rng.random(shape) < 0.03, 50.0, 0.0).astype(np.float32)
    cells = MapCells(
        grid=OutputGrid("EPSG:4326", 10.0, north, 1 / 240, shape[1], shape[0]),
        radiance_nw=radiance,
        known=np.ones(shape, bool),
        saturated=np.zeros(shape, bool),
        photo_pixel_deg=1 / 240,
    )
    return cells, photo_cells(0.05 + 0.01 * radiance)


def test_cells_are_judged_up_to_their_limits_and_saturated_ones_are_not_used() -> None:
    cells, photo = all_alike()
    seen, pixels, clipped = (one.copy() for one in (photo.seen, photo.pixel_cells, photo.saturated))
    seen[10, 10], seen[20, 20] = 0.99, 0.9899
    pixels[11, 11], pixels[21, 21] = 3.0, 3.001
    clipped[5, 5], clipped[6, 6] = 0.002, 0.0021
    full, known = cells.saturated.copy(), cells.known.copy()
    full[7, 8], known[9, 9] = True, False
    found = compare(
        replace(cells, saturated=full, known=known),
        replace(photo, seen=seen, pixel_cells=pixels, saturated=clipped),
    )
    assert np.argwhere(found.photo_full).tolist() == [[6, 6]]
    assert np.argwhere(found.map_full).tolist() == [[7, 8]]
    unjudged = [[9, 9], [20, 20], [21, 21]]
    assert np.argwhere(~found.judged).tolist() == unjudged
    assert np.argwhere(~found.usable).tolist() == [[6, 6], [7, 8], *unjudged]
    assert (found.light[20, 20], found.radiance_nw[20, 20]) == (0.0, 0.0)
    few = (np.arange(4800) < MIN_CELLS - 1).reshape(60, 80).astype(np.float32)
    with pytest.raises(LeftOutError, match="too few cells"):
        compare(cells, replace(photo, seen=few))


def test_blurs_are_told_in_metres_and_both_are_as_unsure_of_their_place() -> None:
    """A cell of a 240th of a degree is 463 m; at 60 north it is half as wide as it is high."""
    cells, photo = all_alike(north=60.0 + 30 / 240)
    row, col = np.mgrid[0:60, 0:80] - np.array([30, 40])[:, None, None]
    wide = 100.0 * np.exp(-0.5 * (row**2 + (col / 2) ** 2) / 3.0**2).astype(np.float32)
    sigma_m = np.full(wide.shape, 926.6, np.float32)
    point = np.where(np.hypot(row, col) == 0, 1000.0, 0.0).astype(np.float32)
    cells = replace(cells, radiance_nw=wide)
    photo = replace(photo, luminance=0.01 * point, sigma_m=sigma_m)
    found = compare(cells, photo)
    assert (found.map_sigma_m, found.photo_sigma_m) == (pytest.approx(1389.9, rel=0.1), 0.0)
    assert found.blur_cells == pytest.approx(np.hypot(2.0, 3.0), rel=0.1)
    assert found.sigma_cells == pytest.approx(np.full(point.shape, 2.0), rel=1e-3)
    for image, sigma in (
        (found.radiance_nw, np.hypot(2.0, 3.0)),
        (found.light, np.hypot(2.0, 3.0)),
    ):
        light = np.where(np.hypot(row, col / 2) < 3.5 * sigma, image, 0.0).astype(float)
        down = np.sqrt((light * row**2).sum() / light.sum())
        across = np.sqrt((light * col**2).sum() / light.sum())
        assert down == pytest.approx(sigma, rel=0.06)
        assert across / down == pytest.approx(2.0, rel=0.06)


def test_a_map_shows_all_of_its_period_and_a_composite_all_months_of_its_name() -> None:
    for lights_date, product, first, last in (
        ("2016", "", "2016-01-01", "2016-12-31"),
        ("2020-01-01", "Black Marble VNP46A4", "2020-01-01", "2020-12-31"),
        ("2020-02-01", "Black Marble VNP46A3", "2020-02-01", "2020-02-29"),
        ("2020-01-01", "Black Marble VNP46A2", "2020-01-01", "2020-01-01"),
        ("2012-04/2013-03", "", "2012-04-01", "2013-03-31"),
    ):
        span = date.fromisoformat(first), date.fromisoformat(last)
        assert period_of(lights_date, product) == span
        assert period_of(f"{lights_date} or so", product) is None
    assert date_of_name("SVDNB_npp_20160101-20160131_75N060E_vcmcfg.avg_rad9h.tif") == "2016-01"
    assert date_of_name("VNL_v21_npp_201204-201303_global_vcmcfg.tif") == "2012-04/2013-03"
