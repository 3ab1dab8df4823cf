"""Where a FITS header says that a picture looks: frame, equinox, size and distortion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from regengine.photo.fits import header_field
from tests.kit.solved_headers import CARDS, write_header


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


def test_terms_of_distortion_count_wherever_they_are(tmp_path: Path) -> None:
    terms = {"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 5e-5, "B_0_2": 5e-5}
    fields = []
    for kinds in ({}, {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP"}):
        write_header(tmp_path / "sky.wcs", CARDS | kinds | terms)
        fields.append(header_field(tmp_path / "sky.wcs", (200, 160)))
    assert fields[0].to_sky(9.0, 9.0) == pytest.approx(fields[1].to_sky(9.0, 9.0), abs=1e-12)
