"""`bench` on labels whose scores are counted by hand, and on control points of true cameras."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from benchmarks.public.cameras import FRAMES, read_cameras
from tests.world import skies
from tests.world.program import run
from tests.world.results import control_point, nothing_found, proposal
from tests.world.stores import write_store


def found(kind: str, photo: Path, *words: object) -> list[dict[str, Any]]:
    """What a method finds: labels are put beside that."""
    said = run("detect", kind, photo, "--json", *words)
    assert said.code == 0, said.err
    return said.records[0][kind]


def table(path: Path, header: str, rows: Iterable[tuple[object, ...]]) -> Path:
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path


@pytest.fixture
def six(drawn: Path, tmp_path: Path) -> Path:
    """Six labels: 1, 2 and 5 px off, one of nothing; in another photo 2.5 px off, one of nothing.

    The second photo shows one light more, and the third none.
    """
    night = drawn / "night.png"
    light = skies.dim_sky(90, 150)
    for x, y in ((40.0, 50.0), (120.0, 60.0)):
        skies.spot(light, x, y, 2.0, 0.3)
    skies.save(light, tmp_path / "two.png")
    skies.save(skies.dim_sky(90, 150, seed=1), tmp_path / "none.png")
    first, second, third = ((one["x"], one["y"]) for one in found("lights", night))
    (x, y), *_ = ((one["x"], one["y"]) for one in found("lights", tmp_path / "two.png"))
    rows: list[tuple[object, ...]] = [
        (night, first[0] + 0.6, first[1] + 0.8, 5.0, ""),
        (night, second[0], second[1] + 2.0, 20.0, ""),
        (night, third[0] + 3.0, third[1] - 4.0, 1.0, 9.0),  # 3 px and a quarter of its size
        (night, 20.0, 130.0, 4.0, ""),
        ("two.png", x + 2.5, y, 8.0, 0.0),
        ("two.png", 90.0, 20.0, 2.0, ""),
        ("none.png", "", "", "", ""),
    ]
    return table(tmp_path / "six.csv", "path,x,y,flux,radius_px", rows)


def test_scores_of_six_labels_are_those_counted_by_hand(six: Path) -> None:
    words = ("bench", "lights", six, "--method", "blobs", "--quiet")
    (facts,) = run(*words, "--json").records
    assert 0.0 < facts.pop("seconds_per_photo") < 30.0
    off = np.array([1.0, 2.0, 2.5, 5.0])
    assert facts == {
        "method": "blobs",
        "photos": 3,
        "labels": 6,
        "completeness": pytest.approx(4 / 6),
        "flux_completeness": pytest.approx(34.0 / 40.0),
        "false_per_photo": pytest.approx(1 / 3),
        "false_fraction": pytest.approx(1 / 5),
        "centroid_error_px": pytest.approx(np.median(off), abs=1e-3),
        "centroid_error_p90_px": pytest.approx(np.quantile(off, 0.9), abs=1e-3),
    }
    (facts,) = run(*words, "--json", "--tolerance-px", 1.1).records
    assert facts["completeness"] == pytest.approx(1 / 6)


@pytest.mark.parametrize(
    ("x", "radius"), [(4000, ""), (20, "-1"), (20, "151"), (20, "1e308"), (20, "inf")]
)
def test_labels_that_do_not_fit_their_photo_cost_its_score_alone(
    drawn: Path, tmp_path: Path, x: int, radius: str
) -> None:
    dark = skies.save(skies.dim_sky(90, 150, seed=1), tmp_path / "none.png")
    rows = [(drawn / "night.png", 90.0, 20.0, 1, ""), (dark, x, 20.0, 1, radius)]
    bad = table(tmp_path / "bad.csv", "path,x,y,flux,radius_px", rows)
    said = run("bench", "lights", bad, "--method", "blobs", "--json")
    assert (said.code, [facts["photos"] for facts in said.records]) == (1, [1]), said.err
    assert "none.png: a label does not fit the photo" in said.err
    assert ("(radius_px " in said.err) == bool(radius)


def test_scores_of_streaks_are_those_counted_by_hand(tmp_path: Path) -> None:
    """One is found 1 px aside, one is not there; another photo shows none."""
    light = skies.dim_sky(150, 200, noise=0.001)
    skies.line(light, (20.0, 30.0, 160.0, 100.0), 0.3)
    photo = skies.save(light, tmp_path / "streak.png")
    (one,) = found("streaks", photo, "--method", "radon")
    x1, y1, x2, y2 = (one[name] for name in ("x1", "y1", "x2", "y2"))
    skies.save(np.full((70, 70), 0.01), tmp_path / "none.png")
    labels = table(
        tmp_path / "labels.csv",
        "path,x1,y1,x2,y2,bow_px,peak_snr",
        [
            (photo, x1 + 0.6, y1 + 0.8, x2 + 0.6, y2 + 0.8, one["bow_px"], 2.0),
            (photo, 20, 140, 180, 130, "", 30),
            ("none.png", "", "", "", "", "", ""),
        ],
    )
    words = ("bench", "streaks", labels, "--method", "radon", "--quiet")
    (facts,) = run(*words, "--json").records
    assert facts.pop("seconds_per_photo") > 0.0
    length = [100.0, 300.0]
    assert facts == {
        "method": "radon",
        "photos": 2,
        "labels": 2,
        "recall": 0.5,
        "false_per_photo": 0.0,
        "pieces_per_photo": 0.0,
        "end_error_px": pytest.approx(1.0, abs=0.01),
        "end_error_p90_px": pytest.approx(1.0, abs=0.01),
        "recall_by": [
            {"peak_snr": [2.0, 4.0], "length_px": length, "labels": 1, "recall": 1.0},
            {"peak_snr": [10.0, None], "length_px": length, "labels": 1, "recall": 0.0},
        ],
    }


def test_what_cannot_be_read_is_told_and_costs_its_own_score_alone(six: Path) -> None:
    with six.open("a", encoding="utf-8") as stream:
        stream.write("gone.png,5,5,1,\n")
    words = ("bench", "lights", six, "--method", "blobs")
    said = run(*words, "--json", "--log-json")
    assert said.code == 1
    assert (said.records[0]["photos"], said.records[0]["labels"]) == (3, 6)
    (line,) = said.err.splitlines()
    assert "gone.png" in json.loads(line)["message"]
    only = table(six.parent / "gone.csv", "path,x,y", [("gone.png", 1, 2)])
    assert run("bench", "lights", only).code == 3
    assert run("bench", "lights", six, "--method", "magic").code == 2


def test_scenes_are_scored_by_the_labels_that_could_be_read(scenes: Path, tmp_path: Path) -> None:
    """Six of land by day and six of lamps in the dark, told apart by every kind of model."""
    figures = tmp_path / "figures"
    said = run("bench", "scenes", scenes / "labels.csv", "--json", "--quiet", "--plot", figures)
    assert said.code == 0, said.err
    methods = [one for one in said.records if one["table"] == "methods"]
    assert {one["method"] for one in methods} == {*("gmm", "kmeans", "supervised")}
    for one in methods:
        counts = np.array(one["confusion"])
        assert counts.sum(axis=1).tolist() == [6, 6, 0]
        assert one["accuracy"] == pytest.approx(np.trace(counts) / 12)
        assert np.trace(counts) == 12 or one["method"] == "gmm"
        for k, kind in enumerate(one["classes"][:2]):
            assert kind["recall"] == pytest.approx(counts[k, k] / 6)
            assert kind["precision"] == pytest.approx(counts[k, k] / counts[:, k].sum())
    assert any(figures.iterdir())


# Any system's control points against true cameras

Rows = list[tuple[str, float, float, float, float, float]]
OSAKA, TOKYO = "ISS030-E-184140.jpg", "ISS038-E-36641.jpg"
CAMERAS = read_cameras()
INSIDE = "cupola_gate.jpeg"
Corners = list[tuple[float, float]]
SPREAD: Corners = [(100.0, 100.0), (500.0, 100.0), (500.0, 320.0), (100.0, 320.0)]


def points(
    file: str, probability: float, *, off_deg: float = 0.0, corners: Corners = SPREAD
) -> Rows:
    """Control points by the true camera, moved northwards."""
    camera = CAMERAS[file]
    rows: Rows = []
    for x, y in corners:
        lon, lat = (float(v) for v in camera.pixel_to_lonlat(x, y))
        rows.append((file, x, y, lon, lat + off_deg, probability))
    return rows


def write(path: Path, rows: Rows, columns: int = 6) -> Path:
    names = ("photo", "x", "y", "lon", "lat", "probability")[:columns]
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([names, *(row[:columns] for row in rows)])
    return path


def facts_of(path: Path) -> dict[str, dict[str, Any]]:
    said = run("bench", "registration", FRAMES, path, "--json")
    assert said.code == 0, said.err
    return {fact["split"]: fact for fact in said.records}


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """One right, one 30 km off and less sure, and a claim of the station's inside, less still."""
    rows = [*points(OSAKA, 0.99), *points(TOKYO, 0.7, off_deg=0.3)]
    rows += [(INSIDE, x, y, 0.0, 0.0, 0.2) for _, x, y, *_ in points(OSAKA, 0.2)]
    return write(tmp_path / "answers.csv", rows)


