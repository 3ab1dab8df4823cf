"""The map where a proposed camera looks: that, and little more, is read to align it."""

from __future__ import annotations

from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic
from matchers.light_grid import LightGrid
from regengine.light_windows import HasWindows, footprint_window
from regengine.search_window import LEAST_SAMPLE_KM

# Alignment moves a camera by 60 km (one sigma of its place), and its sight with it
MARGIN_KM = 150.0
# Pixels of the picture that is aligned to one of the map
FINER = 1.5


def seen_map(
    light_map: HasWindows, camera: Camera, long_side_px: int
) -> tuple[LightGrid, ...] | None:
    """Map pyramid of what a proposed camera sees.

    All that could be seen from its place through a long lens, out to the horizon at the pixels of
    the map, took 1.5 GB and two seconds a camera.

    Parameters
    ----------
    light_map : HasWindows
        The map.
    camera : Camera
        Of the stored image.
    long_side_px : int
        Of the picture that will be aligned.

    Returns
    -------
    tuple of LightGrid or None
        Finest level first; None where it sees the sky, or nothing of the map.
    """
    _, _, height_m = ecef_to_geodetic(camera.position_ecef_m)
    field_km = float(height_m) / 1e3 / camera.focal_px * max(camera.width_px, camera.height_px)
    step_km = max(field_km / long_side_px / FINER, LEAST_SAMPLE_KM)
    return footprint_window(light_map, camera, MARGIN_KM, step_km)
