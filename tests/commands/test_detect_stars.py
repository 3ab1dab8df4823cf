"""``regengine detect stars`` and ``regengine bench stars`` on simulated photos."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from regengine.commands import app

STARS = tuple((40.0 + 57.3 * i, 30.0 + 41.7 * ((3 * i) % 7)) for i in range(8))


def run(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    rng = np.random.default_rng(0)
    rows, cols = np.mgrid[0:330, 0:520]
    light = np.full(rows.shape, 0.01) + rng.normal(0.0, 0.001, rows.shape)
    for k, (x, y) in enumerate(STARS):
        light += 0.03 * (k + 1) * np.exp(-0.5 * ((cols - x) ** 2 + (rows - y) ** 2) / 1.2**2)
    light = np.clip(light, 0.0, 1.0)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    path = tmp_path_factory.mktemp("sky") / "ISS030-E-1234.png"
    Image.fromarray(np.dstack([np.rint(255 * encoded).astype(np.uint8)] * 3)).save(path)
    return path


def test_ndjson(sky):
    result = run("detect", "stars", sky, "--json")
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
    result = run("detect", "stars", sky)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert len(rows) == len(STARS)
    labels = tmp_path / "labels.csv"
    labels.write_text(result.stdout)
    bench = run("bench", "stars", labels, "--json", "--plot", tmp_path / "figures")
    assert bench.exit_code == 0
    facts = {one["method"]: one for one in map(json.loads, bench.stdout.splitlines())}
    assert set(facts) == {"daofind", "matched", "sep", "sift"}
    assert facts["matched"]["completeness"] == 1.0
    assert facts["matched"]["false_per_photo"] == 0.0
    assert all(one["completeness"] >= 0.8 for one in facts.values())
    assert len(list((tmp_path / "figures").iterdir())) == 4


def test_pictures_show_the_stars(sky, tmp_path):
    assert run("detect", "stars", sky, "--overlay", tmp_path).exit_code == 0
    picture = np.asarray(Image.open(tmp_path / f"{sky.stem}_stars.png")).astype(int)
    green = (picture[..., 1] > 200) & (picture[..., 0] < 150)
    assert green.sum() > 8 * len(STARS)


def test_an_unknown_method_and_a_damaged_photo_are_one_sentence_each(sky, tmp_path):
    wrong = run("detect", "stars", sky, "--method", "blobs")
    assert wrong.exit_code != 0
    assert not wrong.stdout
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(sky.read_bytes()[:500])
    result = run("detect", "stars", damaged, sky, "--json")
    assert result.exit_code == 1
    assert result.stdout.count("\n") == 1
