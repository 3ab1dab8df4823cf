"""The figures of a run: recall, reliability, ROC, errors, seconds."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks.pages import NONE, number, table
from benchmarks.row_tables import Row, number_of, numbers
from benchmarks.trials.attempt import REASON_MARK, register_trial, with_true_camera
from benchmarks.trials.outcomes import (
    OUTCOMES,
    RIGHT_ACCEPTED,
    WRONG_ACCEPTED,
    having,
    outcome_of,
    registrable,
)
from benchmarks.trials.run import TrialSettings, open_workshop
from benchmarks.trials.stats import quantile
from regengine.records import probability_text

# Pictures of single trials: the proposal over the photo, and the map as it truly lies there.

TRUTH = "truth"


def draw_trials(
    seeds: Iterable[int], settings: TrialSettings, folder: Path, tell: Callable[[str], None]
) -> list[Path]:
    """Register some trials again and draw two overlays of each."""
    from regengine.registration.overlay import draw_result

    shop = open_workshop(settings)
    drawn: list[Path] = []
    for seed in seeds:
        trial = shop.draw(seed)
        with tempfile.TemporaryDirectory() as name:
            found = register_trial(trial, shop.light_map, settings.register, Path(name))
            result = found.result
            if result is None:
                tell(f"seed {seed}: {found.problem}")
                continue
            photo = Path(result.path)
            proposal = draw_result(result, photo, shop.light_map, folder)
            true = draw_result(
                with_true_camera(result, trial), photo, shop.light_map, Path(name) / TRUTH
            )
            target = folder / f"{photo.stem}.{TRUTH}.png"
            target.write_bytes(true.read_bytes())
        drawn += [proposal, target]
        tell(f"seed {seed}: {result.verdict}")
    return drawn


# The trials that a run should be ashamed of: wrong and accepted, and registrable ones missed.

MOST_LISTED = 40
WORST = 10
NO_CODE = "no reason given"
CASE_HEADER = (
    *("seed", "kind", "lit places", "off-nadir", "lens mm", "told", "clock", "TLE days"),
    *("along-track km", "cloud", "verdict", "probability", "right", "error km", "truth was found"),
    "reasons",
)


def missed(rows: Sequence[Row]) -> list[Row]:
    """Registrable trials that were not right and accepted: those with most lit places first."""
    found = [row for row in registrable(rows) if outcome_of(row) != RIGHT_ACCEPTED]
    return sorted(found, key=lambda row: (-number_of(row.get("places")), int(row["seed"])))


def worst_seeds(rows: Sequence[Row], most: int = WORST) -> list[int]:
    """Seeds of the worst failures: wrong and accepted first, then the best-lit that were missed."""
    wrong = having(rows, WRONG_ACCEPTED)
    ordered = [*wrong, *(row for row in missed(rows) if row not in wrong)]
    return [int(row["seed"]) for row in ordered[:most]]


def code_of(row: Row) -> str:
    """The first reason of a row; the kind of problem where it failed."""
    if row.get("problem"):
        return row["problem"].partition(":")[0]
    return (row.get("reasons") or "").partition(REASON_MARK)[0] or NO_CODE


def truth_found(row: Row) -> str:
    """How far the true camera came in the search."""
    finalist, candidate = row.get("truth_in_finalists"), row.get("truth_in_candidates")
    if finalist:
        return "chosen" if finalist == "0" else f"finalist {int(finalist) + 1}"
    return f"candidate {int(candidate) + 1}" if candidate else "no"


def case_cells(row: Row) -> list[str]:
    """One trial of a list of failures."""
    worst_m = max(number_of(text) for text in (row.get("point_error_m") or "").split(";"))
    p, kind = number_of(row.get("probability")), row.get("kind") or NONE
    cloud = max(number_of(row.get("cloud_opaque")), number_of(row.get("cloud_thin")))
    return [
        row["seed"],
        kind,
        row.get("places") or NONE,
        number(number_of(row.get("off_nadir_deg")), 0),
        number(number_of(row.get("focal_mm")), 0),
        row.get("focal_told") or NONE,
        row.get("clock_class") or NONE,
        number(number_of(row.get("tle_age_days")), 1),
        number(number_of(row.get("along_track_error_km")), 0),
        number(cloud, 2),
        row.get("verdict") or NONE,
        NONE if p != p else probability_text(p),
        {"1": "yes", "0": "no"}.get(row.get("right") or "", NONE),
        number(worst_m / 1000.0, 1),
        truth_found(row),
        (row.get("reasons") or row.get("problem") or NONE).replace(REASON_MARK, ", "),
    ]


def wrong_lines(rows: Sequence[Row]) -> list[str]:
    """Every trial that is wrong and accepted."""
    wrong = having(rows, WRONG_ACCEPTED)
    if not wrong:
        return ["None."]
    return table(CASE_HEADER, [case_cells(row) for row in wrong])


REASON_HEADER = (
    *("reason", "trials", *OUTCOMES[1:]),
    *("truth was a finalist", "a candidate", "never found"),
)


def reason_lines(rows: Sequence[Row]) -> list[str]:
    """Registrable trials that were missed, counted by their first reason."""
    groups: dict[str, list[Row]] = {}
    for row in missed(rows):
        groups.setdefault(code_of(row), []).append(row)
    lines = []
    for code, group in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        kinds = [outcome_of(row) for row in group]
        finalists = sum(1 for row in group if row.get("truth_in_finalists"))
        candidates = sum(
            1
            for row in group
            if row.get("truth_in_candidates") and not row.get("truth_in_finalists")
        )
        found = (finalists, candidates, len(group) - finalists - candidates)
        counts = [len(group), *(kinds.count(name) for name in OUTCOMES[1:]), *found]
        lines.append([code, *(str(value) for value in counts)])
    return table(REASON_HEADER, lines, right=len(REASON_HEADER) - 1) if lines else ["None."]


def missed_lines(rows: Sequence[Row], most: int = MOST_LISTED) -> list[str]:
    """The best-lit registrable trials that were missed, by their first reason."""
    listed = missed(rows)[:most]
    if not listed:
        return ["None."]
    listed.sort(key=lambda row: (code_of(row), -number_of(row.get("places"))))
    return table(CASE_HEADER, [case_cells(row) for row in listed])


def problem_lines(rows: Sequence[Row]) -> list[str]:
    """Trials that failed, with what was said."""
    failed = [row for row in rows if row.get("problem")]
    cells = [[row["seed"], row.get("kind") or "not drawn", row["problem"][:200]] for row in failed]
    return table(("seed", "kind", "problem"), cells) if cells else ["None."]


def seconds_lines(rows: Sequence[Row]) -> list[str]:
    """Median and 95th percentile of the CPU and wall seconds by outcome."""
    header = ("outcome", "trials", "CPU s median", "95th percentile", "wall s median", "95th")
    lines = []
    for name in (*OUTCOMES, "all"):
        group = list(rows) if name == "all" else having(rows, name)
        cells = [name, str(len(group))]
        for column in ("seconds_cpu", "seconds_wall"):
            taken = numbers(group, column)
            cells += [number(quantile(taken, share), 1) for share in (0.5, 0.95)]
        lines.append(cells)
    return table(header, lines, right=5)
