"""One photo, whatever happens: always a result, never an exception."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from regengine.batch.plan import Mishap, Task, mishap_of
from regengine.photo.frame_records import frame_id_of
from regengine.records import printable, record_line
from regengine.result import FrameResult, Reason
from regengine.store.rows import StoredFrame, to_tables

# Results of photos that were worked on under another path than the one that was given.


def shown_as(result: FrameResult, path: Path, shown: str) -> FrameResult:
    """A result that tells of a photo by the name that it was given under."""
    worked_on, given = printable(str(path)), printable(shown)
    reasons = tuple(
        replace(reason, text=reason.text.replace(worked_on, given)) for reason in result.reasons
    )
    return replace(result, path=given, reasons=reasons)


# Of a path; with `hints` beside it where other photos of the batch have told something
Process = Callable[..., FrameResult]


def attempt(process: Process, task: Task) -> FrameResult:
    """Process a photo; what goes wrong becomes a ``failed`` result."""
    if task.mishap is not None:
        return failed(task, task.mishap)
    start_s = time.perf_counter()
    try:
        result = process(task.path, **({} if task.hints is None else {"hints": task.hints}))
        if task.given_as is not None:
            result = shown_as(result, task.path, task.given_as)
        # A result that cannot be written must fail its own frame, not the run.
        to_tables([StoredFrame(frame_index=0, result=result)])
        record_line(result)
        return result
    except Exception as error:
        return failed(task, mishap_of(task.path, error), seconds=time.perf_counter() - start_s)


def failed(task: Task, mishap: Mishap, *, seconds: float = 0.0) -> FrameResult:
    """The result of a photo that could not be processed."""
    result = FrameResult(
        frame=printable(frame_id_of(task.path)),
        path=printable(str(task.path)),
        sha256=task.sha256,
        verdict="failed",
        probability=None,
        reasons=(Reason(code=mishap.code, text=printable(mishap.text)),),
        engine_version=version("regengine"),
        seconds=seconds,
    )
    return result if task.given_as is None else shown_as(result, task.path, task.given_as)
