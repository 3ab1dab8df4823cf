"""What a user reads is in plain words, and a help is short enough to be read."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tests.world.sentences import Sentence, list_page_sentences, list_sentences

HELPS = sorted((Path(__file__).parents[1] / "use" / "baselines" / "help").glob("*.txt"))
SCREEN_LINES = 50
# Phrases that a reader has to translate, and what is said instead
BANNED = {
    r"\btold\b|\btells? (of|whether|how|what|where|which)\b": "says, is known, is reported",
    r"\balone\b": "only",
    r"\b(is|are) (none|no (?!longer))\b": "is not a, is not one of",
    r"\bat hand\b": "available",
    r"\banew\b": "again",
    r"\bby itself\b": "automatically, on its own",
    r"\bastray\b|\bas it comes\b|\bnowhere\b|\bnor is\b": "the fact itself",
    r"\bnot there\b|\bthere (already|any more)\b": "missing, exists",
    r"\bwhat (came|comes|is there|was told)\b": "the thing's name",
    r"\bput right\b|\bdone again\b|\bgiven up\b|\blooked for\b": "correct, process again, stop",
    r"\bmay be written to\b|\bmakes? room\b": "is writable, free some space",
    r"\b(is|are|it) cut short\b|\bwas cut short\b": "is truncated",
    r"\b1 (photos|frames|lights|points|files)\b": "the singular (`counted`)",
    r"\b(nobody|somebody)\b|\bwithout a look\b|\bmust look\b": "unknown, a person, check",
    r"\bmakes? no sense\b|\ball the same\b|\bfor want of\b": "is not valid, anyway, out of",
    r"\bis back: \b|\blies? on each other\b|\bon a sensor so long\b": "reopened, match",
    r"\b(so|as) (many|much|long|far) (points|as it is)\b|\bconfirmed are\b": "the number",
    r"\bwhole (or not|not)\b|\bof one's own\b|\bfor a while\b": "complete, your own, temporarily",
}


@cache
def list_own_sentences() -> list[Sentence]:
    """All sentences of the program and of the review page."""
    return list_sentences("regengine", "detectors", "matchers") + list_page_sentences()


def test_sentences_are_in_plain_words() -> None:
    sentences = list_own_sentences()
    assert len(sentences) > 1000
    odd = [
        f"{one.file}:{one.line}: {one.text[:100]!r}: say {instead}"
        for one in sentences
        for phrase, instead in BANNED.items()
        if re.search(phrase, one.text, re.IGNORECASE)
    ]
    assert odd == []


@pytest.mark.parametrize("kind", ["error", "reason", "help", "progress"])
def test_sentences_of_each_kind_are_found(kind: str) -> None:
    assert sum(one.kind == kind for one in list_own_sentences()) > 5


@pytest.mark.parametrize("path", HELPS, ids=lambda path: path.stem)
def test_a_help_fits_two_screens_and_names_no_types(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 2 * SCREEN_LINES
    assert not re.search(r"<(path|str|int|float|list)\b", text)
    # Of a help with headings, every option is under one (`regengine.commands.help_text`)
    assert "\nRun:\n" not in text or "\nOptions:\n" not in text
