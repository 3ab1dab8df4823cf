"""The gain of arrays whose gain, offset, falloff and slant are known, and what it says of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from regengine.collection.radiometry import gain as radiometry
from regengine.collection.radiometry.cells import PhotoCells
from regengine.collection.radiometry.comparison import Comparison
from regengine.collection.radiometry.gain import Gain, fit_gain
from regengine.exchange.export.format import LeftOutError

Array = NDArray[Any]
SIDE, STEP_DEG, NOISE = 96, 1.0 / 24.0, 0.002  # blocks of 25 km are of five cells each way
ROW, COLUMN = np.mgrid[:SIDE, :SIDE].astype(float)
RADIUS_SQ = ((ROW - 40.0) ** 2 + (COLUMN - 50.0) ** 2) / (56.0**2 + 50.0**2)
AIR = 1.1 + 0.9 * COLUMN / SIDE
BLOCK = (ROW // 5 * 20 + COLUMN // 5).astype(int)


def made(
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
    cells = PhotoCells(
        luminance=comparison.light,
        seen=zero + 1,
        saturated=zero,
        pixel_cells=zero,
        radius_sq=radius_sq.astype(np.float32),
        air_mass=air.astype(np.float32),
        sigma_m=zero,
    )
    return comparison, cells


def fitted(seed: int, *, falloff_known: bool = False, **planted: Any) -> Gain:
    return fit_gain(*made(seed, **planted), STEP_DEG, falloff_known)


def pulls(found: Gain, **planted: float) -> list[float]:
    """Errors in units of the stated sigmas; of the gain without what simulations add to it."""
    ratio = np.log(found.gain / planted.pop("gain"))
    own = np.sqrt((found.gain_sigma / found.gain) ** 2 - 0.03**2)
    others = [(getattr(found, n) - v) / getattr(found, f"{n}_sigma") for n, v in planted.items()]
    return [float(ratio / own), *others]


PLANTED = (
    {"gain": 0.01, "offset": 0.0, "falloff": -0.4, "slant": 0.1},
    {"gain": 0.002, "offset": 0.004, "falloff": -0.9, "slant": 0.5},
    {"gain": 0.08, "offset": -0.003, "falloff": -0.1, "slant": -0.3},
)


@pytest.mark.parametrize("planted", PLANTED)
def test_what_was_planted_is_found_within_three_sigma(planted: dict[str, float]) -> None:
    found = fitted(11, **planted)
    assert np.abs(pulls(found, **planted)).max() < 3.0
    assert found.gain_sigma / found.gain < 0.06
    assert found.offset_sigma == pytest.approx(1.2533 * NOISE / (0.5 * SIDE**2) ** 0.5, rel=0.1)
    assert found.falloff_sigma < 0.2 > found.slant_sigma
    assert found.scatter == pytest.approx(0.3, rel=0.1)
    assert found.exponent == pytest.approx(1.0, abs=0.05)


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


def test_where_cells_say_nothing_what_is_known_beforehand_rules() -> None:
    found = fitted(3, radius_sq=1e-7 * RADIUS_SQ, air=1.3 + 1e-6 * AIR)
    assert [found.falloff, found.slant] == pytest.approx([-0.4, 0.1], abs=1e-3)
    assert [found.falloff_sigma, found.slant_sigma] == pytest.approx([0.4, 0.4], rel=1e-3)
    assert found.air_mass == pytest.approx(1.3, abs=1e-5)
    # Of parameters that cells tell a little of: weighed by both precisions
    shy = fitted(3, falloff=-0.1, radius_sq=0.05 * RADIUS_SQ)
    cells_sigma = (shy.falloff_sigma**-2 - 0.4**-2) ** -0.5
    assert 0.2 < shy.falloff_sigma < 0.4 < cells_sigma
    assert -0.4 < shy.falloff < 0.0


@pytest.mark.parametrize("falloff_known", [False, True])
@pytest.mark.parametrize("radius_sq", [0.0, 0.37, 1.0, None])
@pytest.mark.parametrize("air", [1.3, None])
def test_cells_that_are_equal_tell_the_gain_alone(
    radius_sq: float | None, air: float | None, falloff_known: bool
) -> None:
    """Of the photo's middle, where what is unknown on the way to the cells is in its sigma."""
    equal: dict[str, Array] = {}
    equal |= {} if radius_sq is None else {"radius_sq": np.full((SIDE, SIDE), radius_sq)}
    equal |= {} if air is None else {"air": np.full((SIDE, SIDE), air)}
    planted = {"falloff": 0.0} if falloff_known else {"falloff": -0.4}
    found = fitted(3, falloff_known=falloff_known, **planted, **equal)
    if radius_sq is not None:
        own = 0.0 if falloff_known else 0.4
        assert (found.falloff, found.falloff_sigma) == pytest.approx((-own, own), abs=1e-6)
        at_middle = np.hypot(0.04, radius_sq * own)
        assert found.gain_sigma / found.gain == pytest.approx(at_middle, abs=0.01)
    if air is not None:
        assert (found.slant, found.slant_sigma) == pytest.approx((0.1, 0.4), abs=1e-6)
    assert found.gain == pytest.approx(0.01, rel=0.03)
    assert found.exponent == pytest.approx(1.0, abs=0.05)


