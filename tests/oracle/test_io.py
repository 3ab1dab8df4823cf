"""Times, addresses, downloads and written rasters, as parts of the program have them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.errors import ConfigError, FrameError
from regengine.io.fetch import fetch
from regengine.io.http import RetryPolicy
from regengine.io.times import (
    iso_utc,
    names_zone,
    parse_date_and_time,
    parse_iso_time,
    parse_zone,
)
from regengine.io.urls import Url, file_name, hide_secrets, is_url, parse_scheme
from tests.world.services import Service

FILE = "file:" + "//"  # files of this machine

# Times -------------------------------------------------------------------------------------------

MOMENT = datetime(2014, 1, 30, 1, 14, 58, tzinfo=UTC)  # 10:14:58 nine hours to the east
MIDNIGHT = datetime(2012, 7, 1, tzinfo=UTC)
EASTERN = ("+09:00", "+9:00", "+0900", "+9", " +09:00", "UTC+9", "GMT+9", " UT +9:00")
NO_ZONES = ("09:00", "+", "+15:00", "+09:60", "+090", "JST", "+9:0", "Z+9")
LEAPS = ("2012-06-30T23:59:60Z", "20120630T235960Z", "2012-07-01T05:29:60+5:30")
NO_TIMES = (
    *("2012-06-30T10:14:60Z", "2012-06-29T23:59:60Z", "2012-06-30T23:59:60+09:00"),
    *("2012-06-30T23:59:61Z", "2014-01-30", "20140130", "", "10:14:58", "yesterday"),
    *(f"2014-01-30T10:14:58{zone}" for zone in NO_ZONES),
)
TIMES: dict[str, datetime | None] = {
    **{f"2014-01-30T10:14:58{zone}": MOMENT for zone in EASTERN},
    **{f"20140130T101458.000{zone}": MOMENT for zone in EASTERN},
    **{f"2014-01-30 01:14:58{zone}": MOMENT for zone in ("Z", " UTC", "+00:00", "-0000", "")},
    **dict.fromkeys(LEAPS, MIDNIGHT),
    "2012-06-30T23:59:60.25Z": MIDNIGHT + timedelta(seconds=0.25),
    **dict.fromkeys(NO_TIMES),
}


def test_times_are_read_as_people_write_them_or_are_none() -> None:
    assert {text: parse_iso_time(text) for text in TIMES} == TIMES
    named = {text: names_zone(text) for text, time in TIMES.items() if time == MOMENT}
    assert named == {text: text[-2:] != "58" for text in named}
    assert [parse_zone(text) for text in NO_ZONES] == [None] * len(NO_ZONES)
    assert parse_iso_time("2014-01-30", day_is_midnight=True) == datetime(2014, 1, 30, tzinfo=UTC)
    assert parse_date_and_time("20120630", "235960") == MIDNIGHT


def test_a_time_is_spelt_in_utc_whatever_its_zone() -> None:
    for zone, hour in ((None, "10"), (UTC, "10"), (parse_zone("+9"), "01")):
        moment = datetime(2014, 1, 30, 10, 14, 58, 625_000, tzinfo=zone)
        assert iso_utc(moment) == f"2014-01-30T{hour}:14:58.625000Z"
        assert iso_utc(moment, "milliseconds") == f"2014-01-30T{hour}:14:58.625Z"
        assert iso_utc(moment.replace(microsecond=0)) == f"2014-01-30T{hour}:14:58Z"


# Addresses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_as", "told"),
    [
        ("https://me:pass@a.org:8443/x.jpg#part", "https://a.org:8443/x.jpg"),
        (
            "https://b.s3.amazonaws.com/x.jpg?X-Amz-Credential=me/1&X-Amz-Signature=12ab&part=2",
            "https://b.s3.amazonaws.com/x.jpg?X-Amz-Credential=***&X-Amz-Signature=***&part=2",
        ),
        ("https://a.org/x?key=p/1.jpg&apikey=1&roll=E", "https://a.org/x?key=p/1.jpg&apikey=***&roll=E"),
        ("https://me:pa/ss@a.org/x.jpg", "***"),
        ("https://a.org/x?part=1;token=abc&pwd=1", "https://a.org/x?part=***&pwd=***"),
        ("https://a.org/x?of=https%3A//me:pass@b.org/", "https://a.org/x?of=***"),
    ],
)  # fmt: skip
def test_secrets_are_not_shown(given_as: str, told: str) -> None:
    assert hide_secrets(given_as) == str(Url(given_as)) == told
    assert repr(Url(given_as)) == f"Url({told})"
    assert hide_secrets(f"--photo={given_as}") == f"--photo={told}"
    assert "me:pa" not in hide_secrets(f"{given_as},{given_as}")


def test_copies_have_the_name_of_the_photo() -> None:
    names = {
        "https://a.org/get.pl?photo=p/ISS030-E-1.NEF&size=2": "ISS030-E-1.NEF",
        "https://a.org/..%2F..%2Fetc%2Fpasswd": "_.._etc_passwd",
        "https://a.org/": "photo",
        "https://a.org/a b;rm -rf.jpg": "a_b_rm_-rf.jpg",
    }
    assert {url: file_name(url) for url in names} == names


@given(st.text(max_size=150))
def test_no_name_leads_out_of_its_folder(text: str) -> None:
    name = file_name(f"https://a.org/{text.replace('[', '').replace(']', '')}")
    assert Path(name).name == name
    assert name.isascii()
    assert 0 < len(name) <= 100
    assert not name.startswith(".")


def test_only_what_comes_over_a_network_is_fetched_and_paths_are_no_urls() -> None:
    here = f"{FILE}/etc/passwd"
    for url in (
        here,
        "memory://x.jpg",
        "simplecache::https://a.org/x.jpg",
        f"https://a.org::{here}",
    ):
        with pytest.raises(ConfigError):
            parse_scheme(url)
    assert not any(map(is_url, ("a.jpg", "/a/b.jpg", "c:\\x.jpg", "https:/a.jpg", "p/**/*.jpg")))
    assert all(map(is_url, ("https://a.org/x.jpg", "S3://bucket/x.jpg", f"{FILE}/x")))


# Downloads: limits that no option sets -----------------------------------------------------------


def refused(url: str, target: Path, policy: RetryPolicy) -> tuple[str, str]:
    with pytest.raises(FrameError) as told:
        fetch(url, target, policy, megabytes=1, sleep=lambda seconds: None)
    assert not target.exists()
    return told.value.code, str(told.value)


@pytest.mark.parametrize("manner", ["ok", "unsized"])
def test_too_much_is_refused(tmp_path: Path, service: Service, manner: str) -> None:
    for size in ((1 << 20) + 1, 3 << 20):
        service.files["/x.jpg"] = bytes(size)
        service.always["/x.jpg"] = manner
        code, text = refused(service.url("/x.jpg"), tmp_path / "x", RetryPolicy())
        assert (code, "has more than 1 MB" in text) == ("too_large", True)
    service.files["/x.jpg"] = bytes(1 << 20)
    fetch(service.url("/x.jpg"), tmp_path / "x", megabytes=1)
    assert (tmp_path / "x").stat().st_size == 1 << 20
    assert service.asked.total() == 3


def test_a_download_that_takes_too_long_is_given_up(tmp_path: Path, service: Service) -> None:
    service.files["/x.jpg"] = bytes(300_000)
    policy = RetryPolicy(total_s=-1.0, attempts=1)
    assert "takes more than" in refused(service.url("/x.jpg"), tmp_path / "x", policy)[1]
