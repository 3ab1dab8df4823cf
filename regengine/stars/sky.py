"""What the search asks of the sky above a photo's limb."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from detectors.limb import Limb
    from regengine.frame import Frame
    from regengine.stars.attitude import StarAttitude


class SkyReader(Protocol):
    """Reads a photo's attitude off the stars above its limb."""

    def __call__(self, frame: Frame, limb: Limb, altitude_km: float) -> StarAttitude | None:
        """The attitude, freed of aberration, as `regengine.stars.attitude.attitude_of` gives it.

        None where there is too little sky, where its stars prove nothing, and without a time.
        """
        ...
