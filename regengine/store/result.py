"""Define the result of one frame, which NDJSON records and the store's rows are made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from matchers.geometry.camera import Camera
from regengine.maps.lights import KindName
from regengine.store.reasons import Reason

Verdict = Literal["accepted", "review", "no_match", "failed"]
VERDICTS: tuple[str, ...] = get_args(Verdict)  # of the engine
STATES = (*VERDICTS, "rejected")

# Classes of photos that are registered on day maps
BY_DAY = ("day", "infrared")
# Minimum number of control points, and minimum share of the image that they cover, to georeference
# a photo
MIN_POINTS = 4
MIN_HULL = 0.01


@dataclass(frozen=True, kw_only=True)
class NadirInput:
    """Prior nadir of the camera, before the photo is compared with the map."""

    lon: float
    lat: float
    altitude_km: float
    source: str  # "tle", "option", "record", "centre", "lights"
    tle_age_h: float | None = None  # from the epoch to the photo, either way; None without a TLE
    sigma_along_km: float
    sigma_cross_km: float


@dataclass(frozen=True, kw_only=True)
class ControlPoint:
    """A pixel and its ground position, with one sigma per axis, and the full covariances.

    ``covariance_px`` is (xx, xy, yy) in square pixels; ``covariance_m`` is (ee, en, nn) in square
    metres, east and north.
    """

    x: float
    y: float
    lon: float
    lat: float
    sigma_px: float
    sigma_m: float
    covariance_px: tuple[float, float, float]
    covariance_m: tuple[float, float, float]
    lights: int


@dataclass(frozen=True, kw_only=True)
class ReviewedPoint:
    """A control point after review by a person.

    Pixel ``(x, y)``; longitude and latitude, degrees, WGS84; ``sigma_px`` is one sigma per axis,
    None if it is not known; ``origin`` is "engine", "person", "snap", "search", or "confirmed" for
    a point of the engine that a person confirmed without change.
    """

    x: float
    y: float
    lon: float
    lat: float
    sigma_px: float | None
    origin: str


@dataclass(frozen=True, kw_only=True)
class SolvedCamera:
    """A solved camera, with its time offset along the orbit.

    ``along_track_offset_s`` is None without a time and a nadir, by which it is an offset.
    """

    camera: Camera
    along_track_offset_s: float | None
    off_nadir_deg: float


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Quality of the fit of the solved camera."""

    ncc: float
    runner_up_ncc: float
    residual_px: float
    residual_m: float
    matched_lights: int
    held_out_residual_px: float | None  # None if too few lights could be held out
    log10_odds: float
    runner_up_log10_odds: float

    @property
    def margin(self) -> float:
        """Correlation of the best hypothesis minus that of the best distinct other one."""
        return self.ncc - self.runner_up_ncc


@dataclass(frozen=True, kw_only=True)
class PatchProof:
    """Agreement of held-out patches with a fit to streets or a day map, at one scale.

    Attributes
    ----------
    n_agreeing, n_patches : int
        Number of patches that lie where the camera predicts them, and of matched patches.
    sample_m : float
        Ground sample at this scale, metres per pixel.
    log10_chance : float
        Log10 of the probability that as many agree by chance; 0 or less.
    """

    n_agreeing: int
    n_patches: int
    sample_m: float
    log10_chance: float

    @property
    def text(self) -> str:
        """Text of the proof in ``sources.proof`` of a record."""
        return (
            f"{self.n_agreeing} of {self.n_patches} held-out patches agree at "
            f"{self.sample_m:.4g} m (chance 1e-{-self.log10_chance:.1f})"
        )


@dataclass(frozen=True, kw_only=True)
class MatchedMap:
    """The map that a photo was placed on; texts are empty if they are not known.

    ``pixel_m`` is the size of its finest pixels, None of streets, which are lines.
    """

    kind: KindName
    product: str = ""
    pixel_m: float | None = None
    credit: str = ""


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """One camera hypothesis that was compared (rank 0 is the proposal)."""

    rank: int
    solved: SolvedCamera
    ncc: float
    log10_odds: float
    centre_lon: float | None
    centre_lat: float | None


