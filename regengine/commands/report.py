"""``regengine report``: one offline page on a run, or its figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regengine.commands.options import Json, Quiet, StoreFile
from regengine.io.plain import format_count


def main(
    store: StoreFile,
    out: Annotated[
        Path | None, typer.Option(help="Page to write.  [report.html, unless --json is given]")
    ] = None,
    as_json: Json = False,
    overlay: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of overlays by register --overlay, to link to."),
    ] = None,
    thumbnails: Annotated[
        int, typer.Option(min=0, help="Maximum number of photos shown on the page.")
    ] = 300,
    quiet: Quiet = False,
) -> None:
    """Report on a run: verdicts, reasons, a map, reliability, clocks, photos, times.

    Writes one HTML file that works offline. Also works while the run is in progress.

    \b
    Examples: regengine report run.h5 --out report.html
              regengine report run.h5 --out report.html --overlay overlays
              regengine report run.h5 --json | jq .verdicts
    """
    import json

    from regengine.errors import ConfigError
    from regengine.io.atomic import check_new_file
    from regengine.io.console import print_data, say, show_progress
    from regengine.io.html import write_page
    from regengine.pages.report.report import collect_store, report_page
    from regengine.pages.report.report import thumbnails as draw_thumbnails

    page = out or (None if as_json else Path("report.html"))
    if page is not None:
        # Before the store is read
        check_new_file(page, (".html", ".htm"), force=True)
        if overlay is not None and not overlay.is_dir():
            raise ConfigError(
                f"--overlay {overlay} is not a folder: name the one given to register --overlay."
            )
    # 10,000 photos make a page of 5 MB
    figures, listed = collect_store(store, 0 if page is None else 10_000)
    if page is not None:
        most = min(thumbnails, len(listed))
        with show_progress(most, quiet=quiet, doing="reading photos") as advance:
            pictures = draw_thumbnails([result for result, _ in listed], store, most, advance)
            write_page(
                page, report_page(listed, figures, pictures, page.absolute().parent, overlay)
            )
        shown = f"{len(listed)} listed, {len(pictures)} shown"
        counts = f"{format_count(figures['photos'], 'photo')}, {shown}"
        if not quiet:
            say(f"{page}: {counts}", err=True)
    if as_json:
        print_data(json.dumps(figures, allow_nan=False))
