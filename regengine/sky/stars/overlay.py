"""Pictures of solved frames: stars that were met, missed or not told, names and constellations."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.types import StarDetections
from matchers.sky_camera import SkyCamera
from regengine.sky.detection.overlay import (
    CYAN,
    GREEN,
    RED,
    YELLOW,
    Colour,
    Picture,
    brightened,
    circle,
    label,
    picture_pixel,
    write_picture,
)
from regengine.sky.stars.bodies import BodyInFrame
from regengine.sky.stars.catalogue import StarCatalogue, named_star_vectors, star_names
from regengine.sky.stars.solve import StarSolution

BOUNDARY: Colour = (110, 110, 190)
WHITE: Colour = (255, 255, 255)
SMALLEST_BODY_PX = 7.0  # of the drawn picture: planets are points
LABEL: Colour = (170, 170, 255)
CELL_PX = 8  # of the drawn picture: constellations are looked up once a cell
SMALLEST_LABELLED = 0.01  # share of the picture that a constellation must fill to be named
MISSED_MARGIN_MAG = 1.0  # missed are stars so much brighter than the faintest tenth of those met
UNMATCHED_DRAWN = 200


def draw_solution(
    photo: Path,
    stars: StarDetections,
    solution: StarSolution,
    catalogue: StarCatalogue,
    target: Path,
    *,
    bodies: Sequence[BodyInFrame] = (),
) -> None:
    """Draw a solved frame.

    Green: detections that are stars. Cyan: where bright stars should be and nothing was detected.
    Red: bright detections that are no star of the catalogue. Names of bright stars in yellow;
    constellations by their names and the IAU's boundaries (Roman 1987, by PyEphem). White: the Moon
    as large as it is and how much of it is lit, and the planets.
    """
    picture, factor = brightened(photo)
    camera = solution.camera
    _constellations(picture, camera, factor)
    radius = max(4.0 / factor, 4.0 * solution.rms_px)
    told = np.zeros(len(stars), bool)
    told[solution.detection] = True
    others = np.flatnonzero(~told)
    for i in others[np.argsort(-stars.snr[others], kind="stable")][:UNMATCHED_DRAWN]:
        circle(picture, stars.x[i], stars.y[i], radius, factor, RED)
    for x, y in zip(solution.x, solution.y, strict=True):
        circle(picture, x, y, radius, factor, GREEN)
    limit = float(np.percentile(solution.magnitude_g, 90)) - MISSED_MARGIN_MAG
    bright = np.arange(catalogue.brighter_than(limit))
    bright = np.setdiff1d(bright, solution.star)
    for x, y in _seen(camera, catalogue.vectors[bright]):
        circle(picture, x, y, 2.0 * radius, factor, CYAN)
    named = named_star_vectors(solution.catalogue_epoch)
    px, py = camera.project(named)
    for i in np.flatnonzero(camera.sees(px, py)):
        column, row = picture_pixel(px[i], py[i], factor)
        label(picture, star_names()[i], (column + 8, row - 6), YELLOW)
    for body in bodies:
        _body(picture, body, factor)
    caption = (
        f"RA {camera.ra_dec_deg[0]:.3f} Dec {camera.ra_dec_deg[1]:+.3f} "
        f"roll {camera.roll_deg:.1f} field {camera.fov_x_deg:.2f} deg  "
        f"{len(solution)} stars, rms {solution.rms_px:.2f} px, odds 1e{solution.log10_odds:.0f}"
    )
    label(picture, caption, (8, picture.shape[0] - 10), YELLOW)
    write_picture(picture, target)


def _body(picture: Picture, shown: BodyInFrame, factor: float) -> None:
    """A circle of the disc's size and the name; of the Moon, how much of it is lit."""
    radius = max(shown.radius_px, SMALLEST_BODY_PX / factor)
    circle(picture, shown.x, shown.y, radius, factor, WHITE)
    text = shown.body.name
    if text == "Moon":
        text += f" {100.0 * shown.body.illumination:.0f} % lit"
    column, row = picture_pixel(shown.x + radius, shown.y - radius, factor)
    label(picture, text, (column + 4, row), WHITE)


def _seen(camera: SkyCamera, vectors: NDArray[np.float64]) -> list[tuple[float, float]]:
    x, y = camera.project(vectors)
    inside = camera.sees(x, y)
    return [(float(a), float(b)) for a, b in zip(x[inside], y[inside], strict=True)]


def _constellations(picture: Picture, camera: SkyCamera, factor: float) -> None:
    """Boundaries where neighbouring cells differ, names in the middle of each one's cells."""
    height, width = picture.shape[:2]
    columns = np.arange(CELL_PX // 2, width, CELL_PX)
    rows = np.arange(CELL_PX // 2, height, CELL_PX)
    x, y = np.meshgrid((columns + 0.5) / factor - 0.5, (rows + 0.5) / factor - 0.5)
    sky = camera.to_sky(x, y)
    ra = np.arctan2(sky[..., 1], sky[..., 0])
    dec = np.arcsin(np.clip(sky[..., 2], -1.0, 1.0))
    names = np.array(
        [
            [
                constellation(round(float(a), 4), round(float(d), 4))
                for a, d in zip(ar, dr, strict=True)
            ]
            for ar, dr in zip(ra, dec, strict=True)
        ]
    )
    for i, j in np.argwhere(names[:, 1:] != names[:, :-1]):
        middle = (columns[j] + columns[j + 1]) // 2
        cv2.line(picture, (middle, rows[i] - 4), (middle, rows[i] + 4), BOUNDARY, 1)
    for i, j in np.argwhere(names[1:] != names[:-1]):
        middle = (rows[i] + rows[i + 1]) // 2
        cv2.line(picture, (columns[j] - 4, middle), (columns[j] + 4, middle), BOUNDARY, 1)
    for name in np.unique(names):
        cells = np.argwhere(names == name)
        if len(cells) >= SMALLEST_LABELLED * names.size:
            row, column = cells[np.argmin(((cells - cells.mean(axis=0)) ** 2).sum(axis=1))]
            label(picture, str(name), (int(columns[column]) - 30, int(rows[row])), LABEL)


@functools.lru_cache(maxsize=100_000)
def constellation(ra_rad: float, dec_rad: float) -> str:
    """Name of the constellation at a J2000 direction."""
    import ephem

    return str(ephem.constellation((ra_rad % (2.0 * np.pi), dec_rad), epoch="2000")[1])
