"""A person's points on simulated cameras, solved from wherever the page may have begun."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

from detectors.types import FloatArray
from matchers.camera import Camera
from matchers.earth import geodetic_to_ecef, great_circle_km, incidence_deg
from matchers.footprint import diagonal_km
from matchers.pose import moved, off_nadir_attitude, with_attitude
from regengine.registration.solve_points import Solved, Whereabouts, solve
from regengine.result import ReviewedPoint

WIDTH_PX, HEIGHT_PX = 4256, 2832
SENSOR_MM = 36.0
LENSES_MM = (24.0, 35.0, 50.0, 85.0, 180.0, 400.0)
MOST_INCIDENCE_DEG = 80.0
GROUND_SHARE = 0.5  # of the picture, at least
# As the control points that are proposed: apart, and of a quarter of what they are chosen from
HULL_SHARE, APART_SHARE = 0.25, 0.1
GRID = np.stack(np.meshgrid(np.linspace(0.02, 0.98, 25), np.linspace(0.02, 0.98, 17)), -1)
# A start: anywhere in so many kilometres, its height and lens about right, turned at random
FARTHEST_KM = 1500.0
SIGMA_HEIGHT_KM, SIGMA_LOG_FOCAL = 5.0, 0.03
# Right: within so much of the footprint's diagonal, or so many kilometres
RIGHT_SHARE, RIGHT_KM = 0.01, 1.0


def simulated_cameras(count: int, seed: int) -> Iterator[Camera]:
    """Cameras on a station's orbit with usual lenses, looking down or towards the limb."""
    chance = np.random.default_rng(seed)
    while count:
        position = geodetic_to_ecef(
            chance.uniform(-180.0, 180.0),
            chance.uniform(-51.6, 51.6),
            1e3 * chance.uniform(340, 430),
        )
        attitude = off_nadir_attitude(
            position, chance.uniform(0.0, 65.0), *chance.uniform(0.0, 360.0, 2)
        )
        x, y, z = position.tolist()
        upright = Camera(
            width_px=WIDTH_PX,
            height_px=HEIGHT_PX,
            focal_px=float(chance.choice(LENSES_MM) / SENSOR_MM * WIDTH_PX),
            principal_point=((WIDTH_PX - 1) / 2, (HEIGHT_PX - 1) / 2),
            quaternion=(0.0, 0.0, 0.0, 1.0),
            position_ecef_m=(x, y, z),
            mirrored=bool(chance.random() < 0.1),
        )
        camera = with_attitude(upright, attitude)
        if len(ground_pixels(camera)) >= GROUND_SHARE * GRID[..., 0].size:
            count -= 1
            yield camera


def ground_pixels(camera: Camera) -> FloatArray:
    """Pixels of a grid over the picture that see ground on which places can be told, (n, 2)."""
    pixels = GRID.reshape(-1, 2) * [camera.width_px - 1, camera.height_px - 1]
    ground = camera.pixel_to_ecef(*pixels.T)
    return pixels[incidence_deg(camera.position_ecef_m, ground) <= MOST_INCIDENCE_DEG]


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """A true camera, points on what it sees, and the camera that the page begins with."""

    truth: Camera
    start: Camera
    points: list[ReviewedPoint]

    def solved(self, known: Whereabouts | None = None) -> Solved:
        """What the page is told."""
        return solve(self.start, self.points, "auto", known)

    def is_right(self, found: Camera) -> bool:
        """Whether the picture lies where it belongs, wherever it shows ground."""
        x, y = ground_pixels(self.truth).T
        away = great_circle_km(*self.truth.pixel_to_lonlat(x, y), *found.pixel_to_lonlat(x, y))
        worst_km = float(np.nan_to_num(away, nan=np.inf).max())
        return worst_km <= max(RIGHT_KM, RIGHT_SHARE * diagonal_km(self.truth))


