"""The dice of random cases: where the camera stands, how it looks, what the weather is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.case_sources import CaseSource
from benchmarks.simulate.geodesy import ecef_of, wgs84
from benchmarks.simulate.lamp_image import lamps_in_view
from benchmarks.simulate.lamps import Realisation, World
from benchmarks.simulate.scene import CloudLayer, SceneParameters
from benchmarks.simulate.sim_camera import Pointing, SimCamera
from benchmarks.simulate.vantage import nadir_for

FloatArray = NDArray[np.float64]

# Night lenses by use in the archive, with the widest slant at which each makes sense.
LENSES_MM = (28.0, 35.0, 50.0, 58.0, 85.0, 180.0, 400.0)
LENS_SHARES = (0.17, 0.06, 0.30, 0.10, 0.25, 0.07, 0.05)
MOST_OFF_NADIR_DEG = 60.0
SENSOR_MM = 36.0
ASPECT = 4256 / 2832  # of the D3S
FEW_TOWNS = 12  # a city case shows at least so many patches of light
TRIES = 20


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A camera and what is wrong in what is said of it.

    Attributes
    ----------
    camera : SimCamera
        True.
    pointing : Pointing
        True.
    believed : tuple of float
        Longitude, latitude (degrees) and height (metres) of the station, before errors along its
        track; elsewhere than the camera for a wrong place.
    northbound : bool
    focal_mm : float
        Nominal.
    focal_error : float
        True over nominal, minus 1.
    clock_error_s, slide_s : float
        Camera clock minus true time; how early the element set has the station.
    sigma_along_km : float
        Claimed for the element set.
    """

    camera: SimCamera
    pointing: Pointing
    believed: tuple[float, float, float]
    northbound: bool
    focal_mm: float
    focal_error: float
    clock_error_s: float
    slide_s: float
    sigma_along_km: float


def draw_shot(rng: np.random.Generator, kind: str, source: CaseSource, long_side_px: int) -> Shot:
    """Draw a camera for a kind of case."""
    focal_mm = float(rng.choice(LENSES_MM, p=LENS_SHARES))
    focal_error = float(np.clip(0.012 * rng.standard_normal(), -0.03, 0.03))
    world = source.decoy_world if kind == "wrong_place" else source.world
    for _ in range(TRIES):
        camera, pointing = _draw_camera(
            rng, kind, source, focal_mm * (1.0 + focal_error), long_side_px
        )
        patches = _lit_patches(camera, world)
        if kind == "noise" or (patches == 0 if kind == "no_city" else patches >= FEW_TOWNS):
            break
    believed = (camera.lon_deg, camera.lat_deg, camera.height_m)
    if kind == "wrong_place" and source.decoy_world is source.world:
        believed = _far_target(rng, source, camera)
    sigma_along_km = float(np.exp(rng.uniform(np.log(0.5), np.log(20.0))))
    usual = rng.random() < 0.6
    clock_error_s = 3.0 * rng.standard_normal() if usual else rng.uniform(-30.0, 30.0)
    return Shot(
        camera=camera,
        pointing=pointing,
        believed=believed,
        northbound=bool(rng.random() < 0.5),
        focal_mm=focal_mm,
        focal_error=focal_error,
        clock_error_s=float(np.round(clock_error_s)),
        slide_s=float(sigma_along_km * rng.standard_normal() / 7.66),
        sigma_along_km=sigma_along_km,
    )


def _draw_camera(
    rng: np.random.Generator,
    kind: str,
    source: CaseSource,
    focal_mm: float,
    long_side_px: int,
) -> tuple[SimCamera, Pointing]:
    lon, lat = _target(rng, kind, source)
    height_m = float(rng.uniform(395e3, 425e3))
    # Half the photographs are near the vertical; tele lenses seldom look far aside.
    widest = MOST_OFF_NADIR_DEG if focal_mm < 100.0 else 35.0
    off_nadir = float(min(widest * rng.beta(1.0, 1.6), widest))
    nadir_lon, nadir_lat, azimuth = nadir_for(
        lon, lat, height_m, off_nadir, float(rng.uniform(0.0, 360.0))
    )
    short_side_px = round(long_side_px / ASPECT)
    upright = rng.random() < 0.12
    width, height = (short_side_px, long_side_px) if upright else (long_side_px, short_side_px)
    half_field = np.degrees(np.arctan(0.5 * SENSOR_MM / focal_mm))
    pointing = Pointing(
        off_nadir_deg=float(np.clip(off_nadir + 0.4 * half_field * rng.uniform(-1, 1), 0.0, 62.0)),
        azimuth_deg=azimuth,
        roll_deg=float(rng.uniform(-180.0, 180.0)),
    )
    wide = focal_mm < 60.0
    camera = SimCamera.pointed(
        position_ecef_m=ecef_of(nadir_lon, nadir_lat, height_m),
        pointing=pointing,
        width_px=width,
        height_px=height,
        focal_px=focal_mm / SENSOR_MM * long_side_px,
        k1=float(rng.uniform(-0.04, 0.01)) if wide else 0.0,
        mirrored=bool(rng.random() < 0.03),
    )
    return camera, pointing


