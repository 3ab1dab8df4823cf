"""Propose hypotheses by dense correlation of photo and map, in all directions from a place."""

from __future__ import annotations

import math
from dataclasses import replace

from matchers.geometry.camera import Camera
from matchers.lights import dense
from matchers.lights.dense import DenseParameters, choose_templates, spread_boresights
from regengine.registration.align import align_first, is_same_view, unmirror
from regengine.registration.hypotheses import choose_template_px, make_hypothesis
from regengine.registration.priors.lens import is_telephoto
from regengine.registration.types import Hypothesis, ImageKind, Problem, Stage, keeps_sky_free
from regengine.registration.windows import (
    FARTHEST_DEG,
    MIN_SAMPLE_KM,
    compute_ground_reach_km,
    compute_slant_range_km,
)


def propose_dense(problem: Problem, stage: Stage) -> list[Hypothesis]:
    """Propose the best distinct directions from a place, aligned.

    The method serves frames without asterisms: long lenses and few lights. Clipped images of cities
    resemble each other. Of eleven telephoto frames of the training half, the right camera was the
    first in seven, and within the first 13 in nine.
    """
    place, nominal = stage.place, problem.photo.nominal
    assert place is not None
    x, y, z = place.position_ecef_m.tolist()
    lens = replace(nominal, focal_px=nominal.focal_px * stage.lens.ratio, position_ecef_m=(x, y, z))
    clipped = is_telephoto(lens)
    kind: ImageKind = "clipped" if clipped else "narrow"
    size_px = choose_template_px(problem, stage.lens)
    nearest_deg, farthest_deg = stage.off_nadir_deg
    # Telephoto frames are taken near nadir: 65 degrees off it the ground lies 1,100 km away
    farthest_deg = min(farthest_deg, 65.0 if clipped else DenseParameters().max_off_nadir_deg)
    params = replace(DenseParameters(), template_px=size_px, max_off_nadir_deg=farthest_deg)
    sample_km = problem.altitude_km / lens.focal_px * max(lens.width_px, lens.height_px) / size_px
    step_km = sample_km / 1.5
    if clipped:
        # Distant ground has a coarser sample, and windows of whole cities are slow to read
        nearest_km = compute_slant_range_km(
            problem.altitude_km, math.cos(math.radians(nearest_deg))
        )
        step_km = sample_km * nearest_km / problem.altitude_km / 1.2
    # Tiles around boresights at the edge of the zone extend 12 degrees beyond it
    reach_deg = min(farthest_deg + (12.0 if farthest_deg < 60.0 else 0.0), FARTHEST_DEG)
    levels = problem.windows.around(
        place.position_ecef_m,
        compute_ground_reach_km(problem.altitude_km, reach_deg),
        max(step_km, MIN_SAMPLE_KM),
    )
    if levels is None:
        return []
    image = problem.photo.image(kind).resized(size_px, 0.7, params.detail_px)
    image = unmirror(image, stage.mirrored)
    photo = replace(image.camera(lens), mirrored=False)
    templates = choose_templates(image.values, image.weight, photo.focal_px, params)
    directions = spread_boresights(templates.step_deg, nearest_deg, farthest_deg)
    chosen: list[Camera] = []
    for k, peak in enumerate(dense.search(levels, photo, templates, directions, params)):
        if len(chosen) == stage.n_aligned or k == 300:
            break
        camera = replace(image.stored_camera(peak.camera, nominal), mirrored=stage.mirrored)
        share = 0.5 * problem.params.search.same_view_share
        if keeps_sky_free(problem.photo, camera) and not any(
            is_same_view(camera, other, share) for other in chosen
        ):
            chosen.append(camera)
    hypotheses = [make_hypothesis(problem, stage, place, camera, kind) for camera in chosen]
    return align_first(problem, hypotheses, levels, size_px=size_px)
