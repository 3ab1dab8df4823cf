"""The Moon and the planets in a solved frame: where they are, how lit, how bright.

Positions are of the library ephem (VSOP87 and Chapront's Moon, arc seconds), seen from the camera:
the Moon stands up to a degree elsewhere for the station than for the Earth's centre.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from detectors.types import FloatArray
from matchers.sky_camera import SkyCamera
from regengine.orbit.rotation import earth_velocity, icrs_to_itrf

AU_KM = 149_597_870.7
MOON_RADIUS_KM = 1737.4  # mean, IAU 2015
EARTH_RADIUS_KM = 6371.0
PLANETS = ("Mercury", "Venus", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune")
FAINTEST_MAG = 6.0
# The Moon as the Earth's centre sees it may stand this far from where a station does, at most
MOON_PARALLAX_DEG = 1.1
_STEP = 1e-4  # radians, towards the Sun, to tell directions in the image


@dataclass(frozen=True, kw_only=True)
class Body:
    """The Moon or a planet as a camera sees it."""

    name: str
    # Unit vector from the camera, with light time, without aberration: as star catalogues have
    # their stars, so that a solved frame's camera puts it where the picture shows it
    direction_icrs: tuple[float, float, float]
    magnitude: float  # in V
    angular_radius_deg: float
    illumination: float  # lit fraction of the disc, 0 to 1
    bright_limb_deg: float  # position angle of the middle of its lit limb, east of north, [0, 360)
    # Unit vector at right angles to ``direction_icrs``: that way its lit limb lies
    towards_sun_icrs: tuple[float, float, float]
    # How well the direction is known: by the parallax where the camera's place is not
    sigma_deg: float

    @property
    def ra_dec_deg(self) -> tuple[float, float]:
        """Right ascension [0, 360) and declination, degrees, ICRS."""
        x, y, z = self.direction_icrs
        return math.degrees(math.atan2(y, x)) % 360.0, math.degrees(math.asin(np.clip(z, -1, 1)))


@dataclass(frozen=True, kw_only=True)
class BodyInFrame:
    """A body and where a frame shows it."""

    body: Body
    # Pixels of its middle, of the image as stored
    x: float
    y: float
    radius_px: float  # of its disc
    # Direction of its lit limb in the image, from +x (right) towards +y (down), [0, 360)
    bright_limb_image_deg: float

    def record(self) -> dict[str, float | str]:
        """As it stands in the NDJSON record of a solved frame."""
        ra, dec = self.body.ra_dec_deg
        return {
            "name": self.body.name,
            "x": round(self.x, 2),
            "y": round(self.y, 2),
            "radius_px": round(self.radius_px, 2),
            "ra_deg": round(ra, 5),
            "dec_deg": round(dec, 5),
            "magnitude": round(self.body.magnitude, 2),
            "angular_radius_deg": round(self.body.angular_radius_deg, 5),
            "illumination": round(self.body.illumination, 4),
            "bright_limb_deg": round(self.body.bright_limb_deg, 2),
            "sigma_deg": round(self.body.sigma_deg, 4),
        }


def sky_bodies(time_utc: datetime, position_ecef_m: ArrayLike | None = None) -> tuple[Body, ...]:
    """The Moon, first, and the planets at a time (a naive one is UTC), as seen from a place.

    Without the camera's place, shape (3,), that of the Earth's centre is taken.

    References
    ----------
    Bretagnon, P., Francou, G. (1988). Planetary theories in rectangular and spherical variables:
    VSOP87 solutions. Astron. Astrophys. 202, 309-315.
    Chapront-Touze, M., Chapront, J. (1988). ELP 2000-85. Astron. Astrophys. 190, 342-352.
    Meeus, J. (1998). Astronomical algorithms, 2nd ed., chapter 48. Willmann-Bell.
    """
    import ephem

    aware = time_utc if time_utc.tzinfo is None else time_utc.astimezone(UTC).replace(tzinfo=None)
    date = ephem.Date(aware)
    observer_km = np.zeros(3)
    if position_ecef_m is not None:
        observer_km = icrs_to_itrf(time_utc).T @ np.asarray(position_ecef_m, float) / 1e3
    sun = ephem.Sun(date)
    sun_km = _geocentric_km(sun) - observer_km
    known = position_ecef_m is not None
    bodies = []
    for name in ("Moon", *PLANETS):
        body = getattr(ephem, name)(date)
        place_km = _geocentric_km(body)
        if name == "Moon":
            # It flies along with the Earth, so ephem leaves the time out that its light takes: as
            # much as the aberration which catalogue directions are free of, 20 arc seconds
            place_km = place_km - float(np.linalg.norm(place_km)) * earth_velocity(time_utc)
        bodies.append(_seen(name, body, place_km - observer_km, sun_km, known))
    return tuple(bodies)


def bodies_in_frame(
    camera: SkyCamera,
    time_utc: datetime,
    position_ecef_m: ArrayLike | None = None,
    faintest_mag: float = FAINTEST_MAG,
) -> tuple[BodyInFrame, ...]:
    """The Moon and the planets that a solved frame shows."""
    found = []
    for body in sky_bodies(time_utc, position_ecef_m):
        if body.magnitude > faintest_mag:
            continue
        middle = np.asarray(body.direction_icrs)
        towards_sun = middle + _STEP * np.asarray(body.towards_sun_icrs)
        x, y = camera.project(np.stack([middle, towards_sun]))
        if not np.isfinite(x).all():
            continue
        # The scale at its place: a step across the sight is as long in all directions, nearly
        step = math.hypot(x[1] - x[0], y[1] - y[0])
        radius_px = step * math.tan(math.radians(body.angular_radius_deg)) / _STEP
        if not camera.sees(x[0], y[0], margin_px=radius_px):
            continue
        angle = math.degrees(math.atan2(y[1] - y[0], x[1] - x[0])) % 360.0
        found.append(
            BodyInFrame(
                body=body,
                x=float(x[0]),
                y=float(y[0]),
                radius_px=radius_px,
                bright_limb_image_deg=angle,
            )
        )
    return tuple(sorted(found, key=lambda b: b.body.magnitude))


def _geocentric_km(body: Any) -> FloatArray:
    """Astrometric place of a body of ephem from the Earth's centre; its J2000 is ICRS to 0.02"."""
    ra, dec = float(body.a_ra), float(body.a_dec)
    distance_km = float(body.earth_distance) * AU_KM
    return distance_km * np.array(
        [math.cos(dec) * math.cos(ra), math.cos(dec) * math.sin(ra), math.sin(dec)]
    )


