"""Star counts: frames whose completeness is known by construction, views by astropy's WCS."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from matchers.sky_camera import SkyCamera, matrix_quaternion, sky_vectors
from regengine.commands import app
from regengine.sky.stars.catalogue import StarCatalogue
from regengine.sky.stars.star_counts import (
    LOOKED_FOR,
    count_stars,
    fit_completeness,
    magnitude_bins,
    ranked,
    stars_in_view,
)

WIDTH, HEIGHT, FOCAL = 900, 600, 1500.0


def camera(ra_deg: float = 120.0, dec_deg: float = -35.0) -> SkyCamera:
    """A lens without distortion; north is up."""
    forward = sky_vectors(ra_deg, dec_deg)
    east = sky_vectors(ra_deg + 90.0, 0.0)
    north = np.cross(forward, east)
    axes = np.stack([-east, -north, forward], axis=-1)  # x right is west, y down is south
    return SkyCamera(
        width_px=WIDTH,
        height_px=HEIGHT,
        focal_px=FOCAL,
        principal_point=((WIDTH - 1) / 2.0, (HEIGHT - 1) / 2.0),
        distortion=(0.0, 0.0, 0.0, 0.0, 0.0),
        quaternion_icrs=matrix_quaternion(axes),
    )


def catalogue(count: int = 60_000, faintest: float = 10.0) -> StarCatalogue:
    """Stars all over the sky, three times as many a magnitude."""
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(count, 3))
    magnitude = np.sort(faintest + np.log(rng.uniform(size=count)) / math.log(3.0))
    unknown = np.full(count, np.nan)
    return StarCatalogue(
        vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        magnitude_g=magnitude,
        magnitude_bp=unknown,
        magnitude_rp=unknown,
        identifier=np.arange(count) + 7,
        epoch_year=2016.0,
    )


def record(name: str, identified: NDArray[np.int64] | list[int], **other: Any) -> dict[str, Any]:
    lens = camera()
    made = {
        "frame": name,
        "path": f"photos/{name}.jpg",
        "solved": True,
        "ra_deg": 120.0,
        "dec_deg": -35.0,
        "fov_x_deg": lens.fov_x_deg,
        "quaternion_icrs": list(lens.quaternion_icrs),
        "distortion": [0.0] * 5,
        "principal_point": list(lens.principal_point),
        "mirrored": False,
        "width_px": WIDTH,
        "height_px": HEIGHT,
        "rms_px": 0.3,
        "stars": len(identified) + 4,
        "matches": [{"id": int(one)} for one in identified],
    }
    return made | other


def fleming(magnitude: NDArray[np.float64], plateau: float, limit: float, slope: float):
    away = slope * (magnitude - limit)
    return 0.5 * plateau * (1.0 - away / np.sqrt(1.0 + away**2))


def drawn(plateau: float, limit: float, seed: int = 1) -> tuple[NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(seed)
    magnitude = 9.0 + np.log(rng.uniform(size=1500)) / math.log(3.0)
    return magnitude, rng.uniform(size=1500) < fleming(magnitude, plateau, limit, 4.0)


@settings(max_examples=12)
@given(plateau=st.floats(0.5, 1.0), limit=st.floats(7.0, 8.3), seed=st.integers(0, 2**32 - 1))
def test_the_limit_is_the_one_that_the_frame_was_made_with(
    plateau: float, limit: float, seed: int
) -> None:
    depth = fit_completeness(*drawn(plateau, limit, seed))
    assert depth.reached
    assert depth.limit_sigma is not None
    assert abs(depth.limit_g - limit) < max(5.0 * depth.limit_sigma, 0.2)
    bright = float(depth.share(np.array([2.0]))[0])
    assert bright == pytest.approx(plateau, abs=0.2)


def test_sigma_of_the_limit_is_its_spread() -> None:
    depths = [fit_completeness(*drawn(0.8, 7.6, seed)) for seed in range(24)]
    limits = np.array([one.limit_g for one in depths if one is not None])
    sigmas = np.array([one.limit_sigma for one in depths if one is not None], float)
    assert len(limits) == 24
    assert 0.55 < limits.std() / np.median(sigmas) < 1.7
    assert abs(limits.mean() - 7.6) < 4.0 * limits.std() / math.sqrt(24)


def test_a_limit_beyond_what_was_looked_for_is_a_bound() -> None:
    magnitude, _ = drawn(0.9, 20.0)
    found = np.random.default_rng(2).uniform(size=len(magnitude)) < 0.9
    depth = fit_completeness(magnitude, found)
    assert not depth.reached
    assert depth.limit_sigma is None
    assert depth.limit_g == magnitude.max()
    assert depth.plateau == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize(("expected", "found"), [(0, 0), (19, 19), (500, 7)])
def test_too_few_stars_tell_nothing(expected: int, found: int) -> None:
    magnitude = np.linspace(2.0, 9.0, expected)
    assert fit_completeness(magnitude, np.arange(expected) < found) is None


def test_bins_count_every_star_once() -> None:
    magnitude, found = drawn(0.8, 7.0)
    bins = magnitude_bins(magnitude, found)
    counts, _ = np.histogram(magnitude, [one.from_g for one in bins] + [bins[-1].to_g])
    hits, _ = np.histogram(magnitude[found], [one.from_g for one in bins] + [bins[-1].to_g])
    assert [one.expected for one in bins] == counts.tolist()
    assert [one.found for one in bins] == hits.tolist()
    assert magnitude_bins(np.empty(0), np.empty(0, bool)) == []


@pytest.mark.parametrize("dec_deg", [-89.0, -35.0, 0.0, 60.0])
def test_stars_in_view_are_those_that_astropy_has_in_the_picture(dec_deg: float) -> None:
    from astropy.wcs import WCS

    stars = catalogue()
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [120.0, dec_deg]
    wcs.wcs.crpix = [(WIDTH + 1) / 2.0, (HEIGHT + 1) / 2.0]
    scale = math.degrees(1.0 / FOCAL)
    wcs.wcs.cd = [[-scale, 0.0], [0.0, -scale]]
    x, y, z = stars.vectors.T
    ahead = stars.vectors @ sky_vectors(120.0, dec_deg) > 0.5
    px, py = wcs.all_world2pix(np.degrees(np.arctan2(y, x)), np.degrees(np.arcsin(z)), 0)
    inside = ahead & (np.abs(px - (WIDTH - 1) / 2) <= WIDTH / 2)
    inside &= np.abs(py - (HEIGHT - 1) / 2) <= HEIGHT / 2
    seen = stars_in_view(camera(dec_deg=dec_deg), stars)
    assert len(seen) > 300
    np.testing.assert_array_equal(seen, np.flatnonzero(inside))


def test_a_frame_is_counted_against_the_stars_in_view() -> None:
    stars = catalogue()
    seen = stars_in_view(camera(), stars)
    found = seen[stars.magnitude_g[seen] < 8.5]
    counts = count_stars(record("a", stars.identifier[found]), stars)
    assert counts.depth.limit_g == pytest.approx(8.5, abs=0.1)
    assert counts.depth.plateau > 0.99
    assert counts.found <= counts.expected <= counts.found + 3
    assert sum(one.expected for one in counts.bins) == len(seen)
    assert sum(one.found for one in counts.bins) == len(found)


def test_only_so_many_stars_are_looked_for_as_the_solver_does() -> None:
    stars = catalogue(600_000)
    seen = stars_in_view(camera(), stars)
    assert len(seen) > LOOKED_FOR
    counts = count_stars(record("a", stars.identifier[seen]), stars)
    assert not counts.depth.reached
    assert counts.expected == counts.found == LOOKED_FOR
    assert counts.faintest_sought_g == stars.magnitude_g[seen[LOOKED_FOR - 1]]


def test_the_deepest_frame_is_the_first() -> None:
    stars = catalogue()
    seen = stars_in_view(camera(), stars)
    ids, magnitude = stars.identifier[seen], stars.magnitude_g[seen]
    frames = [
        count_stars(record(name, ids[magnitude < limit]), stars)
        for name, limit in (("empty", 0.0), ("dull", 7.5), ("deep", 9.0), ("fair", 8.2))
    ]
    assert [one.frame for one in ranked(frames)] == ["deep", "fair", "dull", "empty"]


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["catalogue", "stars", *(str(word) for word in words)])


@pytest.fixture
def solved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two frames with their stars, one hostile by its name, one without its stars."""
    stars = catalogue()
    monkeypatch.setattr("regengine.sky.stars.catalogue.load_catalogue", lambda **_: stars)
    seen = stars_in_view(camera(), stars)
    ids, magnitude = stars.identifier[seen], stars.magnitude_g[seen]
    path = tmp_path / "solved.ndjson"
    lines = [
        record("=cmd|' /C calc'!A0", ids[magnitude < 8.0], path="../=a\n🌃.jpg", rms_px=None),
        record("deep", ids[magnitude < 9.0]),
        {"frame": "city", "solved": False, "reason": "no_match"},
        record("bare", [], matches=None),
    ]
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    return path


