"""Register a daytime frame on a day map: propose cameras from the prior, fit and verify them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.constants import KM_PER_DEGREE
from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import (
    ecef_to_geodetic,
    local_axes,
    to_xyz,
)
from matchers.geometry.map_grid import MapGrid, make_pyramid
from matchers.geometry.pose import (
    ACROSS,
    ALONG,
    FOCAL,
    K1,
    UP,
    PosePrior,
)
from matchers.lights.photo_light import EvenedImage
from regengine.maps.opening import SEA, DayMap
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
    FINE_MAP_PX,
    LOOKS,
    box_around,
    box_in_sight,
    choose_focal_px,
    find_photo_features,
    make_view,
    propose_from_station,
    read_ground,
    round_place,
)
from regengine.registration.propose_on_day import (
    ANGLES,
    FeatureMatches,
    Features,
    MapFeatures,
    agree_on_homography,
    find_features,
    fit_to_places,
    gather_by_votes,
    make_features,
    match_features,
    propose_dense_on_day,
    split_bands,
)
from regengine.registration.refine_on_map import (
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
    # None of 1,803 photos elsewhere is above 3.0: at most 0.17 %, 0.06 % by Laplace's rule. Of 16
    # that nobody chose a quarter is accepted, and of 51 right ones one is for review: the shares of
    # both give these, and less (`benchmarks day`)
    probability_steps=Steps(log10_odds=(3.0, 6.0), low=(0.0, 0.8, 0.99), high=(0.1, 0.93, 0.997)),
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
# Votes of features: pixel size of the map, and places that are needed for a fit
WIDE_KM, MIN_PLACES = 1.8, 6
SENSOR_ASPECT = 1.5  # of images that may have been stretched to a square
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

    def find_features(self, side_px: int, most: int) -> tuple[Features, ...]:
        """Extract features of grey and red, in pixels of the stored image."""
        height, width = self.light.values.shape
        factor = min(1.0, side_px / max(width, height))
        size = round(width * factor), round(height * factor)
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
    """Propose a view on the map around the nadir: given cameras, then those that look down.

    The latter are those with the best correlation over all rotations.
    """
    # Half of the side of the map that is searched: half of the frame's diagonal (250 km), and 180
    # km for tilt or a clock error of 20 s
    reach_km = max(430.0, photo.long_km)
    region = box_around(position.lon, position.lat, np.sqrt(2.0) * reach_km)
    step_deg = photo.long_km / FINE_SIDE_PX / KM_PER_DEGREE
    if (grid := day_map.find_window(*region, step_deg)) is None:
        return
    levels = make_pyramid(grid, 7)
    at = np.asarray(position.position_ecef_m, float)
    belief = believe_day_camera(position, photo.nominal)

    def search_all_turns() -> Iterator[Camera]:
        yield from started
        picture, sample_km = photo.picture(DENSE_SIDE_PX, levels), photo.long_km / DENSE_SIDE_PX
        around = levels, at, np.array(belief.velocity_ecef), sample_km, reach_km
        yield from propose_dense_on_day(picture, photo.nominal, *around)

    yield DayView(
        photo=photo,
        belief=belief,
        reference=day_map.reaching(region)[0][0],
        levels=levels,
        starts=search_all_turns(),
    )


def view_with_time(
    photo: DayPhoto,
    prior: Prior,
    position: CameraPosition,
    day_map: DayMap,
    clock_window_s: float | None,
) -> Iterator[DayView]:
    """Propose views of a photo of which the position is known, those that cost least first."""
    if photo.long_km >= LONG_KM[0]:
        track = make_tracks(position, clock_window_s)[0]
        here = TrackPlace(track=track, offset_km=0.0, spread_km=0.0, share=1.0)
        neighbours = () if prior.neighbours is None else prior.neighbours.neighbours
        carried = [carry_camera(neighbour, here) for neighbour in neighbours]
        if prior.placement is not None:
            carried.insert(0, prior.placement)
        yield from view_around_nadir(photo, position, day_map, carried)
    yield from view_from_station(photo, position, day_map)
    # Clouds are left out only now: bright deserts look like them
    if CLOUDY[0] <= photo.white_share <= CLOUDY[1]:
        yield from view_from_station(photo.without_clouds(), position, day_map)


def view_from_station(
    photo: DayPhoto, position: CameraPosition, day_map: DayMap
) -> Iterator[DayView]:
    """Propose views by features of the maps as they look from the station, finest maps first."""
    place, height_km = (position.lon, position.lat), position.altitude_km
    west, south, east, north = seen = box_in_sight(*place, height_km)
    in_sight = dict.fromkeys(one for one, _ in day_map.reaching(seen))
    for reference, (side_px, most) in product(in_sight, LOOKS):
        grid = reference.grid
        shown = (grid.east - grid.west) * (grid.north - grid.south)
        if side_px > LOOKS[0][0] and shown > 0.1 * (east - west) * (north - south):
            continue
        proposals: list[tuple[int, DayPhoto, PosePrior, Camera]] = []
        for shape in photo.shapes():
            light, nominal = shape.light, shape.nominal
            pixel_km = grid.step_deg * KM_PER_DEGREE
            if (focal_px := choose_focal_px(nominal, side_px, pixel_km, height_km)) is None:
                continue
            square = round_place(*place, height_km)
            view = make_view(reference, reference.version, *square, focal_px, side_px)
            if not view.cells:
                continue
            lens, inside = light.camera(nominal), light.weight > 0.5
            features = find_photo_features(shape.shown, inside, lens, focal_px, most)
            belief = believe_day_camera(position, nominal)
            for camera, n_places, away_km in propose_from_station(view, features, nominal, belief):
                there = replace(shape, long_km=shape.long_km * away_km / height_km)
                proposals.append((n_places, there, belief, camera))
        # Of a square copy the true shape has most
        for n_places, there, belief, camera in sorted(proposals, key=lambda one: -one[0]):
            step_deg = there.long_km / FINE_SIDE_PX / KM_PER_DEGREE
            for levels in read_ground(day_map, camera, step_deg):
                yield DayView(
                    photo=there,
                    belief=belief,
                    reference=reference,
                    levels=levels,
                    starts=iter((camera,)),
                    n_places=n_places,
                )


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
    photo: DayPhoto, seen: tuple[Features, ...], there: MapFeatures, altitude_km: float
) -> Iterator[tuple[Camera, PosePrior, int]]:
    """Propose cameras of a wide near-nadir frame from matched features of it and a map.

    `seen`: features of the photo at its `wide_px`. The camera is assumed to be above the matched
    ground. Yields cameras with their priors and the numbers of matched places, most places first.
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
        agreement = agree_on_homography(some)
        if agreement.n_places < MIN_PLACES:
            continue
        ground = there.ground(agreement.there)
        lon, lat, _ = ecef_to_geodetic(ground.mean(axis=0))
        place, sigma_km = (float(lon), float(lat), altitude_km), (100.0, 100.0, 10.0)
        position = position_from_nadir(*place, "lights", sigma_km=sigma_km)
        belief = believe_day_camera(position, stored)
        here = (agreement.here + 0.5) / factor - 0.5
        fit = fit_to_places(stored, here, ground, belief, 0.005)  # by eye
        # 180 km, see `view_around_nadir`
        if fit is not None and fit.camera.off_nadir_deg < 25.0:
            yield fit.camera, belief, agreement.n_places


