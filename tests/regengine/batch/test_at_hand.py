"""What lies in the data folder is found where nothing was named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import regengine as rg
from regengine import api
from regengine.batch.at_hand import files_of_run
from regengine.batch.register import parameters_of
from regengine.errors import LightMapError
from regengine.orbit.tle import load_tle_file
from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter
from tests import example_results
from tests.command_line import invoke
from tests.conftest import ROOT

SAMPLES = ROOT / "data_samples"
PHOTO = SAMPLES / "ISS990-E-000101.jpg"
TLE_LINES = (SAMPLES / "tle.txt").read_text().splitlines()


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a map and a file of element sets for each of them."""
    folder = tmp_path / "data"
    monkeypatch.setenv("REGENGINE_DATA", str(folder))
    (folder / "lights").mkdir(parents=True)
    shutil.copy(SAMPLES / "lights.tif", folder / "lights" / "earth.tif")
    (folder / "tle").mkdir()
    for number, first in enumerate(range(0, len(TLE_LINES), 3)):
        lines = TLE_LINES[first : first + 3]
        (folder / "tle" / f"{number}.txt").write_text("\n".join(lines))
    return folder


def test_register_finds_map_and_element_sets(data: Path, tmp_path: Path) -> None:
    found = api.run_inputs()
    assert found.lights == (data / "lights" / "earth.tif",)
    assert found.tle == data / "tle"
    said = invoke("register", PHOTO, "--store", tmp_path / "run.h5", "--dry-run", "--json")
    assert said.exit_code == 0
    told = json.loads(said.stdout)
    named = invoke(
        "register", PHOTO, "--store", tmp_path / "run.h5", "--dry-run", "--json",
        "--tle", SAMPLES / "tle.txt", "--lights", SAMPLES / "lights.tif",
    )  # fmt: skip
    assert told["nadir"]["source"] == "tle"
    assert told == json.loads(named.stdout)


def test_what_is_named_counts_alone(data: Path) -> None:
    named = api.run_inputs(lights=SAMPLES / "lights.tif", tle=SAMPLES / "tle.txt")
    assert named.lights == (SAMPLES / "lights.tif",)
    assert named.tle == SAMPLES / "tle.txt"


@pytest.mark.parametrize("what", [["register", PHOTO], ["radiometry", "run.h5", "--out", "r"]])
def test_without_any_map_one_sentence_says_how_to_get_one(
    what: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGENGINE_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    said = invoke(*what)
    assert said.exit_code == 3
    assert said.stderr == (
        f"Error: There is no night-light map in {tmp_path / 'lights'}: get one with "
        "regengine lights get, or name one with --lights.\n"
    )
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(LightMapError, match="regengine lights get"):
        rg.register(PHOTO)


@pytest.fixture
def run(data: Path, tmp_path: Path) -> Path:
    """The store of a run with a map and a file of element sets that lie elsewhere."""
    for name in ("lights.tif", "tle.txt"):
        shutil.copy(SAMPLES / name, tmp_path)
    shutil.rmtree(data)
    inputs = api.run_inputs(lights=tmp_path / "lights.tif", tle=tmp_path / "tle.txt")
    parameters, sha256 = parameters_of(inputs)
    path = tmp_path / "run.h5"
    with StoreWriter(path) as writer:
        writer.add(
            StoredFrame(
                frame_index=0,
                result=example_results.proposal(),
                parameters=parameters,
                parameters_sha256=sha256,
            )
        )
        writer.flush()
    return path


def test_a_run_remembers_its_files(run: Path, tmp_path: Path) -> None:
    made_with = files_of_run(run)
    assert made_with.lights == (tmp_path / "lights.tif",)
    assert made_with.tle == tmp_path / "tle.txt"
    assert made_with.lost == ()


def test_files_that_moved_are_found_in_the_data_folder_or_told(
    run: Path, data: Path, tmp_path: Path
) -> None:
    (data / "lights").mkdir(parents=True)
    moved = (tmp_path / "lights.tif").rename(data / "lights" / "other.tif")
    (tmp_path / "tle.txt").write_text("changed")
    made_with = files_of_run(run)
    assert made_with.lights == (moved,)
    assert made_with.tle is None
    told = f"{tmp_path / 'tle.txt'}, of this run, has moved or changed: give --tle."
    assert made_with.lost == (("--tle", told),)
    moved.unlink()
    said = invoke("radiometry", run, "--out", tmp_path / "r")
    assert said.exit_code == 3
    assert said.stderr.splitlines()[0] == (
        f"{tmp_path / 'lights.tif'}, of this run, has moved or changed: give --lights."
    )


def test_where_its_files_lie_does_not_change_a_run(data: Path, tmp_path: Path) -> None:
    before = parameters_of(api.run_inputs())
    elsewhere = shutil.copy(data / "lights" / "earth.tif", tmp_path / "earth.tif")
    after = parameters_of(api.run_inputs(lights=elsewhere))
    assert before[1] == after[1]
    assert before[0] != after[0]


def test_a_folder_of_element_sets_is_as_good_as_one_file(data: Path) -> None:
    (data / "tle" / "note.txt").write_text("nothing of use")
    (data / "tle" / "cut.txt").write_text(TLE_LINES[1][:40] + "\n" + TLE_LINES[2])
    folder, file = load_tle_file(data / "tle"), load_tle_file(SAMPLES / "tle.txt")
    assert (folder.epoch_days == file.epoch_days).all()
    assert folder[0].line1 == file[0].line1
    assert folder[0].path == data / "tle" / "0.txt"
    assert [one.reason.split(",")[0] for one in folder.skipped] == ["cut.txt"]
    said = invoke("tle", "info", data / "tle")
    assert said.exit_code == 0
    assert "cut.txt, line 1 has 40 characters" in said.stdout
