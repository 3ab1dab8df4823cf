"""Telephoto frames on street maps: simulated by two generators, negatives, and real Paris.

``python -m benchmarks streets --real FOLDER --seeds 0:150 --table FILE.md`` simulates a frame a
seed, registers it by the whole rule with an element set that is off by 5 km, a clock off by up to
10 s and a focal length off by up to 3 %, and writes figures with 95 % intervals; a row a trial goes
to FILE.csv, and seeds that are in it are not tried again. ``--harsh`` takes the second generator,
``--loose`` a clock off by up to 120 s and a focal length by up to 20 %, ``--which`` all four cities
laid in one place, ``--negatives`` the streets of other cities and mirrored ones, ``--grid`` a city
of regular blocks. Real Paris is done before the first seed (``--no-paris`` leaves it out).
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.processes import Lost, work_through

if TYPE_CHECKING:
    import pandas as pd

    from benchmarks.streets.trials import TrialPlan

LIMIT_S = 900.0  # of the clock, for a seed
_HELD: dict[str, Any] = {}


def main(argv: list[str]) -> int:
    """Run the benchmark; 0 when done, 2 if it cannot be started."""
    import pandas as pd

    from benchmarks.streets.maps import build_maps
    from benchmarks.streets.trials import TrialPlan, try_paris

    parser = argparse.ArgumentParser(prog="python -m benchmarks streets", description=__doc__)
    parser.add_argument("--real", type=Path, required=True, help="folder of the real data")
    parser.add_argument("--seeds", default="0:0", help="FIRST:LAST, the last one not included")
    parser.add_argument("--table", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--maps", type=Path, help="folder that keeps the built street maps")
    parser.add_argument("--workers", type=int, default=1, help="processes of one thread each")
    parser.add_argument("--no-paris", action="store_true")
    for name in ("harsh", "loose", "negatives", "grid", "which"):
        parser.add_argument(f"--{name}", action="store_true")
    given = parser.parse_args(argv)
    if not (given.real / "streets").is_dir():
        print(f"{given.real} holds no streets/: give the folder of the real data", file=sys.stderr)
        return 2
    plan = TrialPlan(
        real=given.real, harsh=given.harsh, loose=given.loose, negatives=given.negatives,
        grid=given.grid, which=given.which,
    )  # fmt: skip
    folder = given.maps or given.table.parent / "street-maps"
    maps = build_maps(given.real, folder)
    csv = given.table.with_suffix(".csv")
    rows = pd.read_csv(csv).to_dict("records") if csv.exists() else []
    done = {row["seed"] for row in rows}
    if not given.no_paris and -1 not in done:
        rows += try_paris(plan, maps)
    first, last = (int(part) for part in given.seeds.split(":"))
    seeds = [seed for seed in range(first, last) if seed not in done]
    begin = partial(_prepare, plan, folder)
    for seed, answer in work_through(
        seeds, _work, workers=given.workers, limit_s=LIMIT_S, prepare=begin
    ):
        if isinstance(answer, Lost):
            rows.append(
                {"seed": seed, "trial": "lost", "verdict": "lost", "reasons": answer.problem}
            )
        else:
            rows += answer["rows"]
        pd.DataFrame(rows).to_csv(csv, index=False)
        print(f"seed {seed}: {[(r['trial'], r['verdict'], r.get('right')) for r in rows[-4:]]}",
              file=sys.stderr, flush=True)  # fmt: skip
    table = pd.DataFrame(rows)
    table.to_csv(csv, index=False)
    lines = summarise(table, plan)
    given.table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    return 0


def _prepare(plan: TrialPlan, folder: Path) -> None:
    """Open the maps in a worker process."""
    from benchmarks.streets.maps import build_maps

    _HELD.update(plan=plan, folder=folder, maps=build_maps(plan.real, folder))


def _work(seed: int) -> dict[str, Any]:
    """All trials of a seed in a worker process."""
    from benchmarks.streets.trials import try_seed

    return {"rows": try_seed(seed, _HELD["plan"], _HELD["maps"], _HELD["folder"])}


def summarise(table: pd.DataFrame, plan: TrialPlan) -> list[str]:
    """Figures of trials as Markdown, shares with Clopper and Pearson's 95 % interval."""
    from benchmarks.confidence.report import exact_interval

    def share(hits: int, tried: int) -> str:
        if not tried:
            return "none tried"
        low, high = exact_interval(hits, tried)
        return f"{hits} of {tried} ({100 * hits / tried:.0f} %, {100 * low:.1f}–{100 * high:.1f})"

    words = [
        name for name in ("harsh", "loose", "negatives", "grid", "which") if getattr(plan, name)
    ]
    lines = [f"# Streets: {', '.join(words) or 'first generator'}", ""]
    paris = table[table.seed == -1]
    for _, row in paris.iterrows():
        truth = ""
        if row.get("truth_m") == row.get("truth_m") and row.get("truth_m") is not None:
            truth = f", truth grid median {row.truth_m:.1f} m, 90 % {row.truth_90_m:.1f} m"
        odds = row.get("log10_odds")
        lines.append(
            f"Real Paris, {row.trial}: {row.verdict}, score {odds}{truth}, {row.cpu_s:.1f} CPU s"
        )
    trials = table[(table.seed >= 0) & (table.verdict != "lost")].copy()
    lost = table[table.verdict == "lost"]
    if len(lost):
        lines.append(f"Not finished: {len(lost)} ({'; '.join(sorted(set(lost.reasons)))[:300]})")
    if not len(trials):
        return lines
    accepted = trials.verdict == "accepted"
    right = trials.right.astype(bool)
    if plan.negatives:
        lines += ["", "| streets | accepted | highest score |", "|---|---|---|"]
        for name, part in trials.groupby("trial"):
            highest = part.log10_odds.max() if "log10_odds" in part else float("nan")
            said = share(int((part.verdict == "accepted").sum()), len(part))
            lines.append(f"| {name} | {said} | {highest:.2f} |")
        lines.append(f"| all | {share(int(accepted.sum()), len(trials))} | |")
        return lines
    large = trials.short_side_km >= 6.0
    lines += [
        "",
        "| short side | right and accepted | right | accepted and wrong | points' error, accepted "
        "| within one σ | CPU, median and 90 % |",
        "|---|---|---|---|---|---|---|",
    ]
    ranges = {
        "all": large | ~large, "≥ 6 km": large,
        "4–6 km": ~large & (trials.short_side_km >= 4.0), "< 4 km": trials.short_side_km < 4.0,
    }  # fmt: skip
    for name, chosen in ranges.items():
        part, good = trials[chosen], (accepted & right)[chosen]
        errors = sigma = "–"
        kept = part[accepted[chosen]]
        if "points_px" in part and kept.points_px.notna().any():
            px, metres = kept.points_px.dropna(), kept.points_m.dropna()
            errors = f"{px.median():.2f} px, {metres.median():.1f} m (90 %: {px.quantile(0.9):.2f})"
            sigma = (
                f"{100 * kept.n_within.sum() / kept.n_axes.sum():.0f} % of {int(kept.n_axes.sum())}"
            )
        wrong = int((accepted & ~right)[chosen].sum())
        cpu = f"{part.cpu_s.median():.1f}, {part.cpu_s.quantile(0.9):.1f} s" if len(part) else "–"
        lines.append(
            f"| {name} | {share(int(good.sum()), len(part))} | "
            f"{share(int(right[chosen].sum()), len(part))} | {wrong} | {errors} | {sigma} | {cpu} |"
        )
    lines += ["", f"CPU of accepted, median: {trials[accepted].cpu_s.median():.1f} s"]
    return lines
