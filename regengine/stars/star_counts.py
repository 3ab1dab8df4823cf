"""Stars of solved frames against the catalogue, and the frames by how deep they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matchers.sky_camera import SkyCamera
from regengine.errors import ConfigError
from regengine.stars.catalogue import StarCatalogue
from regengine.stars.completeness import (
    Completeness,
    MagnitudeBin,
    fit_completeness,
    magnitude_bins,
)
from regengine.stars.solve import FINAL
from regengine.stars.solved_records import camera_of_record

FloatArray = NDArray[np.float64]

# `regengine solve` looks for so many of the brightest stars in view, and no others
LOOKED_FOR = FINAL.depths[-1]
_REMEDY = "solve it again with regengine solve --json --matches"
_MOST_PIXELS = 100_000  # of a side


@dataclass(frozen=True, kw_only=True)
class StarCounts:
    """Stars of one frame.

    Attributes
    ----------
    record : dict
        Of `regengine solve --json`.
    bins : tuple of MagnitudeBin
        Counts by magnitude.
    depth : Completeness or None
        None of too few stars.
    expected, found : int
        Stars of the catalogue in the picture to the limit, and those of them that were found.
    faintest_sought_g : float
        Stars fainter than this were not looked for.
    """

    record: dict[str, Any]
    bins: tuple[MagnitudeBin, ...]
    depth: Completeness | None
    expected: int
    found: int
    faintest_sought_g: float

    @property
    def frame(self) -> str:
        """The frame's id."""
        return str(self.record["frame"])


def count_stars(record: dict[str, Any], catalogue: StarCatalogue) -> StarCounts:
    """Count a solved frame's stars.

    Parameters
    ----------
    record : dict
        Of `regengine.stars.solved_records.read_solved`, with its matches.
    catalogue : StarCatalogue
        That the frame was solved with.

    Returns
    -------
    StarCounts

    Raises
    ------
    ConfigError
        If the record lacks its matches or its size, or they make no sense.
    """
    frame = record["frame"]
    matches = record.get("matches")
    size = (record.get("width_px"), record.get("height_px"))
    if not isinstance(matches, list) or not all(
        isinstance(side, int) and 0 < side < _MOST_PIXELS for side in size
    ):
        raise ConfigError(f"The record of {frame} does not list its stars: {_REMEDY}.")
    try:
        identified = {int(one["id"]) for one in matches}
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise ConfigError(f"The stars that the record of {frame} lists are none: {_REMEDY}.") from (
            error
        )
    camera = camera_of_record(record, *size)  # type: ignore[arg-type]
    seen = stars_in_view(camera, catalogue)
    sought = seen[:LOOKED_FOR]
    magnitude = catalogue.magnitude_g[sought]
    found = np.isin(catalogue.identifier[sought], list(identified))
    depth = fit_completeness(magnitude, found)
    limit = np.inf if depth is None else depth.limit_g
    return StarCounts(
        record=record,
        bins=tuple(magnitude_bins(magnitude, found)),
        depth=depth,
        expected=int((magnitude <= limit).sum()),
        found=int((found & (magnitude <= limit)).sum()),
        faintest_sought_g=float(magnitude.max()) if len(magnitude) else float("nan"),
    )


def stars_in_view(camera: SkyCamera, catalogue: StarCatalogue) -> NDArray[np.intp]:
    """Numbers of the stars in a picture, the brightest first."""
    towards = camera.centre_icrs
    corners = camera.to_sky(
        [0.0, camera.width_px - 1.0, 0.0, camera.width_px - 1.0],
        [0.0, 0.0, camera.height_px - 1.0, camera.height_px - 1.0],
    )
    near = np.flatnonzero(catalogue.vectors @ towards > (corners @ towards).min() - 0.02)
    x, y = camera.project(catalogue.vectors[near])
    return np.asarray(near[camera.sees(x, y)])


def ranked(counts: Iterable[StarCounts]) -> list[StarCounts]:
    """Frames by how faint the stars are that they show; of equals by how many they show."""

    def order(one: StarCounts) -> tuple[bool, float, int, str]:
        limit = -np.inf if one.depth is None else one.depth.limit_g
        return one.depth is None, -limit, -one.found, one.frame

    return sorted(counts, key=order)
