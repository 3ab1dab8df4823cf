"""Element sets whose drag is none of air."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from regengine.orbit.propagation import TYPICAL_BSTAR, USUAL_BSTAR, drag_shift_km, with_drag_term
from regengine.orbit.tle import ElementSet, load_tle_file
from tests.tle_lines import Elements

TYPICAL = Elements(drag=" 21000-3")  # 0.21e-3


def written(folder: Path, elements: Elements) -> ElementSet:
    path = folder / "iss.txt"
    path.write_text(elements.text(), encoding="utf-8")
    return load_tle_file(path).best_for(elements.epoch)


@pytest.mark.parametrize("drag", [" 00000-0", "-58500-2", " 17700-2", " 82000-3"])
def test_the_shift_is_what_usual_drag_makes_of_it(tmp_path: Path, drag: str) -> None:
    """A week on; the mean elements are the same, so only the drag moves the station."""
    own = written(tmp_path, replace(TYPICAL, drag=drag))
    typical = written(tmp_path, TYPICAL)
    photo = TYPICAL.epoch + timedelta(days=7.0)
    if USUAL_BSTAR[0] <= own.satrec().bstar <= USUAL_BSTAR[1]:
        assert drag_shift_km(own, photo) == 0.0
        return
    _, here, velocity = own.satrec().sgp4_tsince(7.0 * 1440.0)
    _, there, _ = typical.satrec().sgp4_tsince(7.0 * 1440.0)
    angle = np.arccos(np.dot(here, there) / np.linalg.norm(here) / np.linalg.norm(there))
    ahead = np.dot(np.subtract(there, here), velocity) > 0.0
    shift = drag_shift_km(own, photo)
    assert abs(shift) == pytest.approx(6780.0 * angle, rel=0.01)
    assert (shift > 0.0) == ahead == (own.satrec().bstar < TYPICAL_BSTAR)


def test_whole_turns_count(tmp_path: Path) -> None:
    """Drag counts as the square of time, past half an orbit, where angles begin anew."""
    own = written(tmp_path, replace(TYPICAL, drag="-58500-2"))
    shifts = [drag_shift_km(own, TYPICAL.epoch + timedelta(days=d)) for d in (4.0, 8.0, 16.0)]
    assert shifts[2] > 21_300.0
    assert shifts[1] / shifts[0] == pytest.approx(4.0, rel=0.1)
    assert shifts[2] / shifts[1] == pytest.approx(4.0, rel=0.1)
    before = drag_shift_km(own, TYPICAL.epoch - timedelta(days=4.0))
    assert before == pytest.approx(shifts[0], rel=0.1)


def test_the_same_drag_is_the_same_orbit(tmp_path: Path) -> None:
    own = written(tmp_path, TYPICAL).satrec()
    again = with_drag_term(own, own.bstar)
    for days in (-5.0, 0.0, 9.0):
        first, second = (record.sgp4_tsince(1440.0 * days)[1] for record in (own, again))
        assert np.linalg.norm(np.subtract(first, second)) < 0.01
