"""Combine a photo, the prior of its camera and the references to a problem."""

from __future__ import annotations

from regengine.registration.parameters import RegisterParams
from regengine.registration.priors.lit_ground import measure_lit_ground
from regengine.registration.priors.tracks import Track, expect_seen, make_tracks
from regengine.registration.types import Photo, Prior, Problem, SearchReferences
from regengine.registration.windows import MapWindows, NightLights


def pose_problem(
    photo: Photo, prior: Prior, references: SearchReferences, params: RegisterParams
) -> Problem:
    """Make the problem of a photo; a photo that is skipped needs no tracks."""
    is_sought = photo.skip_reason is None
    return Problem(
        photo=photo,
        prior=prior,
        references=references,
        params=params,
        tracks=list_tracks(prior, references.light_map, params) if is_sought else (),
        windows=MapWindows(references.light_map),
    )


def list_tracks(prior: Prior, light_map: NightLights, params: RegisterParams) -> tuple[Track, ...]:
    """List the tracks along which the camera may have been; empty if it may be anywhere."""
    if prior.position is None:
        return ()
    lit_dex = measure_lit_ground(light_map)
    tracks = make_tracks(prior.position, params.clock_window_s, lit_dex, params.tracks)
    seen = prior.seen
    return tracks if seen is None else tuple(expect_seen(track, seen) for track in tracks)
