"""From a store to its figures and its page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regengine.errors import StoreError
from regengine.io.html import visible_text, write_page
from regengine.io.plain import plain
from regengine.report.clocks import ORBITAL_SPEED_KM_S, CameraTally
from regengine.report.figures import (
    VERDICTS,
    DecoyTally,
    Distribution,
    EvenSample,
    FailureTally,
    ReasonTally,
    Reliability,
    TimeTally,
    VerdictTally,
    decades,
    fair_shares,
    thinned,
)
from regengine.report.page import report_page, thumbnails
from regengine.report.places import PlaceTally
from regengine.result import FrameResult
from regengine.store.hdf5 import check
from regengine.store.rows import StoredFrame, without_collection
from regengine.store.snapshot import iter_frames, list_parts, parts_folder
from regengine.store.writer import utc_now

MOST_SETTINGS = 8
MOST_NAMES = 20
# By `search_pass` of the store
PASSES = (
    "unknown",
    "by itself",
    "with hints of its stretch",
    "again with its stretch",
    "again with the whole batch",
)


class OriginTally:
    """Versions, maps, settings, sources of positions and passes of the photos."""

    def __init__(self) -> None:
        self._engines: Counter[str] = Counter()
        self._lights: Counter[str] = Counter()
        self._sources: Counter[str] = Counter()
        self._passes: Counter[str] = Counter()
        self._accepted: Counter[str] = Counter()
        self._settings: Counter[str] = Counter()
        self._texts: dict[str, str] = {}
        self._ages = Distribution(decades(-1, 4))

    def add(self, stored: StoredFrame) -> None:
        """Take what one photo was made from."""
        result = stored.result
        self._engines[result.engine_version] += 1
        self._lights[result.lights] += 1
        self._sources["none" if result.nadir is None else result.nadir.source] += 1
        if result.nadir is not None and result.nadir.source == "tle":
            self._ages.add(result.nadir.tle_age_h)
        number = stored.search_pass
        name = PASSES[number] if number < len(PASSES) else PASSES[0]
        self._passes[name] += 1
        self._accepted[name] += result.verdict == "accepted"
        self._settings[stored.parameters_sha256] += 1
        if len(self._texts) < MOST_SETTINGS:
            self._texts.setdefault(stored.parameters_sha256, stored.parameters)

    def figures(self) -> dict[str, Any]:
        """Counts of each, the commonest first; ages of element sets in hours."""
        return {
            "engine_versions": dict(self._engines.most_common(MOST_NAMES)),
            "lights": dict(self._lights.most_common(MOST_NAMES)),
            "positions_from": dict(self._sources.most_common(MOST_NAMES)),
            "tle_age_h": self._ages.figures(),
            "passes": [
                {"pass": name, "photos": self._passes[name], "accepted": self._accepted[name]}
                for name in PASSES
                if self._passes[name]
            ],
            "settings": [
                {"sha256": sha256, "photos": count, "parameters": _parsed(self._texts.get(sha256))}
                for sha256, count in self._settings.most_common(MOST_SETTINGS)
            ],
            "different_settings": len(self._settings),
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


def collect(frames: Iterable[StoredFrame], most_frames: int) -> Collected:
    """Go through the photos of a store once."""
    verdicts, reasons, reliability = VerdictTally(), ReasonTally(), Reliability()
    cameras, places = CameraTally(), PlaceTally()
    decoys = DecoyTally()
    times, failures, origins = TimeTally(), FailureTally(), OriginTally()
    samples = {verdict: EvenSample[tuple[int, FrameResult]](most_frames) for verdict in VERDICTS}
    for stored in frames:
        result = stored.result
        for of_result in (verdicts, reasons, reliability, decoys, cameras, places):
            of_result.add(result)
        for of_stored in (times, failures, origins):
            of_stored.add(stored)
        if result.verdict in samples:
            samples[result.verdict].add((stored.frame_index, result))
    figures = {
        **verdicts.figures(),
        "reasons": reasons.figures(),
        "reliability": reliability.figures(),
        "decoys": decoys.figures(),
        "clocks": _most_telling(cameras.clock_offsets()),
        "lenses": _most_telling(cameras.lens_ratios()),
        "orbital_speed_km_s": ORBITAL_SPEED_KM_S,
        "places": places.figures(),
        "failed": failures.figures(),
        "times": times.figures(),
        "origins": origins.figures(),
    }
    shares = fair_shares({v: len(samples[v].items) for v in VERDICTS}, most_frames)
    kept = [pair for v in VERDICTS for pair in thinned(samples[v].items, shares[v])]
    return Collected(
        figures=figures, frames=[result for _, result in sorted(kept, key=lambda pair: pair[0])]
    )


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
    with without_collection():
        return collect(iter_frames(store, most_hypotheses=1), most_frames)


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