def test_falloff_is_one_of_a_lens_and_held_where_it_is_known() -> None:
    for planted, expected in ((1.5, 0.0), (-3.0, -1.1)):
        clipped = fitted(3, falloff=planted)
        assert clipped.falloff == pytest.approx(expected, abs=1e-6)
        assert clipped.falloff_sigma > 0.0
    known = fitted(3, falloff=0.0, falloff_known=True)
    assert known.falloff == pytest.approx(0.0, abs=1e-6)
    assert known.falloff_sigma == 0.0
    assert known.gain == pytest.approx(0.01, rel=0.02)
    assert known.gain_sigma < fitted(3, falloff=0.0).gain_sigma


def test_every_cell_has_the_trend_residual_and_sigma_of_the_fit_by_hand() -> None:
    comparison, photo = made(5, gain=0.02, offset=0.02, falloff=-0.6, slant=0.3)
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


def test_scatter_has_limits_and_wild_cells_take_no_part() -> None:
    assert fitted(2, scatter=0.0).scatter == 0.1
    assert fitted(2, scatter=2.0).scatter == 1.0
    comparison, photo = made(6, falloff=-0.4)
    wild = np.random.default_rng(1).random((SIDE, SIDE)) < 0.1
    light = np.where(wild & (comparison.radiance_nw > 2.0), 0.0, comparison.light)
    spoilt = fit_gain(replace(comparison, light=light.astype(np.float32)), photo, STEP_DEG, False)
    assert spoilt.gain == pytest.approx(0.01, rel=0.04)
    assert spoilt.falloff == pytest.approx(-0.4, abs=0.1)
    # A tenth that shine 30 times as bright would raise the mean logarithm by 0.34
    light = np.where(wild, 30.0 * comparison.light, comparison.light)
    spoilt = fit_gain(replace(comparison, light=light.astype(np.float32)), photo, STEP_DEG, False)
    assert spoilt.gain == pytest.approx(0.01, rel=0.04)


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
    assert np.isnan(radiometry.r_squared(x[:2], y[:2]))
    assert radiometry.r_squared(x[9:12], y[9:12]) == pytest.approx(
        np.corrcoef(x[9:12], y[9:12])[0, 1] ** 2
    )


def test_too_few_lit_cells_and_a_dark_photo_are_left_out() -> None:
    comparison, photo = made(7)
    for share in (-1.0, 0.0):
        dark = replace(comparison, light=np.float32(share) * comparison.light)
        with pytest.raises(LeftOutError, match="no light where the map has lights"):
            fit_gain(dark, photo, STEP_DEG, False)
    lit = np.flatnonzero(comparison.radiance_nw > 20.0)
    for kept, told in ((60, True), (49, False)):
        radiance = np.zeros(SIDE * SIDE, np.float32)
        radiance[lit[:kept]] = 30.0 + np.arange(kept)
        radiance = radiance.reshape(SIDE, SIDE)
        few = replace(comparison, radiance_nw=radiance, light=0.01 * radiance)
        if told:
            assert fit_gain(few, photo, STEP_DEG, False).lit_cells == kept
        else:
            with pytest.raises(LeftOutError, match="too few cells are lit"):
                fit_gain(few, photo, STEP_DEG, False)
