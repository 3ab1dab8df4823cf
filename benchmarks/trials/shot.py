"""Draw where the station is, what the camera aims at, and how the picture is stored."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.camera import Pointing, SimCamera, east_north_up, ecef_of
from benchmarks.simulate.hardware import PARTS, WINDOW, Hardware, draw_foreground
from benchmarks.simulate.weather import AuroraBand, CloudLayer, SceneParameters
from benchmarks.simulate.worlds import Realisation
from benchmarks.trials.exposures import Exposure, draw_exposure
from benchmarks.trials.orbits import Night, State, state_at, sun_elevation_deg
from benchmarks.trials.source import (
    Cells,
    Kind,
    Storage,
    TrialSource,
    distance_km,
    draw_storage,
    ground_distance_km,
    stored_camera,
    whole_size,
)

MAX_OFF_NADIR_DEG = 65.0
MAX_INCIDENCE_DEG = 80.0
MIN_GROUND = 0.25
CUPOLA_CROP = 0.9  # a field of 70 degrees is left
CUPOLA_COVER = (0.1, 0.4)  # of the picture, by hardware
CUPOLA_SKY = (0.1, 0.55)  # shares of the picture: the limb is well in it
# Stars of magnitude 3 and brighter, a square degree: such a one has the least light that is drawn
# of stars, 8 nW cm^-2 sr^-1, in a pixel of a picture whose focal length is so many pixels. In
# pixels of 2.5 times less sky stars a magnitude fainter have it, of which there are three times
# as many
BRIGHT_STARS, BRIGHT_STARS_PX = 0.0045, 356.0
TARGET_SUN_DEG = -8.0
NIGHTS, MOMENTS, AIMS = 200, 12, 12


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A camera in its place."""

    night: Night  # the true orbit
    days: float  # the true moment, days since 2000-01-01 12:00 UTC
    state: State
    target: tuple[float, float]  # longitude and latitude of what the camera aims at, degrees
    continent: str  # of the target
    exposure: Exposure  # its focal length is the nominal one
    focal_mm: float  # the true one
    storage: Storage
    whole: SimCamera  # of the whole sensor, at the stored picture's scale
    camera: SimCamera  # of the stored picture


def draw_shot(rng: np.random.Generator, source: TrialSource, kind: Kind) -> Shot:
    """Draw a shot of a kind of trial.

    Slants are even between the nadir and 65 degrees, for any lens: of 1,535 located photographs
    of the archive half are more than 315 km aside, a tenth more than 1,130 km.
    """
    exposure = draw_exposure(rng, source.exposures, kind)
    focal_mm = exposure.focal_mm * (1.0 + float(np.clip(rng.normal(0.0, 0.004), -0.01, 0.01)))
    storage = draw_storage(rng)
    while kind == "cupola" and storage.crop_share < CUPOLA_CROP:
        storage = draw_storage(rng)
    wide = exposure.focal_mm < 60.0
    k1 = float(rng.uniform(-0.06, 0.015)) if wide else 0.0
    names = list(source.shares)
    continent = str(rng.choice(names, p=np.array(list(source.shares.values()))))
    dark = kind in ("dark", "noise")
    for _ in range(NIGHTS):
        slant_deg = float(rng.uniform(0.0, MAX_OFF_NADIR_DEG))
        aimed = _aim(rng, source, continent, slant_deg, exposure, dark)
        if aimed is None:
            continue
        night, days, target = aimed
        state = state_at(night.satellite, days)
        width, height = whole_size(storage, exposure.body.long_px / exposure.body.short_px)
        for _ in range(AIMS):
            whole = SimCamera.pointed(
                position_ecef_m=state.position_ecef_m,
                pointing=_pointing(rng, kind, state, target, exposure),
                width_px=round(width),
                height_px=round(height),
                focal_px=focal_mm / exposure.body.long_mm * width,
                k1=k1,
            )
            camera = stored_camera(whole, storage)
            if kind in ("stars", "aurora") or _shows_ground(kind, camera):
                return Shot(
                    night=night,
                    days=days,
                    state=state,
                    target=target,
                    continent=continent,
                    exposure=exposure,
                    focal_mm=focal_mm,
                    storage=storage,
                    whole=whole,
                    camera=camera,
                )
    raise RuntimeError(f"No place on {continent} was found to photograph; draw another seed.")


