"""Lens profiles as TOML files: written whole, read strictly."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from matchers.lens_stars import LENS_PARAMETERS
from regengine.errors import ConfigError
from regengine.io.atomic import write_whole
from regengine.photo.lens_profile import ChannelPhotometry, Exposure, Falloff, LensProfile

FORMAT, VERSION = "regengine lens profile", 1
CHANNELS = ("red", "green", "blue", "light")
_ABOUT = "# A camera with a lens, calibrated on stars; docs/methods/lenses.md tells each value.\n"
_TABLES = ("falloff", "exposure", "channels")
_LARGEST_FILE = 1 << 20


def save_profile(profile: LensProfile, path: Path) -> None:
    """Write a profile, whole or not at all; ConfigError if that cannot be done."""
    try:
        write_whole(path, profile_text(profile).encode())
    except OSError as error:
        raise ConfigError(
            f"{path}: the lens profile cannot be written ({error.strerror}): name another place."
        ) from error


def profile_text(profile: LensProfile) -> str:
    """A profile as TOML; what is None is left out."""
    lines = [_ABOUT, f"format = {json.dumps(FORMAT)}", f"format_version = {VERSION}"]
    lines += _assignments(profile)
    for name in ("falloff", "exposure"):
        if getattr(profile, name) is not None:
            lines += ["", f"[{name}]", *_assignments(getattr(profile, name))]
    for channel in profile.channels:
        lines += ["", "[[channels]]", *_assignments(channel)]
    return "\n".join(lines) + "\n"


def load_profiles(paths: Iterable[Path]) -> tuple[LensProfile, ...]:
    """Read profiles, and those in folders (``*.toml``); ConfigError also if a folder holds none."""
    files: list[Path] = []
    for path in paths:
        inside = sorted(path.glob("*.toml")) if path.is_dir() else [path]
        if not inside:
            raise ConfigError(f"{path}: no lens profile (*.toml) is in this folder.")
        files += inside
    return tuple(load_profile(file) for file in files)


def load_profile(path: Path) -> LensProfile:
    """Read a profile; anything that does not belong into it is an error.

    ConfigError if the file cannot be read, is no lens profile, or has names or values that make no
    sense.
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
        raise ConfigError(f"{path} is no lens profile: it is not valid TOML ({error}).") from error
    if content.pop("format", None) != FORMAT:
        raise ConfigError(f"{path} is no lens profile: make one with regengine lens fit.")
    if content.pop("format_version", None) != VERSION:
        raise ConfigError(
            f"{path} is a lens profile of another version than {VERSION}: make it anew with "
            "regengine lens fit."
        )
    try:
        return _profile(content)
    except ValueError as error:
        raise ConfigError(
            f"{path} is a damaged lens profile: {error}; make it anew with regengine lens fit."
        ) from error


def _profile(content: dict[str, Any]) -> LensProfile:
    """A profile out of the file's tables; ValueError tells what is wrong."""
    channels = content.pop("channels", [])
    if not isinstance(channels, list):
        raise ValueError("channels is no list of tables")
    tables = {
        "falloff": _table("falloff", content, Falloff),
        "exposure": _table("exposure", content, Exposure),
        "channels": tuple(
            _read(f"channels[{k}]", c, ChannelPhotometry) for k, c in enumerate(channels)
        ),
    }
    profile: LensProfile = _read("the file", content, LensProfile, tables)
    unknown = set(profile.free) - set(LENS_PARAMETERS)
    if unknown:
        raise ValueError(f"free has no parameter {sorted(unknown)[0]!r}")
    _covariance("covariance", profile.covariance, len(LENS_PARAMETERS))
    if profile.falloff is not None:
        _covariance("falloff.covariance", profile.falloff.covariance, 3)
    if any(channel.channel not in CHANNELS for channel in profile.channels):
        raise ValueError(f"a channel is none of {', '.join(CHANNELS)}")
    return profile


def _table(name: str, content: dict[str, Any], kind: type) -> Any:
    return _read(name, content.pop(name), kind) if name in content else None


