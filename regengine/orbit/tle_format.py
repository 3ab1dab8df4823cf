"""The text of a TLE file: pair its lines, check every column that matters, say what is wrong.

SGP4 itself accepts wrong checksums and cut lines, so nothing here leaves the checking to it.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detectors.types import FloatArray
from regengine.errors import EphemerisError
from regengine.orbit.rotation import days_since_j2000, utc_of

if TYPE_CHECKING:
    from sgp4.api import Satrec

LINE_LENGTH = 69
# Of an orbit mean-elements message: what SGP4 does not need, where a catalogue leaves it out
NOT_NEEDED = ("EPHEMERIS_TYPE", "ELEMENT_SET_NO", "REV_AT_EPOCH", "MEAN_MOTION_DOT")
OMM_DEFAULTS: dict[str, object] = dict.fromkeys((*NOT_NEEDED, "MEAN_MOTION_DDOT"), 0)
OMM_DEFAULTS |= {"OBJECT_NAME": "", "OBJECT_ID": "", "CLASSIFICATION_TYPE": "U"}
LINE_START = re.compile(r"[12] [ 0-9A-Z][ 0-9]{4}")  # the number may be padded or Alpha-5
# What a character adds to the checksum: its digit, 1 for a minus sign, nothing for the rest.
CHECKSUM_VALUE = bytes(
    max(b"0123456789".find(code), int(code == ord("-")), 0) for code in range(256)
)
# Columns (zero-based) that the choice of a set depends on, with the range each must lie in.
EPOCH_YEAR, EPOCH_DAY = slice(18, 20), slice(20, 32)
CHECKED_FIELDS = (
    (0, EPOCH_YEAR, "epoch year", 0.0, 99.0),
    (0, EPOCH_DAY, "epoch day", 1.0, 367.0),
    (1, slice(8, 16), "inclination", 0.0, 180.0),
    (1, slice(17, 25), "right ascension of the node", -360.0, 360.0),
    (1, slice(26, 33), "eccentricity", 0.0, 9999999.0),
    (1, slice(34, 42), "argument of perigee", -360.0, 360.0),
    (1, slice(43, 51), "mean anomaly", -360.0, 360.0),
    (1, slice(52, 63), "mean motion", 0.01, 20.0),
)


@dataclass(frozen=True, kw_only=True)
class SkippedSet:
    """An element set that was left out, the line it stands on and one sentence why."""

    line_number: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class ElementSet:
    """One element set: its two lines, where they stand in which file, and the name above them."""

    line1: str
    line2: str
    line_number: int  # from one
    line2_number: int = 0
    name: str | None = None
    path: Path | None = None

    @property
    def satellite(self) -> str:
        """Catalogue number as written, without padding."""
        return self.line1[2:7].strip().zfill(5)

    @property
    def epoch_utc(self) -> datetime:
        """Time that the elements are of."""
        return utc_of(float(_epoch_days([self])[0]))

    def satrec(self) -> Satrec:
        """SGP4's own record of the set (WGS72 constants, as the elements were made with).

        EphemerisError if SGP4 cannot use the lines.
        """
        from sgp4.api import Satrec

        try:
            return Satrec.twoline2rv(self.line1[:LINE_LENGTH], self.line2[:LINE_LENGTH])
        except ValueError as error:
            raise EphemerisError(
                f"{self.path}, line {self.line_number}: SGP4 cannot read the element set "
                f"({error}); download it again"
            ) from error

    def age_h(self, time_utc: datetime) -> float:
        """Hours from the epoch to a time: positive where the set is older than the photograph."""
        return 24.0 * (days_since_j2000(time_utc) - days_since_j2000(self.epoch_utc))


def read_tle_text(path: Path) -> str:
    """The file's text: UTF-8 or UTF-16, with or without a byte-order mark."""
    if path.exists() and not path.is_file():  # a pipe would never end
        raise EphemerisError(f"{path}: the TLE file is no file; check the path given with --tle")
    try:
        content = path.read_bytes()
    except OSError as error:
        what = (error.strerror or str(error)).lower()
        raise EphemerisError(
            f"{path}: the TLE file cannot be read ({what}); check the path given with --tle"
        ) from error
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return content.decode(encoding, errors="replace")


def read_pairs(path: Path) -> tuple[list[ElementSet], list[SkippedSet]]:
    """Element sets of a file, unchecked, and what of it makes none.

    Two-line sets, or orbit mean-elements messages (CCSDS 502.0-B) as JSON or CSV, which catalogues
    give, written as the lines that they stand for.
    """
    text = read_tle_text(path)
    start = text.lstrip()[:4096]
    if start.startswith(("[", "{")):
        try:
            records = json.loads(text)
        except ValueError as error:
            raise EphemerisError(
                f"{path}: it begins like JSON and is none ({error}); download it again"
            ) from error
        records = records if isinstance(records, list) else [records]
        return _pairs_of_messages(enumerate(records, start=1))
    if "NORAD_CAT_ID" in start.partition("\n")[0]:
        return _pairs_of_messages(enumerate(csv.DictReader(text.splitlines()), start=2))
    return pair_lines(text)


