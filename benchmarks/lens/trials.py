"""Simulated calibrations of lenses on the real sky: draw a lens, photograph, calibrate, compare."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from benchmarks.simulate.sky_frame import SkySettings, sky_frame
from benchmarks.simulate.sky_optics import SkyLens
from detectors.types import FloatArray, StarDetections
from matchers.lens_fit import fit_lens
from matchers.lens_stars import LENS_PARAMETERS, LensFrame, lens_values
from matchers.sky_camera import SkyCamera, matrix_quaternion
from regengine.photo.frame import Frame
from regengine.photo.image import LUMINANCE_WEIGHTS
from regengine.sky.detection.kinds import STARS
from regengine.sky.stars.catalogue import (
    StarCatalogue,
    apparent_directions,
    julian_year,
    load_catalogue,
)
from regengine.sky.stars.lens_calibration import Calibration, calibrate
from regengine.sky.stars.lens_photo import LensPhoto, measure_light

WIDTH_PX, HEIGHT_PX = 1500, 998  # a D3S, brought down
PITCH_UM = 24.0
TAKEN = datetime(2012, 1, 26, 16, 8, 20, tzinfo=UTC)
NOMINAL_FOCAL = 0.004  # what is engraved and what is: one sigma, relative
PRINCIPAL_SIGMA_PX = 6.0  # 0.14 mm
# Distortion at the corners by the first, second term and decentring: 3 % barrel at most
K1_CORNER, K2_CORNER, DECENTRING_CORNER = 0.012, 0.004, 1.5e-4
START_STARS = 30  # the solution that a calibration starts from is a fit to so many stars
FAINTEST_G = 10.0  # stars that are photographed: the catalogue ends there


@dataclass(frozen=True, kw_only=True, eq=False)
class Shot:
    """A photo that was taken and measured, and where it truly looked."""

    photo: LensPhoto
    true: SkyCamera


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """One lens, calibrated on its photos, and what is true of it."""

    shots: tuple[Shot, ...]
    lens: SkyLens  # the true falloff
    settings: SkySettings  # zero points, of the first photo
    calibration: Calibration
    seconds: float  # of the calibration

    @property
    def away(self) -> FloatArray:
        """Fitted less true parameters, in the order of `LENS_PARAMETERS`."""
        fitted = self.calibration.choice.fit.cameras[0]
        return lens_values(fitted) - lens_values(self.shots[0].true)

    @property
    def sigmas(self) -> FloatArray:
        """What the fit says of them; 0 where not fitted."""
        return np.asarray(np.sqrt(np.diag(self.calibration.choice.fit.covariance)))

    def chi_square(self) -> tuple[float, int]:
        """Squared distance of the parameters from the truth by their covariance, and its rank."""
        fit = self.calibration.choice.fit
        index = [LENS_PARAMETERS.index(name) for name in fit.free]
        away = self.away[index]
        square = away @ np.linalg.solve(fit.covariance[np.ix_(index, index)], away)
        return float(square), len(index)


@cache
def stars_to(faintest_g: float) -> StarCatalogue:
    """The catalogue down to a magnitude, at the epoch of the photos."""
    return load_catalogue(epoch_year=julian_year(TAKEN), faintest_g=faintest_g)


def draw_lens(rng: np.random.Generator, focal_mm: float) -> tuple[SkyCamera, SkyLens]:
    """A lens of that focal length as lenses are, and how bright and sharp it draws."""
    focal_px = 1e3 * focal_mm / PITCH_UM * float(np.exp(rng.normal(0.0, NOMINAL_FOCAL)))
    corner = 0.5 * float(np.hypot(WIDTH_PX, HEIGHT_PX)) / focal_px
    k1 = rng.normal(-0.5, 1.0) * K1_CORNER / corner**2
    k2 = rng.normal(0.0, 1.0) * K2_CORNER / corner**4
    p1, p2 = rng.normal(0.0, DECENTRING_CORNER / corner, 2)
    px, py = rng.normal(0.0, PRINCIPAL_SIGMA_PX, 2)
    camera = SkyCamera(
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        focal_px=focal_px,
        principal_point=((WIDTH_PX - 1) / 2.0 + px, (HEIGHT_PX - 1) / 2.0 + py),
        distortion=(float(k1), float(k2), float(p1), float(p2), 0.0),
        quaternion_icrs=(0.0, 0.0, 0.0, 1.0),
    )
    corner_light = rng.uniform(0.3, 0.8)
    share = rng.dirichlet([3.0, 2.0, 1.0]) * (1.0 - corner_light)
    # Signs as of real lenses: the first term falls, the next takes some of it back
    falloff = (-(share[0] + 2.0 * share[1]), share[1], -share[2])
    return camera, SkyLens(
        fwhm_px=rng.uniform(1.6, 2.2),
        fwhm_corner_px=rng.uniform(2.2, 3.5),
        falloff=(float(falloff[0]), float(falloff[1]), float(falloff[2])),
    )


def take(
    rng: np.random.Generator,
    name: str,
    lens: SkyCamera,
    settings: SkySettings,
    sky: StarCatalogue,
    seen: FloatArray,
    focal_mm: float,
) -> Shot:
    """Photograph the sky somewhere, detect stars and measure them."""
    attitude = Rotation.random(random_state=rng)
    true = replace(lens, quaternion_icrs=matrix_quaternion(attitude.as_matrix()))
    taken = sky_frame(
        true,
        seen,
        sky.magnitude_g,
        settings,
        rng,
        colours=sky.magnitude_bp - sky.magnitude_rp,
    )
    light = taken.picture.light
    grey = light @ np.array(LUMINANCE_WEIGHTS, np.float32)
    clipped = taken.picture.saturated.astype(np.float32)
    stars: StarDetections = STARS.detector().detect(grey, None, clipped)
    frame = Frame(
        path=Path(f"{name}.jpg"),
        frame_id=name,
        sha256="",
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        camera_body="NIKON D3S",
        focal_mm=focal_mm,
        time_utc=TAKEN,
        exposure_s=settings.exposure_s,
    )
    start = _solution(true, taken.x, taken.y, seen[taken.index], focal_mm, rng)
    return Shot(photo=measure_light(frame, start, stars, light), true=true)


def photograph(seed: int, frames: int, focal_mm: float) -> tuple[list[Shot], SkyLens]:
    """Draw a lens and take photos with it."""
    rng = np.random.default_rng(seed)
    sky = stars_to(FAINTEST_G)
    seen = apparent_directions(sky.vectors, TAKEN)
    camera, lens = draw_lens(rng, focal_mm)
    shots = [
        take(rng, f"{seed}-{k}", camera, draw_settings(rng, lens), sky, seen, focal_mm)
        for k in range(frames)
    ]
    return shots, lens


def calibrated(shots: Sequence[Shot], lens: SkyLens) -> Trial:
    """Calibrate a lens on photos."""
    known = stars_to(FAINTEST_G)
    started = time.process_time()
    calibration = calibrate([shot.photo for shot in shots], known)
    return Trial(
        shots=tuple(shots),
        lens=lens,
        settings=SkySettings(lens=lens),
        calibration=calibration,
        seconds=time.process_time() - started,
    )


def draw_settings(rng: np.random.Generator, lens: SkyLens) -> SkySettings:
    """A sky with a slope of its own."""
    slope = rng.normal(0.0, 0.1, 2)
    sky = np.array(SkySettings().sky_electrons_s) * float(np.exp(rng.normal(0.3, 0.5)))
    return SkySettings(
        lens=lens,
        sky_gradient=(float(slope[0]), float(slope[1])),
        sky_electrons_s=(float(sky[0]), float(sky[1]), float(sky[2])),
    )


def _solution(
    true: SkyCamera,
    x: FloatArray,
    y: FloatArray,
    directions: FloatArray,
    focal_mm: float,
    rng: np.random.Generator,
) -> SkyCamera:
    """What a solver has before the calibration: a nominal lens on the brightest stars."""
    nominal = replace(
        true,
        focal_px=1e3 * focal_mm / PITCH_UM,
        principal_point=((WIDTH_PX - 1) / 2.0, (HEIGHT_PX - 1) / 2.0),
        distortion=(0.0, 0.0, 0.0, 0.0, 0.0),
    )
    bright = slice(0, min(START_STARS, x.size))
    stars = LensFrame(
        camera=nominal,
        x=x[bright] + rng.normal(0.0, 0.3, x[bright].size),
        y=y[bright] + rng.normal(0.0, 0.3, x[bright].size),
        sigma_px=np.ones(x[bright].size),
        directions_icrs=directions[bright],
    )
    return fit_lens([stars], free=("focal_px", "k1")).cameras[0]
