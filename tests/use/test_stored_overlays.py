"""Overlays of results that a store has: by `overlay`, and by a run that takes them from it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.world.faults import write_photos
from tests.world.program import Said, run
from tests.world.runs import LIGHTS

NAMES = ["night 0", "night 1", "night 2"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.slow
def test_a_finished_run_is_drawn_as_the_run_itself_draws(demo_run: Path, tmp_path: Path) -> None:
    said = run("overlay", demo_run / "run.h5", "--out", tmp_path)
    assert said.code == 0, said.err
    drawn = demo_run / "overlays"
    assert names(tmp_path) == names(drawn)
    assert {Path(line).name for line in said.out.splitlines()} == set(names(drawn))
    for name in names(drawn):
        assert (tmp_path / name).read_bytes() == (drawn / name).read_bytes(), name


def test_photos_are_named_or_chosen_by_verdict_and_condition(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = run("overlay", store, "iss030e184140", "ISS030-E-184148.jpg", "--out", out)
    assert (said.code, said.err) == (0, f"{out}: 2 overlays\n")
    assert names(out) == ["ISS030-E-184140.overlay.png", "ISS030-E-184148.overlay.png"]
    where = ("--where", "frame LIKE 'ISS030%' AND off_nadir_deg < 30")
    said = run("overlay", store, "--verdict", "review", *where, "--out", tmp_path / "b", "--json")
    shown = run("show", store, "--verdict", "review", *where, "--json")
    assert [one["frame"] for one in said.records] == [one["frame"] for one in shown.records]
    assert [Path(one["overlay"]).is_file() for one in said.records] == [True] * len(said.records)
    said = run("overlay", store, "no such", "--out", tmp_path / "c")
    assert said.code == 2
    assert "has no frame named no such" in said.err


def test_a_photo_that_is_gone_or_another_one_costs_its_own_picture(
    store_copy: Path, tmp_path: Path
) -> None:
    photos = store_copy.parent / "photos"
    (photos / "ISS030-E-184140.jpg").unlink()
    shutil.copy(photos / "ISS030-E-184142.jpg", photos / "ISS030-E-184141.jpg")
    where = ("--where", "frame_index < 3")
    said = run("overlay", store_copy, *where, "--out", tmp_path / "out", "--json")
    assert said.code == 1
    assert names(tmp_path / "out") == ["ISS030-E-184142.overlay.png"]
    assert [one["failed"] is None for one in said.records] == [False, False, True]
    assert "ISS030-E-184140.jpg is missing or has changed" in said.err
    assert "name the folder where it is now with --photos" in said.err
    assert "1 overlay; 2 failed" in said.err


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ("run/photos", ()),
        ("run", ()),
        ("elsewhere", ("--photos", "elsewhere")),
        ("elsewhere/a/b", ("--photos", "elsewhere")),
    ],
)
def test_photos_that_have_moved_are_found(
    store_copy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    now: str,
    words: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    frame = "ISS030-E-184140"
    former = store_copy.parent / "photos"
    Path("run/a").mkdir(parents=True)
    shutil.copy(former / "ISS030-E-184142.jpg", f"run/a/{frame}.jpg")  # another of its name
    shutil.copy(store_copy, "run/run.h5")
    shutil.copytree(former, now, dirs_exist_ok=True)
    shutil.rmtree(former)
    said = run("overlay", "run/run.h5", frame, "--out", "out", *words)
    assert (said.code, said.err) == (0, "out: 1 overlay\n")
    where = ("--where", f"frame = '{frame}'", "--verdict", "all")
    said = run("export", "run/run.h5", "--format", "gcp", "--out", "gis", *where, "--json", *words)
    assert (said.code, said.records[0]["frames"]) == (0, 1), said.err


def register(*words: object) -> Said:
    folder = next(path for path in (Path("photos"), Path("moved")) if path.exists())
    return run("register", folder, "--lights", LIGHTS, "--blind", "never", "--workers", 0, *words)


def test_a_run_draws_what_it_takes_from_the_store_unless_that_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_photos(Path("photos"), 3)
    register()
    Path("photos").rename("moved")  # a photo is known by its content and name
    said = register("--overlay", "drawn")
    assert "3 from the store" in said.err
    assert "3 overlays drawn of stored results" in said.err
    assert names(Path("drawn")) == [f"{name}.overlay.png" for name in NAMES]
    with Image.open("drawn/night 0.overlay.png") as picture:
        picture.load()
    Path("drawn/night 1.overlay.png").unlink()
    before = Path("drawn/night 0.overlay.png").stat().st_mtime_ns
    said = register("--overlay", "drawn")
    assert "1 overlay drawn of stored results" in said.err
    assert Path("drawn/night 0.overlay.png").stat().st_mtime_ns == before
    assert names(Path("drawn")) == [f"{name}.overlay.png" for name in NAMES]
