"""Streaks drawn from the model itself are named as often as their probabilities say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from regengine.sky.satellites.streak_naming import (
    Errors,
    PredictedTracks,
    Streak,
    meet,
    name_streaks,
)

SIZE = (2000, 1500)
EXPOSURE_S = 6.0
SECONDS = np.linspace(-14.0, 14.0, 71)
ERRORS = Errors(
    exposure_s=EXPOSURE_S, clock_sigma_s=0.0, attitude_px=0.5, wide_share=0.1, wide=(6.0, 3.0)
)
CORE = np.array([8.0, 2.0])  # pixels along and across the track, one sigma


def made_up_tracks(count, rng):
    """Straight tracks at even speed, all through the picture, with errors along and across."""
    through = rng.uniform([200.0, 200.0], [1800.0, 1300.0], (count, 2))
    turn = rng.uniform(0.0, 2.0 * np.pi, count)
    along = np.stack([np.cos(turn), np.sin(turn)], -1)
    speed = rng.uniform(10.0, 90.0, count)
    xy = through[:, None] + SECONDS[:, None] * (speed[:, None] * along)[:, None]
    across = np.stack([-along[:, 1], along[:, 0]], -1)
    per_sigma = np.stack([CORE[0] * along, CORE[1] * across], -1)[:, None]
    return xy, np.broadcast_to(per_sigma, (count, len(SECONDS), 2, 2)), along, speed, across


def drawn(k, tracks, clock_s, rng, *, ahead_s=0.0):
    """The streak that one satellite draws: ends, and which of them lies beyond the border."""
    xy, _, along, speed, across = tracks
    grown = np.where(rng.random() < ERRORS.wide_share, ERRORS.wide, 1.0) * CORE
    off = rng.normal(0.0, grown[0]) * along[k] + rng.normal(0.0, grown[1]) * across[k]
    off = off + rng.normal(0.0, ERRORS.attitude_px, 2)
    middle = xy[k, len(SECONDS) // 2] + off
    times = np.array([-0.5, 0.5]) * EXPOSURE_S + clock_s + ahead_s
    ends = middle + times[:, None] * speed[k] * along[k]
    ends += np.outer(rng.normal(0.0, 1.5, 2), along[k])
    ends += np.outer(rng.normal(0.0, 0.4, 2), across[k])
    return measured(ends if rng.random() < 0.5 else ends[::-1])


def measured(ends):
    width, height = SIZE
    inside = np.all((ends > 0) & (ends < np.array([width - 1, height - 1])), axis=1)
    if not inside.any():
        return None
    kept = ends.copy()
    for k in range(2):
        if not inside[k]:
            fine = ends[1 - k] + np.linspace(0, 1, 4000)[:, None] * (ends[k] - ends[1 - k])
            good = np.all((fine > 0) & (fine < np.array([width - 1, height - 1])), axis=1)
            kept[k] = fine[np.flatnonzero(good)[-1]]
    return Streak(
        ends=np.stack([kept, kept]),
        cut=(not inside[0], not inside[1]),
        sigma_end_px=1.5,
        sigma_line_px=0.4,
    )


def name(streaks, tracks, clock_sigma_s):
    xy, per_sigma, *_ = tracks
    seen = np.full(xy.shape[:2], 0.5)
    predicted = PredictedTracks(xy=xy, per_sigma=per_sigma, seconds=SECONDS, seen=seen)
    return name_streaks(streaks, predicted, replace(ERRORS, clock_sigma_s=clock_sigma_s), SIZE)


def best_of(naming):
    return int(naming.candidates["row"][0]) if len(naming.candidates) else None


def test_a_place_beside_a_track_is_met_where_and_when_it_should_be():
    xy = np.stack([10.0 * SECONDS, 3.0 + 0.0 * SECONDS], -1)[None]
    met = meet(xy, SECONDS, np.array([25.0, 8.0]))
    assert met.seconds[0] == pytest.approx(2.5)
    assert met.beside_px[0] == pytest.approx(5.0)
    assert met.speed_px_s[0] == pytest.approx(10.0)
    beyond = meet(xy, SECONDS, np.array([200.0, 3.0]))
    assert beyond.seconds[0] == pytest.approx(20.0)
    assert beyond.beside_px[0] == pytest.approx(0.0)
    assert np.isinf(meet(np.full_like(xy, np.nan), SECONDS, np.zeros(2)).beside_px[0])


@pytest.mark.parametrize("clock_sigma_s", [0.0, 1.0])
def test_probabilities_are_honest(clock_sigma_s):
    """Crowded on purpose: 100 satellites in the picture, so that some streaks have two answers."""
    rng = np.random.default_rng([7, int(10 * clock_sigma_s)])
    probability, right = [], []
    for _ in range(14):
        tracks = made_up_tracks(100, rng)
        clock_s = rng.normal(0.0, clock_sigma_s) if clock_sigma_s else 0.0
        chosen = rng.choice(100, 3, replace=False)
        pairs = [(k, drawn(k, tracks, clock_s, rng)) for k in chosen]
        pairs = [(k, streak) for k, streak in pairs if streak is not None]
        for (k, _), naming in zip(pairs, name([s for _, s in pairs], tracks, clock_sigma_s),
                                  strict=True):  # fmt: skip
            total = naming.probability.sum() + naming.unlisted
            assert total == pytest.approx(1.0, abs=1e-4)
            if len(naming.candidates):
                probability.append(naming.probability[0])
                right.append(best_of(naming) == k)
    probability, right = np.array(probability), np.array(right)
    assert len(right) > 30
    assert right.mean() > 0.9
    # Wrong ones expected: the sum of 1 - P, with its own scatter
    expected = np.sum(1.0 - probability)
    scatter = np.sqrt(np.sum(probability * (1.0 - probability)) + 1.0)
    assert abs(np.sum(~right) - expected) < 3.5 * scatter


def test_the_clock_of_one_streak_names_the_others():
    """Satellites 2 s apart on one track, a clock good to 2 s, and one satellite far from them."""
    rng = np.random.default_rng(5)
    tracks = [np.array(part) for part in made_up_tracks(6, rng)]
    for k, speed in ((0, 60.0), (5, 90.0)):
        tracks[0][k] += SECONDS[:, None] * (speed - tracks[3][k]) * tracks[2][k]
        tracks[3][k] = speed
    for k in range(1, 5):  # copies of the first, each 2 s behind the one before
        tracks[0][k] = tracks[0][0] - 2.0 * k * tracks[3][0] * tracks[2][0]
        for part in tracks[1:]:
            part[k] = part[0]
    tracks[1] = np.where(np.arange(2) == 0, 0.1, 1.0) * tracks[1]
    train = drawn(2, tracks, 2.1, rng)
    alone = name([train], tracks, 2.0)[0]
    together = name([train, drawn(5, tracks, 2.1, rng)], tracks, 2.0)
    assert alone.probability[0] < 0.7
    assert best_of(together[0]) == 2
    assert together[0].probability[0] > 0.85
    assert best_of(together[1]) == 5
