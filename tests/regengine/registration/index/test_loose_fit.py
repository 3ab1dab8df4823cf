"""A photo of which not even the lens is known: accepted where its lights hold the fit, else not."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from matchers.earth import great_circle_km
from regengine.lights.map import LightMap
from regengine.photo.frame import read_frame
from regengine.registration.evidence import Evidence
from regengine.registration.index.earth import EarthIndex
from regengine.registration.lens_prior import SIGMA_LOG_FOCAL
from regengine.registration.outcome import result_of
from regengine.registration.register import search_frame
from regengine.registration.search import RegisterParams, SearchAids
from regengine.registration.without_orbit import (
    MOST_BEYOND,
    chance_of_any_beyond,
)
from tests.regengine.registration.index.conftest import SAMPLES
from tests.regengine.registration.index.test_blind_register import STEEP, worst_km


@pytest.mark.parametrize(("refits", "share"), [(20, 0.2), (20, 0.35), (6, 0.2)])
def test_the_chance_of_a_point_beyond_what_counts_as_right(refits: int, share: float) -> None:
    """As often as in draws where the sigma of the vaguest of four points comes from refits."""
    rng = np.random.default_rng(1)
    told = chance_of_any_beyond(share * np.array([1.0, 0.5, 0.4, 0.3]), 1.0, refits)
    errors = np.linalg.norm(rng.normal(size=(200_000, 2)), axis=1)
    found_sigma = np.sqrt(rng.chisquare(refits - 1, 200_000) / (refits - 1))
    drawn = float((errors / found_sigma > 1.0 / share).mean())
    assert told == pytest.approx(drawn, rel=0.15, abs=1e-4)
    assert (told <= MOST_BEYOND) == ((refits, share) == (20, 0.2))


@pytest.mark.parametrize(
    ("picture", "agreeing", "beyond"),
    [(3.0, 1, True), (2.5, 1, False), (2.5, 2, True), (1.5, 2, False)],
)
def test_that_two_ways_agree_counts_for_a_place_anywhere(
    picture: float, agreeing: int, beyond: bool
) -> None:
    said = made_evidence(picture_log10_odds=picture, agreeing=agreeing)
    assert said.beyond_chance is beyond


def made_evidence(**said: float) -> Evidence:
    """Evidence that says nothing but this."""
    nothing = dict.fromkeys((f.name for f in fields(Evidence)), 0.0)
    return Evidence(**nothing | {"agreeing": 1} | said)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_photo_without_a_lens_is_accepted_where_its_lights_hold_the_fit(
    light_map: LightMap, index: EarthIndex, tmp_path: Path
) -> None:
    photo = tmp_path / "found.png"
    cv2.imwrite(str(photo), cv2.imread(str(SAMPLES / f"{STEEP}.jpg")))
    frame, parameters = read_frame(photo), RegisterParams(most_work=20.0, any_category=True)
    search = search_frame(frame, None, light_map, parameters, SearchAids(index=index))
    result = result_of(search)
    assert frame.focal_mm is None
    assert result.verdict == "accepted"
    assert result.solved is not None
    assert worst_km(result.solved.camera, STEEP) < 1.0
    points = result.control_points
    lon, lat = result.solved.camera.pixel_to_lonlat([p.x for p in points], [p.y for p in points])
    away_km = great_circle_km(lon, lat, [p.lon for p in points], [p.lat for p in points])
    assert np.max(away_km) < 1.0
    # The same fit on three lights, however far apart, might be any other without one of them
    best = search.best
    assert best is not None
    refinement = best.solution.refinement
    x, y = refinement.matches.x, refinement.matches.y
    few = np.repeat([np.argmin(x), np.argmax(x), np.argmax(y)], 4)
    loose = replace(
        refinement,
        matches=refinement.matches.chosen(few),
        residual_px=refinement.residual_px[few],
        weights=refinement.weights[few],
    )
    search.best = replace(best, solution=replace(best.solution, refinement=loose))
    with_few = result_of(search)
    assert with_few.verdict == "review"
    assert with_few.reasons[0].code == "guessed_lens"
    # So is a fit that was set free since the lens that was told did not fit
    first = best.finalists[0]
    look = first.candidate.look
    told = replace(look, prior=replace(look.prior, sigma_log_focal=SIGMA_LOG_FOCAL))
    as_told = replace(first, candidate=replace(first.candidate, look=told))
    search.best = replace(search.best, finalists=(as_told, *best.finalists[1:]))
    set_free = result_of(search)
    assert set_free.reasons[0].code == "guessed_lens"
    # and one whose lens was told is no better off with three lights
    as_kept = replace(best.solution, refinement=loose, finalist=as_told)
    search.best = replace(best, solution=as_kept)
    few_told = result_of(search)
    assert few_told.reasons[0].code == "loose_fit"
