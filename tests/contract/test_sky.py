"""Star fields are solved, lenses calibrated, satellites named and stars counted."""

from __future__ import annotations

import io
import json

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

import regengine as rg
from tests.world import skies
from tests.world.fields import spot
from tests.world.program import run

FIELD_DEG = 39.78  # along x, of the lens that was drawn with


@pytest.fixture(scope="module")
def solved(star_fields, tmp_path_factory):
    """What `solve` says of both photos, and the folder of its files."""
    folder = tmp_path_factory.mktemp("solved")
    photos = [star_fields / f"star{k}.jpg" for k in range(2)]
    said = run(
        *("solve", *photos, "--json", "--matches", "--workers", 0, "--quiet"),
        *("--wcs", folder, "--overlay", folder),
    )
    (folder / "solved.ndjson").write_text(said.out, encoding="utf-8")
    return said, folder


def read_truth(folder):
    return json.loads((folder / "truth.json").read_text(encoding="utf-8"))


def apart_deg(one, other):
    """Angle between two rotations."""
    return float(np.degrees(2.0 * np.arccos(min(1.0, abs(np.dot(one, other))))))


def test_a_field_is_solved_to_its_true_camera(star_fields, solved):
    said, _ = solved
    assert said.code == 0
    truth = read_truth(star_fields)
    assert [one["frame"] for one in said.records] == ["star0", "star1"]
    for one in said.records:
        assert one["solved"] is True
        assert apart_deg(one["quaternion_icrs"], truth[one["frame"]]["quaternion_icrs"]) < 0.05
        assert one["focal_px"] == pytest.approx(skies.LENS["focal_px"], abs=1.0)
        assert one["principal_point"] == pytest.approx(skies.LENS["principal_point"], abs=2.0)
        assert one["fov_x_deg"] == pytest.approx(FIELD_DEG, abs=0.02)
        assert one["log10_odds"] > 9.0
        assert one["mirrored"] is False
        assert one["rms_px"] < 0.5
        assert len(one["matches"]) == one["matched_stars"] <= one["stars"]


@pytest.mark.slow
def test_python_says_what_the_command_says_and_a_mirrored_picture_is_told_as_such(
    star_fields, solved
):
    record = solved[0].records[0]
    mine = rg.solve(star_fields / "star0.jpg").to_dict(matches=True)
    assert mine | {"seconds": record["seconds"]} == record
    words = ("--fov-deg", FIELD_DEG, "--json")
    (one,) = run("solve", star_fields / "mirrored.png", *words).records
    assert (one["solved"], one["mirrored"]) == (True, True)
    assert apart_deg(one["quaternion_icrs"], record["quaternion_icrs"]) < 0.01
    assert one["roll_deg"] == pytest.approx(record["roll_deg"], abs=0.01)


@pytest.mark.slow
def test_a_lens_is_calibrated_to_its_truth_and_serves_the_next_photo(star_fields, solved, tmp_path):
    out = tmp_path / "lens.toml"
    photos, solutions = sorted(star_fields.glob("*.jpg")), solved[1] / "solved.ndjson"
    said = run("lens", "fit", *photos, "--solutions", solutions, "--quiet", "--out", out)
    assert said.code == 0, said.err
    profile = json.loads(said.out)
    focal_sigma_px = np.sqrt(profile["covariance"][0][0])  # of all parameters, also those not free
    assert profile["focal_px"] == pytest.approx(skies.LENS["focal_px"], abs=5.0 * focal_sigma_px)
    assert profile["principal_point"] == pytest.approx(skies.LENS["principal_point"], abs=1.5)
    assert (profile["camera"], profile["frames"]) == ("NIKON D3S", 2)
    zero = {one["channel"]: one["zero_point_mag"] for one in profile["channels"]}
    # A full well is 1 of light: the colours' ratios are those that the frames were drawn with
    assert zero["green"] - zero["red"] == pytest.approx(15.9 - 15.2, abs=0.15)
    assert zero["green"] - zero["blue"] == pytest.approx(15.9 - 15.3, abs=0.15)
    assert json.loads(run("lens", "info", tmp_path, "--json").out) == profile
    (again,) = run("solve", star_fields / "star1.jpg", "--lens", out, "--json").records
    assert again["solved"] is True


