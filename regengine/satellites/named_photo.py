"""What is known of the satellites in one photo."""

from __future__ import annotations

from dataclasses import dataclass

from regengine.frame import Frame
from regengine.satellites.catalogue import Satellites
from regengine.satellites.exposure import Exposure
from regengine.satellites.named import SatellitesInPicture
from regengine.satellites.streaks import StreakRecord


@dataclass(frozen=True, kw_only=True, eq=False)
class NamedPhoto:
    """A photo, its exposure, and the satellites in it."""

    frame: Frame
    exposure: Exposure
    satellites: Satellites
    found: SatellitesInPicture
    streaks: tuple[StreakRecord, ...]
    solved: bool
