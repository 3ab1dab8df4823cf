"""The satellites in a picture, and the names of its streaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matchers.streak_evidence import Errors, Streak
from matchers.streak_naming import Naming, name_streaks
from regengine.satellites.catalogue import Satellites
from regengine.satellites.exposure import Exposure
from regengine.satellites.streaks import StreakRecord
from regengine.satellites.tracks import Tracks, in_picture, predict_tracks
from regengine.satellites.uncertainty import TAIL_ACROSS, TAIL_FACTOR, TAIL_SHARE

FloatArray = NDArray[np.float64]

# Probability that a camera sees a sunlit satellite of the field. Debris is a hundred times fainter
# than spacecraft, high orbits a hundred times farther; nothing in shadow shines, but flashes and
# the edge of the shadow (refraction, 30 km wide) do
SEEN, SEEN_DEBRIS, SEEN_SHADOW = 0.5, 0.08, 0.004
FAR_KM = 3000.0


@dataclass(frozen=True, kw_only=True, eq=False)
class SatellitesInPicture:
    """What is known of one picture.

    Attributes
    ----------
    tracks : Tracks
        Of the satellites near it.
    inside : ndarray of bool, shape (n,)
        Those that cross it while it is exposed.
    namings : list of Naming
        One for each streak given.
    """

    tracks: Tracks
    inside: NDArray[np.bool_]
    namings: list[Naming]


def satellites_in_picture(
    satellites: Satellites, exposure: Exposure, streaks: Sequence[StreakRecord] = ()
) -> SatellitesInPicture:
    """Predict all tracks in a picture and name its streaks.

    Parameters
    ----------
    satellites : Satellites
    exposure : Exposure
    streaks : sequence of StreakRecord, optional

    Returns
    -------
    SatellitesInPicture
    """
    tracks = predict_tracks(satellites, exposure)
    measured: list[Streak] = [one.measured(exposure) for one in streaks]
    kinds = tracks.per_sigma.shape[-1]
    namings = name_streaks(
        measured,
        tracks.xy,
        tracks.per_sigma,
        tracks.seconds,
        seen_probability(satellites, tracks),
        exposure.clock_sigma_s,
        (exposure.field.width_px, exposure.field.height_px),
        Errors(
            exposure_s=exposure.exposure_s,
            attitude_px=exposure.attitude_sigma_px,
            wide_share=TAIL_SHARE,
            wide=(TAIL_FACTOR, TAIL_ACROSS, TAIL_ACROSS, *(1.0,) * (kinds - 3)),
        ),
    )
    return SatellitesInPicture(tracks=tracks, inside=in_picture(tracks, exposure), namings=namings)


def seen_probability(satellites: Satellites, tracks: Tracks) -> FloatArray:
    """Probability that each satellite is bright enough at each moment, shape (n, T)."""
    debris = np.array([is_debris(satellites.names[row]) for row in tracks.rows], bool)
    usual = np.where(debris, SEEN_DEBRIS, SEEN)[:, None]
    usual = usual * np.where(tracks.range_km > FAR_KM, np.sqrt(FAR_KM / tracks.range_km), 1.0)
    lit = np.nan_to_num(tracks.sunlit)
    return np.asarray(lit * usual + (1.0 - lit) * SEEN_SHADOW)


def is_debris(name: str | None) -> bool:
    """Whether a catalogue's name is that of a fragment."""
    return name is not None and name.upper().endswith((" DEB", " COOLANT", " SHROUD"))
