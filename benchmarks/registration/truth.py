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

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.rows import read_csv
from matchers.geometry.camera import Camera
from regengine.evaluate.registration import NOTHING, PLACED, camera_of

CAMERAS = Path(__file__).with_name("reference_cameras.csv")
PLACES = Path(__file__).with_name("reference_places.csv")
# Photos with element sets this near, or with a recorded nadir, are those that must be placed
NEAR_TLE_DAYS = 10.0


@dataclass(frozen=True, kw_only=True)
class ReferenceCamera:
    """One row of the table of cameras."""

    file: str  # the picture, relative to the folder of real photographs
    frame_id: str  # frame of the archive; two files of one frame count once. "" if unknown.
    # Whether it shows at least eight separable lit places: towns that the photo and the map of 2016
    # share; where it is not placed, counted on the photo alone.
    registrable: bool
    # Time of the picture minus the epoch of the element set that the program would choose; None
    # where the time is unknown.
    tle_age_days: float | None
    # Whether the archive's record of the frame has a nadir (which may be wrong)
    has_record_nadir: bool
    # width_px and height_px: size of the picture as stored
    width_px: int
    height_px: int
    # Where it was and how it looked, for the picture as stored; None where it is not placed.
    camera: Camera | None
    # How far along the track it was from where the chosen element set has it at the told time,
    # positive forward. With a set less than a day off this is the error of the camera's clock, with
    # older ones seconds of flight over an Earth held still: the clock's error and the set's
    # together. None where the time is unknown.
    true_time_offset_s: float | None
    # One sigma per axis of the map's lights against the photo's in local patches, in pixels of the
    # picture as stored
    residual_px: float | None
    remark: str  # how it was checked, or why it could not be placed

    @property
    def must_be_placed(self) -> bool:
        """Whether it counts in the share of real photographs that the program has to place."""
        near = self.tle_age_days is not None and abs(self.tle_age_days) <= NEAR_TLE_DAYS
        return self.registrable and (near or self.has_record_nadir)


@dataclass(frozen=True, kw_only=True)
class NamedPlace:
    """A place recognised on a picture: degrees (WGS84) and the pixel of its light."""

    name: str
    lon: float
    lat: float
    x: float
    y: float


def read_reference_cameras(path: Path = CAMERAS) -> dict[str, ReferenceCamera]:
    """The table of cameras; of photos that show nothing to be placed it has rows, too, left out."""
    return {
        row["file"]: _reference_camera(row) for row in read_csv(path) if row["status"] != NOTHING
    }


def read_named_places(path: Path = PLACES) -> dict[str, tuple[NamedPlace, ...]]:
    """The table of named places."""
    found: dict[str, tuple[NamedPlace, ...]] = {}
    for row in read_csv(path):
        numbers = {key: float(row[key]) for key in ("lon", "lat", "x", "y")}
        place = NamedPlace(name=row["name"], **numbers)
        found[row["file"]] = (*found.get(row["file"], ()), place)
    return found


def misses_px(camera: Camera, places: Sequence[NamedPlace]) -> NDArray[np.float64]:
    """How far from their lights a camera has some named places."""
    x, y = camera.lonlat_to_pixel([p.lon for p in places], [p.lat for p in places])
    apart = np.hypot(x - [p.x for p in places], y - [p.y for p in places])
    return np.where(np.isfinite(apart), apart, np.inf)


def _reference_camera(row: dict[str, str]) -> ReferenceCamera:
    return ReferenceCamera(
        file=row["file"],
        frame_id=row["frame_id"],
        registrable=row["registrable"] == "true",
        tle_age_days=_number(row["tle_age_days"]),
        has_record_nadir=row["has_record_nadir"] == "true",
        width_px=int(row["width_px"]),
        height_px=int(row["height_px"]),
        camera=camera_of(row) if row["status"] == PLACED else None,
        true_time_offset_s=_number(row["true_time_offset_s"]),
        residual_px=_number(row["residual_px"]),
        remark=row["remark"],
    )


def _number(text: str) -> float | None:
    return float(text) if text else None
