"""``regengine detect stars`` and ``regengine bench stars`` on simulated photos."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image
from srgb import encoded

from tests.command_line import invoke

STARS = tuple((40.0 + 57.3 * i, 30.0 + 41.7 * ((3 * i) % 7)) for i in range(8))


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    rng = np.random.default_rng(0)
    rows, cols = np.mgrid[0:330, 0:520]
    light = np.full(rows.shape, 0.01) + rng.normal(0.0, 0.001, rows.shape)
    for k, (x, y) in enumerate(STARS):
        light += 0.03 * (k + 1) * np.exp(-0.5 * ((cols - x) ** 2 + (rows - y) ** 2) / 1.2**2)
    path = tmp_path_factory.mktemp("sky") / "ISS030-E-1234.png"
    Image.fromarray(np.dstack([encoded(light)] * 3)).save(path)
    return path


def test_ndjson(sky):
    result = invoke("detect", "stars", sky, "--json")
    assert result.exit_code == 0
    record = json.loads(result.stdout)
    assert record["frame"].startswith("ISS030-E-")
    assert record["method"] == "matched"
    assert record["trail_px"] is None
    assert len(record["stars"]) == len(STARS)
    for x, y in STARS:
        assert min(np.hypot(one["x"] - x, one["y"] - y) for one in record["stars"]) < 0.15
    one = record["stars"][0]
    assert one["fwhm_px"] == pytest.approx(2.355 * 1.2, rel=0.15)
    assert set(one) == {
        *("x", "y", "flux", "snr", "fwhm_px", "ellipticity", "sigma_x_px", "sigma_y_px", "flags"),
    }


def test_csv_has_the_columns_of_labels_and_bench_reads_it(sky, tmp_path):
    result = invoke("detect", "stars", sky)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert len(rows) == len(STARS)
    labels = tmp_path / "labels.csv"
    labels.write_text(result.stdout)
    bench = invoke("bench", "stars", labels, "--json", "--plot", tmp_path / "figures")
    assert bench.exit_code == 0
    facts = {one["method"]: one for one in map(json.loads, bench.stdout.splitlines())}
    assert set(facts) == {"daofind", "matched", "sep", "sift"}
    assert facts["matched"]["completeness"] == 1.0
    assert facts["matched"]["false_per_photo"] == 0.0
    assert all(one["completeness"] >= 0.8 for one in facts.values())
    assert len(list((tmp_path / "figures").iterdir())) == 4


def test_pictures_show_the_stars(sky, tmp_path):
    assert invoke("detect", "stars", sky, "--overlay", tmp_path).exit_code == 0
    picture = np.asarray(Image.open(tmp_path / f"{sky.stem}_stars.png")).astype(int)
    green = (picture[..., 1] > 200) & (picture[..., 0] < 150)
    assert green.sum() > 8 * len(STARS)


def write_sky(path, stars, hot, seed):
    """A frame of round stars and of some defects that look like stars."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[0:200, 0:300]
    light = np.full(rows.shape, 0.02) + rng.normal(0.0, 0.001, rows.shape)
    for x, y in (*stars, *hot):
        light += 0.1 * np.exp(-0.5 * ((cols - x) ** 2 + (rows - y) ** 2) / 1.2**2)
    Image.fromarray(encoded(light)).save(path)


def test_what_stays_at_its_pixel_in_a_folder_is_flagged_and_a_bad_file_stops_nothing(tmp_path):
    stars = np.random.default_rng(1).uniform((20.0, 20.0), (240.0, 180.0), (14, 2))
    hot = [(150.2, 60.4), (33.0, 101.0)]
    for number in range(3):
        moved = stars + number * np.array([11.3, -2.1])
        write_sky(tmp_path / f"night{number}.png", moved, hot, number)
    write_sky(tmp_path / "other.png", stars[:, ::-1], [], 9)
    (tmp_path / "night1b.png").write_bytes(b"no picture")
    result = invoke("detect", "stars", tmp_path, "--json")
    assert result.exit_code == 1
    records = {record["frame"]: record for record in map(json.loads, result.stdout.splitlines())}
    assert len(records) == 4
    for name, record in records.items():
        marked = [(one["x"], one["y"]) for one in record["stars"] if "hot" in one["flags"]]
        if name == "other":
            assert marked == []
        else:
            assert sorted(marked) == [pytest.approx(place, abs=0.2) for place in sorted(hot)]
    alone = json.loads(invoke("detect", "stars", tmp_path / "night0.png", "--json").stdout)
    assert not any("hot" in one["flags"] for one in alone["stars"])
