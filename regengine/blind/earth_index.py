"""The index of the Earth's towns: their quads and patches at several scales."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from matchers.asterism_figures import AsterismParameters, Figures
from matchers.asterisms import AsterismIndex, build_index, local_density, scaled_codes, unit
from matchers.code_table import CodeTable
from matchers.earth import geodetic_to_ecef, surface_to_lonlat
from matchers.level_ground import EARTH_RADIUS_KM
from matchers.polar_patches import PatchTable
from regengine.blind.earth_patches import patches_of_earth
from regengine.blind.earth_towns import towns_of_earth
from regengine.light_windows import HasWindows

FloatArray = NDArray[np.float64]
Bounds = tuple[float, float, float, float]

# From whole regions under the limb to what an 85 mm lens shows straight down. The next one would
# be below the pixels of the map
PIXELS_KM = (0.65, 1.3, 2.6, 5.2)
NEIGHBOURS = 6
BRIGHTNESS_SHARE = 0.4
SIZE_PX = (6.0, 80.0)
SHAPE_TOLERANCE = 0.06
# Altitudes of 330 to 430 km and a focal length within 3 % are a scale within 15 %
LOG_SIZE_TOLERANCE = 0.15


@dataclass(frozen=True, kw_only=True, eq=False)
class EarthIndex:
    """Figures of the Earth's towns.

    Attributes
    ----------
    levels : dict of float to AsterismIndex
        By the size of the pixels, kilometres, in which the towns were sought.
    patches : dict of float to PatchTable
        What light lies around each of these towns, in the same order.
    """

    levels: dict[float, AsterismIndex]
    patches: dict[float, PatchTable]

    def within(self, bounds: Bounds) -> EarthIndex:
        """Only the figures that lie within west, south, east, north (degrees)."""
        return EarthIndex(
            levels={k: restricted(v, bounds) for k, v in self.levels.items()},
            patches={
                k: replace(v, wanted=within(self.levels[k].vectors, bounds))
                for k, v in self.patches.items()
            },
        )


def figure_parameters(pixel_km: float) -> AsterismParameters:
    """Which figures are made of towns that were sought in pixels of some size."""
    return AsterismParameters(
        members=4,
        neighbours=NEIGHBOURS,
        brightness_share=BRIGHTNESS_SHARE,
        size_rad=(SIZE_PX[0] * pixel_km / EARTH_RADIUS_KM, SIZE_PX[1] * pixel_km / EARTH_RADIUS_KM),
        shape_tolerance=SHAPE_TOLERANCE,
        log_size_tolerance=LOG_SIZE_TOLERANCE,
    )


def build_earth_index(
    light_map: HasWindows, progress: Callable[[int, int], None] = lambda done, total: None
) -> EarthIndex:
    """Find the Earth's towns in a map at every scale, and make their figures.

    Parameters
    ----------
    light_map : HasWindows
        Of the Earth or of a part of it.
    progress : callable, optional
        Called with pieces done and in total.

    Returns
    -------
    EarthIndex

    Raises
    ------
    LightMapError
        If the map cannot be read.
    """
    levels, patches = {}, {}
    for number, pixel_km in enumerate(PIXELS_KM):

        def told(done: int, total: int, before: int = 2 * number) -> None:
            progress(before * total + done, 2 * len(PIXELS_KM) * total)

        def told_later(done: int, total: int, before: int = 2 * number + 1) -> None:
            progress(before * total + done, 2 * len(PIXELS_KM) * total)

        towns = towns_of_earth(light_map, pixel_km, told)
        vectors = unit(geodetic_to_ecef(towns[:, 0], towns[:, 1], np.zeros(len(towns))))
        levels[pixel_km] = in_table_order(
            build_index(vectors, towns[:, 2], figure_parameters(pixel_km))
        )
        patches[pixel_km] = patches_of_earth(
            light_map, towns[:, 0], towns[:, 1], pixel_km, told_later
        )
    return EarthIndex(levels=levels, patches=patches)


def in_table_order(index: AsterismIndex) -> AsterismIndex:
    """The same index with its figures in the order of the table of codes, which a file keeps."""
    table = index.code_table
    if table is None or table.origin is None:
        return index
    order = table.origin
    figures = index.figures
    return replace(
        index,
        figures=Figures(
            members=figures.members[order], codes=figures.codes[order], axes=figures.axes[order]
        ),
        azimuths_rad=index.azimuths_rad[order],
        code_table=replace(table, origin=None),
    )


def index_of_parts(
    vectors: FloatArray,
    brightness: FloatArray,
    figures: Figures,
    azimuths_rad: FloatArray,
    table: CodeTable | None,
    parameters: AsterismParameters,
) -> AsterismIndex:
    """An index whose figures were made before; only what is quickly made is made anew."""
    return AsterismIndex(
        vectors=vectors,
        brightness=brightness,
        figures=figures,
        parameters=parameters,
        azimuths_rad=azimuths_rad,
        density=local_density(vectors),
        point_tree=cKDTree(vectors),
        code_table=table,
    )


def restricted(index: AsterismIndex, bounds: Bounds) -> AsterismIndex:
    """An index whose figures have all their towns within bounds; the towns all stay."""
    kept = within(index.vectors, bounds)[index.figures.members].all(axis=1)
    table = index.code_table
    figures = index.figures
    return replace(
        index,
        figures=Figures(
            members=figures.members[kept], codes=figures.codes[kept], axes=figures.axes[:0]
        ),
        azimuths_rad=index.azimuths_rad[kept],
        code_table=None
        if table is None or not kept.any()
        else replace(table, codes=table.codes[kept], keys=table.keys[kept], origin=None),
    )


def within(vectors: FloatArray, bounds: Bounds) -> NDArray[np.bool_]:
    """Which towns lie within bounds."""
    west, south, east, north = bounds
    lon, lat = surface_to_lonlat(vectors)
    return np.asarray(
        ((lon - west) % 360.0 <= east - west) & (lat >= south) & (lat <= north), np.bool_
    )


def codes_of(index: AsterismIndex) -> FloatArray:
    """Codes of an index's figures in units of their tolerances."""
    return scaled_codes(index.figures.codes, index.parameters)
