"""Register a daytime frame on a day map: propose cameras from the prior, fit and verify them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from detectors.constants import KM_PER_DEGREE
from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import (
    ecef_to_geodetic,
    geodetic_to_ecef,
    great_circle_km,
    incidence_deg,
    local_axes,
    to_xyz,
)
from matchers.geometry.footprint import Bounds
from matchers.geometry.map_grid import MapGrid, make_pyramid
from matchers.geometry.pose import (
    ACROSS,
    ALONG,
    FOCAL,
    K1,
    PARAMETERS,
    UP,
    PoseFit,
    PosePrior,
    fit_pose,
    with_attitude,
)
from matchers.lights.photo_light import EvenedImage
from regengine.errors import MapError
from regengine.maps.opening import DayMap
from regengine.maps.reference import Reference
from regengine.orbit.position import expect_height_km
from regengine.orbit.propagation import CameraPosition, position_from_nadir
from regengine.orbit.rotation import EARTH_RATE_RAD_S
from regengine.photo.formats import PhotoFile
from regengine.photo.frame import Frame
from regengine.photo.image import read_linear_channels
from regengine.registration.accept import REVIEW_PROBABILITY
from regengine.registration.align import locate_camera
from regengine.registration.parameters import RegisterParams, Steps
from regengine.registration.prepare_photo import load_compiled, make_nominal_camera
from regengine.registration.priors import make_tracks
from regengine.registration.propose_from_cameras import carry_camera
from regengine.registration.propose_from_station import (
    GROUND_KM,
    box_around,
    choose_focal_px,
    find_photo_features,
    glare,
    make_view,
    propose_from_station,
    read_ground,
    round_place,
)
from regengine.registration.propose_on_day import (
    FeatureMatches,
    Features,
    MapFeatures,
    find_agreements,
    find_features,
    find_map_features,
    gather_by_votes,
    make_features,
    match_features,
    propose_dense_on_day,
    split_bands,
)
from regengine.registration.refine_on_map import (
    MIN_SCORE,
    CellParams,
    MapPicture,
    add_proofs,
    even_picture,
    fit_all_cells,
    prove_on_map,
    report_on_map,
    settle,
)
from regengine.registration.report_result import make_bare_result
from regengine.registration.types import CellProof, Hypothesis, Prior, TrackPlace
from regengine.store.reasons import Reason
from regengine.store.result import FrameResult, MatchedMap

# Values without an origin are those of a prototype that registered 26 of 26 frames with land
DAY = CellParams(
    smooth_px=0.7,
    detail_px=10.0,
    deviation_px=12.0,
    fit_reach_px=10,
    agreeing_px=3.0,
    # No distinct negative of 520 had a score above 3.0: by Laplace's rule at most one in 522 with a
    # score of 6 is wrong
    probability_steps=Steps(log10_odds=(3.0, 6.0), low=(0.0, 0.3, 0.995), high=(0.1, 0.7, 0.999)),
)
# Range of frame widths at nadir. Frames of longer lenses point farther off nadir than the search
# around it, and are registered by local features. Wider ones are more curved than any frame in the
# trials
LONG_KM = (160.0, 900.0)
# Long sides of the photo. For a frame of 405 km they give 3 km per pixel in the dense search, 1.2
# in the coarse and 0.4 in the fine verification, unless the map is coarser
DENSE_SIDE_PX, COARSE_SIDE_PX, FINE_SIDE_PX = 135, 340, 1010
MAX_OVERSAMPLING = 0.65
# Sides of patches in the coarse and in the fine verification
PATCH_PX, FINE_PATCH_PX = 20, 32
# Share of white in photos that are tried without it
CLOUDY = (0.03, 0.75)
# Local features: long side of a telephoto frame, pixel size of the map for wide ones, and places
# that are needed for a fit
PHOTO_PX, WIDE_KM, MIN_PLACES = 512, 1.8, 6
# Telephoto frames: map pixels along the frame, and incidence angle
MIN_MAP_PX, MAX_INCIDENCE_DEG = 200.0, 75.0
SENSOR_ASPECT = 1.5  # of images that may have been stretched to a square
ANGLES = (0, 1, 2)
POSE = (*ANGLES, FOCAL, ALONG, ACROSS, UP, K1)


@dataclass(frozen=True, kw_only=True, eq=False)
class DayPhoto:
    """A daytime photo prepared for registration.

    light: Square root of its red light, and the weight of its pixels.
    shown: Square root of the light of all its bands, shape (h, w, 3 or 1).
    nominal: Camera of the stored image from the metadata; its pose is arbitrary.
    long_km: Long side of its footprint in a nadir view.
    white_share: Share of cloud, snow or glare in the valid pixels.
    """

    frame: Frame
    light: EvenedImage
    shown: NDArray[np.uint8]
    nominal: Camera
    long_km: float
    white_share: float

    def picture(self, side_px: int, levels: Sequence[MapGrid]) -> MapPicture:
        image = self.light.resized(side_px, DAY.smooth_px)
        structure = even_picture(image.values, image.weight, DAY)
        return MapPicture(image=image, evened=structure, levels=tuple(levels), params=DAY)

    def shapes(self) -> tuple[DayPhoto, ...]:
        """List the possible aspect ratios of the photo: as stored, and if square, as stretched.

        No camera of the station has a square sensor, but copies for machine vision are stretched to
        squares.
        """
        stored = self.nominal
        if stored.width_px != stored.height_px:
            return (self,)
        # The assumed pixel pitch takes the side of a square for the short side of a cropped sensor.
        # Here it is the long side, and the other side was stretched to it
        is_assumed = self.frame.sources.get("pixel_pitch_um") == "assumed"
        focal_px = stored.focal_px / (SENSOR_ASPECT if is_assumed else 1.0)
        lying = replace(stored, focal_px=focal_px, pixel_aspect=SENSOR_ASPECT)
        upright_px = focal_px * SENSOR_ASPECT
        upright = replace(stored, focal_px=upright_px, pixel_aspect=1.0 / SENSOR_ASPECT)
        long_km = self.long_km * stored.focal_px / focal_px
        squared = (replace(self, nominal=one, long_km=long_km) for one in (lying, upright))
        return (self, *squared)

    def find_features(
        self, side_px: int, most: int, *, squared: bool = False
    ) -> tuple[Features, ...]:
        """Extract features of grey and red, in pixels of the stored image or of its square copy."""
        height, width = self.light.values.shape
        factor = min(1.0, side_px / max(width, height))
        size = round(width * factor), round(height * factor)
        if squared:
            size = max(size), max(size)
        shown, inside = self.shown, self.light.weight > 0.5
        if size != (width, height):
            shown = np.asarray(cv2.resize(shown, size, interpolation=cv2.INTER_AREA), np.uint8)
            shown = shown.reshape(*size[::-1], -1)
            inside = cv2.resize(self.light.weight, size, interpolation=cv2.INTER_AREA) > 0.5
        found = (find_features(one, inside, most) for one in split_bands(shown))
        return tuple(one.scaled(1.0 / (factor * self.light.factor)) for one in found)

    def without_clouds(self) -> DayPhoto:
        """The photo with bright pixels without colour, and a rim, out of its weight."""
        brightest, darkest = self.shown.max(axis=2), self.shown.min(axis=2)
        # Codes, and pixels of the rim, of the prototype
        white = (darkest > 0.55 * 255.0) & (brightest - darkest < 0.16 * 255.0)
        cloud = cv2.dilate(white.astype(np.uint8), np.ones((11, 11), np.uint8)) > 0
        weight = np.where(cloud, np.float32(0.0), self.light.weight)
        return replace(self, light=replace(self.light, weight=weight))

    @property
    def wide_px(self) -> int:
        """Long side at which its pixels are those of wide maps."""
        return round(self.long_km / WIDE_KM)


def read_day_light(file: PhotoFile | Path) -> tuple[EvenedImage, FloatArray]:
    """Read red light of a daytime photo without window frames and text, and all its channels."""
    # More than `FINE_SIDE_PX`
    linear, factor = read_linear_channels(file, max_long_side_px=1300)
    shown = np.sqrt(np.clip(linear, 0.0, 1.0))
    brightest, darkest = shown.max(axis=2), shown.min(axis=2)
    blurred = cv2.GaussianBlur(brightest, (0, 0), 2.0)
    # Areas darker than this (square root of linear light) that reach the edge of the image are a
    # window frame, which is masked with a margin
    dark_level = 0.22
    _, labels = cv2.connectedComponents((blurred < dark_level).astype(np.uint8))
    rims = [labels[0], labels[-1], labels[:, 0], labels[:, -1]]
    dark = np.isin(labels, np.setdiff1d(np.concatenate(rims), [0])) & (blurred < dark_level)
    ellipse = cv2.MORPH_ELLIPSE
    rim = cv2.getStructuringElement(ellipse, (25, 25))  # pixels, by eye
    outside = cv2.dilate(dark.astype(np.uint8), rim)
    stroke = cv2.getStructuringElement(ellipse, (7, 7))  # pixels, by eye
    thin = darkest - cv2.morphologyEx(darkest, cv2.MORPH_OPEN, stroke)
    # White strokes are burned-in text
    text = (thin > 0.3) & (darkest > 0.85)
    text_around = cv2.dilate(text.astype(np.uint8), np.ones((7, 7), np.uint8))
    weight = np.asarray((outside == 0) & (text_around == 0), np.float32)
    red = np.ascontiguousarray(shown[:, :, 0], np.float32)
    return EvenedImage(values=red, weight=weight, factor=factor), shown


def read_day_photo(frame: Frame, altitude_km: float) -> DayPhoto:
    """Read a daytime photo. Raises FrameError if it cannot be read."""
    nominal = make_nominal_camera(frame)
    light, shown = read_day_light(frame.file)
    brightest, darkest = shown.max(axis=2), shown.min(axis=2)
    # Bright pixels without colour are cloud or snow
    white = (darkest > 0.6) & (brightest - darkest < 0.15)
    counted = light.weight
    return DayPhoto(
        frame=frame,
        light=light,
        shown=np.asarray(np.rint(255.0 * shown), np.uint8),
        nominal=nominal,
        long_km=nominal.long_side_px * altitude_km / nominal.focal_px,
        white_share=float((white * counted).sum() / max(float(counted.sum()), 1.0)),
    )


def believe_day_camera(position: CameraPosition, nominal: Camera) -> PosePrior:
    """Make the prior of the camera; its velocity is inertial, or northward if unknown."""
    at = np.asarray(position.position_ecef_m, float)
    # A clock error of some seconds
    sigma_along_m = 1e3 * float(np.clip(position.sigma_along_km, 50.0, 150.0))
    sigma_across_m = 1e3 * position.sigma_cross_km
    if position.velocity_ecef_m_s is None:
        # The direction of flight is not known
        ahead, sigma_across_m = local_axes(position.lon, position.lat)[1], sigma_along_m
    else:
        ahead = position.velocity_ecef_m_s + np.cross([0.0, 0.0, EARTH_RATE_RAD_S], at)
    corner = np.hypot(nominal.width_px, nominal.height_px) / 2.0 / nominal.focal_px
    return PosePrior(
        position_ecef_m=to_xyz(at),
        velocity_ecef=to_xyz(ahead),
        focal_px=nominal.focal_px,
        sigma_along_m=sigma_along_m,
        sigma_across_m=sigma_across_m,
        sigma_up_m=1e3 * position.sigma_radial_km,
        sigma_log_focal=0.05,  # by eye: lenses 15 % off are found by features
        # Distortion at the corner as a share of its distance from the axis
        sigma_k1=0.015 / corner**2,
        principal_point=nominal.principal_point,
        k1=nominal.distortion[0],
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class DayView:
    """A part of a map that a frame may show.

    photo: The photo with one of its possible aspect ratios, see `DayPhoto.shapes`, and the long
        side of its footprint at this part.
    belief: Prior of its camera.
    levels: Pyramid of the map, with a finest level that suffices for the last verification.
    starts: Camera hypotheses, likeliest first; they are computed on demand.
    n_places: Number of places with matched features; 0 if features were not used.
    """

    photo: DayPhoto
    belief: PosePrior
    reference: Reference
    levels: tuple[MapGrid, ...]
    starts: Iterator[Camera]
    n_places: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class DayMatch:
    """A camera fitted to a day map, with its coarse and, if worthwhile, fine verification."""

    view: DayView
    picture: MapPicture
    camera: Camera
    proofs: tuple[CellProof, ...]

    @property
    def score(self) -> float:
        return min(proof.score for proof in self.proofs)


def view_around_nadir(
    photo: DayPhoto,
    position: CameraPosition,
    day_map: DayMap,
    started: Sequence[Camera],
) -> Iterator[DayView]:
    """Propose views on the map around the nadir: given cameras first, then near-nadir ones.

    The first proposals are those with the best correlation over all rotations. Then follow those
    from votes of features, which also work if the given lens is wrong.
    """
    # Half of the side of the map that is searched: half of the frame's diagonal (250 km), and 180
    # km for tilt or a clock error of 20 s
    reach_km = max(430.0, photo.long_km)
    region = box_around(position.lon, position.lat, np.sqrt(2.0) * reach_km)
    step_deg = photo.long_km / FINE_SIDE_PX / KM_PER_DEGREE
    levels = make_pyramid(day_map.window(*region, step_deg), 7)
    at = np.asarray(position.position_ecef_m, float)
    belief = believe_day_camera(position, photo.nominal)

    def search_all_turns() -> Iterator[Camera]:
        yield from started
        picture, sample_km = photo.picture(DENSE_SIDE_PX, levels), photo.long_km / DENSE_SIDE_PX
        around = levels, at, np.array(belief.velocity_ecef), sample_km, reach_km
        yield from propose_dense_on_day(picture, photo.nominal, *around)

    view = DayView(
        photo=photo,
        belief=belief,
        reference=day_map.reaching(region)[0][0],
        levels=levels,
        starts=search_all_turns(),
    )
    yield view
    there = find_map_features(day_map, region, WIDE_KM / KM_PER_DEGREE)
    seen = photo.find_features(photo.wide_px, 1200)  # by eye
    for camera, _, n_places in propose_by_votes(photo, seen, there, position):
        yield replace(view, starts=iter((camera,)), n_places=n_places)


def view_otherwise(
    views: Iterator[DayView], photo: DayPhoto, position: CameraPosition, day_map: DayMap
) -> Iterator[DayView]:
    """Propose views, and where none of them is proven, those from the station.

    Then clouds are left out, but not before: bright deserts look like them.
    """
    unfit: MapError | None = None
    try:
        yield from views
    except MapError as error:
        if error.code != "outside_map":
            raise
        unfit = error
    yield from view_from_station(photo, position, day_map)
    if CLOUDY[0] <= photo.white_share <= CLOUDY[1]:
        yield from view_from_station(photo.without_clouds(), position, day_map)
    if unfit is not None:
        raise unfit


def view_from_station(
    photo: DayPhoto, position: CameraPosition, day_map: DayMap
) -> Iterator[DayView]:
    """Propose views by features of the map as it looks from the station."""
    if (focal_px := choose_focal_px(photo.nominal)) is None:
        return
    place = round_place(position.lon, position.lat, position.altitude_km)
    versions = tuple(one.version for one in day_map)
    view = make_view(day_map, versions, *place, focal_px)
    levels = read_ground(day_map, versions, *place)[1]
    light, nominal = photo.light, photo.nominal
    seen = find_photo_features(photo.shown, light.weight > 0.5, light.camera(nominal), focal_px)
    at = np.asarray(position.position_ecef_m, float)
    shades = [levels]
    for camera, n_places, away_km in propose_from_station(view, seen, nominal, at):
        if len(shades) == 1 and (bright := glare(levels)):
            shades.append(bright)
        for shade in shades:
            yield DayView(
                photo=replace(photo, long_km=photo.long_km * away_km / position.altitude_km),
                belief=believe_day_camera(position, nominal),
                reference=day_map.reaching((*place[:2], *place[:2]))[0][0],
                levels=shade,
                starts=iter((camera,)),
                n_places=n_places,
            )


def view_from_afar(photo: DayPhoto, position: CameraPosition, day_map: DayMap) -> Iterator[DayView]:
    """Propose views of a telephoto frame where its local features agree with those of a map.

    Maps are cut into parts that overlap by a frame, the finest and nearest first. A part is skipped
    if its incidence angle is too large, or if the frame covers too few of its pixels. If the stored
    image gives no result, it is stretched to a square: foreshortened ground can then be more
    similar to the map.
    """
    shapes = [(shape, believe_day_camera(position, shape.nominal)) for shape in photo.shapes()]
    frame_km = max(shape.long_km for shape, _ in shapes)
    at = np.asarray(position.position_ecef_m, float)
    parts: list[tuple[Reference, Bounds, float]] = []
    for reference in day_map:
        # Coarser ones are seen from the station
        if reference.grid.step_deg * KM_PER_DEGREE > GROUND_KM:
            continue
        bounds = list(_cut_parts(reference.grid.bounds, frame_km, position))
        if not bounds:
            continue
        corners = np.array(bounds)[:, [[0, 1], [2, 1], [0, 3], [2, 3]]]
        ground = geodetic_to_ecef(corners[..., 0], corners[..., 1])
        flattest = np.max(incidence_deg(at, ground), axis=1)
        away_km = np.linalg.norm(ground.mean(axis=1) - at, axis=1) / 1e3
        long_km = frame_km * away_km / position.altitude_km
        fine = long_km >= MIN_MAP_PX * reference.grid.step_deg * KM_PER_DEGREE
        parts += [
            (reference, bounds[k], float(long_km[k]))
            for k in np.argsort(away_km, kind="stable").tolist()
            if fine[k] and flattest[k] <= MAX_INCIDENCE_DEG
        ]
    if (shown := photo.frame.centre) is not None:
        # Those nearest to a place in the picture first
        middles = [((w + e) / 2.0, (s + n) / 2.0) for _, (w, s, e, n), _ in parts]
        away = np.array([great_circle_km(*shown, *middle) for middle in middles])
        parts = [parts[k] for k in np.argsort(away, kind="stable")]
    if not parts:
        raise MapError("No map shows the frame with enough pixels.", code="outside_map")
    width, height = photo.nominal.width_px, photo.nominal.height_px
    for squared in (False,) if width == height else (False, True):
        seen = photo.find_features(PHOTO_PX, 3000, squared=squared)  # of the prototype
        # Scale of the square image relative to the stored one
        stretch = max(width, height) / np.array([width, height]) if squared else np.ones(2)
        for reference, part, part_km in parts[:12]:
            features = make_features(reference, part_km / PHOTO_PX, part)
            there = features.within(part)
            levels: tuple[MapGrid, ...] = ()
            pairs = zip(seen, there, strict=True)
            matches = FeatureMatches.joined([match_features(*pair) for pair in pairs])
            for agreement in find_agreements(matches):
                if agreement.n_places < MIN_PLACES:
                    break
                here = (agreement.here + 0.5) / stretch - 0.5
                ground = features.ground(agreement.there)
                fits = []
                for shape, belief in shapes:
                    fit = fit_to_places(shape.nominal, here, ground, belief)
                    if fit is not None:
                        fits.append((fit.chi_square, shape, belief, fit.camera))
                if not fits:
                    continue
                _, shape, belief, camera = min(fits, key=lambda one: one[0])
                step_deg = part_km / FINE_SIDE_PX / KM_PER_DEGREE
                levels = levels or make_pyramid(day_map.window(*part, step_deg), 7)
                yield DayView(
                    photo=replace(shape, long_km=part_km * shape.long_km / frame_km),
                    belief=belief,
                    reference=reference,
                    levels=levels,
                    starts=iter((camera,)),
                    n_places=agreement.n_places,
                )


def _cut_parts(bounds: Bounds, frame_km: float, position: CameraPosition) -> Iterator[Bounds]:
    """Cut a map within the maximum incidence angle into parts that overlap by a frame."""
    west, south, east, north = bounds
    flattest = np.radians(MAX_INCIDENCE_DEG)
    distance_m = float(np.linalg.norm(position.position_ecef_m))
    off_nadir = np.arcsin(np.sin(flattest) * (1.0 - 1e3 * position.altitude_km / distance_m))
    reach_deg = float(np.degrees(flattest - off_nadir))
    low, high = max(south, position.lat - reach_deg), min(north, position.lat + reach_deg)
    # Meridians meet towards the pole
    farthest = min(abs(position.lat) + reach_deg, 90.0)
    ratio = np.sin(np.radians(reach_deg)) / max(np.cos(np.radians(position.lat)), 1e-9)
    reach_lon = 180.0 if farthest == 90.0 else float(np.degrees(np.arcsin(min(ratio, 1.0))))
    first = int(np.floor((west - position.lon - reach_lon) / 360.0))
    last = int(np.ceil((east - position.lon + reach_lon) / 360.0))
    for turn in range(first, last + 1):
        lon = position.lon + 360.0 * turn  # on either side of 180 degrees
        left, right = max(west, lon - reach_lon), min(east, lon + reach_lon)
        if left >= right or low >= high:
            continue
        lon, lat = 0.5 * (left + right), 0.5 * (low + high)
        middle_m = geodetic_to_ecef(lon, lat) - np.asarray(position.position_ecef_m, float)
        away_km = float(np.linalg.norm(middle_m)) / 1e3
        there_deg = frame_km * max(away_km / position.altitude_km, 1.0) / KM_PER_DEGREE
        across_deg = there_deg / float(np.cos(np.radians(lat)))
        edges = []
        for begin, end, frame_deg in ((left, right, across_deg), (low, high, there_deg)):
            room = max(end - begin - frame_deg, 0.0)
            # The side of a part is this multiple of the frame's
            count = 1 + int(room / frame_deg / (5.0 - 1.0))
            firsts, side = begin + room * np.arange(count) / count, min(frame_deg, end - begin)
            edges.append([(one, one + room / count + side) for one in firsts])
        yield from ((w, s, e, n) for w, e in edges[0] for s, n in edges[1])


def view_anywhere(photo: DayPhoto, altitude_km: float, day_map: DayMap) -> Iterator[DayView]:
    """What a wide frame that looks down may show of regional maps, wherever the station was."""
    stored = photo.nominal
    middle = (stored.width_px - 1.0) / 2.0, (stored.height_px - 1.0) / 2.0
    seen: tuple[Features, ...] = ()
    for reference in day_map:
        step_km = max(reference.grid.step_deg * KM_PER_DEGREE, WIDE_KM)
        shrink = reference.grid.step_deg * KM_PER_DEGREE / step_km
        pixels = reference.grid.cols * reference.grid.rows * shrink**2
        # More of its pixels are not searched without a known position
        if pixels > 6e7 or step_km > 2.0 * WIDE_KM:
            continue
        there = make_features(reference, step_km)
        seen = seen or photo.find_features(photo.wide_px, 1200)
        for camera, belief, n_places in propose_by_votes(photo, seen, there, altitude_km):
            x, y = camera.pixel_to_lonlat(*middle)
            bounds = box_around(float(x), float(y), photo.long_km)
            step_deg = photo.long_km / FINE_SIDE_PX / KM_PER_DEGREE
            if (grid := day_map.find_window(*bounds, step_deg)) is None:
                continue
            yield DayView(
                photo=photo,
                belief=belief,
                reference=reference,
                levels=make_pyramid(grid, 7),
                starts=iter((camera,)),
                n_places=n_places,
            )


def propose_by_votes(
    photo: DayPhoto,
    seen: tuple[Features, ...],
    there: MapFeatures,
    station: CameraPosition | float,
) -> Iterator[tuple[Camera, PosePrior, int]]:
    """Propose cameras of a wide near-nadir frame from matched features of it and a map.

    `seen`: features of the photo at its `wide_px`; `station`: position of the camera, or if that is
    not known, its altitude (km) above the matched ground. Yields cameras with their priors and the
    numbers of matched places, most places first.
    """
    if not len(there):
        return
    stored = photo.nominal
    side_px = photo.wide_px
    factor = side_px / stored.long_side_px
    found = [one.scaled(factor) for one in seen]
    # The nearest neighbour is searched in cells of the map
    matches = FeatureMatches.joined(
        [
            match_features(one, cell)
            for cells in there.cells(300)
            for one, cell in zip(found, cells, strict=True)
        ]
    )
    middle = factor * np.array([stored.width_px, stored.height_px]) / 2.0 - 0.5
    shown_px = photo.long_km / there.pixel_km(matches.there[:, 1])
    for some in gather_by_votes(matches, middle, shown_px, side_px):
        for agreement in find_agreements(some)[:1]:
            if agreement.n_places < MIN_PLACES:
                continue
            ground = there.ground(agreement.there)
            if isinstance(station, CameraPosition):
                position = station
            else:
                # The camera is assumed to be above the matched ground
                lon, lat, _ = ecef_to_geodetic(ground.mean(axis=0))
                position = position_from_nadir(
                    float(lon), float(lat), station, "lights", sigma_km=(100.0, 100.0, 10.0)
                )
            belief = believe_day_camera(position, stored)
            here = (agreement.here + 0.5) / factor - 0.5
            fit = fit_to_places(stored, here, ground, belief)
            if (
                fit is not None and fit.camera.off_nadir_deg < 25.0
            ):  # 180 km, see `view_around_nadir`
                yield fit.camera, belief, agreement.n_places


def fit_to_places(
    nominal: Camera, here: FloatArray, ground: FloatArray, prior: PosePrior
) -> PoseFit | None:
    """Fit a camera to ground points (ECEF) at pixels, close to its prior; None if it fails.

    The attitude is initialized by Kabsch's (1976) rotation of rays to lines of sight from the prior
    position. Then all parameters are fitted by least squares. A camera on the other side of the
    scene can have nearly the same view, which the prior of the position excludes.
    """
    camera = replace(nominal, position_ecef_m=prior.position_ecef_m)
    rays, sights = camera.rays(*here.T), ground - np.array(prior.position_ecef_m)
    rotation, _ = Rotation.align_vectors(
        *(each / np.linalg.norm(each, axis=1, keepdims=True) for each in (sights, rays))
    )
    side_px = nominal.long_side_px
    # Standard deviation of a match as a share of the long side
    sigma_px = 0.003 * side_px
    fit = fit_pose(
        here,
        ground,
        with_attitude(camera, rotation.as_matrix()),
        prior,
        np.isin(np.arange(PARAMETERS), (*ANGLES, FOCAL, ALONG, ACROSS, UP)),
        covariance_px=np.broadcast_to(sigma_px**2 * np.eye(2), (len(here), 2, 2)),
    )
    off_px = float(np.median(np.hypot(*fit.residual_px.T)))
    # Both limits by eye
    is_lens = abs(np.log(fit.camera.focal_px / nominal.focal_px)) < 0.2
    return fit if is_lens and off_px < 0.005 * side_px else None


def place_on_day(view: DayView) -> DayMatch | None:
    """Fit and verify the cameras of a view; return the first proven match, or else the best."""
    photo, prior = view.photo, view.belief
    levels, long_km = view.levels, photo.long_km
    coarse = photo.picture(COARSE_SIDE_PX, levels)
    steps: list[tuple[MapPicture, tuple[int, ...], int, int]]
    steps = [(coarse, POSE, PATCH_PX, DAY.fit_reach_px)]
    if not view.n_places:  # cameras from features are accurate enough for the last step
        rough = photo.picture(2 * DENSE_SIDE_PX, levels)
        steps = [(rough, ANGLES, 16, 14), (coarse, ANGLES, PATCH_PX, 14), *steps]
    finest_km = MAX_OVERSAMPLING * levels[0].step_deg * KM_PER_DEGREE
    fine_px = max(min(FINE_SIDE_PX, round(long_km / finest_km)), COARSE_SIDE_PX)
    best: DayMatch | None = None
    met: list[Camera] = []
    # Attitudes that differ by less are fitted once
    near = 1.0 + 2.0 * np.cos(np.radians(3.0))  # trace of a rotation by this angle
    for start in view.starts:
        if any(float((start.matrix * other.matrix).sum()) > near for other in met):
            continue
        camera = start
        for picture, free, patch_px, reach_px in steps:
            camera = settle(picture, camera, prior, free, patch_px, reach_px)
        met += [start, camera]
        sample_m = 1e3 * long_km / max(coarse.evened.shape)
        proof = prove_on_map(coarse, camera, sample_m, PATCH_PX)
        match = DayMatch(view=view, picture=coarse, camera=camera, proofs=(proof,))
        # Minimum score (-log10 of chance) for the fine verification to be tried
        if proof.score >= 3.0:
            fine = photo.picture(fine_px, levels)
            camera = settle(fine, camera, prior, POSE, FINE_PATCH_PX)
            sample_m = 1e3 * long_km / max(fine.evened.shape)
            proofs = proof, prove_on_map(fine, camera, sample_m, FINE_PATCH_PX)
            match = DayMatch(view=view, picture=fine, camera=camera, proofs=proofs)
        if best is None or match.score > best.score:
            best = match
        if best.score >= MIN_SCORE:
            break
    return best


def register_on_day(
    frame: Frame,
    prior: Prior,
    day_map: DayMap,
    params: RegisterParams | None = None,
    unfetched: str = "",
) -> FrameResult:
    """Register a daytime photo: find the position on Earth of each of its pixels.

    Telephoto frames need the position of the prior; its neighbours determine the attitude.
    `unfetched`: why a finer day map could not be fetched, and what to do; empty if nobody tried.
    Returns and raises what `regengine.registration.register.register_frame` does.
    """
    params = params or RegisterParams()
    position, info = prior.position, day_map.info

    def refuse(code: str, **values: Any) -> FrameResult:
        return make_bare_result(frame, position, info, Reason(code=code, values=values))

    if frame.focal_mm is None:
        return refuse("unsuitable_lens")
    load_compiled()
    altitude_km = expect_height_km(frame)[0] if position is None else position.altitude_km
    photo = read_day_photo(frame, altitude_km)
    long_km, is_tele = photo.long_km, photo.long_km < LONG_KM[0]
    if long_km > LONG_KM[1]:
        return refuse("unsuitable_lens", long_km=long_km, limit_km=LONG_KM[1])
    if position is None and is_tele:
        return refuse("no_ephemeris", long_km=long_km)
    if position is None:
        views = view_anywhere(photo, altitude_km, day_map)
    elif is_tele:
        views = view_otherwise(view_from_afar(photo, position, day_map), photo, position, day_map)
    else:
        track = make_tracks(position, params.clock_window_s)[0]
        here = TrackPlace(track=track, offset_km=0.0, spread_km=0.0, share=1.0)
        neighbours = () if prior.neighbours is None else prior.neighbours.neighbours
        carried = [carry_camera(neighbour, here) for neighbour in neighbours]
        if prior.placement is not None:
            carried.insert(0, prior.placement)
        near = view_around_nadir(photo, position, day_map, carried)
        views = view_otherwise(near, photo, position, day_map)
    match: DayMatch | None = None
    first: DayView | None = None
    is_on_map = True
    try:
        for view in views:
            found, first = place_on_day(view), first or view
            if found is not None and (match is None or found.score > match.score):
                match = found
            if match is not None and match.score >= MIN_SCORE:
                break
    except MapError as error:
        if error.code != "outside_map":
            raise
        is_on_map = first is not None
    if position is None and (match is None or match.score < MIN_SCORE):
        return refuse("no_ephemeris")
    if not is_on_map:
        pixel_m = 1e3 * long_km / MIN_MAP_PX if is_tele else None
        unfetched_why = unfetched or None
        return refuse("outside_map", long_km=long_km, pixel_m=pixel_m, unfetched=unfetched_why)
    if match is None:
        assert position is not None
        grid = None if first is None else first.levels[0]
        return make_bare_result(frame, position, info, explain(photo, grid, position))
    return report_day_match(frame, prior, params, photo, match)


def report_day_match(
    frame: Frame, prior: Prior, params: RegisterParams, photo: DayPhoto, match: DayMatch
) -> FrameResult:
    """Make the result of the best match, fitted to all cells if it may be right."""
    position = prior.position or locate_camera(match.camera)
    view = match.view
    grid, reference = view.levels[0], view.reference
    answer = None
    if DAY.probability_steps.probability(match.score) >= REVIEW_PROBABILITY:
        hypothesis = Hypothesis(
            camera=match.camera,
            prior=view.belief,
            track=make_tracks(position, params.clock_window_s)[0],
            offset_km=0.0,
            source="day",
        )
        patch_px = PATCH_PX if len(match.proofs) < 2 else FINE_PATCH_PX
        answer = fit_all_cells(
            match.picture, hypothesis, match.camera, match.proofs, POSE, patch_px
        )
    if answer is None:
        refused = make_bare_result(frame, position, reference, explain(photo, grid, position))
        return add_proofs(refused, match.proofs)
    sources = {}
    if view.n_places:
        sources["features"] = f"{view.n_places} matched places of photo and map"
    return report_on_map(
        make_bare_result(frame, position, reference, **sources),
        frame,
        prior,
        answer,
        DAY.probability_steps,
        params.accept,
        map_sigma_m=1e3 * KM_PER_DEGREE * grid.step_deg,
        reference=MatchedMap(
            kind="day",
            product=reference.product,
            pixel_m=reference.pixel_m,
            credit=reference.credit,
        ),
    )


def explain(photo: DayPhoto, grid: MapGrid | None, position: CameraPosition) -> Reason:
    """Explain why a photo was not registered, from its content and the map around its nadir."""
    if photo.white_share > 0.5:
        return Reason(code="cloud", values={"white_share": photo.white_share})
    sea = 0.0
    if grid is not None:
        half = 0.25 * photo.long_km / KM_PER_DEGREE
        lon, lat = np.meshgrid(*2 * (np.linspace(-half, half, 41),))
        col, row = grid.to_pixel(
            position.lon + lon / np.cos(np.radians(position.lat)), position.lat + lat
        )
        rows, cols = grid.values.shape
        inside = (col >= 0) & (col < cols - 1) & (row >= 0) & (row < rows - 1)
        below = grid.values[np.rint(row[inside]).astype(int), np.rint(col[inside]).astype(int)]
        sea = float((below == np.median(below)).mean()) if len(below) else 0.0
    if sea > 0.85:  # by eye; so is 0.5 of white
        return Reason(code="sea", values={"sea_share": sea})
    return Reason(code="few_structures")
