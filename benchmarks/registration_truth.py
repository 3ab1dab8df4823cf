"""What is known of the real photographs: reference cameras, named places, points."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.reference_cameras import (
    NamedPlace,
    ReferenceCamera,
    read_named_places,
    read_reference_cameras,
)
from matchers.camera import Camera
from regengine.evaluate.registration import CameraFit, GroundPoints, camera_above, fit_camera
from regengine.image_header import read_image_header

# Height at which the fit of a reference camera starts; the points correct it
TYPICAL_ALTITUDE_KM = 415.0


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What a registration is scored with; parts are None or empty where nobody knows.

    Attributes
    ----------
    camera : Camera or None
        The reference camera, which judges.
    reference : ReferenceCamera or None
        Its row of the table, which also says which photos count.
    places : tuple of NamedPlace
        Places recognised on the picture, independent of any map.
    points : GroundPoints or None
        Older reference points.
    points_camera : Camera or None
        The camera fitted to them.
    points_residual_px : float
        Largest residual of that fit.
    hand : GroundPoints or None
        Points picked by eye: a sanity check.
    """

    camera: Camera | None = None
    reference: ReferenceCamera | None = None
    places: tuple[NamedPlace, ...] = ()
    points: GroundPoints | None = None
    points_camera: Camera | None = None
    points_residual_px: float = 0.0
    hand: GroundPoints | None = None


def load_truth(photos: Path, file: str) -> Truth:
    """Everything known of one photo.

    Parameters
    ----------
    photos : Path
        Folder with the tables and the photos.
    file : str
        The photo as the tables name it, relative to that folder.

    Returns
    -------
    Truth
    """
    reference = read_reference_cameras().get(file)
    truth = Truth(
        camera=None if reference is None else reference.camera,
        reference=reference,
        places=read_named_places().get(file, ()),
        hand=read_points(photos / "hand_points.csv", file),
    )
    points = read_points(photos / "reference_points.csv", file)
    if points is None:
        return truth
    fit = fit_to_points(photos, file, points)
    residual_px = float(fit.residual_px.max())
    return replace(truth, points=points, points_camera=fit.camera, points_residual_px=residual_px)


def fit_to_points(photos: Path, file: str, points: GroundPoints) -> CameraFit:
    """The camera that the older reference points of a photo speak of.

    Parameters
    ----------
    photos : Path
        Folder with the tables and the photos.
    file : str
        The photo.
    points : GroundPoints
        Its reference points.

    Returns
    -------
    CameraFit
    """
    known = next(row for row in read_rows(photos / "reference_cameras.csv") if row["file"] == file)
    header = read_image_header(photos / file)
    start = camera_above(
        float(known["nadir_lon"]),
        float(known["nadir_lat"]),
        TYPICAL_ALTITUDE_KM,
        float(known["focal_px"]),
        (header.width_px, header.height_px),
    )
    return fit_camera(points, start)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a table; none where there is no such table."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_points(path: Path, file: str) -> GroundPoints | None:
    """The points that a table has for a photo; None without any."""
    rows = [row for row in read_rows(path) if row["file"] == file]
    if not rows:
        return None
    x, y, lon, lat = (
        np.array([float(row[name]) for row in rows]) for name in ("x", "y", "lon", "lat")
    )
    return GroundPoints(x=x, y=y, lon=lon, lat=lat)
