"""What a registration knows, tries and finds: its types, in the order in which they are made.

`Prior`, `Photo` and `SearchReferences` make a `Problem` (`pose_problem`); `generate_stages` makes
`Stage` objects of it, for a `Place` or a `Region`; a stage proposes a `Hypothesis`; the best are
fitted, each a `Fit` with its `FitTest`, and weighed as a `Match` with its `Evidence`; `SearchState`
holds how far the search is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from detectors.limb import Limb
from detectors.types import FloatArray, FloatImage, IndexArray
from matchers.geometry.camera import Camera
from matchers.geometry.light_grid import LightGrid
from matchers.geometry.pose import PosePrior
from matchers.lights.patch_fit import Refinement, Refits, jackknife
from matchers.lights.photo_light import LightImage
from matchers.lights.verify import LightPeaks
from regengine.orbit.missions import ANY_KM
from regengine.registration.parameters import Method, RegisterParams
from regengine.registration.priors.lens import LensBelief
from regengine.registration.priors.seen import Seen
from regengine.registration.priors.tracks import Track
from regengine.registration.windows import MapWindows, NightLights, StreetMap
from regengine.result import Reason

if TYPE_CHECKING:
    from regengine.orbit.propagation import CameraPosition
    from regengine.photo.frame import Frame
    from regengine.registration.index.earth import EarthIndex
    from regengine.registration.priors.neighbours import NeighbourPrior
    from regengine.sky.stars.attitude import StarAttitude

# Where nothing tells the height: geometric mean of the 330 and 430 km between which the ISS flew.
# Straight down, a height is but a scale
NOMINAL_ALTITUDE_KM = 377.0

# Which of the photo's two light images is compared
ImageKind = Literal["narrow", "clipped"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Prior:
    """What is known of a photo's camera besides the photo.

    position: By time and element set, a nadir, or a place that the photo shows; None where it may
        be from anywhere.
    seen: A place that some part of the photo shows.
    altitude_range_km: Where no orbit tells the height.
    may_be_elsewhere: The position may be wrong altogether: all the Earth is tried late.
    neighbours: What other photos of the batch tell of clock, lens and attitude.
    placement: Where a person placed the photo (stored image): only around it is searched.
    read_stars: Reads the attitude off the stars above the limb, see `propose_from_stars.read_sky`.
    cities_probability: Of the photo's class, see `SearchParams.min_cities_probability`.
    """

    position: CameraPosition | None = None
    seen: Seen | None = None
    altitude_range_km: tuple[float, float] = ANY_KM
    may_be_elsewhere: bool = True
    neighbours: NeighbourPrior | None = None
    placement: Camera | None = None
    read_stars: Callable[[Problem], StarAttitude | None] | None = None
    cities_probability: float = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class LightImages:
    """City light of a photo, in two ways.

    narrow: Without anything broader than a city.
    clipped: With the grain of lamps and streets, light cut off where maps saturate: for frames
        within one city.
    brightest_sigmas: How far the brightest thousandth of the narrow image stands out of the noise.
    """

    narrow: LightImage
    clipped: LightImage
    brightest_sigmas: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Photo:
    """A photo made ready to be searched for.

    nominal: Of the stored image, as the metadata have it; its attitude means nothing.
    focal_known: Whether its focal length does.
    doubted_focal_px: A focal length that was told, with which the photo was not found.
    images: None where there is a reason to skip the photo.
    limb: The Earth's limb, where the photo shows it beyond doubt.
    sky_px: Places all over the stored image, x and y, that surely show sky; None without a limb.
    """

    frame: Frame
    nominal: Camera
    focal_known: bool
    doubted_focal_px: float | None = None
    images: LightImages | None = None
    limb: Limb | None = None
    sky_px: tuple[FloatArray, FloatArray] | None = None
    skip_reason: Reason | None = None

    def image(self, kind: ImageKind) -> LightImage:
        """One of its light images."""
        assert self.images is not None
        return self.images.clipped if kind == "clipped" else self.images.narrow


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchReferences:
    """What photos are held against: night lights, the index of their peaks, and street maps."""

    light_map: NightLights
    index: EarthIndex | None = None
    streets: Sequence[StreetMap] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """A photo to be placed: all that does not change while it is searched for.

    tracks: Along which the camera may have been; none where it may have been anywhere.
    windows: The pieces of the map that were read, kept while they serve.
    """

    photo: Photo
    prior: Prior
    references: SearchReferences
    params: RegisterParams
    tracks: tuple[Track, ...]
    windows: MapWindows

    @property
    def is_blind(self) -> bool:
        """Whether neither orbit nor nadir is known."""
        return self.prior.position is None

    @property
    def altitude_km(self) -> float:
        """Height of the camera above the ellipsoid, as far as it is known."""
        position = self.prior.position
        return NOMINAL_ALTITUDE_KM if position is None else position.altitude_km


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place on a track where the camera may have been.

    share: Probability that it was nearer to this place than to its neighbours.
    spread_km: One sigma along the track around it.
    """

    track: Track
    offset_km: float
    spread_km: float
    share: float

    @property
    def position_ecef_m(self) -> FloatArray:
        """Where that is, shape (3,)."""
        return self.track.position(self.offset_km)


