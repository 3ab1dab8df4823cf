"""Extract local features of a day map or a region of it, and store them in a file next to it."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.constants import KM_PER_DEGREE
from detectors.types import FloatArray
from matchers.geometry.earth import geodetic_to_ecef
from matchers.geometry.footprint import Bounds
from regengine.errors import ConfigError, LightMapError, StoreError
from regengine.io.atomic import raise_as_store_error, write_whole
from regengine.io.checksums import fingerprint
from regengine.io.folders import cache_folder, make_folder
from regengine.io.gdal import raise_read_failures
from regengine.maps.at_hand import FOLDER
from regengine.maps.opening import SEA, DayMap
from regengine.maps.reference import Reference
from regengine.registration.day.parameters import FeatureParams
from regengine.registration.day.propose_from_features import Features, find_features, split_bands

VERSION = 2  # of the files
UNIT = 255.0  # scale of descriptors, which are stored as bytes
FARTHEST_DEG = 85.0  # limit of latitude: Mercator's pole is infinitely far
# A scene of Sentinel-2 has 1.2e8 pixels, whose features take 0.3 GB of memory and some minutes
MAX_KEPT_PIXELS = 2e8
COLUMNS = {"places": (2,), "sizes": (), "turns": (), "bands": (), "described": (128,)}
# Parameters that affect the features of a map
OF_MAPS = ("clip_limit", "contrast", "map_density", "block_px", "block_rim_px")


@dataclass(frozen=True, kw_only=True, eq=False)
class MapFeatures:
    """Features of grey and red of a map in Mercator's projection, which is conformal.

    Attributes
    ----------
    west, top : float
        Longitude and Mercator's ordinate (degrees on a sphere of radius 1) of its first pixel.
    step_deg : float
        Of both, a pixel.
    columns : dict
        ``places`` (n, 2) in pixels, ``sizes``, ``turns``, ``bands`` (n,), ``described`` (n, 128).
    """

    west: float
    top: float
    step_deg: float
    columns: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.columns["sizes"])

    def ground(self, places: FloatArray) -> FloatArray:
        """Convert pixels to ground points (ECEF, metres), shape (n, 3)."""
        lon = self.west + self.step_deg * places[:, 0]
        return geodetic_to_ecef(lon, _latitude(self.top - self.step_deg * places[:, 1]))

    def within(self, bounds: Bounds) -> tuple[Features, Features]:
        """Select the features of grey and of red in a part of the map."""
        west, south, east, north = bounds
        x, y = self.columns["places"].T
        left, right = ((lon - self.west) / self.step_deg for lon in (west, east))
        high, low = ((self.top - _ordinate(lat)) / self.step_deg for lat in (north, south))
        inside = (x >= left) & (x < right) & (y >= high) & (y < low)
        grey, red = (
            {
                name: values[inside & (self.columns["bands"] == band)]
                for name, values in self.columns.items()
            }
            for band in (0, 1)
        )
        return _features(grey), _features(red)

    def pixel_km(self, y: FloatArray) -> FloatArray:
        """Side of a pixel on the ground, in kilometres."""
        shrink = np.cos(np.radians(_latitude(self.top - self.step_deg * y)))
        return np.asarray(self.step_deg * KM_PER_DEGREE * shrink)

    def cells(self, side_px: int) -> Iterator[tuple[Features, ...]]:
        """Iterate over squares of the map, with the features of grey and red in each."""
        col, row = (self.columns["places"] // side_px).astype(int).T
        cell = 2 * (row * (int(col.max(initial=0)) + 1) + col) + self.columns["bands"]
        order = np.argsort(cell, kind="stable")
        numbers, starts = np.unique(cell[order], return_index=True)
        parts = dict(zip(numbers.tolist(), np.split(order, starts[1:]), strict=True))
        nothing = np.zeros(0, np.intp)
        for number in sorted({2 * (one // 2) for one in parts}):
            yield tuple(
                _features(
                    {
                        name: values[parts.get(number + band, nothing)]
                        for name, values in self.columns.items()
                    }
                )
                for band in (0, 1)
            )


def _features(columns: dict[str, NDArray[Any]]) -> Features:
    described = columns["described"].astype(np.float32)
    described /= np.maximum(np.linalg.norm(described, axis=1, keepdims=True), 1e-9)
    return Features(
        places=columns["places"].astype(float),
        sizes=columns["sizes"].astype(float),
        turns=columns["turns"].astype(float),
        described=described,
    )


def make_features(
    reference: Reference, sample_km: float, params: FeatureParams, part: Bounds | None = None
) -> MapFeatures:
    """Load the features of a map at about a pixel size, or extract them if they are not stored.

    Features of a map that is too large to store are extracted only for `part`, if it is given.
    """
    grid = reference.grid
    ratio = sample_km / (grid.step_deg * KM_PER_DEGREE)
    octave = max(0, round(float(np.log2(max(ratio, 1.0)))))
    if part is not None and grid.cols * grid.rows / 4**octave > MAX_KEPT_PIXELS:
        day_map = DayMap([reference])
        return find_map_features(day_map, part, grid.step_deg * 2**octave, params)
    return _load(reference, reference.version, octave, params)


@lru_cache(maxsize=16)
def _load(reference: Reference, version: object, octave: int, params: FeatureParams) -> MapFeatures:
    """Load features from the file next to the map or in the cache, or extract and store them."""
    # Checksum of everything that features depend on: the map file, its grid, the parameters
    with raise_read_failures(reference.path):
        file = fingerprint(reference.path)
    ways = [SEA, *((name, getattr(params, name)) for name in OF_MAPS)]
    grid = reference.grid
    told = (VERSION, octave, file, reference.content_sha256, *grid.bounds, grid.step_deg, ways)
    known = hashlib.sha256(repr(told).encode()).hexdigest()
    beside = reference.path.with_name(f"{reference.path.name}.{octave}.features")
    in_cache = cache_folder() / "day" / f"{known[:32]}.features"
    for path in (beside, in_cache):
        if (kept := _read(path, known)) is not None:
            return kept
    logger = logging.getLogger("regengine")
    step_deg = reference.grid.step_deg * 2**octave
    at = f"{reference.path.name} at {step_deg * KM_PER_DEGREE:.3g} km"
    logger.info("extracting features at %s a pixel, once for all photos", at)
    found = find_map_features(DayMap([reference]), reference.grid.bounds, step_deg, params)
    # Not into the installed package; elsewhere respect the mode even as root
    writable = beside.parent != FOLDER and beside.parent.stat().st_mode & 0o222
    for path in (beside, in_cache) if writable else (in_cache,):
        try:
            if path is in_cache:
                make_folder(path.parent, variable="REGENGINE_CACHE")
            with raise_as_store_error(path):
                corner = (found.west, found.top, found.step_deg)
                arrays: dict[str, Any] = {"map": known, "grid": corner, **found.columns}
                content = BytesIO()
                np.savez(content, **arrays)
                write_whole(path, content.getvalue())
        except (ConfigError, StoreError) as error:
            refused = error
            continue
        logger.info("%s features at %s a pixel are cached in %s", f"{len(found):,}", at, path)
        return found
    logger.warning("map features are not cached: %s", refused)
    return found


def find_map_features(
    day_map: DayMap, bounds: Bounds, source_deg: float, params: FeatureParams
) -> MapFeatures:
    """Extract features of a region of a map, block by block, at the given pixel size."""
    west, south, east, north = bounds
    south, north = max(south, -FARTHEST_DEG), min(north, FARTHEST_DEG)
    # The pixel size equals that of the map at the middle latitude
    shrink = float(np.cos(np.radians(0.5 * (south + north))))
    step_deg, top = source_deg / np.sqrt(shrink), _ordinate(north)
    cols, rows = (int(each / step_deg) for each in (east - west, top - _ordinate(south)))
    found: dict[str, list[NDArray[Any]]] = {name: [] for name in COLUMNS}
    core, rim = params.block_px, params.block_rim_px
    for row in range(0, rows, core):
        for col in range(0, cols, core):
            x0, y0 = max(col - rim, 0), max(row - rim, 0)
            x1, y1 = min(col + core + rim, cols), min(row + core + rim, rows)
            lon = west + step_deg * np.arange(x0, x1)
            lat = _latitude(top - step_deg * np.arange(y0, y1))
            block = float(lon[0]), float(lat[-1]), float(lon[-1]), float(lat[0])
            try:
                grid = day_map.bands(*block, source_deg)
            except LightMapError as error:
                if error.code != "outside_map":
                    raise
                continue
            x, y = (
                np.asarray(each / grid.step_deg, np.float32)
                for each in np.meshgrid(lon - grid.lon0_deg, grid.lat0_deg - lat)
            )
            bands = grid.values.reshape(-1, *grid.values.shape[-2:])
            drawn = np.stack([cv2.remap(one, x, y, cv2.INTER_LINEAR) for one in bands], axis=-1)
            picture = np.asarray(np.clip(drawn, 0.0, 255.0), np.uint8)
            known = None
            if grid.valid is not None:
                valid = cv2.remap(grid.valid.astype(np.float32), x, y, cv2.INTER_LINEAR)
                known = np.asarray(valid > 0.99)
            most = round(params.map_density * x.size)
            for band, one in enumerate(split_bands(picture)):
                features = find_features(one, known, most, params)
                at = features.places + np.array([x0, y0])
                inside = (at >= [col, row]).all(axis=1) & (at < [col + core, row + core]).all(
                    axis=1
                )
                found["places"].append(at[inside].astype(np.float32))
                found["sizes"].append(features.sizes[inside].astype(np.float32))
                found["turns"].append(features.turns[inside].astype(np.float32))
                found["bands"].append(np.full(int(inside.sum()), band, np.uint8))
                described = np.rint(UNIT * features.described[inside])
                found["described"].append(described.astype(np.uint8))
    columns = {
        name: np.concatenate(parts) if parts else np.zeros((0, *COLUMNS[name]), np.uint8)
        for name, parts in found.items()
    }
    return MapFeatures(west=west, top=top, step_deg=step_deg, columns=columns)


def _read(path: Path, known: str) -> MapFeatures | None:
    """Read the features in a file; None if it is missing, damaged or of another map."""
    try:
        with path.open("rb") as stream, np.load(stream) as file:
            if file["map"] != known:
                return None
            west, top, step_deg = file["grid"].tolist()
            columns = {name: file[name] for name in COLUMNS}
    except (OSError, LookupError, ValueError, TypeError, AttributeError, BadZipFile, EOFError):
        return None
    n = len(columns["sizes"])
    if any(columns[name].shape != (n, *more) for name, more in COLUMNS.items()):
        return None
    return MapFeatures(west=west, top=top, step_deg=step_deg, columns=columns)


def _ordinate(lat_deg: float) -> float:
    return float(np.degrees(np.arctanh(np.sin(np.radians(lat_deg)))))


def _latitude(ordinate_deg: FloatArray) -> FloatArray:
    return np.asarray(np.degrees(np.arcsin(np.tanh(np.radians(ordinate_deg)))))
