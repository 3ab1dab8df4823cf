"""Batches: which photos they take, what one bad photo costs, what a second run does again."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import h5py
import pytest

from tests.world.faults import write_photos
from tests.world.program import Said, begin, run
from tests.world.runs import LIGHTS

GIVEN = ("--lights", LIGHTS, "--blind", "never")  # of photos without a nadir: quick, no_match


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``photos`` in the working directory: three of the night."""
    monkeypatch.chdir(tmp_path)
    write_photos(Path("photos"), 3)
    return Path("photos")


def register(*words: object) -> Said:
    return run("register", *GIVEN, "--workers", 0, "--json", *words)


def frames(said: Said) -> list[str]:
    return [record["frame"] for record in said.records]


def column(name: str, store: str = "run.h5") -> list[Any]:
    with h5py.File(store) as file:
        values = file[f"frames/{name}"][()]
    return [v.decode() if isinstance(v, bytes) else v for v in values.tolist()]


NIGHTS = ["night 0", "night 1", "night 2"]


@pytest.mark.parametrize(
    "given",
    [
        ["**/night ?.png"],
        ["photos/night 0.png", "photos/night 1.png", "photos", "photos/*"],
        ["list.txt"],
        ["photos/night 0.png", "@list"],
    ],
)
def test_photos_are_files_folders_patterns_and_lists_each_taken_once(
    photos: Path, given: list[str]
) -> None:
    lines = "# of last night\n\nphotos/night 0.png\nphotos/night 1.png\n  photos/night 2.png \n"
    for name in ("list", "list.txt"):
        Path(name).write_text(lines, encoding="utf-8-sig")
    (photos / "notes.md").write_text("no photo")
    (photos / ".hidden.png").write_bytes((photos / "night 0.png").read_bytes())
    said = register(*given, "--dry-run")
    assert [one["path"] for one in said.records] == [f"photos/{name}.png" for name in NIGHTS]


def test_a_list_has_comments_behind_names_and_names_that_look_like_them(photos: Path) -> None:
    for name in ("a #1", "b"):
        shutil.copy(photos / "night 0.png", photos / f"{name}.png")
    lines = [
        "photos/b.png # of b",
        "photos/a #1.png",
        "photos/a #1.png\t# again",
        "photos/n*2* # n",
    ]
    Path("list.txt").write_text("\n".join(lines))
    given = [one["path"] for one in register("list.txt", "--dry-run").records]
    assert given == ["photos/b.png", "photos/a #1.png", "photos/night 2.png"]


def test_a_photo_is_the_same_by_content_and_name(photos: Path) -> None:
    register("photos")
    Path("moved").mkdir()
    (photos / "night 1.png").rename("moved/night 1.png")
    shutil.copy(photos / "night 0.png", "moved/night 0.png")  # a twin
    shutil.copy(photos / "night 0.png", "moved/other.png")  # another name: another photo
    said = register("photos", "moved")
    assert sorted(frames(said)) == [*NIGHTS, "other"]
    assert "3 from the store" in said.err
    assert column("frame") == [*NIGHTS, "other"]


def test_a_bad_photo_costs_a_sentence_and_no_other(photos: Path) -> None:
    (photos / "cut.jpg").write_bytes(b"\xff\xd8\xff no photo")
    (photos / "empty.jpg").touch()
    (photos / "night 3.png").write_bytes((photos / "night 2.png").read_bytes()[:200])
    said = register("photos", "gone.jpg")
    assert said.code == 1
    reasons = {record["frame"]: record["reasons"] for record in said.records}
    failed = {r["frame"] for r in said.records if r["verdict"] == "failed"}
    assert failed == {"cut", "empty", "night 3", "gone"}
    assert reasons["gone"] == ["unreadable"]
    for record in said.records:
        if record["frame"] in failed:
            (text,) = record["reason_texts"]
            assert Path(record["path"]).name in text
            assert "unforeseen" not in text
    assert (
        "3 no_match, 4 failed; saved to run.h5 (verified); the same command tries failed"
        in said.err
    )
    assert column("verdict") == [record["verdict"] for record in said.records]
    assert run("verify", "run.h5").code == 0


