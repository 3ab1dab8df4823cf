"""``regengine satellites`` on a simulated frame of which the satellites are known."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.utils import iers
from PIL import Image

from benchmarks.simulate.satellites import (
    SkyFrame,
    observer_teme,
    pointed,
    simulate_satellites,
    sunlit,
    teme_to_gcrs,
    true_states,
    true_streaks,
)
from detectors.types import StreakDetections, StreakKind
from matchers.sky_camera import SkyCamera, matrix_quaternion
from regengine.sky.stars.solve import StarSolution
from regengine.sky.stars.wcs import write_wcs
from tests.command_line import invoke

NOON = datetime(2026, 10, 14, 20, tzinfo=UTC)
SITE = (41.0, 12.0, 300.0)


run = partial(invoke, "satellites")


def frame_at(sky, row, station=None):
    """A frame whose middle is where a satellite is in the middle of the exposure."""
    blank = SkyFrame(
        start_utc=NOON, exposure_s=8.0, site=None if station is not None else SITE,
        station=station, matrix=np.eye(3), width_px=900, height_px=600, focal_px=1100.0, k1=-0.02,
        limit_mag=30.0,
    )  # fmt: skip
    middle = NOON + timedelta(seconds=4)
    sight = true_states(sky, np.array([row]), middle)[0][0] - observer_teme(sky, blank, middle)
    axis = teme_to_gcrs(middle) @ sight / np.linalg.norm(sight)
    return SkyFrame(**{**blank.__dict__, "matrix": pointed(axis, 1.0)})


def wcs_of(frame, path):
    camera = SkyCamera(
        width_px=frame.width_px, height_px=frame.height_px, focal_px=frame.focal_px,
        principal_point=((frame.width_px - 1) / 2, (frame.height_px - 1) / 2),
        distortion=(frame.k1, 0, 0, 0, 0), quaternion_icrs=matrix_quaternion(frame.matrix),
    )  # fmt: skip
    none = np.zeros(0)
    write_wcs(
        StarSolution(
            camera=camera, log10_odds=40.0, x=none, y=none, detection=none.astype(int),
            star=none.astype(int), vectors_icrs=np.zeros((0, 3)), magnitude_g=none,
            residual_px=np.full((1, 2), 0.3), catalogue_epoch=2016.0,
        ),
        path,
    )  # fmt: skip


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A folder with two frames (from the ground, from a satellite), their streaks and catalogue."""
    folder = tmp_path_factory.mktemp("night")
    with iers.conf.set_temp("auto_download", False):
        sky = simulate_satellites(700, NOON, np.random.default_rng(4))
        position, _ = true_states(sky, np.arange(len(sky.names)), NOON)
        lit = sunlit(position, NOON)
        observer = observer_teme(sky, frame_at(sky, 0), NOON)
        sight = position - observer
        above = np.sum(sight * observer, axis=1) > 0.0
        row = int(np.argmin(np.linalg.norm(sight, axis=1) + 1e9 * ~(lit & above)))
        station = next(k for k, name in enumerate(sky.names) if name.startswith("CUBE"))
        near = np.linalg.norm(position - position[station], axis=1) + 1e9 * ~lit
        near[station] = np.inf
        frames = {
            "ground": frame_at(sky, row),
            "station": frame_at(sky, int(near.argmin()), station),
        }
        drawn = {name: true_streaks(sky, frame) for name, frame in frames.items()}
    (folder / "catalogue.txt").write_text(sky.text())
    (folder / "bare.txt").write_text(sky.text(with_names=False))
    (folder / "station.txt").write_text("\n".join(sky.lines[station]) + "\n")
    for name, frame in frames.items():
        pixels = np.full((600, 900, 3), 12, np.uint8)
        records = []
        for one in drawn[name]:
            x1, y1, x2, y2 = one.ends
            records.append(
                {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "sigma_end_px": 1.0, "sigma_line_px": 0.4}
            )
            for t in np.linspace(0, 1, 1500):
                x, y = round(x1 + t * (x2 - x1)), round(y1 + t * (y2 - y1))
                pixels[min(y, 599), min(x, 899)] = 200
        records.append({"x1": 30.0, "y1": 500.0, "x2": 333.0, "y2": 577.7})  # no satellite's
        Image.fromarray(pixels).save(folder / f"{name}.png")
        line = json.dumps({"path": f"{name}.png", "method": "made-up", "streaks": records})
        (folder / f"{name}.ndjson").write_text(line + "\n")
        wcs_of(frame, folder / f"{name}_wcs.fits")
    return folder, sky, drawn


