"""``regengine classify``: records, exit codes, the sheet, and clusters to name."""

from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.simulate.scene_frames import draw
from regengine.scene.samples import read_scene_labels
from tests.command_line import invoke
from tests.regengine.scene.drawn import evenly, grain, land, plain, spots

classify = partial(invoke, "classify")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six frames, three by day and three of stars."""
    made = tmp_path_factory.mktemp("photos")
    for kind in ("day", "stars"):
        for number in range(3):
            image = draw(kind, np.random.default_rng([31_337, number]))
            Image.fromarray(image).save(made / f"{kind}_{number}.png")
    return made


def test_a_record_a_photo(folder: Path) -> None:
    result = classify(folder, "--json", "--quality", "--workers", 0)
    assert result.exit_code == 0
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [Path(r["path"]).name for r in records] == sorted(p.name for p in folder.iterdir())
    assert list(records[0]) == [
        *("frame", "path", "category", "probabilities", "also", "unlike_training"),
        *("ephemeris", "no_ephemeris", "disagreement"),
        *("sharpness", "blur", "blur_sigma_px", "cloud_fraction"),
        *("exposure_stops", "clipped_share", "black_share"),
    ]
    right = [r["category"] == r["frame"].split("_")[0] for r in records]
    assert sum(right) >= 4  # of ten classes one in ten is chance


def test_the_table_and_the_features(folder: Path) -> None:
    table = classify(folder / "day_0.png")
    assert table.exit_code == 0
    assert table.stdout.splitlines()[0].split() == ["frame", "category", "p", "also"]
    assert table.stdout.splitlines()[1].startswith("day_0")
    record = json.loads(classify(folder / "day_0.png", "--features").stdout)
    assert len(record["features"]) > 50


def test_sun_and_moon_by_options(folder: Path) -> None:
    photo = folder / "day_0.png"
    given = ("--time", "2012-03-28T15:46:41Z", "--nadir", "136.9,35.7", "--json")
    record = json.loads(classify(photo, *given).stdout)
    assert record["ephemeris"]["class"] == "night"
    assert record["ephemeris"]["sun_elevation_deg"] == pytest.approx(-48.6, abs=1.0)


def test_nothing_there_and_nothing_said(tmp_path: Path) -> None:
    assert classify().exit_code == 2
    assert classify(tmp_path, "--model", tmp_path / "none.json").exit_code in (2, 3)


def test_the_sheet(folder: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.html"
    assert classify(folder, "--sheet", sheet, "--workers", 2).exit_code == 0
    page = sheet.read_text()
    assert page.count("data:image/jpeg;base64,") == 6


@pytest.fixture(scope="module")
def two_kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight pictures of daylit land and eight of lamps in the dark."""
    made = tmp_path_factory.mktemp("two")
    for number in range(8):
        image = land(seed=number)
        Image.fromarray(image.astype(np.uint8)).save(made / f"land_{number:02d}.png")
        lamps = spots(plain((4, 4, 6)), evenly(150, seed=number), seed=number)
        dark = np.clip(grain(lamps, seed=number), 0, 255).astype(np.uint8)
        Image.fromarray(dark).save(made / f"lamps_{number:02d}.png")
    return made


def test_clusters_to_name(two_kinds: Path, tmp_path: Path) -> None:
    labels, sheet = tmp_path / "clusters.csv", tmp_path / "clusters.html"
    result = classify("--fit", two_kinds, "--labels", labels, "--sheet", sheet, "--workers", 0)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0].split()[:2] == ["cluster", "photos"]
    proposed = read_scene_labels(labels)
    assert {label.path.resolve() for label in proposed} == {
        p.resolve() for p in two_kinds.iterdir()
    }
    by_kind: dict[str, set[str]] = {"land": set(), "lamps": set()}
    for label in proposed:
        by_kind[label.path.name.split("_")[0]].update(label.labels)
    assert not by_kind["land"] & by_kind["lamps"]
    with labels.open(newline="") as stream:
        assert list(next(csv.DictReader(stream))) == ["path", "label", "group", "guess"]
    again = classify("--fit", two_kinds, "--labels", labels)
    assert again.exit_code == 2
    assert "perhaps with labels of yours" in again.stderr


def test_too_few_photos_make_no_clusters(folder: Path, tmp_path: Path) -> None:
    single = tmp_path / "few"
    single.mkdir()
    (single / "a.png").write_bytes((folder / "day_0.png").read_bytes())
    result = classify("--fit", single, "--workers", 0, "--labels", tmp_path / "c.csv")
    assert result.exit_code == 2
    assert "8 photos or more, not 1" in result.stderr
    assert not (tmp_path / "c.csv").exists()
