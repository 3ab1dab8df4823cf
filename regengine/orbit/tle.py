"""Read TLE files of any size, choose the best element set for a time, and reject outliers."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from sgp4.alpha5 import to_alpha5

from detectors.types import BoolArray, FloatArray, IndexArray
from regengine.errors import EphemerisError
from regengine.io.plain import format_count
from regengine.io.tables import decode_text
from regengine.io.urls import parse_host
from regengine.orbit.rotation import J2000_JULIAN_DATE, days_since_j2000, utc_of
from regengine.orbit.tle_format import (
    LINE_LENGTH,
    PLANE_TOLERANCE_DEG,
    PLANE_TOLERANCE_DEG_PER_DAY,
    ElementSet,
    SkippedSet,
    check_pairs,
    pair_lines,
    read_pairs,
)
from regengine.orbit.uncertainty import ALONG_BEFORE_KM, interpolate_by_age

ISS = "25544"
ISS_LAUNCH = datetime(1998, 11, 20, 6, 40, tzinfo=UTC)  # Zarya, the station's first module
MAX_AGE_DAYS = 365.0  # beyond it, even the orbital plane is uncertain by 1,000 km (docs/orbit.md)
# An epoch after the photograph gives a third of the position error of an epoch as long before it:
# the elements are a fit to the days before their epoch.
COST_OF_AGE_BEFORE = 3.0
ORBIT_RADIUS_KM = 6780.0  # 400 km above the ground

NEIGHBOURS = 3  # on either side
SAME_EPOCH_DAYS = 1.0 / 1440.0  # sets within a minute are copies, not independent


@dataclass(frozen=True, kw_only=True)
class TleSet:
    """The usable element sets of one satellite in a file, by epoch; or of all, as they stand."""

    path: Path
    pairs: tuple[ElementSet, ...] = field(repr=False)
    epoch_days: FloatArray = field(repr=False)  # since 2000-01-01 12:00 UTC, shape (n,)
    skipped: tuple[SkippedSet, ...] = ()  # rejected on reading
    other_satellites: tuple[str, ...] = ()  # catalogue numbers

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> ElementSet:
        pair = self.pairs[index]
        line1, line2 = pair.line1[:LINE_LENGTH], pair.line2[:LINE_LENGTH]
        return replace(pair, line1=line1, line2=line2, path=pair.path or self.path)

    @property
    def satellite(self) -> str:
        """Catalogue number of the satellite of all sets."""
        return self.pairs[0].satellite

    def best_for(self, time_utc: datetime) -> ElementSet:
        """Return the best set for the camera position at a time; see :meth:`choose`."""
        return self.choose(time_utc)[0]

    def choose(self, time_utc: datetime) -> tuple[ElementSet, tuple[SkippedSet, ...]]:
        """Return the set of lowest cost, and sets of lower cost that contradict their neighbours.

        The cost is the age in days if the epoch is after the time, and three times the age if it is
        before. A set that contradicts its neighbours in time is skipped. Raises EphemerisError if
        the time is more than a year from every set, or before the launch of the ISS.
        """
        days = days_since_j2000(time_utc)
        when = f"{utc_of(days):%Y-%m-%d %H:%M:%S}Z"
        if self.satellite == ISS and days < days_since_j2000(ISS_LAUNCH):
            raise EphemerisError(
                f"{self.path}: {when} is before the launch of the ISS (1998-11-20); check the "
                "camera's clock or give the time with --time"
            )
        age = days - self.epoch_days
        nearest = int(np.argmin(np.abs(age)))
        if abs(age[nearest]) > MAX_AGE_DAYS:
            raise EphemerisError(
                f"{self.path}: the nearest usable element set to {when} is "
                f"{format_count(round(abs(age[nearest])), 'day')} away "
                f"({utc_of(self.epoch_days[nearest]):%Y-%m-%d}), more than a year; use a TLE file "
                "of the photo's date, or give --nadir"
            )
        cost = np.where(age > 0.0, COST_OF_AGE_BEFORE * age, -age)
        cost[np.abs(age) > MAX_AGE_DAYS] = np.inf
        passed_over: list[SkippedSet] = []
        order = [int(index) for index in np.argsort(cost, kind="stable") if cost[index] < np.inf]
        for index in order:
            reason = self.disagreement(index)
            if reason is None:
                return self[index], tuple(passed_over)
            number = self.pairs[index].line_number
            passed_over.append(SkippedSet(line_number=number, reason=reason))
        return self[order[0]], ()

    def disagreement(self, index: int) -> str | None:
        """Return one sentence if a set contradicts its neighbours, which agree with each other.

        A set is contradicted if at most one of the three sets before and three after it agrees with
        it, although some set before it and some set after it agree with each other. The second
        condition keeps the sets on either side of a reboost, which do not agree with each other.
        """
        before, after = self._distinct(index, -1), self._distinct(index, +1)
        if not before or not after:
            return None
        witnesses = [*before, *after]
        everyone = np.array([*witnesses, index])
        along, plane = self._differences(witnesses, everyone)
        age = np.abs(self.epoch_days[everyone][None, :] - self.epoch_days[witnesses][:, None])
        same_plane = plane <= PLANE_TOLERANCE_DEG + PLANE_TOLERANCE_DEG_PER_DAY * age
        # Good sets hours apart agree along the track within 4 km (90 %). Of 15,748 archived sets
        # these two numbers reject 122; 116 of those are published predictions (see docs/orbit.md),
        # 6 are doubtful.
        # What one set of its age in ten exceeds, three times
        tolerance = np.maximum(30.0, 3.0 * interpolate_by_age(ALONG_BEFORE_KM[1], age))
        # Older neighbours do not constrain the place along the track: a single reboost moves it by
        # more.
        near = age <= 10.0
        same_place = near & (np.abs(along) <= tolerance)
        at = f"line {self.pairs[index].line_number}"
        if _judge_agreement(same_plane, len(before)):
            beside_deg = np.median(plane[:, -1])
            return f"{at}: its orbital plane is {beside_deg:.1f} degrees off its neighbours'"
        if np.count_nonzero(near[:, -1]) > NEIGHBOURS and _judge_agreement(same_place, len(before)):
            away_km = np.median(np.abs(along[near[:, -1], -1]))
            return f"{at}: it is {away_km:.0f} km along the track from its neighbours' prediction"
        return None

    def _distinct(self, subject: int, step: int) -> list[int]:
        """Return indices of the nearest sets on one side, no two within a minute of each other."""
        rows: list[int] = []
        last = self.epoch_days[subject]
        index = subject + step
        while 0 <= index < len(self) and len(rows) < NEIGHBOURS:
            if abs(self.epoch_days[index] - last) > SAME_EPOCH_DAYS:
                rows.append(index)
                last = self.epoch_days[index]
            index += step
        return rows

    def _differences(
        self, witnesses: list[int], everyone: IndexArray
    ) -> tuple[FloatArray, FloatArray]:
        """Along-track km and plane angle (degrees) of witnesses, by row, at the epochs of all."""
        records = {int(index): self[int(index)].satrec() for index in everyone}
        days = self.epoch_days[everyone]
        states = [
            records[int(k)].sgp4(J2000_JULIAN_DATE, day)
            for k, day in zip(everyone, days, strict=True)
        ]
        own_position, own_velocity = (np.array([state[k] for state in states]) for k in (1, 2))
        own_normal = np.cross(own_position, own_velocity)
        own_normal /= np.linalg.norm(own_normal, axis=1)[:, None]
        along = np.empty((len(witnesses), len(everyone)))
        plane = np.empty_like(along)
        julian = np.full(len(everyone), J2000_JULIAN_DATE)
        for row, witness in enumerate(witnesses):
            error, position, velocity = records[witness].sgp4_array(julian, days)
            normal = np.cross(position, velocity)
            normal /= np.linalg.norm(normal, axis=1)[:, None]
            in_plane = own_position - np.sum(own_position * normal, axis=1)[:, None] * normal
            forward = np.sum(np.cross(position, in_plane) * normal, axis=1)
            angle = np.arctan2(forward, np.sum(position * in_plane, axis=1))
            along[row] = np.where(error == 0, ORBIT_RADIUS_KM * angle, np.inf)
            cosine = np.clip(np.sum(normal * own_normal, axis=1), -1.0, 1.0)
            plane[row] = np.where(error == 0, np.degrees(np.arccos(cosine)), np.inf)
        return along, plane


def load_tle_file(path: str | Path, *, satellite: str | None = None) -> TleSet:
    """Read a TLE file, or all files of a folder; see `load_element_sets`."""
    return load_element_sets((Path(path),), satellite=satellite)


def load_element_sets(
    paths: Sequence[Path], *, satellite: str | None = None, every: bool = False
) -> TleSet:
    """Read TLE files, folders of them and packed tables as one set.

    Two-line and three-line files, CRLF, comments (#), blank lines, names, a byte-order mark and
    trailing blanks are accepted. Sets with a missing or truncated line, a wrong checksum or an
    invalid number are left out and listed in ``skipped``. The sets of the catalogue number
    ``satellite`` are returned, or of ``every`` one; by default, the ISS (25544), or the only
    satellite in the files. Raises EphemerisError if a file cannot be read, there is no usable set,
    or there are several satellites but not the requested one.
    """
    good: list[ElementSet] = []
    days = [np.zeros(0)]  # since 2000-01-01 12:00 UTC
    skipped: list[SkippedSet] = []
    for given in paths:
        files = [given]
        if given.is_dir():
            files = sorted(one for one in given.iterdir() if one.is_file() and one.name[0] != ".")
        for file in files:
            wrong: list[SkippedSet] = []
            try:
                if file.suffix == ".npz":
                    fine, epoch_days = read_element_table(file)
                else:
                    pairs, wrong = read_pairs(file)
                    fine, epoch_days, invalid = check_pairs(pairs)
                    wrong = wrong + invalid
            except EphemerisError as error:
                if file is given:
                    raise
                skipped.append(SkippedSet(line_number=0, reason=str(error)))
                continue
            good += fine if file is paths[0] else [replace(pair, path=file) for pair in fine]
            days.append(epoch_days)
            where = "" if file is given and len(paths) == 1 else f"{file.name}, "
            for one in sorted(wrong, key=lambda one: one.line_number):
                skipped.append(replace(one, reason=where + one.reason))
    if not good and not skipped:
        raise EphemerisError(
            f"{paths[0]}: no element set; a TLE file has sets of two lines of 69 characters, "
            "beginning with 1 and 2"
        )
    if not good:
        others = f" (and {len(skipped) - 1} more like it)" if len(skipped) > 1 else ""
        raise EphemerisError(
            f"{paths[0]}: no usable element set, {skipped[0].reason}{others}; download the element "
            "set again, complete and for SGP4: both lines, or a message as JSON or CSV"
        )
    epochs = np.concatenate(days)
    if every:
        return TleSet(path=paths[0], pairs=tuple(good), epoch_days=epochs, skipped=tuple(skipped))
    numbers = np.array([pair.satellite for pair in good])
    present = sorted(set(numbers.tolist()))
    wanted = present[0] if len(present) == 1 else ISS
    if satellite is not None:
        wanted = satellite.strip().upper().zfill(5)
        # Represented with a letter in sets
        if wanted.isdecimal() and 99_999 < int(wanted) < 340_000:
            wanted = to_alpha5(int(wanted))
    if wanted not in present:
        listing = ", ".join(present[:5]) + (" and others" if len(present) > 5 else "")
        raise EphemerisError(
            f"{paths[0]}: no element set of satellite {wanted}, only of {listing}"
            if satellite is not None
            else f"{paths[0]}: {len(present)} satellites ({listing}), but not the ISS ({ISS}); use "
            "a file of the ISS, or one with only the wanted satellite"
        )
    rows = np.flatnonzero(numbers == wanted)
    rows = rows[np.argsort(epochs[rows], kind="stable")]
    return TleSet(
        path=paths[0],
        pairs=tuple(good[row] for row in rows),
        epoch_days=epochs[rows],
        skipped=tuple(skipped),
        other_satellites=tuple(number for number in present if number != wanted),
    )


def read_element_table(path: Path) -> tuple[list[ElementSet], FloatArray]:
    """Read a table that `benchmarks.earth` packed: its sets, their days since 2000-01-01 12:00 UTC.

    Raises EphemerisError if it is missing or damaged.
    """
    try:
        with np.load(path) as table:
            epoch_days, lines = table["epoch_days"], table["lines"].astype(str)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise EphemerisError(f"{path} is not a table of element sets, or is damaged.") from error
    sets = [
        ElementSet(line1=one, line2=two, line_number=number, line2_number=number, path=path)
        for number, (one, two) in enumerate(lines.tolist(), start=1)
    ]
    return sets, epoch_days


def _judge_agreement(agree: BoolArray, before: int) -> bool:
    """Decide by agreement of neighbours (rows) with each other and the subject (last column)."""
    supports = agree[:, -1]
    if np.count_nonzero(supports) > 1:
        return False
    across = agree[:before, before:-1] & ~supports[:before, None] & ~supports[None, before:]
    return bool(across.any())


CELESTRAK = "https://celestrak.org/NORAD/elements/gp.php?CATNR=25544&FORMAT=tle"
WHERE_ELSE = (
    "get element sets of the ISS (25544) around that date from space-track.org (GP history, free "
    "account) or from CelesTrak's archive (celestrak.org/NORAD/archives), and add the file with "
    "regengine tle add FILE"
)


def fetch_latest(around: datetime | None = None) -> bytes:
    """Download the ISS's latest element sets; EphemerisError if the source fails or has none.

    Also, with a source of files, for a time that current sets do not cover. The source is
    CelesTrak, or the address in the environment variable REGENGINE_CELESTRAK.
    """
    from regengine.io.http import HttpClient, HttpFailure, RetryPolicy

    # Downloaded sets are current; for older photos, the place along the orbit is unknown
    if around is not None and abs(datetime.now(UTC) - around) > timedelta(days=30.0):
        raise EphemerisError(
            f"No source without an account has element sets of {around:%Y-%m-%d}: {WHERE_ELSE}."
        )
    url = os.environ.get("REGENGINE_CELESTRAK") or CELESTRAK
    client = HttpClient(
        RetryPolicy(attempts=3),
        # Redirections to another host are only followed to https
        may_follow=lambda source, target: target.startswith("https://"),
    )
    try:
        content = client.read(url, 20)
    except HttpFailure as failure:
        raise EphemerisError(
            f"{parse_host(url)} cannot be reached for element sets ({failure}): try again later, "
            f"or {WHERE_ELSE}."
        ) from failure
    pairs, _ = pair_lines(decode_text(content, errors="replace"))
    if not check_pairs(pairs)[0]:
        raise EphemerisError(
            f"{parse_host(url)} answered with something other than element sets: try again later."
        )
    return content
