"""Propose hypotheses from a street map by FFT correlation of a square of the photo with cities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np

from detectors.constants import KM_PER_DEGREE
from detectors.types import FloatArray, FloatImage
from matchers.geometry.camera import Camera
from matchers.geometry.earth import geodetic_to_ecef, local_axes
from matchers.geometry.pose import look_at
from matchers.lights.photo_light import LightImage
from regengine.registration.align import is_same_view
from regengine.registration.refine_on_map import even_picture
from regengine.registration.streets.parameters import StreetParams
from regengine.registration.types import Problem, SearchState, StopReason
from regengine.registration.windows import StreetMap


def draw_lamps(density: FloatImage, params: StreetParams) -> FloatImage:
    """Render lamps as in a photo: blurred, with compressed brightness (square root of density)."""
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
    *,
    is_fine: bool,
) -> Iterator[list[tuple[Camera, int, float]]]:
    """Correlate a photo with a whole street map, in all views and rolls.

    By default only its middle square is used. If clouds, haze or lights that are not lamps leave
    too little structure there, the whole photo is used at a finer scale. It is divided into squares
    that may each be displaced a little from the view, so that fewer views and rolls are needed.
    Views with too little ground for a frame to be accepted are then skipped.

    Apart from the roll, the effect of a view on level ground is given by the symmetric matrix
    $(f / d)^2 (I - h h^T)$. Here $f$ is the focal length, $d$ the distance and $h$ the horizontal
    part of the unit vector towards the camera. Views are similar if the logarithms of its square
    root differ by less than the step of the scale; only one of these is tried.

    Parameters
    ----------
    state : SearchState
        Records the work as "streets". Its stop reason shows if the budget ended before the views.
    light : LightImage
        Linear light of the photo.
    positions_ecef_m : ndarray, shape (n, 3)
        Possible camera positions, likeliest first.
    focals_px : ndarray, shape (m,)
        Possible focal lengths of the stored image, likeliest first.
    tried : list of ndarray, shape (3,)
        Views of this map that are already tried; new ones are appended.
    max_views : int
        Maximum number of other views that are tried, each at all rolls.
    is_fine : bool
        Whether the whole photo is correlated, at up to half of the scale.

    Yields
    ------
    list of (Camera, int, float)
        Of each view distinct cameras of the stored image, the best first, which of the positions
        each stands at, and the correlation of the squares with the streets under them.
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
    # Ground sample across the line of sight
    sample_m = float(np.median(np.exp(-in_sight[:, :2].max(axis=1)))) / nominal.focal_px
    short_px = min(nominal.width_px, nominal.height_px)
    short_km = short_px * sample_m / 1e3
    scale_m = next(m for least_km, m in params.search_scales if short_km >= least_km)
    if is_fine:
        scale_m = max(params.finest_search_m, 0.5 * scale_m)
    small = light.resized(
        round(max(nominal.width_px, nominal.height_px) * sample_m / scale_m), params.smooth_px
    )
    side = min(params.square_px, int((1.0 if is_fine else 0.85) * min(small.values.shape)))
    # Steps move the square's rim by as many pixels whatever its size
    coarser = params.square_px / side
    chosen: list[tuple[FloatArray, int, int, int]] = []
    for n, t in np.ndindex(views.shape[1::-1]):
        if not np.isfinite(views[t, n, 0]):
            continue
        for m, log_focal in enumerate(log_focals):
            stretch = views[t, n] + [log_focal, log_focal, 0.0]
            # Frames that are too small to be accepted do not get the longest search
            widest_km = short_px * float(np.exp(-stretch[:2].min())) / 1e3
            if is_fine and widest_km < params.min_short_side_km:
                continue
            known_views = [*tried, *(one[0] for one in chosen)]
            nearest = min((np.abs(stretch - one).max() for one in known_views), default=np.inf)
            if len(chosen) < max_views and nearest > coarser * params.scale_step:
                chosen.append((stretch, t, n, m))
    step_deg = scale_m / 1e3 / KM_PER_DEGREE
    if not chosen:
        return
    city = streets.window(*streets.bounds, step_deg)
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
    middle_px = 0.5 * np.array([nominal.width_px - 1.0, nominal.height_px - 1.0])
    n_side = 1
    if is_fine:
        n_side = min(params.squares_a_side, int(np.ceil(max(small.values.shape) / side)))
    # The innermost square lies on the map as a whole, those around it may reach beyond
    extent = n_side * side
    pad = (extent - side) // 2
    n_rows, n_cols = (length + 2 * pad for length in drawn.shape)
    padded = np.zeros([cv2.getOptimalDFTSize(length) for length in (n_rows, n_cols)], np.float32)
    padded[pad : n_rows - pad, pad : n_cols - pad] = drawn
    spectrum = cv2.dft(padded)
    # Of the map under a square, by its first corner
    energy = cv2.boxFilter(
        padded**2, -1, (side, side), None, (0, 0), normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    floor = params.energy_floor * float(np.percentile(energy[: n_rows - side, : n_cols - side], 90))
    gain = np.asarray(1.0 / np.sqrt(np.maximum(energy, floor)), np.float32)
    # Possible positions of the photo's first corner
    n_rows, n_cols = n_rows - extent + 1, n_cols - extent + 1
    roll_step = coarser * params.roll_step_rad[is_fine]
    # Squares of the photo with how far they are from the innermost
    firsts = range(0, extent, side)
    corners = sorted((float(np.hypot(i - pad, j - pad)), i, j) for i in firsts for j in firsts)
    squares = [(off_px, np.s_[i : i + side, j : j + side]) for off_px, i, j in corners]

    margin = round(2 * params.deviation_px)
    grid = (np.arange(extent + 2 * margin, dtype=float) - margin - extent // 2) * scale_m
    ground_e, ground_n = np.meshgrid(grid, -grid)
    taken = np.s_[margin : margin + extent, margin : margin + extent]
    rolls = np.arange(0.0, 2.0 * np.pi, roll_step)
    work_of_square = params.work_of_megapixel * padded.size / 1e6
    n_laid = min(len(squares), params.n_squares)
    work = len(rolls) * (params.work_of_template + n_laid * work_of_square)
    share = problem.params.search.same_view_share
    for stretch, t, n, m in chosen:
        most_work = params.work_share[is_fine] * problem.params.work_budget
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
            # A roll of the camera rotates its image by the opposite angle
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
            template, shown = even_picture(laid[0], laid[1], params)[taken], laid[1][taken]
            # Those that the photo fills most, inner ones first
            fullest = sorted(squares, key=lambda one: -round(float(shown[one[1]].mean()), 1))
            score, norm = np.zeros((n_rows, n_cols), np.float32), 1e-6
            for off_px, part in fullest[:n_laid]:
                square = np.zeros_like(padded)
                square[:side, :side] = template[part] - template[part].mean()
                norm += float(np.linalg.norm(square))
                product = cv2.mulSpectrums(spectrum, cv2.dft(square), 0, conjB=True)
                laid_on = cv2.idft(product, flags=cv2.DFT_SCALE) * gain
                reach = round(0.5 * roll_step * off_px)
                if reach:
                    around = np.ones([2 * reach + 1] * 2, np.uint8)
                    laid_on = np.asarray(cv2.dilate(laid_on, around), np.float32)
                score += laid_on[part[0].start :, part[1].start :][:n_rows, :n_cols]
            row, col = divmod(int(np.argmax(score)), n_cols)
            inner = extent // 2 - pad
            peaks.append((float(score[row, col]) / norm, row + inner, col + inner, float(roll)))
        found: list[tuple[Camera, int, float]] = []
        for ncc, at_row, at_col, roll in sorted(peaks, reverse=True):
            if len(found) == params.n_candidates:
                break
            lon_deg = west + (at_col + 0.5) / drawn.shape[1] * (east - west)
            lat_deg = north - (at_row + 0.5) / drawn.shape[0] * (north - south)
            # The position from which the view of this target is most similar to the template
            seen = see_ground(positions_ecef_m, lon_deg, lat_deg)
            if not np.isfinite(seen).any():  # not visible at this target
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
    """Logarithm of the scale of level ground from positions (n, 3), for a focal length of 1.

    The scale is a symmetric matrix in pixels per metre. The result has its components east-east,
    north-north and east-north, shape (n, 3); NaN beyond 63 degrees of incidence.
    """
    east, north, up = local_axes(lon_deg, lat_deg)
    towards = positions_ecef_m - geodetic_to_ecef(lon_deg, lat_deg)
    distance = np.linalg.norm(towards, axis=1)
    towards /= distance[:, None]
    h = towards @ np.stack([east, north], axis=1)
    cosine = towards @ up
    # The logarithm of the square root of I - h h^T is log(cosine) h h^T / |h|^2
    share = np.log(np.maximum(cosine, 1e-3)) / np.maximum((h**2).sum(axis=1), 1e-12)
    parts = np.stack(
        [share * h[:, 0] ** 2, share * h[:, 1] ** 2, share * h[:, 0] * h[:, 1]], axis=1
    )
    parts[:, :2] -= np.log(distance)[:, None]
    return np.where((cosine > 0.45)[:, None], parts, np.nan)
