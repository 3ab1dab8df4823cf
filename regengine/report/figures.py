"""Figures of a run, gathered while its photos stream by.

How many came out how, how far its answers can be trusted as far as the run itself can tell, when it
worked and on what longest, and what failed.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from heapq import nlargest
from typing import Any, Protocol, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from regengine.result import Verdict
from regengine.store.rows import Tables, first_of, reasons_of, values_of

VERDICTS: tuple[str, ...] = get_args(Verdict)
UNKNOWN = "unknown"
# Sentences carry numbers and file names: of each code so many different ones are told apart
MOST_SENTENCES = 200
SHOWN_SENTENCES = 3
# Of categories, camera bodies and codes the commonest are told
MOST_NAMES = 200


class Photos:
    """Some photos of a store as columns, of its groups ``frames`` and ``provenance``."""

    def __init__(self, tables: Tables) -> None:
        frames = tables["frames"]
        self.tables = tables
        self._columns = first_of(tables["provenance"], frames["frame_index"]) | frames
        self._texts: dict[str, list[str]] = {}
        self.verdicts = self.texts("verdict")
        self.solved: NDArray[np.bool_] = ~np.isnan(self["focal_px"])

    def __len__(self) -> int:
        return len(self.verdicts)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._columns[name]

    def texts(self, name: str) -> list[str]:
        """A column of texts."""
        if name not in self._texts:
            self._texts[name] = values_of(self[name])
        return self._texts[name]

    def where(self, name: str, text: str) -> NDArray[np.bool_]:
        """Which photos have a text in a column."""
        return np.array([value == text for value in self.texts(name)], dtype=bool)

    def rows(self, group: str) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows of another group, and the places of their photos among these."""
        numbers, wanted = self["frame_index"], self.tables[group]["frame_index"]
        places = np.minimum(np.searchsorted(numbers, wanted), len(numbers) - 1)
        rows = np.flatnonzero(numbers[places] == wanted)
        return rows, places[rows]


class Tally(Protocol):
    """What adds up photos as their blocks come by."""

    def add(self, photos: Photos) -> None:
        """Take some photos."""


class VerdictTally:
    """Counts of verdicts."""

    def __init__(self) -> None:
        self.all: Counter[str] = Counter()
        self._by: dict[str, Counter[tuple[str, str]]] = {
            name: Counter() for name in ("category", "camera_body")
        }

    def add(self, photos: Photos) -> None:
        """Count photos."""
        self.all.update(photos.verdicts)
        for name, counts in self._by.items():
            counts.update(zip(photos.texts(name), photos.verdicts, strict=True))

    def figures(self) -> dict[str, Any]:
        """Counts of all verdicts, those that did not occur among them."""
        return {
            "photos": self.all.total(),
            "verdicts": verdict_counts(self.all),
            **{f"by_{name}": _table(name, counts) for name, counts in self._by.items()},
        }


class ReasonTally:
    """Counts of reasons, with the sentences they came with."""

    def __init__(self) -> None:
        self._codes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._sentences: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add(self, photos: Photos) -> None:
        """Count the reasons of photos, each code of a photo once."""
        told = zip(
            photos.verdicts, photos.texts("reasons"), photos.texts("reason_texts"), strict=True
        )
        for (verdict, codes, texts), count in Counter(told).items():
            for code, text in {one.code: one.text for one in reasons_of(codes, texts)}.items():
                self._codes[code][verdict] += count
                sentences = self._sentences[code]
                if text in sentences or len(sentences) < MOST_SENTENCES:
                    sentences[text] += count

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


