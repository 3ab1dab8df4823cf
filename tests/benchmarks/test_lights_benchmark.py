from __future__ import annotations

import numpy as np
import pytest

from benchmarks import lights
from benchmarks.lights import FieldSettings, simulate
from detectors.registry import LIGHTS

SMALL = FieldSettings(width_px=600, height_px=400, lights=(40, 120))


@pytest.fixture(scope="module")
def field():
    return simulate(np.random.default_rng(4), SMALL)


def test_equal_seeds_give_equal_frames(field):
    again = simulate(np.random.default_rng(4), SMALL)
    assert np.array_equal(field.light, again.light)
    assert np.array_equal(field.x, again.x)


def test_frames_are_linear_light_with_a_truth(field):
    assert field.light.dtype == np.float32
    assert field.light.shape == (400, 600)
    assert 0.0 <= field.light.min() < field.light.max() <= 1.0
    assert field.x.size == field.snr.size == field.resolved.size
    assert ((field.x >= 0) & (field.x <= 599) & (field.y >= 0) & (field.y <= 399)).all()
    assert field.resolved.mean() > 0.5


def test_bright_lights_stand_where_the_truth_says(field):
    alone = np.nonzero((field.snr > 100) & (field.radius_px < 4) & ~lights.is_crowded(field))[0]
    assert alone.size > 3
    for i in alone:
        if min(field.x[i], 599 - field.x[i], field.y[i], 399 - field.y[i]) < 12:
            continue
        col, row = round(field.x[i]), round(field.y[i])
        patch = field.light[row - 3 : row + 4, col - 3 : col + 4]
        if patch.max() < 0.9:  # not clipped
            peak = np.unravel_index(patch.argmax(), patch.shape)
            assert np.hypot(peak[0] - 3, peak[1] - 3) <= 2.5


def test_a_method_that_knows_the_truth_scores_full_marks(field):
    (result,) = lights.run_method(lambda f: np.column_stack([f.x, f.y]), [field])
    score = lights.score_between([result], 10.0, np.inf)
    assert score.completeness == 1.0
    assert score.false == 0
    assert score.error_px(0.9) == 0.0


@pytest.mark.slow
def test_the_goal_is_reached():
    """Completeness, false and centroid error at SNR 10 and above, on full-size frames."""
    fields = lights.frames("glow", 3, seed=77)
    results = lights.run_method(lights.detector_method(LIGHTS.detectors()["blobs"]), fields)
    score = lights.score_between(results, 10.0, np.inf)
    assert score.wanted > 500
    assert score.completeness >= 0.93  # 0.97 over many frames; these are crowded ones
    assert score.false_fraction <= 0.05
    assert score.error_px(0.5) <= 0.3


def test_the_command_prints_tables_and_writes_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(lights, "SKIES", {"glow": SMALL})
    assert lights.main(["--frames", "1", "--seed", "3", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "| blobs | glow | 1 |" in printed
    (written,) = tmp_path.glob("lights-*.md")
    text = written.read_text()
    assert printed.strip() in text
    assert "`python -m benchmarks lights --frames 1 --seed 3" in text