@dataclass(frozen=True, kw_only=True, eq=False)
class Region:
    """Ground that the photo may show: what is in sight of some places, or all of the Earth.

    places: Where the camera stands; none for the Earth, where the lights say it.
    share: Probability that the photo is of it, and of none of the regions before.
    """

    name: Literal["near", "wide", "earth"]
    places: Sequence[Place]
    share: float
    index: EarthIndex

    @cached_property
    def places_ecef_m(self) -> FloatArray:
        """Its places, shape (n, 3)."""
        return np.array([place.position_ecef_m for place in self.places])


Views = tuple[tuple[float, FloatArray], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """A box of hypotheses that are looked up together.

    method: What looks them up.
    chance: Probability that the true camera is in the box and the method shows it.
    work: What that costs, see `stage_yields.csv`.
    lens: The focal length tried.
    region, place: Where the camera may have been.
    mirrored: Whether the picture is flipped first.
    views: Level of the index (kilometres a pixel) and nadir directions of the camera frame, shape
        (n, 3), that are tried at it.
    off_nadir_deg: Range of the view directions of the dense method.
    """

    method: Method
    chance: float
    work: float
    lens: LensBelief
    region: Region | None = None
    place: Place | None = None
    mirrored: bool = False
    views: Views = ()
    off_nadir_deg: tuple[float, float] = (0.0, 90.0)
    n_aligned: int = 4
    n_photo_lights: int = 30


@dataclass(frozen=True, kw_only=True, eq=False)
class Hypothesis:
    """A camera that the photo may have been taken with, and how well it fits so far.

    camera: Of the stored image.
    prior: What is believed of it, for the stored image: how far a fit may move it.
    track: Along which it stands.
    offset_km: Where on the track it was proposed.
    source: The method that proposed it.
    is_blind: Whether it was looked up on all of the Earth.
    image: The light image that it was found on.
    ncc, even_ncc: Correlation with the map, plain and with the contrast of both pictures evened, at
        the scale of the last alignment.
    image_log10_odds: Odds of that picture against shifts of itself, see `align.weigh_image`.
    n_stars: Stars that hold its attitude.
    is_other_lens: Whether another lens is believed than the one it was proposed with.
    """

    camera: Camera
    prior: PosePrior
    track: Track
    offset_km: float
    source: Method
    is_blind: bool = False
    image: ImageKind = "narrow"
    ncc: float = 0.0
    even_ncc: float = 0.0
    image_log10_odds: float = 0.0
    n_stars: int = 0
    is_other_lens: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """A hypothesis fitted to the end.

    camera: For `image`, which it was fitted to, with the map pyramid ``levels``.
    view, known: The map rendered through the camera, and where it holds data, shape (h, w).
    lights: Light peaks of the photo, pixels of the image; the map confirms those `matched`.
    patch_view: The same of the camera whose view the patches were taken from.
    groups: Which of these show the same light, see `matchers.lights.patches.group_patches`.
    """

    hypothesis: Hypothesis
    camera: Camera
    refinement: Refinement
    image: LightImage
    levels: tuple[LightGrid, ...]
    view: FloatImage
    known: FloatImage
    lights: LightPeaks
    light_log10_odds: float
    matched: IndexArray
    patch_view: tuple[FloatImage, FloatImage]
    groups: IndexArray

    def leave_out_parts(self, n_parts: int) -> Refits | None:
        """Cameras without each of so many parts of the picture; None for too few lights."""
        return jackknife(self.refinement, self.groups, n_parts)

    @cached_property
    def refits(self) -> Refits | None:
        """Cameras without some of the lights; None for too few lights."""
        return self.leave_out_parts(16)

    @property
    def matched_lights(self) -> LightPeaks:
        """Light peaks of the photo that the map confirms, pixels of the image."""
        return self.lights.chosen(self.matched)


@dataclass(frozen=True, kw_only=True)
class FitTest:
    """How a fit stands its tests, see `hold_out.test_fit`.

    residual_px: Of patches that were left out of it, one sigma per axis; infinite for too few.
    log10_odds: That these land where it has them, against chance.
    is_distorted: Whether it holds in a part of the picture alone, or bends away from what fits
        better.
    patch_log10_odds: The same as far as they speak for it: at most 0 where it is distorted.
    pose_sigma_m: How unsure the camera is where it shows lights, as leaving out some of them tells;
        0 where it is sure enough, NaN where the patches do not confirm it.
    is_stable: Whether it is sure enough.
    is_confirmed: Whether it is stable and the patches confirm it all over the picture.
    """

    residual_px: float
    log10_odds: float
    is_distorted: bool
    patch_log10_odds: float
    pose_sigma_m: float
    is_stable: bool
    is_confirmed: bool


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Figures from which the probability follows; odds are base-10 logarithms against chance.

    ncc, runner_up_ncc: Correlation of the match and of the best distinct other hypothesis.
    light_log10_odds: That the photo's light peaks lie where the map's are.
    patch_log10_odds: That held-out patches land where they should; at most 0 for a distorted fit.
    image_log10_odds: Of the picture as a whole against displaced and reflected ones.
    log10_views_tested: Of the number of camera views that were tried: taken off once.
    runner_up_log10_odds: Image odds of the best distinct other hypothesis, the same taken off.
    n_lights, n_matched_lights: Light peaks of the photo, and those that the map confirms.
    residual_px, held_out_residual_px: Of the patches, one sigma per axis, pixels of the image.
    """

    ncc: float
    runner_up_ncc: float
    light_log10_odds: float
    patch_log10_odds: float
    image_log10_odds: float
    log10_views_tested: float
    runner_up_log10_odds: float
    n_lights: int
    n_matched_lights: int
    residual_px: float
    held_out_residual_px: float

    @property
    def log10_odds(self) -> float:
        """Lights, patches and picture together against chance, the views tried taken off.

        Chance hardly ever brings about more than one of them.
        """
        together = self.light_log10_odds + self.patch_log10_odds + self.image_log10_odds
        return together - self.log10_views_tested


@dataclass(frozen=True, kw_only=True, eq=False)
class Match:
    """A fit with its evidence.

    camera: Of the stored image.
    rivals: Distinct other hypotheses that were compared, the best first.
    pose_sigma_m: How unsure the camera is where it shows lights; 0 where it is sure enough.
    """

    fit: Fit
    camera: Camera
    evidence: Evidence
    rivals: tuple[Hypothesis, ...]
    pose_sigma_m: float

    @property
    def hypothesis(self) -> Hypothesis:
        """What was fitted."""
        return self.fit.hypothesis


class StopReason(Enum):
    """Why a search ended."""

    PROVEN = "proven"
    EXHAUSTED = "all hypotheses tested"
    WORK_BUDGET = "work budget"
    CPU_LIMIT = "CPU limit"


@dataclass(kw_only=True, eq=False)
class SearchState:
    """How far a search is.

    work: Done so far, in the units of `stage_yields.csv`; ``work_of``: by method.
    n_views_tested: Boxes of views that were tried; the odds bear them.
    hypotheses: Distinct ones at the scale of a first look, best first.
    aligned: Those that led, by the long side in pixels at which each was aligned; None off the map.
    compared: The best of them at half the scale of the last comparison, best first.
    tested: As compared last, that were fitted.
    match: The best that was fitted.
    is_lens_doubted: Whether that was found as if nothing was known of the lens that was told.
    stop_reason: None while it goes on.
    """

    work: float = 0.0
    work_of: dict[str, float] = field(default_factory=dict)
    n_views_tested: float = 0.0
    hypotheses: list[Hypothesis] = field(default_factory=list)
    aligned: dict[tuple[Hypothesis, int], Hypothesis | None] = field(default_factory=dict)
    compared: list[Hypothesis] = field(default_factory=list)
    tested: list[Hypothesis] = field(default_factory=list)
    match: Match | None = None
    is_lens_doubted: bool = False
    stop_reason: StopReason | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be tried: a proof is there, or no time."""
        return self.stop_reason in (StopReason.PROVEN, StopReason.CPU_LIMIT)

    def charge(self, work: float, method: str) -> None:
        """Count work: that ends a search, so that it finds the same on every machine."""
        self.work += work
        self.work_of[method] = self.work_of.get(method, 0.0) + work
