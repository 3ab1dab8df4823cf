"""The search of a photo whose stars tell its attitude: over the time alone.

Every place on the track is a time, and with the attitude among the stars it is a whole camera: the
position slides along the orbit and the Earth turns under it. What such cameras show is held
against the map as everything else, and proven by the same evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from detectors.limb import Limb
from matchers.camera import Camera
from matchers.templates import DenseParameters
from regengine.candidates import Candidate, Look, merged
from regengine.earth_rotation import EARTH_RATE_RAD_S
from regengine.hypotheses import PhotoLights, aligned_candidates
from regengine.light_windows import HasWindows
from regengine.limb_sweep import SWEEP_PX
from regengine.looks import look_at
from regengine.possible_tracks import CLOCK_SIGMA_S, UNKNOWN_CLOCK_SHARE, USUAL_CLOCK_S
from regengine.search import SearchState, add_candidates
from regengine.search_window import FARTHEST_DEG, LEAST_SAMPLE_KM, SearchWindow, ground_reach_km
from regengine.star_places import STEP_KM, StarPlace, down_of, star_places
from regengine.stars.attitude import StarAttitude
from regengine.track import Track

# So many places, the likeliest first, are one look: as many as lie within the limb's uncertainty
PLACES_PER_LOOK = 12


def search_stars(
    attitude: StarAttitude,
    tracks: Sequence[Track],
    limb: Limb,
    lights: PhotoLights,
    stored: Camera,
    window: SearchWindow,
    light_map: HasWindows,
    state: SearchState,
    expired: Callable[[], bool],
) -> None:
    """Search where stars and limb put the camera, the likeliest places first.

    Parameters
    ----------
    attitude : StarAttitude
        Of the photo.
    tracks : sequence of Track
        Where it may have been.
    limb, lights : Limb, PhotoLights
        The photo's.
    stored : Camera
        Camera of the stored image at the nominal focal length.
    window, light_map
        The map.
    state : SearchState
        Takes what is found and proven.
    expired : callable
        Whether the time is over.
    """
    places = iter(star_places(attitude, tracks, limb))
    for group in grouped(places, PLACES_PER_LOOK):
        for hazy in (False, True):
            if state.proven or expired():
                return
            state.looks += 1
            found = take_places(group, hazy, attitude, lights, stored, window)
            if found is not None:
                state.covered = True
                add_candidates(found, lights, stored, light_map, state)


def grouped(places: Iterator[StarPlace], count: int) -> Iterator[list[StarPlace]]:
    """Places by so many."""
    while group := list(islice(places, count)):
        yield group


def take_places(
    places: Sequence[StarPlace],
    hazy: bool,
    attitude: StarAttitude,
    lights: PhotoLights,
    stored: Camera,
    window: SearchWindow,
) -> list[Candidate] | None:
    """Align the cameras of some places on the photo's light.

    Parameters
    ----------
    places : sequence of StarPlace
        With their cameras.
    hazy : bool
        Which of the light images.
    attitude : StarAttitude
        For its uncertainty.
    lights : PhotoLights
        The photo's city light.
    stored : Camera
        Camera of the stored image at the nominal focal length.
    window : SearchWindow
        The map.

    Returns
    -------
    list of Candidate or None
        Distinct, best first; None where the map holds nothing of what they see.
    """
    parameters = DenseParameters()
    image = lights.of(hazy).resized(SWEEP_PX, parameters.smooth_px, parameters.detail_px)
    if attitude.camera.mirrored:
        # The alignment itself knows no mirrors: it sees the picture as it would have been
        image = image.flipped()
    reach_km = ground_reach_km(window.altitude_km, FARTHEST_DEG)
    found: list[Candidate] = []
    covered = False
    for place in places:
        start = replace(image.camera(place.camera), mirrored=False)
        nearest_km = window.slant_km(nearest_off_nadir_deg(start))
        step_km = max(nearest_km / start.focal_px, LEAST_SAMPLE_KM)
        levels = window.around(start.position_ecef_m, reach_km, step_km)
        if levels is None:
            continue
        covered = True
        look = look_of_place(place, hazy, attitude, stored)
        new = aligned_candidates(levels, image, [start], stored, [look], parameters)
        found = merged(found, new)
    return found if covered else None


def look_of_place(place: StarPlace, hazy: bool, attitude: StarAttitude, stored: Camera) -> Look:
    """The look that a place amounts to: with the lens and the attitude that the stars tell.

    The attitude turns with the Earth by as much of the offset as is the clock's, and how much that
    is is known as little as everywhere (`regengine.possible_tracks`).
    """
    track, offset_km = place.track, place.offset_km
    look = look_at(
        track,
        offset_km,
        STEP_KM,
        place.camera,
        ratio=1.0,
        sigma_log_focal=attitude.sigma_log_focal,
        cropped=False,
    )
    unknown_s = CLOCK_SIGMA_S / 2.0 + UNKNOWN_CLOCK_SHARE * abs(offset_km) / track.speed_km_s
    turned_rad = EARTH_RATE_RAD_S * min(unknown_s, USUAL_CLOCK_S)
    return replace(
        look,
        scale=place.camera.focal_px / stored.focal_px,
        mirrored=attitude.camera.mirrored,
        hazy=hazy,
        flat=False,
        prior=replace(
            look.prior,
            quaternion=place.camera.quaternion,
            sigma_rotation_rad=float(np.hypot(attitude.sigma_rad, turned_rad)),
        ),
    )


def nearest_off_nadir_deg(camera: Camera) -> float:
    """Off-nadir angle of the nearest ground that an image shows."""
    x, y = np.meshgrid(
        np.linspace(0.0, camera.width_px - 1.0, 9), np.linspace(0.0, camera.height_px - 1.0, 9)
    )
    rays = camera.rays(x, y)
    cosine = rays @ down_of(camera) / np.linalg.norm(rays, axis=-1)
    return float(np.degrees(np.arccos(np.clip(cosine.max(), -1.0, 1.0))))
