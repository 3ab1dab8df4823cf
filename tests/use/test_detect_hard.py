"""What misleads detectors: sky that was taken away, clipped stars, their spikes, streaks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from astropy.io import fits

import regengine as rg
from detectors.types import StreakFlag
from tests.world import skies


def spikes(light: np.ndarray, x: float, y: float, turn: float, length: float, peak: float) -> None:
    """Six diffraction spikes that fade evenly outwards."""
    rows, cols = np.mgrid[: light.shape[0], : light.shape[1]]
    for angle in turn + np.arange(6) * np.pi / 3.0:
        along = (cols - x) * np.cos(angle) + (rows - y) * np.sin(angle)
        across = (rows - y) * np.cos(angle) - (cols - x) * np.sin(angle)
        fades = np.where(along > 0.0, np.clip(1.0 - along / length, 0.0, 1.0), 0.0)
        light += peak * fades * np.exp(-0.5 * (across / skies.STAR_PX) ** 2)


def grid_of_stars(sigma: float, side: int = 200, step: int = 25) -> tuple[np.ndarray, np.ndarray]:
    """Equal stars of peak 1, and their places."""
    rng = np.random.default_rng(3)
    middles = np.arange(step // 2, side - step // 3, step, float)
    places = np.array([(x, y) for x in middles for y in middles])
    places += rng.uniform(-0.5, 0.5, places.shape)
    light = np.zeros((side, side))
    for x, y in places:
        skies.spot(light, x, y, sigma, 1.0)
    return light, places


def found_at(found: rg.Detections, places: np.ndarray, within_px: float = 1.0) -> int:
    """How many places have a detection."""
    seen = np.column_stack([found["x"], found["y"]])
    apart = np.linalg.norm(seen[:, None] - places, axis=2) if len(seen) else np.zeros((0, 0))
    return int(np.count_nonzero(apart.min(axis=0) < within_px)) if len(seen) else 0


@pytest.mark.parametrize("kind", ["stars", "lights"])
@pytest.mark.parametrize(
    ("offset", "gain"), [(-1000.0, 1.0), (-50.0, 0.001), (0.0, 1.0), (5.0, 1.0)]
)
def test_detections_do_not_depend_on_the_zero_of_a_picture(
    tmp_path: Path, kind: str, offset: float, gain: float
) -> None:
    light, places = grid_of_stars(1.1)
    noise = np.random.default_rng(0).normal(0.0, 20.0, light.shape)
    sky = (300.0 * light + noise + offset) * gain
    path = tmp_path / "sky.fits"
    fits.writeto(path, sky.astype(np.float32))
    found = rg.detect(path, kind)
    assert found_at(found, places) == len(found) == len(places)
    fits.writeto(path, (sky + (100.0 - offset) * gain).astype(np.float32), overwrite=True)
    assert np.median(found["snr"]) == pytest.approx(
        np.median(rg.detect(path, kind)["snr"]), rel=0.1
    )


@pytest.mark.parametrize(("fwhm_px", "peak"), [(2.2, 5.0), (2.2, 20.0), (4.0, 8.0)])
def test_clipped_stars_are_as_wide_as_their_flanks(
    tmp_path: Path, fwhm_px: float, peak: float
) -> None:
    light, places = grid_of_stars(fwhm_px / 2.355)
    light = skies.dim_sky(*light.shape) + peak * light
    found = rg.detect(skies.save(light, tmp_path / "clipped.png"), "stars")
    assert found_at(found, places) == len(found) == len(places)
    assert np.median(found["fwhm_px"]) == pytest.approx(fwhm_px, rel=0.25)


def test_equal_clipped_stars_are_all_found(tmp_path: Path) -> None:
    # Numbers of 8 bits that are cut off at a sixth of the stars' peaks
    rng = np.random.default_rng(2)
    places = np.stack(np.meshgrid(np.arange(15) * 30.0 + 20, np.arange(10) * 30.0 + 20), -1)
    places = places.reshape(-1, 2) + rng.uniform(-4, 4, (150, 2))
    image = 12.0 + rng.normal(0.0, 3.0, (320, 460))
    for x, y in places:
        skies.spot(image, x, y, 2.2 / 2.355, 1500.0)
    path = tmp_path / "clipped.png"
    cv2.imwrite(str(path), np.clip(np.rint(image), 0, 255).astype(np.uint8))
    found = rg.detect(path, "stars")
    assert found_at(found, places) == len(found) == 150


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "widths_px"),
    [
        (np.uint8, [1.8, 2.6, 4.0]),
        (np.uint16, [1.8, 2.2, 2.6, 3.0, 3.5, 4.0]),
    ],
)
def test_stars_of_light_that_is_not_linear_are_kept_however_bright(
    tmp_path: Path, dtype: type[np.unsignedinteger], widths_px: list[float]
) -> None:
    # Linear numbers, which are taken for those of a curve: bright stars look sharper than faint
    full = float(np.iinfo(dtype).max)
    noise, path = 0.003 * full, tmp_path / "linear.png"
    wanted = seen = extra = 0
    for seed, fwhm_px in enumerate(widths_px):
        rng = np.random.default_rng(100 + seed)
        places = np.stack(np.meshgrid(np.arange(20.0, 780, 40), np.arange(20.0, 580, 40)), -1)
        places = places.reshape(-1, 2) + rng.uniform(-3, 3, (places.size // 2, 2))
        peaks = full * np.exp(rng.uniform(np.log(0.02), np.log(0.9), len(places)))
        image = np.full((600, 800), 0.03 * full) + rng.normal(0.0, noise, (600, 800))
        for (x, y), peak in zip(places, peaks, strict=True):
            skies.spot(image, x, y, fwhm_px / 2.355, peak)
        cv2.imwrite(str(path), np.clip(np.rint(image), 0, full).astype(dtype))
        found = rg.detect(path, "stars")
        clear = peaks * np.sqrt(np.pi) * fwhm_px / 2.355 > 10.0 * noise
        wanted += np.count_nonzero(clear)
        seen += found_at(found, places[clear])
        extra += len(found) - found_at(found, places)
    assert seen >= 0.98 * wanted
    assert extra <= 6


@pytest.mark.parametrize(("stars", "arms"), [(1, 4), pytest.param(3, 6, marks=pytest.mark.slow)])
def test_spikes_of_saturated_stars_are_no_streaks(tmp_path: Path, stars: int, arms: int) -> None:
    light = skies.dim_sky(320, 420)
    for k in range(stars):
        x, y = 90.0 + 120.0 * k, 110.0 + 60.0 * k
        skies.spot(light, x, y, 2.2, 30.0)
        for turn in np.arange(arms) * 2.0 * np.pi / arms + 0.3:
            away = np.array([np.cos(turn), np.sin(turn)])
            for share in np.linspace(0.1, 1.0, 12):  # fainter outwards
                skies.line(light, (x, y, *(np.array([x, y]) + 55.0 * share * away)), 0.02)
    skies.line(light, (20.0, 290.0, 400.0, 250.0), 0.1)
    (one,) = rg.detect(skies.save(light, tmp_path / "spikes.png"), "streaks")
    assert (one.x1, one.y1) == pytest.approx((20.0, 290.0), abs=3.0)


@pytest.mark.parametrize(
    ("turn_deg", "length_px", "apart_px"),
    [
        (-9.0, 60.0, 130.0),
        (16.0, 130.0, 110.0),
        *(
            pytest.param(turn, length, apart, marks=pytest.mark.slow)
            for turn, length, apart in ((-24.0, 60.0, 130.0), (5.0, 130.0, 110.0))
        ),
    ],
)
def test_spikes_that_run_from_star_to_star_are_no_streaks(
    tmp_path: Path, turn_deg: float, length_px: float, apart_px: float
) -> None:
    light, turn = skies.dim_sky(400, 520), np.radians(turn_deg)
    first = np.array([150.0, 190.0])
    second = first + apart_px * np.array([np.cos(turn), np.sin(turn)])
    for x, y in (first, second, (400.0, 300.0)):
        skies.spot(light, x, y, 1.8, 30.0)
        spikes(light, x, y, turn, length_px, 0.2)
    sure = skies.save(light, tmp_path / "spikes.png")
    assert len(rg.detect(sure, "streaks")) == 0


def test_a_streak_through_saturated_stars_is_one(tmp_path: Path) -> None:
    light = skies.dim_sky(400, 520)
    ends = (60.0, 90.0, 460.0, 330.0)
    for share in (0.3, 0.6):
        x, y = (ends[k] + share * (ends[k + 2] - ends[k]) for k in (0, 1))
        skies.spot(light, x, y, 2.0, 30.0)
    skies.line(light, ends, 0.05)
    (one,) = rg.detect(skies.save(light, tmp_path / "streak.png"), "streaks")
    assert (one.x1, one.y1, one.x2, one.y2) == pytest.approx(ends, abs=4.0)


@pytest.mark.parametrize(
    ("from_border_px", "side"), [(1.5, 0), (1.5, 1), (1.5, 2), (1.5, 3), (2.0, 1), (3.0, 2)]
)
def test_a_streak_beside_the_border_is_one(
    tmp_path: Path, from_border_px: float, side: int
) -> None:
    light = skies.dim_sky(260, 340)
    skies.line(light, (60.0, from_border_px, 270.0, from_border_px), 0.05, 0.95)
    path = skies.save(np.rot90(light, side), tmp_path / "edge.png")
    (one,) = rg.detect(path, "streaks")
    assert abs(np.hypot(one.x2 - one.x1, one.y2 - one.y1) - 210.0) < 4.0
    assert one.sigma_end_px < 1.0
    assert not one.flags & (StreakFlag.FIRST_END_OUTSIDE | StreakFlag.SECOND_END_OUTSIDE)


@pytest.mark.parametrize(
    ("from_border_px", "side"), [(2.0, 0), (2.0, 1), (2.0, 2), (2.0, 3), (3.0, 1), (5.0, 2)]
)
def test_a_short_faint_streak_along_the_border_is_one(
    tmp_path: Path, from_border_px: float, side: int
) -> None:
    light = skies.dim_sky(260, 340)
    skies.line(light, (150.0, from_border_px, 190.0, from_border_px), 0.004, 1.2)
    path = skies.save(np.rot90(light, side), tmp_path / "short.png")
    (one,) = rg.detect(path, "streaks")
    assert 15.0 < one.snr < 40.0
    assert abs(np.hypot(one.x2 - one.x1, one.y2 - one.y1) - 40.0) < 4.0


@pytest.mark.parametrize(
    ("rows", "columns"),
    [(rows, slice(0, 340)) for rows in (1, 2, 3)] + [(2, slice(70, 260)), (1, slice(200, 340))],
)
def test_a_bright_border_is_no_streak(tmp_path: Path, rows: int, columns: slice) -> None:
    light = skies.dim_sky(260, 340)
    light[:rows, columns] += 0.05
    assert len(rg.detect(skies.save(light, tmp_path / "border.png"), "streaks")) == 0


@pytest.mark.real
@pytest.mark.parametrize(
    "name",
    [
        "cities_oblique/iss059e060517.jpg",
        "cities_oblique/iss071e234765.jpg",
        "cities_oblique/unproc_ISS065-E-394522.JPG",
        "night_nocity/iss042e295603.jpg",
    ],
)
def test_hardware_and_noise_of_jpeg_along_the_border_are_no_streaks(
    real_data: Path, name: str
) -> None:
    """None of these photos shows a streak that begins and ends near one border."""
    path = real_data / "photos" / name
    height, width = cv2.imread(str(path)).shape[:2]
    for found in rg.detect(path, "streaks"):
        x, y = np.array([found.x1, found.x2]), np.array([found.y1, found.y2])
        assert min(y.max(), (height - 1 - y).max(), x.max(), (width - 1 - x).max()) > 5.0
        away = [np.minimum(y, height - 1 - y), np.minimum(x, width - 1 - x)]
        assert not (np.hypot(np.ptp(x), np.ptp(y)) < 60.0 and np.min(away) < 2.0)


@pytest.mark.slow
def test_a_streak_that_fades_is_followed_to_the_border(tmp_path: Path) -> None:
    light = skies.dim_sky(300, 700)
    steps = np.linspace(0.0, 1.0, 101)  # from (40, 60) beyond (699, 240)
    places = np.column_stack([40.0 + 680.0 * steps, 60.0 + 190.0 * steps])
    for start, end, share in zip(places[:-1], places[1:], steps[:-1], strict=True):
        peak = 0.2 * max(1.0 - 1.6 * share, 0.06)
        skies.line(light, (*start, *end), peak)
    (one,) = rg.detect(skies.save(light, tmp_path / "fades.png"), "streaks")
    assert (one.x1, one.y1) == pytest.approx((40.0, 60.0), abs=4.0)
    assert one.x2 == pytest.approx(699.5, abs=2.0)
    assert one.flags & StreakFlag.SECOND_END_OUTSIDE


@pytest.mark.slow
def test_an_unbroken_streak_is_not_many_stars(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    light = skies.dim_sky(400, 600)
    for x in np.arange(40.0, 560.0, 5.0):  # its light comes and goes
        skies.line(light, (x, 60.0 + 0.4 * x, x + 5.0, 62.0 + 0.4 * x), rng.uniform(0.02, 0.05))
    places = np.stack(np.meshgrid(np.arange(30.0, 590, 70), np.arange(30.0, 390, 70)), -1)
    places = places.reshape(-1, 2) + rng.uniform(-9, 9, (places.size // 2, 2))
    for x, y in places:  # one that lies on the streak stands out of it
        skies.spot(light, x, y, skies.STAR_PX, 0.3)
    found = rg.detect(skies.save(light, tmp_path / "streak.png"), "stars")
    assert found_at(found, places) >= len(places) - 1
    assert len(found) <= len(places) + 2
