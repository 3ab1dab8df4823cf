"""A frame as it is handed over: the proposal, or what a person made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from matchers.camera import Camera
from regengine.export.footprint import Ring
from regengine.export.ground_block import FrameTowns, GroundBlock
from regengine.export.scene_view import SceneView
from regengine.export.stance import LonLat, Stance
from regengine.result import FrameResult
from regengine.review.reviewed import Reviewed
from regengine.store.rows import StoredFrame


@dataclass(frozen=True, kw_only=True)
class ExportPoint:
    """A control point, and who made it.

    Attributes
    ----------
    x, y : float
        Pixels of the image as stored, zero-based, integers at pixel centres.
    lon, lat : float
        WGS84, degrees.
    sigma_px, sigma_m : float or None
        One sigma per axis in the image and on the ground; None where nobody knows.
    covariance_px, covariance_m : tuple of float or None
        (xx, xy, yy) in square pixels, (ee, en, nn) in square metres.
    lights : int or None
        Lights that support it.
    origin : str
        ``engine``, or how a person made it: ``person``, ``snap``, ``search``.
    """

    x: float
    y: float
    lon: float
    lat: float
    sigma_px: float | None = None
    sigma_m: float | None = None
    covariance_px: tuple[float, float, float] | None = None
    covariance_m: tuple[float, float, float] | None = None
    lights: int | None = None
    origin: str = "engine"


@dataclass(frozen=True, kw_only=True)
class ExportFrame:
    """A frame that is handed over.

    Attributes
    ----------
    stored : StoredFrame
        As the store has it.
    store : Path
        The store, beside which photos are looked for.
    verdict : str
        The engine's; ``accepted`` where a person accepted.
    camera : Camera or None
        The camera that counts; None without a proposal.
    points : tuple of ExportPoint
        The control points that count.
    review : Reviewed or None
        What a person decided, if anybody did.
    """

    stored: StoredFrame
    store: Path
    verdict: str
    camera: Camera | None
    points: tuple[ExportPoint, ...]
    review: Reviewed | None = None

    @property
    def result(self) -> FrameResult:
        """What the engine said."""
        return self.stored.result

    @property
    def accepted_by_person(self) -> bool:
        """Whether camera and points are those that a person accepted."""
        return self.review is not None and self.review.decision == "accepted"

    @property
    def stance(self) -> Stance | None:
        """Where the camera is, and where it looks; see `regengine.export.stance`."""
        block, number = self._ground
        return block.stances[number]

    @property
    def view(self) -> SceneView | None:
        """How the photo looks at its scene; None for a camera that is none."""
        block, number = self._ground
        return block.views[number]

    @property
    def nadir(self) -> LonLat | None:
        """The place below the camera, or below the position that the search started from."""
        block, number = self._ground
        return block.nadirs[number]

    @property
    def footprint(self) -> list[Ring]:
        """The ground in sight as closed rings; see `regengine.export.footprint`."""
        block, number = self._ground
        return block.footprints[number]

    @property
    def towns(self) -> FrameTowns:
        """The cities near nadir, image centre and control points."""
        block, number = self._ground
        return block.towns[number]

    @cached_property
    def _ground(self) -> tuple[GroundBlock, int]:
        """Where it is worked out what follows from camera and points, and as which frame there."""
        return _block_of([self]), 0


def together(frames: Sequence[ExportFrame]) -> Sequence[ExportFrame]:
    """The same frames; what follows from camera and points is worked out for all at once."""
    block = _block_of(frames)
    for number, frame in enumerate(frames):
        vars(frame)["_ground"] = block, number
    return frames


def _block_of(frames: Sequence[ExportFrame]) -> GroundBlock:
    starts = [frame.result.nadir for frame in frames]
    return GroundBlock(
        cameras=tuple(frame.camera for frame in frames),
        starts=tuple(None if start is None else (start.lon, start.lat) for start in starts),
        points=tuple(tuple((point.lon, point.lat) for point in frame.points) for frame in frames),
    )


def engine_frame(stored: StoredFrame, store: Path) -> ExportFrame:
    """A frame as the engine left it."""
    result = stored.result
    return ExportFrame(
        stored=stored,
        store=store,
        verdict=result.verdict,
        camera=None if result.solved is None else result.solved.camera,
        points=tuple(
            ExportPoint(
                x=point.x,
                y=point.y,
                lon=point.lon,
                lat=point.lat,
                sigma_px=point.sigma_px,
                sigma_m=point.sigma_m,
                covariance_px=point.covariance_px,
                covariance_m=point.covariance_m,
                lights=point.lights,
            )
            for point in result.control_points
        ),
    )
