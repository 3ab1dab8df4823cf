"""Product B's lights are moved to where product A and radiance composites have them."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.trials.lights import (
    CELL_DEG,
    COLS,
    NORTH,
    ROWS,
    STEP_DEG,
    WEST,
    stored_shift,
    true_place,
)


def test_places_move_by_their_cell() -> None:
    east, north = stored_shift()
    assert east.shape == north.shape == (ROWS, COLS)
    row, col = (int(k) for k in np.unravel_index(np.argmax(np.abs(north)), north.shape))
    lon = np.array([WEST + (col + 0.3) * CELL_DEG])
    lat = np.array([NORTH - (row + 0.3) * CELL_DEG])
    to_lon, to_lat = true_place(lon, lat)
    assert (to_lon - lon)[0] == pytest.approx(east[row, col] * STEP_DEG, abs=1e-6)
    assert (to_lat - lat)[0] == pytest.approx(north[row, col] * STEP_DEG, abs=1e-6)
    beyond = np.array([179.99, -24.99]), np.array([74.0, -64.9])
    assert np.isfinite(true_place(*beyond)).all()
