"""The file of an index of the Earth: written whole, mapped into memory, checked before use."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from matchers.asterism_figures import Figures
from matchers.asterisms import AsterismIndex
from matchers.code_table import CodeTable
from matchers.polar_patches import PatchTable
from regengine.blind.earth_index import (
    EarthIndex,
    codes_of,
    figure_parameters,
    index_of_parts,
)
from regengine.errors import ConfigError
from regengine.fingerprint import fingerprint
from regengine.store.atomic import replacing

FORMAT = "regengine earth index"
FORMAT_VERSION = 3
AGAIN = "make it anew with regengine lights index"
COLUMNS = (
    "vectors",
    "brightness",
    "members",
    "lengths",
    "azimuths",
    "codes",
    "keys",
    "low",
    "cells",
)


def check_out(out: Path, force: bool) -> None:
    """See to it, before the map is read, that an index can be written.

    Raises
    ------
    ConfigError
        If there is a file that is not to be replaced, or no folder to write to.
    """
    if out.exists() and not force:
        raise ConfigError(f"{out} exists already: give another name, or --force to replace it.")
    folder = out.absolute().parent
    if out.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(
            f"{out} cannot be written: name a file in a folder that exists and that you may write "
            "to."
        )


def write_earth_index(index: EarthIndex, maps: Sequence[Path], out: Path) -> None:
    """Write an index; the file appears only when it is complete.

    Parameters
    ----------
    index : EarthIndex
        Of `regengine.blind.earth_index.build_earth_index`.
    maps : sequence of Path
        The night-light maps that it was made of.
    out : Path
        The HDF5 file to make, or to replace.

    Raises
    ------
    ConfigError
        If the map has no figures of towns, or the file cannot be written.
    """
    if not any(len(level.figures) for level in index.levels.values()):
        raise ConfigError(
            f"{', '.join(path.name for path in maps)}: too few towns for an index: give a "
            "map of a larger region."
        )
    try:
        with replacing(out) as raw, h5py.File(raw, "w", libver="v110") as file:
            file.attrs["format"] = FORMAT
            file.attrs["format_version"] = FORMAT_VERSION
            file.attrs["engine_version"] = version("regengine")
            file.attrs["maps"] = [path.name for path in maps]
            file.attrs["map_fingerprints"] = [fingerprint(path) for path in maps]
            for number, (pixel_km, level) in enumerate(sorted(index.levels.items())):
                group = file.create_group(f"level_{number}")
                group.attrs["pixel_km"] = pixel_km
                columns = columns_of(level) | patches_of(index.patches[pixel_km])
                for name, values in columns.items():
                    group.create_dataset(name, data=values).attrs["sha256"] = digest(values)
    except OSError as error:
        raise ConfigError(
            f"{out} cannot be written ({error.strerror or error}): name a place that exists and "
            "has room."
        ) from error


def columns_of(level: AsterismIndex) -> dict[str, NDArray[Any]]:
    """What a file holds of one level, as plain arrays; figures in the order of the table."""
    table = level.code_table
    none = np.zeros((0, 5))
    return {
        "vectors": level.vectors,
        "brightness": level.brightness.astype(np.float32),
        "members": level.figures.members.astype(np.int32),
        "lengths": level.figures.codes[:, -1].astype(np.float32),
        "azimuths": level.azimuths_rad.astype(np.float32),
        "codes": (none if table is None else codes_of(level)).astype(np.float32),
        "keys": np.zeros(0) if table is None else table.keys,
        "low": np.zeros(0) if table is None else table.low,
        "cells": np.zeros(0, np.int64) if table is None else np.array(table.cells),
    }


def patches_of(table: PatchTable) -> dict[str, NDArray[Any]]:
    """What a file holds of a level's patches."""
    return {"patches": table.coefficients, "patch_weights": table.weights}