def test_the_table_opens_in_pandas(solved: Path, tmp_path: Path) -> None:
    out = tmp_path / "stars.csv"
    result = run(solved, "--out", out)
    assert result.exit_code == 1  # of the frame without its stars
    assert "bare" in result.stderr
    assert "--matches" in result.stderr
    table = pd.read_csv(out)
    assert list(table["frame"]) == ["deep", "'=cmd|' /C calc'!A0"]
    assert list(table["rank"]) == [1, 2]
    assert table["limiting_g"].to_numpy() == pytest.approx([9.0, 8.0], abs=0.15)
    assert (table["unidentified"] == 4).all()
    assert table["path"][1] == "../=a\\u000a🌃.jpg"
    assert run(solved, "--out", out).exit_code == 2
    assert run(solved, "--out", out, "--force", "--best", 1).exit_code == 1
    assert len(pd.read_csv(out)) == 1


def test_counts_by_magnitude_add_up(solved: Path, tmp_path: Path) -> None:
    out = tmp_path / "counts.ndjson"
    run(solved, "--table", "magnitudes", "--out", out)
    table = pd.read_json(out, lines=True)
    assert (table["found"] <= table["expected"]).all()
    totals = table.groupby("frame")["expected"].sum()
    assert totals.nunique() == 1  # the same camera
    printed = run(solved, "--table", "magnitudes", "--json")
    assert printed.stdout == out.read_text()


