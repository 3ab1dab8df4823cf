"""How far a review is, how people and the engine agree, and people among themselves."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from regengine.io.plain import plain, printable
from regengine.review.decisions import Decision, Decisions, decisions_path
from regengine.review.frames import FrameColumns
from regengine.review.reviewed import camera_of, heads_of

CHOICES = ("accepted", "rejected", "unsure")
MOST_PAIRS = 50
# A grid over the photo, on whose ground two cameras are compared
PER_SIDE = 5


def review_stats(store: Path, rows: FrameColumns) -> dict[str, Any]:
    """All that `regengine review --stats --json` prints: see docs/commands/review.md.

    StoreError if the store or the decisions cannot be read.
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
    with closing(Decisions(decisions_path(store), readonly=True)) as decisions:
        diary = decisions.diary()
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


def kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa: agreement beyond what chance would bring, 1 at most.

    References
    ----------
    Cohen, J. (1960). A coefficient of agreement for nominal scales. Educational and Psychological
    Measurement 20 (1), 37-46.
    """
    if not pairs:
        return None
    number = len(pairs)
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    by_chance = sum(first[choice] * second[choice] for choice in first) / number**2
    if by_chance == 1.0:
        return None
    agreed = sum(a == b for a, b in pairs) / number
    return round((agreed - by_chance) / (1.0 - by_chance), 3)


def apart_px(first: Decision, second: Decision) -> float | None:
    """How far apart two people placed a photo.

    Ground that one camera sees on a grid over the photo is looked at with the other.
    """
    if first.decision != "accepted" or second.decision != "accepted":
        return None
    a, b = camera_of(first), camera_of(second)
    if a is None or b is None:
        return None
    x, y = np.meshgrid(
        np.linspace(0.0, a.width_px - 1.0, PER_SIDE), np.linspace(0.0, a.height_px - 1.0, PER_SIDE)
    )
    lon, lat = a.pixel_to_lonlat(x, y)
    other_x, other_y = b.lonlat_to_pixel(lon, lat)
    distances = np.hypot(other_x - x, other_y - y)
    known = distances[np.isfinite(distances)]
    return float(np.sqrt(np.mean(known**2))) if known.size else None


def _counts(values: Any) -> dict[str, int]:
    tally = Counter(str(value) for value in values if value is not None)
    return dict(sorted(tally.items(), key=lambda pair: (-pair[1], pair[0])))


def _middle(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(median(known), 3) if known else None


def stats_lines(figures: Mapping[str, Any]) -> Iterator[str]:
    """The figures of `review_stats` as lines for people, without the long lists."""
    decisions, work = figures["decisions"], figures["work"]
    yield (
        f"{printable(figures['store'])}: {figures['decided']:,} of {figures['frames']:,} frames "
        f"decided: {decisions['accepted']:,} accepted, {decisions['rejected']:,} rejected, "
        f"{decisions['unsure']:,} unsure"
    )
    yield (
        f"accepted as proposed {work['as_proposed']:,}, put right {work['put_right']:,}, placed "
        f"from nothing {work['from_nothing']:,}; {work['with_comment']:,} with a comment"
    )
    yield f"{figures['disputed']:,} disputed, {figures['stale']:,} judged before the last run"
    if figures["by_verdict"]:
        yield ""
        yield f"{'verdict':<10} {'frames':>8} {'accepted':>9} {'rejected':>9} {'unsure':>7}"
    for verdict, row in figures["by_verdict"].items():
        counts = f"{row['accepted']:>9,} {row['rejected']:>9,} {row['unsure']:>7,}"
        yield f"{verdict:<10} {row['frames']:>8,} {counts}"
    if figures["reviewers"]:
        yield ""
        yield f"{'reviewer':<24} {'frames':>8} {'seconds a frame':>16} {'last decision':>21}"
    for row in figures["reviewers"]:
        seconds = "" if row["median_seconds"] is None else f"{row['median_seconds']:.1f}"
        yield f"{row['reviewer']:<24} {row['frames']:>8,} {seconds:>16} {row['last_utc']:>21}"
    if figures["agreement"]["compared"]:
        yield ""
    for row in figures["agreement"]["pairs"]:
        beyond = "" if row["kappa"] is None else f", kappa {row['kappa']:.2f}"
        apart = "" if row["apart_px"] is None else f", {row['apart_px']:.1f} px apart"
        same = f"{row['same']:,} of {row['compared']:,} the same"
        yield f"{' and '.join(row['reviewers'])}: {same}{beyond}{apart}"
