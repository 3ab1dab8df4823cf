"""From numbers in files to approximate radiance and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import from_bounds

from regengine.lights import radiance

# Radiance classes of a VIIRS 2023 product and their median radiances, nW/cm²/sr.
CLASS_MEDIANS = {5: 1.4, 6: 2.7, 7: 6.7, 8: 17.0, 9: 31.0}


@pytest.mark.parametrize(("number", "expected_nw"), [(86, 2.7), (168, 6.7), (237, 17.0), (253, 31)])
def test_display_curve_meets_the_measured_points(number: int, expected_nw: float) -> None:
    ratio = (1.0 + radiance.display_radiance(number)) / (1.0 + expected_nw)
    assert abs(np.log10(ratio)) < 0.04


def test_display_curve_starts_at_nothing_and_never_falls() -> None:
    table = radiance.display_table()
    assert table[0] == 0.0
    assert (np.diff(table[:254]) > 0.0).all()
    assert table[253] == table[254] == table[255]
    assert table[249] < radiance.display_saturation() <= table[250]


@pytest.mark.real
def test_display_curve_fits_radiance_classes(real_data: Path) -> None:
    """Equal shares of pixels above: the DN of a class's median radiance gives that radiance."""
    names = ("blackmarble_15as.tif", "viirs2023_classes_15as_old_world.tif")
    pictures = []
    for name in names:
        with rasterio.open(real_data / "lights" / name) as dataset:
            pictures.append(dataset.read(1, window=from_bounds(-9, 36, 15, 50, dataset.transform)))
    numbers, classes = (np.sort(picture, axis=None)[::-1] for picture in pictures)
    for code in (6, 7, 8):
        above, here = np.count_nonzero(classes > code), np.count_nonzero(classes == code)
        number = numbers[above + here // 2]
        ratio = (1.0 + radiance.display_radiance(number)) / (1.0 + CLASS_MEDIANS[code])
        assert abs(np.log10(ratio)) < 0.08


def test_codes_keep_what_has_no_data_and_never_spill_into_it() -> None:
    values = np.array([[7.0, 1.0]], np.float32)
    codes = radiance.encode(values, np.array([[True, False]]))
    assert codes.tolist() == [[65534, 65535]]
    assert radiance.decode(codes)[1].tolist() == [[True, False]]


def test_moonlit_sea_has_no_light_and_lamps_keep_theirs() -> None:
    sea, desert, sodium, white = (8, 16, 40), (14, 18, 28), (255, 200, 120), (255, 255, 255)
    rgb = np.array([[sea, desert, sodium, white]], np.uint8).transpose(2, 0, 1)
    lights = radiance.lights_only_luma(rgb)[0]
    assert lights[:2].tolist() == [0, 0]
    assert lights[2] == pytest.approx(207, abs=1)  # 0.299 * 255 + 0.587 * 200 + 0.114 * 120
    assert lights[3] > 250
