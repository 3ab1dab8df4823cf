"""Element sets as parts of the program have them: which pairs of lines, and which of several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sgp4.api import Satrec

from regengine.errors import EphemerisError
from regengine.orbit import TleSet, load_tle_file
from tests.world.elements import Elements, with_checksum

Pair = tuple[str, str]
BASE = Elements()
FIRST, SECOND = BASE.lines()
LATER = BASE.later(1.0)
TWO = BASE.text() + LATER.text()
IN_ONE_FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def tle_file(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def write(content: str | bytes) -> Path:
        path = tmp_path / "iss.txt"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def uneven(count: int, start: Elements = BASE) -> list[Elements]:
    """Sets of one orbit, a quarter of a day to two days apart."""
    gaps_days = np.random.default_rng(count).uniform(0.25, 2.0, count)
    return [start.later(float(days)) for days in np.cumsum(gaps_days)]


def lines_of(pairs: list[Pair]) -> list[str]:
    return [line for pair in pairs for line in pair]


def read_lines(path: Path, satellite: str | None = None) -> list[Pair]:
    """The pairs of lines that are read of a file, none where it has no set that can be used."""
    try:
        return [(one.line1, one.line2) for one in load_tle_file(path, satellite=satellite)]
    except EphemerisError:
        return []


FEW = [one.lines() for one in uneven(9)]
MANY = [one.lines() for one in uneven(80)]

# Which lines are a set ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        TWO.replace("\n", "\r\n"),
        "  " + TWO.replace("\n", "   \n\t\n"),
        "# from an archive\n" + TWO.replace("\n2 ", "\n# between the lines\n2 "),
        "".join(f"0 ISS (ZARYA)\n{e.text()}" for e in (BASE, LATER)),
        TWO.encode("utf-16"),
        LATER.text() + BASE.text(),
        TWO.replace("\n", "     0.00      4320.0        360.00\n"),  # as in SGP4-VER.TLE
    ],
)
def test_every_way_of_writing_a_file_is_read(
    tle_file: Callable[[str | bytes], Path], content: str | bytes
) -> None:
    tles = load_tle_file(tle_file(content))
    assert [(s.line1, s.line2) for s in tles] == [BASE.lines(), LATER.lines()]
    assert (tles.skipped, tles.satellite) == ((), "25544")


def test_fields_are_those_that_sgp4_reads(tle_file: Callable[[str], Path]) -> None:
    padded = with_checksum(SECOND.replace("  51.6400", " 051.6400"))
    assert padded != SECOND
    tles = load_tle_file(tle_file(f"{FIRST}\n{padded}\n"))
    assert tles[0].satrec().inclo == Satrec.twoline2rv(FIRST, SECOND).inclo
    years = (1957, 1999, 2000, 2026, 2056)
    elements = [replace(BASE, epoch=datetime(year, 3, 1, 6, 7, 8, tzinfo=UTC)) for year in years]
    tles = load_tle_file(tle_file("".join(e.text() for e in elements)))
    for row, days in enumerate(tles.epoch_days):
        assert abs(tles[row].epoch_utc - elements[row].epoch) < timedelta(milliseconds=1)
        record = Satrec.twoline2rv(tles[row].line1, tles[row].line2)
        assert days == pytest.approx(record.jdsatepoch - 2451545.0 + record.jdsatepochF, abs=1e-8)


@given(place=st.integers(0, 137), digit=st.integers(1, 9))
@IN_ONE_FILE
def test_any_changed_digit_is_noticed(
    tle_file: Callable[[str], Path], place: int, digit: int
) -> None:
    text = FIRST + SECOND
    if not text[place].isdigit() or place in (0, 69):
        return
    changed = text[:place] + str((int(text[place]) + digit) % 10) + text[place + 1 :]
    tles = load_tle_file(tle_file(f"{changed[:69]}\n{changed[69:]}\n{LATER.text()}"))
    assert (len(tles), len(tles.skipped)) == (1, 1)


# Lines of two sets are never paired --------------------------------------------------------------


@given(lost=st.sets(st.integers(0, 17), min_size=1, max_size=3))
@settings(IN_ONE_FILE, max_examples=60)
def test_where_lines_are_lost(tle_file: Callable[[str], Path], lost: set[int]) -> None:
    """A second line and the first after it are lost, too: only the orbit tells of that."""
    left = [line for place, line in enumerate(lines_of(FEW)) if place not in lost]
    read = read_lines(tle_file("\n".join(left)))
    assert set(read) <= set(FEW)
    if len({place % 2 for place in lost}) == 1:  # the rest is in order
        assert read == [pair for k, pair in enumerate(FEW) if not {2 * k, 2 * k + 1} & lost]


@pytest.mark.parametrize("sets", [MANY[:2], MANY], ids=len)
def test_a_sorted_file_holds_no_set(tle_file: Callable[[str], Path], sets: list[Pair]) -> None:
    lines = lines_of(sets)
    by_day = sorted(lines, key=lambda line: line.split()[3])
    for ordered in (sorted(lines), sorted(lines, reverse=True), lines[::-1], by_day):
        path = tle_file("\n".join(ordered))
        assert set(read_lines(path)) <= set(sets)
        with pytest.raises(EphemerisError, match="download the element set again"):
            load_tle_file(path)


# Which set is chosen -----------------------------------------------------------------------------


@given(
    epochs=st.lists(st.floats(0.0, 300.0), min_size=1, max_size=12),
    photo=st.floats(-20.0, 320.0),
)
@IN_ONE_FILE
def test_a_set_issued_after_the_photo_is_worth_three_before_it(
    tle_file: Callable[[str], Path], epochs: list[float], photo: float
) -> None:
    tles = load_tle_file(tle_file("".join(BASE.later(days).text() for days in epochs)))
    time = BASE.epoch + timedelta(days=photo)

    def cost(age_h: float) -> float:
        return 3.0 * age_h if age_h > 0 else -age_h

    ages_h = [24.0 * (photo - days) for days in epochs]
    best = tles.best_for(time).age_h(time)
    assert min(abs(best - age_h) for age_h in ages_h) < 1e-3
    assert cost(best) == pytest.approx(min(map(cost, ages_h)), abs=1e-2)


def archive(folder: Path, sets: list[Elements]) -> TleSet:
    path = folder / "iss.txt"
    path.write_text("".join(one.text() for one in sets))
    return load_tle_file(path)


def doubtful(tles: TleSet) -> list[int]:
    return [row for row in range(len(tles)) if tles.disagreement(row) is not None]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"node_deg": 10.0}, "orbital plane is 7.8 degrees"),  # 10 degrees * sin 51.64
        ({"anomaly_deg": 3.0}, "it is 355 km along the track"),  # of 6,780 km
    ],
)
def test_one_wrong_set_is_found_and_passed_over(
    tmp_path: Path, wrong: dict[str, float], says: str
) -> None:
    sets = [BASE.later(0.4 * step) for step in range(9)]
    (what, by), right = next(iter(wrong.items())), sets[4]
    sets[4] = replace(right, **{what: getattr(right, what) + by})
    tles = archive(tmp_path, sets)
    assert doubtful(tles) == [4]
    chosen, passed_over = tles.choose(right.epoch)
    assert chosen.line1 == sets[5].lines()[0]
    assert [one.line_number for one in passed_over] == [9]
    assert says in passed_over[0].reason
    assert passed_over[0].reason.startswith("line 9: ")
