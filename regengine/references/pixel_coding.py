"""What the samples of a raster mean: radiance, grey levels or codes of our own.

Of a GeoTIFF it is found out from its tags, its type and its name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags

from regengine.errors import LightMapError
from regengine.references import radiance
from regengine.references.radiance import Mask, Values
from regengine.references.source import (
    Kind,
    LightMapInfo,
    PixelGrid,
    date_of_name,
    product_of_name,
)

FORMAT_TAG = "REGENGINE_FORMAT"
FORMAT = "night-lights 1"
LIGHTS_TAG = "LIGHTS_SHA256"  # of grid and pixel codes, the same whatever the file is called
# Clips of one city or country are small; world maps are never looked through for border zeros.
MAX_CLIP_PIXELS = 4_000_000
ONE_PATCH = 0.995
MAX_ZEROS_INSIDE = 0.02
DMSP_STEP_DEG = 1.0 / 120.0  # 30 arcsec; VIIRS composites have 15
DMSP_TOP = 63  # six bits
MOST_SAMPLED = 1000  # rows and columns
COUNTS_PATTERN = r"cf_?cvg|cloud_?free|_Num(_|$)"
RADIANCE_BAND_PATTERN = r"avg_rad|(AllAngle|NearNadir)_Composite_Snow_Free$"

CodingKind = Literal["built", "radiance", "grey", "colour"]

_MEANING = {
    "built": "built map of log radiance",
    "radiance": "radiance",
    "grey": "grey picture, radiance estimated from its levels",
    "colour": "colour picture, radiance estimated from its lights",
}


@dataclass(frozen=True, kw_only=True)
class PixelCoding:
    """How to turn the samples of a file into map values."""

    kind: CodingKind
    bands: tuple[int, ...] = (1,)  # counted from 1
    nodata: float | None = None  # sample that means "no data"
    has_alpha: bool = False  # the last band is opacity
    has_mask: bool = False  # of the file, beside its bands
    scale: float = 1.0  # radiance = sample * scale + offset
    offset: float = 0.0
    product: str = ""
    date: str = ""
    map_kind: Kind = "radiance"  # as in `LightMapInfo`, and so `saturation`
    saturation: float | None = None

    def decode(self, samples: NDArray[Any]) -> tuple[Values, Mask]:
        """Map values and validity of samples."""
        if self.kind == "built":
            return radiance.decode(samples[0].astype(np.uint16, copy=False))
        band = samples[0]
        if self.kind == "radiance":
            with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is not valid
                lights = band * self.scale + self.offset
            values, valid = radiance.radiance_values(lights)
        else:
            grey = radiance.lights_only_luma(samples[:3]) if self.kind == "colour" else band
            values = radiance.display_table()[_as_index(grey)]
            valid = np.isfinite(grey)
        if self.nodata is not None and self.kind != "colour":
            with np.errstate(over="ignore", invalid="ignore"):
                valid &= band != self.nodata
        if self.has_alpha:
            valid &= samples[-1] > 0
        return np.where(valid, values, np.float32(0.0)), valid

    def info(self, path: Path, grid: PixelGrid, crs: str) -> LightMapInfo:
        """Description of the map that these samples come from."""
        name = " ".join(part for part in (self.product or "unknown product", self.date) if part)
        return LightMapInfo(
            paths=(path,),
            product=self.product,
            date=self.date,
            kind=self.map_kind,
            resolution_deg=grid.step_deg,
            bounds=grid.bounds,
            crs=crs,
            saturation=self.saturation,
            description=f"{name}: {_MEANING[self.kind]}",
        )


def _as_index(grey: NDArray[Any]) -> NDArray[Any]:
    """Grey levels as indices 0..255."""
    if grey.dtype == np.uint8:
        return grey
    return np.clip(np.nan_to_num(grey), 0, 255).astype(np.uint8)


def coding_of(path: Path, dataset: rasterio.DatasetReader, step_deg: float) -> PixelCoding:
    """Find out what the samples of a file mean."""
    tags = dataset.tags()
    if FORMAT_TAG in tags:
        return _built(path, tags)
    flags = dataset.mask_flag_enums[0]
    about = tags.get("PRODUCT", "")
    known = PixelCoding(
        kind="radiance",
        product=product_of_name(path.name) or product_of_name(about),
        date=date_of_name(path.name) or date_of_name(about),
        has_mask=MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags,
    )
    colour = dataset.count in (3, 4) and set(dataset.dtypes) == {"uint8"}
    if colour:
        return _colour(dataset, known)
    band = chosen_band(dataset)
    if "complex" in dataset.dtypes[band - 1]:
        raise LightMapError(
            f"{path} holds complex numbers, not lights: give the radiances as real numbers."
        )
    if re.search(COUNTS_PATTERN, f"{path.stem} {dataset.descriptions[band - 1] or ''}"):
        raise LightMapError(
            f"{path} holds counts of observations, not lights: give the avg_rad file of the same "
            "composite."
        )
    known = replace(known, bands=(band,), nodata=dataset.nodatavals[band - 1])
    bytes_only = dataset.dtypes[band - 1] == "uint8"
    told = "DMSP" in known.product
    if told or (
        bytes_only and abs(step_deg / DMSP_STEP_DEG - 1.0) < 0.01 and _ends_at_63(dataset, band)
    ):
        by = "its name says" if told else "it has bytes up to 63 on pixels of 30 arcsec"
        raise LightMapError(
            f"{path} holds DMSP numbers, not radiance ({by}): convert it once, about 0.4 "
            f"nW/cm²/sr a number, as with gdal_translate -ot Float32 -scale 0 63 0 25 {path.name} "
            "radiance.tif."
        )
    return _grey(known) if bytes_only else _radiance(dataset, band, known)


def _ends_at_63(dataset: rasterio.DatasetReader, band: int) -> bool:
    """Whether no pixel, of a sample of a large map, is above DMSP's greatest number."""
    shape = min(dataset.height, MOST_SAMPLED), min(dataset.width, MOST_SAMPLED)
    samples = dataset.read(band, out_shape=shape)
    return bool(samples[samples != dataset.nodatavals[band - 1]].max(initial=0) <= DMSP_TOP)


