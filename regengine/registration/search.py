"""A search: the photo, what is known of it and held against it, and what was found so far."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from detectors.limb import Limb, sky_mask
from matchers.camera import Camera
from matchers.photo_light import LightImage
from regengine.orbit.missions import ANY_KM
from regengine.registration.acceptance import default_accept_probability, is_conclusive
from regengine.registration.candidates import Candidate
from regengine.registration.evidence import Finalist, Fit, Verified
from regengine.registration.lens_prior import is_telephoto
from regengine.registration.lit_ground_prior import lit_ground
from regengine.registration.map_window import HasOverview, SearchWindow
from regengine.registration.tracks import Track, tracks_for
from regengine.result import Reason

if TYPE_CHECKING:
    from regengine.orbit.propagation import CameraPosition
    from regengine.photo.frame import Frame
    from regengine.registration.index.earth import EarthIndex
    from regengine.registration.neighbour_priors import NeighbourPrior
    from regengine.sky.stars.attitude import StarAttitude

# The source of a position that only the lights tell
ANYWHERE = "lights"
# What each thing that a search does costs, in seconds of one core of the machine where that was
# measured. A search ends by this count, so that it finds the same on every machine
COSTS: dict[str, float] = {
    "figures": 0.11,
    "thorough figures": 0.16,
    "pictures": 0.16,
    "tilt in the index": 0.013,
    "drawn tilt in the index": 0.016,
    "tilt in the index of the Earth": 0.052,
    "drawn tilt in the index of the Earth": 0.064,
    "alignment": 0.008,
    "small finalist": 0.012,
    "finalist": 0.03,
    "fit": 0.25,
    "sky": 0.3,
}
# As many searches along a track the whole Earth is worth, and where one has found nothing
TIMES_AS_LONG, ANYWHERE_AFTER_ALL = 1.43, 0.24
WITHOUT_CITIES = 0.43  # of it, along a track: black nights, clouds and stars have no more to find
# What searches for one photo share
OF_PHOTO = (
    *("frame", "position", "light_map", "parameters", "aids"),
    *("stored", "focal_known", "limb", "told"),
)
# The rest of a frame's work is kept for the last proof
SHARE_FOR_LOOKS = 0.95
# So far above its limb a photo shows sky, whichever of the limb's two edges was found (they lie 2.3
# degrees apart) and however roughly a camera is known. The true cameras of 18 training photos with
# a limb saw ground in none of it, but one in 0.3
SURELY_SKY_DEG, MOST_GROUND_IN_SKY = 3.0, 0.5
SKY_PX = 20  # places along the photo's long side where that is looked at


Method = Literal["index", "sparse", "dense"]
METHODS: tuple[Method, ...] = ("index", "sparse", "dense")


@dataclass(frozen=True, kw_only=True)
class RegisterParams:
    """What the user decides about a registration.

    clock_window_s: The camera's clock is at most this wrong; None believes two minutes, and tries
        ten and whole hours where that leads nowhere.
    most_work: The search ends after so much work with the best it has, in the seconds that it takes
        on the machine where `COSTS` was measured.
    max_seconds: A brake: it ends after so much processor time whatever it has done. Results that
        the brake has changed say so.
    any_category: Try frames that do not look like night cities, too.
    accept_probability: Acceptance threshold.
    methods: What may propose cameras: "index" (figures and light of the map's index), "sparse"
        (figures of towns), "dense" (pictures).
    clock: Tells the seconds that ``max_seconds`` is held against: of this thread's work, so that a
        busy machine finds what an idle one does.
    """

    clock_window_s: float | None = None
    most_work: float = 28.0
    max_seconds: float = 240.0
    any_category: bool = False
    accept_probability: float = field(default_factory=default_accept_probability)
    methods: tuple[Method, ...] = METHODS
    clock: Callable[[], float] = time.thread_time


# Reads the attitude off the stars above a photo's limb
Sky = Callable[["Search"], "StarAttitude | None"]


@dataclass(frozen=True, kw_only=True)
class SearchAids:
    """What may tell of a photo besides its position and the map.

    index: Figures of the map's towns, and the light around them.
    altitude_km: Between which the camera flew, where its orbit is not known.
    elsewhere: Whether the photo is sought all over the Earth where nothing is found near its place.
    neighbours: What other frames of the batch tell of this one: where the search looks first.
    sky: Reads the attitude off the stars above the limb, as `sky.stars.attitude.attitude_of`
        gives it, or None where they prove none; without it they are left aside.
    placement: Where a person placed the photo, for the stored image: only around it is searched.
    cities: Whether the photo may well show cities, by its class: else it is worth less work.
    """

    neighbours: NeighbourPrior | None = None
    index: EarthIndex | None = None
    altitude_km: tuple[float, float] = ANY_KM
    elsewhere: bool = True
    sky: Sky | None = None
    placement: Camera | None = None
    cities: bool = True


@dataclass(frozen=True, kw_only=True)
class PhotoLights:
    """City light of a photo: without anything broader than a town, with glows, and flat.

    Reflections and moonlit cloud are broad, and so are cities behind haze: one of the first two
    images shows what the other loses. The flat one holds the grain of lamps and streets, and
    of that nothing is taken for diffuse but what the darkest places have; lights are cut off where
    a map saturates. Narrow fields lie between the two, within one city.
    """

    sharp: LightImage
    hazy: LightImage
    flat: LightImage

    def of(self, hazy: bool, flat: bool = False) -> LightImage:
        """One of the three; whatever is searched flat is fitted to one of the others."""
        if flat:
            return self.flat
        return self.hazy if hazy else self.sharp


@dataclass(kw_only=True)
class Search:
    """One photo on its way through the corridor; what all steps share.

    stored: Of the stored image, as it is told: its attitude means nothing.
    focal_known: Whether its focal length does.
    started_s: By the clock of the parameters.
    futile: Why there is nothing to search, or why nothing of the map was seen.
    limb, lights: What the photo shows; no lights where there is nothing to search.
    candidates: Distinct, best first.
    looks_taken: How many things were tried; the odds bear them.
    proposed: All cameras that were proposed, and what kind of step did.
    best: The best of what was verified.
    leader: What led at the last weighing and was not verified for good.
    tried, aligned, fitted: What was verified before, so that nothing is done twice; alignments by
        candidate and size, None where the map holds nothing of its ground.
    covered: Whether any of what was tried lies on the map.
    work_done, work_of: As `COSTS` counts it, in all and by the kind of step.
    braked: Whether the seconds that the user allows were over first.
    exhausted: Whether all that is worth trying was tried.
    told: The position that is not looked at, since nothing was found near it.
    ended, given_up: Whether the remaining proposers have no say; and whether nothing is to be
        concluded, either.
    """

    frame: Frame
    position: CameraPosition
    light_map: HasOverview
    parameters: RegisterParams
    aids: SearchAids = field(default_factory=SearchAids)
    stored: Camera
    focal_known: bool
    started_s: float = 0.0
    futile: Reason | None = None
    limb: Limb | None = None
    lights: PhotoLights = field(init=False, repr=False)
    window: SearchWindow = field(init=False, repr=False)

    candidates: list[Candidate] = field(default_factory=list)
    looks_taken: int = 0
    proposed: list[tuple[str, Camera]] = field(default_factory=list)
    best: Verified | None = None
    leader: Candidate | None = None
    tried: list[Finalist] = field(default_factory=list)
    aligned: dict[tuple[Candidate, int], Finalist | None] = field(default_factory=dict)
    fitted: dict[Candidate, Fit | None] = field(default_factory=dict)
    attitude: StarAttitude | None = None
    covered: bool = False
    work_done: float = 0.0
    work_of: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    braked: bool = False
    exhausted: bool = True
    told: CameraPosition | None = None
    ended: bool = False
    given_up: bool = False

    def __post_init__(self) -> None:
        self.window = SearchWindow(self.light_map, self.position.altitude_km)

    @property
    def conclusive(self) -> bool:
        """Whether searching on is pointless."""
        return self.best is not None and is_conclusive(self.best.evidence, pinned=self.best.pinned)

    @property
    def telephoto(self) -> bool:
        """Whether a lens that is known shows too little for figures of towns."""
        return self.focal_known and is_telephoto(self.stored)

    @property
    def altitude_km(self) -> float:
        """Height of the camera above the ellipsoid."""
        return self.position.altitude_km

    @cached_property
    def tracks(self) -> tuple[Track, ...]:
        """Along which the camera may have been; none where it may have been anywhere."""
        if self.anywhere:
            return ()
        return tracks_for(self.position, self.parameters.clock_window_s, lit_ground(self.light_map))

    @cached_property
    def sky_px(self) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Places all over the stored image that surely show sky; none without a limb."""
        if self.limb is None:
            return np.zeros(0), np.zeros(0)
        width, height = self.stored.width_px, self.stored.height_px
        pixel = max(width, height) / SKY_PX
        shape = max(round(height / pixel), 1), max(round(width / pixel), 1)
        rows, cols = np.nonzero(sky_mask(self.limb, shape, margin_deg=-SURELY_SKY_DEG))
        return pixel * (cols + 0.5) - 0.5, pixel * (rows + 0.5) - 0.5

    def allows(self, camera: Camera) -> bool:
        """Whether a camera of the stored image sees no ground where the photo shows sky.

        Where a person placed the photo, that tells more than a limb.
        """
        x, y = self.sky_px
        if len(x) == 0 or self.aids.placement is not None:
            return True
        ground = np.isfinite(camera.pixel_to_ecef(x, y)[:, 0])
        return float(ground.mean()) <= MOST_GROUND_IN_SKY

    @property
    def anywhere(self) -> bool:
        """Whether neither orbit nor nadir is known, or is not looked at."""
        return self.position.source == ANYWHERE

    def freed(self, anywhere: CameraPosition) -> Search:
        """A new search for the same photo that does not look at its position."""
        aids = replace(self.aids, neighbours=None, sky=None)
        return self.anew(position=anywhere, aids=aids, told=self.position)

    def anew(self, **changes: Any) -> Search:
        """A new search for the same photo, some of what is known changed."""
        known = {name: getattr(self, name) for name in OF_PHOTO} | changes
        search = Search(started_s=self.parameters.clock(), **known)
        search.lights = self.lights
        return search

    def spend(self, what: str, times: float = 1.0) -> None:
        """Count work: that, or the brake, ends a search before it has tried everything."""
        self.work_done += times * COSTS[what]

    def expired(self, share: float) -> bool:
        """Whether a share of the work that a photo is worth is done; the whole Earth is worth more.

        The seconds that the user allows are a brake, for what is costlier than it is known to be.
        """
        longer = 1.0 if self.aids.cities else WITHOUT_CITIES
        if self.anywhere:
            longer = TIMES_AS_LONG if self.told is None else ANYWHERE_AFTER_ALL
        if self.parameters.clock() - self.started_s > self.parameters.max_seconds:
            self.braked = True
        return self.braked or self.work_done > share * longer * self.parameters.most_work


# What becomes of proposals: the best is verified where it stands out, later, or as it is
WhenVerified = Literal["leading", "later", "now"]


@dataclass(frozen=True)
class Proposals:
    """Candidates that a proposer brings at a time."""

    candidates: Sequence[Candidate]
    verified: WhenVerified = "leading"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing that a proposer would try, told before it costs anything.

    take: Tries it; what comes of one yield is weighed before the next.
    kind: What proposes: steps of one kind do not confirm each other.
    surprise: How unlikely it is: among proposers of the same order the likelier step comes first.
    time_share: It is not begun after this share of the photo's time.
    required: Whether a search that has no time for it is not finished.
    """

    take: Callable[[], Iterator[Proposals]]
    kind: str
    surprise: tuple[float, ...] = ()
    time_share: float | None = None
    required: bool = False


class Proposer(Protocol):
    """What a module ``propose_*.py`` has that takes part in searches."""

    ORDER: int

    def propose(self, search: Search) -> Iterator[Step]:
        """What it would try, the likeliest first; nothing where it has nothing to say."""
        ...
