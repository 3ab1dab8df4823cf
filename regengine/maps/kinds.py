"""Define the kinds of reference: the coding of pixels in a built file, and its tags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

KindName = Literal["lights", "streets", "day"]
FORMAT_TAG = "REGENGINE_FORMAT"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of reference: value = code * scale where the code is not ``nodata``.

    Attributes
    ----------
    format : str
        Value of the tag ``REGENGINE_FORMAT`` of a built file.
    content_tag : str
        Tag with the SHA-256 of grid and pixels, independent of the file name.
    bands : int
        Number of bands. The fourth band is opacity; with fewer, ``nodata`` marks pixels without
        data.
    """

    format: str
    content_tag: str
    dtype: Literal["uint8", "uint16"]
    bands: int
    nodata: int | None
    scale: float
    units: str
    disk_share: (
        float  # space for draft and file relative to bytes of pixels; colour images compress little
    )
    sigma_m: float | None  # position error; None: one pixel
    credit: str = ""


KINDS: dict[str, Kind] = {
    "lights": Kind(
        format="night-lights 1",
        content_tag="LIGHTS_SHA256",
        dtype="uint16",
        bands=1,
        nodata=65535,
        scale=1.0e-4,  # 0.023 % of 1 + L
        units="log10(1 + L / 1 nW cm-2 sr-1)",
        disk_share=0.1,  # Black Marble 0.05
        sigma_m=50.0,  # VIIRS
    ),
    "streets": Kind(
        format="streets 1",
        content_tag="STREETS_SHA256",
        dtype="uint8",
        bands=1,
        nodata=255,
        scale=0.01,
        units="lamp density: weighted metres of road x 12.5 m / area",
        disk_share=0.1,
        sigma_m=5.0,
        credit="© OpenStreetMap contributors (ODbL)",
    ),
    "day": Kind(
        format="day 1",
        content_tag="DAY_SHA256",
        dtype="uint8",
        bands=4,
        nodata=None,
        scale=1.0,
        units="as displayed",
        disk_share=1.0,
        sigma_m=None,  # Blue Marble 500 m, a pixel
    ),
}
