"""How far a review is, how people and the engine agree, and people among themselves."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any

from regengine.plain_json import plain
from regengine.review.agreement import apart_px, kappa
from regengine.review.decision_file import decisions_path
from regengine.review.decision_records import Decision
from regengine.review.decisions import Decisions
from regengine.review.frame_columns import FrameColumns
from regengine.review.reviewed import heads_of

CHOICES = ("accepted", "rejected", "unsure")
MOST_PAIRS = 50


def review_stats(store: Path, rows: FrameColumns) -> dict[str, Any]:
    """All that `regengine review --stats --json` prints.

    Parameters
    ----------
    store : Path
        The store.
    rows : FrameColumns
        Its frames.

    Returns
    -------
    dict
        As docs/commands/review.md tells them; plain values.

    Raises
    ------
    StoreError
        If the store or the decisions cannot be read.
    """
    heads = heads_of(store)
    counted = {number: found[0] for number, (found, _) in heads.items()}
    stale = sum(found[0].judged.proposal_sha256 != now for found, now in heads.values())
    disputed = sum(len({head.decision for head in found}) > 1 for found, _ in heads.values())
    figures = {
        "store": store.name,
        "frames": len(rows),
        "decided": len(counted),
        "open": len(rows) - len(counted),
        "decisions": _choices(counted.values()),
        "by_verdict": _by_verdict(counted, rows),
        "disputed": disputed,
        "stale": stale,
        "work": _work(list(counted.values())),
        "seconds": {
            choice: _middle([head.seconds for head in counted.values() if head.decision == choice])
            for choice in CHOICES
        },
        "quality": _counts(head.work["quality"] for head in counted.values()),
        "tags": _counts(tag for head in counted.values() for tag in head.work["tags"]),
        "reviewers": _reviewers(store),
        "agreement": _agreement([found for found, _ in heads.values()]),
    }
    told: dict[str, Any] = plain(figures, str)
    return told


def _choices(heads: Any) -> dict[str, int]:
    tally = Counter(head.decision for head in heads)
    return {choice: tally[choice] for choice in CHOICES}


def _by_verdict(counted: Mapping[int, Decision], rows: FrameColumns) -> dict[str, dict[str, int]]:
    """By the verdict that the engine had given when a person decided."""
    found: defaultdict[str, list[Decision]] = defaultdict(list)
    for head in counted.values():
        found[head.judged.verdict].append(head)
    frames = rows.verdict.counts()
    return {
        verdict: {"frames": frames.get(verdict, 0), **_choices(found[verdict])}
        for verdict in dict.fromkeys([*frames, *found])
    }


def _work(heads: Sequence[Decision]) -> dict[str, int]:
    """What was done to the accepted frames."""
    accepted = [head for head in heads if head.decision == "accepted"]
    moved = [
        head
        for head in accepted
        if any(point["origin"] != "engine" for point in head.work["points"])
        or head.work["hypothesis"]  # a runner-up
    ]
    return {
        "as_proposed": len(accepted) - len(moved),
        "put_right": sum(head.work["hypothesis"] is not None for head in moved),
        "from_nothing": sum(head.work["hypothesis"] is None for head in moved),
        "with_comment": sum(bool(head.work["comment"].strip()) for head in heads),
    }


def _reviewers(store: Path) -> list[dict[str, Any]]:
    if not decisions_path(store).exists():
        return []
    decisions = Decisions(decisions_path(store), readonly=True)
    try:
        diary = decisions.diary()
    finally:
        decisions.close()
    entries: defaultdict[str, list[tuple[str, float | None, int, str]]] = defaultdict(list)
    for name, time_utc, seconds, number, sha256 in diary:
        entries[name].append((time_utc, seconds, number, sha256))
    return [
        {
            "reviewer": name,
            "decisions": len(made),
            "frames": len({(number, sha256) for _, _, number, sha256 in made}),
            "median_seconds": _middle([seconds for _, seconds, _, _ in made]),
            "first_utc": made[0][0],
            "last_utc": made[-1][0],
        }
        for name, made in sorted(entries.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def _agreement(of_frames: Sequence[Sequence[Decision]]) -> dict[str, Any]:
    """How two people's latest decisions on the same frames agree."""
    pairs: defaultdict[tuple[str, str], list[tuple[Decision, Decision]]] = defaultdict(list)
    for heads in of_frames:
        for a, b in combinations(sorted(heads, key=lambda head: head.reviewer), 2):
            pairs[a.reviewer, b.reviewer].append((a, b))
    every = [pair for found in pairs.values() for pair in found]
    most = sorted(pairs.items(), key=lambda item: (-len(item[1]), item[0]))[:MOST_PAIRS]
    return {
        "frames": sum(len(heads) > 1 for heads in of_frames),
        **_agreed(every),
        "pairs": [{"reviewers": list(names), **_agreed(found)} for names, found in most],
    }


def _agreed(pairs: Sequence[tuple[Decision, Decision]]) -> dict[str, Any]:
    choices = [(a.decision, b.decision) for a, b in pairs]
    return {
        "compared": len(pairs),
        "same": sum(a == b for a, b in choices),
        "kappa": kappa(choices),
        "apart_px": _middle([apart_px(a, b) for a, b in pairs]),
    }


def _counts(values: Any) -> dict[str, int]:
    tally = Counter(str(value) for value in values if value is not None)
    return dict(sorted(tally.items(), key=lambda pair: (-pair[1], pair[0])))


def _middle(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(median(known), 3) if known else None
