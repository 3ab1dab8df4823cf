"""``regengine report``: one offline page on a run, or its figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regengine.commands.options import Json, Quiet, StoreFile
from regengine.io.plain import format_count

PAGE_ENDINGS = (".html", ".htm")


def main(
    store: StoreFile,
    out: Annotated[
        Path | None,
        typer.Option(help="Page to write.  [report.html, unless --json is given]"),
    ] = None,
    as_json: Json = False,
    overlay: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of overlays by register --overlay, to link to."),
    ] = None,
    frames: Annotated[
        int, typer.Option(min=0, help="Maximum number of photos listed on the page.")
    ] = 10_000,
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

    from regengine.io.console import print_data, say, show_progress
    from regengine.io.html import write_page
    from regengine.pages.report.report import collect_store, report_page
    from regengine.pages.report.report import thumbnails as draw_thumbnails

    page = out or (None if as_json else Path("report.html"))
    if page is not None:
        check_out(page, overlay)
    figures, listed = collect_store(store, 0 if page is None else frames)
    if page is not None:
        most = min(thumbnails, len(listed))
        with show_progress(most, quiet=quiet, doing="reading photos") as advance:
            pictures = draw_thumbnails([one.result for one in listed], store, most, advance)
            write_page(
                page, report_page(listed, figures, pictures, page.absolute().parent, overlay)
            )
        shown = f"{len(listed)} listed, {len(pictures)} shown"
        told = f"{format_count(figures['photos'], 'photo')}, {shown}"
        if not quiet:
            say(f"{page}: {told}", err=True)
    if as_json:
        print_data(json.dumps(figures, allow_nan=False))


def check_out(page: Path, overlay: Path | None) -> None:
    """See to it, before the store is read, that the page can be written."""
    import os

    from regengine.errors import ConfigError

    if page.suffix.lower() not in PAGE_ENDINGS:
        raise ConfigError(
            f"--out {page}: the page's name must end in .html; nothing was written. To print only "
            "the figures, use --json."
        )
    folder = page.absolute().parent
    if page.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(
            f"--out {page} cannot be written: name a file in an existing, writable folder."
        )
    if overlay is not None and not overlay.is_dir():
        raise ConfigError(
            f"--overlay {overlay} is not a folder: name the one given to register --overlay."
        )