def _seen(name: str, body: Any, sight_km: FloatArray, sun_km: FloatArray, known: bool) -> Body:
    """A body from the vectors that lead to it and to the Sun."""
    distance_km = float(np.linalg.norm(sight_km))
    direction = sight_km / distance_km
    from_sun = sight_km - sun_km
    # Phase angle: at the body, between the camera and the Sun
    cosine = float(sight_km @ from_sun) / (distance_km * float(np.linalg.norm(from_sun)))
    towards = sun_km - float(sun_km @ direction) * direction
    towards /= np.linalg.norm(towards)
    east = np.array([-direction[1], direction[0], 0.0])
    east /= np.linalg.norm(east)
    angle = math.degrees(math.atan2(towards @ east, towards @ np.cross(direction, east))) % 360.0
    if name == "Moon":
        radius_deg = math.degrees(math.asin(MOON_RADIUS_KM / distance_km))
        sigma_deg = 0.005 if known else MOON_PARALLAX_DEG
    else:
        # As the Earth's centre sees it: planets are far
        radius_deg = float(body.size) / 2.0 / 3600.0
        parallax_deg = math.degrees(EARTH_RADIUS_KM / distance_km)
        sigma_deg = 0.003 if known else math.hypot(0.003, parallax_deg)
    return Body(
        name=name,
        direction_icrs=tuple(direction.tolist()),
        magnitude=float(body.mag),
        angular_radius_deg=radius_deg,
        illumination=0.5 * (1.0 + cosine),
        bright_limb_deg=angle,
        towards_sun_icrs=tuple(towards.tolist()),
        sigma_deg=sigma_deg,
    )
