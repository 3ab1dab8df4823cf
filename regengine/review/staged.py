"""A server that answers before all of it is there: first pictures do not wait for the solver."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Lock, Timer

from fastapi import FastAPI
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

# Solver, places and their libraries take a second to import; first pictures are made within this
FIRST_PICTURE_S = 2.0


class StagedApp:
    """ASGI application of two: a light one at first, the whole one once it is there.

    Parameters
    ----------
    early : FastAPI
        What the page asks for first.
    make_whole : callable
        Makes the application that answers everything; called once, in a thread, when the first
        request comes that the early one does not know, or some seconds after `begin`.
    """

    def __init__(self, early: FastAPI, make_whole: Callable[[], ASGIApp]) -> None:
        self._early = early
        self._make_whole = make_whole
        self._whole: ASGIApp | None = None
        self._lock = Lock()

    def begin(self) -> None:
        """Make the whole application, in a while."""
        timer = Timer(FIRST_PICTURE_S, self.whole)
        timer.daemon = True
        timer.start()

    def whole(self) -> ASGIApp:
        """The application that answers everything."""
        with self._lock:
            if self._whole is None:
                self._whole = self._make_whole()
            return self._whole

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        app: ASGIApp | None = self._whole
        if app is None and self._answers(scope):
            app = self._early
        if app is None:
            app = await asyncio.to_thread(self.whole)
        await app(scope, receive, send)

    def _answers(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is Match.FULL for route in self._early.router.routes)
