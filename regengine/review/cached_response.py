"""Answers that a browser may keep, as long as what they are made of stays the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from fastapi import Request, Response

# Without a version in the address, another run on this port may mean something else by it
ASK_AGAIN = "private, no-cache"
FOR_EVER = "private, max-age=31536000, immutable"


def described(media_type: str, what: str) -> dict[int | str, dict[str, Any]]:
    """What a route answers, for the server's description of itself."""
    return {200: {"description": what, "content": {media_type: {}}}}


def cached_response(
    request: Request,
    make: Callable[[], bytes],
    *,
    media_type: str,
    made_of: str,
    version: str | None = None,
) -> Response:
    """An answer, or word that the browser's copy is good.

    Parameters
    ----------
    request : Request
        What the browser asked.
    make : callable
        Makes the body; not called where the browser has it.
    media_type : str
        Such as ``image/jpeg``.
    made_of : str
        Names all that decides what the body is, but the address.
    version : str, optional
        What ``v`` in the address must be for a copy to be kept without asking again.

    Returns
    -------
    Response
        Of status 200, or 304 without a body.
    """
    address = f"{made_of}\n{request.url.path}\n{request.query_params.get('size', '')}"
    tag = f'"{hashlib.sha256(address.encode("utf-8", "replace")).hexdigest()[:32]}"'
    for_ever = version is not None and request.query_params.get("v") == version
    headers = {"ETag": tag, "Cache-Control": FOR_EVER if for_ever else ASK_AGAIN}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(make(), media_type=media_type, headers=headers)
