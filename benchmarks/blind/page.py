"""The page of the blind search: what was asked, the simulated photographs, the real ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.blind.trials import CITIES, PLACES, STEEP_DEG, SWEPT
from benchmarks.pages import title_lines
from benchmarks.registration.cases import CATEGORIES
from benchmarks.registration.process import Outcome
from benchmarks.registration.report import is_accepted, judgement
from benchmarks.row_tables import Row, number_of
from benchmarks.trials.outcomes import outcome_of
from benchmarks.trials.stats import upper_bound, wilson_interval

FOCAL_KNOWN = 0.03


def page_lines(
    real: Sequence[Outcome],
    rows: Sequence[Row],
    sweep: Sequence[Row],
    command: str,
    note: str,
) -> list[str]:
    """The page."""
    lines = title_lines("Photographs placed by their lights alone", command, note)
    if rows:
        lines += simulated_lines(rows)
    if sweep:
        lines += sweep_lines(sweep)
    if real:
        lines += real_lines(real)
    return lines


def groups_of(rows: Sequence[Row]) -> list[tuple[str, list[Row], float | None]]:
    """Kinds of simulated frames, and which share is to be right and accepted."""
    lit = [r for r in rows if r["kind"] in CITIES and number_of(r["places"]) >= PLACES]
    known = [r for r in lit if abs(told_focal_error(r)) <= FOCAL_KNOWN]
    steep = [r for r in known if number_of(r["off_nadir_deg"]) <= STEEP_DEG]
    limb = [r for r in known if r["limb_visible"] == "1"]
    between = [r for r in known if r not in steep and r not in limb]
    few = [r for r in rows if r["kind"] in CITIES and number_of(r["places"]) < PLACES]
    return [
        (f"off-nadir at most {STEEP_DEG:g}°, focal length known", steep, 0.80),
        ("limb in view, focal length known", limb, 0.60),
        (f"beyond {STEEP_DEG:g}° without the limb, focal length known", between, None),
        ("focal length not told", [r for r in lit if r["focal_told"] == "unknown"], 0.40),
        (
            f"a lens is told, but the picture's scale is off by more than {FOCAL_KNOWN:.0%}",
            [r for r in lit if abs(told_focal_error(r)) > FOCAL_KNOWN],
            None,
        ),
        (f"fewer than {PLACES} lit places", few, None),
        (
            "no city",
            [r for r in rows if r["kind"] not in CITIES],
            None,
        ),
    ]


def told_focal_error(row: Row) -> float:
    """How far off a picture's focal length in pixels is by what is told of it; nan if nothing is.

    EXIF does not tell that a picture was cropped: what is left looks as if of a wider lens. Of a
    crop that changed the picture's shape the table has the larger share alone, so the error of some
    is larger than this.
    """
    return (1.0 + number_of(row["focal_error"])) * number_of(row["crop_share"]) - 1.0


def simulated_lines(rows: Sequence[Row]) -> list[str]:
    """Tables of the simulated photographs."""
    lines = [
        "## Simulated photographs",
        "",
        f"{len(rows)} photographs of the {rows[0]['half']} half, drawn as for the registration "
        f"benchmark; told is the lens, where EXIF has it. First the frames with at least {PLACES} "
        f"separable lit places. Known is a focal length within {FOCAL_KNOWN:.0%}: pictures that "
        "were cropped, or whose EXIF tells another lens, have a row of their own.",
        "",
        "| frames | n | right and accepted | asked | right | wrong, accepted | median CPU s |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, group, asked in groups_of(rows):
        lines.append(f"| {name} | {share_cells(group, asked)} |")
    accepted = [r for r in rows if r["verdict"] == "accepted"]
    wrong = [r for r in accepted if outcome_of(r).startswith("wrong")]
    cpu = np.array([number_of(r["seconds_cpu"]) for r in rows])
    lines += [
        "",
        f"Wrong among the accepted: {len(wrong)} of {len(accepted)} (95 % bound "
        f"{upper_bound(len(wrong), max(len(accepted), 1)):.4f}; aim 0.001). CPU: median "
        f"{np.nanmedian(cpu):.1f} s (aim 10), 95th percentile {np.nanpercentile(cpu, 95):.1f} s.",
        "",
    ]
    if wrong:
        lines += ["Wrong and accepted: seeds " + ", ".join(r["seed"] for r in wrong) + ".", ""]
    return lines


def share_cells(rows: Sequence[Row], asked: float | None) -> str:
    """Cells of a group of simulated photographs."""
    right = [r for r in rows if r.get("right") == "1" and r["verdict"] in ("accepted", "review")]
    accepted = [r for r in right if r["verdict"] == "accepted"]
    wrong = [r for r in rows if r["verdict"] == "accepted" and r not in accepted]
    share = "–"
    if rows:
        low, high = wilson_interval(len(accepted), len(rows))
        share = f"{len(accepted) / len(rows):.0%} ({low:.0%} to {high:.0%})"
    cpu = [number_of(r["seconds_cpu"]) for r in rows]
    median = f"{np.nanmedian(cpu):.1f}" if rows else "–"
    goal = "–" if asked is None else f"{asked:.0%}"
    return f"{len(rows)} | {share} | {goal} | {len(right)} | {len(wrong)} | {median}"


def sweep_lines(sweep: Sequence[Row]) -> list[str]:
    """Table of what areas and lenses cost and bring."""
    placed = [row for row in sweep if row.get(f"{SWEPT[0][0]}_verdict")]
    lines = [
        "## Area and tolerance",
        "",
        f"{len(placed)} photographs of the {placed[0]['half'] if placed else 'same'} half with at "
        f"least {PLACES} lit places, each placed anew in regions of several sizes around the "
        "truth, and with its true focal length told, or one that is off.",
        "",
        "| told | right and accepted | right | wrong, accepted | median CPU s |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, told in SWEPT:
        good = sum(row[f"{name}_right"] == "1" for row in placed)
        taken = [row for row in placed if row[f"{name}_verdict"] == "accepted"]
        wrong = sum(row[f"{name}_right"] != "1" for row in taken)
        cpu = np.median([number_of(row[f"{name}_seconds_cpu"]) for row in placed] or [np.nan])
        lines.append(f"| {told} | {len(taken) - wrong} | {good} | {wrong} | {cpu:.1f} |")
    return [*lines, ""]


def real_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """Table of the real photographs: the cities, and what else was accepted."""
    cities = [o for o in outcomes if o.case.category in CATEGORIES]
    wrong = [o for o in outcomes if is_accepted(o, "wrong")]
    right = [o for o in cities if is_accepted(o, "right")]
    known = [o for o in cities if o.truth.camera is not None]
    cpu = [o.cpu_s for o in cities if np.isfinite(o.cpu_s)]
    others = [o for o in outcomes if o.case.category not in CATEGORIES]
    lines = [
        "## Real photographs",
        "",
        f"- Right and accepted: {len(right)} of {len(known)} city photographs with a reference "
        f"camera. Wrong and accepted: {len(wrong)} of all {len(outcomes)}"
        + (f" ({', '.join(o.case.name for o in wrong)})." if wrong else "."),
        f"- CPU of city photographs: median {np.median(cpu):.1f} s; largest memory "
        f"{max(o.peak_mb for o in outcomes):.0f} MB."
        if cpu
        else "- No city photograph was tried.",
        f"- Of {len(others)} photographs of other kinds, tried all the same, accepted: "
        + (", ".join(o.case.name for o in others if o.verdict == "accepted") or "none")
        + ".",
        "",
        "| photo | verdict | judged | probability | centre | off-nadir | CPU s | reasons |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    shown = [*cities, *(o for o in others if o.verdict in ("accepted", "review"))]
    return [*lines, *(real_row(outcome) for outcome in shown), ""]


def real_row(outcome: Outcome) -> str:
    """Row of one real photograph."""
    result, camera = outcome.result, outcome.camera
    probability = None if result is None else result.probability
    where, tilt = "–", "–"
    if camera is not None:
        lon, lat = camera.pixel_to_lonlat(camera.width_px / 2.0, camera.height_px / 2.0)
        where = f"{float(lat):.2f} {float(lon):.2f}" if np.isfinite(lon) else "sky"
        tilt = f"{camera.off_nadir_deg:.0f}°"
    reasons = "" if result is None else ", ".join(reason.code for reason in result.reasons)
    cells = [
        outcome.case.name,
        outcome.verdict,
        judgement(outcome),
        "–" if probability is None else f"{probability:.3f}",
        where,
        tilt,
        f"{outcome.cpu_s:.1f}",
        reasons or outcome.problem or "–",
    ]
    return "| " + " | ".join(cells) + " |"
