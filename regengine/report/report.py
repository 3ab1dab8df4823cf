"""From a store to its figures and its page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from regengine.page.template import write_page
from regengine.page.text import shown
from regengine.plain_json import plain
from regengine.report.collect import Collected, collect
from regengine.report.origins import run_attributes
from regengine.report.page import report_page
from regengine.report.photos import thumbnails
from regengine.store.origin import utc_now
from regengine.store.reader import iter_frames


def collect_store(store: Path, most_frames: int) -> Collected:
    """Figures and photos of a store, also of one that a run is writing.

    Parameters
    ----------
    store : Path
        The store.
    most_frames : int
        How many photos to keep at most.

    Returns
    -------
    Collected

    Raises
    ------
    StoreError
        If there is no store, or it cannot be read.
    """
    return collect(iter_frames(store), most_frames)


def report_figures(store: Path, collected: Collected) -> dict[str, Any]:
    """All that `regengine report --json` prints.

    Parameters
    ----------
    store : Path
        The store.
    collected : Collected
        What is in it.

    Returns
    -------
    dict
        Plain JSON values.
    """
    figures: dict[str, Any] = plain(
        {
            "store": str(store),
            "reported_utc": utc_now(),
            "run": run_attributes(store),
            **collected.figures,
        },
        shown,
    )
    return figures


def figures_line(figures: Mapping[str, Any]) -> str:
    """The figures as one line of JSON, ASCII, without the line break."""
    return json.dumps(figures, allow_nan=False)


def write_report(
    out: Path,
    store: Path,
    collected: Collected,
    figures: Mapping[str, Any],
    *,
    most_thumbnails: int,
    overlays: Path | None = None,
    advance: Callable[[], object] = lambda: None,
) -> int:
    """Write the page, whole or not at all.

    Parameters
    ----------
    out : Path
        The HTML file; replaced if it exists.
    store : Path
        The store.
    collected : Collected
        What is in it.
    figures : mapping
        Of `report_figures`.
    most_thumbnails : int
        How many photos to read at most.
    overlays : Path, optional
        Folder of overlays to link to.
    advance : callable, optional
        Called after each photo that was read.

    Returns
    -------
    int
        How many thumbnails are on the page.

    Raises
    ------
    StoreError
        The page cannot be written.
    """
    pictures = thumbnails(collected.frames, store, most_thumbnails, advance)
    folder = out.absolute().parent
    write_page(out, report_page(collected.frames, figures, pictures, folder, overlays))
    return len(pictures)
