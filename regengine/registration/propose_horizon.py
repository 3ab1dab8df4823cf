"""Propose cameras of far oblique photos by the rows of light along the horizon.

Under the limb the ground is foreshortened twenty times and more. So light is compared as such a
photo shows it: in rows of the angle off the nadir, which the limb gives, over azimuth. A panorama
of the map is made for each nadir of a grid, and the photo's part of a panorama is compared with
it at all azimuths by Fourier transforms (normalized correlation over a window, e.g. Padfield
2012, IEEE Trans. Image Process. 21, 2706), for several focal lengths and errors of the limb's tilt.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import compress, product

import cv2
import numpy as np
import scipy.fft
from numpy.typing import NDArray

from detectors.constants import EARTH_RADIUS_KM, KM_PER_DEGREE
from detectors.limb import (
    Limb,
    compute_pointing,
    compute_tangent_axes,
    make_arc_rays,
    nadir_vector,
    project_directions,
)
from detectors.types import FloatArray, FloatImage
from matchers.geometry.camera import Camera
from matchers.geometry.earth import (
    geodetic_to_ecef,
    local_axes,
    measure_lonlat,
    to_xyz,
    unit_vectors,
)
from matchers.geometry.pose import with_attitude
from matchers.lights.photo_light import EvenedImage
from matchers.points.asterisms import unit
from regengine.maps.reference import RasterMap
from regengine.registration.align import (
    SAME_VIEW_SHARE,
    align_first,
    choose_template_px,
    is_same_view,
)
from regengine.registration.priors import Seen
from regengine.registration.propose_at_places import place_on_track
from regengine.registration.types import Hypothesis, Problem, Region, Stage, keeps_sky_free
from regengine.registration.windows import find_window_around

# Numbers without an origin are by eye, on 18 training photos with a limb.
# Nadirs that are tried: apart, up to the latitudes of the orbit, and as far from a place in view
CELL_DEG, FARTHEST_LAT_DEG = 1.0, 52.2
NEAREST_DEG, REACH_DEG = 2.5, 19.0
# Ground from the haze under the horizon down to where rows of the photo are like any other view
HORIZON_MARGIN_DEG, MIN_OFF_NADIR_DEG = 1.1, 33.7
AZIMUTHS, FREQUENCIES = 180, 60
# Blur over azimuth of the nearest and farthest row, and of the mean that is subtracted
BLUR_NEAR_DEG, BLUR_FAR_DEG, BROAD_DEG = 1.3, 0.36, 8.0
MAP_STEP_DEG, MIN_LIT, MIN_SPREAD = 0.1, 0.05, 0.001
# Panoramas are kept in steps of this part: those of all the Earth take 110 MB
STEPS = 64.0
PHOTO_PX, DETAIL_PX, MIN_DETAIL, MIN_COVERED, MIN_CELLS = 500, 6.0, 0.03, 0.3, 20
# Factors of the limb's focal length and errors of its tilt: where the lens is known, and not
KNOWN = (0.96, 1.0, 1.05), (-1.0, -0.5, 0.0, 0.5)
UNKNOWN = (0.93, 0.98, 1.03, 1.08), (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0)
# Best nadirs that are refined; nearer ones that look the same way are the same. The first must lead
# the sixth by this: without cities a third of the photos have no such lead, with them one in ten
N_REFINED, APART_DEG, APART_AZIMUTH_DEG, MIN_LEAD = 30, 1.5, 15.0, 0.015


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """Rows of the angle off the nadir as seen from one height.

    edges_deg: Limits of the rows off the nadir, ascending, shape (n + 1,).
    ground_deg: The same as angles at the Earth's centre.
    fine, broad: Transfer of the blur over azimuth, by cycles per turn: each row's, shape
        (n, `AZIMUTHS` // 2 + 1), and that of the mean around.
    """

    edges_deg: FloatArray
    ground_deg: FloatArray
    fine: FloatArray
    broad: FloatArray

    def __len__(self) -> int:
        return len(self.fine)

    @classmethod
    def at_height(cls, altitude_km: float) -> Rows:
        """Rows of half a degree at the horizon, and wider where a degree is little ground."""
        ratio = 1.0 + altitude_km / EARTH_RADIUS_KM

        def ground(off_nadir_deg: FloatArray | float) -> FloatArray:
            sine = np.minimum(ratio * np.sin(np.radians(off_nadir_deg)), 1.0)
            return np.asarray(np.degrees(np.arcsin(sine)) - off_nadir_deg)

        edges = [float(np.degrees(np.arcsin(1.0 / ratio))) - HORIZON_MARGIN_DEG]
        while edges[-1] > MIN_OFF_NADIR_DEG:
            slope = 0.1 / float(ground(edges[-1] + 0.05) - ground(edges[-1] - 0.05))
            edges.append(edges[-1] - float(np.hypot(0.5, 0.3 * slope)))
        edges_deg = np.array(edges[::-1])
        sigma_deg = np.linspace(BLUR_NEAR_DEG, BLUR_FAR_DEG, len(edges) - 1)[:, None]
        cycles = np.radians(np.arange(AZIMUTHS // 2 + 1))
        return cls(
            edges_deg=edges_deg,
            ground_deg=ground(edges_deg),
            fine=np.exp(-0.5 * (sigma_deg * cycles) ** 2),
            broad=np.exp(-0.5 * (BROAD_DEG * cycles) ** 2),
        )


def propose_horizon(problem: Problem, stage: Stage) -> list[Hypothesis]:
    """Propose cameras of a photo with a limb, and align the best.

    Its nadirs are those with a given place in view, those of the region, or all on the Earth. A
    score says nothing by itself: of few lights it is high anywhere. So nothing is proposed if the
    best nadir hardly stands out.
    """
    limb, light_map, region = problem.photo.limb, problem.references.light_map, stage.region
    assert limb is not None
    assert region is not None
    # Heights are rounded, so that other photos find the Earth drawn from the same
    height_km = 10.0 * round(problem.altitude_km / 10.0)
    rows = Rows.at_height(height_km)
    lenses = list(product(*(KNOWN if problem.photo.focal_known else UNKNOWN)))
    image = problem.photo.image("narrow").resized(PHOTO_PX, 0.7, DETAIL_PX)
    views = np.array([view_photo(image, limb, rows, *lens) for lens in lenses])
    shown = (views[:, 1] > 0.0).sum(axis=(1, 2)) >= MIN_CELLS
    lenses, views = list(compress(lenses, shown)), views[shown]
    if not lenses:
        return []
    if problem.prior.seen is None and not region.places:
        ground, axes, panoramas = draw_earth(light_map, height_km)
    else:
        axes = list_nadirs(problem.prior.seen, region)
        ground = read_ground(light_map, axes)
        axes, panoramas = draw_panoramas(rows, ground, axes)
    if not len(axes):
        return []
    score, turn_deg, which = compare(panoramas, views)
    chosen: list[int] = []
    for k in np.argsort(-score, kind="stable").tolist():
        apart = axes[chosen, 2] @ axes[k, 2] < np.cos(np.radians(APART_DEG))
        turned = np.abs((turn_deg[chosen] - turn_deg[k] + 180.0) % 360.0 - 180.0)
        if (apart | (turned > APART_AZIMUTH_DEG)).all():
            chosen.append(k)
        if len(chosen) == N_REFINED:
            break
    if score[chosen[0]] - score[chosen[min(5, len(chosen) - 1)]] < MIN_LEAD:
        return []
    found = []
    for k in chosen:
        best = float(score[k]), axes[k], float(turn_deg[k]), int(which[k])
        for step_deg in (0.5, 0.25):  # to the best of the eight neighbours, and nearer again
            east, north, up = best[1]
            grid = np.radians(step_deg) * np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)])
            around = local_axes(*measure_lonlat(up + grid @ np.stack([east, north])))
            around, panoramas = draw_panoramas(rows, ground, around)
            first = max(0, best[3] - 1)
            scores, turns_deg, nearby = compare(panoramas, views[first : best[3] + 2])
            if scores.max(initial=-1.0) > best[0]:
                i = int(scores.argmax())
                turned_deg, lens = float(turns_deg[i]), first + int(nearby[i])
                best = float(scores[i]), around[i], turned_deg, lens
        found.append(best)
    hypotheses: list[Hypothesis] = []
    for _, at, azimuth_deg, k in sorted(found, key=lambda one: -one[0]):
        camera = aim_camera(problem, at, azimuth_deg, *lenses[k])
        if not keeps_sky_free(problem.photo, camera):
            continue
        hypothesis = place_on_track(problem, stage, camera)
        if hypothesis is not None and not any(
            is_same_view(camera, other.camera, 2.0 * SAME_VIEW_SHARE) for other in hypotheses
        ):
            hypotheses.append(hypothesis)
        if len(hypotheses) == stage.n_aligned:
            break
    aligned = align_first(problem, hypotheses, size_px=choose_template_px(problem, stage.lens))
    return [one for one in aligned if keeps_sky_free(problem.photo, one.camera)]


LitPixels = tuple[FloatArray, FloatArray]
Panoramas = NDArray[np.int8]


@lru_cache(maxsize=1)
def draw_earth(
    light_map: RasterMap, altitude_km: float
) -> tuple[tuple[LitPixels, ...], FloatArray, Panoramas]:
    """The lit ground of a map and its panoramas from all nadirs; kept for other photos."""
    axes = spread_nadirs()
    ground = read_ground(light_map, axes)
    return ground, *draw_panoramas(Rows.at_height(altitude_km), ground, axes)


def list_nadirs(seen: Seen | None, region: Region) -> FloatArray:
    """Axes (east, north, up) at nadirs from which a place is in view, or of the region's places.

    Shape (n, 3, 3).
    """
    axes = spread_nadirs()
    if seen is None:
        near = unit(region.positions_ecef_m)
        return axes[(axes[:, 2] @ near.T).max(axis=1) > np.cos(np.radians(CELL_DEG))]
    cosine = axes[:, 2] @ unit_vectors(seen.lon, seen.lat)
    away_deg = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
    nearest_deg = NEAREST_DEG - seen.radius_km / KM_PER_DEGREE
    return axes[(away_deg < REACH_DEG) & (away_deg > nearest_deg)]


@lru_cache(maxsize=1)
def spread_nadirs() -> FloatArray:
    """Axes (east, north, up) at nadirs all over the latitudes of the orbit, shape (n, 3, 3).

    They are in the order of tiles of twelve degrees.
    """
    lats = np.arange(-FARTHEST_LAT_DEG, FARTHEST_LAT_DEG + 1e-6, CELL_DEG)
    numbers = [round(360.0 * np.cos(np.radians(lat)) / CELL_DEG) for lat in lats]
    lat = np.repeat(lats, numbers)
    lon = np.concatenate([360.0 * np.arange(n) / n - 180.0 for n in numbers])
    tile = np.floor(lat / 12.0) * 100.0 + np.floor(lon * np.cos(np.radians(lat)) / 12.0)
    order = np.argsort(tile, kind="stable")
    return local_axes(lon[order], lat[order])


def read_ground(light_map: RasterMap, axes: FloatArray) -> tuple[LitPixels, ...]:
    """The lit ground that is in view of some nadirs.

    `axes`, shape (n, 3, 3): east, north and up at each. Returns for pixels of single, double and
    fourfold size the directions of lit pixels from the Earth's centre, in ascending order of z,
    shape (n, 3), and their light times their area in square degrees, shape (n,).
    """
    lon, lat = measure_lonlat(axes[:, 2])
    reach_km, step_km = REACH_DEG * KM_PER_DEGREE, MAP_STEP_DEG * KM_PER_DEGREE
    levels = find_window_around(light_map, lon, lat, reach_km, step_km) if len(axes) else None
    ground = []
    for grid in (levels or ())[:3]:
        row, col = (part[::-1] for part in np.nonzero(grid.values > MIN_LIT))
        lat_deg = grid.lat0_deg - grid.step_deg * row
        light = grid.values[row, col] * np.cos(np.radians(lat_deg)) * grid.step_deg**2
        ground.append((unit_vectors(grid.lon0_deg + grid.step_deg * col, lat_deg), light))
    return tuple(ground)


def draw_panoramas(
    rows: Rows, ground: tuple[LitPixels, ...], axes: FloatArray
) -> tuple[FloatArray, Panoramas]:
    """Draw the panoramas from some nadirs, and filter them over azimuth.

    `axes`, shape (n, 3, 3): neighbours stand together. Gives those of nadirs with some lights in
    view, shape (m, 3, 3), and the panoramas from there, in steps of one in `STEPS`, shape
    (m, rows, `AZIMUTHS`).
    """
    from matchers.lights.compiled_patches import add_lights

    high_pass = (rows.fine * (1.0 - rows.broad))[:, :FREQUENCIES].astype(np.float32)
    # Ground twice as far is drawn by pixels twice as large, an azimuth wide at most
    doublings = np.log2(np.radians(360.0 / AZIMUTHS) / MAP_STEP_DEG * rows.ground_deg)
    limits = np.searchsorted(doublings, np.arange(len(ground) + 1))
    limits[0], limits[-1] = 0, len(rows)

    def draw_some(start: int) -> tuple[FloatArray, Panoramas]:
        some = np.ascontiguousarray(axes[start : start + 250])
        middle = some[:, 2].mean(axis=0)
        middle /= np.linalg.norm(middle)
        widest_deg = np.degrees(np.arccos(np.clip((some[:, 2] @ middle).min(), -1.0, 1.0)))
        parts = []
        for (vectors, light), first, last in zip(ground, limits[:-1], limits[1:], strict=True):
            cosines = np.cos(np.radians(rows.ground_deg[first : last + 1]))
            per_light = AZIMUTHS / 360.0 / np.degrees(cosines[:-1] - cosines[1:])
            near = vectors @ middle > np.cos(np.radians(widest_deg + rows.ground_deg[last]))
            part = np.zeros((len(some), last - first, AZIMUTHS), np.float32)
            add_lights(vectors[near], light[near], some, cosines, per_light, part)
            parts.append(part)
        panoramas = np.concatenate(parts, axis=1)
        kept = np.count_nonzero(panoramas, axis=(1, 2)) >= MIN_CELLS
        filtered = scipy.fft.rfft(panoramas[kept])[..., :FREQUENCIES] * high_pass
        steps = np.rint(STEPS * take_root(scipy.fft.irfft(filtered, AZIMUTHS)))
        return some[kept], np.clip(steps, -127, 127).astype(np.int8)

    lit, shown = [axes[:0]], [np.zeros((0, len(rows), AZIMUTHS), np.int8)]
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as threads:
        for at, panoramas in threads.map(draw_some, range(0, len(axes) if ground else 0, 250)):
            lit.append(at)
            shown.append(panoramas)
    return np.concatenate(lit), np.concatenate(shown)


def view_photo(
    image: EvenedImage, limb: Limb, rows: Rows, factor: float, tilt_deg: float
) -> FloatArray:
    """Resample a light image without broad structure to rows, and filter it over azimuth.

    `factor`: of the limb's focal length; `tilt_deg`: its error. Gives light by row and azimuth from
    the camera's axis, and the share of each cell that the photo shows: shape (2, n, `AZIMUTHS`).
    """
    values = np.sqrt(np.maximum(image.values - MIN_DETAIL, 0.0)) * image.weight
    height, width = values.shape
    # Four samples off the nadir and six over azimuth of each cell
    step = AZIMUTHS * 6
    quarter = (np.arange(4) + 0.5) / 4.0
    off_deg = rows.edges_deg[:-1, None] + np.diff(rows.edges_deg)[:, None] * quarter
    azimuth_deg = 360.0 / step * np.arange(0.5, step)
    nadir = turn_nadir(limb, factor, tilt_deg)
    rays = make_arc_rays(nadir, off_deg.reshape(-1, 1), azimuth_deg[None])
    focal_px = limb.focal_px * factor * max(width, height) / max(limb.shape)
    x, y = project_directions(rays, focal_px, ((width - 1) / 2.0, (height - 1) / 2.0))
    at = [np.nan_to_num(part, nan=-9.0).astype(np.float32) for part in (x, y)]
    covered, light = (
        cv2.remap(part.astype(np.float32), at[0], at[1], cv2.INTER_LINEAR)
        .reshape(len(rows), 4, AZIMUTHS, 6)
        .mean(axis=(1, 3))
        for part in (image.weight, values)
    )
    light, covered = (np.where(covered < MIN_COVERED, 0.0, part) for part in (light, covered))

    spectra = np.fft.rfft(np.stack([light, covered]))
    fine, around = (
        smooth_light / np.maximum(smooth_covered, 1e-3)
        for smooth_light, smooth_covered in (
            np.fft.irfft(spectra * transfer, AZIMUTHS) for transfer in (rows.fine, rows.broad)
        )
    )
    return np.stack([np.where(covered > 0.0, take_root(fine - around), 0.0), covered])


def take_root(values: FloatArray) -> FloatArray:
    """Square root that keeps the sign, so that large cities do not decide alone."""
    return np.asarray(np.copysign(np.sqrt(np.abs(values)), values))


def turn_nadir(limb: Limb, factor: float, tilt_deg: float) -> FloatArray:
    off_nadir_deg, roll_deg = compute_pointing(limb.nadir_at_scale(factor))
    return nadir_vector(off_nadir_deg + tilt_deg, roll_deg)


def compare(
    panoramas: Panoramas, views: FloatArray
) -> tuple[FloatArray, FloatArray, NDArray[np.intp]]:
    """Compare a photo with panoramas of the map.

    `panoramas`: from each nadir, see `draw_panoramas`; `views`: the photo with several lenses, see
    `view_photo`, shape (k, 2, rows, azimuths). Returns for each nadir the highest correlation over
    all azimuths and views, the azimuth of the camera's axis there in degrees, and the view.
    """
    light, weight = views[:, 0], views[:, 1]
    total = weight.sum(axis=(1, 2))
    mean = (weight * light).sum(axis=(1, 2)) / total
    centred = weight * (light - mean[:, None, None])
    spread = np.maximum((centred * light).sum(axis=(1, 2)), 1e-9)
    # By frequency, row and view
    of_light, of_weight = (
        np.conj(np.fft.rfft(part)[..., :FREQUENCIES]).transpose(2, 1, 0).astype(np.complex64)
        for part in (centred, weight)
    )

    def transform(light: FloatImage) -> NDArray[np.complex64]:
        """Spectra by frequency, nadir and row."""
        spectra = scipy.fft.rfft(light)[..., :FREQUENCIES]
        return np.ascontiguousarray(spectra.transpose(2, 0, 1))

    def turn(spectra: NDArray[np.complex64], of_photo: NDArray[np.complex64]) -> FloatArray:
        """Sums over the photo's window by nadir, view and turn."""
        summed = np.ascontiguousarray(np.matmul(spectra, of_photo).transpose(1, 2, 0))
        return np.asarray(scipy.fft.irfft(summed, AZIMUTHS))

    scores, turns_deg = np.zeros(len(panoramas)), np.zeros(len(panoramas))
    which = np.zeros(len(panoramas), np.intp)
    for start in range(0, len(panoramas), 250):
        shown = panoramas[start : start + 250].astype(np.float32) / np.float32(STEPS)
        first, second = transform(shown), transform(shown * shown)
        spread_there = turn(second, of_weight) - turn(first, of_weight) ** 2 / total[:, None]
        # Windows with few lights correlate by chance, so they have a least spread
        least = MIN_SPREAD * total[:, None]
        score = turn(first, of_light)
        score /= np.sqrt(np.maximum(spread_there, least) * spread[:, None])
        best = score.max(axis=2)
        k = best.argmax(axis=1)
        each = np.arange(len(shown))
        scores[start + each], which[start + each] = best[each, k], k
        turns_deg[start + each] = 360.0 / AZIMUTHS * score.argmax(axis=2)[each, k]
    return scores, turns_deg, which


def aim_camera(
    problem: Problem, axes: FloatArray, azimuth_deg: float, factor: float, tilt_deg: float
) -> Camera:
    """Make the camera of the stored image that has its axis at an azimuth from a nadir."""
    limb, nominal = problem.photo.limb, problem.photo.nominal
    assert limb is not None
    east, north, up = axes
    nadir = turn_nadir(limb, factor, tilt_deg)
    lean, across = compute_tangent_axes(nadir)
    turn = np.radians(azimuth_deg)
    ahead = np.cos(turn) * north + np.sin(turn) * east
    right = np.cos(turn) * east - np.sin(turn) * north
    lat_deg = float(np.degrees(np.arcsin(up[2])))
    lon_deg = float(np.degrees(np.arctan2(up[1], up[0])))
    at_m = geodetic_to_ecef(lon_deg, lat_deg, 1e3 * problem.altitude_km)
    camera = replace(
        nominal,
        focal_px=limb.focal_px * factor * nominal.long_side_px / max(limb.shape),
        position_ecef_m=to_xyz(at_m),
    )
    there = np.stack([-up, ahead, right], axis=1)
    return with_attitude(camera, there @ np.stack([nadir, -lean, across]))