def _aim(
    rng: np.random.Generator,
    source: TrialSource,
    continent: str,
    slant_deg: float,
    exposure: Exposure,
    dark: bool,
) -> tuple[Night, float, tuple[float, float]] | None:
    """A moment of night and a target at about a slant from there."""
    night = source.orbits.night(rng)
    cells = (source.dark if dark else source.lit)[continent]
    reach_km = ground_distance_km(slant_deg, 400e3)
    around = reach_km / 111.0 / np.cos(np.radians(np.clip(np.abs(night.lat), 0.0, 60.0)))
    near = (
        (night.lat > cells.lat.min() - reach_km / 111.0)
        & (night.lat < cells.lat.max() + reach_km / 111.0)
        & (night.lon > cells.lon.min() - around)
        & (night.lon < cells.lon.max() + around)
    )
    moments = np.flatnonzero(near)
    if not len(moments):
        return None
    for moment in rng.choice(moments, min(MOMENTS, len(moments)), replace=False):
        target = _target(rng, cells, night, int(moment), reach_km, exposure)
        if target is None:
            continue
        if dark or rng.random() < _worth(cells, target, reach_km, exposure):
            return night, float(night.days[moment]), target
    return None


def _target(
    rng: np.random.Generator,
    cells: Cells,
    night: Night,
    moment: int,
    reach_km: float,
    exposure: Exposure,
) -> tuple[float, float] | None:
    """A cell in the ring at the wanted distance, brighter ones more often."""
    distance = distance_km(night.lon[moment], night.lat[moment], cells.lon, cells.lat)
    ring = np.flatnonzero(np.abs(distance - reach_km) < 20.0 + 0.06 * reach_km)
    if not len(ring):
        return None
    sun = sun_elevation_deg(night.days[moment], cells.lon[ring], cells.lat[ring])
    ring = ring[sun < TARGET_SUN_DEG]
    if not len(ring):
        return None
    # Tele lenses are pointed at cities, wide ones at countries; and people expose for what they
    # see: short exposures are of bright places.
    power = cells.power[ring] + 1.0
    weight = power ** (0.8 if exposure.focal_mm > 100.0 else 0.5)
    weight *= np.minimum(power / (8.0 * exposure.saturation_nw()), 1.0)
    chosen = int(ring[int(rng.choice(len(ring), p=weight / weight.sum()))])
    return float(cells.lon[chosen]), float(cells.lat[chosen])


def _worth(cells: Cells, target: tuple[float, float], reach_km: float, exposure: Exposure) -> float:
    """Chance that a target is photographed, by the light that the picture would hold."""
    half_field = 0.5 * exposure.body.short_mm / exposure.focal_mm
    radius_km = max(np.hypot(reach_km, 400.0) * half_field, 14.0)
    inside = distance_km(*target, cells.lon, cells.lat) < radius_km
    power = float(cells.power[inside].sum())
    return min(1.0, power / (60.0 * exposure.saturation_nw()), int(inside.sum()) / 4.0 + 0.25)


def _pointing(
    rng: np.random.Generator,
    kind: Kind,
    state: State,
    target: tuple[float, float],
    exposure: Exposure,
) -> Pointing:
    """Towards the target, which need not be in the middle of the picture."""
    sight = ecef_of(*target) - state.position_ecef_m
    east, north, up = east_north_up(state.lon, state.lat) @ (sight / np.linalg.norm(sight))
    off_nadir = float(np.degrees(np.arccos(np.clip(-up, -1.0, 1.0))))
    azimuth = float(np.degrees(np.arctan2(east, north)))
    field_deg = float(np.degrees(np.arctan(exposure.body.short_mm / 2.0 / exposure.focal_mm)))
    shift = 0.35 * field_deg * rng.uniform(-1.0, 1.0, 2)
    if kind == "stars":
        off_nadir = float(rng.uniform(72.0 + min(1.3 * field_deg, 45.0), 135.0))
    elif kind == "aurora":
        off_nadir = float(rng.uniform(66.0, 74.0))
    else:
        off_nadir = float(np.clip(off_nadir + shift[0], 0.0, MAX_OFF_NADIR_DEG))
        azimuth += float(np.clip(shift[1] / np.sin(np.radians(max(off_nadir, 5.0))), -40.0, 40.0))
    if off_nadir > 45.0 and rng.random() < 0.5:  # where the horizon is near, half are held upright
        roll = float(rng.normal(0.0, 12.0))
    else:
        roll = float(rng.uniform(-180.0, 180.0))
    return Pointing(off_nadir_deg=off_nadir, azimuth_deg=azimuth % 360.0, roll_deg=roll)


