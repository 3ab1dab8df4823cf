"""FITS headers of a field solved elsewhere, given with ``--wcs``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.kit.program import run

CARDS: dict[str, object] = {
    "SIMPLE": True,
    "BITPIX": 8,
    "NAXIS": 0,
    "CTYPE1": "RA---TAN",
    "CTYPE2": "DEC--TAN",
    "CRVAL1": 83.8,
    "CRVAL2": -5.4,
    "CRPIX1": 100.5,
    "CRPIX2": 80.5,
    "CD1_1": -0.05,
    "CD1_2": 0.0,
    "CD2_1": 0.0,
    "CD2_2": 0.05,
}


def write_header(path: Path, cards: dict[str, object]) -> None:
    def spelt(value: object) -> str:
        if isinstance(value, bool):
            return f"{'FT'[value]:>20}"
        return f"'{value:<8}'" if isinstance(value, str) else f"{value:>20}"

    text = "".join(f"{name:<8}= {spelt(value)}".ljust(80) for name, value in cards.items())
    path.write_bytes(f"{text}END".ljust(2880).encode())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({}, ""),
        ({"CRVAL1": "inf"}, "lacks CRVAL1"),
        ({"CRPIX2": "nan"}, "lacks CRPIX2"),
        ({"CD1_1": 0.0, "CD2_2": 0.0}, "has no scale"),
        ({"CTYPE1": "RA---ZEA"}, "only RA---TAN, DEC--TAN"),
        ({"CTYPE1": ""}, "has no projection"),
    ],
)
def test_a_header_is_used_or_told(tmp_path: Path, change: dict[str, object], sentence: str) -> None:
    photo, header = tmp_path / "sky.png", tmp_path / "sky.wcs"
    Image.fromarray(np.full((160, 200), 9, np.uint8)).save(photo)
    write_header(header, {**CARDS, **change})
    said = run(
        *("satellites", photo, "--wcs", header, "--tle", ROOT / "data_samples" / "tle.txt"),
        *("--site", "-3.7,40.4,650", "--time", "2014-01-16T20:12:00Z", "--exposure-s", 5),
        *("--tracks-only", "--json", "--quiet"),
    )
    assert said.code == (1 if sentence else 0), said.err
    assert sentence in said.out + said.err
    assert "Traceback" not in said.err
