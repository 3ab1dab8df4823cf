"""Draw one trial from a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import numpy as np

from benchmarks.simulate.camera import SimCamera, east_north_up
from benchmarks.simulate.orbit import EARTH_TURN_RAD_S
from benchmarks.simulate.render import to_jpeg
from benchmarks.simulate.truth import CameraSettings, exif_bytes
from benchmarks.trials.exposures import Kind
from benchmarks.trials.lights import SeenWorld
from benchmarks.trials.orbits import State, Told, nadirs_of, state_at, time_of
from benchmarks.trials.photograph import OPAQUE_DEPTH, Photograph, separable_places, take_photograph
from benchmarks.trials.shot import (
    Conditions,
    Shot,
    draw_conditions,
    draw_shot,
    off_nadir_deg,
    view_shares,
)
from benchmarks.trials.source import Factor, Half, Trial, TrialSource, continent_of, distance_km
from detectors.types import FloatArray

CLOCK_SHARES = {"2s": 0.55, "120s": 0.25, "10min": 0.08, "1h": 0.12}
FOCAL_SHARES = {"exact": 0.30, "error": 0.50, "unknown": 0.15, "wrong": 0.05}
# Of frames through the Cupola half do not tell their lens, as copies on the web, or another
CUPOLA_FOCAL_SHARES = {"exact": 0.15, "error": 0.35, "unknown": 0.35, "wrong": 0.15}
MAX_FOCAL_ERROR = 0.03
WRONG_FACTOR = (1.1, 1.5)
# A pass that is not the photograph's must not show its place at any clock within this of it ...
CLAIM_WINDOW_S = 75.0 * 60.0
HORIZON_KM = 2600.0  # ... nor come as near to it as this: the horizon at 450 km is 2,340 km away


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What is said of a photograph."""

    clock_utc: datetime  # whole seconds, as EXIF holds
    clock_class: str
    # Clock minus true time; of the claimed pass where the pass is not the true one.
    clock_error_s: float
    elements: Told
    focal_mm: float | None  # none where EXIF does not tell
    focal_told: str  # "exact", "error", "unknown" or "wrong"
    # along_track_error_km and cross_track_error_km: of the element set at the true moment; None
    # where it is of another pass.
    along_track_error_km: float | None
    cross_track_error_km: float | None


def draw_claim(rng: np.random.Generator, source: TrialSource, kind: Kind, shot: Shot) -> Claim:
    """Draw what the engine is told of a shot."""
    errors_km: tuple[float | None, float | None] = (None, None)
    if kind == "other_time" or (kind == "elsewhere" and source.decoy_world is None):
        days, elements = _other_pass(rng, source, kind, shot)
    else:
        days = shot.days
        elements = source.orbits.told(rng, shot.night, days)
        given = state_at(elements.satellite, days).position_ecef_m
        errors_km = apart_km(given, shot.state)
    clock_class = draw_share(rng, CLOCK_SHARES)
    wanted = time_of(days) + timedelta(seconds=draw_clock_error_s(rng, clock_class))
    clock = (wanted + timedelta(seconds=0.5)).replace(microsecond=0)
    told, focal_mm = _focal(rng, kind, shot)
    return Claim(
        clock_utc=clock,
        clock_class=clock_class,
        clock_error_s=(clock - time_of(days)).total_seconds(),
        elements=elements,
        focal_mm=focal_mm,
        focal_told=told,
        along_track_error_km=errors_km[0],
        cross_track_error_km=errors_km[1],
    )


Word = TypeVar("Word", bound=str)


def draw_share(rng: np.random.Generator, shares: Mapping[Word, float]) -> Word:
    return list(shares)[int(rng.choice(len(shares), p=list(shares.values())))]


def draw_clock_error_s(rng: np.random.Generator, clock_class: str) -> float:
    """Seconds that a camera clock is fast, before it is cut to whole seconds."""
    if clock_class == "1h":  # a time zone, or summer time, and the usual drift on top
        hours = float(rng.choice([-1.0, 1.0]))
        return 3600.0 * hours + float(rng.uniform(-30.0, 30.0))
    most = {"2s": 2.0, "120s": 120.0, "10min": 600.0}[clock_class]
    return float(rng.uniform(-most, most))


