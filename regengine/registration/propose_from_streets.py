"""Hypotheses from a street map: a square of the photo laid on whole cities by FFT."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np

from detectors.constants import KM_PER_DEGREE
from detectors.types import FloatArray, FloatImage
from matchers.camera import Camera
from matchers.earth import geodetic_to_ecef, local_axes
from matchers.photo_light import LightImage, detail
from matchers.pose import look_at
from regengine.registration.align import is_same_view
from regengine.registration.parameters import StreetParams
from regengine.registration.refine_on_map import even_picture
from regengine.registration.types import Problem, SearchState, StopReason
from regengine.registration.windows import StreetMap


def draw_lamps(density: FloatImage, params: StreetParams) -> FloatImage:
    """Lamps as a photo shows them: blurred, and brighter where there are more, but not as much."""
    blurred = cv2.GaussianBlur(density, (0, 0), params.lamp_px)
    return np.sqrt(np.maximum(blurred, 0.0), dtype=np.float32)


def search_streets(
    problem: Problem,
    state: SearchState,
    light: LightImage,
    positions_ecef_m: FloatArray,
    focals_px: FloatArray,
    streets: StreetMap,
    tried: list[FloatArray],
    max_views: int,
) -> Iterator[list[tuple[Camera, int, float]]]:
    """Lay the most even square of a photo on a whole street map, in every view and turn.

    What a view does to level ground is, but for the turn about its axis, the symmetric matrix
    $(f / d)^2 (I - h h^T)$ of the focal length, the distance and the horizontal part of the unit
    vector towards the camera. Views whose logarithms of its root differ by less than the step of
    the scale look alike, and one of them is tried.

    Parameters
    ----------
    state : SearchState
        Bears the work, as "streets"; its stop reason says if that ended before the views did.
    light : LightImage
        Linear light of the photo.
    positions_ecef_m : ndarray, shape (n, 3)
        Where the camera may be, the likeliest first.
    focals_px : ndarray, shape (m,)
        Focal lengths of the stored image that it may have, the likeliest first.
    tried : list of ndarray, shape (3,)
        Views of this map that were tried before; those tried now are added.
    max_views : int
        The likeliest other views that are tried, each at all rolls.

    Yields
    ------
    list of (Camera, int, float)
        Of each view distinct cameras of the stored image, the best first, which of the positions
        each stands at, and the correlation of the square with the streets under it.
    """
    nominal, params = problem.photo.nominal, problem.params.streets
    west, south, east, north = streets.bounds
    shares = np.array(params.looked_at)
    lon, lat = np.meshgrid(west + (east - west) * shares, south + (north - south) * shares)
    middle = np.argsort(np.hypot(lon - lon.mean(), lat - lat.mean()), axis=None, kind="stable")
    targets = np.stack([lon.ravel(), lat.ravel()], axis=1)[middle]
    # Logarithms of the ground's stretch in all views of all targets, and a few that stand for them
    views = np.array([see_ground(positions_ecef_m, *target) for target in targets])  # (t, n, 3)
    log_focals = np.log(focals_px)
    in_sight = views[np.isfinite(views[..., 0])]
    if not len(in_sight):
        return
    # Ground that a pixel shows across the line of sight
    sample_m = float(np.median(np.exp(-in_sight[:, :2].max(axis=1)))) / nominal.focal_px
    short_km = min(nominal.width_px, nominal.height_px) * sample_m / 1e3
    scale_m = next(m for least_km, m in params.search_scales if short_km >= least_km)
    small = light.resized(
        round(max(nominal.width_px, nominal.height_px) * sample_m / scale_m), params.smooth_px
    )
    side = min(params.square_px, int(0.85 * min(small.values.shape)))
    # Steps move the square's rim by as many pixels whatever its size
    coarser = params.square_px / side
    chosen: list[tuple[FloatArray, int, int, int]] = []
    for n, t in np.ndindex(views.shape[1::-1]):
        if not np.isfinite(views[t, n, 0]):
            continue
        for m, log_focal in enumerate(log_focals):
            stretch = views[t, n] + [log_focal, log_focal, 0.0]
            known_views = [*tried, *(one[0] for one in chosen)]
            nearest = min((np.abs(stretch - one).max() for one in known_views), default=np.inf)
            if len(chosen) < max_views and nearest > coarser * params.scale_step:
                chosen.append((stretch, t, n, m))
    step_deg = scale_m / 1e3 / KM_PER_DEGREE
    city = streets.window(streets.bounds, step_deg)
    if city is None or min(city.values.shape) < 2 * side:
        return
    shrink = float(np.cos(np.radians(0.5 * (south + north))))
    factor = city.step_deg / step_deg
    size = round(city.values.shape[1] * factor * shrink), round(city.values.shape[0] * factor)
    valid = np.ones(city.values.shape, np.float32) if city.valid is None else city.valid
    known = cv2.resize(np.asarray(valid, np.float32), size, interpolation=cv2.INTER_AREA)
    lamps = draw_lamps(
        np.asarray(cv2.resize(city.values, size, interpolation=cv2.INTER_AREA), np.float32), params
    )
    drawn = even_picture(lamps, np.asarray(known, np.float32), params)

    picture = np.sqrt(np.maximum(small.values, 0.0), dtype=np.float32)
    # Most even: where the logarithm of the lines' strength is highest in the mean
    lines = cv2.GaussianBlur(picture, (0, 0), params.smooth_px)
    lines = small.weight * detail(np.asarray(lines, np.float32), params.detail_px, small.weight)
    around = cv2.GaussianBlur(lines * lines, (0, 0), params.detail_px)
    strength = np.log(np.maximum(around, 1e-3 * float(around.max()) + 1e-12))
    mean = cv2.boxFilter(strength, -1, (side, side), borderType=cv2.BORDER_ISOLATED)
    rim = side // 2
    inside = mean[rim : mean.shape[0] - rim, rim : mean.shape[1] - rim]
    row, col = divmod(int(np.argmax(inside)), inside.shape[1])
    middle_px = (np.array([col, row]) + rim + 0.5) / small.factor - 0.5

    square = cv2.boxFilter(
        drawn * drawn, -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    floor = params.energy_floor * float(np.percentile(square, 90.0))
    # Where a square of the map lies whole, by its middle
    last_row, last_col = (extent - side + rim + 1 for extent in drawn.shape)
    energy = np.sqrt(np.maximum(square, floor))[rim:last_row, rim:last_col]
    margin = side // 2 + round(2 * params.deviation_px)
    grid = np.arange(-margin, margin + 1, dtype=float) * scale_m
    ground_e, ground_n = np.meshgrid(grid, -grid)
    taken = np.s_[margin - rim : margin - rim + side, margin - rim : margin - rim + side]
    rolls = np.arange(0.0, 2.0 * np.pi, coarser * params.roll_step_rad)
    work = len(rolls) * (params.work_of_template + params.work_of_megapixel * drawn.size / 1e6)
    share = problem.params.search.same_view_share
    for stretch, t, n, m in chosen:
        most_work = params.work_share * problem.params.work_budget
        if state.work_of.get("streets", 0.0) + work > most_work:
            state.stop_reason = StopReason.WORK_BUDGET
            break
        state.charge(work, "streets")
        tried.append(stretch)
        lens = replace(nominal, focal_px=float(focals_px[m]))
        camera = look_at(lens, positions_ecef_m[n], targets[t], middle_px, 0.0)
        east_axis, north_axis, _ = local_axes(*targets[t])
        target_m = geodetic_to_ecef(*targets[t])
        places = target_m + ground_e[..., None] * east_axis + ground_n[..., None] * north_axis
        at_x, at_y = camera.ecef_to_pixel(places)
        away = (at_x - middle_px[0]) + 1j * (at_y - middle_px[1])
        peaks = []
        for roll in rolls:
            # The camera turned by an angle turns its picture by the opposite one
            at = np.exp(-1j * roll) * away * small.factor
            start_x, start_y = (middle_px + 0.5) * small.factor - 0.5
            laid = [
                np.asarray(
                    cv2.remap(
                        each,
                        (at.real + start_x).astype(np.float32),
                        (at.imag + start_y).astype(np.float32),
                        cv2.INTER_LINEAR,
                        borderMode=cv2.BORDER_CONSTANT,
                    ),
                    np.float32,
                )
                for each in (picture, small.weight)
            ]
            template = even_picture(laid[0], laid[1], params)[taken]
            template = template - template.mean()
            norm = float(np.linalg.norm(template))
            if norm < 1e-6:
                continue
            score = cv2.matchTemplate(drawn, template, cv2.TM_CCORR) / energy
            at_row, at_col = divmod(int(np.argmax(score)), score.shape[1])
            ncc = float(score[at_row, at_col]) / norm
            peaks.append((ncc, at_row + rim, at_col + rim, float(roll)))
        found: list[tuple[Camera, int, float]] = []
        for ncc, at_row, at_col, roll in sorted(peaks, reverse=True):
            if len(found) == params.n_candidates:
                break
            lon_deg = west + (at_col + 0.5) / drawn.shape[1] * (east - west)
            lat_deg = north - (at_row + 0.5) / drawn.shape[0] * (north - south)
            # The place from which this target looks most as the template did
            seen = see_ground(positions_ecef_m, lon_deg, lat_deg)
            if not np.isfinite(seen).any():  # a slant that another target was seen at, not this one
                continue
            log_focal = np.clip(
                (stretch[:2].mean() - seen[:, :2].mean(axis=1)), log_focals.min(), log_focals.max()
            )
            off = seen + np.stack([log_focal, log_focal, 0.0 * log_focal], axis=1) - stretch
            place = int(np.nanargmin(np.nan_to_num(np.abs(off).max(axis=1), nan=np.inf)))
            lens = replace(nominal, focal_px=float(np.exp(log_focal[place])))
            camera = look_at(lens, positions_ecef_m[place], (lon_deg, lat_deg), middle_px, roll)
            if not any(is_same_view(camera, other, share) for other, _, _ in found):
                found.append((camera, place, ncc))
        yield found


def see_ground(positions_ecef_m: FloatArray, lon_deg: float, lat_deg: float) -> FloatArray:
    """Logarithm of how positions (n, 3) see level ground, pixels a metre for a focal length of 1.

    Its parts east-east, north-north and east-north, shape (n, 3); NaN beyond 63 degrees of
    incidence.
    """
    east, north, up = local_axes(lon_deg, lat_deg)
    towards = positions_ecef_m - geodetic_to_ecef(lon_deg, lat_deg)
    distance = np.linalg.norm(towards, axis=1)
    towards /= distance[:, None]
    h = towards @ np.stack([east, north], axis=1)
    cosine = towards @ up
    # The matrix I - h h^T has the root's logarithm log(cosine) h h^T / |h|^2
    share = np.log(np.maximum(cosine, 1e-3)) / np.maximum((h**2).sum(axis=1), 1e-12)
    parts = np.stack(
        [share * h[:, 0] ** 2, share * h[:, 1] ** 2, share * h[:, 0] * h[:, 1]], axis=1
    )
    parts[:, :2] -= np.log(distance)[:, None]
    return np.where((cosine > 0.45)[:, None], parts, np.nan)
