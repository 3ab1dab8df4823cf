"""The search where other frames have hinted: their camera carried along, and looks at their offset.

A hint changes what is tried first, not how it is proven. The first look is the one that the search
begins with where clock and lens are right, with as many rivals; a neighbour's camera joins only
where that look alone proves nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from detectors.limb import Limb
from matchers.camera import Camera
from matchers.pose import track_axes, with_attitude
from regengine.registration.acceptance import REVIEW_PROBABILITY, probability
from regengine.registration.candidates import Candidate, Look, merged
from regengine.registration.map_window import HasWindows, SearchWindow
from regengine.registration.preparation import SIGMA_LOG_FOCAL, SIGMA_LOG_FOCAL_CROPPED
from regengine.registration.propose_dense import PhotoLights, aligned_candidates
from regengine.registration.propose_limb import BAND_KM, STEP_KM, Sweep
from regengine.registration.search import SearchState, prove_best, search_one, search_sweep
from regengine.registration.search_order import FAR_OFF_NADIR_DEG, look_at, offset_surprise
from regengine.registration.tracks import Track

if TYPE_CHECKING:
    from regengine.result import FrameResult

# What other frames of a batch tell of one: where its search looks first, never what is true.

FloatArray = NDArray[np.float64]

# How results made after a hint tell of it among their sources
SOURCE = "hint"
SEARCHED_AGAIN = "searched again"


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """The solved camera of a frame that was taken moments before or after, with the same lens.

    Attributes
    ----------
    frame : str
        Its frame id.
    camera : Camera
        Solved, for an image of the same size.
    """

    frame: str
    camera: Camera


@dataclass(frozen=True, kw_only=True)
class Hints:
    """What accepted frames of the same camera body tell of a frame.

    Attributes
    ----------
    frames : tuple of str
        Frame ids of those that tell it.
    offset_s : float
        Their common offset along the track, as in `regengine.result.SolvedCamera`.
    spread_s : float
        How far they are from each other in it.
    focal_ratio : float
        Their focal length over the nominal one.
    mirrored, cropped : bool
        Whether their pictures are mirrored, or have the lens' axis off their middle.
    neighbours : tuple of Neighbour
        Those taken so shortly before or after that the camera may not have been turned.
    beat : float or None
        Set where the frame was searched before without hints: the probability that it has.
        Where the hints lead nowhere, the rest need not be searched again.
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


def carried(neighbour: Neighbour, track: Track, offset_km: float) -> Camera:
    """A neighbour's camera carried along the orbit to where this frame was taken.

    It keeps its attitude to the vertical and the direction of flight, as a camera does that is
    fixed to a window of a station that turns with its orbit.
    """
    position, velocity = track.position(offset_km), track.velocity(offset_km)
    here = track_axes(position, velocity)
    # The neighbour flew in the same plane: its level part of this velocity points along its flight
    there = track_axes(neighbour.camera.position_ecef_m, velocity)
    x, y, z = position.tolist()
    moved = replace(neighbour.camera, position_ecef_m=(x, y, z))
    return with_attitude(moved, here.T @ there @ neighbour.camera.matrix)


def following(neighbour: Neighbour, moved: Camera) -> Camera | None:
    """The carried camera turned back to the place that the neighbour looks at.

    So turns a camera that is held in the hand and follows a city.
    """
    from scipy.spatial.transform import Rotation

    target = neighbour.camera.pixel_to_ecef(*neighbour.camera.principal_point)
    if not np.isfinite(target).all():
        return None
    towards = target - np.asarray(moved.position_ecef_m)
    towards /= np.linalg.norm(towards)
    axis = np.cross(moved.boresight_ecef, towards)
    sine = float(np.linalg.norm(axis))
    if sine < 1e-9:
        return moved
    angle = float(np.arctan2(sine, moved.boresight_ecef @ towards))
    turn = Rotation.from_rotvec(axis / sine * angle).as_matrix()
    return with_attitude(moved, turn @ moved.matrix)


def replaces(new: FrameResult, beat: float) -> bool:
    """Whether the result of a second search takes the place of the first.

    Parameters
    ----------
    new : FrameResult
        Of the second search.
    beat : float
        Probability of the first one's proposal, 0 without one.

    Returns
    -------
    bool
    """
    if new.verdict == "accepted":
        return True
    return new.verdict == "review" and (new.probability or 0.0) > beat


@dataclass(frozen=True, kw_only=True)
class Hinted:
    """The place on a track that hints lead to."""

    hints: Hints
    track: Track
    offset_km: float