def _focal(rng: np.random.Generator, kind: Kind, shot: Shot) -> tuple[str, float | None]:
    """How the focal length is told, and what EXIF says: two decimals at most."""
    told = draw_share(rng, CUPOLA_FOCAL_SHARES if kind == "cupola" else FOCAL_SHARES)
    if told == "unknown":
        return told, None
    if told == "exact":
        return told, round(shot.focal_mm, 2)
    if told == "error":
        spread = float(np.clip(rng.normal(0.0, 0.015), -MAX_FOCAL_ERROR, MAX_FOCAL_ERROR))
        return told, round(shot.focal_mm / (1.0 + spread), 2)
    factor = float(rng.uniform(*WRONG_FACTOR))
    return told, round(shot.focal_mm * (factor if rng.random() < 0.5 else 1.0 / factor), 2)


def _other_pass(
    rng: np.random.Generator, source: TrialSource, kind: Kind, shot: Shot
) -> tuple[float, Told]:
    """A pass from which the photographed place cannot be seen, whatever the clock."""
    home = str(continent_of(*shot.target))
    for _ in range(400):
        if kind == "other_time":
            night = shot.night
            hours = float(rng.choice([-1.0, 1.0])) * float(np.exp(rng.uniform(1.0, np.log(200.0))))
            days = shot.days + hours / 24.0
        else:
            night = source.orbits.night(rng)
            if not len(night.days):
                continue
            days = float(rng.choice(night.days))
        elements = source.orbits.told(rng, night, days)
        lon, lat = nadirs_of(night.satellite, np.array([days]))
        other = kind == "other_time" or str(continent_of(lon, lat)[0]) != home
        if other and never_in_view(elements, days, shot.target):
            return days, elements
    raise RuntimeError("No pass was found that does not show the place; draw another seed.")


def never_in_view(elements: Told, days: float, target: tuple[float, float]) -> bool:
    """Whether a place stays beyond the horizon at all clocks within 75 minutes."""
    moments = days + np.arange(-CLAIM_WINDOW_S, CLAIM_WINDOW_S + 1.0, 30.0) / 86400.0
    lon, lat = nadirs_of(elements.satellite, moments)
    return bool(np.nanmin(distance_km(target[0], target[1], lon, lat)) > HORIZON_KM)


def apart_km(given_m: FloatArray, true: State) -> tuple[float, float]:
    """How far a position is ahead of the true one along the orbit, and across it, kilometres."""
    position_m = true.position_ecef_m
    inertial = true.velocity_ecef_m_s + np.cross([0.0, 0.0, EARTH_TURN_RAD_S], position_m)
    up = position_m / np.linalg.norm(position_m)
    across = np.cross(position_m, inertial)
    across /= np.linalg.norm(across)
    ahead = np.cross(across, up)
    angle = np.arctan2(given_m @ ahead, given_m @ up)
    ahead_km = float(angle * np.linalg.norm(position_m) / 1000.0)
    return ahead_km, float(given_m @ across / 1000.0)


def factors_of(
    shot: Shot, claim: Claim, conditions: Conditions, photograph: Photograph, places: int
) -> dict[str, Factor]:
    """One column a factor; angles in degrees, lengths as the names say."""
    camera, scene = shot.camera, conditions.scene
    ground_share, sky_share = view_shares(camera)
    hardware = conditions.hardware
    read = (scene.read_noise_electrons / scene.full_well_electrons) ** 2
    focal_error = None if claim.focal_mm is None else claim.focal_mm / shot.focal_mm - 1.0
    return {
        "off_nadir_deg": off_nadir_deg(camera),
        "limb_visible": sky_share > 0.0,
        "ground_share": ground_share,
        "roll_deg": _roll_deg(camera),
        "focal_mm": shot.focal_mm,
        "focal_told": claim.focal_told,
        "focal_error": focal_error,
        "clock_class": claim.clock_class,
        "clock_error_s": claim.clock_error_s,
        "tle_age_days": claim.elements.age_days,
        "along_track_error_km": claim.along_track_error_km,
        "cross_track_error_km": claim.cross_track_error_km,
        "k1": camera.k1,
        "cloud_opaque": _cover(conditions, opaque=True),
        "cloud_thin": _cover(conditions, opaque=False),
        "moon": conditions.moon,
        "lightning": scene.lightning_nw > 0.0,
        "airglow": sky_share > 0.0,
        "stars": sky_share > 0.0,
        "aurora": conditions.aurora is not None,
        "reflection": scene.reflection_nw > 0.0,
        "hardware": "none" if hardware is None else "+".join(hardware.parts),
        "hardware_lit_by": "none" if hardware is None else hardware.lit_by,
        "hardware_share": float(photograph.cover.mean()),
        "iso": shot.exposure.iso,
        # Noise of a pixel at a hundredth of saturation, as a share of saturation
        "iso_noise": float(np.sqrt(0.01 / scene.full_well_electrons + read)),
        "motion_px": scene.motion_px,
        "defocus_px": scene.psf_sigma_px,
        "saturation_nw": scene.saturation_nw,
        "bloom": scene.bloom_share,
        "vignetting": scene.vignetting,
        "gain_spread": conditions.lights.gain_sigma,
        "lights_changed_share": conditions.changed_share,
        "boats": scene.boats,
        "flares": conditions.flares,
        "jpeg_quality": scene.jpeg_quality,
        "resize_px": shot.storage.long_px,
        "crop_share": shot.storage.crop_share,
        "crop_keeps_shape": shot.storage.crop[2] == shot.storage.crop[3],
        "turned_deg": 90 * shot.storage.quarter_turns,
        "mirrored": shot.storage.mirrored,
        "tone_contrast": scene.tone_contrast,
        "body": shot.exposure.body.name,
        "continent": shot.continent,
        "places": places,
        "lon": shot.target[0],
        "lat": shot.target[1],
        "time_utc": shot.state.time_utc.isoformat(timespec="milliseconds"),
    }


