"""What is known of the real photographs: reference points, hand points, where cities lie."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from matchers.camera import Camera
from regengine.evaluate.registration import GroundPoints, camera_above, fit_camera
from regengine.image_header import read_image_header

# Height at which the fit of a reference camera starts; the points correct it
TYPICAL_ALTITUDE_KM = 415.0


@dataclass(frozen=True, kw_only=True)
class City:
    """A city of the photo's title, and its centre in degrees."""

    name: str
    lon: float
    lat: float


CITIES = {
    name: City(name=name, lon=lon, lat=lat)
    for name, lon, lat in (
        ("Osaka", 135.50, 34.69),
        ("Nagoya", 136.91, 35.18),
        ("Tokyo", 139.77, 35.68),
        ("Paris", 2.35, 48.86),
        ("Portland", -122.68, 45.52),
    )
}


# Squares and buildings that can be told by eye in the full picture, to 5 px (40 m): Place de
# l'Etoile, Place de la Nation, Stade de France, keep of Vincennes, Porte de Saint-Cloud.
LANDMARKS = {
    "Paris_ISS043-E-93480.jpg": GroundPoints(
        x=np.array([1282.5, 2228.0, 1815.0, 2600.0, 955.0]),
        y=np.array([2146.5, 2457.0, 1412.5, 2521.0, 2668.0]),
        lon=np.array([2.2950, 2.3959, 2.3602, 2.4357, 2.2570]),
        lat=np.array([48.8738, 48.8485, 48.9245, 48.8427, 48.8379]),
    )
}


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What a registration is scored with; parts are None where nobody knows.

    Attributes
    ----------
    points : GroundPoints or None
        Reference points.
    camera : Camera or None
        The camera fitted to them.
    residual_px : float
        Largest residual of that fit.
    hand : GroundPoints or None
        Points picked by eye: a sanity check.
    city : City or None
        What the photo shows by its title.
    """

    points: GroundPoints | None = None
    camera: Camera | None = None
    residual_px: float = 0.0
    hand: GroundPoints | None = None
    city: City | None = None


def city_of(file: str) -> City | None:
    """The city that a file is named after."""
    name = Path(file).name.partition("_")[0]
    return CITIES.get(name)


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
    points = read_points(photos / "reference_points.csv", file)
    hand = read_points(photos / "hand_points.csv", file) or LANDMARKS.get(Path(file).name)
    city = city_of(file)
    if points is None:
        return Truth(hand=hand, city=city)
    known = next(row for row in read_rows(photos / "reference_cameras.csv") if row["file"] == file)
    header = read_image_header(photos / file)
    start = camera_above(
        float(known["nadir_lon"]),
        float(known["nadir_lat"]),
        TYPICAL_ALTITUDE_KM,
        float(known["focal_px"]),
        (header.width_px, header.height_px),
    )
    fit = fit_camera(points, start)
    return Truth(
        points=points,
        camera=fit.camera,
        residual_px=float(fit.residual_px.max()),
        hand=hand,
        city=city,
    )


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