@pytest.mark.slow
def test_a_lens_is_fitted_without_solutions_and_past_broken_photos(star_fields, tmp_path):
    broken, dark, out = (tmp_path / name for name in ("broken.jpg", "dark.jpg", "lens.toml"))
    broken.write_bytes(b"\xff\xd8 no picture")
    Image.new("RGB", (900, 600)).save(dark)
    said = run("lens", "fit", broken, dark, star_fields / "star0.jpg", "--out", out)
    assert said.code == 1
    assert "broken.jpg" in said.err
    assert "dark.jpg" in said.err
    assert json.loads(said.out)["focal_px"] == pytest.approx(skies.LENS["focal_px"], abs=3.0)
    out.unlink()
    assert run("lens", "fit", dark, "--out", out).code == 1
    assert not out.exists()


def name_satellites(folder, *words, **changes):
    """`satellites` of a photo with all that it needs; a change to None leaves an option out."""
    given: dict[str, object] = {
        "tle": folder / "catalogue.txt",
        "time": f"{skies.NIGHT:%Y-%m-%dT%H:%M:%SZ}",
        "exposure-s": skies.EXPOSURE_S,
        "station-tle": folder / "station.txt",
        "mount": "stars",
        "wcs": folder / "station_wcs.fits",
    }
    given |= {key.replace("_", "-"): value for key, value in changes.items()}
    options = [word for k, v in given.items() if v is not None for word in (f"--{k}", v)]
    return run("satellites", folder / "station.png", *options, "--quiet", *words)


def test_streaks_are_named_and_tracks_lie_on_them(satellites, tmp_path):
    said = name_satellites(satellites, "--json", "--overlay", tmp_path)
    assert said.code == 0, said.err
    (record,) = said.records
    truth = read_truth(satellites)
    tracks = {track["norad"]: track for track in record["tracks"]}
    middles = {
        k: ((one["x1"] + one["x2"]) / 2, (one["y1"] + one["y2"]) / 2)
        for k, one in enumerate(record["streaks"])
    }
    assert len(record["streaks"]) == len(truth) + 1
    assert not all(any(one["cut"]) for one in truth)
    for one in truth:
        x1, y1, x2, y2 = one["ends"]
        middle = (x1 + x2) / 2, (y1 + y2) / 2
        k = min(middles, key=lambda k: np.hypot(*np.subtract(middles[k], middle)))
        streak = record["streaks"][k]
        assert (streak["name"], streak["norad"]) == (one["name"], one["norad"])
        assert streak["probability"] >= 0.9
        assert streak["candidates"][0]["sunlit"] is True
        points = tracks[one["norad"]]["points"]
        assert any(one["cut"]) or np.hypot(*np.subtract(points[4], middle)) < 8.0
    stranger = max(record["streaks"], key=lambda one: one["x2"] - one["x1"])
    assert (stranger["name"], stranger["norad"], stranger["probability"]) == (None, None, None)
    assert stranger["not_in_catalogue"] > 0.9
    assert record["observer"]["kind"] == "station"
    picture = cv2.imread(str(tmp_path / "station_satellites.png"))[..., ::-1].astype(int)
    assert ((picture[..., 1] > 200) & (picture[..., 0] < 150)).any()


def test_a_track_that_is_in_view_between_its_points_is_a_row_without_a_place(satellites):
    """In two hours low satellites rise and set between two of the nine points of a track."""
    (record,) = name_satellites(satellites, "--json", "--method", "none").records
    assert record["streaks"] == []
    wanted = {one["norad"] for one in read_truth(satellites)}
    assert wanted <= {one["norad"] for one in record["tracks"]}
    said = name_satellites(
        satellites, "--method", "none", exposure_s=7200, tle=satellites / "bare.txt"
    )
    assert said.code == 0, said.err
    table = pd.read_csv(io.StringIO(said.out))
    assert table["x1"].isna().any()
    assert table["norad"].notna().all()
    assert table["name"].isna().all()  # the catalogue has numbers alone


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"time": None}, 1, "--time"),
        ({"time": "2027-03-01T00:00:00Z"}, 1, "catalogue"),
        ({"tle": "station.png"}, 3, "element set"),
        ({"wcs": "station.png"}, 1, "is not a header that regengine solve --wcs wrote"),
    ],
)
def test_what_satellites_lack_is_one_sentence(satellites, monkeypatch, changes, code, says):
    monkeypatch.chdir(satellites)
    said = name_satellites(satellites, "--method", "none", **changes)
    assert (said.code, said.out.count("\n") < 2) == (code, True), said.err
    assert says in said.err
    assert said.err.count("\n") == 1


