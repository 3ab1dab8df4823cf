"""The proposer by figures of towns: all attitudes at once, whatever the tilt and the roll."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from matchers import sparse
from matchers.camera import Camera
from matchers.first_sight import first_sight
from matchers.sparse import SparseParameters, working_px
from regengine.registration.candidates import Candidate, CoarseView, Look
from regengine.registration.propose_dense import steps_of_looks
from regengine.registration.search import Search, Step

ORDER = 50
# Of the proposals, ordered by what the picture says of each at first sight, so many are aligned,
# and the one that the towns' odds put first
ALIGNED_PER_LOOK = 4
# Of 40 looks at 20 hard frames of the training half in which the right camera was proposed at all,
# 30 towns and a tolerance of 0.12 put it among those aligned in 21, these in 24; 60 towns in 23
THOROUGH_TOWNS = 45
THOROUGH_TOLERANCE = 0.15


def propose(search: Search) -> Iterator[Step]:
    """Compare figures from everywhere on the tracks, the likeliest first."""
    if "sparse" in search.parameters.methods:
        yield from steps_of_looks(search, sparse=True, find=best_figures)


def best_figures(search: Search, view: CoarseView, look: Look) -> list[Candidate]:
    """The best attitudes that figures of towns propose, aligned."""
    parameters = SparseParameters(
        scales=look.ladder, scale_free=len(look.ladder) > 1, mirrored=(look.mirrored,)
    )
    if look.thorough:
        parameters = replace(
            parameters, photo_towns=THOROUGH_TOWNS, shape_tolerance=THOROUGH_TOLERANCE
        )
    start = replace(
        view.stored,
        focal_px=view.stored.focal_px * look.scale,
        position_ecef_m=look.prior.position_ecef_m,
    )
    light = search.lights.of(look.hazy, look.flat)
    small = light.resized(working_px(start, search.altitude_km), parameters.smooth_px)
    camera = small.camera(start)
    towns = search.window.towns(view.levels, camera, parameters)
    peaks = [
        (peak, stored)
        for peak in sparse.propose(towns, small, camera, parameters)
        if search.allows(stored := small.stored_camera(peak.camera, view.stored))
    ]
    cameras = [view.camera(stored) for _, stored in peaks]
    chosen = worth_aligning(view, cameras, parameters.max_off_nadir_deg)
    looks = []
    for number in chosen:
        ratio = peaks[number][0].camera.focal_px / camera.focal_px
        prior = replace(look.prior, focal_px=look.prior.focal_px * ratio)
        looks.append(replace(look, scale=look.scale * ratio, prior=prior))
    return view.aligned([cameras[number] for number in chosen], looks)


def worth_aligning(view: CoarseView, cameras: Sequence[Camera], off_nadir_deg: float) -> list[int]:
    """Which of the cameras that figures propose are aligned: the first, and those that look best.

    Under clouds, or where the map shows more towns than the photo, the odds of figures put the
    right camera anywhere among the proposals. The picture at first sight puts it first: of 29 looks
    at hard frames of the training half in which it was proposed, the odds had it among the first
    four in 12, first sight among the first three in 21.
    """
    if len(cameras) <= ALIGNED_PER_LOOK:
        return list(range(len(cameras)))
    seen = first_sight(
        view.levels,
        view.picture,
        cameras,
        off_nadir_deg,
        smooth_px=view.parameters.smooth_px,
        detail_px=view.parameters.detail_px,
    )
    best = [int(number) for number in np.argsort(-seen, kind="stable") if number > 0]
    return [0, *best[: ALIGNED_PER_LOOK - 1]]
