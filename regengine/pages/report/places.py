"""Ground positions of photos: outlines of single photos, and counts on a grid."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from matchers.geometry.camera import Camera
from matchers.geometry.footprint import trace_visible_outline
from regengine.maps.places import ABSURD
from regengine.pages.report.figures import Photos, count_by
from regengine.store.result import FrameResult

CELL_DEG = 2
AXES = ("lon", "lat")
# Directions along each side of a photo to sample its outline if the horizon is visible
OUTLINE_PER_SIDE = 5

LonLat = tuple[float, float]


def place_figures(photos: Photos) -> dict[str, Any]:
    """Counts of placed photos by grid cell and verdict; cells by their south-western corners.

    Cells are sorted from the west. ``nadirs`` counts photos of which only the nadir is known.
    """
    places = places_of(photos)
    there = np.isfinite(places[:, 0])
    corners = (places[there] // CELL_DEG).astype(int) * CELL_DEG
    verdicts = np.array(photos.verdicts, dtype=object)[there]
    cells = count_by(zip(map(tuple, corners.tolist()), verdicts, strict=True))
    return {
        "photos": len(corners),
        "nadirs": int((np.isfinite(nadirs_of(photos)[:, 0]) & ~there).sum()),
        "cell_deg": CELL_DEG,
        "cells": [
            {"lon": lon, "lat": lat, "verdicts": told["verdicts"]}
            for (lon, lat), told in sorted(cells.items())
        ],
    }


def places_of(photos: Photos) -> NDArray[np.float64]:
    """Ground position of the image centre, or a corner if that is sky, of photos with a camera.

    Rows of lon, lat; nan if unknown.
    """
    candidates = np.stack(
        [
            np.column_stack([photos[f"centre_{axis}"] for axis in AXES]),
            *(
                np.column_stack([photos[f"footprint_{axis}"][:, corner] for axis in AXES])
                for corner in range(4)
            ),
        ]
    )
    known = np.isfinite(candidates).all(axis=2) & photos.solved
    chosen = candidates[known.argmax(axis=0), np.arange(len(photos))]
    return np.where(known.any(axis=0)[:, None], chosen, np.nan)


def nadirs_of(photos: Photos) -> NDArray[np.float64]:
    """Prior nadirs, which are no places of photos; rows of lon, lat; nan if unknown."""
    prior = ~(photos.where("nadir_source", "") | photos.where("nadir_source", "lights"))
    nadir = np.column_stack([photos[f"nadir_{axis}"] for axis in AXES])
    return np.where(prior[:, None], nadir, np.nan)


def outline_of(result: FrameResult) -> list[LonLat]:
    """Outline of the ground that a solved photo shows."""
    if result.solved is None:
        return []
    corners = [corner for corner in result.footprint or () if corner is not None]
    if len(corners) == 4:
        return _run_on(corners)
    return _run_on(_outline(result.solved.camera))


def _outline(camera: Camera) -> list[LonLat]:
    try:
        with np.errstate(all="ignore"):
            x, y = trace_visible_outline(camera, OUTLINE_PER_SIDE)
            if len(x) == 0:
                return []
            # The visible part of the Earth is convex in the image: sorted by angle about its
            # centre, its edge is a ring
            order = np.argsort(np.arctan2(y - y.mean(), x - x.mean()))
            lon, lat = camera.pixel_to_lonlat(x[order], y[order])
    except ABSURD:
        return []
    return list(zip(lon.tolist(), lat.tolist(), strict=True))


def _run_on(ring: list[LonLat]) -> list[LonLat]:
    ring = [place for place in ring if np.isfinite(place).all()]
    first = ring[0][0] if ring else 0.0
    around = [((lon - first + 180.0) % 360.0 - 180.0 + first, lat) for lon, lat in ring]
    return [(round(lon, 2), round(lat, 2)) for lon, lat in around]