def view_shares(camera: SimCamera) -> tuple[float, float]:
    """Shares of the picture with ground at less than 80 degrees of incidence, and with sky."""
    x, y = np.meshgrid(
        np.linspace(0, camera.width_px - 1, 24), np.linspace(0, camera.height_px - 1, 16)
    )
    lon, lat, _ = camera.ground(x, y)
    seen = np.isfinite(lon)
    near = np.zeros(lon.shape, bool)
    if seen.any():
        cosine = camera.project(lon[seen], lat[seen])[3]
        near[seen] = cosine > np.cos(np.radians(MAX_INCIDENCE_DEG))
    return float(near.mean()), float(1.0 - seen.mean())


def off_nadir_deg(camera: SimCamera) -> float:
    """Angle at the camera between the middle of the picture and the geodetic nadir."""
    ray = camera.rays((camera.width_px - 1) / 2.0, (camera.height_px - 1) / 2.0)
    up = east_north_up(camera.lon_deg, camera.lat_deg)[2]
    return float(np.degrees(np.arccos(np.clip(-(ray @ up), -1.0, 1.0))))


def _shows_ground(kind: Kind, camera: SimCamera) -> bool:
    ground, sky = view_shares(camera)
    if kind == "cupola" and not CUPOLA_SKY[0] <= sky <= CUPOLA_SKY[1]:
        return False
    return ground >= MIN_GROUND and off_nadir_deg(camera) <= MAX_OFF_NADIR_DEG


