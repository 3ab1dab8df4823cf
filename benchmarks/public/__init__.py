"""Score control points of night photographs against points picked by eye.

``RESULTS...`` are tables of control points of any program, or stores of regengine; their columns
are those of docs/public-benchmark.md. ``frames.csv`` beside this module has the photos and their
cameras, ``points.csv`` the picked points, from which the cameras are fitted again by ``--refit``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from benchmarks.options import Out
from benchmarks.pages import number, percent, table, tell, title_lines, write_page
from benchmarks.public.cameras import FRAMES, read_frames, refit_cameras
from regengine.errors import ConfigError
from regengine.score.labels import bound_share
from regengine.score.registration import (
    PhotoScore,
    TruePhoto,
    photo_key,
    read_answers,
    read_true_photos,
    score_answers,
)
from regengine.store.result import MIN_POINTS

NOTE = (
    "*Right* are photos whose control points all lie within 1 % of the diagonal of the true "
    "footprint, or 1 km. *Error*: of right photos the median of that of their points, on the "
    "ground and in pixels. *Bound*: of the share of wrong answers (95 %, exact). Photos of "
    "unknown truth count as photos alone; those without a known lens are in no row of lenses."
)
HEADER = ("photos", "placeable", "answered", "right", "wrong", "bound", "error km", "error px")


def main(
    results: Annotated[list[Path] | None, typer.Argument(metavar="RESULTS...")] = None,
    *,
    refit: Annotated[bool, typer.Option("--refit", help="fit its cameras to the points")] = False,
    out: Out = None,
) -> None:
    """Print a table a system: all photos, those judged by points, and by tilt and lens."""
    if refit:
        refit_cameras()
    elif not results:
        raise ConfigError("No answers: name a table of control points, or a store.")
    if results:
        judged = {path.name: judge(path) for path in results}
        write_page(out, "public", page_lines(judged))


def judge(results: Path) -> pd.DataFrame:
    """Score the answers of one system: a row a photo of the benchmark."""
    photos, answers = read_true_photos(FRAMES), read_answers(results)
    if not answers:
        raise ConfigError(f"{results} holds no control points.")
    rows = []
    for photo, score in zip(photos, score_answers(photos, answers), strict=True):
        row = {"outcome": score.outcome, "tilt_deg": np.nan, "km": np.nan, "px": np.nan}
        points = answers.get(photo_key(photo.name))
        if score.outcome == "wrong":
            tell(f"{results.name}: {photo.name} is wrong: {say_why(photo, score)}")
        if photo.camera is not None:
            row["tilt_deg"] = photo.camera.off_nadir_deg
            if points is not None:
                x, y, lon, lat = points[0].T
                seen_x, seen_y = photo.camera.lonlat_to_pixel(lon, lat)
                row["km"] = float(np.median(score.error_m)) / 1e3
                row["px"] = float(np.median(np.hypot(seen_x - x, seen_y - y)))
        rows.append(row)
    return pd.DataFrame(rows).join(read_frames()[["status", "truth", "focal_mm"]])


def say_why(photo: TruePhoto, score: PhotoScore) -> str:
    """What is wrong about an answer."""
    if photo.camera is None or score.allowed_m is None:
        return "it shows nothing that can be placed"
    far_km, allowed_km = score.error_m.max() / 1e3, score.allowed_m / 1e3
    if np.isinf(far_km):
        return "a control point shows the sky"
    if far_km > allowed_km:
        return f"a control point is {far_km:,.1f} km off, {allowed_km:.1f} km are allowed"
    if len(score.error_m) < MIN_POINTS:
        return f"{len(score.error_m)} control points, {MIN_POINTS} are needed"
    return "its control points lie outside the picture, or span too little of it"


def page_lines(judged: dict[str, pd.DataFrame]) -> list[str]:
    """The page: for each system a table of the photos by what judges them, tilt and lens."""
    lines = title_lines("Control points of night photographs", NOTE)
    for name, photos in judged.items():
        placed = photos[photos.status == "placed"]
        tilt = pd.cut(placed.tilt_deg, [0, 30, 60, 90], right=False).cat.rename_categories(
            ["below 30° off nadir", "30 to 60°", "60° and more"]
        )
        lens = pd.cut(placed.focal_mm, [0, 60, 200, np.inf]).cat.rename_categories(
            ["up to 60 mm", "to 200 mm", "longer"]
        )
        parts = [("all", photos), ("judged by picked points", placed[placed.truth == "points"])]
        for by in (tilt, lens):
            parts += [(str(which), some) for which, some in placed.groupby(by, observed=True)]
        parts.append(("nothing to be placed", photos[photos.status == "nothing"]))
        cells = [[which, *describe(some)] for which, some in parts]
        lines += [f"## {name}", "", *table(["", *HEADER], cells, right=len(HEADER)), ""]
    return lines


def describe(photos: pd.DataFrame) -> list[str]:
    """Cells of `HEADER`."""
    right = photos[photos.outcome == "right"]
    n_right, n_wrong = len(right), int((photos.outcome == "wrong").sum())
    counts = len(photos), (photos.status == "placed").sum(), n_right + n_wrong, n_right, n_wrong
    bound = percent(bound_share(n_wrong, n_right + n_wrong)) if n_right + n_wrong else "–"
    return [*map(str, counts), bound, number(right.km.median()), number(right.px.median())]
