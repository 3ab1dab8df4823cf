"""Define the data types of a registration, in the order in which they are created.

`Prior`, `Photo` and `SearchReferences` make a `Problem` (`state_problem`). `generate_stages`
divides it into `Stage` objects, each for a `TrackPlace` or a `Region`. A stage proposes
`Hypothesis` objects. The best of them are fitted, each a `Fit` with its `FitTest`, and weighed as a
`LightMatch` or a `MapMatch` with its `Evidence`. `SearchState` records the progress of the search.
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
from matchers.geometry.map_grid import MapGrid
from matchers.geometry.pose import PosePrior
from matchers.lights.patches import Refinement, Refits, jackknife
from matchers.lights.photo_light import EvenedImage
from matchers.lights.verify import NO_LIGHTS, LightPeaks
from regengine.maps.reference import RasterMap
from regengine.orbit.position import ANY_KM, expect_height_km
from regengine.registration.parameters import Method, RegisterParams
from regengine.registration.priors import LensBelief, NeighbourPrior, Seen, Track
from regengine.registration.windows import MapWindows
from regengine.store.reasons import Reason
from regengine.store.result import PatchProof

if TYPE_CHECKING:
    from regengine.maps.index.earth import EarthIndex
    from regengine.orbit.propagation import CameraPosition
    from regengine.photo.frame import Frame
    from regengine.sky.stars.solve import StarAttitude


def keeps_sky_free(photo: Photo, camera: Camera) -> bool:
    """Whether a camera of the stored image has no ground where the photo shows sky.

    Of the true cameras of 18 training photos with a limb, all but one have no ground there, and one
    has a share of 0.3.
    """
    if photo.sky_px is None or not len(photo.sky_px[0]):
        return True
    ground = np.isfinite(camera.pixel_to_ecef(*photo.sky_px)[:, 0])
    return float(ground.mean()) <= 0.5


# Which of the photo's two light images is compared with the map
ImageKind = Literal["narrow", "clipped"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Prior:
    """What is known about the camera before the photo is compared with the map.

    position: From time and element set, from a nadir, or from a place in the photo. None if the
        camera may be anywhere.
    seen: A place that is visible somewhere in the photo.
    altitude_range_km: Range of altitudes if no orbit determines the altitude.
    may_be_elsewhere: Whether the position may be entirely wrong, so that the whole Earth is
        searched last.
    n_places: Number of named places of which the position is one; it counts as places tested.
    neighbours: Clock offset, lens and attitude from other frames of the batch.
    placement: The camera (of the stored image) that a person placed. Only its surroundings are
        searched.
    read_stars: Measures the attitude from the stars above the limb, see
        `propose_from_cameras.read_sky`.
    cities_probability: Probability of the class *cities*, which limits the work, see
        `regengine.registration.parameters.share_work`.
    """

    position: CameraPosition | None = None
    seen: Seen | None = None
    altitude_range_km: tuple[float, float] = ANY_KM
    may_be_elsewhere: bool = True
    n_places: int = 1
    neighbours: NeighbourPrior | None = None
    placement: Camera | None = None
    read_stars: Callable[[Problem], StarAttitude | None] | None = None
    cities_probability: float = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class EvenedImages:
    """The city light of a photo as two images.

    narrow: Structure broader than a city is subtracted.
    clipped: Fine detail of lamps and streets is kept, and light is clipped where maps saturate. For
        frames that lie within one city.
    brightest_sigmas: Signal-to-noise ratio of the brightest thousandth of the narrow image.
    """

    narrow: EvenedImage
    clipped: EvenedImage
    brightest_sigmas: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Photo:
    """A photo prepared for the search.

    nominal: Camera of the stored image from the metadata. Its attitude is arbitrary.
    focal_known: Whether its focal length is given.
    doubted_focal_px: A given focal length with which the search failed.
    images: The light images; None if the photo is skipped.
    limb: The Earth's limb, if it is detected with certainty.
    sky_px: Pixels all over the stored image, x and y, that certainly show sky; None without a limb.
    skip_reason: Why the photo is not searched; None if it is searched.
    """

    frame: Frame
    nominal: Camera
    focal_known: bool
    doubted_focal_px: float | None = None
    images: EvenedImages | None = None
    limb: Limb | None = None
    sky_px: tuple[FloatArray, FloatArray] | None = None
    skip_reason: Reason | None = None

    def image(self, kind: ImageKind) -> EvenedImage:
        assert self.images is not None
        return self.images.clipped if kind == "clipped" else self.images.narrow


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchReferences:
    """References for photos: the map of night lights, the index of its peaks, and street maps.

    unfetched: Why street maps could not be fetched, and what to do; empty if nobody tried.
    """

    light_map: RasterMap
    index: EarthIndex | None = None
    streets: Sequence[RasterMap] = ()
    unfetched: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """A photo to be registered: everything that stays constant during its search.

    tracks: Tracks along which the camera may have been; empty if it may have been anywhere.
    windows: Cache of the map windows around places on the tracks; None if there are none.
    """

    photo: Photo
    prior: Prior
    references: SearchReferences
    params: RegisterParams
    tracks: tuple[Track, ...]
    windows: MapWindows | None

    @property
    def is_blind(self) -> bool:
        """Whether the search is blind: neither orbit nor nadir is known."""
        return self.prior.position is None

    @property
    def altitude_km(self) -> float:
        """Height of the camera above the ellipsoid; that of its time if it is not known."""
        position = self.prior.position
        return expect_height_km(self.photo.frame)[0] if position is None else position.altitude_km


@dataclass(frozen=True, kw_only=True)
class TrackPlace:
    """A place on a track where the camera may have been.

    share: Probability that the camera was nearer to this place than to the neighbouring places.
    spread_km: Standard deviation of the camera's position around it, along the track.
    """

    track: Track
    offset_km: float
    spread_km: float
    share: float

    @property
    def position_ecef_m(self) -> FloatArray:
        return self.track.position(self.offset_km)


@dataclass(frozen=True, kw_only=True, eq=False)
class Region:
    """Ground that the photo may show: what is visible from some places, or the whole Earth.

    places: Possible camera positions; empty for the whole Earth, where the lights determine them.
    share: Probability that the photo shows this region and no earlier one.
    index: Index of the light peaks in the region.
    """

    name: Literal["near", "wide", "earth"]
    places: Sequence[TrackPlace]
    share: float
    index: EarthIndex

    @cached_property
    def positions_ecef_m(self) -> FloatArray:
        return np.array([place.position_ecef_m for place in self.places])


Views = tuple[tuple[float, FloatArray], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """A box of hypotheses that one call of a method tests together.

    method: The method that tests them.
    chance: Probability that the true camera is in the box and the method finds it.
    work: Computing cost, in the units of `stage_yields.csv`.
    lens: The focal length that is tried.
    region, place: Where the camera may have been.
    mirrored: Whether the image is mirrored first.
    views: Pairs of an index level (kilometres per pixel) and the nadir directions in the camera
        frame, shape (n, 3), that are tried at it.
    off_nadir_deg: Range of view directions of the dense method.
    """

    method: Method
    chance: float
    work: float
    lens: LensBelief
    region: Region | None = None
    place: TrackPlace | None = None
    mirrored: bool = False
    views: Views = ()
    off_nadir_deg: tuple[float, float] = (0.0, 90.0)
    n_aligned: int = 4
    n_photo_lights: int = 30


@dataclass(frozen=True, kw_only=True, eq=False)
class Hypothesis:
    """A camera hypothesis, and how well it fits so far.

    camera: Camera of the stored image.
    prior: Prior of the pose for the stored image; it limits how far a fit moves the camera.
    track: The track on which the camera lies.
    offset_km: Position along the track at which it was proposed.
    source: The method that proposed it.
    is_blind: Whether it comes from a search of the whole Earth.
    image: The light image in which it was found.
    ncc, even_ncc: Normalized cross-correlation with the map, plain and with the local contrast of
        both images normalized, at the scale of the last alignment.
    image_log10_odds: Odds of the alignment against shifted copies, see `align.weigh_image`.
    n_stars: Number of stars that determine its attitude.
    is_other_lens: Whether its prior assumes another lens than the one it was proposed with.
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
class PatchFit:
    """A camera with patches of the map that are found in the photo; control points follow from it.

    camera: Camera of `image`.
    light_peaks: Those of the photo, in pixels of the image; none on streets and by day.
    matched: Indices of the lights that the map confirms.
    patch_view: The map rendered through the camera from whose view the patches were cut, and where
        it has data, shape (h, w).
    groups: Group number of each patch: patches of one group show the same light, see
        `matchers.lights.patches.group_patches`.
    """

    camera: Camera
    refinement: Refinement
    image: EvenedImage
    light_peaks: LightPeaks = NO_LIGHTS
    matched: IndexArray = field(default_factory=lambda: np.zeros(0, np.intp))
    patch_view: tuple[FloatImage, FloatImage]
    groups: IndexArray

    def leave_out_parts(self, n_parts: int) -> Refits | None:
        """Refit the camera without each part of the image in turn; None if lights are too few."""
        return jackknife(self.refinement, self.groups, n_parts)

    @cached_property
    def refits(self) -> Refits | None:
        """Cameras refitted without some of the lights; None if there are too few lights."""
        return self.leave_out_parts(16)  # 15 degrees of freedom

    @cached_property
    def quarter_refits(self) -> Refits | None:
        """Cameras refitted without each quarter of the picture; None with too few lights."""
        return self.leave_out_parts(4)

    @property
    def widening_refits(self) -> tuple[Refits | None, ...]:
        """Those that widen the sigmas of places where they move the camera by more."""
        return (self.refits,)

    @property
    def matched_lights(self) -> LightPeaks:
        """Light peaks of the photo that the map confirms, in pixels of the image."""
        return self.light_peaks.select(self.matched)


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit(PatchFit):
    """A hypothesis after the final fit to a map of lights, using the map pyramid ``levels``.

    view, known: The map rendered through the camera, and where it has data, shape (h, w).
    light_log10_odds: Odds that the light peaks of photo and map coincide.
    """

    hypothesis: Hypothesis
    levels: tuple[MapGrid, ...]
    view: FloatImage
    known: FloatImage
    light_log10_odds: float

    @property
    def widening_refits(self) -> tuple[Refits | None, ...]:
        """With those without quarters: thin clouds, heights, towns err together over as much."""
        return (self.refits, self.quarter_refits)


