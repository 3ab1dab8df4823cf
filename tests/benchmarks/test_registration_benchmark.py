"""The registration benchmark from end to end, on a sample photograph laid out like real data."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks import registration
from benchmarks.registration.report import RESULT_HEADER
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

SAMPLES = ROOT / "data_samples"
FRAME = "ISS990-E-000103"


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """A sample photograph, and one that is none, laid out like the real data."""
    folder = tmp_path / "real"
    for name in ("photos/cities", "orbit", "lights"):
        (folder / name).mkdir(parents=True)
    shutil.copy(SAMPLES / f"{FRAME}.jpg", folder / "photos" / "cities")
    (folder / "photos" / "cities" / "broken.jpg").write_text("no picture")
    shutil.copy(SAMPLES / "tle.txt", folder / "orbit" / "iss_tles.txt")
    shutil.copy(SAMPLES / "lights.tif", folder / "lights" / "blackmarble_15as.tif")
    (folder / "photos" / "index.csv").write_text(
        f"file,category,frame_id\ncities/{FRAME}.jpg,cities,{FRAME}\ncities/broken.jpg,cities,\n"
    )
    return folder


def test_real_photographs_are_registered_drawn_and_written(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--real", str(real), "--out", str(tmp_path / "out"), "--no-variants"]
    arguments += ["--overlays", str(tmp_path / "overlays")]
    assert registration.main(arguments) == 0
    printed = capsys.readouterr()
    (page,) = (tmp_path / "out").glob("registration-real-*.md")
    assert page.read_text(encoding="utf-8") == printed.out
    assert str(tmp_path) not in printed.out
    rows = {}
    for line in printed.out.partition("## Photographs")[2].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[cells[0]] = dict(zip(RESULT_HEADER, cells, strict=False))
    assert (rows[FRAME]["verdict"], rows[FRAME]["judged"]) == ("accepted", "unknown")
    assert float(rows[FRAME]["CPU s"]) > 0.0
    assert (rows["broken"]["verdict"], rows["broken"]["reasons"]) == ("failed", "unreadable")
    assert (tmp_path / "overlays" / f"{FRAME}.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "say --real FOLDER or --simulated"),
        (["--real", "nowhere"], "no photos/index.csv"),
    ],
)
def test_what_cannot_be_started(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert registration.main(arguments) == 2
    assert words in capsys.readouterr().err
