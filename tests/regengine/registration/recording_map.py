"""A map that remembers what was asked of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from matchers.light_grid import LightGrid
from regengine.errors import LightMapError
from regengine.lights.source import LightMapInfo


@dataclass
class RecordingMap:
    """Remembers what was asked of it, and answers with an even grid."""

    outside: str | None = None
    bounds: tuple[float, float, float, float] = (-180.0, -90.0, 180.0, 90.0)
    asked: list[tuple[float, float, float, float, float]] = field(default_factory=list)

    @property
    def info(self) -> LightMapInfo:
        return LightMapInfo(
            paths=(),
            product="recorded",
            date="",
            kind="radiance",
            resolution_deg=1.0 / 240.0,
            bounds=self.bounds,
            crs="EPSG:4326",
            saturation=None,
            description="remembers what was asked",
        )

    def window(
        self, west: float, south: float, east: float, north: float, resolution_deg: float
    ) -> LightGrid:
        self.asked.append((west, south, east, north, resolution_deg))
        if self.outside is not None:
            raise LightMapError("not here", code=self.outside)
        rows = max(1, round((north - south) / resolution_deg))
        cols = max(1, round((east - west) / resolution_deg))
        return LightGrid(
            values=np.ones((rows, cols), np.float32),
            lon0_deg=west + 0.5 * resolution_deg,
            lat0_deg=north - 0.5 * resolution_deg,
            step_deg=resolution_deg,
        )
