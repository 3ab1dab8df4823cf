"""The dice of the weather, the optics and the foreground: all numbers of one scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.simulate.aurora import AuroraBand
from benchmarks.simulate.hardware import PARTS, Hardware
from benchmarks.simulate.lamps import Realisation
from benchmarks.simulate.scene import CloudLayer, SceneParameters
from benchmarks.trials.shot import Shot, view_shares
from benchmarks.trials.trial import Kind

# Nadir ground speed that a camera held still does not follow; people follow most of it.
GROUND_SPEED_M_S = 7300.0
MOST_MOTION_PX = 8.0
# Measured radiance of saturation over the nominal one, four frames of known place and settings
# (ISS030-E-184140, ISS038-E-11205, ISS038-E-36641, ISS065-E-394522): 1.6, 0.25, 0.84, 0.58.
SATURATION_BIAS, SATURATION_SPREAD = 0.67, 0.45


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Between the lights and the file.

    Attributes
    ----------
    scene : SceneParameters
        Exposure, sensor, weather.
    lights : Realisation
    changed_share : float
        Of the patches of light.
    flares : int
    aurora : AuroraBand or None
    hardware : Hardware or None
    moon : float
        0 to 1.
    """

    scene: SceneParameters
    lights: Realisation
    changed_share: float
    flares: int
    aurora: AuroraBand | None
    hardware: Hardware | None
    moon: float


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
        hardware=_draw_hardware(rng, shot, seed, moon),
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
    clouds = _draw_clouds(rng, kind, moon)
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
        motion_px=min(motion_px, MOST_MOTION_PX),
        motion_deg=float(rng.uniform(0.0, 180.0)),
        halo_share=float(rng.uniform(0.02, 0.10)),
        bloom_share=0.0 if rng.random() < 0.5 else float(rng.uniform(0.01, 0.08)),
        clouds=clouds,
        boats=int(rng.integers(10, 80)) if rng.random() < 0.12 else 0,
        lightning_nw=float(np.exp(rng.uniform(4.5, 8.0))) if rng.random() < 0.08 else 0.0,
        airglow_nw=float(np.exp(rng.uniform(np.log(1.0), np.log(10.0)))),
        stars_per_square_degree=float(rng.uniform(0.3, 2.0)),
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
    ahead = np.linalg.inv(_local_axes(shot)) @ shot.camera.axes[:, 2]
    return AuroraBand(
        seed=seed,
        azimuth_deg=float(np.degrees(np.arctan2(ahead[0], ahead[1]))) + 40.0 * (drawn[1] - 0.5),
        distance_deg=5.0 + 11.0 * float(drawn[2]),
        brightness_nw=float(np.exp(np.log(5.0) + np.log(12.0) * drawn[3])),
    )


def _local_axes(shot: Shot) -> np.ndarray:
    from benchmarks.simulate.geodesy import east_north_up

    return east_north_up(shot.camera.lon_deg, shot.camera.lat_deg).T


def _draw_hardware(rng: np.random.Generator, shot: Shot, seed: int, moon: float) -> Hardware | None:
    """More often before wide lenses that look aside: the station hangs above and beside them."""
    wide = shot.exposure.focal_mm < 60.0
    drawn = rng.random(4)
    if drawn[0] >= (0.35 if wide else 0.06):
        return None
    count = int(rng.integers(1, 4))
    lit_by = str(rng.choice(["dark", "moon", "lamp", "sun"], p=[0.35, 0.3, 0.25, 0.1]))
    top = {"dark": 0.01, "moon": 0.02 + 0.1 * moon, "lamp": 0.25, "sun": 1.2}[lit_by]
    return Hardware(
        seed=seed,
        parts=tuple(str(part) for part in rng.choice(PARTS, count)),
        size=0.15 + 0.55 * float(drawn[1]),
        lit_by=lit_by,
        brightness=top * (0.2 + 0.8 * float(drawn[2])),
        blur_px=0.7 + 2.5 * float(drawn[3]) ** 2,
    )
