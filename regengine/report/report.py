"""From a store to its figures and its page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.constants import ORBITAL_SPEED_KM_S
from regengine.errors import StoreError
from regengine.io.html import visible_text, write_page
from regengine.io.plain import plain
from regengine.report.clocks import CameraTally
from regengine.report.figures import (
    VERDICTS,
    Distribution,
    FailureTally,
    Photos,
    ReasonTally,
    Reliability,
    Tally,
    TimeTally,
    VerdictTally,
    decades,
    fair_shares,
    thinned,
)
from regengine.report.page import report_page, thumbnails
from regengine.report.places import PlaceTally
from regengine.result import FrameResult
from regengine.store.file import CHUNK_ROWS, check, damage_told
from regengine.store.rows import Tables, from_tables, of_frames, values_of
from regengine.store.schema import GROUPS
from regengine.store.snapshot import OF_FRAMES, iter_blocks, list_parts, parts_folder
from regengine.store.writer import utc_now

MOST_NAMES = 20


class OriginTally:
    """Versions, maps and sources of positions of the photos."""

    def __init__(self) -> None:
        self._engines: Counter[str] = Counter()
        self._lights: Counter[str] = Counter()
        self._sources: Counter[str] = Counter()
        self._ages = Distribution(decades(-1, 4))

    def add(self, photos: Photos) -> None:
        """Take what photos were made from."""
        self._engines.update(photos.texts("engine_version"))
        self._lights.update(photos.texts("lights"))
        self._sources.update(source or "none" for source in photos.texts("nadir_source"))
        self._ages.add(photos["tle_age_h"][photos.where("nadir_source", "tle")])

    def figures(self) -> dict[str, Any]:
        """Counts of each, the commonest first; ages of element sets in hours."""
        return {
            "engine_versions": dict(self._engines.most_common(MOST_NAMES)),
            "lights": dict(self._lights.most_common(MOST_NAMES)),
            "positions_from": dict(self._sources.most_common(MOST_NAMES)),
            "tle_age_h": self._ages.figures(),
        }


def run_attributes(store: Path) -> dict[str, Any]:
    """What a store says of its making."""
    import h5py

    parts = list_parts(parts_folder(store))
    for path in ([store] if store.exists() else []) + parts[::-1]:
        try:
            check(path)
            with h5py.File(path, "r") as file:
                found = dict(file.attrs.items())
        except (OSError, RuntimeError, StoreError):  # a part that was merged a moment ago
            continue
        return {
            "created": _text(found.get("created")),
            "command_line": _text(found.get("command_line")),
            "package_versions": _parsed(_text(found.get("package_versions"))),
            "format_version": int(found.get("format_version", 0)),
            "unmerged_parts": len(parts),
        }
    raise StoreError(f"{store} does not exist: check the path of the store.")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _parsed(text: str | None) -> Any:
    """A JSON object; null for anything else."""
    try:
        value = json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


# All figures of a run, gathered while its photos stream by.

# Camera bodies times days, and lenses: those with most photos are told
MOST_CAMERA_ROWS = 500


@dataclass(frozen=True, kw_only=True)
class Collected:
    """Figures of all photos, and some of the photos."""

    figures: dict[str, Any]  # as docs/commands/report.md tells them; plain values
    frames: list[FrameResult]  # in the store's order; each verdict has its fair share


def collect(blocks: Iterable[Tables], listed: NDArray[np.int64]) -> Collected:
    """Go through the photos of a store once; ``listed`` are the numbers of those to keep."""
    verdicts, reasons, reliability = VerdictTally(), ReasonTally(), Reliability()
    cameras, places, times = CameraTally(), PlaceTally(), TimeTally()
    failures, origins = FailureTally(), OriginTally()
    tallies: tuple[Tally, ...] = (
        *(verdicts, reasons, reliability, cameras, places),
        *(times, failures, origins),
    )
    kept: list[FrameResult] = []
    for tables in blocks:
        photos = Photos(tables)
        for tally in tallies:
            tally.add(photos)
        kept += [stored.result for stored in from_tables(of_frames(tables, listed))]
    figures = {
        **verdicts.figures(),
        "reasons": reasons.figures(),
        "reliability": reliability.figures(),
        "clocks": _most_telling(cameras.clock_offsets()),
        "lenses": _most_telling(cameras.lens_ratios()),
        "orbital_speed_km_s": ORBITAL_SPEED_KM_S,
        "places": places.figures(),
        "failed": failures.figures(),
        "times": times.figures(),
        "origins": origins.figures(),
    }
    return Collected(figures=figures, frames=kept)


def to_list(blocks: Iterable[Tables], most: int) -> NDArray[np.int64]:
    """Numbers of at most so many photos, ascending: each verdict has its fair share, evenly."""
    numbers: dict[str, list[int]] = {verdict: [] for verdict in VERDICTS}
    for tables in blocks:
        found = tables["frames"]["frame_index"].tolist()
        for verdict, number in zip(values_of(tables["frames"]["verdict"]), found, strict=True):
            if verdict in numbers:
                numbers[verdict].append(number)
    shares = fair_shares({verdict: len(of) for verdict, of in numbers.items()}, most)
    kept = [number for verdict, of in numbers.items() for number in thinned(of, shares[verdict])]
    return np.array(sorted(kept), dtype=np.int64)


def _most_telling(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows with most photos, in the order given, and how many there are."""
    if len(rows) <= MOST_CAMERA_ROWS:
        return {"groups": len(rows), "rows": rows}
    least = sorted((row["photos"] for row in rows), reverse=True)[MOST_CAMERA_ROWS - 1]
    kept = [row for row in rows if row["photos"] >= least][:MOST_CAMERA_ROWS]
    return {"groups": len(rows), "rows": kept}


def collect_store(store: Path, most_frames: int) -> Collected:
    """Figures and some photos of a store, also of one that a run is writing.

    StoreError if there is none, or it cannot be read.
    """
    told_apart = tuple(one for one in GROUPS["frames"] if one.name in ("frame_index", "verdict"))
    with damage_told(store):
        verdicts = iter_blocks(store, {"frames": told_apart}) if most_frames else ()
        listed = to_list(verdicts, most_frames)
        return collect(map(with_best, iter_blocks(store, OF_FRAMES, CHUNK_ROWS)), listed)


def with_best(tables: Tables) -> Tables:
    """Without the hypotheses behind the best of each photo."""
    best = tables["hypotheses"]["rank"] < 1
    return tables | {"hypotheses": {n: column[best] for n, column in tables["hypotheses"].items()}}


def report_figures(store: Path, collected: Collected) -> dict[str, Any]:
    """All that `regengine report --json` prints, plain JSON values."""
    figures: dict[str, Any] = plain(
        {
            "store": str(store),
            "reported_utc": utc_now(),
            "run": run_attributes(store),
            **collected.figures,
        },
        visible_text,
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
    """Write the page, whole or not at all: how many thumbnails are on it.

    ``figures`` are those of `report_figures`; ``overlays`` is a folder of overlays to link to;
    ``advance`` is called after each photo that was read. StoreError if it cannot be written.
    """
    pictures = thumbnails(collected.frames, store, most_thumbnails, advance)
    folder = out.absolute().parent
    write_page(out, report_page(collected.frames, figures, pictures, folder, overlays))
    return len(pictures)
