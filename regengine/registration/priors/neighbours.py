"""What frames of one camera share, from those that are accepted to those that are not yet."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np

from detectors.constants import DAY_S
from matchers.camera import Camera
from regengine.photo.frame import Frame
from regengine.registration.priors.lens import USUAL_FOCAL_MM
from regengine.result import FrameResult

# A camera's clock, and an element set's error along the track, are the same minutes apart
NEAR_S = 600.0
# and mostly over a day, which two frames must show by agreeing. EXIF counts whole seconds, and an
# element set of a day before is wrong by 13 km or 1.7 s in one frame of ten
HALF_DAY_S = 0.5 * DAY_S
AGREE_S = 5.0
LEAST_SPREAD_S = 2.0
# Zooms and focusing change the focal length by 2-3 %
AGREE_LOG_FOCAL = 0.03
# Two minutes are 900 km, a third of what is seen to the horizon
NEIGHBOUR_S = 120.0
MOST_NEIGHBOURS = 2
# An axis off the middle by this share of the long side makes a picture a crop
CROPPED_SHARE = 0.01
# A search without hints starts at offset 0 with the nominal lens: what is nearer to that is known
WORTH_OFFSET_S = 3.0
# How results made after a hint tell of it among their sources
SOURCE = "hint"
SEARCHED_AGAIN = "searched again"


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """The solved camera of a frame that was taken moments before or after, with the same lens.

    camera: Solved, for an image of the same size.
    """

    frame: str
    camera: Camera


@dataclass(frozen=True, kw_only=True)
class NeighbourPrior:
    """What accepted frames of the same camera body tell of a frame.

    frames: Frame ids of those that tell it.
    offset_s: Their common offset along the track, as in `regengine.result.SolvedCamera`.
    spread_s: How far they are from each other in it.
    focal_ratio: Their focal length over the nominal one.
    mirrored, cropped: Whether their pictures are mirrored, or have the lens' axis off their middle.
    neighbours: Those taken so shortly before or after that the camera may not have been turned.
    beat: Set where the frame was searched before without hints: the probability that it has. Where
        the hints lead nowhere, the rest need not be searched again.
    """

    frames: tuple[str, ...]
    offset_s: float
    spread_s: float
    focal_ratio: float = 1.0
    mirrored: bool = False
    cropped: bool = False
    neighbours: tuple[Neighbour, ...] = ()
    beat: float | None = None

    @property
    def source(self) -> str:
        """What the record says of them."""
        again = "" if self.beat is None else f"{SEARCHED_AGAIN} "
        near = " and ".join(neighbour.frame for neighbour in self.neighbours)
        shared = f"clock and lens of {', '.join(self.frames)}"
        camera = f", neighbour {near}" if near else ""
        return f"{again}with {shared}{camera}"

    @property
    def sha256(self) -> str:
        """Hash of all that is told, hexadecimal: equal where it is the same."""
        told = asdict(self)
        del told["beat"]  # of the frame itself, not of what others tell
        text = json.dumps(told, sort_keys=True, default=_plain)
        return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """A NumPy number as Python's."""
    return value.item()


