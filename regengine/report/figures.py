"""Figures of a run, gathered while its photos stream by.

How many came out how, how far its answers can be trusted as far as the run itself can tell, when it
worked and on what longest, and what failed.
"""

from __future__ import annotations

import heapq
import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from regengine.result import FrameResult, Verdict
from regengine.store.rows import StoredFrame

VERDICTS: tuple[str, ...] = get_args(Verdict)
UNKNOWN = "unknown"
# Sentences carry numbers and file names: of each code so many different ones are told apart
MOST_SENTENCES = 200
SHOWN_SENTENCES = 3
# Of categories, camera bodies and codes the commonest are told
MOST_NAMES = 200


class VerdictTally:
    """Counts of verdicts."""

    def __init__(self) -> None:
        self.all: Counter[str] = Counter()
        self.by_category: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.by_camera_body: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add(self, result: FrameResult) -> None:
        """Count one photo."""
        self.all[result.verdict] += 1
        self.by_category[result.category or UNKNOWN][result.verdict] += 1
        self.by_camera_body[result.camera_body or UNKNOWN][result.verdict] += 1

    def figures(self) -> dict[str, Any]:
        """Counts of all verdicts, those that did not occur among them."""
        return {
            "photos": self.all.total(),
            "verdicts": verdict_counts(self.all),
            "by_category": _table("category", self.by_category),
            "by_camera_body": _table("camera_body", self.by_camera_body),
        }


class ReasonTally:
    """Counts of reasons, with the sentences they came with."""

    def __init__(self) -> None:
        self._codes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._sentences: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add(self, result: FrameResult) -> None:
        """Count the reasons of one photo, each code once."""
        for code, text in {reason.code: reason.text for reason in result.reasons}.items():
            self._codes[code][result.verdict] += 1
            sentences = self._sentences[code]
            if text in sentences or len(sentences) < MOST_SENTENCES:
                sentences[text] += 1

    def figures(self) -> list[dict[str, Any]]:
        """Codes with their counts and commonest sentences, the commonest code first."""
        order = sorted(self._codes, key=lambda code: (-self._codes[code].total(), code))
        return [
            {
                "code": code,
                "photos": self._codes[code].total(),
                "verdicts": verdict_counts(self._codes[code]),
                "sentences": [t for t, _ in self._sentences[code].most_common(SHOWN_SENTENCES)],
                "different_sentences": len(self._sentences[code]),
            }
            for code in order[:MOST_NAMES]
        ]


