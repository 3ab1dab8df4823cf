"""``regengine review``: a person verifies proposals in the browser."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from regengine.commands import options as common
from regengine.io.console import print_data, say


def main(
    store: common.StoreFile,
    photos: common.MovedPhotos = None,
    lights: common.LightMaps = None,
    streets: common.StreetMaps = None,
    day: common.DayMaps = None,
    tle: common.ElementSets = None,
    metadata: common.Metadata = None,
    port: Annotated[
        int,
        typer.Option(
            min=0,
            max=65535,
            help="Port to listen on; 0 takes the store's usual port, or any free one.",
        ),
    ] = 0,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on; any but this machine's own admits other machines."
        ),
    ] = "127.0.0.1",
    reviewer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name saved with decisions.  [the user's name]"),
    ] = None,
    readonly: Annotated[
        bool, typer.Option("--readonly", help="Show the page without saving decisions.")
    ] = False,
    sheet: Annotated[
        bool, typer.Option("--sheet", help="Open on a sheet of many proposals together.")
    ] = False,
    checks: Annotated[
        bool,
        typer.Option(
            "--checks/--no-checks",
            help="Show one photo of thirty on sheets with a wrong camera, as a check.",
        ),
    ] = True,
    layer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'NAME | URL | ATTRIBUTION'",
            help="Online map tiles for the page; may be given several times.  [no internet access]",
        ),
    ] = None,
    as_json: common.Json = False,
) -> None:
    """Review proposals in the browser: accept, reject, correct.

    Works offline. Decisions are saved at once, in a file beside the store.

    \b
    Examples: regengine review run.h5
              regengine review run.h5 --sheet
              regengine review run.h5 --lights lights.tif --tle iss.txt --reviewer Ada
    """
    from regengine.io.extras import need
    from regengine.io.plain import make_printable
    from regengine.maps.at_hand import choose_element_sets, choose_maps

    need("The review page", "fastapi", "uvicorn")
    from regengine.pages.review.server import open_review, serve

    given = {"--lights": lights, "--streets": streets, "--day": day}
    made_with = common.run_files(store, {**given, "--tle": tle, "--metadata": metadata})

    def started(address: str) -> None:
        if as_json:
            print_data(json.dumps({"store": make_printable(str(store)), "url": address}))
        else:
            say(f"Review of {store}: {address}", "Press Ctrl-C to stop.")

    with open_review(
        store,
        photos=photos,
        lights=choose_maps("lights", lights or made_with.lights),
        streets=choose_maps("streets", streets or made_with.streets),
        day=choose_maps("day", day or made_with.day),
        tle=(tle and (tle,)) or made_with.tle or choose_element_sets(),
        metadata=metadata or made_with.metadata,
        reviewer=reviewer,
        readonly=readonly,
        layers=layer or (),
        sheet=sheet,
        checks=checks,
    ) as context:
        serve(context, started, host=host, port=port, browser=browser)
