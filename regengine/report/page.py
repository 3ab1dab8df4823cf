"""The report as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from regengine.page.pictures import data_address
from regengine.page.template import render_page
from regengine.report.places import coastline
from regengine.report.rows import frame_row
from regengine.result import FrameResult
from regengine.words import VERDICT_WORDS


def report_page(
    frames: Sequence[FrameResult],
    figures: Mapping[str, Any],
    pictures: Mapping[int, bytes],
    page_folder: Path,
    overlays: Path | None = None,
) -> str:
    """The page of a run.

    Parameters
    ----------
    frames : sequence of FrameResult
        Photos to list.
    figures : mapping
        Of `regengine.report.report.report_figures`.
    pictures : mapping of int to bytes
        JPEG thumbnails by a photo's place among those listed.
    page_folder : Path
        Where the page will lie, for its links.
    overlays : Path, optional
        Folder of overlays to link to.

    Returns
    -------
    str
        HTML.
    """
    rows = []
    for number, result in enumerate(frames):
        row = frame_row(result, page_folder, overlays)
        if number in pictures:
            row["thumbnail"] = data_address(pictures[number])
        rows.append(row)
    data = {
        "figures": figures,
        "frames": rows,
        "coastline": coastline(),
        "words": VERDICT_WORDS,
    }
    content = files("regengine.report").joinpath("report.html").read_text(encoding="utf-8")
    return render_page(content, data, title=f"Report on {Path(figures['store']).name}")
