"""Lightning pulses of orbital instruments, and functions to read their netCDF files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from detectors.constants import DAY_S
from detectors.types import Columns, FloatArray
from regengine.errors import LightningError, RegengineError
from regengine.io.hdf5 import open_hdf5
from regengine.io.times import iso_utc, parse_iso_time
from regengine.orbit.rotation import days_since_j2000, utc_of

CLOUD_HEIGHT_KM = 13.5  # of cloud tops: NASA's for the pictures of ISS-LIS
# Conversion to seconds and square kilometres from the units of such files
TIME_UNITS = {"seconds": 1.0, "milliseconds": 1e-3, "microseconds": 1e-6}
AREA_UNITS = {"km2": 1.0, "m2": 1e-6}


@dataclass(frozen=True, kw_only=True)
class Pulses(Columns):
    """Pulses of lightning, which GLM and ISS-LIS call groups: one row each.

    Attributes
    ----------
    time_s : ndarray of float64, shape (n,)
        Time of emission at the cloud, seconds of UTC since 2000-01-01 12:00.
    position_ecef_m : ndarray of float64, shape (n, 3)
        Position at the height of the cloud tops, metres.
    area_km2 : ndarray of float64, shape (n,)
        Illuminated cloud area.
    flash : ndarray of int64, shape (n,)
        Number of its flash; only those of one file can be compared.
    """

    time_s: FloatArray
    position_ecef_m: FloatArray
    area_km2: FloatArray
    flash: np.typing.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class PulseSeries:
    """Pulses of one or several files, in order of time, and the instrument's coverage.

    ``spans_s``, shape (n, 2), are the time spans of the files; a place stays in view for
    ``view_s``; ``doubts`` are warnings to report.
    """

    instrument: str  # "GLM" or "ISS-LIS"
    pulses: Pulses
    spans_s: FloatArray
    view_s: float = np.inf
    doubts: tuple[str, ...] = ()

    @property
    def first_and_last(self) -> str:
        """Start and end of the files, as text."""
        ends = (self.spans_s[0, 0], self.spans_s[:, 1].max())
        return " to ".join(stamp(end, "seconds") for end in ends)


def join_series(parts: list[PulseSeries]) -> PulseSeries:
    """Join series of one instrument; a file that was given twice counts once."""
    by_content = {(part.spans_s.tobytes(), part.pulses.time_s.tobytes()): part for part in parts}
    kept = sorted(by_content.values(), key=lambda part: part.spans_s[0, 0])
    pulses = Pulses.joined([part.pulses for part in kept])
    return PulseSeries(
        instrument=kept[0].instrument,
        pulses=pulses.select(np.argsort(pulses.time_s, kind="stable")),
        spans_s=np.concatenate([part.spans_s for part in kept]),
        view_s=kept[0].view_s,
        doubts=tuple(doubt for part in kept for doubt in part.doubts),
    )


def seconds_since_j2000(time_utc: datetime) -> float:
    """Seconds of UTC since 2000-01-01 12:00; a naive time is UTC."""
    return days_since_j2000(time_utc) * DAY_S


def stamp(time_s: float, timespec: str = "milliseconds") -> str:
    """Format seconds since 2000-01-01 12:00 as in records."""
    return iso_utc(utc_of(time_s / DAY_S), timespec)


@contextmanager
def open_netcdf(path: Path, kind: str) -> Iterator[h5py.File]:
    """Open a netCDF-4 file; LightningError if it is truncated, damaged or of another kind."""
    if not path.is_file():
        raise LightningError(f"{path} does not exist; give files of {kind}.")
    try:
        with open_hdf5(path, LightningError) as file:
            yield file
    except RegengineError:
        raise
    except KeyError as error:
        name = str(error.args[0]).split("'")
        what = name[1] if len(name) > 2 else str(error)
        raise LightningError(f"{path} is not a file of {kind}: it has no {what}.") from error
    except (OSError, RuntimeError, ValueError) as error:
        raise LightningError(
            f"{path} is truncated, damaged, or not a netCDF-4 file: get it again ({error})."
        ) from error


def read_variable(file: h5py.File, name: str) -> FloatArray:
    """Values of a variable by the CF conventions; NaN where missing.

    ``_Unsigned`` means that unsigned integers, including their fill value, are stored in a signed
    type; that is converted first, then scale and offset are applied.
    """
    variable = file[name]
    told = {key: np.ravel(variable.attrs[key]) for key in variable.attrs}
    raw = np.asarray(variable[...])
    unsigned = as_text(variable.attrs.get("_Unsigned", "")).strip().lower() in ("true", "1")
    type_ = np.dtype(raw.dtype.str.replace("i", "u")) if unsigned else raw.dtype
    raw = raw.view(type_)
    values = raw.astype(np.float64)
    if "_FillValue" in told:
        values[raw == told["_FillValue"].astype(variable.dtype).view(type_)[0]] = np.nan
    scale, offset = (
        float(told[key][0]) if key in told else default
        for key, default in (("scale_factor", 1.0), ("add_offset", 0.0))
    )
    return np.asarray(values * scale + offset)


def read_times(file: h5py.File, name: str) -> FloatArray:
    """Times in a variable's units, as seconds of its time scale since 2000-01-01 12:00."""
    unit, _, since = as_text(file[name].attrs["units"]).partition(" since ")
    start = parse_iso_time(since)
    if unit not in TIME_UNITS or start is None:
        raise LightningError(f"{file.filename}: the units of {name} are not those of a time.")
    return seconds_since_j2000(start) + TIME_UNITS[unit] * read_variable(file, name)


def read_areas(file: h5py.File, name: str) -> FloatArray:
    """Areas in a variable's units, as square kilometres."""
    unit = as_text(file[name].attrs["units"])
    if unit not in AREA_UNITS:
        raise LightningError(f"{file.filename}: the units of {name} are not those of an area.")
    return AREA_UNITS[unit] * read_variable(file, name)


def as_text(value: Any) -> str:
    """An attribute's text, which may be bytes or an array of one element."""
    first = np.ravel(value)[0]
    return first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)
