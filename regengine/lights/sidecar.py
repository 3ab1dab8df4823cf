"""What a user says of a map beside it: ``NAME.toml`` next to ``NAME.tif``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from regengine.errors import ConfigError, LightMapError


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """Statements about a map that its file does not make.

    Attributes
    ----------
    product, date : str
        Name and date; "" leaves what the file or its name says.
    classes : tuple of (int, float)
        Radiance, nW cm^-2 sr^-1, of each class code, for maps of classes.
    nodata : float or None
        Value that means "no data".
    band : int or None
        Band to read, counted from 1.
    """

    product: str = ""
    date: str = ""
    classes: tuple[tuple[int, float], ...] = ()
    nodata: float | None = None
    band: int | None = None


def sidecar_path(path: Path) -> Path:
    """Where the sidecar of a map lies: the same name, ending in ``.toml``."""
    return path.with_suffix(".toml")


def read_sidecar(path: Path) -> Sidecar:
    """Read the sidecar of a map; an empty one where there is none.

    Parameters
    ----------
    path : Path
        The map.

    Raises
    ------
    LightMapError
        The sidecar is not TOML or holds what it may not.
    """
    beside = sidecar_path(path)
    if not beside.is_file():
        return Sidecar()
    try:
        with beside.open("rb") as file:
            said = tomllib.load(file)
        known = {"product", "date", "classes", "nodata", "band"}
        if set(said) - known:
            raise ValueError(f"unknown key {min(set(said) - known)!r}")
        return Sidecar(
            product=str(said.get("product", "")),
            date=str(said.get("date", "")),
            classes=checked_classes(said.get("classes", {})),
            nodata=float(said["nodata"]) if "nodata" in said else None,
            band=int(said["band"]) if "band" in said else None,
        )
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise LightMapError(
            f"{beside} does not describe a map ({error}): it may hold product, date, nodata, band "
            "and a [classes] table such as 5 = 1.4."
        ) from error


def checked_classes(said: Mapping[str, object]) -> tuple[tuple[int, float], ...]:
    """Classes as sorted (code, radiance) pairs.

    Raises
    ------
    ValueError
        A code is outside 0..255 or a radiance is negative or no number.
    """
    pairs = tuple(sorted((int(code), float(str(value))) for code, value in said.items()))
    for code, radiance_nw in pairs:
        if not (0 <= code <= 255 and 0.0 <= radiance_nw < float("inf")):
            raise ValueError(f"class {code} = {radiance_nw}")
    return pairs


def parse_classes(text: str) -> dict[int, float]:
    """Read ``5=1.4,6=2.7`` as given on the command line.

    Raises
    ------
    ConfigError
        The text is not of that form.
    """
    try:
        items = [item.split("=") for item in text.split(",")]
        return dict(checked_classes(dict(items)))
    except ValueError as error:
        raise ConfigError(
            f"classes {text!r} make no sense ({error}): write code=radiance pairs such as "
            "5=1.4,6=2.7 with codes 0 to 255 and radiances in nW/cm²/sr."
        ) from error
