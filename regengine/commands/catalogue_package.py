"""``regengine catalogue package``: a place's best photos with all that belongs to them."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regengine.commands.options import (
    EXIT_FRAMES_FAILED,
    Force,
    Json,
    Quiet,
    Verdicts,
    parse_verdicts,
)

if TYPE_CHECKING:
    from regengine.collection.packages.package import PackageChoice, PackagePlace


def package(
    catalogue: Annotated[Path, typer.Argument(help="Catalogue of regengine catalogue build.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to create.")],
    place: Annotated[
        str | None, typer.Option(help='Photos that show a town or city: "Paris, US".')
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="LON,LAT", help="Photos that show this position.")
    ] = None,
    radius_km: Annotated[
        float | None,
        typer.Option(
            min=0.1, max=5000.0, help="Instead: photos centred within this distance of it."
        ),
    ] = None,
    place_id: Annotated[
        int | None, typer.Option(help="Photos of this place number of the catalogue.")
    ] = None,
    frame: Annotated[
        list[str] | None, typer.Option(help="Only this frame; may be given several times.")
    ] = None,
    best: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of photos, best quality first.")
    ] = None,
    first: Annotated[
        str | None,
        typer.Option(
            "--from", help="Taken at this time or later: a year, month, date or time, UTC."
        ),
    ] = None,
    last: Annotated[
        str | None,
        typer.Option(
            "--to", help="Taken before this time; a year, month or date counts to its end."
        ),
    ] = None,
    min_quality: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Minimum quality.")
    ] = None,
    max_off_nadir_deg: Annotated[
        float | None,
        typer.Option(min=0.0, max=90.0, help="Maximum off-nadir angle."),
    ] = None,
    verdict: Verdicts = "accepted",
    calibration: Annotated[
        list[Path] | None,
        typer.Option(
            help="Lens profile, flat field, dark frame or other calibration file to include."
        ),
    ] = None,
    link: Annotated[
        bool, typer.Option("--link", help="Link to the photos instead of copying them.")
    ] = False,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Pack the best photos of a place: originals, control points, cameras, calibration, checksums.

    \b
    Examples:
      regengine catalogue package archive.parquet --place Madrid --best 5 --out madrid
      regengine catalogue package archive.parquet --at=-3.7,40.4 --radius-km 50 --out madrid
    """
    from regengine.batch.console import print_data, say, show_progress
    from regengine.collection.catalogue.query import Catalogue
    from regengine.collection.packages.package import (
        Contents,
        PackageChoice,
        check_package,
        choose_rows,
        list_calibration_files,
        pack_frames,
        write_package,
    )
    from regengine.errors import ConfigError, FrameError

    check_package(out, force=force)
    verdicts = parse_verdicts(verdict)
    where = _place(place, at)
    if where is None and radius_km is not None:
        raise ConfigError("--radius-km needs a place: name one with --place or --at.")
    if where is None and place_id is None and not frame:
        raise ConfigError("Select photos with --place, --at, --place-id or --frame.")
    choice = PackageChoice(
        place=where,
        radius_km=radius_km,
        place_id=place_id,
        frames=tuple(frame or ()),
        verdicts=verdicts,
        first_utc=_time("--from", first, end=False),
        end_utc=_time("--to", last, end=True),
        least_quality=min_quality,
        max_off_nadir_deg=max_off_nadir_deg,
        best=best,
    )
    asked = {
        "--place": place,
        "--at": at,
        "--radius-km": radius_km,
        "--place-id": place_id,
        "--frame": ", ".join(frame or ()),
        "--verdict": verdict,
        "--from": first,
        "--to": last,
        "--min-quality": min_quality,
        "--max-off-nadir-deg": max_off_nadir_deg,
        "--best": best,
    }
    words = [f"{option} {value}" for option, value in asked.items() if value not in (None, "")]
    files = list_calibration_files(calibration or [])
    with Catalogue(catalogue) as archive:
        rows = choose_rows(archive, choice)
    if not rows:
        raise FrameError(f"{catalogue}: no matching frames, so nothing was written.")
    frames, failed = pack_frames(rows)
    with show_progress(len(frames), quiet=quiet, doing="packing") as advance:
        contents = Contents(
            title=_title(choice, rows[0]),
            chosen=f"Selected with {' '.join(words)}.",
            frames=frames,
            calibration=files,
            failed=failed,
        )
        packed, failed = write_package(out, contents, link=link, force=force, advance=advance)
    if as_json:
        said = {"out": str(out), "frames": packed, "calibration": list(files), "failed": failed}
        print_data(json.dumps(said))
    if not quiet:
        for name, why in failed.items():
            say(f"{name}: {why}", err=True)
        say(f"{out}: {len(packed):,} packed", err=True)
    if failed:
        raise typer.Exit(EXIT_FRAMES_FAILED)


def _place(name: str | None, at: str | None) -> PackagePlace | None:
    from regengine.api import lon_lat
    from regengine.collection.packages.package import PackagePlace
    from regengine.errors import ConfigError
    from regengine.photo.record_values import wrap_lon
    from regengine.places import place_index

    if name is not None and at is not None:
        raise ConfigError("--place and --at both name a place: give one of them.")
    if name is not None:
        found = place_index().search(name, 1)
        if not found:
            raise ConfigError(f"--place {name} is not in GeoNames: try --at LON,LAT.")
        title = f"{found[0].name}, {found[0].country}"
        return PackagePlace(title=title, lon=found[0].lon, lat=found[0].lat)
    if at is None:
        return None
    lon, lat = lon_lat(at, "--at")
    if not (abs(lat) <= 90.0 and abs(lon) <= 360.0):
        raise ConfigError(
            f"--at {at} is not a valid LON,LAT: write longitude, comma, latitude, degrees."
        )
    return PackagePlace(title=f"{lat:.4f}, {lon:.4f}", lon=wrap_lon(lon), lat=lat)


def _time(option: str, text: str | None, *, end: bool) -> datetime | None:
    from regengine.errors import ConfigError
    from regengine.io.times import parse_iso_time

    if text is None:
        return None
    whole = re.fullmatch(r"(\d{4})(?:-(\d{2}))?", text)
    time = parse_iso_time(
        f"{whole[1]}-{whole[2] or '01'}-01" if whole else text, day_is_midnight=True
    )
    if time is None:
        raise ConfigError(f"{option} {text} is not a valid date or time, such as 2012-03-28.")
    if not end:
        return time
    if whole and whole[2]:
        return (time + timedelta(days=31)).replace(day=1)
    if whole:
        return time.replace(year=time.year + 1)
    return time + timedelta(days=1) if len(text) == len("2012-03-28") else time


def _title(choice: PackageChoice, row: dict[str, object]) -> str:
    if choice.place is not None:
        return choice.place.title
    if choice.place_id is not None and row["place"]:
        return ", ".join(str(row[name]) for name in ("place", "place_country") if row[name])
    return "selected frames"
