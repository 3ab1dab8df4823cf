"""FITS headers: their keywords, and the projection on the sky that they describe."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from matchers.header_field import HeaderField, Polynomial
from regengine.errors import FrameError

Header = dict[str, float | str | bool]

CARD, BLOCK = 80, 2880
MOST_BLOCKS = 400  # of one header: a megabyte
MOST_AXES = 999  # FITS Standard 4.0, 4.4.1
MOST_PARTS = 40  # HDUs looked at
MOST_BYTES = 600_000_000  # passed over: two seconds of unpacking
FITS_START, GZIP_START = b"SIMPLE  =", b"\x1f\x8b"
STRING = re.compile(r"'((?:[^']|'')*)'")


def read_headers(path: Path) -> list[Header]:
    """Keywords of each part of a FITS file; pictures are passed over.

    Parameters
    ----------
    path : Path
        A FITS file, also in gzip, or a header alone (``.wcs``).

    Returns
    -------
    list of dict
        Numbers as float, text without trailing blanks.

    Raises
    ------
    FrameError
        If the file cannot be read or is no FITS file.
    """
    try:
        with path.open("rb") as plain:
            start = plain.read(len(FITS_START))
            plain.seek(0)
            if start.startswith(GZIP_START):
                with gzip.open(plain) as stream:
                    found = list(_parts(stream))  # type: ignore[arg-type]
            else:
                found = list(_parts(plain)) if start == FITS_START else []
    except (OSError, EOFError, zlib.error) as error:
        damaged = isinstance(error, zlib.error | gzip.BadGzipFile)
        what = "its gzip is damaged" if damaged else getattr(error, "strerror", None) or str(error)
        raise FrameError(f"{path}: the FITS header cannot be read ({what}).") from error
    if not found:
        raise FrameError(
            f"{path}: is no FITS file, or its header is cut: a FITS header is what "
            "regengine solve --wcs writes."
        )
    return found


def header_field(path: Path, size_px: tuple[int, int] | None = None) -> HeaderField:
    """The projection of the first part of a FITS file that has one.

    Parameters
    ----------
    path : Path
    size_px : tuple of int, optional
        Width and height of the picture; without it as the header says.

    Returns
    -------
    HeaderField

    Raises
    ------
    FrameError
        If there is none, or one that is neither TAN nor TAN-SIP.
    """
    for header in read_headers(path):
        if str(header.get("CTYPE1", "")).strip():
            return field_of(header, path, size_px)
    raise FrameError(
        f"{path}: its header has no projection (CTYPE1): solve the photo with "
        "regengine solve --wcs, or leave --wcs out."
    )


def field_of(
    header: Mapping[str, float | str | bool], path: Path, size_px: tuple[int, int] | None = None
) -> HeaderField:
    """The projection of a header; FrameError where it cannot be used."""
    kinds = [str(header.get(f"CTYPE{k}", "")).upper() for k in (1, 2)]
    swapped = kinds[0].startswith("DEC")
    if {kind[:4] for kind in kinds} != {"RA--", "DEC-"} or any(
        not re.fullmatch(r"(RA--|DEC-)-TAN(-SIP)?", kind) for kind in kinds
    ):
        raise FrameError(
            f"{path}: its projection is {kinds[0] or 'missing'}, {kinds[1] or 'missing'}, and only "
            "RA---TAN, DEC--TAN, also with -SIP, are read: solve the photo with regengine solve."
        )
    try:
        matrix = _matrix(header)
        values = (_number(header, "CRVAL1"), _number(header, "CRVAL2"))
        reference = (_number(header, "CRPIX1") - 1.0, _number(header, "CRPIX2") - 1.0)
        pole = _number(header, "LONPOLE", 180.0)
        size = size_px or _size(header)
        bends = (_polynomial(header, "A"), _polynomial(header, "B"))
    except KeyError as error:
        raise FrameError(
            f"{path}: its projection lacks {error.args[0]}: solve the photo with regengine solve."
        ) from error
    if swapped:
        matrix, values = matrix[::-1], values[::-1]
    if not abs(np.linalg.det(matrix)) > 1e-16:
        raise FrameError(f"{path}: its projection has no scale (CD is singular): solve it again.")
    return HeaderField(
        width_px=size[0],
        height_px=size[1],
        reference_px=reference,
        reference_deg=values,
        matrix_deg=matrix,
        pole_deg=pole,
        bends=bends,
    )


def _parts(stream: BinaryIO) -> Iterator[Header]:
    for _ in range(MOST_PARTS):
        if stream.tell() > MOST_BYTES:
            return
        header = _header(stream)
        if header is None:
            return
        yield header
        size = _data_bytes(header)
        if size > MOST_BYTES:
            return
        if size:
            stream.seek(size, 1)


def _header(stream: BinaryIO) -> Header | None:
    header: Header = {}
    for _ in range(MOST_BLOCKS):
        block = stream.read(BLOCK).decode("ascii", errors="replace")
        for start in range(0, len(block) - CARD + 1, CARD):
            card = block[start : start + CARD]
            key = card[:8].strip()
            if key == "END":
                return header
            if card[8:10] == "= " and key not in header:
                value = _card_value(card[10:])
                if value is not None:
                    header[key] = value
        if len(block) < BLOCK:
            return header if "SIMPLE" in header and len(header) > 1 else None
    return None


def _card_value(text: str) -> float | str | bool | None:
    quoted = STRING.match(text.strip())
    if quoted:
        return quoted[1].replace("''", "'").rstrip()
    plain = text.partition("/")[0].strip()
    if plain in ("T", "F"):
        return plain == "T"
    try:
        number = float(plain.replace("D", "E"))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _data_bytes(header: Header) -> int:
    """Length of a part's data; more than is passed over where the header makes no sense."""
    try:
        count = int(_number(header, "NAXIS", 0))
        if not 0 <= count <= MOST_AXES:
            return MOST_BYTES + 1
        axes = [int(_number(header, f"NAXIS{k + 1}", 0)) for k in range(count)]
        values = math.prod(axes) + int(_number(header, "PCOUNT", 0)) if axes else 0
        bits = abs(int(_number(header, "BITPIX", 8)))
        size = bits // 8 * int(_number(header, "GCOUNT", 1)) * values
    except (OverflowError, ValueError):  # infinite or no number
        return MOST_BYTES + 1
    return -(-size // BLOCK) * BLOCK if size >= 0 else MOST_BYTES + 1


def _number(
    header: Mapping[str, float | str | bool], key: str, default: float | None = None
) -> float:
    value = header.get(key, default)
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = default
    if value is None:
        raise KeyError(key)
    return float(value)


def _matrix(header: Mapping[str, float | str | bool]) -> np.ndarray:
    if any(f"CD{i}_{j}" in header for i in (1, 2) for j in (1, 2)):
        return np.array([[_number(header, f"CD{i}_{j}", 0.0) for j in (1, 2)] for i in (1, 2)])
    steps = np.array([_number(header, "CDELT1"), _number(header, "CDELT2")])
    if any(f"PC{i}_{j}" in header for i in (1, 2) for j in (1, 2)):
        turn = [[_number(header, f"PC{i}_{j}", float(i == j)) for j in (1, 2)] for i in (1, 2)]
        return np.asarray(steps[:, None] * np.array(turn))
    angle = math.radians(_number(header, "CROTA2", 0.0))
    ratio = steps[1] / steps[0]
    return np.asarray(
        [
            [steps[0] * math.cos(angle), -steps[0] * ratio * math.sin(angle)],
            [steps[0] * math.sin(angle), steps[1] * math.cos(angle)],
        ]
    )


def _size(header: Mapping[str, float | str | bool]) -> tuple[int, int]:
    for names in (("IMAGEW", "IMAGEH"), ("ZNAXIS1", "ZNAXIS2"), ("NAXIS1", "NAXIS2")):
        if all(name in header for name in names):
            return int(_number(header, names[0])), int(_number(header, names[1]))
    raise KeyError("the picture's size (IMAGEW, IMAGEH)")


def _polynomial(header: Mapping[str, float | str | bool], name: str) -> Polynomial:
    found: Polynomial = {}
    for key, value in header.items():
        power = re.fullmatch(rf"{name}_(\d+)_(\d+)", key)
        if power and not isinstance(value, (str, bool)) and value != 0.0:
            found[int(power[1]), int(power[2])] = value
    return found
