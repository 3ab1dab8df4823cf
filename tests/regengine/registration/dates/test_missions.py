"""Missions of the station tell when a photo was taken, and from how high."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from regengine.errors import ConfigError
from regengine.orbit.rotation import days_since_j2000
from regengine.registration.dates.report import PhotoDates, photo_dates
from regengine.registration.dates.station_history import (
    ANY_KM,
    FIRST_DAYS,
    HIGH_KM,
    LOW_KM,
    mission_heights_km,
    mission_number,
    mission_span,
)

TLE = Path("iss.txt")


def utc(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("mission", "number", "heights"),
    [
        ("ISS006", 6, LOW_KM),
        ("iss016-e", 16, LOW_KM),
        ("28", 28, ANY_KM),
        ("ISS030-E", 30, HIGH_KM),
        (" 72 ", 72, HIGH_KM),
    ],
)
def test_a_mission_tells_the_height(
    mission: str, number: int, heights: tuple[float, float]
) -> None:
    assert mission_number(mission) == number
    assert mission_heights_km(number) == heights


def test_days_are_in_order_and_none_is_left_out() -> None:
    days = [utc(day) for day in FIRST_DAYS]
    lengths = [(after - day) / timedelta(days=1) for day, after in pairwise(days)]
    assert len(days) == 74
    assert min(lengths) > 40
    assert max(lengths) < 240
    for number in range(1, len(days)):
        first, last = mission_span(number)
        assert last is not None
        assert first < days[number - 1] < days[number] < last


@pytest.mark.real
def test_the_archive_dates_its_missions_so(real_data: Path) -> None:
    """Every record of the archive's lists, but for the few whose number or day is wrong."""
    orbit = real_data / "orbit"
    outside: Counter[int] = Counter()
    seen: Counter[int] = Counter()
    for name in ("iss_night_frames_jsc_tsv.csv", "iss_night_photos_jsc.csv"):
        with (orbit / name).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if not row["frame_id"].startswith("ISS") or not row["gmt_date"].isdigit():
                    continue
                number = mission_number(row["frame_id"][:6])
                first, last = mission_span(number)
                moment = datetime.strptime(row["gmt_date"], "%Y%m%d").replace(tzinfo=UTC)
                seen[number] += 1
                outside[number] += not (first <= moment and (last is None or moment <= last))
    assert len(seen) > 30
    assert sum(seen.values()) > 15_000
    assert outside.pop(2) < 0.1 * seen[2]
    assert outside.total() == 0


def test_a_mission_narrows_the_dates() -> None:
    whole = photo_dates(True, None, "ISS038", TLE)
    assert whole == PhotoDates(TLE, mission_span(38))
    both = photo_dates(True, "2014-01-01,2015-01-01", "ISS038", TLE)
    assert both == PhotoDates(TLE, (utc("2014-01-01"), mission_span(38)[1]))
    open_end = photo_dates(True, None, "ISS080", TLE)
    assert open_end is not None
    assert open_end.span[1] is None
    with pytest.raises(ConfigError, match="is not within --mission ISS038"):
        photo_dates(True, "2001-01-01,2002-01-01", "ISS038", TLE)
    with pytest.raises(ConfigError, match="is no mission"):
        photo_dates(True, None, "STS-60", TLE)


def test_where_element_sets_end_before_a_mission_nothing_is_left_to_look_at() -> None:
    samples = Path(__file__).parents[4] / "data_samples" / "tle.txt"
    reached = photo_dates(True, None, "ISS038", samples)
    assert reached is not None
    first, last = reached.days()
    assert (first, last) == tuple(
        days_since_j2000(moment) for moment in mission_span(38) if moment is not None
    )
    beyond = photo_dates(True, None, "ISS080", samples)
    assert beyond is not None
    first, last = beyond.days()
    assert first > last
