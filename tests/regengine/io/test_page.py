"""Pages: text of strangers stays text, links stay files, nothing but the page's own script runs."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.errors import StoreError
from regengine.io.html import link_to, render_page, script_json, visible_text, write_page
from regengine.io.plain import plain, rounded

CONTENT = "p { top: 0 }<!--BODY--><p id=x></p><!--SCRIPT-->page.of('x').textContent = page.data;"


@given(st.text(st.characters(codec=None)))
def test_any_text_stands_in_a_script_and_comes_out_again(text: str) -> None:
    coded = script_json([text])
    assert coded.isascii()
    assert "<" not in coded
    assert json.loads(coded) == [visible_text(text)]
    visible_text(text).encode("utf-8")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("photo_\u202egpj.exe", "photo_\\u202egpj.exe"),
        ("a\u2028b", "a\\u2028b"),
        ("\udcff.jpg", "\\udcff.jpg"),
        ("a\nb\x00", "a\\u000ab\\u0000"),
        ("España – 東京 🌃", "España – 東京 🌃"),
    ],
)
def test_what_cannot_be_seen_is_told(text: str, seen: str) -> None:
    assert visible_text(text) == seen


def test_values_become_plain_json() -> None:
    values = {"a": (np.float64(0.5), np.int32(3), float("nan"), float("inf")), "b": None, "c": True}
    assert plain(values, visible_text) == {"a": [0.5, 3, None, None], "b": None, "c": True}
    assert [rounded(x, 1) for x in (0.26, None, float("nan"), -float("inf"))] == [
        *(0.3, None, None, None)
    ]


@pytest.mark.parametrize(
    "name",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)//.jpg",
        "data:text/html,<script>alert(1)</script>",
        "//evil.example/a.jpg",
        "\\\\evil.example\\a.jpg",
        "\tjavascript:alert(1)",
        "a\x00b.jpg",
        "\udcff\ud800.jpg",
        "a b#c?d%20.jpg",
    ],
)
def test_a_link_stays_a_file(name: str, tmp_path: Path) -> None:
    base = "http://here/folder/report.html"
    href = link_to(name, tmp_path)
    assert href.isascii()
    reached = urlsplit(urljoin(base, href))
    assert (reached.scheme, reached.netloc, reached.query, reached.fragment) == (
        "http",
        "here",
        "",
        "",
    )


def test_a_link_leads_to_the_file(tmp_path: Path) -> None:
    href = link_to(tmp_path / "photos" / "a #1?.jpg", tmp_path / "reports")
    assert unquote(href) == "../photos/a #1?.jpg"


def test_an_address_of_the_web_stays_one(tmp_path: Path) -> None:
    assert link_to("https://a.example/b.jpg?x=1", tmp_path) == "https://a.example/b.jpg?x=1"
    assert '"' not in link_to('https://a.example/"onerror="x', tmp_path)


def test_the_policy_names_exactly_the_scripts_and_styles_of_the_page() -> None:
    page = render_page(CONTENT, "</script><script>alert(1)</script>", title="<b>")
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', page)
    assert policy is not None
    for kind in ("script", "style"):
        texts = re.findall(rf"<{kind}>(.*?)</{kind}>", page, re.S)
        hashes = {base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in texts}
        allowed = re.search(rf"{kind}-src ([^;]*)", policy[1])
        assert allowed is not None
        assert set(re.findall(r"sha256-([^']*)", allowed[1])) == hashes
    assert "unsafe" not in policy[1]
    assert "alert(1)</script>" not in page
    assert "<title>&lt;b&gt;</title>" in page
    assert not re.search(r"<!--(POLICY|TITLE|STYLE|BODY|DATA|SCRIPT)-->", page)


def test_data_that_look_like_a_slot_are_data() -> None:
    page = render_page(CONTENT, "<!--BODY-->", title="<!--SCRIPT-->")
    assert page.count("<p id=x>") == 1
    assert page.count("page.of('x')") == 1


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    write_page(tmp_path / "p.html", "text")
    assert (tmp_path / "p.html").read_text() == "text"
    with pytest.raises(StoreError, match=r"p\.html could not be written"):
        write_page(tmp_path / "nowhere" / "p.html", "text")
