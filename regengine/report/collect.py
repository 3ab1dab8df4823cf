"""All figures of a run, gathered while its photos stream by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from regengine.report.clocks import ORBITAL_SPEED_KM_S, CameraTally
from regengine.report.failures import FailureTally
from regengine.report.origins import OriginTally
from regengine.report.places import PlaceTally
from regengine.report.reliability import Reliability
from regengine.report.sample import EvenSample, fair_shares, thinned
from regengine.report.timing import TimeTally
from regengine.report.verdicts import VERDICTS, ReasonTally, VerdictTally
from regengine.result import FrameResult
from regengine.store.rows import StoredFrame

# Camera bodies times days, and lenses: those with most photos are told
MOST_CAMERA_ROWS = 500


@dataclass(frozen=True, kw_only=True)
class Collected:
    """Figures of all photos, and some of the photos.

    Attributes
    ----------
    figures : dict
        As docs/commands/report.md tells them; plain values.
    frames : list of FrameResult
        In the store's order; each verdict has its fair share.
    """

    figures: dict[str, Any]
    frames: list[FrameResult]


def collect(frames: Iterable[StoredFrame], most_frames: int) -> Collected:
    """Go through the photos of a store once.

    Parameters
    ----------
    frames : iterable of StoredFrame
        Only so many as are kept are held at once, and some numbers of each.
    most_frames : int
        How many photos to keep at most.

    Returns
    -------
    Collected
    """
    verdicts, reasons, reliability = VerdictTally(), ReasonTally(), Reliability()
    cameras, places = CameraTally(), PlaceTally()
    times, failures, origins = TimeTally(), FailureTally(), OriginTally()
    samples = {verdict: EvenSample[tuple[int, FrameResult]](most_frames) for verdict in VERDICTS}
    for stored in frames:
        result = stored.result
        for of_result in (verdicts, reasons, reliability, cameras, places):
            of_result.add(result)
        for of_stored in (times, failures, origins):
            of_stored.add(stored)
        if result.verdict in samples:
            # Of the hypotheses the proposal alone: they are most of what a result holds
            few = replace(result, hypotheses=result.hypotheses[:1])
            samples[result.verdict].add((stored.frame_index, few))
    figures = {
        **verdicts.figures(),
        "reasons": reasons.figures(),
        "reliability": reliability.figures(),
        "clocks": _most_telling([asdict(offset) for offset in cameras.clock_offsets()]),
        "lenses": _most_telling([asdict(ratio) for ratio in cameras.lens_ratios()]),
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
