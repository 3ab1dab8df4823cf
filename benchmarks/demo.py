"""The demonstration: a table of true errors, and a contact sheet of the overlays."""

from __future__ import annotations

import html
import json
from collections import defaultdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from typer import Argument, Option

from benchmarks.pages import tell
from benchmarks.rows import read_csv
from matchers.geometry.footprint import right_within_km
from regengine.io.console import fit_cell
from regengine.registration.overlay import overlay_path
from regengine.score.registration import distance_m
from regengine.store.read import iter_frames
from regengine.store.result import FrameResult, name_result

TRUTH = Path(__file__).resolve().parents[1] / "data_samples" / "photos" / "truth.csv"


def judge(result: FrameResult, points: list[dict[str, str]]) -> tuple[str, bool]:
    """Compare the camera with points of known position: a cell of the table, and if it is right."""
    if result.solved is None:
        return "no place" + ("" if points else ", rightly"), not points
    if not points:
        is_checked = result.verdict == "review"
        return "a proposal to check" if is_checked else "nothing there can be placed", False
    x, y, lon, lat = (np.array([float(row[k]) for row in points]) for k in ("x", "y", "lon", "lat"))
    camera = result.solved.camera
    away_km = distance_m(*camera.pixel_to_lonlat(x, y)[:2], lon, lat) / 1e3
    seen_x, seen_y = camera.lonlat_to_pixel(lon, lat)
    away_px = float(np.median(np.hypot(seen_x - x, seen_y - y)))
    on_map = points[0]["source"].startswith("camera")
    against = "camera on VIIRS 2023" if on_map else f"{len(points)} towns picked by eye"
    median_km = float(np.median(away_km))
    cell = f"{median_km:5.2f} km  {away_px:4.1f} px  {against}"
    return cell, median_km <= right_within_km(result.footprint_diagonal_km or 0.0)


def main(
    store: Annotated[Path, Argument(help="of `regengine register` over data_samples/photos")],
    overlays: Annotated[Path, Argument(help="folder of its overlays")],
    solved: Annotated[Path, Argument(help="records of `regengine solve`, NDJSON")],
    *,
    out: Annotated[Path, Option(help="the contact sheet, a page")],
) -> None:
    """Print the table and write the contact sheet; 1 if something accepted is wrong."""
    stars = {
        one["frame"]: one
        for one in map(json.loads, solved.read_text(encoding="utf-8").splitlines())
    }
    truth: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    for row in read_csv(TRUTH):  # points of known position
        truth[row["frame"]].append(row)
    wrong: list[str] = []
    lines: list[str] = []
    tiles: list[tuple[Path, str]] = []
    results = sorted(
        (one.result for one in iter_frames(store)),
        key=lambda one: (90.0 if one.solved is None else one.solved.off_nadir_deg, one.frame),
    )
    for result in results:
        name = result.frame
        picture = overlay_path(result, overlays)
        angle = "" if result.solved is None else f"{result.solved.off_nadir_deg:.0f}°"
        error, is_right = judge(result, truth[name])
        if result.verdict == "accepted" and not is_right:
            wrong.append(name)
        town, country = name_result(result)
        caption = "  ".join(filter(None, (name, town or country, f"{result.verdict} {angle}")))
        if name in stars and stars[name]["solved"]:
            error = f"{stars[name]['matched_stars']} stars, {stars[name]['rms_px']:.2f} px"
            caption, picture = f"{name}  stars, solved", overlays / f"{name}_solved.png"
        how = "" if result.time_utc else "time unknown"
        shows = ", ".join(filter(None, (town, country))) or result.category or ""
        lines.append(
            f"{name:16} {fit_cell(shows, 28)} {result.verdict:9} {angle:>4}  {error:44} {how}"
        )
        tiles.append((picture, caption))
    head = f"{'photo':16} {'shows':28} {'verdict':9} {'tilt':>4}  {'median error, against what':44}"
    print("\n" + "\n".join(line.rstrip() for line in (head, *lines)))
    folder = overlays.absolute().as_uri()
    figures = "".join(
        f'<figure><a href="{folder}/{html.escape(path.name)}"><img src="{folder}/'
        f'{html.escape(path.name)}" width="480"></a><figcaption>{html.escape(caption)}'
        "</figcaption></figure>"
        for path, caption in tiles
    )
    out.write_text(
        "<!doctype html><meta charset=utf-8><title>regengine demo</title><style>body{background:"
        "#18181c;color:#eee;font:15px sans-serif}figure{display:inline-block;margin:6px}</style>"
        f"<pre>{html.escape(chr(10).join((head, *lines)))}</pre>{figures}",
        encoding="utf-8",
    )
    print(f"\n{out}")
    if wrong:
        tell(f"\naccepted and wrong: {', '.join(wrong)}")
        raise typer.Exit(1)
