"""Gain, new and lost lights of photos whose truth is known by how they were made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.simulate.weather import SceneParameters
from regengine.collection.radiometry import measure
from regengine.collection.radiometry.cells import MapCells, PhotoCells
from regengine.collection.radiometry.comparison import Comparison, compare
from tests.regengine.collection.radiometry.conftest import SMALL, Trial
from tests.world.radiometry import draw_radiometry_scene, judge_trial, measure_trial, write_trial


def test_the_gain_is_right_within_its_sigma(trial: Trial) -> None:
    outcome = judge_trial(trial.scene, trial.found)
    assert abs(outcome["gain_ratio"] - 1.0) < 2.5 * outcome["gain_sigma_ratio"]
    assert outcome["gain_sigma_ratio"] < 0.06
    assert outcome["exponent"] == pytest.approx(1.0, abs=0.05)
    assert outcome["r_squared"] > 0.9


def test_lights_that_are_new_or_gone_are_found_and_no_others(trial: Trial) -> None:
    outcome = judge_trial(trial.scene, trial.found)
    assert outcome["planted"] == 6
    assert outcome["found"] == 6
    assert outcome["false"] == 0
    kinds = {change.kind: np.sign(change.sigma) for change in trial.found.changes}
    assert kinds["new"] == 1.0
    assert kinds["lost"] == -1.0
    new = [change for change in trial.found.changes if change.kind == "new"]
    assert all(change.map_nw < 1.0 < 3.0 < change.photo_nw for change in new)


@pytest.mark.slow
def test_lights_that_differ_by_chance_are_no_changes(tmp_path: Path) -> None:
    scene = draw_radiometry_scene(replace(SMALL, seed=7, scatter=0.3, changes=0))
    found = measure_trial(write_trial(scene, tmp_path))
    assert found.changes == ()
    # Towns differ by 0.3, districts by 0.3, and lamps within a cell
    assert 0.3 < found.gain.scatter < 0.6


@pytest.mark.slow
def test_a_camera_that_is_off_makes_changes_unless_its_sigma_says_so(tmp_path: Path) -> None:
    """The same photo with the same wrong camera: what its control points claim makes the edges."""
    wish = replace(SMALL, seed=3, changes=0, sigma_px=2.5)
    scene = draw_radiometry_scene(wish)
    (tmp_path / "honest").mkdir()
    (tmp_path / "sure").mkdir()
    honest = measure_trial(write_trial(scene, tmp_path / "honest"))
    sure = measure_trial(write_trial(scene, tmp_path / "sure", sigma_px=0.05))
    assert honest.changes == ()
    worst_honest, worst_sure = (
        np.nanmax(np.abs(one.significance.sigma / one.significance.limit)) for one in (honest, sure)
    )
    assert worst_sure > worst_honest


@pytest.mark.slow
def test_a_tone_curve_shows_in_the_exponent(tmp_path: Path) -> None:
    curved = SceneParameters(tone_contrast=0.3, vignetting=0.0)
    scene = draw_radiometry_scene(replace(SMALL, scene=curved, changes=0))
    found = measure_trial(write_trial(scene, tmp_path))
    assert found.gain.exponent > 1.06 + found.gain.exponent_sigma
    assert found.changes == ()


@pytest.mark.slow
def test_a_saturated_photo_tells_no_less_than_it_shows(tmp_path: Path) -> None:
    """Cores that are clipped take no part in the fit, and are not called fainter."""
    bright = SceneParameters(tone_contrast=0.0, vignetting=0.0, saturation_nw=25.0)
    scene = draw_radiometry_scene(replace(SMALL, scene=bright, changes=0))
    found = measure_trial(write_trial(scene, tmp_path))
    full = found.comparison.photo_full
    assert full.sum() > 100
    assert not (found.comparison.usable & full).any()
    assert np.nanmin(found.significance.sigma[full]) >= 0.0
    outcome = judge_trial(scene, found)
    assert abs(outcome["gain_ratio"] - 1.0) < 0.2
    assert not [change for change in found.changes if change.sigma < 0.0]


@pytest.mark.slow
@pytest.mark.parametrize(("planted", "bound"), [(1.5, 0.0), (-3.0, -1.1)])
def test_the_falloff_is_one_that_a_lens_can_have(
    trial: Trial, monkeypatch: pytest.MonkeyPatch, planted: float, bound: float
) -> None:
    """Whatever else gets brighter or darker towards the corners is not put down to the lens."""

    def trending(cells: MapCells, photo: PhotoCells, map_sigma_m: float | None) -> Comparison:
        found = compare(cells, photo, map_sigma_m)
        return replace(found, light=found.light * np.exp(planted * photo.radius_sq))

    monkeypatch.setattr(measure, "compare", trending)
    gain = measure_trial(trial.store).gain
    assert gain.falloff == pytest.approx(bound, abs=1e-6)
    assert gain.falloff_sigma > 0.0
