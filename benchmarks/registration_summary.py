"""The outcomes in a few sentences, beside what was aimed for, and how to read the tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from benchmarks.registration_compare import agrees_locally, bases, judgement, moved_px
from benchmarks.registration_report import number
from benchmarks.registration_run import Outcome

NEAR_NADIR_DEG = 30.0
GOAL_NEAR_M, GOAL_OBLIQUE_SHARE = 500.0, 0.003
GOAL_MEDIAN_S, GOAL_SLOWEST_S, GOAL_MB = 3.0, 8.0, 1024.0
GOAL_MOVED_PX = 1.0

READING = """\
*Error*: distance between where the solved camera sees the reference points' pixels and where those
points lie, median / largest; with ≈, of landmarks picked by eye. A map pixel is 15 arc seconds,
463 m. *Control points*: the farthest of the four from what its pixel truly shows, against the bar
of 1 % of the footprint's diagonal or 1 km; the truth is the physical camera fitted to the
reference points. *Known place*: distance of the image centre from the city of the photo's title.
*Clock*: the along-track offset solved for. *s*: from opening the photo to the result on one
thread; imports and the opening of map and element sets are not in it. *MB*: largest resident
memory of the process, Python and libraries included. *Local shift*: how far the photo's lights lie
from where the camera shows the map's, measured by patches at the reference points, and the same
for the reference's own camera: it judges both by the photo itself. The Tokyo ISS038-E-36641
reference was made with a position some 70 km off the orbital plane of the element sets, and its
error grows toward the rim; there the local check and the hand points decide."""


def summary_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """Sentences on all outcomes, each with its aim, and the key to the tables."""
    first = bases(outcomes)
    plain = [outcome for outcome in outcomes if outcome.case.plain]
    scored = [outcome for outcome in plain if outcome.truth.points is not None]
    judged = [(outcome, judgement(outcome, first)) for outcome in outcomes]
    wrong = [o for o, word in judged if word == "wrong"]
    accepted_wrong = [o for o in wrong if o.result is not None and o.result.verdict == "accepted"]
    right = [o for o in scored if o.score is not None and o.score.right]
    by_eye = [o for o, w in judged if w == "right" and o.score is None and o.hand_m is not None]
    disputed = [o for o, word in judged if word == "disputed"]
    lines = [
        f"- Right by the reference points: {len(right)} of {len(scored)} ({names(right)}). Not by "
        f"these, but by the photo itself, which contradicts the reference: {names(disputed)}. In "
        f"agreement with the photo's own lights: {names(o for o in scored if agrees_locally(o))}.",
        f"- Right by landmarks picked by eye: {names(by_eye)}.",
        f"- Wrong: {names(wrong)}. Wrong and accepted: {names(accepted_wrong)} (aim: none).",
        f"- Verdicts of the photos as they are: {verdict_counts(plain)}.",
        *error_lines(scored),
        *cost_lines(plain, outcomes),
        *variant_lines(outcomes),
    ]
    return [*lines, "", READING]


def names(outcomes: Iterable[Outcome]) -> str:
    """Names of cases, or "none"."""
    return ", ".join(outcome.case.name for outcome in outcomes) or "none"


def verdict_counts(outcomes: Sequence[Outcome]) -> str:
    """How many of each verdict."""
    found = ["failed" if o.result is None else o.result.verdict for o in outcomes]
    return ", ".join(
        f"{found.count(verdict)} {verdict}"
        for verdict in ("accepted", "review", "no_match", "failed")
        if verdict in found
    )


def error_lines(scored: Sequence[Outcome]) -> list[str]:
    """Median errors near nadir in metres, and of obliques as a share of the diagonal."""
    near, oblique = [], []
    for outcome in scored:
        if outcome.score is None or outcome.truth.camera is None:
            continue
        middle = float(np.median(outcome.score.error_m))
        if outcome.truth.camera.off_nadir_deg <= NEAR_NADIR_DEG:
            near.append(f"{outcome.case.name} {number(middle, 0)} m")
        else:
            share = 100.0 * outcome.score.share_of_diagonal(middle)
            oblique.append(f"{outcome.case.name} {number(share)} %")
    return [
        f"- Median error near nadir: {', '.join(near) or 'none'} (aim: {GOAL_NEAR_M:.0f} m); "
        f"on obliques: {', '.join(oblique) or 'none'} of the diagonal (aim: "
        f"{100 * GOAL_OBLIQUE_SHARE:.1f} %)."
    ]


def cost_lines(plain: Sequence[Outcome], outcomes: Sequence[Outcome]) -> list[str]:
    """Time of the photos as they are, and memory of all cases."""
    times = [(outcome.wall_s, outcome.case.name) for outcome in plain if outcome.result is not None]
    if not times:
        return []
    slowest = max(times)
    peak = max((o.peak_mb for o in outcomes if o.result is not None), default=float("nan"))
    median_s = float(np.median([seconds for seconds, _ in times]))
    return [
        f"- Time of a photo as it is: median {median_s:.1f} s (aim: {GOAL_MEDIAN_S:.0f} s), "
        f"slowest {slowest[0]:.1f} s ({slowest[1]}; aim: {GOAL_SLOWEST_S:.0f} s). Largest memory: "
        f"{peak:.0f} MB (aim: {GOAL_MB:.0f} MB)."
    ]


def variant_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """How many variants give the same places within a map pixel."""
    first = bases(outcomes)
    variants = [outcome for outcome in outcomes if outcome.case.variant]
    if not variants:
        return []
    moved = [moved_px(outcome, first.get(outcome.case.file)) for outcome in variants]
    medians = sum(found is not None and found[0] <= GOAL_MOVED_PX for found in moved)
    largest = sum(found is not None and found[1] <= GOAL_MOVED_PX for found in moved)
    return [
        f"- Turned, mirrored, cropped: of {len(variants)} variants {medians} give the same places "
        f"within a map pixel in the median, {largest} everywhere (aim: all)."
    ]