def test_right_wrong_and_claims_of_what_shows_nothing(three: Path) -> None:
    """Splits by mission add up."""
    facts = facts_of(three)
    assert facts.keys() == {"all", "development", "test"}
    names, whole = ("photos", "judged", "placeable", "right", "wrong"), facts["all"]
    for name in names:
        assert whole[name] == facts["development"][name] + facts["test"][name]
    lines = run("bench", "registration", FRAMES, three).out.splitlines()
    shown = [line.replace("|", " ").split()[: 1 + len(names)] for line in lines]
    assert ["all", *(str(whole[name]) for name in names)] in shown
    assert (whole["right"], whole["wrong"]) == (1, 2)
    with FRAMES.open(newline="") as stream:
        statuses = [row["status"] for row in csv.DictReader(stream)]
    assert whole["placeable"] == statuses.count("placed")
    assert whole["error_m"] < 1.0
    without, *_, last = whole["at"]
    assert (without["threshold"], without["right"], without["wrong"]) == (0.99, 1, 0)
    # 5 % of 81 judged photos are four: both wrong ones may be accepted
    assert (last["threshold"], last["right"], last["wrong"]) == (0.2, 1, 2)
    # one right and none wrong says little of the next: exact bound
    assert without["most_wrong_of_accepted"] == pytest.approx(0.95, abs=0.03)


