from __future__ import annotations

import csv
import io
import json
from functools import partial

import cv2
import numpy as np
import pytest
from srgb import encoded

from tests.command_line import invoke

LIGHTS = ((60.0, 40.0, 2.0), (150.3, 90.6, 1.5), (220.0, 30.0, 1.0))


detect = partial(invoke, "detect", "lights")


def photo(path, *, scale=1, orientation=None):
    """A colour picture of three lights over a dim sky, sRGB; scaled by repeating the scene."""
    rng = np.random.default_rng(0)
    rows, cols = (np.mgrid[0 : 160 * scale, 0 : 260 * scale] + 0.5) / scale - 0.5
    light = np.full(rows.shape, 0.01) + rng.normal(0.0, 0.001 * scale, rows.shape)
    for x, y, sigma in LIGHTS:
        light += 0.3 * np.exp(-0.5 * ((cols - x) ** 2 + (rows - y) ** 2) / sigma**2)
    from PIL import Image

    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.fromarray(np.dstack([encoded(light)] * 3)).save(path, exif=exif)
    return path


@pytest.fixture
def night(tmp_path):
    return photo(tmp_path / "ISS030-E-184140.png")


def assert_lights(lights, scale=1.0, tolerance=0.15):
    assert len(lights) == len(LIGHTS)
    for x, y, sigma in LIGHTS:
        wanted = ((x + 0.5) * scale - 0.5, (y + 0.5) * scale - 0.5)
        one = min(lights, key=lambda o: np.hypot(o["x"] - wanted[0], o["y"] - wanted[1]))
        assert one["x"] == pytest.approx(wanted[0], abs=tolerance * scale)
        assert one["y"] == pytest.approx(wanted[1], abs=tolerance * scale)
        assert one["radius_px"] == pytest.approx(1.177 * sigma * scale, rel=0.2)
        assert one["flux"] == pytest.approx(0.3 * 2 * np.pi * (sigma * scale) ** 2, rel=0.2)


def test_ndjson(night):
    result = detect(night, "--json")
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 1
    record = json.loads(result.stdout)
    assert record["frame"] == "ISS030-E-184140"
    assert record["path"] == str(night)
    assert record["method"] == "blobs"
    assert_lights(record["lights"])
    first = record["lights"][0]
    assert list(first)[:5] == ["x", "y", "flux", "snr", "radius_px"]
    assert first["flags"] == []
    assert first["snr"] > 50.0
    assert 0.0 < first["sigma_x_px"] < 0.1
    assert [o["flux"] for o in record["lights"]] == sorted(o["flux"] for o in record["lights"])[
        ::-1
    ]


def test_csv(night):
    result = detect(night)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert len(rows) == 3
    assert {row["path"] for row in rows} == {str(night)}
    assert float(rows[0]["x"]) == pytest.approx(60.0, abs=0.15)
    assert rows[0]["flags"] == ""


def test_positions_are_those_of_the_stored_picture(tmp_path):
    large = photo(tmp_path / "large.png", scale=4)
    record = json.loads(detect(large, "--json", "--max-side-px", "260").stdout)
    assert_lights(record["lights"], scale=4.0)


def test_exif_orientation_turns_nothing(tmp_path):
    turned = photo(tmp_path / "turned.png", orientation=6)
    assert_lights(json.loads(detect(turned, "--json").stdout)["lights"])


def test_overlay(night, tmp_path):
    folder = tmp_path / "new" / "overlays"
    assert detect(night, "--overlay", folder).exit_code == 0
    picture = cv2.imread(str(folder / "ISS030-E-184140_lights.png"))
    assert picture.shape == (160, 260, 3)
    blue, green, red = (picture[..., i].astype(int) for i in range(3))
    circled = (green > red + 60) & (green > blue + 60)
    assert circled.any()
    # circles surround the light, they do not hide it
    assert not circled[40, 60]


def test_overlays_of_photos_of_one_name_are_told_apart(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        photo(tmp_path / folder / "night.png")
    out = tmp_path / "out"
    assert detect(tmp_path / "a", tmp_path / "b", "--overlay", out).exit_code == 0
    names = sorted(path.name for path in out.iterdir())
    assert len(names) == 2
    assert all(name.startswith("night_") and name.endswith("_lights.png") for name in names)


def test_a_photo_without_lights_does_not_vanish(tmp_path):
    path = tmp_path / "black.png"
    cv2.imwrite(str(path), np.zeros((50, 60), np.uint8))
    rows = list(csv.DictReader(io.StringIO(detect(path).stdout)))
    assert [row["path"] for row in rows] == [str(path)]
    assert rows[0]["x"] == ""
    assert json.loads(detect(path, "--json").stdout)["lights"] == []


def test_an_overlay_that_cannot_be_written(night, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    result = detect(night, "--overlay", blocked)
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
    assert len(result.stdout.splitlines()) == 1
