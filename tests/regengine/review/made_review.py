"""Small stores made by hand, and a browser that asks the review's server for them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp

from regengine.review.app import guarded_app
from regengine.review.security import Access
from regengine.review.server import open_review

PORT = 8123
BASE = f"http://127.0.0.1:{PORT}"
WORK: dict[str, Any] = {
    "camera": None,
    "points": [],
    "hypothesis": None,
    "comment": "",
    "tags": [],
    "quality": None,
    "place": None,
}


class Browser:
    """Asks a server in this process; keeps its cookies."""

    def __init__(self, app: ASGIApp) -> None:
        self.transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.cookies = httpx.Cookies()

    def ask(self, method: str, path: str, **sent: Any) -> httpx.Response:
        """One request; redirects are not followed."""

        async def asked() -> httpx.Response:
            async with httpx.AsyncClient(
                transport=self.transport, base_url=BASE, cookies=self.cookies
            ) as client:
                answer = await client.request(method, path, **sent)
                self.cookies = client.cookies
                return answer

        return asyncio.run(asked())

    def get(self, path: str, **sent: Any) -> httpx.Response:
        return self.ask("GET", path, **sent)

    def post(self, path: str, json: Any) -> httpx.Response:
        return self.ask("POST", path, json=json)

    def put(self, path: str, **sent: Any) -> httpx.Response:
        return self.ask("PUT", path, **sent)


@contextmanager
def served(store: Path, access: Access, **options: Any) -> Iterator[Browser]:
    """A browser that does not have the cookie yet."""
    with open_review(store, reviewer=options.pop("reviewer", "Ada"), **options) as context:
        yield Browser(guarded_app(context, access, port=PORT))


@contextmanager
def opened(store: Path, **options: Any) -> Iterator[Browser]:
    """A browser that opened the printed address."""
    access = Access()
    with served(store, access, **options) as browser:
        assert browser.get(f"/?token={access.token}").status_code == 303
        yield browser