def _pairs_of_messages(
    messages: Iterable[tuple[int, object]],
) -> tuple[list[ElementSet], list[SkippedSet]]:
    """Orbit mean-elements messages, each with its line or place in the file, as pairs of lines."""
    from sgp4 import omm
    from sgp4.api import Satrec
    from sgp4.exporter import export_tle

    pairs: list[ElementSet] = []
    skipped: list[SkippedSet] = []
    for number, message in messages:
        try:
            if not isinstance(message, Mapping):
                raise TypeError("it is no object")
            fields = {**OMM_DEFAULTS, **{k: v for k, v in message.items() if v not in (None, "")}}
            epoch = datetime.fromisoformat(str(fields["EPOCH"])).replace(tzinfo=None)
            fields["EPOCH"] = f"{epoch:%Y-%m-%dT%H:%M:%S.%f}"
            record = Satrec()
            omm.initialize(record, fields)
            lines = export_tle(record)
        except (KeyError, TypeError, ValueError) as error:
            what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            reason = f"message {number} is no orbit mean-elements message ({what})"
            skipped.append(SkippedSet(line_number=number, reason=reason))
            continue
        name = str(fields["OBJECT_NAME"]) or None
        pairs.append(
            ElementSet(
                line1=lines[0], line2=lines[1], line_number=number, line2_number=number, name=name
            )
        )
    return pairs, skipped


def pair_lines(text: str) -> tuple[list[ElementSet], list[SkippedSet]]:
    """Pairs of lines among names, comments and blank lines, unchecked; lines without partner."""
    pairs: list[ElementSet] = []
    skipped: list[SkippedSet] = []
    first: tuple[int, str] | None = None
    name: str | None = None

    def alone(number: int, this: str, other: str) -> None:
        reason = f"line {number} is the {this} line of a set whose {other} is missing"
        skipped.append(SkippedSet(line_number=number, reason=reason))

    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line[0] == "#":
            continue
        if not LINE_START.match(line):
            name = line.removeprefix("0 ").strip()
        elif line[0] == "1":
            if first is not None:
                alone(first[0], "first", "second")
            first = (number, line)
        elif first is None:
            alone(number, "second", "first")
            name = None
        else:
            number1, line1 = first
            pairs.append(
                ElementSet(
                    line1=line1, line2=line, line_number=number1, line2_number=number, name=name
                )
            )
            first, name = None, None
    if first is not None:
        alone(first[0], "first", "second")
    return pairs, skipped


def check_pairs(
    pairs: Sequence[ElementSet],
) -> tuple[list[ElementSet], FloatArray, list[SkippedSet]]:
    """The pairs whose two lines are whole, sum up, belong together and hold numbers; the others.

    Between them the good ones' epochs, days since 2000-01-01 12:00 UTC, shape (n,).
    """
    good: list[ElementSet] = []
    skipped: list[SkippedSet] = []
    for pair in pairs:
        if (reason := _problem(pair)) is None:
            good.append(pair)
        else:
            skipped.append(SkippedSet(line_number=pair.line_number, reason=reason))
    return good, _epoch_days(good), skipped


def _problem(pair: ElementSet) -> str | None:
    """One sentence if a pair of lines is no element set."""
    numbers = pair.line_number, pair.line2_number
    lines = pair.line1.encode("ascii", "replace"), pair.line2.encode("ascii", "replace")
    for number, line in zip(numbers, lines, strict=True):
        if len(line) < LINE_LENGTH:
            return f"line {number} has {len(line)} characters instead of 69: it is cut"
        if len(line) > LINE_LENGTH and not line[LINE_LENGTH:][:1].isspace():
            return f"line {number} has {len(line)} characters instead of 69"
    for number, line in zip(numbers, lines, strict=True):
        right = str(sum(line[: LINE_LENGTH - 1].translate(CHECKSUM_VALUE)) % 10)
        written = line[LINE_LENGTH - 1 : LINE_LENGTH].decode()
        if written != right:
            return f"line {number} ends with checksum {written!r} where its digits give {right}"
    one, other = (line[2:7] for line in lines)
    if one != other:
        return (
            f"lines {numbers[0]} and {numbers[1]} belong to different satellites "
            f"({one.decode().strip()} and {other.decode().strip()})"
        )
    for at, place, what, low, high in CHECKED_FIELDS:
        try:
            fine = low <= float(lines[at][place]) <= high
        except ValueError:
            fine = False
        if not fine:
            text = (pair.line1, pair.line2)[at][place].strip()
            return f"line {numbers[at]} has {text!r} as its {what}"
    return None


def _epoch_days(pairs: Sequence[ElementSet]) -> FloatArray:
    year = np.array([int(float(pair.line1[EPOCH_YEAR])) for pair in pairs], dtype=int)
    year += np.where(year < 57, 2000, 1900)  # the two-digit year of the format: 1957-2056
    new_year = (year - 1970).astype("datetime64[Y]").astype("datetime64[D]")
    whole_days = (new_year - np.datetime64("2000-01-01")).astype(float)
    return whole_days + np.array([float(pair.line1[EPOCH_DAY]) for pair in pairs]) - 1.5
