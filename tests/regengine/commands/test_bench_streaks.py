"""``regengine bench streaks`` around a simple detector."""

from __future__ import annotations

import json

import cv2
import pytest
from plain_streaks import PlainStreaks
from test_detect_streaks import STREAK, save

from detectors.registry import Kind
from tests.command_line import invoke
from tests.detectors.streak_scene import Streak, streak_frame

SHORT = Streak(150.0, 30.0, 190.0, 22.0, snr=25.0)
FAINT = (20.0, 190.0, 230.0, 185.0)


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """Two methods, of which one finds long streaks alone."""
    known = {
        "plain": PlainStreaks(),
        "long": PlainStreaks(name="long", least_length_px=100.0),
    }
    monkeypatch.setattr(Kind, "detectors", lambda kind: known)


def run(*arguments):
    """All of the frame: looking for a limb takes longer than these detectors."""
    return invoke(*arguments, "--whole-frame")


@pytest.fixture
def labels(tmp_path):
    """Two streaks of three, the third where nothing is; a photo of one that nobody labelled."""
    save(tmp_path / "a.png", streak_frame([STREAK, SHORT], noise=0.004))
    save(tmp_path / "b.png", streak_frame([STREAK], noise=0.004, seed=2))
    path = tmp_path / "labels.csv"
    streaks = (*STREAK.ends, 25.0), (*SHORT.ends, 25.0), (*FAINT, 0.2)
    rows = [",".join(map(str, ("a.png", *streak))) for streak in streaks]
    path.write_text("path,x1,y1,x2,y2,peak_snr\n" + "\n".join(rows) + "\nb.png,,,,,\n")
    return path


def test_the_score_as_json(labels):
    result = run("bench", "streaks", labels, "--json")
    assert result.exit_code == 0
    plain, long = (json.loads(line) for line in result.stdout.splitlines())
    assert (plain["method"], plain["photos"], plain["labels"]) == ("plain", 2, 3)
    assert plain["recall"] == pytest.approx(2 / 3)
    assert long["recall"] == pytest.approx(1 / 3)
    assert plain["false_per_photo"] == 0.5
    assert plain["pieces_per_photo"] == 0.0
    assert plain["end_error_px"] < 2.5
    assert plain["seconds_per_photo"] > 0.0
    by = {(*c["peak_snr"], *c["length_px"]): c["recall"] for c in plain["recall_by"]}
    assert by[10.0, None, 100.0, 300.0] == 1.0
    assert by[10.0, None, 30.0, 100.0] == 1.0
    assert by[0.0, 0.5, 100.0, 300.0] == 0.0


def test_the_table_and_recall_by_brightness_and_length(labels):
    lines = run("bench", "streaks", labels).stdout.splitlines()
    assert lines[0].split()[:4] == ["method", "photos", "labels", "recall"]
    assert lines[1].split()[:6] == ["plain", "2", "3", "0.667", "0.500", "0.000"]
    assert lines[4].split() == ["peak", "SNR", "length", "px", "labels", "plain", "long"]
    assert lines[-2].split() == ["over", "10", "30-100", "1", "1.00", "0.00"]


def test_figures_show_found_false_and_missed(labels, tmp_path):
    folder = tmp_path / "figures"
    assert run("bench", "streaks", labels, "--plot", folder, "--method", "plain").exit_code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["a_plain.png", "b_plain.png"]
    first, second = (cv2.imread(str(folder / f"{name}_plain.png")).astype(int) for name in "ab")

    def drawn(picture, *bright):
        dark = [k for k in range(3) if k not in bright]
        return (picture[..., bright].min(axis=2) > picture[..., dark].max(axis=2) + 60).sum()

    assert drawn(first, 1) > 300  # green: found
    assert drawn(first, 0, 1) > 300  # cyan: missed
    assert drawn(second, 2) > 300  # red: false
    assert drawn(first, 2) == 0


def test_what_detect_prints_serves_as_labels(labels, tmp_path):
    found = run("detect", "streaks", tmp_path / "a.png", tmp_path / "b.png", "--method", "plain")
    own = tmp_path / "own.csv"
    own.write_text(found.stdout)
    facts = json.loads(run("bench", "streaks", own, "--json", "--method", "plain").stdout)
    assert (facts["labels"], facts["recall"], facts["false_per_photo"]) == (3, 1.0, 0.0)


def test_a_photo_that_is_missing_and_labels_that_are_none(labels, tmp_path):
    labels.write_text(labels.read_text() + "gone.png,1,2,30,40,\n")
    result = run("bench", "streaks", labels, "--json", "--method", "plain")
    assert result.exit_code == 1
    assert "gone.png" in result.stderr
    assert json.loads(result.stdout)["photos"] == 2
    assert run("bench", "streaks", tmp_path / "none.csv").exit_code == 2
    labels.write_text("path,x1,y1,x2,y2\nnone.png,1,2,30,40\n")
    assert run("bench", "streaks", labels).exit_code == 3
