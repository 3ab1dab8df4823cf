"""What other frames of a batch tell of one: where its search looks first, never what is true."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matchers.attitude import with_attitude
from matchers.camera import Camera
from matchers.pose import track_axes
from regengine.track import Track

if TYPE_CHECKING:
    from regengine.result import FrameResult

FloatArray = NDArray[np.float64]

# How results made after a hint tell of it among their sources
SOURCE = "hint"
AGAIN = "searched again"


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
        again = "" if self.beat is None else f"{AGAIN} "
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

    Parameters
    ----------
    neighbour : Neighbour
        The solved frame.
    track : Track
        Of this frame.
    offset_km : float
        Where on it the camera is taken to be.

    Returns
    -------
    Camera
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

    Parameters
    ----------
    neighbour : Neighbour
        The solved frame.
    moved : Camera
        Of `carried`.

    Returns
    -------
    Camera or None
        None where the neighbour looks at the sky.
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
