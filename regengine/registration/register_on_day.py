"""A frame by day placed on a picture of the Earth: by its attitude around the prior's nadir."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from detectors.constants import KM_PER_DEGREE
from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import geodetic_to_ecef, incidence_deg, local_axes
from matchers.geometry.light_grid import LightGrid, pyramid
from matchers.geometry.pose import ACROSS, ALONG, FOCAL, K1, UP, PosePrior
from matchers.lights.photo_light import LightImage
from regengine.errors import LightMapError
from regengine.orbit.propagation import CameraPosition
from regengine.orbit.rotation import EARTH_RATE_RAD_S
from regengine.photo.frame import Frame
from regengine.photo.image import read_linear_channels
from regengine.references.day import DayMap
from regengine.references.reference import Reference
from regengine.registration.parameters import DayParams, RegisterParams
from regengine.registration.prepare_photo import load_compiled, make_nominal_camera
from regengine.registration.priors.tracks import tracks_for
from regengine.registration.propose_from_day import (
    draw_nadir_map,
    orient_nadir,
    propose_dense_on_day,
    propose_from_afar,
    propose_from_features,
)
from regengine.registration.propose_from_neighbours import carry_camera
from regengine.registration.refine_on_map import (
    CellProof,
    MapPicture,
    even_picture,
    prove_on_map,
    settle,
)
from regengine.registration.report_on_map import fit_all_cells, report_on_map, tell_proofs
from regengine.registration.report_result import no_match_result
from regengine.registration.types import (
    Hypothesis,
    Place,
    Prior,
)
from regengine.result import FrameResult, Reason

ANGLES = (0, 1, 2)
POSE = (*ANGLES, FOCAL, ALONG, ACROSS, UP, K1)


@dataclass(frozen=True, kw_only=True, eq=False)
class DayPhoto:
    """A photo by day made ready to be placed.

    Attributes
    ----------
    light : LightImage
        Square root of its red light, and what of it counts.
    nominal : Camera
        Of the stored image, as the metadata have it; its pose means nothing.
    long_km : float
        Long side of the ground that it shows straight down.
    white_share : float
        Of what counts: cloud, snow or glare.
    """

    frame: Frame
    light: LightImage
    nominal: Camera
    long_km: float
    white_share: float

    def picture(self, side_px: int, levels: Sequence[LightGrid], params: DayParams) -> MapPicture:
        """The photo with its long side so long, and a map."""
        image = self.light.resized(side_px, params.smooth_px)
        structure = even_picture(image.values, image.weight, params)
        return MapPicture(image=image, evened=structure, levels=tuple(levels), params=params)

    def reach_km(self, params: DayParams) -> float:
        """Half of the side of the map around the nadir that is searched."""
        return max(params.half_width_km, params.half_width_share * self.long_km)


@dataclass(frozen=True, kw_only=True, eq=False)
class DayMatch:
    """A camera fitted to a day map, with its proofs: coarse, and fine where that is worth it."""

    picture: MapPicture
    camera: Camera
    proofs: tuple[CellProof, ...]

    @property
    def score(self) -> float:
        """The lower of both proofs."""
        return min(proof.score for proof in self.proofs)


def read_day_photo(frame: Frame, altitude_km: float, params: DayParams) -> DayPhoto:
    """Red light of a photo without what is no ground: dark round windows and burned-in text."""
    nominal = make_nominal_camera(frame)
    light, factor = read_linear_channels(frame.path, max_long_side_px=params.read_px)
    shown = np.sqrt(np.clip(light, 0.0, 1.0))
    brightest, darkest = shown.max(axis=2), shown.min(axis=2)
    blurred = cv2.GaussianBlur(brightest, (0, 0), 2.0)
    _, labels = cv2.connectedComponents((blurred < params.dark_level).astype(np.uint8))
    rims = [labels[0], labels[-1], labels[:, 0], labels[:, -1]]
    dark = np.isin(labels, np.setdiff1d(np.concatenate(rims), [0])) & (blurred < params.dark_level)
    ellipse = cv2.MORPH_ELLIPSE
    rim = cv2.getStructuringElement(ellipse, (params.rim_px, params.rim_px))
    outside = cv2.dilate(dark.astype(np.uint8), rim)
    stroke = cv2.getStructuringElement(ellipse, (params.stroke_px, params.stroke_px))
    thin = darkest - cv2.morphologyEx(darkest, cv2.MORPH_OPEN, stroke)
    text = (thin > params.text_contrast) & (darkest > params.text_level)
    text_around = cv2.dilate(text.astype(np.uint8), np.ones((7, 7), np.uint8))
    weight = np.asarray((outside == 0) & (text_around == 0), np.float32)
    white = (darkest > params.white_level) & (brightest - darkest < params.white_spread)
    return DayPhoto(
        frame=frame,
        light=LightImage(
            values=np.ascontiguousarray(shown[:, :, 0], np.float32), weight=weight, factor=factor
        ),
        nominal=nominal,
        long_km=max(nominal.width_px, nominal.height_px) * altitude_km / nominal.focal_px,
        white_share=float((white * weight).sum() / max(float(weight.sum()), 1.0)),
    )


def believe_day_camera(
    position: CameraPosition, nominal: Camera, params: DayParams
) -> tuple[PosePrior, FloatArray]:
    """What is believed of the camera, and the direction of its inertial velocity; else north."""
    at = np.asarray(position.position_ecef_m, float)
    sigma_along_m = 1e3 * float(np.clip(position.sigma_along_km, *params.sigma_along_km))
    sigma_across_m = 1e3 * position.sigma_cross_km
    if position.velocity_ecef_m_s is None:
        # Which way is along is not known
        ahead, sigma_across_m = local_axes(position.lon, position.lat)[1], sigma_along_m
    else:
        ahead = position.velocity_ecef_m_s + np.cross([0.0, 0.0, EARTH_RATE_RAD_S], at)
    corner = np.hypot(nominal.width_px, nominal.height_px) / 2.0 / nominal.focal_px
    x, y, z = at.tolist()
    vx, vy, vz = ahead.tolist()
    prior = PosePrior(
        position_ecef_m=(x, y, z),
        velocity_ecef=(vx, vy, vz),
        focal_px=nominal.focal_px,
        sigma_along_m=sigma_along_m,
        sigma_across_m=sigma_across_m,
        sigma_up_m=1e3 * position.sigma_radial_km,
        sigma_log_focal=params.sigma_log_focal,
        sigma_k1=params.sigma_corner / corner**2,
        principal_point=nominal.principal_point,
        k1=nominal.distortion[0],
    )
    return prior, ahead


@dataclass(frozen=True, kw_only=True, eq=False)
class DayView:
    """A part of a map that a frame may show.

    Attributes
    ----------
    levels : tuple of LightGrid
        The map, fine enough for the last proof, and coarser ones.
    starts : iterator of Camera
        Cameras that may have taken the frame, the likeliest first; they are looked for one by one.
    long_km : float
        Long side of the ground that the frame shows there.
    params : DayParams
        What suits its lens.
    """

    reference: Reference
    levels: tuple[LightGrid, ...]
    starts: Iterator[Camera]
    long_km: float
    params: DayParams


def view_around_nadir(
    photo: DayPhoto,
    position: CameraPosition,
    day_map: DayMap,
    params: DayParams,
    started: Sequence[Camera],
) -> Iterator[DayView]:
    """The map around the nadir, with cameras that are given, then those that look down there."""
    reach_deg = np.sqrt(2.0) * photo.reach_km(params) / KM_PER_DEGREE  # to its corners
    reach_lon = reach_deg / float(np.cos(np.radians(min(abs(position.lat), 80.0))))
    region = (
        position.lon - reach_lon,
        max(position.lat - reach_deg, -90.0),
        position.lon + reach_lon,
        min(position.lat + reach_deg, 90.0),
    )
    step_deg = photo.long_km / params.fine_side_px / KM_PER_DEGREE
    levels = pyramid(day_map.window(*region, step_deg), 7)
    at = np.asarray(position.position_ecef_m, float)
    axes = orient_nadir(at, believe_day_camera(position, photo.nominal, params)[1])

    def propose() -> Iterator[Camera]:
        yield from started
        half_km = photo.reach_km(params)
        for side_px in (params.dense_side_px, *params.feature_sides_px):
            drawn = draw_nadir_map(levels, at, axes, photo.long_km / side_px, half_km, params)
            dense = side_px == params.dense_side_px
            search = propose_dense_on_day if dense else propose_from_features
            picture = photo.picture(side_px, levels, params)
            for camera, _ in search(picture, photo.nominal, drawn, params):
                yield camera

    yield DayView(
        reference=day_map.references.reaching(region)[0][0],
        levels=levels,
        starts=propose(),
        long_km=photo.long_km,
        params=params,
    )


def view_from_afar(
    photo: DayPhoto, position: CameraPosition, day_map: DayMap, params: DayParams
) -> Iterator[DayView]:
    """Parts of the maps that a telephoto frame may show, those of the finest map first.

    Maps are cut into parts that overlap by a frame; a part is left out where it is seen too flat,
    or shows the frame with too few pixels.
    """
    # Candidates of a narrow field differ by less
    angle_deg = params.same_attitude_deg * photo.long_km / params.long_km[0]
    prior, _ = believe_day_camera(position, photo.nominal, params)
    at = np.asarray(position.position_ecef_m, float)
    part_km = params.max_part_px / params.far_side_px * photo.long_km
    left = params.max_parts
    for reference in day_map.references:
        west, south, east, north = reference.grid.bounds
        shrink = float(np.cos(np.radians(0.5 * (south + north))))
        edges = []
        for low, high, frame_deg in (
            (west, east, photo.long_km / KM_PER_DEGREE / shrink),
            (south, north, photo.long_km / KM_PER_DEGREE),
        ):
            room = max(high - low - frame_deg, 0.0)
            count = 1 + int(room * photo.long_km / frame_deg / (part_km - photo.long_km))
            begin = low + room * np.arange(count) / count
            edges.append([(one, one + room / count + min(frame_deg, high - low)) for one in begin])
        parts = [(w, s, e, n) for w, e in edges[0] for s, n in edges[1]]
        corners = np.array(parts)[:, [[0, 1], [2, 1], [0, 3], [2, 3]]]
        ground = geodetic_to_ecef(corners[..., 0], corners[..., 1])
        flattest = np.max(incidence_deg(at, ground), axis=1)
        away_km = np.linalg.norm(ground.mean(axis=1) - at, axis=1) / 1e3
        for k in np.argsort(away_km, kind="stable"):
            long_km = photo.long_km * float(away_km[k]) / position.altitude_km
            coarse = long_km < params.min_map_px * reference.grid.step_deg * KM_PER_DEGREE
            if coarse or flattest[k] > params.max_incidence_deg or left == 0:
                continue
            left -= 1
            bounds = parts[int(k)]
            try:
                grid = day_map.window(*bounds, long_km / params.fine_side_px / KM_PER_DEGREE)
            except LightMapError as error:
                if error.code != "outside_map":
                    raise
                continue
            levels = pyramid(grid, 7)
            picture = photo.picture(params.far_side_px, levels, params)
            yield DayView(
                reference=reference,
                levels=levels,
                starts=propose_from_afar(picture, photo.nominal, prior, bounds, params),
                long_km=long_km,
                params=replace(params, same_attitude_deg=angle_deg),
            )


def place_on_day(photo: DayPhoto, prior: PosePrior, view: DayView) -> DayMatch | None:
    """Fit and prove the cameras of a view; the first match that is proven, else the best."""
    params, levels, long_km = view.params, view.levels, view.long_km
    rough = photo.picture(2 * params.dense_side_px, levels, params)
    coarse = photo.picture(params.coarse_side_px, levels, params)
    finest_km = params.max_oversampling * levels[0].step_deg * KM_PER_DEGREE
    fine_px = max(min(params.fine_side_px, round(long_km / finest_km)), params.coarse_side_px)
    best: DayMatch | None = None
    met: list[Camera] = []
    near = 1.0 + 2.0 * np.cos(np.radians(params.same_attitude_deg))  # trace of such a rotation
    for start in view.starts:
        if any(float((start.matrix * other.matrix).sum()) > near for other in met):
            continue
        camera = start
        for picture, free, patch_px, reach_px in (
            (rough, ANGLES, params.rough_patch_px, params.rough_reach_px),
            (coarse, ANGLES, params.patch_px, params.rough_reach_px),
            (coarse, POSE, params.patch_px, params.fit_reach_px),
        ):
            camera = settle(picture, camera, prior, free, patch_px, reach_px)
        met += [start, camera]
        coarse_m = 1e3 * long_km / max(coarse.evened.shape)
        proof = prove_on_map(coarse, camera, coarse_m, params.patch_px)
        match = DayMatch(picture=coarse, camera=camera, proofs=(proof,))
        if proof.score >= params.worth_score:
            fine = photo.picture(fine_px, levels, params)
            camera = settle(fine, camera, prior, POSE, params.fine_patch_px)
            fine_m = 1e3 * long_km / max(fine.evened.shape)
            proofs = proof, prove_on_map(fine, camera, fine_m, params.fine_patch_px)
            match = DayMatch(picture=fine, camera=camera, proofs=proofs)
        if best is None or match.score > best.score:
            best = match
        if best.score >= params.min_score:
            break
    return best


def register_on_day(
    frame: Frame, prior: Prior, day_map: DayMap, params: RegisterParams | None = None
) -> FrameResult:
    """Find out where on Earth the pixels of a photo by day lie.

    Parameters
    ----------
    prior : Prior
        Its position is needed; neighbours tell the attitude.
    day_map : DayMap
        Pictures of the Earth by day.

    Returns
    -------
    FrameResult
        With a proposal ("accepted" or "review"), or "no_match" with the reason.

    Raises
    ------
    FrameError
        If the photo cannot be read.
    LightMapError
        If a map cannot be.
    """
    params = params or RegisterParams()
    position, day = prior.position, params.day
    info = day_map.info
    if position is None or frame.focal_mm is None:
        text = (
            "a photo by day is placed around the point below the camera, and with the focal length:"
            " give its time (--time) with element sets, or --nadir"
            + (", and --focal-mm" if frame.focal_mm is None else "")
        )
        code = "unsuitable_lens" if position is not None else "no_ephemeris"
        return no_match_result(frame, position, info, Reason(code=code, text=text))
    load_compiled()
    photo = read_day_photo(frame, position.altitude_km, day)
    if photo.long_km > day.long_km[1]:
        text = (
            f"straight down the frame would be {photo.long_km:.0f} km wide: frames of at most "
            f"{day.long_km[1]:g} km are placed on day maps"
        )
        return no_match_result(frame, position, info, Reason(code="unsuitable_lens", text=text))
    track = tracks_for(position, params.clock_window_s)[0]
    if photo.long_km < day.long_km[0]:
        views = view_from_afar(photo, position, day_map, day)
    else:
        here = Place(track=track, offset_km=0.0, spread_km=0.0, share=1.0)
        told = () if prior.neighbours is None else prior.neighbours.neighbours
        carried = [carry_camera(neighbour, here) for neighbour in told]
        views = view_around_nadir(photo, position, day_map, day, carried)
    belief = believe_day_camera(position, photo.nominal, day)[0]
    match, view = None, None
    try:
        for one in views:
            found = place_on_day(photo, belief, one)
            if found is not None and (match is None or found.score > match.score):
                match, view = found, one
            view = view or one
            if match is not None and match.score >= day.min_score:
                break
    except LightMapError as error:
        if error.code != "outside_map":
            raise
    if view is None:
        text = (
            f"no day map at hand holds the place for a frame {photo.long_km:.0f} km wide straight "
            "down: regengine day get --region W,S,E,N, or of finer pictures day build PICTURES…"
        )
        return no_match_result(frame, position, info, Reason(code="outside_map", text=text))
    grid, chosen = view.levels[0], view.reference
    if match is None:
        return no_match_result(frame, position, chosen, explain(photo, grid, position, day))
    p_right = float(day.probability_steps.probability(match.score))
    hypothesis = Hypothesis(
        camera=match.camera,
        prior=belief,
        track=track,
        offset_km=0.0,
        source="day",
    )
    patch_px = day.patch_px if len(match.proofs) < 2 else day.fine_patch_px
    answer = None
    if p_right >= params.accept.review_probability:
        answer = fit_all_cells(match.picture, hypothesis, match.proofs, POSE, patch_px)
    if answer is None:
        result = no_match_result(frame, position, chosen, explain(photo, grid, position, day))
        proof = ("proof", tell_proofs(match.proofs))
        return replace(result, sources=tuple(sorted((*result.sources, proof))))
    return report_on_map(
        no_match_result(frame, position, chosen),
        answer,
        day,
        params,
        map_sigma_m=1e3 * KM_PER_DEGREE * grid.step_deg,
        reference=", ".join(filter(None, ("day", chosen.product, chosen.credit))),
    )


def explain(
    photo: DayPhoto, grid: LightGrid, position: CameraPosition, params: DayParams
) -> Reason:
    """Why a photo was not placed: what it shows."""
    if photo.white_share > params.max_white_share:
        text = f"{100.0 * photo.white_share:.0f} % of the frame is white: cloud or snow"
        return Reason(code="cloud", text=text)
    half = 0.25 * photo.long_km / KM_PER_DEGREE
    lon, lat = np.meshgrid(*2 * (np.linspace(-half, half, 41),))
    col, row = grid.to_pixel(
        position.lon + lon / np.cos(np.radians(position.lat)), position.lat + lat
    )
    rows, cols = grid.values.shape
    inside = (col >= 0) & (col < cols - 1) & (row >= 0) & (row < rows - 1)
    below = grid.values[np.rint(row[inside]).astype(int), np.rint(col[inside]).astype(int)]
    sea = float((below == np.median(below)).mean()) if len(below) else 0.0
    if sea > params.max_sea_share:
        text = f"{100.0 * sea:.0f} % of the ground below the camera is sea"
        return Reason(code="sea", text=text)
    text = (
        "no attitude was found in which the map's structures fit better than by chance; the frame "
        "may show too little clear land, or its time, nadir or focal length is off"
    )
    return Reason(code="few_structures", text=text)