@dataclass(frozen=True, kw_only=True)
class FitTest:
    """Results of the tests of a fit, see `fit.weigh_fit`.

    residual_px: Residual of held-out patches, one sigma per axis; infinite if they are too few.
    log10_odds: Odds against chance that held-out patches match where the fit predicts them.
    is_distorted: Whether the fit is valid only in part of the image, or another camera fits
        patches farther away clearly better.
    patch_log10_odds: As `log10_odds`, but at most 0 if the fit is distorted.
    pose_sigma_m: Uncertainty on the ground at the lights, from refits without some of them. 0 if it
        is small enough (the fit is stable), NaN if the patches do not confirm the fit.
    is_confirmed: Whether the fit is stable and the patches confirm it all over the image.
    """

    residual_px: float
    log10_odds: float
    is_distorted: bool
    patch_log10_odds: float
    pose_sigma_m: float
    is_confirmed: bool


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Quantities that determine the probability; odds are base-10 logarithms against chance.

    Those of lights and of the whole image are 0 for a match on streets or a day map.

    ncc, runner_up_ncc: Correlation of the match and of the runner-up, the distinct other hypothesis
        of the best odds.
    light_log10_odds: Odds that the light peaks of photo and map coincide.
    patch_log10_odds: Odds that held-out patches match where the fit predicts them; at most 0 for a
        distorted fit.
    image_log10_odds: Odds of the whole image against displaced and reflected copies.
    log10_views_tested: Log10 of the number of camera views that were tested; subtracted once.
    runner_up_log10_odds: Image odds of the runner-up, or all of its odds where it was fitted, with
        the same subtracted.
    n_lights, n_matched_lights: Number of light peaks in the photo, and of those that the map
        confirms.
    residual_px, held_out_residual_px: Residuals of the fitted and of the held-out patches, one
        sigma per axis, in pixels of the image.
    """

    ncc: float
    runner_up_ncc: float = 0.0
    light_log10_odds: float = 0.0
    patch_log10_odds: float
    image_log10_odds: float = 0.0
    log10_views_tested: float = 0.0
    runner_up_log10_odds: float = 0.0
    n_lights: int = 0
    n_matched_lights: int = 0
    residual_px: float
    held_out_residual_px: float

    @property
    def log10_odds(self) -> float:
        """Sum of the odds of lights, patches and image, less the number of views tested.

        Two of them rarely agree by chance at the same time, so the number of views is subtracted
        only once.
        """
        together = self.light_log10_odds + self.patch_log10_odds + self.image_log10_odds
        return together - self.log10_views_tested


@dataclass(frozen=True, kw_only=True, eq=False)
class LightMatch:
    """A fit to a map of lights, with its evidence.

    camera: Camera of the stored image.
    rivals: Distinct other hypotheses that were compared, the runner-up first.
    pose_sigma_m: Uncertainty on the ground at the lights; 0 if it is small enough.
    """

    fit: Fit
    camera: Camera
    evidence: Evidence
    rivals: tuple[Hypothesis, ...] = ()
    pose_sigma_m: float = 0.0

    @property
    def hypothesis(self) -> Hypothesis:
        return self.fit.hypothesis


@dataclass(frozen=True, kw_only=True, eq=False)
class CellProof(PatchProof):
    """Agreement of patches in held-out cells with the fit, at one scale.

    residual_px: Residuals of the agreeing patches, shape (n, 2).
    ncc: Normalized cross-correlation of photo and map over the whole frame.
    """

    residual_px: FloatArray
    ncc: float

    @property
    def score(self) -> float:
        """-log10 of the probability that as many patches agree by chance."""
        return -self.log10_chance


@dataclass(frozen=True, kw_only=True, eq=False)
class MapMatch:
    """A fit to a map of streets or of ground by day, with its evidence.

    camera: Camera of the stored image.
    rivals: Distinct other hypotheses that were compared, the runner-up first.
    proofs: Agreement of held-out cells with a fit to the others, coarse level first.
    """

    fit: PatchFit
    hypothesis: Hypothesis
    camera: Camera
    evidence: Evidence
    rivals: tuple[Hypothesis, ...] = ()
    proofs: tuple[CellProof, ...]

    @property
    def score(self) -> float:
        """The lower score of both levels."""
        return self.evidence.patch_log10_odds


Match = LightMatch | MapMatch


class StopReason(Enum):
    """Why a search stopped."""

    PROVEN = "proven"
    EXHAUSTED = "all hypotheses tested"
    WORK_BUDGET = "work budget"
    CPU_LIMIT = "CPU limit"


@dataclass(kw_only=True, eq=False)
class SearchState:
    """Progress of a search.

    work: Work done so far, in the units of `stage_yields.csv`.
    work_of: Work done by each method.
    n_views_tested: Number of boxes of views that were tested; it is subtracted from the odds.
    hypotheses: Distinct hypotheses at the scale of the first look, best first.
    aligned: Aligned hypotheses by hypothesis and long side in pixels; None outside the map.
    compared: The best of them at half the scale of the last comparison, best first.
    tested: Hypotheses that were fitted, as aligned for the last comparison.
    match: The best match of lights so far.
    street_match: The best match on street maps; None without one.
    stop_reason: Why the search stopped; None while it runs.
    """

    work: float = 0.0
    work_of: dict[str, float] = field(default_factory=dict)
    n_views_tested: float = 0.0
    hypotheses: list[Hypothesis] = field(default_factory=list)
    aligned: dict[tuple[Hypothesis, int], Hypothesis | None] = field(default_factory=dict)
    compared: list[Hypothesis] = field(default_factory=list)
    tested: list[Hypothesis] = field(default_factory=list)
    match: LightMatch | None = None
    street_match: MapMatch | None = None
    stop_reason: StopReason | None = None

    def charge(self, work: float, method: str) -> None:
        """Add work of a method; a budget of work does not depend on the machine's speed."""
        self.work += work
        self.work_of[method] = self.work_of.get(method, 0.0) + work
