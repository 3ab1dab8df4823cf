"""Light of lamps without the smooth light around it."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.masks import WIDEST_GRAIN_PX, grainy_light


def test_lamps_stay_and_smooth_light_goes() -> None:
    y, x = np.mgrid[:120, :180].astype(np.float32)
    glow = 5.0 * np.exp(-0.5 * ((x - 90.0) ** 2 + (y - 60.0) ** 2) / 30.0**2)
    lamps = np.zeros_like(glow)
    lamps[10:110:11, 10:170:11] = 1.0
    found = grainy_light((glow + lamps).astype(np.float32))
    lit = lamps > 0.0
    assert found.dtype == np.float32
    assert found.min() >= 0.0
    assert found[lit] == pytest.approx(1.0, abs=0.25)
    assert found[~lit].max() < 0.25  # of a glow five times as bright


@pytest.mark.parametrize(("side", "left"), [(WIDEST_GRAIN_PX - 2, 1.0), (WIDEST_GRAIN_PX, 0.0)])
def test_what_is_as_wide_as_the_disc_is_smooth(side: int, left: float) -> None:
    light = np.zeros((40, 40), np.float32)
    light[15 : 15 + side, 20 : 20 + side] = 1.0
    assert grainy_light(light)[15 + side // 2, 20 + side // 2] == left
