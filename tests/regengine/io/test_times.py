"""Times with any zone, and leap seconds, as options and tables write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.io.times import (
    iso_utc,
    names_zone,
    parse_date_and_time,
    parse_iso_time,
    parse_zone,
)

MOMENT = datetime(2014, 1, 30, 1, 14, 58, tzinfo=UTC)  # 10:14:58 nine hours to the east
MIDNIGHT = datetime(2012, 7, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "zone",
    [
        "+09:00",
        "+9:00",
        "+0900",
        "+09",
        "+9",
        " +09:00",
        "UTC+9",
        " UTC+09:00",
        "GMT+9",
        " UT +9:00",
    ],
)
def test_a_zone_is_read_as_people_write_it(zone: str) -> None:
    assert parse_iso_time(f"2014-01-30T10:14:58{zone}") == MOMENT
    assert parse_iso_time(f"20140130T101458.000{zone}") == MOMENT
    assert names_zone(f"2014-01-30 10:14:58{zone}")


@pytest.mark.parametrize("zone", ["Z", " UTC", "utc", " GMT", "+00:00", "-0000", ""])
def test_greenwich_is_named_in_many_ways(zone: str) -> None:
    assert parse_iso_time(f"2014-01-30 01:14:58{zone}") == MOMENT
    assert names_zone(f"2014-01-30 01:14:58{zone}") == bool(zone)


@pytest.mark.parametrize(
    "zone", ["09:00", " 09:00", "+", "+15:00", "+09:60", "+090", "JST", "Etc/GMT-9", "+9:0", "Z+9"]
)
def test_a_zone_that_tells_nothing_sure_is_no_time(zone: str) -> None:
    assert parse_zone(zone) is None
    assert parse_iso_time(f"2014-01-30T10:14:58{zone}") is None


@given(
    time=st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1)),
    minutes=st.integers(-12 * 60, 14 * 60),
)
def test_any_zone_is_undone(time: datetime, minutes: int) -> None:
    hours, rest = divmod(abs(minutes), 60)
    sign = "-" if minutes < 0 else "+"
    wanted = time.replace(tzinfo=UTC) - timedelta(minutes=minutes)
    for zone in (
        f"{sign}{hours:02}:{rest:02}",
        f"{sign}{hours}:{rest:02}",
        f"UTC{sign}{hours}:{rest:02}",
    ):
        assert parse_iso_time(f"{time.isoformat()}{zone}") == wanted


@pytest.mark.parametrize(
    "text",
    [
        "2012-06-30T23:59:60Z",
        "2012-06-30 23:59:60",
        "20120630T235960Z",
        "2012-07-01T08:59:60+09:00",
        "2012-07-01T05:29:60+5:30",
        "2012-06-30T18:59:60 UTC-5",
    ],
)
def test_a_leap_second_is_the_first_of_the_next_day(text: str) -> None:
    assert parse_iso_time(text) == MIDNIGHT
    assert parse_iso_time(text.replace(":60", ":60.25")) == (
        MIDNIGHT + timedelta(seconds=0.25 if ":60" in text else 0.0)
    )
    assert parse_date_and_time("20120630", "235960") == MIDNIGHT


@pytest.mark.parametrize(
    "text",
    [
        "2012-06-30T10:14:60Z",
        "2012-06-30T23:58:60Z",
        "2012-06-29T23:59:60Z",
        "2012-06-30T23:59:60+09:00",
        "2012-06-30T23:59:61Z",
        "2012-06-30T23:60:00Z",
    ],
)
def test_no_other_second_is_the_sixtieth(text: str) -> None:
    assert parse_iso_time(text) is None


@pytest.mark.parametrize(
    "text", ["2014-01-30", "20140130", "2014-01-30+09:00", "", "10:14:58", "yesterday"]
)
def test_a_day_or_a_clock_alone_is_no_time(text: str) -> None:
    assert parse_iso_time(text) is None


def test_a_day_is_its_midnight_where_that_is_asked() -> None:
    assert parse_iso_time("2014-01-30", day_is_midnight=True) == datetime(2014, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize("zone", [None, UTC, parse_zone("+9")])
def test_a_time_is_spelt_in_utc_whatever_its_zone(zone: timezone | None) -> None:
    moment = datetime(2014, 1, 30, 10, 14, 58, 625_000, tzinfo=zone)
    hour = "01" if zone not in (None, UTC) else "10"
    assert iso_utc(moment) == f"2014-01-30T{hour}:14:58.625000Z"
    assert iso_utc(moment, "milliseconds") == f"2014-01-30T{hour}:14:58.625Z"
    assert iso_utc(moment.replace(microsecond=0)) == f"2014-01-30T{hour}:14:58Z"
    assert iso_utc(moment, "seconds") == f"2014-01-30T{hour}:14:58Z"
