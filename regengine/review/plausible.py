"""Cameras that the page may send: those of photographs from orbit, and of the photo in question."""

from __future__ import annotations

from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic
from regengine.errors import ConfigError
from regengine.result import FrameResult

HEIGHT_RANGE_KM = (50.0, 5000.0)
# Focal length over the long side: from wider than any fisheye to a lens of 1,400 mm
FOCAL_RANGE = (0.2, 40.0)


def check_above_earth(camera: Camera) -> None:
    """Refuse a camera that is in the Earth or far away.

    Raises
    ------
    ConfigError
        If it is.
    """
    height_km = float(ecef_to_geodetic(camera.position_ecef_m)[2]) / 1e3
    if not HEIGHT_RANGE_KM[0] < height_km < HEIGHT_RANGE_KM[1]:
        raise ConfigError("the camera is not above the Earth: place the photo on the map first.")


def check_of_photo(camera: Camera, result: FrameResult) -> None:
    """Refuse a camera that cannot have taken a photo: its light would be looked for for hours.

    Raises
    ------
    ConfigError
        If it is in the Earth, for a picture of another size, or its lens is none.
    """
    check_above_earth(camera)
    if (camera.width_px, camera.height_px) != (result.width_px, result.height_px):
        raise ConfigError("the camera is for a picture of another size than the photo's.")
    ratio = camera.focal_px / max(camera.width_px, camera.height_px)
    if not FOCAL_RANGE[0] <= ratio <= FOCAL_RANGE[1]:
        raise ConfigError(
            f"the focal length is {ratio:.2g} times the photo's long side, which no lens has: "
            "zoom the photo on the map."
        )
