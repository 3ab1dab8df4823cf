"""The figures of a run: recall, reliability, ROC, errors, seconds."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pages import NONE, number, table
from benchmarks.row_tables import Row, flags, number_of, numbers, values
from benchmarks.trials.attempt import REASON_MARK, register_trial, with_true_camera
from benchmarks.trials.headline import stated
from benchmarks.trials.outcomes import (
    FACTORS,
    OUTCOMES,
    RIGHT_ACCEPTED,
    WRONG_ACCEPTED,
    bins_of,
    having,
    outcome_of,
    proposals,
    registrable,
)
from benchmarks.trials.run import TrialSettings, open_workshop
from benchmarks.trials.stats import calibration, quantile, roc, wilson_interval
from regengine.records import probability_text

DPI = 90
# Told apart also by those who see no red and green (Wong 2011, Nature Methods 8, 441)
COLOURS = dict(
    zip(OUTCOMES, ("#0072b2", "#56b4e9", "#d55e00", "#e69f00", "#bbbbbb", "#333333"), strict=True)
)
DRAWN = (
    *("off_nadir_deg", "focal_mm", "focal_told", "clock_class", "tle_age_days", "cloud_opaque"),
    *("cloud_thin", "hardware_share", "limb_visible", "crop_share", "places", "continent"),
)
PANELS_A_ROW = 3


def save_figures(rows: Sequence[Row], folder: Path) -> None:
    """Draw all figures of a run as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    drawings: dict[str, Callable[[Any], None]] = {
        "recall": lambda figure: draw_recall(figure, registrable(rows)),
        "reliability": lambda figure: draw_reliability(figure, stated(rows)),
        "roc": lambda figure: draw_roc(figure, rows),
        "errors": lambda figure: draw_errors(figure, having(rows, RIGHT_ACCEPTED)),
        "seconds": lambda figure: draw_seconds(figure, rows),
    }
    for name, draw in drawings.items():
        # Without pyplot: it would keep every figure, and look for a screen.
        figure = Figure(figsize=(8.0, 4.0), dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        figure.savefig(folder / f"{name}.png", metadata={"Software": None})


def draw_recall(figure: Any, rows: Sequence[Row]) -> None:
    """Shares of all outcomes in the bins of the main factors, stacked."""
    factors = [f for f in FACTORS if f.column in DRAWN and bins_of(rows, f)]
    if not factors:
        return
    lines = -(-len(factors) // PANELS_A_ROW)
    figure.set_size_inches(10.0, 2.4 * lines + 0.5)
    panels = figure.subplots(lines, PANELS_A_ROW, squeeze=False).ravel()
    for panel, factor in zip(panels, factors, strict=False):
        groups = bins_of(rows, factor)
        labels = [f"{label}\n{len(group)}" for label, group in groups]
        base = np.zeros(len(groups))
        for name in OUTCOMES:
            share = np.array([len(having(group, name)) / len(group) for _, group in groups])
            panel.bar(labels, share, bottom=base, color=COLOURS[name], label=name)
            base = base + share
        panel.set_title(factor.title, fontsize=9)
        panel.set_ylim(0.0, 1.0)
        panel.tick_params(labelsize=6)
    for panel in panels[len(factors) :]:
        panel.set_axis_off()
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(OUTCOMES), fontsize=8)


def draw_reliability(figure: Any, rows: Sequence[Row]) -> None:
    """Share right against stated probability with 95 % intervals, and how often each is stated."""
    found = calibration(numbers(rows, "probability"), flags(rows, "right"))
    figure.set_size_inches(5.5, 6.0)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0.0, 1.0], [0.0, 1.0], color="grey", lw=1, ls="--")
    some = found.count > 0
    hits = np.rint(np.nan_to_num(found.came_true) * found.count).astype(int)
    bounds = [wilson_interval(int(k), int(n)) for k, n in zip(hits, found.count, strict=True)]
    low, high = np.array(bounds).T
    share = found.came_true[some]
    reach = np.clip([share - low[some], high[some] - share], 0.0, None)
    upper.errorbar(found.stated[some], share, yerr=reach, fmt="o", capsize=3, color="#0072b2")
    upper.set(ylabel="share right", ylim=(-0.02, 1.02))
    upper.set_title(
        f"{len(rows)} probabilities: expected calibration error {found.expected_error:.4f}, "
        f"Brier score {found.brier:.4f}",
        fontsize=9,
    )
    edges = np.linspace(0.0, 1.0, len(found.count) + 1)
    lower.bar(edges[:-1], found.count, width=np.diff(edges), align="edge", color="#56b4e9")
    lower.set(xlabel="stated probability", ylabel="trials", xlim=(-0.02, 1.02))
    lower.set_yscale("symlog", linthresh=10)


