"""What the search asks of the sky above a photo's limb."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from detectors.limb import Limb
    from matchers.camera import Camera
    from regengine.frame import Frame
    from regengine.stars.attitude import StarAttitude
    from regengine.track import Track


@dataclass(frozen=True, kw_only=True)
class SkyView:
    """A photo with sky above its limb, and what is known of it before its stars are.

    Attributes
    ----------
    frame : Frame
        The photo.
    limb : Limb
        Its limb.
    stored : Camera
        Camera of the stored image at the nominal focal length.
    focal_known : bool
        Whether that means anything.
    altitude_km : float
        Of the camera.
    tracks : sequence of Track
        Where it may have been.
    """

    frame: Frame
    limb: Limb
    stored: Camera
    focal_known: bool
    altitude_km: float
    tracks: Sequence[Track]


class SkyReader(Protocol):
    """Reads a photo's attitude off the stars above its limb."""

    def __call__(self, view: SkyView) -> StarAttitude | None:
        """The attitude, freed of aberration, as `regengine.stars.attitude.attitude_of` gives it.

        None where there is too little sky, where its stars prove nothing, and without a time.
        """
        ...
