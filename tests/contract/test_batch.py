"""Batches: which photos they take, what one bad photo costs, what a second run does again."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.world.bad_servers import Manner, serve_badly
from tests.world.faults import write_photos
from tests.world.program import Said, begin, run, start

LIGHTS = ROOT / "data_samples" / "lights.tif"


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
        ["photos"],
        ["photos/*.png"],
        ["**/night ?.png"],
        ["photos/night 0.png", "photos/night 1.png", "photos", "photos/*"],
        ["@list"],
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


def test_thumbnails_and_deleted_photos_of_disks_are_taken_only_where_they_are_named(
    photos: Path,
) -> None:
    names = ["@eaDir", "#recycle", ".thumbnails", "lost+found", "$RECYCLE.BIN", "@Recycle"]
    for name in names:
        folder = photos / name / "night 0.png"  # as a network disk keeps them: a folder a photo
        folder.mkdir(parents=True)
        shutil.copy(photos / "night 0.png", folder / "SYNOPHOTO_THUMB_XL.png")
        for named in (photos / name, folder, f"photos/{name}/*/*.png"):
            assert frames(register(named, "--dry-run")) == ["SYNOPHOTO_THUMB_XL"]
    assert frames(register("photos/**/*.png", "--dry-run")) == NIGHTS
    said = register("photos", "--dry-run")
    assert frames(said) == NIGHTS
    assert f"skipped 6 folders of thumbnails and deleted files ({', '.join(sorted(names))})" in (
        said.err
    )


def test_maps_and_pictures_of_the_run_are_no_photos(photos: Path) -> None:
    shutil.copy(LIGHTS, photos / "lights.tif")
    (photos / "drawn").mkdir()
    shutil.copy(photos / "night 0.png", photos / "drawn" / "old.png")
    said = run("register", "photos", "--lights", photos / "lights.tif", "--blind", "never",
               "--overlay", photos / "drawn", "--workers", 0, "--json")  # fmt: skip
    assert frames(said) == NIGHTS


def test_the_map_and_element_sets_of_the_data_folder_are_found(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGENGINE_DATA", "data")
    Path("data/lights").mkdir(parents=True)
    shutil.copy(LIGHTS, "data/lights/lights.tif")
    said = run("register", "photos", "--blind", "never", "--workers", 0, "--json")
    assert frames(said) == NIGHTS
    Path("data").rename("moved")
    monkeypatch.setenv("REGENGINE_DATA", "moved")  # the same map from another place
    moved = run("register", "photos", "--blind", "never", "--workers", 0)
    assert "3 from the store" in moved.err


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
        "3 no_match, 4 failed; saved to run.h5 (verified); retry failed photos with the" in said.err
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


@pytest.mark.nightly
def test_a_photo_that_needs_more_memory_than_a_worker_has_fails_alone(photos: Path) -> None:
    dark = np.zeros((11000, 9000, 3), np.uint8)
    Image.fromarray(dark).save(photos / "large.png", compress_level=1)
    said = start("register", "photos", *GIVEN, "--workers", 1, "--max-memory-mb", 500, "--json")
    told = {record["frame"]: record["reasons"] for record in said.records}
    assert told.pop("large") == ["out_of_memory"]
    assert set(map(tuple, told.values())) == {("no_ephemeris",)}
    assert said.code == 1


def test_a_photo_that_could_not_be_read_takes_its_place_once_it_can(photos: Path) -> None:
    sound = (photos / "night 1.png").read_bytes()
    (photos / "night 1.png").unlink()
    (photos / "night 1.png").symlink_to("gone")
    register("photos")
    assert column("verdict") == ["no_match", "failed", "no_match"]
    (photos / "night 1.png").unlink()
    (photos / "night 1.png").write_bytes(sound)
    said = register("photos")
    assert "2 from the store" in said.err
    assert column("verdict") == ["no_match"] * 3


@pytest.mark.nightly
def test_a_tile_of_a_folder_that_changed_in_place_is_another_map(photos: Path) -> None:
    Path("tiles").mkdir()
    tile = Path(shutil.copy(LIGHTS, "tiles/lights.tif"))
    given = ("photos", "--lights", "tiles", "--blind", "never", "--workers", 0, "--json")
    run("register", *given)
    Path("tiles").rename("moved")
    Path("moved").rename("tiles")
    assert "3 from the store" in run("register", *given).err
    tile.write_bytes(tile.read_bytes().replace(b"invented land", b"imagined land"))
    assert "from the store" not in run("register", *given).err


def test_other_settings_and_no_resume_replace_what_is_stored(photos: Path) -> None:
    register("photos")
    for more in (("--any-category",), ("--any-category", "--no-resume")):
        said = register("photos", *more)
        assert "from the store" not in said.err
        assert column("frame") == NIGHTS
    assert "3 from the store" in register("photos", "--any-category", "--workers", 1).err


def test_verdicts_can_be_worked_out_again(photos: Path) -> None:
    register("photos")
    assert "taken" not in register("photos", "--retry", "no_match,failed").err
    assert "3 from" in register("photos", "--retry", "review").err


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
@pytest.mark.parametrize("given", ["photos", "photos/*.png", "list.txt", "@list"])
def test_every_command_takes_what_register_takes(
    photos: Path, words: tuple[str, ...], given: str
) -> None:
    lines = "# three\n\n" + "\n".join(f"photos/{name}.png" for name in NIGHTS) + "\n"
    Path("list.txt").write_text(lines)
    Path("list").write_text(lines)
    said = run(*words, given, "--json", "--workers", 0)
    assert said.code == 0, said.err
    # A line for each photo
    assert len({record["path"] for record in said.records}) == 3, said.out


@pytest.mark.parametrize("words", [("classify",), ("detect", "lights"), ("solve",)])
def test_lists_that_name_nothing_are_told(photos: Path, words: tuple[str, ...]) -> None:
    Path("empty.txt").write_text("# none\n")
    for given, why in (
        ("empty.txt", "no photo found"),
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
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_a_run_that_waits_for_a_server(tmp_path: Path, kind: int) -> None:
    with serve_badly("silent") as server:
        words = ("register", f"http://{server.address}/a.jpg", *GIVEN, "--store", tmp_path / "s.h5")
        with begin(*words, start_new_session=True) as process:
            assert server.is_asked.wait(60.0)
            process.send_signal(kind)
            assert process.stderr is not None
            assert "press Ctrl-C again" in process.stderr.readline()
            process.send_signal(kind)
            _, err = process.communicate(timeout=120)
    assert (process.returncode, server.asked) == (130, 1)  # it did not even try again
    assert "Traceback" not in err


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


@pytest.mark.slow
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


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("manner", "why"),
    [
        ("silent", "no answer within"),
        ("drips", "another program answers there"),
        ("speaks HTTP", "another program answers there"),
        ("echoes", "another program answers there"),
    ],
)
def test_a_port_that_answers_and_is_no_scheduler_is_told(
    photos: Path, manner: Manner, why: str, socket_enabled: None
) -> None:
    pytest.importorskip("distributed", reason="needs distributed")
    with serve_badly(manner) as server:
        said = register("photos", "--scheduler", f"tcp://{server.address}")
    assert (said.code, said.out) == (3, "")
    assert f"no Dask scheduler answers at tcp://{server.address} ({why}" in said.err
    assert said.err.count("\n") == 1


@pytest.mark.nightly
def test_a_worker_is_no_scheduler(photos: Path, socket_enabled: None) -> None:
    distributed = pytest.importorskip("distributed", reason="needs distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=":0", processes=True
    ) as cluster:
        (worker,) = cluster.scheduler_info["workers"]
        said = register("photos", "--scheduler", worker)
    assert said.code == 3
    assert "a Worker of Dask answers there" in said.err
