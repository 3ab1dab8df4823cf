"""Imported points as a person's decision, beside the store."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from regengine.errors import ConfigError
from regengine.importing.point_file import PhotoPoints
from regengine.result import FrameResult
from regengine.review.bodies import DraftBody
from regengine.review.decision_records import Judged, Work
from regengine.review.decisions import Decisions
from regengine.review.proposal_state import state_of
from regengine.review.reviewed import ReviewedPoint
from regengine.review.solving import solve
from regengine.store.rows import StoredFrame


def imported_work(result: FrameResult, imported: PhotoPoints) -> Work:
    """A person's work on a frame: the points, and the camera that they make of the engine's.

    Parameters
    ----------
    result : FrameResult
        What the engine said; without its camera there is none.
    imported : PhotoPoints
        The points.

    Returns
    -------
    dict

    Raises
    ------
    ConfigError
        If points lie nowhere near a photo, or there are too many.
    """
    points = [
        ReviewedPoint(
            x=point.x,
            y=point.y,
            lon=point.lon,
            lat=point.lat,
            sigma_px=point.sigma_px,
            origin="person",
        )
        for point in imported.points
    ]
    camera = None
    if result.solved is not None:
        camera = _camera(result, points)
    try:
        return DraftBody.model_validate(
            {
                "camera": camera,
                "points": [vars(point) for point in points],
                "hypothesis": None,
                "comment": f"imported from {imported.file.name}",
                "tags": ["imported"],
                "quality": None,
                "place": None,
            }
        ).work()
    except ValidationError as error:
        raise ConfigError(
            f"{imported.file}: its points cannot be those of a photo "
            f"({error.errors()[0]['msg']}): check its columns and units."
        ) from error


def keep(
    decisions: Decisions, stored: StoredFrame, imported: PhotoPoints, work: Work, reviewer: str
) -> None:
    """Save a decision that accepts the frame with this work.

    Raises
    ------
    StoreError
        If it cannot be saved.
    """
    sha256, proposal = state_of(stored.result)
    judged = Judged(
        frame_index=stored.frame_index,
        sha256=sha256,
        verdict=stored.result.verdict,
        probability=stored.result.probability,
        proposal_sha256=proposal,
    )
    heads = decisions.heads(stored.frame_index, sha256)
    own = [head.revision for head in heads if head.reviewer == reviewer]
    decisions.save(judged, reviewer, "accepted", work, base=own[0] if own else 0)


def photo_of_points(path: Path, imported: list[PhotoPoints]) -> PhotoPoints:
    """The points of a file that has those of one photo."""
    if len(imported) != 1:
        raise ConfigError(f"{path} holds points of {len(imported)} photos: leave --frame out.")
    return imported[0]


def _camera(result: FrameResult, points: list[ReviewedPoint]) -> dict[str, object] | None:
    from dataclasses import asdict

    assert result.solved is not None
    try:
        return asdict(solve(result.solved.camera, points).fit.camera)
    except ConfigError:  # no camera fits: the points are theirs all the same
        return None