def _cover(conditions: Conditions, *, opaque: bool) -> float:
    layers = conditions.scene.clouds
    return float(sum(o.coverage for o in layers if (o.optical_depth > OPAQUE_DEPTH) == opaque))


def _roll_deg(camera: SimCamera) -> float:
    """Turn of the stored picture about its axis against the vertical, -180 to 180."""
    up = east_north_up(camera.lon_deg, camera.lat_deg)[2]
    right, down = camera.axes[:, 0] @ up, camera.axes[:, 1] @ up
    return float(np.degrees(np.arctan2(-right, -down)))


KIND_SHARES: dict[Kind, float] = {
    "city": 0.78,
    "dark": 0.07,
    "stars": 0.025,
    "aurora": 0.02,
    "noise": 0.02,
    "elsewhere": 0.055,
    "other_time": 0.03,
}
ENOUGH_PLACES = 8
WITH_LIGHTS = ("city", "cupola", "elsewhere", "other_time")
# Trials from this seed on are wide photographs through the Cupola
FIRST_CUPOLA = 5_000_000


def draw_trial(seed: int, source: TrialSource, kind: Kind | None = None) -> Trial:
    """Draw a trial, of a kind or of any; the same seed, source and kind give the same bytes."""
    kind, shot, claim = told_shot(seed, source, kind)
    conditions = draw_conditions(stream_of(seed, source.half, 3), kind, shot, seed)
    camera, scene = shot.camera, conditions.scene
    world = None
    if kind in WITH_LIGHTS:
        decoy = source.decoy_world if kind == "elsewhere" else None
        world = SeenWorld(decoy or source.world, camera, conditions.changed_share, seed)
    photograph = take_photograph(shot, world, conditions)
    places = 0
    if world is not None:
        places = len(separable_places(camera, world.mapped, source.map_step_deg, photograph, scene))
    exif = exif_bytes(
        CameraSettings(
            clock_utc=claim.clock_utc,
            focal_mm=claim.focal_mm,
            aperture_f=shot.exposure.aperture_f,
            exposure_s=shot.exposure.exposure_s,
            iso=round(shot.exposure.iso),
            body=shot.exposure.body.name,
        )
    )
    return Trial(
        seed=seed,
        half=source.half,
        kind=kind,
        photo=to_jpeg(photograph.picture, scene.jpeg_quality, exif),
        tle_text=claim.elements.tle_text,
        camera=camera,
        factors=factors_of(shot, claim, conditions, photograph, places),
        registrable=kind in ("city", "cupola") and places >= ENOUGH_PLACES,
        places=places,
        world=world,
        lights=conditions.lights,
    )


def told_shot(seed: int, source: TrialSource, kind: Kind | None = None) -> tuple[Kind, Shot, Claim]:
    """What a trial shows from where, and what is said of it: all but how it came out."""
    kind = kind or kind_of(seed, source.half)
    shot = draw_shot(stream_of(seed, source.half, 1), source, kind)
    return kind, shot, draw_claim(stream_of(seed, source.half, 2), source, kind, shot)


def kind_of(seed: int, half: Half) -> Kind:
    if seed >= FIRST_CUPOLA:
        return "cupola"
    return draw_share(stream_of(seed, half, 0), KIND_SHARES)


def stream_of(seed: int, half: Half, number: int) -> np.random.Generator:
    return np.random.default_rng([seed, 5 if half == "test" else 6, number])