def place_on_day(view: DayView) -> DayMatch | None:
    """Fit and verify the cameras of a view; return the first proven match, or else the best."""
    photo, prior = view.photo, view.belief
    levels, long_km = view.levels, photo.long_km
    coarse = photo.picture(COARSE_SIDE_PX, levels)
    # The angles first: cameras from features are off by up to seven pixels of this picture
    steps = [(coarse, ANGLES, PATCH_PX, 14), (coarse, POSE, PATCH_PX, DAY.fit_reach_px)]
    if not view.n_places:
        steps.insert(0, (photo.picture(2 * DENSE_SIDE_PX, levels), ANGLES, 16, 14))
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
        if best.score >= DAY.min_score:
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
    views: Iterator[DayView]
    if position is None:
        views = view_anywhere(photo, altitude_km, day_map)
    else:
        seen = box_in_sight(position.lon, position.lat, altitude_km)
        pixels_km = [one.grid.step_deg * KM_PER_DEGREE for one, _ in day_map.reaching(seen)]
        lenses = [shape.nominal for shape in photo.shapes()]
        if not any(
            choose_focal_px(lens, LOOKS[0][0], pixel_km, altitude_km)
            for lens, pixel_km in product(lenses, pixels_km)
        ):
            return refuse(
                "outside_map",
                long_km=long_km,
                pixel_m=1e3 * long_km / FINE_MAP_PX if is_tele else None,
                map_pixel_m=1e3 * min(pixels_km) if pixels_km else None,
                unfetched=unfetched or None,
                needs_place=True if is_tele and frame.centre is None else None,
            )
        views = view_with_time(photo, prior, position, day_map, params.clock_window_s)
    match: DayMatch | None = None
    for view in views:
        found = place_on_day(view)
        if found is not None and (match is None or found.score > match.score):
            match = found
        if match is not None and match.score >= DAY.min_score:
            break
    if position is None and (match is None or match.score < DAY.min_score):
        return refuse("no_ephemeris")
    if match is None:
        assert position is not None
        return make_bare_result(frame, position, info, explain(photo, day_map, position))
    return report_day_match(frame, prior, params, photo, match, day_map)


def report_day_match(
    frame: Frame,
    prior: Prior,
    params: RegisterParams,
    photo: DayPhoto,
    match: DayMatch,
    day_map: DayMap,
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
        refused = make_bare_result(frame, position, reference, explain(photo, day_map, position))
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


def explain(photo: DayPhoto, day_map: DayMap, position: CameraPosition) -> Reason:
    """Explain why a photo was not registered, from its content and the map in sight."""
    values = {"white_share": photo.white_share}
    if photo.white_share > 0.5:  # by eye
        return Reason(code="cloud", values=values)
    seen = box_in_sight(position.lon, position.lat, position.altitude_km)
    if (grid := day_map.find_window(*seen, 0.05)) is not None:
        red = grid.values if grid.valid is None else grid.values[grid.valid]
        sea_share = float(np.mean(np.abs(red - SEA[2][0] / 255.0) < 1e-3))
        if sea_share > 0.9999:  # no island of ten kilometres
            return Reason(code="sea", values={"sea_share": sea_share})
    pixels_m = [one.pixel_m for one, _ in day_map.reaching(seen)]
    pixel_m = 1e3 * photo.long_km / photo.nominal.long_side_px
    if pixels_m and min(pixels_m) * FINE_MAP_PX > 1e3 * photo.long_km:
        values |= {"map_pixel_m": min(pixels_m), "pixel_m": pixel_m}
    return Reason(code="few_structures", values=values)