def read_earth_index(path: Path, maps: Sequence[Path]) -> EarthIndex:
    """Read an index that was made of these maps.

    Parameters
    ----------
    path : Path
        Of `write_earth_index`.
    maps : sequence of Path
        The night-light maps at hand.

    Returns
    -------
    EarthIndex
        Its large arrays are mapped: only what is looked at is read, and processes share it.

    Raises
    ------
    ConfigError
        If there is no such file, it is no index or of another version, it is damaged, or was made
        of other maps.
    """
    try:
        with h5py.File(path, "r") as file:
            check(path, file, maps)
            groups = [file[name] for name in sorted(file)]
            return EarthIndex(
                levels={float(group.attrs["pixel_km"]): level_of(path, group) for group in groups},
                patches={float(group.attrs["pixel_km"]): table_of(path, group) for group in groups},
            )
    except ConfigError:
        raise
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: there is no such index: {AGAIN}.") from error
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise ConfigError(f"{path}: this is no index, or it is damaged: {AGAIN}.") from error


def check(path: Path, file: h5py.File, maps: Sequence[Path]) -> None:
    """Refuse what is no index, and one of another version or of other maps."""
    if file.attrs.get("format") != FORMAT:
        raise ConfigError(f"{path}: this is no index of the Earth's lights: {AGAIN}.")
    if int(file.attrs["format_version"]) != FORMAT_VERSION:
        raise ConfigError(
            f"{path}: this index has format {file.attrs['format_version']}, this program reads "
            f"{FORMAT_VERSION}: {AGAIN}."
        )
    if list(file.attrs["map_fingerprints"]) != [fingerprint(map_path) for map_path in maps]:
        names = ", ".join(str(name) for name in file.attrs["maps"])
        raise ConfigError(
            f"{path}: this index was made of {names}, which is not what --lights names: give that "
            f"map, or {AGAIN}."
        )


def level_of(path: Path, group: h5py.Group) -> AsterismIndex:
    """One level of an index, its arrays mapped and checked."""
    arrays = {name: mapped(path, group[name]) for name in COLUMNS}
    figures = len(arrays["members"])
    if len(arrays["keys"]) != figures or len(arrays["codes"]) != figures:
        raise ValueError("the figures are not all there")
    table = None
    if figures:
        table = CodeTable(
            codes=arrays["codes"],
            origin=None,
            keys=arrays["keys"],
            low=np.array(arrays["low"]),
            cells=tuple(int(count) for count in arrays["cells"]),
        )
    return index_of_parts(
        np.array(arrays["vectors"]),
        np.array(arrays["brightness"], float),
        Figures(
            members=arrays["members"],
            codes=arrays["lengths"][:, None],
            axes=np.zeros((0, 3)),
        ),
        arrays["azimuths"],
        table,
        figure_parameters(float(group.attrs["pixel_km"])),
    )


def table_of(path: Path, group: h5py.Group) -> PatchTable:
    """The patches of one level, mapped and checked."""
    coefficients, weights = mapped(path, group["patches"]), mapped(path, group["patch_weights"])
    if coefficients.shape[1] != len(group["vectors"]):
        raise ValueError("the patches are not all there")
    return PatchTable(coefficients=coefficients, weights=np.array(weights))


def mapped(path: Path, dataset: h5py.Dataset) -> NDArray[Any]:
    """A dataset as an array in the file itself; ValueError if its check sum is not right."""
    offset = dataset.id.get_offset()
    if offset is None or dataset.size == 0:
        values = dataset[()]
    else:
        values = np.memmap(path, mode="r", dtype=dataset.dtype, shape=dataset.shape, offset=offset)
    if digest(values) != dataset.attrs["sha256"]:
        raise ValueError(f"{dataset.name} is damaged")
    return np.asarray(values)


def digest(values: NDArray[Any]) -> str:
    """SHA-256 of an array's bytes, hexadecimal."""
    return hashlib.sha256(
        np.ascontiguousarray(values).data.cast("B") if values.size else b""
    ).hexdigest()