@dataclass(frozen=True, kw_only=True)
class FrameFacts:
    """What decides which frames share something.

    camera_body: Camera model; one day's frames of it are taken to be of one camera.
    time_utc: By its clock.
    focal_mm: Nominal focal length.
    size_px: Width and height of the file.
    """

    frame: str
    camera_body: str
    time_utc: datetime
    focal_mm: float | None
    size_px: tuple[int, int]

    def same_lens(self, other: FrameFacts) -> bool:
        """Whether the focal length in pixels should be the same."""
        return self.focal_mm == other.focal_mm and sorted(self.size_px) == sorted(other.size_px)

    def seconds_after(self, other: FrameFacts) -> float:
        """How much later than another frame this one was taken, by the clock."""
        return (self.time_utc - other.time_utc).total_seconds()


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What one accepted frame teaches: its solved camera, offset and lens."""

    facts: FrameFacts
    camera: Camera
    offset_s: float
    focal_ratio: float


def facts_of_frame(frame: Frame) -> FrameFacts | None:
    """Facts of a photo; None without a time or a camera body."""
    if frame.time_utc is None or frame.camera_body is None:
        return None
    return FrameFacts(
        frame=frame.frame_id,
        camera_body=frame.camera_body,
        time_utc=frame.time_utc,
        focal_mm=frame.focal_mm,
        size_px=(frame.width_px, frame.height_px),
    )


def facts_of_result(result: FrameResult) -> FrameFacts | None:
    """The same from a stored result."""
    if result.time_utc is None or result.camera_body is None:
        return None
    if result.width_px is None or result.height_px is None:
        return None
    return FrameFacts(
        frame=result.frame,
        camera_body=result.camera_body,
        time_utc=datetime.fromisoformat(result.time_utc),
        focal_mm=result.focal_mm,
        size_px=(result.width_px, result.height_px),
    )


def lesson_of(result: FrameResult) -> Lesson | None:
    """What an accepted result teaches; None for others, and for frames not placed by an orbit."""
    facts = facts_of_result(result)
    if facts is None or result.verdict != "accepted" or result.solved is None:
        return None
    if result.nadir is None or result.nadir.source != "tle" or result.pixel_pitch_um is None:
        return None
    camera = result.solved.camera
    nominal_px = 1e3 * (result.focal_mm or USUAL_FOCAL_MM) / result.pixel_pitch_um
    return Lesson(
        facts=facts,
        camera=camera,
        offset_s=result.solved.along_track_offset_s,
        focal_ratio=camera.focal_px / nominal_px,
    )


def neighbour_prior(
    facts: FrameFacts, lessons: Sequence[Lesson], beat: float | None = None
) -> NeighbourPrior | None:
    """What accepted frames tell of another one; for `beat` see `NeighbourPrior`.

    Lessons come in any order; another copy of the frame may be among them, itself not. None where
    no frame of the body is near, or those within a day do not agree.
    """
    known = [
        lesson
        for lesson in lessons
        if lesson.facts.camera_body == facts.camera_body
        and abs(facts.seconds_after(lesson.facts)) <= HALF_DAY_S
    ]
    known.sort(key=lambda k: (abs(facts.seconds_after(k.facts)), k.facts.frame))
    near = [k for k in known if abs(facts.seconds_after(k.facts)) <= NEAR_S]
    pool = near or known
    group = [pool[k] for k in agreeing([p.offset_s for p in pool], AGREE_S)]
    if not near and (len(group) < 2 or 2 * len(group) < len(pool)):
        return None
    offsets = [g.offset_s for g in group]
    same_lens = [g for g in group if facts.same_lens(g.facts)]
    lenses = [same_lens[k] for k in agreeing([_log_ratio(g) for g in same_lens], AGREE_LOG_FOCAL)]
    neighbours = [
        Neighbour(frame=g.facts.frame, camera=g.camera)
        for g in lenses
        if g.facts.size_px == facts.size_px and abs(facts.seconds_after(g.facts)) <= NEIGHBOUR_S
    ]
    return NeighbourPrior(
        frames=tuple(g.facts.frame for g in group),
        offset_s=float(np.median(offsets)),
        spread_s=max(LEAST_SPREAD_S, float(np.std(offsets))),
        focal_ratio=math.exp(float(np.median([_log_ratio(g) for g in lenses]))) if lenses else 1.0,
        mirrored=_mostly([g.camera.mirrored for g in lenses]),
        cropped=_mostly([_off_middle(g.camera) for g in lenses]),
        neighbours=tuple(neighbours[:MOST_NEIGHBOURS]),
        beat=beat,
    )


def agreeing(values: Sequence[float], width: float) -> list[int]:
    """Indices, ascending, of the most values that lie within a width of each other.

    The weightiest value comes first; of equally many, those with the weightiest are taken.
    """
    groups = [[k for k, v in enumerate(values) if low <= v <= low + width] for low in values]
    return max(groups, key=lambda group: (len(group), -group[0]), default=[])


def worth_trying(hints: NeighbourPrior) -> bool:
    """Whether hints lead elsewhere than where a search without them begins."""
    return (
        bool(hints.neighbours)
        or hints.mirrored
        or abs(hints.offset_s) >= WORTH_OFFSET_S
        or abs(math.log(hints.focal_ratio)) >= AGREE_LOG_FOCAL
    )


def _log_ratio(lesson: Lesson) -> float:
    return math.log(lesson.focal_ratio)


def _mostly(flags: Sequence[bool]) -> bool:
    return 2 * sum(flags) > len(flags)


def _off_middle(camera: Camera) -> bool:
    x, y = camera.principal_point
    off = math.hypot(x - (camera.width_px - 1) / 2.0, y - (camera.height_px - 1) / 2.0)
    return off > CROPPED_SHARE * max(camera.width_px, camera.height_px)