def _target(rng: np.random.Generator, kind: str, source: CaseSource) -> tuple[float, float]:
    if kind == "no_city" and len(source.dark_targets):
        lon, lat = source.dark_targets[int(rng.integers(len(source.dark_targets)))]
        return float(lon), float(lat)
    weight = source.targets[:, 2] / source.targets[:, 2].sum()
    lon, lat, _ = source.targets[int(rng.choice(len(weight), p=weight))]
    return float(lon), float(lat)


def _far_target(
    rng: np.random.Generator, source: CaseSource, camera: SimCamera
) -> tuple[float, float, float]:
    """A nadir near another target, at least 4,000 km away where there is one."""
    lon, lat = source.targets[:, 0], source.targets[:, 1]
    start = np.full(len(lon), camera.lon_deg), np.full(len(lon), camera.lat_deg)
    distance_m = np.asarray(wgs84().inv(*start, lon, lat)[2])
    far = np.flatnonzero(distance_m > min(4.0e6, 0.8 * float(distance_m.max())))
    chosen = int(far[int(rng.integers(len(far)))])
    return float(lon[chosen] + rng.uniform(-3, 3)), float(lat[chosen]), camera.height_m


def _lit_patches(camera: SimCamera, world: World) -> int:
    """How many patches of light that matter the picture shows, away from the limb."""
    clusters, _ = lamps_in_view(camera, world, 10_000)
    x, y, _, cosine = camera.project(clusters.lon, clusters.lat)
    inside = (x > 0) & (x < camera.width_px) & (y > 0) & (y < camera.height_px)
    return int((inside & (cosine > 0.2) & (clusters.power > 3.0)).sum())


def draw_lights(rng: np.random.Generator, seed: int) -> Realisation:
    """Draw a state of the lights, more or less unlike the map's (which is number 1)."""
    return Realisation(
        number=10 + seed,
        gain_sigma=float(rng.uniform(0.3, 0.8)),
        gone_fraction=float(rng.uniform(0.05, 0.3)),
        district_sigma=float(rng.uniform(0.3, 0.9)),
    )


def draw_scene(
    rng: np.random.Generator, kind: str, seed: int, shot: Shot, *, large: bool
) -> SceneParameters:
    """Draw the weather, exposure and sensor of a case."""
    moon = float(rng.random() ** 2)
    cover = 0.0 if rng.random() < 0.45 else float(rng.uniform(0.05, 0.6))
    if kind == "no_city":
        moon, cover = float(rng.uniform(0.3, 1.0)), float(rng.uniform(0.2, 0.9))
    layers = []
    if cover > 0.0:
        thick = float(rng.uniform(0.2, 1.0)) * cover
        layers = [
            CloudLayer(
                coverage=share,
                optical_depth=depth,
                brightness_nw=0.2 + 8.0 * moon,
                scale_km=float(rng.uniform(120.0, 500.0)),
            )
            for share, depth in ((thick, 12.0), (cover - thick, 1.0))
        ]
    full_well = float(np.exp(rng.uniform(np.log(1500.0), np.log(20000.0))))
    read_noise = 0.1 * full_well if kind == "noise" else float(rng.uniform(5.0, 25.0))
    # Tele lenses spread a street over pixels: the exposure follows the light of the streets.
    exposure = float(np.exp(rng.uniform(np.log(50.0), np.log(300.0))))
    return SceneParameters(
        seed=seed,
        saturation_nw=exposure * max(shot.focal_mm / 85.0, 1.0) ** 0.7,
        full_well_electrons=full_well,
        read_noise_electrons=read_noise,
        ground_nw=0.05 + 0.6 * moon,
        extinction=float(rng.uniform(0.15, 0.5)),
        side_light=float(rng.uniform(0.2, 0.6)),
        psf_sigma_px=float(rng.uniform(0.6, 1.6)) * (3.0 if large else 1.0),
        motion_px=float(rng.exponential(1.0)) * (3.0 if large else 1.0),
        motion_deg=float(rng.uniform(0.0, 180.0)),
        halo_share=float(rng.uniform(0.02, 0.12)),
        clouds=tuple(layers),
        boats=int(rng.integers(10, 80)) if rng.random() < 0.15 else 0,
        lightning_nw=float(rng.uniform(100.0, 2000.0)) if rng.random() < 0.08 else 0.0,
        airglow_nw=float(rng.uniform(2.0, 10.0)),
        vignetting=float(rng.uniform(0.0, 0.5)),
        reflection_nw=float(rng.uniform(1.0, 6.0)) if rng.random() < 0.15 else 0.0,
        tone_contrast=float(rng.uniform(0.0, 0.4)),
        white_balance=(1.0, 1.0, float(rng.uniform(0.8, 1.3))),
        jpeg_quality=int(rng.integers(70, 96)),
        most_lamps=4_000_000 if large else 250_000,
    )
