from __future__ import annotations

import json
from functools import partial

import cv2
import numpy as np
import pytest
from test_detect_lights import LIGHTS, photo

from tests.command_line import invoke

bench = partial(invoke, "bench", "lights")


@pytest.fixture
def labels(tmp_path):
    """Two of the photo's three lights, one label where nothing is; and a photo of nothing."""
    photo(tmp_path / "night.png")
    cv2.imwrite(str(tmp_path / "sea.png"), np.zeros((50, 60), np.uint8))
    (x0, y0, _), (x1, y1, _), _ = LIGHTS
    path = tmp_path / "labels.csv"
    path.write_text(
        "path,x,y,flux\n"
        f"night.png,{x0 + 0.5},{y0},30\nnight.png,{x1},{y1},10\nnight.png,20,120,10\n"
        "sea.png,,\n"
    )
    return path


def test_the_score_as_json(labels):
    result = bench(labels, "--json")
    assert result.exit_code == 0
    facts = [json.loads(line) for line in result.stdout.splitlines()]
    (blobs,) = (f for f in facts if f["method"] == "blobs")
    assert blobs["photos"] == 2
    assert blobs["labels"] == 3
    assert blobs["completeness"] == pytest.approx(2 / 3)
    assert blobs["false_fraction"] == pytest.approx(1 / 3)
    assert blobs["false_per_photo"] == 0.5
    assert blobs["centroid_error_px"] == pytest.approx(0.25, abs=0.1)
    assert blobs["centroid_error_p90_px"] == pytest.approx(0.45, abs=0.1)
    assert blobs["seconds_per_photo"] > 0.0


def test_flux_completeness_needs_all_fluxes(labels):
    one = json.loads(bench(labels, "--json", "--method", "blobs").stdout)
    assert one["flux_completeness"] == pytest.approx(0.8)
    labels.write_text(labels.read_text() + "night.png,220,30,\n")
    facts = json.loads(bench(labels, "--json", "--method", "blobs").stdout)
    assert facts["flux_completeness"] is None
    assert facts["completeness"] == 0.75


def test_the_table(labels):
    lines = bench(labels).stdout.splitlines()
    assert lines[0].split()[:4] == ["method", "photos", "labels", "complete"]
    row = next(line for line in lines if line.startswith("blobs")).split()
    assert row[1:7] == ["2", "3", "0.667", "0.800", "0.5", "33.3%"]


def test_tolerance(labels):
    facts = json.loads(bench(labels, "--json", "--method", "blobs", "--tolerance-px", "0.3").stdout)
    assert facts["completeness"] == pytest.approx(1 / 3)


def test_figures_show_found_false_and_missed(labels, tmp_path):
    folder = tmp_path / "figures"
    assert bench(labels, "--plot", folder, "--method", "blobs").exit_code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["night_blobs.png", "sea_blobs.png"]
    picture = cv2.imread(str(folder / "night_blobs.png")).astype(int)
    blue, green, red = picture[..., 0], picture[..., 1], picture[..., 2]
    colours = {
        "found": ((green > red + 80) & (green > blue + 80), (60, 40)),
        "false": ((red > green + 80) & (red > blue + 80), (220, 30)),
        "missed": ((blue > red + 80) & (green > red + 80), (20, 120)),
    }
    for name, (drawn, (x, y)) in colours.items():
        rows, cols = np.nonzero(drawn)
        assert np.hypot(rows - y, cols - x).min() < 6.0, name
