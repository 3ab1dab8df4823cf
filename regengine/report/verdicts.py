"""How many photos came out how: altogether, by category, by camera body, by pass, by reason."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, get_args

from regengine.result import FrameResult, Verdict

VERDICTS: tuple[str, ...] = get_args(Verdict)
UNKNOWN = "unknown"
# Sentences carry numbers and file names: of each code so many different ones are told apart
MOST_SENTENCES = 200
SHOWN_SENTENCES = 3
# Of categories, camera bodies and codes the commonest are told
MOST_NAMES = 200


class VerdictTally:
    """Counts of verdicts.

    Attributes
    ----------
    all : Counter
        By verdict.
    by_category, by_camera_body : dict of str to Counter
        The same for each.
    """

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