def hinted_place(hints: Hints, tracks: Sequence[Track]) -> Hinted | None:
    """Where on the tracks hints lead; None beyond their reach: such a clock is not believed."""
    places = [((hints.offset_s - t.clock_s) * t.speed_km_s, t) for t in tracks]
    offset_km, track = min(places, key=lambda p: float(offset_surprise(p[0], p[1], STEP_KM)))
    if abs(offset_km) > track.reach_km:
        return None
    return Hinted(hints=hints, track=track, offset_km=offset_km)


def search_hinted(
    hinted: Hinted,
    limb: Limb | None,
    lights: PhotoLights,
    stored: Camera,
    window: SearchWindow,
    light_map: HasWindows,
    state: SearchState,
    expired: Callable[[], bool],
) -> None:
    """Search as if clock and lens had been right, then with the neighbours' cameras."""
    looks = hinted_looks(hinted, stored)
    if limb is not None:
        lens = replace(stored, focal_px=limb.focal_px / lights.sharp.factor)
        sweep = hinted_sweep(hinted, stored.focal_px / lens.focal_px)
        search_sweep(sweep, limb, lights, lens, window, light_map, state, expired)
    else:
        search_one(looks.pop(0), lights, stored, window, light_map, state)
    if state.proven or expired():
        return
    found = take_neighbours(hinted, lights, stored, window, state)
    state.candidates = merged(state.candidates, found)
    for look in looks:
        if state.proven or expired():
            return
        search_one(look, lights, stored, window, light_map, state)
    if state.candidates and not state.proven:
        prove_best(lights, stored, light_map, state)


def promising(state: SearchState) -> bool:
    """Whether what was proven so far is more than chance."""
    return state.best is not None and probability(state.best.evidence) >= REVIEW_PROBABILITY


def hinted_sweep(hinted: Hinted, nominal_scale: float) -> Sweep:
    """A sweep of the usual length around the hinted place."""
    steps = int(BAND_KM / STEP_KM)
    hints = hinted.hints
    return Sweep(
        track=hinted.track,
        offsets_km=tuple(hinted.offset_km + STEP_KM * k for k in range(-steps, steps + 1)),
        scale=hints.focal_ratio * nominal_scale,
        sigma_log_focal=SIGMA_LOG_FOCAL_CROPPED if hints.cropped else SIGMA_LOG_FOCAL,
        mirrored=hints.mirrored,
        hazy=False,
    )


def hinted_looks(hinted: Hinted, stored: Camera) -> list[Look]:
    """Looks at the hinted place: figures of towns, then pictures, near and far."""
    sparse = replace(hinted_look(hinted, stored), sparse=True)
    near = replace(sparse, sparse=False, off_nadir_deg=(0.0, FAR_OFF_NADIR_DEG))
    far = replace(sparse, sparse=False, off_nadir_deg=(FAR_OFF_NADIR_DEG, 90.0))
    neighbours = hinted.hints.neighbours
    if neighbours and neighbours[0].camera.off_nadir_deg > FAR_OFF_NADIR_DEG:
        near, far = far, near
    return [sparse, near, far]


def hinted_look(hinted: Hinted, stored: Camera) -> Look:
    """A look at the hinted place with the hinted lens, and beliefs as narrow as the hints are."""
    hints, track = hinted.hints, hinted.track
    look = look_at(
        track,
        hinted.offset_km,
        hints.spread_s * track.speed_km_s,
        stored,
        ratio=hints.focal_ratio,
        sigma_log_focal=SIGMA_LOG_FOCAL,
        cropped=hints.cropped,
    )
    return replace(look, mirrored=hints.mirrored)


def take_neighbours(
    hinted: Hinted,
    lights: PhotoLights,
    stored: Camera,
    window: SearchWindow,
    state: SearchState,
) -> list[Candidate]:
    """Align the neighbours' cameras, carried along the orbit, on this photo."""
    cameras = []
    for neighbour in hinted.hints.neighbours:
        moved = carried(neighbour, hinted.track, hinted.offset_km)
        cameras += [c for c in (moved, following(neighbour, moved)) if c is not None]
    found: list[Candidate] = []
    if not cameras:
        return found
    hinted_once = hinted_look(hinted, stored)
    for hazy in (False,) if hinted_once.flat else (False, True):
        look = replace(hinted_once, hazy=hazy)
        dense = window.parameters_for(stored, look)
        levels = window.levels(stored, look, dense)
        state.looks += 1
        if levels is None:
            continue
        state.covered = True
        light = lights.of(look.hazy, look.flat)
        coarse = light.resized(dense.template_px, detail_px=dense.detail_px)
        if look.mirrored:
            # The alignment itself knows no mirrors: it sees the picture as it would have been
            coarse = coarse.flipped()
        starts = [replace(coarse.camera(camera), mirrored=False) for camera in cameras]
        looks = [look] * len(starts)
        new = aligned_candidates(levels, coarse, starts, stored, looks, dense)
        found = merged(found, new)
    return found