def verdict_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts of all four verdicts in their usual order."""
    return {verdict: counts.get(verdict, 0) for verdict in VERDICTS}


def _table(name: str, tally: Mapping[str, Counter[str]]) -> list[dict[str, Any]]:
    order = sorted(tally, key=lambda key: (-tally[key].total(), key))
    return [
        {name: key, "photos": tally[key].total(), "verdicts": verdict_counts(tally[key])}
        for key in order[:MOST_NAMES]
    ]


QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class Distribution:
    """Values of one kind, eight bytes each; what lies beyond the edges counts in the outer bins."""

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = tuple(edges)
        self._values = array("d")

    def add(self, value: float | None) -> None:
        """Take a value; what is missing or not finite is left out."""
        if value is not None and math.isfinite(value):
            self._values.append(value)

    def figures(self) -> dict[str, Any]:
        """Count, mean, quantiles (None without values), bins."""
        values = np.asarray(self._values)
        inside = np.clip(values, self.edges[0], np.nextafter(self.edges[-1], -math.inf))
        names = [f"p{round(100 * quantile):02d}" for quantile in QUANTILES]
        found = np.quantile(values, QUANTILES).tolist() if len(values) else [None] * len(names)
        return {
            "count": len(values),
            "mean": float(values.mean()) if len(values) else None,
            **dict(zip(names, found, strict=True)),
            "edges": list(self.edges),
            "bins": np.histogram(inside, self.edges)[0].tolist(),
        }


def decades(lowest: int, highest: int, steps: tuple[float, ...] = (1.0, 2.0, 5.0)) -> list[float]:
    """Edges of bins for values of many sizes: 1, 2, 5, 10, 20 … between two powers of ten."""
    edges = [step * 10.0**power for power in range(lowest, highest) for step in steps]
    return [*edges, 10.0**highest]


PROPOSED = ("accepted", "review")
# Narrow where it matters: the acceptance threshold aims at one wrong in a thousand
PROBABILITY_EDGES = (0.0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999, 1.0)
MARGIN_EDGES = tuple(step / 20.0 for step in range(-1, 17))
OFF_NADIR_EDGES = tuple(float(degrees) for degrees in range(0, 95, 5))


class Reliability:
    """Probabilities, and how well proposals fit, of accepted and of reviewed photos."""

    def __init__(self) -> None:
        self._expected_right = 0.0
        self._spreads = {verdict: _spreads() for verdict in PROPOSED}
        self._probabilities: dict[str, Distribution] = {}

    def add(self, result: FrameResult) -> None:
        """Take one photo's figures."""
        if result.probability is not None:
            known = self._probabilities.setdefault(result.verdict, Distribution(PROBABILITY_EDGES))
            known.add(result.probability)
            if result.verdict == "accepted":
                self._expected_right += result.probability
        spreads = self._spreads.get(result.verdict)
        if spreads is None:
            return
        # Of four points the worst: it bounds what the proposal can be used for
        spreads["sigma_m"].add(max((p.sigma_m for p in result.control_points), default=None))
        if result.solved is not None:
            spreads["off_nadir_deg"].add(result.solved.off_nadir_deg)
        if result.fit is not None:
            spreads["residual_m"].add(result.fit.residual_m)
            spreads["residual_px"].add(result.fit.residual_px)
            spreads["margin"].add(result.fit.margin)
            spreads["matched_lights"].add(result.fit.matched_lights)

    def figures(self) -> dict[str, Any]:
        """Probabilities by verdict, the expected number of right ones, distributions."""
        probabilities = {v: known.figures() for v, known in sorted(self._probabilities.items())}
        accepted = probabilities.get("accepted", {"count": 0})["count"]
        return {
            "accepted": accepted,
            "expected_right": self._expected_right,
            "expected_wrong": accepted - self._expected_right,
            "probability": probabilities,
            "distributions": {
                name: {verdict: self._spreads[verdict][name].figures() for verdict in PROPOSED}
                for name in self._spreads["accepted"]
            },
        }


def _spreads() -> dict[str, Distribution]:
    return {
        "sigma_m": Distribution(decades(1, 5)),
        "residual_m": Distribution(decades(1, 5)),
        "residual_px": Distribution(decades(-1, 2)),
        "margin": Distribution(MARGIN_EDGES),
        "matched_lights": Distribution(decades(0, 4)),
        "off_nadir_deg": Distribution(OFF_NADIR_EDGES),
    }


# Probabilities from which decoys are counted
DECOYS_FROM = (0.5, 0.9, 0.99)


class DecoyTally:
    """How often photos were found where they cannot be: as many others are expected to be wrong.

    That is target-decoy competition (Elias and Gygi 2007): a wrong place is found as easily on one
    side of the Earth as on another.
    """

    def __init__(self) -> None:
        self._photos = 0
        self._accepted = Counter[str]()
        self._from = {least: Counter[str]() for least in DECOYS_FROM}

    def add(self, result: FrameResult) -> None:
        """Take one photo and its decoy, if it has one."""
        if result.decoy is None:
            return
        self._photos += 1
        for side, told in (("photos", result), ("decoys", result.decoy)):
            self._accepted[side] += told.verdict == "accepted"
            for least, counted in self._from.items():
                counted[side] += (told.probability or 0.0) >= least

    def figures(self) -> dict[str, Any] | None:
        """Counts, and at most how many accepted are wrong in 95 of 100 cases; None without any."""
        if not self._photos:
            return None
        from scipy.stats import beta

        wrong = self._accepted["decoys"]
        most = float(beta.ppf(0.95, wrong + 1, self._photos - wrong)) if wrong < self._photos else 1
        return {
            "photos": self._photos,
            "accepted": self._accepted["photos"],
            "decoys_accepted": wrong,
            "wrong_upper_95": most * self._photos,
            "by_probability": [
                {"least": least, "photos": counted["photos"], "decoys": counted["decoys"]}
                for least, counted in self._from.items()
            ],
        }


SLOWEST = 20


