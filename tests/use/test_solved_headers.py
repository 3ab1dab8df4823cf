"""FITS headers of a field solved elsewhere, given with ``--wcs``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from PIL import Image

from regengine.photo.fits import header_field
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
        ({"RADESYS": "GAPPT"}, "its celestial frame is GAPPT"),
        ({"RADESYS": "FK5", "EQUINOX": "of date"}, "with the equinox of date"),
        ({"PV1_5": 0.01}, "is bent by PV1_5"),
        ({"PV1_1": 1.0, "PV2_1": 1.0, "PV1_0": 0.0}, ""),
        ({"CPDIS1": "LOOKUP"}, "is bent by CPDIS1"),
        ({"CDELT1": 0.05, "CDELT2": 0.05, "PC001002": 0.3}, "is bent by PC001002"),
        ({"IMAGEW": 200, "IMAGEH": 160}, ""),
        ({"IMAGEW": 401, "IMAGEH": 320}, ""),
        ({"IMAGEW": 160, "IMAGEH": 200}, "of a picture of 160 x 200 px"),
        ({"IMAGEW": 200, "IMAGEH": 150}, "of a picture of 200 x 150 px"),
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


@pytest.mark.parametrize(
    ("cards", "frame"),
    [
        ({}, "icrs"),
        ({"RADESYS": "ICRS", "EQUINOX": 2050.0}, "icrs"),
        ({"RADESYS": "FK5", "EQUINOX": 2050.0}, {"frame": "fk5", "equinox": "J2050"}),
        ({"RADECSYS": "FK5", "EQUINOX": 2050.0}, {"frame": "fk5", "equinox": "J2050"}),
        ({"EQUINOX": "J2025"}, {"frame": "fk5", "equinox": "J2025"}),
        ({"EPOCH": 2000.0}, {"frame": "fk5", "equinox": "J2000"}),
        ({"RADESYS": "FK4", "EQUINOX": 1950.0}, {"frame": "fk4", "equinox": "B1950"}),
        ({"EQUINOX": 1950.0}, {"frame": "fk4", "equinox": "B1950"}),
    ],
)
def test_the_frame_and_equinox_of_a_header_count(
    tmp_path: Path, cards: dict[str, object], frame: str | dict[str, str]
) -> None:
    write_header(tmp_path / "sky.wcs", CARDS | cards)
    field = header_field(tmp_path / "sky.wcs", (200, 160))
    named = {"frame": frame} if isinstance(frame, str) else frame
    true = SkyCoord(CARDS["CRVAL1"], CARDS["CRVAL2"], unit="deg", **named).icrs
    direction = np.array(true.cartesian.xyz)
    x, y = (CARDS[name] - 1.0 for name in ("CRPIX1", "CRPIX2"))
    assert np.degrees(np.arccos(min(field.to_sky(x, y) @ direction, 1.0))) < 2e-4  # 0.7 arcsec
    assert np.ravel(field.project(direction[None])) == pytest.approx([x, y], abs=0.01)


def test_the_header_of_a_larger_copy_is_scaled(tmp_path: Path) -> None:
    write_header(tmp_path / "own.wcs", CARDS | {"IMAGEW": 200, "IMAGEH": 160})
    twice: dict[str, object] = {"IMAGEW": 400, "IMAGEH": 320, "CRPIX1": 200.5, "CRPIX2": 160.5}
    twice |= {"CD1_1": -0.025, "CD2_2": 0.025}
    write_header(tmp_path / "twice.wcs", CARDS | twice)
    own, copy = (header_field(tmp_path / f"{name}.wcs", (200, 160)) for name in ("own", "twice"))
    x, y = np.array([0.0, 199.0, 31.0]), np.array([0.0, 3.0, 159.0])
    assert copy.to_sky(x, y) == pytest.approx(own.to_sky(x, y), abs=1e-9)
    assert np.array(copy.project(own.to_sky(x, y))) == pytest.approx(np.array([x, y]), abs=1e-6)


def test_terms_of_distortion_count_and_are_not_talked_about(tmp_path: Path) -> None:
    terms = {"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 5e-5, "B_0_2": 5e-5}
    fields = []
    for kinds in ({}, {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP"}):
        write_header(tmp_path / "sky.wcs", CARDS | kinds | terms)
        fields.append(header_field(tmp_path / "sky.wcs", (200, 160)))
    assert fields[0].to_sky(9.0, 9.0) == pytest.approx(fields[1].to_sky(9.0, 9.0), abs=1e-12)
    photo = tmp_path / "sky.png"
    Image.fromarray(np.full((160, 200), 9, np.uint8)).save(photo)
    write_header(tmp_path / "sky.wcs", CARDS | terms)
    said = run(
        *("satellites", photo, "--wcs", tmp_path / "sky.wcs", "--site", "-3.7,40.4,650"),
        *("--tle", ROOT / "data_samples" / "tle.txt", "--time", "2014-01-16T20:12:00Z"),
        *("--exposure-s", 5, "--tracks-only", "--json", "--quiet"),
    )
    assert (said.code, len(said.records), said.err) == (0, 1, "")
