"""Read and write lens profiles as TOML files, with strict validation."""

from __future__ import annotations

import json
import logging
import math
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from detectors.constants import FOCAL_RANGE_MM
from matchers.geometry.sky_camera import LENS_PARAMETERS
from regengine.errors import ConfigError
from regengine.io.atomic import write_whole
from regengine.photo.camera_bodies import FULL_FRAME_MM
from regengine.photo.lens_profile import LensProfile

FORMAT, VERSION = "regengine lens profile", 1
CHANNELS = ("red", "green", "blue", "light")
_ABOUT = "# Camera and lens, calibrated on stars; docs/methods/lenses.md explains each value.\n"
_TABLES = ("falloff", "exposure", "channels")
_LARGEST_FILE = 1 << 20


def save_profile(profile: LensProfile, path: Path) -> None:
    """Write a profile atomically; ConfigError if that fails."""
    try:
        write_whole(path, profile_text(profile).encode())
    except OSError as error:
        raise ConfigError(
            f"{path}: the lens profile cannot be written ({error.strerror}): choose another place."
        ) from error


def profile_text(profile: LensProfile) -> str:
    """Format a profile as TOML; values of None are left out."""
    lines = [_ABOUT, f"format = {json.dumps(FORMAT)}", f"format_version = {VERSION}"]
    lines += _assignments(profile)
    for name in ("falloff", "exposure"):
        if getattr(profile, name) is not None:
            lines += ["", f"[{name}]", *_assignments(getattr(profile, name))]
    for channel in profile.channels:
        lines += ["", "[[channels]]", *_assignments(channel)]
    return "\n".join(lines) + "\n"


def load_profiles(paths: Iterable[Path]) -> tuple[LensProfile, ...]:
    """Read profile files, and folders of them (``*.toml``); ConfigError if a folder has none."""
    files: list[Path] = []
    for path in paths:
        inside = sorted(path.glob("*.toml")) if path.is_dir() else [path]
        if not inside:
            raise ConfigError(f"{path}: no lens profile (*.toml) in this folder.")
        files += inside
    return tuple(load_profile(file) for file in files)


