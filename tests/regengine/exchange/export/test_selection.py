"""Which frames are handed over, under which names, and what happens to files that exist."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regengine.errors import ConfigError
from regengine.exchange.export import formats
from regengine.exchange.export.format import file_names, photo_name, photo_names, stem
from regengine.exchange.export.formats import format_names
from regengine.exchange.export.selection import Condition, FrameChoice, choose
from tests.example_results import nadir_camera, nothing_found, proposal
from tests.regengine.exchange.export.exported import (
    decide,
    engine_points,
    export,
    try_export,
    work,
    write_store,
)


def chosen(store: Path, **conditions: object) -> list[str]:
    found = choose(store, FrameChoice(**conditions))  # type: ignore[arg-type]
    return [frame.result.frame for frame in found.frames()]


def test_accepted_frames_alone_unless_others_are_asked_for(store: Path) -> None:
    assert chosen(store) == ["ISS030-E-184140"]
    assert chosen(store, verdicts=("review", "no_match")) == ["ISS030-E-184141", "ISS001-E-1"]


@pytest.mark.parametrize(
    ("where", "frames"),
    [
        ("time_utc >= '2012-03-28' AND category = 'cities'", 2),
        ("off_nadir_deg > 1000 OR frame LIKE '%184141'", 1),
        ("probability IS NULL", 1),
        ("focal_px IS NULL AND matched_lights IS NULL AND category IS NULL", 1),
        ("verdict = 'accepted' -- and a comment", 1),
        ("abs(nadir_lon - 136.9) < 0.1", 2),
    ],
)
def test_a_condition_chooses(store: Path, where: str, frames: int) -> None:
    verdicts = ("accepted", "review", "no_match")
    assert len(chosen(store, verdicts=verdicts, where=where)) == frames


@pytest.mark.parametrize(
    "where",
    [
        "",
        "1 = 1; DROP TABLE frames",
        "no_such_column = 1",
        "(SELECT count(*) FROM sqlite_master) > 0",
        "load_extension('x')",
        "frame IN (WITH RECURSIVE t(a) AS (SELECT 1 UNION ALL SELECT a FROM t) SELECT a FROM t)",
        "1 = 1) UNION SELECT (1",
        "'",
        "\0",
        "\ud800",
    ],
)
def test_a_condition_can_only_compare(store: Path, where: str) -> None:
    with pytest.raises(ConfigError, match="is no condition on frames"):
        chosen(store, where=where)


@given(st.text(max_size=30))
@settings(max_examples=25)
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    try:
        with Condition(text) as condition:
            assert condition.chosen([{"frame_index": 3, "frame": "a"}]) in (set(), {3})
    except ConfigError:
        pass


def test_what_is_left_out_is_told(store: Path, tmp_path: Path) -> None:
    result = export(store, "qgis", tmp_path / "o", "--verdict", "all", "--json")
    said = json.loads(result.stdout)
    assert (said["frames"], said["files"], said["left_out"]) == (2, 2, {"no control points": 1})
    assert "left out: 1 no control points" in result.stderr


@pytest.mark.parametrize("verdict", ["", "accepted,", "good"])
def test_verdicts_that_are_none_are_refused(store: Path, tmp_path: Path, verdict: str) -> None:
    result = try_export(store, "qgis", tmp_path / "o", "--verdict", verdict)
    assert result.exit_code == 2
    assert not (tmp_path / "o").exists()


def test_the_folder_may_not_be_a_file(store: Path, tmp_path: Path) -> None:
    assert try_export(store, "qgis", store).exit_code == 2
    assert try_export(store, "no_such", tmp_path / "o").exit_code == 2
    assert try_export(tmp_path / "no.h5", "qgis", tmp_path / "o").exit_code == 3


HOSTILE = [
    "../../up.jpg",
    "/etc/passwd",
    "..",
    "a/..",
    "",
    "C:" + "\\photos\\a.jpg",
    "quo\"te's.jpg",
    "new\nline.jpg",
    "\u202egpj.exe",
    "émoji 🌃.jpg",
    "-rf.jpg",
    "x" * 300 + ".jpg",
    "https://host.invalid/a/b.jpg?x=../..",
    "same.jpg",
    "other/SAME.jpg",
]


def test_hostile_names_stay_in_the_folder(tmp_path: Path) -> None:
    results = [replace(proposal(f"f{number}"), path=path) for number, path in enumerate(HOSTILE)]
    store = write_store(tmp_path / "run.h5", results)
    before = set(tmp_path.rglob("*"))
    export(store, "qgis", tmp_path / "o")
    written = set(tmp_path.rglob("*")) - before - {tmp_path / "o"}
    assert len(written) == len(HOSTILE)
    assert {path.parent for path in written} == {tmp_path / "o"}
    names = {path.name for path in written}
    assert {"up.jpg.points", "émoji 🌃.jpg.points", "a.jpg.points", "b.jpg.points"} <= names
    assert all(name.isprintable() for name in names)


def test_files_named_without_the_photos_ending_differ(tmp_path: Path) -> None:
    results = [replace(proposal(name), path=name) for name in ("a.jpg", "A.png", "b.c.jpg")]
    store = write_store(tmp_path / "run.h5", results)
    export(store, "geotiff", tmp_path / "o", "--as", "record")
    frames = {
        path.name: json.loads(path.read_text())["frame"]["frame"]
        for path in (tmp_path / "o").iterdir()
    }
    marks = [result.sha256[:8] for result in results]
    assert frames == {
        f"a-{marks[0]}.json": "a.jpg",
        f"A-{marks[1]}.json": "A.png",
        "b.c.json": "b.c.jpg",
    }


@given(st.lists(st.text(max_size=12), max_size=8))
def test_names_differ_and_are_names(paths: list[str]) -> None:
    names = photo_names(
        {k: photo_name(path, k) for k, path in enumerate(paths)},
        dict.fromkeys(range(len(paths)), "ab" * 32),
    )
    assert len({name.casefold() for name in names.values()}) == len(paths)
    for name in names.values():
        assert Path(name).name == name
        assert name not in ("", ".", "..")
        name.encode()


@given(st.lists(st.sampled_from(["a.jpg", "A.png", "a-1.jpg", "a-2.tif", "b", "b.b"]), max_size=8))
def test_files_differ_though_endings_go(paths: list[str]) -> None:
    found = file_names(
        dict(enumerate(paths)),
        dict.fromkeys(range(len(paths)), "damaged"),
        lambda photo: (f"{stem(photo)}.vrt", f"{photo}.xml"),
    )
    for column in (0, 1):
        assert len({names[column].casefold() for names in found.values()}) == len(paths)
    for number, path in enumerate(paths):
        if paths.count(path) == 1 and path in ("A.png", "b.b"):
            assert found[number][1] == f"{path}.xml"  # what differs already stays


KILLED = """
import os, signal, sys
from regengine.commands import app
from regengine.exchange.export.formats import gcp_qgis
written = gcp_qgis.points_text
def dies(frame):
    if frame.result.frame == "f1":
        open(sys.argv[-1] + "/.half", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return written(frame)
gcp_qgis.points_text = dies
app(["export", sys.argv[1], "--format", "qgis", "--out", sys.argv[2]])
"""


def test_a_kill_leaves_whole_files_alone(tmp_path: Path) -> None:
    store = write_store(tmp_path / "run.h5", [proposal("f0"), proposal("f1"), proposal("f2")])
    out = tmp_path / "o"
    run = subprocess.run(
        [sys.executable, "-c", KILLED, str(store), str(out)], check=False, env=dict(os.environ)
    )
    assert run.returncode == -signal.SIGKILL
    assert [path.name for path in out.glob("*.points")] == ["f0.jpg.points"]
    assert len((out / "f0.jpg.points").read_text().splitlines()) == 6


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


def test_a_formats_module_is_named_after_all_formats_in_it() -> None:
    modules = [module.name for module in pkgutil.iter_modules(formats.__path__)]
    for module in modules:
        found = importlib.import_module(f"{formats.__name__}.{module}").FORMATS
        assert sorted(found) == sorted(module.split("_"))
    assert format_names() == sorted(name for module in modules for name in module.split("_"))