def arguments(folder, name, *more):
    place = (
        ["--site", "41,12,300"] if name == "ground" else ["--station-tle", folder / "station.txt"]
    )
    return [
        folder / f"{name}.png", "--tle", folder / "catalogue.txt", "--time", "2026-10-14T20:00:00Z",
        "--exposure-s", 8, *place, "--mount", "stars", "--wcs", folder / f"{name}_wcs.fits",
        "--streaks", folder / f"{name}.ndjson", "--quiet", *more,
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["ground", "station"])
def test_streaks_are_named_and_tracks_lie_on_them(night, name, tmp_path):
    folder, sky, drawn = night
    result = run(*arguments(folder, name, "--json", "--overlay", tmp_path))
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record["catalogue"]["satellites"] == len(sky.names)
    tracks = {track["norad"]: track for track in record["tracks"]}
    assert drawn[name]
    for one, streak in zip(drawn[name], record["streaks"], strict=False):
        assert streak["norad"] == sky.numbers[one.row]
        assert streak["name"] == sky.names[one.row]
        assert streak["probability"] >= 0.9
        best = streak["candidates"][0]
        assert best["sunlit"]
        assert abs(best["offset_deg"]) < 2.0
        x, y = tracks[sky.numbers[one.row]]["points"][4]
        x1, y1, x2, y2 = one.ends
        if one.cut == (False, False):
            assert np.hypot(x - (x1 + x2) / 2, y - (y1 + y2) / 2) < 150.0
    stranger = record["streaks"][-1]
    assert (stranger["name"], stranger["norad"], stranger["probability"]) == (None, None, None)
    assert stranger["not_in_catalogue"] > 0.9
    picture = np.asarray(Image.open(tmp_path / f"{name}_satellites.png")).astype(int)
    assert ((picture[..., 1] > 200) & (picture[..., 0] < 150)).any()


def test_csv_has_tracks_and_streaks_and_numbers_where_names_are_missing(night):
    folder, sky, drawn = night
    called = arguments(folder, "ground")
    called[2] = folder / "bare.txt"
    result = run(*called)
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert {row["what"] for row in rows} == {"track", "streak"}
    streaks = [row for row in rows if row["what"] == "streak"]
    assert [row["norad"] for row in streaks] == [
        *(sky.numbers[one.row] for one in drawn["ground"]), "",
    ]  # fmt: skip
    assert all(row["name"] == "" for row in rows)


def test_streaks_are_detected_where_none_are_given(night, monkeypatch):
    folder, sky, drawn = night
    ends = np.array([one.ends for one in drawn["station"]])
    count = len(ends)
    found = StreakDetections(
        x1=ends[:, 0], y1=ends[:, 1], x2=ends[:, 2], y2=ends[:, 3], snr=np.full(count, 20.0),
        width_px=np.full(count, 2.5), flux=np.ones(count), log10_false_alarm=np.full(count, -9.0),
        bow_px=np.zeros(count), sigma_end_px=np.full(count, np.nan),
        sigma_line_px=np.full(count, 0.3), flags=np.zeros(count, np.uint8),
        kind=(StreakKind.SATELLITE,) * count, profiles=(np.ones(3),) * count,
    )  # fmt: skip
    called = without(arguments(folder, "station", "--json"), "--streaks")
    monkeypatch.setattr(
        "regengine.sky.detection.detect.Sought.in_photo",
        lambda *_: SimpleNamespace(found=found),
    )
    record = json.loads(run(*called).stdout)
    named = [one["norad"] for one in record["streaks"]]
    assert named == [sky.numbers[one.row] for one in drawn["station"]]
    alone = json.loads(run(*called, "--tracks-only").stdout)
    assert alone["streaks"] == []
    assert len(alone["tracks"]) == len(record["tracks"])


def without(called, option):
    at = called.index(option)
    return called[:at] + called[at + 2 :]


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (lambda c, f: without(c, "--time"), 1, "--time"),
        (lambda c, f: without(c, "--exposure-s"), 1, "--exposure-s"),
        (lambda c, f: without(c, "--site"), 1, "--site"),
        (lambda c, f: without(c, "--wcs"), 1, "--wcs"),
        (lambda c, f: [*c, "--station-tle", f / "station.txt"], 2, "two places"),
        (lambda c, f: [*without(c, "--site"), "--site", "north"], 2, "latitude"),
        (lambda c, f: [*without(c, "--site"), "--site", "95,0"], 2, "no place"),
        (lambda c, f: [*without(c, "--time"), "--time", "2027-03-01T00:00:00Z"], 1, "catalogue"),
        (lambda c, f: [*without(c, "--tle"), "--tle", f / "ground.png"], 3, "element set"),
        (lambda c, f: [*without(c, "--streaks"), "--streaks", f / "catalogue.txt"], 1, "streaks"),
        (lambda c, f: [*without(c, "--wcs"), "--wcs", f / "ground.png"], 1, "FITS"),
        (lambda c, f: [f / "station.png", *c], 2, "one photo"),
    ],
)
def test_what_is_missing_or_wrong_is_one_sentence(night, change, code, says):
    folder, _, _ = night
    result = run(*change(arguments(folder, "ground"), folder))
    assert result.exit_code == code, result.output
    assert says in result.stderr
    assert result.stderr.strip().count("\n") == 0
    assert "Traceback" not in result.stderr
