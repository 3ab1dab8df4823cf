"""In which order the search tries places on the track, scales and mirror images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matchers.camera import Camera
from regengine.candidates import Look
from regengine.lenses import SIGMA_PRINCIPAL_SHARE, is_telephoto
from regengine.look_kinds import FAR_OFF_NADIR_DEG, Kind, kinds_of_look
from regengine.track import Track

FloatArray = NDArray[np.float64]

MOST_SURPRISE = 18.0  # no search comes that far
# Figures of more towns take a third more time, and pay where the camera likely is: of 23 hard
# frames of the training half they found 8 at their places, the usual ones 3
THOROUGH_SURPRISE = 4.0
LEAST_SHARE = 1e-9  # of probability, that a logarithm can be taken of


def offsets_outward(reach_km: float, step: float) -> list[float]:
    """0, +step, -step, +2 step … until no place within the reach is farther than half a step."""
    count = max(0, int(np.ceil((reach_km - 0.5 * step) / step)))
    return [0.0] + [sign * k * step for k in range(1, count + 1) for sign in (1.0, -1.0)]


def offsets_between(reach_km: float, step: float) -> list[float]:
    """+step / 2, -step / 2, +3 step / 2 … half way between the offsets outward."""
    count = max(0, int(np.ceil((reach_km - 0.5 * step) / step)))
    return [sign * (k + 0.5) * step for k in range(count) for sign in (1.0, -1.0)]


def night_offsets(track: Track, step: float, between: bool = False) -> list[float]:
    """Offsets at which the photo may have been taken, outward; a shared start is the first's."""
    outward = offsets_between if between else offsets_outward
    offsets = np.array(outward(track.reach_km, step))
    if not len(offsets):
        return []
    kept = track.may_be_night(offsets)
    if track.shares_start:
        kept &= offsets != 0.0
    return [float(offset) for offset in offsets[kept]]


def plan(
    stored: Camera,
    tracks: Sequence[Track],
    altitude_km: float,
    focal_known: bool,
    may_be_cropped: bool,
) -> Iterator[Look]:
    """Everything worth a look, the likeliest first.

    Parameters
    ----------
    stored : Camera
        Camera of the stored image at the nominal focal length.
    tracks : sequence of Track
        Where it may have been.
    altitude_km : float
        Height above the ground.
    focal_known : bool
        Whether the nominal focal length means anything; if not, the usual lenses are tried.
    may_be_cropped : bool
        Whether the image's shape speaks for a crop.

    Yields
    ------
    Look
    """
    kinds = list(kinds_of_look(stored, altitude_km, focal_known, may_be_cropped))
    options: list[tuple[float, int, float, int]] = []
    for number, track in enumerate(tracks):
        places = {
            grid: likely_offsets(track, *grid)
            for grid in {(k.spacing_km, k.between) for k in kinds}
        }
        for which, kind in enumerate(kinds):
            for offset, surprise in places[kind.spacing_km, kind.between]:
                if kind.surprise + surprise >= MOST_SURPRISE:
                    break
                options.append((kind.surprise + surprise, number, -offset, which))
    for surprise, number, minus_offset, which in sorted(options):
        look = look_of_kind(kinds[which], tracks[number], -minus_offset, stored)
        yield replace(look, thorough=look.sparse and surprise < THOROUGH_SURPRISE)


def likely_offsets(
    track: Track, spacing_km: float, between: bool = False
) -> list[tuple[float, float]]:
    """Offsets a spacing apart at which it may be night, the likeliest first, and their surprise."""
    offsets = np.array(night_offsets(track, spacing_km, between))
    if not len(offsets):
        return []
    surprise = offset_surprise(offsets, track, spacing_km) + track.place_surprise(offsets)
    order = np.argsort(surprise, kind="stable")
    return list(zip(offsets[order].tolist(), surprise[order].tolist(), strict=True))


def look_of_kind(kind: Kind, track: Track, offset_km: float, stored: Camera) -> Look:
    """A kind of look at one place of a track."""
    look = look_at(
        track,
        offset_km,
        0.6 * kind.spacing_km,
        stored,
        ratio=kind.scale.ratio,
        sigma_log_focal=kind.scale.sigma_log_focal,
        cropped=kind.scale.cropped,
    )
    off_nadir_deg = (FAR_OFF_NADIR_DEG, 90.0) if kind.far else (0.0, FAR_OFF_NADIR_DEG)
    return replace(
        look,
        mirrored=kind.mirrored,
        hazy=kind.hazy,
        off_nadir_deg=look.off_nadir_deg if kind.sparse else off_nadir_deg,
        sparse=kind.sparse,
        ladder=kind.scale.ladder,
    )


def look_at(
    track: Track,
    offset_km: float,
    spread_km: float,
    stored: Camera,
    *,
    ratio: float,
    sigma_log_focal: float,
    cropped: bool,
) -> Look:
    """A look in all directions at one place of a track, with one focal length.

    Parameters
    ----------
    track : Track
    offset_km : float
        Place along it.
    spread_km : float
        The fit may slide so far along the track (one sigma), or by the track's own sigma.
    stored : Camera
        Camera of the stored image at the nominal focal length.
    ratio, sigma_log_focal : float
        Focal length over the nominal one, and its relative uncertainty.
    cropped : bool
        Whether the lens' axis may be anywhere.

    Returns
    -------
    Look
    """
    lens = replace(stored, focal_px=stored.focal_px * ratio)
    longest = max(stored.width_px, stored.height_px)
    return Look(
        offset_km=offset_km,
        scale=ratio,
        mirrored=False,
        flat=is_telephoto(lens),
        speed_km_s=track.speed_km_s,
        clock_s=track.clock_s,
        prior=track.prior(
            offset_km,
            min(spread_km, track.sigma_along_km),
            lens,
            sigma_log_focal,
            SIGMA_PRINCIPAL_SHARE * longest if cropped else 0.0,
        ),
        off_nadir_deg=(0.0, 90.0),
    )


def offset_surprise(offset_km: ArrayLike, track: Track, spacing_km: float) -> FloatArray:
    """Negative log-probability that the camera was within half a spacing of offsets."""
    middle = np.asarray(offset_km, float)
    share = track.belief.share(middle - 0.5 * spacing_km, middle + 0.5 * spacing_km)
    return np.asarray(track.surprise - np.log(np.maximum(share, LEAST_SHARE)))
