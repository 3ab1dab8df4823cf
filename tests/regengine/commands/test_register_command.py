"""`regengine register` from the command line."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from regengine import pipeline
from regengine.io.checksums import sha256_of
from regengine.result import FrameResult
from regengine.store.snapshot import list_parts, parts_folder, read_store
from regengine.store.writer import StoreWriter
from tests.command_line import invoke
from tests.conftest import ROOT
from tests.example_results import fake_process_photo, proposal

SAMPLES = ROOT / "data_samples"
LIGHTS = ["--lights", str(SAMPLES / "lights.tif")]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder with three photos; the registration of them is a stand-in."""
    monkeypatch.setattr(pipeline, "process_photo", fake_process_photo)
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.jpg", "dark.jpg", "z.jpg"):
        (folder / name).write_bytes(name.encode())
    monkeypatch.chdir(tmp_path)
    return folder


register = partial(invoke, "register", *LIGHTS, "--workers", "0")


def few_patches(path: Path, **_: object) -> FrameResult:
    """A proposal whose fit had too few lights to leave any out."""
    result = proposal(path.stem)
    fit = replace(result.fit, held_out_residual_px=math.inf, residual_m=math.inf)
    return replace(result, path=str(path), sha256=sha256_of(path), fit=fit)


def test_a_run_ends_with_checks_of_what_it_wrote(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "process_photo", few_patches)
    result = register(photos)
    assert result.exit_code == 0, result.stderr
    assert "stored in run.h5, checked\n" in result.stderr
    found = invoke("verify", "run.h5")
    assert (found.exit_code, found.stdout) == (0, "run.h5 is sound: 3 frames.\n")
    kept = read_store(Path("run.h5"))[0].result.fit
    assert kept.held_out_residual_px is None
    assert "too few lights" in invoke("show", "run.h5", "a").stdout


def test_what_a_run_should_not_have_written_is_told(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def certain(path: Path, **_: object) -> FrameResult:
        return replace(few_patches(path), probability=1.0)

    monkeypatch.setattr(pipeline, "process_photo", certain)
    result = register(photos)
    assert result.exit_code == 1
    told = result.stderr.splitlines()
    assert any(line.endswith("stored in run.h5") for line in told)
    what = "3 probabilities are not between 0 and 1, or not within their intervals"
    assert told[-1] == f"run.h5: {what} (frame_index 0, 1, 2)."
    monkeypatch.setattr(pipeline, "process_photo", few_patches)
    assert register("--retry", "accepted", photos).exit_code == 0


def test_a_result_that_no_store_may_hold_fails_its_photo_alone(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(path: Path, **_: object) -> FrameResult:
        result = few_patches(path)
        if path.stem != "dark":
            return result
        points = [replace(point, lon=math.nan) for point in result.control_points]
        return replace(result, control_points=tuple(points))

    monkeypatch.setattr(pipeline, "process_photo", nowhere)
    assert register(photos).exit_code == 1
    found = [stored.result.verdict for stored in read_store(Path("run.h5"))]
    assert found == ["accepted", "failed", "accepted"]
    assert invoke("verify", "run.h5").exit_code == 0


def test_a_table_goes_out_and_a_summary_aside(photos: Path) -> None:
    result = register(photos)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].split()[:3] == ["frame", "verdict", "probability"]
    assert [line.split()[:2] for line in lines[1:]] == [
        ["a", "accepted"],
        ["dark", "no_match"],
        ["z", "accepted"],
    ]
    assert "35.70 N 136.90 E" in lines[1]
    assert lines[2].endswith("  No time and no nadir")
    assert result.stderr == (
        "3 photos: 2 accepted, 0 review, 1 no_match, 0 failed; stored in run.h5, checked\n"
        "Look at them with regengine review run.h5, list them with regengine show run.h5, hand "
        "them over with regengine export run.h5 --format qgis --out points\n"
    )
    assert [s.result.frame for s in read_store(Path("run.h5"))] == ["a", "dark", "z"]


def test_a_run_in_which_nothing_could_be_tried_is_none(photos: Path) -> None:
    for again in ("", " (1 taken from the store)"):
        result = register(photos / "dark.jpg")
        assert result.exit_code == 3
        assert "dark" in result.stdout
        assert result.stderr == (
            f"1 photos{again}: 0 accepted, 0 review, 1 no_match, 0 failed; "
            "stored in run.h5, checked\n"
            "Error: No photo could be tried: No time and no nadir.\n"
        )
    assert register(photos / "dark.jpg", photos / "a.jpg").exit_code == 0


def test_json_is_one_record_a_line_and_nothing_else(photos: Path) -> None:
    result = register(photos, "--json", "--store", "out/other.h5")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["frame"] for record in records] == ["a", "dark", "z"]
    assert len(records[0]["control_points"]) == 4
    again = register(photos, "--json", "--store", "out/other.h5")
    assert again.stdout == result.stdout
    assert "3 taken from the store" in again.stderr


