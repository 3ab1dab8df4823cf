"""FITS headers of a field solved elsewhere, given with ``--wcs``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.kit.program import run
from tests.kit.solved_headers import CARDS, write_header


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({}, ""),
        ({"CRVAL1": "inf"}, "lacks CRVAL1"),
        ({"CRPIX2": "nan"}, "lacks CRPIX2"),
        ({"CD1_1": 0.0, "CD2_2": 0.0}, "has no scale"),
        ({"CTYPE1": "RA---ZEA"}, "supported are RA---TAN, DEC--TAN"),
        ({"CTYPE1": ""}, "has no projection"),
        ({"RADESYS": "GAPPT"}, "its celestial frame is GAPPT"),
        ({"RADESYS": "FK5", "EQUINOX": "of date"}, "with equinox of date"),
        ({"PV1_5": 0.01}, "has the distortion PV1_5"),
        ({"PV1_1": 1.0, "PV2_1": 1.0, "PV1_0": 0.0}, ""),
        ({"CPDIS1": "LOOKUP"}, "has the distortion CPDIS1"),
        ({"CDELT1": 0.05, "CDELT2": 0.05, "PC001002": 0.3}, "has the distortion PC001002"),
        ({"IMAGEW": 200, "IMAGEH": 160}, ""),
        ({"IMAGEW": 401, "IMAGEH": 320}, ""),
        ({"IMAGEW": 160, "IMAGEH": 200}, "for a picture of 160 x 200 px"),
        ({"IMAGEW": 200, "IMAGEH": 150}, "for a picture of 200 x 150 px"),
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


def test_terms_that_the_projection_does_not_name_are_not_talked_about(tmp_path: Path) -> None:
    terms = {"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 5e-5, "B_0_2": 5e-5}
    photo = tmp_path / "sky.png"
    Image.fromarray(np.full((160, 200), 9, np.uint8)).save(photo)
    write_header(tmp_path / "sky.wcs", CARDS | terms)
    said = run(
        *("satellites", photo, "--wcs", tmp_path / "sky.wcs", "--site", "-3.7,40.4,650"),
        *("--tle", ROOT / "data_samples" / "tle.txt", "--time", "2014-01-16T20:12:00Z"),
        *("--exposure-s", 5, "--tracks-only", "--json", "--quiet"),
    )
    assert (said.code, len(said.records), said.err) == (0, 1, "")
