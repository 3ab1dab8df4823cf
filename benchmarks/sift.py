"""A baseline for the public benchmark: SIFT and MAGSAC on the night map around the nadir.

Writes control points of every photo whose homography to the map has enough inliers, as
``python -m benchmarks public`` reads them. Photos bring time in EXIF or a table of frame records.
"""

from __future__ import annotations

import csv
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.pages import tell
from regengine.errors import RegengineError
from regengine.maps.at_hand import ELEMENT_SETS, LIGHTS
from regengine.maps.opening import light_map_of
from regengine.maps.reference import RasterMap
from regengine.orbit.position import choose_position, element_sets, frame_records
from regengine.photo.frame import read_frame
from regengine.photo.image import read_display_rgb
from regengine.runs.remote import find_photos
from regengine.score.registration import ANSWER_COLUMNS

REACHES_KM = (300.0, 600.0, 1200.0)  # half sides of maps around the nadir, of one size in pixels
SIDE_PX = 2400
RATIO = 0.85  # Lowe (2004) takes 0.8, for more than a map and a photo have in common
KM_PER_DEG = 111.2
INLIERS = 10  # of 24 photos on maps around other nadirs none has more than 7


def main(
    photos: Annotated[list[str], typer.Argument(metavar="PHOTOS...")],
    *,
    metadata: Annotated[Path | None, typer.Option(help="table of frame records")] = None,
    out: Annotated[Path, typer.Option(help="table of control points")] = Path("sift.csv"),
) -> None:
    """Match each photo, and write the table."""
    tles, night = element_sets((ELEMENT_SETS,)), light_map_of((LIGHTS,))
    assert night is not None
    records = None if metadata is None else frame_records(metadata)
    with out.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*ANSWER_COLUMNS, "probability"])
        for photo in find_photos(photos):
            try:
                where = choose_position(read_frame(photo, records=records), tles)
                inliers, points = match_photo(photo, night, where.lon, where.lat)
            except RegengineError as error:
                tell(f"{photo}: {error}")
                continue
            tell(f"{photo}: {inliers} inliers")
            if inliers >= INLIERS:
                rows.writerows([photo.name, *point, inliers] for point in points)


def match_photo(
    photo: Path, night: RasterMap, lon: float, lat: float
) -> tuple[int, list[list[float]]]:
    """The inliers of the best homography to a map around a nadir, and control points by it."""
    rgb, factor = read_display_rgb(photo, 1500)
    grey = stretch(cv2.max(cv2.max(rgb[..., 0], rgb[..., 1]), rgb[..., 2]))
    sift = cv2.SIFT.create(4000, contrastThreshold=0.01)
    here, described = sift.detectAndCompute(grey, None)
    best: tuple[int, list[list[float]]] = (0, [])
    for reach_km in REACHES_KM:
        step_deg = 2.0 * reach_km / SIDE_PX / KM_PER_DEG
        across = reach_km / KM_PER_DEG / np.cos(np.radians(lat))
        up = reach_km / KM_PER_DEG
        grid = night.window(lon - across, lat - up, lon + across, lat + up, step_deg)
        size = SIDE_PX, SIDE_PX  # so that a pixel is as long as it is high
        there, drawn = sift.detectAndCompute(stretch(cv2.resize(grid.values, size)), None)
        if described is None or drawn is None:
            continue
        pairs = cv2.BFMatcher().knnMatch(described, drawn, k=2)
        near = sorted(
            (a for a, b in pairs if a.distance < RATIO * b.distance), key=attrgetter("distance")
        )
        good = list({one.trainIdx: one for one in near[::-1]}.values())  # the nearest of each
        if len(good) < 4:
            continue
        seen = np.array([here[one.queryIdx].pt for one in good])
        mapped = np.array([there[one.trainIdx].pt for one in good])
        found, mask = cv2.findHomography(seen, mapped, cv2.USAC_MAGSAC, 3.0, maxIters=20_000)
        if found is not None and mask.sum() > best[0]:
            height, width = grey.shape
            corners = np.array([(x, y) for x in (0.2, 0.8) for y in (0.2, 0.8)]) * (width, height)
            col, row = cv2.perspectiveTransform(corners[:, None], found)[:, 0].T
            places = [
                lon - across + 2.0 * across * (col + 0.5) / SIDE_PX,
                lat + up - 2.0 * up * (row + 0.5) / SIDE_PX,
            ]
            stored = (corners.T + 0.5) / factor - 0.5
            best = int(mask.sum()), np.stack([*stored, *places], axis=1).tolist()
    return best


def stretch(light: NDArray[Any]) -> NDArray[np.uint8]:
    """Percentiles to grey levels."""
    low, high = np.percentile(light, (1.0, 99.7))
    return np.rint(255.0 * np.clip((light - low) / max(high - low, 1e-6), 0.0, 1.0)).astype(
        np.uint8
    )
