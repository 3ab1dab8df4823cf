"""How well the clock of a camera, as each photo alone tells it, agrees between its photos.

Photos are registered one by one, without neighbours, on the package's maps. A camera's clock is off
by the same seconds in all photos of a day, and no fit knows of another photo: those whose offsets
along the orbit agree check each other. Accepted photos are grouped by body, and anew where it took
none for two days. Without a serial number a model is several bodies, told apart as clusters of
offsets with gaps of more than three seconds. Copies of a photo, of one body and time, count once.
``--lines`` keeps a row a photo; those that it holds are not registered again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from PIL import Image
from scipy.stats import binomtest

import regengine
from benchmarks.options import Out
from benchmarks.pages import number, percent, table, tell, title_lines, write_page
from benchmarks.rows import Row, append_row, read_rows
from regengine.errors import RegengineError
from regengine.runs.remote import find_photos

GAP_S, GAP_DAYS = 3.0, 2  # clocks of one model drifted by 0.13 s a day
FAR_SIGMAS, DRAWS = 4.0, 1000


def main(
    photos: Annotated[list[str], typer.Argument(metavar="PHOTOS...")],
    *,
    tle: Annotated[Path | None, typer.Option(help="element sets, if not the package's")] = None,
    lines: Annotated[Path, typer.Option(help="rows of photos, continued")] = Path("clocks.jsonl"),
    overlays: Annotated[Path | None, typer.Option(help="folder for what stands out")] = None,
    out: Out = None,
) -> None:
    """Register the photos that are not in the file of lines, and write the page."""
    done = {row["photo"] for row in read_rows(lines)}
    given: dict[str, Any] = {"tle": tle, "neighbours": False}
    for photo in find_photos(photos):
        if str(photo) not in done:
            append_row(lines, register_alone(photo, given))
    accepted = choose_photos(pd.DataFrame(read_rows(lines)))
    pulled = pull_clocks(accepted[accepted.sigma_s.notna()])
    write_page(out, "clocks", page_lines(accepted, pulled))
    for photo in pulled.photo[pulled.pull.abs() > FAR_SIGMAS] if overlays else ():
        regengine.register(photo, **given, overlay=overlays)


def register_alone(photo: Path, given: dict[str, Any]) -> Row:
    """One row: verdict, camera body, and the offset along the orbit with its sigma."""
    row: Row = {"photo": str(photo), "verdict": "failed"}
    try:
        record = regengine.register(photo, **given).to_dict()
    except RegengineError as error:
        return row | {"problem": error.code}
    with Image.open(photo) as picture:
        serial = picture.getexif().get_ifd(0x8769).get(0xA431)  # BodySerialNumber
    row |= {
        "serial": str(serial or "").strip(),
        "placed_on": (record["reference"] or {}).get("kind"),
    }
    row |= {name: record[name] for name in ("verdict", "time_utc")}
    row |= {name: record["image"][name] for name in ("camera_body", "focal_mm")}
    camera = record["camera"] or {}
    tell(f"{photo}: {row['verdict']}")
    return row | {name: camera.get(f"along_track_{name}") for name in ("offset_s", "sigma_s")}


def choose_photos(photos: pd.DataFrame) -> pd.DataFrame:
    """Accepted photos with an offset, each once, with the sigma that pulls count by."""
    body = ["camera_body", "serial"]  # copies may lack the number
    photos = photos[(photos.verdict == "accepted") & photos.offset_s.notna()]
    photos = photos.sort_values([*body, "time_utc"], ascending=[True, False, True])
    photos = photos.drop_duplicates(["camera_body", "time_utc"])
    # One sigma of what is even within the second that a time in whole seconds leaves open
    is_whole = ~photos.time_utc.str.contains(".", regex=False)
    photos["total_s"] = np.hypot(photos.sigma_s, is_whole / np.sqrt(12.0))
    photos["time"] = pd.to_datetime(photos.time_utc, format="ISO8601")
    begins = photos.groupby(body).time.diff() > pd.Timedelta(days=GAP_DAYS)
    photos["day"] = begins.groupby([photos[name] for name in body]).cumsum()
    of_lights = "lights, " + pd.cut(
        photos.focal_mm, [0, 60, 200, np.inf], labels=["to 60 mm", "to 200 mm", "longer"]
    ).astype(str)
    photos["lens"] = photos.placed_on.where(photos.placed_on != "lights", of_lights)
    return photos.reset_index(drop=True)


def pull_clocks(photos: pd.DataFrame) -> pd.DataFrame:
    """The photos with their groups, and how far each is from the mean of its group.

    ``off_s`` is scaled by the share of the photo in that mean, so that it has the photo's sigma.
    """
    photos = photos.assign(group=-1, off_s=np.nan).sort_values("offset_s")
    for (_, serial, _), some in photos.groupby(["camera_body", "serial", "day"]):
        gaps_s = some.offset_s.diff() - np.hypot(some.total_s, some.total_s.shift())
        for _, one in some.groupby(some.day if serial else (gaps_s > GAP_S).cumsum()):
            share = one.total_s**-2 / (one.total_s**-2).sum()
            photos.loc[one.index, "group"] = photos.group.max() + 1
            if len(one) > 1:
                left_s = one.offset_s - (share * one.offset_s).sum()
                photos.loc[one.index, "off_s"] = left_s / np.sqrt(1.0 - share)
    return photos.assign(pull=photos.off_s / photos.total_s)


def deal_offsets(photos: pd.DataFrame) -> list[int]:
    """How many agree with their groups where offsets are dealt to the photos, each time."""
    rng, names = np.random.default_rng(1), ["offset_s", "total_s"]
    counts = []
    for _ in range(DRAWS):
        offset_s, total_s = rng.permutation(photos[names].to_numpy()).T
        dealt = pull_clocks(photos.assign(offset_s=offset_s, total_s=total_s))
        counts.append(int((dealt.pull.abs() <= FAR_SIGMAS).sum()))
    return counts


def describe(some: pd.DataFrame) -> list[str]:
    """Number, median sigma, robust scatter, root mean square of the pulls, and what stands out."""
    numbers = (
        some.total_s.median(),
        1.4826 * some.off_s.abs().median(),
        (some.pull**2).mean() ** 0.5,
    )
    n_far = int((some.pull.abs() > FAR_SIGMAS).sum())
    return [str(len(some)), *map(number, numbers), str(n_far)]


NOTE = (
    "*Scatter* is 1.4826 times the median distance of offsets from the mean of their group, "
    "*pulls* are the root mean square of that in sigmas: the photos' own, with 0.29 s for times in "
    "whole seconds."
)
HEADER = "in groups | sigma s, median | scatter s | pulls | beyond four sigmas"


def page_lines(accepted: pd.DataFrame, pulled: pd.DataFrame) -> list[str]:
    """The page: pulls by lens, the chance of them, what stands out, and every group."""
    checked = pulled[pulled.pull.notna()]
    far, by_chance = checked[checked.pull.abs() > FAR_SIGMAS], deal_offsets(pulled)
    bound = binomtest(len(far), len(checked), alternative="less").proportion_ci(0.95).high
    agreeing, lenses, groups = len(checked) - len(far), [], []
    rank = (1 + sum(count >= agreeing for count in by_chance)) / (1 + DRAWS)
    for name, told in [*accepted.groupby("lens"), ("all", accepted)]:
        some = checked if name == "all" else checked[checked.lens == name]
        lenses.append([name, str(len(told)), str(told.sigma_s.isna().sum()), *describe(some)])
    for _, one in checked.groupby("group"):
        name = one.camera_body.iloc[0] + ("" if one.serial.iloc[0] else ", a cluster")
        focal = f"{one.focal_mm.min():.0f}–{one.focal_mm.max():.0f}"
        offset_s = number(np.average(one.offset_s, weights=one.total_s**-2))
        groups.append([name, one.time_utc.min()[:10], focal, offset_s, *describe(one)])
    return [
        *title_lines("Clocks of cameras", NOTE),
        *table(f"placed on, lens | accepted | offset not determined | {HEADER}", lenses),
        "",
        f"{len(far)} of {len(checked)} stand out by more than four sigmas: at most "
        f"{percent(bound)} (95 %). {agreeing} agree; where offsets are dealt to the photos at "
        f"random {np.mean(by_chance):.0f} do, {max(by_chance)} at most (p = {rank:.1g}).",
        *(f"{Path(one.photo).stem}: {one.off_s:+.2f} s." for one in far.itertuples()),
        "",
        *table(f"body | first day | lenses mm | offset s | {HEADER}", groups),
    ]