@dataclass(frozen=True, kw_only=True, eq=False)
class DetectedLights:
    """Lights of the photo, in pixels of the stored image; arrays of equal length.

    ``contrast`` is logarithmic, against the surroundings; ``matched`` is 1 where the light agrees
    with the map under the proposal.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    contrast: NDArray[np.float64]
    matched: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class FrameResult:
    """The result of one processed frame.

    ``footprint`` holds four (lon, lat) pairs, top-left, top-right, bottom-right, bottom-left of
    the image; None where that corner sees no ground. ``probability_low`` and ``probability_high``
    are what the trials behind the probability allow for. ``sources`` says for each input value
    ("time", "focal_mm", "pixel_pitch_um", "camera_body", "nadir") where it came from
    ("exif", "record", "option", "filename", "table", "assumed"). ``proofs`` are of a photo on
    streets or a day map, the coarse scale first.
    """

    frame: str
    path: str
    sha256: str
    verdict: Verdict
    probability: float | None
    reasons: tuple[Reason, ...]
    probability_low: float | None = None
    probability_high: float | None = None
    width_px: int | None = None
    height_px: int | None = None
    orientation: int = 1
    category: str | None = None
    category_probability: float | None = None
    time_utc: str | None = None
    camera_body: str | None = None
    focal_mm: float | None = None
    pixel_pitch_um: float | None = None
    sources: tuple[tuple[str, str], ...] = ()
    nadir: NadirInput | None = None
    solved: SolvedCamera | None = None
    control_points: tuple[ControlPoint, ...] = ()
    footprint: tuple[tuple[float, float] | None, ...] | None = None
    footprint_diagonal_km: float | None = None
    fit: Fit | None = None
    reference: MatchedMap | None = None
    proofs: tuple[PatchProof, ...] = ()
    hypotheses: tuple[Hypothesis, ...] = ()
    detections: DetectedLights | None = field(default=None, compare=False, repr=False)
    lights: str = ""
    engine_version: str = ""
    seconds: float = 0.0
    # Name and country of what the proposal shows, as in a store; None if it is not from one
    shows: tuple[str, str] | None = field(default=None, compare=False, repr=False)

    @property
    def category_from(self) -> str | None:
        """What the category follows from: features, nadir, stars, lights or ground."""
        return dict(self.sources).get("category", "").split(" ")[0] or None

    @property
    def reference_kind(self) -> KindName:
        """Kind of map that the photo is registered on: "lights", "streets" or "day"."""
        return "lights" if self.reference is None else self.reference.kind

    @property
    def is_timed(self) -> bool:
        """Whether a time and a nadir were given, from which a camera is offset along its orbit."""
        is_given = self.nadir is not None and self.nadir.source in ("tle", "option", "record")
        return is_given and self.time_utc is not None

    def replaces(self, probability: float) -> bool:
        """Whether it replaces an earlier result of this probability (0 if there is no other)."""
        if self.verdict == "accepted":
            return True
        return self.verdict == "review" and (self.probability or 0.0) > probability


# Of a person: "glanced" at on a sheet of many, weaker than "accepted", for which a person had the
# photo alone in view
Choice = Literal["accepted", "glanced", "rejected", "unsure"]


@dataclass(frozen=True, kw_only=True)
class Reviewed:
    """The decision that counts for a frame: the latest of all reviewers.

    A glance counts only where there is no other decision, and as long as the engine's proposal is
    the one that was seen.
    """

    frame_index: int
    decision: Choice
    reviewer: str
    time_utc: str  # time of the decision, ISO 8601
    # The accepted camera, with its control points that are not switched off
    camera: Camera | None
    points: tuple[ReviewedPoint, ...]
    comment: str
    tags: tuple[str, ...]
    quality: int | None  # 0 (useless) to 5 (excellent)
    # Name, country, lon, lat and population of the place that the person named
    place: dict[str, Any] | None
    disputed: bool  # whether the latest decisions of two people differ
    stale: bool  # whether the engine has a different proposal now
    independent: bool  # see `regengine.store.reviews.is_independent`
    size_px: tuple[int, int]  # of the photo
    problem: str = ""  # what impossible values were left out, see `regengine.store.reviews`


def decide_state(verdict: str, review: Reviewed | None) -> str:
    """The one state of a frame: the engine's verdict until somebody decides; a glance leaves it.

    Then it is ``accepted`` or ``rejected``; what a person could not say of is no more than
    ``review``.
    """
    if review is None or review.decision == "glanced":
        return verdict
    if review.decision == "unsure" and verdict != "accepted":
        return verdict
    return "review" if review.decision == "unsure" else review.decision


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was said of one photo; pickles."""

    line: str  # its record, a JSON object in one line
    text: str = ""  # for tables that people read: none, one or several lines, without the last end
    kept: Any = None  # what the command needs of it besides
