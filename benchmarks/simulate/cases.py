"""Random cases with known truth, to calibrate and to test registration by the hundred."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np

from benchmarks.simulate.case_draw import Shot, draw_lights, draw_scene, draw_shot
from benchmarks.simulate.case_sources import CaseSource, default_source
from benchmarks.simulate.exif import CameraSettings, exif_bytes
from benchmarks.simulate.light_map import RadianceMap
from benchmarks.simulate.render import render, to_jpeg
from benchmarks.simulate.sim_camera import SimCamera
from benchmarks.simulate.truth import camera_truth, footprint, reference_points
from benchmarks.simulate.vantage import Vantage, vantage_over

Kind = Literal["city", "no_city", "noise", "wrong_place", "any"]
SHARES: dict[Kind, float] = {"city": 0.76, "no_city": 0.08, "noise": 0.04, "wrong_place": 0.12}
ORBIT_SPEED_KM_S = 7.66


@dataclass(frozen=True, kw_only=True)
class PositionPrior:
    """Where the camera is thought to have been, as an element set and the EXIF time would say.

    Attributes
    ----------
    position_ecef_m, velocity_ecef_m_s : tuple of float
        ECEF; the velocity is relative to the rotating Earth.
    lon, lat : float
        Geodetic nadir, degrees.
    altitude_km : float
    sigma_along_km, sigma_cross_km : float
        One sigma of the orbit; the clock's error comes on top.
    """

    position_ecef_m: tuple[float, float, float]
    velocity_ecef_m_s: tuple[float, float, float]
    lon: float
    lat: float
    altitude_km: float
    sigma_along_km: float
    sigma_cross_km: float


@dataclass(frozen=True, kw_only=True)
class Case:
    """One photograph, what is said of it, and what is true of it.

    Attributes
    ----------
    seed : int
    kind : str
        "city" can be registered; "no_city", "noise" and "wrong_place" cannot.
    photo : bytes
        JPEG with EXIF.
    time_utc : datetime
        What the camera's clock said.
    focal_mm, pixel_pitch_um : float
        Nominal.
    prior : PositionPrior
    light_map : RadianceMap
        Map to register on.
    camera : SimCamera
        The true one (of another place than the prior's for "wrong_place").
    truth : dict
        As the truth files of the samples, plus the scene's numbers.
    """

    seed: int
    kind: str
    photo: bytes
    time_utc: datetime
    focal_mm: float
    pixel_pitch_um: float
    prior: PositionPrior
    light_map: RadianceMap
    camera: SimCamera
    truth: dict[str, Any]

    @property
    def registrable(self) -> bool:
        """Whether the photograph shows lights of the place where the prior puts it."""
        return self.kind == "city"


def draw_case(
    seed: int,
    *,
    kind: Kind = "any",
    source: CaseSource | None = None,
    long_side_px: int | None = None,
) -> Case:
    """Draw a random case.

    Parameters
    ----------
    seed : int
        Same seed, kind, source and size: same case.
    kind : str
        "any" draws one by ``SHARES``.
    source : CaseSource, optional
        Worlds of lights and the map; the self-made land where none is given.
    long_side_px : int, optional
        Of the photograph; 1000 to 1600 at random where not given. 4256, 6016 and 7360 make 12, 24
        and 36 megapixels (seconds each).

    Returns
    -------
    Case
    """
    rng = np.random.default_rng([seed, 3])
    if kind == "any":
        names = list(SHARES)
        kind = names[int(rng.choice(len(names), p=list(SHARES.values())))]
    source = source or default_source()
    long_side_px = long_side_px or int(rng.integers(1000, 1601))
    shot = draw_shot(rng, kind, source, long_side_px)
    scene = draw_scene(rng, kind, seed, shot, large=long_side_px > 2000)
    world = {"noise": None, "wrong_place": source.decoy_world}.get(kind, source.world)
    lights = draw_lights(rng, seed)
    picture = render(shot.camera, world, lights, scene)
    settings = CameraSettings(
        clock_utc=_time(rng), focal_mm=shot.focal_mm, body="NIKON D3S", iso=10000
    )
    truth: dict[str, Any] = {
        "kind": kind,
        "seed": seed,
        "focal_error": shot.focal_error,
        "clock_error_s": shot.clock_error_s,
        "along_track_error_km": shot.slide_s * ORBIT_SPEED_KM_S,
        "off_nadir_deg": shot.pointing.off_nadir_deg,
        "cloud_cover": [layer.coverage for layer in scene.clouds],
        "camera": camera_truth(shot.camera),
        "footprint": footprint(shot.camera),
        "reference_points": [] if world is None else reference_points(shot.camera, world, lights),
    }
    width, height = shot.camera.width_px, shot.camera.height_px
    return Case(
        seed=seed,
        kind=kind,
        photo=to_jpeg(picture, scene.jpeg_quality, exif_bytes(settings)),
        time_utc=settings.clock_utc,
        focal_mm=shot.focal_mm,
        pixel_pitch_um=settings.pixel_pitch_um(width, height),
        prior=_prior(shot),
        light_map=source.light_map,
        camera=shot.camera,
        truth=truth,
    )


def _prior(shot: Shot) -> PositionPrior:
    """The position that a wrong clock and a stale element set suggest."""
    lon, lat, height_m = shot.believed
    start = vantage_over(lon, lat, height_m, northbound=shot.northbound)
    believed: Vantage = start.moved(clock_s=shot.clock_error_s, slide_s=shot.slide_s)
    nadir_lon, nadir_lat, height = believed.nadir()
    x, y, z = (float(value) for value in believed.position_ecef_m)
    vx, vy, vz = (float(value) for value in believed.velocity_ecef_m_s)
    return PositionPrior(
        position_ecef_m=(x, y, z),
        velocity_ecef_m_s=(vx, vy, vz),
        lon=nadir_lon,
        lat=nadir_lat,
        altitude_km=height / 1000.0,
        sigma_along_km=shot.sigma_along_km,
        sigma_cross_km=0.5,
    )


def _time(rng: np.random.Generator) -> datetime:
    """Whole seconds of a night of 2014."""
    start = datetime(2014, 1, 1, 9, tzinfo=UTC)
    return start + timedelta(seconds=int(rng.integers(0, 300 * 86400)))
