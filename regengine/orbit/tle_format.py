"""Parse the text of a TLE file: pair its lines, validate all relevant columns, describe errors.

SGP4 accepts wrong checksums and truncated lines, so all validation is done here.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from sgp4.api import Satrec

from detectors.types import BoolArray, FloatArray
from regengine.errors import EphemerisError, Option
from regengine.io.plain import format_count
from regengine.io.tables import read_csv, read_text, split_lines
from regengine.io.times import parse_iso_time
from regengine.orbit.rotation import days_since_j2000, utc_of

LINE_LENGTH = 69
# Fields of an orbit mean-elements message that SGP4 does not need, and that some catalogues omit
NOT_NEEDED = ("EPHEMERIS_TYPE", "ELEMENT_SET_NO", "REV_AT_EPOCH", "MEAN_MOTION_DOT")
OMM_DEFAULTS: dict[str, object] = dict.fromkeys((*NOT_NEEDED, "MEAN_MOTION_DDOT"), 0)
OMM_DEFAULTS |= {"OBJECT_NAME": "", "OBJECT_ID": "", "CLASSIFICATION_TYPE": "U"}
# What SGP4 can propagate: fields of a message that are absent say the same
SGP4_FIELDS = {
    "MEAN_ELEMENT_THEORY": ("SGP4", r"S[GD]P4?(/S[GD]P4?)*"),
    "REF_FRAME": ("TEME", r"TEME( ?OF ?DATE)?"),
    "TIME_SYSTEM": ("UTC", r"UTC|GMT"),
    "CENTER_NAME": ("EARTH", r"EARTH"),
}
EPHEMERIS_TYPE = 62  # column of the first line
# Not said, or SGP and SGP4, which publishers do not tell apart; CCSDS has 3 for PPT3, 4 for SGP4-XP
SGP4_TYPES = " 012"
COMMENT_MARKS = "#*"
PAIR = "p"
# In lines of random order, this many consecutive pairs occur once in 2^28: never in the 100,000
# lines of the largest archives
PAIRS_BEYOND_CHANCE = 14
LINE_START = re.compile(r"[12] [ 0-9A-Z][ 0-9]{4}")  # the number may be padded or Alpha-5
# Contribution of a character to the checksum: its digit, 1 for a minus sign, else 0.
CHECKSUM_VALUE = bytes(
    max(b"0123456789".find(code), int(code == ord("-")), 0) for code in range(256)
)
# Columns (zero-based) that the choice of a set depends on, and their valid ranges.
EPOCH_YEAR, EPOCH_DAY = slice(18, 20), slice(20, 32)
FIRST_YEAR = "57"  # first two-digit year of the format: 1957-2056
MEAN_MOTION, REVOLUTIONS = slice(52, 63), slice(63, 68)
CHECKED_FIELDS = (
    (0, EPOCH_YEAR, "epoch year", 0.0, 99.0),
    (0, EPOCH_DAY, "epoch day", 1.0, 367.0),
    (1, slice(8, 16), "inclination", 0.0, 180.0),
    (1, slice(17, 25), "right ascension of the node", -360.0, 360.0),
    (1, slice(26, 33), "eccentricity", 0.0, 9999999.0),
    (1, slice(34, 42), "argument of perigee", -360.0, 360.0),
    (1, slice(43, 51), "mean anomaly", -360.0, 360.0),
    (1, MEAN_MOTION, "mean motion", 0.01, 20.0),
)

# Planes of good sets differ by 0.01 degrees a day or less; a wrong node causes degrees.
PLANE_TOLERANCE_DEG, PLANE_TOLERANCE_DEG_PER_DAY = 0.3, 0.05


@dataclass(frozen=True, kw_only=True)
class SkippedSet:
    """An element set that was left out: its line number and the reason, one sentence."""

    line_number: int
    reason: str


def describe_skipped(path: Path, skipped: Sequence[SkippedSet]) -> str:
    """Say how many element sets of a file were left out, and why the first of them."""
    first = min(skipped, key=lambda one: one.line_number)
    others = f", and {len(skipped) - 1:,} more like it" if len(skipped) > 1 else ""
    sets = format_count(len(skipped), "element set is", "element sets are")
    return f"{path}: {sets} left out ({first.reason}{others}); the others are used."


@dataclass(frozen=True, kw_only=True)
class ElementSet:
    """One element set: its two lines, their file and line number, and the name above them."""

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
        """Epoch of the elements."""
        return utc_of(float(_epoch_days([self])[0]))

    def satrec(self) -> Satrec:
        """SGP4's own record of the set (WGS72 constants, with which the elements were fitted).

        Raises EphemerisError if SGP4 cannot use the lines.
        """
        try:
            return Satrec.twoline2rv(self.line1[:LINE_LENGTH], self.line2[:LINE_LENGTH])
        except ValueError as error:
            raise EphemerisError(
                f"{self.path}, line {self.line_number}: SGP4 cannot read the element set "
                f"({error}); download it again"
            ) from error

    def age_h(self, time_utc: datetime) -> float:
        """Return the hours from the epoch to a time: positive if the epoch is before it."""
        return 24.0 * (days_since_j2000(time_utc) - days_since_j2000(self.epoch_utc))


def read_pairs(path: Path) -> tuple[list[ElementSet], list[SkippedSet]]:
    """Read the element sets of a file, unchecked, and what cannot be read as one.

    The file has two-line sets, or orbit mean-elements messages (CCSDS 502.0-B) as JSON or CSV, as
    catalogues provide them. Messages are converted to the equivalent lines. Its text is UTF-8 or
    UTF-16, with or without a byte-order mark.
    """
    if path.exists() and not path.is_file():  # a pipe would never end
        raise EphemerisError(f"{path} is not a file; check the path given with ", Option("tle"))
    try:
        text = read_text(path, errors="replace")
    except OSError as error:
        raise EphemerisError(
            f"{path}: the TLE file cannot be read ({str(error).lower()}); check the path given "
            "with ",
            Option("tle"),
        ) from error
    start = text.lstrip()[:4096]
    if start.startswith(("[", "{")):
        try:
            records = json.loads(text)
        except ValueError as error:
            raise EphemerisError(
                f"{path}: it begins like JSON but is not valid JSON ({error}); download it again"
            ) from error
        records = records if isinstance(records, list) else [records]
        return _pairs_of_messages(enumerate(records, start=1))
    is_xml = start.startswith("<") and "<omm" in start
    if is_xml or re.search(r"^\s*CCSDS_OMM_VERS\s*=", start, re.MULTILINE):
        kind = "XML" if is_xml else "a message of lines KEY = VALUE"
        raise EphemerisError(f"{path}: it is {kind}: download it as JSON, CSV or two-line sets")
    if "NORAD_CAT_ID" in start:
        try:
            (_, header), *rows = read_csv(text, lambda name: name.strip() * name.strip().isupper())
        except csv.Error as error:
            raise EphemerisError(
                f"{path}: it is not a valid table of element sets ({error}); download it again"
            ) from error
        names = [name.strip() for name in header]
        return _pairs_of_messages((line, dict(zip(names, row, strict=False))) for line, row in rows)
    return pair_lines(text)


def _pairs_of_messages(
    messages: Iterable[tuple[int, object]],
) -> tuple[list[ElementSet], list[SkippedSet]]:
    """Convert orbit mean-elements messages, with their lines or positions, to pairs of lines."""
    from sgp4 import omm
    from sgp4.exporter import export_tle

    pairs: list[ElementSet] = []
    skipped: list[SkippedSet] = []
    for number, message in messages:
        try:
            if not isinstance(message, Mapping):
                raise TypeError("it is not an object")
            given = {k: v for k, v in message.items() if v is not None and str(v).strip()}
            fields = {**OMM_DEFAULTS, **given}
            if foreign := _name_foreign(fields):
                reason = f"message {number} has {foreign}"
                skipped.append(SkippedSet(line_number=number, reason=reason))
                continue
            epoch = parse_iso_time(str(fields["EPOCH"]), day_is_midnight=True)
            if epoch is None:
                raise ValueError(f"{fields['EPOCH']!r} is not a time")
            fields["EPOCH"] = f"{epoch:%Y-%m-%dT%H:%M:%S.%f}"
            record = Satrec()
            omm.initialize(record, fields)
            lines = export_tle(record)
        except (KeyError, TypeError, ValueError) as error:
            what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            reason = f"message {number} is not an orbit mean-elements message ({what})"
            skipped.append(SkippedSet(line_number=number, reason=reason))
            continue
        one = ElementSet(line1=lines[0], line2=lines[1], line_number=number, line2_number=number)
        pairs.append(replace(one, name=str(fields["OBJECT_NAME"]) or None))
    return pairs, skipped


def _name_foreign(fields: Mapping[str, object]) -> str:
    """Name the first field of a message that SGP4 cannot propagate; "" if it can."""
    for name, (wanted, pattern) in SGP4_FIELDS.items():
        value = str(fields.get(name, wanted)).strip()
        if not re.fullmatch(pattern, value, re.IGNORECASE):
            return f"{name} {value[:40]!r} instead of {wanted}"
    return ""


def pair_lines(text: str) -> tuple[list[ElementSet], list[SkippedSet]]:
    """Pair the lines of sets among names, comments and blank lines, unchecked; list unpaired lines.

    A pair is a first line and the second line that follows it, with no name between them. Pairs
    that may combine lines of different sets are left out, if lines of a satellite were moved.
    """
    pairs: list[ElementSet] = []
    lone: list[tuple[int, str]] = []  # numbers and texts of lines
    waiting: tuple[int, str, str | None] | None = None  # a first line, and the name above it
    name, last = None, ""
    for number, raw in enumerate(split_lines(text), start=1):
        written = raw.strip()
        if not written or written[0] in COMMENT_MARKS:
            continue
        if not LINE_START.match(written):
            name = written.removeprefix("0 ").strip()
            continue
        if written == last and name is None:  # a repeated line counts once
            continue
        above, name, last = name, None, written
        if waiting is not None and written[0] == "2" and above is None:
            first_number, first, its_name = waiting
            one = ElementSet(line1=first, line2=written, line_number=first_number)
            pairs.append(replace(one, line2_number=number, name=its_name))
            waiting = None
            continue
        if waiting is not None:
            lone.append(waiting[:2])
        waiting = (number, written, above) if written[0] == "1" else None
        if waiting is None:
            lone.append((number, written))
    if waiting is not None:
        lone.append(waiting[:2])
    reasons = {}  # by line number
    for number, line in lone:
        this, other = ("first", "second") if line[0] == "1" else ("second", "first")
        reasons[number] = f"line {number} is the {this} line of a set whose {other} is missing"
    for pair in _find_doubtful(pairs, lone) if lone else []:
        reasons[pair.line_number] = (
            f"lines {pair.line_number} and {pair.line2_number} may be of different sets: the file "
            "has unpaired lines, as if it were sorted"
        )
    skipped = [SkippedSet(line_number=number, reason=why) for number, why in reasons.items()]
    return [pair for pair in pairs if pair.line_number not in reasons], skipped


def _find_doubtful(
    pairs: Sequence[ElementSet], lone: Sequence[tuple[int, str]]
) -> list[ElementSet]:
    """Return the pairs that may combine lines of different sets of their satellite.

    A satellite whose unpaired lines are all of one kind has lost their partners, and the rest is in
    order. With unpaired lines of both kinds, its lines may have been sorted or moved. In this case,
    long runs of pairs are kept, except for the pairs next to an unpaired line, which it may have
    displaced. Between an unpaired second line and an unpaired first line, the lines may be in
    reverse order, unless epochs ascend.
    """
    whole = {pair.line_number: pair for pair in pairs if pair.line1[2:7] == pair.line2[2:7]}
    crossed = [pair for pair in pairs if pair.line_number not in whole]
    lines = [*lone, *((number, pair.line1) for number, pair in whole.items())]
    for pair in crossed:
        lines += (pair.line_number, pair.line1), (pair.line2_number, pair.line2)
    by_satellite: dict[str, list[tuple[int, str]]] = {}  # numbers and kinds of lines
    for number, line in sorted(lines):
        kind = PAIR if number in whole else line[0]
        by_satellite.setdefault(line[2:7].strip().zfill(5), []).append((number, kind))
    doubtful: list[ElementSet] = []
    for own in by_satellite.values():
        kinds = "".join(kind for _, kind in own)
        if "1" not in kinds or "2" not in kinds:
            continue
        for run in re.finditer(f"{PAIR}+", kinds):
            first, end = run.span()
            run_pairs = [whole[number] for number, _ in own[first:end]]
            before, after = kinds[:first][-1:], kinds[end:][:1]
            # Whether the epochs, as written, ascend in the file's order
            epochs = [pair.line1[EPOCH_YEAR.start : EPOCH_DAY.stop] for pair in run_pairs]
            years = [("19" if epoch >= FIRST_YEAR else "20") + epoch for epoch in epochs]
            turned = (before, after) == ("2", "1") and years != sorted(years)
            if turned or len(run_pairs) < PAIRS_BEYOND_CHANCE:
                doubtful += run_pairs
            else:
                doubtful += run_pairs[:1] * bool(before) + run_pairs[-1:] * bool(after)
    return doubtful


def check_pairs(
    pairs: Sequence[ElementSet],
) -> tuple[list[ElementSet], FloatArray, list[SkippedSet]]:
    """Return valid pairs, whose lines are complete, match, and have valid numbers; the others.

    The second value is the epochs of the valid pairs, days since 2000-01-01 12:00 UTC, shape (n,).
    """
    problems = [_find_problem(pair) for pair in pairs]
    refused = [(pair, why) for pair, why in zip(pairs, problems, strict=True) if why is not None]
    whole = [pair for pair, why in zip(pairs, problems, strict=True) if why is None]
    days = _epoch_days(whole)
    crossed = _are_crossed(whole, days)
    for row in np.flatnonzero(crossed):
        why = f"lines {whole[row].line_number} and {whole[row].line2_number} have different "
        why += "epochs, judging by the revolutions and nodes of neighbouring sets"
        refused.append((whole[row], why))
    good = [whole[row] for row in np.flatnonzero(~crossed)]
    skipped = [SkippedSet(line_number=pair.line_number, reason=why) for pair, why in refused]
    return good, days[~crossed], skipped


def _are_crossed(pairs: Sequence[ElementSet], epoch_days: FloatArray) -> BoolArray:
    """Return a mask of the pairs whose second line belongs to another epoch, shape (n,).

    Between neighbours in time, the counted revolutions and the motion of the node must fit the time
    between the epochs. Second lines that are another time apart, and the same by both criteria, do
    not belong to those epochs. A wrong count, which occurs in catalogues, does not move the node. A
    pair is crossed if it fits none of its neighbours, or if half of the neighbours contradict each
    other.
    """
    satellites = np.array([pair.satellite for pair in pairs])
    order = np.lexsort((epoch_days, satellites))
    one, other = order[:-1], order[1:]
    days = epoch_days[other] - epoch_days[one]
    # In this many days, a reboost changes the count by less than a revolution
    beside = (satellites[one] == satellites[other]) & (days <= 10.0)
    one, other, days = one[beside], other[beside], days[beside]
    counts = [pair.line2[REVOLUTIONS].strip() for pair in pairs]
    count = np.array([int(text) or np.nan if text.isdecimal() else np.nan for text in counts])
    motion = np.array([float(pair.line2[MEAN_MOTION]) for pair in pairs])
    gained = count[other] - count[one] - days * 0.5 * (motion[one] + motion[other])
    gained = (gained + 5e4) % 1e5 - 5e4  # five digits are written
    crossed = np.zeros(len(one), bool)
    # Whole revolutions: a difference of one is rounding
    for k in np.flatnonzero(np.abs(gained) >= 2.0):
        first, second = (pairs[end].satrec() for end in (one[k], other[k]))
        node_deg, turn_deg = np.degrees([second.nodeo - first.nodeo, 1440.0 * first.nodedot])
        beside_deg = (node_deg - turn_deg * days[k] + 180.0) % 360.0 - 180.0
        tolerance_deg = PLANE_TOLERANCE_DEG + PLANE_TOLERANCE_DEG_PER_DAY * days[k]
        counted_deg = turn_deg * gained[k] / motion[one[k]]
        miss_deg = abs((beside_deg - counted_deg + 180.0) % 360.0 - 180.0)
        rounding_deg = abs(turn_deg) / motion[one[k]]
        crossed[k] = abs(beside_deg) > tolerance_deg >= miss_deg - rounding_deg
    ends = np.concatenate([one, other])
    links = np.bincount(ends, minlength=len(pairs))
    wrong = np.bincount(ends[np.tile(crossed, 2)], minlength=len(pairs))
    is_crossed = (links > 0) & (wrong == links)
    # Where half contradict each other the lines were rearranged, and the rest agrees by chance
    for satellite in set(satellites[one[crossed]].tolist()):
        # Of a satellite's neighbours in time; in archives one in a hundred contradict each other
        if crossed[satellites[one] == satellite].mean() >= 0.5:
            is_crossed |= satellites == satellite
    return is_crossed


def _find_problem(pair: ElementSet) -> str | None:
    """Return one sentence if a pair of lines is not a valid element set."""
    numbers = pair.line_number, pair.line2_number
    lines = pair.line1.encode("ascii", "replace"), pair.line2.encode("ascii", "replace")
    for number, line in zip(numbers, lines, strict=True):
        if len(line) != LINE_LENGTH and not line[LINE_LENGTH:][:1].isspace():
            truncated = ": it is truncated" if len(line) < LINE_LENGTH else ""
            count = format_count(len(line), "character")
            return f"line {number} has {count} instead of {LINE_LENGTH}{truncated}"
    for number, line in zip(numbers, lines, strict=True):
        right = str(sum(line[: LINE_LENGTH - 1].translate(CHECKSUM_VALUE)) % 10)
        written = line[LINE_LENGTH - 1 : LINE_LENGTH].decode()
        if written != right:
            return f"line {number} ends with checksum {written!r} instead of {right}"
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
    type_ = pair.line1[EPHEMERIS_TYPE]
    if type_ not in SGP4_TYPES:
        xp = " (SGP4-XP)" if type_ == "4" else ""
        return f"line {numbers[0]} has elements of type {type_}{xp}, not of SGP4"
    return None


def _epoch_days(pairs: Sequence[ElementSet]) -> FloatArray:
    year = np.array([int(float(pair.line1[EPOCH_YEAR])) for pair in pairs], dtype=int)
    year += np.where(year < int(FIRST_YEAR), 2000, 1900)
    new_year = (year - 1970).astype("datetime64[Y]").astype("datetime64[D]")
    whole_days = (new_year - np.datetime64("2000-01-01")).astype(float)
    return whole_days + np.array([float(pair.line1[EPOCH_DAY]) for pair in pairs]) - 1.5
