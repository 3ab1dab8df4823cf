"""Photos as the report's page shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from regengine.overlay import overlay_path
from regengine.page.links import link_to
from regengine.plain_json import rounded
from regengine.report.places import outline_of, place_of
from regengine.result import FrameResult

LONGEST_SENTENCE = 300


def frame_row(result: FrameResult, page_folder: Path, overlays: Path | None) -> dict[str, Any]:
    """One photo's row.

    Parameters
    ----------
    result : FrameResult
        What is said of it.
    page_folder : Path
        Where the page will lie, for its links.
    overlays : Path or None
        Folder of `regengine register --overlay`.

    Returns
    -------
    dict
        Plain values; text as the store has it.
    """
    fit, solved = result.fit, result.solved
    place = place_of(result)
    drawn = None if overlays is None else overlay_of(result, overlays)
    return {
        "frame": result.frame,
        "path": result.path,
        "href": link_to(result.path, page_folder),
        "overlay": None if drawn is None else link_to(drawn, page_folder),
        "verdict": result.verdict,
        "probability": result.probability,
        "reasons": [reason.code for reason in result.reasons],
        "why": " ".join(reason.text for reason in result.reasons)[:LONGEST_SENTENCE],
        "category": result.category,
        "camera_body": result.camera_body,
        "focal_mm": result.focal_mm,
        "time_utc": result.time_utc,
        "sigma_m": rounded(max((p.sigma_m for p in result.control_points), default=None), 1),
        "residual_m": None if fit is None else rounded(fit.residual_m, 1),
        "margin": None if fit is None else rounded(fit.margin, 3),
        "lights": None if fit is None else fit.matched_lights,
        "off_nadir_deg": None if solved is None else rounded(solved.off_nadir_deg, 1),
        "offset_s": None if solved is None else rounded(solved.along_track_offset_s, 1),
        "seconds": rounded(result.seconds, 2),
        "place": None if place is None else [round(degrees, 2) for degrees in place],
        "outline": outline_of(result),
        "thumbnail": None,
    }


def overlay_of(result: FrameResult, overlays: Path) -> Path | None:
    """The overlay of a photo, if there is one; that with the photo's hash in its name first."""
    found = [overlay_path(result, overlays, hashed=hashed) for hashed in (True, False)]
    return next((path for path in found if path.is_file()), None)
