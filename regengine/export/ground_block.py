"""What follows from cameras and points, for several frames at once.

One frame after the other, each step costs microseconds for arrays of a few numbers: a block of
frames takes hardly longer than one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import TypeVar

from matchers.camera import Camera
from regengine.export.footprint import Ring, footprints
from regengine.export.near_towns import Town, towns_near
from regengine.export.scene_view import SceneView, scene_views
from regengine.export.stance import LonLat, Stance, stances

Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True)
class FrameTowns:
    """The cities near a frame's nadir, its image centre, and each of its control points."""

    nadir: Town
    centre: Town
    points: tuple[Town, ...]


@dataclass(frozen=True, kw_only=True)
class GroundBlock:
    """Cameras and places of frames; what follows is worked out when it is first asked for.

    Attributes
    ----------
    cameras : tuple of Camera or None
        A camera for each frame, where it has one.
    starts : tuple of (lon, lat) or None
        Nadirs that the search started from.
    points : tuple of tuple of (lon, lat)
        Control points of each frame.
    """

    cameras: tuple[Camera | None, ...]
    starts: tuple[LonLat | None, ...]
    points: tuple[tuple[LonLat, ...], ...]

    @cached_property
    def stances(self) -> list[Stance | None]:
        """Where each camera is, and where it looks."""
        return self._of_cameras(stances)

    @cached_property
    def footprints(self) -> list[list[Ring]]:
        """The ground that each photo shows; nothing without a camera."""
        return [rings or [] for rings in self._of_cameras(footprints)]

    @cached_property
    def views(self) -> list[SceneView | None]:
        """How each photo looks at its scene."""
        return self._of_cameras(scene_views)

    @cached_property
    def nadirs(self) -> list[LonLat | None]:
        """The place below each camera, or below where the search started."""
        return [
            start
            if stance is None or not isfinite(stance["camera_lon"])
            else (stance["camera_lon"], stance["camera_lat"])
            for start, stance in zip(self.starts, self.stances, strict=True)
        ]

    @cached_property
    def towns(self) -> list[FrameTowns]:
        """The cities near all these places."""
        centres = [
            None if stance is None else (stance["centre_lon"], stance["centre_lat"])
            for stance in self.stances
        ]
        places = [*self.nadirs, *centres, *(place for points in self.points for place in points)]
        found, count = towns_near(places), len(self.cameras)
        of_points = iter(found[2 * count :])
        return [
            FrameTowns(nadir=nadir, centre=centre, points=tuple(next(of_points) for _ in points))
            for nadir, centre, points in zip(
                found[:count], found[count : 2 * count], self.points, strict=True
            )
        ]

    def _of_cameras(
        self, work: Callable[[Sequence[Camera]], Sequence[Found]]
    ) -> list[Found | None]:
        results = iter(work([camera for camera in self.cameras if camera is not None]))
        return [None if camera is None else next(results) for camera in self.cameras]
