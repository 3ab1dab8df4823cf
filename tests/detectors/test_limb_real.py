"""On real photographs: the limb where it is seen, none on cities from above."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detectors.limb import find_limb, mask_sky
from detectors.masks import blank_parts, mask_window_frames
from regengine.photo.image import read_linear_light

pytestmark = pytest.mark.real
ALTITUDE_KM = 410.0


# Off-nadir angles found for two of them by registration on a light map, within its 1 degree
@pytest.mark.parametrize(
    ("name", "focal_mm", "off_nadir_deg"),
    [
        ("cities_oblique/unproc_ISS065-E-394522.JPG", 28.0, 67.5),
        ("cities_oblique/spain_portugalpsp.jpg", 28.7, 55.2),
    ],
)
def test_nadir_agrees_with_registration(
    real_data: Path, name: str, focal_mm: float, off_nadir_deg: float
) -> None:
    light = read_linear_light(real_data / "photos" / name, max_long_side_px=640).light
    focal_px = focal_mm / 36.0 * max(light.shape)
    limb = find_limb(light, focal_px=focal_px, altitude_km=ALTITUDE_KM)
    assert limb.off_nadir_deg == pytest.approx(off_nadir_deg, abs=1.0)
    sky = mask_sky(limb, light.shape)
    assert 0.05 < sky.mean() < 0.6


@pytest.mark.parametrize(
    ("name", "focal_mm"),
    [("Osaka_ISS030-E-184140", 85.0), ("Nagoya_ISS038-E-11205", 50.0), ("CloudDet_im1", None)],
)
def test_cities_have_neither_limb_nor_foreground(
    real_data: Path, name: str, focal_mm: float | None
) -> None:
    path = real_data / "photos" / "cities" / f"{name}.jpg"
    light = read_linear_light(path, max_long_side_px=640).light
    focal_px = None if focal_mm is None else focal_mm / 36.0 * max(light.shape)
    assert find_limb(light, focal_px=focal_px, altitude_km=ALTITUDE_KM) is None
    assert not (blank_parts(light) | mask_window_frames(light)).any()


def test_bars_of_a_copy_are_blank(real_data: Path) -> None:
    path = real_data / "photos" / "cities" / "espana.png"
    light = read_linear_light(path, max_long_side_px=640).light
    mask = blank_parts(light) | mask_window_frames(light)
    assert np.isclose(mask.mean(), 0.26, atol=0.02)