def _built(path: Path, tags: dict[str, str]) -> PixelCoding:
    if tags[FORMAT_TAG] != FORMAT:
        raise LightMapError(
            f"{path} was built by another version ({tags[FORMAT_TAG]!r}, this one reads "
            f"{FORMAT!r}): build it again with `regengine lights build`."
        )
    saturation = tags.get("SATURATION_CODE", "")
    return PixelCoding(
        kind="built",
        nodata=float(radiance.CODE_NODATA),
        product=tags.get("PRODUCT", ""),
        date=tags.get("DATE", ""),
        map_kind="display" if tags.get("KIND") == "display" else "radiance",
        saturation=float(saturation) * radiance.CODE_SCALE if saturation else None,
    )


def _grey(known: PixelCoding) -> PixelCoding:
    return replace(known, kind="grey", map_kind="display", saturation=radiance.display_saturation())


def _colour(dataset: rasterio.DatasetReader, known: PixelCoding) -> PixelCoding:
    has_alpha = dataset.colorinterp[-1] == ColorInterp.alpha
    bands = (1, 2, 3, 4) if has_alpha else (1, 2, 3)
    return replace(_grey(known), kind="colour", bands=bands, has_alpha=has_alpha)


def _radiance(dataset: rasterio.DatasetReader, band: int, known: PixelCoding) -> PixelCoding:
    nodata = known.nodata
    if nodata is None and dataset.dtypes[band - 1] == "uint16":
        nodata = 65535.0  # fill value of Black Marble, Collection 1
    if nodata is None and zeros_mean_no_data(dataset, band):
        nodata = 0.0
    return replace(
        known, nodata=nodata, scale=dataset.scales[band - 1], offset=dataset.offsets[band - 1]
    )


def chosen_band(dataset: rasterio.DatasetReader) -> int:
    """A band that is called radiance, else the first."""
    for number, description in enumerate(dataset.descriptions, start=1):
        if description and re.search(RADIANCE_BAND_PATTERN, description):
            return number
    return 1


def zeros_mean_no_data(dataset: rasterio.DatasetReader, band: int) -> bool:
    """Whether exact zeros lie outside of what a clip holds.

    Exports of a circle or a country leave 0 around it. In a composite that keeps its background an
    exact 0 hardly occurs inside, so: all other pixels are one patch, with hardly any zero in it.
    (Of a country's clip 99.99 % are in one patch; the lights of Paris, Tokyo or Los Angeles on a
    background of 0 leave 2 % in patches of their own.)
    """
    from scipy.ndimage import binary_fill_holes, label

    if dataset.width * dataset.height > MAX_CLIP_PIXELS:
        return False
    samples = dataset.read(band)
    if samples.dtype.kind != "f" or not np.isfinite(samples).all() or samples.min() < -1e30:
        return False
    other = samples != 0
    patches = label(other, np.ones((3, 3)))[0]
    if patches.max() == 0 or other.all():
        return False
    largest = patches == np.bincount(patches[other]).argmax()
    if np.count_nonzero(largest) < ONE_PATCH * np.count_nonzero(other):
        return False
    zeros_inside = np.count_nonzero(binary_fill_holes(largest) & ~other)
    return bool(zeros_inside < MAX_ZEROS_INSIDE * np.count_nonzero(largest))