# Nadir ground speed that a camera held still does not follow; people follow most of it.
GROUND_SPEED_M_S = 7300.0
MAX_MOTION_PX = 8.0
# Measured radiance of saturation over the nominal one, four frames of known place and settings
# (ISS030-E-184140, ISS038-E-11205, ISS038-E-36641, ISS065-E-394522): 1.6, 0.25, 0.84, 0.58.
SATURATION_BIAS, SATURATION_SPREAD = 0.67, 0.45


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Between the lights and the file."""

    scene: SceneParameters  # exposure, sensor, weather
    lights: Realisation
    changed_share: float  # of the patches of light
    flares: int
    aurora: AuroraBand | None
    hardware: Hardware | None
    moon: float  # 0 to 1


def draw_conditions(rng: np.random.Generator, kind: Kind, shot: Shot, seed: int) -> Conditions:
    """Draw all that is not geometry."""
    ground, sky = view_shares(shot.camera)
    moon = 0.0 if rng.random() < 0.4 else float(rng.random() ** 1.5)
    return Conditions(
        scene=_draw_scene(rng, kind, shot, seed, moon),
        lights=Realisation(
            number=10 + seed,
            gain_sigma=float(rng.uniform(0.2, 0.8)),
            gone_fraction=0.1,
            district_sigma=float(rng.uniform(0.2, 0.8)),
        ),
        changed_share=float(rng.uniform(0.10, 0.30)),
        flares=int(rng.integers(1, 25)) if ground > 0.0 and rng.random() < 0.06 else 0,
        aurora=_draw_aurora(rng, kind, shot, seed, sky),
        hardware=(_draw_cupola_hardware if kind == "cupola" else _draw_hardware)(
            rng, shot, seed, moon
        ),
        moon=moon,
    )


def _draw_scene(
    rng: np.random.Generator, kind: Kind, shot: Shot, seed: int, moon: float
) -> SceneParameters:
    exposure, camera = shot.exposure, shot.camera
    sensor_px = exposure.body.long_px / max(shot.whole.width_px, shot.whole.height_px)
    pixel_m = camera.height_m / camera.focal_px
    still = float(rng.random()) ** 2
    motion_px = 0.7 * still * GROUND_SPEED_M_S * exposure.exposure_s / pixel_m
    lens_px = float(rng.uniform(0.7, 1.6)) / sensor_px
    defocus_px = 0.0 if rng.random() < 0.85 else float(rng.uniform(0.8, 3.0))
    clouds = _draw_clouds(rng, kind, moon)  # before the exposure is spread
    saturation_nw = exposure.saturation_nw() * SATURATION_BIAS
    saturation_nw *= float(np.exp(SATURATION_SPREAD * rng.standard_normal()))
    pushed = 4.0 if kind == "noise" else 1.0
    reflection = rng.random() < (0.25 if kind in ("dark", "noise") else 0.12)
    return SceneParameters(
        seed=seed,
        saturation_nw=saturation_nw,
        full_well_electrons=exposure.full_well_electrons() * sensor_px**2 / pushed**2,
        read_noise_electrons=exposure.read_noise_electrons() * sensor_px,
        ground_nw=0.02 + 0.5 * moon,
        extinction=float(rng.uniform(0.15, 0.5)),
        side_light=float(rng.uniform(0.2, 0.6)),
        psf_sigma_px=float(np.sqrt(lens_px**2 + 0.45**2 + defocus_px**2)),
        motion_px=min(motion_px, MAX_MOTION_PX),
        motion_deg=float(rng.uniform(0.0, 180.0)),
        halo_share=float(rng.uniform(0.02, 0.10)),
        bloom_share=0.0 if rng.random() < 0.5 else float(rng.uniform(0.01, 0.08)),
        clouds=clouds,
        boats=int(rng.integers(10, 80)) if rng.random() < 0.12 else 0,
        lightning_nw=float(np.exp(rng.uniform(4.5, 8.0))) if rng.random() < 0.08 else 0.0,
        airglow_nw=float(np.exp(rng.uniform(np.log(1.0), np.log(10.0)))),
        # Through the Cupola, where sky fills much of the picture, as many as the eye's count of
        # them and the size of pixels say
        stars_per_square_degree=(
            BRIGHT_STARS * (camera.focal_px / BRIGHT_STARS_PX) ** 2.5 * float(rng.uniform(0.5, 2.0))
            if kind == "cupola"
            else float(rng.uniform(0.3, 2.0))
        ),
        vignetting=float(rng.uniform(0.0, 0.5)),
        reflection_nw=saturation_nw * float(rng.uniform(0.01, 0.3)) if reflection else 0.0,
        tone_contrast=float(rng.uniform(0.0, 0.4)),
        white_balance=(float(rng.uniform(0.8, 1.2)), 1.0, float(rng.uniform(0.75, 1.35))),
        jpeg_quality=int(rng.integers(60, 96)),
        most_lamps=250_000,
    )


def _draw_clouds(rng: np.random.Generator, kind: Kind, moon: float) -> tuple[CloudLayer, ...]:
    """An opaque and a thin layer: none in 45 %, else up to 80 % of the ground, less is usual."""
    cover = 0.0 if rng.random() < 0.45 else 0.8 * float(rng.beta(1.0, 1.4))
    if kind == "dark":
        cover = float(rng.uniform(0.0, 1.0))
    if cover == 0.0:
        return ()
    opaque = float(rng.random()) * cover
    thin_depth = float(rng.uniform(0.4, 1.5))
    return tuple(
        CloudLayer(
            coverage=share,
            optical_depth=depth,
            brightness_nw=0.1 + 8.0 * moon,
            scale_km=float(rng.uniform(120.0, 500.0)),
        )
        for share, depth in ((opaque, 12.0), (cover - opaque, thin_depth))
    )


def _draw_aurora(
    rng: np.random.Generator, kind: Kind, shot: Shot, seed: int, sky: float
) -> AuroraBand | None:
    """Ahead of the camera: always for its own kind, now and then where sky is in the picture."""
    chance = {"aurora": 1.0, "stars": 0.1}.get(kind, 0.08 if sky > 0.05 else 0.0)
    drawn = rng.random(4)
    if drawn[0] >= chance:
        return None
    local = east_north_up(shot.camera.lon_deg, shot.camera.lat_deg).T
    ahead = np.linalg.inv(local) @ shot.camera.axes[:, 2]
    return AuroraBand(
        seed=seed,
        azimuth_deg=float(np.degrees(np.arctan2(ahead[0], ahead[1]))) + 40.0 * (drawn[1] - 0.5),
        distance_deg=5.0 + 11.0 * float(drawn[2]),
        brightness_nw=float(np.exp(np.log(5.0) + np.log(12.0) * drawn[3])),
    )


def _draw_hardware(rng: np.random.Generator, shot: Shot, seed: int, moon: float) -> Hardware | None:
    """More often before wide lenses that look aside: the station hangs above and beside them."""
    wide = shot.exposure.focal_mm < 60.0
    drawn = rng.random(4)
    if drawn[0] >= (0.35 if wide else 0.06):
        return None
    count = int(rng.integers(1, 4))
    lit_by, top = _draw_lighting(rng, moon)
    return Hardware(
        seed=seed,
        parts=tuple(str(part) for part in rng.choice(PARTS, count)),
        size=0.15 + 0.55 * float(drawn[1]),
        lit_by=lit_by,
        brightness=top * (0.2 + 0.8 * float(drawn[2])),
        blur_px=0.7 + 2.5 * float(drawn[3]) ** 2,
    )


def _draw_lighting(rng: np.random.Generator, moon: float) -> tuple[str, float]:
    lit_by = str(rng.choice(["dark", "moon", "lamp", "sun"], p=[0.35, 0.3, 0.25, 0.1]))
    top = {"dark": 0.01, "moon": 0.02 + 0.1 * moon, "lamp": 0.25, "sun": 1.2}[lit_by]
    return lit_by, top


def _draw_cupola_hardware(rng: np.random.Generator, shot: Shot, seed: int, moon: float) -> Hardware:
    """The Cupola's window around the picture and one or two parts of the station outside it.

    Together they hide 10 to 40 % of the picture and no more than half of the limb.
    """
    width, height = shot.camera.width_px, shot.camera.height_px
    small = (round(width * 300 / max(width, height)), round(height * 300 / max(width, height)))
    limb = _limb_mask(shot.camera, *small)
    for number in range(60):
        lit_by, top = _draw_lighting(rng, moon)
        outside = rng.choice(PARTS[:-1], int(rng.integers(1, 3)))
        hardware = Hardware(
            seed=seed + 1_000_003 * number,
            parts=(*(str(part) for part in outside), WINDOW),
            size=float(rng.uniform(0.15, 0.6)),
            lit_by=lit_by,
            brightness=top * float(rng.uniform(0.2, 1.0)),
            blur_px=float(rng.uniform(1.0, 4.0)) * max(width, height) / 1000.0,
        )
        cover = draw_foreground(replace(hardware, blur_px=0.5), *small).cover
        if CUPOLA_COVER[0] <= cover.mean() <= CUPOLA_COVER[1] and cover[limb].mean() <= 0.5:
            return hardware
    raise RuntimeError("No window leaves half of the limb in view; draw another seed.")


def _limb_mask(camera: SimCamera, width: int, height: int) -> NDArray[np.bool_]:
    """Where the ground ends, in a picture brought down to a size."""
    x, y = np.meshgrid(
        (np.arange(width) + 0.5) * camera.width_px / width - 0.5,
        (np.arange(height) + 0.5) * camera.height_px / height - 0.5,
    )
    ground = np.isfinite(camera.ground(x, y)[0])
    edge = np.zeros_like(ground)
    edge[:, 1:] |= ground[:, 1:] != ground[:, :-1]
    edge[1:] |= ground[1:] != ground[:-1]
    return edge