def test_names_reach_record_and_store_whatever_they_are_made_of(photos: Path) -> None:
    names = ["new\nline", "bell\x07", "größe 東京", "=1+1", "-", "x" * 200]
    for name in names:
        shutil.copy(photos / "night 0.png", photos / f"{name}.png")
    (Path(os.fsdecode(b"photos/broken \xff\xfe.png"))).write_bytes(b"no photo")
    said = register("photos")
    assert len(said.out.splitlines()) == 10
    assert {*names} < {*frames(said)}
    assert {*names} < {*column("frame")}
    assert said.out.encode().decode("utf-8").isascii()
    table = run("show", "run.h5").out
    assert all(line.isprintable() for line in table.splitlines())


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(photos: Path) -> None:
    register("photos/night 0.png")
    before = Path("run.h5").read_bytes()
    (photos / "cut.jpg").write_bytes(b"\xff\xd8\xff no photo")
    said = register("photos", "--dry-run", "--nadir", "139.7,35.7", "--altitude-km", "400")
    told = {record["frame"]: record for record in said.records}
    assert told["night 1"]["would_register"] is True
    assert told["night 1"]["nadir"]["source"] == "option"
    assert told["cut"]["would_register"] is False
    assert "cut.jpg" in told["cut"]["reason_text"]
    text = run("register", *GIVEN, "photos", "--dry-run").out.splitlines()
    assert any("night 0" in line and "done: no_match" in line for line in text)
    assert Path("run.h5").read_bytes() == before


@pytest.mark.parametrize("words", [("classify",), ("detect", "lights"), ("solve",)])
def test_every_command_takes_what_register_takes(photos: Path, words: tuple[str, ...]) -> None:
    Path("list").write_text("# three\n\n" + "".join(f"photos/{name}.png\n" for name in NIGHTS))
    said = run(*words, "@list", "--json", "--workers", 0)
    assert said.code == 0, said.err
    # A line for each photo
    assert len({record["path"] for record in said.records}) == 3, said.out
    for given, why in (
        ("@gone", "cannot be read as a list of photos"),
        ("https://host/a.jpg", "give the path of a local copy"),
    ):
        said = run(*words, given)
        assert said.code in (2, 3)
        assert why in said.err
        assert said.err.count("\n") == 1


def test_a_run_that_could_try_nothing_says_so(photos: Path) -> None:
    for taken in ("", " (3 from the store)"):
        said = register("photos")
        assert said.code == 3
        assert f"3 photos{taken}: 0 accepted, 0 review, 3 no_match, 0 failed" in said.err
        assert "Error: No photo could be processed" in said.err


def test_records_go_out_and_messages_aside(photos: Path) -> None:
    assert register("photos", "--quiet").err.startswith("Error: No photo could be processed")
    messages = register("photos", "--log-json").err.splitlines()
    told = json.loads(messages[0])
    assert told["level"] == "info"
    assert told["message"].startswith("3 photos")
    table = run("register", *GIVEN, "photos", "--workers", 0).out.splitlines()
    assert table[0].split()[:3] == ["frame", "verdict", "probability"]
    assert len(table) == 4


@pytest.mark.nightly
def test_a_reader_that_goes_away_costs_nothing_stored(photos: Path) -> None:
    with begin("register", *GIVEN, "photos", "--workers", 0, "--json") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 141
    there = column("frame")  # the run ends with the first line that nobody reads
    assert there == NIGHTS[: len(there)]
    assert there
    register("photos", "--workers", 0)
    assert column("frame") == NIGHTS


def test_a_cluster_gives_what_this_process_gives(photos: Path, socket_enabled: None) -> None:
    distributed = pytest.importorskip("distributed", reason="needs distributed")
    (photos / "cut.jpg").write_bytes(b"\xff\xd8\xff no photo")
    here = register("photos", "--store", "here.h5")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=":0", processes=True
    ) as cluster:
        there = register("photos", "--scheduler", cluster.scheduler_address)
        again = register("photos", "--scheduler", cluster.scheduler_address)
    assert there.code == here.code == 1
    unlike = {"engine"}
    results = [
        sorted(
            json.dumps({k: v for k, v in record.items() if k not in unlike})
            for record in said.records
        )
        for said in (here, there, again)
    ]
    assert results[0] == results[1] == results[2]
    assert "3 from the store" in again.err
