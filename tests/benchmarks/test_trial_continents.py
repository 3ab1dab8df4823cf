"""Places fall into the continents, and so into the halves, that an atlas gives them."""

from __future__ import annotations

import pytest

from benchmarks.trials.lit import HALVES, continent_of

KNOWN = {
    "Europe": [
        ("Lisbon", -9.14, 38.72),
        ("Gibraltar", -5.35, 36.14),
        ("Palermo", 13.36, 38.12),
        ("Lampedusa", 12.6, 35.5),
        ("Valletta", 14.51, 35.9),
        ("Athens", 23.73, 37.98),
        ("Heraklion", 25.13, 35.34),
        ("Rhodes", 28.22, 36.43),
        ("Lesbos", 26.55, 39.11),
        ("Istanbul, west", 28.85, 41.02),
        ("Odesa", 30.72, 46.48),
        ("Sochi", 39.72, 43.6),
        ("Makhachkala", 47.5, 42.98),
        ("Moscow", 37.62, 55.76),
        ("Perm", 56.25, 58.01),
        ("Reykjavik", -21.9, 64.15),
        ("Tromso", 18.96, 69.65),
    ],
    "Africa": [
        ("Tangier", -5.8, 35.77),
        ("Oran", -0.64, 35.7),
        ("Algiers", 3.06, 36.75),
        ("Tunis", 10.18, 36.81),
        ("Tripoli", 13.19, 32.88),
        ("Cairo", 31.24, 30.04),
        ("Hurghada", 33.81, 27.26),
        ("Djibouti", 43.15, 11.59),
        ("Mogadishu", 45.32, 2.05),
        ("Antananarivo", 47.52, -18.9),
        ("Cape Town", 18.42, -33.92),
        ("Dakar", -17.45, 14.69),
    ],
    "Asia": [
        ("Izmir", 27.14, 38.42),
        ("Bodrum", 27.43, 37.04),
        ("Istanbul, east", 29.15, 40.98),
        ("Ankara", 32.85, 39.93),
        ("Nicosia", 33.38, 35.19),
        ("Tbilisi", 44.79, 41.72),
        ("Baku", 49.87, 40.41),
        ("Sinai", 33.8, 28.9),
        ("Sharm el-Sheikh", 34.33, 27.91),
        ("Jeddah", 39.19, 21.49),
        ("Aden", 45.03, 12.79),
        ("Aktobe", 57.17, 50.28),
        ("Yekaterinburg", 60.6, 56.84),
        ("Delhi", 77.21, 28.61),
        ("Jakarta", 106.85, -6.21),
        ("Bali", 115.2, -8.65),
        ("Dili", 125.57, -8.56),
        ("Ambon", 128.18, -3.7),
        ("Manila", 120.98, 14.6),
        ("Tokyo", 139.69, 35.69),
    ],
    "Oceania": [
        ("Darwin", 130.84, -12.46),
        ("Perth", 115.86, -31.95),
        ("Sydney", 151.21, -33.87),
        ("Hobart", 147.33, -42.88),
        ("Auckland", 174.76, -36.85),
        ("Port Moresby", 147.18, -9.44),
        ("Sorong", 131.26, -0.88),
        ("Jayapura", 140.7, -2.53),
        ("Guam", 144.79, 13.47),
        ("Suva", 178.44, -18.14),
        ("Apia", -171.76, -13.83),
        ("Honolulu", -157.86, 21.31),
    ],
    "America": [("New York", -74.0, 40.7), ("Lima", -77.04, -12.05), ("Rio", -43.2, -22.9)],
}


@pytest.mark.parametrize("continent", KNOWN)
def test_known_places(continent: str) -> None:
    for name, lon, lat in KNOWN[continent]:
        assert str(continent_of(lon, lat)) == continent, name


def test_halves_share_no_continent() -> None:
    assert not set(HALVES["train"]) & set(HALVES["test"])