class TimeTally:
    """Seconds spent on photos and the times at which they were done."""

    def __init__(self) -> None:
        self._seconds = Distribution(decades(-2, 3))
        self._total_s = 0.0
        self._spans = array("d")
        self._slowest: list[tuple[float, int, dict[str, Any]]] = []

    def add(self, stored: StoredFrame) -> None:
        """Take one photo's times."""
        result = stored.result
        self._seconds.add(result.seconds)
        self._total_s += result.seconds if math.isfinite(result.seconds) else 0.0
        done = _posix(stored.processed_utc)
        if done is not None and math.isfinite(result.seconds):
            self._spans.extend((done - result.seconds, done))
        if len(self._slowest) == SLOWEST and not result.seconds > self._slowest[0][0]:
            return
        facts = {
            "frame": result.frame,
            "path": result.path,
            "verdict": result.verdict,
            "seconds": result.seconds,
            "reasons": [reason.code for reason in result.reasons],
        }
        heapq.heappush(self._slowest, (result.seconds, -stored.frame_index, facts))
        if len(self._slowest) > SLOWEST:
            heapq.heappop(self._slowest)

    def figures(self) -> dict[str, Any]:
        """Distribution of seconds, span of the run, rate, the slowest photos first."""
        spans = np.reshape(self._spans, (-1, 2))
        at_work_s = covered_s(spans)
        return {
            "seconds": self._seconds.figures(),
            "total_seconds": self._total_s,
            "first_utc": _iso(spans[:, 1].min()) if len(spans) else None,
            "last_utc": _iso(spans[:, 1].max()) if len(spans) else None,
            "at_work_seconds": at_work_s,
            "photos_per_second": len(spans) / at_work_s if at_work_s > 0.0 else None,
            "slowest": [facts for _, _, facts in sorted(self._slowest, key=lambda s: s[:2])[::-1]],
        }


def covered_s(spans: NDArray[np.float64]) -> float:
    """Length of the time that lies in at least one span."""
    if len(spans) == 0:
        return 0.0
    ordered = spans[np.argsort(spans[:, 0], kind="stable")]
    reached = np.maximum.accumulate(ordered[:, 1])
    begin = np.maximum(ordered[1:, 0], reached[:-1])
    later = np.maximum(ordered[1:, 1] - begin, 0.0)
    return float(ordered[0, 1] - ordered[0, 0] + later.sum())


def _posix(text: str) -> float | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _iso(posix_s: float) -> str:
    return datetime.fromtimestamp(posix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Item = TypeVar("Item")


class EvenSample(Generic[Item]):
    """Every item while they are few; every second, fourth, eighth … of more than `most`."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.seen = 0
        self.items: list[Item] = []
        self._step = 1

    def add(self, item: Item) -> None:
        """Take the next item, or let it pass."""
        if self.seen % self._step == 0 and self.most > 0:
            if len(self.items) == self.most:
                self.items = self.items[::2]
                self._step *= 2
            if self.seen % self._step == 0:
                self.items.append(item)
        self.seen += 1


def thinned(items: list[Item], most: int) -> list[Item]:
    """At most so many of some items, evenly spread over them."""
    if len(items) <= most:
        return items
    return [items[k * len(items) // most] for k in range(most)]


def fair_shares(counts: Mapping[str, int], most: int) -> dict[str, int]:
    """How many of each kind to show: kinds with few whole, the rest shared equally."""
    shares: dict[str, int] = {}
    left = most
    for done, (name, count) in enumerate(sorted(counts.items(), key=lambda pair: pair[1])):
        shares[name] = min(count, left // (len(counts) - done))
        left -= shares[name]
    return {name: shares[name] for name in counts}


MOST_SHOWN = 200


class FailureTally:
    """Failed photos by code; of very many, some of them."""

    def __init__(self) -> None:
        self._codes: Counter[str] = Counter()
        self._shown: EvenSample[dict[str, Any]] = EvenSample(MOST_SHOWN)

    def add(self, stored: StoredFrame) -> None:
        """Take a photo; those that did not fail are left out."""
        result = stored.result
        if result.verdict != "failed":
            return
        code = result.reasons[0].code if result.reasons else ""
        text = "; ".join(reason.text for reason in result.reasons)
        self._codes[code] += 1
        self._shown.add({"frame": result.frame, "path": result.path, "code": code, "text": text})

    def figures(self) -> dict[str, Any]:
        """How many, by code, and up to `MOST_SHOWN` of them."""
        return {
            "photos": self._codes.total(),
            "codes": dict(sorted(self._codes.items(), key=lambda pair: (-pair[1], pair[0]))),
            "shown": self._shown.items,
        }
