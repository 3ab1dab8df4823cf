"""Cameras by the two-letter codes of the archive's database."""

from __future__ import annotations

from collections.abc import Mapping

# The list in the archive's search form
CAMERAS: Mapping[str, str] = {
    "C1": "Canon Digital IXUS 700",
    "E2": "Kodak DCS460",
    "E3": "Kodak DCS660",
    "E4": "Kodak DCS760c",
    "HB": "Hasselblad",
    "LH": "Linhof",
    "N1": "Nikon D1",
    "N2": "Nikon D2Xs",
    "N3": "Nikon D3",
    "N4": "Nikon D3X",
    "N5": "Nikon D3S",
    "N6": "Nikon D4",
    "N7": "Nikon D800E",
    "N8": "Nikon D5",
    "N9": "Nikon D850",
    "NA": "Nikon D6",
    "NB": "Nikon Z9",
    "NK": "Nikon 35mm film camera",
    "RX": "Rolleiflex",
}


def camera_name(text: str) -> str:
    """Name of a camera; a text that is no code is a name already."""
    return CAMERAS.get(text.strip().upper(), text)
