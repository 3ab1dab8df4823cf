"""``regengine detect streaks``: records, pictures and bad input around a simple detector."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image
from plain_streaks import PlainStreaks
from srgb import encoded

from detectors.registry import Kind
from detectors.types import StreakDetections
from regengine.sky.detection.kinds import STREAKS
from tests.command_line import invoke
from tests.detectors.streak_scene import Streak, light_of, streak_frame

STREAK = Streak(30.0, 40.0, 200.0, 150.0, snr=20.0)


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """The commands know the simple detector alone."""
    monkeypatch.setattr(Kind, "detectors", lambda kind: {"plain": PlainStreaks()})


def run(*arguments):
    """All of the frame: looking for a limb takes longer than this detector."""
    options = ["--whole-frame", "--method", "plain"]
    return invoke("detect", "streaks", *options, *arguments)


def save(path, light):
    Image.fromarray(np.dstack([encoded(light)] * 3)).save(path)
    return path


@pytest.fixture
def sky(tmp_path):
    return save(tmp_path / "ISS030-E-1234.png", streak_frame([STREAK], noise=0.004))


def test_ndjson(sky):
    result = run(sky, "--json")
    assert result.exit_code == 0
    record = json.loads(result.stdout)
    assert (record["frame"], record["path"], record["method"]) == (
        *("ISS030-E-1234", str(sky), "plain"),
    )
    (one,) = record["streaks"]
    assert list(one)[:8] == [
        *("x1", "y1", "x2", "y2", "snr", "width_px", "log10_false_alarm", "kind"),
    ]
    assert [one[name] for name in ("x1", "y1", "x2", "y2")] == pytest.approx(STREAK.ends, abs=2.5)
    assert one["kind"] == "satellite"
    assert one["flags"] == ["second_end_outside"]
    assert one["sigma_end_px"] is None
    assert one["length_px"] == pytest.approx(202.5, abs=4.0)
    assert "profile" not in one


def test_profiles_are_printed_if_asked_for(sky):
    (one,) = json.loads(run(sky, "--json", "--profiles").stdout)["streaks"]
    assert one["profile"] == [1.0, 2.0]


def test_csv_has_the_end_points_that_labels_have(sky):
    (row,) = csv.DictReader(io.StringIO(run(sky).stdout))
    assert row["path"] == str(sky)
    assert float(row["x2"]) == pytest.approx(200.0, abs=2.5)
    assert row["kind"] == "satellite"
    assert row["flags"] == "second_end_outside"
    assert row["sigma_end_px"] == ""


def test_positions_and_flux_are_those_of_the_stored_picture(tmp_path):
    large = np.kron(light_of(STREAK, noise=0.004) + 0.05, np.ones((3, 3)))
    path = save(tmp_path / "large.png", large)
    whole = json.loads(run(path, "--json").stdout)["streaks"][0]
    small = json.loads(run(path, "--json", "--max-side-px", "256").stdout)["streaks"][0]
    wanted = [3.0 * (value + 0.5) - 0.5 for value in STREAK.ends]
    for one in (whole, small):
        assert [one[name] for name in ("x1", "y1", "x2", "y2")] == pytest.approx(wanted, abs=9.0)
    assert small["flux"] == pytest.approx(whole["flux"], rel=0.1)


def test_captions_and_black_bars_are_left_out(tmp_path):
    frame = streak_frame([STREAK], noise=0.004)
    frame[-14:] = 1.0
    frame[:, -9:] = 0.0
    seen = []

    class Watching(PlainStreaks):
        def detect(self, light, mask=None, saturated=None):
            seen.append(mask)
            return super().detect(light, mask, saturated)

    path = save(tmp_path / "caption.png", frame)
    STREAKS.in_photo(path, Watching())
    STREAKS.in_photo(path, Watching(), sky_only=False)
    hidden, all_seen = seen
    assert hidden[-14:].all()
    assert hidden[:180, -9:].all()
    assert not hidden[20:180, 10:240].any()
    assert all_seen is None


def test_a_picture_shows_two_lines_beside_the_streak(sky, tmp_path):
    assert run(sky, "--overlay", tmp_path / "out").exit_code == 0
    picture = np.asarray(Image.open(tmp_path / "out" / "ISS030-E-1234_streaks.png")).astype(int)
    green = (picture[..., 1] > picture[..., 0] + 60) & (picture[..., 1] > picture[..., 2] + 60)
    rows, cols = np.nonzero(green)
    dx, dy = np.array([170.0, 110.0]) / np.hypot(170.0, 110.0)
    across = (rows - 40.0) * dx - (cols - 30.0) * dy
    assert (across > 3.0).sum() > 150
    assert (across < -3.0).sum() > 150
    assert not green[95, 115]


def test_fits_gaps_and_its_unit(tmp_path):
    counts = 1000.0 * streak_frame([STREAK], seed=3) - 20.0
    counts[:30, 200:] = np.nan
    path = tmp_path / "a.fits"
    fits.PrimaryHDU(counts.astype(np.float32)).writeto(path)
    (one,) = json.loads(run(path, "--json").stdout)["streaks"]
    assert [one[name] for name in ("x1", "y1", "x2", "y2")] == pytest.approx(STREAK.ends, abs=2.5)
    assert one["flux"] == pytest.approx(1000.0 * light_of(STREAK).sum(), rel=0.15)
    assert run(path, "--overlay", tmp_path / "out").exit_code == 0


def test_methods_that_are_none(sky):
    result = run(sky, "--method", "magic")
    assert result.exit_code == 2
    assert "finds streaks: use one of plain" in result.stderr


def test_values_that_are_no_numbers_become_null():
    endless = StreakDetections(
        **dict.fromkeys(("x1", "y1", "x2", "y2", "bow_px"), np.ones(1)),
        **dict.fromkeys(("snr", "width_px", "flux", "sigma_line_px"), np.ones(1)),
        log10_false_alarm=np.array([-np.inf]),
        sigma_end_px=np.array([np.nan]),
        flags=np.zeros(1, np.uint8),
        kind=("unknown",),
        profiles=(np.zeros(2),),
    )
    (one,) = STREAKS.records(endless)
    assert one["log10_false_alarm"] is None
    json.dumps(one, allow_nan=False)
