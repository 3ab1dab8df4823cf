"""What people decided goes out in place of what the engine said, and is said to be theirs."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from matchers.camera import Camera
from regengine.result import FrameResult
from regengine.review.decisions import Choice, Decisions, Judged, decisions_path
from regengine.review.reviewed import state_of
from tests.example_results import nadir_camera, nothing_found, proposal
from tests.regengine.exchange.export.exported import export, write_store


def work(camera: Camera | None, points: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "camera": None if camera is None else json.loads(json.dumps(asdict(camera))),
        "points": points,
        "hypothesis": None,
        "comment": "=1+1",
        "tags": ["delta", "haze"],
        "quality": 4,
        "place": {"name": "Ōsaka", "country": "Japan", "lon": 1, "lat": 2, "population": 3},
    }


def engine_points(result: FrameResult) -> list[dict[str, Any]]:
    return [
        {"x": p.x, "y": p.y, "lon": p.lon, "lat": p.lat, "sigma_px": p.sigma_px, "origin": "engine"}
        for p in result.control_points
    ]


def decide(
    store: Path, number: int, result: FrameResult, choice: Choice, done: dict[str, Any], who: str
) -> None:
    sha256, state = state_of(result)
    decisions = Decisions(decisions_path(store))
    decisions.save(
        Judged(
            frame_index=number,
            sha256=sha256,
            verdict=result.verdict,
            probability=result.probability,
            proposal_sha256=state,
        ),
        who,
        choice,
        done,
    )
    decisions.close()


@pytest.fixture
def decided(tmp_path: Path) -> Path:
    """Five frames: rejected, accepted as proposed, moved, placed from nothing, nobody's."""
    results = [
        proposal("rejected"),
        proposal("as_proposed", "review"),
        proposal("moved"),
        nothing_found("placed"),
        proposal("nobodys"),
    ]
    store = write_store(tmp_path / "run.h5", results)
    moved = engine_points(results[2])
    moved[1] |= {"x": 500.0, "y": 70.0, "sigma_px": 2.0, "origin": "person"}
    moved[2] |= {"lon": 137.0, "sigma_px": None, "origin": "person"}
    turned = replace(nadir_camera(tilt_deg=3.0), focal_px=1400.0)
    lon, lat = (float(v) for v in turned.pixel_to_lonlat(200.0, 200.0))
    placed = [{"x": 200.0, "y": 200.0, "lon": lon, "lat": lat, "sigma_px": 1.0, "origin": "snap"}]
    decide(store, 0, results[0], "rejected", work(None, []), "eva")
    decide(store, 1, results[1], "accepted", work(nadir_camera(), engine_points(results[1])), "eva")
    decide(store, 2, results[2], "unsure", work(None, []), "tom")
    decide(store, 2, results[2], "accepted", work(turned, moved), "eva")
    decide(store, 3, results[3], "accepted", work(turned, placed), "=eva")
    return store


def table(store: Path, out: Path, *arguments: str) -> pd.DataFrame:
    export(store, "csv", out, "--force", *arguments)
    return pd.read_csv(out)


def test_what_people_accepted_counts_as_accepted(decided: Path, tmp_path: Path) -> None:
    frames = table(decided, tmp_path / "f.csv", "--table", "frames")
    assert list(frames.frame) == ["as_proposed", "moved", "placed", "nobodys"]
    assert list(frames.verdict) == ["accepted"] * 4
    assert list(frames.reviewer.fillna("")) == ["eva", "eva", "'=eva", ""]
    assert list(frames.disputed[:3].astype(str)) == ["False", "True", "False"]
    assert set(frames.comment.dropna()) == {"'=1+1"}
    assert frames.place[0] == "Ōsaka"
    # The fit is of the engine's camera, and tells nothing of another
    assert list(frames.residual_px.notna()) == [True, False, False, True]
    assert frames.focal_px[1] == 1400.0
    assert frames.off_nadir_deg[2] == pytest.approx(3.0, abs=1e-6)


def test_only_what_people_accepted_where_that_is_asked_for(decided: Path, tmp_path: Path) -> None:
    result = export(decided, "csv", tmp_path / "p.csv", "--reviewed", "--json")
    said = json.loads(result.stdout)
    assert (said["frames"], said["reviewed"]) == (3, 3)
    assert said["left_out"] == {"rejected in review": 1, "not accepted in review": 1}
    assert "3 as a person accepted them" in result.stderr
    where = "decision = 'accepted' AND NOT disputed AND quality > 3"
    frames = table(decided, tmp_path / "f.csv", "--table", "frames", "--where", where)
    assert list(frames.frame) == ["as_proposed", "placed"]


def test_points_say_who_made_them_and_how_sure_they_are(decided: Path, tmp_path: Path) -> None:
    points = table(decided, tmp_path / "p.csv")
    moved = points[points.frame == "moved"].reset_index()
    assert list(moved.origin) == ["engine", "person", "person", "engine"]
    assert (moved.x[1], moved.y[1], moved.lon[2]) == (500.0, 70.0, 137.0)
    # 2 px at 391 km and 1400 px: about 280 m a pixel; nobody knows the other's
    assert moved.sigma_m[1] == pytest.approx(2 * 391.2e3 / 1400, rel=0.05)
    assert pd.isna(moved.sigma_px[2])
    assert pd.isna(moved.sigma_m[2])
    assert list(moved.sigma_m[[0, 3]]) == [140.0, 140.0]
    assert list(points[points.frame == "placed"].origin) == ["snap"]


def test_points_without_a_camera_have_none_of_the_engines(tmp_path: Path) -> None:
    result = proposal()
    store = write_store(tmp_path / "run.h5", [result])
    points = engine_points(result)
    points[0] |= {"lon": 130.0, "origin": "person"}
    decide(store, 0, result, "accepted", work(None, points), "eva")
    frames = table(store, tmp_path / "f.csv", "--table", "frames")
    assert frames.focal_px.isna().all()
    decide(store, 0, result, "accepted", work(None, engine_points(result)), "eva")
    frames = table(store, tmp_path / "f.csv", "--table", "frames")
    assert list(frames.focal_px) == [1506.1]