def trials(truth: Camera, count: int, seed: int) -> Iterator[Trial]:
    """Points, exact or of a pixel's noise, four to eight of them, and starts that are wrong."""
    chance = np.random.default_rng(seed)
    for _ in range(count):
        pixels = spread_pixels(truth, int(chance.integers(4, 9)), chance)
        lon, lat = truth.pixel_to_lonlat(*pixels.T)
        pixels = pixels + chance.normal(0.0, float(chance.integers(0, 2)), pixels.shape)
        points = [
            ReviewedPoint(x=x, y=y, lon=east, lat=north, sigma_px=None, origin="person")
            for (x, y), east, north in zip(pixels.tolist(), lon.tolist(), lat.tolist(), strict=True)
        ]
        yield Trial(truth=truth, start=wrong_start(truth, chance), points=points)


def spread_pixels(camera: Camera, count: int, chance: np.random.Generator) -> FloatArray:
    """Pixels that see the ground, spread as a person is asked to spread them; (count, 2)."""
    ground = ground_pixels(camera)
    least_area = HULL_SHARE * ConvexHull(ground).volume
    least_apart = APART_SHARE * float(np.hypot(*np.ptp(ground, axis=0)))
    while True:
        pixels = ground[chance.choice(len(ground), count, replace=False)]
        pixels = pixels + chance.uniform(-20.0, 20.0, pixels.shape)
        apart = np.linalg.norm(pixels[:, None] - pixels, axis=-1)[np.triu_indices(count, 1)].min()
        if apart >= least_apart and ConvexHull(pixels).volume >= least_area:
            return pixels


def wrong_start(truth: Camera, chance: np.random.Generator) -> Camera:
    """The camera elsewhere, turned, with another lens: as a runner-up, or a hand, places it."""
    away_m = 1e3 * FARTHEST_KM * np.sqrt(chance.random())
    along_m, across_m = away_m * np.array([np.cos(t := chance.uniform(0, 2 * np.pi)), np.sin(t)])
    up_m = 1e3 * chance.normal(0.0, SIGMA_HEIGHT_KM)
    x, y, z = moved(truth.position_ecef_m, [0.3, 0.4, 0.8], along_m, across_m, up_m).tolist()
    there = replace(
        truth,
        position_ecef_m=(x, y, z),
        focal_px=float(truth.focal_px * np.exp(chance.normal(0.0, SIGMA_LOG_FOCAL))),
    )
    return with_attitude(there, Rotation.random(rng=chance).as_matrix())


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How trials ended."""

    trials: int = 0
    right: int = 0
    points: int = 0
    suspects: int = 0
    cpu_s: float = 0.0  # processor time of all

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{name: value + vars(other)[name] for name, value in vars(self).items()})


def tally(cameras: int, starts: int, seed: int = 0, kept: Path | None = None) -> Tally:
    """Solve points on so many cameras from so many wrong starts each.

    ``kept`` is a file of one line of JSON a camera: what it has is not solved again, so that a long
    run goes on where it was interrupted.
    """
    known = {}
    if kept is not None and kept.exists():
        for line in kept.read_text(encoding="utf-8").splitlines():
            said = json.loads(line)
            known[said["camera"], said["starts"], said["seed"]] = Tally(**said["ended"])
    total = Tally()
    for number, truth in enumerate(simulated_cameras(cameras, seed)):
        of_camera = known.get((number, starts, seed))
        if of_camera is None:
            of_camera = sum(
                (ended(trial) for trial in trials(truth, starts, seed + 1 + number)), Tally()
            )
            if kept is not None:
                about = {"camera": number, "starts": starts, "seed": seed}
                with kept.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(about | {"ended": vars(of_camera)}) + "\n")
        total += of_camera
    return total


def ended(trial: Trial) -> Tally:
    """How one trial ended."""
    begun = time.process_time()
    fit = trial.solved().fit
    return Tally(
        trials=1,
        right=int(trial.is_right(fit.camera)),
        points=len(trial.points),
        suspects=int(fit.suspect.sum()),
        cpu_s=time.process_time() - begun,
    )
