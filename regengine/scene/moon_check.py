"""Whether a photographed Moon is the one that stood there: above the limb, and as lit as shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regengine.orbit import CameraPosition
from regengine.scene.ephemeris import horizon_dip_deg
from regengine.scene.moon_disc import MoonDisc
from regengine.stars.bodies import Body, sky_bodies

# Air lifts what sets by twice the horizontal refraction
REFRACTION_DEG = 1.2
# A disc's illumination is measured to 0.1 in simulated frames, worse where it is overexposed; the
# Moon's changes by at most 0.11 a day
LEAST_DIFFERENT = 0.25
LIKELY_MOON = 0.2


@dataclass(frozen=True, kw_only=True)
class MoonCheck:
    """The Moon at a photo's time and place, held against its picture.

    Attributes
    ----------
    above_limb_deg : float
        Of its middle above the limb as the camera sees it, without refraction.
    illumination : float
        Lit fraction of its disc.
    waxing : bool
        Whether it grew.
    angular_radius_deg : float
        As seen from the camera.
    disc : MoonDisc or None
        What the picture shows; None where no disc could be measured.
    """

    above_limb_deg: float
    illumination: float
    waxing: bool
    angular_radius_deg: float
    disc: MoonDisc | None

    @property
    def agrees(self) -> bool | None:
        """Whether the Moon was up, and its phase the disc's; None where no disc was measured."""
        if self.above_limb_deg < -REFRACTION_DEG - self.angular_radius_deg:
            return False
        if self.disc is None:
            return None
        return abs(self.disc.illumination - self.illumination) < LEAST_DIFFERENT

    def record(self) -> dict[str, float | bool | None]:
        """As it stands in a frame's NDJSON record."""
        disc = self.disc
        return {
            "above_limb_deg": round(self.above_limb_deg, 2),
            "illumination": round(self.illumination, 3),
            "waxing": self.waxing,
            "angular_radius_deg": round(self.angular_radius_deg, 4),
            "disc_illumination": None if disc is None else round(disc.illumination, 2),
            "agrees": self.agrees,
        }


def moon_check(position: CameraPosition, disc: MoonDisc | None) -> MoonCheck | None:
    """The Moon at a camera's time and place; None where the time is not known.

    Parameters
    ----------
    position : CameraPosition
    disc : MoonDisc or None
        Of the picture.

    Returns
    -------
    MoonCheck or None
    """
    if position.time_utc is None:
        return None
    from regengine.celestial_rotation import icrs_to_itrf

    moon = sky_bodies(position.time_utc, position.position_ecef_m)[0]
    direction = icrs_to_itrf(position.time_utc) @ np.asarray(moon.direction_icrs)
    up = position.position_ecef_m / np.linalg.norm(position.position_ecef_m)
    elevation_deg = float(np.degrees(np.arcsin(np.clip(up @ direction, -1.0, 1.0))))
    return MoonCheck(
        above_limb_deg=elevation_deg + horizon_dip_deg(position.altitude_km),
        illumination=moon.illumination,
        waxing=is_waxing(moon),
        angular_radius_deg=moon.angular_radius_deg,
        disc=disc,
    )


def is_waxing(moon: Body) -> bool:
    """Whether the Moon grows: its lit limb then points west."""
    return moon.bright_limb_deg > 180.0
