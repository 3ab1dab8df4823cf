"""How well lenses are calibrated on simulated photos of the real sky: attitudes and parameters.

``python -m benchmarks lens`` prints the tables; ``--out FOLDER`` writes them as a dated page with a
figure.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from benchmarks.pages import command_of, parser, table, title_lines, write_page
from benchmarks.simulate.sky import SkyLens, SkySettings, sky_frame
from detectors.types import FloatArray, StarDetections
from matchers.geometry.sky_camera import LENS_PARAMETERS, SkyCamera, matrix_quaternion
from regengine.photo.formats import PhotoFile
from regengine.photo.frame import Frame
from regengine.photo.image import LUMINANCE_WEIGHTS
from regengine.sky.detection.kinds import STARS
from regengine.sky.stars.catalogue import (
    StarCatalogue,
    apparent_directions,
    julian_year,
    load_catalogue,
)
from regengine.sky.stars.lens_calibration import FAINTEST_G as FAINTEST_USED_G
from regengine.sky.stars.lens_calibration import Calibration, calibrate
from regengine.sky.stars.lens_fit import LensFrame, fit_lens
from regengine.sky.stars.lens_photo import LensPhoto, measure_light
from regengine.sky.stars.star_fit import pair_stars

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
    """A lens calibrated on photos, and how far that is from the truth."""

    calibration: Calibration
    away: FloatArray  # fitted less true parameters, in the order of `LENS_PARAMETERS`
    sigmas: FloatArray  # what the fit says of them; 0 where not fitted
    chi_square: float  # squared distance of the fitted ones from the truth by their covariance
    seconds: float  # of the calibration
    # By how much the optical axis and the picture's middle of each new photo are off, arc seconds
    axis: list[float]
    middle: list[float]


@cache
def sky() -> tuple[StarCatalogue, FloatArray]:
    """The catalogue at the epoch of the photos, and where its stars are seen."""
    known = load_catalogue(epoch_year=julian_year(TAKEN), faintest_g=FAINTEST_G)
    return known, apparent_directions(known.vectors, TAKEN)


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
    focal_mm: float,
) -> Shot:
    """Photograph the sky somewhere, detect stars and measure them."""
    attitude = Rotation.random(random_state=rng)
    true = replace(lens, quaternion_icrs=matrix_quaternion(attitude.as_matrix()))
    known, seen = sky()
    colours = known.magnitude_bp - known.magnitude_rp
    taken = sky_frame(true, seen, known.magnitude_g, settings, rng, colours=colours)
    light = taken.picture.light
    grey = light @ np.array(LUMINANCE_WEIGHTS, np.float32)
    clipped = taken.picture.saturated.astype(np.float32)
    stars: StarDetections = STARS.detector().detect(grey, None, clipped)
    frame = Frame(
        file=PhotoFile(
            path=Path(f"{name}.jpg"), format="jpeg", width_px=WIDTH_PX, height_px=HEIGHT_PX
        ),
        frame_id=name,
        camera_body="NIKON D3S",
        focal_mm=focal_mm,
        time_utc=TAKEN,
        exposure_s=settings.exposure_s,
    )
    start = _solution(true, taken.x, taken.y, seen[taken.index], focal_mm, rng)
    return Shot(photo=measure_light(frame, start, stars, light), true=true)


def photograph(seed: int, frames: int, focal_mm: float) -> list[Shot]:
    """Draw a lens and take photos with it."""
    rng = np.random.default_rng(seed)
    camera, lens = draw_lens(rng, focal_mm)
    return [
        take(rng, f"{seed}-{k}", camera, draw_settings(rng, lens), focal_mm) for k in range(frames)
    ]


def calibrate_lens(shots: Sequence[Shot], new: Sequence[Shot]) -> Trial:
    """Calibrate a lens on photos, and place new ones with it."""
    known, _ = sky()
    started = time.process_time()
    calibration = calibrate([shot.photo for shot in shots], known)
    seconds = time.process_time() - started
    fit = calibration.fit
    away = fit.cameras[0].lens_values - shots[0].true.lens_values
    index = [LENS_PARAMETERS.index(name) for name in fit.free]
    square = away[index] @ np.linalg.solve(fit.covariance[np.ix_(index, index)], away[index])
    placed = [place_with_lens(fit.cameras[0], shot.photo) for shot in new]
    return Trial(
        calibration=calibration,
        away=away,
        sigmas=np.sqrt(np.diag(fit.covariance)),
        chi_square=float(square),
        seconds=seconds,
        axis=[
            off_arcsec(one.matrix[:, 2], shot.true.matrix[:, 2])
            for one, shot in zip(placed, new, strict=True)
        ],
        middle=[
            off_arcsec(one.centre_icrs, shot.true.centre_icrs)
            for one, shot in zip(placed, new, strict=True)
        ],
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


def place_with_lens(lens: SkyCamera, photo: LensPhoto) -> SkyCamera:
    """Attitude of a photo with a lens that is known, from all stars that are found."""
    known, seen = sky()
    camera, stars = _same_middle(lens, photo.camera), photo.stars
    for tolerance_px, most in ((6.0, 150), (1.5, 5000)):
        pairs = pair_stars(
            camera,
            stars.x[:most],
            stars.y[:most],
            seen,
            known.magnitude_g,
            tolerance_px=tolerance_px,
            blend_px=8.0,
        )
        kept = pairs.alone & (stars.flags[pairs.detection] == 0)
        kept &= known.magnitude_g[pairs.star] <= FAINTEST_USED_G
        chosen = pairs.detection[kept]
        spread = np.einsum("nii->n", stars.covariance_px2[chosen]) / 2.0
        frame = LensFrame(
            camera=camera,
            x=stars.x[chosen],
            y=stars.y[chosen],
            sigma_px=np.sqrt(spread),
            directions_icrs=seen[pairs.star[kept]],
        )
        camera = fit_lens([frame], free=()).cameras[0]
    return camera


def _same_middle(camera: SkyCamera, other: SkyCamera) -> SkyCamera:
    """The camera, turned so that its picture's middle and corners look where the other's do."""
    x, y = np.array([0.0, WIDTH_PX - 1.0] * 2), np.repeat([0.0, HEIGHT_PX - 1.0], 2)
    turn, _ = Rotation.align_vectors(other.to_sky(x, y), camera.rays(x, y))
    return replace(camera, quaternion_icrs=matrix_quaternion(turn.as_matrix()))


def off_arcsec(one: FloatArray, other: FloatArray) -> float:
    """Angle between two directions."""
    return float(np.degrees(2.0 * np.arcsin(0.5 * np.linalg.norm(one - other)))) * 3600.0


def rms(values: ArrayLike) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


GOAL_ARCSEC = 10.0
ATTITUDE_HEADER = (
    "photos | lenses | stars a photo | residual px | held-out px | new photos | axis, RMS | "
    "largest | middle, RMS | chi-square / degrees | CPU s"
)
PARAMETER_HEADER = (
    "photos | parameter | fitted in | error, RMS | sigma, median | error / sigma, RMS"
)


def attitude_cells(frames: int, trials: Sequence[Trial]) -> list[str]:
    """How well new photos are placed, and how good the fits say they are."""
    profiles = [t.calibration.profile for t in trials]
    axis = [off for t in trials for off in t.axis]
    degrees = sum(len(t.calibration.fit.free) for t in trials)
    return [
        str(frames),
        str(len(profiles)),
        f"{np.mean([p.stars / p.frames for p in profiles]):.0f}",
        f"{np.mean([p.rms_px for p in profiles]):.3f}",
        f"{np.mean([p.held_out_px or np.nan for p in profiles]):.3f}",
        str(len(axis)),
        f"**{rms(axis):.1f}″**",
        f"{max(axis):.1f}″",
        f"{rms([off for t in trials for off in t.middle]):.2f}″",
        f"{sum(t.chi_square for t in trials):.0f} / {degrees}",
        f"{np.median([t.seconds for t in trials]):.2f}",
    ]


def parameter_rows(frames: int, trials: Sequence[Trial]) -> list[list[str]]:
    """Error of each parameter, and errors over their sigmas."""
    away, sigma = np.array([t.away for t in trials]), np.array([t.sigmas for t in trials])
    rows = []
    for k, name in enumerate(LENS_PARAMETERS):
        fitted = sigma[:, k] > 0.0
        if fitted.any():
            off, of = away[fitted, k], sigma[fitted, k]
            cells = [f"{rms(off):.2g}", f"{np.median(of):.2g}", f"{rms(off / of):.2f}"]
            rows.append([str(frames), name, str(fitted.sum()), *cells])
    return rows


def main(argv: list[str]) -> int:
    """Run the benchmark."""
    given = parser("lens", __doc__)
    given.add_argument("--lenses", type=int, default=12)
    given.add_argument("--frames", type=int, default=10, help="photos of the larger calibration")
    given.add_argument("--new", type=int, default=3, help="photos a lens that are then placed")
    given.add_argument("--focal-mm", type=float, default=50.0)
    given.add_argument("--seed", type=int, default=101)
    chosen = given.parse_args(argv)
    trials: dict[int, list[Trial]] = {1: [], chosen.frames: []}  # by photos of the calibration
    for k in range(chosen.lenses):
        shots = photograph(chosen.seed + k, chosen.frames + chosen.new, chosen.focal_mm)
        for frames, some in trials.items():
            some.append(calibrate_lens(shots[:frames], shots[chosen.frames :]))
        print(f"lens {k + 1} of {chosen.lenses}", file=sys.stderr)
    note = (
        f"Lenses of {chosen.focal_mm:g} mm are drawn as lenses are (`benchmarks/lens.py`: focal "
        "length, principal point, barrel of up to 3 %, decentring, falloff, sharpness) and "
        "photograph the stars of the catalogue to magnitude 10 anywhere in the sky, with "
        "aberration: 1,500 x 998 pixels of 99″, 8-bit sRGB, a second, sky background with a slope "
        "of its own in each. Stars are found by the default detector; the calibration starts from "
        "a nominal lens without its distortion. New photos of the lens are then placed by the "
        "calibrated lens."
    )
    parameters = [row for frames, some in trials.items() for row in parameter_rows(frames, some)]
    lines = [
        f"Goal: new photos placed to {GOAL_ARCSEC:g}″ RMS across the axis. The axis is where the "
        "attitude's quaternion points; the middle is what the picture's middle shows.",
        "",
        *table(ATTITUDE_HEADER, [attitude_cells(*one) for one in trials.items()], right=11),
        "",
        "## Parameters",
        "",
        *table(PARAMETER_HEADER, parameters, right=4),
        "",
    ]
    title = title_lines("Lenses calibrated on simulated stars", command_of("lens", argv), note)
    write_page(chosen.out, "lens", [*title, *lines])
    return 0
