"""The star catalogue: known stars where they are, and damaged files told in a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from matchers.geometry.sky_camera import sky_vectors
from regengine.sky.stars.catalogue import CatalogueError, catalogue_path, load_catalogue


def apart_arcsec(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(np.linalg.norm(a - b)) * 3600.0)


def test_bright_stars_come_first_and_vectors_are_unit() -> None:
    stars = load_catalogue(faintest_g=6.0)
    assert (np.diff(stars.magnitude_g) >= 0.0).all()
    assert np.linalg.norm(stars.vectors, axis=1) == pytest.approx(1.0)
    # About as many stars as the eye sees
    assert 5_000 < len(stars) < 9_000
    assert stars.brighter_than(2.0) == int((stars.magnitude_g < 2.0).sum())


def test_named_stars_move_between_epochs() -> None:
    # Alpha Centauri A at J2000 (Hipparcos via SIMBAD: 14 39 36.494 -60 50 02.37) and Vega
    places = sky_vectors([219.902058, 279.234735], [-60.833993, 38.783689])
    stars = load_catalogue(epoch_year=2000.0, faintest_g=3.0)
    for there in places:
        assert apart_arcsec(stars.vectors[np.argmax(stars.vectors @ there)], there) < 1.5
    at_2016 = load_catalogue(faintest_g=3.0)
    assert apart_arcsec(at_2016.vectors[np.argmax(at_2016.vectors @ places[0])], places[0]) > 50.0


def test_colours_of_61_cygni_are_those_of_an_orange_dwarf() -> None:
    # Gaia DR3 of 61 Cygni A: G 4.77, BP 5.44, RP 3.98, at 2016.0 21 06 59.64 +38 45 49.9
    there = sky_vectors(316.748479, 38.763862)
    stars = load_catalogue(faintest_g=6.0)
    star = int(np.argmax(stars.vectors @ there))
    assert apart_arcsec(stars.vectors[star], there) < 1.0
    found = (stars.magnitude_g[star], stars.magnitude_bp[star], stars.magnitude_rp[star])
    assert found == pytest.approx((4.77, 5.44, 3.98), abs=0.02)
    assert np.isnan(stars.magnitude_bp[0])  # Sirius


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: b"", "not a star catalogue"),
        (lambda data: b"PK" + data[2:], "not a star catalogue"),
        (lambda data: data[:-1000], "truncated"),
        (lambda data: data[:100_016] + b"\xff" * 360 + data[100_376:], "damaged"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path: Path, damage: object, says: str) -> None:
    broken = tmp_path / "stars.bin"
    broken.write_bytes(damage(catalogue_path().read_bytes()))  # type: ignore[operator]
    with pytest.raises(CatalogueError, match=says) as caught:
        load_catalogue(path=broken)
    assert "pip install" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "within", "beyond"),
    [
        ("dec_deg", [-90.0, 90.0], [-90.001, 90.001]),
        ("ra_deg", [0.0, 360.0], [-0.001, 360.001]),
        ("g", [-29.0, 29.9], [-30.0, 30.0, np.nan]),
    ],
)
def test_values_of_the_file_are_believed_to_their_limits(
    tmp_path: Path, column: str, within: list[float], beyond: list[float]
) -> None:
    """Of 1,000 stars, the fewest that a file may have."""
    whole = catalogue_path().read_bytes()
    fields = [("id", "<i8"), ("ra_deg", "<f8"), ("dec_deg", "<f8"), ("g", "<f4"), ("bp", "<f4")]
    records = np.frombuffer(whole[16 : 16 + 36 * 1000], np.dtype([*fields, ("rp", "<f4")])).copy()
    path = tmp_path / "stars.bin"

    def written(value: float, count: int = 1000) -> Path:
        records[column][5] = value
        head = whole[:8] + count.to_bytes(8, "little")
        path.write_bytes(head + records[:count].tobytes())
        return path

    for value in within:
        assert len(load_catalogue(path=written(value), faintest_g=40.0)) == 1000
    for value in beyond:
        with pytest.raises(CatalogueError, match="damaged"):
            load_catalogue(path=written(value))
    with pytest.raises(CatalogueError, match="truncated"):
        load_catalogue(path=written(within[0], 999))