def _table(name: str, counts: Mapping[tuple[str, str], int]) -> list[dict[str, Any]]:
    tally: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (key, verdict), count in counts.items():
        tally[key or UNKNOWN][verdict] += count
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

    def add(self, values: NDArray[Any]) -> None:
        """Take values; what is not finite is left out."""
        self._values.frombytes(values[np.isfinite(values)].astype(float).tobytes())

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

    def add(self, photos: Photos) -> None:
        """Take photos' figures."""
        probability, fitted = photos["probability"], photos["matched_lights"] >= 0
        known = ~np.isnan(probability)
        # Of four points the worst: it bounds what the proposal can be used for
        worst = np.full(len(photos), np.nan)
        rows, places = photos.rows("control_points")
        np.fmax.at(worst, places, photos.tables["control_points"]["sigma_m"][rows])
        values = {
            "sigma_m": worst,
            "off_nadir_deg": np.where(photos.solved, photos["off_nadir_deg"], np.nan),
            "residual_m": np.where(fitted, photos["residual_m"], np.nan),
            "residual_px": np.where(fitted, photos["residual_px"], np.nan),
            "margin": np.where(fitted, photos["ncc"] - photos["runner_up_ncc"], np.nan),
            "matched_lights": np.where(fitted, photos["matched_lights"], np.nan),
        }
        for verdict in set(photos.verdicts):
            those = photos.where("verdict", verdict)
            if (those & known).any():
                told = self._probabilities.setdefault(verdict, Distribution(PROBABILITY_EDGES))
                told.add(probability[those & known])
            if verdict == "accepted":
                self._expected_right += float(probability[those & known].sum())
            for name, spread in self._spreads.get(verdict, {}).items():
                spread.add(values[name][those])

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


SLOWEST = 20


class TimeTally:
    """Seconds spent on photos and the times at which they were done."""

    def __init__(self) -> None:
        self._seconds = Distribution(decades(-2, 3))
        self._total_s = 0.0
        self._first_s, self._last_s = math.inf, -math.inf
        self._slowest: list[tuple[float, int, dict[str, Any]]] = []

    def add(self, photos: Photos) -> None:
        """Take photos' times."""
        seconds = np.where(np.isfinite(photos["seconds"]), photos["seconds"], np.nan)
        self._seconds.add(seconds)
        self._total_s += float(np.nansum(seconds))
        done = np.array([_posix(text) for text in photos.texts("processed_utc")])
        if np.isfinite(done).any():
            self._first_s = min(self._first_s, float(np.nanmin(done)))
            self._last_s = max(self._last_s, float(np.nanmax(done)))
        for row in np.argsort(-seconds, kind="stable")[:SLOWEST].tolist():  # what is missing last
            if np.isfinite(seconds[row]):
                codes = photos.texts("reasons")[row]
                facts = {name: photos.texts(name)[row] for name in ("frame", "path", "verdict")}
                told = float(seconds[row]), -int(photos["frame_index"][row])
                facts |= {"seconds": told[0], "reasons": codes.split(",") if codes else []}
                self._slowest.append((*told, facts))
        self._slowest = nlargest(SLOWEST, self._slowest, key=lambda slow: slow[:2])

    def figures(self) -> dict[str, Any]:
        """Distribution of seconds, span of the run, the slowest photos first."""
        known = math.isfinite(self._first_s)
        return {
            "seconds": self._seconds.figures(),
            "total_seconds": self._total_s,
            "first_utc": _iso(self._first_s) if known else None,
            "last_utc": _iso(self._last_s) if known else None,
            "slowest": [facts for _, _, facts in self._slowest],
        }


def _posix(text: str) -> float:
    """Seconds since 1970; nan for what is no time."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return math.nan
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _iso(posix_s: float) -> str:
    return datetime.fromtimestamp(posix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Item = TypeVar("Item")


def thinned(items: Sequence[Item], most: int) -> Sequence[Item]:
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
    """Failed photos by code; of very many, the first."""

    def __init__(self) -> None:
        self._codes: Counter[str] = Counter()
        self._shown: list[dict[str, Any]] = []

    def add(self, photos: Photos) -> None:
        """Take photos; those that did not fail are left out."""
        codes, texts = photos.texts("reasons"), photos.texts("reason_texts")
        for row in np.flatnonzero(photos.where("verdict", "failed")).tolist():
            reasons = reasons_of(codes[row], texts[row])
            facts = {name: photos.texts(name)[row] for name in ("frame", "path")}
            facts["code"] = reasons[0].code if reasons else ""
            self._codes[facts["code"]] += 1
            if len(self._shown) < MOST_SHOWN:
                text = "; ".join(reason.text for reason in reasons)
                self._shown.append(facts | {"text": text})

    def figures(self) -> dict[str, Any]:
        """How many, by code, and the first `MOST_SHOWN` of them."""
        return {
            "photos": self._codes.total(),
            "codes": dict(sorted(self._codes.items(), key=lambda pair: (-pair[1], pair[0]))),
            "shown": self._shown,
        }
