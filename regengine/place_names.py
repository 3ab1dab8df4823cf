"""Names of places as people type them: without accents, case or punctuation."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

MOST_LETTERS = 100  # of what is sought
LEAST_LETTERS = 2
# Letters that are no others with a mark, and what stands between words
_LETTERS = {"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ı": "i", "ŧ": "t"}
_PUNCTUATION = re.compile(r"[^\w\n\t]+|_")
_MARKS = re.compile("[\u0300-\u036f\u02b0-\u02ff]")
# Of one kind of hit: 'sa' begins 20,000 names, and only the largest places are asked for
MOST_HITS = 5000


def folded(text: str) -> str:
    """Letters that do not tell upper from lower case or with accents from without.

    Parameters
    ----------
    text : str
        Lines and tabs stay; other punctuation becomes single blanks.
    """
    plain = _MARKS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    for letter, same in _LETTERS.items():  # ten times faster than by a table
        plain = plain.replace(letter, same)
    return _PUNCTUATION.sub(" ", plain)


class PlaceNames:
    """All names of places, for finding those that begin with what is typed.

    Parameters
    ----------
    names : iterable of sequence of str
        Of each place, the largest first: its name, then its others; in one line, without tabs.
    """

    def __init__(self, names: Iterable[Sequence[str]]) -> None:
        # One text is searched ten times faster than 300,000 names
        self._text = "\n" + folded("\n".join(map("\t".join, names))) + "\n"
        ends = [match.start() for match in re.finditer("\n", self._text)]
        self._starts = np.array(ends[:-1])

    def find(self, typed: str, most: int) -> list[int]:
        """Places with a name that is, or begins with, what is typed.

        Parameters
        ----------
        typed : str
            Part of a name, in any spelling that is known; fewer than `LEAST_LETTERS` find none.
        most : int
            How many at most.

        Returns
        -------
        list of int
            Places, counted from 0: first those of that very name, then those with such another
            name, then those whose names, others and inner words begin so; the largest first.
        """
        sought = folded(typed[:MOST_LETTERS]).strip()
        if len(sought) < LEAST_LETTERS or "\n" in sought or "\t" in sought:
            return []
        found: dict[int, None] = {}
        kinds = (
            rf"\n{sought}(?=[\t\n])",
            rf"\t{sought}(?=[\t\n])",
            rf"\n{sought}",
            rf"\t{sought}",
            rf" {sought}",
        )
        for kind in kinds:
            hits = [m.start() for m in islice(re.finditer(kind, self._text), MOST_HITS)]
            # A line's first character ends the line before
            places = np.searchsorted(self._starts, hits, side="right") - 1
            found |= dict.fromkeys(places.tolist())
            if len(found) >= most:
                break
        return list(found)[:most]