def test_three_points_or_points_in_a_corner_place_nothing(tmp_path: Path) -> None:
    few = points(OSAKA, 1.0)[:3]
    assert facts_of(write(tmp_path / "few.csv", few))["all"]["wrong"] == 1
    corner = points(OSAKA, 1.0, corners=[(10.0, 10.0), (20.0, 10.0), (20.0, 20.0), (10.0, 20.0)])
    assert facts_of(write(tmp_path / "corner.csv", corner))["all"]["wrong"] == 1


def test_hdf5_says_the_same_and_without_probability_all_is_claimed(
    tmp_path: Path, three: Path
) -> None:
    with three.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    path = tmp_path / "answers.h5"
    with h5py.File(path, "w") as file:
        file["photo"] = [row["photo"] for row in rows]
        for name in ("x", "y", "lon", "lat", "probability"):
            file[name] = np.array([float(row[name]) for row in rows])
    assert facts_of(path) == facts_of(three)
    bare = write(tmp_path / "bare.csv", [*points(OSAKA, 0.0), *points(TOKYO, 0.0, off_deg=0.3)], 5)
    assert facts_of(bare)["all"]["at"][0]["threshold"] is None


def test_a_store_is_scored_by_what_it_accepted(tmp_path: Path) -> None:
    camera = CAMERAS[OSAKA]
    right = [control_point(p.x, p.y, camera) for p in proposal().control_points]
    results = [
        replace(proposal(), path=f"photos/{OSAKA}", control_points=tuple(right)),
        replace(proposal("B"), path=f"photos/{TOKYO}"),
        replace(proposal("C"), path="photos/ISS038-E-11205.jpg", verdict="review"),
        nothing_found(),
        proposal("ISS999-E-1"),  # of no photo of the benchmark
    ]
    whole = facts_of(write_store(tmp_path / "run.h5", results))["all"]
    assert (whole["right"], whole["wrong"]) == (1, 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "answers.csv cannot be read as a table (No such file or directory): "),
        ("photo,x,y,lon,lat\nnobody.jpg,1,1,1,1\n", "not a photo of the benchmark"),
        (f"photo,x,y,lon,lat\n{OSAKA},1,1,1,91\n", "latitude 91, which is not on Earth"),
    ],
)
def test_what_is_wrong_with_answers_is_said(three: Path, text: str | None, words: str) -> None:
    path = three
    path.unlink() if text is None else path.write_text(text)
    said = run("bench", "registration", FRAMES, path)
    assert said.code != 0
    assert words in said.err
