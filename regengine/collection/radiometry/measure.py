"""One photo against the map, from cells to changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from regengine.collection.radiometry.cells import (
    MapCells,
    PhotoCells,
    cells_in_view,
    photo_cells,
    samples_across,
)
from regengine.collection.radiometry.changes import Change, Significance, find_changes, significance
from regengine.collection.radiometry.comparison import Comparison, compare
from regengine.collection.radiometry.gain import Gain, fit_gain
from regengine.collection.radiometry.photo_light import photo_light
from regengine.exchange.export.frame import ExportFrame
from regengine.lights.map import LightMap
from regengine.photo.lens_profile import Falloff, LensProfile, choose_profile

# What a cell is worth; the greater one where two are true
COMPARED, NOT_SEEN, PHOTO_FULL, MAP_FULL, BRIGHTER, FAINTER = 0, 1, 2, 3, 4, 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Radiometry:
    """What came of it.

    Attributes
    ----------
    cells : MapCells
    photo : PhotoCells
    comparison : Comparison
    gain : Gain
    significance : Significance
    changes : tuple of Change
    falloff_known : bool
        Whether a lens profile freed the photo of the lens's falloff.
    linear_by : str
        Where linear light comes from: ``srgb``, the inverse of that curve; ``raw`` or ``fits``,
        linear files.
    """

    cells: MapCells
    photo: PhotoCells
    comparison: Comparison
    gain: Gain
    significance: Significance
    changes: tuple[Change, ...]
    falloff_known: bool
    linear_by: str

    def mask(self) -> NDArray[np.uint8]:
        """What each cell is worth: see the constants of this module."""
        compared, found = self.comparison, self.significance
        sigma = np.nan_to_num(found.sigma, nan=0.0)
        mask = np.where(compared.judged, COMPARED, NOT_SEEN).astype(np.uint8)
        mask[compared.photo_full] = PHOTO_FULL
        mask[compared.map_full] = MAP_FULL
        mask[sigma > found.limit] = BRIGHTER
        mask[sigma < -found.limit] = FAINTER
        return mask


def measure(
    frame: ExportFrame,
    light_map: LightMap,
    *,
    profiles: Sequence[LensProfile] = (),
    map_sigma_m: float | None = None,
) -> Radiometry:
    """Compare a registered photo with a map.

    Parameters
    ----------
    frame : ExportFrame
        The photo, with a solved camera and control points.
    light_map : LightMap
        The map.
    profiles : sequence of LensProfile, optional
        Calibrated lenses: the falloff of the photo's is taken out.
    map_sigma_m : float, optional
        Blur of the map, one sigma, metres; measured without it.

    Returns
    -------
    Radiometry

    Raises
    ------
    LeftOutError
        If the photo is gone or too little of it can be compared.
    LightMapError
        If the map has nothing there or is damaged.
    """
    camera = frame.camera
    assert camera is not None
    cells = cells_in_view(camera, light_map)
    ratio = cells.grid.resolution / cells.photo_pixel_deg
    samples = samples_across(ratio)
    falloff = _falloff(frame, camera, profiles)
    picture = photo_light(frame, camera, min(samples / ratio, 1.0), falloff)
    photo = photo_cells(picture, camera, frame.points, cells.grid, samples)
    comparison = compare(cells, photo, map_sigma_m)
    gain = fit_gain(comparison, photo, cells.grid.resolution, falloff is not None)
    found = significance(comparison, gain)
    return Radiometry(
        cells=cells,
        photo=photo,
        comparison=comparison,
        gain=gain,
        significance=found,
        changes=find_changes(comparison, gain, found, cells.grid),
        falloff_known=falloff is not None,
        linear_by=picture.linear_by,
    )


def _falloff(frame: ExportFrame, camera: Camera, profiles: Sequence[LensProfile]) -> Falloff | None:
    profile = choose_profile(
        profiles,
        camera=frame.result.camera_body,
        lens=None,
        focal_mm=frame.result.focal_mm,
        width_px=camera.width_px,
        height_px=camera.height_px,
    )
    return None if profile is None else profile.falloff
