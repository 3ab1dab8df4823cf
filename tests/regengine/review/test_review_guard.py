"""Nobody but the page itself gets an answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from regengine.review.security import MOST_BODY_BYTES, Access, kept_key, security_headers
from tests.example_results import proposal
from tests.regengine.exchange.export.exported import write_store
from tests.regengine.review.made_review import BASE, PORT, WORK, Browser, opened, served


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("guard") / "run.h5", [proposal()])


@pytest.fixture(scope="module")
def browser(store: Path) -> Iterator[Browser]:
    with opened(store) as known:
        yield known


DECISION = WORK | {"base": 0, "decision": "accepted"}


def is_refused(answer: httpx.Response, status: int) -> bool:
    return answer.status_code == status and isinstance(answer.json()["detail"], str)


def test_the_address_with_its_token_gives_a_cookie(store: Path) -> None:
    access = Access()
    with served(store, access) as browser:
        for path in ("/", "/app.js", "/api/session", "/api/frames/0", "/api/openapi.json"):
            assert is_refused(browser.get(path), 401)
        assert is_refused(browser.get("/?token=guess"), 401)
        assert is_refused(browser.get("/?token="), 401)
        answer = browser.get(f"/?token={access.token}")
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert access.token not in answer.headers["set-cookie"]
        assert browser.get("/api/session").status_code == 200


def test_the_started_browsers_token_works_once(store: Path) -> None:
    access = Access()
    with served(store, access) as browser:
        address = f"/?token={access.once}"
        assert browser.get(address).status_code == 303
        assert is_refused(browser.get(address), 401)


def test_tokens_are_long_and_new_each_time() -> None:
    made = [Access() for _ in range(20)]
    secrets = {secret for a in made for secret in (a.token, a.once, a.session)}
    assert len(secrets) == 60
    assert min(map(len, secrets)) >= 32


def test_a_cookie_of_another_run_is_refused(store: Path, browser: Browser) -> None:
    with served(store, Access()) as other:
        other.cookies = browser.cookies
        assert is_refused(other.get("/api/session"), 401)


def test_a_page_and_the_next_run_of_the_same_user_know_each_other(
    store: Path, tmp_path: Path
) -> None:
    with served(store, first := Access(key=kept_key(store, tmp_path))) as browser:
        browser.get(f"/?token={first.token}")
        page = Access(key=browser.get("/api/return").json()["key"])
    with served(store, Access(key=kept_key(store, tmp_path))) as browser:
        assert is_refused(browser.get("/api/return"), 401)
        told = browser.get("/api/return?challenge=one").json()
        assert told["proof"] == page.proof("server", PORT, "one")
        proof = page.proof("page", PORT, told["challenge"])
        query = f"challenge={told['challenge']}&proof={proof}"
        assert browser.post(f"/api/return?{query}", json={}).status_code == 204
        assert browser.get("/api/session").status_code == 200
        browser.cookies = httpx.Cookies()
        assert is_refused(browser.post(f"/api/return?{query}", json={}), 401)  # used up


@pytest.mark.parametrize("wrong", ["key", "port", "role", "challenge"])
def test_who_has_not_the_key_is_not_taken_back(store: Path, wrong: str) -> None:
    access = Access()
    page = Access() if wrong == "key" else Access(key=access.key)
    with served(store, access) as browser:
        challenge = browser.get("/api/return?challenge=one").json()["challenge"]
        asked = "another" if wrong == "challenge" else challenge
        proof = page.proof("server" if wrong == "role" else "page", PORT + (wrong == "port"), asked)
        query = f"challenge={asked}&proof={proof}"
        assert is_refused(browser.post(f"/api/return?{query}", json={}), 401)
        assert is_refused(browser.get("/api/session"), 401)


@pytest.mark.parametrize("fault", ["mode", "link", "short"])
def test_a_key_that_others_may_know_is_made_anew(tmp_path: Path, fault: str) -> None:
    key = kept_key(tmp_path / "run.h5", tmp_path)
    (path,) = tmp_path.glob("*.key")
    assert path.stat().st_mode & 0o777 == 0o600
    assert kept_key(tmp_path / "run.h5", tmp_path) == key != kept_key(tmp_path / "b.h5", tmp_path)
    if fault == "mode":
        path.chmod(0o644)
    elif fault == "short":
        path.write_text("0")
    else:
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    assert kept_key(tmp_path / "run.h5", tmp_path) != key
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        f"evil.example:{PORT}",
        "127.0.0.1",
        "127.0.0.1:1",
        f"127.0.0.1.evil:{PORT}",
        "",
        "[::1",
        f"localhost@evil:{PORT}",
        f"localhost.evil.example:{PORT}",
    ],
)
def test_strangers_names_for_this_machine_are_refused(browser: Browser, host: str) -> None:
    """DNS rebinding: a stranger's page whose name has come to point here."""
    assert is_refused(browser.get("/api/session", headers={"host": host}), 421)