def _read(where: str, table: Any, kind: type, given: Mapping[str, Any] = {}) -> Any:
    """A dataclass out of a table with exactly its names."""
    if not isinstance(table, dict):
        raise ValueError(f"{where} is no table")
    checks = _CHECKS[kind]
    unknown = table.keys() - checks.keys()
    if unknown:
        raise ValueError(f"{where} has a value {sorted(unknown)[0]!r} that means nothing")
    values = dict(given)
    for name, check in checks.items():
        if name in table:
            values[name] = check(name, table[name])
        elif name in _OPTIONAL:
            values[name] = None
        else:
            raise ValueError(f"{where} lacks {name}")
    return kind(**values)


_Check = Callable[[str, Any], Any]


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} is no text")
    return value


def _number(name: str, value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not abs(value) <= sys.float_info.max:
        raise ValueError(f"{name} is no finite number")
    return float(value)


def _positive(name: str, value: Any) -> float:
    if _number(name, value) <= 0.0:
        raise ValueError(f"{name} is not above zero")
    return float(value)


def _not_negative(name: str, value: Any) -> float:
    if _number(name, value) < 0.0:
        raise ValueError(f"{name} is below zero")
    return float(value)


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} is no whole number above zero")
    return int(value)


def _several(count: int) -> _Check:
    def check(name: str, value: Any) -> tuple[float, ...]:
        if not isinstance(value, list) or len(value) != count:
            raise ValueError(f"{name} is no list of {count} numbers")
        return tuple(_number(name, item) for item in value)

    return check


def _matrix(size: int) -> _Check:
    def check(name: str, value: Any) -> tuple[tuple[float, ...], ...]:
        if not isinstance(value, list) or len(value) != size:
            raise ValueError(f"{name} has not {size} rows")
        return tuple(_several(size)(name, row) for row in value)

    return check


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{name} is no list of texts")
    return tuple(_text(name, item) for item in value)


def _covariance(name: str, matrix: tuple[tuple[float, ...], ...], size: int) -> None:
    values = np.array(matrix).reshape(size, size)
    scale = np.sqrt(np.maximum(np.diag(values), 0.0))
    scale = np.where(scale > 0.0, scale, 1.0)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        scaled = values / np.outer(scale, scale)
    if (
        not np.isfinite(scaled).all()
        or not np.allclose(scaled, scaled.T, atol=1e-6)
        or np.linalg.eigvalsh(scaled).min() < -1e-6
    ):
        raise ValueError(f"{name} is no covariance matrix")


_OPTIONAL = ("camera", "lens", "focal_mm", "held_out_px", "exposure_s", "aperture_f", "iso")
_CHECKS: dict[type, dict[str, _Check]] = {
    LensProfile: {
        "camera": _text,
        "lens": _text,
        "focal_mm": _positive,
        "width_px": _count,
        "height_px": _count,
        "focal_px": _positive,
        "principal_point": _several(2),
        "distortion": _several(5),
        "free": _texts,
        "covariance": _matrix(len(LENS_PARAMETERS)),
        "stars": _count,
        "frames": _count,
        "rms_px": _positive,
        "held_out_px": _positive,
        "catalogue": _text,
        "catalogue_epoch": _positive,
        "made_with": _text,
        "made_at": _text,
    },
    Falloff: {
        "coefficients": _several(3),
        "covariance": _matrix(3),
        "frames": _count,
        "reach": _positive,
    },
    Exposure: {
        "exposure_s": _positive,
        "aperture_f": _positive,
        "iso": _positive,
        "limiting_mag": _number,
        "limiting_scatter_mag": _not_negative,
    },
    ChannelPhotometry: {
        "channel": _text,
        "zero_point_mag": _number,
        "zero_point_sigma": _not_negative,
        "colour_term": _number,
        "colour_term_sigma": _not_negative,
        "scatter_mag": _not_negative,
        "stars": _count,
    },
}


def _assignments(part: Any) -> list[str]:
    """Lines ``name = value`` of a dataclass, without its tables."""
    pairs = ((f.name, getattr(part, f.name)) for f in fields(part) if f.name not in _TABLES)
    return [f"{name} = {_toml(value)}" for name, value in pairs if value is not None]


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        if value and isinstance(value[0], tuple):
            return "[\n" + "".join(f"    {_toml(row)},\n" for row in value) + "]"
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, str):
        # A JSON text is a basic string of TOML, but for what cannot be printed
        printable = "".join(c for c in value if c.isprintable())
        return json.dumps(printable, ensure_ascii=False)
    return repr(int(value) if isinstance(value, int) else float(value))
