"""Blind placing by the area searched and by how far off the lens is told: a row a photo."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.blind_trials import CITIES, index_of, place
from benchmarks.trials.run import failed, workshop
from benchmarks.trials.workers import Columns
from regengine.blind.earth_towns import FARTHEST_LAT_DEG
from regengine.camera_bodies import FULL_FRAME_MM
from regengine.frame import Frame, read_frame

PLACES = 15
# Shares of the ground between 68° south and north, in a box around where the photo was taken
AREAS = (1.0, 0.1, 0.01)
# How far off the focal length is told; to either side, by the seed
FOCALS_OFF = (0.03, 0.08, 0.16)
# Names of the searches of a photo, and what they tell
SWEPT = tuple(
    [(f"area_{share:g}", f"{share:.0%} of the Earth") for share in AREAS]
    + [(f"focal_{off:g}", f"lens off by {off:.0%}") for off in FOCALS_OFF]
)
VARIANTS = len(SWEPT)
Bounds = tuple[float, float, float, float]


def around(lon: float, lat: float, share: float) -> Bounds | None:
    """A box of about this share of the searched Earth around a place; None for all of it.

    Parameters
    ----------
    lon, lat : float
        Degrees.
    share : float
        In (0, 1].

    Returns
    -------
    tuple of float or None
        West, south, east, north, degrees; east may be beyond 180.
    """
    if share >= 1.0:
        return None
    area_deg2 = 360.0 * math.degrees(2.0 * math.sin(math.radians(FARTHEST_LAT_DEG))) * share
    high = math.sqrt(area_deg2) / 2.0
    wide = min(180.0, high / math.cos(math.radians(lat)))
    return lon - wide, max(lat - high, -90.0), lon + wide, min(lat + high, 90.0)


def variants(seed: int) -> list[tuple[str, float, float]]:
    """Name, share of the Earth and factor on the focal length of each search of a photo."""
    side = 1.0 if seed % 2 else -1.0
    return [(f"area_{share:g}", share, 1.0) for share in AREAS] + [
        (f"focal_{off:g}", 1.0, math.exp(side * off)) for off in FOCALS_OFF
    ]


def with_focal_px(frame: Frame, focal_px: float) -> Frame:
    """A photo of whose lens is known what is given, in pixels of its file."""
    longest = max(frame.width_px, frame.height_px)
    pitch_mm = FULL_FRAME_MM[0] / longest
    return replace(frame, focal_mm=focal_px * pitch_mm, pixel_pitch_um=1e3 * pitch_mm)


def run_blind_sweep(seed: int) -> Columns:
    """Draw one trial and place it in every variant.

    Kinds without cities, and photos with too few places, are a row without any.
    """
    from benchmarks.trials.attempt import camera_of, outcome_columns, trial_columns, write_trial

    trial = workshop().draw(seed)
    columns = trial_columns(trial)
    if columns["kind"] not in CITIES or columns["places"] < PLACES:
        return columns
    index = index_of(workshop().settings)
    with tempfile.TemporaryDirectory() as folder:
        photo, _ = write_trial(trial, Path(folder))
        try:
            frame = read_frame(photo)
            for name, share, factor in variants(seed):
                bounds = around(columns["lon"], columns["lat"], share)
                found = place(
                    with_focal_px(frame, factor * camera_of(trial.camera).focal_px),
                    index if bounds is None else index.within(bounds),
                )
                outcome = outcome_columns(trial, found)
                columns |= {
                    f"{name}_{key}": outcome.get(key) for key in ("verdict", "right", "seconds_cpu")
                }
        except Exception as error:
            return columns | failed(f"{type(error).__name__}: {error}")
    return columns
