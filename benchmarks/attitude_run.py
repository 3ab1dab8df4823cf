"""One limb frame drawn, registered with or without its stars, and scored."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial.transform import Rotation

from benchmarks.trials.attempt import outcome_columns, register_trial, trial_columns
from benchmarks.trials.score import camera_of
from benchmarks.trials.source import TrialSource, made_source, real_source
from benchmarks.trials.starry import draw_starry_trial
from benchmarks.trials.starry_sky import FAINTEST_MAG, TrueStars
from matchers.sky_camera import SkyCamera, matrix_quaternion
from regengine.celestial_rotation import icrs_to_itrf
from regengine.lights.map import LightMap, open_light_map
from regengine.register import RegisterParams
from regengine.stars.attitude import StarAttitude
from regengine.stars.catalogue import load_catalogue
from regengine.stars.reader import read_sky

if TYPE_CHECKING:
    from benchmarks.trials.trial import Half, Kind, Trial
    from matchers.camera import Camera
    from regengine.stars.sky import SkyReader, SkyView

STARS_EPOCH_YEAR = 2015.0  # within ten years, stars move by less than 0.1 px
# An attitude that is given instead of solved is off by so much about each axis
GIVEN_SIGMA_ARC_SECONDS, GIVEN_SIGMA_LOG_FOCAL = 20.0, 5e-4
ORBIT_SPEED_KM_S = 7.66


@dataclass(frozen=True, kw_only=True)
class AttitudeRun:
    """What all frames of a run share."""

    source: TrialSource
    light_map: LightMap
    parameters: RegisterParams

    @classmethod
    def open(cls, half: Half, real: Path | None, lights: Path, max_seconds: float) -> AttitudeRun:
        """Open the world to photograph and the map to register on."""
        return cls(
            source=made_source(half) if real is None else real_source(real, half),
            light_map=open_light_map([lights]),
            parameters=RegisterParams(max_seconds=max_seconds, clock=time.process_time),
        )

    @cached_property
    def stars(self) -> TrueStars:
        """The stars that are photographed."""
        catalogue = load_catalogue(epoch_year=STARS_EPOCH_YEAR, faintest_g=FAINTEST_MAG)
        return TrueStars(vectors_icrs=catalogue.vectors, magnitude=catalogue.magnitude_g)


def run_seed(
    run: AttitudeRun, seed: int, kind: Kind, way: str, pictures: Path | None = None
) -> dict[str, Any]:
    """Draw, register and score one frame in one way.

    Parameters
    ----------
    run : AttitudeRun
    seed : int
    kind : "city" or "other_time"
    way : str
        "plain" leaves the stars aside, "stars" detects and solves them, "truth" is given the
        attitude with small errors.
    pictures : Path, optional
        Folder for the photograph.

    Returns
    -------
    dict
        A row of the table.
    """
    trial = draw_starry_trial(seed, run.source, run.stars, kind)
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        (pictures / f"limb-{kind}-{seed:04d}.jpg").write_bytes(trial.photo)
    sky = {"plain": None, "stars": read_sky, "truth": given_sky(trial)}[way]
    with tempfile.TemporaryDirectory() as folder:
        found = register_trial(trial, run.light_map, run.parameters, Path(folder), sky)
    row = trial_columns(trial) | outcome_columns(trial, found) | {"way": way}
    attitude = None if found.state is None else found.state.attitude
    row["stars_solved"] = None if attitude is None else attitude.stars
    if attitude is not None and kind == "city":
        row["attitude_error_deg"] = attitude_error_deg(attitude, trial)
    result = found.result
    if result is not None and result.solved is not None and kind == "city":
        row["offset_error_s"] = along_track_error_s(result.solved.camera, trial)
    return row


def along_track_error_s(camera: Camera, trial: Trial) -> float:
    """How much time the station needs from where it was to where a camera has it, seconds."""
    true_m = trial.camera.position_ecef_m
    apart_m = np.asarray(camera.position_ecef_m) - true_m
    up = true_m / np.linalg.norm(true_m)
    # Across the track the orbit is known: the level distance is along it, nearly
    level_m = apart_m - (apart_m @ up) * up
    return float(np.linalg.norm(level_m)) / 1e3 / ORBIT_SPEED_KM_S


def true_time(trial: Trial, time_utc: datetime) -> datetime:
    """When a trial's photograph was taken, from what its clock says."""
    error_s = trial.factors["clock_error_s"]
    assert isinstance(error_s, float)
    return time_utc - timedelta(seconds=error_s)


def given_sky(trial: Trial) -> SkyReader:
    """A reader that knows the true attitude, but for small errors."""
    rng = np.random.default_rng([trial.seed, 17])
    truth = camera_of(trial.camera)

    def sky(view: SkyView) -> StarAttitude | None:
        frame = view.frame
        if frame.time_utc is None:
            return None
        turn = np.radians(GIVEN_SIGMA_ARC_SECONDS / 3600.0) * rng.standard_normal(3)
        rotation = icrs_to_itrf(true_time(trial, frame.time_utc))
        matrix = rotation.T @ truth.matrix @ Rotation.from_rotvec(turn).as_matrix()
        focal_px = truth.focal_px * (1.0 + GIVEN_SIGMA_LOG_FOCAL * float(rng.standard_normal()))
        camera = SkyCamera(
            width_px=truth.width_px,
            height_px=truth.height_px,
            focal_px=focal_px,
            principal_point=truth.principal_point,
            distortion=truth.distortion,
            mirrored=truth.mirrored,
            quaternion_icrs=matrix_quaternion(matrix),
        )
        return StarAttitude(
            camera=camera,
            sigma_rad=1.5 * float(np.radians(GIVEN_SIGMA_ARC_SECONDS / 3600.0)),
            sigma_log_focal=2.0 * GIVEN_SIGMA_LOG_FOCAL,
            stars=20,
            time_utc=frame.time_utc,
        )

    return sky


def attitude_error_deg(attitude: StarAttitude, trial: Trial) -> float:
    """Median angle between where pixels truly look and where stars say, over the frame."""
    truth = camera_of(trial.camera)
    x, y = np.meshgrid(
        np.linspace(0.0, truth.width_px - 1.0, 7), np.linspace(0.0, truth.height_px - 1.0, 5)
    )
    rays = truth.rays(x, y) @ truth.matrix.T
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    rotation = icrs_to_itrf(true_time(trial, attitude.time_utc))
    seen = attitude.camera.to_sky(x, y) @ rotation.T
    off = np.linalg.norm(np.cross(seen, rays), axis=-1)
    return float(np.degrees(np.median(np.arcsin(np.clip(off, 0.0, 1.0)))))
