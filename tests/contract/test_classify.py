"""What photos show, how good they are, and models of one's own."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path

import cv2
import ephem
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import regengine as rg
from regengine.errors import FrameError
from tests.world.hand import limb_row
from tests.world.program import run
from tests.world.samples import SAMPLES, truth_of

NIGHT = ("--time", "2012-03-28T15:46:41Z", "--nadir", "136.9,35.7")
NOON = ("--time", "2012-03-28T03:00:00Z", "--nadir", "136.9,35.7")
CLASSES = {
    *("cities", "stars", "aurora", "inside", "day"),
    *("infrared", "night_nocity", "sunset_sunrise", "moon", "other"),
}


def test_a_record_a_photo_with_the_documented_keys(scenes):
    said = run("classify", scenes / "kinds", "--json", "--quality", "--features", "--workers", 0)
    assert said.code == 0
    names = sorted(path.stem for path in (scenes / "kinds").iterdir())
    assert [one["frame"] for one in said.records] == names
    for one in said.records:
        assert list(one)[:11] == [
            *("frame", "path", "category", "probabilities", "also", "unlike_training"),
            *("ephemeris", "no_ephemeris", "disagreement", "category_from", "limb"),
        ]
        assert one["category_from"] == "features"
        assert set(one["probabilities"]) == CLASSES
        assert one["category"] == max(one["probabilities"], key=one["probabilities"].__getitem__)
        assert 0.0 <= one["sharpness"] <= 1.0
        assert len(one["features"]) == 63
        assert all(map(math.isfinite, one["features"].values()))
    told = {one["frame"]: one["category"] for one in said.records}
    assert told == {"day_0": "day", "stars_1": "stars", "stars_2": "stars"}


def test_a_line_ends_with_the_reasons(scenes):
    photo = scenes / "kinds" / "stars_1.png"
    (line,) = run("classify", photo, *NIGHT).out.splitlines()[1:]
    (record,) = run("classify", photo, "--json", *NIGHT).records
    wanted = [f"Sun {record['ephemeris']['sun_elevation_deg']:.0f}°"]
    if record["limb"] is not None:
        above, below = record["limb"]["lights_above"], record["limb"]["lights_below"]
        wanted.insert(0, f"{above} lights above the limb, {below} below")
    assert line.endswith(", ".join(wanted))


def test_python_says_what_the_command_says(scenes):
    photo = scenes / "kinds" / "stars_1.png"
    scene = rg.classify(photo, quality=True, time="2012-03-28T15:46:41Z", nadir=(136.9, 35.7))
    (record,) = run("classify", photo, "--quality", "--json", *NIGHT).records
    assert scene.to_dict() == record


def test_the_sun_is_where_it_was_and_a_picture_of_another_hour_suspects_the_clock(scenes):
    by_day = scenes / "kinds" / "day_0.jpg"
    (night,) = run("classify", by_day, "--json", *NIGHT).records
    (noon,) = run("classify", by_day, "--json", *NOON).records
    for record, time in ((night, "2012/3/28 15:46:41"), (noon, "2012/3/28 03:00:00")):
        place = ephem.Observer()
        place.lon, place.lat, place.pressure, place.date = "136.9", "35.7", 0, time
        sun = ephem.Sun(place)
        assert record["ephemeris"]["sun_elevation_deg"] == pytest.approx(
            math.degrees(sun.alt), abs=0.2
        )
    assert night["ephemeris"]["class"] == "night"
    assert night["category"] == "day"  # what is seen is not overruled
    assert night["disagreement"].startswith("clock_suspect: ")
    assert noon["ephemeris"]["class"] == "day"
    assert noon["disagreement"] is None


def test_any_kind_of_picture_has_probabilities(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 90, (200, 300, 3), dtype=np.uint8)
    made = {
        "grey.jpg": Image.fromarray(rgb[..., 0]),
        "alpha.png": Image.fromarray(np.dstack([rgb, rgb[..., :1]])),
        "cmyk.jpg": Image.fromarray(rgb).convert("CMYK"),
        "black.jpg": Image.new("RGB", (640, 426)),
    }
    for name, image in made.items():
        image.save(tmp_path / name)
    said = run("classify", tmp_path, "--json", "--quality", "--workers", 0)
    assert said.code == 0
    assert {Path(one["path"]).name for one in said.records} == {*made}
    for one in said.records:
        assert all(0.0 <= p <= 1.0 for p in one["probabilities"].values())


def test_broken_photos_are_told_each_and_the_others_go_on(scenes, tmp_path):
    good = scenes / "kinds" / "stars_1.png"
    shutil.copy(good, tmp_path / "b.png")
    (tmp_path / "a.png").write_bytes(good.read_bytes()[:5000])
    Image.new("RGB", (8, 8)).save(tmp_path / "c.png")
    said = run("classify", tmp_path, "--json", "--workers", 0)
    assert said.code == 1
    assert [one["frame"] for one in said.records] == ["b"]
    assert said.err.count("Error: ") == 2
    assert "a.png" in said.err
    assert "8 x 8 pixels" in said.err
    with pytest.raises(FrameError, match=r"a\.png"):
        rg.classify(tmp_path / "a.png")


def test_the_sheet_shows_every_photo_and_needs_no_network(scenes, tmp_path):
    photos, sheet = tmp_path / "photos", tmp_path / "sheet.html"
    photos.mkdir()
    shutil.copy(scenes / "kinds" / "stars_1.png", photos / "<script>alert(1).png")
    shutil.copy(scenes / "kinds" / "stars_2.png", photos)
    assert run("classify", photos, "--sheet", sheet, "--quality", "--workers", 0).code == 0
    page = sheet.read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 2
    assert "<script>alert" not in page
    assert not re.search(r"(src|href)=.(https?:)?//", page)


def test_sky_and_earth_are_drawn_over_a_photo(tmp_path):
    photo = SAMPLES / "ISS990-E-000106.jpg"
    said = run("classify", photo, "--json", "--overlay", tmp_path / "drawn")
    assert said.code == 0
    drawn = cv2.imread(str(tmp_path / "drawn" / "ISS990-E-000106_scene.png")).astype(int)
    green = (drawn[..., 1] > 200) & (drawn[..., [0, 2]].max(axis=2) < 130)
    # The limb of its camera, in every column within a hundredth of the picture
    camera, factor = truth_of("ISS990-E-000106")["camera"], drawn.shape[1] / 2128
    for x in np.linspace(0.1, 0.9, 9) * camera["width_px"]:
        rows = np.flatnonzero(green[:, round(x * factor)]) / factor
        assert np.abs(rows - limb_row(camera, x)).min() < 0.01 * camera["width_px"]


def test_clusters_are_proposed_in_a_table_to_edit(scenes, tmp_path):
    labels, sheet = tmp_path / "clusters.csv", tmp_path / "clusters.html"
    words = ("--fit", scenes / "two", "--labels", labels, "--workers", 0)
    said = run("classify", *words, "--sheet", sheet)
    assert said.code == 0
    table = pd.read_csv(labels)
    assert list(table) == ["path", "label", "group", "guess"]
    assert {(tmp_path / path).resolve() for path in table["path"]} == {
        path.resolve() for path in (scenes / "two").iterdir()
    }
    kinds = table["path"].map(lambda path: Path(path).name.split("_")[0])
    assert (table.groupby("label")["path"].count() > 0).all()
    assert (kinds.groupby(table["label"]).nunique() == 1).all()
    assert sheet.read_text(encoding="utf-8").count("data:image/jpeg;base64,") == 12
    again = run("classify", *words)
    assert again.code == 2
    assert "may hold your labels" in again.err
    assert len(pd.read_csv(labels)) == 12


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("{}/kinds", "--model", "{}/none.json"), 2, "none.json"),
        (("--fit", "{}/kinds", "--labels", "{}/c.csv"), 2, "at least 8 photos, not 3"),
        (("{}/nothing",), 3, "nothing"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(scenes, words, code, says):
    said = run("classify", *(word.format(scenes) for word in words), "--workers", 0)
    assert said.code == code
    assert says in said.err
    assert not list(scenes.glob("*.csv.*"))
    assert not (scenes / "c.csv").exists()


@pytest.fixture(scope="module")
def trained(scenes, tmp_path_factory):
    """What `train` said of labelled photos, and the model's file."""
    out = tmp_path_factory.mktemp("trained") / "model.json"
    return run("train", scenes / "labels.csv", "--out", out, "--json", "--quiet"), out