def test_failed_photos_are_told_and_counted_in_the_exit_code(photos: Path) -> None:
    (photos / "bad.jpg").write_bytes(b"bad")
    result = register(photos, "missing.jpg")
    assert result.exit_code == 1
    assert "bad.jpg is no image" in result.stdout
    assert "missing.jpg does not exist" in result.stdout
    assert "2 accepted, 0 review, 1 no_match, 2 failed" in result.stderr


def test_messages_can_be_json_or_absent(photos: Path) -> None:
    told = json.loads(register(photos, "--log-json").stderr)
    assert told["level"] == "info"
    assert told["message"].startswith("3 photos")
    assert register(photos, "--quiet").stderr == ""


def test_workers_give_the_same_as_this_process(photos: Path) -> None:
    one = register(photos, "--json", "--store", "one.h5")
    arguments = ["register", *LIGHTS, "--workers", "2", "--json", "--store", "two.h5", str(photos)]
    two = invoke(*arguments)
    assert two.exit_code == 0
    assert sorted(two.stdout.splitlines()) == sorted(one.stdout.splitlines())


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nowhere"], 3, "nowhere: no photo there"),
        (["*.nef", "x", "y", "w"], 3, "*.nef, x, y and others: no photo there"),
        (["photos", "--nadir", "12"], 2, "--nadir '12' is no place"),
        (["photos", "--nadir", "12,95"], 2, "nadir must be longitude"),
        (["photos", "--time", "yesterday"], 2, "'yesterday' is no time"),
        (["photos", "--focal-mm", "-3"], 2, "focal_mm must be a number above zero"),
        (["photos", "--metadata", "gone.csv"], 2, "gone.csv cannot be read"),
        (["photos", "--tle", "gone.txt"], 3, "gone.txt"),
        (["photos", "--lights", "gone.tif"], 3, "gone.tif"),
        (["photos", "--store", "photos"], 3, "photos is a folder"),
        (["photos", "--store", "photos/a.jpg"], 3, "photos/a.jpg is not a regengine store"),
        (["photos", "--store", "photos/a.jpg/r.h5"], 3, "cannot be written"),
    ],
)
def test_what_cannot_be_started_is_one_sentence_and_a_code(
    photos: Path, arguments: list[str], code: int, sentence: str
) -> None:
    result = register(*arguments)
    assert result.exit_code == code
    assert result.stdout == ""
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert (photos / "a.jpg").read_bytes() == b"a.jpg"
    assert not Path("run.h5").exists()


def test_a_store_in_use_is_refused(photos: Path) -> None:
    with StoreWriter(Path("run.h5")):
        result = register(photos)
    assert result.exit_code == 3
    assert "being written by another regengine" in result.stderr


