"""One exposure of the sky: when, from where, and where each pixel looks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from regengine.celestial_rotation import earth_velocity
from regengine.earth_rotation import days_since_j2000
from regengine.satellites.observer import Observer
from regengine.satellites.sight import among_stars, sun_teme, teme_to_icrs

FloatArray = NDArray[np.float64]

SECONDS_PER_DAY = 86400.0
EDGE_PLACES = 9  # along each side, for the cone that holds the picture


class SkyField(Protocol):
    """A picture among the stars: `matchers.sky_camera.SkyCamera`, or a header's projection."""

    @property
    def width_px(self) -> int:
        """Of the picture as stored."""
        ...

    @property
    def height_px(self) -> int:
        """Of the picture as stored."""
        ...

    def to_sky(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Unit vectors in ICRS of pixels, shape (..., 3)."""
        ...

    def project(self, vectors_icrs: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Pixels of directions; NaN where the picture cannot tell."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Exposure:
    """When and from where a picture was taken, and where it looks in the middle of that time.

    Attributes
    ----------
    field : SkyField
        Attitude in the middle of the exposure, fitted to stars of a catalogue.
    start_utc : datetime
        When the exposure began.
    exposure_s : float
        How long it was.
    observer : Observer
    clock_sigma_s : float
        One sigma of the start.
    attitude_sigma_px : float
        One sigma of the field's place, per axis.
    held_still : bool
        The camera turns with its observer, and stars trail; without it the stars stand still.
    """

    field: SkyField
    start_utc: datetime
    exposure_s: float
    observer: Observer
    clock_sigma_s: float = 1.0
    attitude_sigma_px: float = 0.5
    held_still: bool = False

    @property
    def middle_utc(self) -> datetime:
        """Middle of the exposure."""
        return self.start_utc + timedelta(seconds=0.5 * self.exposure_s)

    @property
    def middle_days(self) -> float:
        """The same, days since J2000 (UTC)."""
        return days_since_j2000(self.middle_utc)

    def days(self, seconds: ArrayLike) -> FloatArray:
        """Days since J2000 of seconds from the middle."""
        return self.middle_days + np.asarray(seconds, float) / SECONDS_PER_DAY

    @cached_property
    def to_icrs(self) -> FloatArray:
        """SGP4's axes to ICRS; they turn by less than a thousandth of an arc second meanwhile."""
        return teme_to_icrs(self.middle_utc)

    @cached_property
    def earth_velocity(self) -> FloatArray:
        """Share of light's, ICRS."""
        return earth_velocity(self.middle_utc)

    @cached_property
    def sun(self) -> FloatArray:
        """Unit vector to the Sun, SGP4's axes."""
        return sun_teme(self.middle_utc)

    @cached_property
    def turning(self) -> FloatArray:
        """Rotation vector of the camera in ICRS, radians a second."""
        if not self.held_still:
            return np.zeros(3)
        return np.asarray(self.to_icrs @ self.observer.turning_rad_s(self.middle_days))

    @cached_property
    def cone(self) -> tuple[FloatArray, float]:
        """Direction of the picture's middle, and the angle that holds all of it, radians."""
        w, h = self.field.width_px, self.field.height_px
        across = np.linspace(-0.5, w - 0.5, EDGE_PLACES)
        down = np.linspace(-0.5, h - 0.5, EDGE_PLACES)
        upright, level = np.ones_like(down), np.ones_like(across)
        x = np.concatenate([across, across, -0.5 * upright, (w - 0.5) * upright])
        y = np.concatenate([-0.5 * level, (h - 0.5) * level, down, down])
        middle = self.field.to_sky((w - 1) / 2.0, (h - 1) / 2.0)
        cosine = np.clip(self.field.to_sky(x, y) @ middle, -1.0, 1.0)
        return middle, float(np.arccos(cosine.min()))

    def pixels(self, sight_km: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Where lines of sight (TEME, shape (..., 3)) meet the picture of the middle."""
        return self.field.project(among_stars(sight_km, self.to_icrs, self.earth_velocity))

    def carried(
        self, x: ArrayLike, y: ArrayLike, seconds: ArrayLike
    ) -> tuple[FloatArray, FloatArray]:
        """Pixels of the middle that look where others look some seconds from the middle."""
        px, py = np.asarray(x, float), np.asarray(y, float)
        if not self.held_still:
            return px, py
        sky = self.field.to_sky(px, py)
        turn = np.zeros_like(sky) + np.asarray(seconds, float)[..., None] * self.turning
        turned = Rotation.from_rotvec(turn.reshape(-1, 3))
        return self.field.project(turned.apply(sky.reshape(-1, 3)).reshape(sky.shape))
