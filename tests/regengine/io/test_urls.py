"""URLs: what is one, what of it is shown, and how a copy is called."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.errors import ConfigError
from regengine.io.urls import Url, file_name, hide_secrets, is_url, parse_scheme

FILE = "file:" + "//"  # files of this machine


@pytest.mark.parametrize(
    ("given_as", "told"),
    [
        ("https://a.org/x.jpg", "https://a.org/x.jpg"),
        ("https://me:pass@a.org:8443/x.jpg#part", "https://a.org:8443/x.jpg"),
        ("https://a.org/get?frame=1&token=abc", "https://a.org/get?frame=1&token=***"),
        (
            "https://b.s3.amazonaws.com/x.jpg?X-Amz-Credential=me/1&X-Amz-Signature=12ab&part=2",
            "https://b.s3.amazonaws.com/x.jpg?X-Amz-Credential=***&X-Amz-Signature=***&part=2",
        ),
        ("https://a.org/x?mission=ISS030&roll=E", "https://a.org/x?mission=ISS030&roll=E"),
        ("https://a.org/x?key=p/1.jpg&apikey=1", "https://a.org/x?key=p/1.jpg&apikey=***"),
        ("http://[::1", "***"),
        ("https://me:pa/ss@a.org/x.jpg", "***"),
        ("https://a.org/x?part=1;token=abc&pwd=1", "https://a.org/x?part=***&pwd=***"),
        ("https://a.org/x?of=https%3A//me:pass@b.org/", "https://a.org/x?of=***"),
    ],
)
def test_secrets_are_not_shown(given_as: str, told: str) -> None:
    assert hide_secrets(given_as) == str(Url(given_as)) == told
    assert repr(Url(given_as)) == f"Url({told})"
    assert hide_secrets(f"--photo={given_as}") == f"--photo={told}"
    assert "me:pa" not in hide_secrets(f"{given_as},{given_as}")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://a.org/p/ISS030-E-1.jpg", "ISS030-E-1.jpg"),
        ("https://a.org/get.pl?photo=p/ISS030-E-1.NEF&size=2", "ISS030-E-1.NEF"),
        ("https://a.org/..%2F..%2Fetc%2Fpasswd", "_.._etc_passwd"),
        ("https://a.org/.bashrc", "bashrc"),
        ("https://a.org/", "photo"),
        ("https://a.org/a b;rm -rf.jpg", "a_b_rm_-rf.jpg"),
    ],
)
def test_copies_have_the_name_of_the_photo(url: str, name: str) -> None:
    assert file_name(url) == name


@given(st.text(max_size=150))
def test_no_name_leads_out_of_its_folder(text: str) -> None:
    name = file_name(f"https://a.org/{text.replace('[', '').replace(']', '')}")
    assert Path(name).name == name
    assert name.isascii()
    assert 0 < len(name) <= 100
    assert not name.startswith(".")


@pytest.mark.parametrize(
    "url",
    [
        f"{FILE}/etc/passwd",
        "local:///etc/passwd",
        "memory://x.jpg",
        "simplecache::https://a.org/x.jpg",
        "zip://x.jpg::https://a.org/x.zip",
        f"https://a.org/x.zip::{FILE}/etc/passwd",
    ],
)
def test_only_what_comes_over_a_network_is_fetched(url: str) -> None:
    with pytest.raises(ConfigError):
        parse_scheme(url)


def test_paths_are_no_urls() -> None:
    assert not any(map(is_url, ("a.jpg", "/a/b.jpg", "c:\\x.jpg", "https:/a.jpg", "p/**/*.jpg")))
    assert all(map(is_url, ("https://a.org/x.jpg", "S3://bucket/x.jpg", f"{FILE}/x")))
