"""How well lenses are calibrated on simulated photos of the real sky: attitudes and parameters.

``python -m benchmarks lens`` prints the tables; ``--out FOLDER`` writes them as a dated page with a
figure.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from benchmarks.pages import command_of, parser, table, title_lines, write_page
from benchmarks.simulate.sky import SkyLens, SkySettings, sky_frame
from detectors.types import FloatArray, StarDetections
from matchers.lens_fit import fit_lens
from matchers.lens_stars import LENS_PARAMETERS, LensFrame, lens_values
from matchers.sky_camera import SkyCamera, matrix_quaternion
from matchers.star_fit import pair_stars
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


def photograph(seed: int, frames: int, focal_mm: float) -> list[Shot]:
    """Draw a lens and take photos with it."""
    rng = np.random.default_rng(seed)
    sky = stars_to(FAINTEST_G)
    seen = apparent_directions(sky.vectors, TAKEN)
    camera, lens = draw_lens(rng, focal_mm)
    return [
        take(rng, f"{seed}-{k}", camera, draw_settings(rng, lens), sky, seen, focal_mm)
        for k in range(frames)
    ]


def calibrated(shots: Sequence[Shot]) -> Trial:
    """Calibrate a lens on photos."""
    known = stars_to(FAINTEST_G)
    started = time.process_time()
    calibration = calibrate([shot.photo for shot in shots], known)
    return Trial(
        shots=tuple(shots),
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


def preamble(arguments: list[str], focal_mm: float) -> list[str]:
    """What was run, where and when."""
    note = (
        f"Lenses of {focal_mm:g} mm are drawn as lenses are (`benchmarks/lens.py`: focal "
        "length, principal point, barrel of up to 3 %, decentring, falloff, sharpness) and "
        "photograph the stars of the catalogue to magnitude 10 anywhere in the sky, with "
        "aberration: 1,500 x 998 pixels of 99″, 8-bit sRGB, a second, sky background with a slope "
        "of its own in each. Stars are found by the default detector; the calibration starts from "
        "a nominal lens without its distortion. New photos of the lens are then placed by the "
        "calibrated lens."
    )
    return title_lines("Lenses calibrated on simulated stars", command_of("lens", arguments), note)


def placed_by(lens: SkyCamera, photo: LensPhoto) -> SkyCamera:
    """Attitude of a photo with a lens that is known, from all stars that are found."""
    known = stars_to(FAINTEST_G)
    seen = apparent_directions(known.vectors, TAKEN)
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


@dataclass(kw_only=True)
class Results:
    """Calibrations with the same number of photos, and new photos placed by them."""

    frames: int
    trials: list[Trial] = field(default_factory=list)
    # By how much the optical axis and the picture's middle of each new photo are off, arc seconds
    axis: list[float] = field(default_factory=list)
    middle: list[float] = field(default_factory=list)


def run(lenses: int, frames: int, new: int, focal_mm: float, seed: int) -> list[Results]:
    """Calibrate each lens on its first photo and on all; place new photos with both."""
    results = [Results(frames=1), Results(frames=frames)]
    for k in range(lenses):
        shots = photograph(seed + k, frames + new, focal_mm)
        for result in results:
            tried = calibrated(shots[: result.frames])
            result.trials.append(tried)
            for shot in shots[frames:]:
                found = placed_by(tried.calibration.choice.fit.cameras[0], shot.photo)
                result.axis.append(off_arcsec(found.matrix[:, 2], shot.true.matrix[:, 2]))
                result.middle.append(off_arcsec(found.centre_icrs, shot.true.centre_icrs))
        print(f"lens {k + 1} of {lenses}", file=sys.stderr)
    return results


ATTITUDE_HEADER = (
    "photos | lenses | stars a photo | residual px | held-out px | new photos | axis, RMS | "
    "largest | middle, RMS | chi-square / degrees | CPU s"
)
PARAMETER_HEADER = (
    "photos | parameter | fitted in | error, RMS | sigma, median | error / sigma, RMS"
)


def attitude_cells(result: Results) -> list[str]:
    """How well new photos are placed, and how good the fits say they are."""
    profiles = [t.calibration.profile for t in result.trials]
    squares, degrees = zip(*(t.chi_square() for t in result.trials), strict=True)
    return [
        str(result.frames),
        str(len(profiles)),
        f"{np.mean([p.stars / p.frames for p in profiles]):.0f}",
        f"{np.mean([p.rms_px for p in profiles]):.3f}",
        f"{np.mean([p.held_out_px or np.nan for p in profiles]):.3f}",
        str(len(result.axis)),
        f"**{rms(result.axis):.1f}″**",
        f"{max(result.axis):.1f}″",
        f"{rms(result.middle):.2f}″",
        f"{sum(squares):.0f} / {sum(degrees)}",
        f"{np.median([t.seconds for t in result.trials]):.2f}",
    ]


def parameter_cells(result: Results) -> Iterator[list[str]]:
    """Error of each parameter, and errors over their sigmas."""
    for k, name in enumerate(LENS_PARAMETERS):
        fitted = [t for t in result.trials if t.sigmas[k] > 0.0]
        if fitted:
            away = np.array([t.away[k] for t in fitted])
            sigma = np.array([t.sigmas[k] for t in fitted])
            cells = [f"{rms(away):.2g}", f"{np.median(sigma):.2g}", f"{rms(away / sigma):.2f}"]
            yield [str(result.frames), name, str(len(fitted)), *cells]


def report(results: Sequence[Results]) -> list[str]:
    """All tables, as Markdown lines."""
    return [
        f"Goal: new photos placed to {GOAL_ARCSEC:g}″ RMS across the axis. The axis is where the "
        "attitude's quaternion points; the middle is what the picture's middle shows.",
        "",
        *table(ATTITUDE_HEADER, map(attitude_cells, results), right=11),
        "",
        "## Parameters",
        "",
        *table(PARAMETER_HEADER, chain.from_iterable(map(parameter_cells, results)), right=4),
        "",
    ]


def main(argv: list[str]) -> int:
    """Run the benchmark."""
    given = parser("lens", __doc__)
    given.add_argument("--lenses", type=int, default=12)
    given.add_argument("--frames", type=int, default=10, help="photos of the larger calibration")
    given.add_argument("--new", type=int, default=3, help="photos a lens that are then placed")
    given.add_argument("--focal-mm", type=float, default=50.0)
    given.add_argument("--seed", type=int, default=101)
    chosen = given.parse_args(argv)
    results = run(chosen.lenses, chosen.frames, chosen.new, chosen.focal_mm, chosen.seed)
    write_page(chosen.out, "lens", [*preamble(argv, chosen.focal_mm), *report(results)])
    return 0
