"""Looks that a search takes, candidate cameras that they bring, and which of these are the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from detectors.constants import EARTH_RADIUS_KM
from detectors.types import FloatArray
from matchers.align import ITERATIONS, align
from matchers.camera import Camera
from matchers.dense import DenseParameters
from matchers.light_grid import LightGrid
from matchers.photo_light import LightImage
from matchers.pose import ALONG, FOCAL, PARAMETERS, ROTATION, PosePrior

# Two cameras are the same hypothesis when the photo's ground moves by less than this share of its
# long side between them
SAME_SHARE = 0.08
# Places in the image that are compared, x and y as shares of its sides
EVENLY = np.linspace(0.1, 0.9, 5)
SAMPLES = np.array([(x, y) for y in EVENLY for x in EVENLY])
SAME_PLACE_KM = 100.0  # half a step
# 256 px of the map's 0.7 km resolution
FULL_FIELD_KM = 180.0


@dataclass(frozen=True, kw_only=True)
class Look:
    """One thing to try: a place on the track, a scale, mirrored or not, near nadir or far off.

    ``hazy`` takes the photo's light image that keeps broad glows and ``flat`` the one without dark
    and bright ends, see `PhotoLights`. ``clock_s`` is how far the clock is taken to be behind at
    offset 0. ``sparse`` looks for figures of towns
    instead of comparing pictures, with the focal length divided by each step of ``ladder``;
    ``thorough`` takes more towns for them, where the camera likely is.
    """

    offset_km: float
    scale: float
    mirrored: bool
    prior: PosePrior
    speed_km_s: float
    off_nadir_deg: tuple[float, float]
    hazy: bool = False
    flat: bool = False
    clock_s: float = 0.0
    sparse: bool = False
    ladder: tuple[float, ...] = (1.0,)
    thorough: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """An aligned camera (for the stored image) and its evened correlation at coarse scale."""

    camera: Camera
    ncc: float
    look: Look

    @property
    def score(self) -> float:
        """Correlation as far as it can be compared between lenses, see `field_share`."""
        return self.ncc * field_share(self.camera)


def field_share(camera: Camera) -> float:
    """How much a correlation of a narrow field says against one of a wide field.

    A telephoto frame shows few of the map's pixels, and few pixels correlate well by chance: the
    best wrong cameras of simulated frames correlated by 0.2 at 28 mm, 0.3 at 85 mm, 0.45 at 200 mm
    and 0.6 at 400 mm, about as the inverse square root of the field's width.
    """
    field_km = slant_km(camera) * max(camera.width_px, camera.height_px) / camera.focal_px
    return math.sqrt(min(1.0, field_km / FULL_FIELD_KM))


def slant_km(camera: Camera) -> float:
    """Distance to the ground along the optical axis, at most the horizon's, on a sphere."""
    radius_km = math.hypot(*camera.position_ecef_m) / 1e3
    horizon_km = math.sqrt(max(0.0, radius_km**2 - EARTH_RADIUS_KM**2))
    down_km = -float(camera.boresight_ecef @ camera.position_ecef_m) / 1e3
    if down_km <= horizon_km:
        return horizon_km
    return down_km - math.sqrt(down_km**2 - horizon_km**2)


def same_view(a: Camera, b: Camera, share: float) -> bool:
    """Whether two cameras of one image show nearly the same ground in the same place."""
    from matchers.compiled_view import moves_less

    if a.mirrored != b.mirrored:
        return False
    most_px = share * max(a.width_px, a.height_px)
    return moves_less(a.numbers, b.numbers, a.height_px, SAMPLES, most_px)


def ground_samples(camera: Camera) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Pixels of a lattice that see ground, x and y, and the ground (ECEF, metres) that they see."""
    x, y = (SAMPLES * [camera.width_px, camera.height_px]).T
    ground = camera.pixel_to_ecef(x, y)
    seen = np.isfinite(ground[:, 0])
    return x[seen], y[seen], ground[seen]


def same_hypothesis(a: Candidate, b: Candidate) -> bool:
    """Whether one of two candidates may stand for both.

    Small flat pictures of one view do not tell from which place on the track it was seen: there
    the finer pictures of the finalists decide.
    """
    elsewhere = abs(a.look.offset_km - b.look.offset_km) > SAME_PLACE_KM
    if a.look.flat and b.look.flat and elsewhere:
        return False
    return same_view(a.camera, b.camera, SAME_SHARE)


def merged(known: Sequence[Candidate], new: Sequence[Candidate]) -> list[Candidate]:
    """Known distinct candidates and new ones, the better of each pair that is the same view."""
    result = list(known)
    for candidate in new:
        twins = [k for k in result if same_hypothesis(candidate, k)]
        if all(candidate.score > twin.score for twin in twins):
            result = [k for k in result if k not in twins]
            result.append(candidate)
    return sorted(result, key=lambda c: -c.score)


def coarse_free() -> NDArray[np.bool_]:
    """Unknowns that a coarse image can tell: attitude, focal length, place along the track."""
    free = np.zeros(PARAMETERS, bool)
    free[ROTATION] = True
    free[[FOCAL, ALONG]] = True
    return free


@dataclass(frozen=True, kw_only=True, eq=False)
class CoarseView:
    """A photo's light at the scale of a first search, and the map that it is held against.

    Searches and alignment know no mirrors: ``picture`` is as it would have been without one (see
    `unmirrored`), and so are the cameras for it. ``levels`` is the map's pyramid.
    """

    stored: Camera
    picture: LightImage
    levels: Sequence[LightGrid]
    parameters: DenseParameters = field(default_factory=DenseParameters)

    def camera(self, stored: Camera) -> Camera:
        """A camera of the stored image as one of the picture."""
        return replace(self.picture.camera(stored), mirrored=False)

    def aligned(
        self, cameras: Sequence[Camera], looks: Sequence[Look], iterations: int = ITERATIONS
    ) -> list[Candidate]:
        """Align cameras of the picture; those that turn out to be distinct, best first."""
        found: list[Candidate] = []
        for camera, look in zip(cameras, looks, strict=True):
            aligned = align(
                self.levels,
                self.picture.values,
                self.picture.weight,
                camera,
                look.prior.for_image(self.picture.factor),
                free=coarse_free(),
                iterations=iterations,
                smooth_px=self.parameters.smooth_px,
                detail_px=self.parameters.detail_px,
            )
            of_stored = self.picture.stored_camera(aligned.camera, self.stored)
            of_stored = replace(of_stored, mirrored=look.mirrored)
            if not any(same_view(of_stored, other.camera, SAME_SHARE) for other in found):
                found.append(Candidate(camera=of_stored, ncc=aligned.even_ncc, look=look))
        return sorted(found, key=lambda c: -c.score)


def unmirrored(image: LightImage, mirrored: bool) -> LightImage:
    """A picture as it would have been, had nobody mirrored it."""
    return image.flipped() if mirrored else image


def unmirrored_ray(ray: FloatArray, mirrored: bool) -> FloatArray:
    """A direction in the camera frame of such a picture."""
    return ray * np.array([-1.0, 1.0, 1.0]) if mirrored else ray
