"""Kinds of reference, and the common scale of night-light maps: log10(1 + L) of a radiance L.

L is in nW cm^-2 sr^-1. Radiance products contain it directly. Display products (images) contain a
digital number, from which it is estimated by a measured curve.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

KindName = Literal["lights", "streets", "day"]
FORMAT_TAG = "REGENGINE_FORMAT"


@dataclass(frozen=True, kw_only=True)
class MapKind:
    """A kind of reference: value = code * scale where the code is not ``nodata``.

    Beside these, built files have a tag ``KIND_SHA256`` of grid and pixels, whatever their name.
    """

    format: str  # value of the tag ``REGENGINE_FORMAT`` of a built file
    dtype: Literal["uint8", "uint16"]
    bands: int  # the fourth is opacity; with fewer, ``nodata`` marks pixels without data
    nodata: int | None
    scale: float
    units: str
    # Space for draft and file relative to bytes of pixels; colour images compress little
    disk_share: float
    sigma_m: float | None  # position error; None: one pixel
    credit: str = ""


KINDS: dict[str, MapKind] = {
    "lights": MapKind(
        format="night-lights 1",
        dtype="uint16",
        bands=1,
        nodata=65535,
        scale=1.0e-4,  # 0.023 % of 1 + L
        units="log10(1 + L / 1 nW cm-2 sr-1)",
        disk_share=0.1,  # Black Marble 0.05
        sigma_m=50.0,  # VIIRS
    ),
    "streets": MapKind(
        format="streets 1",
        dtype="uint8",
        bands=1,
        nodata=255,
        scale=0.01,
        units="lamp density: weighted metres of road x 12.5 m / area",
        disk_share=0.1,
        sigma_m=5.0,
        credit="© OpenStreetMap contributors (ODbL)",
    ),
    "day": MapKind(
        format="day 1",
        dtype="uint8",
        bands=4,
        nodata=None,
        scale=1.0,
        units="as displayed",
        disk_share=1.0,
        sigma_m=None,  # Blue Marble 500 m, a pixel
    ),
}

Values = NDArray[np.float32]  # (rows, cols) or (bands, rows, cols)
Mask = NDArray[np.bool_]  # (rows, cols)

# Above the brightest gas flares (about 1e4 nW) and below every fill value in use (3.4e38, 1e20).
MAX_RADIANCE = 1.0e6
# -3.4e38, -999.9 (VNP46) and -9999 mean "no data" even where a file does not declare it;
# noise after stray-light correction reaches a few nW below zero.
MIN_RADIANCE = -500.0

# Display curve of the Black Marble 2016 pictures: L = scale * -ln(1 - DN / 256).
# Measured against VIIRS 2023 radiance classes on one 15-arcsec grid, seven regions of Europe,
# Africa and Asia, 331 million pixels: the DN exceeded by the same share of pixels as a class's
# median radiance, DN 86, 168, 237 and 253 for 2.7, 6.7, 17 and 31 nW. rms 0.016 in log10(1 + L).
DISPLAY_SCALE_NW = 6.6
# DN 254 and 255 are ringing of the JPEG coder: their pixels are no brighter than those of DN 253.
DISPLAY_TOP_DN = 253
# The median DN of the classes of 31, 47, 63, 83 and 134 nW is 250, 252, 253, 253 and 253.
DISPLAY_SATURATED_DN = 250

# A unit of radiance as files spell it: nW/cm2/sr, nanoWatts/cm^2/sr, W m-2 sr-1, µW·sr⁻¹·cm⁻²
_UNIT = re.compile(
    r"\s*(pico|p|nano|n|micro|[uµμ]|milli|m|)\s*w(?:atts?)?"
    r"(?:per|sr|sq\w*|[^a-z])*(c?)m\s*(?:\^|\*\*)?\s*[-−⁻]?\s*[2²]",
    re.IGNORECASE,
)
_PREFIXES = {"": 1e9, "m": 1e6, "u": 1e3, "µ": 1e3, "μ": 1e3, "n": 1.0, "p": 1e-3}

_PRODUCTS = (
    (r"v(np|j1|j2)46a[1-4]", "Black Marble {}"),  # of Suomi NPP, NOAA-20 and 21
    (r"black.?marble", "Black Marble"),
    (r"blue.?marble", "Blue Marble"),
    (r"dmsp|(^|_)f1[0-8](19|20)\d\d", "DMSP-OLS stable lights"),
    (r"avg_rad|vcm|vnl_|_bm_|eog|viirs|svdnb", "VIIRS DNB composite"),
)
_DATES = (
    r"A(?P<y>\d{4})(?P<doy>\d{3})(?=\D)",  # VNP46A4.A2020001.h10v05
    # SVDNB_npp_20160101-20160131, VNL_v21_npp_201204-201303
    r"(?P<y>(19|20)\d\d)(?P<m>0[1-9]|1[0-2])(\d\d)?-(?P<y2>(19|20)\d\d)(?P<m2>0[1-9]|1[0-2])(\d\d)?(?!\d)",
    r"(?P<y>(19|20)\d\d)[-_]?(?P<m>0[1-9]|1[0-2])[-_]?(?P<d>[0-2]\d|3[01])(?!\d)",
    r"(?P<y>(19|20)\d\d)[-_]?(?P<m>0[1-9]|1[0-2])(?!\d)",
    r"(?P<y>(19|20)\d\d)(?!\d)",
)


def radiance_factor(unit: str) -> float | None:
    """Factor from a unit to nW cm^-2 sr^-1; None if it is unknown or not a unit of radiance."""
    match = _UNIT.match(unit)
    if match is None:
        return None
    prefix, centi = match[1].lower(), match[2]
    prefix = "u" if prefix == "micro" else prefix[:1]
    return _PREFIXES[prefix] * (1.0 if centi else 1e-4)


def log_radiance(radiance_nw: ArrayLike) -> Values:
    radiance = np.asarray(radiance_nw, np.float32)
    return np.asarray(np.log10(np.float32(1.0) + np.maximum(radiance, 0.0)), np.float32)


def radiance_values(radiance_nw: NDArray[np.floating]) -> tuple[Values, Mask]:
    with np.errstate(invalid="ignore"):
        valid = (radiance_nw > MIN_RADIANCE) & (radiance_nw < MAX_RADIANCE)
    return log_radiance(np.where(valid, radiance_nw, 0.0)), valid


def display_table() -> Values:
    """Map values of the 256 grey levels of a Black Marble image."""
    number = np.minimum(np.arange(256.0), DISPLAY_TOP_DN)
    return log_radiance(-DISPLAY_SCALE_NW * np.log1p(-number / 256.0))


def display_saturation() -> float:
    """Map value at and above which Black Marble images are saturated."""
    return float(display_table()[DISPLAY_SATURATED_DN])


def lights_only_luma(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Extract the grey levels of lights, without background, from a colour image of the night.

    In Black Marble images moonlit land and sea are bluish, and lights are not. So the excess of
    blue gives the background to subtract. The same formula, without levels below 4, was used for
    the grey product on which the display curve was measured.
    """
    red, green, blue = (band.astype(np.float32) for band in rgb)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue  # ITU-R BT.601, as in JPEG
    bluish = blue - red
    background = 1.3 * np.maximum(0.0, bluish + 2.0) + np.clip(0.4 * (bluish - 15.0), 0.0, 4.0)
    lights = np.clip(luma - background, 0.0, 255.0)
    return np.where(lights < 4.0, 0.0, lights).astype(np.uint8)