def test_stars_are_counted_against_the_catalogue(solved, tmp_path):
    records = solved[1] / "solved.ndjson"
    out, bins = tmp_path / "stars.csv", tmp_path / "bins.ndjson"
    assert run("catalogue", "stars", records, "--out", out).code == 0
    table = pd.read_csv(out)
    assert table["rank"].tolist() == [1, 2]
    assert table["limiting_g"].is_monotonic_decreasing
    assert table["limiting_g"].between(7.0, 9.0).all()
    assert (table["plateau"] > 0.9).all()
    assert (table["found"] <= table["expected"]).all()
    told = {one["frame"]: one for one in solved[0].records}
    for row in table.to_dict("records"):
        one = told[row["frame"]]
        assert row["identified"] == one["matched_stars"]
        assert row["unidentified"] == one["stars"] - one["matched_stars"]
    run("catalogue", "stars", records, "--table", "magnitudes", "--out", bins)
    counts = pd.read_json(bins, lines=True)
    assert (counts["found"] <= counts["expected"]).all()
    sums = counts.groupby("frame")["found"].sum()
    identified = table.set_index("frame")["identified"].loc[sums.index]
    assert (sums <= identified).all()
    assert (sums > 0.9 * identified).all()


def test_a_damaged_record_of_stars_fails_alone_and_names_run_nothing(solved, tmp_path):
    first = dict(solved[0].records[0])
    path, out = tmp_path / "solved.ndjson", tmp_path / "stars.csv"
    hostile = first | {"frame": "=cmd|' /C calc'!A0", "path": "../=a\n🌃.jpg"}
    bad = [{"width_px": "wide"}, {"matches": [{"id": "x"}]}, {"matches": None}, {"focal_px": 1e9}]
    lines = [hostile, {"frame": "city", "solved": False, "reason": "no_match"}]
    lines += [first | {"frame": f"bad{k}"} | change for k, change in enumerate(bad)]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    said = run("catalogue", "stars", path, "--out", out)
    assert said.code == 1
    assert said.err.count("Error: ") == len(bad)
    assert "--matches" in said.err
    (row,) = pd.read_csv(out).to_dict("records")
    assert row["frame"] == "'=cmd|' /C calc'!A0"
    assert "\n" not in row["path"]
    before = out.read_bytes()
    for words, says in (
        ((tmp_path / "none.ndjson",), "cannot be read"),
        ((path, "--out", tmp_path / "a.xlsx"), "must end in .csv"),
        ((path, "--out", out), "exists"),
    ):
        said = run("catalogue", "stars", *words)
        assert (said.code, says in said.err, said.err.count("\n")) == (2, True, 1), said.err
    assert out.read_bytes() == before


@pytest.mark.slow
def test_a_camera_that_explains_the_middle_alone_is_no_solution(tmp_path):
    """A field of 100 degrees through a lens whose radii grow with the angle: no pinhole."""
    vectors, magnitude, _ = skies.known_stars(6.5)
    turn = Rotation.from_euler("zx", [83.0, 20.0], degrees=True).as_matrix()
    x, y, z = (vectors @ turn).T
    angle = np.arccos(z)
    scale = 600.0 / np.radians(50.0) * angle / np.maximum(np.hypot(x, y), 1e-9)
    light = skies.dim_sky(800, 1200)
    for col, row, g in zip(599.5 + scale * x, 399.5 + scale * y, magnitude, strict=True):
        if -5.0 < col < 1205.0 and -5.0 < row < 805.0:
            spot(light, col, row, skies.STAR_PX, 0.02 * 10 ** (0.4 * (6.0 - g)))
    wide = skies.save(light, tmp_path / "wide.png")
    said = run("solve", wide, "--json", "--wcs", tmp_path / "wcs", "--workers", 0)
    assert said.code == 0, said.err
    (record,) = said.records
    assert (record["solved"], record["reason"]) == (False, "lens")
    assert "lens fit" in record["text"]
    assert list(tmp_path.rglob("*.wcs")) == []
