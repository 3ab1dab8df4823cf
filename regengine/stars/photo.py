"""The stars of one photo, detected and identified; its record."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.star_types import StarDetections, StarDetector
from matchers.lens import Lens
from matchers.star_search import StarIndices
from regengine.frame import Frame, FrameOptions, read_frame
from regengine.photo_stars import detect_photo_stars
from regengine.stars.bodies import BodyInFrame, bodies_in_frame
from regengine.stars.catalogue import StarCatalogue, load_catalogue
from regengine.stars.solution import NotSolved, StarSolution
from regengine.stars.solve import SolveOptions, solve_stars

FAINTEST_G = 10.0  # where the catalogue's file ends: 5 degree fields need its stars
EXIF_LOG_FOCAL_SIGMA = 0.05  # zooms and focusing: 2-3 % on originals; crops are tried as all lenses


@dataclass(frozen=True, kw_only=True, eq=False)
class SolvedPhoto:
    """What became of one photo.

    Attributes
    ----------
    frame : Frame
    stars : StarDetections
        In pixels of the picture as stored.
    outcome : StarSolution or NotSolved
    seconds : float
        Wall time of detection and search.
    position_ecef_m : ndarray of float64, shape (3,), or None
        Where the camera was, if it is known: the Moon's place depends on it.
    """

    frame: Frame
    stars: StarDetections
    outcome: StarSolution | NotSolved
    seconds: float
    position_ecef_m: NDArray[np.float64] | None = None

    @property
    def bodies(self) -> tuple[BodyInFrame, ...] | None:
        """The Moon and the planets in a solved frame; None if unsolved or without a time."""
        outcome, time_utc = self.outcome, self.frame.time_utc
        if not isinstance(outcome, StarSolution) or time_utc is None:
            return None
        faintest = float(outcome.magnitude_g.max())
        return bodies_in_frame(outcome.camera, time_utc, self.position_ecef_m, faintest)


@cache
def sky() -> tuple[StarCatalogue, StarIndices]:
    """The catalogue and its figures, read once a process.

    Raises
    ------
    CatalogueError
        If the catalogue is missing or damaged.
    """
    catalogue = load_catalogue(faintest_g=FAINTEST_G)
    return catalogue, StarIndices(vectors=catalogue.vectors)


def solve_photo(
    path: Path,
    *,
    detector: StarDetector | None = None,
    frame_options: FrameOptions | None = None,
    options: SolveOptions | None = None,
    lens: Lens | None = None,
) -> SolvedPhoto:
    """Detect the stars of a photo and identify them.

    Parameters
    ----------
    path : Path
        JPEG, PNG, TIFF, FITS or raw file.
    detector : StarDetector, optional
        The method; the best one if not given.
    frame_options : FrameOptions, optional
        A focal length that is known better than by EXIF.
    options : SolveOptions, optional
        How to search; without a focal length in it, that of the frame is the first to be tried.
    lens : Lens, optional
        A calibrated lens of this picture's size; without it that of the frame's profile, if any.

    Returns
    -------
    SolvedPhoto

    Raises
    ------
    FrameError
        If the file is no readable image.
    CatalogueError
        If the catalogue is missing or damaged.
    """
    catalogue, indices = sky()
    started = time.perf_counter()
    frame = read_frame(path, options=frame_options or FrameOptions())
    stars = detect_photo_stars(path, detector).found
    options = options or SolveOptions()
    if lens is None and frame.profile is not None:
        lens = frame.profile.for_picture(frame.width_px, frame.height_px)
    if lens is not None:
        options = replace(
            options,
            focal_px=lens.focal_px,
            distortion=lens.distortion,
            principal_point=lens.principal_point,
            log_focal_sigma=EXIF_LOG_FOCAL_SIGMA,
        )
    elif options.focal_px is None and frame.focal_px is not None:
        options = replace(options, focal_px=frame.focal_px, log_focal_sigma=EXIF_LOG_FOCAL_SIGMA)
    outcome = solve_stars(stars, frame.width_px, frame.height_px, catalogue, indices, options)
    return SolvedPhoto(
        frame=frame, stars=stars, outcome=outcome, seconds=time.perf_counter() - started
    )


def record_of(solved: SolvedPhoto, *, matches: bool = False) -> dict[str, Any]:
    """The record of a photo, plain values.

    Parameters
    ----------
    solved : SolvedPhoto
    matches : bool, optional
        Whether each identified star is listed.

    Returns
    -------
    dict
    """
    head = {"frame": solved.frame.frame_id, "path": str(solved.frame.path)}
    outcome = solved.outcome
    if not isinstance(outcome, StarSolution):
        return {
            **head,
            "solved": False,
            "reason": outcome.code,
            "text": outcome.text,
            "stars": len(solved.stars),
            "seconds": round(solved.seconds, 3),
        }
    camera = outcome.camera
    ra, dec = camera.ra_dec_deg
    bodies = solved.bodies
    record: dict[str, Any] = {
        **head,
        "solved": True,
        "ra_deg": round(ra, 6),
        "dec_deg": round(dec, 6),
        "roll_deg": round(camera.roll_deg, 5),
        "fov_x_deg": round(camera.fov_x_deg, 6),
        "log10_odds": round(outcome.log10_odds, 2),
        "matched_stars": len(outcome),
        "quaternion_icrs": [round(value, 10) for value in camera.quaternion_icrs],
        "distortion": [float(f"{value:.6g}") for value in camera.distortion],
        "catalogue_epoch": outcome.catalogue_epoch,
        "focal_px": round(camera.focal_px, 4),
        "principal_point": [round(value, 3) for value in camera.principal_point],
        "mirrored": camera.mirrored,
        "width_px": camera.width_px,
        "height_px": camera.height_px,
        "rms_px": round(outcome.rms_px, 4),
        "faintest_g": round(float(outcome.magnitude_g.max()), 2),
        "bodies": None if bodies is None else [one.record() for one in bodies],
        "stars": len(solved.stars),
        "seconds": round(solved.seconds, 3),
    }
    if matches:
        record["matches"] = _matches(outcome)
    return record


def _matches(outcome: StarSolution) -> list[dict[str, Any]]:
    """Each identified star: where it was seen, which it is, and by how far it is off."""
    catalogue, _ = sky()
    listed = []
    for i in range(len(outcome)):
        x, y, z = outcome.vectors_icrs[i]
        listed.append(
            {
                "x": round(float(outcome.x[i]), 3),
                "y": round(float(outcome.y[i]), 3),
                "ra_deg": round(math.degrees(math.atan2(y, x)) % 360.0, 6),
                "dec_deg": round(math.degrees(math.asin(z)), 6),
                "g": round(float(outcome.magnitude_g[i]), 3),
                "id": int(catalogue.identifier[outcome.star[i]]),
                "dx_px": round(float(outcome.residual_px[i, 0]), 3),
                "dy_px": round(float(outcome.residual_px[i, 1]), 3),
            }
        )
    return listed


def json_line(solved: SolvedPhoto, *, matches: bool = False) -> str:
    """One photo's record as a line of NDJSON."""
    return json.dumps(record_of(solved, matches=matches))


def text_line(solved: SolvedPhoto) -> str:
    """One photo's outcome for people."""
    outcome = solved.outcome
    if not isinstance(outcome, StarSolution):
        return f"{solved.frame.frame_id}: not solved ({outcome.code}): {outcome.text}"
    camera = outcome.camera
    ra, dec = camera.ra_dec_deg
    return (
        f"{solved.frame.frame_id}: RA {ra:.4f} Dec {dec:+.4f} roll {camera.roll_deg:.2f} "
        f"field {camera.fov_x_deg:.3f} deg, {len(outcome)} stars, rms {outcome.rms_px:.2f} px, "
        f"log10 odds {outcome.log10_odds:.1f}"
    )
