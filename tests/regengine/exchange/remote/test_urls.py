"""URLs: what is one, what of it is shown, and how a copy is called."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regengine.errors import ConfigError
from regengine.exchange.remote.inputs import find_given
from regengine.io.urls import Url, file_name, is_url, scheme_of, without_secrets

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
    ],
)
def test_secrets_are_not_shown(given_as: str, told: str) -> None:
    assert without_secrets(given_as) == str(Url(given_as)) == told
    assert repr(Url(given_as)) == f"Url({told})"


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


@settings(max_examples=50)
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
        scheme_of(url)


def test_paths_are_no_urls() -> None:
    assert not any(map(is_url, ("a.jpg", "/a/b.jpg", "c:\\x.jpg", "https:/a.jpg", "p/**/*.jpg")))
    assert all(map(is_url, ("https://a.org/x.jpg", "S3://bucket/x.jpg", f"{FILE}/x")))


def test_arguments_are_paths_urls_and_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.jpg", "a.jpg", "@c.jpg"):
        Path(name).touch()
    Path("list.txt").write_text("# mine\n\nhttps://a.org/1.jpg\n  b.jpg\nhttps://a.org/2.jpg\r\n")
    found = find_given(["a.jpg", "@list.txt", "https://a.org/1.jpg", "*.jpg"])
    one, two = Url("https://a.org/1.jpg"), Url("https://a.org/2.jpg")
    assert found == [Path("a.jpg"), one, Path("b.jpg"), two, Path("@c.jpg")]
    assert find_given(["@c.jpg"]) == [Path("@c.jpg")]
    with pytest.raises(ConfigError, match=r"nothing\.txt cannot be read as a list of photos"):
        find_given(["@nothing.txt"])


def test_what_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    def absent(scheme: str) -> None:
        raise ImportError(f"Install {scheme}fs to access it")

    monkeypatch.setattr(fsspec, "get_filesystem_class", absent)
    with pytest.raises(ConfigError, match=r"s3://b/x\.jpg cannot be fetched \(Install s3fs"):
        find_given(["s3://b/x.jpg"])
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ConfigError, match=r"pip install 'regengine\[remote\]'"):
        find_given(["s3://b/x.jpg"])
    assert find_given(["https://a.org/x.jpg"]) == [Url("https://a.org/x.jpg")]
