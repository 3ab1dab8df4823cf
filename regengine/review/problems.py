"""Errors of the review's server: one sentence each, as JSON."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from regengine.errors import ConfigError, RegengineError, one_line

UNPROCESSABLE = 422
MOST_NAMED = 3  # of the values that are wrong


class Problem(BaseModel):
    """What went wrong and what to do."""

    detail: str


def answer_problems(app: FastAPI) -> None:
    """Make every error of a server's routes a sentence.

    Parameters
    ----------
    app : FastAPI
        The server.
    """
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RegengineError, _known)
    app.add_exception_handler(Exception, _unforeseen)


def problem(status: int, sentence: str) -> JSONResponse:
    """An answer that is an error.

    Parameters
    ----------
    status : int
        HTTP's.
    sentence : str
        What is wrong and what to do.

    Returns
    -------
    JSONResponse
    """
    return JSONResponse({"detail": one_line(sentence)}, status_code=status)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    named = [
        f"{'.'.join(str(step) for step in each['loc'])}: {each['msg']}"
        for each in found[:MOST_NAMED]
    ]
    return problem(UNPROCESSABLE, f"the request makes no sense ({'; '.join(named)}).")


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    answer = problem(error.status_code, str(error.detail))
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    return answer


async def _known(request: Request, error: Exception) -> JSONResponse:
    return problem(UNPROCESSABLE if isinstance(error, ConfigError) else 503, str(error))


async def _unforeseen(request: Request, error: Exception) -> JSONResponse:
    logging.getLogger("regengine").error("%s failed", request.url.path, exc_info=error)
    return problem(500, "something unforeseen happened; the server's messages tell more.")