def test_a_model_is_trained_and_tells_what_it_was_taught(trained, scenes):
    said, out = trained
    assert said.code == 0, said.err
    facts = json.loads(said.out)
    assert facts["classes"] == ["cities", "day", "other"]
    assert facts["photos"] == [6, 6, 0]
    assert np.sum(facts["confusion"]) == 12
    assert np.trace(facts["confusion"]) >= 11
    known = {"land_00": "day", "lamps_03": "cities", "lamps_05": "cities"}
    photos = [scenes / "two" / f"{name}.png" for name in known]
    records = run("classify", *photos, "--model", out, "--json", "--workers", 0).records
    assert {one["frame"]: one["category"] for one in records} == known
    assert all(0.5 < max(one["probabilities"].values()) < 1.0 for one in records)


def test_labels_that_teach_nothing_write_no_model(scenes, tmp_path):
    made = {
        "none.csv": ("path,label\na.jpg,day\n", 3, "none of the photos"),
        "few.csv": ("path,label\ntwo/land_00.png,day\n", 2, "at least two classes"),
        "column.csv": ("path,group\na.jpg,1\n", 2, "lacks the column label"),
    }
    (tmp_path / "two").symlink_to(scenes / "two")
    for name, (text, code, says) in made.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        said = run("train", tmp_path / name, "--out", tmp_path / "m.json", "--quiet")
        assert (said.code, says in said.err) == (code, True), (name, said.err)
    assert not (tmp_path / "m.json").exists()


def test_a_model_that_was_changed_is_refused(trained, scenes, tmp_path):
    text = trained[1].read_text(encoding="utf-8")
    at = next(found.end() for found in re.finditer(r'"threshold": -?', text))
    made = {
        "cut": text[:-100],
        "digit": text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :],
        "list": "[]",
        "old": '{"format": "regengine-scene-model", "format_version": 1}',
    }
    for name, content in made.items():
        path = tmp_path / f"{name}.json"
        path.write_text(content, encoding="utf-8")
        said = run("classify", scenes / "kinds", "--model", path)
        assert (said.code, said.err.count("\n")) == (2, 1), said.err
        assert path.name in said.err
        assert said.out == ""
