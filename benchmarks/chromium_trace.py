"""What Chromium's own trace says of a page's main thread."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

CATEGORIES = ("toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline")
TASK_NAMES = ("RunTask", "ThreadControllerImpl::RunTask", "ThreadPool_RunTask")
RENDERER_MAIN = "CrRendererMain"


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task of a renderer's main thread.

    Attributes
    ----------
    wall_ms, cpu_ms : float
        How long it took by the clock, and of the processor's time; on a busy machine the clock
        says more than the page did.
    """

    wall_ms: float
    cpu_ms: float


def trace_events(trace: bytes) -> list[dict[str, Any]]:
    """Events of a trace as Chromium writes it, be it the list alone or an object around it."""
    told = json.loads(trace)
    events: list[dict[str, Any]] = told["traceEvents"] if isinstance(told, dict) else told
    return events


def main_thread_tasks(events: Iterable[Mapping[str, Any]]) -> list[Task]:
    """Tasks of the renderers' main threads, the longest first.

    A task within another (a nested message loop) is part of the outer one and not told again.

    Parameters
    ----------
    events : iterable of mapping
        Complete events (``ph`` is "X", ``dur`` and ``tdur`` in microseconds) and metadata ("M").

    Returns
    -------
    list of Task
        Longest processor time first.
    """
    events = list(events)
    mains = {
        (event["pid"], event["tid"])
        for event in events
        if event.get("ph") == "M"
        and event.get("name") == "thread_name"
        and event["args"]["name"] == RENDERER_MAIN
    }
    ends: dict[tuple[int, int], float] = {}
    tasks = []
    for event in sorted(events, key=lambda event: (event.get("ts", 0.0), -event.get("dur", 0.0))):
        thread = (event.get("pid", 0), event.get("tid", 0))
        if event.get("ph") != "X" or thread not in mains or event["name"] not in TASK_NAMES:
            continue
        if event["ts"] < ends.get(thread, -1.0):
            continue
        duration = event.get("dur", 0.0)
        ends[thread] = event["ts"] + duration
        tasks.append(Task(wall_ms=duration / 1e3, cpu_ms=event.get("tdur", duration) / 1e3))
    return sorted(tasks, key=lambda task: task.cpu_ms, reverse=True)