@pytest.mark.parametrize("host", [f"localhost:{PORT}", f"127.0.0.1:{PORT}", f"[::1]:{PORT}"])
def test_own_names_are_answered(browser: Browser, host: str) -> None:
    cookie = {"cookie": "; ".join(f"{k}={v}" for k, v in browser.cookies.items())}
    assert browser.get("/api/session", headers={"host": host, **cookie}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": f"https://127.0.0.1:{PORT}"},
        {"origin": f"http://localhost:{PORT}"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_other_pages_cannot_ask(browser: Browser, headers: dict[str, str], method: str) -> None:
    path = "/api/frames/0/decision" if method == "PUT" else "/api/session"
    sent = DECISION if method == "PUT" else None
    before = browser.get("/api/frames/0/history").json()
    assert is_refused(browser.ask(method, path, headers=headers, json=sent), 403)
    assert browser.get("/api/frames/0/history").json() == before


def test_the_own_page_can(browser: Browser) -> None:
    headers = {"origin": BASE, "sec-fetch-site": "same-origin"}
    answer = browser.put("/api/frames/0/decision", json=DECISION, headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_what_a_foreign_form_can_send_is_refused(browser: Browser, kind: str) -> None:
    answer = browser.put("/api/frames/0/draft", content=b"{}", headers={"content-type": kind})
    assert is_refused(answer, 415)


def test_a_link_from_elsewhere_leads_to_the_page(browser: Browser) -> None:
    answer = browser.get("/", headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 200
    assert 'http-equiv="refresh"' in answer.text


@pytest.mark.parametrize("announced", [True, False])
def test_long_requests_are_not_read(browser: Browser, announced: bool) -> None:
    async def pieces() -> object:
        for _ in range(1000):
            yield b" " * 1024

    body = b" " * (MOST_BODY_BYTES + 1) if announced else pieces()
    headers = {"content-type": "application/json"}
    answer = browser.put("/api/frames/0/draft", content=body, headers=headers)
    assert is_refused(answer, 413)


@pytest.mark.parametrize(
    "path",
    [
        "/../app.py",
        "/..%2fapp.py",
        "/%2e%2e/%2e%2e/context.py",
        "/..%5c..%5cpyproject.toml",
        "/%2fetc%2fpasswd",
        "/static/index.html",
        "/app.py",
        "/index.html%00.js",
        "/api/frames/..%2f..%2f..%2fetc%2fpasswd",
        "/api/frames/0/photo/0/0/..%2f..%2fphoto.jpg",
    ],
)
def test_no_path_leads_out_of_the_page(browser: Browser, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code in (404, 422)
    assert set(answer.json()) == {"detail"}


@pytest.mark.parametrize("path", ["/", "/app.js", "/app.css", "/api/session", "/nothing", "/api/x"])
def test_every_answer_has_the_headers(browser: Browser, path: str) -> None:
    headers = browser.get(path).headers
    assert {**headers, **security_headers(), "cache-control": headers["cache-control"]} == {
        **headers
    }
    policy = headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "access-control-allow-origin" not in headers


def test_layers_are_in_the_policy_and_nowhere_else(store: Path) -> None:
    layer = "Streets | https://tiles.example.org/{z}/{x}/{y}.png | them"
    with opened(store, layers=[layer]) as browser:
        answer = browser.get("/api/session")
    assert [shown["name"] for shown in answer.json()["layers"]] == ["Streets"]
    policy = answer.headers["content-security-policy"]
    assert "img-src 'self' https://tiles.example.org data: blob:;" in policy
    assert "script-src 'self';" in policy