def draw_roc(figure: Any, rows: Sequence[Row]) -> None:
    """Receiver operating characteristic, over proposals and over all trials."""
    figure.set_size_inches(5.5, 5.0)
    panel = figure.subplots()
    for what, some in (("proposals", proposals(rows)), ("all trials", list(rows))):
        curve = roc(np.nan_to_num(numbers(some, "probability")), flags(some, "right"))
        if len(curve.true_positive):
            label = f"{what}: area {curve.area:.4f}"
            panel.plot(curve.false_positive, curve.true_positive, label=label)
    panel.plot([0.0, 1.0], [0.0, 1.0], color="grey", lw=1, ls="--", label="chance")
    panel.set(xlabel="share of the wrong above the threshold", ylabel="share of the right")
    panel.legend(loc="lower right")


def draw_errors(figure: Any, right: Sequence[Row]) -> None:
    """Errors of control points in units, and in sigmas, of what is right and accepted."""
    left, other = figure.subplots(1, 2)
    for column, label in (
        ("point_error_units", "control points"),
        ("grid_median_units", "frames, median over the ground"),
    ):
        errors = np.sort(values(right, column))
        share = np.arange(len(errors) + 1) / max(len(errors), 1)
        left.step(np.concatenate([[0.0], errors]), share, where="post", label=label)
    left.axvline(0.5, color="grey", lw=1, ls=":")
    left.axvline(2.0, color="grey", lw=1, ls="--")
    left.set(xlabel="error / max(map pixel, photo pixel)", ylabel="share", xlim=(0.0, 4.0))
    left.legend(loc="lower right", fontsize=8)
    edges = np.linspace(-4.0, 4.0, 33)
    for column, label in (("z_east", "east"), ("z_north", "north")):
        z = np.clip(values(right, column), -4.0, 4.0)
        if len(z):
            other.hist(z, edges, density=True, histtype="step", label=label)
    bell = np.exp(-0.5 * edges**2) / np.sqrt(2.0 * np.pi)
    other.plot(edges, bell, color="grey", lw=1, label="normal")
    other.set(xlabel="error of control points / sigma", ylabel="density")
    other.legend(fontsize=8)


def draw_seconds(figure: Any, rows: Sequence[Row]) -> None:
    """CPU seconds a frame by outcome, cumulative."""
    panel = figure.subplots()
    for name in OUTCOMES:
        group = [row for row in rows if outcome_of(row) == name]
        taken = numbers(group, "seconds_cpu")
        taken = np.sort(taken[np.isfinite(taken)])
        if len(taken):
            share = np.arange(1, len(taken) + 1) / len(taken)
            panel.step(taken, share, where="post", color=COLOURS[name], label=name)
    for seconds, dashes, label in ((3.0, ":", "median asked for"), (15.0, "--", "95 % asked for")):
        panel.axvline(seconds, color="grey", lw=1, ls=dashes, label=label)
    panel.set(xlabel="CPU seconds", ylabel="share of the trials", ylim=(0.0, 1.02))
    panel.legend(loc="lower right", fontsize=8)


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