def test_text_is_a_line_a_frame(solved: Path) -> None:
    result = run(solved, "--quiet")
    lines = result.stdout.splitlines()
    assert len(lines) == 3
    assert lines[1].split()[:2] == ["1", "deep"]
    assert "yes" in lines[1]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("none.ndjson",), 2, "cannot be read"),
        (("solved.ndjson", "--table", "stars"), 2, "frames, magnitudes"),
        (("solved.ndjson", "--out", "stars.xlsx"), 2, "ends in .csv"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    solved: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int, told: str
) -> None:
    monkeypatch.chdir(solved.parent)
    result = run(*words)
    assert result.exit_code == code
    assert told in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "change",
    [
        {"width_px": "wide"},
        {"height_px": None},
        {"matches": [{"id": "x"}]},
        {"matches": ["x"]},
        {"matches": {}},
        {"fov_x_deg": 1e9},
    ],
)
def test_a_damaged_record_fails_alone(solved: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    with solved.open("a") as stream:
        stream.write(json.dumps(record("damaged", [1], **change)) + "\n")
    result = run(solved, "--out", tmp_path / "stars.csv")
    assert result.exit_code == 1
    assert result.stderr.count("Error: ") == 2
    assert len(pd.read_csv(tmp_path / "stars.csv")) == 2
