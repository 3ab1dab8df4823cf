"""Cameras of every awkward kind, with what the engine computes of them, for the page to agree with.

``python -m tests.regengine.review.geometry_vectors`` writes them beside the page's geometry.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from matchers.camera import Camera, Lens
from matchers.earth import incidence_deg
from tests.regengine.review.aiming import Aim, aimed_camera

VECTORS = Path(__file__).resolve().parents[3] / "regengine/review/page/src/geometry/vectors.json"

PLAIN = Lens(width_px=4256, height_px=2832, focal_px=5900.0, principal_point=(2127.5, 1415.5))
WIDE = replace(PLAIN, focal_px=2400.0, distortion=(-0.11, 0.02, 0.001, -0.002, 0.004))
CROPPED = replace(PLAIN, principal_point=(2900.0, 300.5), distortion=(0.03, 0.0, 0.0, 0.0, 0.0))


def aim(lon: float, lat: float, at_lon: float, at_lat: float, turn_deg: float) -> Aim:
    """An aim from 415 km above one place at another."""
    return Aim(
        nadir_lon=lon, nadir_lat=lat, altitude_km=415.0, lon=at_lon, lat=at_lat, turn_deg=turn_deg
    )


CASES: dict[str, tuple[Aim, Lens]] = {
    "straight down": (aim(2.0, 48.0, 2.0, 48.0, 0.0), PLAIN),
    "oblique, turned": (aim(-74.0, 38.0, -71.0, 42.0, 137.0), PLAIN),
    "flat, with distortion": (aim(121.0, 25.0, 110.0, 33.0, -58.0), WIDE),
    "to the limb": (aim(30.0, 31.0, 30.0, 47.5, 3.0), WIDE),
    "across the antimeridian": (aim(179.4, -17.0, -178.0, -18.5, 80.0), PLAIN),
    "from the antimeridian": (aim(-180.0, 51.0, 179.9, 50.0, -170.0), WIDE),
    "mirrored": (aim(139.0, 35.0, 140.5, 36.0, 25.0), replace(PLAIN, mirrored=True)),
    "mirrored, distorted": (aim(139.0, 35.0, 134.0, 33.0, -95.0), replace(WIDE, mirrored=True)),
    "cropped": (aim(12.0, 42.0, 15.0, 41.0, 200.0), CROPPED),
    "mirrored crop": (aim(12.0, 42.0, 15.0, 41.0, 200.0), replace(CROPPED, mirrored=True)),
    "over the pole": (aim(10.0, 89.0, 170.0, 88.0, 40.0), PLAIN),
    "beside the pole": (aim(-60.0, -90.0, 20.0, -89.99, 15.0), PLAIN),
}


def vectors() -> list[dict[str, Any]]:
    """What the engine computes of each case, as plain JSON."""
    return [_case(name, *case) for name, case in CASES.items()]


def _case(name: str, aimed: Aim, lens: Lens) -> dict[str, Any]:
    camera = aimed_camera(aimed, lens)
    assert camera is not None
    return {
        "name": name,
        "aim": _page_aim(aimed),
        "lens": asdict(lens),
        "camera": asdict(camera),
        "pixels": _pixels(camera),
        "places": _places(camera),
    }


def _page_aim(aimed: Aim) -> dict[str, Any]:
    return {
        "nadir": [aimed.nadir_lon, aimed.nadir_lat],
        "altitude_km": aimed.altitude_km,
        "place": [aimed.lon, aimed.lat],
        "turn_deg": aimed.turn_deg,
    }


def _pixels(camera: Camera) -> list[dict[str, Any]]:
    """Pixels of a lattice that reaches past the picture, and the ground they see."""
    x, y = np.meshgrid(np.linspace(-400.0, 4655.0, 6), np.linspace(-300.0, 3131.0, 5))
    lon, lat = camera.pixel_to_lonlat(x, y)
    incidence = incidence_deg(camera.position_ecef_m, camera.pixel_to_ecef(x, y))
    return [
        {"x": a, "y": b, "place": [c, d] if np.isfinite(c) else None, "incidence_deg": e}
        for a, b, c, d, e in zip(
            *(values.ravel().tolist() for values in (x, y, lon, lat, np.nan_to_num(incidence))),
            strict=True,
        )
    ]


def _places(camera: Camera) -> list[dict[str, Any]]:
    """Places in sight, behind the limb and at the other end of the Earth, and their pixels."""
    x, y = np.meshgrid(np.linspace(0.0, 4255.0, 4), np.linspace(0.0, 2831.0, 3))
    lon, lat = (values.ravel() for values in camera.pixel_to_lonlat(x, y))
    seen = np.isfinite(lon)
    lon = np.concatenate([lon[seen], lon[seen][:1] + 180.0, [0.0, 90.0, -120.0]])
    lat = np.concatenate([lat[seen], -lat[seen][:1], [90.0, 0.0, -60.0]])
    at_x, at_y = camera.lonlat_to_pixel(lon, lat)
    return [
        {"place": [a, b], "pixel": [c, d] if np.isfinite(c) else None}
        for a, b, c, d in zip(*(v.tolist() for v in (lon, lat, at_x, at_y)), strict=True)
    ]


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(vectors(), indent=1) + "\n", encoding="utf-8")
