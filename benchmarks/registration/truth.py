"""Cameras of the real city photographs as they truly were, and named places to check them by.

Two tables of numbers stand beside this module: ``reference_cameras.csv`` with one row a picture
and ``reference_places.csv`` with places that were recognised on the pictures. They are for scoring
alone: nothing that registers may read them.

How a camera was found: a start from the limb of the airglow (its upper edge, 90 km up, gives two
of the three angles; the third and the place along the orbit were tried through), from towns named
by eye, or from the program's own answer; then the program's dense alignment and patch fit from
that start. It was kept if the map's outlines, drawn over the picture, sat on its lights all over
the frame. Edited copies start from the camera of the archive's copy of the same frame.

How a place was found: it was recognised on the picture with the numbered lights of a detector
drawn on it, and its pixel is the centroid of the light there, which owes nothing to a camera.
On edited copies they were carried over from the archive's copy by matching the pictures, and
centred again; on ISS073-E-206244 they were read off by eye. ISS053-E-13244 and ISS073-E-206244
were started from such places, which are no independent check there; where towns lie dense, their
names were settled with the outlines in view. Suburbs and ports pull the centroid of a large town
away from its centre by a kilometre or two.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.rows import read_csv
from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from regengine.evaluate.registration import NOTHING, PLACED, camera_of

CAMERAS = Path(__file__).with_name("reference_cameras.csv")
PLACES = Path(__file__).with_name("reference_places.csv")
# Photos with element sets this near, or with a recorded nadir, are those that must be placed
NEAR_TLE_DAYS = 10.0


@dataclass(frozen=True)
class ReferenceCamera:
    """One row of the table of cameras.

    Of its columns `registrable` says whether the photo shows at least eight separable lit places:
    towns that it shares with the map of 2016, or where it is not placed, counted on it alone;
    `tle_age_days` is its time minus the epoch of the element set that the program would choose.
    `true_time_offset_s` is how far along the track it was from where that set has it at the told
    time, positive forward: with a set less than a day off the error of the camera's clock, with
    older ones seconds of flight over an Earth held still. `residual_px` is one sigma per axis of
    the map's lights against the photo's in local patches.
    """

    row: dict[str, str]
    camera: Camera | None  # for the picture as stored; None where it is not placed

    @property
    def frame(self) -> str:
        """Frame of the archive, or the file where it is unknown: two files of one count once."""
        return self.row["frame_id"] or self.row["file"]

    @property
    def must_be_placed(self) -> bool:
        """Whether it counts in the share of real photographs that the program has to place."""
        near = abs(float(self.row["tle_age_days"] or np.inf)) <= NEAR_TLE_DAYS
        told = near or self.row["has_record_nadir"] == "true"
        return self.row["registrable"] == "true" and told


def read_reference_cameras() -> dict[str, ReferenceCamera]:
    """The table of cameras; of photos that show nothing to be placed it has rows, too, left out."""
    return {
        row["file"]: ReferenceCamera(row, camera_of(row) if row["status"] == PLACED else None)
        for row in read_csv(CAMERAS)
        if row["status"] != NOTHING
    }


def read_named_places() -> dict[str, pd.DataFrame]:
    """By file the places recognised on it: name, degrees (WGS84), and the pixel of the light."""
    return {str(file): places for file, places in pd.read_csv(PLACES).groupby("file")}


def misses_px(camera: Camera, places: pd.DataFrame) -> FloatArray:
    """How far from their lights a camera has some named places."""
    x, y = camera.lonlat_to_pixel(places.lon.to_numpy(), places.lat.to_numpy())
    apart = np.hypot(x - places.x.to_numpy(), y - places.y.to_numpy())
    return np.where(np.isfinite(apart), apart, np.inf)
