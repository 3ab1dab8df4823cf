"""FITS headers of solved fields, card by card."""

from __future__ import annotations

from pathlib import Path

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