def product_of_name(name: str) -> str:
    """Parse the product from a file name; "" without one."""
    for pattern, product in _PRODUCTS:
        match = re.search(pattern, name.lower())
        if match:
            return product.format(match.group(0).upper())
    return ""


def period_of(date_text: str, product: str) -> tuple[date, date] | None:
    """First and last day of a reference; None if its date is not known.

    The date of a composite is the first day of its month or year. Daily Black Marble (VNP46A1, A2)
    covers only that day.
    """
    days = []
    for part in re.split(r", |/", date_text):
        match = re.fullmatch(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?", part)
        if match is None:
            return None
        year, month, day = (int(one) if one else None for one in match.groups())
        assert year is not None
        try:
            first = date(year, month or 1, day or 1)
        except ValueError:
            return None
        is_daily = day is not None and (day > 1 or re.search(r"V(NP|J[12])46A[12]", product))
        if is_daily:
            last = first
        elif month is None or (day is not None and month == 1 and "46A3" not in product):
            last = date(year, 12, 31)
        else:
            last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
        days += [first, last]
    return min(days), max(days)


def date_of_name(name: str) -> str:
    """Parse the year, month, day or period from a file name; "" without one.

    "2016", "2019-01", "2012-04-18", and "2012-04/2013-03" from month to month.
    """
    for pattern in _DATES:
        match = re.search(r"(?<!\d)" + pattern, name)
        if not match:
            continue
        parts = match.groupdict()
        if parts.get("doy"):
            day = date(int(parts["y"]), 1, 1) + timedelta(days=int(parts["doy"]) - 1)
            if day.year != int(parts["y"]):
                continue  # a year has no day 000 or 400
            return day.isoformat()
        if "y2" in parts:
            first, last = (f"{parts[y]}-{parts[m]}" for y, m in (("y", "m"), ("y2", "m2")))
            is_year = first[:4] == last[:4] and (first[5:], last[5:]) == ("01", "12")
            return first[:4] if is_year else first if first == last else f"{first}/{last}"
        return "-".join(parts[key] for key in ("y", "m", "d") if parts.get(key))
    return ""
