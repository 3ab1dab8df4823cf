"""A line along which the camera may have been, with the belief that the search walks along."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from matchers.pose import PosePrior
from regengine.offset_belief import OffsetBelief

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Track:
    """A one-dimensional family of camera positions.

    Attributes
    ----------
    name : str
        What it is: "tle", "ascending", "descending".
    position : callable
        Offset along the track in kilometres → ECEF position, metres, shape (3,).
    velocity : callable
        Offset along the track in kilometres → direction of motion over the ground, shape (3,).
    sigma_along_km : float
        One sigma of the offset around 0, its long tail left aside.
    belief : OffsetBelief
        How probable each stretch of the track is, and how far it reaches.
    sigma_across_km : callable
        Offset along the track in kilometres → one sigma of the distance across it.
    sigma_up_km : float
        One sigma of the height.
    speed_km_s : float
        Kilometres along the track (at orbit height) a second.
    clock_s : float
        How far the camera's clock is taken to be behind at offset 0.
    shares_start : bool
        Whether another track has the same offset 0.
    surprise : float
        How unlikely the track is, as a negative log-probability.
    may_be_night : callable
        Offsets in kilometres, shape (n,) → whether a camera there may have photographed city
        lights, shape (n,).
    clock_at : callable
        Offset along the track in kilometres → how many seconds the camera's clock is taken to be
        behind there: by so much the Earth, and an attitude among the stars with it, has turned on.
    place_surprise : callable
        Offsets in kilometres, shape (n,) → how unlikely such photographs are there, as against
        elsewhere, a negative logarithm, shape (n,).
    """

    name: str
    position: Callable[[float], FloatArray]
    velocity: Callable[[float], FloatArray]
    sigma_along_km: float
    belief: OffsetBelief
    sigma_across_km: Callable[[float], float]
    sigma_up_km: float
    speed_km_s: float
    clock_s: float = 0.0
    shares_start: bool = False
    surprise: float = 0.0
    may_be_night: Callable[[FloatArray], NDArray[np.bool_]] = lambda km: np.ones(len(km), bool)
    place_surprise: Callable[[FloatArray], FloatArray] = lambda km: np.zeros(len(km))
    clock_at: Callable[[float], float] = lambda km: 0.0

    @property
    def reach_km(self) -> float:
        """Offsets beyond this are not looked at."""
        return self.belief.reach_km

    def prior(
        self,
        offset_km: float,
        sigma_along_km: float,
        stored: Camera,
        sigma_log_focal: float,
        sigma_principal_px: float,
    ) -> PosePrior:
        """Belief around one offset, for the fit that starts there.

        Parameters
        ----------
        offset_km : float
            Where the fit starts.
        sigma_along_km : float
            How far it may slide from there.
        stored : Camera
            Camera of the stored image with the believed focal length and principal point.
        sigma_log_focal, sigma_principal_px : float
            Their uncertainties, the first relative.

        Returns
        -------
        PosePrior
        """
        x, y, z = self.position(offset_km).tolist()
        vx, vy, vz = self.velocity(offset_km).tolist()
        return PosePrior(
            position_ecef_m=(x, y, z),
            velocity_ecef=(vx, vy, vz),
            focal_px=stored.focal_px,
            sigma_along_m=1e3 * sigma_along_km,
            sigma_across_m=1e3 * self.sigma_across_km(offset_km),
            sigma_up_m=1e3 * self.sigma_up_km,
            sigma_log_focal=sigma_log_focal,
            sigma_k1=SIGMA_K1,
            principal_point=stored.principal_point,
            sigma_principal_px=sigma_principal_px,
            k1=stored.distortion[0],
        )


# Radial distortion of photographic lenses of 24 mm and longer, as the coefficient k1 in units of
# the focal length: a few percent at the corner
SIGMA_K1 = 0.05
