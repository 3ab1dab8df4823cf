"""What is said of one frame: the record behind the NDJSON line and the store's rows."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from matchers.geometry.camera import Camera

Verdict = Literal["accepted", "review", "no_match", "failed"]

# Classes of photos that a picture of the Earth by day places
BY_DAY = ("day", "infrared")
# Fewer control points, or such within a smaller part of the picture, place no photo
MIN_POINTS = 4
MIN_HULL = 0.01
_PROOF = re.compile(r"(\d+) of (\d+) held-out patches agree at ([\d.e+]+) m \(chance 1e-([\d.]+)\)")


@dataclass(frozen=True, kw_only=True)
class NadirInput:
    """Where the camera was thought to be before the lights were looked at."""

    lon: float
    lat: float
    altitude_km: float
    source: str  # "tle", "option", "record", "centre", "lights"
    tle_age_h: float | None = None  # from the epoch to the photo, either way; None without a TLE
    sigma_along_km: float
    sigma_cross_km: float


@dataclass(frozen=True, kw_only=True)
class ControlPoint:
    """A pixel and the place it shows, each axis with one sigma, and the full covariances.

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
    """A control point as a person left it.

    Pixel ``(x, y)``; longitude and latitude, degrees, WGS84; ``sigma_px`` is one sigma per axis,
    None where nobody knows it; ``origin`` is "engine", "person", "snap", "search", or "confirmed":
    the engine's, which a person confirmed as it was measured.
    """

    x: float
    y: float
    lon: float
    lat: float
    sigma_px: float | None
    origin: str


@dataclass(frozen=True, kw_only=True)
class SolvedCamera:
    """A camera together with how it sits on its orbit."""

    camera: Camera
    along_track_offset_s: float
    off_nadir_deg: float


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How well the lights agree with the solved camera."""

    ncc: float
    runner_up_ncc: float
    residual_px: float
    residual_m: float
    matched_lights: int
    held_out_residual_px: float | None  # None where too few lights could be left out
    log10_odds: float
    runner_up_log10_odds: float

    @property
    def margin(self) -> float:
        """Correlation of the best hypothesis minus that of the best distinct other one."""
        return self.ncc - self.runner_up_ncc


@dataclass(frozen=True, kw_only=True)
class PatchProof:
    """How patches that a fit to streets or ground by day did not see agree with it, at one scale.

    Attributes
    ----------
    n_agreeing, n_patches : int
        Patches that lie where the camera says, of those that were matched.
    sample_m : float
        Ground that a pixel shows at this scale, metres.
    log10_chance : float
        Of the probability that chance has so many agree; 0 or less.
    """

    n_agreeing: int
    n_patches: int
    sample_m: float
    log10_chance: float

    @property
    def text(self) -> str:
        """The proof as ``sources.proof`` of a record has it; `parse` reads it again."""
        return (
            f"{self.n_agreeing} of {self.n_patches} held-out patches agree at "
            f"{self.sample_m:.4g} m (chance 1e-{-self.log10_chance:.1f})"
        )

    @classmethod
    def parse(cls, text: str) -> tuple[PatchProof, ...]:
        """Proofs out of texts that are joined by semicolons; others are passed over."""
        return tuple(
            cls(
                n_agreeing=int(found[1]),
                n_patches=int(found[2]),
                sample_m=float(found[3]),
                log10_chance=-float(found[4]),
            )
            for found in map(_PROOF.fullmatch, text.split("; "))
            if found is not None
        )


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """One candidate solution that was looked at to the end (rank 0 is the proposal)."""

    rank: int
    solved: SolvedCamera
    ncc: float
    log10_odds: float
    centre_lon: float | None
    centre_lat: float | None


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why a photo has no result, or none that may be used: a short stable code and its sentence.

    The sentence is one line whatever name is in it.
    """

    code: str
    text: str

    def __post_init__(self) -> None:
        """Keep the sentence as the store has it."""
        object.__setattr__(self, "text", " ".join(self.text.split()))


@dataclass(frozen=True, kw_only=True, eq=False)
class DetectedLights:
    """Lights of the photo, pixels of the image as stored; arrays of equal length.

    ``contrast`` is logarithmic, against the surroundings; ``matched`` is 1 where the light agrees
    with the map under the proposal.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    contrast: NDArray[np.float64]
    matched: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class FrameResult:
    """Everything that is known of one processed frame.

    ``footprint`` holds four (lon, lat) pairs, top-left, top-right, bottom-right, bottom-left of
    the image; None where that corner sees no ground. ``probability_low`` and ``probability_high``
    are what the trials behind the probability allow for. ``sources`` says for each input value
    ("time", "focal_mm", "pixel_pitch_um", "camera_body", "nadir") where it came from
    ("exif", "record", "option", "filename", "table", "assumed").
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
    hypotheses: tuple[Hypothesis, ...] = ()
    detections: DetectedLights | None = field(default=None, compare=False, repr=False)
    lights: str = ""
    engine_version: str = ""
    seconds: float = 0.0

    @property
    def reference_kind(self) -> str:
        """What the photo was placed on: "lights", "streets" or "day"."""
        return dict(self.sources).get("reference", "lights").split(",")[0]

    @property
    def patch_proofs(self) -> tuple[PatchProof, ...]:
        """What placed a photo on streets or by day, the coarse scale first; empty by lights."""
        return PatchProof.parse(dict(self.sources).get("proof", ""))

    def replaces(self, probability: float) -> bool:
        """Whether it replaces a first result of this probability (0 for none)."""
        if self.verdict == "accepted":
            return True
        return self.verdict == "review" and (self.probability or 0.0) > probability


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was said of one photo; pickles."""

    line: str  # its record, a JSON object in one line
    text: str = ""  # for tables that people read: none, one or several lines, without the last end
    kept: Any = None  # what the command needs of it besides
