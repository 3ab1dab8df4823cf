"""Element sets whose satellite flies over a place when a photograph is taken."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from benchmarks.simulate.orbit import Vantage
from regengine.orbit.propagation import CameraPosition, position_from_elements
from regengine.orbit.tle import ElementSet, load_tle_file
from tests.matchers.lamp_world import geodetic
from tests.regengine.registration.simulated_frames import TIME
from tests.tle_lines import Elements


def overhead(folder: Path, place: tuple[float, float], age_days: float) -> ElementSet:
    """An element set of some age whose satellite, it says, flies over a place at the time."""
    path = folder / "tle.txt"

    def written(elements: Elements) -> ElementSet:
        path.write_text(elements.text(), encoding="utf-8")
        return load_tle_file(path).best_for(TIME)

    def nadir(elements: Elements) -> tuple[float, float]:
        lon, lat, _ = geodetic(position_from_elements(written(elements), TIME).position_ecef_m)
        return float(lon), float(lat)

    start = Elements(epoch=TIME - timedelta(days=age_days))
    around = [replace(start, anomaly_deg=float(a)) for a in np.arange(0.0, 360.0, 3.0)]
    nearest = min(around, key=lambda elements: abs(nadir(elements)[1] - place[1]))
    # Turned about the pole, the orbit passes over the place
    turn_deg = place[0] - nadir(nearest)[0]
    return written(replace(nearest, node_deg=nearest.node_deg + turn_deg))


def vantage_at(position: CameraPosition) -> Vantage:
    """Where and how fast the satellite flies, for the simulator."""
    assert position.velocity_ecef_m_s is not None
    return Vantage(
        position_ecef_m=position.position_ecef_m, velocity_ecef_m_s=position.velocity_ecef_m_s
    )