def test_a_disk_that_runs_full_ends_the_run_with_one_sentence(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    result = register(photos, "--json")
    assert result.exit_code == 3
    assert result.stdout == ""
    assert "run.h5 cannot be written because its disk is full" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert list(Path().rglob("*.h5")) == []


def test_the_run_may_draw_and_never_reads_what_it_drew(photos: Path) -> None:
    overlays = photos / "overlays"
    overlays.mkdir()
    (overlays / "old.png").write_bytes(b"picture")
    result = register(photos, "--overlay", overlays, "--json")
    assert [json.loads(line)["frame"] for line in result.stdout.splitlines()] == ["a", "dark", "z"]


def test_options_reach_the_registration(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def process(path: Path, inputs: pipeline.RunInputs) -> object:
        seen.append(inputs)
        return fake_process_photo(path, inputs)

    monkeypatch.setattr(pipeline, "process_photo", process)
    (photos / "deep").mkdir()
    (photos / "deep" / "a.png").write_bytes(b"other")
    result = register(
        photos,
        *("--tle", SAMPLES / "tle.txt", "--time", "2014-01-17T07:46:03Z"),
        *("--nadir", "-151.7,35.2", "--altitude-km", "417", "--focal-mm", "50"),
        *("--pixel-pitch-um", "22.5", "--clock-window", "30", "--max-seconds", "2"),
        *("--any-category", "--overlay", "o"),
    )
    assert result.exit_code == 0, result.stderr
    inputs = seen[0]
    assert inputs.lights == (SAMPLES / "lights.tif",)
    assert inputs.tle == SAMPLES / "tle.txt"
    assert inputs.frame.time_utc.isoformat() == "2014-01-17T07:46:03+00:00"
    assert inputs.frame.nadir == (-151.7, 35.2)
    assert (inputs.frame.altitude_km, inputs.frame.focal_mm) == (417.0, 50.0)
    assert inputs.frame.pixel_pitch_um == 22.5
    chosen = inputs.register
    assert (chosen.clock_window_s, chosen.max_seconds) == (30.0, 2.0)
    assert chosen.any_category
    assert inputs.overlays == Path("o")
    assert inputs.overlay_names_hashed  # a.jpg and deep/a.png


def test_without_a_clock_window_none_is_told(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two minutes is what is believed then, not a limit; zero is one."""
    seen = []

    def process(path: Path, inputs: pipeline.RunInputs) -> object:
        seen.append(inputs.register.clock_window_s)
        return fake_process_photo(path, inputs)

    monkeypatch.setattr(pipeline, "process_photo", process)
    for given in ([], ["--clock-window", "0"]):
        assert register(photos / "a.jpg", "--no-resume", *given).exit_code == 0
    assert seen == [None, 0.0]
    refused = register(photos / "a.jpg", "--clock-window", "-1")
    assert refused.exit_code == 2
    assert "clock-window" in refused.stderr


@pytest.mark.parametrize("as_json", [False, True])
def test_a_dry_run_says_what_it_would_do_and_stores_nothing(photos: Path, as_json: bool) -> None:
    Image.new("L", (64, 48)).save(photos / "iss990e000007.png")
    result = register(
        *(photos / "iss990e000007.png", photos / "a.jpg", "--dry-run"),
        *("--nadir", "-151.7,35.2", "--altitude-km", "417"),
        *(["--json"] if as_json else []),
    )
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert not Path("run.h5").exists()
    if as_json:
        good, bad = (json.loads(line) for line in lines)
        assert good["would_register"] is True
        assert good["nadir"]["source"] == "option"
        assert good["sources"]["nadir"] == "option"
        assert (bad["would_register"], bad["path"]) == (False, str(photos / "a.jpg"))
        assert "a.jpg" in bad["reason_text"]
    else:
        assert lines[0].startswith("ISS990-E-7 ")
        assert "nadir 35.20 N 151.70 W from option" in lines[0]
        assert "a.jpg" in lines[1]


def test_a_dry_run_tells_what_is_done_already(photos: Path) -> None:
    place = ("--nadir", "-151.7,35.2", "--altitude-km", "417")
    assert register(photos / "a.jpg", photos / "dark.jpg", *place).exit_code == 0
    told = register(photos, *place, "--retry", "no_match", "--dry-run")
    assert [line.split()[:2] for line in told.stdout.splitlines()] == [
        ["a", "done:"],
        ["dark", "unreadable:"],
        ["z", "unreadable:"],
    ]
    assert told.stdout.splitlines()[0].endswith("done: accepted")
    assert register(photos, *place, "--retry", "good", "--dry-run").exit_code == 2


SCRIPT = textwrap.dedent(
    """
    import signal
    from pathlib import Path

    import regengine.pipeline
    from tests.example_results import fake_process_photo, proposal

    # Tests that run in the background have it ignored, and so would their children
    signal.signal(signal.SIGINT, signal.default_int_handler)

    if __name__ == "__main__":
        regengine.pipeline.process_photo = fake_process_photo
        from regengine.batch.pool import Worker
        from regengine.commands import run
        from regengine.store.writer import StoreWriter

        # What the tests wait for leaves a file
        forget, add, taken = Worker.forget_waiting, StoreWriter.add, []

        def forget_and_tell(worker):
            forget(worker)
            Path("forgotten").touch()

        def add_and_tell(writer, frame):
            add(writer, frame)
            taken.append(frame)
            Path(f"taken_{len(taken)}").touch()

        Worker.forget_waiting, StoreWriter.add = forget_and_tell, add_and_tell
        run()
    """
)


def start(tmp_path: Path, *arguments: object) -> subprocess.Popen[str]:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, script, "register", *LIGHTS, "--json", *arguments]
    with (tmp_path / "told").open("w") as told:
        return subprocess.Popen(
            [str(part) for part in command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=told,  # a file can be looked into while the run goes on
            text=True,
            start_new_session=True,
        )


def finished(run: subprocess.Popen[str], tmp_path: Path) -> tuple[str, str]:
    """What a run has said on standard output and standard error, once it has ended."""
    try:
        out, _ = run.communicate(timeout=600)
    finally:
        run.kill()
    return out, (tmp_path / "told").read_text()


@pytest.mark.parametrize(
    ("number", "workers"),
    [
        (signal.SIGINT, 0),
        (signal.SIGTERM, 1),
        pytest.param(signal.SIGINT, 1, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_finishes_what_is_under_way_and_no_more(
    tmp_path: Path, photos: Path, number: signal.Signals, workers: int
) -> None:
    (photos / "y_pause.jpg").write_bytes(b"pause")
    run = start(tmp_path, photos, "--workers", workers)
    wait_for((tmp_path / "started").exists, run)
    os.killpg(run.pid, number)  # as a terminal does: to the workers, too
    wait_for(lambda: "stopping" in (tmp_path / "told").read_text(), run)
    if workers:  # what one was given ahead is taken back
        wait_for((tmp_path / "forgotten").exists, run)
    (tmp_path / "go_on").touch()
    out, told = finished(run, tmp_path)
    assert run.returncode == 130, told
    names = [json.loads(line)["frame"] for line in out.splitlines()]
    assert names == ["a", "dark", "y_pause"]
    assert "stopping: what is under way is finished and written" in told
    assert "interrupted, give the same command again to go on" in told
    assert "Traceback" not in told
    stored = [s.result.frame for s in read_store(tmp_path / "run.h5")]
    assert stored == names
    assert not parts_folder(tmp_path / "run.h5").exists()


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_second_interrupt_waits_for_nothing(tmp_path: Path, photos: Path, workers: int) -> None:
    (photos / "y_slow.jpg").write_bytes(b"slow")
    run = start(tmp_path, photos, "--workers", workers)
    wait_for((tmp_path / "started").exists, run)
    wait_for((tmp_path / "taken_2").exists, run)
    os.killpg(run.pid, signal.SIGINT)
    # Signals of one kind are one signal until the first has been taken
    wait_for(lambda: "stopping" in (tmp_path / "told").read_text(), run)
    time.sleep(0.7)
    assert run.poll() is None
    os.killpg(run.pid, signal.SIGINT)
    out, told = finished(run, tmp_path)  # the photo takes five times as long
    assert run.returncode == 130, told
    assert [json.loads(line)["frame"] for line in out.splitlines()] == ["a", "dark"]
    assert "Traceback" not in told
    assert [s.result.frame for s in read_store(tmp_path / "run.h5")] == ["a", "dark"]


def wait_for(there: Callable[[], bool], run: subprocess.Popen[str]) -> None:
    """Until something is so, while the run goes on."""
    deadline = time.monotonic() + 600.0
    while not there():
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_reader_that_goes_away_costs_nothing_stored(tmp_path: Path, photos: Path) -> None:
    run = start(tmp_path, photos, "--workers", 0)
    assert run.stdout is not None
    run.stdout.close()
    _, told = finished(run, tmp_path)
    assert run.returncode == 141
    assert told == ""
    assert {s.result.frame for s in read_store(tmp_path / "run.h5")} == {"a", "dark", "z"}
    assert list_parts(parts_folder(tmp_path / "run.h5")) == []
