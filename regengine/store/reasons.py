"""Reasons of verdicts: codes with typed values, and the sentences that are made from both.

`reasons.toml` has the codes, their sentences, and what their values are.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from regengine.errors import RegengineError
from regengine.io.plain import format_count, plain

Values = dict[str, Any]  # numbers, texts, true, and lists of them, by the keys of reasons.toml


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Reason for a review or for no match: a short stable code, and the values behind it.

    Its sentence follows from both. It is always one line, even if a file name in it has line
    breaks; errors bring theirs as the value ``message``.
    """

    code: str
    values: Values = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Leave out what is unknown, and line breaks."""
        values = {
            name: " ".join(value.split()) if isinstance(value, str) else value
            for name, value in plain(self.values, str).items()
            if value is not None and value is not False
        }
        object.__setattr__(self, "values", values)

    @property
    def text(self) -> str:
        """The sentence: the first of its code all of whose values are there."""
        if (message := self.values.get("message")) is not None:
            return str(message)
        for template in load_reasons()[0].get(self.code, ("", ()))[1]:
            parts = _PART.sub(self._choose_part, template)
            if all(name in self.values for name in list_names(parts)):
                return _FIELD.sub(self._write_value, parts)
        return self.code.replace("_", " ")

    def _choose_part(self, found: re.Match[str]) -> str:
        name, _, wanted = found["name"].partition("=")
        value = self.values.get(name)
        is_there = value is not None and (not wanted or value == wanted)
        return found["text"] if is_there == (found["sign"] == "?") else ""

    def _write_value(self, found: re.Match[str]) -> str:
        return write_value(self.values[found["name"]], found["form"] or "")


def make_error_reason(error: RegengineError) -> Reason:
    """Make the reason of an error of this program."""
    return Reason(code=error.code, values={"message": str(error)})


# As reasons.toml says
_FIELD = re.compile(r"\{(?P<name>\w+)(?::(?P<form>[^}]*))?\}")
_PART = re.compile(r"\[(?P<sign>[?!])(?P<name>[\w=]+) (?P<text>[^\]]*)\]")
_NAMED_PART = re.compile(r"<(\w+)>")
UNITS_S = (86400.0, "day"), (3600.0, "hour"), (60.0, "minute"), (1.0, "second")


def write_value(value: Any, form: str) -> str:
    """Write a value in a sentence.

    Besides the formats of Python there are ``.0f %`` (of a share), ``n star|stars`` (a count),
    ``abs .0f``, ``sign minus|plus`` (words), ``a=one|b=two`` (words by value), ``duration``,
    ``place`` (an argument of the command line), ``points``, ``scales``, and those of times.
    """
    kind, _, rest = form.partition(" ")
    if kind == "n":
        return format_count(value, *rest.split("|"))
    if kind == "abs":
        return format(abs(value), rest)
    if kind == "sign":
        return rest.split("|")[value >= 0.0]
    if kind == "duration":
        unit_s, unit = next((one for one in UNITS_S if abs(value) >= 2.0 * one[0]), UNITS_S[-1])
        return format_count(round(abs(value) / unit_s), unit)
    if kind == "points":
        is_one = len(value) == 1
        return (
            f"point{'' if is_one else 's'} {', '.join(map(str, value))} {'is' if is_one else 'are'}"
        )
    if kind == "place":  # a negative number would be an option
        return f"{'-- ' if value < 0.0 else ''}{value:.2f}"
    if kind == "scales":
        each = (f"1e{one['log10_chance']:.1f} at {one['sample_m']:.4g} m" for one in value)
        return "; ".join(each)
    if form.endswith(" %"):
        return f"{100.0 * value:{kind}} %"
    if "=" in form:
        return dict(item.split("=", 1) for item in form.split("|")).get(str(value), "")
    return format(datetime.fromisoformat(value) if "%" in form else value, form)


def list_names(template: str) -> Iterator[str]:
    """List the values that a sentence needs."""
    return (found["name"] for found in _FIELD.finditer(template))


@cache  # in 5 ms, where a sentence is wanted
def load_reasons() -> tuple[dict[str, tuple[str, tuple[str, ...]]], dict[str, str]]:
    """Load what each code says, and its sentences; and what the values are, by their keys."""
    with Path(__file__).with_name("reasons.toml").open("rb") as stream:
        read = tomllib.load(stream)

    def fill_in(template: str) -> str:
        filled = _NAMED_PART.sub(lambda found: read["parts"][found[1]], template)
        return filled if filled == template else fill_in(filled)

    codes = {
        code: (about["says"], tuple(map(fill_in, about.get("sentences", ()))))
        for code, about in read["codes"].items()
    }
    return codes, read["values"]


def list_keys(code: str) -> list[str]:
    """List the keys of the values that a code may have."""
    joined = "".join(load_reasons()[0][code][1])
    of_parts = (found["name"].partition("=")[0] for found in _PART.finditer(joined))
    return list(dict.fromkeys((*of_parts, *list_names(joined))))
