"""Whatever goes wrong while a map is written becomes one sentence."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from regengine.errors import LightMapError
from regengine.io.gdal import raise_write_failures


def test_errors_that_are_only_logged_count(tmp_path: Path) -> None:
    left = tmp_path / ".out.tif"
    left.write_text("half")
    with (
        pytest.raises(LightMapError, match=r"out\.tif cannot be written \(write error\)"),
        raise_write_failures(tmp_path / "out.tif", [left, tmp_path / "never.tif"]),
    ):
        logging.getLogger("rasterio._env").error("write error")
    assert not left.exists()
    with raise_write_failures(tmp_path / "out.tif", []):
        logging.getLogger("rasterio._env").warning("nothing to worry about")


def test_errors_that_libtiff_prints_count_and_other_text_passes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with raise_write_failures(tmp_path / "out.tif", []):
        os.write(2, b"a word from another library\n")
    assert capfd.readouterr().err == "a word from another library\n"
    with (
        pytest.raises(LightMapError, match=r"\(_tiffWriteProc: No space left on device\)"),
        raise_write_failures(tmp_path / "out.tif", []),
    ):
        os.write(2, b"_tiffWriteProc: No space left on device.\n")
    assert capfd.readouterr().err == ""


def test_a_process_without_standard_error_can_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(_: int) -> int:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(os, "dup", closed)
    with raise_write_failures(tmp_path / "out.tif", []):
        (tmp_path / "out.tif").write_text("map")
    assert (tmp_path / "out.tif").exists()


def test_errors_of_ours_keep_their_sentence(tmp_path: Path) -> None:
    with (
        pytest.raises(LightMapError, match="the source is damaged"),
        raise_write_failures(tmp_path / "out.tif", []),
    ):
        raise LightMapError("the source is damaged.")
