"""Commands that say a line a photo: their file of lines, workers, and how they end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from tests.command_line import invoke
from tests.conftest import ROOT
from tests.kit.skies import night, save


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "photos"
    made.mkdir()
    for name in ("a", "b", "d"):
        save(night(), made / f"{name}.png")
    (made / "c.jpg").write_bytes(b"\xff\xd8\xff no photo")
    return made


def test_lines_go_to_the_file_and_are_taken_up_from_there(folder, tmp_path):
    out = tmp_path / "lights.ndjson"
    first = invoke("detect", "lights", folder, "--out", out, "--json", "--workers", 2)
    assert first.exit_code == 1
    assert [record["frame"] for record in records(out)] == ["a", "b", "c", "d"]
    good = [line for line in out.read_text().splitlines() if '"failed"' not in line]
    assert first.stdout.splitlines() == good
    assert records(out)[2]["failed"]["code"] == "unreadable"
    save(night(2), folder / "e.png")
    second = invoke("detect", "lights", folder, "--out", out, "--workers", 0)
    assert second.exit_code == 1
    assert "5 photos (4 were there already)" in second.stderr
    assert "--retry failed" in second.stderr
    assert {line.split(",")[0] for line in second.stdout.splitlines()} == {"frame", "e"}
    (folder / "c.jpg").unlink()
    third = invoke("detect", "lights", folder, "--out", out, "--quiet")
    assert (third.exit_code, third.stderr) == (0, "")


def test_settings_that_change_lines_have_them_made_again(folder, tmp_path):
    out = tmp_path / "lights.ndjson"
    given = ("detect", "lights", folder / "a.png", folder / "b.png", "--workers", 0, "--out", out)
    assert invoke(*given).exit_code == 0
    hashes = {record["parameters_sha256"] for record in records(out)}
    assert "2 were there" in invoke(*given, "--overlay", tmp_path / "drawn").stderr
    assert "were there" not in invoke(*given, "--max-side-px", 200).stderr
    changed = records(out)
    assert len(changed) == 2
    assert not hashes & {record["parameters_sha256"] for record in changed}


@pytest.mark.parametrize("command", [("detect", "stars"), ("classify",), ("solve",)])
def test_a_file_that_is_not_theirs_is_refused(folder, tmp_path, command):
    out = tmp_path / "notes.txt"
    out.write_text("remember the milk")
    result = invoke(*command, folder, "--out", out)
    assert result.exit_code == 3
    assert "was not written by" in result.stderr
    assert out.read_text() == "remember the milk"


def test_a_sheet_needs_all_photos(folder, tmp_path):
    result = invoke(
        "classify", folder, "--out", tmp_path / "o.ndjson", "--sheet", tmp_path / "s.html"
    )
    assert result.exit_code == 2
    assert not list(tmp_path.glob("[os].*"))


def test_ctrl_c_says_how_to_go_on(folder, tmp_path):
    save(night(1), folder / "f.png")
    for number in range(300):  # a slow machine must not be done before the signal
        shutil.copyfile(folder / "f.png", folder / f"f{number}.png")
    out = tmp_path / "lights.ndjson"
    command = [sys.executable, "cli.py", "detect", "lights", str(folder), "--out", str(out)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline().startswith("frame,")
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "give the same command again to go on" in errors
    assert "Traceback" not in errors
    assert 0 < len(records(out)) < 305
