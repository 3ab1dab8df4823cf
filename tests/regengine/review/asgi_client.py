"""Asks a server in this process, without a socket."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from starlette.types import ASGIApp


class AsgiClient:
    """Sends requests to an application, one after another.

    Parameters
    ----------
    app : ASGI application
        The server; what it does not foresee is answered, not raised.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)

    def get(self, url: str) -> httpx.Response:
        return self.ask("GET", url)

    def post(self, url: str, json: Any) -> httpx.Response:
        return self.ask("POST", url, json)

    def ask(self, method: str, url: str, json: Any = None) -> httpx.Response:
        async def answer() -> httpx.Response:
            async with httpx.AsyncClient(
                transport=self._transport, base_url="http://127.0.0.1"
            ) as client:
                return await client.request(method, url, json=json)

        return asyncio.run(answer())
