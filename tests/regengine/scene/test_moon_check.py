"""Moons of simulated pictures measured, and held against the Moon that stood there."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from benchmarks.simulate.scenes_sky import MoonDisc as DrawnDisc
from benchmarks.simulate.scenes_sky import moon_light
from regengine.orbit.propagation import CameraPosition, position_from_nadir
from regengine.orbit.rotation import icrs_to_itrf
from regengine.scene.moon import MoonDisc, measure_moon_disc, moon_check
from regengine.scene.picture import ScenePicture
from regengine.sky.stars.bodies import sky_bodies

TIME = datetime(2012, 1, 5, 4, 0, tzinfo=UTC)  # 0.82 of the Moon lit, growing


def picture_of(light: np.ndarray) -> ScenePicture:
    shown = np.clip(light, 0.0, 1.0)
    rgb = np.where(shown <= 0.0031308, 12.92 * shown, 1.055 * shown ** (1 / 2.4) - 0.055)
    return ScenePicture(rgb=rgb.astype(np.float32), shown=np.ones(light.shape[:2], bool))


@pytest.mark.parametrize("phase_deg", [0.0, 40.0, 80.0, 110.0, 130.0])
@pytest.mark.parametrize("exposure", [0.3, 2.0])
def test_disc_and_phase_are_measured(phase_deg: float, exposure: float) -> None:
    drawn = DrawnDisc(x=240.0, y=180.0, radius_px=50.0, phase_deg=phase_deg, turn_deg=200.0)
    light = exposure * moon_light(drawn, 512, 340, np.random.default_rng(3))
    disc = measure_moon_disc(picture_of(light))
    assert disc is not None
    assert disc.radius_share * 512 == pytest.approx(50.0, abs=2.0)
    lit = 0.5 * (1.0 + np.cos(np.radians(phase_deg)))
    assert disc.illumination == pytest.approx(lit, abs=0.1)
    if phase_deg >= 40.0:
        assert disc.bright_limb_image_deg == pytest.approx(200.0, abs=10.0)


def test_what_is_no_disc_is_not_measured() -> None:
    black = np.zeros((340, 512, 3))
    assert measure_moon_disc(picture_of(black)) is None
    block = black.copy()
    block[80:240, 150:420] = 0.6
    assert measure_moon_disc(picture_of(block)) is None
    cut = moon_light(
        DrawnDisc(x=10.0, y=170.0, radius_px=60.0, phase_deg=20.0),
        512,
        340,
        np.random.default_rng(1),
    )
    assert measure_moon_disc(picture_of(cut)) is None


def over(lon: float, lat: float) -> CameraPosition:
    return position_from_nadir(lon, lat, 400.0, "option", time_utc=TIME)


def below_the_moon() -> tuple[float, float]:
    """Where the Moon stood overhead."""
    moon = icrs_to_itrf(TIME) @ np.array(sky_bodies(TIME)[0].direction_icrs)
    return float(np.degrees(np.arctan2(moon[1], moon[0]))), float(np.degrees(np.arcsin(moon[2])))


def disc_lit(share: float) -> MoonDisc:
    return MoonDisc(radius_share=0.1, illumination=share, bright_limb_image_deg=0.0)


def test_the_moon_that_stood_there_agrees() -> None:
    check = moon_check(over(*below_the_moon()), disc_lit(0.8))
    assert check is not None
    assert check.agrees is True
    # The limb dips by 19.8 degrees below the horizontal of a camera at 400 km
    assert check.above_limb_deg == pytest.approx(109.8, abs=1.0)
    assert check.waxing
    # 384,000 km less the Earth's radius and the orbit's height
    assert check.angular_radius_deg == pytest.approx(0.259, abs=0.016)
    assert check.record()["agrees"] is True


def test_another_phase_or_a_moon_below_the_limb_does_not() -> None:
    lon, lat = below_the_moon()
    other = moon_check(over(lon, lat), disc_lit(0.2))
    assert other is not None
    assert other.agrees is False
    hidden = moon_check(over(lon - 180.0, -lat), disc_lit(0.8))
    assert hidden is not None
    assert hidden.agrees is False
    assert hidden.above_limb_deg < -60.0


def test_without_a_disc_only_the_limb_is_asked() -> None:
    check = moon_check(over(*below_the_moon()), None)
    assert check is not None
    assert check.agrees is None
    assert check.record()["disc_illumination"] is None


def test_without_a_time_nothing_is_said() -> None:
    assert moon_check(position_from_nadir(10.0, 20.0, 400.0, "option"), disc_lit(0.8)) is None
