"""All that was drawn for a trial, as one flat row."""

from __future__ import annotations

import numpy as np

from benchmarks.simulate.geodesy import east_north_up
from benchmarks.simulate.sim_camera import SimCamera
from benchmarks.trials.conditions import Conditions
from benchmarks.trials.photograph import OPAQUE_DEPTH, Photograph
from benchmarks.trials.shot import Shot, off_nadir_deg, view_shares
from benchmarks.trials.told import Claim
from benchmarks.trials.trial import Factor


def factors_of(
    shot: Shot, claim: Claim, conditions: Conditions, photograph: Photograph, places: int
) -> dict[str, Factor]:
    """One column a factor; angles in degrees, lengths as the names say."""
    camera, scene = shot.camera, conditions.scene
    ground_share, sky_share = view_shares(camera)
    hardware = conditions.hardware
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
        "iso_noise": noise_share(conditions),
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


def noise_share(conditions: Conditions) -> float:
    """Noise of a pixel at a hundredth of saturation, as a share of saturation."""
    scene = conditions.scene
    read = (scene.read_noise_electrons / scene.full_well_electrons) ** 2
    return float(np.sqrt(0.01 / scene.full_well_electrons + read))


def _cover(conditions: Conditions, *, opaque: bool) -> float:
    return float(
        sum(
            layer.coverage
            for layer in conditions.scene.clouds
            if (layer.optical_depth > OPAQUE_DEPTH) == opaque
        )
    )


def _roll_deg(camera: SimCamera) -> float:
    """Turn of the stored picture about its axis against the vertical, -180 to 180."""
    up = east_north_up(camera.lon_deg, camera.lat_deg)[2]
    right, down = camera.axes[:, 0] @ up, camera.axes[:, 1] @ up
    return float(np.degrees(np.arctan2(-right, -down)))