def load_profile(path: Path) -> LensProfile:
    """Read a profile; unknown names are errors.

    A physically impossible falloff is left out with a warning.

    Raises ConfigError if the file cannot be read, is not a lens profile, or has invalid names or
    values.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(_LARGEST_FILE)
        content = tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path}: the lens profile cannot be read ({error.strerror}): check the path."
        ) from error
    except (ValueError, RecursionError) as error:  # not UTF-8, or not TOML
        raise ConfigError(
            f"{path} is not a lens profile: it is not valid TOML ({error})."
        ) from error
    if content.pop("format", None) != FORMAT:
        raise ConfigError(f"{path} is not a lens profile: make one with regengine lens fit.")
    if content.pop("format_version", None) != VERSION:
        raise ConfigError(
            f"{path} is a lens profile of a version other than {VERSION}: make it again with "
            "regengine lens fit."
        )
    try:
        profile: LensProfile = _read("the file", content, LensProfile)
        unknown = set(profile.free) - set(LENS_PARAMETERS)
        if unknown:
            raise ValueError(f"free names the unknown parameter {sorted(unknown)[0]!r}")
        # The same range as for a lens of this focal length on a full-frame camera
        low, high = (mm / FULL_FRAME_MM[0] for mm in FOCAL_RANGE_MM)
        if not low <= profile.focal_px / max(profile.width_px, profile.height_px) <= high:
            raise ValueError("focal_px is impossible for a picture of this size")
        _check_covariance("covariance", profile.covariance, len(LENS_PARAMETERS))
        if profile.falloff is not None:
            _check_covariance("falloff.covariance", profile.falloff.covariance, 3)
        if any(channel.channel not in CHANNELS for channel in profile.channels):
            raise ValueError(f"a channel is not one of {', '.join(CHANNELS)}")
    except ValueError as error:
        raise ConfigError(
            f"{path} is a damaged lens profile: {error}; make it again with regengine lens fit."
        ) from error
    why = "" if profile.falloff is None else profile.falloff.impossibility()
    if not why:
        return profile
    logging.getLogger("regengine").warning(
        "%s: %s: the falloff and the zero points that depend on it are ignored, the geometry is "
        "used; make the profile again with regengine lens fit.",
        path,
        why,
    )
    return replace(profile, falloff=None, channels=())


def _read(where: str, table: Any, kind: type) -> Any:
    """Build a dataclass from a table that must have exactly its names."""
    if not isinstance(table, dict):
        raise ValueError(f"{where} is not a table")
    types = get_type_hints(kind)
    unknown = table.keys() - types.keys()
    if unknown:
        raise ValueError(f"{where} has the unknown value {sorted(unknown)[0]!r}")
    values = {}
    for one in fields(kind):
        if one.name in table:
            values[one.name] = _value(one.name, table[one.name], types[one.name], one.metadata)
        elif NoneType in get_args(types[one.name]):
            values[one.name] = None
        elif one.default is MISSING:
            raise ValueError(f"{where} lacks {one.name}")
    return kind(**values)


def _value(name: str, value: Any, kind: Any, limits: Mapping[str, float]) -> Any:
    """Convert a value to an annotated type; ValueError if it is invalid or out of range."""
    if NoneType in get_args(kind):
        (kind,) = (one for one in get_args(kind) if one is not NoneType)
    if isinstance(kind, type) and is_dataclass(kind):
        return _read(name, value, kind)
    if get_origin(kind) is tuple:
        kinds = get_args(kind)
        if not isinstance(value, list):
            raise ValueError(f"{name} is not a list" + " of tables" * is_dataclass(kinds[0]))
        if kinds[-1] is Ellipsis:
            kinds = (kinds[0],) * len(value)
        if len(kinds) != len(value):
            raise ValueError(f"{name} is not a list of {len(kinds)} numbers")
        pairs = zip(value, kinds, strict=True)
        return tuple(_value(f"{name}[{k}]", *pair, {}) for k, pair in enumerate(pairs))
    if kind is str:
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"{name} is not a text")
        return value
    if kind is int:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} is not a whole number above zero")
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not abs(value) <= sys.float_info.max:
        raise ValueError(f"{name} is not a finite number")
    if value <= limits.get("above", -math.inf):
        raise ValueError(f"{name} is not above zero")
    least, most = limits.get("min", -math.inf), limits.get("max", math.inf)
    if not least <= value <= most:
        raise ValueError(
            f"{name} is not from {least:g} to {most:g}"
            if most < math.inf
            else f"{name} is below {least:g}"
        )
    return float(value)


def _check_covariance(name: str, matrix: tuple[tuple[float, ...], ...], size: int) -> None:
    if [len(row) for row in matrix] != [size] * size:
        raise ValueError(f"{name} is not a matrix of {size} x {size} numbers")
    values = np.array(matrix)
    scale = np.sqrt(np.maximum(np.diag(values), 0.0))
    scale = np.where(scale > 0.0, scale, 1.0)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        scaled = values / np.outer(scale, scale)
    if (
        not np.isfinite(scaled).all()
        or not np.allclose(scaled, scaled.T, atol=1e-6)
        or np.linalg.eigvalsh(scaled).min() < -1e-6
    ):
        raise ValueError(f"{name} is not a covariance matrix")


def _assignments(part: Any) -> list[str]:
    """Format a dataclass as lines ``name = value``, without its tables."""
    pairs = ((f.name, getattr(part, f.name)) for f in fields(part) if f.name not in _TABLES)
    return [f"{name} = {_toml(value)}" for name, value in pairs if value is not None]


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        if value and isinstance(value[0], tuple):
            return "[\n" + "".join(f"    {_toml(row)},\n" for row in value) + "]"
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, str):
        # A JSON string is a basic string of TOML, except for unprintable characters
        printable = "".join(c for c in value if c.isprintable())
        return json.dumps(printable, ensure_ascii=False)
    return repr(int(value) if isinstance(value, int) else float(value))
