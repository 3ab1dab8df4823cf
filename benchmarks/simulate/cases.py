"""Random photographs over an invented land, with known cameras, by the hundred."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.arrays import FloatArray
from benchmarks.simulate.camera import Pointing, SimCamera, ecef_of
from benchmarks.simulate.land import Region
from benchmarks.simulate.light_map import RadianceMap, lamps_in_view, read_geotiff
from benchmarks.simulate.orbit import nadir_for
from benchmarks.simulate.render import render, to_jpeg
from benchmarks.simulate.weather import CloudLayer, SceneParameters
from benchmarks.simulate.worlds import Realisation, TownWorld, World, draw_town_world

SAMPLE_SEED = 991
SAMPLE_REGION = Region(west=-162.0, south=26.0, size_deg=24.0)  # open ocean in the real world
SAMPLE_MAP = Path(__file__).resolve().parents[2] / "data_samples" / "lights.tif"


@dataclass(frozen=True, kw_only=True)
class CaseSource:
    """Worlds and map for random cases."""

    world: World  # what is photographed
    decoy_world: World  # what is photographed instead where the place is to be wrong
    # Shape (n, 3): Places worth a photograph: longitude, latitude (degrees), weight
    targets: FloatArray
    dark_targets: FloatArray  # shape (m, 2): Places without lights near them


def town_source(world: TownWorld, decoy: TownWorld, light_map: RadianceMap) -> CaseSource:
    """Cases over an invented land."""
    places = world.places
    bright = places.power > min(100.0, float(np.quantile(places.power, 0.98)))
    targets = np.stack([places.lon[bright], places.lat[bright], np.sqrt(places.power[bright])])
    return CaseSource(
        world=world,
        decoy_world=decoy,
        targets=targets.T,
        dark_targets=_dark_places(light_map),
    )


@lru_cache(maxsize=1)
def default_source() -> CaseSource:
    """The samples' land and the map of it in ``data_samples/``; read once a process."""
    light_map = read_geotiff(SAMPLE_MAP)
    return town_source(
        draw_town_world(SAMPLE_SEED, SAMPLE_REGION),
        draw_town_world(SAMPLE_SEED + 1_000_003, SAMPLE_REGION),
        light_map,
    )


def _dark_places(light_map: RadianceMap) -> FloatArray:
    """Centres of two-degree boxes without a light in them, at sea where the land ends."""
    per_box = round(2.0 / light_map.step_deg)
    rows, cols = (size // per_box for size in light_map.radiance.shape)
    boxes = light_map.radiance[: rows * per_box, : cols * per_box]
    lit = boxes.reshape(rows, per_box, cols, per_box).max(axis=(1, 3)) > 0.0
    row, col = np.nonzero(~lit)
    return np.stack(
        [light_map.west + 2.0 * (col + 0.5), light_map.north - 2.0 * (row + 0.5)], axis=1
    )


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
    """A camera and its lens."""

    camera: SimCamera
    focal_mm: float  # nominal


def draw_shot(rng: np.random.Generator, kind: str, source: CaseSource, long_side_px: int) -> Shot:
    """Draw a camera for a kind of case."""
    focal_mm = float(rng.choice(LENSES_MM, p=LENS_SHARES))
    focal_error = float(np.clip(0.012 * rng.standard_normal(), -0.03, 0.03))
    world = source.decoy_world if kind == "wrong_place" else source.world
    for _ in range(TRIES):
        camera = _draw_camera(rng, kind, source, focal_mm * (1.0 + focal_error), long_side_px)
        patches = _lit_patches(camera, world)
        if kind == "noise" or (patches == 0 if kind == "no_city" else patches >= FEW_TOWNS):
            break
    _pass_over_errors(rng)
    return Shot(camera=camera, focal_mm=focal_mm)


def _pass_over_errors(rng: np.random.Generator) -> None:
    """Skip the errors of orbit and clock that a seed has before its weather, unused here."""
    rng.uniform()
    if rng.random() < 0.6:
        rng.standard_normal()
    else:
        rng.uniform()
    rng.random()
    rng.standard_normal()


def _draw_camera(
    rng: np.random.Generator,
    kind: str,
    source: CaseSource,
    focal_mm: float,
    long_side_px: int,
) -> SimCamera:
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
    return SimCamera.pointed(
        position_ecef_m=ecef_of(nadir_lon, nadir_lat, height_m),
        pointing=pointing,
        width_px=width,
        height_px=height,
        focal_px=focal_mm / SENSOR_MM * long_side_px,
        k1=float(rng.uniform(-0.04, 0.01)) if wide else 0.0,
        mirrored=bool(rng.random() < 0.03),
    )


def _target(rng: np.random.Generator, kind: str, source: CaseSource) -> tuple[float, float]:
    if kind == "no_city" and len(source.dark_targets):
        lon, lat = source.dark_targets[int(rng.integers(len(source.dark_targets)))]
        return float(lon), float(lat)
    weight = source.targets[:, 2] / source.targets[:, 2].sum()
    lon, lat, _ = source.targets[int(rng.choice(len(weight), p=weight))]
    return float(lon), float(lat)


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


Kind = Literal["city", "no_city", "noise", "wrong_place", "any"]
SHARES: dict[Kind, float] = {"city": 0.76, "no_city": 0.08, "noise": 0.04, "wrong_place": 0.12}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One photograph and what is true of it."""

    seed: int
    kind: str  # "city" shows lights of the land; "no_city", "noise" and "wrong_place" do not.
    photo: bytes  # JPEG
    focal_mm: float  # nominal
    camera: SimCamera


def draw_case(
    seed: int,
    *,
    kind: Kind = "any",
    source: CaseSource | None = None,
    long_side_px: int | None = None,
) -> Case:
    """Draw a random case."""
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
    return Case(
        seed=seed,
        kind=kind,
        photo=to_jpeg(picture, scene.jpeg_quality),
        focal_mm=shot.focal_mm,
        camera=shot.camera,
    )
